//! In which order what a room is told goes out: messages by `seq`, each once, and what belongs to a message after it.

use super::{Delivery, Reply, State, encode, is_in};
use aim_backbone::bus::RoomNote;
use aim_domain::message::utf16_len;
use aim_domain::{ConversationId, Message, MessageId, Partial, ReplyState, RoomEvent};
use engineioxide::socket::Sid;
use std::collections::HashSet;
use std::sync::Arc;
use tokio::sync::mpsc::error::TrySendError;

/// Events that may wait for a gap to be filled; more, and the room is told to join again.
pub(super) const MAX_HELD: usize = 2_000;

impl State {
    pub(super) fn take(&mut self, room: &ConversationId, note: Arc<RoomNote>, delivery: &mut Delivery) {
        if !self.open || (!self.ahead.is_empty() && waits_for_gap(&note.event)) {
            if self.held.len() < MAX_HELD {
                self.held.push_back(note);
            } else if self.open {
                self.held.clear();
                self.resync(room, delivery);
            }
            return;
        }
        let note = self.told_first(note);
        match &note.event {
            RoomEvent::MessageNew { message } => {
                let seq = message.seq;
                if self.removed.contains(&message.id) {
                    return;
                }
                if seq <= self.last_seq {
                    // It was read from the store: the bus may have told of its beginning.
                    self.end_reply(message.in_reply_to.as_ref());
                    return;
                }
                if seq > self.last_seq + 1 {
                    delivery.gap |= self.ahead.is_empty();
                    self.ahead.insert(seq, note);
                    return;
                }
                self.emit_message(&note, message, delivery);
                self.release(room, delivery);
            }
            RoomEvent::MessageRemoved { from_seq, removals, message_ids, .. } => {
                if *removals <= self.removals {
                    return;
                }
                if *removals > self.removals + 1 {
                    // One before it is missing: the store knows where the conversation stands.
                    delivery.fell = true;
                    return;
                }
                self.removals = *removals;
                self.removed = message_ids.iter().cloned().collect();
                self.last_seq = self.last_seq.min(from_seq.saturating_sub(1));
                let removed = &self.removed;
                self.ahead.retain(|_, note| !is_of(&note.event, removed));
                self.held.retain(|note| !is_of(&note.event, removed));
                if self.reply.as_ref().is_some_and(|reply| self.removed.contains(&reply.partial.in_reply_to)) {
                    self.reply = None;
                }
                delivery.fell = true;
                self.emit(&note, delivery);
                self.release(room, delivery);
            }
            event => {
                if self.note(event, room, delivery) {
                    self.emit(&note, delivery);
                }
            }
        }
    }

    /// What became of a message may be told before the message itself, by another request or another server: then it is what the
    /// message is first told as, and the one that comes later says nothing new.
    fn told_first(&self, note: Arc<RoomNote>) -> Arc<RoomNote> {
        match &note.event {
            RoomEvent::MessageUpdated { message }
                if message.seq > self.last_seq && !self.removed.contains(&message.id) =>
            {
                let event = RoomEvent::MessageNew { message: message.clone() };
                Arc::new(RoomNote { event, origin: note.origin.clone() })
            }
            _ => note,
        }
    }

    /// Of what was held, what the store had removed already is neither sent nor known.
    pub(super) fn forget_removed(&mut self, removals: u64) {
        let gone = self.held.iter().filter_map(|note| match &note.event {
            RoomEvent::MessageRemoved { removals: count, message_ids, .. } if *count <= removals => Some(message_ids),
            _ => None,
        });
        let gone: HashSet<MessageId> = gone.flatten().cloned().collect();
        self.held.retain(|note| !is_of(&note.event, &gone));
        self.removed.extend(gone);
    }

    /// Sends what waited for the gap, as far as it is closed.
    pub(super) fn release(&mut self, room: &ConversationId, delivery: &mut Delivery) {
        while let Some(note) = self.ahead.remove(&(self.last_seq + 1)) {
            if let RoomEvent::MessageNew { message } = &note.event {
                self.emit_message(&note, message, delivery);
            }
        }
        if self.ahead.is_empty() {
            for note in std::mem::take(&mut self.held) {
                self.take(room, note, delivery);
            }
        }
    }

    fn emit_message(&mut self, note: &RoomNote, message: &Message, delivery: &mut Delivery) {
        self.last_seq = message.seq;
        self.end_reply(message.in_reply_to.as_ref());
        self.emit(note, delivery);
    }

    /// Follows what an event says of the reply and the turn; false when it must not go out.
    fn note(&mut self, event: &RoomEvent, room: &ConversationId, delivery: &mut Delivery) -> bool {
        match event {
            RoomEvent::ReplyStart { message_id, in_reply_to, .. } => {
                let (message_id, in_reply_to) = (message_id.clone(), in_reply_to.clone());
                let known = self.reply.as_ref().is_some_and(|reply| reply.partial.message_id == message_id);
                if !known {
                    // An answer anew has the id of the reply that it replaces.
                    if self.broken.as_ref() == Some(&message_id) {
                        self.broken = None;
                    }
                    self.reply = Some(Reply::new(Partial { message_id, in_reply_to, text: String::new() }));
                }
                !known
            }
            RoomEvent::ReplyDelta { message_id, offset, text, .. } => match &mut self.reply {
                Some(reply) if reply.partial.message_id == *message_id && reply.offset == *offset => {
                    reply.offset += utf16_len(text);
                    reply.partial.text.push_str(text);
                    true
                }
                // Known from the snapshot already.
                Some(reply) if reply.partial.message_id == *message_id && reply.offset > *offset => false,
                _ => {
                    self.lose(message_id, room, delivery);
                    false
                }
            },
            RoomEvent::ReplyError { in_reply_to, .. } => {
                self.end_reply(Some(in_reply_to));
                true
            }
            RoomEvent::MessageUpdated { message } => {
                if message.reply_state != Some(ReplyState::Due) {
                    self.end_reply(Some(&message.id));
                }
                true
            }
            RoomEvent::State { state, .. } => {
                let changed = self.turn != *state;
                self.turns_heard += 1;
                self.turn = *state;
                changed
            }
            RoomEvent::Updated { conversation } => {
                // A hint: whoever it leaves out hears nothing until the store said whether they are in.
                let left = self.sockets.iter().filter(|(_, socket)| !is_in(socket, Some(conversation)));
                self.muted.extend(left.map(|(sid, _)| *sid));
                delivery.changed = true;
                false
            }
            RoomEvent::MessageNew { .. }
            | RoomEvent::MessageRemoved { .. }
            | RoomEvent::Typing { .. }
            | RoomEvent::Resync { .. } => true,
        }
    }

    fn end_reply(&mut self, asked: Option<&MessageId>) {
        if self.reply.as_ref().is_some_and(|reply| Some(&reply.partial.in_reply_to) == asked) {
            self.reply = None;
        }
    }

    /// A delta of this reply does not continue what is known. All are to join again, once: who does reads the bus.
    fn lose(&mut self, reply: &MessageId, room: &ConversationId, delivery: &mut Delivery) {
        if self.broken.as_ref() == Some(reply) {
            return;
        }
        self.broken = Some(reply.clone());
        self.ask_bus = true;
        if self.reply.as_ref().is_some_and(|known| known.partial.message_id == *reply) {
            self.reply = None;
        }
        self.resync(room, delivery);
    }

    pub(super) fn resync(&mut self, room: &ConversationId, delivery: &mut Delivery) {
        metrics::counter!("aim_resyncs_total").increment(1);
        self.emit(&RoomEvent::Resync { conversation_id: room.clone() }.into(), delivery);
    }

    pub(super) fn emit(&mut self, note: &RoomNote, delivery: &mut Delivery) {
        if self.sockets.is_empty() {
            return;
        }
        let Some(packet) = encode(&note.event) else { return };
        let except = note.origin.as_ref().and_then(|origin| origin.socket.parse::<Sid>().ok());
        for (sid, socket) in &self.sockets {
            let is_held = |held: &HashSet<Sid>| !held.is_empty() && held.contains(sid);
            if except == Some(*sid) || is_held(&self.lagging) || is_held(&self.muted) {
                continue;
            }
            if let Err(TrySendError::Full(_)) = socket.emit(packet.clone()) {
                self.lagging.insert(*sid);
                delivery.lagging.push(socket.clone());
            }
        }
    }
}

/// What makes sense only after the messages before it.
fn waits_for_gap(event: &RoomEvent) -> bool {
    match event {
        RoomEvent::ReplyStart { .. }
        | RoomEvent::ReplyDelta { .. }
        | RoomEvent::ReplyError { .. }
        | RoomEvent::MessageUpdated { .. } => true,
        RoomEvent::MessageNew { .. }
        | RoomEvent::MessageRemoved { .. }
        | RoomEvent::Typing { .. }
        | RoomEvent::Resync { .. }
        | RoomEvent::State { .. }
        | RoomEvent::Updated { .. } => false,
    }
}

/// Whether an event tells of one of these messages as it is, or as it was.
fn is_of(event: &RoomEvent, messages: &HashSet<MessageId>) -> bool {
    match event {
        RoomEvent::MessageNew { message } | RoomEvent::MessageUpdated { message } => messages.contains(&message.id),
        _ => false,
    }
}
