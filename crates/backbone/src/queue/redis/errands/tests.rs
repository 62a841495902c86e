//! Errands over a real Redis, run by a BullMQ worker that knows nothing of them.

use super::*;
use crate::conformance::eventually;
use crate::conformance::guarded::RedisServer;
use crate::link::{Link, Settings};
use crate::queue::pair::QueuePair;
use crate::queue::redis::tests::job;
use crate::queue::{EMAIL, Failure, Handler, JobState, MEDIA_PROCESSING, WorkerSettings, local::LocalQueue};
use serde_json::json;

struct Rig {
    redis: RedisServer,
    queue: Arc<RedisQueue>,
    pair: QueuePair,
    errands: Errands,
}

async fn rig() -> Rig {
    let redis = RedisServer::start().await.unwrap();
    let settings = Settings { url: redis.url(), prefix: "aim:".into(), ..Settings::default() };
    let (client, ambient) = (Link::open("queue", settings).unwrap().client("queue"), Ambient::system());
    let queue = Arc::new(RedisQueue::new(client.clone(), "aim", &ambient));
    let errands = Errands::new(queue.clone(), client, "aim", &[EMAIL], &ambient);
    let pair = QueuePair::new(queue.clone(), Arc::new(LocalQueue::new(&ambient)), &[EMAIL]);
    assert!(queue.ready(Duration::from_secs(5)).await);
    Rig { redis, queue, pair, errands }
}

/// A worker whose runs take so long, and end well unless the job's data say `bad`.
async fn work(rig: &Rig, length: Duration) {
    let handler: Handler = Arc::new(move |run| {
        Box::pin(async move {
            sleep(length).await;
            if run.data["bad"] == true { Err(Failure::Final("as the test wants".into())) } else { Ok(json!("done")) }
        })
    });
    let settings = WorkerSettings { concurrency: 4, stalled_after: Duration::from_secs(5) };
    rig.queue.work(EMAIL, settings, handler).await.unwrap();
}

fn on(id: &str, data: Value) -> NewJob {
    NewJob { queue: EMAIL, data, ..job(id) }
}

/// Waits until the job was added.
async fn line_up(errand: &mut Errand) {
    for _ in 0..200 {
        let _ = tokio::time::timeout(Duration::from_millis(50), errand.next()).await;
        if errand.is_posted() {
            return;
        }
    }
    panic!("the job was not added");
}

/// The next thing but for a Redis that cannot be asked yet.
async fn next(errand: &mut Errand) -> Heard {
    loop {
        match tokio::time::timeout(Duration::from_secs(10), errand.next()).await.unwrap() {
            Heard::Away => {}
            heard => return heard,
        }
    }
}

#[tokio::test]
async fn what_becomes_of_a_job_is_heard() {
    let rig = rig().await;
    work(&rig, Duration::ZERO).await;
    let mut good = rig.errands.errand(on("e-1", json!({ "text": "secret" })), true).unwrap();
    assert_eq!(next(&mut good).await, Heard::Begun);
    assert_eq!(next(&mut good).await, Heard::Completed(json!("done")));
    good.settle(&json!({ "id": 1 }), Some(&json!("ended")));
    eventually("it forgot", async || {
        let job = rig.queue.job(EMAIL, "e-1").await.unwrap().unwrap();
        job.data == json!({ "id": 1 }) && job.returned == Some(json!("ended"))
    })
    .await;
    let mut bad = rig.errands.errand(on("e-2", json!({ "bad": true })), true).unwrap();
    assert_eq!(next(&mut bad).await, Heard::Begun);
    assert_eq!(next(&mut bad).await, Heard::Failed("as the test wants".into()));
    drop((good, bad));
    sleep(Duration::from_millis(200)).await;
    assert!(rig.queue.job(EMAIL, "e-2").await.unwrap().is_some(), "what has ended is not taken back");
}

#[tokio::test]
async fn an_end_that_was_not_heard_is_found() {
    let rig = rig().await;
    let mut errand = rig.errands.errand(on("e-1", json!({})), true).unwrap();
    // Nobody tells it anything any more.
    line_up(&mut errand).await;
    errand.line.forget("e-1");
    work(&rig, Duration::ZERO).await;
    eventually("it ends", async || rig.queue.job(EMAIL, "e-1").await.unwrap().unwrap().finished_at.is_some()).await;
    assert_eq!(next(&mut errand).await, Heard::Completed(json!("done")));
}

#[tokio::test]
async fn a_job_that_is_gone_is_told_and_can_be_added_again() {
    let rig = rig().await;
    let mut errand = rig.errands.errand(on("e-1", json!({})), true).unwrap();
    line_up(&mut errand).await;
    assert!(rig.queue.remove(EMAIL, "e-1").await.unwrap());
    assert_eq!(next(&mut errand).await, Heard::Removed { stood_in_line: true });
    errand.again();
    line_up(&mut errand).await;
    rig.redis.flush().await.unwrap();
    assert_eq!(next(&mut errand).await, Heard::Gone);
    errand.again();
    work(&rig, Duration::ZERO).await;
    assert_eq!(next(&mut errand).await, Heard::Begun);
    assert_eq!(next(&mut errand).await, Heard::Completed(json!("done")));
}

#[tokio::test]
async fn only_what_nobody_has_begun_is_withdrawn_and_what_nobody_waits_for_is_taken_away() {
    let rig = rig().await;
    let mut waits = rig.errands.errand(on("e-1", json!({})), false).unwrap();
    line_up(&mut waits).await;
    assert!(waits.withdraw().await);
    assert!(rig.queue.job(EMAIL, "e-1").await.unwrap().is_none());
    work(&rig, Duration::from_secs(3)).await;
    let mut runs = rig.errands.errand(on("e-2", json!({})), true).unwrap();
    assert_eq!(next(&mut runs).await, Heard::Begun);
    assert!(!runs.withdraw().await);
    assert_eq!(rig.queue.job(EMAIL, "e-2").await.unwrap().unwrap().state, JobState::Active);
    drop(runs);
    eventually("it is taken away", async || rig.queue.job(EMAIL, "e-2").await.unwrap().is_none()).await;
    assert!(
        rig.errands.errand(NewJob { queue: MEDIA_PROCESSING, ..job("e-3") }, true).is_none(),
        "nobody took it over"
    );
}

#[tokio::test]
async fn what_is_added_to_such_a_queue_stays_in_the_process_that_adds_it() {
    let rig = rig().await;
    rig.pair.add(on("ours", json!({}))).await.unwrap();
    assert!(rig.queue.job(EMAIL, "ours").await.unwrap().is_none());
    let handler: Handler = Arc::new(|_| Box::pin(async { Ok(json!("ours")) }));
    let settings = WorkerSettings { concurrency: 1, stalled_after: Duration::from_secs(5) };
    rig.pair.work(EMAIL, settings, handler).await.unwrap();
    eventually("it runs", async || rig.pair.job(EMAIL, "ours").await.unwrap().unwrap().finished_at.is_some()).await;
    // The worker there is none of Redis's queue.
    rig.queue.add(on("theirs", json!({}))).await.unwrap();
    sleep(Duration::from_millis(1_500)).await;
    assert_eq!(rig.queue.job(EMAIL, "theirs").await.unwrap().unwrap().state, JobState::Waiting);
    rig.pair.add(NewJob { queue: MEDIA_PROCESSING, ..job("shared") }).await.unwrap();
    assert!(rig.queue.job(MEDIA_PROCESSING, "shared").await.unwrap().is_some());
}
