//! The composition root: builds every part from the configuration, starts it, and ends it in the right order.

use crate::config::{Config, Registration, Synchronous};
use crate::gateway::{CookieSignIn, Gateway};
use crate::{demo, http, telemetry};
use aim_ai::{ApiKey, LanguageModel, ModelSettings, ProviderSettings, TokenBudget};
use aim_backbone::queue::Worker;
use aim_backbone::{Backbone, Settings as BackboneSettings, turns};
use aim_domain::Ambient;
use aim_platform::{Platform, Settings};
use aim_store::Store;
use aim_store::sqlite::{SqliteOptions, SqliteStore};
use anyhow::Context;
use futures::FutureExt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// Values kept near, over all cache families.
const CACHE_CAPACITY: u64 = 100_000;
/// After the replies have ended, what is left of connections and tasks gets this long.
const LAST_BREATH: Duration = Duration::from_secs(5);

/// Opens the database of the configuration, in its latest form.
pub fn open_store(config: &Config, ambient: &Ambient) -> anyhow::Result<Arc<dyn Store>> {
    let path = config.database_path();
    let synchronous = match config.database.synchronous {
        Synchronous::Full => aim_store::sqlite::Synchronous::Full,
        Synchronous::Normal => aim_store::sqlite::Synchronous::Normal,
    };
    let options = SqliteOptions { synchronous, ..Default::default() };
    let store = SqliteStore::open(&path, options, ambient.clone())
        .with_context(|| format!("the database {} cannot be opened", path.display()))?;
    Ok(store)
}

/// The language model of the configuration.
pub fn model(config: &Config, ambient: &Ambient) -> anyhow::Result<Arc<dyn LanguageModel>> {
    let ai = &config.ai;
    let remote = ProviderSettings {
        provider: ai.provider,
        base_url: ai.base_url.clone(),
        model: ai.model.clone(),
        api_key: ApiKey::new(ai.api_key.expose()),
        connect_timeout: ai.connect_timeout,
        first_token_timeout: ai.first_token_timeout,
        between_tokens_timeout: ai.between_tokens_timeout,
        max_concurrent: ai.max_concurrent,
        queue_timeout: ai.queue_timeout,
        retries: ai.retries,
        budget: TokenBudget::new(u64::from(ai.context_tokens), u64::from(ai.max_tokens)),
    };
    let settings = ModelSettings { remote, local_file: ai.local.model_path.clone() };
    aim_ai::from_settings(&settings, ambient.clone()).context("the language model cannot be used")
}

/// The platform over a store and a model, all hints in this process.
pub fn platform(config: &Config, ambient: &Ambient, store: Arc<dyn Store>, model: Arc<dyn LanguageModel>) -> Platform {
    let replies_per_character = config.ai.replies_per_character.max(1);
    let backbone = BackboneSettings {
        short_cache: config.is_development(),
        cache_capacity: CACHE_CAPACITY,
        turns: turns::Settings { replies_per_character, ..Default::default() },
    };
    let settings = Settings {
        rules: config.limits.rules(),
        usage_multiplier: config.usage.multiplier,
        registration_open: config.auth.registration == Registration::Open,
        session_ttl: config.auth.session,
        hashes_at_a_time: config.auth.hashes_at_a_time,
        replies_per_character,
        server_lease: config.server.lease,
        reply_concurrency: config.workers.concurrency,
        max_reply_tokens: config.ai.max_tokens,
        temperature: config.ai.temperature,
        daily_tokens: config.ai.daily_tokens,
        reply_timeout: config.ai.reply_timeout,
        ..Default::default()
    };
    Platform::new(store, Backbone::local(&backbone, ambient), model, ambient.clone(), settings)
}

/// A server that runs.
pub struct Running {
    pub address: SocketAddr,
    pub platform: Platform,
    gateway: Arc<Gateway>,
    worker: Option<Arc<dyn Worker>>,
    grace: Duration,
    /// Takes no new work.
    stopping: CancellationToken,
    /// Ends what keeps the server going.
    ended: CancellationToken,
    serving: JoinHandle<()>,
    keeping: JoinSet<()>,
}

/// Starts everything; when it returns, the server listens.
pub async fn start(config: Config, ambient: Ambient) -> anyhow::Result<Running> {
    // First: the parts take their counters when they are made.
    telemetry::metrics();
    let config = Arc::new(config);
    let store = open_store(&config, &ambient)?;
    let model = model(&config, &ambient)?;
    let platform = platform(&config, &ambient, store, model);
    let (stopping, ended) = (CancellationToken::new(), CancellationToken::new());

    let wanted = format!("{}:{}", config.http.host, config.http.port);
    let listener = TcpListener::bind(&wanted).await.with_context(|| {
        format!("cannot listen on {wanted}: set AIM_HTTP__HOST and AIM_HTTP__PORT to a free address")
    })?;
    let address = listener.local_addr().context("the listener has no address")?;

    let feed = platform.feed_position().await.context("the database's change feed cannot be read")?;
    platform.take_lease().await.context("the database took no lease")?;
    if config.is_development() {
        let saved = platform.seed_demo(demo::characters()).await.context("the demo characters were not saved")?;
        tracing::debug!(saved, "demo characters");
    }

    let gateway = Gateway::new(platform.clone(), cookie_sign_in(platform.clone(), config.clone()));
    let mut keeping = JoinSet::new();
    keeping.spawn({
        let (platform, ended) = (platform.clone(), ended.clone());
        async move { platform.keep_lease(ended).await }
    });
    keeping.spawn({
        let (platform, ended) = (platform.clone(), ended.clone());
        async move { platform.follow_changes(feed, ended).await }
    });
    keeping.spawn(gateway.clone().run(ended.clone()));
    let worker = if config.workers.enabled {
        keeping.spawn({
            let (platform, stopping) = (platform.clone(), stopping.clone());
            async move { platform.reconcile(stopping).await }
        });
        Some(platform.work_replies().await.context("the worker of ai-response did not start")?)
    } else {
        None
    };

    let router = http::router(platform.clone(), config.clone(), stopping.clone())
        .merge(gateway.router().layer(http::cors_layer(&config.http.allowed_origins)));
    let serving = tokio::spawn({
        let (config, ended) = (config.clone(), ended.clone());
        async move { http::serve(listener, router, &config.http, ended).await }
    });
    tracing::info!("listening on http://{address}");
    let grace = config.http.shutdown_grace;
    Ok(Running { address, platform, gateway, worker, grace, stopping, ended, serving, keeping })
}

impl Running {
    /// Lets replies under way finish, for the configured grace at most, and tells their readers; then ends everything.
    pub async fn shutdown(mut self) {
        self.stopping.cancel();
        if let Some(worker) = &self.worker
            && !worker.stop(self.grace).await
        {
            tracing::warn!("replies were still under way when the time to stop was over: they start anew elsewhere");
        }
        self.gateway.close_all();
        self.platform.end_lease().await;
        self.ended.cancel();
        let rest = async {
            while self.keeping.join_next().await.is_some() {}
            if let Err(error) = (&mut self.serving).await {
                tracing::warn!(%error, "the listener ended badly");
            }
        };
        if tokio::time::timeout(LAST_BREATH, rest).await.is_err() {
            tracing::warn!("connections were still open when the server ended");
        }
        if tokio::time::timeout(LAST_BREATH, self.platform.store.close()).await.is_err() {
            tracing::warn!("the database was still busy when the server ended");
        }
    }
}

fn cookie_sign_in(platform: Platform, config: Arc<Config>) -> CookieSignIn {
    Arc::new(move |parts| {
        let (platform, config) = (platform.clone(), config.clone());
        async move { http::authenticate_parts(&parts, &platform, &config).await }.boxed()
    })
}
