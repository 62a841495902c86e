//! What BullMQ writes beside a queue whenever something becomes of a job: a stream, read from where it was read last, by
//! one listener of this process for each queue.

use super::super::connection::{OPENING, PACE, fault, reachable, where_to};
use crate::Fault;
use crate::link::Client;
use crate::queue::errands::Heard;
use bullmq::QueueKeys;
use bullmq::redis_connection::RedisConnection;
use parking_lot::Mutex;
use redis::{FromRedisValue, RedisError};
use serde_json::Value;
use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

/// How long Redis keeps a read that finds nothing, and how long it may take to answer one.
const BLOCK: Duration = Duration::from_secs(1);
const SILENCE: Duration = Duration::from_secs(3);
/// Events that are read at a time.
const BATCH: usize = 200;

/// Where an event stands in its stream: the milliseconds of its coming, and a number among those of one.
type Position = (u64, u64);
type Fields = HashMap<String, String>;

/// What is heard of one queue.
pub(super) struct Line {
    pub queue: &'static str,
    /// The stream's key.
    pub key: String,
    watchers: Mutex<HashMap<String, mpsc::Sender<Heard>>>,
    /// None while events are heard.
    deaf_since: Mutex<Option<Instant>>,
}

impl Line {
    pub fn new(queue: &'static str, prefix: &str) -> Self {
        let key = QueueKeys::new(queue, Some(prefix)).events();
        Self { queue, key, watchers: Mutex::default(), deaf_since: Mutex::new(Some(Instant::now())) }
    }

    pub fn watch(&self, id: &str, room: usize) -> mpsc::Receiver<Heard> {
        let (tell, hear) = mpsc::channel(room);
        self.watchers.lock().insert(id.to_owned(), tell);
        hear
    }

    pub fn forget(&self, id: &str) {
        self.watchers.lock().remove(id);
    }

    /// How long nothing has been heard for want of a connection; zero while there is one.
    pub fn deaf_for(&self) -> Duration {
        self.deaf_since.lock().map_or(Duration::ZERO, |since| since.elapsed().max(Duration::from_nanos(1)))
    }

    pub async fn listen(self: std::sync::Arc<Self>, client: Client) {
        let mut connections = client.link().connections();
        let mut at = None;
        loop {
            reachable(client.link(), &mut connections).await;
            let broken = tokio::select! {
                Err(broken) = self.read(&client, &mut at) => Some(broken),
                _ = connections.changed() => None,
            };
            self.deaf_since.lock().get_or_insert_with(Instant::now);
            if let Some(fault) = broken {
                tracing::debug!(%fault, queue = self.queue, "the events of a queue are not heard");
                sleep(PACE).await;
            }
        }
    }

    async fn read(&self, client: &Client, at: &mut Option<Position>) -> Result<Infallible, Fault> {
        let open = async {
            let connection = RedisConnection::new_managed_only(&where_to(client.link()).await?).await?;
            connection.dedicated_any_connection().await
        };
        let opened = timeout(OPENING, open).await.map_err(|_| Fault::new("queue", "no connection in time"))?;
        let mut wire = opened.map_err(|error| fault(&error))?;
        let mut newest = redis::cmd("XREVRANGE");
        newest.arg(&self.key).arg("+").arg("-").arg("COUNT").arg(1);
        let newest: Vec<(String, redis::Value)> = answered(newest.query_async(&mut wire)).await?;
        let newest = newest.first().and_then(|(id, _)| position(id)).unwrap_or_default();
        // A stream that is behind where it was is another one: Redis came back empty, or older.
        let mut from = match *at {
            Some(at) if at <= newest => at,
            Some(_) => (0, 0),
            None => newest,
        };
        *self.deaf_since.lock() = None;
        loop {
            let mut read = redis::cmd("XREAD");
            read.arg("COUNT").arg(BATCH).arg("BLOCK").arg(BLOCK.as_millis() as u64);
            read.arg("STREAMS").arg(&self.key).arg(format!("{}-{}", from.0, from.1));
            for (id, fields) in entries(answered(read.query_async(&mut wire)).await?) {
                from = position(&id).unwrap_or(from);
                self.dispatch(fields);
            }
            *at = Some(from);
        }
    }

    fn dispatch(&self, mut fields: Fields) {
        let Some(id) = fields.remove("jobId") else { return };
        let Some(watcher) = self.watchers.lock().get(&id).cloned() else { return };
        if let Some(heard) = heard(fields) {
            // One that has no room left looks at its job.
            let _ = watcher.try_send(heard);
        }
    }
}

async fn answered<T>(ask: impl Future<Output = Result<T, RedisError>>) -> Result<T, Fault> {
    let answer = timeout(SILENCE, ask).await.map_err(|_| Fault::new("queue", "no answer in time"))?;
    answer.map_err(|error| fault(&error.into()))
}

fn position(id: &str) -> Option<Position> {
    let (millis, number) = id.split_once('-')?;
    Some((millis.parse().ok()?, number.parse().ok()?))
}

/// The entries of an answer to XREAD of one stream, in their order.
fn entries(answer: redis::Value) -> Vec<(String, Fields)> {
    type Entries = Vec<(String, Fields)>;
    let streams = Option::<Vec<(String, Entries)>>::from_redis_value(answer);
    streams.ok().flatten().into_iter().flatten().flat_map(|(_, entries)| entries).collect()
}

fn json(text: String) -> Value {
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

fn heard(mut fields: Fields) -> Option<Heard> {
    let mut text = |name: &str| fields.remove(name).unwrap_or_default();
    Some(match text("event").as_str() {
        "active" => Heard::Begun,
        "progress" => Heard::Progress(json(text("data"))),
        "completed" => Heard::Completed(json(text("returnvalue"))),
        "failed" => Heard::Failed(text("failedReason")),
        // After a failure, or after its worker was lost; one that was just added is heard of as well, and runs not yet.
        "waiting" | "delayed" | "stalled" => Heard::Waits,
        "removed" => {
            let stood_in_line = matches!(text("prev").as_str(), "wait" | "prioritized" | "delayed" | "paused");
            Heard::Removed { stood_in_line }
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(fields: &[(&str, &str)]) -> Option<Heard> {
        heard(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn events_say_what_becomes_of_a_job() {
        assert_eq!(of(&[("event", "active")]), Some(Heard::Begun));
        let progress = of(&[("event", "progress"), ("data", r#"{"delta":"Ahoy"}"#)]);
        assert_eq!(progress, Some(Heard::Progress(json!({ "delta": "Ahoy" }))));
        assert_eq!(of(&[("event", "completed"), ("returnvalue", "\"done\"")]), Some(Heard::Completed(json!("done"))));
        assert_eq!(of(&[("event", "completed"), ("returnvalue", "{no")]), Some(Heard::Completed(json!("{no"))));
        assert_eq!(of(&[("event", "failed"), ("failedReason", "no")]), Some(Heard::Failed("no".into())));
        assert_eq!(of(&[("event", "removed"), ("prev", "wait")]), Some(Heard::Removed { stood_in_line: true }));
        assert_eq!(of(&[("event", "removed"), ("prev", "active")]), Some(Heard::Removed { stood_in_line: false }));
        assert_eq!(of(&[("event", "drained")]), None);
    }

    #[test]
    fn positions_are_ordered_as_the_stream_is() {
        assert!(position("9-10") > position("9-9") && position("10-0") > position("9-10"));
        assert_eq!(position("$"), None);
    }
}
