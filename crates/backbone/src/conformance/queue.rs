//! What every queue promises.

use super::{Bench, eventually};
use crate::queue::{
    AI_RESPONSE, ANALYTICS, Added, CLEANUP, Counts, EMAIL, Failure, Handler, JobState, NewJob, Queue, Run, Schedule,
    WorkerSettings,
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

#[macro_export]
macro_rules! queue_promises {
    ($open:expr) => {
        $crate::promises!(
            paused queue,
            $open,
            a_job_runs_with_its_data_and_keeps_its_answer,
            an_id_that_is_known_is_not_added_again,
            an_id_is_one_that_bullmq_takes,
            jobs_run_by_priority_then_in_order_of_arrival,
            a_delayed_job_waits_for_its_time,
            a_failing_job_is_retried_ever_later_and_then_fails,
            a_final_failure_is_not_retried,
            a_panic_fails_its_run_alone,
            no_more_run_at_a_time_than_the_concurrency,
            a_paused_queue_starts_nothing_until_it_is_resumed,
            queues_are_apart,
            a_schedule_runs_again_and_again_until_it_is_unset,
            only_one_run_of_a_schedule_waits,
            a_run_of_a_schedule_that_fails_is_retried_and_the_schedule_goes_on,
            a_failed_job_can_be_put_back_in_line,
            a_job_that_is_not_active_can_be_removed,
            finished_jobs_are_listed_newest_first_and_kept_to_a_bound,
            a_worker_that_stops_lets_its_runs_end,
            what_does_not_end_in_time_is_given_back_and_runs_elsewhere,
            many_jobs_each_run_once,
        );
    };
}

type Open = Bench<dyn Queue>;

const SETTINGS: WorkerSettings = WorkerSettings { concurrency: 4, stalled_after: Duration::from_secs(5) };
const ONE: WorkerSettings = WorkerSettings { concurrency: 1, ..SETTINGS };

fn job(id: &str) -> NewJob {
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

fn handler<F: Future<Output = Result<Value, Failure>> + Send + 'static>(
    run: impl Fn(Run) -> F + Send + Sync + 'static,
) -> Handler {
    Arc::new(move |job| Box::pin(run(job)))
}

/// A handler that writes down what it runs.
fn recorder() -> (Handler, Arc<Mutex<Vec<Run>>>) {
    let runs = Arc::new(Mutex::new(Vec::new()));
    let seen = runs.clone();
    let handler = handler(move |run| {
        seen.lock().push(run);
        async { Ok(Value::Null) }
    });
    (handler, runs)
}

fn ids(runs: &Mutex<Vec<Run>>) -> Vec<String> {
    runs.lock().iter().map(|run| run.id.clone()).collect()
}

impl Open {
    async fn add(&self, job: NewJob) -> Added {
        self.backend.add(job).await.unwrap()
    }

    async fn counts(&self) -> Counts {
        self.backend.counts(EMAIL).await.unwrap()
    }

    async fn reaches(&self, id: &str, state: JobState) {
        eventually(&format!("{id} is {state:?}"), async || {
            let job = self.backend.job(EMAIL, id).await;
            job.is_ok_and(|job| job.is_some_and(|job| job.state == state))
        })
        .await;
    }
}

pub async fn a_job_runs_with_its_data_and_keeps_its_answer(bench: Open) {
    let handler = handler(async |run: Run| {
        assert_eq!((run.name.as_str(), run.attempt), ("mail", 1));
        Ok(json!({ "sent": run.data["id"] }))
    });
    bench.add(job("m-1")).await;
    assert_eq!(bench.counts().await, Counts { waiting: 1, ..Counts::default() });
    let before = bench.backend.job(EMAIL, "m-1").await.unwrap().unwrap();
    assert_eq!((before.state, before.attempts_made, before.started_at), (JobState::Waiting, 0, None));
    let worker = bench.backend.work(EMAIL, SETTINGS, handler).await.unwrap();
    bench.reaches("m-1", JobState::Completed).await;
    let done = bench.backend.job(EMAIL, "m-1").await.unwrap().unwrap();
    assert_eq!((done.returned, done.attempts_made), (Some(json!({ "sent": "m-1" })), 1));
    assert!(done.finished_at >= done.started_at && done.started_at >= Some(done.added_at));
    assert_eq!(bench.counts().await, Counts { completed: 1, ..Counts::default() });
    assert!(bench.backend.job(EMAIL, "m-2").await.unwrap().is_none());
    assert!(worker.stop(Duration::from_secs(5)).await);
}

pub async fn an_id_that_is_known_is_not_added_again(bench: Open) {
    let (handler, runs) = recorder();
    assert_eq!(bench.add(job("m-1")).await, Added::New);
    assert_eq!(bench.add(job("m-1")).await, Added::Known);
    let worker = bench.backend.work(EMAIL, SETTINGS, handler).await.unwrap();
    bench.reaches("m-1", JobState::Completed).await;
    assert_eq!(bench.add(job("m-1")).await, Added::Known, "finished, it is known still");
    assert_eq!(bench.add(job("m-2")).await, Added::New);
    bench.reaches("m-2", JobState::Completed).await;
    assert_eq!(ids(&runs), ["m-1", "m-2"]);
    worker.stop(Duration::from_secs(5)).await;
}

pub async fn an_id_is_one_that_bullmq_takes(bench: Open) {
    for bad in ["", "17", "a:b", "active", "meta"] {
        assert!(bench.backend.add(job(bad)).await.is_err(), "{bad:?}");
    }
    assert_eq!(bench.counts().await, Counts::default());
}

pub async fn jobs_run_by_priority_then_in_order_of_arrival(bench: Open) {
    let (handler, runs) = recorder();
    for (id, priority) in [("m-1", 5), ("m-2", 1), ("m-3", 5), ("m-4", 0), ("m-5", 1), ("m-6", 0)] {
        bench.add(NewJob { priority, ..job(id) }).await;
    }
    let waiting = bench.backend.jobs(EMAIL, JobState::Waiting, 1, 3).await.unwrap();
    assert_eq!(waiting.iter().map(|job| job.id.as_str()).collect::<Vec<_>>(), ["m-6", "m-2", "m-5"]);
    let worker = bench.backend.work(EMAIL, ONE, handler).await.unwrap();
    eventually("all have run", async || runs.lock().len() == 6).await;
    assert_eq!(ids(&runs), ["m-4", "m-6", "m-2", "m-5", "m-1", "m-3"]);
    worker.stop(Duration::from_secs(5)).await;
}

pub async fn a_delayed_job_waits_for_its_time(bench: Open) {
    let (handler, runs) = recorder();
    let worker = bench.backend.work(EMAIL, SETTINGS, handler).await.unwrap();
    bench.add(NewJob { delay: Duration::from_secs(2), ..job("later") }).await;
    bench.add(NewJob { delay: Duration::from_secs(1), ..job("soon") }).await;
    bench.add(job("now")).await;
    bench.reaches("now", JobState::Completed).await;
    assert_eq!(bench.counts().await, Counts { delayed: 2, completed: 1, ..Counts::default() });
    let delayed = bench.backend.jobs(EMAIL, JobState::Delayed, 0, 9).await.unwrap();
    assert_eq!(delayed.iter().map(|job| job.id.as_str()).collect::<Vec<_>>(), ["soon", "later"]);
    bench.advance(Duration::from_millis(500)).await;
    assert_eq!(runs.lock().len(), 1);
    bench.reaches("later", JobState::Completed).await;
    assert_eq!(ids(&runs), ["now", "soon", "later"]);
    worker.stop(Duration::from_secs(5)).await;
}

pub async fn a_failing_job_is_retried_ever_later_and_then_fails(bench: Open) {
    let starts = Arc::new(Mutex::new(Vec::new()));
    let seen = starts.clone();
    let handler = handler(move |run| {
        seen.lock().push((tokio::time::Instant::now(), run.attempt));
        async { Err(Failure::Retry("the server is away".into())) }
    });
    let worker = bench.backend.work(EMAIL, SETTINGS, handler).await.unwrap();
    let backoff = Duration::from_millis(400);
    bench.add(NewJob { attempts: 3, backoff, ..job("m-1") }).await;
    bench.reaches("m-1", JobState::Delayed).await;
    bench.reaches("m-1", JobState::Failed).await;
    let failed = bench.backend.job(EMAIL, "m-1").await.unwrap().unwrap();
    assert_eq!((failed.attempts_made, failed.failed_reason.as_deref()), (3, Some("the server is away")));
    let starts = starts.lock().clone();
    assert_eq!(starts.iter().map(|(_, attempt)| *attempt).collect::<Vec<_>>(), [1, 2, 3]);
    for (n, waited) in starts.windows(2).map(|pair| pair[1].0 - pair[0].0).enumerate() {
        let nominal = backoff * (1 << n);
        assert!(waited >= nominal / 2 && waited < nominal * 2, "wait {n}: {waited:?}");
    }
    worker.stop(Duration::from_secs(5)).await;
}

pub async fn a_final_failure_is_not_retried(bench: Open) {
    let handler = handler(async |_| Err(Failure::Final("no such address".into())));
    let worker = bench.backend.work(EMAIL, SETTINGS, handler).await.unwrap();
    bench.add(NewJob { attempts: 5, ..job("m-1") }).await;
    bench.reaches("m-1", JobState::Failed).await;
    let failed = bench.backend.job(EMAIL, "m-1").await.unwrap().unwrap();
    assert_eq!((failed.attempts_made, failed.failed_reason.as_deref()), (1, Some("no such address")));
    worker.stop(Duration::from_secs(5)).await;
}

pub async fn a_panic_fails_its_run_alone(bench: Open) {
    let handler: Handler = Arc::new(|run: Run| {
        assert!(run.id != "at-once", "before there is a future");
        Box::pin(async move {
            assert!(run.id != "later" || run.attempt > 1, "in the future");
            Ok(Value::Null)
        })
    });
    let worker = bench.backend.work(EMAIL, ONE, handler).await.unwrap();
    bench.add(job("at-once")).await;
    bench.add(NewJob { attempts: 2, ..job("later") }).await;
    bench.add(job("fine")).await;
    bench.reaches("at-once", JobState::Failed).await;
    bench.reaches("later", JobState::Completed).await;
    bench.reaches("fine", JobState::Completed).await;
    assert!(worker.stop(Duration::from_secs(5)).await);
}

pub async fn no_more_run_at_a_time_than_the_concurrency(bench: Open) {
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (r, m) = (running.clone(), most.clone());
    let handler = handler(move |_| {
        let (running, most) = (r.clone(), m.clone());
        async move {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(20)).await;
            running.fetch_sub(1, Ordering::SeqCst);
            Ok(Value::Null)
        }
    });
    let worker = bench.backend.work(EMAIL, SETTINGS, handler).await.unwrap();
    for n in 0..20 {
        bench.add(job(&format!("m-{n}"))).await;
    }
    eventually("all have run", async || bench.counts().await.completed == 20).await;
    assert_eq!(most.load(Ordering::SeqCst), SETTINGS.concurrency);
    worker.stop(Duration::from_secs(5)).await;
}

pub async fn a_paused_queue_starts_nothing_until_it_is_resumed(bench: Open) {
    let (handler, runs) = recorder();
    bench.backend.pause(EMAIL).await.unwrap();
    assert!(bench.backend.is_paused(EMAIL).await.unwrap());
    let worker = bench.backend.work(EMAIL, SETTINGS, handler).await.unwrap();
    assert_eq!(bench.add(job("m-1")).await, Added::New);
    bench.advance(Duration::from_millis(200)).await;
    assert_eq!(bench.counts().await.waiting, 1);
    assert!(runs.lock().is_empty());
    bench.backend.resume(EMAIL).await.unwrap();
    bench.reaches("m-1", JobState::Completed).await;
    assert!(!bench.backend.is_paused(EMAIL).await.unwrap());
    worker.stop(Duration::from_secs(5)).await;
}

pub async fn queues_are_apart(bench: Open) {
    let (handler, runs) = recorder();
    let worker = bench.backend.work(EMAIL, SETTINGS, handler).await.unwrap();
    bench.backend.pause(AI_RESPONSE).await.unwrap();
    bench.add(NewJob { queue: ANALYTICS, ..job("m-1") }).await;
    bench.add(job("m-1")).await;
    bench.reaches("m-1", JobState::Completed).await;
    assert_eq!(runs.lock().len(), 1);
    assert_eq!(bench.backend.counts(ANALYTICS).await.unwrap().waiting, 1);
    worker.stop(Duration::from_secs(5)).await;
}

fn schedule() -> Schedule {
    Schedule {
        queue: CLEANUP,
        name: "sweep",
        every: Duration::from_millis(500),
        data: json!({ "n": 1 }),
        attempts: 1,
        backoff: Duration::ZERO,
    }
}

pub async fn a_schedule_runs_again_and_again_until_it_is_unset(bench: Open) {
    let (handler, runs) = recorder();
    let worker = bench.backend.work(CLEANUP, SETTINGS, handler).await.unwrap();
    bench.backend.schedule(schedule()).await.unwrap();
    eventually("it ran three times", async || runs.lock().len() >= 3).await;
    bench.backend.schedule(Schedule { data: json!({ "n": 2 }), ..schedule() }).await.unwrap();
    eventually("it runs with its new data", async || runs.lock().iter().any(|run| run.data["n"] == 2)).await;
    assert!(bench.backend.unschedule(CLEANUP, "sweep").await.unwrap());
    assert!(!bench.backend.unschedule(CLEANUP, "sweep").await.unwrap());
    bench.advance(Duration::from_millis(100)).await;
    let ran = runs.lock().len();
    bench.advance(Duration::from_millis(1_500)).await;
    assert_eq!(runs.lock().len(), ran);
    assert!(runs.lock().iter().all(|run| run.name == "sweep"));
    worker.stop(Duration::from_secs(5)).await;
}

pub async fn only_one_run_of_a_schedule_waits(bench: Open) {
    bench.backend.pause(CLEANUP).await.unwrap();
    bench.backend.schedule(schedule()).await.unwrap();
    bench.advance(Duration::from_secs(2)).await;
    let counts = bench.backend.counts(CLEANUP).await.unwrap();
    assert_eq!(counts.waiting + counts.delayed, 1);
    bench.backend.unschedule(CLEANUP, "sweep").await.unwrap();
}

pub async fn a_run_of_a_schedule_that_fails_is_retried_and_the_schedule_goes_on(bench: Open) {
    let runs = Arc::new(Mutex::new(Vec::new()));
    let seen = runs.clone();
    // The first job fails twice, then all goes well.
    let handler = handler(move |run: Run| {
        let mut seen = seen.lock();
        seen.push((run.id, run.attempt));
        let fails = seen.len() <= 2;
        async move { if fails { Err(Failure::Retry("not now".into())) } else { Ok(Value::Null) } }
    });
    let worker = bench.backend.work(CLEANUP, ONE, handler).await.unwrap();
    let every = Duration::from_secs(3);
    let thrice = Schedule { every, attempts: 3, backoff: Duration::from_millis(200), ..schedule() };
    bench.backend.schedule(thrice).await.unwrap();
    eventually("the next job of the schedule ran", async || runs.lock().len() >= 4).await;
    assert!(bench.backend.unschedule(CLEANUP, "sweep").await.unwrap());
    let ran = runs.lock().clone();
    let (first, next) = (ran[0].0.clone(), ran[3].0.clone());
    assert_ne!(first, next);
    assert_eq!(ran[..4], [(first.clone(), 1), (first.clone(), 2), (first.clone(), 3), (next, 1)]);
    let job = bench.backend.job(CLEANUP, &first).await.unwrap().unwrap();
    assert_eq!((job.state, job.attempts, job.attempts_made), (JobState::Completed, 3, 3));
    worker.stop(Duration::from_secs(5)).await;
}

pub async fn a_failed_job_can_be_put_back_in_line(bench: Open) {
    let fails = Arc::new(AtomicUsize::new(1));
    let left = fails.clone();
    let handler = handler(move |_| {
        let fails = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok();
        async move { if fails { Err(Failure::Final("not now".into())) } else { Ok(Value::Null) } }
    });
    let worker = bench.backend.work(EMAIL, SETTINGS, handler).await.unwrap();
    bench.add(job("m-1")).await;
    bench.reaches("m-1", JobState::Failed).await;
    assert!(bench.backend.retry(EMAIL, "m-1").await.unwrap());
    bench.reaches("m-1", JobState::Completed).await;
    assert!(!bench.backend.retry(EMAIL, "m-1").await.unwrap(), "it is not failed");
    assert!(!bench.backend.retry(EMAIL, "m-2").await.unwrap());
    worker.stop(Duration::from_secs(5)).await;
}

pub async fn a_job_that_is_not_active_can_be_removed(bench: Open) {
    let handler = handler(async |_| {
        std::future::pending::<()>().await;
        Ok(Value::Null)
    });
    bench.add(NewJob { delay: Duration::from_secs(60), ..job("m-delayed") }).await;
    bench.add(job("m-active")).await;
    let worker = bench.backend.work(EMAIL, ONE, handler).await.unwrap();
    bench.reaches("m-active", JobState::Active).await;
    bench.add(job("m-waiting")).await;
    for (id, goes) in [("m-delayed", true), ("m-waiting", true), ("m-active", false), ("m-unknown", false)] {
        assert_eq!(bench.backend.remove(EMAIL, id).await.unwrap(), goes, "{id}");
    }
    assert_eq!(bench.counts().await, Counts { active: 1, ..Counts::default() });
    assert_eq!(bench.add(job("m-waiting")).await, Added::New, "what was removed is not known");
    assert!(!worker.stop(Duration::from_millis(50)).await);
}

pub async fn finished_jobs_are_listed_newest_first_and_kept_to_a_bound(bench: Open) {
    use crate::queue::KEPT_COMPLETED;
    let (handler, _) = recorder();
    let worker = bench.backend.work(EMAIL, ONE, handler).await.unwrap();
    let more = KEPT_COMPLETED + 50;
    for n in 0..more {
        bench.add(job(&format!("m-{n}"))).await;
    }
    bench.reaches(&format!("m-{}", more - 1), JobState::Completed).await;
    assert!(bench.counts().await.completed <= KEPT_COMPLETED as u64);
    assert!(bench.backend.job(EMAIL, "m-0").await.unwrap().is_none());
    let newest = bench.backend.jobs(EMAIL, JobState::Completed, 1, 2).await.unwrap();
    let newest: Vec<_> = newest.iter().map(|job| job.id.clone()).collect();
    assert_eq!(newest, [format!("m-{}", more - 2), format!("m-{}", more - 3)]);
    worker.stop(Duration::from_secs(5)).await;
}

pub async fn a_worker_that_stops_lets_its_runs_end(bench: Open) {
    let handler = handler(async |_| {
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok(Value::Null)
    });
    let worker = bench.backend.work(EMAIL, ONE, handler).await.unwrap();
    bench.add(job("m-1")).await;
    bench.reaches("m-1", JobState::Active).await;
    bench.add(job("m-2")).await;
    assert!(worker.stop(Duration::from_secs(20)).await);
    let state = async |id: &str| bench.backend.job(EMAIL, id).await.unwrap().unwrap().state;
    assert_eq!((state("m-1").await, state("m-2").await), (JobState::Completed, JobState::Waiting));
    bench.add(job("m-3")).await;
    bench.advance(Duration::from_millis(200)).await;
    assert_eq!(bench.counts().await.waiting, 2, "who stopped takes nothing more");
}

pub async fn what_does_not_end_in_time_is_given_back_and_runs_elsewhere(bench: Open) {
    let stuck = handler(async |_| {
        std::future::pending::<()>().await;
        Ok(Value::Null)
    });
    let worker = bench.backend.work(EMAIL, ONE, stuck).await.unwrap();
    bench.add(job("m-1")).await;
    bench.reaches("m-1", JobState::Active).await;
    assert!(!worker.stop(Duration::from_millis(100)).await);
    let (handler, runs) = recorder();
    let other = bench.backend.work(EMAIL, ONE, handler).await.unwrap();
    bench.reaches("m-1", JobState::Completed).await;
    assert_eq!(runs.lock().first().map(|run| run.attempt), Some(1), "what was given back was no attempt");
    assert!(other.stop(Duration::from_secs(5)).await);
}

pub async fn many_jobs_each_run_once(bench: Open) {
    let (handler, runs) = recorder();
    let mut workers = Vec::new();
    for _ in 0..3 {
        workers.push(bench.backend.work(EMAIL, SETTINGS, handler.clone()).await.unwrap());
    }
    let haste = bench.haste();
    let adders: Vec<_> = (0..4)
        .map(|adder| {
            let queue = bench.backend.clone();
            tokio::spawn(haste.keep(async move {
                for n in 0..100 {
                    // Each id is offered by two adders.
                    queue.add(job(&format!("m-{}-{n}", adder / 2))).await.unwrap();
                }
            }))
        })
        .collect();
    futures::future::join_all(adders).await.into_iter().for_each(|task| task.unwrap());
    eventually("all have run", async || bench.counts().await.completed == 200).await;
    let mut ran = ids(&runs);
    ran.sort_unstable();
    ran.dedup();
    assert_eq!((ran.len(), runs.lock().len()), (200, 200));
    for worker in workers {
        assert!(worker.stop(Duration::from_secs(5)).await);
    }
}
