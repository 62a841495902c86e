//! Turn-taking in this process.

mod line;
mod lines;
mod ranked;

use super::{Moved, Settings, Turn, Turns};
use crate::Fault;
use aim_domain::{Ambient, CharacterId, ConversationId, ConversationState, MessageId, Timestamp};
use async_trait::async_trait;
use lines::Lines;
use metrics::{Counter, Gauge, counter, gauge};
use parking_lot::Mutex;
use std::time::Duration;

pub struct LocalTurns {
    /// One lock: what is done under it takes microseconds, whatever the length of the lines.
    lines: Mutex<Lines>,
    ambient: Ambient,
    waiting: Gauge,
    held: Gauge,
    expired: Counter,
}

impl LocalTurns {
    pub fn new(settings: Settings, ambient: &Ambient) -> Self {
        Self {
            lines: Mutex::new(Lines::new(settings)),
            ambient: ambient.clone(),
            waiting: gauge!("aim_turns_waiting"),
            held: gauge!("aim_turns_granted"),
            expired: counter!("aim_turns_expired_total"),
        }
    }

    /// Whether this turn holds a slot here.
    pub(super) fn holds(&self, turn: &Turn) -> bool {
        self.lines.lock().holds(turn)
    }

    /// Drops what waits; what is granted keeps its slot until it ends.
    pub(super) fn forget_waiting(&self) {
        if self.lines.lock().sizes().0 > 0 {
            self.change(|lines, _| lines.forget_waiting());
        }
    }

    /// Drops all of it.
    pub(super) fn forget(&self) {
        if self.lines.lock().sizes() != (0, 0) {
            self.change(|lines, _| lines.forget());
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Lines, Timestamp) -> T) -> T {
        let mut lines = self.lines.lock();
        let answer = change(&mut lines, self.ambient.now());
        let (waiting, held) = lines.sizes();
        self.waiting.set(waiting as f64);
        self.held.set(held as f64);
        answer
    }
}

#[async_trait]
impl Turns for LocalTurns {
    async fn enter(&self, turn: Turn) -> Result<Moved, Fault> {
        Ok(self.change(|lines, now| lines.enter(turn, now)))
    }

    async fn renew(&self, turn: &Turn) -> Result<bool, Fault> {
        Ok(self.change(|lines, now| lines.renew(turn, now)))
    }

    async fn finish(&self, turn: &Turn) -> Result<Moved, Fault> {
        Ok(self.change(|lines, now| lines.finish(turn, now)))
    }

    async fn withdraw(
        &self,
        _: &CharacterId,
        conversation: &ConversationId,
        messages: &[MessageId],
    ) -> Result<Moved, Fault> {
        Ok(self.change(|lines, now| lines.withdraw(conversation, messages, now)))
    }

    async fn expire(&self) -> Result<Moved, Fault> {
        let (moved, lost) = self.change(Lines::expire);
        self.expired.increment(lost as u64);
        Ok(moved)
    }

    async fn state(&self, _: &CharacterId, conversation: &ConversationId) -> Result<ConversationState, Fault> {
        Ok(self.lines.lock().state(conversation))
    }

    async fn knows(&self, turn: &Turn) -> Result<bool, Fault> {
        Ok(self.lines.lock().knows(turn))
    }

    async fn granted(&self, _: Duration) -> Result<Vec<Turn>, Fault> {
        Ok(self.lines.lock().granted())
    }
}

#[cfg(test)]
mod tests;
