//! The schedules that this process set, kept up: BullMQ's job schedulers live in Redis, which may lose them.

use super::connection::Connection;
use super::job::{millis, repeated, timestamp};
use crate::Fault;
use crate::link::Need;
use crate::queue::Schedule;
use crate::queue::board::{Pace, Scheduled, Timetable};
use bullmq::job_scheduler::{JobSchedulerJson, RepeatOptions};
use bullmq::{Error, Queue};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Between two looks whether all are there; Redis can be emptied without a word.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// The same where one could not be looked for, or set.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

type Set = Arc<Mutex<HashMap<(&'static str, &'static str), Schedule>>>;

pub(super) struct Schedules {
    connection: Arc<Connection>,
    set: Set,
    _keeper: DropGuard,
}

impl Schedules {
    pub fn keep(connection: Arc<Connection>) -> Self {
        let set = Set::default();
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(look_after(connection.clone(), set.clone())));
        Self { connection, set, _keeper: stop.drop_guard() }
    }

    /// Where this is a fault the schedule is set as soon as Redis is there.
    pub async fn set(&self, schedule: &Schedule) -> Result<(), Fault> {
        self.set.lock().insert((schedule.queue, schedule.name), schedule.clone());
        self.connection.ask(Need::Write, schedule.queue, async |queue| upsert(queue, schedule).await).await
    }

    pub async fn unset(&self, queue: &'static str, name: &str) -> Result<bool, Fault> {
        self.set.lock().retain(|(of, set), _| *of != queue || *set != name);
        self.connection.ask(Need::Write, queue, async |queue| queue.remove_job_scheduler(name).await).await
    }
}

async fn upsert(queue: &Queue, schedule: &Schedule) -> Result<(), Error> {
    let every = millis(schedule.every);
    let repeat = RepeatOptions { every: Some(every), ..RepeatOptions::default() };
    let (name, data) = (schedule.name, schedule.data.clone());
    let options = repeated(schedule.attempts, schedule.backoff);
    queue.upsert_job_scheduler(name, repeat, Some(name), Some(data), Some(options)).await.map(|_| ())
}

/// The id of a schedule's run at that time, in milliseconds.
pub(super) fn run_id(schedule: &str, at: u64) -> String {
    format!("repeat:{schedule}:{at}")
}

pub(super) fn repeat(timetable: Timetable) -> RepeatOptions {
    let (every, pattern) = match timetable.pace {
        Pace::Every(every) => (Some(millis(every).max(1)), None),
        Pace::Pattern(pattern) => (None, Some(pattern)),
    };
    let end_date = timetable.until.map(|until| u64::try_from(until.0).unwrap_or(0));
    RepeatOptions { every, pattern, tz: timetable.zone, limit: timetable.limit, end_date, ..RepeatOptions::default() }
}

/// All schedules of a queue, those that run last first.
pub(super) async fn read_all(queue: &Queue) -> Result<Vec<Scheduled>, Error> {
    let known = queue.get_job_schedulers(0, -1, false).await?;
    let mut pipe = redis::pipe();
    for schedule in &known {
        let next = schedule.next.unwrap_or(0);
        // A run's job is made when the one before begins.
        pipe.cmd("HGET").arg(queue.keys().job_key(&run_id(&schedule.key, next))).arg("timestamp");
        let before = next.saturating_sub(schedule.every.unwrap_or(0));
        pipe.cmd("HGET").arg(queue.keys().job_key(&run_id(&schedule.key, before))).arg("timestamp");
    }
    let runs: Vec<Option<u64>> = if known.is_empty() { Vec::new() } else { queue.connection().pipe(&pipe).await? };
    Ok(known.into_iter().zip(runs.chunks(2)).map(|(schedule, runs)| scheduled(schedule, runs)).collect())
}

fn scheduled(schedule: JobSchedulerJson, runs: &[Option<u64>]) -> Scheduled {
    let [made, before] = [0, 1].map(|at| runs.get(at).copied().flatten());
    let next = schedule.next.filter(|next| *next > 0);
    let has_run = made.is_some() && schedule.iteration_count > 1;
    let last_job = next.zip(schedule.every).filter(|_| has_run && before.is_some());
    let pace = match (schedule.every, schedule.pattern) {
        (None, Some(pattern)) => Pace::Pattern(pattern),
        (every, _) => Pace::Every(Duration::from_millis(every.unwrap_or_default())),
    };
    Scheduled {
        timetable: Timetable {
            pace,
            zone: schedule.tz,
            limit: schedule.limit,
            until: schedule.end_date.map(timestamp),
        },
        from: schedule.start_date.map(timestamp),
        next: next.map(timestamp),
        next_job: next.filter(|_| made.is_some()).map(|next| run_id(&schedule.key, next)),
        last: made.filter(|_| has_run).map(timestamp),
        last_job: last_job.map(|(next, every)| run_id(&schedule.key, next.saturating_sub(every))),
        runs: schedule.iteration_count,
        data: schedule.data,
        options: schedule.opts,
        id: schedule.key,
        name: schedule.name,
    }
}

async fn look_after(connection: Arc<Connection>, set: Set) {
    let mut opened = connection.opened();
    let mut recoveries = connection.recoveries();
    let mut pause = LOOK_EVERY;
    loop {
        tokio::select! {
            _ = opened.changed() => {}
            _ = recoveries.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
        let all: Vec<Schedule> = set.lock().values().cloned().collect();
        pause = LOOK_EVERY;
        for schedule in all {
            if let Err(fault) = set_again(&connection, &set, &schedule).await {
                tracing::debug!(%fault, name = schedule.name, "a schedule was not looked for, or not set again");
                pause = LOOK_AGAIN;
            }
        }
    }
}

async fn set_again(connection: &Connection, set: &Set, schedule: &Schedule) -> Result<(), Fault> {
    let &Schedule { queue: of, name, .. } = schedule;
    let there = connection.ask(Need::Read, of, async |queue| queue.get_job_scheduler(name).await).await?;
    if there.is_some() || !set.lock().contains_key(&(of, name)) {
        return Ok(());
    }
    connection.ask(Need::Write, of, async |queue| upsert(queue, schedule).await).await?;
    tracing::info!(queue = of, name, "a schedule was set again");
    Ok(())
}
