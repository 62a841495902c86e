//! The rest of what the board steers: what a job is like, schedules, how many jobs run at a time, and what ended when.

use super::{OfJob, OfQueue, PossibleValuesParser, told};
use crate::cli::say;
use aim_backbone::queue::board::{self, Board, Pace, Reset, Scheduled, Timetable};
use aim_backbone::queue::redis::RedisQueue;
use aim_domain::{Ambient, MessageId, Timestamp};
use anyhow::{Context, bail, ensure};
use clap::{ArgGroup, Args};
use serde_json::Value;
use std::time::Duration;

/// The lowest that BullMQ knows.
const LAST_PRIORITY: i64 = 2_097_151;
const MINUTE: i64 = 60_000;

#[derive(Args)]
#[command(group = ArgGroup::new("what").required(true).multiple(true))]
pub(in crate::cli) struct Set {
    #[command(flatten)]
    of: OfJob,
    /// What it holds, as JSON; a run under way keeps what it was given
    #[arg(long, value_name = "JSON", group = "what")]
    data: Option<String>,
    /// Seconds from now before it may run, of a job that is delayed
    #[arg(long, value_name = "SECONDS", group = "what")]
    delay: Option<u64>,
    /// 0 runs first
    #[arg(long, value_name = "N", group = "what", value_parser = clap::value_parser!(u32).range(0..=LAST_PRIORITY))]
    priority: Option<u32>,
}

#[derive(Args)]
pub(in crate::cli) struct Schedules {
    #[command(flatten)]
    of: OfQueue,
    #[arg(value_name = "ORDER", requires = "schedule", value_parser = PossibleValuesParser::new(["run", "set", "remove"]))]
    order: Option<String>,
    #[arg(value_name = "SCHEDULE")]
    schedule: Option<String>,
    /// With `set`: seconds from one run to the next
    #[arg(long, value_name = "SECONDS", conflicts_with = "pattern", value_parser = clap::value_parser!(u64).range(1..))]
    every: Option<u64>,
    /// With `set`: when it runs in cron's form, with seconds or without
    #[arg(long, value_name = "CRON")]
    pattern: Option<String>,
    /// The time zone of a pattern, as Europe/Berlin; UTC unless given
    #[arg(long, value_name = "ZONE", requires = "pattern")]
    zone: Option<String>,
    /// With `set`: runs at the most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// With `set`: the end, as 2026-11-23T04:00:00Z
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

#[derive(Args)]
pub(in crate::cli) struct Concurrency {
    #[command(flatten)]
    of: OfQueue,
    /// So many at the most; shows what is set unless given
    #[arg(value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    most: Option<u64>,
    /// As many as the workers have room for
    #[arg(long, conflicts_with = "most")]
    unlimited: bool,
}

#[derive(Args)]
pub(in crate::cli) struct Rate {
    #[command(flatten)]
    of: OfQueue,
    /// So many jobs at the most; shows what is set unless given
    #[arg(value_name = "N", requires = "per", value_parser = clap::value_parser!(u64).range(1..))]
    jobs: Option<u64>,
    /// In so many seconds
    #[arg(long, value_name = "SECONDS", requires = "jobs", value_parser = clap::value_parser!(u64).range(1..))]
    per: Option<u64>,
    /// No limit
    #[arg(long, conflicts_with = "jobs")]
    unlimited: bool,
    /// Take jobs again at once although the limit was reached
    #[arg(long, conflicts_with_all = ["jobs", "unlimited"])]
    release: bool,
}

pub(super) async fn set(board: &RedisQueue, command: Set) -> anyhow::Result<()> {
    let Set { of: OfJob { of, id }, data, delay, priority } = command;
    let queue = of.name()?;
    if let Some(data) = data {
        let data: Value = serde_json::from_str(&data).context("--data is not valid JSON")?;
        told(board.set_data(queue, &id, data).await?, &id, "holds that now", "cannot be changed")?;
    }
    if let Some(priority) = priority {
        let moved = "moved meanwhile: look at it again";
        told(board.set_priority(queue, &id, priority).await?, &id, &format!("has the priority {priority}"), moved)?;
    }
    if let Some(seconds) = delay {
        let set = board.set_delay(queue, &id, Duration::from_secs(seconds)).await?;
        told(set, &id, &format!("waits {seconds} s from now"), "can wait for another time only while it is delayed")?;
    }
    Ok(())
}

pub(super) async fn metrics(board: &RedisQueue, queue: &'static str, minutes: usize) -> anyhow::Result<()> {
    let [completed, failed] = board.metrics(queue).await?;
    say(&format!("{queue}: {} completed and {} failed since the first one", completed.total, failed.total))?;
    let of = |metrics: &board::Metrics| -> Vec<(i64, u64)> {
        let newest = metrics.told_at.0 - metrics.told_at.0.rem_euclid(MINUTE);
        let at = |back: usize| newest - MINUTE * i64::try_from(back + 1).unwrap_or(i64::MAX / MINUTE);
        metrics
            .minutes
            .iter()
            .enumerate()
            .map(|(back, count)| (at(back), *count))
            .filter(|(_, count)| *count > 0)
            .collect()
    };
    let mut by_minute = std::collections::BTreeMap::<i64, [u64; 2]>::new();
    for (place, metrics) in [completed, failed].iter().enumerate() {
        for (at, count) in of(metrics) {
            by_minute.entry(at).or_default()[place] = count;
        }
    }
    for (at, [completed, failed]) in by_minute.into_iter().rev().take(minutes) {
        say(&format!("  {}  {completed:>8} completed  {failed:>8} failed", Timestamp(at)))?;
    }
    Ok(())
}

pub(super) async fn schedules(board: &RedisQueue, ambient: &Ambient, command: Schedules) -> anyhow::Result<()> {
    let Schedules { of, order, schedule, every, pattern, zone, limit, until } = command;
    let queue = of.name()?;
    let times = every.is_some() || pattern.is_some() || limit.is_some() || until.is_some();
    ensure!(!times || order.as_deref() == Some("set"), "--every, --pattern, --limit and --until belong to `set`.");
    let (Some(order), Some(id)) = (order, schedule) else {
        for schedule in board.schedules(queue).await? {
            say(&line(&schedule))?;
        }
        return Ok(());
    };
    let none = format!("There is no schedule {id}.");
    match order.as_str() {
        "run" => {
            let job = format!("manual-{}", ambient.id::<MessageId>());
            ensure!(board.run_schedule(queue, &id, &job).await?, none);
            say(&format!("{job} is added; the schedule goes on as before."))
        }
        "remove" => {
            ensure!(board.drop_schedule(queue, &id).await?, none);
            say(&format!("{id} is removed. A running server that set it sets it again within half a minute."))
        }
        _ => {
            let pace = match (every, pattern) {
                (Some(seconds), _) => Pace::Every(Duration::from_secs(seconds)),
                (None, Some(pattern)) => Pace::Pattern(pattern),
                (None, None) => bail!("Say --every or --pattern."),
            };
            let until = until.map(|text| {
                Timestamp::parse(&text)
                    .with_context(|| format!("{text:?} is no time; write it as 2026-11-23T04:00:00Z"))
            });
            let timetable = Timetable { pace, zone, limit, until: until.transpose()? };
            match board.set_timetable(queue, &id, timetable).await? {
                Reset::Done => say(&format!("{id} runs so until a server starts, which sets its own pace.")),
                Reset::Unknown => bail!(none),
                Reset::Refused(why) => bail!("{why}"),
            }
        }
    }
}

fn line(schedule: &Scheduled) -> String {
    let pace = match &schedule.timetable.pace {
        Pace::Every(every) => format!("every {} s", every.as_secs()),
        Pace::Pattern(pattern) => pattern.clone(),
    };
    let time = |at: Option<Timestamp>| at.map_or_else(|| "never".to_owned(), |at| at.to_string());
    let (last, next) = (time(schedule.last), time(schedule.next));
    format!("{}  {pace}  runs {}  last {last}  next {next}", schedule.id, schedule.runs)
}

pub(super) async fn concurrency(board: &RedisQueue, command: Concurrency) -> anyhow::Result<()> {
    let queue = command.of.name()?;
    if command.unlimited || command.most.is_some() {
        board.set_concurrency(queue, command.most).await?;
    }
    match board.survey(queue).await?.concurrency {
        Some(most) => say(&format!("{queue} runs {most} jobs at a time at the most.")),
        None => say(&format!("{queue} runs as many jobs at a time as its workers have room for.")),
    }
}

pub(super) async fn rate(board: &RedisQueue, command: Rate) -> anyhow::Result<()> {
    let queue = command.of.name()?;
    if command.release {
        board.release_rate(queue).await?;
        return say(&format!("{queue} takes jobs again."));
    }
    let rate = command.jobs.zip(command.per);
    if command.unlimited || rate.is_some() {
        let rate = rate.map(|(jobs, per)| board::Rate { jobs, per: Duration::from_secs(per) });
        ensure!(board.set_rate(queue, rate).await?, "The rate of {queue} cannot be limited.");
    }
    match board.rate(queue).await? {
        Some(rate) => say(&format!("{queue} begins {} jobs in {} s at the most.", rate.jobs, rate.per.as_secs_f64())),
        None => say(&format!("{queue} has no rate.")),
    }
}

pub(super) async fn redis(board: &RedisQueue) -> anyhow::Result<()> {
    let server = board.server().await?.context("The Redis of the queues says nothing of itself.")?;
    say(&format!("Redis {} ({}), port {}, {}", server.version, server.mode, server.port, server.os))?;
    say(&format!("  up for {} s", server.uptime.as_secs()))?;
    let (used, peak, total) = (server.memory_used, server.memory_peak, server.memory_total);
    say(&format!("  memory {used} bytes of {total}, {peak} at its peak, fragmentation {}", server.fragmentation))?;
    say(&format!("  clients {}, of which {} are blocked", server.clients, server.blocked_clients))
}
