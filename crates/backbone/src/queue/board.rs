//! The queues as an operator sees and steers them: all states that BullMQ knows, jobs with everything that is kept of
//! them, and orders on one job or on a whole queue. What programs need of a queue is [`Queue`]'s.
//!
//! In an outage: this process's own queues are shown and steered. On recovery: Redis's again; a job that was added here
//! meanwhile is still found and steered by its id until it has ended.

use super::{Added, NewJob, Queue};
use crate::Fault;
use aim_domain::Timestamp;
use async_trait::async_trait;
use serde_json::Value;
use std::borrow::Cow;
use std::time::Duration;

/// Where a job stands, as BullMQ calls it, in the order in which boards show them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    Active,
    /// Without a priority: these run first.
    Waiting,
    /// For jobs that others made its children; none of `aim`'s own.
    WaitingChildren,
    /// Waiting, with a priority.
    Prioritized,
    Completed,
    Failed,
    Delayed,
}

impl Status {
    pub const ALL: [Self; 7] = [
        Self::Active,
        Self::Waiting,
        Self::WaitingChildren,
        Self::Prioritized,
        Self::Completed,
        Self::Failed,
        Self::Delayed,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Waiting => "waiting",
            Self::WaitingChildren => "waiting-children",
            Self::Prioritized => "prioritized",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Delayed => "delayed",
        }
    }

    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

/// How many jobs stand where, in the order of [`Status::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally(pub [u64; 7]);

impl Tally {
    pub fn of(&self, status: Status) -> u64 {
        self.0[status as usize]
    }
}

/// A queue at a glance.
#[derive(Clone, Debug, PartialEq)]
pub struct Survey {
    pub tally: Tally,
    pub is_paused: bool,
    /// Jobs that run at a time, over all workers; none: as many as there is room for.
    pub concurrency: Option<u64>,
    /// For so long no job is taken, since the queue's rate was reached.
    pub limited_for: Duration,
    /// Whether this backend can limit the rate.
    pub limits_rate: bool,
    pub schedules: u64,
    pub workers: u64,
}

/// A job with all that is kept of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub id: String,
    pub name: String,
    pub data: Value,
    /// In BullMQ's own form.
    pub options: Value,
    pub added_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// The name of the worker that ran it last, where it has one.
    pub worker: Option<String>,
    /// What its worker tells of it; 0 where it tells nothing.
    pub progress: Value,
    pub attempts_made: u32,
    /// Also those that ended without a word.
    pub attempts_started: u32,
    /// How often its worker was lost.
    pub stalled: u32,
    pub delay: Duration,
    pub priority: u32,
    pub failed_reason: Option<String>,
    /// One of each failed run, in their order, where its worker knows such a thing.
    pub traces: Vec<String>,
    /// What the handler answered; null before.
    pub returned: Value,
    /// The schedule that it is a run of.
    pub schedule: Option<String>,
    /// The id of its deduplication.
    pub deduplication: Option<String>,
    /// It fails as soon as a worker takes it, for this reason.
    pub deferred_failure: Option<String>,
}

/// A job that somebody adds by hand: as a program's, with any name.
#[derive(Clone, Debug, PartialEq)]
pub struct Posted {
    pub queue: &'static str,
    pub name: Cow<'static, str>,
    pub id: String,
    pub data: Value,
    pub attempts: u32,
    pub backoff: Duration,
    pub delay: Duration,
    pub priority: u32,
}

impl From<NewJob> for Posted {
    fn from(job: NewJob) -> Self {
        let NewJob { queue, name, id, data, attempts, backoff, delay, priority } = job;
        Self { queue, name: name.into(), id, data, attempts, backoff, delay, priority }
    }
}

/// What came of an order on one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// There is no such job.
    Unknown,
    /// It stands where the order makes no sense.
    Refused(Status),
    /// It is the next run of the schedule of this id: without it the schedule would run no more.
    NextRun(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obliterated {
    Done,
    NotPaused,
    HasActive,
}

/// So many jobs in so much time, over all workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub jobs: u64,
    pub per: Duration,
}

/// When a schedule runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pace {
    Every(Duration),
    /// In cron's form, with seconds or without.
    Pattern(String),
}

/// A schedule's times as somebody sets them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timetable {
    pub pace: Pace,
    /// The time zone of a pattern, as `Europe/Berlin`; UTC where there is none.
    pub zone: Option<String>,
    /// Runs at the most.
    pub limit: Option<u64>,
    pub until: Option<Timestamp>,
}

/// A schedule as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Scheduled {
    pub id: String,
    /// Of the jobs that it makes.
    pub name: String,
    pub timetable: Timetable,
    pub from: Option<Timestamp>,
    pub next: Option<Timestamp>,
    /// The job of the next run, where it is there already.
    pub next_job: Option<String>,
    pub last: Option<Timestamp>,
    /// The job of the last run, where it is still there.
    pub last_job: Option<String>,
    pub runs: u64,
    pub data: Option<Value>,
    pub options: Option<Value>,
}

/// What came of setting a schedule's times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reset {
    Done,
    Unknown,
    /// In a sentence.
    Refused(String),
}

/// How many jobs ended, minute by minute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Since the first one.
    pub total: u64,
    /// When a minute was last told, and the total by then.
    pub told_at: Timestamp,
    pub told: u64,
    /// Of the last day, the newest first; the minute under way is not in it.
    pub minutes: Vec<u64>,
}

/// A worker that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub id: String,
    pub name: Option<String>,
    /// Where it connects from.
    pub address: String,
    pub age: Duration,
}

/// The Redis behind the queues, in its own words.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Server {
    pub version: String,
    /// `standalone`, `sentinel` or `cluster`.
    pub mode: String,
    pub port: u64,
    pub os: String,
    pub uptime: Duration,
    /// In bytes: what it may use, what it uses, the most that it used.
    pub memory_total: u64,
    pub memory_used: u64,
    pub memory_peak: u64,
    pub fragmentation: f64,
    pub clients: u64,
    pub blocked_clients: u64,
}

/// Minutes that metrics go back.
pub(super) const METRIC_MINUTES: usize = 24 * 60;

#[async_trait]
pub trait Board: Queue {
    async fn survey(&self, queue: &'static str) -> Result<Survey, Fault>;
    /// Of each status the jobs from `skip` on, `limit` at the most, the latest first.
    async fn page(
        &self,
        queue: &'static str,
        statuses: &[Status],
        skip: usize,
        limit: usize,
    ) -> Result<Vec<Entry>, Fault>;
    async fn entry(&self, queue: &'static str, id: &str) -> Result<Option<(Entry, Status)>, Fault>;
    /// What was written of a job while it ran, each failed run by this server at least; 1,000 lines at the most.
    async fn logs(&self, queue: &'static str, id: &str) -> Result<Vec<String>, Fault>;
    /// A fault as with [`Queue::add`].
    async fn post(&self, job: Posted) -> Result<Added, Fault>;

    /// Puts a job that has ended, well or not, back in line for one run more.
    async fn run_again(&self, queue: &'static str, id: &str) -> Result<Outcome, Fault>;
    /// Ends the wait of a delayed job.
    async fn promote(&self, queue: &'static str, id: &str) -> Result<Outcome, Fault>;
    /// Removes a job that is not active.
    async fn discard(&self, queue: &'static str, id: &str) -> Result<Outcome, Fault>;
    /// A run under way keeps what it was given.
    async fn set_data(&self, queue: &'static str, id: &str, data: Value) -> Result<Outcome, Fault>;
    /// Lets a delayed job wait for so long from now.
    async fn set_delay(&self, queue: &'static str, id: &str, delay: Duration) -> Result<Outcome, Fault>;
    async fn set_priority(&self, queue: &'static str, id: &str, priority: u32) -> Result<Outcome, Fault>;

    /// Puts all jobs of a status that is an end back in line; how many.
    async fn run_all_again(&self, queue: &'static str, status: Status) -> Result<u64, Fault>;
    async fn promote_all(&self, queue: &'static str) -> Result<(), Fault>;
    /// Removes the jobs of a status that are older than that; how many. Active jobs whose worker lives stay, and so does
    /// a schedule's next run.
    async fn clean(&self, queue: &'static str, status: Status, older_than: Duration) -> Result<u64, Fault>;
    /// Removes all that wait for their turn.
    async fn drain(&self, queue: &'static str) -> Result<(), Fault>;
    /// Removes everything of a paused queue, the pause included; active jobs only if `force`.
    async fn obliterate(&self, queue: &'static str, force: bool) -> Result<Obliterated, Fault>;
    async fn set_concurrency(&self, queue: &'static str, most: Option<u64>) -> Result<(), Fault>;
    async fn rate(&self, queue: &'static str) -> Result<Option<Rate>, Fault>;
    /// False where this backend cannot limit the rate.
    async fn set_rate(&self, queue: &'static str, rate: Option<Rate>) -> Result<bool, Fault>;
    /// Takes jobs again although the rate was reached.
    async fn release_rate(&self, queue: &'static str) -> Result<(), Fault>;

    async fn schedules(&self, queue: &'static str) -> Result<Vec<Scheduled>, Fault>;
    /// What the schedule's jobs are stays.
    async fn set_timetable(&self, queue: &'static str, id: &str, timetable: Timetable) -> Result<Reset, Fault>;
    /// Adds a job `job` as the schedule would, and leaves the schedule as it is; false where there is no such schedule.
    async fn run_schedule(&self, queue: &'static str, id: &str, job: &str) -> Result<bool, Fault>;
    /// False where there is none. One that a server set is set again by it; see [`Queue::schedule`].
    async fn drop_schedule(&self, queue: &'static str, id: &str) -> Result<bool, Fault>;

    /// Of the jobs that completed, and of those that failed for good.
    async fn metrics(&self, queue: &'static str) -> Result<[Metrics; 2], Fault>;
    async fn workers(&self, queue: &'static str) -> Result<Vec<Seen>, Fault>;
    /// None where the queues are in this process.
    async fn server(&self) -> Result<Option<Server>, Fault>;
}
