//! `/api/conversations/*` but for the messages and the people: opening, listing, naming and removing conversations.

use super::Site;
use super::extract::{Asked, Caller, Json, Named, page_size};
use super::messages::with_standing;
use super::problem::{Problem, Result};
use aim_domain::{CharacterId, ConversationId, ConversationState, MessageId};
use aim_store::ConversationItem;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new()
        .routes(routes!(list_conversations, open_conversation))
        .routes(routes!(read_conversation, rename_conversation, remove_conversation))
        .routes(routes!(conversation_state))
        .routes(routes!(cancel))
        .routes(routes!(branch_conversation))
        .routes(routes!(restore_conversation))
        .routes(routes!(mark_read))
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OpenForm {
    character_id: CharacterId,
    /// Which greeting it begins with: 0 is the character's first, 1 the first of its `alternateGreetings`.
    #[serde(default)]
    greeting: usize,
    /// Another conversation, which is the one of this pair from now on; the one before goes on beside it.
    #[serde(default)]
    new: bool,
}

#[derive(Deserialize, ToSchema)]
struct RenameForm {
    /// One line.
    #[schema(min_length = 1, max_length = 100)]
    title: String,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// `nextCursor` of the page before.
    cursor: Option<String>,
    /// 50 unless given, 100 at most.
    limit: Option<u32>,
    /// Those that were deleted and can be had back, the last deleted first, instead of those that are there.
    #[serde(default)]
    deleted: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct BranchForm {
    /// The last message that the new conversation begins with.
    message_id: MessageId,
}

#[derive(Deserialize, ToSchema)]
struct ReadForm {
    /// The last message that was read.
    seq: u64,
}

#[derive(Serialize, ToSchema)]
struct ReadAnswer {
    /// How far one has read.
    seq: u64,
    /// Messages of others after it, counted up to 100.
    unread: u64,
}

#[derive(Serialize, ToSchema)]
pub(super) struct ConversationAnswer {
    conversation: ConversationItem,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ConversationList {
    items: Vec<ConversationItem>,
    /// Null at the end.
    next_cursor: Option<String>,
}

pub(super) fn answer(conversation: ConversationItem) -> axum::Json<ConversationAnswer> {
    axum::Json(ConversationAnswer { conversation })
}

/// One's own conversations, the last changed first
#[utoipa::path(
    get, path = "/api/conversations", tag = "conversations", params(ListQuery),
    responses((status = 200, description = "A page", body = ConversationList)),
)]
async fn list_conversations(
    State(site): State<Site>,
    caller: Caller,
    Asked(query): Asked<ListQuery>,
) -> Result<axum::Json<ConversationList>> {
    let (cursor, limit) = (query.cursor.as_deref(), page_size(query.limit));
    let page = match query.deleted {
        true => site.platform.deleted_conversations(&caller, cursor, limit).await?,
        false => site.platform.conversations(&caller, cursor, limit).await?,
    };
    Ok(axum::Json(ConversationList { items: page.items, next_cursor: page.next_cursor }))
}

/// Begins a conversation with a character
///
/// With a greeting of its as message 1, where it has one. The same pair again answers the same conversation, unless
/// a `new` one is asked for; a branch is a further one, and never the answer.
#[utoipa::path(
    post, path = "/api/conversations", tag = "conversations", request_body = OpenForm,
    responses(
        (status = 201, description = "A new conversation", body = ConversationAnswer),
        (status = 200, description = "The conversation that was there", body = ConversationAnswer),
    ),
)]
async fn open_conversation(
    State(site): State<Site>,
    caller: Caller,
    Json(form): Json<OpenForm>,
) -> Result<(StatusCode, axum::Json<ConversationAnswer>)> {
    let (conversation, created) =
        site.platform.open_conversation_with(&caller, &form.character_id, form.greeting, form.new).await?;
    Ok((if created { StatusCode::CREATED } else { StatusCode::OK }, answer(conversation)))
}

/// A conversation
#[utoipa::path(
    get, path = "/api/conversations/{id}", tag = "conversations", params(("id" = ConversationId, Path)),
    responses((status = 200, description = "The conversation", body = ConversationAnswer)),
)]
async fn read_conversation(
    State(site): State<Site>,
    caller: Caller,
    Named(id): Named<ConversationId>,
) -> Result<axum::Json<ConversationAnswer>> {
    Ok(answer(site.platform.conversation(&caller, &id).await?))
}

/// Renames a conversation; its owner may
#[utoipa::path(
    patch, path = "/api/conversations/{id}", tag = "conversations", params(("id" = ConversationId, Path)), request_body = RenameForm,
    responses((status = 200, description = "The conversation as it is now", body = ConversationAnswer)),
)]
async fn rename_conversation(
    State(site): State<Site>,
    caller: Caller,
    Named(id): Named<ConversationId>,
    Json(form): Json<RenameForm>,
) -> Result<axum::Json<ConversationAnswer>> {
    Ok(answer(site.platform.rename_conversation(&caller, &id, &form.title).await?))
}

/// Deletes a conversation with its messages; its owner may
///
/// It is gone at once for all its members, and can be had back for 30 days, unless the server keeps them for another time.
#[utoipa::path(
    delete, path = "/api/conversations/{id}", tag = "conversations", params(("id" = ConversationId, Path)),
    responses((status = 204, description = "Deleted")),
)]
async fn remove_conversation(
    State(site): State<Site>,
    caller: Caller,
    Named(id): Named<ConversationId>,
) -> Result<StatusCode> {
    site.platform.delete_conversation(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether it is being answered, and where it stands in its character's line
#[utoipa::path(
    get, path = "/api/conversations/{id}/state", tag = "conversations", params(("id" = ConversationId, Path)),
    responses((status = 200, description = "The state", body = ConversationState)),
)]
async fn conversation_state(
    State(site): State<Site>,
    caller: Caller,
    Named(id): Named<ConversationId>,
) -> Result<axum::Json<ConversationState>> {
    Ok(axum::Json(site.platform.conversation_state(&caller, &id).await?))
}

/// Stops the reply under way, or cancels what waits
///
/// A reply is stored with what it has said so far; where that is nothing, its message is marked `cancelled`.
#[utoipa::path(
    post, path = "/api/conversations/{id}/cancel", tag = "conversations", params(("id" = ConversationId, Path)),
    responses((status = 202, description = "It is told to stop; the state for now", body = ConversationState)),
)]
async fn cancel(
    State(site): State<Site>,
    caller: Caller,
    Named(id): Named<ConversationId>,
) -> Result<(StatusCode, axum::Json<ConversationState>)> {
    site.platform.cancel(&caller, &id).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(site.platform.conversation_state(&caller, &id).await?)))
}

/// Branches a conversation off
///
/// A new conversation of one's own with the same character, which begins with copies of all messages up to one, 10,000 at the most;
/// of a reply the chosen variant. Nothing is answered in it before something new is said. Counts `ai`: so much is copied.
#[utoipa::path(
    post, path = "/api/conversations/{id}/branch", tag = "conversations", params(("id" = ConversationId, Path)), request_body = BranchForm,
    responses(
        (status = 201, description = "The new conversation", body = ConversationAnswer),
        (status = 403, description = "The character takes no new conversations: it is private now, or was taken out of the lists"),
        (status = 409, description = "It is too long"),
    ),
)]
async fn branch_conversation(
    State(site): State<Site>,
    caller: Caller,
    Named(id): Named<ConversationId>,
    Json(form): Json<BranchForm>,
) -> Response {
    let report = site.platform.branch_conversation(&caller, &id, &form.message_id).await;
    let response = match report.outcome {
        Ok(conversation) => (StatusCode::CREATED, answer(conversation)).into_response(),
        Err(refusal) => Problem(refusal).into_response(),
    };
    with_standing(response, report.verdict.as_ref())
}

/// Has a deleted conversation back; its owner may
///
/// Where the pair has begun another one meanwhile, that stays the one which `POST /api/conversations` answers.
#[utoipa::path(
    post, path = "/api/conversations/{id}/restore", tag = "conversations", params(("id" = ConversationId, Path)),
    responses((status = 200, description = "The conversation with all its messages", body = ConversationAnswer)),
)]
async fn restore_conversation(
    State(site): State<Site>,
    caller: Caller,
    Named(id): Named<ConversationId>,
) -> Result<axum::Json<ConversationAnswer>> {
    Ok(answer(site.platform.restore_conversation(&caller, &id).await?))
}

/// Notes how far one has read
///
/// It only moves forward. One's other sockets hear of it as `conversation:read`.
#[utoipa::path(
    put, path = "/api/conversations/{id}/read", tag = "conversations", params(("id" = ConversationId, Path)), request_body = ReadForm,
    responses((status = 200, description = "How far one has read by now", body = ReadAnswer)),
)]
async fn mark_read(
    State(site): State<Site>,
    caller: Caller,
    Named(id): Named<ConversationId>,
    Json(form): Json<ReadForm>,
) -> Result<axum::Json<ReadAnswer>> {
    let mark = site.platform.mark_read(&caller, &id, form.seq, None).await?;
    Ok(axum::Json(ReadAnswer { seq: mark.seq, unread: mark.unread }))
}
