//! The bus over a real Redis: the promises of the contract, within one server and from one to another, and what is left
//! of them while the network breaks.
//!
//! Two promises do not hold across an outage, for servers other than the publisher's: events of that time are not
//! delivered (the sink is told of a loss), and of a reply under way no partial is known until Redis answers again.

mod fleet;
mod storms;

use super::pair::BusPair;
use super::redis::RedisBus;
use super::{Bus, RoomNote, Sink, UserNote};
use crate::Fault;
use crate::conformance::Bench;
use crate::conformance::guarded::{RedisCluster, RedisServer};
use crate::conformance::outage::{Outage, in_every_outage};
use crate::conformance::storm::Site;
use crate::link::{Link, Settings};
use aim_domain::{Ambient, ConversationId, MessageId, Partial, RoomEvent, SystemClock, UserId};
use aim_testkit::ChaosProxy;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(5);

async fn bus(url: String) -> RedisBus {
    let settings = Settings { url, prefix: "aim:".into(), ..Settings::default() };
    let link = Link::open("bus", settings).unwrap();
    RedisBus::new(link.client("bus"), &Ambient::system())
}

/// As `bus`, and Redis is there.
async fn connected(url: String) -> RedisBus {
    let bus = bus(url).await;
    until("it is connected", async || {
        let probe = ConversationId::trusted("probe");
        let is_up = bus.subscribe_room(&probe).await.is_ok();
        bus.unsubscribe_room(&probe).await.unwrap();
        is_up && bus.partial(&probe).await.is_ok()
    })
    .await;
    bus
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// One server listens, another one speaks: the promises hold from one to the other. What is said has reached Redis when a
/// call answers.
struct Crossed {
    listens: Arc<dyn Bus>,
    speaks: Arc<dyn Bus>,
    _redis: Vec<Arc<dyn Send + Sync>>,
}

impl Crossed {
    /// What was published is carried in order: when this is done, so is all before it.
    async fn carried(&self) -> Result<(), Fault> {
        self.speaks.end_reply(&ConversationId::trusted("none"), &MessageId::trusted("none")).await
    }
}

#[async_trait]
impl Bus for Crossed {
    fn listen(&self, sink: Arc<dyn Sink>) {
        self.listens.listen(sink);
    }
    async fn publish_room(&self, conversation: &ConversationId, note: RoomNote) -> Result<(), Fault> {
        self.speaks.publish_room(conversation, note).await
    }
    async fn publish_user(&self, user: &UserId, note: UserNote) -> Result<(), Fault> {
        self.speaks.publish_user(user, note).await?;
        self.carried().await
    }
    async fn subscribe_room(&self, conversation: &ConversationId) -> Result<(), Fault> {
        self.listens.subscribe_room(conversation).await
    }
    async fn unsubscribe_room(&self, conversation: &ConversationId) -> Result<(), Fault> {
        self.listens.unsubscribe_room(conversation).await
    }
    async fn subscribe_user(&self, user: &UserId) -> Result<(), Fault> {
        self.listens.subscribe_user(user).await
    }
    async fn unsubscribe_user(&self, user: &UserId) -> Result<(), Fault> {
        self.listens.unsubscribe_user(user).await
    }
    async fn publish_reply(&self, conversation: &ConversationId, event: RoomEvent) -> Result<(), Fault> {
        self.speaks.publish_reply(conversation, event).await
    }
    async fn end_reply(&self, conversation: &ConversationId, message: &MessageId) -> Result<(), Fault> {
        self.speaks.end_reply(conversation, message).await
    }
    async fn partial(&self, conversation: &ConversationId) -> Result<Option<Partial>, Fault> {
        self.carried().await?;
        self.listens.partial(conversation).await
    }
}

fn bench(listens: Arc<dyn Bus>, speaks: Arc<dyn Bus>, redis: Vec<Arc<dyn Send + Sync>>) -> Bench<dyn Bus> {
    Bench::waiting(Arc::new(Crossed { listens, speaks, _redis: redis }), Arc::new(SystemClock))
}

mod within_one_server {
    use super::*;

    async fn open() -> Bench<dyn Bus> {
        let redis = RedisServer::start().await.unwrap();
        let bus: Arc<dyn Bus> = Arc::new(connected(redis.url()).await);
        bench(bus.clone(), bus, vec![Arc::new(redis)])
    }

    crate::bus_promises!(open);
}

mod from_one_server_to_another {
    use super::*;

    async fn open() -> Bench<dyn Bus> {
        let redis = RedisServer::start().await.unwrap();
        let (one, other) = (connected(redis.url()).await, connected(redis.url()).await);
        bench(Arc::new(one), Arc::new(other), vec![Arc::new(redis)])
    }

    crate::bus_promises!(open);
}

mod of_a_pair {
    use super::*;

    async fn open() -> Bench<dyn Bus> {
        let redis = RedisServer::start().await.unwrap();
        let (one, other) = (connected(redis.url()).await, connected(redis.url()).await);
        bench(Arc::new(BusPair::new(one)), Arc::new(BusPair::new(other)), vec![Arc::new(redis)])
    }

    crate::bus_promises!(open);
}

/// Within one server nothing needs Redis.
mod of_a_pair_without_redis {
    use super::*;

    async fn open() -> Bench<dyn Bus> {
        let redis = RedisServer::start().await.unwrap();
        redis.kill();
        let bus = Arc::new(BusPair::new(bus(redis.url()).await));
        Bench::waiting(bus, Arc::new(SystemClock))
    }

    crate::bus_promises!(open);
}

/// The promises are kept within one server, which has yet to notice the outage.
mod of_a_pair_in_an_outage {
    use super::*;

    async fn open<O: Outage>() -> Bench<dyn Bus> {
        let site = Site::open().await;
        let bus: Arc<dyn Bus> = Arc::new(BusPair::new(connected(site.url()).await));
        O::begin(&site.proxy).await;
        bench(bus.clone(), bus, vec![Arc::new(site)]).hurried()
    }

    in_every_outage!(bus_promises);
}

/// The sum of the promises at once, since a cluster takes long to start.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cluster_keeps_the_promises_too() {
    use crate::conformance::bus as promises;
    let cluster = Arc::new(RedisCluster::start(3, 0).await.unwrap());
    let open = async || {
        for node in cluster.nodes() {
            node.flush().await.unwrap();
        }
        let (one, other) = (connected(cluster.url()).await, connected(cluster.url()).await);
        bench(Arc::new(one), Arc::new(other), vec![])
    };
    promises::events_reach_those_who_subscribed_in_order(open().await).await;
    promises::unsubscribed_channels_are_silent(open().await).await;
    promises::events_of_a_user_reach_its_channel(open().await).await;
    promises::a_reply_under_way_is_kept_as_far_as_it_has_come(open().await).await;
    promises::a_reply_that_ended_leaves_another_one_alone(open().await).await;
    promises::a_delta_that_does_not_fit_is_heard_and_drops_what_was_kept(open().await).await;
    promises::who_subscribes_before_reading_the_partial_misses_nothing(open().await).await;
}
