//! `/api/conversations/{id}/messages/{messageId}`: changing what was said last.

use super::Site;
use super::extract::{Caller, Json, JsonUpTo, LONGEST_MESSAGE, Named};
use super::messages::{MessageAnswer, with_standing};
use super::problem::{Problem, Result};
use aim_domain::{ConversationId, MessageId};
use aim_platform::RevisionReport;
use aim_store::Redo;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new()
        .routes(routes!(regenerate_reply))
        .routes(routes!(continue_reply))
        .routes(routes!(select_variant))
        .routes(routes!(edit_message, remove_exchange))
}

#[derive(Deserialize, ToSchema)]
struct VariantForm {
    /// Counted from 0.
    selected: u32,
}

#[derive(Deserialize, ToSchema)]
struct EditForm {
    #[schema(min_length = 1, max_length = 8000)]
    text: String,
    /// What it said when it was edited. Where it says something else by now, nothing is changed; where this is left out,
    /// whatever it says is.
    was: Option<String>,
}

fn accepted(report: RevisionReport) -> Response {
    let response = match report.outcome {
        Ok(message) => (StatusCode::ACCEPTED, axum::Json(MessageAnswer { message })).into_response(),
        Err(refusal) => Problem(refusal).into_response(),
    };
    with_standing(response, report.verdict.as_ref())
}

/// Asks for another variant of the last reply
///
/// `messageId` is the reply, or the message that it answers. It waits in line like a message. Its text streams with the
/// `messageId` of the reply; a `message:updated` shows the reply with the new variant selected. Stopped, it is a variant with
/// the text so far, or none. A reply has 20 variants at the most. Counts `ai`, and no usage.
#[utoipa::path(
    post, path = "/api/conversations/{id}/messages/{messageId}/regenerate", tag = "messages",
    params(("id" = ConversationId, Path), ("messageId" = MessageId, Path)),
    responses((status = 202, description = "The message that is answered anew, due again", body = MessageAnswer), (status = 409, description = "It is not the last reply, or something waits for its reply")),
)]
async fn regenerate_reply(
    State(site): State<Site>,
    caller: Caller,
    Named((id, message)): Named<(ConversationId, MessageId)>,
) -> Response {
    accepted(site.platform.redo_reply(&caller, &id, &message, Redo::Variant).await)
}

/// Asks the character to go on with its last reply
///
/// As `regenerate`, but the chosen variant grows: the first of its deltas says again what it said before.
#[utoipa::path(
    post, path = "/api/conversations/{id}/messages/{messageId}/continue", tag = "messages",
    params(("id" = ConversationId, Path), ("messageId" = MessageId, Path)),
    responses((status = 202, description = "The message whose reply goes on, due again", body = MessageAnswer), (status = 409, description = "It is not the last reply, or something waits for its reply")),
)]
async fn continue_reply(
    State(site): State<Site>,
    caller: Caller,
    Named((id, message)): Named<(ConversationId, MessageId)>,
) -> Response {
    accepted(site.platform.redo_reply(&caller, &id, &message, Redo::Continue).await)
}

/// Shows another variant of the last reply
///
/// It is what the character knows of its reply from then on.
#[utoipa::path(
    put, path = "/api/conversations/{id}/messages/{messageId}/variant", tag = "messages",
    params(("id" = ConversationId, Path), ("messageId" = MessageId, Path)), request_body = VariantForm,
    responses((status = 202, description = "The reply as it is now", body = MessageAnswer), (status = 409, description = "It is not the last reply, or something waits for its reply")),
)]
async fn select_variant(
    State(site): State<Site>,
    caller: Caller,
    Named((id, message)): Named<(ConversationId, MessageId)>,
    Json(form): Json<VariantForm>,
) -> Result<(StatusCode, axum::Json<MessageAnswer>)> {
    let message = site.platform.select_variant(&caller, &id, &message, form.selected).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(MessageAnswer { message })))
}

/// Changes the text of what was said last
///
/// Of the last message, a text of one's own: it keeps its id and `seq` and is asked again. Its reply is answered anew as with
/// `regenerate`; the earlier ones stay among its variants, of which the oldest goes where there are 20, unless it is chosen.
/// Counts `messaging` and `ai`, and no usage. Of the last reply, by whoever may have it regenerated: its chosen variant says what
/// is told, and is what the character knows of it from then on. No model is asked, and nothing counts but `api`.
#[utoipa::path(
    patch, path = "/api/conversations/{id}/messages/{messageId}", tag = "messages",
    params(("id" = ConversationId, Path), ("messageId" = MessageId, Path)), request_body = EditForm,
    responses((status = 202, description = "The message as it is now: one's own is due again", body = MessageAnswer), (status = 409, description = "It is not what was said last, or somebody else's message, or not what it `was`, or something waits for its reply")),
)]
async fn edit_message(
    State(site): State<Site>,
    caller: Caller,
    Named((id, message)): Named<(ConversationId, MessageId)>,
    JsonUpTo(form): JsonUpTo<EditForm, { 2 * LONGEST_MESSAGE }>,
) -> Response {
    accepted(site.platform.edit_message(&caller, &id, &message, &form.text, form.was.as_deref()).await)
}

/// Removes the last exchange
///
/// `messageId` is the last message of a person. It goes with all that came after it: `lastSeq` falls, `removals` of the conversation
/// rises, and the room hears `message:removed`. Its sender may, and the owner of the conversation. Gives no usage back.
#[utoipa::path(
    delete, path = "/api/conversations/{id}/messages/{messageId}", tag = "messages",
    params(("id" = ConversationId, Path), ("messageId" = MessageId, Path)),
    responses((status = 204, description = "Removed"), (status = 409, description = "It is not the last message of a person, or something waits for its reply")),
)]
async fn remove_exchange(
    State(site): State<Site>,
    caller: Caller,
    Named((id, message)): Named<(ConversationId, MessageId)>,
) -> Result<StatusCode> {
    site.platform.remove_exchange(&caller, &id, &message).await?;
    Ok(StatusCode::NO_CONTENT)
}
