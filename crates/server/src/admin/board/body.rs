//! What the page sends: a JSON object, or nothing where it has nothing to say.

use super::trouble::Trouble;
use crate::http::{Json, Site};
use aim_backbone::queue::QUEUES;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::header;
use serde_json::{Map, Value};

pub(super) struct Body(pub Map<String, Value>);

impl FromRequest<Site> for Body {
    type Rejection = Response;

    async fn from_request(request: Request, site: &Site) -> Result<Self, Response> {
        if !request.headers().contains_key(header::CONTENT_TYPE) {
            return Ok(Self(Map::new()));
        }
        match Json::<Value>::from_request(request, site).await {
            Ok(Json(Value::Object(fields))) => Ok(Self(fields)),
            Ok(_) => Err(Trouble::bad("INVALID_REQUEST_BODY").into_response()),
            Err(problem) => Err(problem.into_response()),
        }
    }
}

impl Body {
    /// A field that is there and says something.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }
}

/// A whole number, however JSON writes it.
pub(super) fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let number = value.as_f64().filter(|n| n.fract() == 0.0 && (0.0..9e15).contains(n))?;
        Some(number as u64)
    })
}

/// The queue of that name.
pub(super) fn queue_named(name: &str) -> Result<&'static str, Trouble> {
    QUEUES.into_iter().find(|queue| *queue == name).ok_or_else(|| Trouble::not_found("QUEUE_NOT_FOUND"))
}
