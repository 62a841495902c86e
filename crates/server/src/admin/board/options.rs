//! The options of a job that is added by hand. They are those that the server's own jobs have; how long finished jobs are
//! kept is the queue's business, so the page may say it and nobody listens.

use super::body::whole;
use super::trouble::{Result, Trouble};
use serde_json::{Map, Value};
use std::time::Duration;

/// The last priority that BullMQ knows.
pub(super) const LAST_PRIORITY: u64 = 2_097_151;
/// Runs that somebody may ask for.
const MOST_ATTEMPTS: u64 = 1_000;
/// What another job's options may hold when they are copied, and the queue decides itself.
const DECIDED: [&str; 7] =
    ["removeOnComplete", "removeOnFail", "keepLogs", "stackTraceLimit", "timestamp", "sizeLimit", "prevMillis"];

#[derive(Debug, PartialEq)]
pub(super) struct Options {
    pub id: Option<String>,
    pub attempts: u32,
    pub backoff: Duration,
    pub delay: Duration,
    pub priority: u32,
}

pub(super) fn read(options: &Map<String, Value>) -> Result<Options> {
    let mut read = Options { id: None, attempts: 1, backoff: Duration::ZERO, delay: Duration::ZERO, priority: 0 };
    for (name, value) in options.iter().filter(|(_, value)| !value.is_null()) {
        match name.as_str() {
            "jobId" => match value.as_str() {
                Some("") => {}
                Some(id) => read.id = Some(id.to_owned()),
                None => return Err(refused("jobId must be a text")),
            },
            "attempts" => read.attempts = number(name, value, MOST_ATTEMPTS)?.max(1),
            "priority" => read.priority = number(name, value, LAST_PRIORITY)?,
            "delay" => read.delay = length(name, value)?,
            "backoff" => read.backoff = backoff(value)?,
            "lifo" if value == false => {}
            name if DECIDED.contains(&name) => {}
            name => {
                let known = "jobId, attempts, backoff, delay and priority";
                return Err(refused(&format!("{name} is no option of a job here: there are {known}")));
            }
        }
    }
    Ok(read)
}

fn refused(why: &str) -> Trouble {
    Trouble::bad("INVALID_REQUEST_BODY").message(why)
}

fn number(name: &str, value: &Value, most: u64) -> Result<u32> {
    let number = whole(value).filter(|number| *number <= most).and_then(|number| u32::try_from(number).ok());
    number.ok_or_else(|| refused(&format!("{name} must be a whole number up to {most}")))
}

fn length(name: &str, value: &Value) -> Result<Duration> {
    whole(value)
        .map(Duration::from_millis)
        .ok_or_else(|| refused(&format!("{name} must be a whole number of milliseconds")))
}

fn backoff(value: &Value) -> Result<Duration> {
    let rule = "backoff must be {\"type\": \"exponential\", \"delay\": MILLISECONDS}, as that of every job here";
    if value.get("type").and_then(Value::as_str) != Some("exponential") {
        return Err(refused(rule));
    }
    length("backoff.delay", &value["delay"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(options: Value) -> Result<Options> {
        read(options.as_object().unwrap())
    }

    #[test]
    fn options_of_the_servers_jobs_are_taken() {
        let options = json!({
            "jobId": "m-1", "attempts": 3.0, "priority": 2, "delay": 500, "removeOnFail": { "count": 1 }, "lifo": false,
            "backoff": { "type": "exponential", "delay": 250 },
        });
        let [backoff, delay] = [250, 500].map(Duration::from_millis);
        assert_eq!(of(options).unwrap(), Options { id: Some("m-1".into()), attempts: 3, backoff, delay, priority: 2 });
    }

    #[test]
    fn others_are_refused_with_a_reason() {
        for options in [
            json!({ "repeat": { "every": 1 } }),
            json!({ "lifo": true }),
            json!({ "attempts": -1 }),
            json!({ "attempts": 1.5 }),
            json!({ "priority": 3_000_000 }),
            json!({ "delay": "soon" }),
            json!({ "backoff": 5 }),
            json!({ "backoff": { "type": "fixed", "delay": 5 } }),
            json!({ "jobId": 7 }),
        ] {
            assert!(of(options.clone()).is_err(), "{options}");
        }
    }
}
