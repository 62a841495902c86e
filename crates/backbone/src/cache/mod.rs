//! Cached copies of what the store holds.
//!
//! A key fixes the type of its value and its time to live; keys are made in [`crate::keys`]. Values carry a row version
//! and a schema number: an older version never overwrites a newer one, and another schema counts as absent. A key is
//! loaded once at a time however many ask, and a load that an invalidation overtakes is answered but not kept. What the
//! store does not have is kept as well, as a negative entry.
//!
//! In an outage: the near cache and the store; the change feed still invalidates. On recovery the near cache stays, it
//! never holds what the feed has called stale.

mod facade;
pub mod local;

pub use facade::Cache;

use crate::Fault;
use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::Any;
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
    /// In the order of their declaration.
    pub const ALL: [Self; 8] = [
        Self::UserProfile,
        Self::Username,
        Self::Character,
        Self::CharacterGallery,
        Self::CharacterPrompt,
        Self::Conversation,
        Self::Context,
        Self::Personality,
    ];

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

/// How values of one type leave this process and come back; a backend that keeps them here has no need of it.
#[derive(Clone, Copy)]
pub struct Codec {
    pub schema: u16,
    /// None for a value of another type, or one that cannot be written as JSON.
    pub encode: fn(&(dyn Any + Send + Sync)) -> Option<Vec<u8>>,
    /// None for what is no such value.
    pub decode: fn(&[u8]) -> Option<Arc<dyn Any + Send + Sync>>,
}

impl Codec {
    pub fn of<T: Cached>() -> Self {
        Self {
            schema: T::SCHEMA,
            encode: |value| serde_json::to_vec(value.downcast_ref::<T>()?).ok(),
            decode: |bytes| Some(Arc::new(serde_json::from_slice::<T>(bytes).ok()?)),
        }
    }
}

/// A key as a backend sees it.
#[derive(Clone, Copy)]
pub struct Slot<'a> {
    pub family: Family,
    pub name: &'a Arc<str>,
    pub codec: Codec,
}

impl<T: Cached> Key<T> {
    fn slot(&self) -> Slot<'_> {
        Slot { family: self.family, name: &self.name, codec: Codec::of::<T>() }
    }
}

/// What a backend does. Callers use [`Cache`].
#[async_trait]
pub trait CacheBackend: Send + Sync + 'static {
    /// What is kept in this process, without waiting for anything: the way of a hit.
    fn near(&self, family: Family, name: &str) -> Option<Entry>;
    async fn get(&self, slot: Slot<'_>) -> Result<Option<Entry>, Fault>;
    /// Waits until no other task of this process loads the key, then says that this one does; the guard ends it.
    async fn begin_load(&self, slot: Slot<'_>) -> Result<(LoadGuard, LoadMark), Fault>;
    /// Keeps what a load found. False when the key was invalidated or written since `mark`, or a newer version is kept.
    async fn put(&self, slot: Slot<'_>, mark: LoadMark, entry: Entry) -> Result<bool, Fault>;
    /// Keeps what was just written to the store; loads under way are not kept. False when a newer version is kept.
    async fn write(&self, slot: Slot<'_>, entry: Entry) -> Result<bool, Fault>;
    async fn invalidate(&self, family: Family, name: &str) -> Result<(), Fault>;
    /// Values kept now, as far as is known.
    fn len(&self) -> u64;
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Holds a key's load; dropping it, done or not, lets the next task in.
pub struct LoadGuard(pub Box<dyn Any + Send>);
