//! Which sites may call with a person's session: this server's own pages, and those that the operator lists. Answers
//! both questions of a browser, before a call (CORS) and for a call that carries the cookie.

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tower_http::cors::CorsLayer;

const REQUEST_METHOD: HeaderName = header::ACCESS_CONTROL_REQUEST_METHOD;

#[derive(Clone, Debug)]
pub struct Origins(Vec<String>);

impl Origins {
    /// `listed`: in lower case, as browsers send them.
    pub fn new(listed: &[String]) -> Self {
        Self(listed.to_vec())
    }

    /// Whether `[http] allowed_origins` has it.
    pub fn is_listed(&self, origin: &str) -> bool {
        self.0.iter().any(|listed| listed.eq_ignore_ascii_case(origin))
    }

    /// Whether a page of `origin` may act with the cookie: it is listed, or it is of the host that was asked.
    pub fn may_act(&self, origin: &str, host: Option<&str>) -> bool {
        self.is_listed(origin) || host.is_some_and(|host| is_of_host(origin, host))
    }

    /// The answer to a preflight, or none where the request is no preflight.
    pub fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<axum::response::Response> {
        if method != Method::OPTIONS || !headers.contains_key(REQUEST_METHOD) || !headers.contains_key(header::ORIGIN) {
            return None;
        }
        let mut answer = axum::response::Response::default();
        *answer.status_mut() = StatusCode::NO_CONTENT;
        let answered = answer.headers_mut();
        self.allow(headers.get(header::ORIGIN), answered);
        if answered.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
            answered.insert(
                header::ACCESS_CONTROL_ALLOW_METHODS,
                HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE"),
            );
            answered.insert(
                header::ACCESS_CONTROL_ALLOW_HEADERS,
                HeaderValue::from_static(
                    "authorization, content-type, if-match, x-request-id, tus-resumable, upload-length, upload-metadata, upload-offset",
                ),
            );
            answered.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
        }
        Some(answer)
    }

    /// Lets a listed origin read the answer. Costs nothing where a request names no origin.
    pub fn allow(&self, origin: Option<&HeaderValue>, answered: &mut HeaderMap) {
        let Some(origin) = origin else { return };
        answered.append(header::VARY, HeaderValue::from_static("origin"));
        if !origin.to_str().is_ok_and(|origin| self.is_listed(origin)) {
            return;
        }
        answered.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        answered.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        answered.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static(
                "etag, ratelimit, ratelimit-policy, retry-after, x-request-id, location, tus-extension, tus-max-size, \
                 tus-resumable, tus-version, upload-expires, upload-length, upload-offset",
            ),
        );
    }
}

/// The same rules as a layer, for what is served beside the API: Socket.IO's polling.
pub fn cors_layer(listed: &[String]) -> CorsLayer {
    let listed: Vec<HeaderValue> = listed.iter().filter_map(|origin| origin.parse().ok()).collect();
    CorsLayer::new()
        .allow_origin(listed)
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
}

/// `https://chat.test` is of the host `chat.test` and of `chat.test:443`.
fn is_of_host(origin: &str, host: &str) -> bool {
    let (site, port) = match origin.split_once("://") {
        Some(("https", site)) => (site, ":443"),
        Some(("http", site)) => (site, ":80"),
        _ => return false,
    };
    let plain = |text: &'_ str| text.strip_suffix(port).unwrap_or(text).to_ascii_lowercase();
    !site.is_empty() && plain(site) == plain(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_pages_and_listed_sites_may_act() {
        let origins = Origins::new(&["https://friend.test".into()]);
        for (origin, host, may) in [
            ("https://chat.test", "chat.test", true),
            ("https://chat.test", "chat.test:443", true),
            ("http://127.0.0.1:8080", "127.0.0.1:8080", true),
            ("https://Friend.test", "chat.test", true),
            ("https://chat.test.evil.test", "chat.test", false),
            ("https://chat.test:444", "chat.test", false),
            ("http://127.0.0.1:3000", "127.0.0.1:8080", false),
            ("null", "chat.test", false),
            ("ftp://chat.test", "chat.test", false),
        ] {
            assert_eq!(origins.may_act(origin, Some(host)), may, "{origin} at {host}");
        }
        assert!(!origins.may_act("https://chat.test", None));
    }
}
