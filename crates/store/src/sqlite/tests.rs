//! SQLite keeps every store's promises, and a few of its own.

use super::{Db, SqliteOptions, SqliteStore, Synchronous, characters};
use crate::conformance::{Fixture, World};
use crate::words::Sought;
use crate::{CharacterQuery, Claimed, SearchQuery, SendMessage, Sent, Sort, Store, StoreError, cursor};
use aim_domain::{Ambient, Timestamp, UserId};
use async_trait::async_trait;
use futures::future::join_all;
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

struct File(TempDir);

impl File {
    fn fresh() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("data/aim.db")
    }

    fn store(&self) -> Arc<SqliteStore> {
        SqliteStore::open(self.path(), SqliteOptions::default(), Ambient::system()).unwrap()
    }
}

#[async_trait]
impl Fixture for File {
    async fn open(&self, ambient: Ambient) -> Arc<dyn Store> {
        SqliteStore::open(self.path(), SqliteOptions::default(), ambient).unwrap()
    }
}

mod conformance {
    use super::File;
    crate::store_conformance!(File::fresh());
}

fn leave(db: &Db, at: i64) -> crate::Result<()> {
    db.run("INSERT INTO changes (at, body) VALUES (?1, '{}')", [at]).map(drop)
}

fn left(db: &Db) -> crate::Result<Vec<i64>> {
    db.all("SELECT at FROM changes ORDER BY id", [], |row| row.get(0))
}

#[tokio::test]
async fn a_missing_folder_is_made_and_a_file_opens_again() {
    let file = File::fresh();
    assert!(!file.path().parent().unwrap().exists());
    let store = file.store();
    store.ping().await.unwrap();
    store.close().await;
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.live_servers().await, Err(StoreError::Unavailable(_))));
    file.store().ping().await.unwrap();
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_refused_and_left_alone() {
    let file = File::fresh();
    file.store().close().await;
    let raw = Connection::open(file.path()).unwrap();
    raw.execute_batch("PRAGMA user_version = 99").unwrap();
    let Err(StoreError::Failed(why)) =
        SqliteStore::open(file.path(), SqliteOptions::default(), Ambient::system()).map(drop)
    else {
        panic!("it was opened")
    };
    assert!(why.contains("newer") && why.contains("99"), "{why}");
    let version: i64 = raw.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(version, 99);
}

#[test]
fn a_file_that_is_no_database_is_an_error() {
    let file = File::fresh();
    std::fs::create_dir_all(file.path().parent().unwrap()).unwrap();
    std::fs::write(file.path(), "not a database, but a note of some length".repeat(100)).unwrap();
    let opened = SqliteStore::open(file.path(), SqliteOptions::default(), Ambient::system());
    assert!(matches!(opened.map(drop), Err(StoreError::Failed(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fresh_file_opened_by_many_at_once_is_migrated_once() {
    let file = Arc::new(File::fresh());
    let opening = (0..8).map(|_| {
        let file = file.clone();
        tokio::task::spawn_blocking(move || file.store())
    });
    for store in join_all(opening).await {
        store.unwrap().ping().await.unwrap();
    }
}

/// Holds up the writer, in a batch of its own, until the answered sender says go on.
async fn held_up(store: &Arc<SqliteStore>) -> std::sync::mpsc::Sender<()> {
    let (go_on, wait) = std::sync::mpsc::channel();
    let wait = parking_lot::Mutex::new(wait);
    let (begun, mut has_begun) = tokio::sync::mpsc::channel(1);
    let store = store.clone();
    tokio::spawn(async move {
        let hold = move |_: &Db| {
            let _ = begun.try_send(());
            Ok(wait.lock().recv().is_ok())
        };
        store.write(hold).await
    });
    has_begun.recv().await.unwrap();
    go_on
}

/// Whoever looks sees all of what waited, or nothing: it came with one commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_is_committed_together() {
    let file = File::fresh();
    let store = file.store();
    let go_on = held_up(&store).await;
    let mut many = pin!(join_all((0..60).map(|n| store.write(move |db| leave(db, n)))));
    assert!(futures::poll!(many.as_mut()).is_pending());
    let looking = tokio::spawn({
        let store = store.clone();
        async move {
            let mut seen = BTreeSet::new();
            while !seen.contains(&60) {
                seen.insert(store.read(left).await.unwrap().len());
            }
            seen
        }
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    go_on.send(()).unwrap();
    assert!(many.await.iter().all(Result::is_ok));
    assert_eq!(looking.await.unwrap(), BTreeSet::from([0, 60]));
    assert_eq!(store.read(left).await.unwrap(), (0..60).collect::<Vec<_>>(), "in the order in which they came");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_fails_after_a_write_or_panics_undoes_only_itself() {
    let file = File::fresh();
    let store = file.store();
    let go_on = held_up(&store).await;
    let mut many = pin!(join_all((0..30).map(|n| {
        store.write(move |db| {
            if n % 10 == 7 {
                return Err(StoreError::Failed("before it wrote".into()));
            }
            leave(db, n)?;
            match n % 10 {
                3 => Err(StoreError::Failed("after it wrote".into())),
                5 => panic!("a bug in a command"),
                _ => Ok(()),
            }
        })
    })));
    assert!(futures::poll!(many.as_mut()).is_pending());
    go_on.send(()).unwrap();
    for (n, outcome) in many.await.into_iter().enumerate() {
        assert_eq!(outcome.is_err(), [3, 5, 7].contains(&(n % 10)), "{n}: {outcome:?}");
    }
    let expected: Vec<i64> = (0..30).filter(|n| ![3, 5, 7].contains(&(n % 10))).collect();
    assert_eq!(store.read(left).await.unwrap(), expected);
    store.write(|db| leave(db, 30)).await.unwrap();
    let panicked = store.read::<()>(|_| panic!("a bug in a read")).await;
    assert!(matches!(panicked, Err(StoreError::Failed(_))));
    for _ in 0..4 {
        store.ping().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_finishes_what_waits() {
    let file = File::fresh();
    let store = file.store();
    let go_on = held_up(&store).await;
    let mut many = pin!(join_all((0..60).map(|n| store.write(move |db| leave(db, n)))));
    assert!(futures::poll!(many.as_mut()).is_pending());
    let closing = tokio::spawn({
        let store = store.clone();
        async move { store.close().await }
    });
    go_on.send(()).unwrap();
    assert!(many.await.iter().all(Result::is_ok));
    closing.await.unwrap();
    assert!(matches!(store.write(|db| leave(db, 60)).await, Err(StoreError::Unavailable(_))));
    assert_eq!(file.store().read(left).await.unwrap().len(), 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_is_done_though_nobody_waits_for_its_answer() {
    let file = File::fresh();
    let store = file.store();
    let go_on = held_up(&store).await;
    {
        let mut given_up = pin!(store.write(|db| leave(db, 1)));
        assert!(futures::poll!(given_up.as_mut()).is_pending());
    }
    go_on.send(()).unwrap();
    store.write(|db| leave(db, 2)).await.unwrap();
    assert_eq!(store.read(left).await.unwrap(), [1, 2]);
}

/// What a process that is killed leaves behind: the file and its write-ahead log as they are, nothing closed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_is_there_after_a_kill() {
    for synchronous in [Synchronous::Full, Synchronous::Normal] {
        let file = File::fresh();
        let options = SqliteOptions { synchronous, ..SqliteOptions::default() };
        let ambient = Ambient::system();
        let store = SqliteStore::open(file.path(), options, ambient.clone()).unwrap();
        join_all((0..200).map(|n| store.write(move |db| leave(db, n))))
            .await
            .into_iter()
            .for_each(|left| left.unwrap());
        let after = File::fresh();
        std::fs::create_dir_all(after.path().parent().unwrap()).unwrap();
        for end in ["", "-wal"] {
            let name = |path: PathBuf| PathBuf::from(format!("{}{end}", path.display()));
            std::fs::copy(name(file.path()), name(after.path())).unwrap();
        }
        assert_eq!(after.store().read(left).await.unwrap().len(), 200);
    }
}

/// A neighbour that holds the file for a while makes commands wait, not fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_neighbour_is_waited_for() {
    let file = File::fresh();
    let store = file.store();
    let neighbour = Connection::open(file.path()).unwrap();
    neighbour.execute_batch("BEGIN IMMEDIATE; INSERT INTO changes (at, body) VALUES (1, '{}')").unwrap();
    let mut waiting = pin!(store.write(|db| leave(db, 2)));
    assert!(futures::poll!(waiting.as_mut()).is_pending());
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(futures::poll!(waiting.as_mut()).is_pending());
    assert!(store.read(left).await.unwrap().is_empty(), "reads wait for nobody");
    neighbour.execute_batch("COMMIT").unwrap();
    waiting.await.unwrap();
    assert_eq!(store.read(left).await.unwrap(), [1, 2]);
}

/// What is changed or taken away again within the commit that said it.
#[tokio::test]
async fn the_index_has_what_a_commit_came_to() {
    let file = File::fresh();
    let path = file.path();
    let world = World::new(file).await;
    let (user, _, talk) = world.pair().await;
    let store = SqliteStore::open(path, SqliteOptions::default(), Ambient::system()).unwrap();
    let sent = ["a first word", "a second word", "a third word"].map(|text| world.message(&talk, &user.id, text));
    let act = move |db: &Db| {
        for send in &sent {
            super::messages::send(db, send)?;
        }
        db.run("UPDATE messages SET text = 'another word' WHERE id = ?1", [sent[1].message.as_str()])?;
        db.run("DELETE FROM messages WHERE id = ?1", [sent[2].message.as_str()])?;
        Ok(())
    };
    store.write(act).await.unwrap();
    for (word, finds) in [("first", 1), ("second", 0), ("another", 1), ("third", 0), ("word", 2)] {
        let sought = Sought::parse(word).unwrap();
        let query = SearchQuery { viewer: user.id.clone(), sought, conversation: None, limit: 10 };
        assert_eq!(world.store.search_messages(&query).await.unwrap().len(), finds, "{word}");
    }
    let due = store.read(|db| db.number("SELECT count(*) FROM message_search_due", [])).await;
    assert_eq!(due.unwrap(), 0);
}

/// Fifty thousand waiting messages, and no command of the protocol looks through them.
#[tokio::test]
async fn a_long_line_costs_no_more_than_a_short_one() {
    let file = File::fresh();
    let path = file.path();
    let world = World::new(file).await;
    let (user, _, conversation) = world.pair().await;
    let server = world.server().await;
    let connection = super::connect::writer(&path, &SqliteOptions::default()).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    let db = Db::new(&connection, world.now());
    let send = || {
        let send = SendMessage { max_due: u64::MAX, ..world.message(&conversation, &user.id, "hello") };
        assert!(matches!(super::messages::send(&db, &send), Ok(Sent::Accepted { .. })));
    };
    // The quickest of some rounds: what the machine does beside it is not what is asked.
    let round = || {
        let rounds = (0..8).map(|_| {
            let started = Instant::now();
            for _ in 0..10 {
                send();
                let Ok(Claimed::Claimed(claim)) = super::replies::claim(&db, &world.asking(&conversation, &server))
                else {
                    panic!("not claimed")
                };
                super::replies::context(&db, &claim, 10).unwrap();
                assert!(!super::replies::due(&db, None, 10).unwrap().is_empty());
                super::replies::commit(&db, &world.reply(&claim, "yes")).unwrap();
            }
            started.elapsed()
        });
        rounds.min().unwrap()
    };
    for _ in 0..10 {
        send();
    }
    let short = round();
    for _ in 0..50_000 {
        send();
    }
    let long = round();
    assert!(long < short * 8, "{short:?} with a short line, {long:?} with a long one");
}

/// What is read while a list is put together: indexes, and characters of the page.
#[tokio::test]
async fn no_list_of_characters_looks_through_the_library() {
    let file = File::fresh();
    let store = file.store();
    let raw = Connection::open(file.path()).unwrap();
    let query = |sort, text: Option<&str>, tag: Option<&str>, cursor| CharacterQuery {
        viewer: UserId::trusted("somebody"),
        text: text.map(str::to_owned),
        tag: tag.map(str::to_owned),
        among: None,
        sort,
        cursor,
        limit: 50,
    };
    for sort in [Sort::New, Sort::Popular, Sort::Recent, Sort::Name] {
        let name = sort.order().name;
        for cursor in [None, Some(cursor::make(name, "mara", "7"))] {
            for (text, tag) in [
                (None, None),
                (None, Some("sea")),
                (Some("lamp li"), None),
                (Some("lamp"), Some("sea")),
                (Some("@tess"), None),
            ] {
                let (sql, params) = characters::page(&query(sort, text, tag, cursor.clone()), Timestamp(1)).unwrap();
                let mut plan = raw.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
                let steps = plan.query_map(rusqlite::params_from_iter(params), |row| row.get::<_, String>(3)).unwrap();
                let steps: Vec<String> = steps.map(Result::unwrap).collect();
                let all = steps.join("\n");
                let told = format!("{sort:?} {text:?} {tag:?}:\n{all}");
                for step in &steps {
                    let is_table =
                        step.starts_with("SCAN") && !step.contains(" USING ") && !step.contains("VIRTUAL TABLE");
                    let is_made = ["found", "asked", "talked", "(subquery", "CONSTANT", "unlisted_characters"];
                    assert!(!is_table || is_made.iter().any(|name| step.contains(name)), "{step} in {told}");
                    assert!(!step.contains("AUTOMATIC"), "{step} in {told}");
                }
                if sort != Sort::Recent {
                    assert!(
                        all.contains(&format!(
                            "ch USING INDEX characters_{}",
                            if name == "name" { "by_name" } else { name }
                        )),
                        "{told}"
                    );
                    assert!(all.contains("USING COVERING INDEX characters_own"), "{told}");
                }
                assert_eq!(
                    all.contains("USING COVERING INDEX characters_names"),
                    text.is_some_and(|text| !text.starts_with('@')),
                    "{told}"
                );
            }
        }
    }
    store.close().await;
}
