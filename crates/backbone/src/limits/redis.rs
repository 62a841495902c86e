//! Windows in Redis, on Redis's own clock: every server sees the same ones, whatever its own clock says. Questions that
//! belong together are one call of `admit.lua`, which also says how a window is kept.
//!
//! In a Cluster a call touches one slot. Questions about different subjects then are calls of their own, made at once;
//! where one of them refuses, what the others counted is withdrawn. Between the two it counts, so somebody may be
//! refused who would have had room: never is anybody admitted too early. The same holds for a question that is asked
//! twice in one call.
//!
//! Bounded by time: a window's key lives as long as its block and its youngest admission count. A Redis that has no
//! memory left refuses the script before it does anything.

use super::{Ask, Limits, Standing, Verdict};
use crate::Fault;
use crate::keys::Names;
use crate::link::{Call, Client, Link, Need, Script};
use aim_domain::id::hex;
use aim_domain::{Millis, Rule};
use async_trait::async_trait;
use futures::future::{join_all, try_join_all};
use metrics::{Counter, counter};
use sha2::{Digest, Sha256};
use std::time::Duration;

static ADMIT: Script = Script::new(include_str!("scripts/admit.lua"));
static WITHDRAW: Script = Script::new(include_str!("scripts/withdraw.lua"));

/// Bytes of one question's answer.
const ANSWER: usize = 25;
/// A longer window or block, of a year, is none.
const LONGEST: u128 = 365 * 24 * 60 * 60 * 1_000;

pub struct RedisLimits {
    client: Client,
    names: Names,
    refused: [Counter; Rule::ALL.len()],
}

/// What the windows say of some questions.
pub(super) struct Judgement {
    pub verdict: Verdict,
    answers: Vec<Answer>,
}

impl Judgement {
    /// Of other windows than those in Redis: there is nothing in Redis to withdraw.
    pub fn elsewhere(verdict: Verdict) -> Self {
        Self { verdict, answers: Vec::new() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Became {
    Counted,
    /// Admitted without being counted: a repeated name.
    Free,
    Full,
    /// Nothing is left, whatever the limit.
    Blocked,
}

#[derive(Clone, Copy, Debug)]
struct Answer {
    became: Became,
    wait: Duration,
    /// Admissions in the window.
    counted: u64,
    reset: Duration,
    /// The window's time.
    at: Millis,
}

impl RedisLimits {
    pub fn new(client: Client) -> Self {
        let names = Names::of(&client);
        let refused = Rule::ALL.map(|rule| counter!("aim_limits_refused_total", "rule" => rule.as_str()));
        Self { client, names, refused }
    }

    pub(super) fn link(&self) -> &Link {
        self.client.link()
    }

    pub(super) async fn judge(&self, asks: &[Ask]) -> Result<Judgement, Fault> {
        let answers = match self.calls(asks).as_slice() {
            [] => Vec::new(),
            [_] => self.ask(asks, &(0..asks.len()).collect::<Vec<_>>()).await?,
            calls => self.ask_all(asks, calls).await?,
        };
        let refused = answers.iter().enumerate().filter(|(_, answer)| answer.refuses());
        let refused = refused.max_by_key(|(n, answer)| (answer.wait, std::cmp::Reverse(*n)));
        let refused = refused.map(|(n, answer)| (n, answer.wait));
        let standings = asks.iter().zip(&answers).map(|(ask, answer)| answer.standing(ask)).collect();
        for (ask, answer) in asks.iter().zip(&answers) {
            if answer.refuses() {
                self.refused[ask.rule as usize].increment(1);
            }
        }
        Ok(Judgement { verdict: Verdict { standings, refused }, answers })
    }

    /// Takes back what an admitting judgement counted. Where Redis does not hear it, it stays counted.
    pub(super) async fn withdraw(&self, asks: &[Ask], judgement: &mut Judgement) {
        self.take_back(asks, &mut judgement.answers).await;
        for ((ask, answer), standing) in asks.iter().zip(&judgement.answers).zip(&mut judgement.verdict.standings) {
            *standing = answer.standing(ask);
        }
    }

    /// Which questions go into one call: those of one slot, and none twice.
    fn calls(&self, asks: &[Ask]) -> Vec<Vec<usize>> {
        let mut calls: Vec<Vec<usize>> = Vec::new();
        for (n, ask) in asks.iter().enumerate() {
            let fits = |call: &&mut Vec<usize>| {
                call.iter().all(|&other| {
                    let same_subject = asks[other].subject == ask.subject;
                    if same_subject { asks[other].rule != ask.rule } else { !self.client.is_cluster() }
                })
            };
            match calls.iter_mut().find(fits) {
                Some(call) => call.push(n),
                None => calls.push(vec![n]),
            }
        }
        calls
    }

    async fn ask_all(&self, asks: &[Ask], calls: &[Vec<usize>]) -> Result<Vec<Answer>, Fault> {
        let answered = try_join_all(calls.iter().map(|call| self.ask(asks, call))).await?;
        let mut answers: Vec<_> = calls.iter().flatten().zip(answered.into_iter().flatten()).collect();
        answers.sort_unstable_by_key(|(n, _)| **n);
        let mut answers: Vec<_> = answers.into_iter().map(|(_, answer)| answer).collect();
        if answers.iter().any(Answer::refuses) {
            // A call that refused counted nothing.
            let refused = |call: &&Vec<usize>| call.iter().any(|&n| answers[n].refuses());
            let uncounted: Vec<usize> = calls.iter().filter(refused).flatten().copied().collect();
            uncounted.into_iter().for_each(|n| answers[n].became = answers[n].became.uncounted());
            self.take_back(asks, &mut answers).await;
        }
        Ok(answers)
    }

    /// One call of the script.
    async fn ask(&self, asks: &[Ask], call: &[usize]) -> Result<Vec<Answer>, Fault> {
        let mut keys: Vec<String> = Vec::with_capacity(call.len() + 1);
        keys.extend(call.iter().map(|&n| self.names.rate_limit(asks[n].rule, &asks[n].subject)));
        let named = || call.iter().enumerate().filter_map(|(i, &n)| Some((i, self.name(&asks[n])?)));
        keys.extend(named().map(|(_, name)| name));
        let mut script = ADMIT.call(&keys);
        for &n in call {
            let quota = asks[n].quota;
            script = script.arg(quota.limit).arg(millis(quota.window).max(1)).arg(millis(quota.block));
        }
        for (i, _) in named() {
            script = script.arg(i + 1);
        }
        let answer: Vec<u8> = self.client.script(Need::Write, &script).await?;
        let answers: Option<Vec<_>> = answer.chunks(ANSWER).map(Answer::read).collect();
        answers
            .filter(|answers| answers.len() == call.len())
            .ok_or_else(|| Fault::new("limits", "an answer of another form than expected"))
    }

    async fn take_back(&self, asks: &[Ask], answers: &mut [Answer]) {
        let mut calls: Vec<Vec<usize>> = self.calls(asks);
        calls.iter_mut().for_each(|call| call.retain(|&n| answers[n].became == Became::Counted));
        let calls = calls.iter().filter(|call| !call.is_empty()).map(|call| {
            let keys = call.iter().map(|&n| self.names.rate_limit(asks[n].rule, &asks[n].subject));
            let names = call.iter().filter_map(|&n| self.name(&asks[n]));
            let keys: Vec<String> = keys.chain(names).collect();
            call.iter().fold(WITHDRAW.call(&keys), |script, &n| script.arg(answers[n].at))
        });
        let calls: Vec<Call> = calls.collect();
        join_all(calls.iter().map(|call| self.client.script::<()>(Need::Write, call))).await;
        for answer in answers.iter_mut().filter(|answer| answer.became == Became::Counted) {
            answer.became = Became::Free;
            answer.counted = answer.counted.saturating_sub(1);
            if answer.counted == 0 {
                answer.reset = Duration::ZERO;
            }
        }
    }

    /// The key of a question's name. Names are hashed: they may be long, and are nobody's business in a key.
    fn name(&self, ask: &Ask) -> Option<String> {
        let hash = Sha256::digest(ask.once.as_deref()?.as_bytes());
        Some(self.names.rate_limit_name(ask.rule, &ask.subject, &hex(&hash[..16])))
    }
}

impl Became {
    /// The same where the whole call refused.
    fn uncounted(self) -> Self {
        if self == Self::Counted { Self::Free } else { self }
    }
}

impl Answer {
    fn read(bytes: &[u8]) -> Option<Self> {
        let number = |from: usize| {
            let mut number = [0; 8];
            number[..6].copy_from_slice(bytes.get(from..from + 6)?);
            Some(u64::from_le_bytes(number))
        };
        Some(Self {
            became: match bytes.first()? {
                0 => Became::Counted,
                1 => Became::Free,
                2 => Became::Full,
                3 => Became::Blocked,
                _ => return None,
            },
            wait: Duration::from_millis(number(1)?),
            counted: number(7)?,
            reset: Duration::from_millis(number(13)?),
            at: Millis::try_from(number(19)?).ok()?,
        })
    }

    fn refuses(&self) -> bool {
        matches!(self.became, Became::Full | Became::Blocked)
    }

    fn standing(&self, ask: &Ask) -> Standing {
        let remaining = match self.became {
            Became::Blocked => 0,
            _ => ask.quota.limit.saturating_sub(self.counted),
        };
        // A window that admits nothing is empty, and yet has to be waited for.
        let reset = if self.counted == 0 { self.reset.max(self.wait) } else { self.reset };
        Standing { rule: ask.rule, limit: ask.quota.limit, window: ask.quota.window, remaining, reset }
    }
}

fn millis(length: Duration) -> u64 {
    // Far below the range of u64.
    length.as_millis().min(LONGEST) as u64
}

#[async_trait]
impl Limits for RedisLimits {
    async fn admit(&self, asks: &[Ask]) -> Result<Verdict, Fault> {
        Ok(self.judge(asks).await?.verdict)
    }

    async fn clear(&self, rule: Rule, subject: &str) -> Result<(), Fault> {
        let key = self.names.rate_limit(rule, subject);
        self.client.query(Need::Write, redis::cmd("DEL").arg(key)).await
    }
}

#[cfg(test)]
mod tests;
