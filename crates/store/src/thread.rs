//! What becomes of a conversation besides being talked in: its end is removed, it is branched off, deleted and had back, and read.

use crate::{ConversationItem, ConversationPage, Result, Revised};
use aim_domain::{ConversationId, Message, MessageId, UserId};
use async_trait::async_trait;
use std::time::Duration;

/// Messages that a branch is begun with at the most.
pub const MAX_BRANCH: u64 = 10_000;
/// Unread messages are counted up to this many.
pub const MAX_UNREAD: u64 = 100;

/// Removes the last person's message with all that came after it.
#[derive(Clone, Debug)]
pub struct RemoveExchange {
    pub conversation: ConversationId,
    pub message: MessageId,
    /// Its sender, or the conversation's owner.
    pub by: UserId,
}

/// What was removed.
#[derive(Clone, Debug, PartialEq)]
pub struct Removed {
    /// This one, and all after it.
    pub from_seq: u64,
    /// How often the conversation's end was removed by now.
    pub removals: u64,
    pub messages: Vec<MessageId>,
    /// Earlier messages whose reply went with it: they are cancelled now, and can be asked again.
    pub cancelled: Vec<Message>,
    /// What was said last by now.
    pub last: Option<Message>,
}

#[derive(Clone, Debug)]
pub struct BranchConversation {
    /// Of the new one.
    pub id: ConversationId,
    pub from: ConversationId,
    /// The last one that is copied.
    pub message: MessageId,
    pub by: UserId,
    pub title: String,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Branched {
    Made(Box<ConversationItem>),
    /// There is no such message in a conversation that `by` is in.
    NotFound,
    /// It has more than [`MAX_BRANCH`] messages before it.
    TooLong,
}

/// How far a member has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadMark {
    pub seq: u64,
    /// Messages of others after it, counted up to [`MAX_UNREAD`].
    pub unread: u64,
    /// False when it was there already.
    pub moved: bool,
}

/// Where a conversation stands, for servers that deliver to rooms they have checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoomStanding {
    pub last_seq: u64,
    pub removals: u64,
}

#[async_trait]
pub trait Threads: Send + Sync {
    /// Nothing may be due. Raises the conversation's fence, writes `Change::Conversation`. The caller has let the asker in.
    async fn remove_exchange(&self, remove: RemoveExchange) -> Result<Revised<Removed>>;
    /// A new conversation of `by`'s, not the main one of its pair, with copies of what was said up to a message.
    async fn branch_conversation(&self, branch: BranchConversation) -> Result<Branched>;
    /// Takes a deletion back that is younger than `keep`; none when `owner` has no such conversation. Where the pair has opened
    /// another meanwhile, that stays the main one. Writes `Change::Conversation` and a `Change::Member` each.
    async fn restore_conversation(
        &self,
        id: &ConversationId,
        owner: &UserId,
        keep: Duration,
    ) -> Result<Option<ConversationItem>>;
    /// Those of an owner that were deleted no longer than `keep` ago, the last deleted first.
    async fn deleted_conversations(
        &self,
        owner: &UserId,
        keep: Duration,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<ConversationPage>;
    /// How many were deleted longer than `keep` ago.
    async fn count_purgeable(&self, keep: Duration) -> Result<u64>;
    /// Removes one of them for good, with its messages; false when there is none. One commit each: one may be long.
    async fn purge_conversation(&self, keep: Duration) -> Result<bool>;
    /// Moves a member's mark forward, never back, and no further than what is there. None when `member` is not in it.
    async fn mark_read(&self, id: &ConversationId, member: &UserId, seq: u64) -> Result<Option<ReadMark>>;
    /// For servers: none when it is gone.
    async fn room_standing(&self, id: &ConversationId) -> Result<Option<RoomStanding>>;
    /// For servers, which tell members of what was said: nobody when it is gone.
    async fn member_ids(&self, id: &ConversationId) -> Result<Vec<UserId>>;
}
