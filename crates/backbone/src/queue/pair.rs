//! The queue over Redis and, while Redis is away, in this process.
//!
//! Jobs go to Redis alone while it answers. Where it does not, they are added here and run here, by a worker of this
//! process that stands beside the one of Redis; a queue that is paused in Redis does not hold them back, since the pause
//! is Redis's. What was added here stays here: when Redis is back it runs to its end, and nothing is merged; but in a
//! process that does not work on its queue it goes to Redis then, where somebody may. A job whose answer from Redis was
//! late may be in both and run twice: the claim decides. Reads and orders go to Redis, else to this process; a schedule
//! runs here only where it was set while Redis was away, until Redis has it; one that is set while BullMQ's first
//! connection is being opened waits for that.
//!
//! A queue whose jobs others run (`errands`) is different in one thing: what is added to it here stays in this process, and
//! so do its workers. Those jobs are this server's part of the work, and what the others run comes to Redis as an errand.

mod board;

use super::board::Posted;
use super::local::LocalQueue;
use super::redis::RedisQueue;
use super::{Added, Counts, Handler, Job, JobState, NewJob, QUEUES, Queue, Run, Schedule, Worker, WorkerSettings};
use crate::Fault;
use crate::pair::Fallback;
use async_trait::async_trait;
use futures::future::{BoxFuture, FutureExt};
use parking_lot::Mutex;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Between two looks whether something ordered here is left: Redis may have missed it without having been away.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How long schedules wait for BullMQ's first connection before they run here.
const BEGINNING: Duration = Duration::from_secs(3);

/// Schedules that are set before there was a connection; none once that time is over.
type Early = Arc<Mutex<Option<Vec<Schedule>>>>;

pub struct QueuePair {
    redis: Arc<RedisQueue>,
    local: Arc<LocalQueue>,
    fallback: Fallback,
    /// The queues whose jobs others run.
    foreign: Vec<&'static str>,
    early: Early,
    _keeper: DropGuard,
}

impl QueuePair {
    /// Needs a runtime.
    pub fn new(redis: Arc<RedisQueue>, local: Arc<LocalQueue>, foreign: &[&'static str]) -> Self {
        let stop = CancellationToken::new();
        let ours = QUEUES.into_iter().filter(|queue| !foreign.contains(queue)).collect();
        tokio::spawn(stop.clone().run_until_cancelled_owned(hand_back(redis.clone(), local.clone(), ours)));
        let early = Early::new(Mutex::new(Some(Vec::new())));
        tokio::spawn(stop.clone().run_until_cancelled_owned(begin(redis.clone(), local.clone(), early.clone())));
        let foreign = foreign.to_vec();
        Self { redis, local, fallback: Fallback::new("queue"), foreign, early, _keeper: stop.drop_guard() }
    }

    fn is_foreign(&self, queue: &str) -> bool {
        self.foreign.contains(&queue)
    }
}

impl QueuePair {
    async fn put(&self, job: Posted) -> Result<Added, Fault> {
        if self.local.awaits(job.queue, &job.id) {
            return Ok(Added::Known);
        }
        match self.redis.put(&job).await {
            Ok(added) => Ok(added),
            Err(fault) => {
                self.fallback.note(&fault);
                self.local.put(job)
            }
        }
    }
}

/// What was set meanwhile is set with BullMQ's first connection. Where that is long in coming it runs here.
async fn begin(redis: Arc<RedisQueue>, local: Arc<LocalQueue>, early: Early) {
    redis.ready(BEGINNING).await;
    let Some(set) = early.lock().take() else { return };
    for schedule in set {
        if redis.set(&schedule).await.is_ok() {
            continue;
        }
        if let Err(fault) = local.schedule(schedule).await {
            tracing::warn!(%fault, "a schedule runs nowhere before Redis is there");
        }
    }
}

/// When Redis is back, what was ordered here in its stead is over, pauses and schedules, and jobs that nobody would run
/// here are given to it.
async fn hand_back(redis: Arc<RedisQueue>, local: Arc<LocalQueue>, queues: Vec<&'static str>) {
    let (mut opened, mut recoveries) = (redis.opened(), redis.recoveries());
    loop {
        tokio::select! {
            _ = opened.changed() => {}
            _ = recoveries.changed() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        if redis.is_open() {
            for &queue in &queues {
                local.hand_back(queue);
                for job in local.unworked(queue) {
                    if redis.put(&job).await.is_err()
                        && let Err(fault) = local.put(job)
                    {
                        tracing::warn!(%fault, "a job went between Redis and this process: what is due is found in the store");
                    }
                }
            }
        }
    }
}

/// One handler for both workers, which together run no more at a time than one of them may.
fn shared(handler: Handler, concurrency: usize) -> Handler {
    let room = Arc::new(Semaphore::new(concurrency.clamp(1, Semaphore::MAX_PERMITS)));
    Arc::new(move |run: Run| -> BoxFuture<'static, Result<Value, super::Failure>> {
        let (room, handler) = (room.clone(), handler.clone());
        async move {
            let _room = room.acquire().await;
            handler(run).await
        }
        .boxed()
    })
}

#[async_trait]
impl Queue for QueuePair {
    async fn add(&self, job: NewJob) -> Result<Added, Fault> {
        if self.is_foreign(job.queue) {
            return self.local.add(job).await;
        }
        self.put(job.into()).await
    }

    async fn work(
        &self,
        queue: &'static str,
        settings: WorkerSettings,
        handler: Handler,
    ) -> Result<Arc<dyn Worker>, Fault> {
        if self.is_foreign(queue) {
            return self.local.work(queue, settings, handler).await;
        }
        let handler = shared(handler, settings.concurrency);
        let local = self.local.work(queue, settings, handler.clone()).await?;
        let redis = self.redis.work(queue, settings, handler).await?;
        Ok(Arc::new(WorkerPair { redis, local }))
    }

    async fn schedule(&self, schedule: Schedule) -> Result<(), Fault> {
        let Err(fault) = self.redis.set(&schedule).await else { return Ok(()) };
        self.fallback.note(&fault);
        // A timetable of no time is refused on either side.
        if self.redis.is_beginning()
            && !schedule.every.is_zero()
            && let Some(early) = &mut *self.early.lock()
        {
            early.push(schedule);
            return Ok(());
        }
        self.local.schedule(schedule).await
    }

    async fn unschedule(&self, queue: &'static str, name: &str) -> Result<bool, Fault> {
        let is_it = |schedule: &mut Schedule| schedule.queue == queue && schedule.name == name;
        let was_early = self.early.lock().as_mut().is_some_and(|early| early.extract_if(.., is_it).count() > 0);
        let here = self.local.unschedule(queue, name).await? || was_early;
        match self.redis.unschedule(queue, name).await {
            Ok(there) => Ok(here || there),
            Err(fault) => {
                self.fallback.note(&fault);
                Ok(here)
            }
        }
    }

    async fn pause(&self, queue: &'static str) -> Result<(), Fault> {
        self.fallback.or(self.redis.pause(queue), self.local.pause(queue)).await
    }

    async fn resume(&self, queue: &'static str) -> Result<(), Fault> {
        self.fallback.or(self.redis.resume(queue), self.local.resume(queue)).await
    }

    async fn is_paused(&self, queue: &'static str) -> Result<bool, Fault> {
        self.fallback.or(self.redis.is_paused(queue), self.local.is_paused(queue)).await
    }

    async fn counts(&self, queue: &'static str) -> Result<Counts, Fault> {
        self.fallback.or(self.redis.counts(queue), self.local.counts(queue)).await
    }

    async fn job(&self, queue: &'static str, id: &str) -> Result<Option<Job>, Fault> {
        if self.is_foreign(queue) {
            return self.local.job(queue, id).await;
        }
        // One that was added here is not in Redis, also when Redis is back.
        match self.fallback.or(self.redis.job(queue, id), self.local.job(queue, id)).await? {
            Some(job) => Ok(Some(job)),
            None => self.local.job(queue, id).await,
        }
    }

    async fn jobs(&self, queue: &'static str, state: JobState, skip: usize, limit: usize) -> Result<Vec<Job>, Fault> {
        self.fallback.or(self.redis.jobs(queue, state, skip, limit), self.local.jobs(queue, state, skip, limit)).await
    }

    async fn retry(&self, queue: &'static str, id: &str) -> Result<bool, Fault> {
        Ok(self.fallback.or(self.redis.retry(queue, id), self.local.retry(queue, id)).await?
            || self.local.retry(queue, id).await?)
    }

    async fn remove(&self, queue: &'static str, id: &str) -> Result<bool, Fault> {
        if self.is_foreign(queue) {
            return self.local.remove(queue, id).await;
        }
        let here = self.local.remove(queue, id).await?;
        match self.redis.remove(queue, id).await {
            Ok(there) => Ok(here || there),
            Err(fault) => {
                self.fallback.note(&fault);
                Ok(here)
            }
        }
    }
}

struct WorkerPair {
    redis: Arc<dyn Worker>,
    local: Arc<dyn Worker>,
}

#[async_trait]
impl Worker for WorkerPair {
    async fn stop(&self, grace: Duration) -> bool {
        let (redis, local) = tokio::join!(self.redis.stop(grace), self.local.stop(grace));
        redis && local
    }
}

#[cfg(test)]
mod tests;
