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

/// Without a send for this long a socket is quiet.
const QUIET: Duration = Duration::from_secs(1);

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

    /// Tells those that are quiet now.
    pub fn pass_on(&self) {
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
