//! What the local cache does beside the promises: time to live, its bound, and the facade over a backend that fails.

use super::*;
use crate::cache::{Cache, Cached, weight_of};
use crate::conformance::cache::{Sheet, draft, key, sheet};
use crate::keys;
use aim_domain::{DraftKey, ManualClock, SeededRandom, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::sync::Arc;

fn settings(short_cache: bool) -> Settings {
    Settings { short_cache, cache_capacity: 100, turns: crate::turns::Settings::default(), answers: true }
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
async fn what_a_session_left_has_its_time_in_every_profile() {
    const HOUR: Duration = Duration::from_secs(60 * 60);
    for (family, hours) in [(Family::SessionPreferences, 1), (Family::SessionDraft, 24), (Family::SessionUpload, 1)] {
        assert_eq!([ttl(family, false), ttl(family, true)], [HOUR * hours; 2], "{family:?}");
    }
    let (cache, _, clock) = open(true);
    cache.write(&draft("u1", "character"), sheet(1)).await;
    clock.advance(HOUR * 24 - Duration::from_millis(1));
    assert!(cache.peek(&draft("u1", "character")).await.is_some());
    clock.advance(Duration::from_millis(1));
    assert!(cache.peek(&draft("u1", "character")).await.is_none());
}

#[derive(Serialize, Deserialize)]
struct Long(Vec<u8>);

impl Cached for Long {
    const SCHEMA: u16 = 1;
    fn version(&self) -> i64 {
        0
    }
    fn weight(&self) -> u32 {
        weight_of(self.0.len())
    }
}

#[tokio::test]
async fn large_values_count_as_several() {
    let (cache, backend, _) = open(false);
    let name = |n: u32| keys::session_draft::<Long>(&UserId::trusted("u1"), &DraftKey::trusted(format!("d{n}")));
    for n in 0..50 {
        cache.write(&name(n), Long(vec![0; 40 * 1024])).await;
    }
    backend.near.settle();
    assert!((1..=9).contains(&cache.len()), "of 11 each, within 100: {}", cache.len());
    cache.write(&name(99), Long(vec![0; 1024 * 1024])).await;
    backend.near.settle();
    assert!(cache.peek(&name(99)).await.is_none(), "one that is larger than all is not kept");
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
    assert!(backend.loads.is_empty());
}

#[tokio::test]
async fn it_keeps_no_more_than_its_capacity() {
    let (cache, backend, _) = open(false);
    for n in 0..1_000 {
        let key = crate::keys::character(&aim_domain::CharacterId::trusted(format!("c{n}")));
        cache.write(&key, sheet(1)).await;
    }
    backend.near.settle();
    assert!(cache.len() <= 100, "{}", cache.len());
}

/// A cache that answers nothing.
struct Broken;

#[async_trait]
impl CacheBackend for Broken {
    fn near(&self, _: &str) -> Option<Found> {
        None
    }
    async fn get(&self, _: Slot<'_>) -> Result<Option<Found>, Fault> {
        Err(away())
    }
    async fn begin(&self, _: Slot<'_>) -> Result<Begun, Fault> {
        Err(away())
    }
    async fn begin_ahead(&self, _: Slot<'_>) -> Result<Option<Begun>, Fault> {
        Err(away())
    }
    async fn put(&self, _: Slot<'_>, _: Load, _: Entry) -> Result<bool, Fault> {
        Err(away())
    }
    async fn write(&self, _: Slot<'_>, _: Entry) -> Result<bool, Fault> {
        Err(away())
    }
    async fn invalidate(&self, _: &str, _: Reach) -> Result<(), Fault> {
        Err(away())
    }
    async fn told(&self, _: i64) -> Result<i64, Fault> {
        Err(away())
    }
    async fn heard(&self, _: i64) -> Result<(), Fault> {
        Err(away())
    }
    fn len(&self) -> u64 {
        0
    }
}

fn away() -> Fault {
    Fault::new("cache", "it is away")
}

#[tokio::test]
async fn where_the_backend_fails_the_load_answers() {
    let cache = Cache::new(Arc::new(Broken));
    for version in 1..3 {
        let Ok(found) = cache.get_or_load(&key(), async { Ok::<_, Infallible>(Some(sheet(version))) }).await;
        assert_eq!(found.as_deref(), Some(&sheet(version)));
    }
    cache.write(&key(), sheet(1)).await;
    cache.invalidate(&key(), Reach::Everywhere).await;
    assert!(cache.peek(&key()).await.is_none());
    assert_eq!(cache.told(1).await, None);
}

#[tokio::test]
async fn one_of_those_who_ask_in_the_last_tenth_loads_anew_and_the_others_have_the_old_value() {
    let (cache, _, clock) = open(false);
    cache.write(&key(), sheet(1)).await;
    let ttl = Family::Character.ttl();
    clock.advance(ttl - ttl / 10 - Duration::from_millis(1));
    let unasked = async { panic!("it is not due yet") };
    let Ok::<_, Infallible>(found) = cache.get_or_load(&key(), unasked).await;
    assert_eq!(found.as_deref(), Some(&sheet(1)));

    clock.advance(Duration::from_millis(1));
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let (go, may_go) = tokio::sync::oneshot::channel();
    let loads = tokio::spawn({
        let cache = cache.clone();
        async move {
            let load = async {
                begun.send(()).unwrap();
                may_go.await.unwrap();
                Ok::<_, Infallible>(Some(sheet(2)))
            };
            let Ok(found) = cache.get_or_load(&key(), load).await;
            assert_eq!(found.as_deref(), Some(&sheet(2)));
        }
    });
    has_begun.await.unwrap();
    for _ in 0..10 {
        let unasked = async { panic!("somebody loads it") };
        let Ok::<_, Infallible>(found) = cache.get_or_load(&key(), unasked).await;
        assert_eq!(found.as_deref(), Some(&sheet(1)));
        clock.advance(Duration::from_secs(1));
    }
    go.send(()).unwrap();
    loads.await.unwrap();
    clock.advance(ttl / 2);
    assert_eq!(cache.peek(&key()).await.as_deref(), Some(&sheet(2)), "it has its whole time again");
}

#[tokio::test]
async fn a_value_that_could_not_be_loaded_ahead_of_its_end_is_the_answer_until_then() {
    let (cache, _, clock) = open(false);
    cache.write(&key(), sheet(1)).await;
    let ttl = Family::Character.ttl();
    clock.advance(ttl - ttl / 20);
    let fails = async { Err::<Option<Sheet>, _>("the store is away") };
    assert_eq!(cache.get_or_load(&key(), fails).await.unwrap().as_deref(), Some(&sheet(1)));
    clock.advance(ttl / 20);
    let fails = async { Err::<Option<Sheet>, _>("the store is away") };
    assert!(cache.get_or_load(&key(), fails).await.is_err());
}
