//! Sessions in this process, the most used ones first.

use super::{LoadMark, Sessions};
use crate::stripes::Stripes;
use crate::{Fault, Fleet};
use aim_domain::{Ambient, Member, TokenHash, UserId};
use async_trait::async_trait;
use moka::sync::Cache;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Sessions kept; some 600 bytes each.
const CAPACITY: u64 = 100_000;

/// Every drop takes the next number. A stripe remembers the last one that fell on it, a kept session the last one
/// before its load began: a session counts only while no drop of its user is younger than its load.
pub struct LocalSessions {
    kept: Cache<TokenHash, Kept>,
    drops: AtomicU64,
    dropped_tokens: Stripes<Drop, 1024>,
    dropped_users: Stripes<Drop, 4096>,
    ambient: Ambient,
    fleet: Fleet,
}

/// The last drop that fell on a stripe.
#[derive(Clone, Copy, Default)]
struct Drop {
    number: u64,
    /// A copy that was read from the store further back in the change feed may lack what this drop is about.
    position: i64,
}

#[derive(Clone)]
struct Kept {
    member: Arc<Member>,
    mark: LoadMark,
    /// Index of its user in `dropped_users`.
    user: usize,
}

impl LocalSessions {
    pub fn new(ambient: &Ambient, fleet: &Fleet) -> Self {
        Self {
            kept: Cache::builder().name("sessions").max_capacity(CAPACITY).build(),
            drops: AtomicU64::new(0),
            dropped_tokens: Stripes::new(),
            dropped_users: Stripes::new(),
            ambient: ambient.clone(),
            fleet: fleet.clone(),
        }
    }

    fn user_dropped_since(&self, user: usize, mark: LoadMark) -> bool {
        self.dropped_users.at(user).number > mark.drops
    }

    /// The change that it is about is the next one of the feed, or a later one where it was made here a moment ago; then
    /// the feed tells of it once more.
    fn next_drop(&self) -> Drop {
        Drop { number: self.drops.fetch_add(1, Ordering::SeqCst) + 1, position: self.fleet.position() + 1 }
    }

    /// How far along the change feed a copy must have been read to count.
    pub fn position_needed(&self, token: &TokenHash, user: &UserId) -> i64 {
        self.dropped_tokens.of(token).position.max(self.dropped_users.of(user).position)
    }
}

#[async_trait]
impl Sessions for LocalSessions {
    async fn get(&self, token: &TokenHash) -> Result<Option<Arc<Member>>, Fault> {
        let Some(kept) = self.kept.get(token) else { return Ok(None) };
        if self.user_dropped_since(kept.user, kept.mark) {
            return Ok(None);
        }
        if kept.member.session.expires_at <= self.ambient.now() {
            self.kept.invalidate(token);
            return Ok(None);
        }
        Ok(Some(kept.member))
    }

    async fn begin_load(&self, _token: &TokenHash) -> Result<LoadMark, Fault> {
        Ok(LoadMark { drops: self.drops.load(Ordering::SeqCst), position: self.fleet.position() })
    }

    async fn keep(&self, mark: LoadMark, member: Arc<Member>) -> Result<bool, Fault> {
        let (token, user) = (member.session.token_hash.clone(), self.dropped_users.index(member.user_id()));
        let dropped = self.dropped_tokens.of(&token);
        if dropped.number > mark.drops || self.user_dropped_since(user, mark) {
            return Ok(false);
        }
        if self.ambient.now() < member.session.expires_at {
            self.kept.insert(token, Kept { member, mark, user });
        }
        Ok(true)
    }

    async fn drop_session(&self, token: &TokenHash) -> Result<(), Fault> {
        let mut dropped = self.dropped_tokens.of(token);
        *dropped = self.next_drop();
        self.kept.invalidate(token);
        Ok(())
    }

    async fn drop_user(&self, user: &UserId) -> Result<(), Fault> {
        let mut dropped = self.dropped_users.of(user);
        *dropped = self.next_drop();
        Ok(())
    }
}
