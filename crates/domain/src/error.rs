//! Why the platform refuses something. `Refusal` is the one error that reaches a client; transports turn its `Code`
//! into their own form and add nothing.

use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// The `code` of an error on every transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    Unauthenticated,
    Forbidden,
    NotFound,
    Validation,
    Conflict,
    UsageLimitReached,
    RateLimited,
    PayloadTooLarge,
    UnsupportedMediaType,
    Unavailable,
    Internal,
}

/// A field that was refused, by its name on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    pub field: String,
    pub message: String,
}

#[derive(Clone, Debug, thiserror::Error)]
#[error("{code:?}: {detail}")]
pub struct Refusal {
    pub code: Code,
    /// A sentence for a person; never holds what someone else wrote, but for an operator's reason, which is meant for its reader.
    pub detail: String,
    pub errors: Vec<FieldError>,
    pub retry_after: Option<Duration>,
}

impl Refusal {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), errors: Vec::new(), retry_after: None }
    }

    pub fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, format!("There is no such {what}."))
    }

    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(Code::Conflict, detail)
    }

    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(Code::Forbidden, detail)
    }

    pub fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::new(Code::Unauthenticated, detail)
    }

    /// For what went wrong on our side; the cause goes to the log, not to the client.
    pub fn internal() -> Self {
        Self::new(Code::Internal, "Something went wrong on the server. The request id helps to find it in the log.")
    }

    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(Code::Unavailable, detail)
    }

    pub fn invalid(field: &str, message: impl Into<String>) -> Self {
        Self::fields(vec![FieldError { field: field.into(), message: message.into() }])
    }

    pub fn fields(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [only] => format!("{} {}", only.field, only.message),
            many => format!("{} fields are not valid.", many.len()),
        };
        Self { errors, ..Self::new(Code::Validation, detail) }
    }

    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}

/// Gathers what is wrong with a form, so that a person sees all of it at once.
#[derive(Default)]
pub struct Checks(Vec<FieldError>);

impl Checks {
    pub fn require(&mut self, holds: bool, field: &str, message: &str) {
        if !holds {
            self.0.push(FieldError { field: field.into(), message: message.into() });
        }
    }

    /// `text` has no NUL, which the text of a database cannot hold.
    pub fn storable(&mut self, field: &str, text: &str) {
        self.require(!text.contains('\0'), field, "must not have the character U+0000");
    }

    /// `text` is one line, as names and titles are.
    pub fn one_line(&mut self, field: &str, text: &str) {
        // The two of Unicode's that end a line are no control characters.
        let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
        self.require(!text.chars().any(breaks), field, "must be one line, without control characters");
    }

    /// `text` has `min` to `max` characters, and can be stored.
    pub fn length(&mut self, field: &str, text: &str, min: usize, max: usize) {
        self.storable(field, text);
        let count = text.chars().count();
        if count < min || count > max {
            let message = if min == 0 {
                format!("must have at most {max} characters")
            } else {
                format!("must have {min} to {max} characters")
            };
            self.0.push(FieldError { field: field.into(), message });
        }
    }

    pub fn finish(self) -> Result<(), Refusal> {
        if self.0.is_empty() { Ok(()) } else { Err(Refusal::fields(self.0)) }
    }
}
