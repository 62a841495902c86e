//! The bus over Redis that goes on within this server when Redis is away.
//!
//! Delivery to this server's own sink and the replies that it gives need no Redis; what they lack is what other servers
//! say. So a subscription stands here when Redis cannot confirm it, and whoever made it is told as of a loss when it is
//! heard at last.

use super::redis::RedisBus;
use super::{Bus, RoomNote, Sink, UserNote, of_a_reply};
use crate::Fault;
use crate::pair::Fallback;
use aim_domain::{ConversationId, MessageId, Partial, RoomEvent, UserId};
use async_trait::async_trait;
use std::future::ready;
use std::sync::Arc;

pub struct BusPair {
    redis: RedisBus,
    fallback: Fallback,
}

impl BusPair {
    pub fn new(redis: RedisBus) -> Self {
        Self { redis, fallback: Fallback::new("bus") }
    }

    /// This server has it; the others hear of it later.
    async fn here(&self, redis: impl Future<Output = Result<(), Fault>>) -> Result<(), Fault> {
        self.fallback.or(redis, ready(Ok(()))).await
    }
}

#[async_trait]
impl Bus for BusPair {
    fn listen(&self, sink: Arc<dyn Sink>) {
        self.redis.listen(sink);
    }

    async fn publish_room(&self, conversation: &ConversationId, note: RoomNote) -> Result<(), Fault> {
        self.here(self.redis.publish_room(conversation, note)).await
    }

    async fn publish_user(&self, user: &UserId, note: UserNote) -> Result<(), Fault> {
        self.here(self.redis.publish_user(user, note)).await
    }

    async fn subscribe_room(&self, conversation: &ConversationId) -> Result<(), Fault> {
        self.here(self.redis.subscribe_room(conversation)).await
    }

    async fn unsubscribe_room(&self, conversation: &ConversationId) -> Result<(), Fault> {
        self.here(self.redis.unsubscribe_room(conversation)).await
    }

    async fn subscribe_user(&self, user: &UserId) -> Result<(), Fault> {
        self.here(self.redis.subscribe_user(user)).await
    }

    async fn unsubscribe_user(&self, user: &UserId) -> Result<(), Fault> {
        self.here(self.redis.unsubscribe_user(user)).await
    }

    async fn publish_reply(&self, conversation: &ConversationId, event: RoomEvent) -> Result<(), Fault> {
        of_a_reply(&event)?;
        self.here(self.redis.publish_reply(conversation, event)).await
    }

    async fn end_reply(&self, conversation: &ConversationId, message: &MessageId) -> Result<(), Fault> {
        self.here(self.redis.end_reply(conversation, message)).await
    }

    /// Of a reply that another server gives nothing is known while Redis is away, and so nothing is said.
    async fn partial(&self, conversation: &ConversationId) -> Result<Option<Partial>, Fault> {
        self.redis.partial(conversation).await
    }
}
