//! The bus in this process: events go to the sink on the publisher's thread, so that each arrives before `publish_…`
//! answers.

use super::{Bus, RoomNote, Sink, UserNote, of_a_reply};
use crate::Fault;
use crate::stripes::Stripes;
use aim_domain::message::utf16_len;
use aim_domain::{ConversationId, MessageId, Partial, RoomEvent, UserId};
use async_trait::async_trait;
use metrics::{Counter, counter};
use parking_lot::RwLock;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
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
    pub(super) fn tell_room(&self, conversation: &ConversationId, note: Arc<RoomNote>) {
        if self.hears_room(conversation)
            && let Some(sink) = self.sink()
        {
            sink.room(conversation, note);
        }
    }

    pub(super) fn tell_user(&self, user: &UserId, note: Arc<UserNote>) {
        if self.hears_user(user)
            && let Some(sink) = self.sink()
        {
            sink.user(user, note);
        }
    }

    pub(super) fn sink(&self) -> Option<Arc<dyn Sink>> {
        self.sink.read().clone()
    }

    pub(super) fn hears_room(&self, conversation: &ConversationId) -> bool {
        self.rooms.of(conversation).contains(conversation)
    }

    pub(super) fn hears_user(&self, user: &UserId) -> bool {
        self.users.of(user).contains(user)
    }

    /// Sets whether a room is heard, and does `also` before anybody sets it anew.
    pub(super) fn hear_room<T>(&self, conversation: &ConversationId, hears: bool, also: impl FnOnce() -> T) -> T {
        set(&mut self.rooms.of(conversation), conversation, hears, also)
    }

    pub(super) fn hear_user<T>(&self, user: &UserId, hears: bool, also: impl FnOnce() -> T) -> T {
        set(&mut self.users.of(user), user, hears, also)
    }

    /// Takes an event in to what is kept of its reply.
    pub(super) fn keep(&self, conversation: &ConversationId, event: &RoomEvent) -> Kept {
        match event {
            RoomEvent::ReplyStart { message_id, in_reply_to, .. } => {
                self.start(conversation, message_id.clone(), in_reply_to.clone())
            }
            RoomEvent::ReplyDelta { message_id, offset, text, .. } => self.add(conversation, message_id, *offset, text),
            _ => Kept::Nothing,
        }
    }

    fn start(&self, conversation: &ConversationId, message: MessageId, in_reply_to: MessageId) -> Kept {
        let mut partials = self.partials.of(conversation);
        if partials.len() >= PARTIALS_PER_STRIPE {
            partials.retain(|_, reply| reply.heard.elapsed() < SILENT);
        }
        if partials.len() >= PARTIALS_PER_STRIPE && !partials.contains_key(conversation) {
            return Kept::Nothing;
        }
        let reply = UnderWay { message, in_reply_to, text: String::new(), length: 0, heard: Instant::now() };
        partials.insert(conversation.clone(), reply);
        Kept::Started
    }

    fn add(&self, conversation: &ConversationId, message: &MessageId, offset: u64, text: &str) -> Kept {
        let mut partials = self.partials.of(conversation);
        let Some(reply) = partials.get_mut(conversation).filter(|reply| reply.message == *message) else {
            return Kept::Nothing;
        };
        let fits = offset == reply.length;
        if !fits {
            self.misfits.increment(1);
        }
        if fits && reply.text.len() + text.len() <= PARTIAL_CAP {
            reply.text.push_str(text);
            reply.length += utf16_len(text);
            reply.heard = Instant::now();
            Kept::Added
        } else {
            partials.remove(conversation);
            Kept::Dropped
        }
    }

    pub(super) fn end(&self, conversation: &ConversationId, message: &MessageId) {
        let mut partials = self.partials.of(conversation);
        if partials.get(conversation).is_some_and(|reply| reply.message == *message) {
            partials.remove(conversation);
        }
    }

    pub(super) fn kept(&self, conversation: &ConversationId) -> Option<Partial> {
        self.partials.of(conversation).get(conversation).map(|reply| Partial {
            message_id: reply.message.clone(),
            in_reply_to: reply.in_reply_to.clone(),
            text: reply.text.clone(),
        })
    }

    /// The conversations of which a reply is kept.
    pub(super) fn replying(&self) -> Vec<ConversationId> {
        self.partials.each().flat_map(|partials| partials.keys().cloned().collect::<Vec<_>>()).collect()
    }
}

/// What an event changed of what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    Started,
    Added,
    /// It did not fit, or made it too long.
    Dropped,
    /// It is of no reply that is kept here.
    Nothing,
}

fn set<K: Clone + Eq + Hash, T>(keys: &mut HashSet<K>, key: &K, wanted: bool, also: impl FnOnce() -> T) -> T {
    if wanted {
        keys.insert(key.clone());
    } else {
        keys.remove(key);
    }
    also()
}

#[async_trait]
impl Bus for LocalBus {
    fn listen(&self, sink: Arc<dyn Sink>) {
        *self.sink.write() = Some(sink);
    }

    async fn publish_room(&self, conversation: &ConversationId, note: RoomNote) -> Result<(), Fault> {
        self.events.increment(1);
        self.tell_room(conversation, Arc::new(note));
        Ok(())
    }

    async fn publish_user(&self, user: &UserId, note: UserNote) -> Result<(), Fault> {
        self.events.increment(1);
        self.tell_user(user, Arc::new(note));
        Ok(())
    }

    async fn subscribe_room(&self, conversation: &ConversationId) -> Result<(), Fault> {
        self.hear_room(conversation, true, || Ok(()))
    }

    async fn unsubscribe_room(&self, conversation: &ConversationId) -> Result<(), Fault> {
        self.hear_room(conversation, false, || Ok(()))
    }

    async fn subscribe_user(&self, user: &UserId) -> Result<(), Fault> {
        self.hear_user(user, true, || Ok(()))
    }

    async fn unsubscribe_user(&self, user: &UserId) -> Result<(), Fault> {
        self.hear_user(user, false, || Ok(()))
    }

    async fn publish_reply(&self, conversation: &ConversationId, event: RoomEvent) -> Result<(), Fault> {
        // Kept before it is told: whoever subscribes and then reads the partial misses nothing, and may hear again
        // what the partial holds.
        of_a_reply(&event)?;
        self.keep(conversation, &event);
        self.events.increment(1);
        self.tell_room(conversation, Arc::new(event.into()));
        Ok(())
    }

    async fn end_reply(&self, conversation: &ConversationId, message: &MessageId) -> Result<(), Fault> {
        self.end(conversation, message);
        Ok(())
    }

    async fn partial(&self, conversation: &ConversationId) -> Result<Option<Partial>, Fault> {
        Ok(self.kept(conversation))
    }
}
