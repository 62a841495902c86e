//! How much of the daily allowance is used: per user and character, for 24 hours from the first use.

use crate::account::Tier;
use crate::message::Kind;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// The day that an allowance lasts, counted from its first use.
pub const USAGE_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

/// The free tier's allowance per user and character in 24 h; API.md part 2.
pub const FREE_USAGE: [(Kind, u64); 3] = [(Kind::Text, 30), (Kind::Audio, 5), (Kind::Image, 5)];

/// What of one kind may be sent in a day by `tier`; none is without end. `multiplier` is `AIM_USAGE__MULTIPLIER`.
pub fn usage_limit(tier: Tier, kind: Kind, multiplier: u64) -> Option<u64> {
    match tier {
        Tier::Premium => None,
        Tier::Free => FREE_USAGE.iter().find(|(of, _)| *of == kind).map(|(_, limit)| limit.saturating_mul(multiplier)),
    }
}

/// The store's row: what was sent since the first use. Outside its 24 hours it counts as empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageCount {
    pub text: u64,
    pub audio: u64,
    pub image: u64,
    /// The first use of this window; none before it.
    pub since: Option<Timestamp>,
    /// Raised by every change, so that an older copy is known for one.
    pub version: i64,
}

impl UsageCount {
    pub fn of(&self, kind: Kind) -> u64 {
        match kind {
            Kind::Text => self.text,
            Kind::Audio => self.audio,
            Kind::Image => self.image,
        }
    }

    /// The row as it counts at `now`: emptied when its window is over.
    pub fn at(self, now: Timestamp) -> Self {
        match self.since {
            Some(since) if now < since.plus(USAGE_WINDOW) => self,
            _ => Self { version: self.version, ..Self::default() },
        }
    }

    /// The row after one more use at `now`.
    pub fn raised(self, kind: Kind, now: Timestamp) -> Self {
        let mut row = self.at(now);
        row.since.get_or_insert(now);
        row.version += 1;
        match kind {
            Kind::Text => row.text += 1,
            Kind::Audio => row.audio += 1,
            Kind::Image => row.image += 1,
        }
        row
    }

    pub fn is_full(&self, kind: Kind, limit: Option<u64>, now: Timestamp) -> bool {
        limit.is_some_and(|limit| self.at(now).of(kind) >= limit)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Allowance {
    pub used: u64,
    /// Null without end.
    pub limit: Option<u64>,
    pub remaining: Option<u64>,
}

/// One character's entry of `GET /api/auth/usage`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    pub text: Allowance,
    pub audio: Allowance,
    pub image: Allowance,
    /// Null before the first use.
    pub resets_at: Option<Timestamp>,
}

impl Usage {
    pub fn of(row: UsageCount, tier: Tier, multiplier: u64, now: Timestamp) -> Self {
        let row = row.at(now);
        let allowance = |kind| {
            let (used, limit) = (row.of(kind), usage_limit(tier, kind, multiplier));
            Allowance { used, limit, remaining: limit.map(|limit| limit.saturating_sub(used)) }
        };
        Self {
            text: allowance(Kind::Text),
            audio: allowance(Kind::Audio),
            image: allowance(Kind::Image),
            resets_at: row.since.map(|since| since.plus(USAGE_WINDOW)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_counts_from_the_first_use_and_then_starts_anew() {
        let start = Timestamp(1_000);
        let row =
            UsageCount::default().raised(Kind::Text, start).raised(Kind::Text, start.plus(Duration::from_secs(60)));
        assert_eq!((row.text, row.since, row.version), (2, Some(start), 2));
        let last = Timestamp(start.plus(USAGE_WINDOW).0 - 1);
        assert_eq!(row.at(last).text, 2);
        let over = start.plus(USAGE_WINDOW);
        assert_eq!(row.at(over).text, 0);
        let next = row.raised(Kind::Image, over);
        assert_eq!((next.text, next.image, next.since), (0, 1, Some(over)));
    }

    #[test]
    fn premium_is_counted_without_a_limit() {
        let row = UsageCount::default().raised(Kind::Audio, Timestamp(5));
        let usage = Usage::of(row, Tier::Premium, 1, Timestamp(6));
        assert_eq!(usage.audio, Allowance { used: 1, limit: None, remaining: None });
        assert!(!row.is_full(Kind::Audio, usage_limit(Tier::Premium, Kind::Audio, 1), Timestamp(6)));
        assert_eq!(usage_limit(Tier::Free, Kind::Text, 2), Some(60));
    }
}
