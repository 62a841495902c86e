//! The promises, kept by the backends of this process.

use super::Bench;
use crate::{Settings, turns};
use aim_domain::{Ambient, ManualClock, SeededRandom, SystemClock, Timestamp};
use std::sync::Arc;

fn ambient() -> (Ambient, Arc<ManualClock>) {
    let clock = ManualClock::at(Timestamp(1_795_408_728_120));
    (Ambient { clock: clock.clone(), random: SeededRandom::new(1) }, clock)
}

mod bus {
    use super::*;
    use crate::bus::{Bus, local::LocalBus};

    async fn open() -> Bench<dyn Bus> {
        Bench::waiting(Arc::new(LocalBus::new()), Arc::new(SystemClock))
    }

    crate::bus_promises!(open);
}

mod cache {
    use super::*;
    use crate::cache::{CacheBackend, local::LocalCache};

    async fn open() -> Bench<dyn CacheBackend> {
        let (ambient, clock) = ambient();
        let settings =
            Settings { short_cache: false, cache_capacity: 1_000, turns: turns::Settings::default(), answers: true };
        Bench::manual(Arc::new(LocalCache::new(&settings, &ambient)), clock)
    }

    crate::cache_promises!(open);
}

mod limits {
    use super::*;
    use crate::limits::{Limits, local::LocalLimits};

    async fn open() -> Bench<dyn Limits> {
        let (ambient, clock) = ambient();
        Bench::manual(Arc::new(LocalLimits::new(&ambient)), clock)
    }

    crate::limits_promises!(open);
}

mod board {
    use super::*;
    use crate::queue::{board::Board, local::LocalQueue};

    async fn open() -> Bench<dyn Board> {
        tokio::time::pause();
        let (ambient, clock) = ambient();
        Bench::waiting(Arc::new(LocalQueue::new(&ambient)), clock)
    }

    crate::board_promises!(open);
}

mod queue {
    use super::*;
    use crate::queue::{Queue, local::LocalQueue};

    /// Its timers are tokio's: the clock is paused, and moves when nothing else is left to do.
    async fn open() -> Bench<dyn Queue> {
        tokio::time::pause();
        let (ambient, clock) = ambient();
        Bench::waiting(Arc::new(LocalQueue::new(&ambient)), clock)
    }

    crate::queue_promises!(open);
}

mod sessions {
    use super::*;
    use crate::sessions::{Sessions, local::LocalSessions};

    async fn open() -> Bench<dyn Sessions> {
        let (ambient, clock) = ambient();
        Bench::manual(Arc::new(LocalSessions::new(&ambient, &crate::Fleet::default())), clock)
    }

    crate::sessions_promises!(open);
}

mod turns_ {
    use super::*;
    use crate::turns::{Turns, local::LocalTurns};

    async fn open(settings: turns::Settings) -> Bench<dyn Turns> {
        let (ambient, clock) = ambient();
        Bench::manual(Arc::new(LocalTurns::new(settings, &ambient)), clock)
    }

    crate::turns_promises!(open);
}

mod usage {
    use super::*;
    use crate::usage::{Usage, local::LocalUsage};

    async fn open() -> Bench<dyn Usage> {
        let (ambient, clock) = ambient();
        Bench::manual(Arc::new(LocalUsage::new(&ambient)), clock)
    }

    crate::usage_promises!(open);
}
