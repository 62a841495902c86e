//! What comes from other servers on its way to the sink.
//!
//! The connection's task only puts it into a bounded queue, so that no sink can hold up the connection, whatever it does.
//! Where the queue is full events are dropped, and the sink is told so of their channels.

use super::frame::{self, Frame, Instance};
use crate::bus::local::LocalBus;
use crate::bus::{RoomNote, UserNote};
use crate::keys::{Channel, Names};
use crate::link::Hearing;
use metrics::{Counter, counter};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::mpsc;

/// Events that may wait for the sink, and their bytes.
const WAITING: usize = 16_384;
const WAITING_BYTES: usize = 32 << 20;
/// Events that are delivered before others have their turn.
const AT_ONCE: usize = 128;

pub struct Ear {
    instance: Instance,
    queue: mpsc::Sender<Heard>,
    shared: Arc<Shared>,
}

struct Shared {
    names: Names,
    local: Arc<LocalBus>,
    bytes: AtomicUsize,
    /// Channels of which an event found no room.
    overflown: Mutex<HashSet<Arc<str>>>,
    heard: Counter,
    lost: Counter,
}

enum Heard {
    Message(Arc<str>, Vec<u8>),
    Missed(Arc<str>),
}

impl Ear {
    /// Delivers until it is dropped. Needs a runtime.
    pub fn new(names: Names, instance: Instance, local: Arc<LocalBus>) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING);
        let shared = Arc::new(Shared {
            names,
            local,
            bytes: AtomicUsize::new(0),
            overflown: Mutex::default(),
            heard: counter!("aim_bus_heard_total"),
            lost: counter!("aim_bus_losses_total"),
        });
        tokio::spawn(shared.clone().deliver(waiting));
        Self { instance, queue, shared }
    }

    fn put(&self, heard: Heard) {
        if let Err(full) = self.queue.try_send(heard) {
            let (Heard::Message(channel, _) | Heard::Missed(channel)) = full.into_inner();
            self.shared.overflown.lock().insert(channel);
        }
    }
}

impl Hearing for Ear {
    fn message(&self, channel: &Arc<str>, payload: Vec<u8>) {
        if self.instance.sent(&payload) {
            return;
        }
        let length = payload.len();
        if self.shared.bytes.load(Ordering::Relaxed) + length > WAITING_BYTES {
            self.shared.overflown.lock().insert(channel.clone());
            return;
        }
        self.shared.bytes.fetch_add(length, Ordering::Relaxed);
        if let Err(full) = self.queue.try_send(Heard::Message(channel.clone(), payload)) {
            self.shared.bytes.fetch_sub(length, Ordering::Relaxed);
            drop(full);
            self.shared.overflown.lock().insert(channel.clone());
        }
    }

    fn missed(&self, channel: &Arc<str>) {
        self.put(Heard::Missed(channel.clone()));
    }
}

impl Shared {
    async fn deliver(self: Arc<Self>, mut waiting: mpsc::Receiver<Heard>) {
        let mut batch = Vec::with_capacity(AT_ONCE);
        while waiting.recv_many(&mut batch, AT_ONCE).await > 0 {
            for heard in batch.drain(..) {
                match heard {
                    Heard::Message(channel, payload) => {
                        self.bytes.fetch_sub(payload.len(), Ordering::Relaxed);
                        self.tell(&channel, &payload);
                    }
                    Heard::Missed(channel) => self.tell_lost(&channel),
                }
            }
            let overflown = std::mem::take(&mut *self.overflown.lock());
            overflown.iter().for_each(|channel| self.tell_lost(channel));
        }
    }

    fn tell(&self, name: &str, payload: &[u8]) {
        self.heard.increment(1);
        let told = match (self.names.channel_of(name), frame::read(payload)) {
            (Some(Channel::Room(id)), Some(Frame::Event { origin, event })) => serde_json::from_slice(event)
                .map(|event| self.local.tell_room(&id, Arc::new(RoomNote { event, origin }))),
            (Some(Channel::User(id)), Some(Frame::Event { origin, event })) => serde_json::from_slice(event)
                .map(|event| self.local.tell_user(&id, Arc::new(UserNote { event, origin }))),
            _ => return self.tell_lost(name),
        };
        if told.is_err() {
            // Another version of ours may say what this one does not understand.
            self.tell_lost(name);
        }
    }

    fn tell_lost(&self, name: &str) {
        self.lost.increment(1);
        let Some(sink) = self.local.sink() else { return };
        match self.names.channel_of(name) {
            Some(Channel::Room(id)) if self.local.hears_room(&id) => sink.lost(&id),
            Some(Channel::User(id)) if self.local.hears_user(&id) => sink.lost_user(&id),
            _ => {}
        }
    }
}
