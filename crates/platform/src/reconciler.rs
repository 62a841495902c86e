//! Finds due work that nobody hurries: after a crash, after lost hints, after an outage.
//!
//! Due rows are compared with the lines, granted turns with their jobs; what is missing is added. Work that is under way
//! is not touched, and work that is added twice loses its second claim.
//!
//! While the servers share their lines through Redis, one of them does this for all: the oldest that lives. The others
//! look now and then as well, since the oldest may be cut off from Redis and know nothing of it. A server that is alone,
//! or cut off from Redis, does it for itself, if it answers messages.

use crate::Platform;
use crate::faults::hint;
use crate::jobs::{ai_response, media_processing};
use aim_backbone::turns::Turn;
use aim_store::{Due, StoreError};
use futures::future::join_all;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const PACE: Duration = Duration::from_secs(1);
const BATCH: u32 = 1_000;
const UPLOADS: u32 = 100;
/// Questions to the lines that share a round trip.
const SIDE_BY_SIDE: usize = 100;
/// A turn that nobody has renewed for so long is compared with its job. The look renews it.
const QUIET: Duration = Duration::from_secs(2);
/// Rounds between two looks of a server that does not lead.
const LOOK_EVERY: u32 = 5;
/// Rounds between two looks for due mails.
const MAILS_EVERY: u32 = 5;
/// Rounds between two looks for files of uploads that are deleted or given up.
const TIDY_EVERY: u32 = 30;
/// Jobs of one upload that are looked up at the most.
const JOBS_OF_UPLOAD: u32 = 20;

impl Platform {
    /// Reconciles once a second until `stop`; the first time at once. `works`: messages are answered in this process.
    pub async fn reconcile(&self, works: bool, stop: CancellationToken) {
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut round, mut after, mut mails_after, mut after_upload) = (0_u32, None, None, None);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = pace.tick() => {}
            }
            let moved = hint("take back turns", self.backbone.turns.expire().await);
            self.follow(moved).await;
            if self.reconciles(works, round).await {
                if let Err(error) = self.add_missing(&mut after).await {
                    tracing::warn!(%error, "due work was not looked for");
                }
                self.add_missing_jobs().await;
                if round.is_multiple_of(MAILS_EVERY) {
                    mails_after = self.add_missing_mails(mails_after).await.unwrap_or_else(|error| {
                        tracing::warn!(%error, "due mails were not looked for");
                        None
                    });
                }
                if let Err(error) = self.add_missing_uploads(&mut after_upload).await {
                    tracing::warn!(%error, "due uploads were not looked for");
                }
                if round.is_multiple_of(TIDY_EVERY)
                    && let Err(error) = self.sweep_uploads().await
                {
                    tracing::warn!(%error, "what is left of uploads was not swept");
                }
                if round.is_multiple_of(TIDY_EVERY) {
                    self.tidy_errands().await;
                }
            }
            round = round.wrapping_add(1);
        }
    }

    async fn reconciles(&self, works: bool, round: u32) -> bool {
        if !self.backbone.is_shared() {
            return works;
        }
        if round.is_multiple_of(LOOK_EVERY) {
            return true;
        }
        // Where the store does not answer there is nothing to compare with.
        self.store.leads(&self.incarnation()).await.unwrap_or(false)
    }

    /// One batch of due rows a round, from where the last one ended: a long backlog never hides what is behind it.
    async fn add_missing(&self, after: &mut Option<aim_domain::MessageId>) -> Result<(), StoreError> {
        let due = self.store.due_replies(after.as_ref(), BATCH).await?;
        *after = if due.len() < BATCH as usize { None } else { due.last().map(|last| last.message.clone()) };
        let turn = |Due { conversation, character, message, attempt, premium }| Turn {
            conversation,
            character,
            message,
            attempt,
            premium,
        };
        let turns: Vec<Turn> = due.into_iter().map(turn).collect();
        for some in turns.chunks(SIDE_BY_SIDE) {
            let known = join_all(some.iter().map(|turn| self.backbone.turns.knows(turn))).await;
            for (turn, known) in some.iter().zip(known) {
                // What cannot be told is asked again in the next round.
                if known.is_ok_and(|known| !known) {
                    metrics::counter!("aim_reconciled_total", "what" => "turn").increment(1);
                    self.enter_turn(turn.clone()).await;
                }
            }
        }
        Ok(())
    }

    /// Uploads that are due and have no job that is still to run get one.
    async fn add_missing_uploads(&self, after: &mut Option<aim_domain::UploadId>) -> Result<(), StoreError> {
        let due = self.store.due_uploads(after.as_ref(), UPLOADS).await?;
        *after = if due.len() < UPLOADS as usize { None } else { due.last().map(|last| last.id.clone()) };
        'due: for upload in due {
            // A job's number is one more than the claims there were; it is passed over where such a job came to nothing.
            for attempt in 1..=upload.attempts + JOBS_OF_UPLOAD {
                let id = media_processing::job_id(&upload.id, attempt);
                match self.backbone.queue.job(media_processing::QUEUE, &id).await {
                    Ok(Some(job)) if job.finished_at.is_none() => continue 'due,
                    Ok(Some(_)) => {}
                    Ok(None) if attempt <= upload.attempts => {}
                    Ok(None) => {
                        metrics::counter!("aim_reconciled_total", "what" => "upload").increment(1);
                        // Whose it is was with its job, which is gone.
                        let job = media_processing::job(&upload.id, attempt, false, self.ambient.now());
                        hint("hurry an upload", self.backbone.queue.add(job).await.map(drop));
                        continue 'due;
                    }
                    // What cannot be told is asked again in the next round.
                    Err(_) => continue 'due,
                }
            }
        }
        Ok(())
    }

    /// A granted turn keeps its place while its job waits for a worker, however long; one without a job gets one.
    async fn add_missing_jobs(&self) {
        for turn in hint("granted turns", self.backbone.turns.granted(QUIET).await) {
            let id = ai_response::job(&turn).id;
            let job = hint("look up a job", self.backbone.queue.job(ai_response::QUEUE, &id).await);
            if job.is_some_and(|job| job.finished_at.is_none()) || self.put_off.has(&turn) {
                hint("renew a turn", self.backbone.turns.renew(&turn).await);
            } else {
                metrics::counter!("aim_reconciled_total", "what" => "job").increment(1);
                self.add_reply_job(&turn).await;
            }
        }
    }
}
