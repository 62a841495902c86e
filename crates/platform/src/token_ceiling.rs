//! The daily ceiling of tokens: what this day has cost so far, over all users.
//!
//! The count is read from the store once a day and at every start, and raised as replies end; other servers' replies are
//! seen when it is read again, a minute later at most.

use crate::Platform;
use crate::faults::OrRefuse;
use aim_ai::tokens::Ceiling;
use aim_domain::Refusal;
use aim_store::ModelTokens;
use parking_lot::Mutex;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

const READ_AGAIN: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(crate) struct DailyTokens {
    known: Mutex<Option<Day>>,
    /// Told when the store counted some.
    pub stored: Notify,
}

struct Day {
    day: String,
    used: u64,
    read: Instant,
}

impl DailyTokens {
    pub fn add(&self, day: &str, tokens: u64) {
        if let Some(today) = self.known.lock().as_mut().filter(|today| today.day == day) {
            today.used = today.used.saturating_add(tokens);
        }
    }

    fn used(&self, day: &str) -> Option<u64> {
        let known = self.known.lock();
        known.as_ref().filter(|known| known.day == day && known.read.elapsed() < READ_AGAIN).map(|known| known.used)
    }
}

impl Platform {
    /// Tokens and requests by model of one UTC day.
    pub async fn tokens_on(&self, day: &str) -> Result<Vec<ModelTokens>, Refusal> {
        self.store.tokens_between(day, day).await.or_refuse()
    }

    pub(crate) async fn check_token_ceiling(&self) -> Result<(), Refusal> {
        if self.settings.daily_tokens == 0 {
            return Ok(());
        }
        let day = self.ambient.now().day();
        let used = match self.tokens.used(&day) {
            Some(used) => used,
            None => {
                let rows = self.tokens_on(&day).await?;
                let used = rows.iter().map(|row| row.prompt.saturating_add(row.completion)).sum();
                *self.tokens.known.lock() = Some(Day { day, used, read: Instant::now() });
                used
            }
        };
        if Ceiling(Some(self.settings.daily_tokens)).allows(used) {
            Ok(())
        } else {
            Err(Refusal::unavailable(
                "This server has used all its tokens of today. Characters answer again after midnight UTC.",
            ))
        }
    }
}
