//! `/api/admin/*`: what operators see, with the role `admin`; and the board of the queues.

pub(crate) mod board;

mod complaints;
mod moderation;
mod reports;
mod roster;

use crate::http::problem::Result;
use crate::http::{Admin, Asked, Site};
use aim_domain::{Refusal, Timestamp};
use aim_store::ModelTokens;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new()
        .routes(routes!(ai_usage))
        .routes(routes!(reports::reports))
        .routes(routes!(complaints::complaints))
        .routes(routes!(complaints::decide))
        .routes(routes!(complaints::audit))
        .routes(routes!(moderation::set_listing))
        .routes(routes!(roster::accounts))
        .routes(routes!(moderation::set_suspension))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct DayQuery {
    /// A day in UTC, `2026-11-23`; today unless given.
    day: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct AiUsageAnswer {
    /// In UTC.
    day: String,
    models: Vec<ModelTokens>,
}

/// Tokens and requests of one day, by model
#[utoipa::path(
    get, path = "/api/admin/ai/usage", tag = "admin", params(DayQuery),
    responses((status = 200, description = "The day so far", body = AiUsageAnswer)),
)]
async fn ai_usage(State(site): State<Site>, _: Admin, Asked(query): Asked<DayQuery>) -> Result<Json<AiUsageAnswer>> {
    let day = query.day.unwrap_or_else(|| site.platform.ambient.now().day());
    if Timestamp::parse_day(&day).is_none() {
        return Err(Refusal::invalid("day", "must be a day such as 2026-11-23").into());
    }
    let models = site.platform.tokens_on(&day).await?;
    Ok(Json(AiUsageAnswer { day, models }))
}
