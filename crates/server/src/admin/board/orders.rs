//! What the page orders, on one job or on a whole queue.

use super::body::{Body, queue_named, whole};
use super::options::{self, LAST_PRIORITY};
use super::reads::{board, found, told};
use super::trouble::{Result, Trouble};
use crate::http::Site;
use aim_backbone::queue::QUEUES;
use aim_backbone::queue::board::{Obliterated, Outcome, Posted, Rate, Status};
use aim_domain::MessageId;
use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Younger jobs outlive a clean-up, as with the original: somebody may just be looking at them.
const GRACE: Duration = Duration::from_secs(5);

type Done = Result<Json<Value>>;
type OfQueue = Path<String>;
type OfJob = Path<(String, String)>;

pub(super) fn done() -> Done {
    Ok(Json(json!({})))
}

/// The id of a job that somebody added without one.
pub(super) fn new_id(site: &Site) -> String {
    format!("manual-{}", site.platform.ambient.id::<MessageId>())
}

fn refused(outcome: Outcome, id: &str, stands: impl FnOnce(Status) -> Trouble) -> Result<()> {
    match outcome {
        Outcome::Done => Ok(()),
        Outcome::Unknown => Err(Trouble::not_found("JOB_NOT_FOUND")),
        Outcome::Refused(status) => Err(stands(status)),
        Outcome::NextRun(schedule) => Err(Trouble::next_run(id, &schedule)),
    }
}

/// For orders that make sense wherever a job stands: it moved while it was told.
fn moved(status: Status) -> Trouble {
    Trouble::new(StatusCode::CONFLICT, "INTERNAL_SERVER_ERROR")
        .message(format!("The job is {} by now: look at it again.", status.as_str()))
}

pub(super) async fn retry(State(site): State<Site>, Path((queue, id)): OfJob) -> Result<StatusCode> {
    refused(board(&site).run_again(queue_named(&queue)?, &id).await?, &id, Trouble::not_retriable)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn promote(State(site): State<Site>, Path((queue, id)): OfJob) -> Result<StatusCode> {
    refused(board(&site).promote(queue_named(&queue)?, &id).await?, &id, Trouble::not_delayed)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn remove(State(site): State<Site>, Path((queue, id)): OfJob) -> Result<StatusCode> {
    refused(board(&site).discard(queue_named(&queue)?, &id).await?, &id, |status| match status {
        Status::Active => Trouble::is_active(&id),
        status => moved(status),
    })?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn set_data(State(site): State<Site>, Path((queue, id)): OfJob, body: Body) -> Done {
    let queue = queue_named(&queue)?;
    let data = body.0.get("jobData").cloned().ok_or_else(|| Trouble::bad("INVALID_REQUEST_BODY"))?;
    refused(board(&site).set_data(queue, &id, data).await?, &id, moved)?;
    done()
}

/// `runAt` is a point in time, in milliseconds since the epoch; one that is over means now.
pub(super) async fn set_delay(State(site): State<Site>, Path((queue, id)): OfJob, body: Body) -> Done {
    let queue = queue_named(&queue)?;
    let at = body.get("runAt").and_then(Value::as_f64).filter(|at| at.is_finite());
    let at = at.ok_or_else(|| Trouble::bad("INVALID_RUN_AT"))?;
    let wait = (at - site.platform.ambient.now().0 as f64).clamp(0.0, 9e15);
    let delay = Duration::from_millis(wait as u64);
    refused(board(&site).set_delay(queue, &id, delay).await?, &id, Trouble::not_delayed)?;
    done()
}

pub(super) async fn set_priority(State(site): State<Site>, Path((queue, id)): OfJob, body: Body) -> Done {
    let queue = queue_named(&queue)?;
    let priority = body.get("priority").and_then(whole).filter(|priority| *priority <= LAST_PRIORITY);
    let priority = priority.and_then(|priority| u32::try_from(priority).ok());
    let priority = priority.ok_or_else(|| Trouble::bad("INVALID_PRIORITY").options(json!({ "max": LAST_PRIORITY })))?;
    refused(board(&site).set_priority(queue, &id, priority).await?, &id, moved)?;
    done()
}

pub(super) async fn remove_children(State(site): State<Site>, Path((queue, id)): OfJob) -> Done {
    found(&site, queue_named(&queue)?, &id).await?;
    Err(Trouble::bad("JOB_UNPROCESSED_CHILDREN_NOT_SUPPORTED"))
}

/// `{name, data, options}`. An id that is known already answers the job that has it.
pub(super) async fn add(State(site): State<Site>, Path(queue): OfQueue, body: Body) -> Done {
    let queue = queue_named(&queue)?;
    let wrong = |why: &str| Trouble::bad("INVALID_REQUEST_BODY").message(why);
    let name = match body.get("name") {
        None => String::new(),
        Some(name) => name.as_str().ok_or_else(|| wrong("name must be a text"))?.to_owned(),
    };
    let name = if name.is_empty() { "manual".to_owned() } else { name };
    let none = Map::new();
    let options = match body.get("options") {
        None => &none,
        Some(options) => options.as_object().ok_or_else(|| wrong("options must be an object"))?,
    };
    let options = options::read(options)?;
    let data = body.get("data").cloned().unwrap_or_else(|| json!({}));
    let id = options.id.unwrap_or_else(|| new_id(&site));
    let job = Posted {
        queue,
        name: name.into(),
        id: id.clone(),
        data,
        attempts: options.attempts,
        backoff: options.backoff,
        delay: options.delay,
        priority: options.priority,
    };
    // The fault of a bad id, or of a full queue, says so.
    board(&site).post(job).await.map_err(|fault| wrong(&fault.detail))?;
    let (entry, status) = found(&site, queue, &id).await?;
    Ok(Json(told(&entry, status)))
}

pub(super) async fn pause(State(site): State<Site>, Path(queue): OfQueue) -> Done {
    board(&site).pause(queue_named(&queue)?).await?;
    done()
}

pub(super) async fn resume(State(site): State<Site>, Path(queue): OfQueue) -> Done {
    board(&site).resume(queue_named(&queue)?).await?;
    done()
}

pub(super) async fn pause_all(State(site): State<Site>) -> Done {
    for queue in QUEUES {
        board(&site).pause(queue).await?;
    }
    done()
}

pub(super) async fn resume_all(State(site): State<Site>) -> Done {
    for queue in QUEUES {
        board(&site).resume(queue).await?;
    }
    done()
}

pub(super) async fn promote_all(State(site): State<Site>, Path(queue): OfQueue) -> Done {
    board(&site).promote_all(queue_named(&queue)?).await?;
    done()
}

/// Removes what waits for its turn.
pub(super) async fn empty(State(site): State<Site>, Path(queue): OfQueue) -> Done {
    board(&site).drain(queue_named(&queue)?).await?;
    done()
}

pub(super) async fn retry_all(State(site): State<Site>, Path((queue, status)): OfJob) -> Done {
    let queue = queue_named(&queue)?;
    let ended = Status::of(&status).filter(|status| matches!(status, Status::Completed | Status::Failed));
    let ended = ended.ok_or_else(|| Trouble::bad("STATUS_NOT_RETRIABLE").options(json!({ "status": status })))?;
    let before = board(&site).survey(queue).await?.tally.of(ended);
    let retried = board(&site).run_all_again(queue, ended).await?;
    Ok(Json(json!({ "retried": retried, "skipped": before.saturating_sub(retried) })))
}

pub(super) async fn clean(State(site): State<Site>, Path((queue, status)): OfJob) -> Done {
    let queue = queue_named(&queue)?;
    let status = Status::of(&status).filter(|status| *status != Status::WaitingChildren);
    let status = status.ok_or_else(|| Trouble::bad("INVALID_QUERY_PARAM").message("no such status can be cleaned"))?;
    board(&site).clean(queue, status, GRACE).await?;
    done()
}

pub(super) async fn obliterate(State(site): State<Site>, Path(queue): OfQueue, body: Body) -> Done {
    let queue = queue_named(&queue)?;
    let force = match body.get("force") {
        None => false,
        Some(force) => force.as_bool().ok_or_else(|| Trouble::bad("INVALID_REQUEST_BODY"))?,
    };
    match board(&site).obliterate(queue, force).await? {
        Obliterated::Done => done(),
        Obliterated::NotPaused => Err(Trouble::bad("QUEUE_NOT_PAUSED")),
        Obliterated::HasActive => Err(Trouble::new(StatusCode::CONFLICT, "QUEUE_HAS_ACTIVE_JOBS")
            .message(json!({ "key": "ERRORS.QUEUE_HAS_ACTIVE_JOBS_DETAILS" }))),
    }
}

/// 0 lifts the limit.
pub(super) async fn set_concurrency(State(site): State<Site>, Path(queue): OfQueue, body: Body) -> Done {
    let queue = queue_named(&queue)?;
    let most = body.get("concurrency").and_then(whole).ok_or_else(|| Trouble::bad("INVALID_CONCURRENCY"))?;
    board(&site).set_concurrency(queue, Some(most).filter(|most| *most > 0)).await?;
    done()
}

/// `{max, duration}` in milliseconds; without `max` the limit is lifted.
pub(super) async fn set_rate(State(site): State<Site>, Path(queue): OfQueue, body: Body) -> Done {
    let queue = queue_named(&queue)?;
    let positive = |name: &str| {
        let number = body.get(name).and_then(whole).filter(|number| *number > 0);
        number.ok_or_else(|| Trouble::bad("INVALID_RATE_LIMIT"))
    };
    let rate = match body.get("max") {
        None => None,
        Some(_) => Some(Rate { jobs: positive("max")?, per: Duration::from_millis(positive("duration")?) }),
    };
    if !board(&site).set_rate(queue, rate).await? {
        return Err(Trouble::bad("RATE_LIMIT_NOT_SUPPORTED"));
    }
    done()
}

pub(super) async fn release_rate(State(site): State<Site>, Path(queue): OfQueue) -> Done {
    board(&site).release_rate(queue_named(&queue)?).await?;
    done()
}
