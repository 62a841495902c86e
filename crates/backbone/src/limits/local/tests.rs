//! The local limiter against a plain list of admissions, and its bounds.

use super::*;
use aim_domain::limits::Quota;
use aim_domain::{Clock, ManualClock, Random, SeededRandom};
use std::sync::Arc;

fn open(subjects: usize) -> (LocalLimits, Arc<ManualClock>) {
    let clock = ManualClock::at(Timestamp(1_795_408_728_120));
    let ambient = Ambient { clock: clock.clone(), random: SeededRandom::new(1) };
    (LocalLimits::with_room(&ambient, subjects), clock)
}

fn ask(rule: Rule, subject: String, limit: u64, window: u64, block: u64) -> Ask {
    let quota = Quota { limit, window: Duration::from_millis(window), block: Duration::from_millis(block) };
    Ask { rule, subject, quota, once: None }
}

/// All that was ever admitted, looked through at each question.
#[derive(Default)]
struct Plain {
    admitted: Vec<(Rule, String, i64, Option<String>)>,
    blocked: HashMap<(Rule, String), i64>,
}

impl Plain {
    fn admit(&mut self, asks: &[Ask], now: i64) -> Verdict {
        let mut waits = Vec::new();
        let mut free = vec![false; asks.len()];
        for (n, ask) in asks.iter().enumerate() {
            let window = ask.quota.window.as_millis() as i64;
            let times: Vec<i64> = self.of(ask, now).map(|(_, _, at, _)| *at).collect();
            let blocked = self.blocked.get(&(ask.rule, ask.subject.clone())).copied().unwrap_or(0);
            let repeats = ask.once.is_some() && self.of(ask, now).any(|(_, _, _, once)| *once == ask.once);
            let limit = ask.quota.limit as usize;
            if now < blocked {
                waits.push((n, blocked - now));
            } else if repeats {
                free[n] = true;
            } else if times.len() >= limit {
                let room = times.len() - limit;
                let mut wait = times.get(room).map_or(window, |at| at + window - now);
                if !ask.quota.block.is_zero() {
                    let block = ask.quota.block.as_millis() as i64;
                    self.blocked.insert((ask.rule, ask.subject.clone()), now + block);
                    wait = wait.max(block);
                }
                waits.push((n, wait));
            }
        }
        let longest = waits.iter().map(|(_, wait)| *wait).max();
        let refused = waits.into_iter().find(|(_, wait)| Some(*wait) == longest);
        if refused.is_none() {
            for (ask, free) in asks.iter().zip(&free) {
                if !free {
                    self.admitted.push((ask.rule, ask.subject.clone(), now, ask.once.clone()));
                }
            }
        }
        let standings = asks.iter().map(|ask| self.standing(ask, now)).collect();
        Verdict { standings, refused: refused.map(|(n, wait)| (n, Duration::from_millis(wait as u64))) }
    }

    fn of(&self, ask: &Ask, now: i64) -> impl Iterator<Item = &(Rule, String, i64, Option<String>)> {
        let (rule, subject) = (ask.rule, ask.subject.clone());
        let since = now - ask.quota.window.as_millis() as i64;
        self.admitted.iter().filter(move |(of, by, at, _)| *of == rule && *by == subject && *at > since)
    }

    fn standing(&self, ask: &Ask, now: i64) -> Standing {
        let window = ask.quota.window.as_millis() as i64;
        let blocked = self.blocked.get(&(ask.rule, ask.subject.clone())).copied().unwrap_or(0);
        let counted = self.of(ask, now).count() as u64;
        let reset = if now < blocked {
            blocked - now
        } else {
            self.of(ask, now).next().map_or(0, |(_, _, at, _)| at + window - now)
        };
        let remaining = if now < blocked { 0 } else { ask.quota.limit.saturating_sub(counted) };
        let reset = Duration::from_millis(reset as u64);
        Standing { rule: ask.rule, limit: ask.quota.limit, window: ask.quota.window, remaining, reset }
    }

    /// What no question will look at again.
    fn forget(&mut self, now: i64) {
        self.admitted.retain(|(_, _, at, _)| *at > now - 2_000);
    }
}

#[tokio::test]
async fn a_hundred_thousand_random_arrivals_are_judged_as_by_a_plain_list() {
    let (limits, clock) = open(SUBJECTS_PER_RULE);
    let random = SeededRandom::new(42);
    let draw = |below: u32| {
        let mut bytes = [0; 4];
        random.fill(&mut bytes);
        u32::from_le_bytes(bytes) % below
    };
    let mut plain = Plain::default();
    let mut refused = 0;
    for arrival in 0..100_000u32 {
        if draw(3) == 0 {
            clock.advance(Duration::from_millis(u64::from(draw(if arrival % 100 == 0 { 3_000 } else { 30 }))));
        }
        let subject = |n: u32| format!("s{}", draw(n));
        // The limits change at times, as with a user's tier.
        let times = if draw(50) == 0 { 5 } else { 1 };
        let mut asks = vec![ask(Rule::Api, subject(4), 20 * times, 1_500, 0)];
        match draw(4) {
            0 => {
                let mut ask = ask(Rule::Messaging, subject(4), 6 * times, 400, 0);
                ask.once = (draw(2) == 0).then(|| format!("m{}", draw(12)));
                asks.push(ask);
            }
            1 => {
                asks = vec![
                    ask(Rule::Auth, subject(3), 5, 1_000, 1_000),
                    ask(Rule::Auth, format!("name-{}", draw(3)), 5, 1_000, 1_000),
                ]
            }
            _ => {}
        }
        let expected = plain.admit(&asks, clock.now().0);
        let verdict = limits.admit(&asks).await.unwrap();
        assert_eq!(verdict, expected, "arrival {arrival}: {asks:?}");
        refused += u32::from(!verdict.is_admitted());
        if arrival % 64 == 0 {
            plain.forget(clock.now().0);
        }
    }
    assert!((10_000..90_000).contains(&refused), "{refused} refusals tell little");
}

#[tokio::test]
async fn a_clock_that_is_set_back_admits_nothing_early() {
    let (limits, clock) = open(SUBJECTS_PER_RULE);
    let ask = ask(Rule::Messaging, "u1".into(), 2, 1_000, 0);
    clock.advance(Duration::from_secs(100));
    for _ in 0..2 {
        assert!(limits.admit(std::slice::from_ref(&ask)).await.unwrap().is_admitted());
    }
    let back = ManualClock::at(Timestamp(clock.now().0 - 50_000));
    let limits = LocalLimits { ambient: Ambient { clock: back.clone(), ..limits.ambient.clone() }, ..limits };
    let (_, wait) = limits.admit(std::slice::from_ref(&ask)).await.unwrap().refused.unwrap();
    assert_eq!(wait, Duration::from_millis(1_000));
    back.advance(wait);
    assert!(limits.admit(std::slice::from_ref(&ask)).await.unwrap().is_admitted(), "nor does it lock anybody out");
}

#[tokio::test]
async fn sprayed_addresses_take_a_bounded_room_and_open_no_sign_in() {
    let (limits, clock) = open(1_000);
    for n in 0..20_000 {
        limits.admit(&[ask(Rule::Auth, format!("a{n}"), 5, 60_000, 0)]).await.unwrap();
        limits.admit(&[ask(Rule::Api, format!("a{n}"), 5, 60_000, 0)]).await.unwrap();
    }
    let most = 1_000usize.div_ceil(STRIPES) * STRIPES;
    assert!(limits.len() <= 2 * most, "{}", limits.len());
    let strangers: Vec<bool> = futures::future::join_all((0..200).map(async |n| {
        let auth = limits.admit(&[ask(Rule::Auth, format!("b{n}"), 5, 60_000, 0)]).await.unwrap();
        let api = limits.admit(&[ask(Rule::Api, format!("b{n}"), 5, 60_000, 0)]).await.unwrap();
        assert!(api.is_admitted());
        auth.is_admitted()
    }))
    .await;
    assert!(strangers.iter().all(|admitted| !admitted));
    assert!(limits.admit(&[ask(Rule::Messaging, "u1".into(), 1, 60_000, 0)]).await.unwrap().is_admitted());
    // When the windows are empty there is room again.
    clock.advance(Duration::from_secs(61));
    assert!(limits.admit(&[ask(Rule::Auth, "b0".into(), 5, 60_000, 0)]).await.unwrap().is_admitted());
}

#[tokio::test]
async fn windows_that_are_empty_are_given_up() {
    let (limits, clock) = open(SUBJECTS_PER_RULE);
    for n in 0..10_000 {
        limits.admit(&[ask(Rule::Api, format!("u{n}"), 5, 1_000, 0)]).await.unwrap();
    }
    assert_eq!(limits.len(), 10_000);
    clock.advance(SWEEP_EVERY);
    for n in 0..10_000 {
        limits.admit(&[ask(Rule::Api, format!("v{n}"), 5, 1_000, 0)]).await.unwrap();
    }
    // Some 40 of them came to each stripe, and each sweeps when somebody comes to it.
    assert_eq!(limits.len(), 10_000);
}

#[tokio::test]
async fn a_heavy_user_costs_a_pair_of_numbers_a_millisecond() {
    let (limits, clock) = open(SUBJECTS_PER_RULE);
    let ask = ask(Rule::Api, "u1".into(), 1_000_000_000, 60_000, 0);
    for n in 0..100_000 {
        limits.admit(std::slice::from_ref(&ask)).await.unwrap();
        if n % 1_000 == 0 {
            clock.advance(Duration::from_millis(1));
        }
    }
    let stripe = limits.stripes.of("u1");
    assert_eq!(stripe.windows[Rule::Api as usize]["u1"].size(), 101);
}
