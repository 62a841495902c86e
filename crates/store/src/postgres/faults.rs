//! What can go wrong on the way to PostgreSQL, sorted by what may be done about it.

use crate::StoreError;
use sqlx::Error;
use std::time::Duration;

#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// The command met others' locks in a circle and was rolled back: it may run again.
    Conflict(String),
    /// The connection is gone, or says nothing: what was asked may be done or not.
    Lost(String),
    /// Nothing was done, and trying later may help.
    Unavailable(String),
    Failed(String),
}

impl Fault {
    pub fn silent(what: &str, after: Duration) -> Self {
        Self::Lost(format!("{what} took longer than {} ms", after.as_millis()))
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Conflict(text) | Fault::Lost(text) | Fault::Unavailable(text) => Self::Unavailable(text),
            Fault::Failed(text) => Self::Failed(text),
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(text) => Self::Unavailable(text),
            StoreError::Failed(text) => Self::Failed(text),
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match &error {
            Error::Database(told) => of_state(told.code().as_deref().unwrap_or_default(), told.message()),
            Error::Io(_) | Error::Tls(_) | Error::Protocol(_) | Error::WorkerCrashed => Self::Lost(error.to_string()),
            _ => Self::Failed(error.to_string()),
        }
    }
}

/// By SQLSTATE. The message of PostgreSQL names tables and constraints; the values stand in its details, which are not
/// taken over: an error is logged, and a message's text has no place in a log.
fn of_state(state: &str, message: &str) -> Fault {
    let text = format!("{message} ({state})");
    match state {
        // Serialization failure, deadlock.
        "40001" | "40P01" => Fault::Conflict(text),
        // The server stops or has crashed, or this connection was ended; or it is a standby, and the one that takes writes is
        // elsewhere by now.
        "57P01" | "57P02" | "57P05" | "25P03" | "25006" => Fault::Lost(text),
        // Cancelled by a time-out of a statement or a lock; the server starts.
        "57014" | "55P03" | "57P03" => Fault::Unavailable(text),
        _ if state.starts_with("08") => Fault::Lost(text),
        // No memory, no disk, no connection left; an error of the system beneath.
        _ if state.starts_with("53") || state.starts_with("58") => Fault::Unavailable(text),
        _ => Fault::Failed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_told_from_what_will_not() {
        for (state, unavailable) in [
            ("57P01", true),
            ("57P03", true),
            ("25006", true),
            ("53300", true),
            ("40P01", true),
            ("08006", true),
            ("23505", false),
        ] {
            let error = StoreError::from(of_state(state, "something"));
            assert_eq!(matches!(error, StoreError::Unavailable(_)), unavailable, "{state}");
        }
        for (state, lost) in [("57P01", true), ("25006", true), ("57014", false)] {
            assert_eq!(matches!(of_state(state, "something"), Fault::Lost(_)), lost, "{state}");
        }
    }
}
