//! Accounts as operators look them up.

use crate::Result;
use crate::safety::suspension;
use aim_domain::{Suspension, Timestamp, User};
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
    #[serde(flatten)]
    pub user: User,
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

impl Account {
    /// `until` and `reason` of the suspension that holds now, as a row has them.
    pub(crate) fn of(user: User, until: Option<i64>, reason: Option<String>) -> Self {
        let suspension = until.map(|until| suspension(until, reason.unwrap_or_default()));
        Self { erase_at: user.erase_at, user, suspension }
    }
}

pub(crate) const LIST: &str = "accounts";
