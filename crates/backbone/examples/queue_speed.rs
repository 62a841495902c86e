//! Jobs a second over a Redis, added and run: `cargo run --release -p aim-backbone --example queue_speed -- redis://127.0.0.1:6379`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement that cannot run says so and ends")]

use aim_backbone::link::{Link, Settings, with_budget};
use aim_backbone::queue::redis::RedisQueue;
use aim_backbone::queue::{ANALYTICS, Handler, NewJob, Queue, WorkerSettings};
use aim_domain::Ambient;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

const PATIENCE: Duration = Duration::from_secs(60);

fn job(id: String) -> NewJob {
    let data = json!({
        "conversationId": "0199f3d4-7a52-7cc0-8f0d-2a52d6a0a4c1", "characterId": "0199f3d4-7a52-7cc0-8f0d-2a52d6a0a4c2",
        "messageId": "0199f3d4-7a52-7cc0-8f0d-2a52d6a0a4c3", "attempt": 1, "premium": false,
    });
    let (backoff, delay) = (Duration::from_secs(1), Duration::ZERO);
    NewJob { queue: ANALYTICS, name: "reply", id, data, attempts: 1, backoff, delay, priority: 0 }
}

fn report(what: &str, jobs: usize, began: Instant) {
    println!("{what:<24}{:>9.0} jobs/s", jobs as f64 / began.elapsed().as_secs_f64());
}

async fn add(queue: &Arc<RedisQueue>, round: &str, jobs: usize, at_a_time: usize) {
    let began = Instant::now();
    let adders: Vec<_> = (0..at_a_time)
        .map(|adder| {
            let (queue, round) = (queue.clone(), round.to_owned());
            tokio::spawn(with_budget(PATIENCE, async move {
                for n in 0..jobs / at_a_time {
                    queue.add(job(format!("{round}-{adder}-{n}"))).await.unwrap();
                }
            }))
        })
        .collect();
    for adder in adders {
        adder.await.unwrap();
    }
    report(&format!("add, {at_a_time} at a time"), jobs, began);
}

async fn run(queue: &Arc<RedisQueue>, jobs: usize, concurrency: usize) {
    let (done, all) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let (count, ended) = (done.clone(), all.clone());
    let handler: Handler = Arc::new(move |_| {
        if count.fetch_add(1, Ordering::Relaxed) + 1 == jobs {
            ended.notify_one();
        }
        Box::pin(async { Ok(Value::Null) })
    });
    let settings = WorkerSettings { concurrency, stalled_after: Duration::from_secs(30) };
    let began = Instant::now();
    let worker = queue.work(ANALYTICS, settings, handler).await.unwrap();
    all.notified().await;
    report(&format!("run, concurrency {concurrency}"), jobs, began);
    worker.stop(PATIENCE).await;
}

#[tokio::main]
async fn main() {
    let url = std::env::args().nth(1).unwrap();
    let settings = Settings { url, prefix: "aim:".into(), ..Settings::default() };
    let link = Link::open("queue", settings).unwrap();
    let queue = Arc::new(RedisQueue::new(link.client("queue"), "aim", &Ambient::system()));
    assert!(queue.ready(PATIENCE).await);
    let ambient = Ambient::system();
    for (jobs, at_a_time) in [(5_000, 1), (20_000, 50)] {
        add(&queue, &ambient.token()[..8], jobs, at_a_time).await;
        run(&queue, jobs, at_a_time).await;
    }
}
