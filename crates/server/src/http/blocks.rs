//! `/api/users/me/blocks`, and `/api/reports`: what people do about each other.

use super::Site;
use super::extract::{Caller, Json, Named};
use super::problem::Result;
use aim_domain::{CaseId, CaseState, ConversationId, Reported, Timestamp, UserId, Wrong};
use aim_platform::ReportForm;
use aim_store::{Block, Case};
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new().routes(routes!(blocks)).routes(routes!(block, unblock)).routes(routes!(report))
}

#[derive(Serialize, ToSchema)]
struct BlockList {
    /// The last blocked first.
    items: Vec<Block>,
}

/// A report as its reporter sees it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OwnReport {
    id: CaseId,
    kind: Reported,
    target_id: String,
    conversation_id: Option<ConversationId>,
    reason: Wrong,
    note: String,
    state: CaseState,
    created_at: Timestamp,
}

#[derive(Serialize, ToSchema)]
struct ReportAnswer {
    report: OwnReport,
}

impl From<Case> for ReportAnswer {
    fn from(case: Case) -> Self {
        Self {
            report: OwnReport {
                id: case.id,
                kind: case.kind,
                target_id: case.target_id,
                conversation_id: case.conversation_id,
                reason: case.reason,
                note: case.note,
                state: case.state,
                created_at: case.created_at,
            },
        }
    }
}

/// Whom one blocked
#[utoipa::path(
    get, path = "/api/users/me/blocks", tag = "users",
    responses((status = 200, description = "All of them, 1,000 at most", body = BlockList)),
)]
async fn blocks(State(site): State<Site>, caller: Caller) -> Result<axum::Json<BlockList>> {
    Ok(axum::Json(BlockList { items: site.platform.blocks(&caller).await? }))
}

/// Blocks somebody
///
/// They cannot bring one into a conversation, and their public characters are in none of one's lists. Pages fold what they say
/// in a conversation that one shares with them. Blocking twice is fine.
#[utoipa::path(
    put, path = "/api/users/me/blocks/{userId}", tag = "users", params(("userId" = UserId, Path)),
    responses((status = 204, description = "Blocked"), (status = 409, description = "1,000 are blocked already"),
        (status = 422, description = "One cannot block oneself")),
)]
async fn block(State(site): State<Site>, caller: Caller, Named(id): Named<UserId>) -> Result<StatusCode> {
    site.platform.block(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Unblocks somebody
#[utoipa::path(
    delete, path = "/api/users/me/blocks/{userId}", tag = "users", params(("userId" = UserId, Path)),
    responses((status = 204, description = "Not blocked any more")),
)]
async fn unblock(State(site): State<Site>, caller: Caller, Named(id): Named<UserId>) -> Result<StatusCode> {
    site.platform.unblock(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Reports what somebody wrote
///
/// A character, a person, a person's message or a character's reply that one sees. Operators see it as it was when it was
/// reported. Twenty a day; the same report again answers the one that is open.
#[utoipa::path(
    post, path = "/api/reports", tag = "users", request_body = ReportForm,
    responses((status = 201, description = "Reported", body = ReportAnswer),
        (status = 200, description = "One's own report of the same thing, which is open still", body = ReportAnswer)),
)]
async fn report(
    State(site): State<Site>,
    caller: Caller,
    Json(form): Json<ReportForm>,
) -> Result<(StatusCode, axum::Json<ReportAnswer>)> {
    let (case, is_new) = site.platform.report(&caller, form).await?;
    Ok((if is_new { StatusCode::CREATED } else { StatusCode::OK }, axum::Json(case.into())))
}
