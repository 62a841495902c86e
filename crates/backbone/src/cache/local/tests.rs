//! What the local cache does beside the promises: time to live, its bound, and the facade over a backend that fails.

use super::*;
use crate::cache::{Cache, CacheBackend};
use crate::conformance::cache::{Sheet, key, sheet};
use aim_domain::{ManualClock, SeededRandom};
use std::convert::Infallible;

fn settings(short_cache: bool) -> Settings {
    Settings { short_cache, cache_capacity: 100, turns: crate::turns::Settings::default() }
}

fn open(short_cache: bool) -> (Cache, Arc<LocalCache>, Arc<ManualClock>) {
    let clock = ManualClock::at(Timestamp(1_000));
    let ambient = Ambient { clock: clock.clone(), random: SeededRandom::new(1) };
    let backend = Arc::new(LocalCache::new(&settings(short_cache), &ambient));
    (Cache::new(backend.clone()), backend, clock)
}

#[tokio::test]
async fn a_value_is_over_when_its_family_says() {
    for (short, ttl) in [(false, Family::Character.ttl()), (true, Family::Character.ttl() / 10)] {
        let (cache, _, clock) = open(short);
        cache.write(&key(), sheet(1)).await;
        clock.advance(ttl - Duration::from_millis(1));
        assert!(cache.peek(&key()).await.is_some());
        clock.advance(Duration::from_millis(1));
        assert!(cache.peek(&key()).await.is_none());
        let Ok(found) = cache.get_or_load(&key(), async { Ok::<_, Infallible>(Some(sheet(1))) }).await;
        assert!(found.is_some() && cache.peek(&key()).await.is_some(), "what is over stands in nobody's way");
    }
}

#[tokio::test]
async fn a_load_leaves_no_trace_in_the_line_of_loads() {
    let (cache, backend, _) = open(false);
    let waits = {
        let cache = cache.clone();
        let never = std::future::pending::<Result<Option<Sheet>, Infallible>>();
        tokio::spawn(async move { cache.get_or_load(&key(), never).await.is_ok() })
    };
    tokio::task::yield_now().await;
    let second = {
        let cache = cache.clone();
        tokio::spawn(async move { cache.get_or_load(&key(), async { Ok::<_, Infallible>(None) }).await.is_ok() })
    };
    tokio::task::yield_now().await;
    // The one that waits goes first, then the one that loads.
    second.abort();
    let _ = second.await;
    waits.abort();
    let _ = waits.await;
    assert!(backend.loads.0.each().all(|loads| loads.is_empty()));
}

#[tokio::test]
async fn it_keeps_no_more_than_its_capacity() {
    let (cache, backend, _) = open(false);
    for n in 0..1_000 {
        let key = crate::keys::character(&aim_domain::CharacterId::trusted(format!("c{n}")));
        cache.write(&key, sheet(1)).await;
    }
    backend.kept.run_pending_tasks();
    assert!(cache.len() <= 100, "{}", cache.len());
}

/// A cache that answers nothing.
struct Broken;

#[async_trait]
impl CacheBackend for Broken {
    fn near(&self, _: Family, _: &str) -> Option<Entry> {
        None
    }
    async fn get(&self, _: Slot<'_>) -> Result<Option<Entry>, Fault> {
        Err(Fault::new("cache", "it is away"))
    }
    async fn begin_load(&self, _: Slot<'_>) -> Result<(LoadGuard, LoadMark), Fault> {
        Err(Fault::new("cache", "it is away"))
    }
    async fn put(&self, _: Slot<'_>, _: LoadMark, _: Entry) -> Result<bool, Fault> {
        Err(Fault::new("cache", "it is away"))
    }
    async fn write(&self, _: Slot<'_>, _: Entry) -> Result<bool, Fault> {
        Err(Fault::new("cache", "it is away"))
    }
    async fn invalidate(&self, _: Family, _: &str) -> Result<(), Fault> {
        Err(Fault::new("cache", "it is away"))
    }
    fn len(&self) -> u64 {
        0
    }
}

#[tokio::test]
async fn where_the_backend_fails_the_load_answers() {
    let cache = Cache::new(Arc::new(Broken));
    for version in 1..3 {
        let Ok(found) = cache.get_or_load(&key(), async { Ok::<_, Infallible>(Some(sheet(version))) }).await;
        assert_eq!(found.as_deref(), Some(&sheet(version)));
    }
    cache.write(&key(), sheet(1)).await;
    cache.invalidate(&key()).await;
    assert!(cache.peek(&key()).await.is_none());
}
