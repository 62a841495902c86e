//! `/api/search`.

use super::Site;
use super::extract::{Asked, Caller};
use super::problem::Result;
use aim_domain::ConversationId;
use aim_platform::SearchAnswer;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new().routes(routes!(search))
}

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct SearchQuery {
    /// All of these words, the last one as far as it is typed; without case and accents. 200 characters at most.
    #[serde(default)]
    q: String,
    /// Only what was said in this one.
    conversation_id: Option<ConversationId>,
    /// Messages; 20 unless given, 50 at most.
    limit: Option<u32>,
}

/// Finds characters, and what was said
///
/// Public characters and one's own by name, tags and description, and messages of conversations that one is in; what fits best
/// first. Snippets are pieces of plain text.
#[utoipa::path(
    get, path = "/api/search", tag = "search", params(SearchQuery),
    responses((status = 200, description = "What was found", body = SearchAnswer)),
)]
async fn search(
    State(site): State<Site>,
    caller: Caller,
    Asked(query): Asked<SearchQuery>,
) -> Result<axum::Json<SearchAnswer>> {
    let limit = query.limit.unwrap_or(20).clamp(1, 50);
    Ok(axum::Json(site.platform.search(&caller, &query.q, query.conversation_id, limit).await?))
}
