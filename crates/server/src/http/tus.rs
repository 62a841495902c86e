//! `/api/uploads/tus`: uploads in parts that go on after a cut, by the tus protocol 1.0 with its extensions creation,
//! expiration and termination. What came before a cut is kept. Parts are put away with the media, so any server that shares
//! them goes on with an upload that another began.

use super::Site;
use super::extract::{Caller, Named, drain};
use super::incoming::{Most, broke_off, empty_file, receive};
use super::messages::with_standing;
use super::problem::{Problem, Result};
use super::rates;
use aim_domain::{Code, Member, Refusal, Timestamp, UploadId};
use aim_platform::Standing;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The route of one upload, whose calls count no limit and may take as long as `[media] upload_timeout` says.
pub(super) const PARTS: &str = "/api/uploads/tus/{id}";

const VERSION: &str = "1.0.0";
const EXTENSIONS: &str = "creation,expiration,termination";
const PART_TYPE: &str = "application/offset+octet-stream";

const RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const LENGTH: HeaderName = HeaderName::from_static("upload-length");
const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const EXPIRES: HeaderName = HeaderName::from_static("upload-expires");

pub(super) fn routes() -> OpenApiRouter<Site> {
    debug_assert_eq!(PARTS, "/api/uploads/tus/{id}", "the door knows this route by its path");
    OpenApiRouter::new()
        .routes(routes!(begin_parts, describe_parts))
        .routes(routes!(stand_of_parts, add_part, end_parts))
        .layer(DefaultBodyLimit::disable())
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Result<u64> {
    let text = headers.get(name).and_then(|value| value.to_str().ok());
    let number = text.and_then(|text| text.trim().parse().ok());
    number.ok_or_else(|| Problem(Refusal::invalid(name.as_str(), "must be a whole number of bytes")))
}

/// With the headers that every answer has; `outcome` of one that needs the protocol's version from the client.
fn answered(outcome: Result<Response>) -> Response {
    let mut response = outcome.unwrap_or_else(IntoResponse::into_response);
    response.headers_mut().insert(RESUMABLE, HeaderValue::from_static(VERSION));
    response
}

/// A client of another version is told which one is spoken here.
fn other_version(headers: &HeaderMap) -> Option<Response> {
    if headers.get(RESUMABLE).is_some_and(|version| version == VERSION) {
        return None;
    }
    let refusal = Refusal::invalid("tus-resumable", format!("must be {VERSION}"));
    let mut response = answered(Err(Problem(refusal)));
    *response.status_mut() = StatusCode::PRECONDITION_FAILED;
    response.headers_mut().insert("tus-version", HeaderValue::from_static(VERSION));
    Some(response)
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, as HTTP writes a time.
fn http_date(at: Timestamp) -> Option<HeaderValue> {
    let seconds = u64::try_from(at.0 / 1_000).ok()?;
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    HeaderValue::from_str(&httpdate::fmt_http_date(time)).ok()
}

fn standing(status: StatusCode, standing: Standing, with_length: bool) -> Response {
    let mut response = status.into_response();
    let headers = response.headers_mut();
    headers.insert(OFFSET, standing.received.into());
    if with_length {
        headers.insert(LENGTH, standing.length.into());
    }
    if let Some(expires) = standing.expires.and_then(http_date) {
        headers.insert(EXPIRES, expires);
    }
    response
}

/// What this server speaks of tus
#[utoipa::path(
    options, path = "/api/uploads/tus", tag = "uploads", security(()),
    responses((status = 204, description = "Its version, extensions and largest size, in headers")),
)]
async fn describe_parts(State(site): State<Site>) -> Result<Response> {
    let caps = &site.platform.media()?.caps;
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert("tus-version", HeaderValue::from_static(VERSION));
    headers.insert("tus-extension", HeaderValue::from_static(EXTENSIONS));
    headers.insert("tus-max-size", caps.audio_bytes.max(caps.picture_bytes).into());
    Ok(answered(Ok(response)))
}

/// Begins an upload in parts (tus 1.0)
///
/// Counts `upload`. Its parts go to the address in `Location`, whose last word is the upload's id.
#[utoipa::path(
    post, path = "/api/uploads/tus", tag = "uploads",
    params(("tus-resumable" = String, Header), ("upload-length" = u64, Header, description = "Bytes of the whole")),
    responses((status = 201, description = "Begun; its address is in `Location`"), (status = 412, description = "Another version of tus")),
)]
async fn begin_parts(State(site): State<Site>, caller: Caller, headers: HeaderMap) -> Response {
    if let Some(response) = other_version(&headers) {
        return response;
    }
    let verdict = match site.platform.admit(&[site.platform.upload_ask(&caller)]).await {
        Ok(verdict) => verdict,
        Err(refusal) => return answered(Err(Problem(refusal))),
    };
    let begin = async {
        if let Some(refusal) = rates::refusal(&verdict) {
            return Err(Problem(refusal));
        }
        let (id, begun) = site.platform.begin_resumable(&caller, number(&headers, &LENGTH)?).await?;
        let mut response = standing(StatusCode::CREATED, begun, false);
        let location = HeaderValue::from_str(&PARTS.replace("{id}", id.as_str()));
        response.headers_mut().insert(header::LOCATION, location.map_err(|_| Problem(Refusal::internal()))?);
        Ok(response)
    };
    with_standing(answered(begin.await), Some(&verdict))
}

/// Where the next part begins
#[utoipa::path(
    head, path = "/api/uploads/tus/{id}", tag = "uploads", params(("id" = UploadId, Path), ("tus-resumable" = String, Header)),
    responses((status = 200, description = "`Upload-Offset` and `Upload-Length`")),
)]
async fn stand_of_parts(
    State(site): State<Site>,
    caller: Caller,
    Named(id): Named<UploadId>,
    headers: HeaderMap,
) -> Response {
    if let Some(response) = other_version(&headers) {
        return response;
    }
    let look = async {
        let now = site.platform.resumable(&caller, &id).await?;
        if now.received == now.length && now.expires.is_some() {
            site.platform.complete_resumable(&caller, &id, &empty_file(&site).await?).await?;
        }
        Ok(standing(StatusCode::OK, now, true))
    };
    answered(look.await)
}

/// Adds a part
///
/// The last one makes it an upload, which `GET /api/uploads/{id}` knows from then on.
#[utoipa::path(
    patch, path = "/api/uploads/tus/{id}", tag = "uploads",
    params(("id" = UploadId, Path), ("tus-resumable" = String, Header), ("upload-offset" = u64, Header)),
    request_body(content = Vec<u8>, content_type = "application/offset+octet-stream"),
    responses((status = 204, description = "Added; `Upload-Offset` is where the next begins"), (status = 409, description = "The next part begins elsewhere")),
)]
async fn add_part(
    State(site): State<Site>,
    Caller(who): Caller,
    Named(id): Named<UploadId>,
    headers: HeaderMap,
    request: Request,
) -> Response {
    if let Some(response) = other_version(&headers) {
        return response;
    }
    let body = request.into_body();
    let checked = async {
        if headers.get(header::CONTENT_TYPE).is_none_or(|kind| kind != PART_TYPE) {
            let detail = format!("A part has the header Content-Type: {PART_TYPE}.");
            return Err(Problem(Refusal::new(Code::UnsupportedMediaType, detail)));
        }
        let offset = number(&headers, &OFFSET)?;
        let now = site.platform.resumable(&who, &id).await?;
        if now.received != offset {
            return Err(Problem(Refusal::conflict(format!("The upload goes on at byte {}.", now.received))));
        }
        Ok((offset, now.length - offset))
    };
    let (offset, left) = match checked.await {
        Ok(checked) => checked,
        Err(problem) => {
            drain(body).await;
            return answered(Err(problem));
        }
    };
    // Goes on when the connection breaks, and with it this call: what came is kept.
    let part = tokio::spawn(async move { keep_part(site, who, id, offset, left, body).await });
    answered(part.await.unwrap_or_else(|_| Err(Problem(Refusal::internal()))))
}

async fn keep_part(site: Site, who: Arc<Member>, id: UploadId, offset: u64, left: u64, body: Body) -> Result<Response> {
    let over = tokio::time::sleep(site.config.media.upload_timeout);
    let pieces = body.into_data_stream().take_until(Box::pin(over));
    let file = receive(&site, Most::Bytes(left), pieces).await?;
    let (now, _) = site.platform.add_part(&who, &id, offset, &file.path, file.size).await?;
    if file.broken { Err(broke_off()) } else { Ok(standing(StatusCode::NO_CONTENT, now, false)) }
}

/// Gives up an upload in parts, with what came of it
#[utoipa::path(
    delete, path = "/api/uploads/tus/{id}", tag = "uploads", params(("id" = UploadId, Path), ("tus-resumable" = String, Header)),
    responses((status = 204, description = "Gone"), (status = 409, description = "It is whole, and something shows it")),
)]
async fn end_parts(
    State(site): State<Site>,
    caller: Caller,
    Named(id): Named<UploadId>,
    headers: HeaderMap,
) -> Response {
    if let Some(response) = other_version(&headers) {
        return response;
    }
    let end = async {
        site.platform.end_resumable(&caller, &id).await?;
        Ok(StatusCode::NO_CONTENT.into_response())
    };
    answered(end.await)
}
