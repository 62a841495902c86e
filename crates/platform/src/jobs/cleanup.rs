//! `cleanup`: what nobody needs any more, on schedules. What is over shows in the store itself, so a run that is lost is
//! made good by the next. `aim cleanup` does the same from a terminal, or only says what would go.

use super::{Again, Ran, Runs, schedule};
use crate::Platform;
use crate::faults::hint;
use Thing::{
    ClosedAccounts, DeletedConversations, DeletedWords, FinishedJobs, LeftOverUploads, OrphanedUploads, Rows,
    StrayFiles,
};
use aim_backbone::Fault;
use aim_backbone::link::with_budget;
use aim_backbone::queue::board::Status;
use aim_backbone::queue::{self, Failure, QUEUES, Run, Worker};
use aim_store::{Stale, StoreError};
use futures::FutureExt;
use serde::Serialize;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const QUEUE: &str = queue::CLEANUP;
const RUNS: Runs = Runs { queue: QUEUE, concurrency: 1, timeout: Some(Duration::from_secs(600)) };
/// Waits of 15 s to 4 min: within the ten minutes of the most frequent.
const AGAIN: Again = Again { attempts: 6, backoff: Duration::from_secs(15) };
/// What servers read when they have been away for a moment is kept this long after it is over.
const KEEP: Duration = Duration::from_secs(3_600);

/// Nobody is told the same again within this time.
const KEEP_MAILS: Duration = Duration::from_secs(90 * 24 * 3_600);
/// Reports of what people wrote, after they were closed.
const KEEP_CASES: Duration = Duration::from_secs(180 * 24 * 3_600);
/// Whoever attached a file and went away finds it for a day.
const KEEP_ORPHANS: Duration = Duration::from_secs(24 * 3_600);
/// Files that no row knows: theirs comes within minutes, if at all.
const KEEP_STRAYS: Duration = Duration::from_secs(24 * 3_600);
/// Nobody waits for a queue to be cleaned.
const PATIENCE: Duration = Duration::from_secs(10);
/// Jobs that are read at a time.
const BATCH: usize = 500;

const FINISHED: [Status; 2] = [Status::Completed, Status::Failed];

/// Of the index of words; see `Search::tidy_search`.
const MOST_PORTIONS: u64 = 20_000;
const BETWEEN_PORTIONS: Duration = Duration::from_millis(5);

#[derive(Clone, Copy)]
enum Thing {
    Rows(Stale),
    /// Uploads that no message and no portrait shows, with their files.
    OrphanedUploads,
    /// The bytes of deleted uploads, and of parts that nobody goes on with. The reconciler takes them as well.
    LeftOverUploads,
    /// Bytes that no row knows.
    StrayFiles,
    /// Jobs of all queues that have ended.
    FinishedJobs,
    /// Accounts whose owners deleted them, with everything that is theirs.
    ClosedAccounts,
    /// Conversations whose owners deleted them, for good.
    DeletedConversations,
    /// Words of messages that are gone, out of the index of words.
    DeletedWords,
}

/// The jobs, how often they run, and what they remove.
const CHORES: [(&str, Duration, &[Thing]); 12] = [
    (
        "sign-ins",
        Duration::from_secs(600),
        &[Rows(Stale::Changes), Rows(Stale::Sessions), Rows(Stale::SignIns), Rows(Stale::Servers), Rows(Stale::Tokens)],
    ),
    // Before uploads, so that theirs go in the same run.
    ("accounts", Duration::from_secs(600), &[ClosedAccounts]),
    ("conversations", Duration::from_secs(3_600), &[DeletedConversations]),
    ("uploads", Duration::from_secs(3_600), &[OrphanedUploads, LeftOverUploads]),
    // After them: what they could not remove is of rows that are gone.
    ("stray-files", Duration::from_secs(24 * 3_600), &[StrayFiles]),
    ("search", Duration::from_secs(24 * 3_600), &[DeletedWords]),
    ("drafts", Duration::from_secs(3_600), &[Rows(Stale::Drafts)]),
    ("invites", Duration::from_secs(3_600), &[Rows(Stale::Invites)]),
    ("cases", Duration::from_secs(24 * 3_600), &[Rows(Stale::Cases)]),
    ("mails", Duration::from_secs(3_600), &[Rows(Stale::Mails)]),
    ("analytics-detail", Duration::from_secs(3_600), &[Rows(Stale::Samples), Rows(Stale::HourReports)]),
    ("jobs", Duration::from_secs(3_600), &[FinishedJobs]),
];

/// What a cleanup did, or would do.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cleaned {
    pub what: &'static str,
    /// It is removed when it is over for longer.
    #[serde(skip)]
    pub keep: Duration,
    /// None where it cannot be counted without being removed.
    pub count: Option<u64>,
}

impl Cleaned {
    fn some(what: &'static str, keep: Duration, count: u64) -> Self {
        Self { what, keep, count: Some(count) }
    }
}

impl Platform {
    pub(super) async fn work_cleanup(&self) -> Result<Arc<dyn Worker>, Fault> {
        let worker = self.work_on(RUNS, |platform, run| async move { platform.run_cleanup(run).await }.boxed()).await?;
        for (name, every, _) in CHORES {
            schedule(self, QUEUE, name, every, AGAIN).await;
        }
        Ok(worker)
    }

    async fn run_cleanup(&self, run: Run) -> Ran {
        let Some((_, _, things)) = CHORES.iter().find(|(name, ..)| *name == run.name) else {
            return Err(Failure::Final(format!("no job is called {:?} here", run.name)));
        };
        let mut cleaned = Vec::new();
        for thing in *things {
            cleaned.extend(self.clean(*thing, false).await.map_err(|error| Failure::Retry(error.to_string()))?);
        }
        Ok(json!({ "removed": cleaned }))
    }

    fn keeps(&self, what: Stale) -> Duration {
        match what {
            Stale::Changes | Stale::Sessions | Stale::SignIns | Stale::Servers | Stale::Tokens => KEEP,
            Stale::Drafts | Stale::Invites => Duration::ZERO,
            Stale::Mails => KEEP_MAILS,
            Stale::Cases => KEEP_CASES,
            Stale::Samples => self.settings.keep_samples,
            Stale::HourReports => self.settings.keep_hour_reports,
        }
    }

    async fn clean(&self, thing: Thing, dry_run: bool) -> Result<Vec<Cleaned>, StoreError> {
        let cleaned = match thing {
            Rows(what) => {
                let keep = self.keeps(what);
                let count = match dry_run {
                    true => self.store.count_stale(what, keep).await?,
                    false => self.store.sweep(what, keep).await?,
                };
                Cleaned::some(what.as_str(), keep, count)
            }
            ClosedAccounts => Cleaned::some("accounts", Duration::ZERO, self.erase_closed(!dry_run).await?),
            DeletedConversations => {
                let keep = self.settings.keep_deleted_conversations;
                Cleaned::some("conversations", keep, self.purge_conversations(!dry_run).await?)
            }
            // The index does not tell how much of it is of words that are gone.
            DeletedWords if dry_run => Cleaned { what: "search", keep: Duration::ZERO, count: None },
            DeletedWords => {
                // In portions, with room between them for those who write.
                let mut count = 0;
                while count < MOST_PORTIONS && self.store.tidy_search().await? {
                    count += 1;
                    tokio::time::sleep(BETWEEN_PORTIONS).await;
                }
                Cleaned::some("search", Duration::ZERO, count)
            }
            OrphanedUploads => {
                Cleaned::some("uploads", KEEP_ORPHANS, self.delete_orphaned_uploads(KEEP_ORPHANS, !dry_run).await?)
            }
            LeftOverUploads => {
                let of = self.sweep_all_uploads(!dry_run).await?;
                let deleted = Cleaned::some("deleted-uploads", Duration::ZERO, of.deleted);
                return Ok(vec![deleted, Cleaned::some("expired-parts", self.settings.resumable_age, of.expired)]);
            }
            StrayFiles => Cleaned::some("stray-files", KEEP_STRAYS, self.remove_strays(KEEP_STRAYS, !dry_run).await?),
            FinishedJobs => {
                let keep = self.settings.keep_finished_jobs;
                let mut count = 0;
                for (queue, status) in QUEUES.into_iter().flat_map(|queue| FINISHED.map(|status| (queue, status))) {
                    count += with_budget(PATIENCE, async {
                        match dry_run {
                            true => hint("count finished jobs", self.old_jobs(queue, status, keep).await),
                            false => hint("clean a queue", self.backbone.board.clean(queue, status, keep).await),
                        }
                    })
                    .await;
                }
                Cleaned::some("jobs", keep, count)
            }
        };
        Ok(vec![cleaned])
    }

    /// Jobs that ended so in this queue longer ago than `keep`.
    async fn old_jobs(&self, queue: &'static str, status: Status, keep: Duration) -> Result<u64, Fault> {
        let before = self.ambient.now().0.saturating_sub(i64::try_from(keep.as_millis()).unwrap_or(i64::MAX));
        let mut count = 0;
        for skip in (0..).step_by(BATCH) {
            let jobs = self.backbone.board.page(queue, &[status], skip, BATCH).await?;
            let old = jobs.iter().filter(|job| job.finished_at.is_some_and(|at| at.0 <= before));
            count += old.count() as u64;
            if jobs.len() < BATCH {
                break;
            }
        }
        Ok(count)
    }

    /// Does all that the jobs of `cleanup` do; in a dry run it counts what would go, and removes nothing. Where one thing fails the
    /// others are done all the same; it answers with the first error then.
    pub async fn clean_up(&self, dry_run: bool) -> Result<Vec<Cleaned>, StoreError> {
        let (mut cleaned, mut failed) = (Vec::new(), None);
        for thing in CHORES.iter().flat_map(|(_, _, things)| *things) {
            match self.clean(*thing, dry_run).await {
                Ok(more) => cleaned.extend(more),
                Err(error) => drop(failed.get_or_insert(error)),
            }
        }
        failed.map_or(Ok(cleaned), Err)
    }
}
