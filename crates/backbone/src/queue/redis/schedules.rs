//! The schedules that this process set, kept up: BullMQ's job schedulers live in Redis, which may lose them.

use super::connection::Connection;
use super::job::{kept, millis};
use crate::Fault;
use crate::link::Need;
use crate::queue::Schedule;
use bullmq::job_scheduler::RepeatOptions;
use bullmq::{Error, JobOptions, Queue};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Between two looks whether all are there; Redis can be emptied without a word.
const LOOK_EVERY: Duration = Duration::from_secs(30);

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
    let options = JobOptions { attempts: Some(1), ..kept() };
    queue.upsert_job_scheduler(name, repeat, Some(name), Some(data), Some(options)).await.map(|_| ())
}

async fn look_after(connection: Arc<Connection>, set: Set) {
    let mut opened = connection.opened();
    loop {
        let _ = tokio::time::timeout(LOOK_EVERY, opened.changed()).await;
        let all: Vec<Schedule> = set.lock().values().cloned().collect();
        for schedule in all {
            let there = connection
                .ask(Need::Read, schedule.queue, async |queue| queue.get_job_scheduler(schedule.name).await)
                .await;
            if !matches!(there, Ok(None)) || !set.lock().contains_key(&(schedule.queue, schedule.name)) {
                continue;
            }
            let again = connection.ask(Need::Write, schedule.queue, async |queue| upsert(queue, &schedule).await).await;
            match again {
                Ok(()) => tracing::info!(queue = schedule.queue, name = schedule.name, "a schedule was set again"),
                Err(fault) => tracing::debug!(%fault, name = schedule.name, "a schedule was not set again"),
            }
        }
    }
}
