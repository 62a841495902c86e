//! The cache that a fleet shares: the promises of the contract, with Redis and while the network breaks, and what several
//! servers promise together.

mod faults;
mod fleet;
mod notes;
mod promises;
mod replicas;
mod telling;

use super::*;
use crate::cache::{Cache, Key};
use crate::conformance::cache::{Sheet, key, sheet};
use crate::conformance::guarded::RedisServer;
use crate::link::{BUDGET, Link, Settings as LinkSettings, with_budget};
use aim_testkit::ChaosProxy;
use parking_lot::Mutex;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

const PATIENCE: Duration = Duration::from_secs(10);

/// The store of these tests: one row, whose version is the cursor of its last change.
struct Truth {
    version: AtomicI64,
    loads: AtomicUsize,
    slowness: Duration,
}

impl Truth {
    fn new(slowness: Duration) -> Arc<Self> {
        Arc::new(Self { version: AtomicI64::new(1), loads: AtomicUsize::new(0), slowness })
    }

    fn version(&self) -> i64 {
        self.version.load(Ordering::SeqCst)
    }

    /// What the row says when the load begins.
    async fn load(&self) -> Result<Option<Sheet>, Infallible> {
        let version = self.version();
        self.loads.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(self.slowness).await;
        Ok(Some(sheet(version)))
    }

    fn loads(&self) -> usize {
        self.loads.load(Ordering::SeqCst)
    }

    /// A commit, of which nobody has heard.
    fn change(&self) -> i64 {
        self.version.fetch_add(1, Ordering::SeqCst) + 1
    }
}

/// One Redis and the truth behind it.
struct World {
    redis: RedisServer,
    truth: Arc<Truth>,
}

/// One server, with a network of its own to Redis.
struct Server {
    proxy: ChaosProxy,
    link: Link,
    backend: Arc<RedisCache>,
    cache: Cache,
    truth: Arc<Truth>,
    cursor: Mutex<i64>,
    /// How long its calls may take: a machine that does other things too is no fault of Redis.
    budget: Duration,
}

impl World {
    async fn new() -> Self {
        Self::of(RedisServer::start().await.unwrap(), Duration::from_millis(1))
    }

    async fn slow(load: Duration) -> Self {
        Self::of(RedisServer::start().await.unwrap(), load)
    }

    fn of(redis: RedisServer, load: Duration) -> Self {
        Self { redis, truth: Truth::new(load) }
    }

    /// One that follows the feed from now.
    async fn server(&self) -> Server {
        let server = self.starting().await;
        server.read_feed().await;
        assert!(server.believes());
        server
    }

    /// The same with the budget of a request.
    async fn hasty(&self) -> Server {
        Server { budget: BUDGET, ..self.server().await }
    }

    /// One that has connected, and not begun to follow the feed.
    async fn starting(&self) -> Server {
        let proxy = ChaosProxy::before(self.redis.address()).await.unwrap();
        let link = link(self.redis.url_at(proxy.address())).await;
        let backend = Arc::new(RedisCache::new(link.client("cache"), &settings(), &Ambient::system()));
        let (cache, cursor) = (Cache::new(backend.clone()), Mutex::new(self.truth.version()));
        Server { proxy, link, backend, cache, truth: self.truth.clone(), cursor, budget: PATIENCE }
    }

    async fn redis(&self, words: &[&str]) -> aim_testkit::resp::Reply {
        self.redis.command(words).await.unwrap()
    }

    /// How often Redis ran a command.
    async fn count(&self, command: &str) -> u64 {
        let Ok(stats) = self.redis.info(&format!("cmdstat_{command}")).await else { return 0 };
        stats.split(['=', ',']).nth(1).unwrap().parse().unwrap()
    }
}

impl Server {
    async fn ask(&self) -> i64 {
        let Ok(found) = with_budget(self.budget, self.cache.get_or_load(&key(), self.truth.load())).await;
        found.unwrap().version
    }

    /// What Redis answers, whatever is near.
    async fn kept(&self) -> Option<i64> {
        let key: Key<Sheet> = key();
        let read = self.backend.read(key.slot(), self.backend.standing.era()?, 0);
        Some(with_budget(PATIENCE, read).await?.entry.version)
    }

    fn near(&self) -> Option<i64> {
        Some(self.backend.near.find(&key().name)?.entry.version)
    }

    fn forget_near(&self) {
        self.backend.near.forget(&key().name);
    }

    /// As the platform does.
    async fn read_feed(&self) {
        with_budget(self.budget, async {
            let here = *self.cursor.lock();
            let told = self.cache.told(here).await;
            let from = told.map_or(here, |told| told.min(here));
            let end = self.truth.version();
            for at in from + 1..=end {
                let reach = if told.is_some_and(|told| at <= told) { Reach::Here } else { Reach::Everywhere };
                self.cache.invalidate(&key(), reach).await;
            }
            *self.cursor.lock() = end;
            if told.is_some() {
                self.cache.heard(end).await;
            }
        })
        .await;
    }

    async fn invalidate(&self) {
        with_budget(self.budget, self.cache.invalidate(&key(), Reach::Everywhere)).await;
    }

    fn believes(&self) -> bool {
        self.backend.standing.era().is_some()
    }
}

fn settings() -> Settings {
    Settings { short_cache: false, cache_capacity: 10_000, turns: crate::turns::Settings::default(), answers: true }
}

async fn link(url: String) -> Link {
    let link = Link::open("cache", LinkSettings { url, prefix: "aim:".into(), ..Default::default() }).unwrap();
    assert!(link.ready(PATIENCE).await);
    link
}

async fn until(what: &str, holds: impl AsyncFnMut() -> bool) {
    crate::conformance::eventually(what, holds).await;
}
