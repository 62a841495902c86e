//! The rate limits as values: which rule admits how many in which time. The window that enforces them is `backbone::limits`.

use crate::account::Tier;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The rules of API.md part 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    Api,
    Auth,
    Messaging,
    Ai,
    Upload,
}

impl Rule {
    pub const ALL: [Self; 5] = [Self::Api, Self::Auth, Self::Messaging, Self::Ai, Self::Upload];

    /// The name in keys, headers and settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Auth => "auth",
            Self::Messaging => "messaging",
            Self::Ai => "ai",
            Self::Upload => "upload",
        }
    }
}

/// At most `limit` in any stretch of `window`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    pub limit: u64,
    pub window: Duration,
    /// After the limit was passed, everything is refused for this long; zero: only until the window has room.
    pub block: Duration,
}

/// All quotas of a server. `multiplier` is `AIM_LIMITS__MULTIPLIER`; `premium` what a premium user gets times the free quota.
#[derive(Clone, Debug)]
pub struct RuleSet {
    pub multiplier: u64,
    pub premium: [(Rule, u64); 5],
}

impl Default for RuleSet {
    fn default() -> Self {
        Self { multiplier: 1, premium: Rule::ALL.map(|rule| (rule, 5)) }
    }
}

impl RuleSet {
    pub fn quota(&self, rule: Rule, tier: Tier) -> Quota {
        const MINUTE: u64 = 60;
        let (limit, minutes, blocked) = match rule {
            Rule::Api => (100, 15, 0),
            Rule::Auth => (5, 15, 15),
            Rule::Messaging => (10, 1, 0),
            Rule::Ai => (20, 5, 0),
            Rule::Upload => (20, 60, 0),
        };
        let times = match tier {
            Tier::Free => 1,
            Tier::Premium => self.premium.iter().find(|(of, _)| *of == rule).map_or(1, |(_, times)| *times),
        };
        Quota {
            limit: u64::saturating_mul(limit, times).saturating_mul(self.multiplier),
            window: Duration::from_secs(minutes * MINUTE),
            block: Duration::from_secs(blocked * MINUTE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn premium_users_get_five_times_each() {
        let rules = RuleSet::default();
        assert_eq!(rules.quota(Rule::Messaging, Tier::Free).limit, 10);
        assert_eq!(rules.quota(Rule::Messaging, Tier::Premium).limit, 50);
        assert_eq!(rules.quota(Rule::Auth, Tier::Free).block, Duration::from_secs(900));
    }
}
