//! `/api/users/me/personas/*` and `/api/conversations/{id}/persona`: the roles that one plays in front of characters.

use super::Site;
use super::extract::{Caller, Json, Named};
use super::problem::Result;
use super::users::given;
use aim_domain::{ConversationId, Persona, PersonaId};
use aim_platform::{PersonaForm, Played};
use aim_store::PersonaChoice;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new()
        .routes(routes!(personas, create_persona))
        .routes(routes!(change_persona, delete_persona))
        .routes(routes!(persona_in, choose_persona))
        .routes(routes!(personas_in))
}

#[derive(Serialize, ToSchema)]
struct PersonaList {
    items: Vec<Persona>,
}

#[derive(Serialize, ToSchema)]
struct PersonaAnswer {
    persona: Persona,
}

#[derive(Serialize, ToSchema)]
struct PlayedList {
    items: Vec<Played>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PersonaChoiceAnswer {
    /// The one chosen here; null: the default one, whichever that is.
    persona: Option<Persona>,
    /// Who speaks: the one chosen, or else the default one; null: oneself.
    speaks_as: Option<Persona>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct NewPersonaForm {
    #[schema(min_length = 1, max_length = 80)]
    name: String,
    #[serde(default)]
    #[schema(max_length = 4_000)]
    description: String,
    /// A picture of one's own: `/media/{uploadId}/thumb`.
    #[serde(default)]
    avatar_url: Option<String>,
    /// Played wherever no other is chosen; the one that was is no longer.
    #[serde(default)]
    is_default: bool,
}

/// What is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PersonaPatch {
    #[serde(default)]
    #[schema(min_length = 1, max_length = 80)]
    name: Option<String>,
    #[serde(default)]
    #[schema(max_length = 4_000)]
    description: Option<String>,
    /// A picture of one's own: `/media/{uploadId}/thumb`; null or "" takes the picture away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    avatar_url: Option<Option<String>>,
    #[serde(default)]
    is_default: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ChoiceForm {
    /// Null: the default one.
    #[schema(required)]
    persona_id: Option<PersonaId>,
}

fn answer(persona: Persona) -> axum::Json<PersonaAnswer> {
    axum::Json(PersonaAnswer { persona })
}

fn chosen(choice: PersonaChoice) -> axum::Json<PersonaChoiceAnswer> {
    axum::Json(PersonaChoiceAnswer { persona: choice.chosen, speaks_as: choice.speaks_as })
}

/// One's own personas
#[utoipa::path(
    get, path = "/api/users/me/personas", tag = "users",
    responses((status = 200, description = "The oldest first", body = PersonaList)),
)]
async fn personas(State(site): State<Site>, caller: Caller) -> Result<axum::Json<PersonaList>> {
    Ok(axum::Json(PersonaList { items: site.platform.personas(&caller).await? }))
}

/// Makes a persona
///
/// Characters call one by its name and are told its description. One has 50 at a time.
#[utoipa::path(
    post, path = "/api/users/me/personas", tag = "users", request_body = NewPersonaForm,
    responses((status = 201, description = "The persona", body = PersonaAnswer), (status = 409, description = "There are 50 others")),
)]
async fn create_persona(
    State(site): State<Site>,
    caller: Caller,
    Json(form): Json<NewPersonaForm>,
) -> Result<(StatusCode, axum::Json<PersonaAnswer>)> {
    let form = PersonaForm {
        name: Some(form.name),
        description: Some(form.description),
        avatar_url: Some(form.avatar_url.filter(|url| !url.is_empty())),
        is_default: Some(form.is_default),
    };
    Ok((StatusCode::CREATED, answer(site.platform.create_persona(&caller, form).await?)))
}

/// Changes a persona of one's own
#[utoipa::path(
    patch, path = "/api/users/me/personas/{id}", tag = "users", params(("id" = PersonaId, Path)), request_body = PersonaPatch,
    responses((status = 200, description = "The persona as it is now", body = PersonaAnswer)),
)]
async fn change_persona(
    State(site): State<Site>,
    caller: Caller,
    Named(id): Named<PersonaId>,
    Json(form): Json<PersonaPatch>,
) -> Result<axum::Json<PersonaAnswer>> {
    let PersonaPatch { name, description, avatar_url, is_default } = form;
    let form = PersonaForm { name, description, avatar_url, is_default };
    Ok(answer(site.platform.change_persona(&caller, &id, form).await?))
}

/// Removes a persona of one's own
///
/// In the conversations where it was chosen, the default one is played from now on.
#[utoipa::path(
    delete, path = "/api/users/me/personas/{id}", tag = "users", params(("id" = PersonaId, Path)),
    responses((status = 204, description = "Removed")),
)]
async fn delete_persona(State(site): State<Site>, caller: Caller, Named(id): Named<PersonaId>) -> Result<StatusCode> {
    site.platform.delete_persona(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which persona one plays in a conversation
#[utoipa::path(
    get, path = "/api/conversations/{id}/persona", tag = "conversations", params(("id" = ConversationId, Path)),
    responses((status = 200, description = "The choice, and who speaks by it", body = PersonaChoiceAnswer)),
)]
async fn persona_in(
    State(site): State<Site>,
    caller: Caller,
    Named(id): Named<ConversationId>,
) -> Result<axum::Json<PersonaChoiceAnswer>> {
    Ok(chosen(site.platform.persona_in(&caller, &id).await?))
}

/// Chooses the persona that one plays in a conversation
///
/// It holds from the next reply on, for what was said before as well. `personaId: null` is the default one, whichever that is.
#[utoipa::path(
    put, path = "/api/conversations/{id}/persona", tag = "conversations", params(("id" = ConversationId, Path)), request_body = ChoiceForm,
    responses((status = 200, description = "The choice, and who speaks by it", body = PersonaChoiceAnswer)),
)]
async fn choose_persona(
    State(site): State<Site>,
    caller: Caller,
    Named(id): Named<ConversationId>,
    Json(form): Json<ChoiceForm>,
) -> Result<axum::Json<PersonaChoiceAnswer>> {
    Ok(chosen(site.platform.choose_persona(&caller, &id, form.persona_id.as_ref()).await?))
}

/// The personas that members play in a conversation
///
/// Who is not listed speaks as themselves.
#[utoipa::path(
    get, path = "/api/conversations/{id}/personas", tag = "conversations", params(("id" = ConversationId, Path)),
    responses((status = 200, description = "In the order in which they joined", body = PlayedList)),
)]
async fn personas_in(
    State(site): State<Site>,
    caller: Caller,
    Named(id): Named<ConversationId>,
) -> Result<axum::Json<PlayedList>> {
    Ok(axum::Json(PlayedList { items: site.platform.personas_in(&caller, &id).await? }))
}
