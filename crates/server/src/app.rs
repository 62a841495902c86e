//! The composition root: builds every part from the configuration, starts it, and ends it in the right order.

use crate::config::{Config, Registration, Synchronous};
use crate::elsewhere::{MailsByWorkers, RepliesByWorkers};
use crate::engine::Engine;
use crate::gateway::{CookieSignIn, Gateway};
use crate::{demo, http};
use aim_ai::transcription::{self, Transcription, TranscriptionSettings};
use aim_ai::{ApiKey, LanguageModel, ModelSettings, Provider, ProviderSettings, TokenBudget};
use aim_backbone::link::Links;
use aim_backbone::queue::{AI_RESPONSE, EMAIL};
use aim_backbone::{Backbone, Settings as BackboneSettings, turns};
use aim_domain::{Ambient, Timestamp};
use aim_mail::{Carrier, Folder, Sender, Smtp, SmtpSettings};
use aim_media::{Caps, Files};
use aim_platform::foreign::{Foreign, ForeignReplies};
use aim_platform::{Ear, Media, Platform, Post, Recording, Settings, Unheard};
use aim_store::Store;
use aim_store::postgres::{PostgresOptions, PostgresStore};
use aim_store::sqlite::{SqliteOptions, SqliteStore};
use anyhow::Context;
use async_trait::async_trait;
use futures::FutureExt;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Opens the database of the configuration, in its latest form.
pub async fn open_store(config: &Config, ambient: &Ambient) -> anyhow::Result<Arc<dyn Store>> {
    let database = &config.database;
    if database.is_postgres() {
        let options = PostgresOptions {
            max_connections: database.max_connections,
            acquire_timeout: database.acquire_timeout,
            connect_timeout: database.connect_timeout,
            statement_timeout: database.statement_timeout,
            ..Default::default()
        };
        let store = PostgresStore::open(database.url.expose(), options, ambient.clone())
            .await
            .with_context(|| format!("the database {} cannot be opened", config.database_name()))?;
        return Ok(store);
    }
    let path = config.database_path();
    let synchronous = match config.database.synchronous {
        Synchronous::Full => aim_store::sqlite::Synchronous::Full,
        Synchronous::Normal => aim_store::sqlite::Synchronous::Normal,
    };
    let options = SqliteOptions { synchronous, ..Default::default() };
    let store = SqliteStore::open(&path, options, ambient.clone())
        .with_context(|| format!("the database {} cannot be opened", config.database_name()))?;
    Ok(store)
}

/// The language model of the configuration.
pub fn model(config: &Config, ambient: &Ambient) -> anyhow::Result<Arc<dyn LanguageModel>> {
    let ai = &config.ai;
    let remote = ProviderSettings {
        provider: ai.provider,
        base_url: ai.base_url.clone(),
        model: config.model_name(),
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
    if config.workers.has_foreign(AI_RESPONSE) && !has_own_model(config) {
        return Ok(Arc::new(RepliesByWorkers::new()));
    }
    aim_ai::from_settings(&settings, ambient.clone()).context("the language model cannot be used")
}

/// Whether a model is set up for this process itself: a provider, or the built-in one with its file.
pub fn has_own_model(config: &Config) -> bool {
    let ai = &config.ai;
    ai.provider != Provider::Local || (cfg!(feature = "local-model") && ai.local.model_path.exists())
}

/// Where uploads lie, and who listens to them.
pub fn media(config: &Config) -> anyhow::Result<Media> {
    let files = Files::open(&config.media_place()).context("the place of media cannot be used")?;
    let said = &config.transcription;
    let ear: Option<Arc<dyn Ear>> = if said.base_url.is_empty() {
        None
    } else {
        let settings = TranscriptionSettings {
            base_url: said.base_url.clone(),
            model: said.model.clone(),
            api_key: ApiKey::new(said.api_key.expose()),
            timeout: said.timeout,
        };
        Some(Arc::new(Listener(Transcription::new(&settings)?)))
    };
    Ok(Media { files, caps: Caps::default(), ear })
}

/// The provider of transcripts, as the platform knows it.
struct Listener(Transcription);

#[async_trait]
impl Ear for Listener {
    async fn transcribe(&self, recording: Recording) -> Result<String, Unheard> {
        let extension = match recording.mime_type.as_str() {
            "audio/mp4" => "m4a",
            "audio/mpeg" => "mp3",
            other => other.rsplit('/').next().unwrap_or("bin"),
        };
        let sound = transcription::Recording::whole(recording.bytes, recording.mime_type.as_str(), extension);
        let heard = self.0.transcribe(sound).await;
        heard.map_err(|error| Unheard { retryable: error.retryable, detail: error.detail })
    }
}

/// `answers`: replies are given in this process.
pub fn backbone_settings(config: &Config, answers: bool) -> BackboneSettings {
    let replies_per_character = config.ai.replies_per_character.max(1);
    BackboneSettings {
        short_cache: config.is_development(),
        cache_capacity: config.cache.entries,
        turns: turns::Settings { replies_per_character, ..Default::default() },
        answers,
    }
}

/// The hints: in this process, and over Redis where one is configured. Needs a runtime.
/// `foreign`: queues whose jobs workers of other programs run.
pub fn backbone(
    config: &Config,
    ambient: &Ambient,
    answers: bool,
    foreign: &[&'static str],
) -> anyhow::Result<Backbone> {
    let settings = backbone_settings(config, answers);
    Ok(match config.redis.settings(&config.queue) {
        Some(redis) => {
            let links = Links::open(redis).context("AIM_REDIS__URL, or the address of one use, cannot be used")?;
            Backbone::with_foreign(&settings, ambient, links, foreign)
        }
        None => Backbone::local(&settings, ambient),
    })
}

/// How mails go out: by the mail server of the configuration, or into a folder in development. None where neither is.
pub fn post(config: &Config) -> anyhow::Result<Option<Post>> {
    let mail = &config.mail;
    let from = Sender::parse(config.mail_from()).map_err(anyhow::Error::msg)?;
    let carrier: Arc<dyn Carrier> = if !mail.url.is_empty() {
        let settings = SmtpSettings {
            url: mail.url.expose().to_owned(),
            ca_file: (!mail.ca_file.is_empty()).then(|| mail.ca_file.clone().into()),
            hello: from.domain().to_owned(),
            timeout: mail.timeout,
        };
        Arc::new(Smtp::new(&settings).map_err(anyhow::Error::msg).context("mail cannot be sent")?)
    } else if config.is_development() && !config.workers.has_foreign(EMAIL) {
        Arc::new(Folder::new(config.mail_folder()))
    } else if config.workers.has_foreign(EMAIL) {
        Arc::new(MailsByWorkers)
    } else {
        return Ok(None);
    };
    Ok(Some(Post {
        carrier,
        from,
        public_url: config.public_url(),
        reply_wait: mail.reply_wait,
        concurrency: mail.concurrency,
        attempts: mail.attempts,
        backoff: mail.backoff,
    }))
}

/// What the configuration says of the platform's behaviour, but for how mails go out.
pub fn settings(config: &Config) -> Settings {
    Settings {
        rules: config.limits.rules(),
        usage_multiplier: config.usage.multiplier,
        registration_open: config.auth.registration == Registration::Open,
        session_ttl: config.auth.session,
        hashes_at_a_time: config.auth.hashes_at_a_time,
        replies_per_character: config.ai.replies_per_character.max(1),
        server_lease: config.server.lease,
        reply_concurrency: config.workers.concurrency,
        max_reply_tokens: config.ai.max_tokens,
        temperature: config.ai.temperature,
        daily_tokens: config.ai.daily_tokens,
        // A job of `ai-response` holds words alone.
        model_sees: config.ai.vision && !config.workers.has_foreign(AI_RESPONSE),
        media_concurrency: config.media.concurrency,
        resumable_age: config.media.resumable_age,
        reply_timeout: config.ai.reply_timeout,
        prices: config.analytics.prices.clone(),
        keep_samples: config.analytics.keep_samples,
        keep_hour_reports: config.analytics.keep_hours,
        keep_finished_jobs: config.queue.keep_finished,
        keep_deleted_conversations: config.cleanup.deleted_conversations,
        foreign: foreign(config),
        ..Default::default()
    }
}

fn foreign(config: &Config) -> Foreign {
    let ai = &config.ai;
    let replies = || ForeignReplies {
        budget: TokenBudget::new(u64::from(ai.context_tokens), u64::from(ai.max_tokens)),
        attempts: ai.retries.saturating_add(1),
        has_own: has_own_model(config),
    };
    Foreign { replies: config.workers.has_foreign(AI_RESPONSE).then(replies), mails: config.workers.has_foreign(EMAIL) }
}

/// A server that runs.
pub struct Running {
    pub address: SocketAddr,
    pub platform: Platform,
    engine: Engine,
    gateway: Arc<Gateway>,
    serving: JoinHandle<()>,
}

/// Starts everything; when it returns, the server listens.
pub async fn start(config: Config, ambient: Ambient) -> anyhow::Result<Running> {
    let config = Arc::new(config);
    let mut engine = Engine::start(&config, &ambient, settings(&config)).await?;
    let platform = engine.platform.clone();
    sweep_incoming(config.clone(), ambient.now()).await;

    let wanted = format!("{}:{}", config.http.host, config.http.port);
    let listener = TcpListener::bind(&wanted).await.with_context(|| {
        format!("cannot listen on {wanted}: set AIM_HTTP__HOST and AIM_HTTP__PORT to a free address")
    })?;
    let address = listener.local_addr().context("the listener has no address")?;
    if config.is_development() {
        let saved = platform.seed_demo(demo::characters()).await.context("the demo characters were not saved")?;
        tracing::debug!(saved, "demo characters");
    }

    let gateway = Gateway::new(platform.clone(), cookie_sign_in(platform.clone(), config.clone()));
    engine.keep(gateway.clone().run(engine.ended.clone()));
    engine.work(config.workers.enabled).await?;
    let router = http::router(platform.clone(), config.clone(), engine.stopping.clone())
        .merge(gateway.router().layer(http::cors_layer(&config.http.allowed_origins)));
    let serving = tokio::spawn({
        let ended = engine.ended.clone();
        async move { http::serve(listener, router, &config.http, ended).await }
    });
    tracing::info!("listening on http://{address}");
    Ok(Running { address, platform, engine, gateway, serving })
}

/// A folder that cannot be swept keeps nobody from serving.
async fn sweep_incoming(config: Arc<Config>, now: Timestamp) {
    match tokio::task::spawn_blocking(move || http::incoming::sweep(&config, now)).await {
        Ok(Ok(0)) | Err(_) => {}
        Ok(Ok(files)) => tracing::info!(files, "what was left of files that were coming in is removed"),
        Ok(Err(error)) => tracing::warn!(%error, "what is left of files that were coming in cannot be removed"),
    }
}

/// Starts a process that runs jobs and nothing else.
pub async fn start_worker(config: &Config, ambient: &Ambient) -> anyhow::Result<Engine> {
    let mut engine = Engine::start(config, ambient, Settings { serves: false, ..settings(config) }).await?;
    engine.work(true).await?;
    tracing::info!(concurrency = config.workers.concurrency, "working");
    Ok(engine)
}

impl Running {
    /// Lets replies under way finish, for the configured grace at most, and tells their readers; then ends everything.
    pub async fn shutdown(self) {
        self.engine.drain().await;
        self.gateway.close_all();
        let serving = self.serving;
        let rest = async {
            if let Err(error) = serving.await {
                tracing::warn!(%error, "the listener ended badly");
            }
        };
        self.engine.end(rest).await;
    }
}

fn cookie_sign_in(platform: Platform, config: Arc<Config>) -> CookieSignIn {
    Arc::new(move |parts| {
        let (platform, config) = (platform.clone(), config.clone());
        async move { http::authenticate_parts(&parts, &platform, &config).await }.boxed()
    })
}
