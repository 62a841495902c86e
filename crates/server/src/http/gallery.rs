//! `/api/characters/{id}/gallery`: the pictures of a character.

use super::Site;
use super::extract::{Caller, Json, Named};
use super::problem::Result;
use aim_domain::{CharacterId, GalleryItem, UploadId};
use aim_platform::{NewGalleryItem, PicturePatch};
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new().routes(routes!(list_pictures, add_picture)).routes(routes!(change_picture, remove_picture))
}

#[derive(Serialize, ToSchema)]
struct GalleryAnswer {
    #[schema(value_type = Vec<GalleryItem>)]
    items: Arc<Vec<GalleryItem>>,
}

#[derive(Serialize, ToSchema)]
struct GalleryItemAnswer {
    item: GalleryItem,
}

/// The pictures of a character, in order
///
/// For whoever may see it: everyone a public one, its owner a private one. Whoever is in a conversation with a private character gets its
/// faces, the pictures that have an `expression`. 200 at most; those that are still being processed are not among them.
#[utoipa::path(
    get, path = "/api/characters/{id}/gallery", tag = "characters", params(("id" = CharacterId, Path)),
    responses((status = 200, description = "All of them", body = GalleryAnswer)),
)]
async fn list_pictures(
    State(site): State<Site>,
    caller: Caller,
    Named(id): Named<CharacterId>,
) -> Result<axum::Json<GalleryAnswer>> {
    Ok(axum::Json(GalleryAnswer { items: site.platform.gallery(&caller, &id).await? }))
}

/// Adds a picture to a character of one's own
///
/// The picture is sent before, with `POST /api/uploads`, which counts `upload`. It comes last; the same one again changes
/// nothing.
#[utoipa::path(
    post, path = "/api/characters/{id}/gallery", tag = "characters", params(("id" = CharacterId, Path)),
    request_body = NewGalleryItem,
    responses(
        (status = 201, description = "The picture", body = GalleryItemAnswer),
        (status = 409, description = "There are 200 already, or the upload is still being processed"),
    ),
)]
async fn add_picture(
    State(site): State<Site>,
    caller: Caller,
    Named(id): Named<CharacterId>,
    Json(new): Json<NewGalleryItem>,
) -> Result<(StatusCode, axum::Json<GalleryItemAnswer>)> {
    let item = site.platform.add_picture(&caller, &id, new).await?;
    Ok((StatusCode::CREATED, axum::Json(GalleryItemAnswer { item })))
}

/// Changes what is said of a picture, or its place
#[utoipa::path(
    patch, path = "/api/characters/{id}/gallery/{mediaId}", tag = "characters",
    params(("id" = CharacterId, Path), ("mediaId" = UploadId, Path)), request_body = PicturePatch,
    responses((status = 200, description = "The picture as it is now", body = GalleryItemAnswer)),
)]
async fn change_picture(
    State(site): State<Site>,
    caller: Caller,
    Named((id, picture)): Named<(CharacterId, UploadId)>,
    Json(patch): Json<PicturePatch>,
) -> Result<axum::Json<GalleryItemAnswer>> {
    let item = site.platform.change_picture(&caller, &id, &picture, patch).await?;
    Ok(axum::Json(GalleryItemAnswer { item }))
}

/// Removes a picture
///
/// With its upload, unless that is shown elsewhere as well: in a message or another gallery, or as the picture of a profile, a character or
/// a persona.
#[utoipa::path(
    delete, path = "/api/characters/{id}/gallery/{mediaId}", tag = "characters",
    params(("id" = CharacterId, Path), ("mediaId" = UploadId, Path)),
    responses((status = 204, description = "Removed")),
)]
async fn remove_picture(
    State(site): State<Site>,
    caller: Caller,
    Named((id, picture)): Named<(CharacterId, UploadId)>,
) -> Result<StatusCode> {
    site.platform.remove_picture(&caller, &id, &picture).await?;
    Ok(StatusCode::NO_CONTENT)
}
