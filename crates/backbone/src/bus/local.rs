//! The bus in this process: events go to the sink on the publisher's thread, so that each arrives before `publish_…`
//! answers.

use super::{Bus, RoomNote, Sink, UserNote};
use crate::Fault;
use crate::stripes::Stripes;
use aim_domain::message::utf16_len;
use aim_domain::{ConversationId, MessageId, Partial, RoomEvent, UserId};
use async_trait::async_trait;
use metrics::{Counter, counter};
use parking_lot::RwLock;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Most bytes of a reply under way that are kept; a longer one is heard by those who are there, and by others when
/// it is stored.
pub const PARTIAL_CAP: usize = 200_000;

const STRIPES: usize = 64;
/// Replies under way that one stripe keeps. A reply that nobody ended is forgotten once it was silent for a while.
const PARTIALS_PER_STRIPE: usize = 256;
const SILENT: Duration = Duration::from_secs(600);

pub struct LocalBus {
    sink: RwLock<Option<Arc<dyn Sink>>>,
    rooms: Stripes<HashSet<ConversationId>, STRIPES>,
    users: Stripes<HashSet<UserId>, STRIPES>,
    partials: Stripes<HashMap<ConversationId, UnderWay>, STRIPES>,
    events: Counter,
    misfits: Counter,
}

struct UnderWay {
    message: MessageId,
    in_reply_to: MessageId,
    text: String,
    /// The length of `text` in UTF-16 code units: the offset of the delta that fits.
    length: u64,
    heard: Instant,
}

impl Default for LocalBus {
    fn default() -> Self {
        Self::new()
    }
}

impl LocalBus {
    pub fn new() -> Self {
        Self {
            sink: RwLock::new(None),
            rooms: Stripes::new(),
            users: Stripes::new(),
            partials: Stripes::new(),
            events: counter!("aim_bus_events_total", "backend" => "local"),
            misfits: counter!("aim_bus_misfit_deltas_total", "backend" => "local"),
        }
    }

    /// No lock is held when the sink is called: it may subscribe and publish.
    fn tell_room(&self, conversation: &ConversationId, note: RoomNote) {
        self.events.increment(1);
        if !self.rooms.of(conversation).contains(conversation) {
            return;
        }
        let sink = self.sink.read().clone();
        if let Some(sink) = sink {
            sink.room(conversation, Arc::new(note));
        }
    }

    fn keep(&self, conversation: &ConversationId, event: &RoomEvent) -> Result<(), Fault> {
        match event {
            RoomEvent::ReplyStart { message_id, in_reply_to, .. } => {
                self.start(conversation, message_id.clone(), in_reply_to.clone());
                Ok(())
            }
            RoomEvent::ReplyDelta { message_id, offset, text, .. } => {
                self.add(conversation, message_id, *offset, text);
                Ok(())
            }
            other => Err(Fault::new("bus", format!("{} is not of a reply under way", other.name()))),
        }
    }

    fn start(&self, conversation: &ConversationId, message: MessageId, in_reply_to: MessageId) {
        let mut partials = self.partials.of(conversation);
        if partials.len() >= PARTIALS_PER_STRIPE {
            partials.retain(|_, reply| reply.heard.elapsed() < SILENT);
        }
        if partials.len() < PARTIALS_PER_STRIPE || partials.contains_key(conversation) {
            let reply = UnderWay { message, in_reply_to, text: String::new(), length: 0, heard: Instant::now() };
            partials.insert(conversation.clone(), reply);
        }
    }

    fn add(&self, conversation: &ConversationId, message: &MessageId, offset: u64, text: &str) {
        let mut partials = self.partials.of(conversation);
        let Some(reply) = partials.get_mut(conversation).filter(|reply| reply.message == *message) else { return };
        let fits = offset == reply.length;
        if !fits {
            self.misfits.increment(1);
        }
        if fits && reply.text.len() + text.len() <= PARTIAL_CAP {
            reply.text.push_str(text);
            reply.length += utf16_len(text);
            reply.heard = Instant::now();
        } else {
            partials.remove(conversation);
        }
    }
}

#[async_trait]
impl Bus for LocalBus {
    fn listen(&self, sink: Arc<dyn Sink>) {
        *self.sink.write() = Some(sink);
    }

    async fn publish_room(&self, conversation: &ConversationId, note: RoomNote) -> Result<(), Fault> {
        self.tell_room(conversation, note);
        Ok(())
    }

    async fn publish_user(&self, user: &UserId, note: UserNote) -> Result<(), Fault> {
        self.events.increment(1);
        if self.users.of(user).contains(user) {
            let sink = self.sink.read().clone();
            if let Some(sink) = sink {
                sink.user(user, Arc::new(note));
            }
        }
        Ok(())
    }

    async fn subscribe_room(&self, conversation: &ConversationId) -> Result<(), Fault> {
        self.rooms.of(conversation).insert(conversation.clone());
        Ok(())
    }

    async fn unsubscribe_room(&self, conversation: &ConversationId) -> Result<(), Fault> {
        self.rooms.of(conversation).remove(conversation);
        Ok(())
    }

    async fn subscribe_user(&self, user: &UserId) -> Result<(), Fault> {
        self.users.of(user).insert(user.clone());
        Ok(())
    }

    async fn unsubscribe_user(&self, user: &UserId) -> Result<(), Fault> {
        self.users.of(user).remove(user);
        Ok(())
    }

    async fn publish_reply(&self, conversation: &ConversationId, event: RoomEvent) -> Result<(), Fault> {
        // Kept before it is told: whoever subscribes and then reads the partial misses nothing, and may hear again
        // what the partial holds.
        self.keep(conversation, &event)?;
        self.tell_room(conversation, event.into());
        Ok(())
    }

    async fn end_reply(&self, conversation: &ConversationId) -> Result<(), Fault> {
        self.partials.of(conversation).remove(conversation);
        Ok(())
    }

    async fn partial(&self, conversation: &ConversationId) -> Result<Option<Partial>, Fault> {
        let partials = self.partials.of(conversation);
        Ok(partials.get(conversation).map(|reply| Partial {
            message_id: reply.message.clone(),
            in_reply_to: reply.in_reply_to.clone(),
            text: reply.text.clone(),
        }))
    }
}
