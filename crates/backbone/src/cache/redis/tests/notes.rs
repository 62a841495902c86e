//! What people left in their sessions: preferences, drafts, uploads. The store has the truth, all servers share the copy.

use super::*;
use crate::conformance::cache::draft;
use crate::keys;
use aim_domain::{UploadId, UserId};

/// What this server says of a draft whose row in the store is at the truth's version.
async fn read(server: &Server) -> i64 {
    let load = server.truth.load();
    let Ok(found) = with_budget(PATIENCE, server.cache.get_or_load(&draft("u1", "character"), load)).await;
    found.unwrap().version
}

/// As the platform saves one: the store's commit, which writes the feed, then the copy.
async fn save(server: &Server) -> i64 {
    let version = server.truth.change();
    with_budget(server.budget, server.cache.write(&draft("u1", "character"), sheet(version))).await;
    version
}

/// As the platform takes in the changes of that one row.
async fn read_feed(server: &Server) {
    with_budget(PATIENCE, async {
        let here = *server.cursor.lock();
        let told = server.cache.told(here).await;
        let end = server.truth.version();
        for at in told.map_or(here, |told| told.min(here)) + 1..=end {
            let reach = if told.is_some_and(|told| at <= told) { Reach::Here } else { Reach::Everywhere };
            server.cache.invalidate(&draft("u1", "character"), reach).await;
        }
        *server.cursor.lock() = end;
        if told.is_some() {
            server.cache.heard(end).await;
        }
    })
    .await;
}

#[tokio::test]
async fn they_have_the_names_and_the_times_that_operators_know() {
    let world = World::new().await;
    let server = world.server().await;
    let hour = 60 * 60 * 1_000;
    let user = UserId::trusted("u1");
    let upload = UploadId::trusted("p1");
    for (key, name, ttl) in [
        (keys::session_preferences(&user), "aim:session:preferences:u1", hour),
        (draft("u1", "character"), "aim:session:draft:u1:character", 24 * hour),
        (keys::session_upload(&upload), "aim:session:upload:p1", hour),
    ] {
        with_budget(PATIENCE, server.cache.write(&key, sheet(3))).await;
        let left = world.redis(&["PTTL", name]).await.number().unwrap();
        assert!((ttl - 10_000..=ttl).contains(&left), "{name}: {left}");
        let line = world.redis(&["GET", name]).await.text();
        assert!(line.starts_with("aim1 1 3 "), "schema and version: {line}");
    }
}

#[tokio::test]
async fn a_draft_that_one_server_saved_every_other_one_shows() {
    let world = World::new().await;
    let (one, other) = (world.server().await, world.server().await);
    assert_eq!((read(&one).await, read(&other).await, world.truth.loads()), (1, 1, 1));
    let saved = save(&one).await;
    assert_eq!(read(&one).await, saved);
    read_feed(&other).await;
    assert_eq!(read(&other).await, saved);
    assert_eq!(world.truth.loads(), 2, "it was told of the change, and read the store once");
    read_feed(&one).await;
    assert_eq!((read(&one).await, world.truth.loads()), (saved, 2), "and what it read all have");
}

#[tokio::test]
async fn a_draft_that_was_saved_while_redis_was_away_is_what_all_show_when_it_is_back() {
    let world = World::new().await;
    let (one, other) = (world.server().await, world.server().await);
    assert_eq!((read(&one).await, read(&other).await), (1, 1));
    one.proxy.cut().await;
    other.proxy.cut().await;
    let saved = save(&one).await;
    assert_eq!(read(&one).await, saved);
    for server in [&one, &other] {
        read_feed(server).await;
        assert_eq!(read(server).await, saved, "from the store");
    }
    assert!(world.redis(&["GET", "aim:session:draft:u1:character"]).await.text().starts_with("aim1 1 1 "));
    drop((one, other));
    // Neither of those who knew lives when Redis is back.
    let after = world.starting().await;
    assert_eq!(read(&after).await, saved);
    read_feed(&after).await;
    assert!(after.believes());
    assert_eq!(read(&after).await, saved);
}
