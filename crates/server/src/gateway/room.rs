//! One conversation's sockets on this server, and the order in which they are told.
//!
//! `message:new` goes out by `seq`, each once. A message that comes too early waits until the gap is filled, from the bus
//! or from the store, and whatever came after it waits with it. What was removed at the end makes `last_seq` fall; the number
//! of removals tells which of two events came later. The room knows the reply under way so far, so that
//! somebody who joins gets exactly what the deltas to come continue.

mod order;

use super::client::Socket;
use super::packet;
use aim_backbone::bus::RoomNote;
use aim_domain::message::utf16_len;
use aim_domain::{
    CharacterId, Conversation, ConversationId, ConversationState, Message, MessageId, Partial, ReplyState, RoomEvent,
};
use aim_store::RoomStanding;
use engineioxide::Str;
use engineioxide::socket::Sid;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

pub struct Room {
    pub id: ConversationId,
    pub character: CharacterId,
    state: Mutex<State>,
    /// Whether it hears the bus; held while it opens, closes, and while somebody joins.
    pub opening: Arc<tokio::sync::Mutex<bool>>,
}

struct State {
    open: bool,
    /// The last `seq` that went out.
    last_seq: u64,
    /// How often the conversation's end was removed, as far as was heard.
    removals: u64,
    /// What was removed last: it may still be on its way from another server.
    removed: HashSet<MessageId>,
    /// Messages beyond a gap.
    ahead: BTreeMap<u64, Arc<RoomNote>>,
    /// What came while a gap was open, or before the room was.
    held: VecDeque<Arc<RoomNote>>,
    reply: Option<Reply>,
    /// The reply whose deltas do not continue what is known: none of them goes out, its message says it all.
    broken: Option<MessageId>,
    /// What is known of the reply under way may be wrong: the bus knows better.
    ask_bus: bool,
    turn: ConversationState,
    /// How often `turn` was heard of.
    turns_heard: u64,
    sockets: HashMap<Sid, Socket>,
    /// Those that missed something for want of room: they hear nothing more until they join again.
    lagging: HashSet<Sid>,
    /// Those of people who are said to have left: they hear nothing until the store was asked.
    muted: HashSet<Sid>,
    /// The conversation as who is here knows it.
    known: Option<Conversation>,
    /// A message was read from the store that waits for its reply: what comes of it need have no `seq`.
    read_due: bool,
}

struct Reply {
    partial: Partial,
    /// UTF-16 code units of its text.
    offset: u64,
}

impl Reply {
    fn new(partial: Partial) -> Self {
        Self { offset: utf16_len(&partial.text), partial }
    }
}

/// What somebody who joins is told.
#[derive(Debug, PartialEq)]
pub struct Snapshot {
    pub last_seq: u64,
    pub removals: u64,
    pub partial: Option<Partial>,
    pub turn: ConversationState,
}

/// What is left to do after an event was taken in.
#[derive(Default)]
pub struct Delivery {
    /// Sockets whose buffer was full.
    pub lagging: Vec<Socket>,
    /// A message is missing before one that has come, and nobody was sent to look for it yet.
    pub gap: bool,
    /// Its name or its people may be others by now.
    pub changed: bool,
    /// What was said after a removal may have come before it, and was taken for known: the store knows.
    pub fell: bool,
}

impl Room {
    pub fn new(id: ConversationId, character: CharacterId) -> Self {
        let state = State {
            open: false,
            last_seq: 0,
            removals: 0,
            removed: HashSet::new(),
            ahead: BTreeMap::new(),
            held: VecDeque::new(),
            reply: None,
            broken: None,
            ask_bus: false,
            turn: ConversationState::default(),
            turns_heard: 0,
            sockets: HashMap::new(),
            lagging: HashSet::new(),
            muted: HashSet::new(),
            known: None,
            read_due: false,
        };
        Self { id, character, state: Mutex::new(state), opening: Arc::default() }
    }

    /// Begins with what is known from the store and the bus, then takes in what came meanwhile. The bus may not know the
    /// reply under way, and is asked again then.
    pub fn open(
        &self,
        at: RoomStanding,
        partial: Option<Partial>,
        is_known: bool,
        turn: ConversationState,
    ) -> Delivery {
        let mut delivery = Delivery::default();
        let mut state = self.state.lock();
        state.ask_bus = !is_known;
        (state.last_seq, state.removals) = (at.last_seq, at.removals);
        (state.reply, state.turn, state.open) = (partial.map(Reply::new), turn, true);
        state.forget_removed(at.removals);
        state.release(&self.id, &mut delivery);
        delivery
    }

    pub fn deliver(&self, note: Arc<RoomNote>) -> Delivery {
        let mut delivery = Delivery::default();
        self.state.lock().take(&self.id, note, &mut delivery);
        delivery
    }

    /// Takes in messages that were read from the store.
    pub fn fill(&self, messages: Vec<Message>) -> Delivery {
        let mut delivery = Delivery::default();
        let mut state = self.state.lock();
        for message in messages {
            state.read_due |= message.reply_state == Some(ReplyState::Due);
            state.take(&self.id, Arc::new(RoomEvent::MessageNew { message }.into()), &mut delivery);
        }
        delivery
    }

    /// Gives up on a gap: everyone is to join again, and the room goes on behind it.
    pub fn give_up(&self, last_seq: u64) -> Delivery {
        let mut delivery = Delivery::default();
        let mut state = self.state.lock();
        state.last_seq = state.last_seq.max(last_seq);
        let behind = state.last_seq;
        state.ahead.retain(|seq, _| *seq > behind);
        (state.reply, state.ask_bus) = (None, true);
        state.resync(&self.id, &mut delivery);
        state.release(&self.id, &mut delivery);
        delivery
    }

    pub fn lacks_removal(&self, at: &RoomStanding) -> bool {
        let state = self.state.lock();
        state.open && at.removals > state.removals
    }

    /// Where the store has it: a removal that was not heard of is made good, and everyone is to read anew.
    pub fn correct(&self, at: RoomStanding) -> Delivery {
        let mut delivery = Delivery::default();
        let mut state = self.state.lock();
        if state.open && at.removals > state.removals {
            state.removals = at.removals;
            state.removed.clear();
            state.last_seq = at.last_seq;
            (state.reply, state.ask_bus) = (None, true);
            state.ahead.clear();
            state.held.clear();
            state.resync(&self.id, &mut delivery);
        }
        delivery
    }

    /// Nothing that was heard of the reply under way counts any more: who is here is to join again.
    pub fn lose_track(&self) -> Delivery {
        let mut delivery = Delivery::default();
        let mut state = self.state.lock();
        if let Some(reply) = state.reply.take() {
            state.broken = Some(reply.partial.message_id);
        }
        state.ask_bus = true;
        state.resync(&self.id, &mut delivery);
        delivery
    }

    /// Whether the reply under way has to be read from the bus before somebody joins.
    pub fn asks_bus(&self) -> bool {
        self.state.lock().ask_bus
    }

    /// Takes in the reply under way as the bus knows it.
    pub fn mend(&self, partial: Option<Partial>) {
        let mut state = self.state.lock();
        state.ask_bus = false;
        let Some(partial) = partial else { return };
        let read = Reply::new(partial);
        // What was heard since it was read counts.
        let known = state.reply.as_ref();
        if !known
            .is_some_and(|known| known.partial.message_id == read.partial.message_id && known.offset >= read.offset)
        {
            if state.broken.as_ref() == Some(&read.partial.message_id) {
                state.broken = None;
            }
            state.reply = Some(read);
        }
    }

    /// Taken before the turn's state is read, for `correct_turn`.
    pub fn turns_heard(&self) -> u64 {
        self.state.lock().turns_heard
    }

    /// The turn as it was read, unless something was heard of it since: two who tell of it at once may cross.
    pub fn correct_turn(&self, heard: u64, turn: ConversationState) -> Delivery {
        let mut delivery = Delivery::default();
        let mut state = self.state.lock();
        if state.turns_heard == heard {
            let event = RoomEvent::State { conversation_id: self.id.clone(), state: turn };
            state.take(&self.id, Arc::new(event.into()), &mut delivery);
        }
        delivery
    }

    /// Lets a socket in and tells it where the room stands, with nothing in between: `welcome` is called under the room's
    /// lock with a snapshot, and false from it lets nobody in.
    pub fn join(&self, socket: &Socket, welcome: impl FnOnce(&Snapshot) -> bool) -> bool {
        let mut state = self.state.lock();
        let snapshot = Snapshot {
            last_seq: state.last_seq,
            removals: state.removals,
            partial: state.reply.as_ref().map(|reply| reply.partial.clone()),
            turn: state.turn,
        };
        let joined = welcome(&snapshot);
        if joined {
            state.lagging.remove(&socket.id);
            state.muted.remove(&socket.id);
            state.sockets.insert(socket.id, socket.clone());
        }
        joined
    }

    /// What the first who joins knows of the conversation.
    pub fn know(&self, conversation: &Conversation) {
        self.state.lock().known.get_or_insert_with(|| conversation.clone());
    }

    /// Sockets that hear nothing until the store said whether they are in; taken before it is asked, for `see`.
    pub fn muted(&self) -> HashSet<Sid> {
        self.state.lock().muted.clone()
    }

    /// Takes in the conversation as the store has it; none: it is gone. Answers the sockets of those who are not in it any
    /// more, which hear nothing from here on, and those that were wrongly kept from hearing.
    /// Who was `muted` after the store was read stays so: what was read does not know of it.
    pub fn see(&self, now: Option<&Conversation>, muted: &HashSet<Sid>) -> (Vec<Socket>, Vec<Socket>, Delivery) {
        let mut delivery = Delivery::default();
        let mut state = self.state.lock();
        let (mut gone, mut missed) = (Vec::new(), Vec::new());
        state.muted.retain(|sid| !muted.contains(sid));
        for (sid, socket) in &state.sockets {
            if !is_in(socket, now) {
                gone.push(socket.clone());
            } else if muted.contains(sid) {
                missed.push(socket.clone());
            }
        }
        for socket in &gone {
            state.sockets.remove(&socket.id);
            state.lagging.remove(&socket.id);
        }
        if let Some(now) = now
            && !state.known.as_ref().is_some_and(|known| is_same(known, now))
        {
            state.known = Some(now.clone());
            state.emit(&RoomEvent::Updated { conversation: now.clone() }.into(), &mut delivery);
        }
        (gone, missed, delivery)
    }

    /// True when nobody is left.
    pub fn leave(&self, sid: Sid) -> bool {
        let mut state = self.state.lock();
        state.sockets.remove(&sid);
        state.lagging.remove(&sid);
        state.muted.remove(&sid);
        state.sockets.is_empty()
    }

    pub fn is_empty(&self) -> bool {
        self.state.lock().sockets.is_empty()
    }

    pub fn sockets(&self) -> Vec<Socket> {
        self.state.lock().sockets.values().cloned().collect()
    }

    pub fn last_seq(&self) -> u64 {
        self.state.lock().last_seq
    }

    pub fn has_gap(&self) -> bool {
        !self.state.lock().ahead.is_empty()
    }

    /// Whether it heard from the store alone that something waits for its reply, since this was asked last.
    pub fn had_read_due(&self) -> bool {
        std::mem::take(&mut self.state.lock().read_due)
    }

    /// A reply is under way or waited for.
    pub fn awaits_reply(&self) -> bool {
        let state = self.state.lock();
        state.open && (state.turn != ConversationState::default() || state.reply.is_some())
    }
}

/// Whether whoever a socket is of is one of the conversation's people.
pub fn is_in(socket: &Socket, conversation: Option<&Conversation>) -> bool {
    let Some(identity) = socket.data.identity() else { return false };
    conversation.is_some_and(|conversation| conversation.member_ids.contains(&identity.user))
}

/// But for what messages change.
fn is_same(one: &Conversation, other: &Conversation) -> bool {
    let Conversation { title, member_ids, owner_id, character_id, .. } = one;
    (title, member_ids, owner_id, character_id)
        == (&other.title, &other.member_ids, &other.owner_id, &other.character_id)
}

/// The packet of an event. Between servers it reads `{"event":NAME,"payload":{…}}`: a client gets the two apart.
pub fn encode<E: serde::Serialize>(event: &E) -> Option<Str> {
    let json = serde_json::to_string(event).ok()?;
    let rest = json.strip_prefix("{\"event\":\"")?;
    let (name, rest) = rest.split_once("\",\"payload\":")?;
    Some(packet::encode_event(name, rest.strip_suffix('}')?))
}

#[cfg(test)]
mod tests;
