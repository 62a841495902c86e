//! Taking in what changed: caches, sessions, sockets and replies under way follow the store.
//!
//! Whoever makes a change takes it in at once; everyone else hears of it by the store's change feed, which is read twice
//! a second, and as soon as the store hears of a change. Taking a change in twice does no harm.

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
    /// Where the feed stands: taken before anything is cached, so that nothing that changes after it is missed.
    pub async fn feed_position(&self) -> Result<i64, StoreError> {
        self.store.last_change().await
    }

    /// Follows the feed from a position until `stop`.
    pub async fn follow_changes(&self, from: i64, stop: CancellationToken) {
        let mut cursor = from;
        self.backbone.fleet.advance(from);
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = pace.tick() => {}
                () = self.store.changed() => {}
            }
            if let Err(error) = self.read_feed(&mut cursor).await {
                tracing::warn!(%error, "the change feed was not read");
            }
        }
    }

    async fn read_feed(&self, cursor: &mut i64) -> Result<(), StoreError> {
        loop {
            let changes = self.store.changes(*cursor, BATCH).await?;
            let count = changes.len();
            for (at, change) in changes {
                self.take_in(change).await;
                *cursor = at;
                self.backbone.fleet.advance(at);
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
