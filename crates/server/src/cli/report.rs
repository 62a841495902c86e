//! `aim report`: makes reports anew, for example after a price was configured.

use super::offline::platform;
use super::say;
use crate::config::Config;
use aim_domain::Timestamp;
use aim_store::Period;
use anyhow::{Context, ensure};
use clap::Args;

#[derive(Args)]
pub(super) struct Report {
    /// The first day in UTC, as 2026-11-23
    #[arg(long, value_name = "DAY")]
    from: String,
    /// The last day; the first one unless given
    #[arg(long, value_name = "DAY")]
    to: Option<String>,
}

/// More than ten years are a slip of the pen.
const MOST_DAYS: usize = 3_660;

pub(super) async fn run(command: &Report, config: &Config) -> anyhow::Result<()> {
    let first = day(&command.from)?;
    let last = command.to.as_deref().map_or(Ok(first), day)?;
    ensure!(first <= last, "{} is after {}.", command.from, command.to.as_deref().unwrap_or_default());
    let platform = platform(config).await?;
    // Hours whose samples are gone would lose what was measured in them.
    let measured_since =
        Timestamp(platform.ambient.now().0 - i64::try_from(config.analytics.keep_samples.as_millis())?);
    let (mut at, mut days, mut hours) = (first, 0, 0);
    while at <= last {
        ensure!(days < MOST_DAYS, "More than {MOST_DAYS} days are asked for.");
        let end = at.plus(Period::Day.length());
        if at < measured_since {
            say(&format!("{}: left as it is, what was measured then is not kept any more", at.day()))?;
            at = end;
            continue;
        }
        platform.roll_up(Period::Day, at).await?;
        days += 1;
        while at < end {
            platform.roll_up(Period::Hour, at).await?;
            hours += 1;
            at = at.plus(Period::Hour.length());
        }
    }
    platform.store.close().await;
    say(&format!("Made {days} reports of days and {hours} of hours."))
}

fn day(text: &str) -> anyhow::Result<Timestamp> {
    Timestamp::parse_day(text).with_context(|| format!("{text:?} is no day; write it as 2026-11-23"))
}
