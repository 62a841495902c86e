//! `/media/{uploadId}/{variant}`: the bytes of uploads, whole or in ranges, to those who may see them.

use super::Site;
use super::extract::{Asked, Named};
use super::identity::Credential;
use super::problem::{Problem, Result};
use aim_domain::{Code, Refusal, UploadId, UserId};
use aim_platform::Served;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use std::ops::Range;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new().routes(routes!(read_media))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Signature {
    /// Of a signed address: until when it holds, in seconds since the Unix epoch.
    expires: Option<i64>,
    /// Of a signed address.
    signature: Option<String>,
}

/// A variant of an upload
///
/// For its owner, for members of a conversation that shows it, and for everyone where it is the picture of its owner's profile
/// or character: with a token, with the cookie, or by a signed address (`GET /api/uploads/{id}?signed=1`). Takes one range.
#[utoipa::path(
    get, path = "/media/{uploadId}/{variant}", tag = "uploads",
    params(
        ("uploadId" = UploadId, Path),
        ("variant" = String, Path, description = "`thumb`, `display` or `full` of a picture, `original` of audio"),
        Signature,
    ),
    responses(
        (status = 200, description = "The bytes"), (status = 206, description = "The bytes of the range"),
        (status = 304, description = "Unchanged"), (status = 416, description = "No such range"),
    ),
)]
async fn read_media(
    State(site): State<Site>,
    Named((id, variant)): Named<(UploadId, String)>,
    Asked(signed): Asked<Signature>,
    headers: HeaderMap,
) -> Result<Response> {
    let served = match (signed.expires, &signed.signature) {
        (Some(expires), Some(signature)) => {
            site.platform.check_signature(&id, &variant, expires, signature).await?;
            site.platform.served_to_bearer(&id, &variant).await?
        }
        _ => {
            let who = who(&site, &headers).await?;
            let found = site.platform.served(who.as_ref(), &id, &variant).await;
            // Who is not signed in is told to be, whether or not there is such a thing.
            found.map_err(|refusal| match who {
                None if refusal.code == Code::NotFound => Refusal::unauthenticated("Sign in first."),
                _ => refusal,
            })?
        }
    };
    answer(&site, &served, &headers).await
}

/// Who asks, if they say so.
async fn who(site: &Site, headers: &HeaderMap) -> Result<Option<UserId>> {
    let Some(credential) = Credential::of(headers) else { return Ok(None) };
    match site.platform.authenticate(credential.token()).await {
        Ok(member) => Ok(Some(member.user_id().clone())),
        Err(refusal) if refusal.code == Code::Unauthenticated => Ok(None),
        Err(refusal) => Err(Problem(refusal)),
    }
}

async fn answer(site: &Site, served: &Served, headers: &HeaderMap) -> Result<Response> {
    let (id, variant) = (&served.upload.id, &served.variant);
    let etag = format!("\"{id}-{}\"", variant.name);
    let told = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if told(header::IF_NONE_MATCH).is_some_and(|known| matches(known, &etag)) {
        return Ok(kept(StatusCode::NOT_MODIFIED.into_response(), &etag));
    }
    let asked = told(header::RANGE).filter(|_| told(header::IF_RANGE).is_none_or(|known| known == etag));
    let (range, status) = match asked.map_or(Asks::Whole, |range| range_of(range, variant.size)) {
        Asks::Whole => (0..variant.size, StatusCode::OK),
        Asks::Part(range) => (range, StatusCode::PARTIAL_CONTENT),
        Asks::Nothing => {
            let mut response = StatusCode::RANGE_NOT_SATISFIABLE.into_response();
            response.headers_mut().insert(header::CONTENT_RANGE, value(format!("bytes */{}", variant.size)));
            return Ok(response);
        }
    };
    let files = &site.platform.media()?.files;
    let bytes = files.read(&served.key, range.clone()).await.map_err(|error| {
        tracing::error!(%error, upload = %id, "a file that should be there cannot be read");
        match error {
            aim_media::FilesError::Missing => Refusal::not_found("file"),
            _ => Refusal::unavailable("The file storage does not answer. Try again in a moment."),
        }
    })?;
    let mut response = kept((status, Body::from_stream(bytes)).into_response(), &etag);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, value(variant.mime_type.clone()));
    headers.insert(header::CONTENT_LENGTH, (range.end - range.start).into());
    if status == StatusCode::PARTIAL_CONTENT {
        let part = format!("bytes {}-{}/{}", range.start, range.end - 1, variant.size);
        headers.insert(header::CONTENT_RANGE, value(part));
    }
    let extension = variant.mime_type.rsplit('/').next().unwrap_or("bin");
    headers
        .insert(header::CONTENT_DISPOSITION, value(format!("inline; filename=\"{id}-{}.{extension}\"", variant.name)));
    // Opened by itself it is a picture or a sound, and nothing that acts.
    let policy = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox";
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    Ok(response)
}

/// What is true of the bytes for ever.
fn kept(mut response: Response, etag: &str) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::ETAG, value(etag.to_owned()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=31536000, immutable"));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    response
}

fn value(text: String) -> HeaderValue {
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn matches(known: &str, etag: &str) -> bool {
    known.split(',').map(|one| one.trim().trim_start_matches("W/")).any(|one| one == etag || one == "*")
}

#[derive(Debug, PartialEq)]
enum Asks {
    Whole,
    Part(Range<u64>),
    Nothing,
}

/// One range of bytes; several, or another unit, are answered with the whole, as RFC 9110 allows.
fn range_of(header: &str, size: u64) -> Asks {
    let Some(range) = header.trim().strip_prefix("bytes=").filter(|range| !range.contains(',')) else {
        return Asks::Whole;
    };
    let Some((first, last)) = range.trim().split_once('-') else { return Asks::Whole };
    match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last && first < size => Asks::Part(first..last.saturating_add(1).min(size)),
        (Ok(first), Ok(last)) if first > last => Asks::Whole,
        (Ok(first), Err(_)) if last.is_empty() && first < size => Asks::Part(first..size),
        (Err(_), Ok(count)) if first.is_empty() && count > 0 && size > 0 => {
            Asks::Part(size.saturating_sub(count)..size)
        }
        (Ok(_), _) if last.is_empty() || last.parse::<u64>().is_ok() => Asks::Nothing,
        (Err(_), Ok(_)) if first.is_empty() => Asks::Nothing,
        _ => Asks::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_answered_and_what_is_none_is_not() {
        for (header, asks) in [
            ("bytes=0-9", Asks::Part(0..10)),
            ("bytes=90-", Asks::Part(90..100)),
            ("bytes=90-900", Asks::Part(90..100)),
            ("bytes=-10", Asks::Part(90..100)),
            ("bytes=-900", Asks::Part(0..100)),
            ("bytes=0-0", Asks::Part(0..1)),
            ("bytes=100-", Asks::Nothing),
            ("bytes=100-200", Asks::Nothing),
            ("bytes=-0", Asks::Nothing),
            ("bytes=9-0", Asks::Whole),
            ("bytes=0-1,5-6", Asks::Whole),
            ("lines=0-1", Asks::Whole),
            ("bytes=a-b", Asks::Whole),
            ("bytes=18446744073709551615-", Asks::Nothing),
            ("bytes=0-18446744073709551615", Asks::Part(0..100)),
        ] {
            assert_eq!(range_of(header, 100), asks, "{header}");
        }
    }
}
