//! Logs and metrics: how they are set up for a process. What is logged, and under which names things are counted, is
//! decided where it happens.

pub mod figures;
mod process;
pub mod request;

use crate::config::{Config, LogFormat};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use request::{JsonAndRequest, TimeAndRequest};
use std::io::IsTerminal;
use std::sync::OnceLock;
use std::time::Duration;
use tracing_subscriber::EnvFilter;

/// How often samples are folded into their buckets, so that they do not pile up where nobody reads `/metrics`.
const FOLD_EVERY: Duration = Duration::from_secs(5);

/// Starts logging, on standard error. To be called once a process; says why a filter does not parse.
pub fn start_logs(config: &Config) -> Result<(), String> {
    let chosen = std::env::var("RUST_LOG").ok().filter(|filter| !filter.is_empty());
    let (name, filter) = match &chosen {
        Some(filter) => ("RUST_LOG", filter.as_str()),
        None if !config.telemetry.log.is_empty() => ("AIM_TELEMETRY__LOG", config.telemetry.log.as_str()),
        // BullMQ's crate would warn once a second while Redis is away.
        None if config.is_development() => ("", "info,bullmq=error,aim_server::http=debug"),
        None => ("", "info,bullmq=error"),
    };
    let filter = EnvFilter::try_new(filter).map_err(|error| format!("{name}: {filter:?} is no log filter: {error}"))?;
    // It logs what providers answer, which may repeat what somebody wrote.
    let silence = "genai=off".parse().map_err(|error| format!("{error}"))?;
    let filter = filter.add_directive(silence);
    let json = match config.telemetry.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !config.is_development(),
    };
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if json {
        let line = tracing_subscriber::fmt::format().json().flatten_event(true).with_span_list(false);
        logs.json().event_format(JsonAndRequest(line)).try_init()
    } else {
        let ansi = std::io::stderr().is_terminal();
        logs.with_timer(TimeAndRequest).with_ansi(ansi).with_target(config.is_development()).try_init()
    };
    started.map_err(|error| error.to_string())
}

/// The process's metrics, installed at the first call; none when another recorder was installed before.
pub fn metrics() -> Option<&'static PrometheusHandle> {
    static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let seconds = Matcher::Suffix("_seconds".to_owned());
            let recorder = PrometheusBuilder::new()
                .set_buckets_for_metric(seconds, &aim_domain::figures::BOUNDS)
                .ok()?
                .build_recorder();
            let handle = recorder.handle();
            metrics::set_global_recorder(recorder).ok()?;
            process::describe();
            Some(handle)
        })
        .as_ref()
}

/// What `/metrics` answers.
pub fn rendered() -> String {
    let Some(handle) = metrics() else { return String::new() };
    process::measure();
    handle.run_upkeep();
    handle.render()
}

/// Folds samples for as long as it is polled.
pub async fn fold_metrics() {
    let Some(handle) = metrics() else { return };
    let mut ticks = tokio::time::interval(FOLD_EVERY);
    loop {
        ticks.tick().await;
        handle.run_upkeep();
    }
}
