//! What callers use of the cache: typed keys in, shared values out. Faults of the backend stay here, counted and
//! logged; the caller's load answers instead.

use super::{CacheBackend, Cached, Entry, Family, Key, LoadGuard, LoadMark};
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

/// One family's counters, looked up once: a hit costs an addition.
struct Requests {
    hit: Counter,
    negative: Counter,
    miss: Counter,
    fault: Counter,
}

impl Requests {
    fn of(family: Family) -> Self {
        let family = family.as_str();
        let result =
            |result: &'static str| counter!("aim_cache_requests_total", "family" => family, "result" => result);
        Self {
            hit: result("hit"),
            negative: result("negative"),
            miss: result("miss"),
            fault: counter!("aim_cache_faults_total", "family" => family),
        }
    }
}

/// A kept answer: the value, or that the store does not have it. Absent for an entry of another type, which another
/// schema may have left under this name.
fn kept<T: Cached>(entry: Entry) -> Option<Option<Arc<T>>> {
    match entry.value {
        None => Some(None),
        Some(value) => value.downcast::<T>().ok().map(Some),
    }
}

fn entry<T: Cached>(value: Option<&Arc<T>>) -> Entry {
    let version = value.map_or(0, |value| value.version());
    Entry { value: value.map(|value| value.clone() as _), version }
}

impl Cache {
    pub fn new(backend: Arc<dyn CacheBackend>) -> Self {
        Self { backend, requests: Arc::new(Family::ALL.map(Requests::of)) }
    }

    /// The value of `key`, loaded where it is not kept. None: the store does not have it, and that is kept too.
    ///
    /// Loads run one at a time for each key; whoever waited for another's load looks again first. A load that fails, or
    /// is dropped half way, keeps nothing, and the next that waits loads. A load that an invalidation overtakes answers
    /// its caller and is not kept. Where the backend cannot answer the load does.
    pub async fn get_or_load<T: Cached, E>(
        &self,
        key: &Key<T>,
        load: impl Future<Output = Result<Option<T>, E>> + Send,
    ) -> Result<Option<Arc<T>>, E> {
        if let Some(found) = self.backend.near(key.family, &key.name).and_then(kept) {
            self.count(key.family, found.is_some());
            return Ok(found);
        }
        self.load(key, load).await
    }

    async fn load<T: Cached, E>(
        &self,
        key: &Key<T>,
        load: impl Future<Output = Result<Option<T>, E>> + Send,
    ) -> Result<Option<Arc<T>>, E> {
        let begun = match self.begin(key).await {
            Ok(Begun::Found(found)) => {
                self.count(key.family, found.is_some());
                return Ok(found);
            }
            Ok(Begun::Load(guard, mark)) => Some((guard, mark)),
            Err(fault) => {
                self.fault("read", key.family, &fault);
                None
            }
        };
        self.requests(key.family).miss.increment(1);
        let value = load.await?.map(Arc::new);
        if let Some((guard, mark)) = begun {
            match self.backend.put(key.slot(), mark, entry(value.as_ref())).await {
                Ok(true) => {}
                Ok(false) => tracing::debug!(key = &*key.name, "a load was overtaken"),
                Err(fault) => self.fault("keep", key.family, &fault),
            }
            drop(guard);
        }
        Ok(value)
    }

    /// Looks, and takes the key's load when there is nothing; looks again once it has it, since the one who had it
    /// before may have found the value.
    async fn begin<T: Cached>(&self, key: &Key<T>) -> Result<Begun<T>, Fault> {
        let slot = key.slot();
        if let Some(found) = self.backend.get(slot).await?.and_then(kept) {
            return Ok(Begun::Found(found));
        }
        let (guard, mark) = self.backend.begin_load(slot).await?;
        match self.backend.get(slot).await?.and_then(kept) {
            Some(found) => Ok(Begun::Found(found)),
            None => Ok(Begun::Load(guard, mark)),
        }
    }

    /// The value that is kept, without a load; None for a negative entry too.
    pub async fn peek<T: Cached>(&self, key: &Key<T>) -> Option<Arc<T>> {
        let found = match self.backend.near(key.family, &key.name) {
            Some(near) => Some(near),
            None => self.backend.get(key.slot()).await.unwrap_or_else(|fault| {
                self.fault("read", key.family, &fault);
                None
            }),
        };
        found.and_then(kept).flatten()
    }

    /// Keeps what was just written to the store, unless a newer version is kept. Loads under way are not kept, since
    /// they may have read what was there before.
    pub async fn write<T: Cached>(&self, key: &Key<T>, value: T) {
        if let Err(fault) = self.backend.write(key.slot(), entry(Some(&Arc::new(value)))).await {
            self.fault("write", key.family, &fault);
        }
    }

    /// Drops the key, and what loads under way will find.
    pub async fn invalidate<T>(&self, key: &Key<T>) {
        if let Err(fault) = self.backend.invalidate(key.family, &key.name).await {
            self.fault("invalidate", key.family, &fault);
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

    fn count(&self, family: Family, is_there: bool) {
        let requests = self.requests(family);
        if is_there { requests.hit.increment(1) } else { requests.negative.increment(1) }
    }

    fn fault(&self, what: &'static str, family: Family, fault: &Fault) {
        self.requests(family).fault.increment(1);
        tracing::warn!(%fault, what, family = family.as_str(), "the cache did not answer");
    }
}

enum Begun<T> {
    Found(Option<Arc<T>>),
    Load(LoadGuard, LoadMark),
}
