//! The board over BullMQ's queues in Redis: what is read is read as BullMQ wrote it, what is changed is changed by
//! BullMQ's scripts.

use super::RedisQueue;
use super::entry::{self, of_bull};
use super::job::{kept, millis};
use super::schedules;
use crate::Fault;
use crate::link::Need;
use crate::queue::board::{
    Board, Entry, METRIC_MINUTES, Metrics, Obliterated, Outcome, Posted, Rate, Reset, Scheduled, Seen, Server, Status,
    Survey, Tally, Timetable,
};
use crate::queue::{AI_RESPONSE, Added};
use aim_domain::Timestamp;
use async_trait::async_trait;
use bullmq::error::error_code;
use bullmq::{Error, Job, JobOptions, Queue};
use futures::future::{join, join_all};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::join;

/// Lines of a log that are read.
const MOST_LOGS: isize = 1_000;
/// Jobs that one call of a script moves or removes.
const BATCH: u32 = 1_000;
/// Jobs that are put back in line side by side.
const SIDE_BY_SIDE: i64 = 100;

impl RedisQueue {
    /// Does something with a job that is there, and reads where it stands once it is refused.
    async fn order(
        &self,
        queue: &'static str,
        id: &str,
        order: impl AsyncFnOnce(Job) -> Result<(), Error>,
    ) -> Result<Outcome, Fault> {
        self.connection
            .ask(Need::Write, queue, async |queue| {
                let Some(job) = queue.get_job(id).await? else { return Ok(Outcome::Unknown) };
                match order(job).await {
                    Ok(()) => Ok(Outcome::Done),
                    Err(Error::Redis(error)) => Err(error.into()),
                    Err(_) => refused(queue, id).await,
                }
            })
            .await
    }

    async fn tell(
        &self,
        queue: &'static str,
        order: impl AsyncFnOnce(&Queue) -> Result<(), Error>,
    ) -> Result<(), Fault> {
        self.connection.ask(Need::Write, queue, order).await
    }
}

async fn refused(queue: &Queue, id: &str) -> Result<Outcome, Error> {
    Ok(of_bull(queue.get_job_state(id).await?).map_or(Outcome::Unknown, Outcome::Refused))
}

/// The schedule whose next run the job is.
async fn schedule_of(queue: &Queue, id: &str) -> Result<Option<String>, Error> {
    let Some(job) = queue.get_job(id).await? else { return Ok(None) };
    let Some(schedule) = job.repeat_job_key() else { return Ok(None) };
    let next = queue.get_job_scheduler(schedule).await?.and_then(|schedule| schedule.next);
    Ok(next.is_some_and(|next| id == schedules::run_id(schedule, next)).then(|| schedule.to_owned()))
}

#[async_trait]
impl Board for RedisQueue {
    async fn survey(&self, queue: &'static str) -> Result<Survey, Fault> {
        let ask = async |queue: &Queue| {
            let (counts, meta, limited_for, schedules, workers) = join!(
                queue.get_job_counts(),
                queue.get_meta(),
                queue.get_rate_limit_ttl(None),
                queue.get_job_schedulers_count(),
                queue.get_workers_count(),
            );
            let (counts, meta) = (counts?, meta?);
            let count = |status| match status {
                Status::Active => counts.active,
                // Older BullMQs keep those of a paused queue apart.
                Status::Waiting => counts.waiting + counts.paused,
                Status::WaitingChildren => counts.waiting_children,
                Status::Prioritized => counts.prioritized,
                Status::Completed => counts.completed,
                Status::Failed => counts.failed,
                Status::Delayed => counts.delayed,
            };
            Ok(Survey {
                tally: Tally(Status::ALL.map(count)),
                is_paused: meta.paused,
                concurrency: meta.concurrency,
                limited_for: Duration::from_millis(u64::try_from(limited_for?).unwrap_or(0)),
                limits_rate: true,
                schedules: schedules?,
                workers: workers? as u64,
            })
        };
        self.connection.ask(Need::Read, queue, ask).await
    }

    async fn page(
        &self,
        queue: &'static str,
        statuses: &[Status],
        skip: usize,
        limit: usize,
    ) -> Result<Vec<Entry>, Fault> {
        if limit == 0 || statuses.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<&str> = statuses.iter().map(|status| status.as_str()).collect();
        let [first, last] = [skip, skip.saturating_add(limit - 1)].map(|n| i64::try_from(n).unwrap_or(i64::MAX));
        self.connection
            .ask(Need::Read, queue, async |queue| {
                let ids = queue.get_ranges(&names, first, last, false).await?;
                entry::read_all(queue, &ids).await
            })
            .await
    }

    async fn entry(&self, queue: &'static str, id: &str) -> Result<Option<(Entry, Status)>, Fault> {
        self.connection
            .ask(Need::Read, queue, async |queue| {
                let ids = [id.to_owned()];
                let (found, state) = join(entry::read_all(queue, &ids), queue.get_job_state(id)).await;
                Ok(found?.pop().zip(of_bull(state?)))
            })
            .await
    }

    async fn logs(&self, queue: &'static str, id: &str) -> Result<Vec<String>, Fault> {
        let logs =
            self.connection.ask(Need::Read, queue, async |queue| queue.get_job_logs(id, 0, MOST_LOGS - 1, true).await);
        Ok(logs.await?.0)
    }

    async fn post(&self, job: Posted) -> Result<Added, Fault> {
        self.put(&job).await
    }

    async fn run_again(&self, queue: &'static str, id: &str) -> Result<Outcome, Fault> {
        let order = async |mut job: Job| {
            let state = if job.is_failed().await? { "failed" } else { "completed" };
            job.retry(state, None).await
        };
        self.order(queue, id, order).await
    }

    async fn promote(&self, queue: &'static str, id: &str) -> Result<Outcome, Fault> {
        self.order(queue, id, async |job: Job| job.promote().await).await
    }

    async fn discard(&self, queue: &'static str, id: &str) -> Result<Outcome, Fault> {
        self.connection
            .ask(Need::Write, queue, async |queue| {
                let (known, schedule) = join(queue.get_job(id), schedule_of(queue, id)).await;
                if known?.is_none() {
                    return Ok(Outcome::Unknown);
                }
                if let Some(schedule) = schedule? {
                    return Ok(Outcome::NextRun(schedule));
                }
                match queue.remove(id).await {
                    Ok(true) => Ok(Outcome::Done),
                    Err(Error::Redis(error)) => Err(error.into()),
                    Ok(false) | Err(_) => refused(queue, id).await,
                }
            })
            .await
    }

    async fn set_data(&self, queue: &'static str, id: &str, data: Value) -> Result<Outcome, Fault> {
        self.order(queue, id, async |mut job: Job| job.update_data(data).await).await
    }

    async fn set_delay(&self, queue: &'static str, id: &str, delay: Duration) -> Result<Outcome, Fault> {
        self.order(queue, id, async |job: Job| job.change_delay(millis(delay)).await).await
    }

    async fn set_priority(&self, queue: &'static str, id: &str, priority: u32) -> Result<Outcome, Fault> {
        self.order(queue, id, async |job: Job| job.change_priority(priority, false).await).await
    }

    async fn run_all_again(&self, queue: &'static str, status: Status) -> Result<u64, Fault> {
        self.connection
            .ask(Need::Write, queue, async |queue| {
                let mut left = queue.get_job_count_by_types(&[status.as_str()]).await?;
                let mut moved = 0;
                // What ends meanwhile is not run again: no more than were there at the beginning.
                while left > 0 {
                    let most = SIDE_BY_SIDE.min(i64::try_from(left).unwrap_or(SIDE_BY_SIDE));
                    let jobs = queue.get_jobs(&[status.as_str()], 0, most - 1, true).await?;
                    let again = jobs.into_iter().map(|mut job| async move { job.retry(status.as_str(), None).await });
                    let again = join_all(again).await;
                    let done = again.iter().filter(|outcome| outcome.is_ok()).count() as u64;
                    if let Some(Err(Error::Redis(error))) =
                        again.into_iter().find(|outcome| matches!(outcome, Err(Error::Redis(_))))
                    {
                        return Err(error.into());
                    }
                    if done == 0 {
                        break;
                    }
                    moved += done;
                    left = left.saturating_sub(done);
                }
                Ok(moved)
            })
            .await
    }

    async fn promote_all(&self, queue: &'static str) -> Result<(), Fault> {
        self.tell(queue, async |queue| queue.promote_jobs(BATCH).await).await
    }

    async fn clean(&self, queue: &'static str, status: Status, older_than: Duration) -> Result<u64, Fault> {
        if status == Status::WaitingChildren {
            // BullMQ's script knows no clean-up of these.
            return Ok(0);
        }
        let grace = millis(older_than);
        let removed =
            self.connection.ask(Need::Write, queue, async |queue| queue.clean(grace, 0, status.as_str()).await);
        Ok(removed.await?.len() as u64)
    }

    async fn drain(&self, queue: &'static str) -> Result<(), Fault> {
        self.tell(queue, async |queue| queue.drain(false).await).await
    }

    async fn obliterate(&self, queue: &'static str, force: bool) -> Result<Obliterated, Fault> {
        self.connection
            .ask(Need::Write, queue, async |queue| {
                if !queue.is_paused().await? {
                    return Ok(Obliterated::NotPaused);
                }
                // The crate says "no force" in a way that BullMQ's script takes for force. Nothing becomes active in a
                // queue that is paused.
                if !force && queue.get_active_count().await? > 0 {
                    return Ok(Obliterated::HasActive);
                }
                match queue.obliterate(force, BATCH as usize).await {
                    Ok(()) => Ok(Obliterated::Done),
                    // The script has numbers of its own.
                    Err(Error::Script { code: -1, .. }) => Ok(Obliterated::NotPaused),
                    Err(Error::Script { code: -2, .. }) => Ok(Obliterated::HasActive),
                    Err(error) => Err(error),
                }
            })
            .await
    }

    async fn set_concurrency(&self, queue: &'static str, most: Option<u64>) -> Result<(), Fault> {
        self.tell(queue, async |queue| match most {
            Some(most) => queue.set_global_concurrency(most).await,
            None => queue.remove_global_concurrency().await,
        })
        .await
    }

    async fn rate(&self, queue: &'static str) -> Result<Option<Rate>, Fault> {
        let rate = self.connection.ask(Need::Read, queue, async |queue| queue.get_global_rate_limit().await).await?;
        Ok(rate.map(|(jobs, per)| Rate { jobs, per: Duration::from_millis(per) }))
    }

    async fn set_rate(&self, queue: &'static str, rate: Option<Rate>) -> Result<bool, Fault> {
        self.tell(queue, async |queue| match rate {
            Some(Rate { jobs, per }) => queue.set_global_rate_limit(jobs, millis(per)).await,
            None => queue.remove_global_rate_limit().await,
        })
        .await?;
        Ok(true)
    }

    async fn release_rate(&self, queue: &'static str) -> Result<(), Fault> {
        self.tell(queue, async |queue| queue.remove_rate_limit_key().await.map(|_| ())).await
    }

    async fn schedules(&self, queue: &'static str) -> Result<Vec<Scheduled>, Fault> {
        self.connection.ask(Need::Read, queue, async |queue| schedules::read_all(queue).await).await
    }

    async fn set_timetable(&self, queue: &'static str, id: &str, timetable: Timetable) -> Result<Reset, Fault> {
        self.connection
            .ask(Need::Write, queue, async |queue| {
                let Some(known) = queue.get_job_scheduler(id).await? else { return Ok(Reset::Unknown) };
                let options: Option<JobOptions> = known.opts.and_then(|options| serde_json::from_value(options).ok());
                let repeat = schedules::repeat(timetable);
                match queue.upsert_job_scheduler(id, repeat, Some(&known.name), known.data, options).await {
                    Ok(Some(_)) => Ok(Reset::Done),
                    Ok(None) => Ok(Reset::Refused("so it would never run".into())),
                    Err(Error::InvalidConfig(why)) => Ok(Reset::Refused(why)),
                    Err(Error::Script { code: error_code::SCHEDULER_JOB_SLOTS_BUSY, message }) => {
                        Ok(Reset::Refused(message))
                    }
                    Err(error) => Err(error),
                }
            })
            .await
    }

    async fn run_schedule(&self, queue: &'static str, id: &str, job: &str) -> Result<bool, Fault> {
        self.connection
            .ask(Need::Write, queue, async |queue| {
                let Some(known) = queue.get_job_scheduler(id).await? else { return Ok(false) };
                let options: Option<JobOptions> = known.opts.and_then(|options| serde_json::from_value(options).ok());
                let options = options.unwrap_or_else(|| JobOptions { attempts: Some(1), ..kept() });
                let options = JobOptions { job_id: Some(job.to_owned()), ..options };
                queue.add(&known.name, known.data.unwrap_or_else(|| json!({}))).options(options).await?;
                Ok(true)
            })
            .await
    }

    async fn drop_schedule(&self, queue: &'static str, id: &str) -> Result<bool, Fault> {
        self.connection.ask(Need::Write, queue, async |queue| queue.remove_job_scheduler(id).await).await
    }

    async fn metrics(&self, queue: &'static str) -> Result<[Metrics; 2], Fault> {
        let last = METRIC_MINUTES as i64 - 1;
        let ask = async |queue: &Queue| {
            let (completed, failed) =
                join(queue.get_metrics("completed", 0, last), queue.get_metrics("failed", 0, last)).await;
            Ok([completed?, failed?])
        };
        let metrics = self.connection.ask(Need::Read, queue, ask).await?;
        Ok(metrics.map(|metrics| Metrics {
            total: metrics.meta.count,
            told_at: Timestamp(i64::try_from(metrics.meta.prev_ts).unwrap_or(i64::MAX)),
            told: metrics.meta.prev_count,
            minutes: metrics.data,
        }))
    }

    async fn workers(&self, queue: &'static str) -> Result<Vec<Seen>, Fault> {
        let clients = self.connection.ask(Need::Read, queue, async |queue| queue.get_workers().await).await?;
        Ok(clients.iter().map(entry::seen).collect())
    }

    async fn server(&self) -> Result<Option<Server>, Fault> {
        let ask = async |queue: &Queue| queue.connection().cmd(&mut redis::cmd("INFO")).await;
        let info: redis::Value = self.connection.ask(Need::Read, AI_RESPONSE, ask).await?;
        Ok(entry::info(&info).map(|text| entry::server(&text)))
    }
}
