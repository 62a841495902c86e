//! Accounts as operators look them up.

use crate::Result;
use aim_domain::{Role, Suspension, Tier, Timestamp, UserId};
use async_trait::async_trait;
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Clone, Debug, Default)]
pub struct RosterQuery {
    /// The beginning of a username, a whole address or a whole id, without case; all accounts without.
    pub text: Option<String>,
    /// Only those who are suspended now.
    pub suspended: bool,
    /// `next_cursor` of the page before, opaque; one that is not ours counts as none.
    pub cursor: Option<String>,
    pub limit: u32,
}

/// An account as operators see it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    pub id: UserId,
    pub username: String,
    pub display_name: String,
    pub avatar_url: Option<String>,
    pub email: String,
    pub tier: Tier,
    pub role: Role,
    pub created_at: Timestamp,
    /// When it is erased, where its owner asked for that.
    pub erase_at: Option<Timestamp>,
    /// The one that holds now.
    pub suspension: Option<Suspension>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct AccountPage {
    pub items: Vec<Account>,
    /// None at the end.
    pub next_cursor: Option<String>,
}

#[async_trait]
pub trait Roster: Send + Sync + 'static {
    /// Ordered by id, the last first: ids that are made here begin with their time.
    async fn accounts(&self, query: &RosterQuery) -> Result<AccountPage>;
}

/// What is looked for: the first username that may begin so and the last, and the whole of another key.
pub(crate) struct Looked {
    pub from: String,
    pub to: String,
    pub whole: String,
}

impl RosterQuery {
    pub(crate) fn looked(&self) -> Option<Looked> {
        let whole = self.text.as_deref().map(str::trim).filter(|text| !text.is_empty())?.to_owned();
        let from = whole.trim_start_matches('@').to_lowercase();
        Some(Looked { to: format!("{from}\u{10ffff}"), from, whole })
    }
}

pub(crate) const LIST: &str = "accounts";
