//! Who a token belongs to, by the token's hash.
//!
//! In an outage: sessions are read from the store and kept in this process; revocation travels by the store's change
//! feed. On recovery what was revoked stays revoked: a load that began before a revocation is not kept, and a copy that was
//! read from the store before it is not believed, whoever has heard of it.

pub mod local;
pub mod redis;

use crate::Fault;
use aim_domain::{Member, TokenHash, UserId};
use async_trait::async_trait;
use std::sync::Arc;

/// Taken before the store is read, given back with what was read: tells whether anything was revoked in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadMark {
    /// How many drops there had been.
    pub drops: u64,
    /// Up to where this server had taken in the change feed: what the store says from here on is not older.
    pub position: i64,
}

#[async_trait]
pub trait Sessions: Send + Sync + 'static {
    /// None when it is not kept here, or over.
    async fn get(&self, token: &TokenHash) -> Result<Option<Arc<Member>>, Fault>;
    async fn begin_load(&self, token: &TokenHash) -> Result<LoadMark, Fault>;
    /// Keeps a session until it is over; false when it, or its user's sessions, were dropped since `mark`.
    async fn keep(&self, mark: LoadMark, member: Arc<Member>) -> Result<bool, Fault>;
    async fn drop_session(&self, token: &TokenHash) -> Result<(), Fault>;
    /// Drops all of a user's, so that a changed tier or role is read anew.
    async fn drop_user(&self, user: &UserId) -> Result<(), Fault>;
}
