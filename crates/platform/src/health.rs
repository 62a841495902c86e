//! How the server is: one check for each thing it leans on, with a figure and the threshold it is held against.

use crate::Platform;
use crate::jobs::ai_response;
use aim_backbone::Fault;
use aim_backbone::link::{Health, Passage};
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
    /// `connectivity`, `performance`, `memory`, `replication`; of a Redis that serves one use alone with its name before
    /// it, as `cache.memory`.
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
const REDIS_CHECKS: [&str; 4] = ["connectivity", "performance", "memory", "replication"];
/// A write and a read that take longer are slow: a healthy Redis takes well under 1 ms.
const SLOW_REDIS_MS: f64 = 10.0;
/// Of `maxmemory`.
const FULL_REDIS_PERCENT: f64 = 90.0;
/// A replica that is further behind would lose as much in a failover.
const LAGGING_REPLICA_BYTES: f64 = 10_000_000.0;

impl Platform {
    pub async fn health(&self) -> HealthReport {
        let (database, redis, ai, queues) =
            tokio::join!(self.database_check(), self.redis_checks(), self.model_check(), self.queue_check());
        HealthReport { database, redis, queues, ai }
    }

    async fn redis_checks(&self) -> BTreeMap<String, Check> {
        let Some(links) = &self.backbone.links else {
            let off = || Check::off("not configured: everything runs in this process");
            return REDIS_CHECKS.map(|name| (name.to_owned(), off())).into();
        };
        let mut checks = BTreeMap::new();
        // Side by side: one that hangs holds up none of the others.
        let looks = links.each().map(async |link| (link.name(), link.health().await));
        for (name, health) in futures::future::join_all(looks).await {
            let prefix = if name == "main" { String::new() } else { format!("{name}.") };
            let found = [connectivity(&health), performance(&health), memory(&health), replication(&health)];
            checks.extend(REDIS_CHECKS.iter().zip(found).map(|(name, check)| (format!("{prefix}{name}"), check)));
        }
        checks
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
        if self.settings.foreign.replies.is_some()
            && let Some(errands) = &self.backbone.errands
            && errands.are_open(ai_response::QUEUE)
        {
            return workers_check(errands.workers(ai_response::QUEUE).await);
        }
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

/// Workers of other programs that take replies.
fn workers_check(workers: Result<usize, Fault>) -> Check {
    let none = |detail: String| Check::failed(Level::Degraded, 0.0, "workers", detail);
    match workers {
        Ok(0) => none("no worker takes the jobs of ai-response".into()),
        Ok(workers) => Check { status: Level::Ok, threshold: None, ..Check::figure(workers as f64, 0.0, "workers") },
        Err(fault) => none(fault.to_string()),
    }
}

/// The seconds for which Redis has been away; 0 while it is there.
fn connectivity(health: &Health) -> Check {
    let away = if health.passage == Passage::Closed { health.lasted.as_secs_f64() } else { 0.0 };
    let check = Check::figure((away * 1e3).round() / 1e3, 0.0, "s away");
    let detail = match health.passage {
        Passage::Open => return check,
        Passage::ReadsAlone => "it takes no writes: this process does without it where it has to write",
        Passage::Closed => "does not answer: this process does without it",
    };
    Check { status: Level::Degraded, detail: Some(detail.into()), ..check }
}

fn performance(health: &Health) -> Check {
    match &health.round {
        Ok(round) => Check::figure((round.as_secs_f64() * 1e6).round() / 1e3, SLOW_REDIS_MS, "ms"),
        Err(fault) => Check::failed(Level::Degraded, SLOW_REDIS_MS, "ms", fault.detail.clone()),
    }
}

fn memory(health: &Health) -> Check {
    let Some(memory) = &health.memory else {
        return Check::failed(Level::Degraded, FULL_REDIS_PERCENT, "% of maxmemory", "not known".into());
    };
    let detail = Some(format!(
        "{} MB used, policy {}, {} keys evicted",
        memory.used / 1_000_000,
        memory.policy,
        memory.evicted_keys
    ));
    if memory.limit == 0 {
        let used = Some((memory.used as f64 / 1e4).round() / 1e2);
        return Check { status: Level::Ok, value: used, threshold: None, unit: Some("MB".into()), detail };
    }
    let percent = (memory.used as f64 * 1e3 / memory.limit as f64).round() / 10.0;
    Check { detail, ..Check::figure(percent, FULL_REDIS_PERCENT, "% of maxmemory") }
}

fn replication(health: &Health) -> Check {
    let Some(replication) = &health.replication else {
        return Check::failed(Level::Degraded, LAGGING_REPLICA_BYTES, "bytes behind", "not known".into());
    };
    let detail = Some(format!("{} with {} replicas", replication.role, replication.replicas));
    Check { detail, ..Check::figure(replication.lag as f64, LAGGING_REPLICA_BYTES, "bytes behind") }
}

fn millis(began: Instant) -> f64 {
    (began.elapsed().as_secs_f64() * 1e6).round() / 1e3
}
