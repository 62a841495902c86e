//! The queues as Bull Board's page reads them. Times are milliseconds since the epoch.

use aim_backbone::queue::board::{Entry, Metrics, Pace, Scheduled, Seen, Server, Status, Survey};
use aim_domain::Timestamp;
use serde_json::{Map, Value, json};
use std::time::Duration;

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

/// A field that is left out where there is nothing to say.
fn put(object: &mut Value, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        object[name] = value.into();
    }
}

pub(super) fn job(entry: &Entry) -> Value {
    let at = |time: Option<Timestamp>| time.map(|time| time.0);
    let more_than_none = |count: u32| Some(count).filter(|count| *count > 0);
    let mut job = json!({
        "id": entry.id,
        "name": entry.name,
        "timestamp": entry.added_at.0,
        "progress": entry.progress,
        "attempts": entry.attempts_made,
        "delay": millis(entry.delay),
        // The last one first.
        "stacktrace": entry.traces.iter().rev().collect::<Vec<_>>(),
        "opts": entry.options,
        "data": entry.data,
        "returnValue": entry.returned,
        "isFailed": entry.failed_reason.is_some() || !entry.traces.is_empty(),
    });
    put(&mut job, "processedOn", at(entry.started_at));
    put(&mut job, "finishedOn", at(entry.finished_at));
    put(&mut job, "processedBy", entry.worker.clone());
    put(&mut job, "failedReason", entry.failed_reason.clone());
    put(&mut job, "priority", more_than_none(entry.priority));
    put(&mut job, "attemptsStarted", Some(entry.attempts_started).filter(|started| *started > entry.attempts_made));
    put(&mut job, "stalledCounter", more_than_none(entry.stalled));
    put(&mut job, "deduplicationId", entry.deduplication.clone());
    put(&mut job, "deferredFailure", entry.deferred_failure.clone());
    put(&mut job, "groupId", entry.options.pointer("/group/id").cloned());
    job
}

/// Which jobs of a queue are shown.
pub(super) struct Shown {
    /// One status, or all of them: the latest of each.
    pub statuses: Vec<Status>,
    /// From 1.
    pub page: usize,
    pub per_page: usize,
}

impl Shown {
    pub fn is_latest(&self) -> bool {
        self.statuses.len() > 1
    }

    pub fn skip(&self) -> usize {
        if self.is_latest() { 0 } else { (self.page - 1).saturating_mul(self.per_page) }
    }
}

pub(super) fn queue(name: &str, survey: &Survey, jobs: &[Entry], shown: &Shown) -> Value {
    let counts: Map<String, Value> =
        Status::ALL.into_iter().map(|status| (status.as_str().to_owned(), survey.tally.of(status).into())).collect();
    let statuses: Vec<&str> = std::iter::once("latest").chain(Status::ALL.map(Status::as_str)).collect();
    let (skip, per_page) = (shown.skip(), shown.per_page);
    let pages = match shown.statuses.as_slice() {
        [one] => survey.tally.of(*one).div_ceil(per_page as u64),
        _ => 1,
    };
    json!({
        "name": name,
        "delimiter": "",
        "type": "bullmq",
        "counts": counts,
        "jobs": jobs.iter().map(job).collect::<Vec<_>>(),
        "statuses": statuses,
        "pagination": { "pageCount": pages, "range": { "start": skip, "end": skip + per_page - 1 } },
        "readOnlyMode": false,
        "allowRetries": true,
        "allowCompletedRetries": true,
        "isPaused": survey.is_paused,
        "globalConcurrency": survey.concurrency,
        "activeRateLimitTtl": millis(survey.limited_for),
        "supportsGlobalRateLimit": survey.limits_rate,
        "jobSchedulerCount": survey.schedules,
        "hasWorkers": survey.workers > 0,
    })
}

pub(super) fn metrics(metrics: &Metrics) -> Value {
    json!({
        "meta": { "count": metrics.total, "prevTS": metrics.told_at.0, "prevCount": metrics.told },
        "data": metrics.minutes,
        "count": metrics.minutes.len(),
    })
}

pub(super) fn schedule(queue: &str, schedule: &Scheduled) -> Value {
    let at = |time: Option<Timestamp>| time.map(|time| time.0);
    let mut shape = json!({
        "id": schedule.id,
        "queueName": queue,
        "name": schedule.name,
        "iterationCount": schedule.runs,
    });
    match &schedule.timetable.pace {
        Pace::Every(every) => shape["every"] = millis(*every).into(),
        Pace::Pattern(pattern) => shape["pattern"] = pattern.as_str().into(),
    }
    put(&mut shape, "tz", schedule.timetable.zone.clone());
    put(&mut shape, "limit", schedule.timetable.limit);
    put(&mut shape, "startDate", at(schedule.from));
    put(&mut shape, "endDate", at(schedule.timetable.until));
    put(&mut shape, "next", at(schedule.next));
    put(&mut shape, "nextRunJobId", schedule.next_job.clone());
    put(&mut shape, "lastRun", at(schedule.last));
    put(&mut shape, "lastRunJobId", schedule.last_job.clone());
    if schedule.data.is_some() || schedule.options.is_some() {
        let mut template = json!({});
        put(&mut template, "data", schedule.data.clone());
        put(&mut template, "opts", schedule.options.clone());
        shape["template"] = template;
    }
    shape
}

pub(super) fn worker(seen: &Seen) -> Value {
    json!({ "id": seen.id, "name": seen.name, "addr": seen.address, "age": seen.age.as_secs() })
}

pub(super) fn server(server: &Server) -> Value {
    json!({
        "backend": "redis",
        "version": server.version,
        "mode": server.mode,
        "port": server.port,
        "os": server.os,
        "uptime": server.uptime.as_secs(),
        "memory": {
            "total": server.memory_total,
            "used": server.memory_used,
            "fragmentationRatio": server.fragmentation,
            "peak": server.memory_peak,
        },
        "clients": { "connected": server.clients, "blocked": server.blocked_clients },
    })
}
