//! `analytics`: what servers measured is stored, and rolled up into reports of hours and days. Reports are due by the clock;
//! each is made from the store's rows and samples, so making one twice changes nothing. A sample that is lost with its
//! queue is missing from them.

use super::{Ran, Runs, schedule};
use crate::Platform;
use crate::faults::hint;
use aim_backbone::Fault;
use aim_backbone::queue::{self, Failure, NewJob, Run, Worker};
use aim_domain::{Figures, Incarnation, Timestamp};
use aim_store::{Period, Sample, StoreError};
use futures::FutureExt;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const QUEUE: &str = queue::ANALYTICS;
/// Stores one minute of one process.
const SAMPLE: &str = "sample";
/// Makes the reports of this hour and the one before.
const HOURS: &str = "hours";
const DAYS: &str = "days";
const HOURS_EVERY: Duration = Duration::from_secs(300);
const DAYS_EVERY: Duration = Duration::from_secs(3_600);
const RUNS: Runs = Runs { queue: QUEUE, concurrency: 2, timeout: Some(Duration::from_secs(120)) };

#[derive(Serialize, Deserialize)]
struct SampleData {
    server: Incarnation,
    at: Timestamp,
    figures: Figures,
}

impl Platform {
    pub(super) async fn work_analytics(&self) -> Result<Arc<dyn Worker>, Fault> {
        let worker =
            self.work_on(RUNS, |platform, run| async move { platform.run_analytics(run).await }.boxed()).await?;
        schedule(self, QUEUE, HOURS, HOURS_EVERY).await;
        schedule(self, QUEUE, DAYS, DAYS_EVERY).await;
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
        let period = match run.name.as_str() {
            SAMPLE => {
                let SampleData { server, at, figures } = serde_json::from_value(run.data)
                    .map_err(|error| Failure::Final(format!("the job's data are no sample: {error}")))?;
                self.store.add_sample(Sample { server, at, figures }).await.map_err(again)?;
                return Ok(json!({ "outcome": "stored" }));
            }
            HOURS => Period::Hour,
            DAYS => Period::Day,
            other => return Err(Failure::Final(format!("no job is called {other:?} here"))),
        };
        let now = self.ambient.now();
        let before = Timestamp(period.start_of(now).0 - 1);
        // What was handed in late belongs to the one before.
        self.roll_up(period, before).await.map_err(again)?;
        let report = self.roll_up(period, now).await.map_err(again)?;
        Ok(json!({ "start": report.start }))
    }
}

fn again(error: StoreError) -> Failure {
    Failure::Retry(error.to_string())
}
