//! `PATCH /api/admin/characters/{id}` and `PATCH /api/admin/users/{id}`: out of lists, and out of here.

use crate::http::problem::Result;
use crate::http::{Admin, Json, Named, Site};
use aim_domain::{Character, CharacterId, Profile, Suspension, Timestamp, UserId};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Deserialize, ToSchema)]
pub(super) struct ListingForm {
    unlisted: bool,
    /// Its owner reads it.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct ModeratedCharacter {
    character: Character,
}

#[derive(Deserialize, ToSchema)]
pub(super) struct SuspensionForm {
    suspended: bool,
    /// Until an operator ends it unless given.
    #[serde(default)]
    until: Option<Timestamp>,
    /// Whoever is suspended reads it when signing in.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct ModeratedUser {
    user: Profile,
    /// Null where there is none.
    suspension: Option<Suspension>,
}

/// Takes a character out of lists, or puts it back
///
/// An unlisted character is in no list, tag or search but its owner's, and opens no new conversation but its owner's. Those
/// that are there go on. Its owner reads why.
#[utoipa::path(
    patch, path = "/api/admin/characters/{id}", tag = "admin", params(("id" = CharacterId, Path)), request_body = ListingForm,
    responses((status = 200, description = "The character as it is now", body = ModeratedCharacter)),
)]
pub(super) async fn set_listing(
    State(site): State<Site>,
    Admin(operator): Admin,
    Named(id): Named<CharacterId>,
    Json(form): Json<ListingForm>,
) -> Result<axum::Json<ModeratedCharacter>> {
    let character = site.platform.set_unlisted(Some(&operator), &id, form.unlisted, &form.reason).await?;
    Ok(axum::Json(ModeratedCharacter { character }))
}

/// Suspends an account, or lets it in again
///
/// A suspended account is signed out everywhere within a second, its messages are answered no more, and its public characters
/// are out of lists. Signing in is refused with the reason. Neither oneself nor the last administrator can be suspended.
#[utoipa::path(
    patch, path = "/api/admin/users/{id}", tag = "admin", params(("id" = UserId, Path)), request_body = SuspensionForm,
    responses((status = 200, description = "How the account stands now", body = ModeratedUser),
        (status = 409, description = "Oneself, or the last administrator")),
)]
pub(super) async fn set_suspension(
    State(site): State<Site>,
    Admin(operator): Admin,
    Named(id): Named<UserId>,
    Json(form): Json<SuspensionForm>,
) -> Result<axum::Json<ModeratedUser>> {
    let (platform, operator) = (&site.platform, Some(&*operator));
    let (user, suspension) = match form.suspended {
        true => platform.suspend(operator, &id, form.until, &form.reason).await?,
        false => platform.end_suspension(operator, &id, &form.reason).await?,
    };
    Ok(axum::Json(ModeratedUser { user, suspension }))
}
