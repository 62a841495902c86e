//! How the server is: one check for each thing it leans on, with a figure and the threshold it is held against.

use crate::Platform;
use crate::jobs::ai_response;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use utoipa::ToSchema;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Not in use here, and so never a fault.
    Off,
    Ok,
    Degraded,
    Down,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Check {
    pub status: Level,
    /// The figure, in `unit`; none where it could not be read.
    pub value: Option<f64>,
    /// Above it the check is degraded.
    pub threshold: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Check {
    pub fn off(detail: &str) -> Self {
        Self { status: Level::Off, value: None, threshold: None, unit: None, detail: Some(detail.into()) }
    }

    fn figure(value: f64, threshold: f64, unit: &str) -> Self {
        let status = if value > threshold { Level::Degraded } else { Level::Ok };
        Self { status, value: Some(value), threshold: Some(threshold), unit: Some(unit.into()), detail: None }
    }

    fn failed(status: Level, threshold: f64, unit: &str, detail: String) -> Self {
        Self { status, value: None, threshold: Some(threshold), unit: Some(unit.into()), detail: Some(detail) }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HealthReport {
    pub database: Check,
    /// `connectivity`, `performance`, `memory`.
    pub redis: BTreeMap<String, Check>,
    pub queues: Check,
    pub ai: Check,
}

impl HealthReport {
    /// Down when the database is; degraded when anything is less than well.
    pub fn level(&self) -> Level {
        let checks = [&self.database, &self.queues, &self.ai].into_iter().chain(self.redis.values());
        match checks.map(|check| check.status).max() {
            _ if self.database.status == Level::Down => Level::Down,
            Some(Level::Degraded | Level::Down) => Level::Degraded,
            _ => Level::Ok,
        }
    }
}

/// A read of the database that takes longer is slow.
const SLOW_DATABASE_MS: f64 = 100.0;
/// More waiting replies than this and people notice.
const LONG_QUEUE: f64 = 1_000.0;
const SLOW_MODEL_MS: f64 = 2_000.0;
const PATIENCE: Duration = Duration::from_secs(2);

impl Platform {
    pub async fn health(&self) -> HealthReport {
        let (database, ai, queues) = tokio::join!(self.database_check(), self.model_check(), self.queue_check());
        let off = || Check::off("not configured: everything runs in this process");
        let redis = ["connectivity", "performance", "memory"].map(|name| (name.to_owned(), off())).into();
        HealthReport { database, redis, queues, ai }
    }

    async fn database_check(&self) -> Check {
        let began = Instant::now();
        match tokio::time::timeout(PATIENCE, self.store.ping()).await {
            Ok(Ok(())) => Check::figure(millis(began), SLOW_DATABASE_MS, "ms"),
            Ok(Err(error)) => {
                tracing::error!(%error, "the database fails its check");
                Check::failed(Level::Down, SLOW_DATABASE_MS, "ms", "does not answer".into())
            }
            Err(_) => Check::failed(Level::Down, SLOW_DATABASE_MS, "ms", "does not answer within 2 s".into()),
        }
    }

    async fn model_check(&self) -> Check {
        let began = Instant::now();
        match tokio::time::timeout(PATIENCE, self.model.check()).await {
            Ok(Ok(())) => Check::figure(millis(began), SLOW_MODEL_MS, "ms"),
            Ok(Err(error)) => Check::failed(Level::Degraded, SLOW_MODEL_MS, "ms", error.kind.as_str().into()),
            Err(_) => Check::failed(Level::Degraded, SLOW_MODEL_MS, "ms", "does not answer within 2 s".into()),
        }
    }

    async fn queue_check(&self) -> Check {
        match self.backbone.queue.counts(ai_response::QUEUE).await {
            Ok(counts) => Check::figure(counts.waiting as f64, LONG_QUEUE, "jobs waiting"),
            Err(fault) => Check::failed(Level::Degraded, LONG_QUEUE, "jobs waiting", fault.to_string()),
        }
    }

    /// Replies that this process gives right now.
    pub fn replies_under_way(&self) -> usize {
        self.running.count()
    }
}

fn millis(began: Instant) -> f64 {
    (began.elapsed().as_secs_f64() * 1e6).round() / 1e3
}
