//! How long a request may wait for Redis, over all its calls: what one call took, the next one lacks.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What a request may spend on Redis in all, and what a call outside a request may spend.
pub const BUDGET: Duration = Duration::from_millis(100);

/// How much later than asked for this process may be woken and still be taken to keep up.
const LATE: Duration = Duration::from_millis(25);

/// Whether a wait of `patience` that took `took` was overslept: this process stood still meanwhile, and an answer may lie
/// there unread. It says nothing about Redis.
pub(super) fn overslept(took: Duration, patience: Duration) -> bool {
    took > patience + LATE
}

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

/// What a look is given of one who has nothing left.
const LEAST: Duration = Duration::from_millis(30);

/// Asks Redis for one who waits for something else, with what is left and [`LEAST`] at the least. An answer costs nothing of
/// it. Where none came, it is spent like that of any call: a request never waits longer for a Redis that has gone.
pub(crate) async fn refunded<T>(ask: impl Future<Output = T>, is_answer: impl FnOnce(&T) -> bool) -> T {
    let began = Instant::now();
    let outcome = with_budget(left().max(LEAST), ask).await;
    if !is_answer(&outcome) {
        charge(began.elapsed());
    }
    outcome
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
            charge(Duration::from_millis(70));
            assert_eq!(left(), Duration::ZERO);
        })
        .await;
        assert_eq!(left(), BUDGET, "outside a request every call has its own");
    }

    #[tokio::test]
    async fn a_look_costs_nothing_where_redis_answers_and_its_time_where_it_does_not() {
        one_budget(async {
            charge(Duration::from_millis(40));
            let look = async || {
                charge(Duration::from_millis(50));
                tokio::time::sleep(Duration::from_millis(10)).await;
                left()
            };
            for _ in 0..3 {
                assert_eq!(refunded(look(), |_| true).await, Duration::from_millis(10));
                assert_eq!(left(), Duration::from_millis(60));
            }
            refunded(look(), |_| false).await;
            assert!(left() <= Duration::from_millis(50), "{:?}", left());
            charge(BUDGET);
            assert_eq!(refunded(async { left() }, |_| true).await, LEAST);
            assert_eq!(left(), Duration::ZERO);
        })
        .await;
    }
}
