//! Answers that are lost: the command was done, and nobody was told. It is asked again, and nothing is done twice.

use super::{LONG, behind_a_proxy, eventually, lease, open, until, world};
use crate::conformance::World;
use crate::postgres::lanes::Lanes;
use crate::postgres::{PostgresStore, messages};
use crate::{Claimed, Committed, NewSession, Sent, Store, StoreError};
use aim_domain::TokenHash;
use aim_testkit::ChaosProxy;
use sqlx::PgConnection;
use std::time::Duration;
use tokio::time::timeout;

/// Lets a command reach the database, and loses its answer with its connection.
async fn lose_the_answer<T>(proxy: &ChaosProxy, command: impl Future<Output = T>, done: impl AsyncFn() -> bool) -> T {
    proxy.hold_replies();
    let lose = async {
        until(done).await;
        proxy.cut_connections().await;
        proxy.release_replies();
    };
    timeout(Duration::from_secs(20), async { tokio::join!(command, lose).0 }).await.unwrap()
}

/// Has the statements prepared on the store's one connection, so that the answer that is lost is the command's own.
async fn acquaint(world: &World, store: &PostgresStore) {
    let character = world.character("Ona").await;
    let conversation = world.conversation(&world.user("ines").await, &character).await;
    let server = lease(world, store, LONG).await;
    world.session(&world.user("noor").await, "a token").await;
    let sends = [0, 1, 2].map(|_| world.message(&conversation, &conversation.owner_id, "hello"));
    store.send_message(sends[0].clone()).await.unwrap();
    messages::send_many(&store.pg, &[&sends[1], &sends[2]]).await.unwrap();
    let asked = store.claim_reply(world.asking(&conversation, &server)).await.unwrap();
    let Claimed::Claimed(claim) = asked else { panic!("{asked:?}") };
    store.commit_reply(world.reply(&claim, "yes")).await.unwrap();
    store.create_session(new_session(world, &conversation.owner_id, "another")).await.unwrap();
    store.end_lease(&server).await.unwrap();
}

fn new_session(world: &World, user: &aim_domain::UserId, token: &str) -> NewSession {
    let now = aim_domain::Ambient::system().now();
    NewSession {
        id: world.ambient.id(),
        user_id: user.clone(),
        token_hash: TokenHash::of(token),
        device: "a browser".into(),
        created_at: now,
        last_used_at: now,
        expires_at: now.plus(LONG),
    }
}

async fn claims(raw: &mut PgConnection) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM claims").fetch_one(raw).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_sent_once_and_its_sender_told() {
    let (world, _, database) = world().await;
    let (proxy, store) = behind_a_proxy(&database).await;
    let (user, character, conversation) = world.pair().await;
    acquaint(&world, &store).await;
    let stored = async || world.all_messages(&conversation).await.len() == 1;
    let first = world.message(&conversation, &user.id, "hello");
    let sent = lose_the_answer(&proxy, store.send_message(first.clone()), stored).await.unwrap();
    let Sent::Accepted { message, usage, due, .. } = sent else { panic!("{sent:?}") };
    assert_eq!((message.seq, usage.text, due), (1, 1, 1));
    assert_eq!(world.stored(&conversation, &message.id).await, message);
    // Who asks again under the same client id, because he was told nothing either, hears of the same.
    let repeat = crate::SendMessage { message: world.ambient.id(), ..first };
    let repeated = store.send_message(repeat).await.unwrap();
    assert!(matches!(&repeated, Sent::Repeated { message: same, .. } if *same == message), "{repeated:?}");
    assert_eq!(world.store.usage(&user.id, &character.id).await.unwrap().text, 1);
}

/// One lane, which a first message keeps busy until the others make a batch. They wait for their sender's usage, so that all
/// is said before anything is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_sent_once_and_each_sender_told() {
    let (world, other, database) = world().await;
    let (proxy, store) = behind_a_proxy(&database).await;
    let (user, character, conversation) = world.pair().await;
    let held = world.conversation(&world.user("hugo").await, &character).await;
    acquaint(&world, &store).await;
    other.send_message(world.message(&conversation, &user.id, "the first")).await.unwrap();
    let lanes = Lanes::new(store.pg.clone(), 1);
    let lock = async |what: &'static str, id: &str| {
        let mut raw = database.connect().await.unwrap();
        sqlx::raw_sql("BEGIN").execute(&mut raw).await.unwrap();
        sqlx::query(what).bind(id.to_owned()).execute(&mut raw).await.unwrap();
        raw
    };
    let mut line = lock("SELECT 1 FROM conversations WHERE id = $1 FOR UPDATE", held.id.as_str()).await;
    let mut usage = lock("SELECT 1 FROM usage WHERE user_id = $1 FOR UPDATE", user.id.as_str()).await;

    let mut ahead = Box::pin(lanes.send(world.message(&held, &held.owner_id, "hello")));
    assert!(timeout(Duration::from_millis(100), &mut ahead).await.is_err());
    let sends = futures::future::join_all((0..5).map(|_| lanes.send(world.message(&conversation, &user.id, "hello"))));
    let mut sends = Box::pin(sends);
    assert!(timeout(Duration::from_millis(50), &mut sends).await.is_err());
    sqlx::raw_sql("ROLLBACK").execute(&mut line).await.unwrap();
    ahead.await.unwrap();
    assert!(timeout(Duration::from_millis(100), &mut sends).await.is_err());
    proxy.hold_replies();
    sqlx::raw_sql("ROLLBACK").execute(&mut usage).await.unwrap();
    let stored = async || world.all_messages(&conversation).await.len() == 6;
    let sent = lose_the_answer(&proxy, sends, stored).await;
    let mut seqs = Vec::new();
    for sent in sent {
        let Sent::Accepted { message, .. } = sent.unwrap() else { panic!("not accepted") };
        assert_eq!(world.stored(&conversation, &message.id).await, message);
        seqs.push(message.seq);
    }
    assert_eq!(seqs, [2, 3, 4, 5, 6]);
    world.assert_seq_without_a_gap(&conversation).await;
    assert_eq!(world.store.usage(&user.id, &character.id).await.unwrap().text, 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_is_made_once_and_its_holder_told() {
    let (world, other, database) = world().await;
    let (proxy, store) = behind_a_proxy(&database).await;
    let (_, _, conversation) = world.pair().await;
    acquaint(&world, &store).await;
    let message = world.send(&conversation, "hello").await;
    let (server, nobody) = (lease(&world, &store, LONG).await, lease(&world, &other, LONG).await);
    // Who asks meanwhile does not get it, and neither before: the holder asked first.
    let held = async || {
        let mut raw = database.connect().await.unwrap();
        claims(&mut raw).await == 1
            && other.claim_reply(world.asking(&conversation, &nobody)).await.unwrap() == Claimed::ConversationBusy
    };
    let ask = store.claim_reply(world.asking(&conversation, &server));
    let claimed = lose_the_answer(&proxy, ask, held).await.unwrap();
    let Claimed::Claimed(claim) = claimed else { panic!("{claimed:?}") };
    assert_eq!((&claim.message.id, claim.fence), (&message.id, 1));
    assert!(matches!(store.commit_reply(world.reply(&claim, "yes")).await.unwrap(), Committed::Committed { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_is_committed_once_and_its_author_told() {
    let (world, _, database) = world().await;
    let (proxy, store) = behind_a_proxy(&database).await;
    let (_, _, conversation) = world.pair().await;
    acquaint(&world, &store).await;
    let message = world.send(&conversation, "hello").await;
    let server = lease(&world, &store, LONG).await;
    let Claimed::Claimed(claim) = store.claim_reply(world.asking(&conversation, &server)).await.unwrap() else {
        panic!("not claimed")
    };
    let stored = async || world.all_messages(&conversation).await.len() == 2;
    let commit = world.reply(&claim, "yes");
    let committed = lose_the_answer(&proxy, store.commit_reply(commit.clone()), stored).await.unwrap();
    let Committed::Committed { asked, reply } = committed else { panic!("stale") };
    assert_eq!((asked.id, reply.id, reply.seq), (message.id, commit.reply.id, 2));
    world.assert_seq_without_a_gap(&conversation).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_made_once_and_its_user_told() {
    let (world, other, database) = world().await;
    let (proxy, store) = behind_a_proxy(&database).await;
    acquaint(&world, &store).await;
    let user = world.user("tess").await;
    let session = new_session(&world, &user.id, "hers");
    let there = async || other.member(&session.token_hash).await.unwrap().is_some();
    lose_the_answer(&proxy, store.create_session(session.clone()), there).await.unwrap();
    assert_eq!(store.sessions(&user.id).await.unwrap(), [session]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_nobody_waits_for_any_more_is_taken_back() {
    let (world, other, database) = world().await;
    let (proxy, store) = behind_a_proxy(&database).await;
    let (_, _, conversation) = world.pair().await;
    acquaint(&world, &store).await;
    world.send(&conversation, "hello").await;
    let (server, next) = (lease(&world, &store, LONG).await, lease(&world, &other, LONG).await);
    let mut raw = database.connect().await.unwrap();
    proxy.hold_replies();
    {
        let mut ask = Box::pin(store.claim_reply(world.asking(&conversation, &server)));
        while claims(&mut raw).await == 0 {
            assert!(timeout(Duration::from_millis(5), &mut ask).await.is_err());
        }
    }
    proxy.heal().await;
    eventually(Duration::from_secs(10), || async {
        matches!(other.claim_reply(world.asking(&conversation, &next)).await, Ok(Claimed::Claimed(_)))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_the_database_took_along_is_taken_back_when_it_is_there_again() {
    let (world, other, database) = world().await;
    let (proxy, store) = behind_a_proxy(&database).await;
    let (_, _, conversation) = world.pair().await;
    acquaint(&world, &store).await;
    world.send(&conversation, "hello").await;
    let (server, next) = (lease(&world, &store, LONG).await, lease(&world, &other, LONG).await);
    let mut raw = database.connect().await.unwrap();
    proxy.hold_replies();
    let cut = async {
        while claims(&mut raw).await == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        proxy.cut().await;
    };
    let ask = store.claim_reply(world.asking(&conversation, &server));
    let (claimed, ()) = timeout(Duration::from_secs(10), async { tokio::join!(ask, cut) }).await.unwrap();
    assert!(matches!(claimed, Err(StoreError::Unavailable(_))));
    let ask_next = async || other.claim_reply(world.asking(&conversation, &next)).await.unwrap();
    assert_eq!(ask_next().await, Claimed::ConversationBusy);
    proxy.heal().await;
    eventually(Duration::from_secs(10), || async { matches!(ask_next().await, Claimed::Claimed(_)) }).await;
}

/// Its server is gone for good, with all that it knew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_nobody_can_take_back_ends_with_its_lease() {
    let (world, other, database) = world().await;
    let (proxy, store) = behind_a_proxy(&database).await;
    let (_, _, conversation) = world.pair().await;
    acquaint(&world, &store).await;
    world.send(&conversation, "hello").await;
    let short = Duration::from_secs(2);
    let (server, next) = (lease(&world, &store, short).await, lease(&world, &other, LONG).await);
    let mut raw = database.connect().await.unwrap();
    proxy.hold_replies();
    let ask = tokio::spawn({
        let (store, asking) = (store.clone(), world.asking(&conversation, &server));
        async move { store.claim_reply(asking).await.is_err() }
    });
    let made = async {
        while claims(&mut raw).await == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(5), made).await.unwrap();
    proxy.cut().await;
    let ask_next = async || other.claim_reply(world.asking(&conversation, &next)).await.unwrap();
    assert_eq!(ask_next().await, Claimed::ConversationBusy);
    eventually(short * 5, || async { matches!(ask_next().await, Claimed::Claimed(claim) if claim.fence == 2) }).await;
    // Whoever comes back too late has lost it.
    assert!(ask.await.unwrap());
    proxy.heal().await;
    let store = open(&database.url()).await;
    assert!(!store.renew_lease(&server, short, true).await.unwrap());
}
