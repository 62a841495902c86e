//! Rate limits: an exact sliding window for each rule and subject.
//!
//! In no stretch of a rule's window are more than its quota admitted. Several rules are asked at once: all admit, or none counts.
//!
//! In an outage each server counts by itself, the limit divided by the live servers. On recovery the shared windows go
//! on; where they may have been lost, both have to admit for the length of a window. So in a window that spans the loss
//! never more than twice the limit is admitted. That `auth` admits not even that is the store's doing, which counts
//! attempts to sign in as well.

pub mod local;
pub mod pair;
pub mod redis;

use crate::Fault;
use aim_domain::Rule;
use aim_domain::limits::Quota;
use async_trait::async_trait;
use std::time::Duration;

/// One question to the limiter: may `subject` do what `rule` counts?
#[derive(Clone, Debug)]
pub struct Ask {
    pub rule: Rule,
    /// A user's id, or an address or a login name; it goes into key names.
    pub subject: String,
    pub quota: Quota,
    /// The same name again within the window is admitted without being counted (a repeated `clientId`), even where the
    /// window is full; a block refuses it like everything.
    pub once: Option<String>,
}

/// Where a subject stands with a rule after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub rule: Rule,
    pub limit: u64,
    pub window: Duration,
    pub remaining: u64,
    /// Until the oldest counted admission leaves the window, or the block ends; zero for an empty window.
    pub reset: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// One a question, in its order.
    pub standings: Vec<Standing>,
    /// The index of the question that refused, and how long until it would admit; the longest wait where several refused.
    pub refused: Option<(usize, Duration)>,
}

impl Verdict {
    pub fn is_admitted(&self) -> bool {
        self.refused.is_none()
    }

    /// The rule to report: the one that refused, else the one with the least left.
    pub fn tightest(&self) -> Option<&Standing> {
        match self.refused {
            Some((index, _)) => self.standings.get(index),
            None => self.standings.iter().min_by_key(|standing| standing.remaining),
        }
    }
}

#[async_trait]
pub trait Limits: Send + Sync + 'static {
    /// Admits all and counts each, or refuses and counts none. An admission at `t` counts until `t` + the window.
    ///
    /// A quota with a `block` starts it when it refuses; what is refused during the block does not lengthen it. A
    /// question that is asked twice in one call counts twice.
    async fn admit(&self, asks: &[Ask]) -> Result<Verdict, Fault>;
    /// Clears a window and its block: a sign-in that succeeded clears its login name.
    async fn clear(&self, rule: Rule, subject: &str) -> Result<(), Fault>;
}
