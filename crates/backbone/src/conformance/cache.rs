//! What every backend of the cache promises, through [`Cache`] as callers use it.

use super::Bench;
use crate::cache::{Cache, CacheBackend, Cached, Key, Reach};
use crate::keys;
use aim_domain::{CharacterId, DraftKey, UploadId, UserId};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;

#[macro_export]
macro_rules! cache_promises {
    ($open:expr) => {
        $crate::promises!(
            cache,
            $open,
            a_value_is_loaded_once_and_then_kept,
            what_the_store_does_not_have_is_kept_too,
            a_key_is_loaded_once_at_a_time_however_many_ask,
            an_invalidated_value_is_loaded_anew,
            a_load_that_an_invalidation_overtakes_is_answered_and_not_kept,
            a_load_that_a_write_overtakes_leaves_the_written_value,
            an_older_version_never_overwrites_a_newer_one,
            a_failed_load_is_not_kept_and_the_next_one_loads,
            a_dropped_load_lets_the_next_one_in,
            a_value_of_another_type_counts_as_absent,
            what_a_session_left_is_kept_under_its_own_name,
            an_older_draft_never_takes_the_place_of_a_later_one,
        );
    };
}

type Open = Bench<dyn CacheBackend>;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sheet {
    pub(crate) name: String,
    pub(crate) version: i64,
}

impl Cached for Sheet {
    const SCHEMA: u16 = 1;
    fn version(&self) -> i64 {
        self.version
    }
}

/// What a later release keeps under the same name.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct LaterSheet {
    title: String,
}

impl Cached for LaterSheet {
    const SCHEMA: u16 = 2;
    fn version(&self) -> i64 {
        1
    }
}

pub(crate) fn key() -> Key<Sheet> {
    keys::character(&CharacterId::trusted("c1"))
}

pub(crate) fn sheet(version: i64) -> Sheet {
    Sheet { name: "Mara".into(), version }
}

fn cache(bench: &Open) -> Cache {
    Cache::new(bench.backend.clone())
}

async fn ask(cache: &Cache, version: i64) -> Option<i64> {
    let load = async { Ok::<_, Infallible>(Some(sheet(version))) };
    let Ok(found) = cache.get_or_load(&key(), load).await;
    found.map(|sheet| sheet.version)
}

async fn kept(cache: &Cache) -> Option<i64> {
    cache.peek(&key()).await.map(|sheet| sheet.version)
}

/// A load that says when it has begun, and ends when it is told to.
async fn held_load(cache: &Cache, version: i64) -> (tokio::task::JoinHandle<Option<i64>>, oneshot::Sender<()>) {
    let (begun, has_begun) = oneshot::channel();
    let (go, may_go) = oneshot::channel();
    let cache = cache.clone();
    let task = tokio::spawn(async move {
        let load = async {
            begun.send(()).unwrap();
            may_go.await.unwrap();
            Ok::<_, Infallible>(Some(sheet(version)))
        };
        let Ok(found) = cache.get_or_load(&key(), load).await;
        found.map(|sheet| sheet.version)
    });
    has_begun.await.unwrap();
    (task, go)
}

pub async fn a_value_is_loaded_once_and_then_kept(bench: Open) {
    let cache = cache(&bench);
    assert_eq!(kept(&cache).await, None);
    assert_eq!(ask(&cache, 1).await, Some(1));
    assert_eq!(ask(&cache, 2).await, Some(1));
    assert_eq!(kept(&cache).await, Some(1));
    let other = keys::character::<Sheet>(&CharacterId::trusted("c2"));
    assert!(cache.peek(&other).await.is_none());
}

pub async fn what_the_store_does_not_have_is_kept_too(bench: Open) {
    let cache = cache(&bench);
    let Ok(found) = cache.get_or_load(&key(), async { Ok::<_, Infallible>(None) }).await;
    assert_eq!(found, None);
    assert_eq!(ask(&cache, 1).await, None, "it is known not to be there");
    cache.invalidate(&key(), Reach::Everywhere).await;
    assert_eq!(ask(&cache, 1).await, Some(1));
}

pub async fn a_key_is_loaded_once_at_a_time_however_many_ask(bench: Open) {
    let cache = cache(&bench);
    let loads = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..200)
        .map(|_| {
            let (cache, loads) = (cache.clone(), loads.clone());
            tokio::spawn(async move {
                let load = async {
                    loads.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    Ok::<_, Infallible>(Some(sheet(1)))
                };
                let Ok(found) = cache.get_or_load(&key(), load).await;
                assert_eq!(found.as_deref(), Some(&sheet(1)));
            })
        })
        .collect();
    futures::future::join_all(tasks).await.into_iter().for_each(|task| task.unwrap());
    assert_eq!(loads.load(Ordering::SeqCst), 1);
}

pub async fn an_invalidated_value_is_loaded_anew(bench: Open) {
    let cache = cache(&bench);
    ask(&cache, 1).await;
    cache.invalidate(&key(), Reach::Everywhere).await;
    assert_eq!(kept(&cache).await, None);
    assert_eq!(ask(&cache, 2).await, Some(2));
}

pub async fn a_load_that_an_invalidation_overtakes_is_answered_and_not_kept(bench: Open) {
    let cache = cache(&bench);
    let (task, go) = held_load(&cache, 1).await;
    cache.invalidate(&key(), Reach::Everywhere).await;
    go.send(()).unwrap();
    assert_eq!(task.await.unwrap(), Some(1));
    assert_eq!(kept(&cache).await, None);
    assert_eq!(ask(&cache, 2).await, Some(2));
}

pub async fn a_load_that_a_write_overtakes_leaves_the_written_value(bench: Open) {
    let cache = cache(&bench);
    let (task, go) = held_load(&cache, 0).await;
    cache.write(&key(), sheet(0)).await;
    cache.write(&key(), sheet(7)).await;
    go.send(()).unwrap();
    assert_eq!(task.await.unwrap(), Some(0));
    assert_eq!(kept(&cache).await, Some(7));
}

pub async fn an_older_version_never_overwrites_a_newer_one(bench: Open) {
    let cache = cache(&bench);
    cache.write(&key(), sheet(5)).await;
    cache.write(&key(), sheet(4)).await;
    assert_eq!(kept(&cache).await, Some(5));
    cache.write(&key(), sheet(6)).await;
    assert_eq!(kept(&cache).await, Some(6));
}

pub async fn a_failed_load_is_not_kept_and_the_next_one_loads(bench: Open) {
    let cache = cache(&bench);
    let (fails, go) = {
        let (go, may_go) = oneshot::channel::<()>();
        let (begun, has_begun) = oneshot::channel();
        let cache = cache.clone();
        let load = async move {
            begun.send(()).unwrap();
            may_go.await.unwrap();
            Err::<Option<Sheet>, _>("the store is away")
        };
        let task = tokio::spawn(async move { cache.get_or_load(&key(), load).await });
        has_begun.await.unwrap();
        (task, go)
    };
    let waits = tokio::spawn({
        let cache = cache.clone();
        async move { ask(&cache, 2).await }
    });
    tokio::task::yield_now().await;
    go.send(()).unwrap();
    assert_eq!(fails.await.unwrap(), Err("the store is away"));
    assert_eq!(waits.await.unwrap(), Some(2));
}

pub async fn a_dropped_load_lets_the_next_one_in(bench: Open) {
    let cache = cache(&bench);
    let (task, _go) = held_load(&cache, 1).await;
    let waits = tokio::spawn({
        let cache = cache.clone();
        async move { ask(&cache, 2).await }
    });
    tokio::task::yield_now().await;
    task.abort();
    assert_eq!(waits.await.unwrap(), Some(2));
    assert_eq!(kept(&cache).await, Some(2));
}

pub async fn a_value_of_another_type_counts_as_absent(bench: Open) {
    let cache = cache(&bench);
    ask(&cache, 1).await;
    let later = keys::character::<LaterSheet>(&CharacterId::trusted("c1"));
    assert_eq!(cache.peek(&later).await, None);
    let load = async { Ok::<_, Infallible>(Some(LaterSheet { title: "Mara".into() })) };
    let Ok(found) = cache.get_or_load(&later, load).await;
    assert_eq!(found.map(|sheet| sheet.title.clone()), Some("Mara".into()));
}

pub(crate) fn draft(user: &str, form: &str) -> Key<Sheet> {
    keys::session_draft(&UserId::trusted(user), &DraftKey::trusted(form))
}

fn preferences(user: &str) -> Key<Sheet> {
    keys::session_preferences(&UserId::trusted(user))
}

fn upload(id: &str) -> Key<Sheet> {
    keys::session_upload(&UploadId::trusted(id))
}

pub async fn what_a_session_left_is_kept_under_its_own_name(bench: Open) {
    let cache = cache(&bench);
    let all =
        [preferences("u1"), preferences("u2"), draft("u1", "a"), draft("u1", "b"), draft("u2", "a"), upload("p1")];
    for (key, version) in all.iter().zip(1..) {
        cache.write(key, sheet(version)).await;
    }
    let kept = async |key: &Key<Sheet>| cache.peek(key).await.map(|sheet| sheet.version);
    for (key, version) in all.iter().zip(1..) {
        assert_eq!(kept(key).await, Some(version), "{}", key.name);
    }
    cache.invalidate(&all[2], Reach::Everywhere).await;
    for (key, version) in all.iter().zip(1..) {
        assert_eq!(kept(key).await, (version != 3).then_some(version), "{}", key.name);
    }
}

/// Saved again and again while somebody reads it from the store.
pub async fn an_older_draft_never_takes_the_place_of_a_later_one(bench: Open) {
    use std::sync::atomic::AtomicI64;
    let (cache, key, stored) = (cache(&bench), draft("u1", "character"), Arc::new(AtomicI64::new(1)));
    let reads = tokio::spawn({
        let (cache, key, stored) = (cache.clone(), key.clone(), stored.clone());
        async move {
            for _ in 0..50 {
                let before = stored.load(Ordering::SeqCst);
                let load = async {
                    let version = stored.load(Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    Ok::<_, Infallible>(Some(sheet(version)))
                };
                let Ok(found) = cache.get_or_load(&key, load).await;
                let version = found.unwrap().version;
                // The last save may be in the store and not yet told.
                assert!(before - 1 <= version, "{version} after {before}");
                cache.invalidate(&key, Reach::Everywhere).await;
            }
        }
    });
    for version in 2..20 {
        stored.store(version, Ordering::SeqCst);
        cache.write(&key, sheet(version)).await;
        tokio::task::yield_now().await;
    }
    reads.await.unwrap();
    let load = async { Ok::<_, Infallible>(Some(sheet(stored.load(Ordering::SeqCst)))) };
    let Ok(found) = cache.get_or_load(&key, load).await;
    assert_eq!(found.unwrap().version, 19);
}
