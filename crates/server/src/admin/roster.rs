//! `GET /api/admin/users`: accounts, for operators to look up.

use crate::http::problem::Result;
use crate::http::{Admin, Asked, Site, page_size};
use aim_store::{Account, RosterQuery};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct AccountsQuery {
    /// The beginning of a username, a whole address or a whole id, without case; all accounts unless given.
    q: Option<String>,
    /// Only those who are suspended now.
    #[serde(default)]
    suspended: bool,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
    /// 50 unless given, 100 at most.
    limit: Option<u32>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AccountList {
    items: Vec<Account>,
    /// Null at the end.
    next_cursor: Option<String>,
}

/// Accounts, the last made first
#[utoipa::path(
    get, path = "/api/admin/users", tag = "admin", params(AccountsQuery),
    responses((status = 200, description = "A page", body = AccountList)),
)]
pub(super) async fn accounts(
    State(site): State<Site>,
    _: Admin,
    Asked(query): Asked<AccountsQuery>,
) -> Result<axum::Json<AccountList>> {
    let AccountsQuery { q, suspended, cursor, limit } = query;
    let asked = RosterQuery { text: q, suspended, cursor, limit: page_size(limit) };
    let page = site.platform.accounts(asked).await?;
    Ok(axum::Json(AccountList { items: page.items, next_cursor: page.next_cursor }))
}
