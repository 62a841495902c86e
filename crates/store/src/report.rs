//! What operators read of the past: what people did, counted from the store's own rows, and what servers measured.
//!
//! A report of an hour or a day is kept so that it is quick to read and outlives its rows; it can be made anew from the rows
//! and samples for as long as those are kept.

use crate::{ModelTokens, Result};
use aim_domain::{Figures, Incarnation, Timestamp};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;
use utoipa::ToSchema;

/// How long a report's stretch of time is. Stretches begin with the hour and the day in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    Hour,
    Day,
}

impl Period {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    pub fn length(self) -> Duration {
        match self {
            Self::Hour => Duration::from_secs(3_600),
            Self::Day => Duration::from_secs(86_400),
        }
    }

    /// The beginning of the stretch that `at` lies in.
    pub fn start_of(self, at: Timestamp) -> Timestamp {
        let length = i64::try_from(self.length().as_millis()).unwrap_or(i64::MAX);
        Timestamp(at.0 - at.0.rem_euclid(length))
    }

    /// The beginning of the stretch before the one that `at` lies in.
    pub fn before(self, at: Timestamp) -> Timestamp {
        self.start_of(Timestamp(self.start_of(at).0 - 1))
    }
}

/// What one process measured from `at` on, for a minute.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub server: Incarnation,
    pub at: Timestamp,
    pub figures: Figures,
}

/// What people did in a stretch of time, as the store knows it now: what was erased since is not in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Activity {
    /// Who sent at least one message.
    pub active_users: u64,
    pub new_users: u64,
    pub text_messages: u64,
    pub audio_messages: u64,
    pub image_messages: u64,
    pub replies: u64,
    /// Of the messages sent in this time, those whose reply failed, and was not had by trying again.
    pub failed_replies: u64,
    pub cancelled_replies: u64,
    /// From free to premium, and back.
    pub upgrades: u64,
    pub downgrades: u64,
}

/// A report as it is kept; its body is the platform's.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    pub period: Period,
    pub start: Timestamp,
    pub body: Value,
}

/// A stretch of time: from the first on, up to but without the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    pub from: Timestamp,
    pub to: Timestamp,
}

#[async_trait]
pub trait Reports: Send + Sync {
    /// The same server's sample of the same minute again changes nothing.
    async fn add_sample(&self, sample: Sample) -> Result<()>;
    /// All samples of a stretch, added up.
    async fn measured(&self, stretch: Stretch) -> Result<Figures>;
    /// The time of the oldest sample that is not older than `since`.
    async fn first_sample(&self, since: Timestamp) -> Result<Option<Timestamp>>;
    async fn activity(&self, stretch: Stretch) -> Result<Activity>;
    /// Tokens and requests by model from the first to the last UTC day, `2026-11-23`, both included.
    async fn tokens_between(&self, first_day: &str, last_day: &str) -> Result<Vec<ModelTokens>>;
    /// Replaces the report of this period and start.
    async fn save_report(&self, report: Report) -> Result<()>;
    /// In order of time, `limit` at most.
    async fn reports(&self, period: Period, stretch: Stretch, limit: u32) -> Result<Vec<Report>>;

    /// How many rows of a kind are over since `keep` or longer.
    async fn count_stale(&self, what: Stale, keep: Duration) -> Result<u64>;
    /// Removes them; answers how many went.
    async fn sweep(&self, what: Stale, keep: Duration) -> Result<u64>;
}

/// What the ids that are made at `at` (UUIDv7) or later do not sort before.
pub(crate) fn since(at: Timestamp) -> String {
    let millis = u64::try_from(at.0).unwrap_or(0);
    format!("{:08x}-{:04x}", millis >> 16, millis & 0xffff)
}

/// Kinds of rows that nobody needs once they are old, or over by a time of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Stale {
    /// Of the change feed.
    Changes,
    Sessions,
    /// Attempts to sign in, and blocks that are over.
    SignIns,
    /// Leases that are over.
    Servers,
    /// Mails that ended; one for the same occasion may be queued anew after it.
    Mails,
    /// Those that mails carried.
    Tokens,
    /// What servers measured.
    Samples,
    /// Reports of hours; those of days stay.
    HourReports,
    /// Of forms.
    Drafts,
    /// Links into conversations.
    Invites,
    /// Reports of what people wrote that operators closed.
    Cases,
}

impl Stale {
    pub const ALL: [Self; 11] = [
        Self::Changes,
        Self::Sessions,
        Self::SignIns,
        Self::Servers,
        Self::Mails,
        Self::Tokens,
        Self::Samples,
        Self::HourReports,
        Self::Drafts,
        Self::Invites,
        Self::Cases,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Changes => "changes",
            Self::Sessions => "sessions",
            Self::SignIns => "sign-ins",
            Self::Servers => "servers",
            Self::Mails => "mails",
            Self::Tokens => "tokens",
            Self::Samples => "samples",
            Self::HourReports => "hour-reports",
            Self::Drafts => "drafts",
            Self::Invites => "invites",
            Self::Cases => "cases",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aim_domain::{Ambient, ManualClock, MessageId, SeededRandom};

    #[test]
    fn ids_of_a_time_sort_after_what_it_begins_with() {
        let (clock, random) = (ManualClock::at(Timestamp(1_795_408_728_120)), SeededRandom::new(1));
        let ambient = Ambient { clock: clock.clone(), random };
        let id = |ambient: &Ambient| ambient.id::<MessageId>().as_str().to_owned();
        let earlier = id(&ambient);
        clock.advance(Duration::from_millis(1));
        let now = since(ambient.now());
        assert!(earlier < now && now < id(&ambient));
    }

    #[test]
    fn stretches_begin_with_the_hour_and_the_day_in_utc() {
        let at = Timestamp(1_795_408_728_120); // 2026-11-23T04:38:48.120Z
        assert_eq!(Period::Hour.start_of(at).to_string(), "2026-11-23T04:00:00.000Z");
        assert_eq!(Period::Day.start_of(at).to_string(), "2026-11-23T00:00:00.000Z");
        assert_eq!(Period::Hour.start_of(Timestamp(-1)).to_string(), "1969-12-31T23:00:00.000Z");
        assert_eq!(Period::Hour.before(at).to_string(), "2026-11-23T03:00:00.000Z");
        assert_eq!(Period::Day.before(at).to_string(), "2026-11-22T00:00:00.000Z");
    }
}
