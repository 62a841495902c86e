//! `aim queue …`: the queues in Redis, seen and steered from a terminal as on the board at `/admin/queues`.

mod steer;

use super::say;
use crate::config::Config;
use aim_backbone::link::{Links, with_budget};
use aim_backbone::queue::board::{Board, Entry, Obliterated, Outcome, Posted, Status};
use aim_backbone::queue::redis::RedisQueue;
use aim_backbone::queue::{Added, QUEUES, Queue};
use aim_domain::{Ambient, MessageId, Timestamp};
use anyhow::{Context, bail, ensure};
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::time::Duration;

/// How long Redis may take to be there, and how long one order may take.
const PATIENCE: Duration = Duration::from_secs(5);
const BUDGET: Duration = Duration::from_secs(60);

#[derive(Subcommand)]
pub(super) enum Command {
    /// List the queues, with how many jobs stand where
    List,
    /// Show one queue: its jobs by status, its workers and its schedules
    Show(OfQueue),
    /// List the jobs of one status, the latest first
    Jobs {
        #[command(flatten)]
        of: OfQueue,
        #[arg(value_name = "STATUS", value_parser = statuses())]
        status: String,
        /// So many at the most
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: usize,
        /// Leave out so many of the latest
        #[arg(long, value_name = "N", default_value_t = 0)]
        skip: usize,
    },
    /// Print everything that is kept of one job, as JSON, its log included
    Job(OfJob),
    /// Run a job again that failed or completed, or all that failed
    Retry {
        #[command(flatten)]
        of: OfQueue,
        #[arg(value_name = "ID", required_unless_present_any = ["all", "all_completed"])]
        id: Option<String>,
        /// All that failed
        #[arg(long, conflicts_with = "id")]
        all: bool,
        /// All that completed
        #[arg(long, conflicts_with_all = ["id", "all"])]
        all_completed: bool,
    },
    /// End the wait of a delayed job, or of all
    Promote {
        #[command(flatten)]
        of: OfQueue,
        #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
        id: Option<String>,
        /// All that are delayed
        #[arg(long)]
        all: bool,
    },
    /// Remove a job that is not active
    Remove(OfJob),
    /// Remove the jobs of one status
    Clean {
        #[command(flatten)]
        of: OfQueue,
        #[arg(value_name = "STATUS", value_parser = statuses())]
        status: String,
        /// Only those that are older than so many seconds
        #[arg(long, value_name = "SECONDS", default_value_t = 0)]
        older_than: u64,
    },
    /// Remove all jobs that wait for their turn, priorities included; delayed ones stay
    Drain(OfQueue),
    /// Remove everything of a paused queue, and the pause with it
    Obliterate {
        #[command(flatten)]
        of: OfQueue,
        /// Also jobs that run just now; their workers learn nothing of it
        #[arg(long)]
        force: bool,
    },
    /// Let no worker take jobs of a queue until it is resumed
    Pause(OfQueue),
    /// Let workers take jobs again
    Resume(OfQueue),
    /// Add a job; `docs/queues.md` describes what each queue's jobs hold
    Add(Add),
    /// Change what a job holds, how long it waits, or its priority
    Set(steer::Set),
    /// Show how many jobs of a queue completed and failed, by the minute
    Metrics {
        #[command(flatten)]
        of: OfQueue,
        /// So many of the latest minutes in which any did
        #[arg(long, value_name = "N", default_value_t = 20)]
        minutes: usize,
    },
    /// List the schedules of a queue, run one now, change its pace, or remove it
    Schedules(steer::Schedules),
    /// Show or set how many jobs of a queue run at a time, over all workers
    Concurrency(steer::Concurrency),
    /// Show or set how many jobs of a queue may begin in a stretch of time, over all workers
    Rate(steer::Rate),
    /// Show the Redis behind the queues, in its own words
    Redis,
}

#[derive(Args)]
pub(super) struct OfQueue {
    #[arg(value_name = "QUEUE", value_parser = PossibleValuesParser::new(QUEUES))]
    queue: String,
}

#[derive(Args)]
pub(super) struct OfJob {
    #[command(flatten)]
    of: OfQueue,
    #[arg(value_name = "ID")]
    id: String,
}

#[derive(Args)]
pub(super) struct Add {
    #[command(flatten)]
    of: OfQueue,
    /// What kind of job it is
    #[arg(value_name = "NAME")]
    name: String,
    /// What it holds, as JSON
    #[arg(long, value_name = "JSON", default_value = "{}")]
    data: String,
    /// No integer, without a colon; made unless given
    #[arg(long)]
    id: Option<String>,
    /// Runs at the most
    #[arg(long, value_name = "N", default_value_t = 1)]
    attempts: u32,
    /// Seconds before the second run, twice as many before each further one
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    backoff: u64,
    /// Seconds before it may run
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    delay: u64,
    /// 0 runs first
    #[arg(long, value_name = "N", default_value_t = 0)]
    priority: u32,
}

fn statuses() -> PossibleValuesParser {
    PossibleValuesParser::new(Status::ALL.map(Status::as_str))
}

impl OfQueue {
    /// The parser knows the names already.
    fn name(&self) -> anyhow::Result<&'static str> {
        QUEUES
            .into_iter()
            .find(|queue| *queue == self.queue)
            .with_context(|| format!("there is no queue {}", self.queue))
    }
}

fn status_named(name: &str) -> anyhow::Result<Status> {
    Status::of(name).with_context(|| format!("there is no status {name}"))
}

pub(super) async fn run(command: Command, config: &Config) -> anyhow::Result<()> {
    let Some(settings) = config.redis.settings(&config.queue) else {
        bail!(
            "No Redis is configured (AIM_REDIS__URL): the queues live in the server's own process, where no command \
             reaches them. Sign in as an administrator and open /admin/queues on the server."
        );
    };
    let links = Links::open(settings).context("AIM_REDIS__URL, or the address of one use, cannot be used")?;
    let ambient = Ambient::system();
    let queue = RedisQueue::new(links.queue.client("queue"), &links.queue_prefix, &ambient);
    ensure!(queue.ready(PATIENCE).await, "The Redis of the queues does not answer: nothing was done.");
    with_budget(BUDGET, obey(command, &queue, &ambient)).await
}

async fn obey(command: Command, board: &RedisQueue, ambient: &Ambient) -> anyhow::Result<()> {
    match command {
        Command::List => list(board).await,
        Command::Show(of) => show(board, of.name()?).await,
        Command::Jobs { of, status, limit, skip } => {
            let status = status_named(&status)?;
            for entry in board.page(of.name()?, &[status], skip, limit).await? {
                say(&line(&entry))?;
            }
            Ok(())
        }
        Command::Job(OfJob { of, id }) => job(board, of.name()?, &id).await,
        Command::Retry { of, id: Some(id), .. } => told(
            board.run_again(of.name()?, &id).await?,
            &id,
            "is in line again",
            "can run again only when it has ended",
        ),
        Command::Retry { of, all_completed, .. } => {
            let ended = if all_completed { Status::Completed } else { Status::Failed };
            let count = board.run_all_again(of.name()?, ended).await?;
            say(&format!("{count} jobs that {} are in line again.", ended.as_str()))
        }
        Command::Promote { of, id: Some(id), .. } => {
            told(board.promote(of.name()?, &id).await?, &id, "is in line", "can be promoted only while it is delayed")
        }
        Command::Promote { of, .. } => {
            board.promote_all(of.name()?).await?;
            say("All that were delayed are in line.")
        }
        Command::Remove(OfJob { of, id }) => {
            told(board.discard(of.name()?, &id).await?, &id, "is removed", "cannot be removed")
        }
        Command::Clean { of, status, older_than } => {
            let older_than = Duration::from_secs(older_than);
            let count = board.clean(of.name()?, status_named(&status)?, older_than).await?;
            say(&format!("{count} jobs removed."))
        }
        Command::Drain(of) => {
            board.drain(of.name()?).await?;
            say(&format!("Nothing waits in {} any more.", of.queue))
        }
        Command::Obliterate { of, force } => match board.obliterate(of.name()?, force).await? {
            Obliterated::Done => say(&format!("{} is empty.", of.queue)),
            Obliterated::NotPaused => bail!("{} is not paused: pause it first. Nothing was removed.", of.queue),
            Obliterated::HasActive => bail!("Jobs of {} run just now: wait for them, or use --force.", of.queue),
        },
        Command::Pause(of) => {
            board.pause(of.name()?).await?;
            say(&format!("{} is paused: what runs ends, and nothing begins.", of.queue))
        }
        Command::Resume(of) => {
            board.resume(of.name()?).await?;
            say(&format!("{} is resumed.", of.queue))
        }
        Command::Add(add) => add_job(board, ambient, add).await,
        Command::Set(set) => steer::set(board, set).await,
        Command::Metrics { of, minutes } => steer::metrics(board, of.name()?, minutes).await,
        Command::Schedules(command) => steer::schedules(board, ambient, command).await,
        Command::Concurrency(command) => steer::concurrency(board, command).await,
        Command::Rate(command) => steer::rate(board, command).await,
        Command::Redis => steer::redis(board).await,
    }
}

fn told(outcome: Outcome, id: &str, done: &str, refused: &str) -> anyhow::Result<()> {
    match outcome {
        Outcome::Done => say(&format!("{id} {done}.")),
        Outcome::Unknown => bail!("There is no job {id}."),
        Outcome::Refused(status) => bail!("{id} is {}: it {refused}.", status.as_str()),
        Outcome::NextRun(schedule) => {
            bail!("{id} is the next run of the schedule {schedule}, which would run no more without it.")
        }
    }
}

async fn list(board: &RedisQueue) -> anyhow::Result<()> {
    let mut heads = String::from("queue             ");
    Status::ALL.iter().for_each(|status| heads.push_str(&format!("{:>17}", status.as_str())));
    say(&heads)?;
    for queue in QUEUES {
        let survey = board.survey(queue).await?;
        let mut row = format!("{queue:<18}");
        Status::ALL.iter().for_each(|status| row.push_str(&format!("{:>17}", survey.tally.of(*status))));
        if survey.is_paused {
            row.push_str("  paused");
        }
        say(&row)?;
    }
    Ok(())
}

async fn show(board: &RedisQueue, queue: &'static str) -> anyhow::Result<()> {
    let survey = board.survey(queue).await?;
    say(&format!("{queue}: {}", if survey.is_paused { "paused" } else { "running" }))?;
    for status in Status::ALL {
        say(&format!("  {:<17}{}", status.as_str(), survey.tally.of(status)))?;
    }
    if let Some(most) = survey.concurrency {
        say(&format!("  at most {most} at a time"))?;
    }
    for seen in board.workers(queue).await? {
        say(&format!("  worker {} at {}, for {} s", seen.id, seen.address, seen.age.as_secs()))?;
    }
    for schedule in board.schedules(queue).await? {
        let next = schedule.next.map_or_else(|| "never".to_owned(), |next| next.to_string());
        say(&format!("  schedule {}: {} runs, the next at {next}", schedule.id, schedule.runs))?;
    }
    Ok(())
}

/// A job in a line. What it holds is its own business: `aim queue job` prints it.
fn line(entry: &Entry) -> String {
    let Entry { id, name, added_at, attempts_made, failed_reason, .. } = entry;
    let why = failed_reason.as_deref().map(|why| format!("  {}", why.lines().next().unwrap_or_default()));
    format!("{id}  {name}  added {added_at}  runs {attempts_made}{}", why.unwrap_or_default())
}

async fn job(board: &RedisQueue, queue: &'static str, id: &str) -> anyhow::Result<()> {
    let Some((entry, status)) = board.entry(queue, id).await? else { bail!("There is no job {id}.") };
    let at = |time: Option<Timestamp>| time.map(|time| time.to_string());
    let told = json!({
        "id": entry.id,
        "name": entry.name,
        "status": status.as_str(),
        "addedAt": entry.added_at,
        "startedAt": at(entry.started_at),
        "finishedAt": at(entry.finished_at),
        "attemptsMade": entry.attempts_made,
        "priority": entry.priority,
        "progress": entry.progress,
        "failedReason": entry.failed_reason,
        "traces": entry.traces,
        "options": entry.options,
        "data": entry.data,
        "returned": entry.returned,
        "log": board.logs(queue, id).await?,
    });
    say(&serde_json::to_string_pretty(&told)?)
}

async fn add_job(board: &RedisQueue, ambient: &Ambient, add: Add) -> anyhow::Result<()> {
    let data: Value = serde_json::from_str(&add.data).context("--data is not valid JSON")?;
    let id = add.id.unwrap_or_else(|| format!("manual-{}", ambient.id::<MessageId>()));
    let job = Posted {
        queue: add.of.name()?,
        name: add.name.into(),
        id: id.clone(),
        data,
        attempts: add.attempts.max(1),
        backoff: Duration::from_secs(add.backoff),
        delay: Duration::from_secs(add.delay),
        priority: add.priority,
    };
    match board.post(job).await.map_err(|fault| anyhow::anyhow!(fault.detail))? {
        Added::New => say(&format!("{id} is added.")),
        Added::Known => bail!("There is a job {id} already: nothing was added."),
    }
}
