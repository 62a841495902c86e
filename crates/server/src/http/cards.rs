//! `/api/characters/import` and `/api/characters/{id}/export`: characters as cards, which go from one program to another.

use super::Site;
use super::extract::{Asked, Caller, Named, drain};
use super::incoming::{Most, broke_off, receive};
use super::messages::with_standing;
use super::problem::{Problem, Result};
use super::rates;
use super::uploads::drain_field;
use aim_domain::{CharacterId, Code, Refusal};
use aim_platform::{CardFile, CardPreview, ImportedCharacter};
use axum::extract::multipart::Field;
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart, Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use tempfile::TempPath;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The door gives this route as long as a file takes.
pub(super) const IMPORTING: &str = "/api/characters/import";

/// Most bytes of a card.
const MOST: u64 = 50 << 20;
/// What stands around the file in a form, at the most.
const FORM: u64 = 64 * 1_024;

pub(super) fn routes() -> OpenApiRouter<Site> {
    let import = OpenApiRouter::new().routes(routes!(import_card)).layer(DefaultBodyLimit::disable());
    import.routes(routes!(export_card))
}

#[derive(ToSchema)]
#[allow(dead_code, reason = "it describes a form")]
struct CardForm {
    /// A character card: PNG, JSON, CHARX, or a JPEG with a CHARX behind it; V1, V2, V3 or Pygmalion's. 50 MB at most.
    #[schema(value_type = String, format = Binary, content_media_type = "application/octet-stream")]
    file: Vec<u8>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ImportQuery {
    /// `true`: nothing is stored, and the answer says what would be.
    #[serde(default)]
    preview: bool,
}

/// Makes a character of a card
///
/// It is private. Counts `upload`, a preview does not. Its pictures beside the main one fill the gallery, faces with their
/// labels; what is wrong with one of them is told in `warnings`. Fields that this server has no use for are kept, and exported again.
/// A card that cannot be taken is refused with what is wrong with it, in `errors` under `file` or under the character's field.
#[utoipa::path(
    post, path = "/api/characters/import", tag = "characters", params(ImportQuery),
    request_body(content = CardForm, content_type = "multipart/form-data"),
    responses(
        (status = 201, description = "The character", body = ImportedCharacter),
        (status = 200, description = "What the card would make (`preview`)", body = CardPreview),
    ),
)]
async fn import_card(
    State(site): State<Site>,
    caller: Caller,
    Asked(query): Asked<ImportQuery>,
    request: Request,
) -> Response {
    debug_assert_eq!(IMPORTING, "/api/characters/import", "the door knows this route by its path");
    let asked = if query.preview { Vec::new() } else { vec![site.platform.upload_ask(&caller)] };
    let verdict = if asked.is_empty() {
        None
    } else {
        match site.platform.admit(&asked).await {
            Ok(verdict) => Some(verdict),
            Err(refusal) => return Problem(refusal).into_response(),
        }
    };
    let response = match verdict.as_ref().and_then(rates::refusal) {
        Some(refusal) => {
            drain(request.into_body()).await;
            Problem(refusal).into_response()
        }
        None => answer(&site, &caller, query.preview, request).await.unwrap_or_else(IntoResponse::into_response),
    };
    with_standing(response, verdict.as_ref())
}

async fn answer(site: &Site, caller: &Caller, preview: bool, request: Request) -> Result<Response> {
    let file = take(site, request, MOST, "the card").await?;
    if preview {
        return Ok(axum::Json(site.platform.preview_card(&file).await?).into_response());
    }
    let imported = site.platform.import_card(caller, &file).await?;
    Ok((StatusCode::CREATED, axum::Json(imported)).into_response())
}

fn too_large(most: u64) -> Problem {
    Problem(Refusal::invalid("file", format!("has more than {} MB", most >> 20)))
}

/// The file of a form, `most` bytes at the most; `what` it is.
pub(super) async fn take(site: &Site, request: Request, most: u64, what: &str) -> Result<TempPath> {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: u64| length > most + FORM) {
        drain(request.into_body()).await;
        return Err(too_large(most));
    }
    let mut form = Multipart::from_request(request, site).await.map_err(|_| {
        let detail = format!("Send a form, as multipart/form-data, with {what} in its field `file`.");
        Problem(Refusal::new(Code::UnsupportedMediaType, detail))
    })?;
    let malformed =
        |_| Problem(Refusal::new(Code::Validation, "The form is not valid multipart/form-data, or broke off."));
    while let Some(field) = form.next_field().await.map_err(malformed)? {
        if field.name() == Some("file") {
            return take_file(site, field, most).await;
        }
    }
    Err(Problem(Refusal::invalid("file", "is missing")))
}

async fn take_file(site: &Site, mut field: Field<'_>, most: u64) -> Result<TempPath> {
    match receive(site, Most::Bytes(most), &mut field).await {
        Ok(file) if file.broken => Err(broke_off()),
        Ok(file) => Ok(file.path),
        Err(problem) => {
            drain_field(&mut field).await;
            Err(if problem.0.code == Code::PayloadTooLarge { too_large(most) } else { problem })
        }
    }
}

/// What a browser is to save a file as.
pub(super) fn attachment(file_name: &str) -> String {
    format!("attachment; filename*=UTF-8''{}", utf8_percent_encode(file_name, NON_ALPHANUMERIC))
}

#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Form {
    /// The avatar, with the card in it as V3 and V2, and its gallery.
    #[default]
    Png,
    /// V3, whose fields V2 reads as well, with the gallery as text.
    Json,
    /// An archive (CHARX) of the card with its avatar and its gallery.
    Charx,
}

impl From<Form> for CardFile {
    fn from(form: Form) -> Self {
        match form {
            Form::Png => Self::Png,
            Form::Json => Self::Json,
            Form::Charx => Self::Charx,
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ExportQuery {
    #[serde(default)]
    #[param(inline)]
    format: Form,
}

/// A character as a card
///
/// For whoever may see it: everyone a public one, its owner a private one. The pictures of the gallery, its faces among them,
/// are in all of them, in a text in a smaller size where there are many. What came with a card and is no picture comes back where it is small.
#[utoipa::path(
    get, path = "/api/characters/{id}/export", tag = "characters", params(("id" = CharacterId, Path), ExportQuery),
    responses((status = 200, description = "The file", content((Vec<u8> = "image/png"), (String = "application/json"), (Vec<u8> = "application/zip")))),
)]
async fn export_card(
    State(site): State<Site>,
    caller: Caller,
    Named(id): Named<CharacterId>,
    Asked(query): Asked<ExportQuery>,
) -> Result<Response> {
    let card = site.platform.export_card(&caller, &id, query.format.into()).await?;
    let named = attachment(&card.file_name);
    let mut response = card.bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(card.mime_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    if let Ok(named) = HeaderValue::from_str(&named) {
        headers.insert(header::CONTENT_DISPOSITION, named);
    }
    Ok(response)
}
