//! All rooms with a member on this server: opened by the first who joins, closed when the last one leaves.

use super::client::Socket;
use super::room::{Delivery, Room};
use aim_backbone::Fault;
use aim_backbone::bus::RoomNote;
use aim_domain::{CharacterId, ConversationId, Message, Partial, Refusal, ReplyState, RoomEvent};
use aim_platform::Platform;
use aim_store::RoomStanding;
use engineioxide::socket::Sid;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;

/// How long a gap may stay open before the store is asked.
const GAP_PATIENCE: Duration = Duration::from_millis(100);
/// Messages read at once to fill a gap; more are missing only after a long outage, when joining again is quicker.
const FILL: u32 = 200;
/// The newest messages, among which one that is being answered is looked for: more than may wait in a conversation.
const LOOKED_AT: u32 = 200;
/// Rooms of which the store is asked in one call.
const COMPARED_AT_ONCE: usize = 500;

/// Notes a socket that cannot keep up, and the room that it has to join again.
pub type NoteLagging = Box<dyn Fn(Socket, &ConversationId) + Send + Sync>;
/// Notes a room whose people may be others by now.
pub type NoteChanged = Box<dyn Fn(&ConversationId) + Send + Sync>;

pub struct Rooms {
    platform: Platform,
    rooms: Mutex<HashMap<ConversationId, Arc<Room>>>,
    lagging: NoteLagging,
    changed: NoteChanged,
}

impl Rooms {
    pub fn new(platform: Platform, lagging: NoteLagging, changed: NoteChanged) -> Self {
        Self { platform, rooms: Mutex::default(), lagging, changed }
    }

    pub fn get(&self, id: &ConversationId) -> Option<Arc<Room>> {
        self.rooms.lock().get(id).cloned()
    }

    pub fn all(&self) -> Vec<Arc<Room>> {
        self.rooms.lock().values().cloned().collect()
    }

    /// Sockets in rooms of conversations with a character.
    pub fn sockets_with(&self, character: &CharacterId) -> Vec<Socket> {
        let rooms = self.all().into_iter().filter(|room| room.character == *character);
        rooms.flat_map(|room| room.sockets()).collect()
    }

    /// The room, open: it hears the bus and knows the last `seq` and the reply under way. It stays open while the guard is held.
    pub async fn open(
        self: &Arc<Self>,
        id: &ConversationId,
        character: &CharacterId,
    ) -> Result<(Arc<Room>, OwnedMutexGuard<bool>), Refusal> {
        let new = || Arc::new(Room::new(id.clone(), character.clone()));
        loop {
            let room = self.rooms.lock().entry(id.clone()).or_insert_with(new).clone();
            let mut open = room.opening.clone().lock_owned().await;
            // It may have closed while we waited.
            if !self.get(id).is_some_and(|current| Arc::ptr_eq(&current, &room)) {
                continue;
            }
            if !*open {
                if let Err(refusal) = self.begin(&room).await {
                    *open = true;
                    self.close(&room, &mut open).await;
                    return Err(refusal);
                }
                *open = true;
            }
            return Ok((room, open));
        }
    }

    async fn begin(self: &Arc<Self>, room: &Arc<Room>) -> Result<(), Refusal> {
        let fault = |fault| {
            tracing::error!(%fault, "a room could not be opened");
            Refusal::unavailable("The conversation cannot be opened right now. Try again in a moment.")
        };
        let bus = &self.platform.backbone.bus;
        bus.subscribe_room(&room.id).await.map_err(fault)?;
        // In this order: what is committed or said after each read still comes by the bus.
        let turn = self.platform.room_state(&room.character, &room.id).await?;
        // What is kept of a reply is dropped before the reply is stored, so that `seq` never counts a reply that is read
        // as under way.
        let at = self.platform.room_standing(&room.id).await?.unwrap_or_default();
        let partial = self.under_way(&room.id, at.last_seq).await;
        let is_known = partial.is_ok();
        let delivery = room.open(at, partial.unwrap_or_default(), is_known, turn);
        self.settle(room, delivery);
        Ok(())
    }

    pub fn deliver(self: &Arc<Self>, id: &ConversationId, note: Arc<RoomNote>) {
        if let Some(room) = self.get(id) {
            let delivery = room.deliver(note);
            self.settle(&room, delivery);
        }
    }

    /// Lets a socket go; the room closes behind the last one.
    pub async fn leave(&self, id: &ConversationId, sid: Sid) {
        let Some(room) = self.get(id) else { return };
        if !room.leave(sid) {
            return;
        }
        let mut open = room.opening.lock().await;
        if room.is_empty() {
            self.close(&room, &mut open).await;
        }
    }

    /// Lets the bus go first: who opens the room anew finds this one until it is gone, and waits for the guard.
    async fn close(&self, room: &Arc<Room>, open: &mut bool) {
        if std::mem::take(open)
            && let Err(fault) = self.platform.backbone.bus.unsubscribe_room(&room.id).await
        {
            tracing::warn!(%fault, "a room's channel stays open");
        }
        let mut rooms = self.rooms.lock();
        if rooms.get(&room.id).is_some_and(|current| Arc::ptr_eq(current, room)) {
            rooms.remove(&room.id);
        }
    }

    /// The reply under way as the bus keeps it. A bus that was told to forget a reply may remember it after an outage:
    /// where the message is settled, the store knows better.
    async fn under_way(&self, id: &ConversationId, last_seq: u64) -> Result<Option<Partial>, Fault> {
        let Some(partial) = self.platform.backbone.bus.partial(id).await? else { return Ok(None) };
        let from = last_seq.saturating_sub(u64::from(LOOKED_AT));
        let settled = match self.platform.missed(id, from, LOOKED_AT).await {
            Ok(messages) => messages.iter().any(|message| {
                message.id == partial.in_reply_to && message.reply_state.is_some_and(|state| state != ReplyState::Due)
            }),
            Err(_) => false,
        };
        Ok((!settled).then_some(partial))
    }

    /// What the bus knows of the reply under way, where the room lost its thread. Call it with the room's guard.
    pub async fn mend(&self, room: &Room) {
        if room.asks_bus() {
            match self.under_way(&room.id, room.last_seq()).await {
                Ok(partial) => room.mend(partial),
                Err(fault) => tracing::warn!(%fault, "a reply under way could not be read"),
            }
        }
    }

    /// Compares the turn of a room that awaits something with the lines.
    pub async fn check_turn(&self, room: &Room) {
        let heard = room.turns_heard();
        if let Ok(turn) = self.platform.room_state(&room.character, &room.id).await {
            let delivery = room.correct_turn(heard, turn);
            self.lag(room, delivery);
        }
    }

    /// Compares rooms that await nothing with the store, many at a time, and tells those that missed something.
    pub async fn look_for_news(self: &Arc<Self>, rooms: &[Arc<Room>]) {
        for some in rooms.chunks(COMPARED_AT_ONCE) {
            let ids: Vec<_> = some.iter().map(|room| room.id.clone()).collect();
            let stored: HashMap<_, _> = match self.platform.last_seqs(&ids).await {
                Ok(stored) => stored.into_iter().collect(),
                Err(refusal) => {
                    tracing::warn!(%refusal, "rooms could not be compared with the store");
                    return;
                }
            };
            for room in some {
                if stored.get(&room.id).is_some_and(|last| *last > room.last_seq()) {
                    self.catch_up(room).await;
                    self.check_turn(room).await;
                }
            }
        }
    }

    /// Compares a room with the store, and tells it what it missed.
    pub async fn catch_up(self: &Arc<Self>, room: &Arc<Room>) {
        let from = room.last_seq();
        match self.platform.missed(&room.id, from, FILL).await {
            Ok(messages) if messages.len() < FILL as usize => {
                if !messages.is_empty() {
                    let answered = self.answered_before(&room.id, from, &messages).await;
                    let delivery = room.fill(messages);
                    self.lag(room, delivery);
                    for message in answered {
                        self.deliver(&room.id, Arc::new(RoomEvent::MessageUpdated { message }.into()));
                    }
                }
            }
            Ok(messages) => {
                let last = messages.last().map_or(from, |message| message.seq);
                let newest = self.platform.last_seq(&room.id).await.unwrap_or(last);
                let delivery = room.give_up(newest);
                self.lag(room, delivery);
            }
            Err(refusal) => tracing::warn!(%refusal, "a room could not be compared with the store"),
        }
    }

    /// Messages up to `from` that these answer: their state is another than the room heard of last.
    async fn answered_before(&self, id: &ConversationId, from: u64, replies: &[Message]) -> Vec<Message> {
        let mut asked: HashSet<_> = replies.iter().filter_map(|reply| reply.in_reply_to.as_ref()).collect();
        asked.retain(|id| replies.iter().all(|message| message.id != **id));
        if asked.is_empty() {
            return Vec::new();
        }
        let before = from.saturating_sub(u64::from(LOOKED_AT));
        let said = self.platform.missed(id, before, LOOKED_AT).await.unwrap_or_default();
        said.into_iter().filter(|message| message.seq <= from && asked.contains(&message.id)).collect()
    }

    /// After events of a room may have been lost: the store tells of messages, the lines of the turn. Where a reply is
    /// awaited, more than that may be missing, and who joins again is told all of it. False when the bus does not know
    /// yet what they would be told.
    pub async fn make_good(self: &Arc<Self>, room: &Arc<Room>) -> bool {
        let open = room.opening.lock().await;
        if !*open {
            return true;
        }
        let awaited = room.awaits_reply();
        self.compare(room).await;
        self.catch_up(room).await;
        self.check_turn(room).await;
        if room.had_read_due() || awaited || room.awaits_reply() {
            if self.platform.backbone.bus.partial(&room.id).await.is_err() {
                return false;
            }
            let delivery = room.lose_track();
            self.lag(room, delivery);
        }
        true
    }

    /// Looks in the store whether the end of the conversation was removed and this room did not hear of it.
    pub async fn compare(&self, room: &Room) {
        if let Some(at) = self.standing(room).await {
            let delivery = room.correct(at);
            self.lag(room, delivery);
        }
    }

    /// As `compare`, once the bus had time to tell of what is to be seen: there may be another removal of just now.
    pub fn compare_soon(self: &Arc<Self>, id: &ConversationId) {
        if let Some(room) = self.get(id) {
            let rooms = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(GAP_PATIENCE).await;
                let Some(seen) = rooms.standing(&room).await.filter(|at| room.lacks_removal(at)) else { return };
                tokio::time::sleep(GAP_PATIENCE).await;
                if room.lacks_removal(&seen) {
                    rooms.compare(&room).await;
                }
            });
        }
    }

    /// None where it is gone, and whoever is here is let go, and where the store does not answer.
    async fn standing(&self, room: &Room) -> Option<RoomStanding> {
        match self.platform.room_standing(&room.id).await {
            Ok(at) => at,
            Err(refusal) => {
                tracing::warn!(%refusal, "a room could not be compared with the store");
                None
            }
        }
    }

    /// Tells who is in a room to join it again.
    pub fn look_anew(&self, id: &ConversationId) {
        if let Some(room) = self.get(id) {
            let delivery = room.lose_track();
            self.lag(&room, delivery);
        }
    }

    fn settle(self: &Arc<Self>, room: &Arc<Room>, delivery: Delivery) {
        if delivery.gap || delivery.fell {
            let (rooms, room, fell) = (self.clone(), room.clone(), delivery.fell);
            tokio::spawn(async move {
                tokio::time::sleep(GAP_PATIENCE).await;
                if fell {
                    rooms.compare(&room).await;
                }
                if fell || room.has_gap() {
                    rooms.catch_up(&room).await;
                }
            });
        }
        self.lag(room, delivery);
    }

    pub fn lag(&self, room: &Room, delivery: Delivery) {
        if delivery.changed {
            self.platform.forget_audience(&room.id);
            (self.changed)(&room.id);
        }
        for socket in delivery.lagging {
            (self.lagging)(socket, &room.id);
        }
    }
}
