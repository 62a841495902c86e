//! Background jobs, one file each: its queue, attempts, backoff, time-out, concurrency, and what makes it due in the database.
//!
//! A job hurries along what is due in the store, and may be lost or run twice: each claims there what it does. What is due
//! and nobody hurries is found by the reconciler.

pub mod ai_response;
mod analytics;
pub mod cleanup;
pub mod email;
pub mod media_processing;
mod order;

use crate::Platform;
use crate::faults::hint;
use aim_backbone::Fault;
use aim_backbone::queue::{self, Failure, Run, Schedule, Worker, WorkerSettings};
use futures::future::BoxFuture;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How the jobs of one queue are run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Runs {
    pub queue: &'static str,
    /// Runs at a time in this process.
    pub concurrency: usize,
    /// A run that takes longer is dropped and has failed; another attempt may help. None for runs that end by themselves.
    pub timeout: Option<Duration>,
}

pub(crate) type Ran = Result<Value, Failure>;

impl Platform {
    /// Begins to run the jobs of every queue in this process; a worker each.
    pub async fn work(&self) -> Result<Vec<Arc<dyn Worker>>, Fault> {
        self.works.store(true, Ordering::Relaxed);
        let mut workers = vec![
            self.work_replies().await?,
            self.work_media().await?,
            self.work_analytics().await?,
            self.work_cleanup().await?,
        ];
        workers.extend(self.work_mails().await?);
        Ok(workers)
    }

    /// Begins to run one queue's jobs in this process.
    pub(crate) async fn work_on(
        &self,
        runs: Runs,
        handle: impl Fn(Platform, Run) -> BoxFuture<'static, Ran> + Send + Sync + 'static,
    ) -> Result<Arc<dyn Worker>, Fault> {
        let platform = self.clone();
        let handler: queue::Handler = Arc::new(move |run| {
            let ran = handle(platform.clone(), run);
            Box::pin(async move {
                let Some(timeout) = runs.timeout else { return ran.await };
                let late = || Failure::Retry(format!("it took longer than {} s", timeout.as_secs()));
                tokio::time::timeout(timeout, ran).await.unwrap_or_else(|_| Err(late()))
            })
        });
        let settings = WorkerSettings { concurrency: runs.concurrency, stalled_after: self.settings.server_lease };
        self.backbone.queue.work(runs.queue, settings, handler).await
    }
}

/// How a run that is by the clock is tried again: it is over before the next one, and what the database does not answer
/// for some minutes puts nothing off by a day.
#[derive(Clone, Copy)]
struct Again {
    attempts: u32,
    backoff: Duration,
}

/// Has a job run every so often, by one of all workers.
async fn schedule(platform: &Platform, queue: &'static str, name: &'static str, every: Duration, again: Again) {
    let Again { attempts, backoff } = again;
    let schedule = Schedule { queue, name, every, data: json!({}), attempts, backoff };
    hint("set a schedule", platform.backbone.queue.schedule(schedule).await);
}
