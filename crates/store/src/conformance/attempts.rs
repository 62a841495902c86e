//! Attempts to sign in, counted by the store.

use super::World;
use crate::{Attempts, CountAttempt};
use std::time::Duration;

const WINDOW: Duration = Duration::from_secs(900);
const SECOND: Duration = Duration::from_secs(1);

fn attempt(subject: &str, limit: u64, block: Duration) -> CountAttempt {
    CountAttempt { subject: subject.into(), limit, window: WINDOW, block }
}

async fn count(world: &World, attempt: &CountAttempt) -> Attempts {
    world.store.count_attempt(attempt.clone()).await.unwrap()
}

pub async fn exactly_the_limit_of_attempts_is_admitted_in_a_window(world: World) {
    let login = attempt("login-1", 3, Duration::ZERO);
    for left in [2, 1, 0] {
        let counted = count(&world, &login).await;
        assert_eq!((counted.admitted, counted.remaining), (true, left));
        world.clock.advance(SECOND);
    }
    let refused = count(&world, &login).await;
    assert_eq!(refused, Attempts { admitted: false, remaining: 0, wait: WINDOW - 3 * SECOND });
    // The first leaves, the others stay: one more is admitted, and no second one.
    world.clock.advance(WINDOW - 3 * SECOND);
    assert!(count(&world, &login).await.admitted);
    let refused = count(&world, &login).await;
    assert_eq!((refused.admitted, refused.wait), (false, SECOND));
    assert!(count(&world, &attempt("login-2", 3, Duration::ZERO)).await.admitted, "subjects are counted apart");
    assert!(!count(&world, &attempt("login-3", 0, Duration::ZERO)).await.admitted);
}

pub async fn an_attempt_too_many_starts_a_block_that_is_not_lengthened(world: World) {
    let login = attempt("login-1", 1, WINDOW);
    assert!(count(&world, &login).await.admitted);
    world.clock.advance(WINDOW / 2);
    assert_eq!(count(&world, &login).await.wait, WINDOW);
    world.clock.advance(WINDOW - SECOND);
    assert_eq!(count(&world, &login).await, Attempts { admitted: false, remaining: 0, wait: SECOND });
    world.clock.advance(SECOND);
    assert!(count(&world, &login).await.admitted);
}

pub async fn cleared_attempts_count_no_more(world: World) {
    let login = attempt("login-1", 1, WINDOW);
    assert!(count(&world, &login).await.admitted);
    assert!(!count(&world, &login).await.admitted);
    world.store.clear_attempts("login-1").await.unwrap();
    assert!(count(&world, &login).await.admitted, "neither attempts nor the block are left");
    world.store.clear_attempts("nobody").await.unwrap();
}

pub async fn attempts_at_once_from_two_stores_are_exact(world: World) {
    let other = world.another().await;
    let tasks: Vec<_> = (0..100)
        .map(|n| {
            let store = if n % 2 == 0 { world.store.clone() } else { other.clone() };
            tokio::spawn(async move { store.count_attempt(attempt("login-1", 7, WINDOW)).await.unwrap().admitted })
        })
        .collect();
    let admitted = futures::future::join_all(tasks).await.into_iter().filter(|task| *task.as_ref().unwrap()).count();
    assert_eq!(admitted, 7);
}
