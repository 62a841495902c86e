//! Events between servers: one channel a conversation, one a user.
//!
//! A server listens with one [`Sink`] and subscribes to a channel while it has somebody to tell. A publisher's events
//! arrive in the order in which it published them; events of different publishers may cross, so a room orders
//! `message:new` by `seq`. What a reply has said so far is kept for those who join late.
//!
//! In an outage: delivery within this server goes on; rooms that await a reply compare `last_seq` with the store every
//! second. On recovery the sink is told of every channel that may have missed something, whether this server did not
//! hear or another one could not tell. A publisher does not wait for other servers to be told.

pub mod local;
pub mod pair;
pub mod redis;

use crate::Fault;
use aim_domain::{ConversationId, Incarnation, MessageId, Partial, RoomEvent, UserEvent, UserId};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// An event with the socket that caused it, which must not get it back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoomNote {
    #[serde(flatten)]
    pub event: RoomEvent,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// An event with the socket that caused it, which knows of it by its acknowledgement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserNote {
    #[serde(flatten)]
    pub event: UserEvent,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// A socket of one server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    pub server: Incarnation,
    pub socket: String,
}

impl From<UserEvent> for UserNote {
    fn from(event: UserEvent) -> Self {
        Self { event, origin: None }
    }
}

impl From<RoomEvent> for RoomNote {
    fn from(event: RoomEvent) -> Self {
        Self { event, origin: None }
    }
}

/// Where a server's events arrive. Called in order, on the publisher's own thread where both are in one process: it
/// must neither block nor wait.
pub trait Sink: Send + Sync + 'static {
    fn room(&self, conversation: &ConversationId, note: Arc<RoomNote>);
    fn user(&self, user: &UserId, note: Arc<UserNote>);
    /// Events of this conversation may have been lost.
    fn lost(&self, conversation: &ConversationId);
    /// Events of this user may have been lost.
    fn lost_user(&self, user: &UserId);
}

#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Sets this server's sink; the one before it hears nothing more.
    fn listen(&self, sink: Arc<dyn Sink>);

    async fn publish_room(&self, conversation: &ConversationId, note: RoomNote) -> Result<(), Fault>;
    async fn publish_user(&self, user: &UserId, note: UserNote) -> Result<(), Fault>;

    /// After the answer every event published is delivered. Subscribing twice is one subscription.
    async fn subscribe_room(&self, conversation: &ConversationId) -> Result<(), Fault>;
    async fn unsubscribe_room(&self, conversation: &ConversationId) -> Result<(), Fault>;
    async fn subscribe_user(&self, user: &UserId) -> Result<(), Fault>;
    async fn unsubscribe_user(&self, user: &UserId) -> Result<(), Fault>;

    /// Publishes `ReplyStart` or `ReplyDelta` and keeps what they add up to; any other event is refused.
    ///
    /// A delta is always delivered: clients know replies by their id and heal gaps. It is kept only where it fits: one of
    /// another reply changes nothing; one whose offset is not where the kept text ends, or that makes it longer than
    /// 200 kB, drops the kept text, since it is no longer the reply's. A `ReplyStart` replaces what was kept.
    async fn publish_reply(&self, conversation: &ConversationId, event: RoomEvent) -> Result<(), Fault>;
    /// The reply `message` is over: nothing of it is kept when this answers. Another one under way is not touched, so that
    /// whoever lost a claim may say so as well.
    async fn end_reply(&self, conversation: &ConversationId, message: &MessageId) -> Result<(), Fault>;
    /// The reply under way so far. Whoever subscribes first and reads this then misses nothing of a reply, and may be
    /// given deltas again that are in it: those with an offset below its length. A fault: there may be one that is not
    /// known now.
    async fn partial(&self, conversation: &ConversationId) -> Result<Option<Partial>, Fault>;
}

/// Only the events of a reply under way are published as such.
fn of_a_reply(event: &RoomEvent) -> Result<(), Fault> {
    match event {
        RoomEvent::ReplyStart { .. } | RoomEvent::ReplyDelta { .. } => Ok(()),
        other => Err(Fault::new("bus", format!("{} is not of a reply under way", other.name()))),
    }
}

#[cfg(test)]
mod tests;
