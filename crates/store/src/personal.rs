//! What belongs to one person alone: settings, forms on the way, and the end of an account.

use crate::{Change, MessagePage, Result, Withdrawn};
use aim_domain::{
    Character, CharacterId, ConversationId, DraftKey, Personality, Timestamp, Upload, UploadId, User, UserId,
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::Duration;

/// Who said what an erased account said in somebody else's conversation. No id of a user: ids are made, or come from a
/// system that has none like it.
pub const ERASED: &str = "erased-account";
/// What such a message says.
pub const ERASED_TEXT: &str = "(This message went with its account.)";

/// A person's settings, whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preferences {
    pub body: Map<String, Value>,
    /// Raised by every save.
    pub version: i64,
}

#[derive(Clone, Debug, PartialEq)]
pub enum SavePreferences {
    Saved(Preferences),
    /// They were saved in between.
    Stale,
    NoUser,
}

/// How far a form has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Draft {
    pub key: DraftKey,
    pub body: Map<String, Value>,
    pub saved_at: Timestamp,
    pub expires_at: Timestamp,
    /// Raised by every save, also when the draft was deleted in between.
    pub version: i64,
}

#[derive(Clone, Debug, PartialEq)]
pub enum SaveDraft {
    Saved(Draft),
    /// The user has as many others as allowed.
    TooMany,
    NoUser,
}

/// What came of closing an account.
#[derive(Clone, Debug)]
pub struct Closed {
    pub erase_at: Timestamp,
    /// What became stale: the account, the sessions that ended, and replies under way.
    pub changes: Vec<Change>,
    pub withdrawn: Vec<Withdrawn>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ChangeEmail {
    Changed(User),
    Taken,
    NoUser,
}

/// An answer that a reply has besides the chosen one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OtherVariant {
    /// Counted from 0, the chosen one among them.
    pub number: u32,
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub personality: Option<Personality>,
}

#[async_trait]
pub trait Personal: Send + Sync + 'static {
    /// As saved last; none when never.
    async fn preferences(&self, user: &UserId) -> Result<Option<Preferences>>;
    /// Replaces them: those of `version`, where one is named, 0 for none at all. Writes `Change::Preferences`.
    async fn save_preferences(
        &self,
        user: &UserId,
        body: &Map<String, Value>,
        version: Option<i64>,
    ) -> Result<SavePreferences>;

    /// None when there is none, or its time is over.
    async fn draft(&self, user: &UserId, key: &DraftKey) -> Result<Option<Draft>>;
    /// Replaces it; it lives for `lives` from now. A user has `most` at a time. Writes `Change::Draft`.
    async fn save_draft(
        &self,
        user: &UserId,
        key: &DraftKey,
        body: &Map<String, Value>,
        lives: Duration,
        most: u32,
    ) -> Result<SaveDraft>;
    /// False when there was none. Writes `Change::Draft`.
    async fn delete_draft(&self, user: &UserId, key: &DraftKey) -> Result<bool>;

    /// Those that live, by key.
    async fn drafts(&self, user: &UserId) -> Result<Vec<Draft>>;

    /// Characters that the user owns, in the order of their ids, only those after `after`.
    async fn own_characters(&self, user: &UserId, after: Option<&CharacterId>, limit: u32) -> Result<Vec<Character>>;
    /// The user's uploads but for deleted ones, in the order of their ids, only those after `after`.
    async fn own_uploads(&self, user: &UserId, after: Option<&UploadId>, limit: u32) -> Result<Vec<Upload>>;

    /// The first `limit` messages with a `seq` above `after`, for who takes along what is theirs: of a conversation that `user` is
    /// in, and of one of their own that was deleted no longer than `keep` ago. None where it is neither.
    async fn own_messages(
        &self,
        id: &ConversationId,
        user: &UserId,
        keep: Duration,
        after: u64,
        limit: u32,
    ) -> Result<Option<MessagePage>>;
    /// What a reply says besides its chosen answer, in order; of the conversations of `own_messages`. Whoever could not choose it
    /// gets none: it is the business of the owner, and of whom the reply was for.
    async fn other_variants(
        &self,
        id: &ConversationId,
        user: &UserId,
        keep: Duration,
        seq: u64,
    ) -> Result<Vec<OtherVariant>>;

    /// Another address, not confirmed yet. Mails that wait go there, warnings apart; what was sent to the old one is of no use any
    /// more. Writes `Change::User`.
    async fn change_email(&self, user: &UserId, email: &str) -> Result<ChangeEmail>;

    /// Ends all sessions and closes the account, to be erased after `grace`; an account that is closed keeps its day. Messages that
    /// wait for a reply are cancelled, and a reply under way is told to stop. Of mails that wait only warnings stay. None when there
    /// is no such user. Writes `Change::User`, a `Change::Session` each and a `Change::Cancel` each.
    async fn close_account(&self, user: &UserId, grace: Duration) -> Result<Option<Closed>>;
    /// Opens a closed account again; false when there is none, or its time is over. Writes `Change::User`.
    async fn restore_account(&self, user: &UserId) -> Result<bool>;
    /// Accounts whose grace is over, the longest over first.
    async fn accounts_to_erase(&self, limit: u32) -> Result<Vec<UserId>>;
}
