//! A job as BullMQ writes it and as the contract does.

use crate::queue::board::Posted;
use crate::queue::{Job, JobState, KEPT_COMPLETED, KEPT_FAILED, Run};
use aim_domain::Timestamp;
use bullmq::JobOptions;
use bullmq::types::{BackoffStrategy, KeepJobs, RemoveOnFinish};
use std::time::Duration;

/// The lowest that BullMQ knows.
const LAST_PRIORITY: u32 = 2_097_151;
/// Ten years: a longer delay is taken for this one; BullMQ's times have no room for more.
const LONGEST_DELAY: Duration = Duration::from_secs(3_650 * 24 * 60 * 60);

/// All that a worker of any language needs to do with the job as the contract says.
pub(super) fn options(job: &Posted) -> JobOptions {
    JobOptions {
        job_id: Some(job.id.clone()),
        delay: (!job.delay.is_zero()).then(|| millis(job.delay)),
        priority: (job.priority > 0).then_some(job.priority.min(LAST_PRIORITY)),
        ..repeated(job.attempts, job.backoff)
    }
}

/// How often a job runs at the most, with which waits, and how many finished ones stay.
pub(super) fn repeated(attempts: u32, backoff: Duration) -> JobOptions {
    let waits = attempts > 1 && !backoff.is_zero();
    JobOptions {
        attempts: Some(attempts.max(1)),
        backoff: waits.then(|| BackoffStrategy::Exponential(millis(backoff))),
        ..kept()
    }
}

/// How many finished jobs stay.
pub(super) fn kept() -> JobOptions {
    let count = |count| Some(RemoveOnFinish::Options(KeepJobs { age: None, count: Some(count), limit: None }));
    JobOptions {
        remove_on_complete: count(KEPT_COMPLETED),
        remove_on_fail: count(KEPT_FAILED),
        ..JobOptions::default()
    }
}

/// In whole milliseconds, never less than asked.
pub(super) fn millis(length: Duration) -> u64 {
    u64::try_from(length.min(LONGEST_DELAY).as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

pub(super) fn read(job: &bullmq::Job, state: JobState) -> Job {
    Job {
        id: job.id().to_owned(),
        name: job.name().to_owned(),
        data: job.data().clone(),
        state,
        attempts: job.opts().attempts.unwrap_or(1).max(1),
        attempts_made: job.attempts_made(),
        priority: job.priority(),
        added_at: timestamp(job.timestamp()),
        started_at: job.processed_on().map(timestamp),
        finished_at: job.finished_on().map(timestamp),
        failed_reason: Some(job.failed_reason().to_owned()).filter(|reason| !reason.is_empty()),
        returned: serde_json::from_str(job.returnvalue()).ok(),
    }
}

pub(super) fn run(job: &bullmq::Job) -> Run {
    Run {
        id: job.id().to_owned(),
        name: job.name().to_owned(),
        data: job.data().clone(),
        attempt: job.attempts_made() + 1,
    }
}

pub(super) fn timestamp(millis: u64) -> Timestamp {
    Timestamp(i64::try_from(millis).unwrap_or(i64::MAX))
}

/// Whether BullMQ's wait before another run of it is a number that it can reckon with: its exponential backoff knows no
/// bound, and overflows.
pub(super) fn can_wait(job: &bullmq::Job) -> bool {
    match &job.opts().backoff {
        Some(BackoffStrategy::Exponential(first)) => {
            let doubled = u128::from((*first).max(1)) << job.attempts_made().min(64);
            doubled <= LONGEST_DELAY.as_millis()
        }
        Some(BackoffStrategy::Fixed(wait)) => u128::from(*wait) <= LONGEST_DELAY.as_millis(),
        Some(BackoffStrategy::Custom(_)) | None => true,
    }
}
