//! `/docs`: a page that reads the OpenAPI document, written here, since the content security policy lets nothing in
//! from elsewhere.

use crate::pages::guard;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::header;

const PAGE: &str = include_str!("docs/index.html");
const STYLE: &str = include_str!("docs/docs.css");
const SCRIPT: &str = include_str!("docs/docs.js");

fn text(kind: &'static str, text: &'static str) -> Response {
    let mut response = ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], text).into_response();
    guard(response.headers_mut());
    response
}

pub(super) async fn page() -> Response {
    text("text/html; charset=utf-8", PAGE)
}

pub(super) async fn file(Path(file): Path<String>) -> Response {
    match file.as_str() {
        "docs.css" => text("text/css; charset=utf-8", STYLE),
        "docs.js" => text("text/javascript; charset=utf-8", SCRIPT),
        _ => super::problem::Problem(aim_domain::Refusal::not_found("page")).into_response(),
    }
}
