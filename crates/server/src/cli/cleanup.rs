//! `aim cleanup`: what the jobs of the `cleanup` queue do, from the terminal.

use super::offline::platform;
use super::say;
use crate::app;
use crate::config::Config;
use aim_platform::Platform;
use clap::Args;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How long the Redis of the queues is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Args)]
pub(super) struct Cleanup {
    /// Count what would go, and remove nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(command: &Cleanup, config: &Config) -> anyhow::Result<()> {
    let platform = over_queues(platform(config).await?, config).await?;
    // Where uploads lie, so that their files go with their rows.
    platform.take_media(app::media(config)?);
    let cleaned = platform.clean_up(command.dry_run).await?;
    platform.store.close().await;
    let done = if command.dry_run { "would go" } else { "removed" };
    for of in cleaned {
        match of.count {
            Some(count) => say(&format!("{:<15} {count:>9} {done}, older than {}", of.what, length(of.keep)))?,
            None => say(&format!("{:<15} {:>9} is known only by removing it", of.what, "?"))?,
        }
    }
    Ok(())
}

/// With the queues in Redis, where there is one: those of a server's own process are out of reach.
async fn over_queues(platform: Platform, config: &Config) -> anyhow::Result<Platform> {
    if config.redis.url.is_empty() {
        return Ok(platform);
    }
    let backbone = app::backbone(config, &platform.ambient, false, &[])?;
    let there = async {
        while !matches!(backbone.board.server().await, Ok(Some(_))) {
            sleep(Duration::from_millis(50)).await;
        }
    };
    if timeout(PATIENCE, there).await.is_err() {
        say("The Redis of the queues does not answer: finished jobs stay.")?;
        return Ok(platform);
    }
    let (store, model, ambient) = (platform.store.clone(), platform.model.clone(), platform.ambient.clone());
    Ok(Platform::new(store, backbone, model, ambient, platform.settings.clone()))
}

/// In the largest unit that it is a whole number of.
fn length(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
    let unit = units.into_iter().find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{seconds}s"), |(unit, name)| format!("{}{name}", seconds / unit))
}
