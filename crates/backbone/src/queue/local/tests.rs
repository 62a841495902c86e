//! What the local queue does beside the promises.

use super::*;
use crate::conformance::{self, Bench};
use crate::queue::{EMAIL, Failure, Run};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

const SETTINGS: WorkerSettings = WorkerSettings { concurrency: 2, stalled_after: Duration::from_millis(100) };

fn job(id: &str) -> NewJob {
    NewJob {
        queue: EMAIL,
        name: "mail",
        id: id.into(),
        data: json!({}),
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

#[tokio::test(start_paused = true)]
async fn a_run_that_takes_long_is_not_stalled_while_its_task_lives() {
    let queue = LocalQueue::new(&Ambient::system());
    let (started, mut starts) = mpsc::unbounded_channel();
    let slow = handler(move |run| {
        let _ = started.send(run.attempt);
        async {
            tokio::time::sleep(SETTINGS.stalled_after * 50).await;
            Ok(Value::Null)
        }
    });
    let worker = queue.work(EMAIL, SETTINGS, slow).await.unwrap();
    queue.add(job("m-1")).await.unwrap();
    tokio::time::sleep(SETTINGS.stalled_after * 40).await;
    assert!(worker.stop(Duration::from_secs(60)).await);
    assert_eq!(queue.job(EMAIL, "m-1").await.unwrap().map(|job| job.state), Some(JobState::Completed));
    assert_eq!((starts.recv().await, starts.try_recv().is_err()), (Some(1), true));
}

#[test]
fn a_run_that_is_lost_with_its_runtime_runs_again_once() {
    let queue = Arc::new(LocalQueue::new(&Ambient::system()));
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let state = |runtime: &tokio::runtime::Runtime| runtime.block_on(queue.job(EMAIL, "m-1")).unwrap().unwrap().state;
    let here = runtime();
    for expected in [JobState::Waiting, JobState::Failed] {
        let lost = runtime();
        let (started, mut starts) = mpsc::unbounded_channel();
        let stuck = handler(move |_| {
            let _ = started.send(());
            std::future::pending()
        });
        lost.block_on(async {
            queue.work(EMAIL, SETTINGS, stuck).await.unwrap();
            let _ = queue.add(job("m-1")).await.unwrap();
            starts.recv().await.unwrap();
        });
        drop(lost);
        here.block_on(queue.pause(EMAIL)).unwrap();
        assert_eq!(state(&here), expected);
        here.block_on(queue.resume(EMAIL)).unwrap();
    }
}

/// Panics when it is dropped, after the run itself ended well.
struct Mine;

impl Drop for Mine {
    fn drop(&mut self) {
        panic!("a handler's remains");
    }
}

#[tokio::test]
async fn a_handler_whose_remains_panic_stops_no_worker() {
    let queue = LocalQueue::new(&Ambient::system());
    let nasty: Handler = Arc::new(|run: Run| {
        let mine = (run.id == "nasty").then(|| Mine);
        let answer = std::future::ready(Ok(Value::Null));
        Box::pin(Remains { answer, _mine: mine })
    });
    let worker = queue.work(EMAIL, WorkerSettings { concurrency: 1, ..SETTINGS }, nasty).await.unwrap();
    queue.add(job("nasty")).await.unwrap();
    queue.add(job("fine")).await.unwrap();
    for _ in 0..1_000 {
        tokio::time::sleep(Duration::from_millis(1)).await;
        if queue.counts(EMAIL).await.unwrap().active == 0 {
            break;
        }
    }
    let state = async |id: &str| queue.job(EMAIL, id).await.unwrap().unwrap().state;
    assert_eq!((state("nasty").await, state("fine").await), (JobState::Failed, JobState::Completed));
    assert!(worker.stop(Duration::from_secs(5)).await);
}

/// Holds on to what it owns until it is dropped itself.
struct Remains {
    answer: std::future::Ready<Result<Value, Failure>>,
    _mine: Option<Mine>,
}

impl Future for Remains {
    type Output = Result<Value, Failure>;
    fn poll(mut self: std::pin::Pin<&mut Self>, context: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> {
        std::pin::Pin::new(&mut self.answer).poll(context)
    }
}

#[tokio::test]
async fn times_beyond_reason_are_no_panic() {
    let queue = LocalQueue::new(&Ambient::system());
    queue.add(NewJob { delay: Duration::MAX, ..job("never") }).await.unwrap();
    let (attempts, backoff) = (1, Duration::ZERO);
    let seldom = Schedule { queue: EMAIL, name: "seldom", every: Duration::MAX, data: Value::Null, attempts, backoff };
    queue.schedule(seldom).await.unwrap();
    let counts = queue.counts(EMAIL).await.unwrap();
    assert_eq!((counts.delayed, counts.waiting), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_starts_without_a_poll() {
    let queue = LocalQueue::new(&Ambient::system());
    let (started, mut starts) = mpsc::unbounded_channel();
    let note = handler(move |_| {
        let _ = started.send(Instant::now());
        async { Ok(Value::Null) }
    });
    let worker = queue.work(EMAIL, SETTINGS, note).await.unwrap();
    let mut waits = Vec::new();
    for n in 0..200 {
        let added = Instant::now();
        queue.add(job(&format!("m-{n}"))).await.unwrap();
        waits.push(starts.recv().await.unwrap().saturating_duration_since(added));
    }
    waits.sort_unstable();
    assert!(waits[100] < Duration::from_millis(5), "median {:?}", waits[100]);
    worker.stop(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_many_threads_many_jobs_each_run_once() {
    let ambient = Ambient::system();
    let bench = Bench::<dyn Queue>::waiting(Arc::new(LocalQueue::new(&ambient)), ambient.clock.clone());
    conformance::queue::many_jobs_each_run_once(bench).await;
}

#[tokio::test]
async fn a_late_end_of_a_run_that_was_given_back_changes_nothing() {
    let queue = LocalQueue::new(&Ambient::system());
    let (go, may_go) = std::sync::mpsc::channel::<()>();
    let (may_go, first) = (parking_lot::Mutex::new(may_go), std::sync::atomic::AtomicBool::new(true));
    // A handler that holds its thread cannot be aborted.
    let blocking = Arc::new(handler(move |_| {
        if first.swap(false, std::sync::atomic::Ordering::SeqCst) {
            let _ = may_go.lock().recv_timeout(Duration::from_secs(10));
        }
        async { Ok(Value::Null) }
    }));
    let elsewhere = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let worker = {
        let _entered = elsewhere.enter();
        queue.line(EMAIL).work(SETTINGS, (*blocking).clone()).unwrap()
    };
    queue.add(job("m-1")).await.unwrap();
    while queue.counts(EMAIL).await.unwrap().active == 0 {
        tokio::task::yield_now().await;
    }
    assert!(!worker.stop(Duration::from_millis(20)).await);
    assert_eq!(
        queue.job(EMAIL, "m-1").await.unwrap().map(|job| (job.state, job.attempts_made)),
        Some((JobState::Waiting, 0))
    );
    go.send(()).unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(queue.job(EMAIL, "m-1").await.unwrap().map(|job| job.state), Some(JobState::Waiting));
    elsewhere.shutdown_background();
}
