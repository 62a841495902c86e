//! What stands in Redis of a job, of a worker and of Redis itself, as the board tells it.

use super::job::timestamp;
use crate::queue::board::{Entry, Seen, Server, Status};
use bullmq::{Error, JobState, Queue};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::time::Duration;

pub(super) fn of_bull(state: JobState) -> Option<Status> {
    Some(match state {
        JobState::Active => Status::Active,
        JobState::Waiting => Status::Waiting,
        JobState::WaitingChildren => Status::WaitingChildren,
        JobState::Prioritized => Status::Prioritized,
        JobState::Completed => Status::Completed,
        JobState::Failed => Status::Failed,
        JobState::Delayed => Status::Delayed,
        JobState::Unknown => return None,
    })
}

/// In their order; those that are gone are left out. One round trip.
pub(super) async fn read_all(queue: &Queue, ids: &[String]) -> Result<Vec<Entry>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut pipe = redis::pipe();
    for id in ids {
        pipe.cmd("HGETALL").arg(queue.keys().job_key(id));
    }
    let hashes: Vec<HashMap<String, String>> = queue.connection().pipe(&pipe).await?;
    let known = ids.iter().zip(hashes).filter(|(_, fields)| !fields.is_empty());
    Ok(known.map(|(id, fields)| read(id, &fields)).collect())
}

/// What BullMQ shortens when it writes options.
const SHORT: [(&str, &str); 8] = [
    ("cpof", "continueParentOnFailure"),
    ("de", "deduplication"),
    ("fpof", "failParentOnFailure"),
    ("idof", "ignoreDependencyOnFailure"),
    ("kl", "keepLogs"),
    ("omc", "omitContext"),
    ("rdof", "removeDependencyOnFailure"),
    ("tm", "telemetryMetadata"),
];

/// As BullMQ's own libraries tell them: with the attempts, and without the schedule, which the job names itself.
fn options(text: &str) -> Value {
    let mut options: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
    options.remove("repeatJobKey");
    options.entry("attempts").or_insert_with(|| json!(0));
    let long = |name: String| SHORT.iter().find(|(short, _)| *short == name).map_or(name, |(_, long)| (*long).into());
    Value::Object(options.into_iter().map(|(name, value)| (long(name), value)).collect())
}

/// What others wrote badly is shown as the text that it is.
fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

fn read(id: &str, fields: &HashMap<String, String>) -> Entry {
    let text = |name: &str| fields.get(name).filter(|text| !text.is_empty());
    let number = |name: &str| text(name).and_then(|text| text.parse::<u64>().ok());
    let small = |name: &str| number(name).map_or(0, |n| u32::try_from(n).unwrap_or(u32::MAX));
    let traces: Vec<Value> = text("stacktrace").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    Entry {
        id: id.to_owned(),
        name: text("name").cloned().unwrap_or_default(),
        data: text("data").map_or_else(|| json!({}), |text| value(text)),
        options: options(text("opts").map_or("{}", String::as_str)),
        added_at: timestamp(number("timestamp").unwrap_or_default()),
        started_at: number("processedOn").map(timestamp),
        finished_at: number("finishedOn").map(timestamp),
        worker: text("pb").cloned(),
        progress: text("progress").map_or_else(|| json!(0), |text| value(text)),
        attempts_made: small("atm"),
        attempts_started: small("ats"),
        stalled: small("stc"),
        delay: Duration::from_millis(number("delay").unwrap_or_default()),
        priority: small("priority"),
        failed_reason: text("failedReason").cloned(),
        traces: traces.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        returned: text("returnvalue").map_or(Value::Null, |text| value(text)),
        schedule: text("rjk").cloned(),
        deduplication: text("deid").cloned(),
        deferred_failure: text("defa").cloned(),
    }
}

/// A line of Redis's list of clients, of which BullMQ knows that it is a worker.
pub(super) fn seen(client: &HashMap<String, String>) -> Seen {
    let text = |name: &str| client.get(name).cloned().unwrap_or_default();
    let name = client.get("rawname").and_then(|name| name.split_once(":w:")).map(|(_, name)| name.to_owned());
    let age = text("age").parse().unwrap_or_default();
    Seen {
        id: text("id"),
        name: name.filter(|name| !name.is_empty()),
        address: text("addr"),
        age: Duration::from_secs(age),
    }
}

/// The answer to `INFO`; in a Cluster that of one of its nodes.
pub(super) fn info(answer: &redis::Value) -> Option<String> {
    match answer {
        redis::Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        redis::Value::SimpleString(text) | redis::Value::VerbatimString { text, .. } => Some(text.clone()),
        redis::Value::Array(nodes) => nodes.iter().find_map(info),
        redis::Value::Map(nodes) => nodes.iter().find_map(|(_, node)| info(node)),
        _ => None,
    }
}

pub(super) fn server(info: &str) -> Server {
    let fields: HashMap<&str, &str> = info.lines().filter_map(|line| line.trim().split_once(':')).collect();
    let text = |name: &str| fields.get(name).copied().unwrap_or_default().to_owned();
    let number = |name: &str| fields.get(name).and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
    let [may_use, there_is] = [number("maxmemory"), number("total_system_memory")];
    Server {
        version: text("redis_version"),
        mode: text("redis_mode"),
        port: number("tcp_port"),
        os: text("os"),
        uptime: Duration::from_secs(number("uptime_in_seconds")),
        memory_total: if may_use > 0 { may_use } else { there_is },
        memory_used: number("used_memory"),
        memory_peak: number("used_memory_peak"),
        fragmentation: text("mem_fragmentation_ratio").parse().unwrap_or_default(),
        clients: number("connected_clients"),
        blocked_clients: number("blocked_clients"),
    }
}
