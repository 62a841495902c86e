//! Sharded subscriptions of a real Cluster, whose slots move and whose masters die.

use super::*;
use crate::conformance::guarded::RedisCluster;
use crate::link::TlsFiles;

/// A failover takes the cluster up to 4 s, and recovery 5 s after it.
const FAILOVER: Duration = Duration::from_secs(15);
/// Of as many slots: every master has some of them.
const CHANNELS: usize = 60;

struct Fleet {
    cluster: RedisCluster,
    subscriber: Subscriber,
    heard: mpsc::UnboundedReceiver<Heard>,
}

async fn fleet(masters: usize, replicas: usize) -> Fleet {
    let cluster = RedisCluster::start(masters, replicas).await.unwrap();
    let (subscriber, heard) = subscriber(cluster.url());
    fleet_of(cluster, masters, subscriber, heard).await
}

async fn fleet_of(
    cluster: RedisCluster,
    masters: usize,
    subscriber: Subscriber,
    heard: mpsc::UnboundedReceiver<Heard>,
) -> Fleet {
    let up = async || {
        let state = subscriber.shared.state.lock();
        state.lines.len() == masters && state.lines.values().all(|line| line.generation.is_some())
    };
    until("there are connections", RECOVERY, up).await;
    let fleet = Fleet { cluster, subscriber, heard };
    for n in 0..CHANNELS {
        fleet.subscriber.want(&channel(n)).await.unwrap();
    }
    fleet
}

fn channel(n: usize) -> String {
    format!("aim:room:{{c{n}}}")
}

impl Fleet {
    async fn publish(&self, n: usize, text: &str) {
        let channel = channel(n);
        let master = self.cluster.master_of(&channel).await.unwrap();
        master.command(&["SPUBLISH", &channel, text]).await.unwrap();
    }

    /// All channels are heard, each message once.
    async fn all_are_heard(&mut self, text: &str) {
        while self.heard.try_recv().is_ok() {}
        for n in 0..CHANNELS {
            self.publish(n, text).await;
            let heard = tokio::time::timeout(RECOVERY, self.heard.recv()).await.unwrap().unwrap();
            assert_eq!(heard, message(&channel(n), text));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(self.heard.try_recv().is_err(), "each is heard once");
    }

    async fn recover(&self) {
        until("all are confirmed", FAILOVER, async || self.subscriber.counts() == (CHANNELS, CHANNELS)).await;
    }

    fn missed(&mut self) -> usize {
        std::iter::from_fn(|| self.heard.try_recv().ok()).filter(|heard| matches!(heard, Heard::Missed(_))).count()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_of_all_slots_are_heard_and_left() {
    let mut fleet = fleet(3, 0).await;
    fleet.all_are_heard("1").await;
    assert_eq!(fleet.missed(), 0);
    for n in 0..CHANNELS {
        fleet.subscriber.unwant(&channel(n));
    }
    for node in fleet.cluster.nodes() {
        until("nothing is left", RECOVERY, async || {
            node.command(&["PUBSUB", "SHARDCHANNELS"]).await.unwrap().list().is_empty()
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_of_all_slots_are_heard_over_tls() {
    let cluster = RedisCluster::with(|node| node.tls(), 3, 0).await.unwrap();
    let ca = Some(cluster.certificates().unwrap().ca_file.clone());
    let tls = TlsFiles { ca, ..TlsFiles::default() };
    let (subscriber, heard) = subscriber_of(Settings { url: cluster.url(), tls, ..Settings::default() });
    fleet_of(cluster, 3, subscriber, heard).await.all_are_heard("1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_dies_costs_its_channels_a_loss_that_is_told() {
    let mut fleet = fleet(3, 3).await;
    fleet.all_are_heard("1").await;
    fleet.cluster.kill_master(0).await.unwrap();
    fleet.cluster.settled().await.unwrap();
    fleet.recover().await;
    let missed = fleet.missed();
    assert!(missed > 0 && missed < CHANNELS, "those of one master: {missed}");
    fleet.all_are_heard("2").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_steps_down_and_one_that_hangs_are_left() {
    let mut fleet = fleet(3, 3).await;
    fleet.cluster.failover(1).await.unwrap();
    fleet.subscriber.shared.stale.notify_one();
    tokio::time::sleep(Duration::from_secs(1)).await;
    fleet.recover().await;
    fleet.all_are_heard("1").await;
    let masters = fleet.cluster.masters().await.unwrap();
    masters[0].stop().unwrap();
    until("it is noticed", 2 * NOTICED, async || fleet.subscriber.counts().1 < CHANNELS).await;
    fleet.recover().await;
    masters[0].cont().unwrap();
    fleet.cluster.settled().await.unwrap();
    fleet.all_are_heard("2").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_that_move_take_their_channels_along() {
    let mut fleet = fleet(2, 0).await;
    let (channel, n) = (channel(0), 0);
    let slot = fleet.cluster.nodes()[0].command(&["CLUSTER", "KEYSLOT", &channel]).await.unwrap().number().unwrap();
    let slot = slot.to_string();
    for _ in 0..2 {
        let from = fleet.cluster.master_of(&channel).await.unwrap().port();
        let [from, to] = [true, false].map(|is| fleet.cluster.nodes().iter().find(|one| (one.port() == from) == is));
        let (from, to) = (from.unwrap(), to.unwrap());
        let id = to.command(&["CLUSTER", "MYID"]).await.unwrap().text();
        for node in [to, from] {
            node.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &id]).await.unwrap();
        }
        until("it is heard there", RECOVERY, async || {
            let on = to.command(&["PUBSUB", "SHARDNUMSUB", &channel]).await.unwrap();
            on.list().get(1).and_then(|count| count.number()) == Some(1)
        })
        .await;
        fleet.recover().await;
        assert_eq!(fleet.missed(), 1, "it alone was lost for a moment");
        fleet.publish(n, "moved").await;
        assert_eq!(fleet.heard.recv().await, Some(message(&channel, "moved")));
        fleet.cluster.settled().await.unwrap();
    }
    fleet.all_are_heard("1").await;
}
