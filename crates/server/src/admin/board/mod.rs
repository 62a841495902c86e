//! `/admin/queues`: the page of Bull Board, built into the binary, over its HTTP API. For the role `admin` alone, its
//! files included: to others than admins the addresses do not exist.
//!
//! Reads are in `reads`, what changes anything in `orders`; `shapes` has the JSON, `trouble` the errors, as the page knows
//! both. The API is Bull Board's and not of the OpenAPI document.

mod body;
mod options;
mod orders;
mod page;
mod reads;
mod shapes;
mod timetable;
mod trouble;

use crate::http::{Site, Visit, problem::Problem};
use aim_backbone::link::with_budget;
use aim_domain::Refusal;
use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, patch, post, put};
use http::Method;
use std::time::Duration;

pub(crate) use page::is_built;

/// Where the board is.
pub(crate) const BASE: &str = "/admin/queues";

/// What a look may spend on Redis, and what an order may: who removes thousands of jobs can wait for it.
const LOOK: Duration = Duration::from_secs(2);
const ORDER: Duration = Duration::from_secs(20);

pub(crate) fn routes() -> Router<Site> {
    let at = |rest: &str| format!("{BASE}{rest}");
    let queue = |rest: &str| format!("{BASE}/api/queues/{{queue}}{rest}");
    let job = |rest: &str| format!("{BASE}/api/queues/{{queue}}/{{job}}{rest}");
    let schedule = |rest: &str| format!("{BASE}/api/queues/{{queue}}/job-schedulers/{{schedule}}{rest}");
    let pages = ["", "/", "/metrics-history", "/job-schedulers", "/queue/{queue}", "/queue/{queue}/{job}"];
    let pages = pages.into_iter().fold(Router::new(), |router, path| router.route(&at(path), get(page::page)));
    pages
        .route(&at("/static/{*file}"), get(page::file))
        .route(&at("/api/queues"), get(reads::queues))
        .route(&at("/api/redis/stats"), get(reads::server))
        .route(&at("/api/job-schedulers"), get(reads::schedules))
        .route(&at("/api/queues/pause"), put(orders::pause_all))
        .route(&at("/api/queues/resume"), put(orders::resume_all))
        .route(&queue("/metrics"), get(reads::metrics))
        .route(&queue("/default-job-options"), get(reads::default_options))
        .route(&queue("/job-data-schema"), get(reads::data_schema))
        .route(&queue("/workers"), get(reads::workers))
        .route(&queue("/rate-limit"), get(reads::rate).put(orders::set_rate))
        .route(&queue("/rate-limit/release"), put(orders::release_rate))
        .route(&queue("/add"), post(orders::add))
        .route(&queue("/pause"), put(orders::pause))
        .route(&queue("/resume"), put(orders::resume))
        .route(&queue("/promote"), put(orders::promote_all))
        .route(&queue("/empty"), put(orders::empty))
        .route(&queue("/obliterate"), put(orders::obliterate))
        .route(&queue("/concurrency"), put(orders::set_concurrency))
        .route(&queue("/retry/{status}"), put(orders::retry_all))
        .route(&queue("/clean/{status}"), put(orders::clean))
        .route(&schedule(""), patch(timetable::set))
        .route(&schedule("/remove"), put(timetable::remove))
        .route(&schedule("/run"), put(timetable::run))
        .route(&job(""), get(reads::job))
        .route(&job("/logs"), get(reads::logs))
        .route(&job("/flow"), get(reads::flow))
        .route(&job("/retry"), put(orders::retry))
        .route(&job("/promote"), put(orders::promote))
        .route(&job("/clean"), put(orders::remove))
        .route(&job("/update-data"), patch(orders::set_data))
        .route(&job("/delay"), patch(orders::set_delay))
        .route(&job("/priority"), patch(orders::set_priority))
        .route(&job("/remove-unprocessed-children"), put(orders::remove_children))
        .route(&at("/{*rest}"), any(nothing))
        .layer(from_fn(admins_alone))
}

async fn nothing() -> Response {
    Problem(Refusal::not_found("address")).into_response()
}

/// Lets admins in, and writes down what they change.
async fn admins_alone(visit: Visit, request: Request, next: Next) -> Response {
    let member = match visit.member {
        Ok(member) if member.is_admin() => member,
        Ok(_) => return nothing().await,
        Err(refusal) => return Problem(refusal).into_response(),
    };
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    let order = changes.then(|| (request.method().clone(), request.uri().path().to_owned()));
    let budget = if changes { ORDER } else { LOOK };
    let response = with_budget(budget, next.run(request)).await;
    if let Some((method, path)) = order {
        let (user, status) = (member.user_id(), response.status().as_u16());
        tracing::info!(target: "aim_server::board", %user, %method, path, status, "an order to the queues");
    }
    response
}
