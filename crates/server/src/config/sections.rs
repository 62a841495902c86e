//! The settings as types, one struct a section. What each means, and its default, stands in `config.default.toml`.

use super::value::{Secret, duration, networks, origins, prices};
use aim_backbone::link;
use aim_domain::{Rule, RuleSet};
use aim_platform::reports::Prices;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;
use utoipa::ToSchema;

/// What a model is asked for as that was given no name.
const UNNAMED_MODEL: &str = "default";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    Development,
    Production,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub profile: Profile,
    pub server: Server,
    pub http: Http,
    pub auth: Auth,
    pub data: Data,
    pub database: Database,
    pub redis: Redis,
    pub cache: Cache,
    pub queue: Queue,
    pub media: Media,
    pub mail: Mail,
    pub ai: Ai,
    pub transcription: Transcription,
    pub limits: Limits,
    pub usage: Usage,
    pub workers: Workers,
    pub analytics: Analytics,
    pub cleanup: Cleanup,
    pub firebase: Firebase,
    pub telemetry: Telemetry,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    #[serde(deserialize_with = "duration")]
    pub lease: Duration,
    pub threads: usize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    pub host: String,
    pub port: u16,
    #[serde(deserialize_with = "networks")]
    pub trusted_proxies: Vec<IpNet>,
    /// In lower case, without a slash at the end.
    #[serde(deserialize_with = "origins")]
    pub allowed_origins: Vec<String>,
    pub max_body: usize,
    pub max_character_body: usize,
    #[serde(deserialize_with = "duration")]
    pub request_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    pub header_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    pub shutdown_grace: Duration,
}

/// Who may register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Registration {
    Open,
    Closed,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    pub registration: Registration,
    #[serde(deserialize_with = "duration")]
    pub session: Duration,
    pub hashes_at_a_time: usize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    pub dir: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Synchronous {
    Full,
    Normal,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    pub url: Secret,
    pub synchronous: Synchronous,
    pub max_connections: u32,
    #[serde(deserialize_with = "duration")]
    pub acquire_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    pub connect_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    pub statement_timeout: Duration,
}

impl Database {
    pub fn is_postgres(&self) -> bool {
        let url = self.url.expose();
        url.starts_with("postgres://") || url.starts_with("postgresql://")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReadFrom {
    Primary,
    Replica,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    pub url: Secret,
    pub cache_url: Secret,
    pub queue_url: Secret,
    pub bus_url: Secret,
    pub sentinel_username: String,
    pub sentinel_password: Secret,
    pub read_from: ReadFrom,
    pub prefix: String,
    pub ca_file: PathBuf,
    pub certificate_file: PathBuf,
    pub key_file: PathBuf,
}

impl Redis {
    /// None where no Redis is configured.
    pub fn settings(&self, queue: &Queue) -> Option<link::LinksSettings> {
        let file = |path: &PathBuf| Some(path.clone()).filter(|path| !path.as_os_str().is_empty());
        let at = |url: &str| link::Settings {
            url: url.to_owned(),
            prefix: self.prefix.clone(),
            tls: link::TlsFiles {
                ca: file(&self.ca_file),
                certificate: file(&self.certificate_file),
                key: file(&self.key_file),
            },
            sentinel: link::Login {
                username: Some(self.sentinel_username.clone()).filter(|name| !name.is_empty()),
                password: Some(self.sentinel_password.expose().to_owned()).filter(|password| !password.is_empty()),
            },
            read_from_replicas: self.read_from == ReadFrom::Replica,
        };
        let own = |url: &Secret| Some(url.expose()).filter(|url| !url.is_empty()).map(at);
        Some(self.url.expose()).filter(|url| !url.is_empty()).map(|url| link::LinksSettings {
            main: at(url),
            cache: own(&self.cache_url),
            queue: own(&self.queue_url),
            bus: own(&self.bus_url),
            queue_prefix: queue.prefix.clone(),
        })
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    pub entries: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    pub prefix: String,
    #[serde(deserialize_with = "duration")]
    pub keep_finished: Duration,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Media {
    pub dir: String,
    pub url: String,
    pub concurrency: usize,
    #[serde(deserialize_with = "duration")]
    pub upload_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    pub resumable_age: Duration,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ai {
    pub provider: aim_ai::Provider,
    pub base_url: String,
    pub model: String,
    pub api_key: Secret,
    pub replies_per_character: u64,
    pub max_concurrent: usize,
    #[serde(deserialize_with = "duration")]
    pub queue_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    pub connect_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    pub first_token_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    pub between_tokens_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    pub reply_timeout: Duration,
    pub retries: u32,
    pub temperature: f32,
    pub max_tokens: u32,
    pub context_tokens: u32,
    pub daily_tokens: u64,
    pub vision: bool,
    pub local: LocalModel,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalModel {
    pub model_path: PathBuf,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transcription {
    /// Empty: nothing is transcribed.
    pub base_url: String,
    pub model: String,
    pub api_key: Secret,
    #[serde(deserialize_with = "duration")]
    pub timeout: Duration,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub multiplier: u64,
    pub premium: Premium,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Premium {
    pub api: u64,
    pub auth: u64,
    pub messaging: u64,
    pub ai: u64,
    pub upload: u64,
}

impl Limits {
    pub fn rules(&self) -> RuleSet {
        let times = |rule| match rule {
            Rule::Api => self.premium.api,
            Rule::Auth => self.premium.auth,
            Rule::Messaging => self.premium.messaging,
            Rule::Ai => self.premium.ai,
            Rule::Upload => self.premium.upload,
        };
        RuleSet { multiplier: self.multiplier, premium: Rule::ALL.map(|rule| (rule, times(rule))) }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    pub multiplier: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workers {
    pub enabled: bool,
    pub concurrency: usize,
    pub foreign: Vec<String>,
}

impl Workers {
    /// Whether workers of other programs run the jobs of this queue.
    pub fn has_foreign(&self, queue: &str) -> bool {
        self.foreign.iter().any(|name| name == queue)
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Analytics {
    #[serde(deserialize_with = "duration")]
    pub keep_samples: Duration,
    #[serde(deserialize_with = "duration")]
    pub keep_hours: Duration,
    #[serde(deserialize_with = "prices")]
    pub prices: Prices,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cleanup {
    #[serde(deserialize_with = "duration")]
    pub deleted_conversations: Duration,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Firebase {
    pub project_id: String,
    pub jwks_url: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Auto,
    Text,
    Json,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    pub log: String,
    pub format: LogFormat,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    pub url: Secret,
    pub from: String,
    pub public_url: String,
    pub ca_file: String,
    #[serde(deserialize_with = "duration")]
    pub timeout: Duration,
    pub concurrency: usize,
    pub attempts: u32,
    #[serde(deserialize_with = "duration")]
    pub backoff: Duration,
    #[serde(deserialize_with = "duration")]
    pub reply_wait: Duration,
}

impl Config {
    /// Where mails become files in development.
    pub fn mail_folder(&self) -> PathBuf {
        self.data.dir.join("mails")
    }

    /// Who mails are from.
    pub fn mail_from(&self) -> &str {
        if self.mail.from.is_empty() { "aim <aim@localhost>" } else { &self.mail.from }
    }

    /// What links in mails begin with; without a slash at the end.
    pub fn public_url(&self) -> String {
        let host = match self.http.host.as_str() {
            "0.0.0.0" | "[::]" | "::" => "localhost",
            host => host,
        };
        match self.mail.public_url.trim_end_matches('/') {
            "" => format!("http://{host}:{}", self.http.port),
            url => url.to_owned(),
        }
    }

    pub fn is_development(&self) -> bool {
        self.profile == Profile::Development
    }

    /// The database as a person knows it, without the password that its URL may hold.
    pub fn database_name(&self) -> String {
        if !self.database.is_postgres() {
            return self.database_path().display().to_string();
        }
        let url = self.database.url.expose();
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
        place.split('?').next().unwrap_or_default().to_owned()
    }

    /// The SQLite file: `[database] url`, or `aim.db` in the data folder.
    pub fn database_path(&self) -> PathBuf {
        match self.database.url.expose().strip_prefix("sqlite://") {
            Some(path) if !path.is_empty() => PathBuf::from(path),
            _ => self.data.dir.join("aim.db"),
        }
    }

    /// The path of the database as a person wrote or would write it.
    pub fn database_folder(&self) -> PathBuf {
        self.database_path().parent().map_or_else(PathBuf::new, Path::to_owned)
    }

    /// Where uploads lie: a folder, or a bucket's URL.
    pub fn media_place(&self) -> String {
        match (self.media.url.as_str(), self.media.dir.as_str()) {
            ("", "") => self.data.dir.join("media").to_string_lossy().into_owned(),
            ("", dir) => dir.to_owned(),
            (url, _) => url.to_owned(),
        }
    }

    /// What the model is called on the page: the name that is set, or the file of the built-in one.
    pub fn model_name(&self) -> String {
        match self.ai.provider {
            aim_ai::Provider::Local => self
                .ai
                .local
                .model_path
                .file_stem()
                .map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
            _ if self.ai.model.is_empty() => UNNAMED_MODEL.to_owned(),
            _ => self.ai.model.clone(),
        }
    }
}
