//! The queues over Redis, driven line by line: what `tests/interop` sets beside other BullMQs.
//! `cargo run -p aim-backbone --example queue_peer -- redis://127.0.0.1:6379 aim`, then orders as JSON on standard input,
//! one a line, each answered by a line: `{"do": "add", "queue": "email", "id": "m-1", "data": {}}`. A run is told by a line
//! `{"ran": …}` when it begins; what it does stands in the job's data: `{"fail": "retry" | "final"}`, `{"hang": true}`,
//! `{"takes": MILLISECONDS}`.
#![allow(clippy::panic, clippy::unwrap_used, clippy::print_stdout, reason = "who drives it sees what went wrong")]

use aim_backbone::link::{Link, Settings};
use aim_backbone::queue::redis::RedisQueue;
use aim_backbone::queue::{Failure, Handler, JobState, NewJob, QUEUES, Queue, Run, Schedule, Worker, WorkerSettings};
use aim_domain::Ambient;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, prefix] = args.as_slice() else { panic!("queue_peer URL PREFIX") };
    let settings = Settings { url: url.clone(), prefix: "aim:".into(), ..Settings::default() };
    let link = Link::open("queue", settings).unwrap();
    let queue = RedisQueue::new(link.client("queue"), prefix, &Ambient::system());
    assert!(queue.ready(PATIENCE).await, "no Redis at {url}");
    let (said, mut orders) = tokio::sync::mpsc::channel(16);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if said.blocking_send(line).is_err() {
                return;
            }
        }
    });
    let mut workers = HashMap::new();
    println!("{}", json!({ "ready": true }));
    while let Some(line) = orders.recv().await {
        let order: Value = serde_json::from_str(&line).unwrap();
        let answer = obey(&queue, &mut workers, &order).await;
        println!("{}", json!({ "answer": answer }));
    }
}

async fn obey(queue: &RedisQueue, workers: &mut HashMap<&str, Arc<dyn Worker>>, order: &Value) -> Value {
    let text = |field: &str| order[field].as_str().unwrap_or_default().to_owned();
    let number = |field: &str| u32::try_from(order[field].as_u64().unwrap_or_default()).unwrap();
    let millis = |field: &str| Duration::from_millis(u64::from(number(field)));
    let name = QUEUES.into_iter().find(|name| order["queue"] == *name).unwrap();
    let id = text("id");
    match order["do"].as_str().unwrap() {
        "add" => {
            let job = NewJob {
                queue: name,
                name: "work",
                id,
                data: order["data"].clone(),
                attempts: number("attempts").max(1),
                backoff: millis("backoff"),
                delay: millis("delay"),
                priority: number("priority"),
            };
            json!(format!("{:?}", queue.add(job).await.unwrap()))
        }
        "work" => {
            let settings = WorkerSettings {
                concurrency: usize::try_from(number("concurrency")).unwrap(),
                stalled_after: Duration::from_secs(2),
            };
            workers.insert(name, queue.work(name, settings, handler()).await.unwrap());
            Value::Null
        }
        "stop" => json!(workers.remove(name).unwrap().stop(millis("grace")).await),
        "schedule" => {
            let (every, data) = (millis("every"), order["data"].clone());
            let schedule = Schedule { queue: name, name: "sweep", every, data, attempts: 1, backoff: Duration::ZERO };
            queue.schedule(schedule).await.unwrap();
            Value::Null
        }
        "unschedule" => json!(queue.unschedule(name, "sweep").await.unwrap()),
        "pause" => json!(queue.pause(name).await.unwrap()),
        "resume" => json!(queue.resume(name).await.unwrap()),
        "isPaused" => json!(queue.is_paused(name).await.unwrap()),
        "counts" => json!(queue.counts(name).await.unwrap()),
        "job" => json!(queue.job(name, &id).await.unwrap()),
        "failed" => json!(queue.jobs(name, JobState::Failed, 0, 10).await.unwrap()),
        "retry" => json!(queue.retry(name, &id).await.unwrap()),
        "remove" => json!(queue.remove(name, &id).await.unwrap()),
        other => panic!("{other} is no order"),
    }
}

fn handler() -> Handler {
    Arc::new(|run: Run| {
        println!("{}", json!({ "ran": { "id": run.id, "name": run.name, "attempt": run.attempt, "data": run.data } }));
        Box::pin(async move {
            if run.data["hang"] == true {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(Duration::from_millis(run.data["takes"].as_u64().unwrap_or_default())).await;
            match run.data["fail"].as_str() {
                Some("retry") => Err(Failure::Retry("not this time".into())),
                Some("final") => Err(Failure::Final("never".into())),
                _ => Ok(json!({ "by": "rust", "echo": run.data })),
            }
        })
    })
}
