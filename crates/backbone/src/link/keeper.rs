//! Keeps one connection: opens it, probes it, and opens it anew when it broke. The only one who waits for Redis.
//!
//! While all is well it asks once a second, so that a Redis that hangs is noticed without anyone's call. While the breaker
//! is open it is the one probe: a write and a read, and only when they come back in time calls pass again.

use super::breaker::{Failure, Generation, Passage};
use super::budget::overslept;
use super::script::Script;
use super::wire::{Role, Wire};
use super::{BUDGET, Inner, Lagging, Wires};
use crate::keys;
use redis::aio::ConnectionLike;
use redis::{ErrorKind, FromRedisValue, RedisError, ServerErrorKind, Value};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Between two looks while all is well.
const PACE: Duration = Duration::from_secs(1);
/// The first wait before another attempt, and the longest: each is twice the one before, and a random part of it.
pub(super) const FIRST_WAIT: Duration = Duration::from_millis(50);
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// Tries of a connection that answers too late, before a new one is made.
const TRIES: u32 = 3;

static EPOCH: Script = Script::new(include_str!("scripts/epoch.lua"));

pub(super) async fn keep(inner: Arc<Inner>, stop: CancellationToken) {
    let work = async {
        let mut wait = FIRST_WAIT;
        loop {
            match connect(&inner).await {
                Ok(generation) => {
                    wait = FIRST_WAIT;
                    watch(&inner, generation).await;
                }
                Err(error) => {
                    tracing::debug!(redis = inner.use_, error = error.category(), "no connection to Redis");
                }
            }
            tokio::time::sleep(wait.mul_f64(jitter())).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
    *inner.wires.lock() = None;
}

/// A part of a wait, between a half and the whole, so that servers do not come back in step.
pub(super) fn jitter() -> f64 {
    // Seeded anew each time by the standard library; nothing secret hangs on it.
    0.5 + (RandomState::new().hash_one(0_u8) % 1_000) as f64 / 2_000.0
}

/// A number that no earlier epoch had; never 0.
pub(super) fn fresh_epoch() -> u64 {
    RandomState::new().hash_one(0_u8).max(1)
}

async fn connect(inner: &Arc<Inner>) -> Result<Generation, RedisError> {
    let primary = inner.dialer.dial(Role::Primary, None).await?;
    let generation = inner.breaker.lock().connected(Instant::now());
    *inner.wires.lock() = Some(Wires { generation, primary, lagging: Lagging::Unasked });
    Ok(generation)
}

/// Looks after one connection until it has to be made anew.
async fn watch(inner: &Arc<Inner>, generation: Generation) {
    let mut failed = 0;
    let mut wait = FIRST_WAIT;
    loop {
        let (was, began) = (inner.breaker.lock().passage(), Instant::now());
        match probe(inner, was).await {
            Ok(writes) => {
                failed = 0;
                if was == Passage::Closed && !learn_epoch(inner).await {
                    return lost(inner, generation);
                }
                // Before anything passes: whoever then looks finds the connection that it came over.
                inner.connections.send_if_modified(|last| std::mem::replace(last, generation.0) != generation.0);
                let changed = inner.breaker.lock().probed(generation, writes, Instant::now());
                if changed {
                    inner.tell_passage();
                    tracing::info!(redis = inner.use_, writes, "Redis is there");
                    inner.recoveries.send_modify(|n| *n += 1);
                }
            }
            Err(Failure::Timeout) => {
                failed += 1;
                inner.fail(generation, Failure::Timeout, began);
                if failed >= TRIES {
                    return lost(inner, generation);
                }
            }
            Err(_) => return lost(inner, generation),
        }
        let (passage, lasted) = {
            let breaker = inner.breaker.lock();
            (breaker.passage(), breaker.lasted(Instant::now()))
        };
        let pause = match passage {
            Passage::Open if failed == 0 => PACE,
            _ => {
                wait = (wait * 2).min(LONGEST_WAIT);
                wait.mul_f64(jitter())
            }
        };
        // Read-only for long: what used to be the primary is one no more, and its name may lead elsewhere by now.
        if passage == Passage::ReadsAlone && lasted > Duration::from_secs(2) && is_replica(inner).await {
            return lost(inner, generation);
        }
        tokio::select! {
            () = inner.broke.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
        // A call found the connection broken; where Redis only refuses writes, the probe will say so.
        if passage == Passage::Open && inner.breaker.lock().passage() == Passage::Closed {
            return lost(inner, generation);
        }
    }
}

fn lost(inner: &Arc<Inner>, generation: Generation) {
    inner.fail(generation, Failure::Lost, Instant::now());
    *inner.wires.lock() = None;
}

/// Answers whether writes pass. A link that is open is asked for the epoch alone, which somebody may have ended, or
/// flushed with everything else.
async fn probe(inner: &Arc<Inner>, passage: Passage) -> Result<bool, Failure> {
    let Some(wires) = inner.wires.lock().clone() else { return Err(Failure::Lost) };
    if passage == Passage::Open {
        let get = redis::cmd("HGET").arg(inner.epoch_key()).arg("epoch").to_owned();
        // A Cluster may have failed over under an open connection.
        let may_be_another = matches!(wires.primary, Wire::Cluster(_));
        match ask::<Option<u64>>(wires.primary, &get).await?.filter(|_| !may_be_another) {
            Some(epoch) => inner.epoch.store(epoch, Ordering::Release),
            None if learn_epoch(inner).await => {}
            None => return Err(Failure::Timeout),
        }
        return Ok(true);
    }
    let key = keys::probe(&inner.settings.prefix);
    let mut set = redis::cmd("SET");
    set.arg(&key).arg(1).arg("PX").arg(60_000);
    let writes = match ask::<Value>(wires.primary.clone(), &set).await {
        Ok(_) => true,
        Err(Failure::WritesRefused) => false,
        Err(failure) => return Err(failure),
    };
    let mut get = redis::cmd("GET");
    get.arg(&key);
    let _: Value = ask(wires.primary, &get).await?;
    Ok(writes)
}

/// The answer, in time; also one that lies there unread since this process stood still.
async fn ask<T: FromRedisValue>(mut wire: Wire, cmd: &redis::Cmd) -> Result<T, Failure> {
    let began = Instant::now();
    let mut call = wire.req_packed_command(cmd);
    let mut answer = tokio::time::timeout(BUDGET, &mut call).await;
    if answer.is_err() && overslept(began.elapsed(), BUDGET) {
        answer = tokio::time::timeout(BUDGET, &mut call).await;
    }
    let answer = answer.map_err(|_| Failure::Timeout)?;
    let value = answer.and_then(Value::extract_error);
    let value = value.map_err(|error| super::failure_of(&error).unwrap_or(Failure::Lost))?;
    redis::from_redis_value(value).map_err(|_| Failure::Lost)
}

async fn is_replica(inner: &Arc<Inner>) -> bool {
    let Some(wires) = inner.wires.lock().clone() else { return false };
    let Wire::Single(_) = wires.primary else { return false };
    match ask::<Vec<Value>>(wires.primary, &redis::cmd("ROLE")).await {
        Ok(role) => {
            role.first().is_some_and(|role| String::from_redis_value_ref(role).is_ok_and(|role| role == "slave"))
        }
        Err(_) => false,
    }
}

/// Learns which epoch Redis is in, and begins another where this is not the process that began it. False when Redis did
/// not say.
async fn learn_epoch(inner: &Arc<Inner>) -> bool {
    let Some(wires) = inner.wires.lock().clone() else { return false };
    let identity = match identity(&wires.primary).await {
        Ok(identity) => identity,
        Err(Failure::Lost) => String::new(),
        Err(_) => return false,
    };
    let fresh = fresh_epoch();
    let call = EPOCH.call(&[inner.epoch_key()]).arg(&identity).arg(fresh.to_string());
    let mut wire = wires.primary;
    let answer = tokio::time::timeout(BUDGET, async {
        match wire.req_packed_command(&call.by_hash()).await.and_then(Value::extract_error) {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                wire.req_packed_command(&call.with_code()).await.and_then(Value::extract_error)
            }
            answer => answer,
        }
    })
    .await;
    let epoch = match answer {
        Ok(Ok(value)) => redis::from_redis_value::<String>(value).ok().and_then(|text| text.parse().ok()),
        // It takes no writes: an epoch of our own, under which nobody else's values are believed.
        Ok(Err(_)) => Some(fresh),
        Err(_) => None,
    };
    if let Some(epoch) = epoch {
        inner.epoch.store(epoch, Ordering::Release);
    }
    epoch.is_some()
}

/// What changes when Redis may have lost something: the process's `run_id`, and in a Cluster the epoch of its last
/// failover.
async fn identity(wire: &Wire) -> Result<String, Failure> {
    let (cmd, field) = match wire {
        Wire::Single(_) => (redis::cmd("INFO").arg("server").to_owned(), "run_id:"),
        Wire::Cluster(_) => (redis::cmd("CLUSTER").arg("INFO").to_owned(), "cluster_current_epoch:"),
    };
    let text: String = ask(wire.clone(), &cmd).await?;
    Ok(text.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default().trim().to_owned())
}
