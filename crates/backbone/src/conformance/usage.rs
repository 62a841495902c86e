//! What every backend of usage promises.

use super::Bench;
use crate::usage::Usage;
use aim_domain::usage::USAGE_WINDOW;
use aim_domain::{CharacterId, Timestamp, UsageCount, UserId};
use std::time::Duration;

#[macro_export]
macro_rules! usage_promises {
    ($open:expr) => {
        $crate::promises!(
            usage,
            $open,
            a_copy_is_found_as_it_was_kept,
            an_older_row_never_overwrites_a_newer_one,
            a_copy_is_over_with_its_day,
            forgetting_a_user_forgets_all_of_its_characters,
            rows_kept_at_once_leave_the_newest,
        );
    };
}

type Open = Bench<dyn Usage>;

fn user() -> UserId {
    UserId::trusted("u1")
}

fn character(n: u32) -> CharacterId {
    CharacterId::trusted(format!("c{n}"))
}

fn row(text: u64, since: Option<Timestamp>, version: i64) -> UsageCount {
    UsageCount { text, audio: 1, image: 2, since, version }
}

impl Open {
    async fn copy(&self, n: u32) -> Option<UsageCount> {
        self.backend.of(&user(), &character(n)).await.unwrap()
    }

    async fn keep(&self, n: u32, row: UsageCount) {
        self.backend.keep(&user(), &character(n), row).await.unwrap();
    }
}

pub async fn a_copy_is_found_as_it_was_kept(bench: Open) {
    assert_eq!(bench.copy(1).await, None);
    let kept = row(3, Some(bench.now()), 4);
    bench.keep(1, kept).await;
    assert_eq!(bench.copy(1).await, Some(kept));
    assert_eq!(bench.copy(2).await, None);
    assert_eq!(bench.backend.of(&UserId::trusted("u2"), &character(1)).await.unwrap(), None);
    let unused = UsageCount::default();
    bench.keep(3, unused).await;
    assert_eq!(bench.copy(3).await, Some(unused), "a row without a use has no end");
}

pub async fn an_older_row_never_overwrites_a_newer_one(bench: Open) {
    let since = Some(bench.now());
    bench.keep(1, row(5, since, 5)).await;
    bench.keep(1, row(4, since, 4)).await;
    assert_eq!(bench.copy(1).await.map(|row| row.version), Some(5));
    bench.keep(1, row(6, since, 6)).await;
    assert_eq!(bench.copy(1).await.map(|row| row.text), Some(6));
}

pub async fn a_copy_is_over_with_its_day(bench: Open) {
    let left = Duration::from_secs(2);
    let since = Timestamp(bench.now().plus(left).0 - USAGE_WINDOW.as_millis() as i64);
    bench.keep(1, row(5, Some(since), 5)).await;
    assert!(bench.copy(1).await.is_some());
    bench.advance(left).await;
    assert_eq!(bench.copy(1).await, None);
}

pub async fn forgetting_a_user_forgets_all_of_its_characters(bench: Open) {
    let since = Some(bench.now());
    for n in 0..20 {
        bench.keep(n, row(1, since, 9)).await;
    }
    bench.backend.forget(&user()).await.unwrap();
    for n in 0..20 {
        assert_eq!(bench.copy(n).await, None);
    }
    bench.keep(1, row(2, since, 3)).await;
    assert_eq!(bench.copy(1).await.map(|row| row.text), Some(2), "what was forgotten does not stand in the way");
}

pub async fn rows_kept_at_once_leave_the_newest(bench: Open) {
    let since = Some(bench.now());
    let tasks: Vec<_> = (0..100)
        .map(|n| {
            let (usage, version) = (bench.backend.clone(), i64::from((n * 37) % 100));
            tokio::spawn(async move { usage.keep(&user(), &character(1), row(1, since, version)).await.unwrap() })
        })
        .collect();
    futures::future::join_all(tasks).await.into_iter().for_each(|task| task.unwrap());
    assert_eq!(bench.copy(1).await.map(|row| row.version), Some(99));
}
