//! Cached copies of what the store holds.
//!
//! A key fixes the type of its value and its time to live; keys are made in [`crate::keys`]. Values carry a row version
//! and a schema number: an older version never overwrites a newer one, and another schema counts as absent. A key is
//! loaded once at a time however many ask, over all servers that share a Redis, and a load that an invalidation overtakes
//! is answered but not kept. What the store does not have is kept as well, as a negative entry. In the last tenth of its
//! time a value is loaded anew by one of those who ask for it, while the others still have the old one.
//!
//! What keeps it true is the store's change feed, which every server reads: an invalidation is always of a change that
//! stands there, so one that is lost comes again. [`Cache::told`] and [`Cache::heard`] keep count of how far the
//! invalidations have come that all servers share.
//!
//! In an outage: the near cache and the store; the change feed still invalidates. On recovery the near cache stays, it
//! never holds what the feed has called stale; Redis is believed again once it was told of every change that it missed.

mod facade;
mod loads;
pub mod local;
mod near;
pub mod redis;

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
    /// How many ordinary values it is as large as, in the memory of a process; see [`weight_of`].
    fn weight(&self) -> u32 {
        1
    }
}

/// What a value of so many bytes weighs.
pub fn weight_of(bytes: usize) -> u32 {
    const ORDINARY: usize = 4096;
    u32::try_from(1 + bytes / ORDINARY).unwrap_or(u32::MAX)
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
    SessionPreferences,
    SessionDraft,
    SessionUpload,
}

impl Family {
    /// In the order of their declaration.
    pub const ALL: [Self; 11] = [
        Self::UserProfile,
        Self::Username,
        Self::Character,
        Self::CharacterGallery,
        Self::CharacterPrompt,
        Self::Conversation,
        Self::Context,
        Self::Personality,
        Self::SessionPreferences,
        Self::SessionDraft,
        Self::SessionUpload,
    ];

    pub fn ttl(self) -> Duration {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        Duration::from_secs(match self {
            Self::UserProfile | Self::Username | Self::Personality => HOUR,
            Self::SessionPreferences | Self::SessionUpload => HOUR,
            Self::SessionDraft => 24 * HOUR,
            Self::Character => 6 * HOUR,
            Self::CharacterGallery | Self::CharacterPrompt => 2 * HOUR,
            Self::Conversation => 30 * MINUTE,
            Self::Context => 2 * MINUTE,
        })
    }

    /// What people left in their sessions: it keeps its time in the `development` profile too.
    pub fn is_of_session(self) -> bool {
        matches!(self, Self::SessionPreferences | Self::SessionDraft | Self::SessionUpload)
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
            Self::SessionPreferences => "session_preferences",
            Self::SessionDraft => "session_draft",
            Self::SessionUpload => "session_upload",
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
    /// See [`Cached::weight`].
    pub weight: u32,
}

impl Entry {
    /// The store has nothing.
    pub fn nothing() -> Self {
        Self { value: None, version: 0, weight: 1 }
    }
}

/// Where a value was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// In this process.
    Near,
    Redis,
}

#[derive(Clone)]
pub struct Found {
    pub entry: Entry,
    pub level: Level,
    /// It ends soon, and of those who ask this one is to load it anew.
    pub is_aging: bool,
}

/// The place of one who loads a key. Dropping it, done or not, lets the next one in.
pub struct Load {
    /// How often the key was invalidated or written here when the load began.
    mark: u64,
    _turn: loads::Turn,
    /// The same place among all servers; none where there is no one to share with.
    lease: Option<redis::lease::Lease>,
    /// What is kept still, and ends soon.
    pub before: Option<Entry>,
}

/// What comes of asking for a key.
pub enum Begun {
    Found(Found),
    Load(Load),
}

/// How values of one type leave this process and come back; a backend that keeps them here has no need of it.
#[derive(Clone, Copy)]
pub struct Codec {
    pub schema: u16,
    /// Whether it is a value of this type.
    pub is: fn(&(dyn Any + Send + Sync)) -> bool,
    /// None for a value of another type, or one that cannot be written as JSON.
    pub encode: fn(&(dyn Any + Send + Sync)) -> Option<Vec<u8>>,
    /// None for what is no such value.
    pub decode: fn(&[u8]) -> Option<Arc<dyn Any + Send + Sync>>,
    /// See [`Cached::weight`].
    pub weigh: fn(&(dyn Any + Send + Sync)) -> u32,
}

impl Codec {
    pub fn of<T: Cached>() -> Self {
        Self {
            schema: T::SCHEMA,
            is: |value| value.is::<T>(),
            encode: |value| serde_json::to_vec(value.downcast_ref::<T>()?).ok(),
            decode: |bytes| Some(Arc::new(serde_json::from_slice::<T>(bytes).ok()?)),
            weigh: |value| value.downcast_ref::<T>().map_or(1, T::weight),
        }
    }
}

impl Codec {
    /// Whether `entry` is one of this type; what another schema left under its name is not.
    fn fits(&self, entry: &Entry) -> bool {
        entry.value.as_deref().is_none_or(self.is)
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

/// How far an invalidation goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// This process alone: of a change that all servers share the news of, see [`Cache::told`].
    Here,
    Everywhere,
}

/// What a backend does. Callers use [`Cache`].
#[async_trait]
pub trait CacheBackend: Send + Sync + 'static {
    /// What is kept in this process, without waiting for anything: the way of a hit.
    fn near(&self, name: &str) -> Option<Found>;
    /// What is kept for all servers, or in this process where there is nobody else; without a load.
    async fn get(&self, slot: Slot<'_>) -> Result<Option<Found>, Fault>;
    /// Waits until nobody else loads the key, on any server, and says what is kept by then, or that this one loads it.
    async fn begin(&self, slot: Slot<'_>) -> Result<Begun, Fault>;
    /// The same for a value that is kept still: none, without waiting, when somebody else loads it already.
    async fn begin_ahead(&self, slot: Slot<'_>) -> Result<Option<Begun>, Fault>;
    /// Keeps what a load found. False when the key was invalidated or written since it began, or a newer version is kept.
    async fn put(&self, slot: Slot<'_>, load: Load, entry: Entry) -> Result<bool, Fault>;
    /// Keeps what was just written to the store; loads under way are not kept. False when a newer version is kept.
    async fn write(&self, slot: Slot<'_>, entry: Entry) -> Result<bool, Fault>;
    async fn invalidate(&self, name: &str, reach: Reach) -> Result<(), Fault>;
    /// See [`Cache::told`].
    async fn told(&self, here: i64) -> Result<i64, Fault>;
    /// See [`Cache::heard`].
    async fn heard(&self, to: i64) -> Result<(), Fault>;
    /// Values kept in this process now, as far as is known.
    fn len(&self) -> u64;
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
