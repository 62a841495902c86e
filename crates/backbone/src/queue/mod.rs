//! Background jobs, in the shape of BullMQ's: named queues, attempts with backoff, delay, priority, schedules.
//!
//! Jobs are hints that hurry due work along: a job may be lost or run twice, the store's claim decides. An id that the
//! queue still knows, finished or not, is not added again.
//!
//! In an outage: jobs are added to this process and run here, also those of a queue that is paused in Redis. On recovery:
//! what was added here runs here to its end, or goes to Redis where nobody works here; schedules that Redis lost are set
//! again.

pub mod board;
pub mod errands;
pub mod local;
mod meters;
pub mod pair;
pub mod redis;

use crate::Fault;
use aim_domain::Timestamp;
use async_trait::async_trait;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// The queue of replies; API.md part 5 names all five.
pub const AI_RESPONSE: &str = "ai-response";
pub const MEDIA_PROCESSING: &str = "media-processing";
pub const EMAIL: &str = "email";
pub const ANALYTICS: &str = "analytics";
pub const CLEANUP: &str = "cleanup";
pub const QUEUES: [&str; 5] = [AI_RESPONSE, MEDIA_PROCESSING, EMAIL, ANALYTICS, CLEANUP];

/// Finished jobs that a queue keeps; API.md part 2, caps.
pub const KEPT_COMPLETED: usize = 1_000;
pub const KEPT_FAILED: usize = 5_000;

/// What BullMQ keeps of a queue stands beside its jobs, under these names.
const TAKEN: [&str; 17] = [
    "active",
    "completed",
    "delayed",
    "events",
    "failed",
    "id",
    "limiter",
    "marker",
    "meta",
    "paused",
    "pc",
    "prioritized",
    "repeat",
    "stalled",
    "stalled-check",
    "wait",
    "waiting-children",
];

/// The rule for ids in Redis, kept everywhere so that no id works in one place alone.
fn check_id(id: &str) -> Result<(), Fault> {
    let is_integer = id.bytes().all(|byte| byte.is_ascii_digit());
    if is_integer || id.contains(':') || TAKEN.contains(&id) {
        let rule = "a job's id is neither empty nor an integer, has no colon, and is none of BullMQ's own names";
        return Err(Fault::new("queue", rule));
    }
    Ok(())
}

/// The line in a job's log for a run that failed.
fn told(at: Timestamp, attempt: u32, attempts: u32, reason: &str) -> String {
    format!("{at} run {attempt} of {attempts} failed: {reason}")
}

#[derive(Clone, Debug, PartialEq)]
pub struct NewJob {
    pub queue: &'static str,
    /// What kind of job it is, within its queue.
    pub name: &'static str,
    /// Neither an integer nor with a colon, as BullMQ asks, and none of the names that it keeps its own things under.
    pub id: String,
    pub data: Value,
    /// Runs at the most; at least 1.
    pub attempts: u32,
    /// The wait before the second run; each further one waits twice as long. In this process a day at the most, and each
    /// shortened by a random part of up to a quarter; in Redis it is BullMQ's `exponential` backoff, which every worker
    /// honours.
    pub backoff: Duration,
    pub delay: Duration,
    /// 0 goes first; higher ones later; equal ones in order of arrival.
    pub priority: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    New,
    /// The queue knows this id already: nothing was added.
    Known,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    Waiting,
    Delayed,
    Active,
    Completed,
    Failed,
}

/// A job as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    pub id: String,
    pub name: String,
    pub data: Value,
    pub state: JobState,
    pub attempts: u32,
    pub attempts_made: u32,
    pub priority: u32,
    pub added_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    pub failed_reason: Option<String>,
    /// What the handler answered.
    pub returned: Option<Value>,
}

/// What a handler is given.
#[derive(Clone, Debug)]
pub struct Run {
    pub id: String,
    pub name: String,
    pub data: Value,
    /// 1 for the first run.
    pub attempt: u32,
}

/// Why a run failed. The text is kept with the job: it names no message's words.
#[derive(Clone, Debug)]
pub enum Failure {
    /// Another attempt may help.
    Retry(String),
    /// None will: the job fails for good.
    Final(String),
}

/// A handler that panics fails its run. It may be run twice for one job.
pub type Handler = Arc<dyn Fn(Run) -> BoxFuture<'static, Result<Value, Failure>> + Send + Sync>;

#[derive(Clone, Copy, Debug)]
pub struct WorkerSettings {
    /// Runs at a time.
    pub concurrency: usize,
    /// A run whose worker has not been heard of for this long is given to another, once; a second time fails the job.
    pub stalled_after: Duration,
}

/// How many jobs a queue has in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub waiting: u64,
    pub delayed: u64,
    pub active: u64,
    pub completed: u64,
    pub failed: u64,
}

/// A repeated job, of which only one run is ever waiting. The runs' ids are the backend's own: `{name}-{n}` in this
/// process, `repeat:{name}:{milliseconds}` in Redis.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    pub queue: &'static str,
    pub name: &'static str,
    pub every: Duration,
    pub data: Value,
    /// Of each of its jobs, as in [`NewJob`].
    pub attempts: u32,
    pub backoff: Duration,
}

/// A running worker.
#[async_trait]
pub trait Worker: Send + Sync {
    /// Takes no further jobs and waits for those that run; true when all ended within `grace`. Jobs that did not are
    /// given back and run elsewhere.
    async fn stop(&self, grace: Duration) -> bool;
}

#[async_trait]
pub trait Queue: Send + Sync + 'static {
    /// A fault too where the id is none that BullMQ takes, and where the queue is full.
    async fn add(&self, job: NewJob) -> Result<Added, Fault>;
    /// Begins to run a queue's jobs with `handler` in this process, until the worker is stopped; dropping it changes
    /// nothing.
    async fn work(
        &self,
        queue: &'static str,
        settings: WorkerSettings,
        handler: Handler,
    ) -> Result<Arc<dyn Worker>, Fault>;
    /// Sets a schedule; the same name again replaces it. A new one runs at once, then `every` so often; a run whose
    /// predecessor still waits is left out. In Redis the next run is set when the one before has ended, and the schedule
    /// is the fleet's: each server may set it.
    async fn schedule(&self, schedule: Schedule) -> Result<(), Fault>;
    async fn unschedule(&self, queue: &'static str, name: &str) -> Result<bool, Fault>;
    async fn pause(&self, queue: &'static str) -> Result<(), Fault>;
    async fn resume(&self, queue: &'static str) -> Result<(), Fault>;
    async fn is_paused(&self, queue: &'static str) -> Result<bool, Fault>;
    async fn counts(&self, queue: &'static str) -> Result<Counts, Fault>;
    async fn job(&self, queue: &'static str, id: &str) -> Result<Option<Job>, Fault>;
    /// The newest first where they are finished, else those that run next.
    async fn jobs(&self, queue: &'static str, state: JobState, skip: usize, limit: usize) -> Result<Vec<Job>, Fault>;
    /// Puts a failed job back in line for one run more. False when it is not failed.
    async fn retry(&self, queue: &'static str, id: &str) -> Result<bool, Fault>;
    /// False when it is unknown, active, or a schedule's next run.
    async fn remove(&self, queue: &'static str, id: &str) -> Result<bool, Fault>;
}
