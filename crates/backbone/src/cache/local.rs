//! The cache in this process alone: the near cache, and one load at a time.

use super::loads::Loads;
use super::near::{Life, Near};
use super::{Begun, CacheBackend, Entry, Family, Found, Load, Reach, Slot};
use crate::{Fault, Settings};
use aim_domain::Ambient;
use async_trait::async_trait;
use std::time::Duration;

pub struct LocalCache {
    near: Near,
    loads: Loads,
    short: bool,
}

impl LocalCache {
    pub fn new(settings: &Settings, ambient: &Ambient) -> Self {
        Self { near: Near::new(settings.cache_capacity, ambient), loads: Loads::new(), short: settings.short_cache }
    }

    fn life(&self, family: Family) -> Life {
        Life::new(ttl(family, self.short))
    }
}

/// A family's time to live; in the `development` profile a tenth of it, but for those of sessions.
pub(super) fn ttl(family: Family, short: bool) -> Duration {
    if short && !family.is_of_session() { family.ttl() / 10 } else { family.ttl() }
}

#[async_trait]
impl CacheBackend for LocalCache {
    fn near(&self, name: &str) -> Option<Found> {
        self.near.find(name)
    }

    async fn get(&self, slot: Slot<'_>) -> Result<Option<Found>, Fault> {
        Ok(self.near.look(slot.name, slot.codec))
    }

    async fn begin(&self, slot: Slot<'_>) -> Result<Begun, Fault> {
        let turn = self.loads.begin(slot.name).await;
        // Whoever loaded before may have found it.
        Ok(match self.near.look(slot.name, slot.codec) {
            Some(found) => Begun::Found(found),
            None => Begun::Load(Load { mark: self.near.mark(slot.name), _turn: turn, lease: None, before: None }),
        })
    }

    async fn begin_ahead(&self, slot: Slot<'_>) -> Result<Option<Begun>, Fault> {
        let load = |turn| Begun::Load(Load { mark: self.near.mark(slot.name), _turn: turn, lease: None, before: None });
        Ok(self.loads.try_begin(slot.name).map(load))
    }

    async fn put(&self, slot: Slot<'_>, load: Load, entry: Entry) -> Result<bool, Fault> {
        Ok(self.near.keep(slot.name, load.mark, entry, self.life(slot.family)))
    }

    async fn write(&self, slot: Slot<'_>, entry: Entry) -> Result<bool, Fault> {
        Ok(self.near.write(slot.name, entry, self.life(slot.family)))
    }

    async fn invalidate(&self, name: &str, _reach: Reach) -> Result<(), Fault> {
        self.near.forget(name);
        Ok(())
    }

    /// There is nobody to tell.
    async fn told(&self, here: i64) -> Result<i64, Fault> {
        Ok(here)
    }

    async fn heard(&self, _to: i64) -> Result<(), Fault> {
        Ok(())
    }

    fn len(&self) -> u64 {
        self.near.len()
    }
}

#[cfg(test)]
mod tests;
