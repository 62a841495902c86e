//! What every backend of a capability promises, as tests to run on it.
//!
//! Each capability has a file of promises, async functions that take a fresh [`Bench`], and a macro that makes a test of
//! each: `limits_promises!(open)`, where `open()` is a future of a bench. The same promises run on the backends of this
//! process, whose clock is moved by hand, and on backends that keep their own time, where a move is a wait: what they
//! wait for is a few seconds at the most.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects by failing")]

pub mod board;
pub mod bus;
pub mod cache;
#[cfg(test)]
pub(crate) mod guarded;
pub mod limits;
#[cfg(test)]
mod local;
#[cfg(test)]
pub(crate) mod outage;
pub mod queue;
pub mod sessions;
#[cfg(test)]
pub(crate) mod storm;
pub mod turns;
pub mod usage;

use aim_domain::{Clock, ManualClock, Timestamp};
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

/// A backend under test and its time.
pub struct Bench<T: ?Sized> {
    pub backend: Arc<T>,
    clock: Arc<dyn Clock>,
    advance: Arc<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>,
    haste: Haste,
}

/// How long calls may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Haste {
    /// As long as they take: a machine that is busy holds up any of them, and breaks no promise.
    None,
    /// What a request would give each of them: where Redis cannot answer, nobody may wait for it.
    Budget,
}

impl Haste {
    pub async fn keep<F: Future>(self, promise: F) -> F::Output {
        match self {
            Self::None => unhurried(promise).await,
            Self::Budget => promise.await,
        }
    }
}

impl<T: ?Sized> Bench<T> {
    /// A backend on a clock that is moved by hand.
    pub fn manual(backend: Arc<T>, clock: Arc<ManualClock>) -> Self {
        let moved = clock.clone();
        let advance = move |length| -> BoxFuture<'static, ()> {
            moved.advance(length);
            Box::pin(std::future::ready(()))
        };
        Self { backend, clock, advance: Arc::new(advance), haste: Haste::None }
    }

    /// A backend that keeps its own time, as `clock` tells it. On tokio's paused clock this takes no time either.
    pub fn waiting(backend: Arc<T>, clock: Arc<dyn Clock>) -> Self {
        let advance = Arc::new(|length| -> BoxFuture<'static, ()> { Box::pin(tokio::time::sleep(length)) });
        Self { backend, clock, advance, haste: Haste::None }
    }

    /// Keeps what the backend stands on for as long as the bench.
    pub fn keeping(self, kept: impl Send + Sync + 'static) -> Self {
        let advance = self.advance.clone();
        let advance = move |length| {
            let _ = &kept;
            advance(length)
        };
        Self { advance: Arc::new(advance), ..self }
    }

    /// Its calls have the budget of a request each.
    pub fn hurried(self) -> Self {
        Self { haste: Haste::Budget, ..self }
    }

    pub fn haste(&self) -> Haste {
        self.haste
    }

    pub async fn advance(&self, length: Duration) {
        (self.advance)(length).await;
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// Waits until `check` holds, ten seconds at the most.
pub(crate) async fn eventually(what: &str, mut check: impl AsyncFnMut() -> bool) {
    for _ in 0..2_000 {
        if check().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never came about that {what}");
}

/// Lets calls take their time, where it is not the time that is promised: a machine that is busy holds up any of them.
pub async fn unhurried<F: Future>(promise: F) -> F::Output {
    crate::link::with_budget(Duration::from_secs(60), promise).await
}

/// Keeps a promise on a bench, with the haste of the bench.
pub async fn keep<T: ?Sized>(bench: Bench<T>, promise: impl AsyncFnOnce(Bench<T>)) {
    bench.haste().keep(promise(bench)).await;
}

/// One test a promise of a suite, on several threads; the suites' own macros call it. `paused` is for suites whose
/// backend may run on tokio's paused clock, which has one thread.
#[macro_export]
macro_rules! promises {
    (paused $suite:ident, $open:expr, $($promise:ident),+ $(,)?) => { $(
        #[tokio::test]
        async fn $promise() {
            $crate::conformance::keep($open().await, $crate::conformance::$suite::$promise).await;
        }
    )+ };
    ($suite:ident, $open:expr, $($promise:ident),+ $(,)?) => { $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $promise() {
            $crate::conformance::keep($open().await, $crate::conformance::$suite::$promise).await;
        }
    )+ };
}
