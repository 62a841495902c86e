//! Conversations of several people: who is in, and the links by which others come in.
//!
//! A link carries a token, which is stored as its hash. Who comes in by it, and how often it was used, is decided in the
//! commit. Whom the owner took out, a link from before that does not let in again; and none lets in whom the owner blocked, who
//! blocked the owner, or anybody while the owner is suspended.

use crate::{Cancel, Result};
use aim_domain::{
    Conversation, ConversationId, Invite, InviteId, Participant, PersonSummary, Timestamp, TokenHash, UserId,
};
use async_trait::async_trait;
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct NewInvite {
    pub id: InviteId,
    pub conversation: ConversationId,
    /// Who makes it: its conversation's owner, or it is not made.
    pub owner: UserId,
    pub token: TokenHash,
    pub lives: Duration,
    pub max_uses: Option<u64>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum MadeInvite {
    Made(Invite),
    /// There is no such conversation of this owner's.
    NotFound,
    /// As many links are open as may be.
    Full,
}

/// What a link leads to, for who holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenInvite {
    pub conversation: Conversation,
    pub invited_by: PersonSummary,
    pub expires_at: Timestamp,
    /// Whether the one who asks is in already.
    pub is_member: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Admitted {
    Joined(ConversationId),
    /// They were in: nothing was counted.
    Already(ConversationId),
    /// As many people are in as may be.
    Full,
    /// The link is unknown, over, used up, withdrawn, from before the owner took this person out, or of an owner who lets this
    /// person in by none.
    NotFound,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddMember {
    /// Or they were in.
    Added,
    /// No such conversation of this owner's, or no such user.
    NotFound,
    Full,
}

#[async_trait]
pub trait Rooms: Send + Sync {
    /// `user` is not found by an owner whom they blocked. Adding twice is fine. Writes `Change::Conversation` and `Change::Member`.
    async fn add_member(&self, id: &ConversationId, owner: &UserId, user: &UserId) -> Result<AddMember>;
    /// By the owner, or by a member of himself; the owner cannot be removed. Writes `Change::Conversation` and `Change::Member`.
    async fn remove_member(&self, id: &ConversationId, by: &UserId, user: &UserId) -> Result<bool>;
    /// The owner first, then as they came; none when `member` is not one of them. Without those whose accounts are closed.
    async fn members(&self, id: &ConversationId, member: &UserId) -> Result<Option<Vec<Participant>>>;
    /// As `Store::cancel`, of what `sender` said alone: the reply under way is told to stop if it answers them, else what of
    /// theirs waits is cancelled.
    async fn cancel_own(&self, conversation: &Conversation, sender: &UserId) -> Result<Cancel>;
    /// A conversation, whoever asks. For servers, which look at who may stay in a room.
    async fn room(&self, id: &ConversationId) -> Result<Option<Conversation>>;

    async fn create_invite(&self, new: NewInvite) -> Result<MadeInvite>;
    /// Those that let somebody in still, the newest first; none unless `owner` owns the conversation.
    async fn invites(&self, id: &ConversationId, owner: &UserId) -> Result<Option<Vec<Invite>>>;
    /// False when there is no such link of this owner's conversation.
    async fn revoke_invite(&self, id: &ConversationId, owner: &UserId, invite: &InviteId) -> Result<bool>;
    /// What a link leads to; none when it would not let `viewer` in, who is not in either.
    async fn invite(&self, token: &TokenHash, viewer: &UserId) -> Result<Option<OpenInvite>>;
    /// Lets `user` in by a link. Writes `Change::Conversation` and `Change::Member` when they were not in.
    async fn accept_invite(&self, token: &TokenHash, user: &UserId) -> Result<Admitted>;
}
