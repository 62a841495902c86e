//! The cache in this process: a bounded map (W-TinyLFU) whose entries end by their family's time to live.

use super::{CacheBackend, Entry, Family, LoadGuard, LoadMark, Slot};
use crate::stripes::Stripes;
use crate::{Fault, Settings};
use aim_domain::{Ambient, Timestamp};
use async_trait::async_trait;
use moka::Expiry;
use moka::sync::Cache;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

const STRIPES: usize = 1024;

pub struct LocalCache {
    kept: Cache<Arc<str>, Kept>,
    /// How often keys of each stripe were invalidated or written. Taken while a kept value changes, so that the check of
    /// a load's mark and the keeping of its value are one step.
    generations: Stripes<u64, STRIPES>,
    loads: Arc<Loads>,
    ambient: Ambient,
    short: bool,
}

#[derive(Clone)]
struct Kept {
    entry: Entry,
    /// By the ambient clock, which a test may move; moka drops entries by its own.
    until: Timestamp,
    ttl: Duration,
}

struct ByFamily;

impl Expiry<Arc<str>, Kept> for ByFamily {
    fn expire_after_create(&self, _: &Arc<str>, kept: &Kept, _: Instant) -> Option<Duration> {
        Some(kept.ttl)
    }

    fn expire_after_update(&self, _: &Arc<str>, kept: &Kept, _: Instant, _: Option<Duration>) -> Option<Duration> {
        Some(kept.ttl)
    }
}

impl LocalCache {
    pub fn new(settings: &Settings, ambient: &Ambient) -> Self {
        Self {
            kept: Cache::builder().name("cache").max_capacity(settings.cache_capacity).expire_after(ByFamily).build(),
            generations: Stripes::new(),
            loads: Arc::new(Loads(Stripes::new())),
            ambient: ambient.clone(),
            short: settings.short_cache,
        }
    }

    fn find(&self, name: &str) -> Option<Entry> {
        let kept = self.kept.get(name)?;
        (self.ambient.now() < kept.until).then_some(kept.entry)
    }

    /// Call it with the key's stripe held.
    fn insert(&self, slot: Slot<'_>, entry: Entry) -> bool {
        let newest = self.find(slot.name).map_or(0, |kept| kept.version);
        // A negative entry has no version, and neither have values that cannot be told apart: the mark guards those.
        if 0 < entry.version && entry.version < newest {
            return false;
        }
        let ttl = if self.short { slot.family.ttl() / 10 } else { slot.family.ttl() };
        self.kept.insert(slot.name.clone(), Kept { entry, until: self.ambient.now().plus(ttl), ttl });
        true
    }
}

#[async_trait]
impl CacheBackend for LocalCache {
    fn near(&self, _family: Family, name: &str) -> Option<Entry> {
        self.find(name)
    }

    async fn get(&self, slot: Slot<'_>) -> Result<Option<Entry>, Fault> {
        Ok(self.find(slot.name))
    }

    async fn begin_load(&self, slot: Slot<'_>) -> Result<(LoadGuard, LoadMark), Fault> {
        let guard = self.loads.begin(slot.name).await;
        let mark = LoadMark(*self.generations.of(slot.name));
        Ok((LoadGuard(Box::new(guard)), mark))
    }

    async fn put(&self, slot: Slot<'_>, mark: LoadMark, entry: Entry) -> Result<bool, Fault> {
        let generation = self.generations.of(slot.name);
        Ok(*generation == mark.0 && self.insert(slot, entry))
    }

    async fn write(&self, slot: Slot<'_>, entry: Entry) -> Result<bool, Fault> {
        let mut generation = self.generations.of(slot.name);
        *generation += 1;
        Ok(self.insert(slot, entry))
    }

    async fn invalidate(&self, _family: Family, name: &str) -> Result<(), Fault> {
        let mut generation = self.generations.of(name);
        *generation += 1;
        self.kept.invalidate(name);
        Ok(())
    }

    fn len(&self) -> u64 {
        self.kept.entry_count()
    }
}

/// The loads under way, one a key.
struct Loads(Stripes<HashMap<Arc<str>, Arc<AsyncMutex<()>>>, 64>);

/// One task's place in a key's line of loads. Registered before it waits, so that a task that is dropped while it
/// waits leaves nothing behind.
struct Loading {
    loads: Arc<Loads>,
    name: Arc<str>,
    turn: Arc<AsyncMutex<()>>,
    held: Option<OwnedMutexGuard<()>>,
}

impl Loads {
    async fn begin(self: &Arc<Self>, name: &Arc<str>) -> Loading {
        let turn = self.0.of(name).entry(name.clone()).or_default().clone();
        let mut loading = Loading { loads: self.clone(), name: name.clone(), turn, held: None };
        loading.held = Some(loading.turn.clone().lock_owned().await);
        loading
    }
}

impl Drop for Loading {
    fn drop(&mut self) {
        let mut turns = self.loads.0.of(&self.name);
        // Under the stripe's lock nobody joins: the map's and ours are the last two when no other is there.
        self.held = None;
        if Arc::strong_count(&self.turn) == 2 {
            turns.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests;
