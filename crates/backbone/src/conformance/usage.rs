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
            all_rows_are_told_once_all_were_kept,
            what_was_used_since_is_among_all,
            a_row_that_is_kept_while_all_are_read_is_not_missed,
            all_rows_are_without_those_whose_day_is_over,
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

    /// All rows, by character.
    async fn all(&self) -> Option<Vec<(CharacterId, UsageCount)>> {
        let mut rows = self.backend.all_of(&user()).await.unwrap()?;
        rows.sort_by(|(one, _), (other, _)| one.cmp(other));
        Some(rows)
    }

    async fn keep_all(&self, rows: &[(CharacterId, UsageCount)]) {
        let mark = self.backend.begin_load(&user()).await.unwrap();
        self.backend.keep_all(mark, &user(), rows).await.unwrap();
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

pub async fn all_rows_are_told_once_all_were_kept(bench: Open) {
    let since = Some(bench.now());
    assert_eq!(bench.all().await, None);
    bench.keep(1, row(1, since, 2)).await;
    assert_eq!(bench.all().await, None, "there may be others");
    let rows = vec![(character(1), row(2, since, 3)), (character(2), row(4, since, 5))];
    bench.keep_all(&rows).await;
    assert_eq!(bench.all().await, Some(rows));
    assert_eq!(bench.copy(2).await.map(|row| row.text), Some(4));
    assert_eq!(bench.backend.all_of(&UserId::trusted("u2")).await.unwrap(), None);
    bench.backend.forget(&user()).await.unwrap();
    assert_eq!(bench.all().await, None);
    bench.keep_all(&[]).await;
    assert_eq!(bench.all().await, Some(Vec::new()), "nothing is an answer too");
}

pub async fn what_was_used_since_is_among_all(bench: Open) {
    let since = Some(bench.now());
    bench.keep_all(&[(character(1), row(1, since, 5))]).await;
    let mark = bench.backend.begin_load(&user()).await.unwrap();
    bench.keep(1, row(2, since, 6)).await;
    bench.keep(2, row(1, since, 1)).await;
    bench.keep(3, UsageCount::default()).await;
    let texts = |rows: Option<Vec<(CharacterId, UsageCount)>>| {
        rows.map(|rows| rows.into_iter().map(|(id, row)| (id, row.text)).collect::<Vec<_>>())
    };
    let expected = vec![(character(1), 2), (character(2), 1)];
    assert_eq!(texts(bench.all().await), Some(expected.clone()), "a row without a use is none of them");
    // Read from the store before that, and kept late.
    bench.backend.keep_all(mark, &user(), &[(character(1), row(1, since, 5))]).await.unwrap();
    let rows = texts(bench.all().await);
    assert!(rows.is_none() || rows == Some(expected), "an older row overwrites nothing, and nothing is lost: {rows:?}");
}

pub async fn a_row_that_is_kept_while_all_are_read_is_not_missed(bench: Open) {
    let since = Some(bench.now());
    let mark = bench.backend.begin_load(&user()).await.unwrap();
    bench.keep(2, row(1, since, 1)).await;
    bench.backend.keep_all(mark, &user(), &[(character(1), row(1, since, 5))]).await.unwrap();
    let rows = bench.all().await;
    assert!(rows.as_ref().is_none_or(|rows| rows.len() == 2), "{rows:?}");
}

pub async fn all_rows_are_without_those_whose_day_is_over(bench: Open) {
    let left = Duration::from_secs(2);
    let old = Timestamp(bench.now().plus(left).0 - USAGE_WINDOW.as_millis() as i64);
    let rows = vec![(character(1), row(1, Some(bench.now()), 1)), (character(2), row(1, Some(old), 1))];
    bench.keep_all(&rows).await;
    assert_eq!(bench.all().await, Some(rows.clone()));
    bench.advance(left).await;
    let now = bench.all().await;
    assert!(now.is_none() || now == Some(rows[..1].to_vec()), "{now:?}");
    bench.keep_all(&rows).await;
    assert_eq!(bench.all().await, Some(rows[..1].to_vec()), "one that is over, by another clock, is none of them");
}
