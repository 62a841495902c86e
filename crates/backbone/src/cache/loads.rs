//! The loads under way in this process, one a key; the others stand in line.

use crate::stripes::Stripes;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Loads(Arc<Stripes<Lines, 64>>);

type Lines = HashMap<Arc<str>, Arc<AsyncMutex<()>>>;

/// One task's place in a key's line of loads. Registered before it waits, so that a task that is dropped while it
/// waits leaves nothing behind.
pub(super) struct Turn {
    loads: Loads,
    name: Arc<str>,
    turn: Arc<AsyncMutex<()>>,
    held: Option<OwnedMutexGuard<()>>,
}

impl Loads {
    pub fn new() -> Self {
        Self(Arc::new(Stripes::new()))
    }

    /// Waits until all who came before are done.
    pub async fn begin(&self, name: &Arc<str>) -> Turn {
        let mut place = self.place(name);
        place.held = Some(place.turn.clone().lock_owned().await);
        place
    }

    /// None when somebody loads.
    pub fn try_begin(&self, name: &Arc<str>) -> Option<Turn> {
        let mut place = self.place(name);
        place.held = Some(place.turn.clone().try_lock_owned().ok()?);
        Some(place)
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.0.each().all(|turns| turns.is_empty())
    }

    fn place(&self, name: &Arc<str>) -> Turn {
        let turn = self.0.of(name).entry(name.clone()).or_default().clone();
        Turn { loads: self.clone(), name: name.clone(), turn, held: None }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut turns = self.loads.0.of(&self.name);
        // Under the stripe's lock nobody joins: the map's and ours are the last two when no other is there.
        self.held = None;
        if Arc::strong_count(&self.turn) == 2 {
            turns.remove(&self.name);
        }
    }
}
