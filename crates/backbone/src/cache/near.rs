//! The values kept in this process: a bounded map (W-TinyLFU) whose entries end by their time to live, and the marks by
//! which a load, or the answer of another server, is known to have been overtaken.

use super::{Codec, Entry, Found, Level};
use crate::stripes::Stripes;
use aim_domain::{Ambient, Timestamp};
use moka::Expiry;
use moka::sync::Cache;
use std::sync::Arc;
use std::time::{Duration, Instant};

const STRIPES: usize = 1024;
/// A value is loaded ahead of its end in this part of its time: the last tenth.
const AHEAD: u32 = 10;
/// Between two tries of this process to load a value ahead of its end.
const TRY_AGAIN: Duration = Duration::from_secs(1);

pub(super) struct Near {
    kept: Cache<Arc<str>, Kept>,
    /// How often keys of each stripe were invalidated or written. Taken while a kept value changes, so that the check of
    /// a mark and the keeping of its value are one step.
    generations: Stripes<u64, STRIPES>,
    ambient: Ambient,
}

#[derive(Clone)]
struct Kept {
    entry: Entry,
    /// By the ambient clock, which a test may move; moka drops entries by its own.
    until: Timestamp,
    left: Duration,
    /// From then on one who asks loads it anew.
    load_at: Timestamp,
    /// When it was asked for, of what Redis told; none for what was loaded or written here.
    heard: Option<Instant>,
}

/// How long a value lives, and where it comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    /// Its family's time.
    ttl: Duration,
    left: Duration,
    /// What `left` counts from; none: from when it is kept.
    asked: Option<Instant>,
    is_heard: bool,
}

impl Life {
    pub fn new(ttl: Duration) -> Self {
        Self { ttl, left: ttl, asked: None, is_heard: false }
    }

    /// Of a value that Redis is asked to keep now, and that ends no later here.
    pub fn with_redis(ttl: Duration) -> Self {
        Self { ttl, left: ttl, asked: Some(Instant::now()), is_heard: false }
    }

    /// Of a value that Redis told; it had `left` when it was asked, or later.
    pub fn heard(ttl: Duration, left: Duration, asked: Instant) -> Self {
        Self { ttl, left, asked: Some(asked), is_heard: true }
    }
}

/// What is left of a time to live when a value is loaded ahead of its end.
pub(super) fn ahead(ttl: Duration) -> Duration {
    ttl / AHEAD
}

struct ByLife;

impl Expiry<Arc<str>, Kept> for ByLife {
    fn expire_after_create(&self, _: &Arc<str>, kept: &Kept, _: Instant) -> Option<Duration> {
        Some(kept.left)
    }

    fn expire_after_update(&self, _: &Arc<str>, kept: &Kept, _: Instant, _: Option<Duration>) -> Option<Duration> {
        Some(kept.left)
    }
}

impl Near {
    pub fn new(capacity: u64, ambient: &Ambient) -> Self {
        Self {
            kept: Cache::builder()
                .name("cache")
                .max_capacity(capacity)
                .weigher(|_, kept: &Kept| kept.entry.weight)
                .expire_after(ByLife)
                .build(),
            generations: Stripes::new(),
            ambient: ambient.clone(),
        }
    }

    pub fn find(&self, name: &str) -> Option<Found> {
        let kept = self.kept.get(name)?;
        let now = self.ambient.now();
        if kept.until <= now {
            return None;
        }
        let is_aging = kept.load_at <= now && self.is_first_to_see(name, now);
        Some(Found { entry: kept.entry, level: Level::Near, is_aging })
    }

    /// As `find`, where it is a value of that type, and nobody is to load it ahead of its end.
    pub fn look(&self, name: &str, codec: Codec) -> Option<Found> {
        let kept = self.current(name).filter(|kept| codec.fits(&kept.entry))?;
        Some(Found { entry: kept.entry, level: Level::Near, is_aging: false })
    }

    /// For a load, or a question to another server, that begins now.
    pub fn mark(&self, name: &str) -> u64 {
        *self.generations.of(name)
    }

    /// Keeps what was found since `mark`, unless the key was invalidated or written, or a newer version is kept.
    pub fn keep(&self, name: &Arc<str>, mark: u64, entry: Entry, life: Life) -> bool {
        let generation = self.generations.of(&**name);
        *generation == mark && self.insert(name, entry, life)
    }

    /// Keeps what was just written, unless a newer version is kept. What loads under way will find is not kept.
    pub fn write(&self, name: &Arc<str>, entry: Entry, life: Life) -> bool {
        let mut generation = self.generations.of(&**name);
        *generation += 1;
        self.insert(name, entry, life)
    }

    /// What loads under way will find is not kept.
    pub fn overtake(&self, name: &str) {
        *self.generations.of(name) += 1;
    }

    /// What loads under way will find is not kept either.
    pub fn forget(&self, name: &str) {
        let mut generation = self.generations.of(name);
        *generation += 1;
        self.kept.invalidate(name);
    }

    /// As `forget`, of everything that Redis told since `when`.
    pub fn forget_heard_since(&self, when: Instant) {
        let doubtful = |kept: &Kept| kept.heard.is_some_and(|heard| when <= heard);
        for (name, _) in self.kept.iter().filter(|(_, kept)| doubtful(kept)) {
            self.forget(&name);
        }
    }

    pub fn len(&self) -> u64 {
        self.kept.entry_count()
    }

    fn current(&self, name: &str) -> Option<Kept> {
        self.kept.get(name).filter(|kept| self.ambient.now() < kept.until)
    }

    /// Call it with the key's stripe held.
    fn insert(&self, name: &Arc<str>, entry: Entry, life: Life) -> bool {
        let newest = self.current(name).map_or(0, |kept| kept.entry.version);
        // A negative entry has no version, and neither have values that cannot be told apart: the mark guards those.
        if 0 < entry.version && entry.version < newest {
            return false;
        }
        let now = self.ambient.now();
        let left = life.asked.map_or(life.left, |asked| life.left.saturating_sub(asked.elapsed()));
        // What ends soon already has just been looked at by the one who keeps it here.
        let load_at = left.saturating_sub(ahead(life.ttl)).max(TRY_AGAIN.min(life.ttl));
        let (until, load_at) = (now.plus(left), now.plus(load_at));
        let heard = life.asked.filter(|_| life.is_heard);
        self.kept.insert(name.clone(), Kept { entry, until, left, load_at, heard });
        true
    }

    /// Whether the caller is the one to load the value anew; the next one is in a while.
    fn is_first_to_see(&self, name: &str, now: Timestamp) -> bool {
        let _stripe = self.generations.of(name);
        let Some(mut kept) = self.kept.get(name).filter(|kept| kept.load_at <= now && now < kept.until) else {
            return false;
        };
        (kept.load_at, kept.left) = (now.plus(TRY_AGAIN), kept.until.since(now));
        self.kept.insert(name.into(), kept);
        true
    }

    #[cfg(test)]
    pub fn settle(&self) {
        self.kept.run_pending_tasks();
    }
}
