//! The PostgreSQL of a test's own, and the databases that tests share one for.

use aim_testkit::{Database, PostgresServer};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Row, query};
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

async fn names(connection: &mut PgConnection) -> Vec<String> {
    let rows = query("SELECT datname FROM pg_database WHERE datname LIKE 'aim%'").fetch_all(connection).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn each_database_is_empty_and_goes_with_its_value_whoever_is_connected() {
    let (one, other) = (Database::fresh().await.unwrap(), Database::fresh().await.unwrap());
    assert_ne!(one.url(), other.url());
    let (mut within, mut beside) = (one.connect().await.unwrap(), other.connect().await.unwrap());
    query("CREATE TABLE things (id int)").execute(&mut within).await.unwrap();
    assert!(query("SELECT * FROM things").fetch_all(&mut beside).await.is_err());
    let name = one.url().rsplit('/').next().unwrap().to_owned();
    assert!(names(&mut beside).await.contains(&name));
    drop(one);
    assert!(!names(&mut beside).await.contains(&name));
    assert!(within.ping().await.is_err());
}

#[tokio::test]
async fn connections_are_cut_as_an_administrator_does() {
    let database = Database::fresh().await.unwrap();
    let mut connection = database.connect().await.unwrap();
    database.cut().await.unwrap();
    assert!(query("SELECT 1").execute(&mut connection).await.is_err());
    database.connect().await.unwrap();
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_crash_and_a_stopped_one_is_silent() {
    let server = PostgresServer::start().await.unwrap();
    let url = server.url();
    let connect = || PgConnection::connect(&url);
    let mut connection = connect().await.unwrap();
    query("CREATE TABLE aims (id int)").execute(&mut connection).await.unwrap();
    let pid = server.pid();
    server.kill();
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    assert!(connect().await.is_err());
    server.restart().await.unwrap();
    let mut connection = connect().await.unwrap();
    query("SELECT * FROM aims").execute(&mut connection).await.unwrap();

    server.stop().unwrap();
    let mut answer = Box::pin(query("SELECT 1").execute(&mut connection));
    assert!(timeout(Duration::from_millis(200), &mut answer).await.is_err());
    server.cont().unwrap();
    timeout(Duration::from_secs(5), answer).await.unwrap().unwrap();
    let folder = server.folder().to_owned();
    drop(server);
    assert!(!folder.exists());
}
