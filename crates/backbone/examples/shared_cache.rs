//! What the cache that servers share costs, over a Redis of its own on this machine:
//! `cargo run --release -p aim-backbone --example shared_cache`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement that cannot run says so and ends")]

use aim_backbone::cache::redis::RedisCache;
use aim_backbone::cache::{Cache, Cached, Key, Reach};
use aim_backbone::link::{Link, Settings as LinkSettings, with_budget};
use aim_backbone::{Settings, keys, turns};
use aim_domain::{Ambient, CharacterId};
use aim_testkit::RedisServer;
use futures::stream::{self, StreamExt};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Serialize, Deserialize)]
struct Sheet(String);

impl Cached for Sheet {
    const SCHEMA: u16 = 1;
    fn version(&self) -> i64 {
        1
    }
}

const MANY: usize = 10_000;
/// Requests that a busy server has under way.
const SIDE_BY_SIDE: usize = 64;

/// A profile, a character's sheet, a window of messages.
const SIZES: [(&str, usize); 3] = [("300 B", 300), ("4 kB", 4_000), ("40 kB", 40_000)];

fn report(what: &str, operations: usize, took: Duration) {
    println!("{what:<52}{:>9.2} µs", took.as_secs_f64() * 1e6 / operations as f64);
}

/// Prose, which is compressed to a third or so.
fn text(length: usize, n: usize) -> String {
    let words = ["lighthouse", "storm", "keeper", "lamp", "tide", "gull", "harbour", "fog", "rope", "salt", "night"];
    let mut text = String::with_capacity(length + 16);
    let mut state = n as u64 + 1;
    while text.len() < length {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(words[(state >> 33) as usize % words.len()]);
        text.push(' ');
    }
    text.truncate(length);
    text
}

fn key(length: usize, n: usize) -> Key<Sheet> {
    keys::character(&CharacterId::trusted(format!("c{length}-{n}")))
}

async fn cache(redis: &RedisServer, capacity: u64) -> Cache {
    let link = LinkSettings { url: redis.url(), prefix: "aim:".into(), ..Default::default() };
    let link = Link::open("cache", link).unwrap();
    assert!(link.ready(Duration::from_secs(5)).await);
    let settings =
        Settings { short_cache: false, cache_capacity: capacity, turns: turns::Settings::default(), answers: true };
    let cache = Cache::new(Arc::new(RedisCache::new(link.client("cache"), &settings, &Ambient::system())));
    cache.told(0).await.unwrap();
    cache.heard(0).await;
    cache
}

async fn get(cache: &Cache, key: &Key<Sheet>, value: impl FnOnce() -> Sheet + Send) {
    let Ok(found) = cache.get_or_load(key, async { Ok::<_, Infallible>(Some(value())) }).await;
    assert!(found.is_some());
}

fn unasked() -> Sheet {
    unreachable!("it is kept")
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // However long a machine takes that does other things too: what is asked is what it costs.
    with_budget(Duration::from_secs(3_600), costs()).await;
}

async fn costs() {
    let redis = RedisServer::start().await.unwrap();
    // The second keeps nothing near, so that Redis answers each time.
    let (near, far) = (cache(&redis, 100_000).await, cache(&redis, 0).await);
    for (name, length) in SIZES {
        let keys: Vec<_> = (0..MANY).map(|n| key(length, n)).collect();
        println!("{name}");
        let some = &keys[..MANY / 10];
        let start = Instant::now();
        for (n, key) in some.iter().enumerate() {
            get(&near, key, || Sheet(text(length, n))).await;
        }
        report("  miss: look, load and keep, one at a time", some.len(), start.elapsed());
        stream::iter(keys.iter().enumerate())
            .for_each_concurrent(SIDE_BY_SIDE, |(n, key)| get(&near, key, move || Sheet(text(length, n))))
            .await;
        // The quickest of many rounds: a machine that does other things too slows some of them.
        let mut quickest = Duration::MAX;
        for _ in 0..100 {
            let start = Instant::now();
            for key in &keys {
                get(&near, key, unasked).await;
            }
            quickest = quickest.min(start.elapsed());
        }
        report("  near hit", MANY, quickest);
        let start = Instant::now();
        for key in some {
            get(&far, key, unasked).await;
        }
        report("  hit in Redis, one at a time", some.len(), start.elapsed());
        redis.command(&["CONFIG", "RESETSTAT"]).await.unwrap();
        let start = Instant::now();
        stream::iter(&keys).for_each_concurrent(SIDE_BY_SIDE, |key| get(&far, key, unasked)).await;
        report("  hit in Redis, 64 at a time", MANY, start.elapsed());
        let spent = redis.info("cmdstat_evalsha").await.unwrap();
        println!("  in Redis: {spent}");
        let start = Instant::now();
        for key in some {
            near.invalidate(key, Reach::Everywhere).await;
        }
        report("  invalidation, one at a time", some.len(), start.elapsed());
    }
    let memory = redis.info("used_memory_dataset").await.unwrap();
    println!("Redis holds {} values in {memory} bytes", SIZES.len() * MANY * 9 / 10);
}
