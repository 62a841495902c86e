//! Keeping people safe from each other: what may be reported and why, and how long somebody is shut out.

use crate::account::words;
use crate::error::{Checks, Refusal};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a report is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reported {
    Character,
    /// What a person said in a conversation.
    Message,
    /// What a character said in a conversation.
    Reply,
    User,
}

words!(Reported {
    "character" => Reported::Character,
    "message" => Reported::Message,
    "reply" => Reported::Reply,
    "user" => Reported::User,
});

/// Why something is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Wrong {
    Illegal,
    SexualMinors,
    Harassment,
    Hate,
    SelfHarm,
    Spam,
    Impersonation,
    Other,
}

words!(Wrong {
    "illegal" => Wrong::Illegal,
    "sexual_minors" => Wrong::SexualMinors,
    "harassment" => Wrong::Harassment,
    "hate" => Wrong::Hate,
    "self_harm" => Wrong::SelfHarm,
    "spam" => Wrong::Spam,
    "impersonation" => Wrong::Impersonation,
    "other" => Wrong::Other,
});

/// Whether an operator still has to look at a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CaseState {
    #[default]
    Open,
    Closed,
}

words!(CaseState { "open" => CaseState::Open, "closed" => CaseState::Closed });

/// What an operator did, as the audit names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    UnlistCharacter,
    ListCharacter,
    SuspendUser,
    RestoreUser,
    CloseReport,
    ReopenReport,
}

words!(Action {
    "unlist_character" => Action::UnlistCharacter,
    "list_character" => Action::ListCharacter,
    "suspend_user" => Action::SuspendUser,
    "restore_user" => Action::RestoreUser,
    "close_report" => Action::CloseReport,
    "reopen_report" => Action::ReopenReport,
});

/// Whether operators took a character out of lists. Its own visibility stays what its author chose.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Listing {
    /// Out of lists, tags and search, and closed to new conversations but of its owner. Absent where it is not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unlisted: bool,
    /// Why; told to its owner alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unlisted_reason: Option<String>,
}

impl Listing {
    /// As a row says it: the reason, where it is unlisted.
    pub fn of(reason: Option<String>) -> Self {
        Self { unlisted: reason.is_some(), unlisted_reason: reason }
    }

    /// As others than its owner see it.
    pub fn without_reason(&self) -> Self {
        Self { unlisted: self.unlisted, unlisted_reason: None }
    }
}

/// Somebody is shut out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Suspension {
    /// Null: until an operator ends it.
    pub until: Option<Timestamp>,
    pub reason: String,
}

impl Suspension {
    /// What somebody is told who tries to sign in.
    pub fn told(&self) -> String {
        let until = match self.until {
            // To the minute: `2026-12-06 04:25`.
            Some(until) => {
                let text = until.to_string();
                format!(" until {} {} UTC", text.get(..10).unwrap_or_default(), text.get(11..16).unwrap_or_default())
            }
            None => String::new(),
        };
        format!("This account is suspended{until}. Reason: {}", self.reason)
    }
}

/// The longest note of a report, and the longest reason of an operator.
pub const LONGEST_NOTE: usize = 2_000;
pub const LONGEST_REASON: usize = 500;

/// What an operator says for his reason: it is shown to whom it concerns.
pub fn checked_reason(reason: &str) -> Result<String, Refusal> {
    let reason = reason.trim();
    let mut checks = Checks::default();
    checks.length("reason", reason, 1, LONGEST_REASON);
    checks.finish()?;
    Ok(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspension_says_until_when_and_why() {
        let until = Timestamp::parse("2026-12-06T04:25:28Z");
        assert!(until.is_some());
        let told = Suspension { until, reason: "Spam.".into() }.told();
        assert_eq!(told, "This account is suspended until 2026-12-06 04:25 UTC. Reason: Spam.");
        let told = Suspension { until: None, reason: "Threats.".into() }.told();
        assert_eq!(told, "This account is suspended. Reason: Threats.");
    }

    #[test]
    fn a_listed_character_says_nothing_of_it() {
        let json = |listing: &Listing| serde_json::to_value(listing).unwrap_or_default();
        assert_eq!(json(&Listing::of(None)), serde_json::json!({}));
        let unlisted = Listing::of(Some("Copied.".into()));
        assert_eq!(json(&unlisted), serde_json::json!({ "unlisted": true, "unlistedReason": "Copied." }));
        assert_eq!(json(&unlisted.without_reason()), serde_json::json!({ "unlisted": true }));
    }
}
