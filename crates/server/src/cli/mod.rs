//! The command line. Commands that change accounts or characters write to the database; servers that run see it by the
//! change feed.

mod character;
mod cleanup;
mod doctor;
mod offline;
mod queue;
mod report;
mod user;

use crate::config::{Config, Loaded};
use crate::{app, http, telemetry};
use aim_domain::Ambient;
use clap::{Parser, Subcommand};
use std::future::Future;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// A messaging server for people who talk with AI characters.
#[derive(Parser)]
#[command(name = "aim", version, arg_required_else_help = true, after_help = AFTER)]
struct Cli {
    /// The configuration; `aim.toml` in this folder unless given
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

const AFTER: &str = "Settings are read from aim.toml and from the environment, as AIM_HTTP__PORT=80; `aim config` lists them.\n\
    Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.";

#[derive(Subcommand)]
enum Command {
    /// Run everything: the API, the sockets, the jobs, the page
    Serve,
    /// Run jobs alone: more workers, more replies. It ends when its replies have, on SIGTERM
    Worker,
    /// Make and change accounts
    #[command(subcommand)]
    User(user::Command),
    /// Bring characters in, and take them out of lists
    #[command(subcommand)]
    Character(character::Command),
    /// See and steer the queues of jobs, where they are in Redis
    #[command(subcommand)]
    Queue(queue::Command),
    /// Remove what nobody needs any more, as the workers do by themselves; or only show what would go
    Cleanup(cleanup::Cleanup),
    /// Make reports of past hours and days anew from what the database holds
    Report(report::Report),
    /// Bring the database to this version's form
    Migrate,
    /// Check that the configuration works, and say what to do where it does not
    Doctor,
    /// Print the OpenAPI document
    Openapi,
    /// Print the settings in force, with secrets hidden
    Config,
}

/// Wrong usage or configuration.
const MISUSED: u8 = 2;

/// Parses the arguments, does what they say, and answers with the exit code.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    if let Command::Openapi = cli.command {
        return finish(openapi());
    }
    let loaded = match Config::load(cli.config.as_deref()) {
        Ok(loaded) => loaded,
        Err(error) => {
            complain(&format!("aim cannot start with this configuration.\n{error}"));
            return ExitCode::from(MISUSED);
        }
    };
    match cli.command {
        Command::Config => finish(say(loaded.shown().trim_end())),
        Command::Serve => serve(loaded),
        Command::Worker => work(loaded),
        Command::Doctor => block_on(&loaded.config, doctor::run(&loaded)),
        Command::Migrate => block_on(&loaded.config, migrate(&loaded.config)),
        Command::Cleanup(command) => block_on(&loaded.config, cleanup::run(&command, &loaded.config)),
        Command::Report(command) => block_on(&loaded.config, report::run(&command, &loaded.config)),
        Command::User(command) => block_on(&loaded.config, user::run(command, &loaded.config)),
        Command::Character(command) => block_on(&loaded.config, character::run(command, &loaded.config)),
        Command::Queue(command) => block_on(&loaded.config, queue::run(command, &loaded.config)),
        Command::Openapi => ExitCode::SUCCESS,
    }
}

/// Logs, and what a person should know of the configuration; the exit code where that does not work.
fn begin(loaded: &Loaded) -> Result<(), ExitCode> {
    if let Err(error) = telemetry::start_logs(&loaded.config) {
        complain(&error);
        return Err(ExitCode::from(MISUSED));
    }
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    Ok(())
}

fn work(loaded: Loaded) -> ExitCode {
    if let Err(code) = begin(&loaded) {
        return code;
    }
    block_on_threads(loaded.config.server.threads, async move {
        tokio::spawn(telemetry::fold_metrics());
        let engine = app::start_worker(&loaded.config, &Ambient::system()).await?;
        stop_signal().await?;
        tracing::info!("stopping; replies under way may finish");
        engine.drain().await;
        engine.end(std::future::ready(())).await;
        tracing::info!("stopped");
        Ok(())
    })
}

fn serve(loaded: Loaded) -> ExitCode {
    if let Err(code) = begin(&loaded) {
        return code;
    }
    if !crate::pages::is_built() {
        tracing::warn!(
            "the page is not built into this binary: `make page`, then build it again; the API works without it"
        );
    }
    let threads = loaded.config.server.threads;
    block_on_threads(threads, async move {
        tokio::spawn(telemetry::fold_metrics());
        let running = app::start(loaded.config, Ambient::system()).await?;
        stop_signal().await?;
        tracing::info!("stopping; replies under way may finish");
        running.shutdown().await;
        tracing::info!("stopped");
        Ok(())
    })
}

/// Until Ctrl+C, or the signal that service supervisors send.
async fn stop_signal() -> anyhow::Result<()> {
    #[cfg(unix)]
    {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            stopped = tokio::signal::ctrl_c() => stopped?,
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await?;
    Ok(())
}

async fn migrate(config: &Config) -> anyhow::Result<()> {
    offline::store(config).await?.close().await;
    say(&format!("The database {} is ready for this version.", config.database_name()))
}

fn openapi() -> anyhow::Result<()> {
    say(&serde_json::to_string_pretty(&http::document())?)
}

fn block_on(config: &Config, work: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    block_on_threads(config.server.threads, work)
}

fn block_on_threads(threads: usize, work: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if threads > 0 {
        builder.worker_threads(threads);
    }
    match builder.enable_all().build() {
        Ok(runtime) => finish(runtime.block_on(work)),
        Err(error) => finish(Err(error.into())),
    }
}

fn finish(outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// A line on standard output.
fn say(line: &str) -> anyhow::Result<()> {
    match writeln!(std::io::stdout().lock(), "{line}") {
        // Whoever reads has read enough, as `head` does.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// A line on standard error; where that is closed there is nobody to tell.
fn complain(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
