//! Two servers, one of them behind a network that breaks, or both behind a Redis that does.

use super::fleet::*;
use super::*;

struct Storm {
    redis: RedisServer,
    proxy: ChaosProxy,
    near: Server,
    /// Behind the proxy.
    far: Server,
}

async fn storm() -> Storm {
    let redis = RedisServer::start().await.unwrap();
    let proxy = ChaosProxy::before(redis.address()).await.unwrap();
    let (near, far) = (Server::start(redis.url()).await, Server::start(redis.url_at(proxy.address())).await);
    for server in [&near, &far] {
        server.bus.subscribe_room(&room()).await.unwrap();
        server.bus.subscribe_user(&UserId::trusted("u1")).await.unwrap();
    }
    Storm { redis, proxy, near, far }
}

impl Server {
    /// Until a loss of the room was told, whatever came before it.
    async fn is_told_of_a_loss(&mut self) {
        while self.next().await != Heard::Lost(room()) {}
    }

    /// Both ways, within 5 s of the recovery.
    async fn meet(&mut self, other: &mut Self) {
        let began = Instant::now();
        let mark = |who: &str| typing(&format!("{who}-mark"));
        loop {
            self.say(mark("one")).await;
            other.say(mark("other")).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            let met = |server: &mut Self, mark: RoomEvent| {
                std::iter::from_fn(|| server.heard.try_recv().ok())
                    .any(|heard| heard == Heard::Room(mark.clone().into()))
            };
            // Each is waited for where it is not its own.
            if met(self, mark("other")) & met(other, mark("one")) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "they do not meet");
        }
    }
}

async fn local_delivery_goes_on(server: &mut Server) {
    while server.heard.try_recv().is_ok() {}
    let began = Instant::now();
    for n in 0..50 {
        server.say(typing(&n.to_string())).await;
        assert_eq!(server.event().await, typing(&n.to_string()));
    }
    assert!(began.elapsed() < Duration::from_secs(1), "nobody waits for Redis: {:?}", began.elapsed());
}

async fn weather(breaks: impl AsyncFn(&Storm), mends: impl AsyncFn(&Storm)) {
    let mut storm = storm().await;
    storm.far.bus.publish_reply(&room(), start()).await.unwrap();
    storm.far.bus.publish_reply(&room(), delta(0, "The sea")).await.unwrap();
    storm.far.carried().await;
    assert_eq!(storm.near.kept().await.as_deref(), Some("The sea"));
    breaks(&storm).await;
    local_delivery_goes_on(&mut storm.far).await;
    // A join in the storm is answered in time, and heard of later.
    let began = Instant::now();
    storm.far.bus.subscribe_room(&ConversationId::trusted("c2")).await.unwrap();
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
    storm.far.bus.publish_reply(&room(), delta(7, " is calm")).await.unwrap();
    assert_eq!(storm.far.kept().await.as_deref(), Some("The sea is calm"), "its own reply is known here");
    tokio::time::sleep(Duration::from_secs(2)).await;
    local_delivery_goes_on(&mut storm.far).await;
    while storm.near.heard.try_recv().is_ok() {}
    mends(&storm).await;
    let began = Instant::now();
    tokio::join!(storm.far.is_told_of_a_loss(), storm.near.is_told_of_a_loss());
    let Storm { near, far, .. } = &mut storm;
    far.meet(near).await;
    assert!(began.elapsed() < PATIENCE, "they meet within 5 s: {:?}", began.elapsed());
    until("the reply is whole for the others", async || near.kept().await.as_deref() == Some("The sea is calm")).await;
    far.bus.publish_reply(&room(), delta(15, ".")).await.unwrap();
    far.carried().await;
    assert_eq!(near.kept().await.as_deref(), Some("The sea is calm."));
    far.bus.end_reply(&room(), &reply()).await.unwrap();
    assert_eq!(near.kept().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_is_bridged() {
    weather(async |storm| storm.proxy.cut().await, async |storm| storm.proxy.heal().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_black_hole_is_bridged() {
    weather(async |storm| storm.proxy.black_hole(), async |storm| storm.proxy.heal().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delay_of_two_seconds_is_bridged() {
    weather(async |storm| storm.proxy.delay(Duration::from_secs(2)), async |storm| storm.proxy.heal().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_hangs_is_bridged() {
    weather(async |storm| storm.redis.stop().unwrap(), async |storm| storm.redis.cont().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_dies_and_forgets_is_bridged() {
    weather(async |storm| storm.redis.kill(), async |storm| storm.redis.restart_empty().await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_alone_cut_off_tells_the_others_of_what_they_missed() {
    let mut storm = storm().await;
    storm.proxy.cut().await;
    storm.far.say(typing("unheard")).await;
    storm.far.bus.publish_user(&UserId::trusted("u1"), usage()).await.unwrap();
    storm.near.hears_nothing_more();
    storm.proxy.heal().await;
    let mut lost = [storm.near.next().await, storm.near.next().await];
    lost.sort_by_key(|heard| format!("{heard:?}"));
    assert_eq!(lost, [Heard::Lost(room()), Heard::LostUser(UserId::trusted("u1"))]);
}

fn usage() -> UserNote {
    use aim_domain::{CharacterId, Tier, Timestamp, Usage, UsageCount, UserEvent};
    let usage = Usage::of(UsageCount::default(), Tier::Free, 1, Timestamp(0));
    UserEvent::Usage { character_id: CharacterId::trusted("c1"), usage }.into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_ended_in_an_outage_is_forgotten_after_it() {
    let storm = storm().await;
    storm.far.bus.publish_reply(&room(), start()).await.unwrap();
    storm.far.said("The sea").await;
    storm.far.carried().await;
    storm.proxy.cut().await;
    storm.far.bus.end_reply(&room(), &reply()).await.unwrap();
    assert_eq!(storm.near.kept().await.as_deref(), Some("The sea"));
    storm.proxy.heal().await;
    until("it is forgotten", async || storm.near.kept().await.is_none()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_without_memory_still_tells_of_events() {
    let mut storm = storm().await;
    storm.far.bus.publish_reply(&room(), start()).await.unwrap();
    storm.far.said("The sea").await;
    storm.far.carried().await;
    while storm.near.heard.try_recv().is_ok() {}
    storm.redis.command(&["CONFIG", "SET", "maxmemory", "1"]).await.unwrap();
    for n in 0..20 {
        let event = delta(7 + n, "x");
        storm.far.bus.publish_reply(&room(), event.clone()).await.unwrap();
        while storm.near.next().await != Heard::Room(event.clone().into()) {}
    }
    storm.redis.command(&["CONFIG", "SET", "maxmemory", "0"]).await.unwrap();
    let whole = format!("The sea{}", "x".repeat(20));
    until("the reply is whole again", async || storm.near.kept().await.as_deref() == Some(&whole)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_subscription_alone_is_told_as_a_loss() {
    let mut storm = storm().await;
    storm.redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await.unwrap();
    tokio::join!(storm.far.is_told_of_a_loss(), storm.near.is_told_of_a_loss());
    let Storm { near, far, .. } = &mut storm;
    far.meet(near).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flapping_ends_in_servers_that_meet() {
    let mut storm = storm().await;
    storm.proxy.flapping(Duration::from_millis(400), Duration::from_millis(150));
    let began = Instant::now();
    let mut n = 0;
    while began.elapsed() < Duration::from_secs(6) {
        n += 1;
        storm.far.say(typing(&n.to_string())).await;
        storm.near.say(typing(&n.to_string())).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    storm.proxy.heal().await;
    let Storm { near, far, .. } = &mut storm;
    far.meet(near).await;
}
