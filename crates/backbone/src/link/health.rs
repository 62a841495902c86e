//! How a Redis is: reachable, quick, with memory to spare, replicated. For `/health`, and for those who are paged.

use super::wire::Wire;
use super::{Client, Link, Need, Passage, with_budget};
use crate::{Fault, keys};
use redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use std::time::{Duration, Instant};

/// What was found, as far as Redis told.
#[derive(Clone, Debug)]
pub struct Health {
    pub passage: Passage,
    /// How long it has been so.
    pub lasted: Duration,
    /// A write and a read of it, one after the other.
    pub round: Result<Duration, Fault>,
    pub memory: Option<Memory>,
    pub replication: Option<Replication>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    pub used: u64,
    /// `maxmemory` in bytes; 0 without end.
    pub limit: u64,
    /// `maxmemory-policy`.
    pub policy: String,
    pub evicted_keys: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replication {
    /// `master` or `slave`, as Redis calls them.
    pub role: String,
    pub replicas: u64,
    /// The furthest that a replica is behind, in bytes.
    pub lag: u64,
}

/// Whoever asks how Redis is can wait for an answer that a request could not: where it is slow he is told so, and not that
/// nothing is known. Redis that hangs is refused by its breaker long before.
const PATIENCE: Duration = Duration::from_millis(500);

impl Link {
    /// Asks Redis, with a budget of its own: what else a request asks for takes nothing of it.
    pub async fn health(&self) -> Health {
        with_budget(PATIENCE, self.look()).await
    }

    async fn look(&self) -> Health {
        let client = self.client("health");
        let round = client.round().await;
        let info = if round.is_ok() || self.passage() != Passage::Closed { client.info().await.ok() } else { None };
        let (passage, lasted) = {
            let breaker = self.inner.breaker.lock();
            (breaker.passage(), breaker.lasted(Instant::now()))
        };
        let (memory, replication) = info.as_deref().map(|info| (memory(info), replication(info))).unzip();
        Health { passage, lasted, round, memory, replication }
    }
}

impl Client {
    async fn round(&self) -> Result<Duration, Fault> {
        let began = Instant::now();
        let key = keys::health(self.prefix());
        self.query::<()>(Need::Write, redis::cmd("SET").arg(&key).arg(1).arg("PX").arg(60_000)).await?;
        self.query::<Option<String>>(Need::Read, redis::cmd("GET").arg(&key)).await?;
        Ok(began.elapsed())
    }

    /// Of one server; in a Cluster of the master of the first slot, which stands for the others.
    async fn info(&self) -> Result<String, Fault> {
        let call = self.call(Need::Read, async |mut wire: Wire| {
            let cmd = redis::cmd("INFO");
            match &mut wire {
                Wire::Single(wire) => wire.send_packed_command(&cmd).await,
                Wire::Cluster(wire) => wire.route_command(cmd, first_master()).await,
            }
        });
        self.parsed(call.await?)
    }
}

fn first_master() -> RoutingInfo {
    RoutingInfo::SingleNode(SingleNodeRoutingInfo::SpecificNode(Route::new(0, SlotAddr::Master)))
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

fn number(info: &str, name: &str) -> u64 {
    field(info, name).and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn memory(info: &str) -> Memory {
    Memory {
        used: number(info, "used_memory"),
        limit: number(info, "maxmemory"),
        policy: field(info, "maxmemory_policy").unwrap_or_default().to_owned(),
        evicted_keys: number(info, "evicted_keys"),
    }
}

fn replication(info: &str) -> Replication {
    let written = number(info, "master_repl_offset");
    // slave0:ip=10.0.0.2,port=6379,state=online,offset=1234,lag=0
    let behind = (0..).map_while(|n| field(info, &format!("slave{n}"))).filter_map(|replica| {
        let offset = replica.split(',').find_map(|pair| pair.strip_prefix("offset="))?;
        Some(written.saturating_sub(offset.parse().ok()?))
    });
    Replication {
        role: field(info, "role").unwrap_or_default().to_owned(),
        replicas: number(info, "connected_slaves"),
        lag: behind.max().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_redis_tells_of_itself_is_read() {
        let info = "# Memory\r\nused_memory:1024\r\nused_memory_human:1.00K\r\nmaxmemory:4096\r\n\
            maxmemory_policy:noeviction\r\nevicted_keys:3\r\nrole:master\r\nconnected_slaves:2\r\n\
            slave0:ip=10.0.0.2,port=6379,state=online,offset=90,lag=0\r\n\
            slave1:ip=10.0.0.3,port=6379,state=online,offset=40,lag=1\r\nmaster_repl_offset:100\r\n";
        let expected = Memory { used: 1024, limit: 4096, policy: "noeviction".into(), evicted_keys: 3 };
        assert_eq!(memory(info), expected);
        assert_eq!(replication(info), Replication { role: "master".into(), replicas: 2, lag: 60 });
        assert_eq!(memory("").limit, 0);
    }
}
