//! Counting tokens where the provider has not counted them: estimates for budgets, and the decision whether the
//! day's ceiling still allows a reply. What was used is kept by the store.

use crate::model::{TokenCount, Turn};

/// Characters of English that make one token, about; other scripts need more tokens, hence the margin of a budget.
const CHARACTERS_PER_TOKEN: u64 = 4;

/// Tokens that a chat template spends around each turn.
const TOKENS_PER_TURN: u64 = 4;

/// How many tokens `text` makes, about. Multi-byte text counts by its bytes, since tokenizers split it finer.
pub fn estimate(text: &str) -> u64 {
    (text.len() as u64).div_ceil(CHARACTERS_PER_TOKEN)
}

/// How many tokens a prompt makes, about.
pub fn estimate_turns(turns: &[Turn]) -> u64 {
    turns.iter().map(|turn| estimate(&turn.text) + TOKENS_PER_TURN).sum()
}

/// How much of a model's window a prompt may fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenBudget {
    /// The model's context window.
    pub window: u64,
    /// Kept free for the reply.
    pub reply: u64,
}

impl TokenBudget {
    pub fn new(window: u64, reply: u64) -> Self {
        Self { window, reply }
    }

    /// What the prompt may take by estimate: what the reply leaves, less a tenth for the estimate's error.
    pub fn prompt(&self) -> u64 {
        let left = self.window.saturating_sub(self.reply);
        left - left / 10
    }

    /// The cost of one turn by estimate.
    pub fn cost(text: &str) -> u64 {
        estimate(text) + TOKENS_PER_TURN
    }
}

/// The most tokens, prompts and replies together, that may be used in a day (UTC); none is without end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ceiling(pub Option<u64>);

impl Ceiling {
    /// Whether another reply may begin when `used` tokens are spent. The reply that crosses the ceiling is finished.
    pub fn allows(self, used: u64) -> bool {
        self.0.is_none_or(|most| used < most)
    }

    pub fn remaining(self, used: u64) -> Option<u64> {
        self.0.map(|most| most.saturating_sub(used))
    }
}

impl TokenCount {
    pub fn total(self) -> u64 {
        self.prompt.saturating_add(self.completion)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Role;

    #[test]
    fn a_budget_leaves_room_for_the_reply_and_for_error() {
        assert_eq!(TokenBudget::new(2_000, 500).prompt(), 1_350);
        assert_eq!(TokenBudget::new(100, 500).prompt(), 0);
    }

    #[test]
    fn an_estimate_rounds_up_and_counts_the_template() {
        assert_eq!((estimate(""), estimate("tide"), estimate("tides")), (0, 1, 2));
        assert_eq!(estimate_turns(&[Turn::new(Role::User, "tides"), Turn::new(Role::Character, "")]), 10);
        assert!(estimate("潮が満ちる") > 3, "scripts without spaces need more than a quarter of their characters");
    }

    #[test]
    fn a_ceiling_refuses_once_it_is_reached() {
        let ceiling = Ceiling(Some(1_000));
        assert!(ceiling.allows(999));
        assert!(!ceiling.allows(1_000));
        assert_eq!(ceiling.remaining(1_200), Some(0));
        assert!(Ceiling(None).allows(u64::MAX));
    }
}
