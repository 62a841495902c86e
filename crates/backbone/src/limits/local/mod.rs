//! Windows in this process.
//!
//! Bounded: a subject's window keeps one pair of numbers for each millisecond that admitted something, and a rule keeps
//! at most [`SUBJECTS_PER_RULE`] windows. Beyond those `auth` refuses new subjects, and the other rules admit them
//! uncounted: whoever sprays addresses gains nothing at the one and shuts nobody out of the others.

mod window;

use super::{Ask, Limits, Standing, Verdict};
use crate::Fault;
use crate::stripes::Stripes;
use aim_domain::{Ambient, Rule, Timestamp};
use async_trait::async_trait;
use metrics::{Counter, counter};
use parking_lot::MutexGuard;
use std::collections::HashMap;
use std::time::Duration;
use window::Window;

/// Windows kept for one rule; some 200 bytes each.
pub const SUBJECTS_PER_RULE: usize = 1_000_000;

const STRIPES: usize = 256;
/// How often a stripe is cleared of windows that are empty.
const SWEEP_EVERY: Duration = Duration::from_secs(30);
/// How soon a full stripe is cleared again, and the wait that a new subject of `auth` is told then.
const SWEEP_FULL_EVERY: Duration = Duration::from_secs(1);

pub struct LocalLimits {
    stripes: Stripes<Stripe, STRIPES>,
    /// Windows that a rule may keep in one stripe.
    room: usize,
    ambient: Ambient,
    refused: [Counter; Rule::ALL.len()],
    overflown: [Counter; Rule::ALL.len()],
}

/// The subjects that fall on one lock, by rule: many of one rule take no other rule's room.
#[derive(Default)]
struct Stripe {
    windows: [HashMap<Box<str>, Window>; Rule::ALL.len()],
    swept_at: Timestamp,
}

impl Stripe {
    fn sweep(&mut self, now: Timestamp, every: Duration) {
        if now.since(self.swept_at) < every && self.swept_at <= now {
            return;
        }
        self.swept_at = now;
        for windows in &mut self.windows {
            windows.retain(|_, window| !window.is_over(now));
            if windows.len() < windows.capacity() / 4 {
                windows.shrink_to(windows.len() * 2);
            }
        }
    }
}

impl LocalLimits {
    pub fn new(ambient: &Ambient) -> Self {
        Self::with_room(ambient, SUBJECTS_PER_RULE)
    }

    /// With another bound on the subjects of a rule; it holds within the evenness of hashing.
    pub fn with_room(ambient: &Ambient, subjects_per_rule: usize) -> Self {
        let of = |name: &'static str| Rule::ALL.map(|rule| counter!(name, "rule" => rule.as_str()));
        Self {
            stripes: Stripes::new(),
            room: subjects_per_rule.div_ceil(STRIPES),
            ambient: ambient.clone(),
            refused: of("aim_limits_refused_total"),
            overflown: of("aim_limits_overflow_total"),
        }
    }

    /// Windows kept now, over all rules.
    pub fn len(&self) -> usize {
        self.stripes.each().map(|stripe| stripe.windows.iter().map(HashMap::len).sum::<usize>()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a question gets, before it is known whether the others agree.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Count,
    /// Admitted without being counted: a repeated name, or a rule that has no room for another subject.
    Free,
    Refuse(Duration),
}

impl LocalLimits {
    /// Locks the stripes of all questions in ascending order, so that two calls never wait for each other; and says
    /// which of them is each question's.
    fn lock(&self, asks: &[Ask]) -> (Vec<MutexGuard<'_, Stripe>>, Vec<usize>) {
        let mut of: Vec<usize> = asks.iter().map(|ask| self.stripes.index(ask.subject.as_str())).collect();
        let mut order = of.clone();
        order.sort_unstable();
        order.dedup();
        of.iter_mut().for_each(|index| *index = order.partition_point(|other| other < index));
        (order.into_iter().map(|index| self.stripes.at(index)).collect(), of)
    }

    fn decide(&self, asks: &[Ask]) -> Verdict {
        let (mut held, of) = self.lock(asks);
        // Read under the locks: a window's admissions are in the order of the clock.
        let now = self.ambient.now();
        held.iter_mut().for_each(|stripe| stripe.sweep(now, SWEEP_EVERY));

        let mut answers: Vec<Answer> = Vec::with_capacity(asks.len());
        for (n, ask) in asks.iter().enumerate() {
            let same = |(other, answer): &(&Ask, &Answer)| {
                other.rule == ask.rule && other.subject == ask.subject && **answer == Answer::Count
            };
            let before = asks.iter().zip(&answers).filter(same).count() as u64;
            answers.push(self.answer(&mut held[of[n]], ask, before, now));
        }
        let refused = answers
            .iter()
            .enumerate()
            .filter_map(|(n, answer)| if let Answer::Refuse(wait) = answer { Some((n, *wait)) } else { None })
            .max_by_key(|(n, wait)| (*wait, std::cmp::Reverse(*n)));

        let mut standings = Vec::with_capacity(asks.len());
        for (n, ask) in asks.iter().enumerate() {
            let windows = &mut held[of[n]].windows[ask.rule as usize];
            match answers[n] {
                Answer::Count if refused.is_none() => match windows.get_mut(ask.subject.as_str()) {
                    Some(window) => window.admit(now, ask.once.as_deref()),
                    None => {
                        let mut window = Window::new(now, ask.quota);
                        window.admit(now, ask.once.as_deref());
                        windows.insert(ask.subject.as_str().into(), window);
                    }
                },
                Answer::Refuse(_) => self.refused[ask.rule as usize].increment(1),
                _ => {}
            }
        }
        for (n, ask) in asks.iter().enumerate() {
            let window = held[of[n]].windows[ask.rule as usize].get(ask.subject.as_str());
            let (remaining, reset) = match (window, answers[n]) {
                (Some(window), _) => window.standing(now, ask.quota.limit),
                (None, Answer::Refuse(wait)) => (0, wait),
                (None, _) => (ask.quota.limit, Duration::ZERO),
            };
            let Ask { rule, quota, .. } = ask;
            standings.push(Standing { rule: *rule, limit: quota.limit, window: quota.window, remaining, reset });
        }
        Verdict { standings, refused }
    }

    /// `before`: how often this very question was counted in this call already.
    fn answer(&self, stripe: &mut Stripe, ask: &Ask, before: u64, now: Timestamp) -> Answer {
        let rule = ask.rule as usize;
        if let Some(window) = stripe.windows[rule].get_mut(ask.subject.as_str()) {
            window.settle(now, ask.quota);
            let is_repeat = ask.once.as_deref().is_some_and(|name| window.knows(name));
            if is_repeat && !window.is_blocked(now) {
                return Answer::Free;
            }
            return window.wait(now, ask.quota, before).map_or(Answer::Count, Answer::Refuse);
        }
        if ask.quota.limit <= before {
            return Answer::Refuse(ask.quota.window);
        }
        if stripe.windows[rule].len() >= self.room {
            stripe.sweep(now, SWEEP_FULL_EVERY);
        }
        if stripe.windows[rule].len() < self.room {
            return Answer::Count;
        }
        self.overflown[rule].increment(1);
        if ask.rule == Rule::Auth { Answer::Refuse(SWEEP_FULL_EVERY) } else { Answer::Free }
    }
}

#[async_trait]
impl Limits for LocalLimits {
    async fn admit(&self, asks: &[Ask]) -> Result<Verdict, Fault> {
        Ok(self.decide(asks))
    }

    async fn clear(&self, rule: Rule, subject: &str) -> Result<(), Fault> {
        self.stripes.of(subject).windows[rule as usize].remove(subject);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
