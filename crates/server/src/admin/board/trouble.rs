//! Errors as Bull Board's page reads them: a key of its translations, and what it fills in.

use aim_backbone::Fault;
use aim_backbone::queue::board::Status;
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};

#[derive(Debug)]
pub(super) struct Trouble {
    status: StatusCode,
    body: Value,
}

pub(super) type Result<T, E = Trouble> = std::result::Result<T, E>;

impl Trouble {
    /// `key` without its `ERRORS.`
    pub fn new(status: StatusCode, key: &str) -> Self {
        Self { status, body: json!({ "error": { "key": format!("ERRORS.{key}") } }) }
    }

    pub fn bad(key: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, key)
    }

    pub fn not_found(key: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, key)
    }

    pub fn options(mut self, options: Value) -> Self {
        self.body["error"]["options"] = options;
        self
    }

    /// A sentence below the headline, or a key of its own.
    pub fn message(mut self, message: impl Into<Value>) -> Self {
        self.body["message"] = message.into();
        self
    }

    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.body[field] = value.into();
        self
    }

    pub fn not_retriable(status: Status) -> Self {
        Self::bad("JOB_NOT_RETRIABLE").options(json!({ "state": status.as_str() }))
    }

    pub fn not_delayed(status: Status) -> Self {
        Self::bad("JOB_NOT_DELAYED").options(json!({ "status": status.as_str() }))
    }

    pub fn is_active(id: &str) -> Self {
        let details = json!({ "key": "ERRORS.JOB_IS_ACTIVE_DETAILS", "options": { "jobId": id } });
        Self::new(StatusCode::CONFLICT, "JOB_IS_ACTIVE").message(details)
    }

    pub fn next_run(id: &str, schedule: &str) -> Self {
        let options = json!({ "jobId": id, "jobSchedulerId": schedule });
        let details = json!({ "key": "ERRORS.JOB_BELONGS_TO_JOB_SCHEDULER_DETAILS", "options": options });
        Self::bad("JOB_BELONGS_TO_JOB_SCHEDULER")
            .message(details)
            .with("code", "JOB_BELONGS_TO_JOB_SCHEDULER")
            .with("jobSchedulerId", schedule)
    }
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        tracing::warn!(%fault, "the queues did not answer the board");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "REDIS_UNAVAILABLE").message(fault.to_string())
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        (self.status, Json(self.body)).into_response()
    }
}
