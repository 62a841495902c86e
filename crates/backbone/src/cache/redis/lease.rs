//! The lease of a load: who holds it loads a key for all servers, and everyone else waits for the value.
//!
//! It is short, so that a holder that died is soon replaced, and renewed while its load goes on, so that a slow load is not
//! doubled. A load that is dropped gives it back at once.

use super::standing::Era;
use crate::link::{Client, Need, Script};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

static LEASE: Script = Script::new(include_str!("../scripts/lease.lua"));

/// What a holder that died costs those who wait. A row is read in 0.02 to 1 ms, over a network and from a cold disk in
/// some tens: few loads are ever renewed.
pub const LENGTH: Duration = Duration::from_secs(1);
/// One renewal may be lost.
const RENEW_EVERY: Duration = Duration::from_millis(300);
/// A load that takes longer is stuck: the next one tries.
pub const LONGEST: Duration = Duration::from_secs(10);

pub(in crate::cache) struct Lease {
    pub token: String,
    pub era: Era,
    /// Dropped without a word: the load came to nothing.
    settled: oneshot::Sender<()>,
}

impl Lease {
    /// One that was just given.
    pub fn hold(client: &Client, key: String, token: String, era: Era) -> Self {
        let (settled, end) = oneshot::channel();
        tokio::spawn(look_after(client.clone(), key, token.clone(), end));
        Self { token, era, settled }
    }

    /// The value is kept, or is not to be.
    pub fn settle(self) {
        let _ = self.settled.send(());
    }
}

async fn look_after(client: Client, key: String, token: String, mut end: oneshot::Receiver<()>) {
    let began = Instant::now();
    let lives = async |length: Duration| {
        let call = LEASE.call(&[&key]).arg(&token).arg(length.as_millis().to_string());
        client.script::<u8>(Need::Write, &call).await
    };
    while began.elapsed() < LONGEST {
        match tokio::time::timeout(RENEW_EVERY, &mut end).await {
            Ok(Ok(())) => return,
            Ok(Err(_)) => {
                let _ = lives(Duration::ZERO).await;
                return;
            }
            Err(_) => {
                // An invalidation took it away: nobody waits for this load any more.
                if matches!(lives(LENGTH).await, Ok(0)) {
                    return;
                }
            }
        }
    }
}
