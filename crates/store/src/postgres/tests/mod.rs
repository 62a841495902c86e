//! PostgreSQL keeps every store's promises, and a few of its own.

mod database;
mod faults;
mod lost_answers;
mod many_servers;
mod migrations;
mod search;

use super::{Clock, PostgresOptions, PostgresStore};
use crate::conformance::{Fixture, World};
use crate::{Store, StoreError};
use aim_domain::{Ambient, Incarnation};
use aim_testkit::{ChaosProxy, Database};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

/// On the clock that the test moves.
fn options() -> PostgresOptions {
    PostgresOptions { max_connections: 8, clock: Clock::Ambient, ..PostgresOptions::default() }
}

#[async_trait]
impl Fixture for Arc<Database> {
    async fn open(&self, ambient: Ambient) -> Arc<dyn Store> {
        PostgresStore::open(&self.url(), options(), ambient).await.unwrap()
    }
}

mod conformance {
    use aim_testkit::Database;
    use std::sync::Arc;
    crate::store_conformance!(Arc::new(Database::fresh().await.unwrap()));
}

async fn fresh() -> Arc<Database> {
    Arc::new(Database::fresh().await.unwrap())
}

/// A world on the fresh database, and one more store there on the database's own clock.
async fn world() -> (World, Arc<PostgresStore>, Arc<Database>) {
    let database = fresh().await;
    let world = World::new(database.clone()).await;
    let store = open(&database.url()).await;
    (world, store, database)
}

/// The most connections of such a store.
const CONNECTIONS: u32 = 4;

async fn open(url: &str) -> Arc<PostgresStore> {
    let options = PostgresOptions {
        max_connections: CONNECTIONS,
        acquire_timeout: Duration::from_secs(1),
        connect_timeout: Duration::from_secs(1),
        statement_timeout: Duration::from_secs(1),
        ..PostgresOptions::default()
    };
    PostgresStore::open(url, options, Ambient::system()).await.unwrap()
}

async fn refused(url: &str) -> StoreError {
    match PostgresStore::open(url, PostgresOptions::default(), Ambient::system()).await {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    }
}

async fn eventually<F: Future<Output = bool>>(within: Duration, holds: impl Fn() -> F) {
    let deadline = tokio::time::Instant::now() + within;
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "not within {within:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until `holds` does, for as long as a test that goes well never takes.
async fn until(holds: impl AsyncFn() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap();
}

/// A store that reaches the world's database through a network that can break.
async fn behind_a_proxy(database: &Database) -> (ChaosProxy, Arc<PostgresStore>) {
    let url = database.url();
    let server = url.split('@').nth(1).unwrap().split('/').next().unwrap().parse().unwrap();
    let proxy = ChaosProxy::before(server).await.unwrap();
    let store = open(&url.replace(&server.to_string(), &proxy.address().to_string())).await;
    (proxy, store)
}

const LONG: Duration = Duration::from_secs(60);

async fn lease(world: &World, store: &PostgresStore, lease: Duration) -> Incarnation {
    let server = world.ambient.id();
    assert!(store.renew_lease(&server, lease, true).await.unwrap());
    server
}
