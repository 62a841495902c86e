//! Runs jobs with a handler, and tells BullMQ how they ended. The crew outlives BullMQ's workers, which are replaced: the
//! concurrency and the end of all runs are its own.

use super::job;
use crate::link::BUDGET;
use crate::queue::meters::Meters;
use crate::queue::{Failure, Handler, WorkerSettings, told};
use aim_domain::Ambient;
use bullmq::{Error, Job};
use futures::FutureExt;
use serde_json::Value;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub(super) struct Crew {
    pub queue: &'static str,
    pub meters: Meters,
    handler: Handler,
    /// One for each run at a time.
    room: Semaphore,
    /// What still runs is dropped and given back.
    pub give_up: CancellationToken,
    ambient: Ambient,
}

/// The runs of one of BullMQ's workers.
#[derive(Clone, Default)]
pub(super) struct Shift {
    /// It takes nothing more: what has not begun is given back.
    pub over: CancellationToken,
    running: Arc<AtomicUsize>,
}

impl Shift {
    pub fn is_idle(&self) -> bool {
        self.running.load(Ordering::Acquire) == 0
    }
}

/// Counted while it is there.
struct Running<'a>(&'a AtomicUsize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Crew {
    pub fn new(queue: &'static str, settings: WorkerSettings, handler: Handler, ambient: Ambient) -> Self {
        Self {
            queue,
            meters: Meters::of(queue),
            handler,
            room: Semaphore::new(settings.concurrency.clamp(1, Semaphore::MAX_PERMITS)),
            give_up: CancellationToken::new(),
            ambient,
        }
    }

    /// BullMQ knows no way to give a job back but that of a queue that is over its rate: the job goes to the head of its
    /// line and this was no attempt.
    fn give_back() -> Result<Value, Error> {
        Err(Error::RateLimited { delay_ms: 0 })
    }

    /// Writes a run's failure into the job's log, which keeps what a retry forgets. Nobody waits for it long.
    async fn log(&self, job: &Job, reason: &str) {
        let attempts = job.opts().attempts.unwrap_or(1).max(1);
        let line = told(self.ambient.now(), job.attempts_made() + 1, attempts, reason);
        let _ = tokio::time::timeout(BUDGET, job.log(&line)).await;
    }

    pub async fn run(&self, job: Job, shift: Shift) -> Result<Value, Error> {
        let room = tokio::select! {
            biased;
            () = shift.over.cancelled() => return Self::give_back(),
            room = self.room.acquire() => room,
        };
        let Ok(_room) = room else { return Self::give_back() };
        shift.running.fetch_add(1, Ordering::AcqRel);
        let _running = Running(&shift.running);
        let ready = job::timestamp(job.timestamp().saturating_add(job.opts().delay.unwrap_or(0)));
        self.meters.waited.record(self.ambient.now().since(ready));
        let began = Instant::now();
        let run = job::run(&job);
        // The call itself may panic, not only the future that it makes.
        let run = AssertUnwindSafe(async { (self.handler)(run).await }).catch_unwind();
        let outcome = tokio::select! {
            biased;
            outcome = run => outcome.unwrap_or_else(|_| Err(Failure::Retry("the handler panicked".into()))),
            () = self.give_up.cancelled() => return Self::give_back(),
        };
        self.meters.ran.record(began.elapsed());
        if let Err(Failure::Retry(reason) | Failure::Final(reason)) = &outcome {
            self.log(&job, reason).await;
        }
        match outcome {
            Ok(returned) => {
                self.meters.completed.increment(1);
                Ok(returned)
            }
            Err(Failure::Retry(reason))
                if job.attempts_made() + 1 < job.opts().attempts.unwrap_or(0) && job::can_wait(&job) =>
            {
                self.meters.retried.increment(1);
                Err(Error::ProcessingError(reason))
            }
            Err(Failure::Retry(reason) | Failure::Final(reason)) => {
                self.meters.failed.increment(1);
                Err(Error::Unrecoverable(reason))
            }
        }
    }
}
