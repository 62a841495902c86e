//! Bull Board's page and its files, as its package has them; `web/board.mjs` gathers them.

use super::BASE;
use crate::http::Site;
use crate::http::problem::Problem;
use crate::pages::{guard, serve};
use aim_domain::Refusal;
use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse, Response};
use http::{HeaderMap, HeaderValue, header};
use rust_embed::RustEmbed;
use serde_json::json;

#[derive(RustEmbed)]
#[folder = "../../web/dist-board"]
#[allow_missing = true]
struct Files;

const INDEX: &str = "index.ejs";
const TITLE: &str = "aim queues";
const ICON: &str = "static/images/logo.svg";
const OTHER_ICON: &str = "static/favicon-32x32.png";

/// Scripts come from here alone. The page sets styles as it draws, and its base address so that it may live anywhere.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; script-src 'self'; \
    connect-src 'self'; frame-ancestors 'none'; base-uri 'self'; form-action 'self'; object-src 'none'";

/// Whether the page was built into this binary.
pub(crate) fn is_built() -> bool {
    Files::get(INDEX).is_some()
}

pub(super) async fn page(State(site): State<Site>) -> Response {
    let Some(file) = Files::get(INDEX) else {
        let detail = "The page of the queues is not built into this server: `make page`, then build it again.";
        return Problem(Refusal::unavailable(detail)).into_response();
    };
    let has_redis = site.platform.backbone.links.is_some();
    let mut response = Html(filled(&String::from_utf8_lossy(&file.data), has_redis)).into_response();
    let headers = response.headers_mut();
    guard(headers);
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The page's template with its five values; none of them holds what HTML would need escaped.
fn filled(template: &str, has_redis: bool) -> String {
    let config = json!({
        "boardTitle": TITLE,
        "favIcon": { "default": ICON, "alternative": OTHER_ICON },
        "hasHistoryProvider": false,
        "hasHistoryUsage": false,
        "canPurgeHistory": false,
        "hasLatencyHistory": false,
        "hideRedisDetails": !has_redis,
    });
    let config = config.to_string().replace('<', "\\u003c").replace('>', "\\u003e");
    template
        .replace("<%= basePath %>", &format!("{BASE}/"))
        .replace("<%= title %>", TITLE)
        .replace("<%= favIconDefault %>", ICON)
        .replace("<%= favIconAlternative %>", OTHER_ICON)
        .replace("<%- uiConfig %>", &config)
}

pub(super) async fn file(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let name = format!("static/{name}");
    // Names of scripts and styles carry a hash of their content. Nobody between may keep what only admins see.
    let is_hashed = name.starts_with("static/js/") || name.starts_with("static/css/");
    let cache = if is_hashed { "private, max-age=31536000, immutable" } else { "private, max-age=3600" };
    match Files::get(&name) {
        Some(file) => serve(file, &name, cache, &headers),
        None => super::nothing().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_filled_and_fetches_nothing_from_elsewhere() {
        let Some(file) = Files::get(INDEX) else { return println!("the page is not built: make page") };
        let page = filled(&String::from_utf8_lossy(&file.data), true);
        assert!(!page.contains("<%"), "{page}");
        assert!(!page.contains("href=\"http") && !page.contains("src=\"http"), "{page}");
        assert!(page.contains("<base href=\"/admin/queues/\" />"), "{page}");
        let config = page.split_once("type=\"application/json\">").unwrap().1.split_once("</script>").unwrap().0;
        assert_eq!(serde_json::from_str::<serde_json::Value>(config).unwrap()["boardTitle"], TITLE);
    }
}
