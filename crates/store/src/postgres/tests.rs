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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fresh_database_opened_by_many_at_once_is_migrated_once() {
    let database = Database::fresh().await.unwrap();
    let url = database.url();
    let opening = (0..8).map(|_| PostgresStore::open(&url, options(), Ambient::system()));
    for store in futures::future::join_all(opening).await {
        store.unwrap().ping().await.unwrap();
    }
}
