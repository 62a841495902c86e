//! What an operator can choose of the platform's behaviour.

use crate::foreign::Foreign;
use crate::mail::Post;
use crate::reports::Prices;
use aim_domain::RuleSet;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);

#[derive(Clone, Debug)]
pub struct Settings {
    pub rules: RuleSet,
    /// Times the free tier's daily usage, and the messages that may wait in a conversation follow `rules.multiplier`.
    pub usage_multiplier: u64,
    pub registration_open: bool,
    /// A session lives this long from its last use.
    pub session_ttl: Duration,
    /// Password hashes computed at the same time; each takes 19 MiB.
    pub hashes_at_a_time: usize,
    pub replies_per_character: u64,
    /// Whether people are let in here; false for a process that only works.
    pub serves: bool,
    /// A server that does not renew within this time is taken for dead.
    pub server_lease: Duration,
    /// `ai-response` jobs at a time; none are run here when 0.
    pub reply_concurrency: usize,
    /// `media-processing` jobs at a time.
    pub media_concurrency: usize,
    /// How long a message waits for its upload to be processed.
    pub upload_patience: Duration,
    /// Uploads in parts that a user may have under way, and how long one may take.
    pub resumables_at_a_time: u32,
    pub resumable_age: Duration,
    /// An account that its owner deleted can be had back for this long.
    pub erasure_grace: Duration,
    /// Whether the model is shown pictures; one that sees none is told that there is one.
    pub model_sees: bool,
    pub max_reply_tokens: u32,
    pub temperature: f32,
    /// Tokens of a UTC day over all users, after which nothing is generated; 0 without end.
    pub daily_tokens: u64,
    /// Deltas are sent at this pace, the first at once.
    pub delta_pace: Duration,
    /// A reply that takes longer is ended as failed.
    pub reply_timeout: Duration,
    /// What tokens cost, for reports.
    pub prices: Prices,
    /// What servers measured, minute by minute, is kept this long.
    pub keep_samples: Duration,
    /// Reports of hours are kept this long; those of days stay.
    pub keep_hour_reports: Duration,
    /// Jobs that ended are kept this long in their queues, at the most.
    pub keep_finished_jobs: Duration,
    /// A conversation that its owner deleted can be had back for this long.
    pub keep_deleted_conversations: Duration,
    /// How mails go out; none do without it.
    pub post: Option<Post>,
    /// What workers of other programs do.
    pub foreign: Foreign,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            rules: RuleSet::default(),
            usage_multiplier: 1,
            registration_open: true,
            session_ttl: 30 * DAY,
            hashes_at_a_time: 2,
            replies_per_character: 1,
            serves: true,
            server_lease: Duration::from_secs(10),
            reply_concurrency: 20,
            media_concurrency: 2,
            upload_patience: Duration::from_secs(8),
            resumables_at_a_time: 10,
            resumable_age: Duration::from_secs(24 * 3600),
            erasure_grace: 7 * DAY,
            model_sees: false,
            max_reply_tokens: 512,
            temperature: 0.8,
            daily_tokens: 0,
            delta_pace: Duration::from_millis(30),
            reply_timeout: Duration::from_secs(300),
            prices: Prices::default(),
            keep_samples: 14 * DAY,
            keep_hour_reports: 400 * DAY,
            keep_finished_jobs: 14 * DAY,
            keep_deleted_conversations: 30 * DAY,
            post: None,
            foreign: Foreign::default(),
        }
    }
}

impl Settings {
    /// Messages that may wait in one conversation; API.md part 2, caps.
    pub fn max_waiting(&self) -> u64 {
        self.rules.multiplier.saturating_mul(100)
    }
}
