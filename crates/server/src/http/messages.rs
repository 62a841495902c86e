//! `/api/conversations/{id}/messages`: reading, sending, and asking again for a reply.

use super::Site;
use super::door::SENDING;
use super::extract::{Asked, Caller, MessageJson, Named, page_size};
use super::problem::{Problem, Result};
use super::rates::{self, Counted};
use aim_backbone::limits::Verdict;
use aim_domain::{ConversationId, Kind, Member, Message, MessageId, Phase, UploadId, Usage};
use aim_platform::{Outgoing, Via};
use aim_store::MessageQuery;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Site> {
    debug_assert_eq!(SENDING, "/api/conversations/{id}/messages", "the door knows this route by its path");
    OpenApiRouter::new().routes(routes!(list_messages, send_message)).routes(routes!(retry_message))
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SendForm {
    #[serde(rename = "type", default)]
    kind: Kind,
    /// Needed by a text.
    #[serde(default)]
    #[schema(max_length = 8000)]
    text: Option<String>,
    /// Needed by audio and image.
    #[serde(default)]
    upload_id: Option<UploadId>,
    /// Of one's own choice. The same one again from the same sender in this conversation answers the first message and counts nothing.
    #[schema(min_length = 1, max_length = 64)]
    client_id: String,
}

/// A message that was taken in.
#[derive(Serialize, ToSchema)]
struct SentAnswer {
    message: Message,
    /// `processing` when its reply begins at once, `queued` when it waits.
    state: Phase,
    usage: Usage,
}

#[derive(Serialize, ToSchema)]
pub(super) struct MessageAnswer {
    pub message: Message,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct PageQuery {
    /// Those before this `seq`, the last of them.
    before: Option<u64>,
    /// Those after this `seq`, the first of them.
    after: Option<u64>,
    /// 50 unless given, 100 at most.
    limit: Option<u32>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct MessageList {
    /// In order of `seq`.
    items: Vec<Message>,
    /// Whether there are more in the direction asked for.
    has_more: bool,
}

/// A page of messages in order of `seq`; the newest unless asked
#[utoipa::path(
    get, path = "/api/conversations/{id}/messages", tag = "messages", params(("id" = ConversationId, Path), PageQuery),
    responses((status = 200, description = "A page", body = MessageList)),
)]
async fn list_messages(
    State(site): State<Site>,
    caller: Caller,
    Named(id): Named<ConversationId>,
    Asked(query): Asked<PageQuery>,
) -> Result<axum::Json<MessageList>> {
    let query = MessageQuery { before: query.before, after: query.after, limit: page_size(query.limit) };
    let page = site.platform.messages(&caller, &id, query).await?;
    Ok(axum::Json(MessageList { items: page.items, has_more: page.has_more }))
}

/// Sends a message
///
/// It is answered in its turn; the reply comes over the socket, and stands in the list of messages.
#[utoipa::path(
    post, path = "/api/conversations/{id}/messages", tag = "messages", params(("id" = ConversationId, Path)), request_body = SendForm,
    responses((status = 202, description = "Taken in", body = SentAnswer), (status = 402, description = "The day's allowance with this character is used up")),
)]
async fn send_message(
    State(site): State<Site>,
    caller: Caller,
    id: Result<Named<ConversationId>>,
    form: Result<MessageJson<SendForm>>,
) -> Response {
    let (id, form) = match (id, form) {
        (Ok(Named(id)), Ok(MessageJson(form))) => (id, form),
        (Err(problem), _) | (_, Err(problem)) => return counted_alone(&site, &caller, problem).await,
    };
    let SendForm { kind, text, upload_id, client_id } = form;
    let outgoing = Outgoing { conversation: id, client_id, kind, text, upload_id };
    let api = site.platform.api_ask(Some(&caller), "");
    let report = site.platform.send_message(&caller, outgoing, Via::Rest { api }).await;
    let response = match report.outcome {
        Ok(accepted) => {
            let answer = SentAnswer { message: accepted.message, state: accepted.state, usage: accepted.usage };
            (StatusCode::ACCEPTED, axum::Json(answer)).into_response()
        }
        Err(refusal) => Problem(refusal).into_response(),
    };
    with_standing(response, report.verdict.as_ref())
}

/// A send that does not get as far as the platform is a call all the same.
async fn counted_alone(site: &Site, caller: &Member, problem: Problem) -> Response {
    match site.platform.admit(&[site.platform.api_ask(Some(caller), "")]).await {
        Ok(verdict) => {
            let problem = rates::refusal(&verdict).map_or(problem, Problem);
            with_standing(problem.into_response(), Some(&verdict))
        }
        Err(refusal) => Problem(refusal).into_response(),
    }
}

/// An answer that tells what a handler's own question to the limiter gave.
pub(super) fn with_standing(mut response: Response, verdict: Option<&Verdict>) -> Response {
    if let Some(counted) = verdict.and_then(Counted::of) {
        response.extensions_mut().insert(counted);
    }
    response
}

/// Asks again for a reply that failed or was cancelled
///
/// Counts no usage: the message was counted when it was sent.
#[utoipa::path(
    post, path = "/api/conversations/{id}/messages/{messageId}/retry", tag = "messages",
    params(("id" = ConversationId, Path), ("messageId" = MessageId, Path)),
    responses((status = 202, description = "The message, due again", body = MessageAnswer), (status = 409, description = "It has its reply, or waits for it")),
)]
async fn retry_message(
    State(site): State<Site>,
    caller: Caller,
    Named((id, message)): Named<(ConversationId, MessageId)>,
) -> Result<(StatusCode, axum::Json<MessageAnswer>)> {
    let message = site.platform.retry(&caller, &id, &message).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(MessageAnswer { message })))
}
