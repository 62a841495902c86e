//! Counting attempts to sign in. The limiter of the fleet refuses most of what is too much; what it forgot, with its Redis
//! or its process, is counted here.

use std::time::Duration;

/// One attempt of an address or a login name, as the limits name it.
#[derive(Clone, Debug)]
pub struct CountAttempt {
    pub subject: String,
    /// In any stretch of `window`.
    pub limit: u64,
    pub window: Duration,
    /// How long everything is refused after the limit was passed.
    pub block: Duration,
}

/// Where a subject stands after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempts {
    /// Whether it was counted; else it is one too many.
    pub admitted: bool,
    pub remaining: u64,
    /// Refused: until it would be admitted. Admitted: until the oldest attempt leaves the window.
    pub wait: Duration,
}
