//! What every limiter promises.

use super::Bench;
use crate::limits::{Ask, Limits, Standing};
use aim_domain::Rule;
use aim_domain::limits::Quota;
use std::time::Duration;

#[macro_export]
macro_rules! limits_promises {
    ($open:expr) => {
        $crate::promises!(
            limits,
            $open,
            exactly_the_limit_is_admitted_in_a_window,
            an_admission_counts_until_it_leaves_the_window,
            several_rules_admit_together_or_none_counts,
            one_question_twice_in_a_call_counts_twice,
            a_repeated_name_is_admitted_and_not_counted,
            a_refusal_starts_the_block_and_does_not_lengthen_it,
            a_cleared_window_is_empty,
            rules_and_subjects_are_counted_apart,
            asked_at_once_the_limit_is_exact,
            asked_crosswise_nobody_waits_for_ever,
            a_huge_limit_costs_nothing_until_it_is_used,
            the_standing_says_what_remains,
        );
    };
}

const WINDOW: Duration = Duration::from_secs(2);
const SECOND: Duration = Duration::from_secs(1);
/// More than the time that a promise without a move of the clock takes on a backend with its own.
const LONG: Duration = Duration::from_secs(600);

fn quota(limit: u64, window: Duration) -> Quota {
    Quota { limit, window, block: Duration::ZERO }
}

fn ask(rule: Rule, subject: &str, quota: Quota) -> Ask {
    Ask { rule, subject: subject.into(), quota, once: None }
}

type Open = Bench<dyn Limits>;

impl Open {
    async fn admits(&self, ask: &Ask) -> bool {
        self.backend.admit(std::slice::from_ref(ask)).await.unwrap().is_admitted()
    }

    async fn standing(&self, ask: &Ask) -> Standing {
        // A question with no room left to ask for changes nothing.
        let nothing = Ask { quota: Quota { limit: 0, block: Duration::ZERO, ..ask.quota }, ..ask.clone() };
        self.backend.admit(&[nothing]).await.unwrap().standings[0]
    }
}

pub async fn exactly_the_limit_is_admitted_in_a_window(bench: Open) {
    let ask = ask(Rule::Messaging, "u1", quota(3, LONG));
    for n in 0..10 {
        assert_eq!(bench.admits(&ask).await, n < 3, "admission {n}");
    }
}

pub async fn an_admission_counts_until_it_leaves_the_window(bench: Open) {
    let ask = ask(Rule::Api, "u1", quota(2, WINDOW));
    assert!(bench.admits(&ask).await);
    bench.advance(SECOND).await;
    assert!(bench.admits(&ask).await);
    let verdict = bench.backend.admit(std::slice::from_ref(&ask)).await.unwrap();
    let (which, wait) = verdict.refused.expect("the window is full");
    assert!(which == 0 && wait <= SECOND && wait > SECOND / 2, "{wait:?}");
    // What was refused did not count: the first leaves, the second stays.
    bench.advance(wait).await;
    assert!(bench.admits(&ask).await);
    assert!(!bench.admits(&ask).await);
}

pub async fn several_rules_admit_together_or_none_counts(bench: Open) {
    let tight = ask(Rule::Messaging, "u1", quota(1, LONG));
    let wide = ask(Rule::Api, "u1", quota(5, LONG));
    let both = [wide.clone(), tight.clone()];
    assert!(bench.backend.admit(&both).await.unwrap().is_admitted());
    let refused = bench.backend.admit(&both).await.unwrap();
    assert_eq!(refused.refused.map(|(which, _)| which), Some(1));
    assert_eq!(refused.tightest().map(|standing| standing.rule), Some(Rule::Messaging));
    // One was counted of five, by the call that was admitted.
    assert_eq!(refused.standings[0].remaining, 4);
    for n in 0..6 {
        assert_eq!(bench.admits(&wide).await, n < 4, "admission {n}");
    }
    assert!(bench.backend.admit(&[]).await.unwrap().is_admitted());
}

pub async fn one_question_twice_in_a_call_counts_twice(bench: Open) {
    let ask = ask(Rule::Upload, "u1", quota(3, LONG));
    let twice = [ask.clone(), ask.clone()];
    assert!(bench.backend.admit(&twice).await.unwrap().is_admitted());
    assert!(!bench.backend.admit(&twice).await.unwrap().is_admitted());
    assert!(bench.admits(&ask).await);
    assert!(!bench.admits(&ask).await);
}

pub async fn a_repeated_name_is_admitted_and_not_counted(bench: Open) {
    let plain = ask(Rule::Messaging, "u1", quota(2, WINDOW));
    let named = |name: &str| Ask { once: Some(name.into()), ..plain.clone() };
    for _ in 0..5 {
        assert!(bench.admits(&named("a")).await);
    }
    assert!(bench.admits(&named("b")).await);
    assert!(!bench.admits(&named("c")).await, "a new name counts");
    assert!(bench.admits(&named("a")).await, "a repeated one needs no room");
    let elsewhere = Ask { subject: "u2".into(), ..named("c") };
    assert!(bench.admits(&elsewhere).await);
    // Refused by another rule, a name is not kept.
    let never = ask(Rule::Api, "u1", quota(0, WINDOW));
    bench.advance(WINDOW).await;
    assert!(!bench.backend.admit(&[never, named("d")]).await.unwrap().is_admitted());
    assert!(bench.admits(&named("d")).await);
    assert!(bench.admits(&named("a")).await, "with the window the names are over");
    assert!(!bench.admits(&named("e")).await);
}

pub async fn a_refusal_starts_the_block_and_does_not_lengthen_it(bench: Open) {
    let block = Duration::from_secs(3);
    let ask = ask(Rule::Auth, "198.51.100.7", Quota { limit: 2, window: WINDOW, block });
    assert!(bench.admits(&ask).await && bench.admits(&ask).await);
    bench.advance(SECOND).await;
    let verdict = bench.backend.admit(std::slice::from_ref(&ask)).await.unwrap();
    assert_eq!(verdict.refused, Some((0, block)));
    assert_eq!(verdict.standings[0].remaining, 0);
    // The window has room again, the block is not over.
    bench.advance(SECOND * 3 / 2).await;
    let (_, left) = bench.backend.admit(std::slice::from_ref(&ask)).await.unwrap().refused.expect("it is blocked");
    assert!(left <= block - SECOND * 3 / 2, "{left:?}");
    bench.advance(left).await;
    assert!(bench.admits(&ask).await);
}

pub async fn a_cleared_window_is_empty(bench: Open) {
    let ask = ask(Rule::Auth, "mara", Quota { limit: 1, window: LONG, block: LONG });
    assert!(bench.admits(&ask).await);
    assert!(!bench.admits(&ask).await);
    bench.backend.clear(Rule::Auth, "mara").await.unwrap();
    assert!(bench.admits(&ask).await, "neither the window nor its block is left");
    bench.backend.clear(Rule::Api, "nobody").await.unwrap();
}

pub async fn rules_and_subjects_are_counted_apart(bench: Open) {
    for rule in Rule::ALL {
        for subject in ["u1", "u2"] {
            assert!(bench.admits(&ask(rule, subject, quota(1, LONG))).await, "{rule:?} {subject}");
        }
    }
    assert!(!bench.admits(&ask(Rule::Ai, "u2", quota(1, LONG))).await);
}

pub async fn asked_at_once_the_limit_is_exact(bench: Open) {
    let tasks: Vec<_> = (0..200)
        .map(|_| {
            let limits = bench.backend.clone();
            let asks = [ask(Rule::Api, "u1", quota(70, LONG)), ask(Rule::Messaging, "u1", quota(50, LONG))];
            tokio::spawn(async move { limits.admit(&asks).await.unwrap().is_admitted() })
        })
        .collect();
    let admitted = futures::future::join_all(tasks).await.into_iter().filter(|task| *task.as_ref().unwrap()).count();
    assert_eq!(admitted, 50);
    assert_eq!(bench.standing(&ask(Rule::Api, "u1", quota(70, LONG))).await.remaining, 0);
    // What the tighter rule refused left room in the wider one.
    assert!(bench.admits(&ask(Rule::Api, "u1", quota(70, LONG))).await);
}

pub async fn asked_crosswise_nobody_waits_for_ever(bench: Open) {
    let tasks: Vec<_> = (0..200)
        .map(|n| {
            let limits = bench.backend.clone();
            let mut asks: Vec<Ask> = (0..4).map(|s| ask(Rule::Auth, &format!("s{s}"), quota(1_000, LONG))).collect();
            asks.rotate_left(n % 4);
            tokio::spawn(async move { limits.admit(&asks).await.unwrap().is_admitted() })
        })
        .collect();
    let all = futures::future::join_all(tasks);
    let all = tokio::time::timeout(Duration::from_secs(20), all).await.expect("all are answered");
    assert!(all.into_iter().all(|task| task.unwrap()));
}

pub async fn a_huge_limit_costs_nothing_until_it_is_used(bench: Open) {
    let ask = ask(Rule::Api, "u1", quota(u64::MAX, LONG));
    for _ in 0..100 {
        assert!(bench.admits(&ask).await);
    }
}

pub async fn the_standing_says_what_remains(bench: Open) {
    let ask = ask(Rule::Api, "u1", quota(3, LONG));
    let verdict = bench.backend.admit(std::slice::from_ref(&ask)).await.unwrap();
    let standing = verdict.standings[0];
    assert_eq!((standing.rule, standing.limit, standing.window, standing.remaining), (Rule::Api, 3, LONG, 2));
    assert!(standing.reset <= LONG && standing.reset > LONG - SECOND * 5, "{:?}", standing.reset);
    let never = bench.backend.admit(&[Ask { subject: "u2".into(), quota: quota(0, LONG), ..ask }]).await.unwrap();
    assert_eq!(never.refused, Some((0, LONG)));
}
