//! `/api/characters/*`: making, finding, reading, changing and removing characters.

use super::Site;
use super::extract::{Asked, Caller, CharacterJson, Named, page_size};
use super::problem::Result;
use aim_domain::{Character, CharacterDraft, CharacterId, CharacterPatch};
use aim_store::{CharacterQuery, Sort, TagCount};
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new().routes(routes!(tags)).routes(routes!(list_characters, create_character)).routes(routes!(
        read_character,
        update_character,
        remove_character
    ))
}

#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum SortBy {
    /// The last made first.
    #[default]
    New,
    /// Those with the most conversations first.
    Popular,
    /// Those one talked with, the last first; no others.
    Recent,
    /// By name, without case.
    Name,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Words of a name, a description, its tags or who made it, the last one as far as it is typed; or part of a name, without
    /// case; or the username of its owner. With an `@` before it, it is only that.
    q: Option<String>,
    /// A tag, whole.
    tag: Option<String>,
    /// Only one's own favourites, which stand in one's preferences.
    #[serde(default)]
    favourite: bool,
    #[serde(default)]
    #[param(inline)]
    sort: SortBy,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
    /// 50 unless given, 100 at most.
    limit: Option<u32>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CharacterList {
    items: Vec<Character>,
    /// Null at the end.
    next_cursor: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct TagQuery {
    /// 50 unless given, 100 at most.
    limit: Option<u32>,
}

#[derive(Serialize, ToSchema)]
struct TagList {
    items: Vec<TagCount>,
}

#[derive(Serialize, ToSchema)]
struct CharacterAnswer {
    character: Arc<Character>,
}

fn answer(character: impl Into<Arc<Character>>) -> axum::Json<CharacterAnswer> {
    axum::Json(CharacterAnswer { character: character.into() })
}

/// Public characters and one's own
#[utoipa::path(
    get, path = "/api/characters", tag = "characters", params(ListQuery),
    responses((status = 200, description = "A page", body = CharacterList)),
)]
async fn list_characters(
    State(site): State<Site>,
    caller: Caller,
    Asked(query): Asked<ListQuery>,
) -> Result<axum::Json<CharacterList>> {
    let text = |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let query = CharacterQuery {
        viewer: caller.user_id().clone(),
        text: text(query.q),
        tag: text(query.tag).map(|tag| tag.to_lowercase()),
        among: if query.favourite { Some(site.platform.favourites(&caller).await?) } else { None },
        sort: match query.sort {
            SortBy::New => Sort::New,
            SortBy::Popular => Sort::Popular,
            SortBy::Recent => Sort::Recent,
            SortBy::Name => Sort::Name,
        },
        cursor: query.cursor,
        limit: page_size(query.limit),
    };
    let page = site.platform.characters(&caller, query).await?;
    Ok(axum::Json(CharacterList { items: page.items, next_cursor: page.next_cursor }))
}

/// The most used tags
///
/// Of public characters and one's own, each with how many have it.
#[utoipa::path(
    get, path = "/api/characters/tags", tag = "characters", params(TagQuery),
    responses((status = 200, description = "The most used first", body = TagList)),
)]
async fn tags(State(site): State<Site>, caller: Caller, Asked(query): Asked<TagQuery>) -> Result<axum::Json<TagList>> {
    Ok(axum::Json(TagList { items: site.platform.character_tags(&caller, page_size(query.limit)).await? }))
}

/// Makes a character
#[utoipa::path(
    post, path = "/api/characters", tag = "characters", request_body = CharacterDraft,
    responses((status = 201, description = "The character", body = CharacterAnswer), (status = 409, description = "The id is taken")),
)]
async fn create_character(
    State(site): State<Site>,
    caller: Caller,
    CharacterJson(draft): CharacterJson<CharacterDraft>,
) -> Result<(StatusCode, axum::Json<CharacterAnswer>)> {
    Ok((StatusCode::CREATED, answer(site.platform.create_character(&caller, draft).await?)))
}

/// A character
#[utoipa::path(
    get, path = "/api/characters/{id}", tag = "characters", params(("id" = CharacterId, Path)),
    responses((status = 200, description = "The character", body = CharacterAnswer)),
)]
async fn read_character(
    State(site): State<Site>,
    caller: Caller,
    Named(id): Named<CharacterId>,
) -> Result<axum::Json<CharacterAnswer>> {
    Ok(answer(site.platform.character(&caller, &id).await?))
}

/// Changes a character of one's own
///
/// What is absent stays; `avatarUrl: ""` takes the picture away.
#[utoipa::path(
    patch, path = "/api/characters/{id}", tag = "characters", params(("id" = CharacterId, Path)), request_body = CharacterPatch,
    responses((status = 200, description = "The character as it is now", body = CharacterAnswer), (status = 409, description = "Someone else changed it at the same time")),
)]
async fn update_character(
    State(site): State<Site>,
    caller: Caller,
    Named(id): Named<CharacterId>,
    CharacterJson(patch): CharacterJson<CharacterPatch>,
) -> Result<axum::Json<CharacterAnswer>> {
    Ok(answer(site.platform.update_character(&caller, &id, patch).await?))
}

/// Removes a character of one's own
///
/// Conversations with it stay readable.
#[utoipa::path(
    delete, path = "/api/characters/{id}", tag = "characters", params(("id" = CharacterId, Path)),
    responses((status = 204, description = "Removed")),
)]
async fn remove_character(
    State(site): State<Site>,
    caller: Caller,
    Named(id): Named<CharacterId>,
) -> Result<StatusCode> {
    site.platform.delete_character(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
