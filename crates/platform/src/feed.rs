//! Taking in what changed: caches, sessions, sockets and replies under way follow the store.
//!
//! Whoever makes a change takes it in at once; everyone else hears of it by the store's change feed, which is read twice
//! a second. Taking a change in twice does no harm.

use crate::Platform;
use crate::accounts::{CachedOwner, CachedProfile};
use crate::characters::CachedCharacter;
use crate::faults::hint;
use aim_backbone::keys;
use aim_domain::Username;
use aim_store::{Change, StoreError};
use std::time::Duration;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

const PACE: Duration = Duration::from_millis(500);
const BATCH: u32 = 500;

impl Platform {
    /// Follows the feed until `stop`.
    pub async fn follow_changes(&self, stop: CancellationToken) {
        let mut cursor = None;
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = pace.tick() => {}
            }
            if let Err(error) = self.read_feed(&mut cursor).await {
                tracing::warn!(%error, "the change feed was not read");
            }
        }
    }

    async fn read_feed(&self, cursor: &mut Option<i64>) -> Result<(), StoreError> {
        let mut from = match *cursor {
            Some(from) => from,
            // Nothing was cached before the first read.
            None => self.store.last_change().await?,
        };
        *cursor = Some(from);
        loop {
            let changes = self.store.changes(from, BATCH).await?;
            let count = changes.len();
            for (at, change) in changes {
                self.take_in(change).await;
                from = at;
                *cursor = Some(at);
            }
            if count < BATCH as usize {
                return Ok(());
            }
        }
    }

    /// Changes as they are taken in, for sockets and rooms, which close and look again. A receiver that lags must look at
    /// everything it holds.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.changed.subscribe()
    }

    pub(crate) async fn take_in(&self, change: Change) {
        let cache = &self.backbone.cache;
        match change.clone() {
            Change::User { id, username } => {
                cache.invalidate(&keys::user_profile::<CachedProfile>(&id)).await;
                if let Ok(username) = Username::parse(&username) {
                    cache.invalidate(&keys::username::<CachedOwner>(&username)).await;
                }
                hint("drop a user's sessions", self.backbone.sessions.drop_user(&id).await);
            }
            Change::Session { token, .. } => {
                hint("drop a session", self.backbone.sessions.drop_session(&token).await);
            }
            Change::Character { id } => {
                cache.invalidate(&keys::character::<CachedCharacter>(&id)).await;
                self.forget_prompt(&id).await;
            }
            Change::Conversation { .. } => {}
            Change::Cancel { conversation, fence } => self.running.stop(&conversation, fence),
        }
        // Nobody may be listening: a worker has no sockets.
        let _ = self.changed.send(change);
    }
}
