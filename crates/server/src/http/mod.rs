//! REST: parses, authorises and answers, and decides nothing: that is `platform`'s.
//!
//! Every request passes `door` (who calls, counting, problems, headers, log); `extract` holds what handlers take from a
//! request; a file a part of API.md part 3 holds the handlers; `openapi` completes the document made from them.

pub mod address;
mod auth;
mod blocks;
mod cards;
mod characters;
mod chats;
mod conversations;
mod dev;
mod docs;
mod door;
mod extract;
mod gallery;
mod health;
pub mod identity;
pub mod incoming;
mod media;
mod messages;
mod meters;
mod openapi;
pub mod origin;
mod personal;
mod personas;
pub mod problem;
mod rates;
mod recovery;
mod revisions;
mod rooms;
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
        .route("/admin", get(pages::admin))
        .route("/admin/", get(pages::admin))
        .route("/admin/{*rest}", get(pages::admin))
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
        .merge(personas::routes())
        .merge(users::routes())
        .merge(blocks::routes())
        .merge(characters::routes())
        .merge(cards::routes())
        .merge(chats::routes())
        .merge(gallery::routes())
        .merge(conversations::routes())
        .merge(rooms::routes())
        .merge(messages::routes())
        .merge(revisions::routes())
        .merge(search::routes())
        .merge(uploads::routes())
        .merge(tus::routes())
        .merge(media::routes())
        .merge(admin::routes())
        .merge(health::routes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app;
    use aim_domain::Ambient;

    const TABLE: &str = include_str!("../../../../tests/contract/access/table.mjs");

    /// Routes that the OpenAPI document does not have are not seen from outside: their paths are read from how the router
    /// shows itself. `tests/contract/access.test.mjs` compares the table with the document, and asks each row for real.
    #[tokio::test]
    async fn every_path_of_the_router_has_a_row_in_the_table_of_access() {
        let data = tempfile::tempdir().unwrap();
        let dir = data.path().to_str().unwrap();
        let config = [
            ("AIM_DATA__DIR", dir),
            ("AIM_AI__PROVIDER", "ollama"),
            ("AIM_AI__MODEL", "m"),
            ("AIM_PROFILE", "development"),
        ];
        let (config, ambient) = (Config::with(config).unwrap(), Ambient::system());
        let store = app::open_store(&config, &ambient).await.unwrap();
        let model = app::model(&config, &ambient).unwrap();
        let backbone = app::backbone(&config, &ambient, true, &[]).unwrap();
        let platform = Platform::new(store, backbone, model, ambient, app::settings(&config));
        let shown = format!("{:?}", router(platform, Arc::new(config), CancellationToken::new()));
        let paths: std::collections::BTreeSet<&str> =
            shown.split('"').filter(|text| text.starts_with('/') && !text.contains("__private")).collect();
        for known in
            ["/api/auth/login", "/docs/{file}", "/admin/queues/api/queues", "/dev/mails", "/media/{uploadId}/{variant}"]
        {
            assert!(
                paths.contains(known),
                "the router shows itself otherwise than this test knows: {known} in {shown}"
            );
        }
        let has_row = |path: &&str| {
            let rows = TABLE.match_indices(*path).map(|(at, _)| TABLE.as_bytes().get(at + path.len()).copied());
            rows.flatten().any(|next| next == b'\'')
        };
        let missing: Vec<_> = paths.iter().filter(|path| !has_row(path)).collect();
        assert!(missing.is_empty(), "add rows to tests/contract/access/table.mjs for {missing:?}");
    }

    #[test]
    fn every_socket_event_has_a_row_in_the_table_of_access() {
        let source = include_str!("../gateway/events.rs");
        let arms = source.split("match name.as_str() {").nth(1).unwrap().split("_ =>").next().unwrap();
        let events: Vec<&str> = arms.split('"').skip(1).step_by(2).collect();
        assert!(events.len() >= 5 && events.contains(&"message:send"), "{events:?}");
        let missing: Vec<_> = events.iter().filter(|event| !TABLE.contains(&format!("EVENT {event}'"))).collect();
        assert!(missing.is_empty(), "add rows to tests/contract/access/table.mjs for {missing:?}");
    }
}
