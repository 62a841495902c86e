//! Taking in what changed: caches, sessions, sockets and replies under way follow the store.
//!
//! Whoever makes a change takes it in at once; everyone else hears of it by the store's change feed, which is read twice
//! a second, and as soon as the store hears of a change. Taking a change in twice does no harm.

use crate::Platform;
use crate::accounts::{CachedOwner, CachedProfile};
use crate::characters::CachedCharacter;
use crate::faults::hint;
use aim_backbone::cache::Reach;
use aim_backbone::keys;
use aim_domain::Username;
use aim_store::{Change, StoreError};
use futures::future::join_all;
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

    /// All servers share one cache: what one of them told it the others need not tell again, and what nobody could tell
    /// while it was away, the first one tells that can.
    async fn read_feed(&self, cursor: &mut i64) -> Result<(), StoreError> {
        let cache = &self.backbone.cache;
        let told = cache.told(*cursor).await;
        let is_told = |at: i64| told.is_some_and(|told| at <= told);
        let mut at = told.map_or(*cursor, |told| told.min(*cursor));
        loop {
            let changes = self.store.changes(at, BATCH).await?;
            let count = changes.len();
            // Side by side: after an outage there may be many.
            join_all(changes.iter().map(|(at, change)| {
                let reach = if is_told(*at) { Reach::Here } else { Reach::Everywhere };
                self.forget_cached(change, reach)
            }))
            .await;
            for (next, change) in changes {
                at = next;
                if *cursor < at {
                    self.act_on(change).await;
                    *cursor = at;
                    self.backbone.fleet.advance(at);
                }
            }
            if count < BATCH as usize {
                break;
            }
        }
        if let Some(told) = told {
            // The last changes may be of a kind that is not known here; or else the feed is shorter than it was.
            let to = if at < told && self.store.last_change().await? >= told { told } else { at };
            cache.heard(to).await;
        }
        Ok(())
    }

    /// Changes as they are taken in, for sockets and rooms, which close and look again. A receiver that lags must look at
    /// everything it holds.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.changed.subscribe()
    }

    /// Of a change that was just made here.
    pub(crate) async fn take_in(&self, change: Change) {
        self.forget_cached(&change, Reach::Everywhere).await;
        self.act_on(change).await;
    }

    /// Drops what a change made stale. A prompt and a personality are named after, or know, the revision they were made
    /// from; `conversation:…` says which conversation a pair has, and whoever follows it looks.
    async fn forget_cached(&self, change: &Change, reach: Reach) {
        let cache = &self.backbone.cache;
        match change {
            Change::User { id, username } => {
                let profile = keys::user_profile::<CachedProfile>(id);
                let username = Username::parse(username).ok().map(|name| keys::username::<CachedOwner>(&name));
                let username = async {
                    if let Some(username) = username {
                        cache.invalidate(&username, reach).await;
                    }
                };
                tokio::join!(cache.invalidate(&profile, reach), username);
            }
            Change::Character { id } => {
                let character = keys::character::<CachedCharacter>(id);
                tokio::join!(cache.invalidate(&character, reach), self.forget_prompt(id, reach));
            }
            Change::Gallery { id } => self.forget_gallery(id, reach).await,
            Change::Conversation { id } => {
                self.audience.forget(id);
                self.forget_window(id, reach).await;
            }
            Change::Upload { id, .. } => self.forget_upload(id, reach).await,
            Change::Preferences { user } => self.forget_preferences(user, reach).await,
            Change::Draft { user, key } => self.forget_draft(user, key, reach).await,
            Change::Session { .. } | Change::Cancel { .. } | Change::Member { .. } | Change::Withdrawn { .. } => {}
        }
    }

    async fn act_on(&self, change: Change) {
        match &change {
            Change::User { id, .. } => {
                hint("drop a user's sessions", self.backbone.sessions.drop_user(id).await);
            }
            Change::Session { token, .. } => {
                hint("drop a session", self.backbone.sessions.drop_session(token).await);
            }
            Change::Character { .. } | Change::Conversation { .. } | Change::Upload { .. } => {}
            Change::Preferences { .. } | Change::Draft { .. } | Change::Member { .. } | Change::Gallery { .. } => {}
            Change::Withdrawn { .. } => {}
            Change::Cancel { conversation, fence } => self.running.stop(conversation, *fence),
        }
        // Nobody may be listening: a worker has no sockets.
        let _ = self.changed.send(change);
    }
}
