//! Whether the server is well, what it counts, and what a page may know of it before anyone signs in.

use super::Site;
use super::problem::Result;
use crate::config::Registration;
use crate::telemetry;
use aim_ai::Provider;
use aim_backbone::queue::AI_RESPONSE;
use aim_domain::Refusal;
use aim_platform::{HealthReport, Level};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How long the database may take before the server calls itself not ready.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new()
        .routes(routes!(server_config))
        .routes(routes!(openapi))
        .routes(routes!(health))
        .routes(routes!(live))
        .routes(routes!(ready))
        .routes(routes!(metrics))
}

#[derive(Serialize, ToSchema)]
struct HealthAnswer {
    status: Level,
    checks: HealthReport,
}

#[derive(Serialize, ToSchema)]
struct AliveAnswer {
    status: Level,
}

/// What a page shows before anyone signs in.
#[derive(Serialize, ToSchema)]
struct ServerAnswer {
    /// `openai`, `anthropic`, `gemini`, `ollama` or `local`.
    provider: &'static str,
    model: Arc<str>,
    /// Whether the small built-in model answers, which is there to try things out.
    demo: bool,
    registration: Registration,
    version: &'static str,
}

/// What this server is
#[utoipa::path(get, path = "/api/config", tag = "server", security(()), responses((status = 200, description = "Public settings", body = ServerAnswer)))]
async fn server_config(State(site): State<Site>) -> axum::Json<ServerAnswer> {
    let config = &site.config;
    let by_workers = config.workers.has_foreign(AI_RESPONSE);
    axum::Json(ServerAnswer {
        provider: if by_workers { "worker" } else { config.ai.provider.as_str() },
        model: if by_workers { "worker".into() } else { site.platform.model.name().model.clone() },
        demo: config.ai.provider == Provider::Local && !by_workers,
        registration: config.auth.registration,
        version: env!("CARGO_PKG_VERSION"),
    })
}

/// This document
#[utoipa::path(get, path = "/api/openapi.json", tag = "server", security(()), responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json")))]
async fn openapi(State(site): State<Site>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")], site.openapi.clone())
}

/// How the server and what it leans on are
///
/// `degraded` still serves; `down` does not.
#[utoipa::path(
    get, path = "/health", tag = "server", security(()),
    responses((status = 200, description = "Well, or degraded", body = HealthAnswer), (status = 503, description = "Down", body = HealthAnswer)),
)]
async fn health(State(site): State<Site>) -> (StatusCode, axum::Json<HealthAnswer>) {
    let checks = site.platform.health().await;
    let status = checks.level();
    let code = if status == Level::Down { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (code, axum::Json(HealthAnswer { status, checks }))
}

/// The process runs
#[utoipa::path(get, path = "/health/live", tag = "server", security(()), responses((status = 200, description = "It runs", body = AliveAnswer)))]
async fn live() -> axum::Json<AliveAnswer> {
    axum::Json(AliveAnswer { status: Level::Ok })
}

/// The server can take requests
#[utoipa::path(get, path = "/health/ready", tag = "server", security(()), responses((status = 200, description = "Ready", body = AliveAnswer)))]
async fn ready(State(site): State<Site>) -> Result<axum::Json<AliveAnswer>> {
    if site.stopping.is_cancelled() {
        return Err(Refusal::unavailable("The server is stopping.").into());
    }
    match tokio::time::timeout(PATIENCE, site.platform.store.ping()).await {
        Ok(Ok(())) => Ok(axum::Json(AliveAnswer { status: Level::Ok })),
        _ => Err(Refusal::unavailable("The database does not answer.").into()),
    }
}

/// Figures for Prometheus
#[utoipa::path(get, path = "/metrics", tag = "server", security(()), responses((status = 200, description = "Prometheus' text format", content_type = "text/plain")))]
async fn metrics() -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], telemetry::rendered()).into_response()
}
