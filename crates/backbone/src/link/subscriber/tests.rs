//! Subscriptions over a real Redis, a real Cluster and a network that breaks.

use super::*;
use crate::link::Settings;
use aim_testkit::{ChaosProxy, RedisServer};
use std::time::Duration;
use tokio::sync::mpsc;

mod cluster;
mod sentinel;

/// Recovery is promised within this.
const RECOVERY: Duration = Duration::from_secs(5);
/// A dead connection is noticed within this; asserted at twice that.
const NOTICED: Duration = Duration::from_secs(2);
/// Nobody waits longer for an answer, and five times that is asserted.
const BUDGET: Duration = Duration::from_millis(500);

#[derive(Debug, PartialEq)]
enum Heard {
    Message(String, String),
    Missed(String),
}

struct Ear(mpsc::UnboundedSender<Heard>);

impl Hearing for Ear {
    fn message(&self, channel: &Arc<str>, payload: Vec<u8>) {
        let _ = self.0.send(Heard::Message(channel.to_string(), String::from_utf8(payload).unwrap()));
    }

    fn missed(&self, channel: &Arc<str>) {
        let _ = self.0.send(Heard::Missed(channel.to_string()));
    }
}

struct Bench {
    redis: RedisServer,
    proxy: ChaosProxy,
    subscriber: Subscriber,
    heard: mpsc::UnboundedReceiver<Heard>,
}

async fn open() -> Bench {
    open_on(RedisServer::start().await.unwrap()).await
}

async fn open_on(redis: RedisServer) -> Bench {
    let proxy = ChaosProxy::before(redis.address()).await.unwrap();
    let (subscriber, heard) = subscriber(redis.url_at(proxy.address()));
    let bench = Bench { redis, proxy, subscriber, heard };
    bench.connected().await;
    bench
}

fn subscriber(url: String) -> (Subscriber, mpsc::UnboundedReceiver<Heard>) {
    subscriber_of(Settings { url, ..Settings::default() })
}

fn subscriber_of(settings: Settings) -> (Subscriber, mpsc::UnboundedReceiver<Heard>) {
    let link = Link::open("bus", Settings { prefix: "aim:".into(), ..settings }).unwrap();
    let (sender, heard) = mpsc::unbounded_channel();
    (Subscriber::open(&link, Arc::new(Ear(sender))), heard)
}

async fn until(what: &str, within: Duration, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < within, "not within {within:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn message(channel: &str, text: &str) -> Heard {
    Heard::Message(channel.into(), text.into())
}

impl Bench {
    async fn connected(&self) {
        let up = async || self.subscriber.shared.state.lock().lines.values().any(|line| line.generation.is_some());
        until("there is a connection", RECOVERY, up).await;
    }

    async fn publish(&self, channel: &str, text: &str) {
        self.redis.command(&["PUBLISH", channel, text]).await.unwrap();
    }

    /// Channels that Redis knows.
    async fn channels(&self) -> usize {
        self.redis.command(&["PUBSUB", "CHANNELS"]).await.unwrap().list().len()
    }

    async fn next(&mut self) -> Heard {
        tokio::time::timeout(RECOVERY, self.heard.recv()).await.unwrap().unwrap()
    }

    /// Publishes until it is heard again; a loss was told before.
    async fn recovers(&mut self, channel: &str) {
        assert_eq!(self.next().await, Heard::Missed(channel.into()));
        self.publish(channel, "again").await;
        assert_eq!(self.next().await, message(channel, "again"));
        assert!(self.heard.try_recv().is_err(), "each loss is told once");
    }
}

#[tokio::test]
async fn what_is_confirmed_is_heard_in_order_and_what_is_unwanted_is_not() {
    let mut bench = open().await;
    bench.subscriber.want("a").await.unwrap();
    bench.subscriber.want("a").await.unwrap();
    for n in 0..100 {
        bench.publish("a", &n.to_string()).await;
    }
    for n in 0..100 {
        assert_eq!(bench.next().await, message("a", &n.to_string()));
    }
    bench.subscriber.unwant("a");
    bench.publish("a", "unheard").await;
    bench.subscriber.want("b").await.unwrap();
    bench.publish("b", "mark").await;
    assert_eq!(bench.next().await, message("b", "mark"));
    assert_eq!(bench.subscriber.counts(), (1, 1));
}

#[tokio::test]
async fn a_channel_that_is_left_and_joined_at_once_stays_heard() {
    let mut bench = open().await;
    for n in 0..300 {
        bench.subscriber.want("a").await.unwrap();
        bench.subscriber.unwant("a");
        if n % 3 == 0 {
            tokio::task::yield_now().await;
        }
        bench.subscriber.want("a").await.unwrap();
        bench.publish("a", &n.to_string()).await;
        assert_eq!(bench.next().await, message("a", &n.to_string()));
        bench.subscriber.unwant("a");
    }
    until("nothing is left", RECOVERY, async || bench.channels().await == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_joins_and_leaves_leave_nothing_behind() {
    let bench = Arc::new(open().await);
    let tasks = (0..20).map(|task| {
        let bench = bench.clone();
        tokio::spawn(async move {
            for n in 0..500 {
                let channel = format!("room{}", (task * 7 + n) % 50);
                bench.subscriber.want(&channel).await.unwrap_or_default();
                bench.subscriber.unwant(&channel);
            }
        })
    });
    futures::future::join_all(tasks).await;
    until("nothing is left", RECOVERY, async || bench.channels().await == 0).await;
    assert_eq!(bench.subscriber.counts(), (0, 0));
    // Redis may have let the last one go before its answer is here.
    let is_forgotten = async || bench.subscriber.shared.state.lock().channels.is_empty();
    until("nothing is remembered", RECOVERY, is_forgotten).await;
}

#[tokio::test]
async fn who_no_longer_waits_leaves_a_subscription_that_works() {
    let mut bench = open().await;
    bench.proxy.hold_replies();
    bench.subscriber.want("a").await.unwrap_err();
    drop(bench.subscriber.want("b"));
    bench.proxy.release_replies();
    let mut missed = vec![bench.next().await, bench.next().await];
    missed.sort_by_key(|heard| format!("{heard:?}"));
    assert_eq!(missed, [Heard::Missed("a".into()), Heard::Missed("b".into())]);
    bench.publish("b", "1").await;
    assert_eq!(bench.next().await, message("b", "1"));
}

#[tokio::test]
async fn all_is_subscribed_anew_after_a_restart_and_every_loss_is_told() {
    let mut bench = open().await;
    let names: Vec<_> = (0..3_000).map(|n| format!("room{n}")).collect();
    for some in names.chunks(100) {
        let outcomes = futures::future::join_all(some.iter().map(|name| bench.subscriber.want(name))).await;
        outcomes.into_iter().for_each(Result::unwrap);
    }
    assert_eq!(bench.channels().await, 3_000);
    bench.redis.restart().await.unwrap();
    let mut missed = std::collections::HashSet::new();
    let told = async {
        while missed.len() < 3_000 {
            let Some(Heard::Missed(name)) = bench.heard.recv().await else { panic!("a loss") };
            assert!(missed.insert(name), "each is told once");
        }
    };
    tokio::time::timeout(RECOVERY, told).await.unwrap();
    assert_eq!(bench.channels().await, 3_000);
    bench.publish("room2999", "again").await;
    assert_eq!(bench.next().await, message("room2999", "again"));
}

#[tokio::test]
async fn a_connection_that_was_killed_comes_back() {
    let mut bench = open().await;
    bench.subscriber.want("a").await.unwrap();
    bench.redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await.unwrap();
    bench.recovers("a").await;
}

#[tokio::test]
async fn a_redis_that_hangs_and_a_black_hole_are_noticed_without_traffic() {
    let mut bench = open().await;
    bench.subscriber.want("a").await.unwrap();
    for hang in [true, false] {
        if hang {
            bench.redis.stop().unwrap();
        } else {
            bench.proxy.black_hole();
        }
        until("it is noticed", 2 * NOTICED, async || bench.subscriber.counts() == (1, 0)).await;
        let began = Instant::now();
        bench.subscriber.want("b").await.unwrap_err();
        assert!(began.elapsed() < BUDGET);
        bench.subscriber.unwant("b");
        if hang {
            tokio::time::sleep(Duration::from_secs(3)).await;
            bench.redis.cont().unwrap();
        } else {
            bench.proxy.heal().await;
        }
        bench.recovers("a").await;
    }
}

#[tokio::test]
async fn what_is_wanted_while_redis_is_away_is_refused_at_once_and_heard_later() {
    let mut bench = open().await;
    bench.proxy.cut().await;
    until("it is noticed", RECOVERY, async || {
        bench.subscriber.shared.state.lock().lines.values().all(|line| line.generation.is_none())
    })
    .await;
    let began = Instant::now();
    bench.subscriber.want("a").await.unwrap_err();
    bench.subscriber.want("b").await.unwrap_err();
    bench.subscriber.unwant("b");
    assert!(began.elapsed() < Duration::from_millis(25));
    bench.proxy.heal().await;
    bench.recovers("a").await;
    assert_eq!(bench.channels().await, 1);
}

#[tokio::test]
async fn a_subscription_that_redis_refuses_does_not_hurt_the_others() {
    let redis = RedisServer::builder().user("aim", "secret", "resetchannels &aim:* ~* +@all").start().await.unwrap();
    let mut bench = open_on(redis).await;
    bench.subscriber.want("aim:a").await.unwrap();
    bench.subscriber.want("other").await.unwrap_err();
    bench.subscriber.want("aim:b").await.unwrap();
    bench.publish("aim:b", "1").await;
    assert_eq!(bench.next().await, message("aim:b", "1"));
    bench.redis.command(&["ACL", "SETUSER", "aim", "&other"]).await.unwrap();
    bench.recovers("other").await;
    assert_eq!(bench.subscriber.counts(), (3, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flapping_leaks_neither_tasks_nor_files_nor_connections() {
    let mut bench = open().await;
    for n in 0..200 {
        bench.subscriber.want(&format!("room{n}")).await.unwrap();
    }
    let files = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = (files(), tasks());
    bench.proxy.flapping(Duration::from_millis(300), Duration::from_millis(100));
    tokio::time::sleep(Duration::from_secs(8)).await;
    bench.proxy.heal().await;
    until("all is heard", RECOVERY, async || bench.subscriber.counts() == (200, 200)).await;
    until("all is as before", RECOVERY, async || files() <= before.0 + 1 && tasks() <= before.1 + 1).await;
    assert!(bench.proxy.connections() > 10, "it did flap");
    while bench.heard.try_recv().is_ok() {}
    bench.publish("room7", "again").await;
    assert_eq!(bench.next().await, message("room7", "again"));
    assert_eq!(bench.channels().await, 200);
}

#[tokio::test]
async fn a_subscriber_that_is_dropped_closes_its_connection() {
    let bench = open().await;
    bench.subscriber.want("a").await.unwrap();
    let Bench { redis, subscriber, .. } = bench;
    drop(subscriber);
    until("it is gone", RECOVERY, async || redis.command(&["PUBSUB", "CHANNELS"]).await.unwrap().list().is_empty())
        .await;
}
