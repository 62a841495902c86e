//! `analytics`: what servers measured is stored, and rolled up into reports of hours and days. Reports are due by the clock;
//! each is made from the store's rows and samples, so making one twice changes nothing. A report that nobody made, since no
//! worker was there or its samples came late, is made afterwards. A sample that is lost with its queue is missing from them.

use super::{Again, Ran, Runs, schedule};
use crate::Platform;
use crate::faults::hint;
use aim_backbone::Fault;
use aim_backbone::queue::{self, Failure, NewJob, Run, Worker};
use aim_domain::{Figures, Incarnation, Timestamp};
use aim_store::{Period, Sample, StoreError};
use futures::FutureExt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const QUEUE: &str = queue::ANALYTICS;
/// Stores one minute of one process.
const SAMPLE: &str = "sample";
/// Makes the reports of this hour and the one before, and some that are missing.
const HOURS: &str = "hours";
const DAYS: &str = "days";
/// Makes one report anew, because of a sample that came late.
const LATE: &str = "late";
const HOURS_EVERY: Duration = Duration::from_secs(300);
const DAYS_EVERY: Duration = Duration::from_secs(3_600);
const RUNS: Runs = Runs { queue: QUEUE, concurrency: 2, timeout: Some(Duration::from_secs(120)) };
/// Waits of 15 s to a minute: within the five of the most frequent.
const AGAIN: Again = Again { attempts: 4, backoff: Duration::from_secs(15) };
/// Reports that one run makes of those that are missing: two days of hours.
const MISSING_AT_ONCE: usize = 48;
/// Samples that come late within this time make one report anew together.
const LATE_EVERY: Duration = Duration::from_secs(5);

#[derive(Serialize, Deserialize)]
struct SampleData {
    server: Incarnation,
    at: Timestamp,
    figures: Figures,
}

#[derive(Serialize, Deserialize)]
struct LateData {
    period: Period,
    start: Timestamp,
}

impl Platform {
    pub(super) async fn work_analytics(&self) -> Result<Arc<dyn Worker>, Fault> {
        let worker =
            self.work_on(RUNS, |platform, run| async move { platform.run_analytics(run).await }.boxed()).await?;
        schedule(self, QUEUE, HOURS, HOURS_EVERY, AGAIN).await;
        schedule(self, QUEUE, DAYS, DAYS_EVERY, AGAIN).await;
        Ok(worker)
    }

    /// Hands over what this process measured in the minute that began at `at`.
    pub async fn hand_in_figures(&self, at: Timestamp, figures: Figures) {
        let Some(server) = self.lease.current().filter(|_| !figures.is_empty()) else { return };
        let id = format!("sample-{server}-{}", at.0);
        let job = NewJob {
            queue: QUEUE,
            name: SAMPLE,
            id,
            data: json!(SampleData { server, at, figures }),
            attempts: 8,
            backoff: Duration::from_secs(2),
            delay: Duration::ZERO,
            priority: 0,
        };
        hint("hand in figures", self.backbone.queue.add(job).await.map(drop));
    }

    async fn run_analytics(&self, run: Run) -> Ran {
        match run.name.as_str() {
            SAMPLE => {
                let SampleData { server, at, figures } = read(run.data)?;
                let stored = self.store.add_sample(Sample { server: server.clone(), at, figures }).await;
                stored.map_err(again)?;
                for period in [Period::Hour, Period::Day] {
                    self.came_late(period, at, &server).await?;
                }
                Ok(json!({ "outcome": "stored" }))
            }
            LATE => {
                let LateData { period, start } = read(run.data)?;
                let report = self.roll_up(period, start).await.map_err(again)?;
                Ok(json!({ "start": report.start }))
            }
            HOURS => self.run_reports(Period::Hour).await,
            DAYS => self.run_reports(Period::Day).await,
            other => Err(Failure::Final(format!("no job is called {other:?} here"))),
        }
    }

    async fn run_reports(&self, period: Period) -> Ran {
        let now = self.ambient.now();
        // What was handed in somewhat late belongs to the one before.
        self.roll_up(period, period.before(now)).await.map_err(again)?;
        let report = self.roll_up(period, now).await.map_err(again)?;
        let made = self.roll_up_missing(period, MISSING_AT_ONCE).await.map_err(again)?;
        Ok(json!({ "start": report.start, "missing": made }))
    }

    /// Has a report made anew that no run of the schedules makes again, since its time is over for long. The job runs when
    /// what else is late in these seconds is stored as well; each process that stores samples adds its own, by its own clock.
    async fn came_late(&self, period: Period, at: Timestamp, from: &Incarnation) -> Result<(), Failure> {
        let (now, start) = (self.ambient.now(), period.start_of(at));
        let runs_every = match period {
            Period::Hour => HOURS_EVERY,
            Period::Day => DAYS_EVERY,
        };
        // By the next run it may be the one before the last, which that run leaves alone.
        if start >= period.before(now.plus(runs_every)) || now.since(start) > self.keeps_samples(period) {
            return Ok(());
        }
        let every = LATE_EVERY.as_millis() as i64;
        let until = now.0 - now.0.rem_euclid(every) + every;
        let worker = self.lease.current();
        let job = NewJob {
            queue: QUEUE,
            name: LATE,
            id: format!("late-{}-{}-{}-{until}", period.as_str(), start.0, worker.as_ref().unwrap_or(from)),
            data: json!(LateData { period, start }),
            attempts: AGAIN.attempts,
            backoff: AGAIN.backoff,
            delay: Timestamp(until).since(now),
            priority: 0,
        };
        self.backbone.queue.add(job).await.map_err(|fault| Failure::Retry(fault.to_string()))?;
        Ok(())
    }
}

fn read<T: serde::de::DeserializeOwned>(data: Value) -> Result<T, Failure> {
    serde_json::from_value(data)
        .map_err(|error| Failure::Final(format!("the job's data are not as they should be: {error}")))
}

fn again(error: StoreError) -> Failure {
    Failure::Retry(error.to_string())
}
