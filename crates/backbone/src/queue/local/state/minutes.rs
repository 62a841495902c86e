//! How many jobs ended in each minute, told as BullMQ tells it.

use crate::queue::board::{METRIC_MINUTES, Metrics};
use aim_domain::Timestamp;
use std::collections::VecDeque;

const MINUTE: i64 = 60_000;

#[derive(Default)]
pub(super) struct Minutes {
    total: u64,
    /// When a minute was last told; none before the first job.
    told_at: Option<Timestamp>,
    told: u64,
    /// The newest first.
    minutes: VecDeque<u64>,
}

impl Minutes {
    /// One more ended. What ended before, since a minute was last told, is told of the first minute after that.
    pub fn count(&mut self, now: Timestamp) {
        let before = self.total;
        self.total += 1;
        let Some(told_at) = self.told_at else {
            self.told_at = Some(now);
            return;
        };
        let passed = usize::try_from(now.0.div_euclid(MINUTE) - told_at.0.div_euclid(MINUTE)).unwrap_or(0);
        if passed == 0 {
            return;
        }
        self.minutes.push_front(before - self.told);
        for _ in 1..passed.min(METRIC_MINUTES) {
            self.minutes.push_front(0);
        }
        self.minutes.truncate(METRIC_MINUTES);
        (self.told_at, self.told) = (Some(now), before);
    }

    pub fn tell(&self) -> Metrics {
        Metrics {
            total: self.total,
            told_at: self.told_at.unwrap_or_default(),
            told: self.told,
            minutes: self.minutes.iter().copied().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_minute_is_told_once_and_empty_ones_are_zero() {
        let mut minutes = Minutes::default();
        for (at, times) in [(0, 3), (MINUTE, 2), (4 * MINUTE, 1)] {
            (0..times).for_each(|n| minutes.count(Timestamp(at + n)));
        }
        let told = minutes.tell();
        assert_eq!((told.total, told.told, told.minutes), (6, 5, vec![0, 0, 2, 3]));
        minutes.count(Timestamp(i64::MAX / 2));
        assert_eq!(minutes.tell().minutes.len(), METRIC_MINUTES);
    }
}
