//! Usage copies in this process, the most used ones first.

use super::Usage;
use crate::Fault;
use crate::stripes::Stripes;
use aim_domain::usage::USAGE_WINDOW;
use aim_domain::{Ambient, CharacterId, UsageCount, UserId};
use async_trait::async_trait;
use moka::sync::Cache;

/// Copies kept, over all users; some 200 bytes each.
const CAPACITY: u64 = 200_000;

pub struct LocalUsage {
    copies: Cache<(UserId, CharacterId), Copy>,
    /// How often users of each stripe were forgotten. A copy counts only under the number that it was kept under, so that
    /// forgetting a user needs no list of its characters; a neighbour's copies are merely read anew.
    forgotten: Stripes<u64, 4096>,
    ambient: Ambient,
}

#[derive(Clone)]
struct Copy {
    row: UsageCount,
    forgotten: u64,
}

impl LocalUsage {
    pub fn new(ambient: &Ambient) -> Self {
        let copies = Cache::builder().name("usage").max_capacity(CAPACITY).time_to_live(USAGE_WINDOW).build();
        Self { copies, forgotten: Stripes::new(), ambient: ambient.clone() }
    }
}

#[async_trait]
impl Usage for LocalUsage {
    async fn of(&self, user: &UserId, character: &CharacterId) -> Result<Option<UsageCount>, Fault> {
        let Some(copy) = self.copies.get(&(user.clone(), character.clone())) else { return Ok(None) };
        let is_over = copy.row.since.is_some_and(|since| since.plus(USAGE_WINDOW) <= self.ambient.now());
        let counts = copy.forgotten == *self.forgotten.of(user) && !is_over;
        Ok(counts.then_some(copy.row))
    }

    async fn keep(&self, user: &UserId, character: &CharacterId, row: UsageCount) -> Result<(), Fault> {
        let key = (user.clone(), character.clone());
        // Held to the end: of two rows kept at once the newer one stays.
        let forgotten = self.forgotten.of(user);
        let newer = |copy: Copy| copy.forgotten == *forgotten && copy.row.version > row.version;
        if !self.copies.get(&key).is_some_and(newer) {
            self.copies.insert(key, Copy { row, forgotten: *forgotten });
        }
        Ok(())
    }

    async fn forget(&self, user: &UserId) -> Result<(), Fault> {
        *self.forgotten.of(user) += 1;
        Ok(())
    }
}
