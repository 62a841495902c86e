//! A Redis that forgets: everything, its scripts, one key of several.

use super::*;

#[tokio::test]
async fn a_redis_that_forgot_everything_begins_anew() {
    let world = World::new().await;
    let turns = world.turns(Settings::default());
    let (held, waiting) = (turn("mara", "a", "a1"), turn("mara", "b", "b1"));
    turns.enter(held.clone()).await.unwrap();
    turns.enter(waiting.clone()).await.unwrap();
    world.redis.flush().await.unwrap();
    assert_eq!(turns.finish(&held).await.unwrap(), Moved::default());
    assert!(!turns.renew(&held).await.unwrap());
    assert!(!turns.knows(&waiting).await.unwrap());
    assert_eq!(turns.withdraw(&waiting.character, &waiting.conversation, &[]).await.unwrap(), Moved::default());
    assert_eq!(turns.expire().await.unwrap(), Moved::default());
    assert_eq!(turns.granted(Duration::ZERO).await.unwrap(), []);
    assert!(world.keys().await.is_empty());
    assert_eq!(names(&turns.enter(waiting).await.unwrap()), ["b1"]);
}

#[tokio::test]
async fn scripts_that_redis_forgot_are_sent_anew() {
    let world = World::new().await;
    let turns = world.turns(Settings::default());
    for n in 0..20 {
        let turn = turn("mara", &format!("c{n}"), &format!("m{n}"));
        world.redis.command(&["SCRIPT", "FLUSH"]).await.unwrap();
        assert_eq!(turns.enter(turn.clone()).await.unwrap().granted, std::slice::from_ref(&turn));
        world.redis.command(&["SCRIPT", "FLUSH"]).await.unwrap();
        turns.finish(&turn).await.unwrap();
    }
}

/// One key of several evicted, or written over by another hand: the lines begin anew and nobody is stuck.
#[tokio::test]
async fn keys_that_do_not_add_up_are_dropped() {
    let spoilt: [&[&str]; 11] = [
        &["DEL", "aim:turn:2:mara:rooms"],
        &["DEL", "aim:turn:2:mara:places"],
        &["DEL", "aim:turn:2:mara:turns"],
        &["HDEL", "aim:turn:2:mara:rooms", "b"],
        &["HDEL", "aim:turn:2:mara:rooms", "."],
        &["ZREM", "aim:turn:2:mara:turns", "b2:1"],
        &["ZADD", "aim:turn:2:mara:turns", "0", "stranger"],
        &["ZADD", "aim:turn:2:mara:places", "0", "stranger"],
        &["HSET", "aim:turn:2:mara:rooms", "stranger", "x"],
        &["HSET", "aim:turn:2:mara:rooms", "b", "nonsense"],
        &["SET", "aim:turn:2:mara:turns", "x"],
    ];
    for words in spoilt {
        let world = World::new().await;
        let turns = world.turns(Settings::default());
        let (held, waiting) = (turn("mara", "a", "a1"), turn("mara", "b", "b1"));
        turns.enter(held.clone()).await.unwrap();
        for message in ["b1", "b2", "b3"] {
            turns.enter(turn("mara", "b", message)).await.unwrap();
        }
        world.redis.command(words).await.unwrap();
        turns.state(&waiting.character, &waiting.conversation).await.unwrap();
        turns.granted(Duration::ZERO).await.unwrap();
        // Whoever finds it due in the store enters it anew.
        assert_eq!(turns.finish(&held).await.unwrap(), Moved::default(), "{words:?}");
        assert!(!turns.knows(&waiting).await.unwrap(), "{words:?}");
        assert_eq!(names(&turns.enter(waiting.clone()).await.unwrap()), ["b1"], "{words:?}");
        turns.finish(&waiting).await.unwrap();
        assert!(world.keys().await.is_empty(), "{words:?}");
    }
}

/// Whoever enters finds it out as well, and has a turn at once.
#[tokio::test]
async fn who_enters_lines_that_cannot_be_read_begins_them_anew() {
    for words in [
        ["HSET", "aim:turn:2:mara:rooms", "b", "nonsense"],
        ["HSET", "aim:turn:2:mara:rooms", ".", "nonsense"],
        ["ZREM", "aim:turn:2:mara:turns", "b2:1", "b3:1"],
    ] {
        let world = World::new().await;
        let turns = world.turns(Settings::default());
        turns.enter(turn("mara", "a", "a1")).await.unwrap();
        for message in ["b1", "b2", "b3"] {
            turns.enter(turn("mara", "b", message)).await.unwrap();
        }
        world.redis.command(&words).await.unwrap();
        let next = turn("mara", "b", "b4");
        assert_eq!(turns.enter(next.clone()).await.unwrap().granted, std::slice::from_ref(&next), "{words:?}");
        assert_eq!(turns.granted(Duration::ZERO).await.unwrap(), std::slice::from_ref(&next));
        turns.finish(&next).await.unwrap();
        assert!(world.keys().await.is_empty(), "{words:?}");
    }
}

#[tokio::test]
async fn strangers_in_the_index_and_an_index_of_another_kind_hinder_nobody() {
    let world = World::new().await;
    let turns = world.turns(Settings { lease: Duration::from_millis(300), ..Settings::default() });
    world.redis.command(&["ZADD", "aim:turn:2:leases", "0", "no id", "0", "nobody"]).await.unwrap();
    assert_eq!(turns.granted(Duration::ZERO).await.unwrap(), []);
    assert_eq!(turns.expire().await.unwrap(), Moved::default());
    assert!(world.keys().await.is_empty());
    world.redis.command(&["SET", "aim:turn:2:leases", "x"]).await.unwrap();
    let (held, waiting) = (turn("mara", "a", "a1"), turn("mara", "b", "b1"));
    assert_eq!(names(&turns.enter(held.clone()).await.unwrap()), ["a1"]);
    turns.enter(waiting.clone()).await.unwrap();
    assert!(turns.renew(&held).await.unwrap());
    assert_eq!(names(&turns.finish(&held).await.unwrap()), ["b1"]);
    turns.expire().await.unwrap_err();
    world.redis.command(&["DEL", "aim:turn:2:leases"]).await.unwrap();
    assert!(turns.renew(&waiting).await.unwrap());
    assert_eq!(turns.granted(Duration::ZERO).await.unwrap(), [waiting]);
}
