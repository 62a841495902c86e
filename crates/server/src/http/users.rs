//! `/api/users/*`: profiles, one's own and others'.

use super::Site;
use super::auth::{UserAnswer, WithCookie, signed_out};
use super::extract::{Caller, Json, Named, Visit};
use super::problem::Result;
use aim_domain::{Profile, UserId};
use aim_platform::ProfilePatch;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;
use serde::{Deserialize, Deserializer, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new()
        .routes(routes!(update_me, delete_me))
        .routes(routes!(export))
        .routes(routes!(profile_by_username))
        .routes(routes!(profile))
}

#[derive(Serialize, ToSchema)]
struct ProfileAnswer {
    user: Arc<Profile>,
}

/// What is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ProfileForm {
    #[serde(default)]
    #[schema(min_length = 1, max_length = 60)]
    display_name: Option<String>,
    /// A path of this server, or `https://…`; null or "" takes the picture away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    avatar_url: Option<Option<String>>,
}

/// Tells null from absent; an empty text is null too.
pub(super) fn given<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<Option<String>>, D::Error> {
    Ok(Some(Option::<String>::deserialize(deserializer)?.filter(|url| !url.is_empty())))
}

/// Somebody's public profile
#[utoipa::path(
    get, path = "/api/users/{uid}", tag = "users", params(("uid" = UserId, Path)),
    responses((status = 200, description = "The profile", body = ProfileAnswer)),
)]
async fn profile(State(site): State<Site>, _: Caller, Named(uid): Named<UserId>) -> Result<axum::Json<ProfileAnswer>> {
    Ok(axum::Json(ProfileAnswer { user: site.platform.profile(&uid).await? }))
}

/// Somebody's public profile, by username
#[utoipa::path(
    get, path = "/api/users/by-username/{username}", tag = "users", params(("username" = String, Path, description = "Without case")),
    responses((status = 200, description = "The profile", body = ProfileAnswer)),
)]
async fn profile_by_username(
    State(site): State<Site>,
    _: Caller,
    Named(username): Named<String>,
) -> Result<axum::Json<ProfileAnswer>> {
    Ok(axum::Json(ProfileAnswer { user: site.platform.profile_by_username(&username).await? }))
}

/// Changes one's own profile
#[utoipa::path(
    patch, path = "/api/users/me", tag = "users", request_body = ProfileForm,
    responses((status = 200, description = "The account as it is now", body = UserAnswer)),
)]
async fn update_me(
    State(site): State<Site>,
    caller: Caller,
    Json(form): Json<ProfileForm>,
) -> Result<axum::Json<UserAnswer>> {
    let patch = ProfilePatch { display_name: form.display_name, avatar_url: form.avatar_url };
    Ok(axum::Json(UserAnswer { user: site.platform.update_profile(&caller, patch).await? }))
}

/// Deletes one's own account
///
/// It is signed out everywhere at once and closed to others. For seven days its owner may have it back by signing in with
/// `restore: true`; then it is erased with its sessions, conversations, characters that nobody else talks with, uploads,
/// settings and usage. Public characters that others talk with stay, without an owner.
#[utoipa::path(
    delete, path = "/api/users/me", tag = "users",
    responses((status = 204, description = "Closed, and to be erased")),
)]
async fn delete_me(State(site): State<Site>, visit: Visit, caller: Caller) -> Result<WithCookie> {
    site.platform.close_account(&caller).await?;
    Ok(signed_out(&site, &visit))
}

/// All that one left here
///
/// A zip archive of JSON and files: `profile.json`, `safety.json`, `preferences.json`, `personas.json`, `drafts/{key}.json`,
/// `characters/{id}.json` (a card) and `characters/{id}.gallery.json`, `conversations/{id}.json` with all its messages,
/// `deleted-conversations/{id}.json` of one's own that can still be had back, with `deletedAt`, and `media/{id}/…`. A reply with several
/// answers that are one's own to choose among has the others in `otherVariants: [{number, text, personality?}]`.
#[utoipa::path(
    get, path = "/api/users/me/export", tag = "users",
    responses((status = 200, description = "The archive, made while it is sent", content_type = "application/zip", body = Vec<u8>)),
)]
async fn export(State(site): State<Site>, caller: Caller) -> Result<Response> {
    let archive = site.platform.export(&caller).await?;
    let name = format!("attachment; filename=\"aim-{}.zip\"", caller.username);
    let headers = [
        (header::CONTENT_TYPE, "application/zip".to_owned()),
        (header::CONTENT_DISPOSITION, name),
        (header::CACHE_CONTROL, "private, no-store".to_owned()),
    ];
    Ok((headers, Body::from_stream(archive)).into_response())
}
