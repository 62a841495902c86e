//! The performance backbone: seven capabilities, each a folder with one contract and a file for each backend.
//!
//! A capability hurries the store along and decides nothing: what it holds can be rebuilt from the store, and what it
//! loses costs time, never truth. Each contract's header states its policy in an outage and its step on recovery.
//! Key names are made in [`keys`] alone.

pub mod bus;
pub mod cache;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod fleet;
pub mod keys;
pub mod limits;
pub mod link;
mod pair;
pub mod queue;
pub mod sessions;
mod stripes;
pub mod tokens;
pub mod turns;
pub mod usage;

pub use fleet::Fleet;

use aim_domain::Ambient;
use std::sync::Arc;

/// A capability could not do what was asked and had nothing to fall back on.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{capability} is unavailable: {detail}")]
pub struct Fault {
    pub capability: &'static str,
    pub detail: String,
}

impl Fault {
    pub fn new(capability: &'static str, detail: impl Into<String>) -> Self {
        Self { capability, detail: detail.into() }
    }
}

/// All seven, as one server uses them; cheap to clone.
#[derive(Clone)]
pub struct Backbone {
    pub cache: cache::Cache,
    pub usage: Arc<dyn usage::Usage>,
    pub limits: Arc<dyn limits::Limits>,
    pub queue: Arc<dyn queue::Queue>,
    /// The same queues as operators see them.
    pub board: Arc<dyn queue::board::Board>,
    /// Jobs that workers of other programs run; none where they run none.
    pub errands: Option<queue::errands::Errands>,
    pub bus: Arc<dyn bus::Bus>,
    pub turns: Arc<dyn turns::Turns>,
    pub sessions: Arc<dyn sessions::Sessions>,
    /// Beside the seven, for who looks into Redis.
    pub tokens: tokens::TokenCopies,
    /// What the platform tells of the other servers.
    pub fleet: Fleet,
    /// None where everything is in this process.
    pub links: Option<link::Links>,
}

/// What the backends need to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Cached values are kept a tenth of their time (the `development` profile).
    pub short_cache: bool,
    /// The most values kept near, over all families; a large one counts as several.
    pub cache_capacity: u64,
    pub turns: turns::Settings,
    /// Whether messages are answered in this process.
    pub answers: bool,
}

impl Backbone {
    /// Over Redis, and in this process while Redis is away. Needs a runtime.
    pub fn over_redis(settings: &Settings, ambient: &Ambient, links: link::Links) -> Self {
        Self::with_foreign(settings, ambient, links, &[])
    }

    /// The same, where workers of other programs run the jobs of the queues in `foreign`.
    pub fn with_foreign(settings: &Settings, ambient: &Ambient, links: link::Links, foreign: &[&'static str]) -> Self {
        let fleet = Fleet::default();
        let limits = limits::redis::RedisLimits::new(links.main.client("limits"));
        let windows = limits::local::LocalLimits::new(ambient);
        let to_queue = links.queue.client("queue");
        let queue = Arc::new(queue::redis::RedisQueue::new(to_queue.clone(), &links.queue_prefix, ambient));
        let jobs = queue::local::LocalQueue::new(ambient);
        let errands = (!foreign.is_empty())
            .then(|| queue::errands::Errands::new(queue.clone(), to_queue, &links.queue_prefix, foreign, ambient));
        let board = Arc::new(queue::pair::QueuePair::new(queue, Arc::new(jobs), foreign));
        let turns = turns::redis::RedisTurns::new(links.main.client("turns"), settings.turns);
        let lines = turns::local::LocalTurns::new(settings.turns, ambient);
        let cache = cache::redis::RedisCache::new(links.cache.client("cache"), settings, ambient);
        let bus = bus::redis::RedisBus::new(links.bus.client("bus"), ambient);
        Self {
            cache: cache::Cache::new(Arc::new(cache)),
            usage: Arc::new(usage::redis::RedisUsage::new(links.main.client("usage"), ambient)),
            limits: Arc::new(limits::pair::LimitsPair::new(limits, windows, fleet.clone())),
            queue: board.clone(),
            board,
            errands,
            bus: Arc::new(bus::pair::BusPair::new(bus)),
            turns: Arc::new(turns::pair::TurnsPair::new(turns, lines, settings.turns.lease, settings.answers)),
            sessions: Arc::new(sessions::redis::RedisSessions::new(links.main.client("sessions"), &fleet, ambient)),
            tokens: tokens::TokenCopies::in_redis(links.main.client("tokens")),
            fleet,
            links: Some(links),
        }
    }

    /// Whether lines and jobs are shared with other servers right now.
    pub fn is_shared(&self) -> bool {
        let answers = |link: &link::Link| link.passage() == link::Passage::Open;
        self.links.as_ref().is_some_and(|links| answers(&links.main) && answers(&links.queue))
    }

    /// Whether other servers may say what is not heard here: Redis, which would tell it, is away, or several servers share a
    /// database and no Redis.
    pub fn is_cut_off(&self) -> bool {
        match &self.links {
            Some(links) => links.bus.passage() != link::Passage::Open,
            None => self.fleet.servers() > 1,
        }
    }

    /// Everything in this process. The recorder of metrics is installed before: counters that were made without one
    /// count for nobody.
    pub fn local(settings: &Settings, ambient: &Ambient) -> Self {
        let fleet = Fleet::default();
        let board = Arc::new(queue::local::LocalQueue::new(ambient));
        Self {
            cache: cache::Cache::new(Arc::new(cache::local::LocalCache::new(settings, ambient))),
            usage: Arc::new(usage::local::LocalUsage::new(ambient)),
            limits: Arc::new(limits::local::LocalLimits::new(ambient)),
            queue: board.clone(),
            board,
            errands: None,
            bus: Arc::new(bus::local::LocalBus::new()),
            turns: Arc::new(turns::local::LocalTurns::new(settings.turns, ambient)),
            sessions: Arc::new(sessions::local::LocalSessions::new(ambient, &fleet)),
            tokens: tokens::TokenCopies::default(),
            fleet,
            links: None,
        }
    }
}
