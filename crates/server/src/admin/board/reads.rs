//! What the page shows.

use super::body::queue_named;
use super::shapes::{self, Shown};
use super::trouble::{Result, Trouble};
use crate::http::Site;
use aim_backbone::queue::board::{Board, Entry, Status};
use aim_backbone::queue::{KEPT_COMPLETED, KEPT_FAILED, QUEUES};
use axum::Json;
use axum::extract::{Path, Query, State};
use futures::future::try_join_all;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// As the original has it.
const MOST_PER_PAGE: usize = 300;
const PER_PAGE: usize = 10;

pub(super) fn board(site: &Site) -> &Arc<dyn Board> {
    &site.platform.backbone.board
}

/// A job and where it stands.
pub(super) async fn found(site: &Site, queue: &'static str, id: &str) -> Result<(Entry, Status)> {
    board(site).entry(queue, id).await?.ok_or_else(|| Trouble::not_found("JOB_NOT_FOUND"))
}

pub(super) fn told(entry: &Entry, status: Status) -> Value {
    json!({ "job": shapes::job(entry), "status": status.as_str() })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Asked {
    active_queue: Option<String>,
    status: Option<String>,
    page: Option<String>,
    jobs_per_page: Option<String>,
}

impl Asked {
    fn shown(&self) -> Result<Shown> {
        let wrong = |field: &str| Trouble::bad("INVALID_QUERY_PARAM").options(json!({ "field": field }));
        // What is empty counts as not said.
        let said = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let number = |field: &str, text: &Option<String>, otherwise: usize| {
            let read = |text: String| text.parse().ok().filter(|n| *n >= 1).ok_or_else(|| wrong(field));
            said(text).map_or(Ok(otherwise), read)
        };
        let statuses = match said(&self.status).as_deref() {
            None | Some("latest") => Status::ALL.to_vec(),
            Some(name) => vec![Status::of(name).ok_or_else(|| wrong("status"))?],
        };
        let page = number("page", &self.page, 1)?;
        let per_page = number("jobsPerPage", &self.jobs_per_page, PER_PAGE)?;
        if per_page > MOST_PER_PAGE {
            return Err(wrong("jobsPerPage"));
        }
        Ok(Shown { statuses, page, per_page })
    }
}

/// All queues, and the jobs of the one that is open.
pub(super) async fn queues(State(site): State<Site>, Query(asked): Query<Asked>) -> Result<Json<Value>> {
    let shown = asked.shown()?;
    let one = async |queue: &'static str| -> Result<Value> {
        let board = board(&site);
        let survey = board.survey(queue).await?;
        if asked.active_queue.as_deref() != Some(queue) {
            let closed = Shown { statuses: Status::ALL.to_vec(), ..shown };
            return Ok(shapes::queue(queue, &survey, &[], &closed));
        }
        let jobs = board.page(queue, &shown.statuses, shown.skip(), shown.per_page).await?;
        Ok(shapes::queue(queue, &survey, &jobs, &shown))
    };
    let queues = try_join_all(QUEUES.map(one)).await?;
    Ok(Json(json!({ "queues": queues })))
}

pub(super) async fn server(State(site): State<Site>) -> Result<Json<Value>> {
    let server = board(&site).server().await?.ok_or_else(|| Trouble::not_found("REDIS_STATS_UNAVAILABLE"))?;
    Ok(Json(shapes::server(&server)))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OfQueue {
    queue_name: Option<String>,
}

pub(super) async fn schedules(State(site): State<Site>, Query(asked): Query<OfQueue>) -> Result<Json<Value>> {
    let wanted = asked.queue_name.filter(|name| !name.is_empty());
    let queues = QUEUES.into_iter().filter(|queue| wanted.as_deref().is_none_or(|wanted| wanted == *queue));
    let mut all = Vec::new();
    for queue in queues {
        let schedules = board(&site).schedules(queue).await?;
        all.extend(schedules.iter().map(|schedule| shapes::schedule(queue, schedule)));
    }
    Ok(Json(json!({ "schedulers": all })))
}

pub(super) async fn metrics(State(site): State<Site>, Path(queue): Path<String>) -> Result<Json<Value>> {
    let [completed, failed] = board(&site).metrics(queue_named(&queue)?).await?;
    Ok(Json(json!({ "completed": shapes::metrics(&completed), "failed": shapes::metrics(&failed) })))
}

/// What a job has that is added without options.
pub(super) async fn default_options(Path(queue): Path<String>) -> Result<Json<Value>> {
    queue_named(&queue)?;
    Ok(Json(json!({
        "attempts": 1,
        "removeOnComplete": { "count": KEPT_COMPLETED },
        "removeOnFail": { "count": KEPT_FAILED },
    })))
}

/// Payloads are described in `docs/queues.md`, and not checked here.
pub(super) async fn data_schema(Path(queue): Path<String>) -> Result<Json<Value>> {
    queue_named(&queue)?;
    Ok(Json(json!({})))
}

pub(super) async fn workers(State(site): State<Site>, Path(queue): Path<String>) -> Result<Json<Value>> {
    let workers = board(&site).workers(queue_named(&queue)?).await?;
    Ok(Json(json!({ "workers": workers.iter().map(shapes::worker).collect::<Vec<_>>() })))
}

pub(super) async fn rate(State(site): State<Site>, Path(queue): Path<String>) -> Result<Json<Value>> {
    let queue = queue_named(&queue)?;
    if !board(&site).survey(queue).await?.limits_rate {
        return Ok(Json(json!({ "supported": false, "rateLimit": null })));
    }
    let rate = board(&site).rate(queue).await?;
    let rate = rate.map(|rate| json!({ "max": rate.jobs, "duration": rate.per.as_millis() as u64 }));
    Ok(Json(json!({ "supported": true, "rateLimit": rate })))
}

pub(super) async fn job(State(site): State<Site>, Path((queue, id)): Path<(String, String)>) -> Result<Json<Value>> {
    let (entry, status) = found(&site, queue_named(&queue)?, &id).await?;
    Ok(Json(told(&entry, status)))
}

pub(super) async fn logs(
    State(site): State<Site>,
    Path((queue, id)): Path<(String, String)>,
) -> Result<Json<Vec<String>>> {
    Ok(Json(board(&site).logs(queue_named(&queue)?, &id).await?))
}

/// None of the server's jobs has children: each is a tree of its own.
pub(super) async fn flow(State(site): State<Site>, Path((queue, id)): Path<(String, String)>) -> Result<Json<Value>> {
    let (entry, status) = found(&site, queue_named(&queue)?, &id).await?;
    let root = json!({
        "id": entry.id,
        "name": entry.name,
        "state": status.as_str(),
        "progress": entry.progress,
        "queueName": queue,
        "children": [],
    });
    Ok(Json(json!({ "nodeId": id, "isFlowNode": false, "flowRoot": root })))
}
