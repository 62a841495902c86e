//! Who is there: people with an open socket on this server, and those who just left or looked. Told to the store, so that
//! whoever gives a reply, on any server, knows whether its reader sees it.
//!
//! A change is told within a second, and an open socket again every minute; one that nobody tells again, because its server died,
//! counts for a while longer. Nothing is kept or told where no mail goes out.

use crate::Platform;
use aim_domain::UserId;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const PACE: Duration = Duration::from_secs(1);
/// Rounds between two tellings of everyone who is there.
const TELL_ALL_EVERY: u32 = 60;
/// How long an open socket counts after it was told.
const OPEN: Duration = Duration::from_secs(150);
/// People told in one command.
const BATCH: usize = 500;

#[derive(Default)]
pub(crate) struct PresenceBook(Mutex<Book>);

#[derive(Default)]
struct Book {
    /// Open sockets by user.
    open: HashMap<UserId, usize>,
    /// Who came, left or looked since the last telling.
    moved: HashSet<UserId>,
}

impl Platform {
    /// A socket of this user opened here.
    pub fn enters(&self, user: &UserId) {
        if !self.sends_mail() {
            return;
        }
        let mut book = self.presence.0.lock();
        let sockets = book.open.entry(user.clone()).or_default();
        *sockets += 1;
        if *sockets == 1 {
            book.moved.insert(user.clone());
        }
    }

    /// A socket of this user closed here.
    pub fn leaves(&self, user: &UserId) {
        if !self.sends_mail() {
            return;
        }
        let mut book = self.presence.0.lock();
        let Some(sockets) = book.open.get_mut(user) else { return };
        *sockets = sockets.saturating_sub(1);
        if *sockets == 0 {
            book.open.remove(user);
            book.moved.insert(user.clone());
        }
    }

    /// This user read something without a socket.
    pub(crate) fn looked(&self, user: &UserId) {
        if self.sends_mail() {
            self.presence.0.lock().moved.insert(user.clone());
        }
    }

    /// Whether this user has a socket here.
    pub(crate) fn is_present(&self, user: &UserId) -> bool {
        self.presence.0.lock().open.contains_key(user)
    }

    /// Tells the store who is there, until `stop`, and then once more.
    pub async fn keep_presence(&self, stop: CancellationToken) {
        if !self.sends_mail() {
            return;
        }
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut round = 0_u32;
        loop {
            let ends = tokio::select! {
                () = stop.cancelled() => true,
                _ = pace.tick() => false,
            };
            round = round.wrapping_add(1);
            self.tell_presence(round.is_multiple_of(TELL_ALL_EVERY)).await;
            if ends {
                return;
            }
        }
    }

    async fn tell_presence(&self, all: bool) {
        let seen: Vec<(UserId, bool)> = {
            let mut book = self.presence.0.lock();
            let mut moved = std::mem::take(&mut book.moved);
            if all {
                moved.extend(book.open.keys().cloned());
            }
            moved.into_iter().map(|user| (user.clone(), book.open.contains_key(&user))).collect()
        };
        for some in seen.chunks(BATCH) {
            if let Err(error) = self.store.note_presence(some.to_vec(), OPEN).await {
                tracing::warn!(%error, "who is there was not noted");
                // Told again next time, as it is then.
                self.presence.0.lock().moved.extend(some.iter().map(|(user, _)| user.clone()));
            }
        }
    }
}
