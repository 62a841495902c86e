//! The door that every request passes: one layer that gives it an id, finds out who calls, counts it, bounds its time,
//! and on the way back completes problems, writes headers, compresses, and logs one line. One layer and not ten, since
//! each would cost an allocation and a hop on the way of every message.

use super::address::{came_over_tls, client_address};
use super::extract::Visit;
use super::identity::{self, Credential};
use super::problem::{self, Problem};
use super::rates::{self, Counted};
use super::{Site, cards, chats, squeeze, tus, uploads};
use crate::pages;
use crate::telemetry::request;
use aim_backbone::limits::Standing;
use aim_backbone::link::one_budget;
use aim_domain::{Code, Refusal};
use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, header};
use std::convert::Infallible;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;
use tower::{Layer, Service};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The one route that counts itself: `platform::send_message` asks `api` and `messaging` at once.
pub(super) const SENDING: &str = "/api/conversations/{id}/messages";

#[derive(Clone)]
pub(super) struct Door(pub Site);

impl<S> Layer<S> for Door {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { site: self.0.clone(), inner }
    }
}

#[derive(Clone)]
pub(super) struct Guarded<S> {
    site: Site,
    inner: S,
}

impl<S> Service<Request> for Guarded<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let inner = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, inner);
        Box::pin(pass(self.site.clone(), inner, request).map(Ok))
    }
}

/// What is told of a request once it is answered.
struct Line {
    method: Method,
    /// The route with its `{names}`; ids and tokens in a path stay out of metrics and logs.
    route: Option<MatchedPath>,
    user: Option<aim_domain::UserId>,
    started: Instant,
}

async fn pass<S>(site: Site, mut inner: S, request: Request) -> Response
where
    S: Service<Request, Response = Response, Error = Infallible> + Send,
    S::Future: Send,
{
    let (mut parts, body) = request.into_parts();
    if let Some(answer) = site.origins.preflight(&parts.method, &parts.headers) {
        return answer;
    }
    let mut line = Line {
        method: parts.method.clone(),
        route: parts.extensions.get::<MatchedPath>().cloned(),
        user: None,
        started: Instant::now(),
    };
    let id = request_id(&site, &parts);
    // What the answer depends on of the question; the request itself goes to the handler.
    let origin = parts.headers.get(header::ORIGIN).cloned();
    let squeezes = squeeze::is_wanted(&parts.headers);
    let is_api = parts.uri.path().starts_with("/api/");

    let work = async {
        let (visit, standing) = match enter(&site, &parts, &line, is_api).await {
            Ok(entered) => entered,
            Err((refusal, standing)) => return (Problem(refusal).into_response(), standing),
        };
        line.user = visit.member.as_ref().ok().map(|member| member.user_id().clone());
        parts.extensions.insert(visit);
        let answered = AssertUnwindSafe(inner.call(Request::from_parts(parts, body))).catch_unwind();
        let response = match tokio::time::timeout(patience(&site, &line), answered).await {
            Ok(Ok(Ok(response))) => response,
            Ok(Ok(Err(never))) => match never {},
            Ok(Err(_panic)) => {
                tracing::error!("a handler panicked");
                Problem(Refusal::internal()).into_response()
            }
            Err(_late) => {
                let refusal = Refusal::unavailable(
                    "This took too long. Whether it was done is not known: look before you repeat it.",
                );
                Problem(refusal).into_response()
            }
        };
        (response, standing)
    };
    let (mut response, standing) = request::serving(id.clone(), one_budget(work)).await;

    let counted = response.extensions_mut().remove::<Counted>().map(|Counted(standing)| standing);
    problem::complete(&mut response, id.to_str().unwrap_or_default());
    if squeezes {
        squeeze::squeeze(&mut response).await;
    }
    let status = response.status();
    let headers = response.headers_mut();
    if let Some(standing) = rates::tighter(standing, counted) {
        rates::write(&standing, headers);
    }
    if is_api && !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REQUEST_ID, id.clone());
    site.origins.allow(origin.as_ref(), headers);
    request::served(id, || tell(&site, &line, status));
    response
}

/// How long the answer may take: a file takes as long as the sender's line.
fn patience(site: &Site, line: &Line) -> std::time::Duration {
    let route = line.route.as_ref().map_or("", MatchedPath::as_str);
    let sends_a_file = (line.method == Method::POST
        && [uploads::UPLOADING, cards::IMPORTING, chats::IMPORTING].contains(&route))
        || (line.method == Method::PATCH && route == tus::PARTS);
    if sends_a_file { site.config.media.upload_timeout } else { site.config.http.request_timeout }
}

/// The request's id: the caller's own where it is one, else a new one.
fn request_id(site: &Site, parts: &Parts) -> HeaderValue {
    let is_id = |value: &&HeaderValue| {
        let bytes = value.as_bytes();
        (1..=128).contains(&bytes.len())
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    parts.headers.get(REQUEST_ID).filter(is_id).cloned().unwrap_or_else(|| {
        let id: aim_domain::MessageId = site.platform.ambient.id();
        HeaderValue::from_str(id.as_str()).unwrap_or_else(|_| HeaderValue::from_static("none"))
    })
}

type Entered = (Visit, Option<Standing>);

/// Finds out who calls, and counts the call.
async fn enter(site: &Site, parts: &Parts, line: &Line, is_api: bool) -> Result<Entered, (Refusal, Option<Standing>)> {
    let headers = &parts.headers;
    let (peer, trusted) = (identity::peer(&parts.extensions), &site.config.http.trusted_proxies);
    let address = client_address(headers, peer, trusted);
    let mut visit = Visit::of_nobody(address, came_over_tls(headers, peer, trusted));
    let is_for_admins = pages::is_for_admins(parts.uri.path());
    if !is_api && !is_for_admins {
        return Ok((visit, None));
    }
    let mut forbidden = None;
    match Credential::of(headers) {
        None => {}
        Some(Credential::Cookie(_)) if identity::changes(&line.method) => {
            match identity::check_origin(headers, peer, &site.config, &site.origins) {
                Ok(()) => visit.member = identify(site, headers).await,
                Err(refusal) => forbidden = Some(refusal),
            }
        }
        Some(_) => visit.member = identify(site, headers).await,
    }
    if is_for_admins {
        // Asked for who calls like the API, and counted by no limit.
        return match forbidden {
            Some(refusal) => Err((refusal, None)),
            None => Ok((visit, None)),
        };
    }
    let route = line.route.as_ref().map_or("", MatchedPath::as_str);
    let member = visit.member.as_ref().ok();
    let counts_itself = line.method == Method::POST && route == SENDING;
    let is_operator = route.starts_with("/api/admin/") && member.is_some_and(|member| member.is_admin());
    // The upload was counted when it began.
    let is_part = route == tus::PARTS;
    if is_operator || (member.is_some() && (counts_itself || is_part)) {
        return Ok((visit, None));
    }
    let ask = match member {
        Some(member) => site.platform.api_ask(Some(member), ""),
        None => site.platform.api_ask(None, &address.to_string()),
    };
    let verdict = site.platform.admit(std::slice::from_ref(&ask)).await.map_err(|refusal| (refusal, None))?;
    let standing = verdict.tightest().copied();
    match rates::refusal(&verdict).or(forbidden) {
        Some(refusal) => Err((refusal, standing)),
        None => Ok((visit, standing)),
    }
}

async fn identify(site: &Site, headers: &http::HeaderMap) -> Result<std::sync::Arc<aim_domain::Member>, Refusal> {
    match Credential::of(headers) {
        Some(credential) => site.platform.authenticate(credential.token()).await,
        None => Err(Refusal::new(Code::Unauthenticated, "Sign in first.")),
    }
}

/// One line a request: identifiers and figures, never what was said.
fn tell(site: &Site, line: &Line, status: http::StatusCode) {
    let (took, method) = (line.started.elapsed(), &line.method);
    let route = line.route.as_ref().map_or("other", MatchedPath::as_str);
    site.meters.count(method, route, status, took);
    let ms = (took.as_secs_f64() * 1e5).round() / 1e2;
    let (status, user) = (status.as_u16(), line.user.as_ref().map(tracing::field::display));
    if status >= 500 {
        tracing::warn!(target: "aim_server::http", %method, route, status, ms, user, "failed");
    } else {
        tracing::debug!(target: "aim_server::http", %method, route, status, ms, user, "answered");
    }
}

#[cfg(test)]
mod tests {
    use crate::app;
    use crate::config::Config;
    use crate::http::test_router;
    use aim_domain::Ambient;
    use aim_platform::Platform;
    use axum::body::Body;
    use http::Request;
    use http_body_util::BodyExt;
    use std::sync::Arc;
    use tower::ServiceExt;

    #[tokio::test]
    async fn a_handler_that_panics_costs_one_request_alone() {
        let data = tempfile::tempdir().unwrap();
        let dir = data.path().to_str().unwrap();
        let config = [("AIM_DATA__DIR", dir), ("AIM_AI__PROVIDER", "ollama"), ("AIM_AI__MODEL", "m")];
        let (config, ambient) = (Config::with(config).unwrap(), Ambient::system());
        let store = app::open_store(&config, &ambient).await.unwrap();
        let model = app::model(&config, &ambient).unwrap();
        let backbone = app::backbone(&config, &ambient, true, &[]).unwrap();
        let platform = Platform::new(store, backbone, model, ambient, app::settings(&config));
        let router = test_router(platform, Arc::new(config));
        for _ in 0..2 {
            let request = Request::get("/panics").header("x-request-id", "r1").body(Body::empty()).unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), 500);
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!((&body["code"], &body["requestId"]), (&"internal".into(), &"r1".into()));
            assert!(!body.to_string().contains("a secret"), "what it panicked with stays here");
        }
    }
}
