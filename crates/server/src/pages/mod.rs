//! The page and the portraits of the demo's characters, built into the binary.

use crate::http::problem::{Problem, status_of};
use crate::http::{Visit, squeeze};
use aim_domain::Refusal;
use axum::body::Body;
use axum::extract::{Path, Request};
use axum::response::{Html, IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use parking_lot::Mutex;
use rust_embed::{EmbeddedFile, RustEmbed};
use std::collections::HashMap;
use std::sync::LazyLock;

#[derive(RustEmbed)]
#[folder = "../../web/dist"]
#[allow_missing = true]
struct Page;

#[derive(RustEmbed)]
#[folder = "../../demo/avatars"]
#[allow_missing = true]
struct Portraits;

/// Answers in place of the page where it was not built.
const MISSING: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>aim</title>\
    <h1>The page is not built</h1><p>This server works, but its page was not built into it. Run <code>make page</code>, \
    build the server again, and reload. The API is described at <a href=\"/docs\">/docs</a>.</p></html>";

const INDEX: &str = "index.html";
/// Files here carry a hash of their content in their name.
const HASHED: &str = "assets/";
/// What is not the page's, and so never answers with it.
const NOT_PAGES: [&str; 5] = ["/api", "/socket.io", "/media", "/demo", "/dev"];

/// Whether the page was built into this binary.
pub fn is_built() -> bool {
    Page::get(INDEX).is_some()
}

/// Headers of whatever a browser shows: scripts and styles come from here alone.
pub(crate) fn guard(headers: &mut HeaderMap) {
    const POLICY: &str = "default-src 'self'; img-src 'self' data: blob: https:; style-src 'self'; script-src 'self'; \
        connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'";
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
}

/// Whatever no route is for: a file of the page, the page itself for a browser that navigates, or nothing.
pub(crate) async fn fallback(request: Request) -> Response {
    let path = request.uri().path();
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let beneath = |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if !reads || NOT_PAGES.iter().any(|prefix| beneath(prefix)) {
        return Problem(Refusal::not_found("address")).into_response();
    }
    let name = path.trim_start_matches('/');
    if name != INDEX
        && let Some(file) = Page::get(name)
    {
        let cache = if name.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" };
        return serve(file, name, cache, request.headers());
    }
    if path != "/" && !navigates(request.headers()) {
        return Problem(Refusal::not_found("address")).into_response();
    }
    page(request.headers())
}

/// Whether only those with the role `admin` get what is at this address.
pub(crate) fn is_for_admins(path: &str) -> bool {
    path.strip_prefix("/admin").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The page at `/admin` and beneath it. To a browser it comes with the refusal as its status: it lets people sign in.
pub(crate) async fn admin(visit: Visit, headers: HeaderMap) -> Response {
    let refusal = match visit.member {
        Ok(member) if member.is_admin() => return page(&headers),
        Ok(_) => Refusal::forbidden("This is for administrators."),
        Err(refusal) => refusal,
    };
    if !navigates(&headers) {
        return Problem(refusal).into_response();
    }
    // Of no condition: a page that did not change has another status.
    let mut response = page(&HeaderMap::new());
    *response.status_mut() = status_of(refusal.code);
    response
}

fn navigates(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

fn page(headers: &HeaderMap) -> Response {
    match Page::get(INDEX) {
        Some(file) => serve(file, INDEX, "no-cache", headers),
        None => {
            let mut response = Html(MISSING).into_response();
            guard(response.headers_mut());
            response
        }
    }
}

/// A portrait of one of the demo's characters.
pub(crate) async fn portrait(Path(name): Path<String>, headers: HeaderMap) -> Response {
    match Portraits::get(&name) {
        Some(file) => serve(file, &name, "public, max-age=86400", &headers),
        None => Problem(Refusal::not_found("portrait")).into_response(),
    }
}

pub(crate) fn serve(file: EmbeddedFile, name: &str, cache: &'static str, asked: &HeaderMap) -> Response {
    let hash = aim_domain::id::hex(&file.metadata.sha256_hash()[..12]);
    let small = if squeeze::is_wanted(asked) { squeezed(&hash, &file) } else { None };
    let tag = format!("\"{hash}{}\"", if small.is_some() { "-gzip" } else { "" });
    let fresh = asked
        .get(header::IF_NONE_MATCH)
        .and_then(|known| known.to_str().ok())
        .is_some_and(|known| known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag));
    let mut response = Response::default();
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    guard(headers);
    if fresh {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    if let Ok(kind) = HeaderValue::from_str(&kind_of(name, &file)) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    let whole = match small {
        Some(small) => {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            small
        }
        None => match file.data {
            std::borrow::Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            std::borrow::Cow::Owned(bytes) => bytes.into(),
        },
    };
    *response.body_mut() = Body::from(whole);
    response
}

fn kind_of(name: &str, file: &EmbeddedFile) -> String {
    let kind = file.metadata.mimetype();
    // `.webmanifest` and other names that the list of types lacks are left as they are guessed.
    if squeeze::is_text(kind) && !name.ends_with(".svg") { format!("{kind}; charset=utf-8") } else { kind.to_owned() }
}

/// The file in gzip, made once.
fn squeezed(hash: &str, file: &EmbeddedFile) -> Option<Bytes> {
    static MADE: LazyLock<Mutex<HashMap<String, Option<Bytes>>>> = LazyLock::new(Default::default);
    if !squeeze::is_text(file.metadata.mimetype()) {
        return None;
    }
    if let Some(made) = MADE.lock().get(hash) {
        return made.clone();
    }
    let small = squeeze::gzip(&file.data, Compression::best());
    MADE.lock().insert(hash.to_owned(), small.clone());
    small
}
