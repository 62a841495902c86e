//! What servers that share a Redis promise together while all is well.

use super::*;
use crate::keys;
use aim_domain::{CharacterId, ConversationId, UserId, Username};
use futures::future::join_all;
use std::time::Instant;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_readers_on_three_servers_load_an_expired_key_once() {
    let world = World::slow(Duration::from_millis(200)).await;
    let servers = [world.server().await, world.server().await, world.server().await];
    let servers: Vec<Arc<Server>> = servers.into_iter().map(Arc::new).collect();
    let began = Instant::now();
    let readers = (0..1_000).map(|n| {
        let server = servers[n % 3].clone();
        tokio::spawn(async move { server.ask().await })
    });
    for answer in join_all(readers).await {
        assert_eq!(answer.unwrap(), 1);
    }
    assert_eq!(world.truth.loads(), 1);
    // The load, and the longest pause between two looks.
    assert!(began.elapsed() < Duration::from_millis(5 * 300), "{:?}", began.elapsed());
    assert!(world.redis(&["KEYS", "aim:lease:*"]).await.list().is_empty());
}

#[tokio::test]
async fn a_load_that_outlives_its_lease_many_times_is_not_doubled() {
    let world = World::slow(lease::LENGTH * 3).await;
    let (one, other) = (world.server().await, world.server().await);
    let (first, second) = tokio::join!(one.ask(), other.ask());
    assert_eq!((first, second, world.truth.loads()), (1, 1, 1));
    assert_eq!((one.near(), other.near(), one.kept().await), (Some(1), Some(1), Some(1)));
}

#[tokio::test]
async fn who_waits_for_a_long_load_is_not_short_of_time_for_redis() {
    let world = World::slow(lease::LENGTH * 3).await;
    let (one, other) = (Arc::new(world.server().await), world.server().await);
    let leader = tokio::spawn({
        let one = one.clone();
        async move { one.ask().await }
    });
    until("the leader loads", async || world.truth.loads() == 1).await;
    // Each look takes 40 ms, and there are some twenty. More than that, and the link's own look would be too late.
    other.proxy.delay(Duration::from_millis(20));
    let (budget, before) = (Duration::from_millis(500), other.proxy.exchanges());
    let Ok(found) = with_budget(budget, other.cache.get_or_load(&key(), world.truth.load())).await;
    assert_eq!((found.unwrap().version, leader.await.unwrap(), world.truth.loads()), (1, 1, 1));
    let looks = u32::try_from(other.proxy.exchanges() - before).unwrap();
    assert!(looks * Duration::from_millis(40) > budget, "all of {looks} looks would have been too long");
}

#[tokio::test]
async fn who_waits_for_a_long_load_when_redis_goes_waits_no_longer_than_any_request() {
    let world = World::slow(lease::LENGTH * 3).await;
    let (one, other) = (Arc::new(world.server().await), world.server().await);
    let leader = tokio::spawn({
        let one = one.clone();
        async move { one.ask().await }
    });
    until("the leader loads", async || world.truth.loads() == 1).await;
    let budget = Duration::from_millis(300);
    let gone = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        other.proxy.black_hole();
        Instant::now()
    };
    let asks = with_budget(budget, async {
        let Ok(found) = other.cache.get_or_load(&key(), async { Ok::<_, Infallible>(Some(sheet(2))) }).await;
        // What the look took, this lacks.
        let nothing = other.cache.peek(&keys::character::<Sheet>(&CharacterId::trusted("c2"))).await;
        (found.unwrap().version, nothing, Instant::now())
    });
    let ((found, nothing, done), gone) = tokio::join!(asks, gone);
    assert_eq!((found, nothing), (2, None), "it loads for itself");
    let waited = done.saturating_duration_since(gone);
    // The pause between two looks is no waiting for Redis.
    assert!(waited < budget + LONGEST_PAUSE + Duration::from_millis(100), "{waited:?}");
    leader.abort();
}

#[tokio::test]
async fn a_leader_that_drops_its_load_is_replaced_at_once() {
    let world = World::slow(Duration::from_millis(200)).await;
    let servers = [Arc::new(world.server().await), Arc::new(world.server().await), Arc::new(world.server().await)];
    let leader = tokio::spawn({
        let server = servers[0].clone();
        async move { server.ask().await }
    });
    until("the leader loads", async || world.truth.loads() == 1).await;
    let others: Vec<_> = (0..300)
        .map(|n| {
            let server = servers[1 + n % 2].clone();
            tokio::spawn(async move { server.ask().await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    leader.abort();
    let began = Instant::now();
    for answer in join_all(others).await {
        assert_eq!(answer.unwrap(), 1);
    }
    assert_eq!(world.truth.loads(), 2);
    assert!(began.elapsed() < lease::LENGTH, "nobody waited for the lease's end: {:?}", began.elapsed());
}

#[tokio::test]
async fn a_leader_that_died_costs_its_lease_and_one_more_load() {
    let world = World::slow(Duration::from_millis(200)).await;
    let (leader, others) = (Arc::new(world.server().await), [world.server().await, world.server().await]);
    // It never comes back, and nobody hears of it again.
    let dead = tokio::spawn({
        let leader = leader.clone();
        let never = {
            let truth = world.truth.clone();
            async move {
                let _ = truth.load().await;
                std::future::pending().await
            }
        };
        async move { leader.cache.get_or_load::<Sheet, Infallible>(&key(), never).await.is_ok() }
    });
    until("the leader loads", async || world.truth.loads() == 1).await;
    leader.proxy.cut().await;
    let began = Instant::now();
    let answers = join_all((0..300).map(|n| others[n % 2].ask())).await;
    assert!(answers.iter().all(|version| *version == 1));
    assert_eq!(world.truth.loads(), 2);
    assert!(began.elapsed() < 5 * lease::LENGTH, "{:?}", began.elapsed());
    dead.abort();
}

#[tokio::test]
async fn what_the_store_does_not_have_is_known_to_all() {
    let world = World::new().await;
    let (one, other) = (world.server().await, world.server().await);
    let key = keys::username::<Sheet>(&Username::parse("nobody").unwrap());
    let Ok(found) = one.cache.get_or_load(&key, async { Ok::<_, Infallible>(None) }).await;
    assert_eq!(found, None);
    let unasked = async { panic!("it is known that there is nothing") };
    let Ok::<_, Infallible>(found) = other.cache.get_or_load(&key, unasked).await;
    assert_eq!(found, None);
    one.cache.invalidate(&key, Reach::Everywhere).await;
    let third = world.server().await;
    let Ok(found) = third.cache.get_or_load(&key, async { Ok::<_, Infallible>(Some(sheet(1))) }).await;
    assert!(found.is_some());
}

#[tokio::test]
async fn an_older_version_of_another_server_never_overwrites_a_newer_one() {
    let world = World::new().await;
    let (one, other) = (world.server().await, world.server().await);
    one.cache.write(&key(), sheet(5)).await;
    other.cache.write(&key(), sheet(4)).await;
    assert_eq!((other.kept().await, other.near()), (Some(5), None));
    other.cache.write(&key(), sheet(6)).await;
    assert_eq!(one.kept().await, Some(6));
}

#[tokio::test]
async fn a_load_that_another_server_invalidates_is_answered_and_not_kept() {
    let world = World::slow(Duration::from_millis(100)).await;
    let (one, other) = (Arc::new(world.server().await), world.server().await);
    let loads = tokio::spawn({
        let one = one.clone();
        async move { one.ask().await }
    });
    until("it loads", async || world.truth.loads() == 1).await;
    world.truth.change();
    other.invalidate().await;
    assert_eq!(loads.await.unwrap(), 1);
    assert_eq!((one.near(), other.kept().await), (None, None));
    assert_eq!(other.ask().await, 2);
}

#[tokio::test]
async fn names_and_times_to_live_are_those_of_the_contract() {
    let world = World::new().await;
    let server = world.server().await;
    let (user, character) = (UserId::trusted("u1"), CharacterId::trusted("c1"));
    let keys = [
        (keys::user_profile(&user), "aim:user:profile:u1", 3_600),
        (keys::username(&Username::parse("Ann").unwrap()), "aim:user:username:ann", 3_600),
        (keys::character(&character), "aim:character:c1", 6 * 3_600),
        (keys::character_gallery(&character), "aim:character:gallery:c1", 2 * 3_600),
        (keys::character_prompt(&character), "aim:character:prompt:c1", 2 * 3_600),
        (keys::conversation(&user, &character), "aim:conversation:u1:c1", 1_800),
        (keys::context(&ConversationId::trusted("x1")), "aim:conversation:context:x1", 120),
        (keys::personality(&character, "abc"), "aim:personality:c1:abc", 3_600),
    ];
    let short = Settings { short_cache: true, ..settings() };
    let short = RedisCache::new(server.link.client("cache"), &short, &Ambient::system());
    short.told(1).await.unwrap();
    short.heard(1).await.unwrap();
    let short = Cache::new(Arc::new(short));
    for (key, name, seconds) in keys {
        let Ok(_) = server.cache.get_or_load(&key, async { Ok::<_, Infallible>(Some(sheet(1))) }).await;
        let left = world.redis(&["PTTL", name]).await.number().unwrap();
        assert!((seconds * 1_000 - 5_000..=seconds * 1_000).contains(&left), "{name}: {left}");
        short.write::<Sheet>(&key, sheet(2)).await;
        let left = world.redis(&["PTTL", name]).await.number().unwrap();
        assert!((seconds * 100 - 5_000..=seconds * 100).contains(&left), "{name}: {left}");
    }
}

#[tokio::test]
async fn a_near_hit_takes_no_round_trip_a_hit_one_and_a_miss_two() {
    let world = World::new().await;
    let (one, other) = (world.server().await, world.server().await);
    // Redis knows the scripts from here on.
    one.ask().await;
    one.invalidate().await;

    let before = one.proxy.exchanges();
    one.ask().await;
    assert_eq!(one.proxy.exchanges() - before, 2, "a miss");
    let before = one.proxy.exchanges();
    one.ask().await;
    assert_eq!(one.proxy.exchanges() - before, 0, "a near hit");
    let before = other.proxy.exchanges();
    other.ask().await;
    assert_eq!(other.proxy.exchanges() - before, 1, "a hit");
    let before = other.proxy.exchanges();
    other.invalidate().await;
    assert_eq!(other.proxy.exchanges() - before, 1, "an invalidation");
    assert_eq!(world.truth.loads(), 2);
}

#[tokio::test]
async fn one_server_loads_ahead_of_the_end_and_the_others_have_the_old_value() {
    let world = World::slow(Duration::from_millis(200)).await;
    let servers = [Arc::new(world.server().await), Arc::new(world.server().await), Arc::new(world.server().await)];
    servers[0].ask().await;
    world.truth.change();
    // The last tenth of six hours has begun, and nobody has it near.
    world.redis(&["PEXPIRE", "aim:character:c1", "1800000"]).await;
    for server in &servers {
        server.forget_near();
    }
    let leader = tokio::spawn({
        let server = servers[0].clone();
        async move { server.ask().await }
    });
    until("one loads", async || world.truth.loads() == 2).await;
    let began = Instant::now();
    for server in &servers[1..] {
        assert_eq!(server.ask().await, 1);
    }
    assert!(began.elapsed() < Duration::from_millis(200), "they do not wait: {:?}", began.elapsed());
    assert_eq!(leader.await.unwrap(), 2);
    assert_eq!((world.truth.loads(), servers[0].near(), servers[1].kept().await), (2, Some(2), Some(2)));
    let left = world.redis(&["PTTL", "aim:character:c1"]).await.number().unwrap();
    assert!(left > 5 * 3_600_000, "{left}");
    // The others look again after a while, and find it.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!((servers[1].ask().await, world.truth.loads()), (2, 2));
}

#[tokio::test]
async fn what_is_corrupt_or_foreign_counts_as_absent() {
    let world = World::new().await;
    let name = "aim:character:c1";
    let foreign: [&[&str]; 4] = [
        &["SET", name, "{\"name\":\"of another system\"}"],
        &["SET", name, ""],
        &["HSET", name, "name", "of another kind"],
        &["SET", name, "aim1 2 1 1 json\n{\"title\":\"of a later release\"}"],
    ];
    for (n, words) in foreign.into_iter().enumerate() {
        world.redis(words).await;
        let server = world.server().await;
        assert_eq!(server.ask().await, 1);
        assert_eq!((world.truth.loads(), server.kept().await), (n + 1, Some(1)), "{words:?}");
        // A lost byte.
        let value = world.redis(&["GETRANGE", name, "0", "-2"]).await.text();
        world.redis(&["SET", name, &value, "PX", "21600000"]).await;
        let other = world.server().await;
        assert_eq!(other.ask().await, 1);
        assert_eq!(other.kept().await, Some(1));
        world.redis(&["DEL", name]).await;
        world.truth.loads.fetch_sub(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_long_value_is_kept_compressed() {
    let world = World::new().await;
    let (one, other) = (world.server().await, world.server().await);
    let long = Sheet { name: "Once upon a time there was a lighthouse. ".repeat(500), version: 1 };
    one.cache.write(&key(), long.clone()).await;
    let stored = world.redis(&["STRLEN", "aim:character:c1"]).await.number().unwrap();
    assert!(stored < 1_000, "{stored}");
    assert_eq!(other.cache.peek(&key()).await.as_deref(), Some(&long));
}
