//! Keeping people safe from each other: blocks, reports of what somebody wrote, and what operators do about it.
//!
//! A report (a *case* here, since reports of the past are another thing) keeps what was reported as it was, so that a later
//! change hides nothing. It goes with the account whose words it shows; of an erased reporter it forgets name and note. Every
//! deed of an operator is noted in the commit that does it.

use crate::{Change, Result};
use aim_domain::{
    Action, CaseId, CaseState, Character, CharacterId, ConversationId, DeedId, Message, Reported, Suspension,
    Timestamp, UserId, Wrong,
};
use async_trait::async_trait;
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;
use utoipa::ToSchema;

/// The `suspended_until` of a suspension without an end.
pub(crate) const FOREVER: i64 = i64::MAX;
/// Reports of one person that are read.
pub(crate) const OWN_CASES: u32 = 1_000;

pub(crate) fn suspension(until: i64, reason: String) -> Suspension {
    Suspension { until: Some(Timestamp(until)).filter(|_| until != FOREVER), reason }
}

/// Somebody as lists for others and for operators name him.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Party {
    pub id: UserId,
    pub username: String,
    pub display_name: String,
    pub avatar_url: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Block {
    pub user: Party,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// Or was so already.
    Done,
    /// The blocker has as many others as allowed.
    TooMany,
    /// There is no such user.
    NoUser,
}

#[derive(Clone, Debug)]
pub struct NewCase {
    pub id: CaseId,
    pub reporter: UserId,
    pub kind: Reported,
    /// The id of what is reported.
    pub target: String,
    pub conversation: Option<ConversationId>,
    /// Whose words they are.
    pub author: Option<UserId>,
    /// The one that is reported, or whose reply is.
    pub character: Option<CharacterId>,
    pub wrong: Wrong,
    pub note: String,
    /// What is reported, as it is now.
    pub snapshot: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Filed {
    New(Box<Case>),
    /// The same person's report of the same thing, which is open still.
    Known(Box<Case>),
    /// The reporter made as many as allowed; one more may be made after this.
    TooMany(Duration),
}

/// A report as operators see it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Case {
    pub id: CaseId,
    pub kind: Reported,
    pub target_id: String,
    pub conversation_id: Option<ConversationId>,
    /// The character that was reported, or whose reply was.
    pub character_id: Option<CharacterId>,
    pub reason: Wrong,
    pub note: String,
    /// What was reported, as it was then.
    #[schema(value_type = HashMap<String, Value>)]
    pub snapshot: Value,
    pub state: CaseState,
    /// What the operator who closed it said.
    pub resolution: Option<String>,
    pub created_at: Timestamp,
    pub closed_at: Option<Timestamp>,
    /// Null once the account was erased.
    pub reporter: Option<Party>,
    /// Whose words they are; null for what is nobody's.
    pub author: Option<Party>,
    /// That character is out of lists by now.
    pub unlisted: bool,
    /// Its author is suspended by now.
    pub suspended: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct CasePage {
    pub items: Vec<Case>,
    /// None at the end.
    pub next_cursor: Option<String>,
}

/// Who does something as an operator, and why.
#[derive(Clone, Debug)]
pub struct Deed {
    pub id: DeedId,
    /// None: at a terminal.
    pub operator: Option<UserId>,
    pub reason: String,
}

/// A line of the audit.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Audited {
    pub id: DeedId,
    pub at: Timestamp,
    /// Null: at a terminal, or by an account that is erased.
    pub operator: Option<Party>,
    pub action: Action,
    pub target: AuditTarget,
    pub reason: String,
    /// Of a suspension with an end.
    pub until: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AuditTarget {
    /// `character`, `user` or `report`.
    pub kind: String,
    pub id: String,
    /// What a character, or a user, is called now.
    pub name: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct AuditPage {
    pub items: Vec<Audited>,
    pub next_cursor: Option<String>,
}

/// Messages of somebody who was shut out, or left, that nobody answers any more.
#[derive(Clone, Debug, PartialEq)]
pub struct Withdrawn {
    pub conversation: ConversationId,
    pub character: CharacterId,
    /// As they are now: cancelled, or done where they had a reply.
    pub messages: Vec<Message>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Suspended {
    Done {
        /// What became stale: the account, its sessions, its public characters, and replies under way.
        changes: Vec<Change>,
        withdrawn: Vec<Withdrawn>,
    },
    /// Nobody else could undo it.
    LastAdmin,
    NoUser,
}

pub(crate) fn kind_of(action: Action) -> &'static str {
    match action {
        Action::UnlistCharacter | Action::ListCharacter => "character",
        Action::SuspendUser | Action::RestoreUser => "user",
        Action::CloseReport | Action::ReopenReport => "report",
    }
}

/// A page of rows in the order of their ids, read with one more than `limit`.
pub(crate) fn page<T>(
    mut items: Vec<T>,
    limit: u32,
    list: &str,
    id: impl Fn(&T) -> String,
) -> (Vec<T>, Option<String>) {
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next = items.last().filter(|_| more).map(|last| crate::cursor::make(list, &id(last), ""));
    (items, next)
}

#[async_trait]
pub trait Safety: Send + Sync + 'static {
    /// `most` at a time. Blocking twice is fine.
    async fn block(&self, blocker: &UserId, blocked: &UserId, most: u32) -> Result<Blocked>;
    /// Unblocking twice is fine.
    async fn unblock(&self, blocker: &UserId, blocked: &UserId) -> Result<()>;
    /// The last blocked first. Accounts that are closed are among them: they may come back.
    async fn blocks(&self, blocker: &UserId) -> Result<Vec<Block>>;

    /// Whether `user` has a conversation with a character: one that he began, or with `or_guest` any that he is in.
    async fn talks_with(&self, user: &UserId, character: &CharacterId, or_guest: bool) -> Result<bool>;
    /// Takes a character out of lists, or with `unlist` false back into them; none when there is no such character. Writes
    /// `Change::Character` and the deed; a character that is as wanted already gets the new reason.
    async fn set_unlisted(&self, id: &CharacterId, unlist: bool, deed: &Deed) -> Result<Option<Character>>;

    /// Shuts somebody out until then, or until it is undone: ends all sessions, cancels messages that wait for a reply, and
    /// tells a reply under way to stop. Writes `Change::User`, a `Change::Session` each, a `Change::Cancel` each, and the deed.
    async fn suspend(&self, id: &UserId, until: Option<Timestamp>, deed: &Deed) -> Result<Suspended>;
    /// Lets somebody in again; false when there is no such user. Writes `Change::User` and the deed.
    async fn end_suspension(&self, id: &UserId, deed: &Deed) -> Result<bool>;
    /// The suspension that holds now.
    async fn suspension(&self, id: &UserId) -> Result<Option<Suspension>>;

    /// Files a report: `most` of one reporter's in `within`.
    async fn file_case(&self, case: NewCase, most: u32, within: Duration) -> Result<Filed>;
    async fn case(&self, id: &CaseId) -> Result<Option<Case>>;
    /// What somebody reported, the last first, 1,000 at most.
    async fn own_cases(&self, reporter: &UserId) -> Result<Vec<Case>>;
    /// The last made first. `cursor` is `next_cursor` of the page before.
    async fn cases(&self, state: CaseState, cursor: Option<&str>, limit: u32) -> Result<CasePage>;
    /// Closes a report, or opens it again, with the deed's reason as its resolution; none when there is no such report, or
    /// its reporter has another open one of the same thing.
    async fn decide_case(&self, id: &CaseId, state: CaseState, deed: &Deed) -> Result<Option<Case>>;
    /// How many are open.
    async fn open_cases(&self) -> Result<u64>;

    /// What operators did, the last first.
    async fn deeds(&self, cursor: Option<&str>, limit: u32) -> Result<AuditPage>;
}
