//! Usage copies in this process, the most used ones first.

use super::{LoadMark, Usage, WHOLE};
use crate::Fault;
use crate::stripes::Stripes;
use aim_domain::usage::USAGE_WINDOW;
use aim_domain::{Ambient, CharacterId, Timestamp, UsageCount, UserId};
use async_trait::async_trait;
use moka::sync::Cache;
use std::collections::BTreeSet;

/// Copies kept, over all users; some 200 bytes each.
const CAPACITY: u64 = 200_000;
/// Users of whom it is known which copies are all; some 100 bytes each, and as many a character.
const WHOLES: u64 = 50_000;

pub struct LocalUsage {
    copies: Cache<(UserId, CharacterId), Copy>,
    /// The characters of those whose rows were all kept.
    whole: Cache<UserId, Whole>,
    stripes: Stripes<Stripe, 4096>,
    ambient: Ambient,
}

/// What happened to the users of a stripe.
#[derive(Default)]
struct Stripe {
    /// How often one of them was forgotten. A copy counts only under the number that it was kept under, so that forgetting
    /// a user needs no list of its characters; a neighbour's copies are merely read anew.
    forgotten: u64,
    /// How often a row was kept, or a user forgotten.
    changes: u64,
}

#[derive(Clone)]
struct Copy {
    row: UsageCount,
    forgotten: u64,
}

#[derive(Clone)]
struct Whole {
    characters: BTreeSet<CharacterId>,
    until: Timestamp,
    forgotten: u64,
}

impl LocalUsage {
    pub fn new(ambient: &Ambient) -> Self {
        let copies = Cache::builder().name("usage").max_capacity(CAPACITY).time_to_live(USAGE_WINDOW).build();
        let whole = Cache::builder().name("usages").max_capacity(WHOLES).time_to_live(WHOLE).build();
        Self { copies, whole, stripes: Stripes::new(), ambient: ambient.clone() }
    }

    /// Under its user's stripe, held to the end: of two rows kept at once the newer one stays.
    fn keep_one(&self, stripe: &Stripe, user: &UserId, character: &CharacterId, row: UsageCount) {
        let forgotten = stripe.forgotten;
        let key = (user.clone(), character.clone());
        let newer = |copy: Copy| copy.forgotten == forgotten && copy.row.version > row.version;
        if !self.copies.get(&key).is_some_and(newer) {
            self.copies.insert(key, Copy { row, forgotten });
        }
    }

    fn is_over(&self, row: &UsageCount) -> bool {
        row.since.is_some_and(|since| since.plus(USAGE_WINDOW) <= self.ambient.now())
    }
}

#[async_trait]
impl Usage for LocalUsage {
    async fn of(&self, user: &UserId, character: &CharacterId) -> Result<Option<UsageCount>, Fault> {
        let Some(copy) = self.copies.get(&(user.clone(), character.clone())) else { return Ok(None) };
        let counts = copy.forgotten == self.stripes.of(user).forgotten && !self.is_over(&copy.row);
        Ok(counts.then_some(copy.row))
    }

    async fn keep(&self, user: &UserId, character: &CharacterId, row: UsageCount) -> Result<(), Fault> {
        let mut stripe = self.stripes.of(user);
        stripe.changes += 1;
        self.keep_one(&stripe, user, character, row);
        if let Some(mut whole) = self.whole.get(user)
            && whole.forgotten == stripe.forgotten
            && whole.characters.insert(character.clone())
        {
            self.whole.insert(user.clone(), whole);
        }
        Ok(())
    }

    async fn all_of(&self, user: &UserId) -> Result<Option<Vec<(CharacterId, UsageCount)>>, Fault> {
        let stripe = self.stripes.of(user);
        let Some(whole) = self.whole.get(user) else { return Ok(None) };
        if whole.forgotten != stripe.forgotten || whole.until <= self.ambient.now() {
            return Ok(None);
        }
        let row = |character: CharacterId| {
            let copy = self.copies.get(&(user.clone(), character.clone()))?;
            (copy.forgotten == stripe.forgotten).then_some((character, copy.row))
        };
        let rows: Option<Vec<_>> = whole.characters.into_iter().map(row).collect();
        let counts = |(_, row): &(CharacterId, UsageCount)| row.since.is_some() && !self.is_over(row);
        Ok(rows.map(|rows| rows.into_iter().filter(counts).collect()))
    }

    async fn begin_load(&self, user: &UserId) -> Result<LoadMark, Fault> {
        Ok(LoadMark(self.stripes.of(user).changes))
    }

    async fn keep_all(&self, mark: LoadMark, user: &UserId, rows: &[(CharacterId, UsageCount)]) -> Result<(), Fault> {
        let stripe = self.stripes.of(user);
        // Another row may have been kept since, and perhaps be evicted already.
        if stripe.changes == mark.0 {
            rows.iter().for_each(|(character, row)| self.keep_one(&stripe, user, character, *row));
            let characters = rows.iter().map(|(character, _)| character.clone()).collect();
            let until = self.ambient.now().plus(WHOLE);
            self.whole.insert(user.clone(), Whole { characters, until, forgotten: stripe.forgotten });
        }
        Ok(())
    }

    async fn forget(&self, user: &UserId) -> Result<(), Fault> {
        let mut stripe = self.stripes.of(user);
        stripe.forgotten += 1;
        stripe.changes += 1;
        Ok(())
    }
}
