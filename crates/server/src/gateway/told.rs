//! What a socket knows already from its acknowledgements, and is told again at the begin and the end of a burst.
//!
//! The acknowledgement of a send says how much of the allowance is used. The user's other sockets hear `usage:updated`
//! at once; so does the one that sent, unless it sent just before: then it hears the last of the burst once it is quiet,
//! so that a fast sender is not told everything twice.

use super::client::Socket;
use aim_domain::CharacterId;
use engineioxide::Str;
use engineioxide::socket::Sid;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::{Duration, Instant};
use tokio::time::MissedTickBehavior;

/// Without a send for this long a socket is quiet: longer than somebody in a conversation waits for a reply at its pace.
const QUIET: Duration = Duration::from_secs(1);
/// How often to look who is.
const PACE: Duration = Duration::from_millis(250);

#[derive(Default)]
pub struct Told(Mutex<HashMap<Sid, Pending>>);

struct Pending {
    socket: Socket,
    /// The newest packet about each character that it was not told.
    packets: HashMap<CharacterId, Str>,
    since: Instant,
}

impl Told {
    pub fn note(&self, socket: Socket, about: CharacterId, packet: Str) {
        let now = Instant::now();
        match self.0.lock().entry(socket.id) {
            Entry::Occupied(mut pending) => {
                let pending = pending.get_mut();
                pending.packets.insert(about, packet);
                pending.since = now;
            }
            Entry::Vacant(first) => {
                let _ = socket.emit(packet);
                first.insert(Pending { socket, packets: HashMap::new(), since: now });
            }
        }
    }

    /// Tells whoever has become quiet, without end.
    pub async fn keep_telling(&self) {
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            pace.tick().await;
            self.pass_on();
        }
    }

    fn pass_on(&self) {
        let mut quiet = Vec::new();
        self.0.lock().retain(|_, pending| {
            let waits = pending.since.elapsed() < QUIET;
            if !waits {
                quiet.push((pending.socket.clone(), std::mem::take(&mut pending.packets)));
            }
            waits
        });
        for (socket, packets) in quiet {
            for packet in packets.into_values() {
                let _ = socket.emit(packet);
            }
        }
    }
}
