//! The pair: the promises with Redis and without it, and what becomes of jobs while the network breaks.

use super::*;
use crate::conformance::guarded::RedisServer;
use crate::conformance::outage::{Outage, in_every_outage};
use crate::conformance::{Bench, eventually, unhurried};
use crate::link::{BUDGET, Link, Settings};
use crate::queue::board::{Board, Outcome, Status};
use crate::queue::redis::tests::job;
use crate::queue::{AI_RESPONSE, EMAIL};
use aim_domain::{Ambient, SystemClock};
use aim_testkit::ChaosProxy;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::Instant;

const PATIENCE: Duration = Duration::from_secs(5);
const SETTINGS: WorkerSettings = WorkerSettings { concurrency: 4, stalled_after: Duration::from_secs(2) };

struct Rig {
    redis: RedisServer,
    proxy: ChaosProxy,
    over_redis: Arc<RedisQueue>,
    local: Arc<LocalQueue>,
    pair: Arc<QueuePair>,
}

async fn rig() -> Rig {
    let rig = beginning(RedisServer::start().await.unwrap()).await;
    assert!(rig.over_redis.ready(PATIENCE).await);
    rig
}

/// Before anything is connected.
async fn beginning(redis: RedisServer) -> Rig {
    let proxy = ChaosProxy::before(redis.address()).await.unwrap();
    let settings = Settings { url: redis.url_at(proxy.address()), prefix: "aim:".into(), ..Settings::default() };
    let client = Link::open("queue", settings).unwrap().client("queue");
    let over_redis = Arc::new(RedisQueue::new(client, "aim", &Ambient::system()));
    let local = Arc::new(LocalQueue::new(&Ambient::system()));
    let pair = Arc::new(QueuePair::new(over_redis.clone(), local.clone(), &[]));
    Rig { redis, proxy, over_redis, local, pair }
}

mod with_redis {
    use super::*;

    async fn open() -> Bench<dyn Queue> {
        let rig = rig().await;
        Bench::<dyn Queue>::waiting(rig.pair.clone(), Arc::new(SystemClock)).keeping(rig)
    }

    crate::queue_promises!(open);

    mod board {
        use super::*;

        async fn open() -> Bench<dyn Board> {
            let rig = rig().await;
            Bench::<dyn Board>::waiting(rig.pair.clone(), Arc::new(SystemClock)).keeping(rig)
        }

        crate::board_promises!(open);
    }
}

mod without_redis {
    use super::*;

    /// From the first call on, before the breaker knows of it.
    async fn open<O: Outage>() -> Bench<dyn Queue> {
        let rig = rig().await;
        O::begin(&rig.proxy).await;
        Bench::<dyn Queue>::waiting(rig.pair.clone(), Arc::new(SystemClock)).keeping(rig).hurried()
    }

    in_every_outage!(queue_promises);

    mod board {
        use super::*;

        async fn open() -> Bench<dyn Board> {
            let rig = rig().await;
            rig.proxy.cut().await;
            eventually("Redis is away", async || !rig.over_redis.is_open()).await;
            Bench::<dyn Board>::waiting(rig.pair.clone(), Arc::new(SystemClock)).keeping(rig)
        }

        crate::board_promises!(open);
    }
}

/// How often each job ran.
type Tally = Arc<Mutex<HashMap<String, u32>>>;

fn tally() -> (Handler, Tally) {
    let tally = Tally::default();
    let seen = tally.clone();
    let handler: Handler = Arc::new(move |run: Run| {
        *seen.lock().entry(run.id).or_default() += 1;
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Ok(Value::Null)
        })
    });
    (handler, tally)
}

/// Adds through a storm and after it: no add fails or waits, every job runs soon, and in the end Redis has all again.
async fn storm(begin: impl AsyncFnOnce(&Rig), end: impl AsyncFnOnce(&Rig)) {
    let rig = rig().await;
    let (handler, tally) = tally();
    let worker = rig.pair.work(EMAIL, SETTINGS, handler).await.unwrap();
    let mut added = 0;
    let mut slowest = Duration::ZERO;
    let mut add_for = async |length: Duration| {
        let began = Instant::now();
        loop {
            let start = Instant::now();
            rig.pair.add(job(&format!("m-{added}"))).await.unwrap();
            slowest = slowest.max(start.elapsed());
            added += 1;
            tokio::time::sleep(Duration::from_millis(10)).await;
            if began.elapsed() >= length {
                return added;
            }
        }
    };
    add_for(Duration::from_millis(300)).await;
    begin(&rig).await;
    let in_storm = add_for(Duration::from_secs(3)).await;
    end(&rig).await;
    let healed = Instant::now();
    loop {
        let last = format!("m-{}", add_for(Duration::ZERO).await - 1);
        if rig.over_redis.job(EMAIL, &last).await.is_ok_and(|job| job.is_some()) {
            break;
        }
        assert!(healed.elapsed() < PATIENCE, "Redis is used again within 5 s");
    }
    let back = healed.elapsed();
    let all = add_for(Duration::from_millis(300)).await;
    eventually("every job has run", async || tally.lock().len() == all).await;
    eventually("nothing is left here", async || {
        let here = rig.local.counts(EMAIL).await.unwrap();
        here.waiting + here.active == 0
    })
    .await;
    eventually("nothing is left in Redis", async || {
        rig.pair.counts(EMAIL).await.is_ok_and(|counts| counts.waiting + counts.active == 0)
    })
    .await;
    let twice = tally.lock().values().filter(|runs| **runs > 1).count();
    println!("{all} jobs, {in_storm} until the end, {twice} ran twice, slowest add {slowest:?}, back after {back:?}");
    assert!(slowest < BUDGET * 5, "{slowest:?}");
    assert!(worker.stop(PATIENCE).await);
}

async fn heal(rig: &Rig) {
    rig.proxy.heal().await;
}

#[tokio::test]
async fn jobs_run_through_a_cut() {
    storm(async |rig| rig.proxy.cut().await, heal).await;
}

#[tokio::test]
async fn jobs_run_through_a_black_hole() {
    storm(async |rig| rig.proxy.black_hole(), heal).await;
}

#[tokio::test]
async fn jobs_run_through_two_seconds_of_latency() {
    storm(async |rig| rig.proxy.delay(Duration::from_secs(2)), heal).await;
}

#[tokio::test]
async fn jobs_run_while_the_connection_flaps() {
    storm(async |rig| rig.proxy.flapping(Duration::from_millis(400), Duration::from_millis(300)), heal).await;
}

#[tokio::test]
async fn jobs_run_while_redis_is_stopped() {
    storm(async |rig| rig.redis.stop().unwrap(), async |rig| rig.redis.cont().unwrap()).await;
}

#[tokio::test]
async fn jobs_run_while_redis_is_killed_and_comes_back_empty() {
    storm(async |rig| rig.redis.kill(), async |rig| rig.redis.restart_empty().await.unwrap()).await;
}

#[tokio::test]
async fn a_pause_in_redis_does_not_hold_back_what_is_added_here_and_outlives_the_outage() {
    unhurried(pause_and_outage()).await;
}

async fn pause_and_outage() {
    let rig = rig().await;
    let (handler, tally) = tally();
    rig.pair.pause(EMAIL).await.unwrap();
    let worker = rig.pair.work(EMAIL, SETTINGS, handler).await.unwrap();
    rig.pair.add(job("held")).await.unwrap();
    rig.proxy.cut().await;
    eventually("Redis is away", async || !rig.over_redis.is_open()).await;
    rig.pair.add(job("here")).await.unwrap();
    eventually("it runs here", async || tally.lock().contains_key("here")).await;
    rig.proxy.heal().await;
    assert!(rig.over_redis.ready(PATIENCE).await);
    eventually("Redis is back", async || rig.over_redis.is_open()).await;
    assert!(rig.pair.is_paused(EMAIL).await.unwrap());
    rig.pair.add(job("after")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(tally.lock().len(), 1, "what is in Redis waits");
    rig.pair.resume(EMAIL).await.unwrap();
    eventually("all ran", async || tally.lock().len() == 3).await;
    assert!(worker.stop(PATIENCE).await);
}

#[tokio::test]
async fn what_nobody_would_run_here_goes_to_redis_when_it_is_back() {
    let rig = rig().await;
    let (handler, tally) = tally();
    let worker = rig.pair.work(EMAIL, SETTINGS, handler).await.unwrap();
    rig.proxy.cut().await;
    eventually("Redis is away", async || !rig.over_redis.is_open()).await;
    let later = Duration::from_secs(600);
    let reply = |id: &str, delay| NewJob { queue: AI_RESPONSE, delay, ..job(id) };
    for (id, delay) in [("now", Duration::ZERO), ("later", later)] {
        assert_eq!(rig.pair.add(reply(id, delay)).await.unwrap(), Added::New);
    }
    rig.pair.add(job("here")).await.unwrap();
    eventually("it runs here", async || tally.lock().contains_key("here")).await;
    assert_eq!(rig.local.counts(AI_RESPONSE).await.unwrap(), Counts { waiting: 1, delayed: 1, ..Counts::default() });
    rig.proxy.heal().await;
    let there = Counts { waiting: 1, delayed: 1, ..Counts::default() };
    eventually("Redis has them", async || rig.over_redis.counts(AI_RESPONSE).await.is_ok_and(|counts| counts == there))
        .await;
    assert_eq!(rig.local.counts(AI_RESPONSE).await.unwrap(), Counts::default());
    assert_eq!(rig.pair.add(reply("now", Duration::ZERO)).await.unwrap(), Added::Known);
    assert!(worker.stop(PATIENCE).await);
}

fn sweep() -> Schedule {
    Schedule {
        queue: AI_RESPONSE,
        name: "sweep",
        every: Duration::from_millis(200),
        data: Value::Null,
        attempts: 1,
        backoff: Duration::ZERO,
    }
}

#[tokio::test]
async fn a_schedule_that_is_set_while_redis_is_being_connected_runs_there_alone() {
    let rig = beginning(RedisServer::start().await.unwrap()).await;
    let (handler, tally) = tally();
    let worker = rig.pair.work(AI_RESPONSE, SETTINGS, handler).await.unwrap();
    rig.pair.schedule(sweep()).await.unwrap();
    eventually("it runs in Redis", async || tally.lock().keys().filter(|id| id.starts_with("repeat:")).count() >= 2)
        .await;
    assert!(tally.lock().keys().all(|id| id.starts_with("repeat:")), "and never here: {:?}", tally.lock());
    assert!(worker.stop(PATIENCE).await);
}

#[tokio::test]
async fn a_schedule_of_a_start_without_redis_runs_here_until_redis_is_there() {
    let redis = RedisServer::start().await.unwrap();
    redis.kill();
    let rig = beginning(redis).await;
    let (handler, tally) = tally();
    let worker = rig.pair.work(AI_RESPONSE, SETTINGS, handler).await.unwrap();
    rig.pair.schedule(Schedule { name: "dropped", ..sweep() }).await.unwrap();
    assert!(rig.pair.unschedule(AI_RESPONSE, "dropped").await.unwrap());
    rig.pair.schedule(sweep()).await.unwrap();
    eventually("it runs here", async || tally.lock().len() >= 2).await;
    assert!(tally.lock().keys().all(|id| id.starts_with("sweep-")), "{:?}", tally.lock());
    rig.redis.restart().await.unwrap();
    eventually("it runs in Redis", async || tally.lock().keys().any(|id| id.starts_with("repeat:"))).await;
    let here = async || rig.local.schedules(AI_RESPONSE).await.unwrap().len();
    eventually("it ends here", async || here().await == 0).await;
    assert!(worker.stop(PATIENCE).await);
}

#[tokio::test]
async fn what_was_ordered_here_in_redis_stead_is_over_when_redis_is_back() {
    let rig = rig().await;
    rig.proxy.cut().await;
    let (handler, tally) = tally();
    let worker = rig.pair.work(AI_RESPONSE, SETTINGS, handler).await.unwrap();
    rig.pair.schedule(sweep()).await.unwrap();
    eventually("it runs here", async || tally.lock().len() >= 2).await;
    rig.pair.pause(EMAIL).await.unwrap();
    rig.proxy.heal().await;
    eventually("it runs in Redis", async || tally.lock().keys().any(|id| id.starts_with("repeat:"))).await;
    eventually("it is not paused", async || !rig.local.is_paused(EMAIL).await.unwrap()).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = tally.lock().keys().filter(|id| id.starts_with("sweep-")).count();
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(tally.lock().keys().filter(|id| id.starts_with("sweep-")).count(), before, "no longer here");
    assert!(worker.stop(PATIENCE).await);
}

#[tokio::test]
async fn a_job_that_was_added_here_is_found_and_steered_when_redis_is_back() {
    unhurried(async {
        let rig = rig().await;
        let stuck: Handler = Arc::new(|_| Box::pin(async { Err(super::super::Failure::Final("not here".into())) }));
        let worker = rig.pair.work(EMAIL, SETTINGS, stuck).await.unwrap();
        rig.proxy.cut().await;
        eventually("Redis is away", async || !rig.over_redis.is_open()).await;
        rig.pair.add(job("here")).await.unwrap();
        let status = async || rig.pair.entry(EMAIL, "here").await.unwrap().map(|(_, status)| status);
        eventually("it fails here", async || status().await == Some(Status::Failed)).await;
        rig.proxy.heal().await;
        eventually("Redis is back", async || rig.over_redis.is_open()).await;
        assert_eq!(status().await, Some(Status::Failed));
        assert_eq!(rig.pair.logs(EMAIL, "here").await.unwrap().len(), 1);
        assert_eq!(rig.pair.discard(EMAIL, "here").await.unwrap(), Outcome::Done);
        assert_eq!(rig.pair.discard(EMAIL, "here").await.unwrap(), Outcome::Unknown);
        assert!(worker.stop(PATIENCE).await);
    })
    .await;
}
