//! REST: parses, authorises and answers, and decides nothing: that is `platform`'s.
//!
//! Every request passes `door` (who calls, counting, problems, headers, log); `extract` holds what handlers take from a
//! request; a file a part of API.md part 3 holds the handlers; `openapi` completes the document made from them.

pub mod address;
mod auth;
mod blocks;
mod cards;
mod characters;
mod conversations;
mod dev;
mod docs;
mod door;
mod extract;
mod health;
pub mod identity;
mod incoming;
mod media;
mod messages;
mod meters;
mod openapi;
pub mod origin;
mod personal;
pub mod problem;
mod rates;
mod recovery;
mod revisions;
mod search;
pub mod serve;
mod site;
pub(crate) mod squeeze;
mod tus;
mod uploads;
mod users;

pub use address::{ClientAddress, client_address};
pub use identity::authenticate_parts;
pub use openapi::document;
pub use origin::cors_layer;
pub use serve::serve;

pub(crate) use extract::{Admin, Asked, Json, Named, Visit, page_size};
pub(crate) use site::Site;

use crate::config::Config;
use crate::{admin, pages};
use aim_platform::Platform;
use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use meters::Meters;
use origin::Origins;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;

/// All of HTTP but `/socket.io`: the API, the pages, health and metrics. `stopping` makes `/health/ready` say no.
pub fn router(platform: Platform, config: Arc<Config>, stopping: CancellationToken) -> Router {
    behind_the_door(documented(), platform, config, stopping)
}

fn behind_the_door(
    api: OpenApiRouter<Site>,
    platform: Platform,
    config: Arc<Config>,
    stopping: CancellationToken,
) -> Router {
    // Before the first counter is made.
    crate::telemetry::metrics();
    let (api, document) = api.split_for_parts();
    let document = openapi::complete(document);
    let origins = Origins::new(&config.http.allowed_origins);
    let meters = Meters::new(openapi::routes(&document));
    let openapi = Bytes::from(serde_json::to_vec(&document).unwrap_or_default());
    let site = Site::new(site::Parts { platform, config, origins, meters, openapi, stopping });
    let api = if site.config.is_development() { api.merge(dev::routes(&site)) } else { api };
    api.route("/docs", get(docs::page))
        .route("/docs/{file}", get(docs::file))
        .route("/demo/avatars/{file}", get(pages::portrait))
        .merge(admin::board::routes())
        .fallback(pages::fallback)
        .layer(door::Door(site.clone()))
        .with_state(site)
}

/// With a route that panics.
#[cfg(test)]
fn test_router(platform: Platform, config: Arc<Config>) -> Router {
    let panics = || async {
        if true {
            panic!("a secret")
        }
    };
    behind_the_door(documented().route("/panics", get(panics)), platform, config, CancellationToken::new())
}

/// The routes that the OpenAPI document describes.
fn documented() -> OpenApiRouter<Site> {
    OpenApiRouter::with_openapi(openapi::frame())
        .merge(auth::routes())
        .merge(recovery::routes())
        .merge(personal::routes())
        .merge(users::routes())
        .merge(blocks::routes())
        .merge(characters::routes())
        .merge(cards::routes())
        .merge(conversations::routes())
        .merge(messages::routes())
        .merge(revisions::routes())
        .merge(search::routes())
        .merge(uploads::routes())
        .merge(tus::routes())
        .merge(media::routes())
        .merge(admin::routes())
        .merge(health::routes())
}
