//! One socket: who it belongs to, which rooms it is in, and what it asked that is still to be done.
//!
//! A client's events are handled in the order in which it sent them, one at a time; while there are none, a socket costs
//! no task.

use aim_domain::{ConversationId, SessionId, TokenHash, UserId};
use engineioxide::{Socket as EngineSocket, Str};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;

pub type Socket = Arc<EngineSocket<Client>>;

/// Events of one client that may wait to be handled.
const MAX_INBOX: usize = 1_000;
/// Conversations that one socket may be in at once.
pub const MAX_ROOMS: usize = 200;

#[derive(Default)]
pub struct Client(Mutex<State>);

#[derive(Default)]
struct State {
    identity: Option<Identity>,
    rooms: Vec<ConversationId>,
    /// Those of them in which it is known to type.
    types_in: Vec<ConversationId>,
    inbox: VecDeque<Str>,
    /// A task is handling the inbox.
    busy: bool,
    closed: bool,
}

/// Who signed in on a socket. What they may do is asked anew at each event.
#[derive(Clone, Debug)]
pub struct Identity {
    pub token: TokenHash,
    pub session: SessionId,
    pub user: UserId,
}

/// What to do with a packet that arrived.
pub enum Arrival {
    /// Nobody handles this client's packets yet: whoever asked does, beginning with this one.
    Handle(Str),
    /// It waits behind others.
    Waits,
    /// Too many wait.
    Full,
}

impl Client {
    pub fn arrive(&self, packet: Str) -> Arrival {
        let mut state = self.0.lock();
        if state.busy {
            if state.inbox.len() >= MAX_INBOX {
                return Arrival::Full;
            }
            state.inbox.push_back(packet);
            return Arrival::Waits;
        }
        state.busy = true;
        Arrival::Handle(packet)
    }

    /// The next packet to handle; after none, the handler is done.
    pub fn next(&self) -> Option<Str> {
        let mut state = self.0.lock();
        let next = state.inbox.pop_front().filter(|_| !state.closed);
        state.busy = next.is_some();
        next
    }

    pub fn identity(&self) -> Option<Identity> {
        self.0.lock().identity.clone()
    }

    /// False when the socket is closed already, or signed in.
    pub fn sign_in(&self, identity: Identity) -> bool {
        let mut state = self.0.lock();
        if state.closed || state.identity.is_some() {
            return false;
        }
        state.identity = Some(identity);
        true
    }

    pub fn is_in(&self, room: &ConversationId) -> bool {
        self.0.lock().rooms.contains(room)
    }

    /// False when the socket is closed, or in too many rooms.
    pub fn enter(&self, room: &ConversationId) -> bool {
        let mut state = self.0.lock();
        if state.closed || (state.rooms.len() >= MAX_ROOMS && !state.rooms.contains(room)) {
            return false;
        }
        if !state.rooms.contains(room) {
            state.rooms.push(room.clone());
        }
        true
    }

    pub fn leave(&self, room: &ConversationId) {
        self.0.lock().rooms.retain(|one| one != room);
    }

    /// Notes whether it types in a room; answers whether it did until now.
    pub fn types_in(&self, room: &ConversationId, now: bool) -> bool {
        let mut state = self.0.lock();
        let before = state.types_in.iter().position(|one| one == room);
        match before {
            Some(at) if !now => drop(state.types_in.swap_remove(at)),
            None if now && !state.closed => state.types_in.push(room.clone()),
            _ => {}
        }
        before.is_some()
    }

    pub fn is_closed(&self) -> bool {
        self.0.lock().closed
    }

    /// Marks it closed; answers who it was and the rooms it was in.
    pub fn close(&self) -> (Option<Identity>, Vec<ConversationId>) {
        let mut state = self.0.lock();
        state.closed = true;
        state.inbox.clear();
        (state.identity.clone(), std::mem::take(&mut state.rooms))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn packets_are_handled_in_order_by_one_handler_at_a_time() {
        let client = Client::default();
        assert!(matches!(client.arrive("a".into()), Arrival::Handle(_)));
        assert!(matches!(client.arrive("b".into()), Arrival::Waits));
        assert_eq!(client.next().map(|packet| packet.to_string()).as_deref(), Some("b"));
        assert!(client.next().is_none());
        assert!(matches!(client.arrive("c".into()), Arrival::Handle(_)));
    }

    #[test]
    fn a_flood_is_bounded() {
        let client = Client::default();
        let full = (0..=MAX_INBOX + 1).filter(|_| matches!(client.arrive("x".into()), Arrival::Full)).count();
        assert_eq!(full, 1);
    }

    #[test]
    fn a_closed_socket_enters_no_room() {
        let client = Client::default();
        let room: ConversationId = "c1".parse().unwrap();
        assert!(client.enter(&room));
        assert_eq!(client.close().1, vec![room.clone()]);
        assert!(!client.enter(&room));
    }
}
