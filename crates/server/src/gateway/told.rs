//! What a socket knows already from its acknowledgements, and is told again once it is quiet.
//!
//! The acknowledgement of a send says how much of the allowance is used. The user's other sockets hear `usage:updated`
//! at once; the one that sent hears only the last of a burst, so that a fast sender is not told everything twice.

use super::client::Socket;
use aim_domain::CharacterId;
use engineioxide::Str;
use engineioxide::socket::Sid;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tokio::time::MissedTickBehavior;

/// Without a send for this long a socket is quiet: longer than somebody in a conversation waits for a reply at its pace.
const QUIET: Duration = Duration::from_secs(2);
/// How often to look who is.
const PACE: Duration = Duration::from_millis(250);

#[derive(Default)]
pub struct Told(Mutex<HashMap<Sid, Pending>>);

struct Pending {
    socket: Socket,
    /// The newest packet about each character.
    packets: HashMap<CharacterId, Str>,
    since: Instant,
}

impl Told {
    pub fn note(&self, socket: Socket, about: CharacterId, packet: Str) {
        let mut told = self.0.lock();
        let pending =
            told.entry(socket.id).or_insert_with(|| Pending { socket, packets: HashMap::new(), since: Instant::now() });
        pending.packets.insert(about, packet);
        pending.since = Instant::now();
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
