//! Errors as `application/problem+json` (RFC 9457).
//!
//! A handler answers with a [`Problem`]. It rides in the response's extensions to the door (`door.rs`), which knows the
//! request id and writes the body; so what a framework refuses on its own, such as a wrong method, gets the same form.

use aim_domain::{Code, FieldError, Refusal};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

/// The status that a code has on HTTP; API.md part 3.
pub fn status_of(code: Code) -> StatusCode {
    match code {
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::Forbidden => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::Validation => StatusCode::UNPROCESSABLE_ENTITY,
        Code::Conflict => StatusCode::CONFLICT,
        Code::UsageLimitReached => StatusCode::PAYMENT_REQUIRED,
        Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Code::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn title(code: Code) -> &'static str {
    match code {
        Code::Unauthenticated => "Not signed in",
        Code::Forbidden => "Not allowed",
        Code::NotFound => "Not found",
        Code::Validation => "Not valid",
        Code::Conflict => "In conflict with what is there",
        Code::UsageLimitReached => "The day's allowance is used up",
        Code::RateLimited => "Too many requests",
        Code::PayloadTooLarge => "Too large",
        Code::UnsupportedMediaType => "Unsupported media type",
        Code::Unavailable => "Unavailable for now",
        Code::Internal => "Something went wrong",
    }
}

/// A refusal on its way to the client.
#[derive(Clone, Debug)]
pub struct Problem(pub Refusal);

pub type Result<T, E = Problem> = std::result::Result<T, E>;

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::default();
        *response.status_mut() = status_of(self.0.code);
        response.extensions_mut().insert(self);
        response
    }
}

/// The body of every error: RFC 9457 with `code`, `requestId` and, for bad fields, `errors`.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
#[serde(rename_all = "camelCase")]
pub struct ProblemBody<'a> {
    pub status: u16,
    pub title: &'a str,
    /// A sentence for a person.
    pub detail: &'a str,
    pub code: Code,
    /// Also the `X-Request-Id` header; finds the request in the server's log.
    pub request_id: &'a str,
    /// The fields that were refused, by their names.
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    #[schema(required = false)]
    pub errors: &'a [FieldError],
}

/// Writes the body of a response that carries a problem, or that is an error without a body of ours.
pub(super) fn complete(response: &mut Response, request_id: &str) {
    let status = response.status();
    let refusal = match response.extensions_mut().remove::<Problem>() {
        Some(Problem(refusal)) => refusal,
        None if status == StatusCode::METHOD_NOT_ALLOWED => Refusal::new(
            Code::Validation,
            "This address does not know the method; the Allow header names those it knows.",
        ),
        None => return,
    };
    let body = ProblemBody {
        status: status.as_u16(),
        title: if status == StatusCode::METHOD_NOT_ALLOWED { "Method not allowed" } else { title(refusal.code) },
        detail: &refusal.detail,
        code: refusal.code,
        request_id,
        errors: &refusal.errors,
    };
    let text = serde_json::to_vec(&body).unwrap_or_default();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if let Some(wait) = refusal.retry_after {
        // Whole seconds, and never one too few.
        headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs_f64().ceil().max(1.0) as u64));
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    *response.body_mut() = axum::body::Body::from(text);
}
