//! `cleanup`: what nobody needs any more, on schedules. What is over shows in the store itself, so a run that is lost is
//! made good by the next. `aim cleanup` does the same from a terminal, or only says what would go.

use super::{Ran, Runs, schedule};
use crate::Platform;
use aim_backbone::Fault;
use aim_backbone::queue::{self, Failure, Run, Worker};
use aim_store::{Stale, StoreError};
use futures::FutureExt;
use serde::Serialize;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const QUEUE: &str = queue::CLEANUP;
const RUNS: Runs = Runs { queue: QUEUE, concurrency: 1, timeout: Some(Duration::from_secs(600)) };
/// What servers read when they have been away for a moment is kept this long after it is over.
const KEEP: Duration = Duration::from_secs(3_600);

/// Nobody is told the same again within this time.
const KEEP_MAILS: Duration = Duration::from_secs(90 * 24 * 3_600);

/// The jobs, how often they run, and what they remove.
const CHORES: [(&str, Duration, &[Stale]); 3] = [
    (
        "sign-ins",
        Duration::from_secs(600),
        &[Stale::Changes, Stale::Sessions, Stale::SignIns, Stale::Servers, Stale::Tokens],
    ),
    ("mails", Duration::from_secs(3_600), &[Stale::Mails]),
    ("analytics-detail", Duration::from_secs(3_600), &[Stale::Samples, Stale::HourReports]),
];

/// What a cleanup did, or would do.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cleaned {
    pub what: &'static str,
    /// It is removed when it is over for longer.
    #[serde(skip)]
    pub keep: Duration,
    pub count: u64,
}

impl Platform {
    pub(super) async fn work_cleanup(&self) -> Result<Arc<dyn Worker>, Fault> {
        let worker = self.work_on(RUNS, |platform, run| async move { platform.run_cleanup(run).await }.boxed()).await?;
        for (name, every, _) in CHORES {
            schedule(self, QUEUE, name, every).await;
        }
        Ok(worker)
    }

    async fn run_cleanup(&self, run: Run) -> Ran {
        let Some((_, _, kinds)) = CHORES.iter().find(|(name, ..)| *name == run.name) else {
            return Err(Failure::Final(format!("no job is called {:?} here", run.name)));
        };
        let mut cleaned = Vec::new();
        for what in *kinds {
            cleaned.push(self.clean(*what, false).await.map_err(|error| Failure::Retry(error.to_string()))?);
        }
        Ok(json!({ "removed": cleaned }))
    }

    fn keeps(&self, what: Stale) -> Duration {
        match what {
            Stale::Changes | Stale::Sessions | Stale::SignIns | Stale::Servers | Stale::Tokens => KEEP,
            Stale::Mails => KEEP_MAILS,
            Stale::Samples => self.settings.keep_samples,
            Stale::HourReports => self.settings.keep_hour_reports,
        }
    }

    async fn clean(&self, what: Stale, dry_run: bool) -> Result<Cleaned, StoreError> {
        let keep = self.keeps(what);
        let count = match dry_run {
            true => self.store.count_stale(what, keep).await?,
            false => self.store.sweep(what, keep).await?,
        };
        Ok(Cleaned { what: what.as_str(), keep, count })
    }

    /// Does all that the jobs of `cleanup` do; in a dry run it counts what would go, and removes nothing.
    pub async fn clean_up(&self, dry_run: bool) -> Result<Vec<Cleaned>, StoreError> {
        let mut cleaned = Vec::new();
        for what in Stale::ALL {
            cleaned.push(self.clean(what, dry_run).await?);
        }
        Ok(cleaned)
    }
}
