//! Copies of the store's usage rows: they refuse early and show instantly. The store's own row decides in the commit of
//! the message, so a copy that is missing or old costs a read, never a message too many.
//!
//! In an outage: there are none, the store is read. On recovery Redis is told what it did not hear before any copy is read
//! again; an older version never overwrites a newer one.

pub mod local;
pub mod redis;

use crate::Fault;
use aim_domain::{CharacterId, UsageCount, UserId};
use async_trait::async_trait;
use std::time::Duration;

/// How long it is believed which rows are all of a user's. A server that dies between the commit of a message and the
/// keeping of its row leaves a copy that is too old, which the next use makes good, and the end of this.
const WHOLE: Duration = Duration::from_secs(5 * 60);

/// Taken before all of a user's rows are read from the store, given back with them: tells whether others were kept in
/// between, which may lack among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadMark(pub u64);

#[async_trait]
pub trait Usage: Send + Sync + 'static {
    /// None when there is no copy, or its 24 hours are over.
    async fn of(&self, user: &UserId, character: &CharacterId) -> Result<Option<UsageCount>, Fault>;
    /// Keeps a row as the store gave it; one with a lower `version` than the copy's changes nothing.
    async fn keep(&self, user: &UserId, character: &CharacterId, row: UsageCount) -> Result<(), Fault>;
    /// Every row of a user's with a use in its 24 hours, in no order; none when it is not known that these are all.
    async fn all_of(&self, user: &UserId) -> Result<Option<Vec<(CharacterId, UsageCount)>>, Fault>;
    async fn begin_load(&self, user: &UserId) -> Result<LoadMark, Fault>;
    /// Keeps every row of a user's that the store has. From then on `all_of` answers for a while, and `keep` adds to it.
    async fn keep_all(&self, mark: LoadMark, user: &UserId, rows: &[(CharacterId, UsageCount)]) -> Result<(), Fault>;
    /// Drops every copy of a user's.
    async fn forget(&self, user: &UserId) -> Result<(), Fault>;
}
