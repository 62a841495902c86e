//! Cached copies of what the store holds.
//!
//! A key fixes the type of its value and its time to live; keys are made in [`crate::keys`]. Values carry a row version
//! and a schema number: an older version never overwrites a newer one, and another schema counts as absent. A key is
//! loaded once at a time however many ask, and a load that an invalidation overtakes is answered but not kept. What the
//! store does not have is kept as well, as a negative entry.
//!
//! In an outage: the near cache and the store; the change feed still invalidates. On recovery the near cache stays, it
//! never holds what the feed has called stale.

pub mod local;

use crate::Fault;
use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::Any;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// What may be cached. A reply of a model may not: no type that holds one implements this.
pub trait Cached: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Raised whenever the serialised form changes.
    const SCHEMA: u16;
    /// The version of the row it was made from; 0 for values that cannot be told apart.
    fn version(&self) -> i64;
}

/// The families of API.md part 1, with their times to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    UserProfile,
    Username,
    Character,
    CharacterGallery,
    CharacterPrompt,
    Conversation,
    Context,
    Personality,
}

impl Family {
    pub fn ttl(self) -> Duration {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        Duration::from_secs(match self {
            Self::UserProfile | Self::Username | Self::Personality => HOUR,
            Self::Character => 6 * HOUR,
            Self::CharacterGallery | Self::CharacterPrompt => 2 * HOUR,
            Self::Conversation => 30 * MINUTE,
            Self::Context => 2 * MINUTE,
        })
    }

    /// The label of its metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UserProfile => "user_profile",
            Self::Username => "username",
            Self::Character => "character",
            Self::CharacterGallery => "character_gallery",
            Self::CharacterPrompt => "character_prompt",
            Self::Conversation => "conversation",
            Self::Context => "context",
            Self::Personality => "personality",
        }
    }
}

/// The name of one value, without the prefix, and its type.
pub struct Key<T> {
    pub name: Arc<str>,
    pub family: Family,
    of: PhantomData<fn() -> T>,
}

impl<T> Key<T> {
    /// For [`crate::keys`] alone.
    pub(crate) fn new(family: Family, name: String) -> Self {
        Self { name: name.into(), family, of: PhantomData }
    }
}

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        Self { name: self.name.clone(), family: self.family, of: PhantomData }
    }
}

/// A value as a backend keeps it: shared in this process, and in bytes where it leaves it.
#[derive(Clone)]
pub struct Entry {
    /// None: the store does not have it.
    pub value: Option<Arc<dyn Any + Send + Sync>>,
    pub version: i64,
}

/// Taken before a load and given back with its value, to tell whether the key was invalidated in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadMark(pub u64);

/// What a backend does. Callers use [`Cache`].
#[async_trait]
pub trait CacheBackend: Send + Sync + 'static {
    async fn get(&self, family: Family, name: &str) -> Result<Option<Entry>, Fault>;
    /// Waits until no other task of this process loads the key, then says that this one does; the guard ends it.
    async fn begin_load(&self, family: Family, name: &Arc<str>) -> Result<(LoadGuard, LoadMark), Fault>;
    /// False when the key was invalidated since `mark`, or a newer version is kept.
    async fn put(&self, family: Family, name: &Arc<str>, mark: LoadMark, entry: Entry) -> Result<bool, Fault>;
    async fn invalidate(&self, family: Family, name: &str) -> Result<(), Fault>;
    /// Values kept now.
    fn len(&self) -> u64;
}

/// Holds a key's load; dropping it, done or not, lets the next task in.
pub struct LoadGuard(pub Box<dyn Any + Send>);
