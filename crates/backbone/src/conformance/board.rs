//! What every board promises.

use super::{Bench, eventually};
use crate::queue::board::{Board, Obliterated, Outcome, Pace, Posted, Reset, Status, Timetable};
use crate::queue::{CLEANUP, EMAIL, Failure, Handler, Run, Schedule, WorkerSettings};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

#[macro_export]
macro_rules! board_promises {
    ($open:expr) => {
        $crate::promises!(
            paused board,
            $open,
            every_status_is_told_apart,
            a_page_shows_the_latest_first,
            a_job_is_shown_with_all_that_is_kept_of_it,
            a_job_of_any_name_can_be_added_and_runs,
            each_failed_run_is_written_into_the_log,
            a_job_that_ended_can_run_again,
            a_delayed_job_can_be_promoted_and_put_off,
            data_and_priority_can_be_changed,
            what_is_not_active_can_be_discarded,
            all_that_failed_can_run_again,
            all_that_is_delayed_can_be_promoted,
            a_clean_up_takes_one_status_and_only_what_is_old,
            a_drained_queue_keeps_what_is_delayed,
            only_a_paused_queue_is_obliterated,
            a_queues_concurrency_holds_for_all_its_workers,
            a_schedule_is_shown_and_changed,
            what_ended_is_counted,
            workers_are_seen_while_they_work,
        );
    };
}

type Open = Bench<dyn Board>;

const SETTINGS: WorkerSettings = WorkerSettings { concurrency: 4, stalled_after: Duration::from_secs(5) };
const LATER: Duration = Duration::from_secs(600);
const PATIENCE: Duration = Duration::from_secs(5);

fn job(id: &str) -> Posted {
    Posted {
        queue: EMAIL,
        name: "mail".into(),
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

/// Completes those whose data do not ask for more.
fn obeys() -> Handler {
    handler(async |run: Run| match run.data["do"].as_str() {
        Some("fail") => Err(Failure::Final("as it was told".into())),
        Some("again") => Err(Failure::Retry(format!("not on run {}", run.attempt))),
        Some("hang") => std::future::pending().await,
        _ => Ok(json!({ "ran": run.id })),
    })
}

fn told(id: &str, what: &str) -> Posted {
    Posted { data: json!({ "do": what }), ..job(id) }
}

impl Open {
    async fn post(&self, job: Posted) {
        self.backend.post(job).await.unwrap();
    }

    async fn tally(&self, status: Status) -> u64 {
        self.backend.survey(EMAIL).await.unwrap().tally.of(status)
    }

    async fn status(&self, id: &str) -> Option<Status> {
        self.backend.entry(EMAIL, id).await.unwrap().map(|(_, status)| status)
    }

    async fn reaches(&self, id: &str, status: Status) {
        eventually(&format!("{id} is {status:?}"), async || self.status(id).await == Some(status)).await;
    }

    async fn ids(&self, statuses: &[Status], skip: usize, limit: usize) -> Vec<String> {
        let page = self.backend.page(EMAIL, statuses, skip, limit).await.unwrap();
        page.into_iter().map(|entry| entry.id).collect()
    }
}

pub async fn every_status_is_told_apart(bench: Open) {
    let worker = bench.backend.work(EMAIL, SETTINGS, obeys()).await.unwrap();
    bench.post(job("fine")).await;
    bench.post(told("bad", "fail")).await;
    bench.post(told("busy", "hang")).await;
    bench.reaches("fine", Status::Completed).await;
    bench.reaches("bad", Status::Failed).await;
    bench.reaches("busy", Status::Active).await;
    bench.backend.pause(EMAIL).await.unwrap();
    bench.post(job("plain")).await;
    bench.post(Posted { priority: 3, ..job("urgent") }).await;
    bench.post(Posted { delay: LATER, ..job("later") }).await;
    let survey = bench.backend.survey(EMAIL).await.unwrap();
    for (id, status) in [
        ("busy", Status::Active),
        ("plain", Status::Waiting),
        ("urgent", Status::Prioritized),
        ("fine", Status::Completed),
        ("bad", Status::Failed),
        ("later", Status::Delayed),
    ] {
        assert_eq!(survey.tally.of(status), 1, "{status:?}");
        assert_eq!((bench.status(id).await, bench.ids(&[status], 0, 9).await), (Some(status), vec![id.to_owned()]));
    }
    assert_eq!((survey.tally.of(Status::WaitingChildren), survey.is_paused), (0, true));
    assert_eq!(bench.ids(&Status::ALL, 0, 9).await, ["busy", "plain", "urgent", "fine", "bad", "later"]);
    assert!(bench.backend.entry(EMAIL, "nobody").await.unwrap().is_none());
    assert!(!worker.stop(Duration::from_millis(50)).await);
}

pub async fn a_page_shows_the_latest_first(bench: Open) {
    for n in 0..5 {
        bench.post(job(&format!("m-{n}"))).await;
        bench.post(Posted { delay: LATER * (n + 1), ..job(&format!("d-{n}")) }).await;
        bench.advance(Duration::from_millis(5)).await;
    }
    assert_eq!(bench.ids(&[Status::Waiting], 0, 2).await, ["m-4", "m-3"]);
    assert_eq!(bench.ids(&[Status::Waiting], 4, 2).await, ["m-0"]);
    assert_eq!(bench.ids(&[Status::Waiting], 5, 2).await, [""; 0]);
    assert_eq!(bench.ids(&[Status::Waiting, Status::Delayed], 0, 1).await, ["m-4", "d-4"]);
    let one = WorkerSettings { concurrency: 1, ..SETTINGS };
    let worker = bench.backend.work(EMAIL, one, obeys()).await.unwrap();
    bench.reaches("m-4", Status::Completed).await;
    assert_eq!(bench.ids(&[Status::Completed], 0, 2).await, ["m-4", "m-3"]);
    assert!(worker.stop(PATIENCE).await);
}

pub async fn a_job_is_shown_with_all_that_is_kept_of_it(bench: Open) {
    let before = bench.now();
    let data = json!({ "to": "maé@example.test", "nested": [1, { "two": null }] });
    let backoff = Duration::from_millis(400);
    let posted = Posted { data: data.clone(), attempts: 3, backoff, priority: 7, delay: LATER, ..job("m-1") };
    bench.post(posted).await;
    let (entry, status) = bench.backend.entry(EMAIL, "m-1").await.unwrap().unwrap();
    assert_eq!((entry.name.as_str(), &entry.data, status), ("mail", &data, Status::Delayed));
    assert_eq!((entry.priority, entry.delay, entry.attempts_made, entry.progress), (7, LATER, 0, json!(0)));
    assert!(entry.added_at >= before && entry.added_at <= bench.now(), "{:?}", entry.added_at);
    assert_eq!(
        (entry.started_at, entry.finished_at, entry.failed_reason, entry.returned),
        (None, None, None, Value::Null)
    );
    for (option, value) in [
        ("attempts", json!(3)),
        ("backoff", json!({ "type": "exponential", "delay": 400 })),
        ("delay", json!(600_000)),
        ("priority", json!(7)),
        ("jobId", json!("m-1")),
        ("removeOnComplete", json!({ "count": 1_000 })),
        ("removeOnFail", json!({ "count": 5_000 })),
    ] {
        assert_eq!(entry.options[option], value, "{option}");
    }
    let worker = bench.backend.work(EMAIL, SETTINGS, obeys()).await.unwrap();
    bench.post(job("m-2")).await;
    bench.reaches("m-2", Status::Completed).await;
    let (entry, _) = bench.backend.entry(EMAIL, "m-2").await.unwrap().unwrap();
    assert_eq!((entry.returned, entry.attempts_made, entry.stalled), (json!({ "ran": "m-2" }), 1, 0));
    assert!(entry.finished_at >= entry.started_at && entry.started_at >= Some(entry.added_at));
    assert!(worker.stop(PATIENCE).await);
}

pub async fn a_job_of_any_name_can_be_added_and_runs(bench: Open) {
    let names = Arc::new(Mutex::new(Vec::new()));
    let seen = names.clone();
    let note = handler(move |run: Run| {
        seen.lock().push(run.name);
        async { Ok(Value::Null) }
    });
    bench.post(Posted { name: format!("by hand {}", 1).into(), ..job("m-1") }).await;
    assert!(bench.backend.post(job("17")).await.is_err(), "ids are BullMQ's");
    let worker = bench.backend.work(EMAIL, SETTINGS, note).await.unwrap();
    bench.reaches("m-1", Status::Completed).await;
    assert_eq!(*names.lock(), ["by hand 1"]);
    assert!(worker.stop(PATIENCE).await);
}

pub async fn each_failed_run_is_written_into_the_log(bench: Open) {
    let worker = bench.backend.work(EMAIL, SETTINGS, obeys()).await.unwrap();
    bench.post(Posted { attempts: 2, backoff: Duration::from_millis(100), ..told("m-1", "again") }).await;
    bench.post(job("m-2")).await;
    bench.reaches("m-1", Status::Failed).await;
    let logs = bench.backend.logs(EMAIL, "m-1").await.unwrap();
    assert_eq!(logs.len(), 2, "{logs:?}");
    assert!(logs[0].ends_with("run 1 of 2 failed: not on run 1"), "{logs:?}");
    assert!(logs[1].ends_with("run 2 of 2 failed: not on run 2"), "{logs:?}");
    let (entry, _) = bench.backend.entry(EMAIL, "m-1").await.unwrap().unwrap();
    assert_eq!((entry.failed_reason.as_deref(), entry.attempts_made), (Some("not on run 2"), 2));
    bench.reaches("m-2", Status::Completed).await;
    for silent in ["m-2", "m-3"] {
        assert_eq!(bench.backend.logs(EMAIL, silent).await.unwrap(), [""; 0], "{silent}");
    }
    assert!(worker.stop(PATIENCE).await);
}

pub async fn a_job_that_ended_can_run_again(bench: Open) {
    let runs = Arc::new(AtomicUsize::new(0));
    let count = runs.clone();
    let once = handler(move |run: Run| {
        let first = count.fetch_add(1, Ordering::SeqCst) == 0;
        async move { if first { Err(Failure::Final("not now".into())) } else { Ok(json!(run.attempt)) } }
    });
    let worker = bench.backend.work(EMAIL, SETTINGS, once).await.unwrap();
    bench.post(job("m-1")).await;
    bench.reaches("m-1", Status::Failed).await;
    assert_eq!(bench.backend.run_again(EMAIL, "m-1").await.unwrap(), Outcome::Done);
    bench.reaches("m-1", Status::Completed).await;
    let (entry, _) = bench.backend.entry(EMAIL, "m-1").await.unwrap().unwrap();
    assert_eq!(entry.failed_reason, None, "what failed once is over");
    assert_eq!(bench.backend.run_again(EMAIL, "m-1").await.unwrap(), Outcome::Done);
    eventually("it runs a third time", async || runs.load(Ordering::SeqCst) == 3).await;
    bench.post(Posted { delay: LATER, ..job("m-2") }).await;
    assert_eq!(bench.backend.run_again(EMAIL, "m-2").await.unwrap(), Outcome::Refused(Status::Delayed));
    assert_eq!(bench.backend.run_again(EMAIL, "m-3").await.unwrap(), Outcome::Unknown);
    assert!(worker.stop(PATIENCE).await);
}

pub async fn a_delayed_job_can_be_promoted_and_put_off(bench: Open) {
    for id in ["m-1", "m-2"] {
        bench.post(Posted { delay: LATER, ..job(id) }).await;
    }
    bench.post(Posted { delay: LATER, priority: 2, ..job("m-3") }).await;
    assert_eq!(bench.backend.promote(EMAIL, "m-1").await.unwrap(), Outcome::Done);
    assert_eq!(bench.backend.promote(EMAIL, "m-3").await.unwrap(), Outcome::Done);
    assert_eq!(bench.status("m-1").await, Some(Status::Waiting));
    assert_eq!(bench.status("m-3").await, Some(Status::Prioritized));
    assert_eq!(bench.backend.promote(EMAIL, "m-1").await.unwrap(), Outcome::Refused(Status::Waiting));
    assert_eq!(bench.backend.promote(EMAIL, "m-9").await.unwrap(), Outcome::Unknown);
    assert_eq!(bench.backend.set_delay(EMAIL, "m-1", LATER).await.unwrap(), Outcome::Refused(Status::Waiting));
    assert_eq!(bench.backend.set_delay(EMAIL, "m-9", LATER).await.unwrap(), Outcome::Unknown);
    let worker = bench.backend.work(EMAIL, SETTINGS, obeys()).await.unwrap();
    bench.reaches("m-1", Status::Completed).await;
    assert_eq!(bench.backend.set_delay(EMAIL, "m-2", Duration::from_millis(300)).await.unwrap(), Outcome::Done);
    assert_eq!(bench.status("m-2").await, Some(Status::Delayed));
    bench.reaches("m-2", Status::Completed).await;
    assert!(worker.stop(PATIENCE).await);
}

pub async fn data_and_priority_can_be_changed(bench: Open) {
    for id in ["m-1", "m-2"] {
        bench.post(job(id)).await;
    }
    assert_eq!(bench.backend.set_data(EMAIL, "m-1", json!({ "do": "fail" })).await.unwrap(), Outcome::Done);
    assert_eq!(bench.backend.set_data(EMAIL, "m-9", json!(1)).await.unwrap(), Outcome::Unknown);
    assert_eq!(bench.backend.set_priority(EMAIL, "m-1", 4).await.unwrap(), Outcome::Done);
    assert_eq!(bench.backend.set_priority(EMAIL, "m-9", 4).await.unwrap(), Outcome::Unknown);
    assert_eq!(bench.status("m-1").await, Some(Status::Prioritized));
    let (entry, _) = bench.backend.entry(EMAIL, "m-1").await.unwrap().unwrap();
    assert_eq!((entry.priority, entry.data), (4, json!({ "do": "fail" })));
    bench.backend.set_priority(EMAIL, "m-2", 9).await.unwrap();
    bench.backend.set_priority(EMAIL, "m-2", 0).await.unwrap();
    assert_eq!(bench.status("m-2").await, Some(Status::Waiting));
    let worker = bench.backend.work(EMAIL, SETTINGS, obeys()).await.unwrap();
    bench.reaches("m-1", Status::Failed).await;
    bench.reaches("m-2", Status::Completed).await;
    assert!(worker.stop(PATIENCE).await);
}

pub async fn what_is_not_active_can_be_discarded(bench: Open) {
    let worker = bench.backend.work(EMAIL, SETTINGS, obeys()).await.unwrap();
    bench.post(job("fine")).await;
    bench.post(told("bad", "fail")).await;
    bench.post(told("busy", "hang")).await;
    bench.post(Posted { delay: LATER, ..job("later") }).await;
    bench.reaches("fine", Status::Completed).await;
    bench.reaches("bad", Status::Failed).await;
    bench.reaches("busy", Status::Active).await;
    for id in ["fine", "bad", "later"] {
        assert_eq!(bench.backend.discard(EMAIL, id).await.unwrap(), Outcome::Done, "{id}");
        assert_eq!(bench.backend.discard(EMAIL, id).await.unwrap(), Outcome::Unknown, "{id}");
    }
    assert_eq!(bench.backend.discard(EMAIL, "busy").await.unwrap(), Outcome::Refused(Status::Active));
    assert!(!worker.stop(Duration::from_millis(50)).await);
}

pub async fn all_that_failed_can_run_again(bench: Open) {
    let heals = Arc::new(AtomicBool::new(false));
    let healed = heals.clone();
    let ill = handler(move |_| {
        let well = healed.load(Ordering::SeqCst);
        async move { if well { Ok(Value::Null) } else { Err(Failure::Final("the server is away".into())) } }
    });
    let worker = bench.backend.work(EMAIL, SETTINGS, ill).await.unwrap();
    for n in 0..130 {
        bench.post(job(&format!("m-{n}"))).await;
    }
    eventually("all have failed", async || bench.tally(Status::Failed).await == 130).await;
    heals.store(true, Ordering::SeqCst);
    assert_eq!(bench.backend.run_all_again(EMAIL, Status::Failed).await.unwrap(), 130);
    eventually("all have completed", async || bench.tally(Status::Completed).await == 130).await;
    assert_eq!(bench.backend.run_all_again(EMAIL, Status::Failed).await.unwrap(), 0);
    assert!(worker.stop(PATIENCE).await);
}

pub async fn all_that_is_delayed_can_be_promoted(bench: Open) {
    for n in 0..20 {
        bench.post(Posted { delay: LATER, ..job(&format!("m-{n}")) }).await;
    }
    bench.backend.promote_all(EMAIL).await.unwrap();
    assert_eq!((bench.tally(Status::Delayed).await, bench.tally(Status::Waiting).await), (0, 20));
    let worker = bench.backend.work(EMAIL, SETTINGS, obeys()).await.unwrap();
    eventually("all have completed", async || bench.tally(Status::Completed).await == 20).await;
    assert!(worker.stop(PATIENCE).await);
}

pub async fn a_clean_up_takes_one_status_and_only_what_is_old(bench: Open) {
    let worker = bench.backend.work(EMAIL, SETTINGS, obeys()).await.unwrap();
    bench.post(job("fine")).await;
    bench.post(told("bad", "fail")).await;
    bench.post(told("busy", "hang")).await;
    for (id, status) in [("fine", Status::Completed), ("bad", Status::Failed), ("busy", Status::Active)] {
        bench.reaches(id, status).await;
    }
    assert_eq!(bench.backend.clean(EMAIL, Status::Completed, LATER).await.unwrap(), 0, "it is young");
    bench.advance(Duration::from_millis(20)).await;
    assert_eq!(bench.backend.clean(EMAIL, Status::Completed, Duration::ZERO).await.unwrap(), 1);
    assert_eq!(bench.backend.clean(EMAIL, Status::Active, Duration::ZERO).await.unwrap(), 0, "its worker lives");
    assert_eq!((bench.status("fine").await, bench.status("bad").await), (None, Some(Status::Failed)));
    bench.backend.pause(EMAIL).await.unwrap();
    for (id, priority, delay) in [("w", 0, Duration::ZERO), ("p", 1, Duration::ZERO), ("d", 0, LATER)] {
        bench.post(Posted { priority, delay, ..job(&format!("m-{id}")) }).await;
    }
    bench.advance(Duration::from_millis(20)).await;
    for status in [Status::Waiting, Status::Prioritized, Status::Delayed, Status::Failed] {
        assert_eq!(bench.backend.clean(EMAIL, status, Duration::ZERO).await.unwrap(), 1, "{status:?}");
        assert_eq!(bench.tally(status).await, 0, "{status:?}");
    }
    assert!(!worker.stop(Duration::from_millis(50)).await);
}

pub async fn a_drained_queue_keeps_what_is_delayed(bench: Open) {
    bench.post(job("m-1")).await;
    bench.post(Posted { priority: 1, ..job("m-2") }).await;
    bench.post(Posted { delay: LATER, ..job("m-3") }).await;
    bench.backend.drain(EMAIL).await.unwrap();
    assert_eq!(bench.ids(&Status::ALL, 0, 9).await, ["m-3"]);
}

pub async fn only_a_paused_queue_is_obliterated(bench: Open) {
    let worker = bench.backend.work(EMAIL, SETTINGS, obeys()).await.unwrap();
    bench.post(told("busy", "hang")).await;
    bench.post(Posted { delay: LATER, ..job("later") }).await;
    bench.reaches("busy", Status::Active).await;
    assert_eq!(bench.backend.obliterate(EMAIL, true).await.unwrap(), Obliterated::NotPaused);
    bench.backend.pause(EMAIL).await.unwrap();
    assert_eq!(bench.backend.obliterate(EMAIL, false).await.unwrap(), Obliterated::HasActive);
    assert_eq!(bench.backend.obliterate(EMAIL, true).await.unwrap(), Obliterated::Done);
    assert_eq!(bench.backend.survey(EMAIL).await.unwrap().tally, Default::default());
    assert_eq!(bench.ids(&Status::ALL, 0, 9).await, [""; 0]);
    worker.stop(Duration::from_millis(50)).await;
    let worker = bench.backend.work(EMAIL, SETTINGS, obeys()).await.unwrap();
    bench.post(job("after")).await;
    bench.reaches("after", Status::Completed).await;
    assert!(worker.stop(PATIENCE).await);
}

pub async fn a_queues_concurrency_holds_for_all_its_workers(bench: Open) {
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (r, m) = (running.clone(), most.clone());
    let slow = handler(move |_| {
        let (running, most) = (r.clone(), m.clone());
        async move {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(40)).await;
            running.fetch_sub(1, Ordering::SeqCst);
            Ok(Value::Null)
        }
    });
    bench.backend.set_concurrency(EMAIL, Some(2)).await.unwrap();
    assert_eq!(bench.backend.survey(EMAIL).await.unwrap().concurrency, Some(2));
    let mut workers = Vec::new();
    for _ in 0..2 {
        workers.push(bench.backend.work(EMAIL, SETTINGS, slow.clone()).await.unwrap());
    }
    for n in 0..12 {
        bench.post(job(&format!("m-{n}"))).await;
    }
    eventually("all have completed", async || bench.tally(Status::Completed).await == 12).await;
    assert_eq!(most.load(Ordering::SeqCst), 2);
    bench.backend.set_concurrency(EMAIL, None).await.unwrap();
    assert_eq!(bench.backend.survey(EMAIL).await.unwrap().concurrency, None);
    for worker in workers {
        assert!(worker.stop(PATIENCE).await);
    }
}

fn every(every: Duration) -> Timetable {
    Timetable { pace: Pace::Every(every), zone: None, limit: None, until: None }
}

pub async fn a_schedule_is_shown_and_changed(bench: Open) {
    bench.backend.pause(CLEANUP).await.unwrap();
    let data = json!({ "n": 1 });
    let backoff = Duration::from_secs(4);
    let schedule = Schedule { queue: CLEANUP, name: "sweep", every: LATER, data: data.clone(), attempts: 3, backoff };
    bench.backend.schedule(schedule).await.unwrap();
    let shown = bench.backend.schedules(CLEANUP).await.unwrap();
    assert_eq!((shown.len(), shown[0].id.as_str(), shown[0].name.as_str()), (1, "sweep", "sweep"));
    assert_eq!((&shown[0].timetable, shown[0].data.as_ref()), (&every(LATER), Some(&data)));
    let options = shown[0].options.as_ref().unwrap();
    assert_eq!((&options["attempts"], &options["backoff"]["delay"]), (&json!(3), &json!(4_000)), "{options}");
    assert!(shown[0].next.is_some());
    assert_eq!(bench.backend.survey(CLEANUP).await.unwrap().schedules, 1);

    assert_eq!(bench.backend.set_timetable(CLEANUP, "sweep", every(LATER * 2)).await.unwrap(), Reset::Done);
    let shown = bench.backend.schedules(CLEANUP).await.unwrap();
    assert_eq!((&shown[0].timetable, shown[0].data.as_ref()), (&every(LATER * 2), Some(&data)));
    assert_eq!(bench.backend.set_timetable(CLEANUP, "none", every(LATER)).await.unwrap(), Reset::Unknown);
    let odd = Timetable { pace: Pace::Pattern("every now and then".into()), ..every(LATER) };
    assert!(matches!(bench.backend.set_timetable(CLEANUP, "sweep", odd).await.unwrap(), Reset::Refused(_)));

    assert!(bench.backend.run_schedule(CLEANUP, "sweep", "by-hand").await.unwrap());
    assert!(!bench.backend.run_schedule(CLEANUP, "none", "by-hand-too").await.unwrap());
    let (entry, status) = bench.backend.entry(CLEANUP, "by-hand").await.unwrap().unwrap();
    assert_eq!((entry.name.as_str(), entry.data, status), ("sweep", data, Status::Waiting));
    assert_eq!((&entry.options["attempts"], &entry.options["backoff"]["type"]), (&json!(3), &json!("exponential")));

    assert!(bench.backend.drop_schedule(CLEANUP, "sweep").await.unwrap());
    assert!(!bench.backend.drop_schedule(CLEANUP, "sweep").await.unwrap());
    assert_eq!(bench.backend.schedules(CLEANUP).await.unwrap(), []);
}

pub async fn what_ended_is_counted(bench: Open) {
    let worker = bench.backend.work(EMAIL, SETTINGS, obeys()).await.unwrap();
    for n in 0..3 {
        bench.post(job(&format!("fine-{n}"))).await;
    }
    bench.post(told("bad", "fail")).await;
    bench.reaches("bad", Status::Failed).await;
    eventually("all are counted", async || {
        let [completed, failed] = bench.backend.metrics(EMAIL).await.unwrap();
        (completed.total, failed.total) == (3, 1)
    })
    .await;
    assert!(worker.stop(PATIENCE).await);
}

pub async fn workers_are_seen_while_they_work(bench: Open) {
    assert_eq!(bench.backend.survey(EMAIL).await.unwrap().workers, 0);
    let worker = bench.backend.work(EMAIL, SETTINGS, obeys()).await.unwrap();
    eventually("it is seen", async || bench.backend.workers(EMAIL).await.unwrap().len() == 1).await;
    assert_eq!(bench.backend.survey(EMAIL).await.unwrap().workers, 1);
    let seen = bench.backend.workers(EMAIL).await.unwrap();
    assert!(!seen[0].id.is_empty() && !seen[0].address.is_empty(), "{seen:?}");
    assert!(worker.stop(PATIENCE).await);
    eventually("it is gone", async || bench.backend.workers(EMAIL).await.unwrap().is_empty()).await;
}
