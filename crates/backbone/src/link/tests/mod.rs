//! The link over a real Redis and a network that breaks.

use super::*;
use crate::conformance::eventually;
use crate::conformance::guarded::RedisServer;
use aim_testkit::ChaosProxy;
use futures::future::join_all;

static SUM: Script = Script::new(
    "#!lua\n-- Adds to a number. KEYS[1] the number, ARGV[1] what to add; answers the sum\nreturn redis.call('INCRBY', KEYS[1], ARGV[1])",
);

const PATIENCE: Duration = Duration::from_secs(5);
/// Five times what is promised.
const AT_ONCE: Duration = Duration::from_millis(25);
const WITHIN_BUDGET: Duration = Duration::from_millis(500);

struct Bench {
    redis: RedisServer,
    proxy: ChaosProxy,
    link: Link,
    client: Client,
}

async fn open() -> Bench {
    let redis = RedisServer::start().await.unwrap();
    let proxy = ChaosProxy::before(redis.address()).await.unwrap();
    let link = Link::open("main", settings(redis.url_at(proxy.address()))).unwrap();
    assert!(link.ready(PATIENCE).await);
    let client = link.client("test");
    Bench { redis, proxy, link, client }
}

fn settings(url: String) -> Settings {
    Settings { url, prefix: "aim:".into(), ..Settings::default() }
}

impl Bench {
    async fn set(&self) -> Result<(), Fault> {
        self.client.query(Need::Write, redis::cmd("SET").arg("aim:a").arg(1)).await
    }

    async fn get(&self) -> Result<Option<u64>, Fault> {
        self.client.query(Need::Read, redis::cmd("GET").arg("aim:a")).await
    }

    /// Sets until it is refused at once; every try takes its budget at the most.
    async fn opens(&self) {
        for _ in 0..10 {
            let began = Instant::now();
            let refused = self.set().await.is_err() && self.link.passage() == Passage::Closed;
            assert!(began.elapsed() < WITHIN_BUDGET, "{:?}", began.elapsed());
            if refused {
                let began = Instant::now();
                self.set().await.unwrap_err();
                assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
                return;
            }
        }
        panic!("the breaker did not open");
    }

    async fn recovers(&self) {
        let began = Instant::now();
        assert!(self.link.ready(PATIENCE).await, "it is back within 5 s");
        self.set().await.unwrap();
        tracing::debug!(took = ?began.elapsed(), "recovered");
    }
}

#[tokio::test]
async fn a_redis_that_is_not_there_at_the_start_is_found_later() {
    let redis = RedisServer::start().await.unwrap();
    redis.kill();
    let link = Link::open("main", settings(redis.url())).unwrap();
    let client = link.client("test");
    let began = Instant::now();
    client.query::<()>(Need::Write, redis::cmd("SET").arg("aim:a").arg(1)).await.unwrap_err();
    assert!(began.elapsed() < AT_ONCE);
    redis.restart().await.unwrap();
    assert!(link.ready(PATIENCE).await);
    client.query::<()>(Need::Write, redis::cmd("SET").arg("aim:a").arg(1)).await.unwrap();
}

#[tokio::test]
async fn a_cut_connection_costs_no_call_its_budget_and_comes_back() {
    let bench = open().await;
    bench.set().await.unwrap();
    bench.proxy.cut().await;
    bench.opens().await;
    bench.proxy.heal().await;
    bench.recovers().await;
    assert_eq!(bench.get().await.unwrap(), Some(1));
}

#[tokio::test]
async fn a_black_hole_and_a_stopped_redis_are_noticed_and_forgiven() {
    let bench = open().await;
    bench.proxy.black_hole();
    bench.opens().await;
    bench.proxy.heal().await;
    bench.recovers().await;
    bench.redis.stop().unwrap();
    bench.opens().await;
    bench.redis.cont().unwrap();
    bench.recovers().await;
}

#[tokio::test]
async fn two_seconds_of_latency_count_as_away_until_they_are_over() {
    let bench = open().await;
    bench.proxy.delay(Duration::from_secs(2));
    bench.opens().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(bench.link.passage(), Passage::Closed, "a probe that takes as long does not close it");
    bench.proxy.heal().await;
    bench.recovers().await;
}

#[tokio::test]
async fn a_hang_is_noticed_without_anyones_call() {
    let bench = open().await;
    bench.proxy.stall();
    tokio::time::timeout(PATIENCE, async {
        while bench.link.passage() == Passage::Open {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
    bench.proxy.heal().await;
    bench.recovers().await;
}

#[tokio::test]
async fn one_hitch_does_not_open_it_however_many_wait() {
    let bench = open().await;
    bench.set().await.unwrap();
    bench.proxy.stall();
    let waited = join_all((0..200).map(|_| bench.set())).await;
    assert!(waited.iter().all(Result::is_err));
    assert_eq!(bench.link.passage(), Passage::Open);
    bench.proxy.heal().await;
    with_budget(PATIENCE, bench.set()).await.unwrap();
}

#[tokio::test]
async fn what_came_back_says_whether_its_connection_is_another() {
    let bench = open().await;
    let (recoveries, connections) = (bench.link.recoveries(), bench.link.connections());
    let now = || (*recoveries.borrow(), *connections.borrow());
    let first = now();
    bench.redis.command(&["CONFIG", "SET", "maxmemory", "1"]).await.unwrap();
    bench.set().await.unwrap_err();
    bench.redis.command(&["CONFIG", "SET", "maxmemory", "0"]).await.unwrap();
    eventually("it takes writes again", async || now() == (first.0 + 1, first.1)).await;
    bench.proxy.cut().await;
    bench.opens().await;
    bench.proxy.heal().await;
    bench.recovers().await;
    eventually("it is told", async || now().0 >= first.0 + 2 && now().1 != first.1).await;
}

#[tokio::test]
async fn a_full_redis_still_reads_and_a_freed_one_writes_again() {
    let bench = open().await;
    bench.set().await.unwrap();
    bench.redis.command(&["CONFIG", "SET", "maxmemory", "1"]).await.unwrap();
    bench.set().await.unwrap_err();
    assert_eq!(bench.link.passage(), Passage::ReadsAlone);
    assert_eq!(bench.get().await.unwrap(), Some(1));
    bench.redis.command(&["CONFIG", "SET", "maxmemory", "0"]).await.unwrap();
    tokio::time::timeout(PATIENCE, async {
        while bench.set().await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_script_survives_that_redis_forgets_it() {
    let bench = open().await;
    let add = async || bench.client.script::<u64>(Need::Write, &SUM.call(&["aim:n"]).arg(2)).await.unwrap();
    assert_eq!(add().await, 2);
    bench.redis.command(&["SCRIPT", "FLUSH"]).await.unwrap();
    assert_eq!(add().await, 4);
    let before = bench.proxy.exchanges();
    assert_eq!(add().await, 6);
    assert_eq!(bench.proxy.exchanges() - before, 1);
}

#[tokio::test]
async fn calls_side_by_side_are_one_round_trip() {
    let bench = open().await;
    bench.set().await.unwrap();
    let before = bench.proxy.exchanges();
    let (first, second, third) = tokio::join!(bench.get(), bench.set(), bench.get());
    assert!(first.is_ok() && second.is_ok() && third.is_ok());
    assert_eq!(bench.proxy.exchanges() - before, 1);
}

#[tokio::test]
async fn a_redis_that_lost_its_data_has_another_epoch() {
    let bench = open().await;
    let first = bench.link.epoch();
    assert_ne!(first, 0);
    bench.proxy.cut_connections().await;
    bench.opens().await;
    bench.recovers().await;
    assert_eq!(bench.link.epoch(), first, "a connection that broke loses nothing of Redis's");
    let other = Link::open("main", settings(bench.redis.url())).unwrap();
    assert!(other.ready(PATIENCE).await);
    assert_eq!(other.epoch(), first, "all servers know the same epoch");
    bench.redis.kill();
    bench.redis.restart().await.unwrap();
    bench.opens_or_is_back().await;
    assert_ne!(bench.link.epoch(), first);
}

impl Bench {
    async fn opens_or_is_back(&self) {
        let _ = self.set().await;
        self.recovers().await;
    }
}

#[tokio::test]
async fn a_request_waits_once_for_its_whole_budget() {
    let bench = open().await;
    bench.proxy.stall();
    let began = Instant::now();
    one_budget(async {
        for _ in 0..5 {
            bench.set().await.unwrap_err();
        }
    })
    .await;
    assert!(began.elapsed() < WITHIN_BUDGET, "{:?}", began.elapsed());
}

#[tokio::test]
async fn health_tells_of_memory_and_replicas() {
    let bench = open().await;
    let health = bench.link.health().await;
    assert_eq!(health.passage, Passage::Open);
    assert!(health.round.unwrap() < WITHIN_BUDGET);
    assert!(health.memory.unwrap().used > 0);
    assert_eq!(health.replication.unwrap().role, "master");
    // Three round trips of a slow network: more than a request may wait, and nobody's who asks how Redis is.
    bench.proxy.delay(Duration::from_millis(20));
    let health = one_budget(bench.link.health()).await;
    assert!(health.round.unwrap() >= Duration::from_millis(80));
    assert!(health.memory.is_some() && health.replication.is_some());
    bench.proxy.cut().await;
    let health = bench.link.health().await;
    assert!(health.round.is_err());
    assert_eq!(health.passage, Passage::Closed);
}

mod connections;
mod forms;
