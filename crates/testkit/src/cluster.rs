//! A real Redis Cluster: so many masters, so many replicas, which fail over by themselves within 2 to 4 s. Nodes are
//! ordinary servers ([`RedisCluster::nodes`]), each with all the faults of one.
//!
//! While a master is down and not yet replaced the whole cluster refuses (`CLUSTERDOWN`), as it does by default. A node
//! comes back with `restart`; after `restart_empty` it knows no cluster.

use crate::redis::{Kind, RedisBuilder, patience};
use crate::{Certificates, RedisServer};
use futures::future::try_join_all;
use std::collections::HashSet;
use std::io;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Forming takes 3 s, a failover up to 4 s; an overloaded machine gets this long.
const PATIENCE: Duration = Duration::from_secs(30);
/// Milliseconds after which a silent node is thought to be dead.
const NODE_TIMEOUT: &str = "1500";
const SLOTS: usize = 16_384;

/// A running cluster; it ends when dropped.
#[derive(Debug)]
pub struct RedisCluster {
    settings: RedisBuilder,
    nodes: Vec<RedisServer>,
    masters: usize,
}

/// Consecutive slots, and the ports of those who serve them, the master's first.
struct Range {
    slots: usize,
    ports: Vec<u16>,
}

impl RedisCluster {
    /// Waits until every node knows every other, and every replica follows its master. Replica `i` follows master
    /// `i % masters`; slots are dealt out evenly, in order.
    pub async fn start(masters: usize, replicas: usize) -> io::Result<Self> {
        Self::start_with(RedisServer::builder(), masters, replicas).await
    }

    /// The same, of servers with a password, TLS, or whatever else.
    pub async fn start_with(builder: RedisBuilder, masters: usize, replicas: usize) -> io::Result<Self> {
        let builder = builder
            .kind(Kind::Node)
            .config("cluster-node-timeout", NODE_TIMEOUT)
            .config("cluster-replica-validity-factor", "0")
            .config("cluster-allow-replica-migration", "no")
            // A replica to which nothing was ever written or said is not shown to clients.
            .config("repl-ping-replica-period", "1")
            .prepared()?;
        let nodes = try_join_all((0..masters + replicas).map(|_| builder.clone().start())).await?;
        let cluster = Self { settings: builder, nodes, masters };
        cluster.form().await?;
        cluster.settled().await?;
        Ok(cluster)
    }

    /// `redis+cluster://[user:password@]127.0.0.1:PORT,127.0.0.1:PORT,…`, every node in it; with TLS `rediss+cluster`.
    pub fn url(&self) -> String {
        let nodes: Vec<_> = self.nodes.iter().map(|node| node.address().to_string()).collect();
        format!("{}://{}{}", self.settings.scheme("redis+cluster"), self.settings.userinfo(), nodes.join(","))
    }

    /// All of them, also those that are down; the first were masters at the start.
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// What a client with TLS needs.
    pub fn certificates(&self) -> Option<&Certificates> {
        self.settings.certificates.as_deref()
    }

    /// The masters by the slots they serve now.
    pub async fn masters(&self) -> io::Result<Vec<&RedisServer>> {
        let ranges = ranges(self.witness()?).await?;
        ranges.iter().map(|range| self.node(*range.ports.first().unwrap_or(&0))).collect()
    }

    /// Who serves `key` now.
    pub async fn master_of(&self, key: &str) -> io::Result<&RedisServer> {
        let witness = self.witness()?;
        let slot = witness.command(&["CLUSTER", "KEYSLOT", key]).await?.number();
        let slot = slot.and_then(|slot| usize::try_from(slot).ok()).unwrap_or_default();
        let mut end = 0;
        let ranges = ranges(witness).await?;
        let serving = ranges.iter().find(|range| {
            end += range.slots;
            slot < end
        });
        self.node(serving.and_then(|range| range.ports.first().copied()).unwrap_or(0))
    }

    /// Kills the master of the `i`th part of the slots, whoever that is now, and says who it was. Its replica takes
    /// over; [`Self::settled`] waits for it.
    pub async fn kill_master(&self, i: usize) -> io::Result<&RedisServer> {
        let master = self.nth(i).await?;
        master.kill();
        Ok(master)
    }

    /// Lets a replica take over from the master of the `i`th part without a loss (`CLUSTER FAILOVER`), and waits.
    pub async fn failover(&self, i: usize) -> io::Result<()> {
        let ranges = ranges(self.witness()?).await?;
        let Some(&[_, replica, ..]) = ranges.get(i).map(|range| &*range.ports) else {
            return Err(io::Error::other(format!("part {i} of the slots has no replica")));
        };
        let replica = self.node(replica)?;
        replica.command(&["CLUSTER", "FAILOVER"]).await?;
        let deadline = Instant::now() + PATIENCE;
        while self.nth(i).await?.port() != replica.port() {
            patience(deadline, "failing over")?;
        }
        self.settled().await
    }

    /// Waits until all nodes that run (those killed or stopped aside) are content and agree, all slots are served by nodes that run, and replicas
    /// have all that was written to their masters.
    pub async fn settled(&self) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.is_settled().await {
                Ok(true) => return Ok(()),
                Ok(false) => patience(deadline, "the cluster does not settle")?,
                Err(error) => patience(deadline, &format!("the cluster does not settle: {error}"))?,
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn is_settled(&self) -> io::Result<bool> {
        let running: Vec<_> = self.running().collect();
        let ports: HashSet<_> = running.iter().map(|node| node.port()).collect();
        let mut views = HashSet::new();
        for node in &running {
            let info = node.command(&["CLUSTER", "INFO"]).await?.text();
            if !info.contains("cluster_state:ok") {
                return Ok(false);
            }
            let ranges = ranges(node).await?;
            let served: usize = ranges.iter().map(|range| range.slots).sum();
            let known: HashSet<_> = ranges.iter().flat_map(|range| range.ports.iter().copied()).collect();
            if served != SLOTS || !ports.is_subset(&known) {
                return Ok(false);
            }
            let masters: Vec<_> = ranges.iter().filter_map(|range| range.ports.first().copied()).collect();
            if !masters.iter().all(|port| ports.contains(port)) {
                return Ok(false);
            }
            // Each master answers for its replicas, one after the other.
            let own = ranges.iter().find(|range| range.ports.first() == Some(&node.port()));
            let replicas = own.map_or(0, |own| own.ports[1..].iter().filter(|port| ports.contains(port)).count());
            if !node.has_replicated_to(replicas).await? {
                return Ok(false);
            }
            views.insert(masters);
        }
        Ok(views.len() == 1)
    }

    async fn form(&self) -> io::Result<()> {
        let mut ids = Vec::new();
        for (i, node) in self.nodes.iter().enumerate() {
            ids.push(node.command(&["CLUSTER", "MYID"]).await?.text());
            // Nodes that meet with the same epoch would first have to quarrel about it.
            node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(i + 1).to_string()]).await?;
            if i < self.masters {
                let (first, end) = (i * SLOTS / self.masters, (i + 1) * SLOTS / self.masters);
                node.command(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &(end - 1).to_string()]).await?;
            }
        }
        for from in &self.nodes {
            for to in self.nodes.iter().filter(|to| to.port() != from.port()) {
                let (port, bus) = (to.port().to_string(), to.bus_port().unwrap_or(0).to_string());
                from.command(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]).await?;
            }
        }
        let deadline = Instant::now() + PATIENCE;
        for (i, replica) in self.nodes.iter().enumerate().skip(self.masters) {
            // Refused until the two have met.
            while let Err(error) = replica.command(&["CLUSTER", "REPLICATE", &ids[i % self.masters]]).await {
                patience(deadline, &error.to_string())?;
                sleep(Duration::from_millis(5)).await;
            }
        }
        Ok(())
    }

    async fn nth(&self, i: usize) -> io::Result<&RedisServer> {
        let masters = self.masters().await?;
        masters.get(i).copied().ok_or_else(|| io::Error::other(format!("there are {} masters", masters.len())))
    }

    fn running(&self) -> impl Iterator<Item = &RedisServer> {
        self.nodes.iter().filter(|node| node.is_running())
    }

    fn witness(&self) -> io::Result<&RedisServer> {
        self.running().next().ok_or_else(|| io::Error::other("no node of the cluster runs"))
    }

    fn node(&self, port: u16) -> io::Result<&RedisServer> {
        let node = self.nodes.iter().find(|node| node.port() == port);
        node.ok_or_else(|| io::Error::other(format!("port {port} is no node of the cluster")))
    }
}

/// As `node` sees them, in order.
async fn ranges(node: &RedisServer) -> io::Result<Vec<Range>> {
    let reply = node.command(&["CLUSTER", "SLOTS"]).await?;
    let mut ranges: Vec<(i64, Range)> = Vec::new();
    for range in reply.list() {
        let [first, last, servers @ ..] = range.list() else { continue };
        let (first, last) = (first.number().unwrap_or(0), last.number().unwrap_or(0));
        let port = |server: &crate::resp::Reply| u16::try_from(server.list().get(1)?.number()?).ok();
        let slots = usize::try_from(last + 1 - first).unwrap_or_default();
        ranges.push((first, Range { slots, ports: servers.iter().filter_map(port).collect() }));
    }
    ranges.sort_by_key(|(first, _)| *first);
    Ok(ranges.into_iter().map(|(_, range)| range).collect())
}
