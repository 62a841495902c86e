//! What settings cannot be, what they should not be, and what this version does not do yet.

use super::{Config, ConfigError, ReadFrom, Registration, Synchronous};
use aim_ai::Provider;
use aim_backbone::link;
use aim_backbone::queue::{AI_RESPONSE, EMAIL};
use std::net::IpAddr;
use std::time::Duration;

/// A renewal is due every third of a lease; one this short is lost to a busy disk.
const SHORTEST_LEASE: Duration = Duration::from_secs(5);

fn later(variable: &str, value: &str, instead: &str) -> ConfigError {
    ConfigError(format!("{variable}: {value} is not in this version; {instead}"))
}

/// Settings that aim cannot start with.
pub(super) fn refuse(config: &Config) -> Result<(), ConfigError> {
    let database = config.database.url.expose();
    if !database.is_empty() && !database.starts_with("sqlite://") && !config.database.is_postgres() {
        // The URL itself may hold a password.
        return Err(if database.starts_with("firestore://") {
            later("AIM_DATABASE__URL", "Firestore", "use sqlite://PATH or postgres://…, or leave it empty")
        } else {
            ConfigError("AIM_DATABASE__URL: it is neither empty nor sqlite://PATH nor postgres://…".to_owned())
        });
    }
    if !config.media.url.is_empty() && !config.media.dir.is_empty() {
        return Err(ConfigError(
            "AIM_MEDIA__URL: AIM_MEDIA__DIR is set too, and media lie in one place; empty one".to_owned(),
        ));
    }
    if !config.firebase.project_id.is_empty() || !config.firebase.jwks_url.is_empty() {
        return Err(later("AIM_FIREBASE__PROJECT_ID", "signing in with Firebase", "leave it empty"));
    }
    let ai = &config.ai;
    // A server of one's own often has one model alone, whatever it is called.
    if ai.provider != Provider::Local && ai.model.is_empty() && ai.base_url.is_empty() {
        let provider = ai.provider.as_str();
        return Err(ConfigError(format!("AIM_AI__MODEL: name the model that {provider} is to answer with")));
    }
    if !ai.base_url.is_empty() && !ai.base_url.starts_with("http://") && !ai.base_url.starts_with("https://") {
        return Err(ConfigError("AIM_AI__BASE_URL: it must start with http:// or https://".to_owned()));
    }
    let transcription = &config.transcription;
    if !transcription.base_url.is_empty() {
        if !transcription.base_url.starts_with("http://") && !transcription.base_url.starts_with("https://") {
            return Err(ConfigError("AIM_TRANSCRIPTION__BASE_URL: it must start with http:// or https://".to_owned()));
        }
        if transcription.model.is_empty() {
            return Err(ConfigError("AIM_TRANSCRIPTION__MODEL: name the model that is to transcribe".to_owned()));
        }
    }
    let at_least_one = [
        ("AIM_AI__REPLIES_PER_CHARACTER", ai.replies_per_character),
        ("AIM_AI__MAX_CONCURRENT", ai.max_concurrent as u64),
        ("AIM_AI__MAX_TOKENS", u64::from(ai.max_tokens)),
        ("AIM_DATABASE__MAX_CONNECTIONS", u64::from(config.database.max_connections)),
        ("AIM_DATABASE__ACQUIRE_TIMEOUT", config.database.acquire_timeout.as_secs()),
        ("AIM_DATABASE__CONNECT_TIMEOUT", config.database.connect_timeout.as_secs()),
        ("AIM_DATABASE__STATEMENT_TIMEOUT", config.database.statement_timeout.as_secs()),
        ("AIM_TRANSCRIPTION__TIMEOUT", config.transcription.timeout.as_secs()),
        ("AIM_AUTH__HASHES_AT_A_TIME", config.auth.hashes_at_a_time as u64),
        ("AIM_LIMITS__MULTIPLIER", config.limits.multiplier),
        ("AIM_USAGE__MULTIPLIER", config.usage.multiplier),
        ("AIM_WORKERS__CONCURRENCY", config.workers.concurrency as u64),
        ("AIM_MEDIA__CONCURRENCY", config.media.concurrency as u64),
        ("AIM_MEDIA__UPLOAD_TIMEOUT", config.media.upload_timeout.as_secs()),
        ("AIM_MEDIA__RESUMABLE_AGE", config.media.resumable_age.as_secs()),
        ("AIM_SERVER__LEASE", config.server.lease.as_secs()),
        ("AIM_HTTP__REQUEST_TIMEOUT", config.http.request_timeout.as_secs()),
        ("AIM_HTTP__HEADER_TIMEOUT", config.http.header_timeout.as_secs()),
        ("AIM_AUTH__SESSION", config.auth.session.as_secs()),
        ("AIM_MAIL__TIMEOUT", config.mail.timeout.as_secs()),
        ("AIM_MAIL__CONCURRENCY", config.mail.concurrency as u64),
        ("AIM_MAIL__ATTEMPTS", u64::from(config.mail.attempts)),
    ];
    if let Some((variable, _)) = at_least_one.into_iter().find(|(_, value)| *value == 0) {
        return Err(ConfigError(format!("{variable}: it must be 1 at least (a length of time: one second)")));
    }
    if !(0.0..=2.0).contains(&ai.temperature) {
        return Err(ConfigError("AIM_AI__TEMPERATURE: it must be between 0 and 2".to_owned()));
    }
    if ai.max_tokens >= ai.context_tokens {
        return Err(ConfigError(
            "AIM_AI__MAX_TOKENS: the reply alone would fill AIM_AI__CONTEXT_TOKENS; lower the one or raise the other"
                .to_owned(),
        ));
    }
    let redis = &config.redis;
    let of_one_use = [
        ("AIM_REDIS__CACHE_URL", &redis.cache_url),
        ("AIM_REDIS__QUEUE_URL", &redis.queue_url),
        ("AIM_REDIS__BUS_URL", &redis.bus_url),
    ];
    for (variable, url) in std::iter::once(("AIM_REDIS__URL", &redis.url)).chain(of_one_use) {
        if !url.is_empty() {
            link::check(url.expose()).map_err(|error| ConfigError(format!("{variable}: {error}")))?;
        }
    }
    if redis.url.is_empty()
        && let Some((variable, _)) = of_one_use.into_iter().find(|(_, url)| !url.is_empty())
    {
        return Err(ConfigError(format!("{variable}: set AIM_REDIS__URL too, for all other uses")));
    }
    if !redis.sentinel_username.is_empty() && redis.sentinel_password.is_empty() {
        return Err(ConfigError("AIM_REDIS__SENTINEL_USERNAME: set AIM_REDIS__SENTINEL_PASSWORD too".to_owned()));
    }
    mail(config)?;
    foreign(config)?;
    if config.queue.prefix.is_empty() {
        return Err(ConfigError("AIM_QUEUE__PREFIX: it must not be empty".to_owned()));
    }
    if config.queue.prefix.contains(':') {
        return Err(ConfigError("AIM_QUEUE__PREFIX: it may hold no colon".to_owned()));
    }
    Ok(())
}

/// The queues that workers of other programs may take over.
const FOREIGN: [&str; 2] = [AI_RESPONSE, EMAIL];

fn foreign(config: &Config) -> Result<(), ConfigError> {
    let wrong = |why: String| Err(ConfigError(format!("AIM_WORKERS__FOREIGN: {why}")));
    let named = &config.workers.foreign;
    if let Some(name) = named.iter().find(|name| !FOREIGN.contains(&name.as_str())) {
        return wrong(format!(
            "{name:?} is none of {}, the queues that other programs may take over",
            FOREIGN.join(" and ")
        ));
    }
    if !named.is_empty() && config.redis.url.is_empty() {
        return wrong("other programs take jobs from Redis: set AIM_REDIS__URL too".to_owned());
    }
    Ok(())
}

fn mail(config: &Config) -> Result<(), ConfigError> {
    let mail = &config.mail;
    let wrong = |variable: &str, why: String| ConfigError(format!("{variable}: {why}"));
    if !mail.url.is_empty() {
        aim_mail::check_url(mail.url.expose()).map_err(|why| wrong("AIM_MAIL__URL", why))?;
    }
    if !mail.url.is_empty() || config.workers.has_foreign(EMAIL) {
        for (variable, value) in [("AIM_MAIL__FROM", &mail.from), ("AIM_MAIL__PUBLIC_URL", &mail.public_url)] {
            if value.is_empty() && !config.is_development() {
                return Err(wrong(variable, "it is needed to send mail: see docs/mail.md".to_owned()));
            }
        }
    }
    aim_mail::Sender::parse(config.mail_from()).map_err(|why| wrong("AIM_MAIL__FROM", why))?;
    let url = &mail.public_url;
    if !url.is_empty() && !url.starts_with("http://") && !url.starts_with("https://") {
        return Err(wrong("AIM_MAIL__PUBLIC_URL", "it must start with http:// or https://".to_owned()));
    }
    Ok(())
}

/// Settings, alone or together, that a person should know the risk of.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let (http, ai) = (&config.http, &config.ai);
    let public = http
        .host
        .trim_matches(['[', ']'])
        .parse::<IpAddr>()
        .map_or(http.host != "localhost", |host| !host.is_loopback());
    let everyone = http.trusted_proxies.iter().any(|network| network.prefix_len() == 0);
    let slowest_token = ai.first_token_timeout.max(ai.between_tokens_timeout);
    let redis = &config.redis;
    let cache_url = if redis.cache_url.is_empty() { &redis.url } else { &redis.cache_url };
    let [main, cache, queue] = [&redis.url, &redis.cache_url, &redis.queue_url].map(|url| url.expose());
    let is_shared_by_cache_and_queue = link::are_one(cache, queue) && !link::are_one(main, cache);
    let has_sentinels = [&redis.url, &redis.cache_url, &redis.queue_url, &redis.bus_url]
        .into_iter()
        .any(|url| link::names_sentinels(url.expose()));
    [
        (
            redis.read_from == ReadFrom::Replica && !link::names_sentinels(cache_url.expose()),
            "AIM_REDIS__READ_FROM is \"replica\", which does nothing: the cache's Redis is not behind Sentinel.",
        ),
        (
            is_shared_by_cache_and_queue,
            "AIM_REDIS__CACHE_URL and AIM_REDIS__QUEUE_URL are one Redis beside that of AIM_REDIS__URL: the cache wants allkeys-lfu, which breaks \
             queues, and queues want noeviction. /health and the metrics know it as cache alone.",
        ),
        (
            !redis.sentinel_password.is_empty() && !has_sentinels,
            "AIM_REDIS__SENTINEL_PASSWORD does nothing: no address of Redis names sentinels.",
        ),
        (
            !config.redis.url.is_empty() && !config.database.is_postgres(),
            "AIM_REDIS__URL is set and the database is SQLite, which serves one machine: servers on several need PostgreSQL.",
        ),
        (
            public && http.trusted_proxies.is_empty(),
            "aim listens beyond this machine with no trusted proxy: passwords travel in the clear unless TLS is put in \
             front, named in AIM_HTTP__TRUSTED_PROXIES.",
        ),
        (
            everyone,
            "AIM_HTTP__TRUSTED_PROXIES trusts everyone: any client may claim any address, and limits by address fall away.",
        ),
        (
            config.server.lease < SHORTEST_LEASE,
            "AIM_SERVER__LEASE is under 5 s: a busy disk may cost a living server its replies.",
        ),
        (
            slowest_token > ai.reply_timeout,
            "AIM_AI__REPLY_TIMEOUT is shorter than the wait for a token: a slow model is cut before its own time-out tells why.",
        ),
        (
            http.shutdown_grace < slowest_token,
            "AIM_HTTP__SHUTDOWN_GRACE is shorter than the wait for a token: a stop may cut replies that others then give anew.",
        ),
        (
            config.workers.concurrency > ai.max_concurrent && !config.workers.has_foreign(AI_RESPONSE),
            "AIM_WORKERS__CONCURRENCY is more than AIM_AI__MAX_CONCURRENT: the replies beyond it wait with their turn held.",
        ),
        (
            config.database.synchronous == Synchronous::Normal,
            "AIM_DATABASE__SYNCHRONOUS is \"normal\": a power cut may lose messages that were acknowledged.",
        ),
        (
            !config.is_development() && (config.limits.multiplier > 1 || config.usage.multiplier > 1),
            "AIM_LIMITS__MULTIPLIER or AIM_USAGE__MULTIPLIER lifts the limits: right for a load test, not for people.",
        ),
        (
            public && !config.is_development() && config.auth.registration == Registration::Open && ai.daily_tokens == 0
                && ai.provider != Provider::Local,
            "Anyone may register, and AIM_AI__DAILY_TOKENS sets no ceiling: strangers decide what the model costs.",
        ),
        (
            config.workers.has_foreign(AI_RESPONSE) && ai.vision,
            "AIM_AI__VISION does nothing beside AIM_WORKERS__FOREIGN: a job of ai-response holds words alone.",
        ),
        (!config.workers.enabled, "AIM_WORKERS__ENABLED is false: this server takes messages and answers none."),
    ]
    .into_iter()
    .filter(|(risky, _)| *risky)
    .map(|(_, warning)| warning.to_owned())
    .collect()
}
