//! Servers that share a database: what they decide at once, and what they hear of each other.

use super::{eventually, open, options, world};
use crate::conformance::World;
use crate::postgres::PostgresStore;
use crate::{AccountChange, Change, Claimed, Committed, Sent, Store};
use futures::future::join_all;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// Three more stores on the world's clock.
async fn servers(world: &World, url: &str) -> Vec<Arc<PostgresStore>> {
    join_all((0..3).map(|_| PostgresStore::open(url, options(), world.ambient.clone())))
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect()
}

/// Twenty conversations, four stores, a hundred messages each in batches that meet: every one is stored once, in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_of_many_servers_meet_without_a_gap_or_a_deadlock() {
    let (world, _, database) = world().await;
    let stores = servers(&world, &database.url()).await;
    let character = world.character("Mara").await;
    let mut conversations = Vec::new();
    for n in 0..20 {
        let user = world.user(&format!("user_{n}")).await;
        conversations.push(world.conversation(&user, &character).await);
    }
    let sends = (0..2_000).map(|n| {
        let conversation = &conversations[(n * 7) % 20];
        let mut send = world.message(conversation, &conversation.owner_id, "hello");
        send.max_due = 1_000;
        stores[n % 3].send_message(send)
    });
    for sent in join_all(sends).await {
        assert!(matches!(sent.unwrap(), Sent::Accepted { .. }));
    }
    for conversation in &conversations {
        world.assert_seq_without_a_gap(conversation).await;
        assert_eq!(world.store.last_seq(&conversation.id).await.unwrap(), 100);
    }
}

/// Eight conversations of one character are answered by three servers at once, two replies at a time: never more are under
/// way, none is given twice, and all are given.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_characters_replies_are_counted_over_all_servers() {
    let (world, _, database) = world().await;
    let stores = servers(&world, &database.url()).await;
    let (world, character) = (Arc::new(world), Arc::new(parking_lot::Mutex::new(HashSet::new())));
    let mara = world.character("Mara").await;
    let mut conversations = Vec::new();
    for n in 0..8 {
        let conversation = world.conversation(&world.user(&format!("user_{n}")).await, &mara).await;
        for _ in 0..3 {
            world.send(&conversation, "hello").await;
        }
        conversations.push(conversation);
    }
    let mut tasks = Vec::new();
    for store in stores {
        let server = world.server().await;
        for _ in 0..4 {
            let (world, store, server) = (world.clone(), store.clone(), server.clone());
            let (conversations, under_way) = (conversations.clone(), character.clone());
            tasks.push(tokio::spawn(async move {
                let mut given = 0;
                let mut idle = 0;
                while idle < 200 {
                    idle += 1;
                    for conversation in &conversations {
                        let ask = crate::ClaimReply { replies_per_character: 2, ..world.asking(conversation, &server) };
                        let Claimed::Claimed(claim) = store.claim_reply(ask).await.unwrap() else { continue };
                        {
                            let mut under_way = under_way.lock();
                            assert!(under_way.insert(claim.conversation.clone()), "two replies in one conversation");
                            assert!(under_way.len() <= 2, "{} replies at once", under_way.len());
                        }
                        tokio::time::sleep(Duration::from_millis(2)).await;
                        under_way.lock().remove(&claim.conversation);
                        let committed = store.commit_reply(world.reply(&claim, "yes")).await.unwrap();
                        assert!(matches!(committed, Committed::Committed { .. }));
                        (given, idle) = (given + 1, 0);
                    }
                    if world.store.due_replies(None, 1).await.unwrap().is_empty() {
                        break;
                    }
                }
                given
            }));
        }
    }
    let given: usize = join_all(tasks).await.into_iter().map(Result::unwrap).sum();
    assert_eq!(given, 24);
    for conversation in &conversations {
        world.assert_seq_without_a_gap(conversation).await;
        assert_eq!(world.all_messages(conversation).await.len(), 6);
    }
}

/// Somebody's transaction holds a conversation for a while: messages to others do not wait for it, though they come together.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_that_is_held_up_holds_up_no_other() {
    let (world, _, database) = world().await;
    let character = world.character("Mara").await;
    let mut conversations = Vec::new();
    for n in 0..30 {
        conversations.push(world.conversation(&world.user(&format!("user_{n}")).await, &character).await);
    }
    let mut raw = database.connect().await.unwrap();
    sqlx::raw_sql("BEGIN").execute(&mut raw).await.unwrap();
    let held = sqlx::query("SELECT key FROM conversations WHERE id = $1 FOR UPDATE").bind(conversations[0].id.as_str());
    held.execute(&mut raw).await.unwrap();
    let send =
        |n: usize| world.store.send_message(world.message(&conversations[n], &conversations[n].owner_id, "hello"));
    let mut waits = Box::pin(send(0));
    let others = join_all((1..30).chain(1..30).map(send));
    let others = tokio::select! {
        _ = &mut waits => panic!("it was locked"),
        others = timeout(Duration::from_secs(5), others) => others.unwrap(),
    };
    assert!(others.iter().all(|sent| matches!(sent, Ok(Sent::Accepted { .. }))));
    sqlx::raw_sql("ROLLBACK").execute(&mut raw).await.unwrap();
    assert!(matches!(timeout(Duration::from_secs(5), waits).await.unwrap().unwrap(), Sent::Accepted { .. }));
}

/// A transaction takes its change's number and then its time. Whoever follows the feed meanwhile sees nothing after it before
/// it, and skips nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_commits_late_is_not_skipped() {
    let (world, store, database) = world().await;
    let (user, _, conversation) = world.pair().await;
    let from = store.last_change().await.unwrap();
    let mut slow = database.connect().await.unwrap();
    sqlx::raw_sql("BEGIN").execute(&mut slow).await.unwrap();
    let late = Change::Conversation { id: world.ambient.id() };
    let tell = sqlx::query("SELECT aim_tell(NULL, $1)").bind(vec![serde_json::to_string(&late).unwrap()]);
    tell.execute(&mut slow).await.unwrap();

    let change = AccountChange { display_name: Some("Tess".into()), ..Default::default() };
    let mut quick = Box::pin(world.store.change_user(&user.id, change));
    let mut told = Vec::new();
    let mut cursor = from;
    let mut follow = async |told: &mut Vec<Change>| {
        for (at, change) in store.changes(cursor, 10).await.unwrap() {
            cursor = at;
            told.push(change);
        }
    };
    for _ in 0..20 {
        follow(&mut told).await;
        assert!(timeout(Duration::from_millis(10), &mut quick).await.is_err(), "it waits for the one before it");
    }
    assert!(told.is_empty());
    // Sends, claims and replies do not come by there.
    let server = world.server().await;
    world.send(&conversation, "hello").await;
    world.answer(&conversation, &server, "yes").await;

    sqlx::raw_sql("COMMIT").execute(&mut slow).await.unwrap();
    quick.await.unwrap();
    follow(&mut told).await;
    assert_eq!(told, [late, Change::User { id: user.id, username: "tess".into() }]);
    assert_eq!(cursor, from + 2);
}

/// A transaction that began first takes its number when it commits: what was read meanwhile comes before it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_a_transaction_that_began_earlier_comes_after_what_was_read() {
    let (world, store, database) = world().await;
    let (tess, ines) = (world.user("tess").await, world.user("ines").await);
    let from = store.last_change().await.unwrap();
    let mut early = database.connect().await.unwrap();
    sqlx::raw_sql("BEGIN; UPDATE users SET version = version WHERE username = 'ines'")
        .execute(&mut early)
        .await
        .unwrap();

    world.store.change_user(&tess.id, AccountChange::default()).await.unwrap();
    let read = store.changes(from, 10).await.unwrap();
    let cursor = read.last().unwrap().0;
    assert_eq!(cursor, from + 1);

    let change = Change::User { id: ines.id, username: "ines".into() };
    let tell = sqlx::query("SELECT aim_tell(NULL, $1)").bind(vec![serde_json::to_string(&change).unwrap()]);
    tell.execute(&mut early).await.unwrap();
    sqlx::raw_sql("COMMIT").execute(&mut early).await.unwrap();
    assert_eq!(store.changes(cursor, 10).await.unwrap(), [(from + 2, change)]);
}

/// Three servers write at once, and the fourth never sees a number before a lower one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_follows_many_writers_misses_nothing() {
    let (world, store, database) = world().await;
    let stores = servers(&world, &database.url()).await;
    let mut users = Vec::new();
    for n in 0..30 {
        users.push(world.user(&format!("user_{n}")).await);
    }
    let from = store.last_change().await.unwrap();
    let writes = join_all((0..300).map(|n| stores[n % 3].change_user(&users[n % 30].id, AccountChange::default())));
    let follow = async {
        let mut cursor = from;
        while cursor < from + 300 {
            for (at, _) in store.changes(cursor, 7).await.unwrap() {
                assert_eq!(at, cursor + 1);
                cursor = at;
            }
        }
    };
    let (written, ()) = timeout(Duration::from_secs(30), async { tokio::join!(writes, follow) }).await.unwrap();
    assert!(written.iter().all(|user| matches!(user, Ok(Some(_)))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_heard_of_at_once_also_after_the_connection_was_lost() {
    let (world, store, database) = world().await;
    let user = world.user("tess").await;
    let heard = async || {
        // What came before is heard of first.
        while timeout(Duration::from_millis(300), store.changed()).await.is_ok() {}
        let began = Instant::now();
        world.store.change_user(&user.id, AccountChange::default()).await.unwrap();
        timeout(Duration::from_secs(2), store.changed()).await.map(|()| began.elapsed())
    };
    assert!(heard().await.unwrap() < Duration::from_millis(500));
    database.cut().await.unwrap();
    // It says so itself when it listens again: what was committed meanwhile was not heard.
    timeout(Duration::from_secs(10), store.changed()).await.unwrap();
    eventually(Duration::from_secs(10), || async { heard().await.is_ok() }).await;
}

/// Connections are few and commands are many: they wait for their turn, and the one that waits too long is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_share_the_connections_there_are() {
    let (world, store, database) = world().await;
    let (user, _, conversation) = world.pair().await;
    let reads = join_all((0..500).map(|_| store.user(&user.id))).await;
    assert!(reads.iter().all(|read| matches!(read, Ok(Some(_)))));
    let mut raw = database.connect().await.unwrap();
    let backends =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'aim'
         AND query NOT LIKE 'LISTEN%'";
    let count: i64 = sqlx::query_scalar(backends).fetch_one(&mut raw).await.unwrap();
    assert!(count <= 4 + 8, "{count}");

    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(store.pg.take().await.unwrap());
    }
    let began = Instant::now();
    assert!(matches!(store.user(&user.id).await, Err(crate::StoreError::Unavailable(_))));
    assert!((1..5).contains(&began.elapsed().as_secs()));
    drop(held);
    store.user(&user.id).await.unwrap();
    let other = open(&database.url()).await;
    other.close().await;
    assert!(matches!(other.ping().await, Err(crate::StoreError::Unavailable(_))));
    let sent = other.send_message(world.message(&conversation, &user.id, "hello")).await;
    assert!(matches!(sent, Err(crate::StoreError::Unavailable(_))));
}
