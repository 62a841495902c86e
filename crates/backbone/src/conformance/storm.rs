//! A Redis and the network before it, for tests of backends that go over both; and a storm that breaks the network in
//! every way there is, one after the other, while a promise is being kept.

use super::guarded::RedisServer;
use super::outage::Outage;
use crate::Fault;
use crate::limits::{Ask, Limits, Verdict};
use crate::link::{Link, Passage, Settings, with_budget};
use crate::usage::{LoadMark, Usage};
use aim_domain::{CharacterId, Rule, UsageCount, UserId};
use aim_testkit::ChaosProxy;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

pub const PATIENCE: Duration = Duration::from_secs(10);
/// Five times what an operation may take until the breaker opens, and after.
pub const WITHIN_BUDGET: Duration = Duration::from_millis(500);
pub const AT_ONCE: Duration = Duration::from_millis(25);

/// Cheap to clone: clones stand on the same Redis.
#[derive(Clone)]
pub struct Site {
    pub redis: Arc<RedisServer>,
    pub proxy: Arc<ChaosProxy>,
    /// Over the proxy.
    pub link: Link,
}

impl Site {
    pub async fn open() -> Self {
        let redis = RedisServer::start().await.unwrap();
        let proxy = ChaosProxy::before(redis.address()).await.unwrap();
        let link = open(redis.url_at(proxy.address())).await;
        Self { redis: Arc::new(redis), proxy: Arc::new(proxy), link }
    }

    /// One whose network has just failed: its link has yet to notice.
    pub async fn in_outage<O: Outage>() -> Self {
        let site = Self::open().await;
        O::begin(&site.proxy).await;
        site
    }

    /// The address of the Redis behind the proxy.
    pub fn url(&self) -> String {
        self.redis.url_at(self.proxy.address())
    }

    /// Another server's way to the same Redis, that nothing breaks.
    pub async fn straight(&self) -> Link {
        open(self.redis.url()).await
    }

    /// Cuts the connection; this server knows that Redis is away when it returns.
    pub async fn cut(&self) {
        self.proxy.cut().await;
        self.until(Passage::Closed).await;
    }

    /// All is well again, and this server knows it.
    pub async fn heal(&self) {
        self.proxy.heal().await;
        self.until(Passage::Open).await;
    }

    pub async fn until(&self, passage: Passage) {
        let deadline = Instant::now() + PATIENCE;
        while self.link.passage() != passage {
            assert!(Instant::now() < deadline, "the way to Redis never became {passage:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Breaks the network until this is dropped. It begins with fair weather, and with the fault of that number.
    pub fn storm(&self, first: usize) -> Storm {
        let proxy = self.proxy.clone();
        Storm(tokio::spawn(async move {
            for fault in first.. {
                tokio::time::sleep(Duration::from_millis(150)).await;
                let lasts = match fault % 5 {
                    0 => {
                        proxy.cut().await;
                        150
                    }
                    1 => {
                        proxy.delay(Duration::from_secs(2));
                        500
                    }
                    2 => {
                        proxy.black_hole();
                        500
                    }
                    3 => {
                        proxy.cut_connections().await;
                        0
                    }
                    _ => {
                        proxy.hold_replies();
                        300
                    }
                };
                tokio::time::sleep(Duration::from_millis(lasts)).await;
                proxy.heal().await;
            }
        }))
    }
}

/// See [`Site::storm`].
pub struct Storm(JoinHandle<()>);

impl Drop for Storm {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn open(url: String) -> Link {
    let link = Link::open("main", Settings { url, prefix: "aim:".into(), ..Settings::default() }).unwrap();
    assert!(link.ready(PATIENCE).await);
    link
}

/// What `operation` comes to; it is asserted that it takes no longer than this.
pub async fn within<T>(most: Duration, operation: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let outcome = operation.await;
    assert!(began.elapsed() < most, "it took {:?}", began.elapsed());
    outcome
}

/// A backend for tests of what is answered, not of when: the machine may be busy.
pub struct Patient<T: ?Sized>(pub Arc<T>);

#[async_trait]
impl<T: Limits + ?Sized> Limits for Patient<T> {
    async fn admit(&self, asks: &[Ask]) -> Result<Verdict, Fault> {
        with_budget(PATIENCE, self.0.admit(asks)).await
    }

    async fn clear(&self, rule: Rule, subject: &str) -> Result<(), Fault> {
        with_budget(PATIENCE, self.0.clear(rule, subject)).await
    }
}

#[async_trait]
impl<T: Usage + ?Sized> Usage for Patient<T> {
    async fn of(&self, user: &UserId, character: &CharacterId) -> Result<Option<UsageCount>, Fault> {
        with_budget(PATIENCE, self.0.of(user, character)).await
    }

    async fn keep(&self, user: &UserId, character: &CharacterId, row: UsageCount) -> Result<(), Fault> {
        with_budget(PATIENCE, self.0.keep(user, character, row)).await
    }

    async fn all_of(&self, user: &UserId) -> Result<Option<Vec<(CharacterId, UsageCount)>>, Fault> {
        with_budget(PATIENCE, self.0.all_of(user)).await
    }

    async fn begin_load(&self, user: &UserId) -> Result<LoadMark, Fault> {
        with_budget(PATIENCE, self.0.begin_load(user)).await
    }

    async fn keep_all(&self, mark: LoadMark, user: &UserId, rows: &[(CharacterId, UsageCount)]) -> Result<(), Fault> {
        with_budget(PATIENCE, self.0.keep_all(mark, user, rows)).await
    }

    async fn forget(&self, user: &UserId) -> Result<(), Fault> {
        with_budget(PATIENCE, self.0.forget(user)).await
    }
}
