//! What a backend has to know of the other servers, as the platform last heard it from the store.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// Cheap to clone: clones share what is known.
#[derive(Clone, Default)]
pub struct Fleet(Arc<Known>);

#[derive(Default)]
struct Known {
    servers: AtomicU64,
    position: AtomicI64,
    since: OnceLock<i64>,
}

impl Fleet {
    /// Servers whose lease lives, this one among them; at least 1.
    pub fn servers(&self) -> u64 {
        self.0.servers.load(Ordering::Relaxed).max(1)
    }

    pub fn set_servers(&self, servers: u64) {
        self.0.servers.store(servers, Ordering::Relaxed);
    }

    /// The cursor of the change feed up to which this server has taken in every change.
    pub fn position(&self) -> i64 {
        self.0.position.load(Ordering::Acquire)
    }

    /// The cursor from which this server has followed the change feed: of changes before it, it knows nothing. None before
    /// it begins.
    pub fn since(&self) -> Option<i64> {
        self.0.since.get().copied()
    }

    pub fn advance(&self, cursor: i64) {
        self.0.since.get_or_init(|| cursor);
        self.0.position.fetch_max(cursor, Ordering::AcqRel);
    }
}
