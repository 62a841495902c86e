//! `/api/users/me/preferences` and `/api/drafts/*`: settings that follow a person, and forms on the way.

use super::Site;
use super::extract::{Caller, JsonUpTo, Named};
use super::problem::Result;
use aim_domain::{CharacterId, DraftKey, Timestamp};
use aim_platform::{LARGEST_DRAFT, LARGEST_PREFERENCES};
use aim_store::{Draft, Preferences};
use axum::extract::State;
use http::{HeaderMap, HeaderName, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, ArrayBuilder, ObjectBuilder, Schema};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new().routes(routes!(preferences, save_preferences)).routes(routes!(draft, save_draft, delete_draft))
}

/// Any JSON object of 16 KiB at most; `favourites`, where it is there, names characters, 300 at most.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct PreferencesBody(Map<String, Value>);

impl PartialSchema for PreferencesBody {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .description(Some("Any settings, 16 KiB of JSON at most"))
            .property("favourites", ArrayBuilder::new().items(CharacterId::schema()).max_items(Some(300)))
            .additional_properties(Some(AdditionalProperties::FreeForm(true)))
            .into()
    }
}

impl ToSchema for PreferencesBody {}

/// Any JSON object of 64 KiB at most.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct DraftBody(Map<String, Value>);

impl PartialSchema for DraftBody {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .description(Some("What the form holds, 64 KiB of JSON at most"))
            .additional_properties(Some(AdditionalProperties::FreeForm(true)))
            .into()
    }
}

impl ToSchema for DraftBody {}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DraftItem {
    key: DraftKey,
    data: DraftBody,
    saved_at: Timestamp,
    /// A day after it was saved last.
    expires_at: Timestamp,
}

#[derive(Serialize, ToSchema)]
struct DraftAnswer {
    draft: DraftItem,
}

fn answer(draft: Draft) -> axum::Json<DraftAnswer> {
    let Draft { key, body, saved_at, expires_at, .. } = draft;
    axum::Json(DraftAnswer { draft: DraftItem { key, data: DraftBody(body), saved_at, expires_at } })
}

type Tagged = ([(HeaderName, String); 1], axum::Json<PreferencesBody>);

/// With their version as the tag that a client may name when it saves.
fn tagged(Preferences { body, version }: Preferences) -> Tagged {
    ([(header::ETAG, format!("\"{version}\""))], axum::Json(PreferencesBody(body)))
}

/// The version that a client knew; none where it does not care. A tag that is not ours is of no version.
fn known(headers: &HeaderMap) -> Option<i64> {
    let tag = headers.get(header::IF_MATCH)?.to_str().unwrap_or_default().trim();
    // A proxy that packs an answer marks its tag as weak.
    let number = tag.trim_start_matches("W/").trim_matches('"').parse();
    (tag != "*").then(|| number.unwrap_or(-1))
}

/// One's own settings
///
/// They are the same on every device. `favourites` is always there.
#[utoipa::path(
    get, path = "/api/users/me/preferences", tag = "users",
    responses((status = 200, description = "As saved last", body = PreferencesBody,
        headers(("ETag" = String, description = "Their version, to be named in `If-Match`")))),
)]
async fn preferences(State(site): State<Site>, caller: Caller) -> Result<Tagged> {
    Ok(tagged(site.platform.preferences(&caller).await?))
}

/// Replaces one's own settings
///
/// With `If-Match` only those of that version, so that no device takes away what another saved meanwhile.
#[utoipa::path(
    put, path = "/api/users/me/preferences", tag = "users", request_body = PreferencesBody,
    params(("If-Match" = Option<String>, Header, description = "`ETag` as it was read")),
    responses(
        (status = 200, description = "As saved", body = PreferencesBody,
            headers(("ETag" = String, description = "Their version"))),
        (status = 409, description = "They were saved in between: load them and change them again"),
    ),
)]
async fn save_preferences(
    State(site): State<Site>,
    caller: Caller,
    headers: HeaderMap,
    JsonUpTo(body): JsonUpTo<PreferencesBody, { 4 * LARGEST_PREFERENCES }>,
) -> Result<Tagged> {
    Ok(tagged(site.platform.save_preferences(&caller, &body.0, known(&headers)).await?))
}

/// How far a form of one's own has come
#[utoipa::path(
    get, path = "/api/drafts/{key}", tag = "users", params(("key" = DraftKey, Path, description = "Which form; the client names it")),
    responses((status = 200, description = "The draft", body = DraftAnswer)),
)]
async fn draft(
    State(site): State<Site>,
    caller: Caller,
    Named(key): Named<DraftKey>,
) -> Result<axum::Json<DraftAnswer>> {
    Ok(answer(site.platform.draft(&caller, &key).await?))
}

/// Saves how far a form of one's own has come
///
/// It is kept for a day from its last save. One has 50 at a time.
#[utoipa::path(
    put, path = "/api/drafts/{key}", tag = "users", params(("key" = DraftKey, Path, description = "Which form; the client names it")),
    request_body = DraftBody,
    responses((status = 200, description = "The draft", body = DraftAnswer), (status = 409, description = "There are 50 others")),
)]
async fn save_draft(
    State(site): State<Site>,
    caller: Caller,
    Named(key): Named<DraftKey>,
    JsonUpTo(body): JsonUpTo<DraftBody, { 4 * LARGEST_DRAFT }>,
) -> Result<axum::Json<DraftAnswer>> {
    Ok(answer(site.platform.save_draft(&caller, &key, &body.0).await?))
}

/// Removes a draft of one's own
#[utoipa::path(
    delete, path = "/api/drafts/{key}", tag = "users", params(("key" = DraftKey, Path, description = "Which form; the client names it")),
    responses((status = 204, description = "Removed")),
)]
async fn delete_draft(State(site): State<Site>, caller: Caller, Named(key): Named<DraftKey>) -> Result<StatusCode> {
    site.platform.delete_draft(&caller, &key).await?;
    Ok(StatusCode::NO_CONTENT)
}
