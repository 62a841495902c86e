//! The way back to this process: what a capability does where Redis does not answer.
//!
//! Redis is asked first; its breaker refuses at once while it is away. Callers of a capability never ask whether Redis
//! is up.

use crate::Fault;
use metrics::{Counter, counter};
use std::future::Future;

/// Falls back for one capability, and counts how often.
pub(crate) struct Fallback {
    capability: &'static str,
    local: Counter,
}

impl Fallback {
    pub fn new(capability: &'static str) -> Self {
        Self { capability, local: counter!("aim_fallbacks_total", "capability" => capability) }
    }

    /// The answer of Redis, or of this process where there is none.
    pub async fn or<T>(
        &self,
        redis: impl Future<Output = Result<T, Fault>>,
        local: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        match redis.await {
            Ok(answer) => Ok(answer),
            Err(fault) => {
                self.note(&fault);
                local.await
            }
        }
    }

    pub fn note(&self, fault: &Fault) {
        self.local.increment(1);
        tracing::debug!(capability = self.capability, %fault, "this process answers");
    }
}
