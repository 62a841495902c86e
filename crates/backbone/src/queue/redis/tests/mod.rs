//! The queue over a real Redis: the promises, what it costs, and what it survives.

mod faults;
mod forms;

use super::*;
use crate::conformance::guarded::RedisServer;
use crate::conformance::{Bench, eventually, unhurried};
use crate::link::{Link, Settings};
use crate::queue::{CLEANUP, EMAIL, Failure, Run};
use aim_domain::SystemClock;
use aim_testkit::ChaosProxy;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::time::Instant;

const PATIENCE: Duration = Duration::from_secs(5);
/// Five times what is promised.
const AT_ONCE: Duration = Duration::from_millis(25);
const STALLED_AFTER: Duration = Duration::from_secs(2);
const SETTINGS: WorkerSettings = WorkerSettings { concurrency: 4, stalled_after: STALLED_AFTER };

async fn open() -> Bench<dyn Queue> {
    let redis = RedisServer::start().await.unwrap();
    let queue = queue(settings(redis.url()), "aim");
    assert!(queue.ready(PATIENCE).await);
    Bench::<dyn Queue>::waiting(Arc::new(queue), Arc::new(SystemClock)).keeping(redis)
}

crate::queue_promises!(open);

mod board {
    use super::*;
    use crate::queue::board::Board;

    async fn open() -> Bench<dyn Board> {
        let redis = RedisServer::start().await.unwrap();
        let queue = queue(settings(redis.url()), "aim");
        assert!(queue.ready(PATIENCE).await);
        Bench::<dyn Board>::waiting(Arc::new(queue), Arc::new(SystemClock)).keeping(redis)
    }

    crate::board_promises!(open);
}

fn settings(url: String) -> Settings {
    Settings { url, prefix: "aim:".into(), ..Settings::default() }
}

fn queue(settings: Settings, prefix: &str) -> RedisQueue {
    let link = Link::open("queue", settings).unwrap();
    RedisQueue::new(link.client("queue"), prefix, &Ambient::system())
}

pub(in crate::queue) fn job(id: &str) -> NewJob {
    NewJob {
        queue: EMAIL,
        name: "mail",
        id: id.into(),
        data: json!({ "id": id }),
        attempts: 1,
        backoff: Duration::ZERO,
        delay: Duration::ZERO,
        priority: 0,
    }
}

/// A handler that writes down what it runs.
fn recorder() -> (Handler, Arc<Mutex<Vec<Run>>>) {
    let runs = Arc::new(Mutex::new(Vec::new()));
    let seen = runs.clone();
    let handler: Handler = Arc::new(move |run| {
        seen.lock().push(run);
        Box::pin(async { Ok(Value::Null) })
    });
    (handler, runs)
}

fn never_ends() -> Handler {
    Arc::new(|_| Box::pin(std::future::pending()))
}

async fn ran(runs: &Mutex<Vec<Run>>, id: &str) {
    eventually(&format!("{id} runs"), async || runs.lock().iter().any(|run| run.id == id)).await;
}

struct Rig {
    redis: RedisServer,
    proxy: ChaosProxy,
    queue: RedisQueue,
}

async fn rig() -> Rig {
    let redis = RedisServer::start().await.unwrap();
    let proxy = ChaosProxy::before(redis.address()).await.unwrap();
    let queue = queue(settings(redis.url_at(proxy.address())), "aim");
    assert!(queue.ready(PATIENCE).await);
    Rig { redis, proxy, queue }
}

#[tokio::test]
async fn an_add_is_one_round_trip() {
    unhurried(async {
        let rig = rig().await;
        let delay = Duration::from_secs(60);
        for round in ["a", "b"] {
            for (kind, priority, delay) in
                [("plain", 0, Duration::ZERO), ("later", 0, delay), ("last", 9, Duration::ZERO)]
            {
                let before = rig.proxy.exchanges();
                rig.queue.add(NewJob { priority, delay, ..job(&format!("{kind}-{round}")) }).await.unwrap();
                // The first one of a kind finds that Redis does not know its script.
                let expected = if round == "a" { 2 } else { 1 };
                assert_eq!(rig.proxy.exchanges() - before, expected, "{kind} {round}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_job_says_to_workers_of_all_languages_what_was_asked() {
    unhurried(async {
        let rig = rig().await;
        let backoff = Duration::from_millis(1_500);
        rig.queue.add(NewJob { attempts: 3, backoff, priority: 7, ..job("m-1") }).await.unwrap();
        let reply = rig.redis.command(&["HMGET", "aim:email:m-1", "name", "data", "opts", "priority"]).await.unwrap();
        let fields: Vec<String> = reply.texts();
        let options: Value = serde_json::from_str(&fields[2]).unwrap();
        assert_eq!((fields[0].as_str(), fields[1].as_str(), fields[3].as_str()), ("mail", r#"{"id":"m-1"}"#, "7"));
        assert_eq!(options["attempts"], 3);
        assert_eq!(options["backoff"], json!({ "type": "exponential", "delay": 1_500 }));
        assert_eq!(options["removeOnComplete"], json!({ "count": 1_000 }));
        assert_eq!(options["removeOnFail"], json!({ "count": 5_000 }));
        assert_eq!(options["jobId"], "m-1");
    })
    .await;
}

#[tokio::test]
async fn what_somebody_else_wrote_badly_fails_and_holds_nothing_up() {
    unhurried(async {
        let rig = rig().await;
        let (handler, runs) = recorder();
        // Neither data nor options are JSON, and the list names a job that is not there.
        rig.redis.command(&["HSET", "aim:email:odd", "name", "mail", "data", "{", "opts", "?"]).await.unwrap();
        rig.redis.command(&["LPUSH", "aim:email:wait", "gone", "odd"]).await.unwrap();
        let worker = rig.queue.work(EMAIL, SETTINGS, handler).await.unwrap();
        rig.queue.add(job("m-1")).await.unwrap();
        ran(&runs, "m-1").await;
        ran(&runs, "odd").await;
        assert!(worker.stop(PATIENCE).await);
    })
    .await;
}

#[tokio::test]
async fn an_endless_backoff_ends() {
    unhurried(async {
        let rig = rig().await;
        let handler: Handler = Arc::new(|_| Box::pin(async { Err(Failure::Retry("not yet".into())) }));
        let worker = rig.queue.work(EMAIL, SETTINGS, handler).await.unwrap();
        rig.queue
            .add(NewJob { attempts: 1_000, backoff: Duration::from_secs(9), delay: PATIENCE, ..job("m-1") })
            .await
            .unwrap();
        rig.redis.command(&["HSET", "aim:email:m-1", "atm", "900"]).await.unwrap();
        eventually("it fails for good", async || {
            let job = rig.queue.job(EMAIL, "m-1").await.unwrap().unwrap();
            job.state == JobState::Failed && job.failed_reason.as_deref() == Some("not yet")
        })
        .await;
        assert!(worker.stop(PATIENCE).await);
    })
    .await;
}

#[tokio::test]
async fn an_idle_worker_stops_quickly() {
    unhurried(async {
        let rig = rig().await;
        let worker = rig.queue.work(EMAIL, SETTINGS, never_ends()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        let began = Instant::now();
        assert!(worker.stop(PATIENCE).await);
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        let before = rig.proxy.counts();
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert_eq!(rig.proxy.counts().connections, before.connections, "it connects no more");
    })
    .await;
}
