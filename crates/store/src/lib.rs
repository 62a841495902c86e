//! The truth: commands in, outcomes out.
//!
//! A command is one commit. Its outcome is a value (`Sent::UsageFull`, `Claimed::CharacterBusy`), an error is only what
//! went wrong with the store itself. Whatever a command changes that somebody may have cached also writes a row of
//! `changes` in the same commit; every server tails that feed, see [`Change`].
//!
//! Who asks is part of every read of what is not public: there is no way to get a conversation without a member.
//! Leases and windows are judged by the store's own clock, never by a caller's.

pub mod account;
pub mod attempt;
pub mod change;
pub mod character;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod conversation;
mod cursor;
pub mod error;
pub mod gallery;
pub mod importing;
pub mod mail;
pub mod persona;
pub mod personal;
pub mod postgres;
pub mod reply;
pub mod report;
pub mod revision;
pub mod room;
pub mod roster;
pub mod safety;
pub mod search;
pub mod sqlite;
mod text;
pub mod thread;
pub mod upload;
pub mod words;

pub use account::{AccountChange, CreateUser, Credentials, NewSession, NewUser};
pub use attempt::{Attempts, CountAttempt};
pub use change::Change;
pub use character::{CharacterPage, CharacterQuery, SaveCharacter, Sort};
pub use conversation::{
    CharacterSummary, ConversationHead, ConversationItem, ConversationPage, MessagePage, MessageQuery,
    OpenConversation, SendMessage, Sent,
};
pub use error::StoreError;
pub use gallery::{AddPicture, Galleries, Gallery, NewPicture, PictureChange};
pub use importing::{ImportConversation, ImportedMessage, Importing};
pub use mail::{
    DueMail, MailEnd, MailFailure, MailStanding, Mails, NewMail, NewToken, PasswordReset, Presence, StoredMail,
    TokenOwner,
};
pub use persona::{NewPersona, PersonaChange, PersonaChoice, Personas, SavePersona};
pub use personal::{ChangeEmail, Closed, Draft, OtherVariant, Personal, Preferences, SaveDraft, SavePreferences};
pub use reply::{
    Cancel, Claim, ClaimReply, Claimed, CommitReply, Committed, Due, EndReply, Ended, ModelTokens, NewReply, TokenUse,
};
pub use report::{Activity, Period, Report, Reports, Sample, Stale, Stretch};
pub use revision::{
    DueAgain, EditMessage, Edited, MAX_VARIANTS, Redo, RedoReply, Redoing, ReviseReply, Revised, Revisions, Unfit,
};
pub use room::{AddMember, Admitted, MadeInvite, NewInvite, OpenInvite, Rooms};
pub use roster::{Account, AccountPage, Roster, RosterQuery};
pub use safety::{
    AuditPage, AuditTarget, Audited, Block, Blocked, Case, CasePage, Deed, Filed, NewCase, Party, Safety, Suspended,
    Withdrawn,
};
pub use search::{FoundCharacter, FoundMessage, Search, SearchQuery, TagCount};
pub use thread::{
    BranchConversation, Branched, MAX_BRANCH, MAX_UNREAD, ReadMark, RemoveExchange, Removed, RoomStanding, Threads,
};
pub use upload::{
    ClaimedUpload, DeleteUpload, DueUpload, LeftOver, NewUpload, Part, Resumable, UploadBytes, UploadClaim, UploadEnd,
    Uploads,
};

use aim_domain::{
    Author, Character, CharacterId, Conversation, ConversationId, Incarnation, Member, Message, MessageId, SessionId,
    TokenHash, UsageCount, User, UserId, Username,
};
use async_trait::async_trait;
use std::time::Duration;

pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// What every store does. One conformance suite (`conformance`) runs over all of them.
#[async_trait]
pub trait Store:
    Galleries
    + Mails
    + Personal
    + Personas
    + Reports
    + Revisions
    + Rooms
    + Roster
    + Safety
    + Search
    + Threads
    + Importing
    + Uploads
    + Send
    + Sync
    + 'static
{
    /// One small read, for `/health`.
    async fn ping(&self) -> Result<()>;
    /// Finishes what it was given and lets its resources go; whatever comes later is `Unavailable`.
    async fn close(&self) {}

    // Accounts

    /// Creates an account; its email and its username are both unique without case. Writes `Change::User`.
    async fn create_user(&self, user: NewUser) -> Result<CreateUser>;
    async fn user(&self, id: &UserId) -> Result<Option<User>>;
    async fn user_by_username(&self, username: &Username) -> Result<Option<User>>;
    /// By email or by username, both without case.
    async fn credentials(&self, login: &str) -> Result<Option<Credentials>>;
    /// Changes what is given; `None` when there is no such user. Writes `Change::User`.
    async fn change_user(&self, id: &UserId, change: AccountChange) -> Result<Option<User>>;
    /// Erases the account with everything that is its own. False when there was none. Public characters that others talk
    /// with stay, without an owner; what it said in others' conversations, and what was answered to it,
    /// leaves an empty place under [`personal::ERASED`];
    /// uploads are deleted, see [`Uploads`]. Writes a change for all that may be cached.
    async fn delete_user(&self, id: &UserId) -> Result<bool>;

    // Sessions

    /// The same one again changes nothing.
    async fn create_session(&self, session: NewSession) -> Result<()>;
    /// The session with its user as it is now; none when it is over, revoked or unknown, or its user is shut out.
    async fn member(&self, token: &TokenHash) -> Result<Option<Member>>;
    /// Notes a use: `last_used_at` is now and it lives `ttl` from here.
    async fn touch_session(&self, token: &TokenHash, ttl: Duration) -> Result<()>;
    /// Those that live, newest first.
    async fn sessions(&self, user: &UserId) -> Result<Vec<aim_domain::Session>>;
    /// False when this user has no such session. Writes `Change::Session`.
    async fn revoke_session(&self, user: &UserId, session: &SessionId) -> Result<bool>;
    /// Ends every session of a user, but for `except`; answers how many. Writes a `Change::Session` each.
    async fn revoke_sessions(&self, user: &UserId, except: Option<&SessionId>) -> Result<u64>;

    /// Counts an attempt to sign in, unless it is one too many in its window or comes during a block, which the first one
    /// too many starts.
    async fn count_attempt(&self, attempt: CountAttempt) -> Result<Attempts>;
    /// Forgets a subject's attempts and its block.
    async fn clear_attempts(&self, subject: &str) -> Result<()>;

    // Characters

    /// `SaveCharacter::IdTaken` when another has that id. Writes `Change::Character`.
    async fn create_character(&self, character: Character) -> Result<SaveCharacter>;
    /// As `create_character`, with the card it came from, as JSON, kept for its export.
    async fn import_character(&self, character: Character, card: String) -> Result<SaveCharacter>;
    async fn character(&self, id: &CharacterId) -> Result<Option<Character>>;
    /// The card that a character came from, if it came from one; changes of the character do not change it.
    async fn character_card(&self, id: &CharacterId) -> Result<Option<String>>;
    /// Stores what `character` says if its `revision` is one more than the stored one; `Stale` otherwise. Writes `Change::Character`.
    async fn update_character(&self, character: Character) -> Result<SaveCharacter>;
    /// Removes it from lists and for new conversations; conversations with it stay readable. Writes `Change::Character`.
    async fn delete_character(&self, id: &CharacterId) -> Result<bool>;
    /// Without their details.
    async fn characters(&self, query: CharacterQuery) -> Result<CharacterPage>;

    // Conversations

    /// The main conversation of this pair, made with its greeting as message 1 where there was none.
    async fn open_conversation(&self, open: OpenConversation) -> Result<(ConversationItem, bool)>;
    /// The main conversation of this pair, whatever became of the character; none where there is none.
    async fn conversation_of_pair(&self, owner: &UserId, character: &CharacterId) -> Result<Option<ConversationItem>>;
    /// None when there is none or `member` is not in it.
    async fn conversation(&self, id: &ConversationId, member: &UserId) -> Result<Option<ConversationItem>>;
    /// As `conversation`, without a look at the character.
    async fn conversation_head(&self, id: &ConversationId, member: &UserId) -> Result<Option<ConversationHead>>;
    /// Those of `member`, the last changed first. `cursor` is `next_cursor` of the page before.
    async fn conversations(&self, member: &UserId, cursor: Option<&str>, limit: u32) -> Result<ConversationPage>;
    async fn rename_conversation(&self, id: &ConversationId, owner: &UserId, title: &str) -> Result<bool>;
    /// Only by its owner. It is gone for everyone, and can be had back, see [`Threads`]. What is due is cancelled, a reply under way
    /// is told to stop. Writes `Change::Conversation` and a `Change::Member` each.
    async fn delete_conversation(&self, id: &ConversationId, owner: &UserId) -> Result<bool>;
    /// In order of `seq`, in one read together with the gate: none when `member` is not in it, or there is none.
    async fn messages(
        &self,
        conversation: &ConversationId,
        member: &UserId,
        query: MessageQuery,
    ) -> Result<Option<MessagePage>>;
    /// The caller has loaded the conversation through its member gate.
    async fn message(&self, conversation: &Conversation, id: &MessageId) -> Result<Option<Message>>;

    // Sending and answering: the claim protocol

    /// One commit: the message with the next `seq` and `reply_state = due`, the sender's usage raised, idempotent by
    /// (conversation, sender, `client_id`).
    async fn send_message(&self, send: SendMessage) -> Result<Sent>;
    async fn claim_reply(&self, claim: ClaimReply) -> Result<Claimed>;
    async fn commit_reply(&self, commit: CommitReply) -> Result<Committed>;
    /// Ends a claim without a reply: as failed, as cancelled, or given back as due. What was answered before is done in either
    /// case.
    async fn end_reply(&self, end: EndReply) -> Result<Ended>;
    /// The reply under way is told to stop (`Change::Cancel`), or, when none is, what waits is cancelled.
    async fn cancel(&self, conversation: &Conversation) -> Result<Cancel>;
    /// A failed or cancelled message becomes due again, with one more attempt, which is answered too; none when it is neither.
    async fn retry(&self, conversation: &Conversation, message: &MessageId) -> Result<Option<(Message, u32)>>;
    /// Messages that are due and held by no living server, in the order of their ids (UUIDv7, so oldest first), only those
    /// after `after`: a long backlog is read in pages.
    async fn due_replies(&self, after: Option<&MessageId>, limit: u32) -> Result<Vec<Due>>;
    /// What the model reads before the claimed message: every answered message followed by its reply, the greeting
    /// first, oldest first, the last `limit` of them. A reply that it has itself, and that is being replaced or goes on, is left
    /// out.
    async fn context(&self, claim: &Claim, limit: u32) -> Result<Vec<(Author, Message)>>;
    /// The highest `seq` of a conversation, 0 when it is empty or gone. For servers, which deliver to rooms they have checked.
    async fn last_seq(&self, conversation: &ConversationId) -> Result<u64>;
    /// The same of many, those that are gone left out.
    async fn last_seqs(&self, conversations: &[ConversationId]) -> Result<Vec<(ConversationId, u64)>>;
    /// Messages after `seq` for a room that missed some; as `last_seq`, for servers.
    async fn missed(&self, conversation: &ConversationId, after: u64, limit: u32) -> Result<Vec<Message>>;

    // Usage and tokens

    async fn usage(&self, user: &UserId, character: &CharacterId) -> Result<UsageCount>;
    /// All characters with usage in the last 24 hours.
    async fn usages(&self, user: &UserId) -> Result<Vec<(CharacterId, UsageCount)>>;

    // Servers and the change feed

    /// Makes or renews this process's lease. False when it had one and lost it: it must stop its replies and take a new incarnation.
    /// `serves`: people are let in there; false for a process that only works.
    async fn renew_lease(&self, server: &Incarnation, lease: Duration, serves: bool) -> Result<bool>;
    /// Ends the lease and gives back what it holds.
    async fn end_lease(&self, server: &Incarnation) -> Result<()>;
    /// The number of servers whose lease lives and that let people in.
    async fn live_servers(&self) -> Result<u64>;
    /// Whether this server has the lowest id among those that live: it does what one of them is enough for.
    async fn leads(&self, server: &Incarnation) -> Result<bool>;
    /// The changes after `cursor`, oldest first, each with its own cursor.
    async fn changes(&self, cursor: i64, limit: u32) -> Result<Vec<(i64, Change)>>;
    /// The cursor of the newest change; 0 when there is none.
    async fn last_change(&self) -> Result<i64>;
    /// Returns once the feed may have grown since it returned last; a hint for the one who reads the feed, who looks without
    /// it every now and then. A store that hears of nothing never returns.
    async fn changed(&self) {
        std::future::pending().await
    }
}
