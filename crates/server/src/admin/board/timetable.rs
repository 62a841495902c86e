//! Schedules: their times, one run more, and their end.

use super::body::{Body, queue_named, whole};
use super::orders::new_id;
use super::reads::{board, found};
use super::shapes;
use super::trouble::{Result, Trouble};
use crate::http::Site;
use aim_backbone::queue::board::{Pace, Reset, Timetable};
use aim_domain::Timestamp;
use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;

type OfSchedule = Path<(String, String)>;

/// A number that the page may send as text.
fn number(value: &Value) -> Option<f64> {
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
    number.filter(|number| number.is_finite())
}

/// `{pattern | every, tz?, limit?, endDate?}`, times in milliseconds.
fn read(body: &Body, now: Timestamp) -> Result<Timetable> {
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    let pace = match (text("pattern"), body.get("every")) {
        (Some(pattern), None) => Pace::Pattern(pattern.to_owned()),
        (None, Some(every)) => {
            let every = number(every).filter(|every| (1.0..9e15).contains(every));
            Pace::Every(Duration::from_millis(every.ok_or_else(|| Trouble::bad("INVALID_SCHEDULER_INTERVAL"))? as u64))
        }
        _ => return Err(Trouble::bad("INVALID_SCHEDULER_SCHEDULE")),
    };
    let limit = match body.get("limit") {
        None => None,
        Some(limit) => {
            let limit = whole(limit).filter(|limit| *limit >= 1);
            Some(limit.ok_or_else(|| Trouble::bad("INVALID_SCHEDULER_LIMIT"))?)
        }
    };
    let until = match body.get("endDate") {
        None => None,
        Some(end) => {
            let end = number(end).filter(|end| *end > now.0 as f64 && *end < 9e15);
            Some(Timestamp(end.ok_or_else(|| Trouble::bad("INVALID_SCHEDULER_END_DATE"))? as i64))
        }
    };
    Ok(Timetable { pace, zone: text("tz").map(str::to_owned), limit, until })
}

pub(super) async fn set(State(site): State<Site>, Path((queue, id)): OfSchedule, body: Body) -> Result<StatusCode> {
    let queue = queue_named(&queue)?;
    let timetable = read(&body, site.platform.ambient.now())?;
    match board(&site).set_timetable(queue, &id, timetable).await? {
        Reset::Done => Ok(StatusCode::NO_CONTENT),
        Reset::Unknown => Err(Trouble::not_found("JOB_SCHEDULER_NOT_FOUND")),
        Reset::Refused(why) => Err(Trouble::bad("INVALID_SCHEDULER_PATTERN").message(why)),
    }
}

pub(super) async fn remove(State(site): State<Site>, Path((queue, id)): OfSchedule) -> Result<StatusCode> {
    if !board(&site).drop_schedule(queue_named(&queue)?, &id).await? {
        return Err(Trouble::not_found("JOB_SCHEDULER_NOT_FOUND"));
    }
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn run(State(site): State<Site>, Path((queue, id)): OfSchedule) -> Result<Json<Value>> {
    let (queue, job) = (queue_named(&queue)?, new_id(&site));
    if !board(&site).run_schedule(queue, &id, &job).await? {
        return Err(Trouble::not_found("JOB_SCHEDULER_NOT_FOUND"));
    }
    let (entry, _) = found(&site, queue, &job).await?;
    Ok(Json(json!({ "job": shapes::job(&entry) })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: Value) -> Result<Timetable> {
        read(&Body(body.as_object().unwrap().clone()), Timestamp(1_000))
    }

    #[test]
    fn a_timetable_is_a_pattern_or_an_interval_and_never_both() {
        let pattern =
            of(json!({ "pattern": " 0 3 * * * ", "tz": "Europe/Berlin", "limit": 3, "every": null })).unwrap();
        assert_eq!((pattern.pace, pattern.limit), (Pace::Pattern("0 3 * * *".into()), Some(3)));
        let every = of(json!({ "every": "60000", "endDate": 2_000 })).unwrap();
        assert_eq!((every.pace, every.until), (Pace::Every(Duration::from_secs(60)), Some(Timestamp(2_000))));
        for wrong in [
            json!({}),
            json!({ "pattern": "* * * * *", "every": 5 }),
            json!({ "every": 0 }),
            json!({ "every": "often" }),
            json!({ "every": 5, "limit": 0 }),
            json!({ "every": 5, "endDate": 1_000 }),
        ] {
            assert!(of(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
