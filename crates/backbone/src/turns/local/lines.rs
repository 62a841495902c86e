//! All lines as one value: what each operation of the contract does to them, at a time that the caller says.

use super::line::{Line, Room as Index, Ticket};
use crate::turns::{Moved, Settings, Turn};
use aim_domain::{CharacterId, ConversationId, ConversationState, MessageId, Phase, Timestamp};
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

pub(super) struct Lines {
    settings: Settings,
    /// Rooms that are in use, and free ones between them.
    rooms: Vec<Room>,
    free: Vec<Index>,
    index: HashMap<ConversationId, Index>,
    lines: HashMap<CharacterId, Line>,
    /// Every turn that waits or is granted.
    known: HashSet<(MessageId, u32)>,
    leases: BTreeSet<(Timestamp, Index)>,
    waiting: usize,
}

/// A conversation with a turn that waits or is granted.
struct Room {
    conversation: ConversationId,
    character: CharacterId,
    waiting: VecDeque<Turn>,
    held: Option<Held>,
    /// Its place in the character's line: there when it is ready.
    ticket: Option<Ticket>,
    told: ConversationState,
}

struct Held {
    turn: Turn,
    until: Timestamp,
}

fn identity(turn: &Turn) -> (MessageId, u32) {
    (turn.message.clone(), turn.attempt)
}

impl Lines {
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            rooms: Vec::new(),
            free: Vec::new(),
            index: HashMap::new(),
            lines: HashMap::new(),
            known: HashSet::new(),
            leases: BTreeSet::new(),
            waiting: 0,
        }
    }

    /// Turns that wait, and turns that are granted.
    pub fn sizes(&self) -> (usize, usize) {
        (self.waiting, self.leases.len())
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty() && self.lines.is_empty() && self.known.is_empty() && self.sizes() == (0, 0)
    }

    pub fn enter(&mut self, turn: Turn, now: Timestamp) -> Moved {
        let mut moved = Moved::default();
        if !self.known.insert(identity(&turn)) {
            moved.states.push((turn.conversation.clone(), self.state(&turn.conversation)));
            return moved;
        }
        let at = self.room(&turn);
        let character = self.rooms[at as usize].character.clone();
        self.rooms[at as usize].waiting.push_back(turn);
        self.waiting += 1;
        self.make_ready(at);
        self.serve(&character, now, &mut moved);
        let room = &self.rooms[at as usize];
        let (joined, premium) = (room.ticket.is_some(), room.ticket.is_some_and(Ticket::is_premium));
        moved.states.push((room.conversation.clone(), self.state_of(room)));
        self.rooms[at as usize].told = moved.states[0].1;
        // Who was granted at once, or waits for its own reply, moves nobody; nor does the last of a line without premium.
        if joined && (premium || self.lines.get(&character).is_some_and(Line::has_premium)) {
            self.tell_waiting(&character, &mut moved);
        }
        if joined {
            self.tell_under_way(&character, 0, &mut moved);
        }
        moved
    }

    pub fn renew(&mut self, turn: &Turn, now: Timestamp) -> bool {
        let Some(at) = self.index.get(&turn.conversation) else { return false };
        let Some(held) = self.rooms[*at as usize].held.as_mut().filter(|held| held.turn.is(turn)) else {
            return false;
        };
        self.leases.remove(&(held.until, *at));
        held.until = now.plus(self.settings.lease);
        self.leases.insert((held.until, *at));
        true
    }

    pub fn finish(&mut self, turn: &Turn, now: Timestamp) -> Moved {
        let Some(&at) = self.index.get(&turn.conversation) else { return Moved::default() };
        let room = &mut self.rooms[at as usize];
        if room.held.as_ref().is_some_and(|held| held.turn.is(turn)) {
            self.release(at);
        } else if let Some(place) = room.waiting.iter().position(|other| other.is(turn)) {
            room.waiting.remove(place);
            self.known.remove(&identity(turn));
            self.waiting -= 1;
        } else {
            return Moved::default();
        }
        self.settle(&[at], now)
    }

    pub fn withdraw(&mut self, conversation: &ConversationId, messages: &[MessageId], now: Timestamp) -> Moved {
        let Some(&at) = self.index.get(conversation) else { return Moved::default() };
        let named: HashSet<&MessageId> = messages.iter().collect();
        let room = &mut self.rooms[at as usize];
        let before = room.waiting.len();
        room.waiting.retain(|turn| {
            let leaves = named.contains(&turn.message);
            if leaves {
                self.known.remove(&identity(turn));
            }
            !leaves
        });
        let left = before - room.waiting.len();
        self.waiting -= left;
        if left == 0 { Moved::default() } else { self.settle(&[at], now) }
    }

    /// What was taken back is counted by the caller: each is a turn that lost its slot.
    pub fn expire(&mut self, now: Timestamp) -> (Moved, usize) {
        let mut lost = Vec::new();
        while let Some(&(until, at)) = self.leases.first()
            && until <= now
        {
            self.release(at);
            lost.push(at);
        }
        (self.settle(&lost, now), lost.len())
    }

    pub fn state(&self, conversation: &ConversationId) -> ConversationState {
        self.index
            .get(conversation)
            .map_or_else(ConversationState::default, |at| self.state_of(&self.rooms[*at as usize]))
    }

    pub fn knows(&self, turn: &Turn) -> bool {
        self.known.contains(&identity(turn))
    }

    pub fn holds(&self, turn: &Turn) -> bool {
        let held = self.index.get(&turn.conversation).and_then(|at| self.rooms[*at as usize].held.as_ref());
        held.is_some_and(|held| held.turn.is(turn))
    }

    pub fn forget(&mut self) {
        *self = Self::new(self.settings);
    }

    /// Drops what waits; what is granted keeps its slot until it ends.
    pub fn forget_waiting(&mut self) {
        let leases = std::mem::take(&mut self.leases);
        let held = leases.into_iter().filter_map(|(_, at)| self.rooms[at as usize].held.take()).collect::<Vec<_>>();
        *self = Self::new(self.settings);
        for Held { turn, until } in held {
            self.known.insert(identity(&turn));
            let at = self.room(&turn);
            let most = self.settings.premium_run;
            self.lines.entry(turn.character.clone()).or_insert_with(|| Line::new(most)).held.push(at);
            self.leases.insert((until, at));
            let room = &mut self.rooms[at as usize];
            (room.held, room.told.state) = (Some(Held { turn, until }), Phase::Processing);
        }
    }

    pub fn granted(&self) -> Vec<Turn> {
        self.leases.iter().filter_map(|(_, at)| Some(self.rooms[*at as usize].held.as_ref()?.turn.clone())).collect()
    }

    fn room(&mut self, turn: &Turn) -> Index {
        if let Some(at) = self.index.get(&turn.conversation) {
            return *at;
        }
        let room = Room {
            conversation: turn.conversation.clone(),
            character: turn.character.clone(),
            waiting: VecDeque::new(),
            held: None,
            ticket: None,
            told: ConversationState::default(),
        };
        let at = match self.free.pop() {
            Some(at) => {
                self.rooms[at as usize] = room;
                at
            }
            None => {
                self.rooms.push(room);
                (self.rooms.len() - 1) as Index
            }
        };
        self.index.insert(turn.conversation.clone(), at);
        at
    }

    /// Lets a conversation join or leave its character's line, as its own line and reply now say.
    fn make_ready(&mut self, at: Index) {
        let room = &mut self.rooms[at as usize];
        let most = self.settings.premium_run;
        let front = room.waiting.front().filter(|_| room.held.is_none());
        match (front, room.ticket) {
            (Some(front), None) => {
                let premium = front.premium;
                let line = self.lines.entry(room.character.clone()).or_insert_with(|| Line::new(most));
                room.ticket = Some(line.join(at, premium));
            }
            (None, Some(ticket)) => {
                room.ticket = None;
                if let Some(line) = self.lines.get_mut(&room.character) {
                    line.leave(ticket);
                }
            }
            _ => {}
        }
    }

    fn release(&mut self, at: Index) {
        let room = &mut self.rooms[at as usize];
        let Some(held) = room.held.take() else { return };
        self.leases.remove(&(held.until, at));
        self.known.remove(&identity(&held.turn));
        if let Some(line) = self.lines.get_mut(&room.character)
            && let Some(place) = line.held.iter().position(|other| *other == at)
        {
            line.held.swap_remove(place);
        }
    }

    /// After something left these rooms: who is next is served, who is affected is told, what is empty goes.
    fn settle(&mut self, changed: &[Index], now: Timestamp) -> Moved {
        let mut moved = Moved::default();
        let mut characters: Vec<CharacterId> = Vec::with_capacity(1);
        for &at in changed {
            self.make_ready(at);
            let character = &self.rooms[at as usize].character;
            if !characters.contains(character) {
                characters.push(character.clone());
            }
        }
        for character in &characters {
            self.serve(character, now, &mut moved);
        }
        for &at in changed {
            self.tell(at, None, &mut moved);
        }
        for character in &characters {
            self.tell_waiting(character, &mut moved);
            self.tell_under_way(character, moved.granted.len(), &mut moved);
        }
        for &at in changed {
            self.forget_if_idle(at);
        }
        for character in &characters {
            if self.lines.get(character).is_some_and(|line| line.ready() == 0 && line.held.is_empty()) {
                self.lines.remove(character);
            }
        }
        moved
    }

    fn serve(&mut self, character: &CharacterId, now: Timestamp, moved: &mut Moved) {
        let Some(line) = self.lines.get_mut(character) else { return };
        let slots = usize::try_from(self.settings.replies_per_character.max(1)).unwrap_or(usize::MAX);
        let until = now.plus(self.settings.lease);
        while line.held.len() < slots
            && let Some(at) = line.next()
        {
            let room = &mut self.rooms[at as usize];
            room.ticket = None;
            let Some(turn) = room.waiting.pop_front() else { continue };
            self.waiting -= 1;
            room.held = Some(Held { turn: turn.clone(), until });
            line.held.push(at);
            self.leases.insert((until, at));
            moved.granted.push(turn);
        }
    }

    fn tell_waiting(&mut self, character: &CharacterId, moved: &mut Moved) {
        let Some(line) = self.lines.get(character) else { return };
        let first: Vec<Index> = line.order().take(self.settings.told_positions).collect();
        for (before, at) in first.into_iter().enumerate() {
            self.tell(at, Some(before as u64), moved);
        }
    }

    /// Tells those whose reply is under way: the `granted` latest, and others who wait for their own.
    fn tell_under_way(&mut self, character: &CharacterId, granted: usize, moved: &mut Moved) {
        let Some(line) = self.lines.get(character) else { return };
        let latest: Vec<Index> =
            line.held.iter().rev().take(self.settings.told_positions.max(granted)).copied().collect();
        for at in latest {
            self.tell(at, None, moved);
        }
    }

    /// `before`: how many are served before it, where the caller knows.
    fn tell(&mut self, at: Index, before: Option<u64>, moved: &mut Moved) {
        let room = &self.rooms[at as usize];
        let state = match before {
            Some(before) => queued(room, before),
            None => self.state_of(room),
        };
        if state != room.told {
            moved.states.push((room.conversation.clone(), state));
            self.rooms[at as usize].told = state;
        }
    }

    fn state_of(&self, room: &Room) -> ConversationState {
        let Some(front) = room.waiting.front() else {
            let state = if room.held.is_some() { Phase::Processing } else { Phase::Idle };
            return ConversationState { state, pending: 0, position: None };
        };
        let line = self.lines.get(&room.character);
        queued(
            room,
            line.map_or(0, |line| match room.ticket {
                Some(ticket) => line.before(ticket),
                None => line.before_new(front.premium),
            }),
        )
    }

    fn forget_if_idle(&mut self, at: Index) {
        let room = &self.rooms[at as usize];
        if room.held.is_none() && room.waiting.is_empty() && self.index.get(&room.conversation) == Some(&at) {
            self.index.remove(&room.conversation);
            self.free.push(at);
        }
    }
}

fn queued(room: &Room, before: u64) -> ConversationState {
    ConversationState { state: Phase::Queued, pending: room.waiting.len() as u64, position: Some(before + 1) }
}
