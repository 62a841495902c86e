//! `/api/uploads`: pictures and voice messages, sent ahead of the message that shows them. In parts: [`super::tus`].

use super::Site;
use super::extract::{Asked, Caller, Named, drain};
use super::incoming::{Most, broke_off, receive};
use super::messages::with_standing;
use super::problem::{Problem, Result};
use super::rates;
use aim_domain::{Code, Refusal, UploadId, UploadView};
use aim_platform::Received;
use axum::extract::multipart::Field;
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart, Request, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The door gives this route as long as `[media] upload_timeout` says.
pub(super) const UPLOADING: &str = "/api/uploads";

/// What stands around the file in a form, at the most.
const FORM: u64 = 64 * 1_024;

pub(super) fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new()
        .routes(routes!(create_upload))
        .routes(routes!(read_upload, remove_upload))
        // The file has limits of its own.
        .layer(DefaultBodyLimit::disable())
}

#[derive(Serialize, ToSchema)]
struct UploadAnswer {
    upload: UploadView,
}

#[derive(ToSchema)]
#[allow(dead_code, reason = "it describes a form")]
struct UploadForm {
    /// A picture (PNG, JPEG, WebP, GIF; 25 MB at most) or audio (WebM, Ogg, M4A, MP3, WAV; 50 MB at most), by its content.
    #[schema(value_type = String, format = Binary, content_media_type = "application/octet-stream")]
    file: Vec<u8>,
}

/// Sends a picture or a voice message, whole
///
/// Counts `upload`, and `ai` where it is audio that will be transcribed. It is processed behind the answer: `upload:updated`
/// tells its owner's sockets when it is ready, or why it cannot be used.
#[utoipa::path(
    post, path = "/api/uploads", tag = "uploads",
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses((status = 201, description = "The upload", body = UploadAnswer)),
)]
async fn create_upload(State(site): State<Site>, caller: Caller, request: Request) -> Response {
    debug_assert_eq!(UPLOADING, "/api/uploads", "the door knows this route by its path");
    let verdict = match site.platform.admit(&[site.platform.upload_ask(&caller)]).await {
        Ok(verdict) => verdict,
        Err(refusal) => return Problem(refusal).into_response(),
    };
    let response = match rates::refusal(&verdict) {
        Some(refusal) => {
            drain(request.into_body()).await;
            Problem(refusal).into_response()
        }
        None => match take(&site, &caller, request).await {
            Ok(upload) => (StatusCode::CREATED, axum::Json(UploadAnswer { upload })).into_response(),
            Err(problem) => problem.into_response(),
        },
    };
    with_standing(response, Some(&verdict))
}

async fn take(site: &Site, caller: &Caller, request: Request) -> Result<UploadView> {
    let caps = &site.platform.media()?.caps;
    let most = caps.audio_bytes.max(caps.picture_bytes);
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: u64| length > most + FORM) {
        drain(request.into_body()).await;
        return Err(Problem(aim_platform::unfit(&aim_media::Unfit::TooLarge { most })));
    }
    let mut form = Multipart::from_request(request, site).await.map_err(|_| {
        let detail = "Send a form, as multipart/form-data, with the file in its field `file`.";
        Problem(Refusal::new(Code::UnsupportedMediaType, detail))
    })?;
    let malformed =
        |_| Problem(Refusal::new(Code::Validation, "The form is not valid multipart/form-data, or broke off."));
    while let Some(field) = form.next_field().await.map_err(malformed)? {
        if field.name() == Some("file") {
            return take_file(site, caller, field).await;
        }
    }
    Err(Problem(Refusal::invalid("file", "is missing")))
}

async fn take_file(site: &Site, caller: &Caller, mut field: Field<'_>) -> Result<UploadView> {
    let received = receive(site, Most::OfKind, &mut field).await;
    let file = match received {
        Ok(file) => file,
        Err(problem) => {
            drain_field(&mut field).await;
            return Err(problem);
        }
    };
    if file.broken {
        return Err(broke_off());
    }
    let sniffed = file.sniffed()?;
    site.platform.admit_transcription(caller, sniffed).await?;
    Ok(site.platform.create_upload(caller, Received { path: &file.path, size: file.size, sniffed }).await?)
}

/// As `drain`, for the rest of a file that was refused.
pub(super) async fn drain_field(field: &mut Field<'_>) {
    let rest = async {
        let mut left = 64_usize << 20;
        while let Ok(Some(piece)) = field.chunk().await {
            let Some(less) = left.checked_sub(piece.len()) else { return };
            left = less;
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(5), rest).await;
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ReadQuery {
    /// 1: with addresses that hold for an hour without a session, for whoever has them.
    signed: Option<u8>,
}

/// An upload of one's own, and how far it is
#[utoipa::path(
    get, path = "/api/uploads/{id}", tag = "uploads", params(("id" = UploadId, Path), ReadQuery),
    responses((status = 200, description = "The upload", body = UploadAnswer)),
)]
async fn read_upload(
    State(site): State<Site>,
    caller: Caller,
    Named(id): Named<UploadId>,
    Asked(query): Asked<ReadQuery>,
) -> Result<axum::Json<UploadAnswer>> {
    let upload = site.platform.upload(&caller, &id).await?;
    let upload = if query.signed == Some(1) { site.platform.signed(upload).await? } else { upload };
    Ok(axum::Json(UploadAnswer { upload }))
}

/// Deletes an upload of one's own that nothing shows
#[utoipa::path(
    delete, path = "/api/uploads/{id}", tag = "uploads", params(("id" = UploadId, Path)),
    responses((status = 204, description = "Deleted"), (status = 409, description = "A message or a profile shows it")),
)]
async fn remove_upload(State(site): State<Site>, caller: Caller, Named(id): Named<UploadId>) -> Result<StatusCode> {
    site.platform.delete_upload(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
