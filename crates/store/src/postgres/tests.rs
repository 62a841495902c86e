//! PostgreSQL keeps every store's promises, and a few of its own.

use super::{Clock, PostgresOptions, PostgresStore};
use crate::Store;
use crate::conformance::Fixture;
use aim_domain::Ambient;
use aim_testkit::Database;
use async_trait::async_trait;
use std::sync::Arc;

/// On the clock that the test moves.
fn options() -> PostgresOptions {
    PostgresOptions { max_connections: 8, clock: Clock::Ambient, ..PostgresOptions::default() }
}

#[async_trait]
impl Fixture for Database {
    async fn open(&self, ambient: Ambient) -> Arc<dyn Store> {
        PostgresStore::open(&self.url(), options(), ambient).await.unwrap()
    }
}

mod conformance {
    use aim_testkit::Database;
    crate::store_conformance!(Database::fresh().await.unwrap());
}
