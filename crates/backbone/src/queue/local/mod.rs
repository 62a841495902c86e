//! Queues in this process. A job lives as long as the process: the reconciler finds due work again in the store.
//!
//! A run is never called stalled here while its task lives, however long it takes; only a task that is gone without an
//! end, as when its runtime is, gives its job back, once.

mod board;
mod state;
mod worker;

use super::board::Posted;
use super::{Added, Counts, Handler, Job, JobState, NewJob, Queue, Schedule, Worker, WorkerSettings, check_id};
use crate::Fault;
use aim_domain::Ambient;
use async_trait::async_trait;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::Arc;
use worker::Line;

pub use state::MOST_JOBS;

pub struct LocalQueue {
    lines: RwLock<HashMap<&'static str, Arc<Line>>>,
    ambient: Ambient,
}

impl LocalQueue {
    pub fn new(ambient: &Ambient) -> Self {
        Self { lines: RwLock::default(), ambient: ambient.clone() }
    }

    /// Whether a job of this id is here and not finished.
    pub(super) fn awaits(&self, queue: &'static str, id: &str) -> bool {
        self.line(queue).with(|state, _| state.awaits(id))
    }

    /// No longer stands in for Redis: what is here runs to its end, whatever was ordered in the meantime.
    pub(super) fn hand_back(&self, queue: &'static str) {
        self.line(queue).with(|state, _| {
            state.paused = false;
            state.unschedule_all();
        });
    }

    /// Takes out the jobs of a queue on which nobody works here; none where somebody does.
    pub(super) fn unworked(&self, queue: &'static str) -> Vec<Posted> {
        self.line(queue).unworked()
    }

    pub(super) fn put(&self, job: Posted) -> Result<Added, Fault> {
        check_id(&job.id)?;
        self.line(job.queue).with(|state, now| state.add(job, now))
    }

    fn line(&self, queue: &'static str) -> Arc<Line> {
        if let Some(line) = self.lines.read().get(queue) {
            return line.clone();
        }
        self.lines.write().entry(queue).or_insert_with(|| Line::new(queue, &self.ambient)).clone()
    }
}

#[async_trait]
impl Queue for LocalQueue {
    async fn add(&self, job: NewJob) -> Result<Added, Fault> {
        self.put(job.into())
    }

    async fn work(
        &self,
        queue: &'static str,
        settings: WorkerSettings,
        handler: Handler,
    ) -> Result<Arc<dyn Worker>, Fault> {
        Ok(Arc::new(self.line(queue).work(settings, handler)?))
    }

    async fn schedule(&self, schedule: Schedule) -> Result<(), Fault> {
        if schedule.every.is_zero() {
            return Err(Fault::new("queue", "a schedule needs time between its runs"));
        }
        self.line(schedule.queue).with(|state, now| {
            state.schedule(schedule, now);
            state.promote(now);
        });
        Ok(())
    }

    async fn unschedule(&self, queue: &'static str, name: &str) -> Result<bool, Fault> {
        Ok(self.line(queue).with(|state, _| state.unschedule(name)))
    }

    async fn pause(&self, queue: &'static str) -> Result<(), Fault> {
        self.line(queue).with(|state, _| state.paused = true);
        Ok(())
    }

    async fn resume(&self, queue: &'static str) -> Result<(), Fault> {
        self.line(queue).with(|state, _| state.paused = false);
        Ok(())
    }

    async fn is_paused(&self, queue: &'static str) -> Result<bool, Fault> {
        Ok(self.line(queue).with(|state, _| state.paused))
    }

    async fn counts(&self, queue: &'static str) -> Result<Counts, Fault> {
        Ok(self.line(queue).with(|state, _| state.counts()))
    }

    async fn job(&self, queue: &'static str, id: &str) -> Result<Option<Job>, Fault> {
        Ok(self.line(queue).with(|state, _| state.job(id)))
    }

    async fn jobs(&self, queue: &'static str, state: JobState, skip: usize, limit: usize) -> Result<Vec<Job>, Fault> {
        Ok(self.line(queue).with(|jobs, _| jobs.jobs(state, skip, limit)))
    }

    async fn retry(&self, queue: &'static str, id: &str) -> Result<bool, Fault> {
        Ok(self.line(queue).with(|state, now| state.retry(id, now)))
    }

    async fn remove(&self, queue: &'static str, id: &str) -> Result<bool, Fault> {
        Ok(self.line(queue).with(|state, _| state.remove(id)))
    }
}

#[cfg(test)]
mod tests;
