//! What breaks between a server and its database, and what comes of it.

use super::{behind_a_proxy, eventually, open, world};
use crate::postgres::{PostgresStore, sql};
use crate::{AccountChange, Sent, Store, StoreError};
use aim_domain::Ambient;
use aim_testkit::{ChaosProxy, PostgresServer};
use futures::future::join_all;
use sqlx::Connection;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// Every connection there can be, each used.
async fn use_all(store: &PostgresStore) -> usize {
    let mut taken = Vec::new();
    for _ in 0..super::CONNECTIONS {
        let mut db = store.pg.take().await.unwrap();
        assert_eq!(db.number(sql("SELECT 7::bigint")).await.unwrap(), 7);
        taken.push(db);
    }
    taken.len()
}

/// Requests that end early leave no connection behind that answers them to somebody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_dropped_on_the_way_costs_nobody_else_anything() {
    let (world, store, _database) = world().await;
    let users = [world.user("tess").await, world.user("ines").await];
    for round in 0..300_u64 {
        let asking = store.user(&users[0].id);
        let _ = timeout(Duration::from_micros(round * 7 % 900), asking).await;
        let changing = store.change_user(&users[0].id, AccountChange::default());
        let _ = timeout(Duration::from_micros(round * 13 % 2_500), changing).await;
        let read = store.user(&users[1].id).await.unwrap().unwrap();
        assert_eq!(read.id, users[1].id);
    }
    let before = world.store.user(&users[0].id).await.unwrap().unwrap().version;
    let after = store.change_user(&users[0].id, AccountChange::default()).await.unwrap().unwrap().version;
    assert_eq!(after, before + 1, "no transaction is left open");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_was_away_is_found_again() {
    let server = PostgresServer::start().await.unwrap();
    let store = open(&server.url()).await;
    use_all(&store).await;
    let before = store.last_change().await.unwrap();
    server.kill();
    let began = Instant::now();
    for _ in 0..20 {
        assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    server.restart().await.unwrap();
    store.ping().await.unwrap();
    use_all(&store).await;
    assert_eq!(store.last_change().await.unwrap(), before);
    // Between two commands: the next does not notice.
    server.restart().await.unwrap();
    store.ping().await.unwrap();
    use_all(&store).await;
}

/// Halted, it says nothing: a command waits for as long as a statement may take, and then for a connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_says_nothing_is_given_up_in_time() {
    let server = PostgresServer::start().await.unwrap();
    let store = open(&server.url()).await;
    use_all(&store).await;
    server.stop().unwrap();
    let began = Instant::now();
    let asked = join_all((0..super::CONNECTIONS).map(|_| store.ping())).await;
    assert!(asked.iter().all(|asked| matches!(asked, Err(StoreError::Unavailable(_)))));
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    server.cont().unwrap();
    eventually(Duration::from_secs(5), || async { store.ping().await.is_ok() }).await;
    use_all(&store).await;
    let mut raw = sqlx::postgres::PgConnection::connect(&server.url()).await.unwrap();
    let left =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'aim' AND state LIKE 'idle in transaction%'";
    assert_eq!(sqlx::query_scalar::<_, i64>(left).fetch_one(&mut raw).await.unwrap(), 0);
}

/// The network swallows what is said on a connection, and a transaction that was to begin there begins on another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_beginning_that_was_lost_is_made_on_another_connection() {
    let (world, _, database) = world().await;
    let (proxy, store) = behind_a_proxy(&database).await;
    let user = world.user("tess").await;
    let mut version = user.version;
    for _ in 0..5 {
        use_all(&store).await;
        proxy.cut_connections().await;
        // Not to be done twice, and so not repeated as a whole.
        version = store.change_user(&user.id, AccountChange::default()).await.unwrap().unwrap().version;
    }
    assert_eq!(version, user.version + 5);
}

/// One process of the database, halted until this is dropped.
struct Halted(i32);

impl Halted {
    fn new(process: i32) -> Self {
        signal("-STOP", process);
        Self(process)
    }
}

impl Drop for Halted {
    fn drop(&mut self) {
        signal("-CONT", self.0);
    }
}

fn signal(signal: &str, process: i32) {
    let sent = std::process::Command::new("kill").args([signal, &process.to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()));
}

/// The network may swallow everything on a connection, and end it never.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_are_heard_of_again_when_the_listening_connection_fell_silent() {
    let (world, store, database) = world().await;
    let user = world.user("tess").await;
    let mut raw = database.connect().await.unwrap();
    // The world's own store listens as well: the newest is this one's.
    let listening = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'
         ORDER BY backend_start";
    timeout(Duration::from_secs(5), store.changed()).await.unwrap();
    let process = *sqlx::query_scalar::<_, i32>(listening).fetch_all(&mut raw).await.unwrap().last().unwrap();
    let _halted = Halted::new(process);
    let heard = async || {
        while timeout(Duration::from_millis(100), store.changed()).await.is_ok() {}
        world.store.change_user(&user.id, AccountChange::default()).await.unwrap();
        timeout(Duration::from_millis(400), store.changed()).await.is_ok()
    };
    assert!(!heard().await);
    eventually(Duration::from_secs(25), || async { heard().await }).await;
}

/// After a failover, what was the primary takes no writes, and connections to it are still open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_to_a_server_that_takes_no_writes_any_more_are_let_go() {
    let (world, store, _database) = world().await;
    let (user, _, conversation) = world.pair().await;
    let read_only = async || {
        let mut taken = Vec::new();
        for _ in 0..super::CONNECTIONS {
            let mut db = store.pg.take().await.unwrap();
            db.run(sql("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")).await.unwrap();
            taken.push(db);
        }
    };
    read_only().await;
    store.user(&user.id).await.unwrap().unwrap();
    let sent = store.send_message(world.message(&conversation, &user.id, "hello")).await.unwrap();
    assert!(matches!(sent, Sent::Accepted { due: 1, .. }));
    assert!(store.renew_lease(&world.ambient.id(), Duration::from_secs(10), true).await.unwrap());

    // A command that is not repeated fails once, and takes those that rest along.
    read_only().await;
    let change = || store.change_user(&user.id, AccountChange::default());
    assert!(matches!(change().await, Err(StoreError::Unavailable(_))));
    change().await.unwrap().unwrap();
}

/// The address leads to the standby before that takes writes. Until then commands are told to come later, and then all works.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failover_all_goes_on_with_what_was_committed() {
    let primary = PostgresServer::start().await.unwrap();
    let proxy = ChaosProxy::before(primary.address()).await.unwrap();
    let store = open(&primary.url_at(proxy.address(), "postgres")).await;
    let standby = primary.standby().await.unwrap();
    let server = Ambient::system().id();
    let renew = || store.renew_lease(&server, Duration::from_secs(60), true);
    assert!(renew().await.unwrap());
    let written = sql("SELECT (pg_current_wal_lsn() - '0/0')::bigint");
    let written = store.pg.take().await.unwrap().number(written).await.unwrap();
    let mut beside = sqlx::postgres::PgConnection::connect(&standby.url()).await.unwrap();
    let replayed = "SELECT (pg_last_wal_replay_lsn() - '0/0')::bigint";
    while sqlx::query_scalar::<_, i64>(replayed).fetch_one(&mut beside).await.unwrap() < written {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    primary.kill();
    proxy.point_at(standby.address());
    store.ping().await.unwrap();
    assert_eq!(store.live_servers().await.unwrap(), 1);
    assert!(matches!(renew().await, Err(StoreError::Unavailable(_))));
    standby.promote().await.unwrap();
    assert!(renew().await.unwrap());
    use_all(&store).await;
}

/// An administrator ends every connection: reads and sends do not notice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_connections_cost_no_read_and_no_send() {
    let (world, store, database) = world().await;
    let (user, _, conversation) = world.pair().await;
    for n in 1..=5 {
        store.user(&user.id).await.unwrap();
        database.cut().await.unwrap();
        let sent = store.send_message(world.message(&conversation, &user.id, "hello")).await.unwrap();
        assert!(matches!(sent, Sent::Accepted { due, .. } if due == n));
        store.user(&user.id).await.unwrap().unwrap();
    }
    world.assert_seq_without_a_gap(&conversation).await;
}
