//! Compression, for clients that ask for it and answers that are worth it. Answers are whole in memory by then, so
//! they are compressed in one go.

use axum::body::{Body, HttpBody};
use axum::response::Response;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue, header};
use http_body_util::BodyExt;
use std::io::Write;

/// Shorter answers fit in a packet anyway.
const SHORTEST: u64 = 1_024;
/// Longer ones would hold up the other requests of this thread.
const LONGEST: u64 = 4 * 1_024 * 1_024;

/// Whether `Accept-Encoding` names gzip, and not with `q=0`.
pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()) else { return false };
    value.split(',').any(|part| {
        let mut words = part.split(';').map(str::trim);
        let named = words.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip") || name == "*");
        named && !words.any(|word| matches!(word.strip_prefix("q="), Some("0" | "0.0" | "0.00" | "0.000")))
    })
}

/// Whether text of this type gets smaller.
pub(crate) fn is_text(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.starts_with("text/") || kind.ends_with("json") || kind.ends_with("javascript") || kind == "image/svg+xml"
}

pub(super) async fn squeeze(response: &mut Response) {
    let headers = response.headers();
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let length = response.body().size_hint().exact().unwrap_or(0);
    if !(SHORTEST..=LONGEST).contains(&length) || !is_text(kind) || headers.contains_key(header::CONTENT_ENCODING) {
        return;
    }
    let Ok(whole) = std::mem::take(response.body_mut()).collect().await else { return };
    let whole = whole.to_bytes();
    let Some(small) = gzip(&whole, Compression::new(3)) else {
        *response.body_mut() = Body::from(whole);
        return;
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    headers.remove(header::CONTENT_LENGTH);
    *response.body_mut() = Body::from(small);
}

/// None where it is not getting smaller.
pub(crate) fn gzip(bytes: &[u8], level: Compression) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 3), level);
    encoder.write_all(bytes).ok()?;
    let small = encoder.finish().ok()?;
    (small.len() < bytes.len()).then(|| small.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_asks_gets_gzip() {
        for (value, wanted) in
            [("gzip", true), ("br, GZIP;q=0.5", true), ("*", true), ("gzip;q=0", false), ("br", false), ("", false)]
        {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, value.parse().unwrap())]);
            assert_eq!(is_wanted(&headers), wanted, "{value}");
        }
    }
}
