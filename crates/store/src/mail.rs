//! Mails that are due, and who sends them; the tokens that mails carry; what a person wants no mails of; and whether
//! somebody is there, so that nobody is told by mail of what is on the screen.
//!
//! A mail is never sent twice. It is claimed like a reply, under the holder's lease. While it is `due` under a claim it
//! was certainly not handed over, so a dead holder's claim is free. Before it is handed over it becomes `sending`: a mail that
//! is still that when its holder's lease is over may have arrived, and is ended as failed, with the reason [`IN_DOUBT`].

use crate::{Change, Result};
use aim_domain::{Incarnation, MailId, MailKind, MailState, Notice, Purpose, Timestamp, TokenHash, UserId};
use async_trait::async_trait;
use serde_json::Value;
use std::time::Duration;

/// Why a mail failed whose holder died while it was handed over.
pub const IN_DOUBT: &str = "in doubt";

/// The kinds that are warnings, for SQL; see [`MailKind::is_warning`].
pub(crate) const WARNINGS: &str = "('address-changed', 'password-changed')";

#[derive(Clone, Debug)]
pub struct NewMail {
    pub id: MailId,
    pub user: UserId,
    pub address: String,
    pub kind: MailKind,
    /// What it is for, such as `welcome:{uid}`: there is one mail for an occasion. One that was dropped comes up again when
    /// there is reason anew.
    pub occasion: String,
    /// What it needs to know; no secret, and nobody's message.
    pub data: Value,
    /// It is not sent before this has gone by.
    pub wait: Duration,
}

/// A mail as it is hurried along: by `{id}-{attempt}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueMail {
    pub id: MailId,
    pub kind: MailKind,
    /// 1 for the first.
    pub attempt: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct StoredMail {
    pub id: MailId,
    pub user: UserId,
    pub address: String,
    pub kind: MailKind,
    pub data: Value,
    pub state: MailState,
    pub attempt: u32,
    pub holder: Option<Incarnation>,
    pub not_before: Timestamp,
    pub created_at: Timestamp,
    /// Why it waits, failed or was dropped.
    pub reason: Option<String>,
}

/// A token that a mail carries, by its hash.
#[derive(Clone, Debug)]
pub struct NewToken {
    pub hash: TokenHash,
    pub purpose: Purpose,
    pub lives: Duration,
}

/// Whose a token is that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenOwner {
    pub user: UserId,
    /// Where the mail went that carried it.
    pub address: String,
}

/// How a claimed mail ends.
#[derive(Clone, Debug)]
pub enum MailEnd {
    Sent,
    /// It was not handed over: another attempt, after `wait`.
    Later {
        reason: String,
        wait: Duration,
    },
    Failed {
        reason: String,
    },
    Dropped {
        reason: String,
    },
}

/// What came of a new password: whose it is, and what became stale, the sessions that ended with it.
#[derive(Clone, Debug)]
pub struct PasswordReset {
    pub user: UserId,
    pub changes: Vec<Change>,
}

/// A mail that was not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailFailure {
    pub at: Timestamp,
    /// As in [`StoredMail`].
    pub reason: String,
}

/// How a person stands to mails.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailStanding {
    /// The address is the account's, and was confirmed.
    pub confirmed: bool,
    /// How the last mail with a link that confirms this address failed; none when it did not.
    pub failure: Option<MailFailure>,
    /// Notices that are not wanted.
    pub unwanted: Vec<Notice>,
}

impl MailStanding {
    pub fn wants(&self, notice: Notice) -> bool {
        !self.unwanted.contains(&notice)
    }
}

/// When somebody was there last, and whether that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presence {
    pub seen_at: Timestamp,
    /// By a socket that is open, somewhere.
    pub is_here: bool,
}

#[async_trait]
pub trait Mails: Send + Sync + 'static {
    /// None when there is a mail for this occasion already, or no such user.
    async fn queue_mail(&self, mail: NewMail) -> Result<Option<DueMail>>;
    async fn mail(&self, id: &MailId) -> Result<Option<StoredMail>>;
    /// Due mails whose time has come and that no living server holds, in the order of their ids, only those after `after`.
    async fn due_mails(&self, after: Option<&MailId>, limit: u32) -> Result<Vec<DueMail>>;
    /// The mail, if it is due, of this attempt, its time has come and nobody who lives holds it.
    async fn claim_mail(&self, id: &MailId, attempt: u32, holder: &Incarnation) -> Result<Option<StoredMail>>;
    /// Notes that a claimed mail is about to be handed over with these tokens. False when the claim is lost: it must not be.
    async fn begin_sending(&self, id: &MailId, holder: &Incarnation, tokens: Vec<NewToken>) -> Result<bool>;
    /// False when the claim is lost. What was sent is noted though somebody took it for doubtful meanwhile.
    async fn end_mail(&self, id: &MailId, holder: &Incarnation, end: MailEnd) -> Result<bool>;
    /// Ends what dead servers were handing over as failed, in doubt; answers how many.
    async fn doubt_mails(&self) -> Result<u64>;

    /// Whose a token is, if it can be used for this.
    async fn token(&self, purpose: Purpose, token: &TokenHash) -> Result<Option<TokenOwner>>;
    /// Uses a token to confirm the address that its mail went to; none when it cannot be used, or the account has another
    /// address by now.
    async fn confirm_address(&self, token: &TokenHash) -> Result<Option<UserId>>;
    /// Uses a token to set a password, which ends all sessions, confirms the address, and makes every other such token
    /// of the account useless. Writes `Change::User` and a `Change::Session` each.
    async fn use_reset(&self, token: &TokenHash, password_hash: &str) -> Result<Option<PasswordReset>>;

    async fn mail_standing(&self, user: &UserId) -> Result<MailStanding>;
    /// Whether this notice is wanted from here on; false when there is no such user.
    async fn want_notice(&self, user: &UserId, notice: Notice, wanted: bool) -> Result<bool>;

    /// Notes who was there just now; those with `true` are for `open` from here on, unless they are noted anew.
    async fn note_presence(&self, seen: Vec<(UserId, bool)>, open: Duration) -> Result<()>;
    async fn presence(&self, user: &UserId) -> Result<Option<Presence>>;
}
