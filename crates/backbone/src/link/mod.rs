//! The way to one Redis: its connection, its breaker, its health. Every backend in a `redis.rs` speaks through a
//! [`Client`] of it; nobody else of this workspace names the redis crate.
//!
//! A call never waits for a reconnect: where the breaker is open it is refused at once, and else it gets what is left of
//! the request's budget (`budget`). The keeper connects, probes and recovers in the background. Calls of all tasks go over
//! one multiplexed connection, and those that are made side by side (`join!`) are written together: one round trip.

mod beside;
mod breaker;
mod budget;
mod health;
mod keeper;
mod script;
mod settings;
mod subscriber;
mod wire;

pub(crate) use beside::Access;
pub use breaker::{Need, Passage};
pub(crate) use budget::refunded;
pub use budget::{BUDGET, one_budget, with_budget};
pub use health::{Health, Memory, Replication};
pub use script::{Call, Script};
pub use settings::{BadAddress, Login, Settings, TlsFiles, are_one, check, names_sentinels};
pub use subscriber::{Hearing, Subscriber};
pub use wire::{Dialer, OnPush, Role, Wire};

use crate::{Fault, keys};
use breaker::{Breaker, Failure, Generation};
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use parking_lot::Mutex;
use redis::aio::ConnectionLike;
use redis::{Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, ServerErrorKind, Value};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Between two tries to reach a replica, where there was none.
const NO_REPLICA: Duration = Duration::from_secs(2);

/// One Redis, as this process reaches it; cheap to clone. It is kept until the last clone is dropped.
#[derive(Clone)]
pub struct Link {
    inner: Arc<Inner>,
    _keeper: Arc<DropGuard>,
}

pub(in crate::link) struct Inner {
    /// What it is for, as metrics and logs call it: `main`, `cache`, `queue` or `bus`.
    use_: &'static str,
    settings: Settings,
    dialer: Dialer,
    breaker: Mutex<Breaker>,
    wires: Mutex<Option<Wires>>,
    /// Wakes the keeper before its time: something broke.
    broke: Notify,
    /// Raised at each recovery, the first connection included.
    recoveries: watch::Sender<u64>,
    /// The connection that Redis was last found there over, by its generation; 0 before the first.
    connections: watch::Sender<u64>,
    epoch: AtomicU64,
    latency: Histogram,
    passage: Gauge,
}

#[derive(Clone)]
struct Wires {
    generation: Generation,
    primary: Wire,
    lagging: Lagging,
}

/// The way for reads that may lag.
#[derive(Clone)]
enum Lagging {
    /// Nobody asked for one yet: a link whose use never does opens none.
    Unasked,
    /// The primary: there is no other, or not yet.
    Primary,
    Replica(Wire),
}

impl Link {
    /// Begins to connect; until that is done every call is refused. Needs a runtime.
    pub fn open(use_: &'static str, settings: Settings) -> Result<Self, BadAddress> {
        let dialer = Dialer::new(&settings)?;
        let inner = Arc::new(Inner {
            use_,
            settings,
            dialer,
            breaker: Mutex::new(Breaker::new(Instant::now())),
            wires: Mutex::new(None),
            broke: Notify::new(),
            recoveries: watch::Sender::new(0),
            connections: watch::Sender::new(0),
            epoch: AtomicU64::new(0),
            latency: histogram!("aim_redis_call_seconds", "use" => use_),
            passage: gauge!("aim_redis_passage", "use" => use_),
        });
        let stop = CancellationToken::new();
        tokio::spawn(keeper::keep(inner.clone(), stop.clone()));
        Ok(Self { inner, _keeper: Arc::new(stop.drop_guard()) })
    }

    /// Waits until Redis can be used, `patience` at the most; false when it cannot.
    pub async fn ready(&self, patience: Duration) -> bool {
        let mut recoveries = self.inner.recoveries.subscribe();
        let ready = async {
            while self.passage() == Passage::Closed {
                if recoveries.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::time::timeout(patience, ready).await.is_ok()
    }

    /// What it is for: `main`, `cache`, `queue` or `bus`; the first of these where it is for several.
    pub fn name(&self) -> &'static str {
        self.inner.use_
    }

    pub fn passage(&self) -> Passage {
        self.inner.breaker.lock().passage()
    }

    pub fn is_cluster(&self) -> bool {
        self.inner.dialer.is_cluster()
    }

    /// Changes with every recovery, the first connection included: the time for a capability's step on recovery.
    pub fn recoveries(&self) -> watch::Receiver<u64> {
        self.inner.recoveries.subscribe()
    }

    /// Changes with every recovery for which the connection had to be made anew: other connections to the same Redis may be
    /// of no more use either.
    pub fn connections(&self) -> watch::Receiver<u64> {
        self.inner.connections.subscribe()
    }

    /// Names what Redis has kept without a loss. A Redis that restarted or failed over may have lost what it
    /// acknowledged, deletions above all: it has another epoch then, and what was kept under an older one must not be
    /// believed. 0 while nothing is known; a value that was kept under 0 is never believed.
    pub fn epoch(&self) -> u64 {
        self.inner.epoch.load(Ordering::Acquire)
    }

    /// Begins another epoch, for a capability that can no longer say which of its values are stale. Other servers learn of
    /// it within a second.
    pub async fn begin_epoch(&self) -> Result<(), Fault> {
        let fresh = keeper::fresh_epoch();
        let mut set = redis::cmd("HSET");
        set.arg(self.inner.epoch_key()).arg("epoch").arg(fresh);
        self.client("link").query::<()>(Need::Write, &set).await?;
        self.inner.epoch.store(fresh, Ordering::Release);
        Ok(())
    }

    /// For one capability's backend.
    pub fn client(&self, capability: &'static str) -> Client {
        let calls =
            |outcome: &'static str| counter!("aim_redis_calls_total", "capability" => capability, "outcome" => outcome);
        let counters = Counters {
            answered: calls("answered"),
            refused: calls("refused"),
            timeout: calls("timeout"),
            lost: calls("lost"),
            failed: calls("failed"),
        };
        Client { link: self.clone(), capability, counters: Arc::new(counters) }
    }
}

/// The Redis of each use. Uses that share an address share a link, and with it their round trips; it has the name of the
/// first of them.
#[derive(Clone)]
pub struct Links {
    /// Limits, usage, turns, sessions.
    pub main: Link,
    pub cache: Link,
    pub queue: Link,
    pub bus: Link,
    /// BullMQ's prefix as it is used: in a Cluster with braces around it, so that a queue's keys share a slot.
    pub queue_prefix: String,
}

/// Where the Redis of each use is; none: the main one.
#[derive(Clone, Debug)]
pub struct LinksSettings {
    pub main: Settings,
    pub cache: Option<Settings>,
    pub queue: Option<Settings>,
    pub bus: Option<Settings>,
    /// BullMQ's prefix, without a colon.
    pub queue_prefix: String,
}

impl Links {
    /// Begins to connect them all. Needs a runtime.
    pub fn open(settings: LinksSettings) -> Result<Self, BadAddress> {
        let main = Link::open("main", settings.main)?;
        let mut opened = vec![main.clone()];
        let mut own = |use_, settings: Option<Settings>| -> Result<Link, BadAddress> {
            let Some(settings) = settings else { return Ok(main.clone()) };
            if let Some(link) = opened.iter().find(|link| link.inner.settings.leads_to_the_same_as(&settings)) {
                return Ok(link.clone());
            }
            let link = Link::open(use_, settings)?;
            opened.push(link.clone());
            Ok(link)
        };
        let (cache, queue, bus) =
            (own("cache", settings.cache)?, own("queue", settings.queue)?, own("bus", settings.bus)?);
        let plain = settings.queue_prefix;
        let queue_prefix = if queue.is_cluster() && !plain.contains('{') { format!("{{{plain}}}") } else { plain };
        Ok(Self { main, cache, queue, bus, queue_prefix })
    }

    /// Each once, the main one first.
    pub fn each(&self) -> impl Iterator<Item = &Link> {
        let all = [&self.main, &self.cache, &self.queue, &self.bus];
        let is_first = move |n: &usize| all[..*n].iter().all(|before| !Arc::ptr_eq(&before.inner, &all[*n].inner));
        (0..all.len()).filter(is_first).map(move |n| all[n])
    }
}

struct Counters {
    answered: Counter,
    /// Not sent: the breaker is open, or the request's budget is spent.
    refused: Counter,
    timeout: Counter,
    lost: Counter,
    /// Redis answered with an error that says nothing about Redis.
    failed: Counter,
}

/// How one capability speaks to Redis; cheap to clone.
#[derive(Clone)]
pub struct Client {
    link: Link,
    capability: &'static str,
    counters: Arc<Counters>,
}

impl Client {
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// What every key begins with.
    pub fn prefix(&self) -> &str {
        &self.link.inner.settings.prefix
    }

    pub fn is_cluster(&self) -> bool {
        self.link.is_cluster()
    }

    /// The number of the database. Channels are outside of all: one that is to be heard in its database alone says so
    /// in its name.
    pub fn database(&self) -> i64 {
        self.link.inner.dialer.database()
    }

    /// Whether [`Need::LaggingRead`] goes to replicas that each have everything, with a lag.
    pub fn reads_from_replicas(&self) -> bool {
        self.link.inner.reads_from_replicas()
    }

    pub async fn query<T: FromRedisValue>(&self, need: Need, cmd: &Cmd) -> Result<T, Fault> {
        let call = self.call(need, async |mut wire: Wire| wire.req_packed_command(cmd).await);
        self.parsed(call.await?)
    }

    /// Several commands in one go, not as a transaction. In a Cluster their keys share one slot; calls of different slots
    /// are made side by side instead.
    pub async fn pipeline<T: FromRedisValue>(&self, need: Need, pipeline: &Pipeline) -> Result<T, Fault> {
        let call = self.call(need, async |mut wire: Wire| {
            let count = pipeline.len();
            Ok(Value::Array(wire.req_packed_commands(pipeline, 0, count).await?))
        });
        self.parsed(call.await?)
    }

    /// Runs a script; one that writes says so in its `#!lua` header as well, by the absence of `no-writes`.
    pub async fn script<T: FromRedisValue>(&self, need: Need, script: &Call) -> Result<T, Fault> {
        let cmd = script.by_hash();
        let call = self.call(need, async |mut wire: Wire| {
            match wire.req_packed_command(&cmd).await.and_then(Value::extract_error) {
                Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                    wire.req_packed_command(&script.with_code()).await
                }
                answer => answer,
            }
        });
        self.parsed(call.await?)
    }

    /// Several commands in one go, each with its own outcome: one that Redis refuses says nothing about the others.
    pub async fn each(&self, need: Need, pipeline: &Pipeline) -> Result<Vec<Result<Value, Fault>>, Fault> {
        let (generation, answer) = self
            .ask(need, async |mut wire: Wire| {
                let count = pipeline.len();
                Ok(Value::Array(wire.req_packed_commands(pipeline, 0, count).await?))
            })
            .await?;
        let Value::Array(answers) = answer else { return Err(self.fault("an answer of another type than expected")) };
        Ok(answers.into_iter().map(|answer| self.settled(generation, answer)).collect())
    }

    async fn call<F>(&self, need: Need, ask: impl FnOnce(Wire) -> F) -> Result<Value, Fault>
    where
        F: Future<Output = Result<Value, RedisError>>,
    {
        let (generation, answer) = self.ask(need, ask).await?;
        self.settled(generation, answer)
    }

    async fn ask<F>(&self, need: Need, ask: impl FnOnce(Wire) -> F) -> Result<(Generation, Value), Fault>
    where
        F: Future<Output = Result<Value, RedisError>>,
    {
        let inner = &self.link.inner;
        let budget = budget::left();
        // Before the breaker is asked: over a new connection nothing passes until its epoch is known.
        let Some(wires) = inner.wires.lock().clone() else {
            self.counters.refused.increment(1);
            return Err(self.fault("not asked: there is no connection"));
        };
        if budget.is_zero() || !inner.breaker.lock().admits(need) {
            self.counters.refused.increment(1);
            return Err(self.fault("not asked: Redis is away"));
        }
        let wire = match (need, wires.lagging) {
            (Need::LaggingRead, Lagging::Replica(wire)) => wire,
            (Need::LaggingRead, Lagging::Unasked) => {
                inner.dial_replica(wires.generation);
                wires.primary
            }
            _ => wires.primary,
        };
        let began = Instant::now();
        let answer = tokio::time::timeout(budget, ask(wire)).await;
        let took = began.elapsed();
        budget::charge(took);
        inner.latency.record(took);
        match answer {
            Ok(Ok(value)) => Ok((wires.generation, value)),
            Ok(Err(error)) => Err(self.failed(wires.generation, &error, began)),
            Err(_) => {
                self.counters.timeout.increment(1);
                // What the budget cut short says nothing about Redis unless the call had its full time.
                if budget >= BUDGET / 2 && !budget::overslept(took, budget) {
                    inner.fail(wires.generation, Failure::Timeout, began);
                }
                Err(self.fault("no answer in time"))
            }
        }
    }

    /// What an answer says about Redis, and whether it is an error.
    fn settled(&self, generation: Generation, answer: Value) -> Result<Value, Fault> {
        match answer.extract_error() {
            Ok(value) => {
                self.link.inner.breaker.lock().answered(generation);
                self.counters.answered.increment(1);
                Ok(value)
            }
            // It came in time: this is no time-out.
            Err(error) => Err(self.failed(generation, &error, Instant::now())),
        }
    }

    fn failed(&self, generation: Generation, error: &RedisError, began: Instant) -> Fault {
        match failure_of(error) {
            Some(failure) => {
                self.counters.lost.increment(1);
                self.link.inner.fail(generation, failure, began);
            }
            None => {
                self.counters.failed.increment(1);
                self.link.inner.breaker.lock().answered(generation);
            }
        }
        // An error's text may quote arguments; its code does not.
        self.fault(error.code().map_or_else(|| error.category().to_owned(), str::to_owned))
    }

    fn parsed<T: FromRedisValue>(&self, value: Value) -> Result<T, Fault> {
        redis::from_redis_value(value).map_err(|_| {
            self.counters.failed.increment(1);
            self.fault("an answer of another type than expected")
        })
    }

    fn fault(&self, detail: impl Into<String>) -> Fault {
        Fault::new(self.capability, detail)
    }
}

impl Inner {
    fn reads_from_replicas(&self) -> bool {
        self.settings.read_from_replicas && self.dialer.has_replicas()
    }

    /// Opens the way to a replica beside the connection of that generation; nobody waits for it.
    fn dial_replica(self: &Arc<Self>, generation: Generation) {
        if !self.turn_lagging(generation, Lagging::Primary) || !self.reads_from_replicas() {
            return;
        }
        let inner = self.clone();
        tokio::spawn(async move {
            match inner.dialer.dial(Role::Replica, None).await {
                Ok(wire) => {
                    inner.turn_lagging(generation, Lagging::Replica(wire));
                }
                Err(error) => {
                    tracing::debug!(redis = inner.use_, error = error.category(), "no connection to a replica");
                    // There may be one later. The next read after that looks again.
                    tokio::time::sleep(NO_REPLICA).await;
                    inner.turn_lagging(generation, Lagging::Unasked);
                }
            }
        });
    }

    /// False where the connection is another by now, or has its way to a replica.
    fn turn_lagging(&self, generation: Generation, to: Lagging) -> bool {
        let mut wires = self.wires.lock();
        let Some(wires) = wires.as_mut().filter(|wires| wires.generation == generation) else { return false };
        let is_next = matches!(
            (&wires.lagging, &to),
            (Lagging::Unasked, Lagging::Primary) | (Lagging::Primary, Lagging::Unasked | Lagging::Replica(_))
        );
        if is_next {
            wires.lagging = to;
        }
        is_next
    }

    fn epoch_key(&self) -> String {
        keys::epoch(&self.settings.prefix)
    }

    /// A call failed that began then.
    fn fail(&self, generation: Generation, failure: Failure, began: Instant) {
        if self.breaker.lock().failed(generation, failure, began, Instant::now()) {
            tracing::warn!(redis = self.use_, ?failure, "Redis is away: going on without it");
            self.tell_passage();
        }
        if failure != Failure::Timeout {
            self.broke.notify_one();
        }
    }

    fn tell_passage(&self) {
        self.passage.set(match self.breaker.lock().passage() {
            Passage::Open => 1.0,
            Passage::ReadsAlone => 0.5,
            Passage::Closed => 0.0,
        });
    }
}

/// What an error says about Redis; none for an answer that is about the call.
fn failure_of(error: &RedisError) -> Option<Failure> {
    if let Some("OOM" | "MISCONF" | "NOREPLICAS") = error.code() {
        return Some(Failure::WritesRefused);
    }
    match error.kind() {
        ErrorKind::Server(ServerErrorKind::ReadOnly) => Some(Failure::WritesRefused),
        ErrorKind::Server(
            ServerErrorKind::BusyLoading
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown
            | ServerErrorKind::TryAgain
            | ServerErrorKind::Moved
            | ServerErrorKind::Ask,
        )
        | ErrorKind::ClusterConnectionNotFound
        | ErrorKind::AuthenticationFailed => Some(Failure::Lost),
        ErrorKind::Io if error.is_timeout() => Some(Failure::Timeout),
        ErrorKind::Io => Some(Failure::Lost),
        _ if error.is_connection_dropped() || error.is_unrecoverable_error() => Some(Failure::Lost),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
