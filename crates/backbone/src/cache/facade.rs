//! What callers use of the cache: typed keys in, shared values out. Faults of the backend stay here, counted and
//! logged; the caller's load answers instead.

use super::{Begun, CacheBackend, Cached, Entry, Family, Found, Key, Level, Load, Reach};
use crate::Fault;
use metrics::{Counter, counter};
use std::future::Future;
use std::sync::Arc;

/// Cheap to clone.
#[derive(Clone)]
pub struct Cache {
    backend: Arc<dyn CacheBackend>,
    requests: Arc<[Requests; Family::ALL.len()]>,
}

/// One family's counters, looked up once: a hit costs an addition. The hit ratio is what was not a `miss` of all, that
/// of the database what neither was a `miss` nor loaded `ahead`.
struct Requests {
    hit: PerLevel,
    negative: PerLevel,
    miss: Counter,
    /// Loaded while the old value could still be had.
    ahead: Counter,
    fault: Counter,
}

struct PerLevel {
    near: Counter,
    redis: Counter,
}

impl Requests {
    fn of(family: Family) -> Self {
        let family = family.as_str();
        let requests = |result: &'static str, level: &'static str| counter!("aim_cache_requests_total", "family" => family, "result" => result, "level" => level);
        let kept = |result| PerLevel { near: requests(result, "near"), redis: requests(result, "redis") };
        Self {
            hit: kept("hit"),
            negative: kept("negative"),
            miss: requests("miss", "store"),
            ahead: requests("ahead", "store"),
            fault: counter!("aim_cache_faults_total", "family" => family),
        }
    }
}

impl PerLevel {
    fn of(&self, level: Level) -> &Counter {
        match level {
            Level::Near => &self.near,
            Level::Redis => &self.redis,
        }
    }
}

/// What is known of a key: its value, or that the store has none.
type Known<T> = Option<Arc<T>>;

/// None for an entry of another type, which another schema may have left under this name.
fn known<T: Cached>(entry: Entry) -> Option<Known<T>> {
    match entry.value {
        None => Some(None),
        Some(value) => value.downcast::<T>().ok().map(Some),
    }
}

fn entry<T: Cached>(value: Option<&Arc<T>>) -> Entry {
    let Some(value) = value else { return Entry::nothing() };
    Entry { value: Some(value.clone() as _), version: value.version(), weight: value.weight() }
}

impl Cache {
    pub fn new(backend: Arc<dyn CacheBackend>) -> Self {
        Self { backend, requests: Arc::new(Family::ALL.map(Requests::of)) }
    }

    /// The value of `key`, loaded where it is not kept. None: the store does not have it, and that is kept too.
    ///
    /// Loads run one at a time for each key; whoever waited for another's load looks again first. A load that fails, or
    /// is dropped half way, keeps nothing, and the next that waits loads. A load that an invalidation overtakes answers
    /// its caller and is not kept. Where the backend cannot answer the load does. One of those who ask shortly before a
    /// value's end loads it anew; if that fails, the value that is kept still is the answer.
    pub async fn get_or_load<T: Cached, E>(
        &self,
        key: &Key<T>,
        load: impl Future<Output = Result<Option<T>, E>> + Send,
    ) -> Result<Option<Arc<T>>, E> {
        let mut before = None;
        if let Some(Found { entry, level, is_aging }) = self.backend.near(&key.name)
            && let Some(found) = known(entry)
        {
            if !is_aging {
                self.count(key.family, level, found.is_some());
                return Ok(found);
            }
            before = Some(found);
        }
        self.load(key, before, load).await
    }

    /// `before` is what is kept and ends soon.
    async fn load<T: Cached, E>(
        &self,
        key: &Key<T>,
        before: Option<Known<T>>,
        load: impl Future<Output = Result<Option<T>, E>> + Send,
    ) -> Result<Option<Arc<T>>, E> {
        let begun = match &before {
            None => self.backend.begin(key.slot()).await.map(Some),
            Some(_) => self.backend.begin_ahead(key.slot()).await,
        };
        let (place, before) = match (begun, before) {
            (Ok(Some(Begun::Found(Found { entry, level, .. }))), before) => match known(entry).or(before) {
                Some(found) => {
                    self.count(key.family, level, found.is_some());
                    return Ok(found);
                }
                // Not to be: a backend finds what is of the slot's type.
                None => (None, None),
            },
            (Ok(Some(Begun::Load(place))), before) => {
                let kept = place.before.clone();
                (Some(place), before.or_else(|| kept.and_then(known)))
            }
            (_, Some(found)) => {
                self.count(key.family, Level::Near, found.is_some());
                return Ok(found);
            }
            (Ok(None), None) => (None, None),
            (Err(fault), None) => {
                self.fault("read", key.family, &fault);
                (None, None)
            }
        };
        let requests = self.requests(key.family);
        if before.is_some() {
            requests.ahead.increment(1)
        } else {
            requests.miss.increment(1)
        }
        match (load.await, before) {
            (Ok(value), _) => {
                let value = value.map(Arc::new);
                self.keep(key, place, value.as_ref()).await;
                Ok(value)
            }
            (Err(_), Some(found)) => Ok(found),
            (Err(error), None) => Err(error),
        }
    }

    async fn keep<T: Cached>(&self, key: &Key<T>, place: Option<Load>, value: Option<&Arc<T>>) {
        let Some(place) = place else { return };
        match self.backend.put(key.slot(), place, entry(value)).await {
            Ok(true) => {}
            Ok(false) => tracing::debug!(key = &*key.name, "a load was overtaken"),
            Err(fault) => self.fault("keep", key.family, &fault),
        }
    }

    /// What this process has of it, without a load and without asking Redis; None for a negative entry too. It counts as no
    /// request: for values that are made more cheaply than Redis is asked.
    pub fn near<T: Cached>(&self, key: &Key<T>) -> Option<Arc<T>> {
        self.backend.near(&key.name).and_then(|found| known(found.entry)).flatten()
    }

    /// The value that is kept, without a load; None for a negative entry too.
    pub async fn peek<T: Cached>(&self, key: &Key<T>) -> Option<Arc<T>> {
        self.peek_if(key, |_| true).await
    }

    /// The same, if it `fits`: where another server may have written a later one, this process's copy is not the last
    /// word.
    pub async fn peek_if<T: Cached>(&self, key: &Key<T>, fits: impl Fn(&T) -> bool + Send) -> Option<Arc<T>> {
        if let Some(value) = self.near(key).filter(|value| fits(value)) {
            self.count(key.family, Level::Near, true);
            return Some(value);
        }
        let found = self.backend.get(key.slot()).await.unwrap_or_else(|fault| {
            self.fault("read", key.family, &fault);
            None
        });
        let fitting = found.and_then(|found| {
            let value = known::<T>(found.entry).flatten().filter(|value| fits(value))?;
            Some((value, found.level))
        });
        match &fitting {
            Some((_, level)) => self.count(key.family, *level, true),
            None => self.requests(key.family).miss.increment(1),
        }
        fitting.map(|(value, _)| value)
    }

    /// Keeps what was just written to the store, unless a newer version is kept. Loads under way are not kept, since
    /// they may have read what was there before.
    pub async fn write<T: Cached>(&self, key: &Key<T>, value: T) {
        if let Err(fault) = self.backend.write(key.slot(), entry(Some(&Arc::new(value)))).await {
            self.fault("write", key.family, &fault);
        }
    }

    /// Drops the key, and what loads under way will find: after a change of the store, which stands in its feed.
    pub async fn invalidate<T>(&self, key: &Key<T>, reach: Reach) {
        if let Err(fault) = self.backend.invalidate(&key.name, reach).await {
            self.fault("invalidate", key.family, &fault);
        }
    }

    /// Up to which change of the feed all that the servers share was invalidated, by whichever of them. `here` is how far
    /// this server has come. Changes up to the answer have to be taken in with [`Reach::Here`] alone; those after it with
    /// [`Reach::Everywhere`], also where this server took them in before. None while nobody can be told.
    ///
    /// What other servers keep is believed from the first [`Cache::heard`] on, and not while an invalidation is missing.
    pub async fn told(&self, here: i64) -> Option<i64> {
        match self.backend.told(here).await {
            Ok(told) => Some(told),
            Err(fault) => {
                tracing::debug!(%fault, "nobody can be told what changed");
                None
            }
        }
    }

    /// Every change after the last answer of [`Cache::told`] up to `to` was taken in, and `to` is where the feed ends. One
    /// that ends before that answer is another feed than it was: a database that was restored.
    pub async fn heard(&self, to: i64) {
        if let Err(fault) = self.backend.heard(to).await {
            tracing::debug!(%fault, "nobody was told that the changes were taken in");
        }
    }

    /// Values kept in this process now, as far as is known.
    pub fn len(&self) -> u64 {
        self.backend.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn requests(&self, family: Family) -> &Requests {
        &self.requests[family as usize]
    }

    fn count(&self, family: Family, level: Level, is_there: bool) {
        let requests = self.requests(family);
        if is_there { requests.hit.of(level).increment(1) } else { requests.negative.of(level).increment(1) }
    }

    fn fault(&self, what: &'static str, family: Family, fault: &Fault) {
        self.requests(family).fault.increment(1);
        tracing::warn!(%fault, what, family = family.as_str(), "the cache did not answer");
    }
}
