//! The bus of several servers, over Redis.
//!
//! A server's own events reach its sink at once, in this process, and Redis carries them to the others; what comes back
//! from ourselves is dropped. Those who publish do not wait for Redis (`redis/carrier.rs`), and a fault says that what
//! was published reached this server's sink alone: the other servers are told as soon as Redis answers. What others
//! publish comes through `redis/ear.rs`.
//!
//! The reply under way is kept in this process by the server that gives it, and in Redis for the others.

mod carrier;
mod doubts;
mod ear;
mod frame;

use super::local::{Kept, LocalBus};
use super::{Bus, Origin, RoomNote, Sink, UserNote, of_a_reply};
use crate::Fault;
use crate::keys::{Channel, Names};
use crate::link::{Client, Need, Subscriber};
use aim_domain::{Ambient, ConversationId, MessageId, Partial, RoomEvent, UserId};
use async_trait::async_trait;
use carrier::{Carrier, Keep, Load};
use ear::Ear;
use frame::Instance;
use serde::Serialize;
use std::future::Future;
use std::sync::Arc;

pub struct RedisBus {
    client: Client,
    names: Names,
    instance: Instance,
    local: Arc<LocalBus>,
    subscriber: Subscriber,
    carrier: Carrier,
}

impl RedisBus {
    /// Begins to connect for its subscriptions. Needs a runtime.
    pub fn new(client: Client, ambient: &Ambient) -> Self {
        let (names, instance, local) = (Names::of(&client), Instance::new(ambient), Arc::new(LocalBus::new()));
        let ear = Ear::new(names.clone(), instance.clone(), local.clone());
        let subscriber = Subscriber::open(client.link(), Arc::new(ear));
        let carrier = Carrier::new(client.clone(), names.clone(), instance.clone(), local.clone());
        Self { client, names, instance, local, subscriber, carrier }
    }

    /// Channels that are wanted, and those of them that Redis has confirmed.
    pub fn subscriptions(&self) -> (usize, usize) {
        self.subscriber.counts()
    }

    /// None while Redis is away: then it is not worth its making.
    fn frame<E: Serialize>(&self, origin: Option<&Origin>, event: &E) -> Option<Vec<u8>> {
        if self.carrier.is_open() { self.instance.event(origin, event) } else { None }
    }

    fn want(&self, channel: &Channel) -> impl Future<Output = Result<(), Fault>> + Send + use<> {
        self.subscriber.want(&self.names.channel(channel))
    }

    fn unwant(&self, channel: &Channel) {
        self.subscriber.unwant(&self.names.channel(channel));
    }
}

#[async_trait]
impl Bus for RedisBus {
    fn listen(&self, sink: Arc<dyn Sink>) {
        self.local.listen(sink);
    }

    async fn publish_room(&self, conversation: &ConversationId, note: RoomNote) -> Result<(), Fault> {
        let frame = self.frame(note.origin.as_ref(), &note.event);
        self.local.tell_room(conversation, Arc::new(note));
        self.carrier.carry(|| Load { channel: Channel::Room(conversation.clone()), keep: None, frame, done: None })
    }

    async fn publish_user(&self, user: &UserId, note: UserNote) -> Result<(), Fault> {
        let frame = self.frame(note.origin.as_ref(), &note.event);
        self.local.tell_user(user, Arc::new(note));
        self.carrier.carry(|| Load { channel: Channel::User(user.clone()), keep: None, frame, done: None })
    }

    async fn subscribe_room(&self, conversation: &ConversationId) -> Result<(), Fault> {
        let channel = Channel::Room(conversation.clone());
        self.local.hear_room(conversation, true, || self.want(&channel)).await
    }

    async fn unsubscribe_room(&self, conversation: &ConversationId) -> Result<(), Fault> {
        let channel = Channel::Room(conversation.clone());
        self.local.hear_room(conversation, false, || self.unwant(&channel));
        Ok(())
    }

    async fn subscribe_user(&self, user: &UserId) -> Result<(), Fault> {
        let channel = Channel::User(user.clone());
        self.local.hear_user(user, true, || self.want(&channel)).await
    }

    async fn unsubscribe_user(&self, user: &UserId) -> Result<(), Fault> {
        let channel = Channel::User(user.clone());
        self.local.hear_user(user, false, || self.unwant(&channel));
        Ok(())
    }

    async fn publish_reply(&self, conversation: &ConversationId, event: RoomEvent) -> Result<(), Fault> {
        of_a_reply(&event)?;
        let frame = self.frame(None, &event);
        let carried = self.carrier.carry(|| {
            let keep = match (self.local.keep(conversation, &event), &event) {
                (Kept::Started, RoomEvent::ReplyStart { message_id, in_reply_to, .. }) => {
                    Some(Keep::Start { head: frame::head(message_id, in_reply_to) })
                }
                (Kept::Added, RoomEvent::ReplyDelta { message_id, offset, text, .. }) => {
                    Some(Keep::Delta { delta: frame::delta(message_id, *offset, text) })
                }
                (Kept::Dropped, RoomEvent::ReplyDelta { message_id, .. }) => {
                    Some(Keep::End { message: message_id.clone() })
                }
                _ => None,
            };
            Load { channel: Channel::Room(conversation.clone()), keep, frame, done: None }
        });
        self.local.tell_room(conversation, Arc::new(event.into()));
        carried
    }

    async fn end_reply(&self, conversation: &ConversationId, message: &MessageId) -> Result<(), Fault> {
        let carried = self.carrier.carried(|done| {
            self.local.end(conversation, message);
            let keep = Some(Keep::End { message: message.clone() });
            Load { channel: Channel::Room(conversation.clone()), keep, frame: None, done: Some(done) }
        });
        carried.await
    }

    async fn partial(&self, conversation: &ConversationId) -> Result<Option<Partial>, Fault> {
        let ours = self.local.kept(conversation);
        if ours.is_some() && self.carrier.doubts(&Channel::Room(conversation.clone())) {
            return Ok(ours);
        }
        let mut ask = redis::cmd("LRANGE");
        ask.arg(self.names.reply(conversation)).arg(0).arg(-1);
        let list = match self.client.query::<Vec<String>>(Need::Read, &ask).await {
            Ok(list) => list,
            Err(_) if ours.is_some() => return Ok(ours),
            Err(fault) => return Err(fault),
        };
        Ok(match (ours, frame::reply(&list)) {
            // Ours as well may have been given to another server since.
            (Some(ours), Some(kept)) if kept.message_id != ours.message_id => Some(kept),
            (ours @ Some(_), _) => ours,
            (None, kept) => kept,
        })
    }
}
