//! Windows in Redis while it answers, and in this process else.
//!
//! In an outage this process counts by itself, each quota divided by the servers that live. A repeated name that Redis
//! counted before is counted once more here, and a block that Redis began is not known here: it goes on when Redis is
//! back.
//!
//! On recovery Redis decides alone again where it kept what it had: its windows and this process's admit at most the
//! limit each. Where it may have lost something (its epoch is another one), its windows may admit the limit once more, a
//! third time. So for the length of each rule's window both are asked: Redis, and the windows here, with the divided
//! quota. Then all that is admitted from the loss on is within the windows of the servers, and those of before within
//! Redis's old ones.
//!
//! A process that starts within a window of such a loss knows nothing of it, and asks Redis alone.

use super::local::LocalLimits;
use super::redis::{Judgement, RedisLimits};
use super::{Ask, Limits, Verdict};
use crate::{Fault, Fleet, pair::Fallback};
use aim_domain::Rule;
use async_trait::async_trait;
use parking_lot::Mutex;
use std::time::{Duration, Instant};

pub struct LimitsPair {
    redis: RedisLimits,
    local: LocalLimits,
    fleet: Fleet,
    fallback: Fallback,
    trust: Mutex<Trust>,
}

/// How far back Redis's windows are known to reach.
#[derive(Default)]
struct Trust {
    /// Redis's epoch, as of the last question; 0 before the first that found Redis.
    epoch: u64,
    /// Whether this process decided anything.
    decided_here: bool,
    /// When Redis was first asked after it may have lost its windows.
    lost_at: Option<Instant>,
}

impl Trust {
    /// How long ago Redis may have lost its windows; none: not that anybody knew.
    fn since_loss(&mut self, epoch: u64) -> Option<Duration> {
        if epoch != self.epoch && epoch != 0 {
            if self.epoch != 0 || self.decided_here {
                self.lost_at = Some(Instant::now());
            }
            self.epoch = epoch;
        }
        self.lost_at.map(|at| at.elapsed())
    }
}

impl LimitsPair {
    pub fn new(redis: RedisLimits, local: LocalLimits, fleet: Fleet) -> Self {
        Self { redis, local, fleet, fallback: Fallback::new("limits"), trust: Mutex::default() }
    }

    /// This process's part of a question.
    fn divided(&self, ask: &Ask) -> Ask {
        let mut ask = ask.clone();
        if ask.quota.limit > 0 {
            ask.quota.limit = (ask.quota.limit / self.fleet.servers()).max(1);
        }
        ask
    }

    pub(super) async fn judge(&self, asks: &[Ask]) -> Result<Judgement, Fault> {
        let judgement = match self.redis.judge(asks).await {
            Ok(judgement) => judgement,
            Err(fault) => {
                self.fallback.note(&fault);
                return Ok(Judgement::elsewhere(self.ask_here(asks).await?));
            }
        };
        // The epoch is known before the first answer of a connection.
        let Some(since) = self.trust.lock().since_loss(self.redis.link().epoch()) else { return Ok(judgement) };
        let shared: Vec<usize> = (0..asks.len()).filter(|&n| since < asks[n].quota.window).collect();
        if shared.is_empty() || !judgement.verdict.is_admitted() {
            return Ok(judgement);
        }
        self.agree(asks, judgement, &shared).await
    }

    /// What this process's windows say. The limit that is told is the rule's own; what remains is here.
    async fn ask_here(&self, asks: &[Ask]) -> Result<Verdict, Fault> {
        self.trust.lock().decided_here = true;
        let divided: Vec<Ask> = asks.iter().map(|ask| self.divided(ask)).collect();
        let mut verdict = self.local.admit(&divided).await?;
        for (standing, ask) in verdict.standings.iter_mut().zip(asks) {
            standing.limit = ask.quota.limit;
        }
        Ok(verdict)
    }

    /// Redis admits; these of the questions the windows here have to admit as well.
    async fn agree(&self, asks: &[Ask], mut judgement: Judgement, shared: &[usize]) -> Result<Judgement, Fault> {
        let here: Vec<Ask> = shared.iter().map(|&n| asks[n].clone()).collect();
        let here = self.ask_here(&here).await?;
        if !here.is_admitted() {
            self.redis.withdraw(asks, &mut judgement).await;
        }
        let verdict = &mut judgement.verdict;
        verdict.refused = here.refused.and_then(|(n, wait)| Some((*shared.get(n)?, wait)));
        for (&n, standing) in shared.iter().zip(here.standings) {
            if standing.remaining <= verdict.standings[n].remaining {
                verdict.standings[n] = standing;
            }
        }
        Ok(judgement)
    }
}

#[async_trait]
impl Limits for LimitsPair {
    async fn admit(&self, asks: &[Ask]) -> Result<Verdict, Fault> {
        Ok(self.judge(asks).await?.verdict)
    }

    async fn clear(&self, rule: Rule, subject: &str) -> Result<(), Fault> {
        self.local.clear(rule, subject).await?;
        self.redis.clear(rule, subject).await.or_else(|fault| {
            self.fallback.note(&fault);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests;
