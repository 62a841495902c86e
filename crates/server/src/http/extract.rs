//! What a handler takes from a request: who calls, ids from the path, the query, the body. Each refuses with a problem.

use super::Site;
use super::address::ClientAddress;
use super::problem::Problem;
use crate::unfit::{self, Unfit};
use aim_domain::message::MAX_TEXT;
use aim_domain::{Code, FieldError, Member, Refusal};
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

/// What the door found out of a request.
#[derive(Clone, Debug)]
pub struct Visit {
    pub member: Result<Arc<Member>, Refusal>,
    pub address: ClientAddress,
    /// Whether the client speaks TLS, as far as we are told.
    pub secure: bool,
}

impl Visit {
    /// The visit of an address that the door does not ask who it is.
    pub(super) fn of_nobody(address: ClientAddress, secure: bool) -> Self {
        let member = Err(Refusal::unauthenticated(
            "Sign in first: send a token in the Authorization header, or the session cookie.",
        ));
        Self { member, address, secure }
    }
}

impl<S: Sync> FromRequestParts<S> for Visit {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| Problem(Refusal::internal()))
    }
}

/// Someone who is signed in; `unauthenticated` otherwise.
#[derive(Clone, Debug)]
pub struct Caller(pub Arc<Member>);

impl Deref for Caller {
    type Target = Member;

    fn deref(&self) -> &Member {
        &self.0
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match parts.extensions.get::<Visit>().map(|visit| &visit.member) {
            Some(Ok(member)) => Ok(Self(member.clone())),
            Some(Err(refusal)) => Err(Problem(refusal.clone())),
            None => Err(Problem(Refusal::internal())),
        }
    }
}

/// Someone with the role `admin`; `forbidden` for others.
#[derive(Clone, Debug)]
pub struct Admin(pub Arc<Member>);

impl<S: Sync> FromRequestParts<S> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        if caller.is_admin() {
            Ok(Self(caller.0))
        } else {
            Err(Problem(Refusal::forbidden("This is for administrators.")))
        }
    }
}

/// What the path names. An id that can be none is `not_found`, as any that does not exist.
#[derive(Clone, Debug)]
pub struct Named<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(named)) => Ok(Self(named)),
            Err(_) => Err(Problem(Refusal::not_found("thing"))),
        }
    }
}

/// The query.
#[derive(Clone, Debug)]
pub struct Asked<T>(pub T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        asked(query).map(Self).map_err(|error| Problem(Refusal::fields(vec![error])))
    }
}

fn asked<T: DeserializeOwned>(query: &str) -> Result<T, FieldError> {
    let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
    serde_path_to_error::deserialize(pairs).map_err(|error| unfit::field_error(&error))
}

/// Items of a page unless asked, and at most.
const PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 100;

pub(crate) fn page_size(asked: Option<u32>) -> u32 {
    asked.unwrap_or(PAGE).clamp(1, LARGEST_PAGE)
}

/// A body of JSON, of `[http] max_body` bytes at most.
#[derive(Clone, Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Site> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, site: &Site) -> Result<Self, Problem> {
        read(request, site.config.http.max_body).await.map(Self)
    }
}

/// A character as JSON, of `[http] max_character_body` bytes at most.
#[derive(Clone, Debug)]
pub struct CharacterJson<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Site> for CharacterJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, site: &Site) -> Result<Self, Problem> {
        read(request, site.config.http.max_character_body).await.map(Self)
    }
}

/// JSON of `MOST` bytes at most.
#[derive(Clone, Debug)]
pub struct JsonUpTo<T, const MOST: usize>(pub T);

impl<T: DeserializeOwned, const MOST: usize> FromRequest<Site> for JsonUpTo<T, MOST> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Site) -> Result<Self, Problem> {
        read(request, MOST).await.map(Self)
    }
}

/// A message as JSON: the longest text fits however it is escaped.
#[derive(Clone, Debug)]
pub struct MessageJson<T>(pub T);

/// `\ud83d\ude00` for each character, and the fields around it.
pub(super) const LONGEST_MESSAGE: usize = MAX_TEXT * 12 + 1_024;

impl<T: DeserializeOwned> FromRequest<Site> for MessageJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, site: &Site) -> Result<Self, Problem> {
        read(request, site.config.http.max_body.max(LONGEST_MESSAGE)).await.map(Self)
    }
}

async fn read<T: DeserializeOwned>(request: Request, most: usize) -> Result<T, Problem> {
    if !is_json(request.headers()) {
        let detail = "Send JSON, with the header Content-Type: application/json.";
        return Err(Problem(Refusal::new(Code::UnsupportedMediaType, detail)));
    }
    if is_encoded(request.headers()) {
        let detail = "Send the body as it is, without Content-Encoding.";
        return Err(Problem(Refusal::new(Code::UnsupportedMediaType, detail)));
    }
    let bytes = collect(request.into_body(), most).await?;
    unfit::read(&bytes).map_err(|unfit| Problem(refusal(unfit)))
}

async fn collect(mut body: Body, most: usize) -> Result<Bytes, Problem> {
    match Limited::new(&mut body, most).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            drain(body).await;
            let detail = format!("The body may have {most} bytes at most.");
            Err(Problem(Refusal::new(Code::PayloadTooLarge, detail)))
        }
        Err(_) => Err(Problem(Refusal::new(Code::Validation, "The body broke off."))),
    }
}

/// What is read of a body that is too large, and for how long: a client that is still sending when the connection
/// closes sees a broken pipe instead of the answer.
const DRAINED: usize = 64 * 1024 * 1024;
const DRAINING: Duration = Duration::from_secs(5);

pub(super) async fn drain(mut body: Body) {
    let rest = async {
        let mut left = DRAINED;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            if length > left {
                return;
            }
            left -= length;
        }
    };
    let _ = tokio::time::timeout(DRAINING, rest).await;
}

/// `application/json`, or a type that ends in `+json`, with or without parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let kind = value.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
        || (kind.len() > 17
            && kind[..12].eq_ignore_ascii_case("application/")
            && kind.to_ascii_lowercase().ends_with("+json"))
}

fn is_encoded(headers: &HeaderMap) -> bool {
    headers.get_all(header::CONTENT_ENCODING).iter().any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

fn refusal(unfit: Unfit) -> Refusal {
    match unfit {
        Unfit::Field(error) => Refusal::fields(vec![error]),
        unfit => Refusal::new(Code::Validation, format!("The body {unfit}.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_more_than_one_name() {
        for (kind, is) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/problem+json", true),
            ("text/plain", false),
            ("application/x-www-form-urlencoded", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, kind.parse().unwrap())]);
            assert_eq!(is_json(&headers), is, "{kind}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }

    #[test]
    fn a_query_that_does_not_fit_is_told_of_in_plain_words() {
        #[derive(Debug, serde::Deserialize)]
        #[allow(dead_code)]
        struct Query {
            limit: Option<u32>,
            deleted: Option<bool>,
        }
        for (query, field, message) in [
            ("limit=ten", "limit", "must be a whole number, not below 0"),
            ("limit=-1", "limit", "must be a whole number, not below 0"),
            ("limit=", "limit", "must be a whole number, not below 0"),
            ("limit=4294967296", "limit", "is out of range"),
            ("deleted=maybe", "deleted", "must be true or false"),
            ("limit=1&limit=2", "limit", "is there twice"),
        ] {
            let error = asked::<Query>(query).unwrap_err();
            assert_eq!((error.field.as_str(), error.message.as_str()), (field, message), "{query}");
        }
        assert_eq!(asked::<Query>("limit=7&x=1").unwrap().limit, Some(7));
    }
}
