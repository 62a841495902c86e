//! Copies of the store's usage rows: they refuse early and show instantly. The store's own row decides in the commit of
//! the message, so a copy that is missing or old costs a read, never a message too many.
//!
//! In an outage: there are none, the store is read. On recovery those that Redis did not hear of are deleted before any
//! is read again; an older version never overwrites a newer one.

pub mod local;
pub mod redis;

use crate::Fault;
use aim_domain::{CharacterId, UsageCount, UserId};
use async_trait::async_trait;

#[async_trait]
pub trait Usage: Send + Sync + 'static {
    /// None when there is no copy, or its 24 hours are over.
    async fn of(&self, user: &UserId, character: &CharacterId) -> Result<Option<UsageCount>, Fault>;
    /// Keeps a row as the store gave it; one with a lower `version` than the copy's changes nothing.
    async fn keep(&self, user: &UserId, character: &CharacterId, row: UsageCount) -> Result<(), Fault>;
    /// Drops every copy of a user's.
    async fn forget(&self, user: &UserId) -> Result<(), Fault>;
}
