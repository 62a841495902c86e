//! How long a request may wait for Redis, over all its calls: what one call took, the next one lacks.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a request may spend on Redis in all, and what a call outside a request may spend.
pub const BUDGET: Duration = Duration::from_millis(100);

tokio::task_local! {
    /// Microseconds that are left.
    static LEFT: AtomicU64;
}

/// Runs a request with one budget for all its calls. Work that it spawns has none of it.
pub async fn one_budget<F: Future>(request: F) -> F::Output {
    with_budget(BUDGET, request).await
}

/// The same with another budget, for those who can wait: a test that asks what is answered, and not when.
pub async fn with_budget<F: Future>(budget: Duration, request: F) -> F::Output {
    LEFT.scope(AtomicU64::new(micros(budget)), request).await
}

/// Asks Redis for one who waits for something else: as long as a request may take, and nothing of what it has left is spent.
pub(crate) async fn uncharged<F: Future>(ask: F) -> F::Output {
    with_budget(left().max(BUDGET), ask).await
}

/// What the next call may take.
pub(super) fn left() -> Duration {
    LEFT.try_with(|left| Duration::from_micros(left.load(Ordering::Relaxed))).unwrap_or(BUDGET)
}

/// Calls that run side by side are each charged: a budget is never spent twice, and may be spent early.
pub(super) fn charge(spent: Duration) {
    let _ = LEFT.try_with(|left| {
        let after = left.load(Ordering::Relaxed).saturating_sub(micros(spent));
        left.store(after, Ordering::Relaxed);
    });
}

fn micros(length: Duration) -> u64 {
    u64::try_from(length.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn calls_of_one_request_share_its_budget() {
        one_budget(async {
            charge(Duration::from_millis(70));
            assert_eq!(left(), Duration::from_millis(30));
            uncharged(async { charge(Duration::from_millis(70)) }).await;
            assert_eq!(left(), Duration::from_millis(30));
            charge(Duration::from_millis(70));
            assert_eq!(left(), Duration::ZERO);
            assert_eq!(uncharged(async { left() }).await, BUDGET);
        })
        .await;
        assert_eq!(left(), BUDGET, "outside a request every call has its own");
    }
}
