//! `/api/conversations/import` and `/api/conversations/{id}/export`: conversations as SillyTavern's chats.

use super::Site;
use super::cards::{attachment, take};
use super::extract::{Asked, Caller, Named, drain};
use super::messages::with_standing;
use super::problem::{Problem, Result};
use super::rates;
use aim_domain::{CharacterId, ConversationId};
use aim_platform::{ImportedChat, LARGEST_CHAT};
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The door gives this route as long as a file takes.
pub(super) const IMPORTING: &str = "/api/conversations/import";

pub(super) fn routes() -> OpenApiRouter<Site> {
    let import = OpenApiRouter::new().routes(routes!(import_chat)).layer(DefaultBodyLimit::disable());
    import.routes(routes!(export_chat))
}

#[derive(ToSchema)]
#[allow(dead_code, reason = "it describes a form")]
struct ChatForm {
    /// A chat of SillyTavern (JSONL). 16 MB and 10,000 messages at most.
    #[schema(value_type = String, format = Binary, content_media_type = "application/jsonl")]
    file: Vec<u8>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
struct ImportQuery {
    /// With whom it was.
    character_id: CharacterId,
}

/// Makes a conversation of a chat of SillyTavern
///
/// It is one's own, and the one of this pair from now on; the one before goes on beside it. Messages keep their dates, as far as they
/// can be read, and replies their swipes as variants. Nothing is answered before something new is said. Counts `upload`, and no
/// usage. All of it is taken in or nothing: a file with a line that cannot be taken is refused, with the line, in `errors` under `file`.
#[utoipa::path(
    post, path = "/api/conversations/import", tag = "conversations", params(ImportQuery),
    request_body(content = ChatForm, content_type = "multipart/form-data"),
    responses(
        (status = 201, description = "The conversation, and how many messages came", body = ImportedChat),
        (status = 403, description = "The character takes no new conversations"),
        (status = 404, description = "There is no such character, or it is somebody else's own"),
    ),
)]
async fn import_chat(
    State(site): State<Site>,
    caller: Caller,
    Asked(query): Asked<ImportQuery>,
    request: Request,
) -> Response {
    debug_assert_eq!(IMPORTING, "/api/conversations/import", "the door knows this route by its path");
    let verdict = match site.platform.admit(&[site.platform.upload_ask(&caller)]).await {
        Ok(verdict) => verdict,
        Err(refusal) => return Problem(refusal).into_response(),
    };
    let response = match rates::refusal(&verdict) {
        Some(refusal) => {
            drain(request.into_body()).await;
            Problem(refusal).into_response()
        }
        None => answer(&site, &caller, &query.character_id, request).await.unwrap_or_else(IntoResponse::into_response),
    };
    with_standing(response, Some(&verdict))
}

async fn answer(site: &Site, caller: &Caller, character: &CharacterId, request: Request) -> Result<Response> {
    let file = take(site, request, LARGEST_CHAT, "the chat").await?;
    let imported = site.platform.import_chat(caller, character, &file).await?;
    Ok((StatusCode::CREATED, axum::Json(imported)).into_response())
}

/// A conversation as a chat of SillyTavern
///
/// For whoever is in it. JSONL: a line of names, then one for each message. A reply has its variants as swipes for those who may choose
/// among them. Pictures and voice messages are told in words.
#[utoipa::path(
    get, path = "/api/conversations/{id}/export", tag = "conversations", params(("id" = ConversationId, Path)),
    responses((status = 200, description = "The file, made while it is sent", content_type = "application/jsonl", body = String)),
)]
async fn export_chat(State(site): State<Site>, caller: Caller, Named(id): Named<ConversationId>) -> Result<Response> {
    let (name, lines) = site.platform.export_chat(&caller, &id).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/jsonl".to_owned()),
        (header::CONTENT_DISPOSITION, attachment(&name)),
        (header::CACHE_CONTROL, "private, no-store".to_owned()),
    ];
    Ok((headers, Body::from_stream(lines)).into_response())
}
