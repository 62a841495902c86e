//! How invalidations reach everyone, and when Redis is believed.

use super::*;

#[tokio::test]
async fn nothing_is_believed_before_the_feed_is_followed() {
    let world = World::new().await;
    let (one, starting) = (world.server().await, world.starting().await);
    one.ask().await;
    assert!(!starting.believes());
    assert_eq!((starting.ask().await, world.truth.loads()), (1, 2));
    starting.read_feed().await;
    starting.forget_near();
    assert_eq!((starting.ask().await, world.truth.loads()), (1, 2));
}

#[tokio::test]
async fn a_change_whose_writer_died_before_it_told_anyone_is_told_by_the_first_that_reads_the_feed() {
    let world = World::new().await;
    let (one, other, third) = (world.server().await, world.server().await, world.server().await);
    for server in [&one, &other, &third] {
        assert_eq!(server.ask().await, 1);
    }
    world.truth.change();
    one.read_feed().await;
    assert_eq!((one.near(), one.kept().await), (None, None));
    assert_eq!(one.ask().await, 2);
    assert_eq!(other.near(), Some(1), "it has not read the feed yet");

    let deletions = world.count("del").await;
    for server in [&other, &third] {
        server.read_feed().await;
        assert_eq!(server.near(), None);
        assert_eq!(server.ask().await, 2);
    }
    assert_eq!(world.count("del").await, deletions, "what one has told the others need not");
    assert_eq!(world.truth.loads(), 2, "and what was loaded since is not thrown away");
}

#[tokio::test]
async fn a_late_invalidation_of_an_old_change_costs_a_load_and_nothing_else() {
    let world = World::new().await;
    let (one, slow) = (world.server().await, world.server().await);
    world.truth.change();
    one.read_feed().await;
    assert_eq!(one.ask().await, 2);
    slow.invalidate().await;
    assert_eq!((one.ask().await, slow.ask().await), (2, 2));
}

#[tokio::test]
async fn what_two_servers_that_were_cut_off_could_not_tell_is_told_before_anything_is_believed() {
    let world = World::new().await;
    let (one, other) = (world.server().await, world.server().await);
    assert_eq!((one.ask().await, other.ask().await), (1, 1));
    one.proxy.cut().await;
    other.proxy.cut().await;
    world.truth.change();
    one.invalidate().await;
    assert_eq!(one.ask().await, 2, "near, and the store");
    one.read_feed().await;
    other.read_feed().await;
    assert_eq!((one.ask().await, other.ask().await), (2, 2));
    assert_eq!(
        world.redis(&["EXISTS", "aim:character:c1"]).await.number(),
        Some(1),
        "the stale value lies there still"
    );

    one.proxy.heal().await;
    other.proxy.heal().await;
    assert!(one.link.ready(PATIENCE).await && other.link.ready(PATIENCE).await);
    for server in [&one, &other] {
        server.forget_near();
        assert!(!server.believes());
        assert_eq!(server.ask().await, 2);
    }
    one.read_feed().await;
    assert_eq!(world.redis(&["EXISTS", "aim:character:c1"]).await.number(), Some(0));
    other.read_feed().await;
    assert!(one.believes() && other.believes());
    for server in [&one, &other] {
        server.forget_near();
        assert_eq!(server.ask().await, 2);
    }
}

#[tokio::test]
async fn what_nobody_could_tell_is_told_by_those_who_started_since() {
    let world = World::new().await;
    {
        let before = world.server().await;
        assert_eq!(before.ask().await, 1);
        before.proxy.cut().await;
        world.truth.change();
        before.read_feed().await;
    }
    let after = world.starting().await;
    assert_eq!(*after.cursor.lock(), 2, "to it the change is an old one");
    after.read_feed().await;
    assert!(after.believes());
    assert_eq!(after.ask().await, 2);
}

#[tokio::test]
async fn one_invalidation_that_was_not_heard_stops_belief_until_it_is_made_up_for() {
    let world = World::new().await;
    let (one, other) = (world.hasty().await, world.server().await);
    assert_eq!((one.ask().await, other.ask().await), (1, 1));
    world.truth.change();
    one.proxy.hold_replies();
    one.invalidate().await;
    assert!(!one.believes());
    one.proxy.release_replies();
    assert!(one.link.ready(PATIENCE).await);
    until("it made up for it", async || {
        one.read_feed().await;
        one.believes()
    })
    .await;
    assert_eq!((one.ask().await, one.kept().await), (2, Some(2)));
}

#[tokio::test]
async fn an_invalidation_that_is_missed_while_the_feed_is_read_is_not_passed_over() {
    let world = World::new().await;
    let (one, other) = (world.hasty().await, world.server().await);
    assert_eq!((one.ask().await, other.ask().await), (1, 1));
    let told = one.cache.told(1).await.unwrap();
    world.truth.change();
    one.proxy.hold_replies();
    // Whether it arrives is not known: here it does not.
    one.proxy.cut().await;
    one.invalidate().await;
    one.proxy.heal().await;
    assert!(one.link.ready(PATIENCE).await);
    *one.cursor.lock() = 2;
    one.cache.heard(2).await;
    assert!(!one.believes());
    let cursor = world.redis(&["HGET", "aim:cache:told:5", "cursor"]).await.number();
    assert_eq!((cursor, told, other.kept().await), (Some(1), 1, Some(1)), "so the next round tells it");
    one.read_feed().await;
    assert_eq!((one.believes(), one.kept().await, one.ask().await), (true, None, 2));
}

#[tokio::test]
async fn an_answer_that_was_asked_for_before_an_invalidation_is_not_kept_near() {
    let world = World::new().await;
    let (one, other) = (world.server().await, world.server().await);
    other.ask().await;
    let (key, era): (Key<Sheet>, _) = (key(), one.backend.standing.era().unwrap());
    let mark = one.backend.near.mark(&key.name);
    one.cache.invalidate(&key, Reach::Here).await;
    assert!(one.backend.read(key.slot(), era, mark).await.is_some());
    assert_eq!(one.near(), None);
    let mark = one.backend.near.mark(&key.name);
    assert!(one.backend.read(key.slot(), era, mark).await.is_some());
    assert_eq!(one.near(), Some(1));
}

#[tokio::test]
async fn an_old_snapshot_brings_no_old_value_back() {
    let redis = RedisServer::with(|redis| redis.config("save", "3600 1")).await.unwrap();
    let world = World::of(redis, Duration::from_millis(1));
    let (one, other) = (world.server().await, world.server().await);
    assert_eq!((one.ask().await, other.ask().await), (1, 1));
    world.redis(&["SAVE"]).await;
    world.truth.change();
    one.invalidate().await;
    one.read_feed().await;
    other.read_feed().await;
    assert_eq!((one.ask().await, other.ask().await), (2, 2));

    let epoch = one.link.epoch();
    world.redis.restart().await.unwrap();
    assert!(world.redis(&["GET", "aim:character:c1"]).await.text().starts_with("aim1 1 1 "), "it is back");
    for server in [&one, &other] {
        until("it is connected anew", async || {
            server.forget_near();
            assert_eq!(server.ask().await, 2);
            server.link.epoch() != epoch && server.link.passage() == Passage::Open
        })
        .await;
        assert!(!server.believes());
        server.forget_near();
        assert_eq!(server.ask().await, 2);
    }
    for server in [&one, &other] {
        server.read_feed().await;
        server.forget_near();
        assert_eq!((server.believes(), server.ask().await), (true, 2));
    }
    let third = world.server().await;
    assert_eq!(third.ask().await, 2);
}

#[tokio::test]
async fn a_redis_that_is_wiped_in_the_middle_costs_a_load() {
    let world = World::slow(Duration::from_millis(100)).await;
    let (one, other) = (Arc::new(world.server().await), world.server().await);
    let loads = tokio::spawn({
        let one = one.clone();
        async move { one.ask().await }
    });
    until("it loads", async || world.truth.loads() == 1).await;
    world.redis.flush().await.unwrap();
    assert_eq!(loads.await.unwrap(), 1);
    assert_eq!(other.ask().await, 1);
    let newcomer = world.server().await;
    until("all agree again", async || {
        for server in [&*one, &other, &newcomer] {
            server.read_feed().await;
        }
        let era = one.backend.standing.era();
        era.is_some() && era == other.backend.standing.era() && era == newcomer.backend.standing.era()
    })
    .await;
    for server in [&*one, &other, &newcomer] {
        server.forget_near();
    }
    let before = world.truth.loads();
    for server in [&*one, &other, &newcomer] {
        assert_eq!(server.ask().await, 1);
    }
    assert!(world.truth.loads() <= before + 1);
}

#[tokio::test]
async fn another_database_under_the_same_redis_ends_the_era() {
    let world = World::new().await;
    for _ in 0..5 {
        world.truth.change();
    }
    let before = world.server().await;
    assert_eq!(before.ask().await, 6);
    before.read_feed().await;
    // A backup of the database is put back.
    world.truth.version.store(3, Ordering::SeqCst);
    let after = world.starting().await;
    after.read_feed().await;
    assert!(after.believes());
    assert_eq!(after.ask().await, 3);
    world.truth.change();
    after.read_feed().await;
    assert_eq!((after.near(), after.kept().await), (None, None), "changes are told again");
}

#[tokio::test]
async fn a_copy_that_came_from_a_redis_that_had_been_replaced_is_dropped() {
    let world = World::new().await;
    let (one, other) = (world.server().await, world.server().await);
    one.ask().await;
    other.ask().await;
    // As after a failover: what it said last may have been said by another.
    world.redis(&["HSET", "aim:cache:told:5", "epoch", "1"]).await;
    world.redis(&["HSET", "aim:epoch", "epoch", "7"]).await;
    until("it is noticed", async || other.link.epoch() == 7 && one.link.epoch() == 7).await;
    assert!(!other.believes());
    one.read_feed().await;
    other.read_feed().await;
    assert_eq!((one.near(), other.near()), (Some(1), None), "what one loaded itself is good");
    assert!(other.believes());
}
