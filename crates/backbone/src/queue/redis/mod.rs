//! Queues in Redis as BullMQ keeps them, by BullMQ's own scripts: any BullMQ of any language reads and writes them, and
//! Bull Board shows them. Jobs and schedules are in `job`, the connection in `connection`, workers in `worker`.
//!
//! BullMQ connects in the background; until it has, and while the breaker is open, every call is a fault at once. An
//! `add` whose answer did not come in time may have added its job all the same.
//!
//! Schedules belong to the code that sets them: one that Redis lost, or that somebody removed there, is set again.

mod board;
mod connection;
mod crew;
mod entry;
pub(super) mod errands;
mod job;
mod schedules;
mod worker;

use super::board::Posted;
use super::meters::Meters;
use super::{
    Added, Counts, Handler, Job, JobState, KEPT_COMPLETED, NewJob, Queue, Schedule, Worker, WorkerSettings, check_id,
};
use crate::Fault;
use crate::link::{Client, Need, Passage};
use aim_domain::Ambient;
use async_trait::async_trait;
use bullmq::{Error, JobState as BullState};
use connection::Connection;
use futures::future::join;
use schedules::Schedules;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

pub struct RedisQueue {
    client: Client,
    connection: Arc<Connection>,
    schedules: Schedules,
    /// BullMQ's, before the names of queues.
    prefix: Arc<str>,
    ambient: Ambient,
}

impl RedisQueue {
    /// Begins to connect. `prefix` has no colon, and in a Cluster it has braces around it, so that a queue's keys share
    /// a slot. Needs a runtime.
    pub fn new(client: Client, prefix: &str, ambient: &Ambient) -> Self {
        let connection = Arc::new(Connection::open(client.clone(), prefix));
        let schedules = Schedules::keep(connection.clone());
        Self { client, connection, schedules, prefix: prefix.into(), ambient: ambient.clone() }
    }

    /// Waits until jobs can be added, `patience` at the most; false when they cannot.
    pub async fn ready(&self, patience: Duration) -> bool {
        self.connection.ready(patience).await
    }

    /// Changes when BullMQ has connected anew.
    pub(super) fn opened(&self) -> watch::Receiver<u64> {
        self.connection.opened()
    }

    /// Changes when Redis can be used again.
    pub(super) fn recoveries(&self) -> watch::Receiver<u64> {
        self.connection.recoveries()
    }

    /// No connection of BullMQ's has stood yet.
    pub(super) fn is_beginning(&self) -> bool {
        *self.connection.opened().borrow() == 0
    }

    pub(super) fn is_open(&self) -> bool {
        self.client.link().passage() == Passage::Open && self.connection.is_open()
    }

    /// One round trip.
    pub(super) async fn put(&self, job: &Posted) -> Result<Added, Fault> {
        check_id(&job.id)?;
        let options = job::options(job);
        self.connection
            .ask(Need::Write, job.queue, async |queue| {
                // BullMQ's scripts do not tell whether they knew the id: it is looked for in the same breath, before.
                let mut wire = queue.connection().connection();
                let known = async {
                    let key = queue.keys().job_key(&job.id);
                    Ok::<bool, Error>(redis::cmd("EXISTS").arg(key).query_async(&mut wire).await?)
                };
                let added = async { queue.add(&job.name, &job.data).options(options).await };
                let (known, added) = join(known, added).await;
                added?;
                Ok(if known? { Added::Known } else { Added::New })
            })
            .await
    }

    pub(super) async fn set(&self, schedule: &Schedule) -> Result<(), Fault> {
        if schedule.every.is_zero() {
            return Err(Fault::new("queue", "a schedule needs time between its runs"));
        }
        self.schedules.set(schedule).await
    }

    async fn listed(
        &self,
        queue: &'static str,
        list: &'static str,
        state: JobState,
        skip: usize,
        limit: usize,
    ) -> Result<Vec<Job>, Fault> {
        let [first, last] = [skip, skip + limit - 1].map(|n| i64::try_from(n).unwrap_or(i64::MAX));
        let soonest_first = !matches!(state, JobState::Completed | JobState::Failed);
        let jobs = self
            .connection
            .ask(Need::Read, queue, async |queue| queue.get_jobs(&[list], first, last, soonest_first).await);
        Ok(jobs.await?.iter().map(|job| job::read(job, state)).collect())
    }

    async fn bull_counts(&self, queue: &'static str) -> Result<bullmq::types::JobCounts, Fault> {
        self.connection.ask(Need::Read, queue, async |queue| queue.get_job_counts().await).await
    }
}

#[async_trait]
impl Queue for RedisQueue {
    async fn add(&self, job: NewJob) -> Result<Added, Fault> {
        self.put(&job.into()).await
    }

    async fn work(
        &self,
        queue: &'static str,
        settings: WorkerSettings,
        handler: Handler,
    ) -> Result<Arc<dyn Worker>, Fault> {
        let crew = crew::Crew::new(queue, settings, handler, self.ambient.clone());
        Ok(Arc::new(worker::start(self.client.clone(), self.prefix.clone(), settings, crew)))
    }

    async fn schedule(&self, schedule: Schedule) -> Result<(), Fault> {
        self.set(&schedule).await
    }

    async fn unschedule(&self, queue: &'static str, name: &str) -> Result<bool, Fault> {
        self.schedules.unset(queue, name).await
    }

    async fn pause(&self, queue: &'static str) -> Result<(), Fault> {
        self.connection.ask(Need::Write, queue, async |queue| queue.pause().await).await
    }

    async fn resume(&self, queue: &'static str) -> Result<(), Fault> {
        self.connection.ask(Need::Write, queue, async |queue| queue.resume().await).await
    }

    async fn is_paused(&self, queue: &'static str) -> Result<bool, Fault> {
        self.connection.ask(Need::Read, queue, async |queue| queue.is_paused().await).await
    }

    async fn counts(&self, queue: &'static str) -> Result<Counts, Fault> {
        let bull = self.bull_counts(queue).await?;
        let counts = Counts {
            waiting: bull.waiting + bull.paused + bull.prioritized + bull.waiting_children,
            delayed: bull.delayed,
            active: bull.active,
            completed: bull.completed,
            failed: bull.failed,
        };
        Meters::of(queue).tell(&counts);
        Ok(counts)
    }

    async fn job(&self, queue: &'static str, id: &str) -> Result<Option<Job>, Fault> {
        let (job, state) = self
            .connection
            .ask(Need::Read, queue, async |queue| {
                let (job, state) = join(queue.get_job(id), queue.get_job_state(id)).await;
                Ok((job?, state?))
            })
            .await?;
        let state = match state {
            BullState::Delayed => JobState::Delayed,
            BullState::Active => JobState::Active,
            BullState::Completed => JobState::Completed,
            BullState::Failed => JobState::Failed,
            BullState::Waiting | BullState::Prioritized | BullState::WaitingChildren | BullState::Unknown => {
                JobState::Waiting
            }
        };
        Ok(job.map(|job| job::read(&job, state)))
    }

    async fn jobs(&self, queue: &'static str, state: JobState, skip: usize, limit: usize) -> Result<Vec<Job>, Fault> {
        // No list is longer than this, but for those that wait: nobody reads so many at once.
        let limit = limit.min(KEPT_COMPLETED);
        if limit == 0 {
            return Ok(Vec::new());
        }
        let list = match state {
            JobState::Delayed => "delayed",
            JobState::Active => "active",
            JobState::Completed => "completed",
            JobState::Failed => "failed",
            JobState::Waiting => "wait",
        };
        let mut jobs = self.listed(queue, list, state, skip, limit).await?;
        // Those without a priority are a list of their own, and run before those with one.
        if state == JobState::Waiting && jobs.len() < limit {
            let before = usize::try_from(self.bull_counts(queue).await?.waiting).unwrap_or(usize::MAX);
            let skip = skip.saturating_sub(before);
            jobs.extend(self.listed(queue, "prioritized", state, skip, limit - jobs.len()).await?);
        }
        Ok(jobs)
    }

    async fn retry(&self, queue: &'static str, id: &str) -> Result<bool, Fault> {
        self.connection
            .ask(Need::Write, queue, async |queue| {
                let Some(mut job) = queue.get_job(id).await? else { return Ok(false) };
                match job.retry("failed", None).await {
                    Ok(()) => Ok(true),
                    Err(Error::Redis(error)) => Err(error.into()),
                    // It is not failed.
                    Err(_) => Ok(false),
                }
            })
            .await
    }

    async fn remove(&self, queue: &'static str, id: &str) -> Result<bool, Fault> {
        self.connection
            .ask(Need::Write, queue, async |queue| {
                // What BullMQ does not know counts as removed there.
                let mut wire = queue.connection().connection();
                let known = async {
                    let key = queue.keys().job_key(id);
                    Ok::<bool, Error>(redis::cmd("EXISTS").arg(key).query_async(&mut wire).await?)
                };
                let (known, removed) = join(known, queue.remove(id)).await;
                match removed {
                    Ok(removed) => Ok(removed && known?),
                    Err(Error::Redis(error)) => Err(error.into()),
                    // It is the next run of a schedule.
                    Err(_) => Ok(false),
                }
            })
            .await
    }
}

#[cfg(test)]
pub(super) mod tests;
