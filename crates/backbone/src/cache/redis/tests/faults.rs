//! What the cache promises while Redis fails, answers late, or takes no writes.

use super::*;
use metrics::{Counter, CounterFn, Gauge, Histogram, KeyName, Metadata, Recorder, SharedString, Unit};
use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

#[tokio::test]
async fn a_delayed_reply_never_overwrites_an_invalidation() {
    let world = World::new().await;
    let (one, other) = (Arc::new(world.hasty().await), world.server().await);
    other.ask().await;
    for n in 2..12 {
        one.proxy.hold_replies();
        let reads = tokio::spawn({
            let one = one.clone();
            async move { one.ask().await }
        });
        // Redis has answered with what was there, and the answer is under way.
        let asked = world.count("evalsha").await;
        until("Redis has answered", async || world.count("evalsha").await > asked || one.proxy.exchanges() > 0).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        world.truth.change();
        let invalidates = tokio::spawn({
            let one = one.clone();
            async move { one.invalidate().await }
        });
        tokio::time::sleep(Duration::from_millis(10)).await;
        one.proxy.release_replies();
        let late = reads.await.unwrap();
        invalidates.await.unwrap();
        assert!((n - 1..=n).contains(&late), "{late}");
        assert_eq!(one.near().filter(|version| *version < n), None, "the late answer is not kept");
        until("it believes", async || {
            one.read_feed().await;
            one.believes()
        })
        .await;
        assert_eq!(one.ask().await, n);
        other.read_feed().await;
        assert_eq!(other.ask().await, n);
    }
}

#[tokio::test]
async fn a_reply_that_comes_after_the_invalidation_of_another_server_is_not_kept_once_the_feed_is_read() {
    let world = World::new().await;
    let (one, other) = (Arc::new(world.hasty().await), world.server().await);
    other.ask().await;
    one.proxy.delay(Duration::from_millis(20));
    let reads = tokio::spawn({
        let one = one.clone();
        async move { one.ask().await }
    });
    tokio::time::sleep(Duration::from_millis(30)).await;
    world.truth.change();
    other.invalidate().await;
    other.read_feed().await;
    assert_eq!(reads.await.unwrap(), 1, "it was asked for before");
    one.read_feed().await;
    assert_eq!((one.near(), one.ask().await), (None, 2));
}

#[tokio::test]
async fn while_redis_is_away_the_near_cache_and_the_store_answer_at_once() {
    let world = World::new().await;
    let one = world.hasty().await;
    one.ask().await;
    one.proxy.black_hole();
    until("the breaker opens", async || {
        one.forget_near();
        let began = Instant::now();
        assert_eq!(one.ask().await, 1);
        assert!(began.elapsed() < Duration::from_millis(5 * 105), "{:?}", began.elapsed());
        one.link.passage() == Passage::Closed
    })
    .await;
    let loads = world.truth.loads();
    one.forget_near();
    let began = Instant::now();
    assert_eq!(one.ask().await, 1);
    assert_eq!(one.ask().await, 1);
    assert!(began.elapsed() < Duration::from_millis(5 * 6), "{:?}", began.elapsed());
    assert_eq!(world.truth.loads(), loads + 1, "it is kept near");
    world.truth.change();
    one.read_feed().await;
    assert_eq!(one.ask().await, 2);
    one.proxy.heal().await;
    assert!(one.link.ready(PATIENCE).await);
    assert_eq!((one.near(), one.ask().await), (Some(2), 2), "what was kept near is good still");
    one.read_feed().await;
    one.forget_near();
    assert_eq!((one.ask().await, one.kept().await), (2, Some(2)));
}

#[tokio::test]
async fn a_full_redis_still_answers_and_still_forgets() {
    let world = World::new().await;
    let (one, other) = (world.server().await, world.server().await);
    one.ask().await;
    world.redis(&["CONFIG", "SET", "maxmemory", "1"]).await;
    until("it is noticed", async || {
        let _ = other.backend.write(key().slot(), Entry::nothing()).await;
        other.forget_near();
        other.link.passage() == Passage::ReadsAlone
    })
    .await;
    assert_eq!((other.ask().await, world.truth.loads()), (1, 1), "from Redis");
    world.truth.change();
    one.read_feed().await;
    other.read_feed().await;
    assert!(one.believes() && other.believes());
    assert_eq!((one.ask().await, other.ask().await), (2, 2));
    assert_eq!(other.kept().await, None);
    world.redis(&["CONFIG", "SET", "maxmemory", "0"]).await;
    until("it is kept for all again", async || {
        other.forget_near();
        other.ask().await == 2 && other.kept().await == Some(2)
    })
    .await;
}

#[tokio::test]
async fn a_redis_that_became_a_replica_is_not_believed() {
    let world = World::new().await;
    let one = world.server().await;
    one.ask().await;
    world.redis(&["REPLICAOF", "127.0.0.1", "1"]).await;
    world.truth.change();
    one.invalidate().await;
    assert!(!one.believes());
    one.read_feed().await;
    assert_eq!(one.ask().await, 2);
    one.forget_near();
    assert_eq!(one.ask().await, 2);
    world.redis(&["REPLICAOF", "NO", "ONE"]).await;
    until("it is believed again", async || {
        one.read_feed().await;
        one.believes()
    })
    .await;
    one.forget_near();
    assert_eq!(one.ask().await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_stale_read_after_a_second_while_the_network_flaps() {
    let world = World::new().await;
    let servers: Vec<Arc<Server>> =
        futures::future::join_all((0..3).map(|_| world.hasty())).await.into_iter().map(Arc::new).collect();
    let changed = Arc::new(Mutex::new((1_i64, Instant::now())));
    let mut tasks = tokio::task::JoinSet::new();
    for server in &servers {
        server.proxy.flapping(Duration::from_millis(300), Duration::from_millis(100));
        let feed = server.clone();
        tasks.spawn(async move {
            loop {
                feed.read_feed().await;
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        });
        for _ in 0..4 {
            let (server, changed) = (server.clone(), changed.clone());
            tasks.spawn(async move {
                loop {
                    // The version that was true for more than a second when the question was asked.
                    let (version, since) = *changed.lock();
                    let least = if since.elapsed() > Duration::from_secs(1) { version } else { 0 };
                    let found = server.ask().await;
                    assert!(found >= least, "{found}, but it was {least} a second ago");
                    tokio::time::sleep(Duration::from_millis(3)).await;
                }
            });
        }
    }
    for n in 0..6 {
        let version = world.truth.change();
        *changed.lock() = (version, Instant::now());
        // Every other writer dies before it has told anyone.
        if n % 2 == 0 {
            servers[n % 3].invalidate().await;
        }
        tokio::time::sleep(Duration::from_millis(1_400)).await;
    }
    assert!(tasks.try_join_next().is_none(), "nobody gave up");
    tasks.abort_all();
    while let Some(ended) = tasks.join_next().await {
        assert!(ended.is_err_and(|error| error.is_cancelled()));
    }
}

#[test]
fn requests_are_counted_by_where_they_were_answered() {
    let recorder = Counts::default();
    metrics::with_local_recorder(&recorder, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new().await;
            let (one, other) = (world.server().await, world.server().await);
            one.ask().await;
            other.ask().await;
            for _ in 0..3 {
                other.ask().await;
            }
            // Who looks here alone has made no request.
            assert!(other.cache.near(&key()).is_some());
            assert!(world.server().await.cache.near(&key()).is_none());
        });
    });
    let count = |result, level| recorder.of("aim_cache_requests_total", &["character", result, level]);
    assert_eq!(count("miss", "store"), 1);
    assert_eq!(count("hit", "redis"), 1);
    assert_eq!(count("hit", "near"), 3);
    assert_eq!(count("negative", "near"), 0);
}

/// Counters by name and the values of their labels.
#[derive(Default)]
struct Counts(Mutex<HashMap<Labelled, Arc<Count>>>);

type Labelled = (String, Vec<String>);

#[derive(Default)]
struct Count(AtomicU64);

impl CounterFn for Count {
    fn increment(&self, value: u64) {
        self.0.fetch_add(value, Ordering::SeqCst);
    }
    fn absolute(&self, value: u64) {
        self.0.store(value, Ordering::SeqCst);
    }
}

impl Counts {
    fn of(&self, name: &str, labels: &[&str]) -> u64 {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        self.0.lock().get(&(name.to_owned(), labels)).map_or(0, |count| count.0.load(Ordering::SeqCst))
    }
}

impl Recorder for Counts {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &metrics::Key, _: &Metadata<'_>) -> Counter {
        let labels = key.labels().map(|label| label.value().to_owned()).collect();
        let count = self.0.lock().entry((key.name().to_owned(), labels)).or_default().clone();
        Counter::from_arc(count)
    }
    fn register_gauge(&self, _: &metrics::Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }
    fn register_histogram(&self, _: &metrics::Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}
