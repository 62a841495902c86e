//! `aim cleanup`: what the jobs of the `cleanup` queue do, from the terminal.

use super::offline::platform;
use super::say;
use crate::config::Config;
use clap::Args;
use std::time::Duration;

#[derive(Args)]
pub(super) struct Cleanup {
    /// Count what would go, and remove nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(command: &Cleanup, config: &Config) -> anyhow::Result<()> {
    let platform = platform(config).await?;
    let cleaned = platform.clean_up(command.dry_run).await?;
    platform.store.close().await;
    let done = if command.dry_run { "would go" } else { "removed" };
    for of in cleaned {
        say(&format!("{:<14} {:>9} {done}, older than {}", of.what, of.count, length(of.keep)))?;
    }
    Ok(())
}

/// In the largest unit that it is a whole number of.
fn length(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
    let unit = units.into_iter().find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{seconds}s"), |(unit, name)| format!("{}{name}", seconds / unit))
}
