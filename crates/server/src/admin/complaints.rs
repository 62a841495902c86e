//! `/api/admin/complaints`: what people reported, for operators to decide; and `/api/admin/audit`, what operators did.

use crate::http::problem::Result;
use crate::http::{Admin, Asked, Json, Named, Site, page_size};
use aim_domain::{CaseId, CaseState};
use aim_store::{Audited, Case};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ComplaintsQuery {
    /// `open` or `closed`; `open` unless given
    #[serde(default)]
    #[param(inline)]
    state: CaseState,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
    /// 50 unless given, 100 at most.
    limit: Option<u32>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ComplaintList {
    items: Vec<Case>,
    /// Null at the end.
    next_cursor: Option<String>,
    /// How many are open.
    open: u64,
}

#[derive(Deserialize, ToSchema)]
pub(super) struct DecisionForm {
    state: CaseState,
    /// What was decided, for other operators.
    #[serde(default)]
    #[schema(max_length = 2_000)]
    resolution: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct ComplaintAnswer {
    complaint: Case,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditQuery {
    /// `nextCursor` of the page before.
    cursor: Option<String>,
    /// 50 unless given, 100 at most.
    limit: Option<u32>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AuditList {
    items: Vec<Audited>,
    /// Null at the end.
    next_cursor: Option<String>,
}

/// What people reported, the last first
///
/// With what it was when it was reported. `GET /api/admin/reports` is another thing: figures of the past.
#[utoipa::path(
    get, path = "/api/admin/complaints", tag = "admin", params(ComplaintsQuery),
    responses((status = 200, description = "A page", body = ComplaintList)),
)]
pub(super) async fn complaints(
    State(site): State<Site>,
    _: Admin,
    Asked(query): Asked<ComplaintsQuery>,
) -> Result<axum::Json<ComplaintList>> {
    let limit = page_size(query.limit);
    let (page, open) = site.platform.cases(query.state, query.cursor.as_deref(), limit).await?;
    Ok(axum::Json(ComplaintList { items: page.items, next_cursor: page.next_cursor, open }))
}

/// Closes a report, or opens it again
#[utoipa::path(
    patch, path = "/api/admin/complaints/{id}", tag = "admin", params(("id" = CaseId, Path)), request_body = DecisionForm,
    responses((status = 200, description = "The report as it is now", body = ComplaintAnswer),
        (status = 409, description = "Its reporter has another open one of the same thing")),
)]
pub(super) async fn decide(
    State(site): State<Site>,
    Admin(operator): Admin,
    Named(id): Named<CaseId>,
    Json(form): Json<DecisionForm>,
) -> Result<axum::Json<ComplaintAnswer>> {
    let complaint = site.platform.decide_case(&operator, &id, form.state, &form.resolution).await?;
    Ok(axum::Json(ComplaintAnswer { complaint }))
}

/// What operators did, the last first
#[utoipa::path(
    get, path = "/api/admin/audit", tag = "admin", params(AuditQuery),
    responses((status = 200, description = "A page", body = AuditList)),
)]
pub(super) async fn audit(
    State(site): State<Site>,
    _: Admin,
    Asked(query): Asked<AuditQuery>,
) -> Result<axum::Json<AuditList>> {
    let page = site.platform.audit(query.cursor.as_deref(), page_size(query.limit)).await?;
    Ok(axum::Json(AuditList { items: page.items, next_cursor: page.next_cursor }))
}
