//! A model behind HTTP: what is the same whoever answers. Time-outs, repetitions, the cap on calls at a time and the
//! count of tokens are here; `openai` and `hosted` speak the providers' protocols.

use crate::hosted::Hosted;
use crate::model::{
    ErrorKind, LanguageModel, ModelError, ModelName, Piece, ReplyStream, Request, StopReason, TokenCount,
};
use crate::openai::OpenAi;
use crate::tokens::{self, TokenBudget};
use aim_domain::Ambient;
use async_trait::async_trait;
use futures::stream::{BoxStream, Stream, StreamExt};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout, timeout_at};

/// Longest that a health check waits for the provider, and how long its answer is believed.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
const CHECK_FRESH: Duration = Duration::from_secs(10);

const BACKOFF_FIRST: Duration = Duration::from_millis(250);
const BACKOFF_MOST: Duration = Duration::from_secs(4);
/// A provider that asks for more time than this is not waited for.
const RETRY_AFTER_MOST: Duration = Duration::from_secs(10);

/// A reply longer than this many bytes per allowed token comes from a provider that ignores `max_tokens`.
const BYTES_PER_TOKEN_MOST: usize = 64;

/// Whose model it is: `AIM_AI__PROVIDER`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// Anything compatible with OpenAI's chat completions.
    OpenAi,
    Anthropic,
    Gemini,
    Ollama,
    /// The built-in one, in this process.
    #[default]
    Local,
}

impl Provider {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Ollama => "ollama",
            Self::Local => "local",
        }
    }

    /// Where it is reached unless `AIM_AI__BASE_URL` says otherwise; without a trailing slash.
    pub fn default_base_url(self) -> &'static str {
        match self {
            Self::OpenAi => "https://api.openai.com/v1",
            Self::Anthropic => "https://api.anthropic.com/v1",
            Self::Gemini => "https://generativelanguage.googleapis.com/v1beta",
            Self::Ollama => "http://127.0.0.1:11434",
            Self::Local => "",
        }
    }
}

impl std::str::FromStr for Provider {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        [Self::OpenAi, Self::Anthropic, Self::Gemini, Self::Ollama, Self::Local]
            .into_iter()
            .find(|provider| provider.as_str() == word)
            .ok_or_else(|| format!("{word:?} is none of openai, anthropic, gemini, ollama, local"))
    }
}

/// A secret that `Debug` does not show.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct ApiKey(String);

impl ApiKey {
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "none" } else { "set" })
    }
}

#[derive(Clone, Debug)]
pub struct ProviderSettings {
    pub provider: Provider,
    /// With the version, as `http://127.0.0.1:8081/v1`; empty for the provider's own.
    pub base_url: String,
    pub model: String,
    pub api_key: ApiKey,
    pub connect_timeout: Duration,
    /// From the call to the first text.
    pub first_token_timeout: Duration,
    pub between_tokens_timeout: Duration,
    /// Calls under way at a time, health checks apart.
    pub max_concurrent: usize,
    /// Longest wait for one of those.
    pub queue_timeout: Duration,
    /// Repetitions of a call that failed before its first text.
    pub retries: u32,
    /// The model's context window and what of it a reply may take, in tokens.
    pub budget: TokenBudget,
}

impl Default for ProviderSettings {
    fn default() -> Self {
        Self {
            provider: Provider::OpenAi,
            base_url: String::new(),
            model: String::new(),
            api_key: ApiKey::default(),
            connect_timeout: Duration::from_secs(5),
            first_token_timeout: Duration::from_secs(30),
            between_tokens_timeout: Duration::from_secs(15),
            max_concurrent: 256,
            queue_timeout: Duration::from_secs(30),
            retries: 2,
            budget: TokenBudget::new(8_192, 512),
        }
    }
}

/// What a protocol yields.
#[derive(Debug)]
pub(crate) enum Event {
    /// Never empty.
    Text(String),
    /// The model reasons where nobody reads it: a sign of life.
    Thinking,
    /// The last one.
    End { tokens: Option<TokenCount>, stop: StopReason },
}

pub(crate) type Events = BoxStream<'static, Result<Event, ModelError>>;

/// A provider's protocol: one attempt, without any patience of its own but for connecting.
#[async_trait]
pub(crate) trait Protocol: Send + Sync {
    async fn open(&self, request: &Request) -> Result<Events, ModelError>;
    async fn check(&self) -> Result<(), ModelError>;
}

/// The one HTTP client of a provider: it keeps as many connections as calls are allowed, and follows no redirect,
/// since the key goes with it.
pub(crate) fn http_client(settings: &ProviderSettings) -> Result<reqwest::Client, ModelError> {
    reqwest::Client::builder()
        .connect_timeout(settings.connect_timeout)
        .pool_max_idle_per_host(settings.max_concurrent)
        .tcp_nodelay(true)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("aim/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| ModelError::bad(format!("the HTTP client could not be made: {}", error.without_url())))
}

/// What went wrong between us and the provider, as far as it can be told without a URL, which may hold a key.
pub(crate) fn transport_error(error: reqwest::Error) -> ModelError {
    if let Some(status) = error.status() {
        return ModelError::refused(status.as_u16(), None);
    }
    if error.is_connect() {
        let why = if error.is_timeout() { "in time" } else { "at AIM_AI__BASE_URL" };
        return ModelError::new(ErrorKind::Connect, format!("nobody answered {why}"));
    }
    if error.is_builder() {
        return ModelError::bad("AIM_AI__BASE_URL or AIM_AI__API_KEY cannot be used in a request");
    }
    ModelError::new(ErrorKind::Interrupted, "the connection to the provider broke")
}

/// Any model behind HTTP. Cheap calls share one client; see `ProviderSettings` for what is bounded.
pub struct Remote {
    name: ModelName,
    protocol: Box<dyn Protocol>,
    settings: ProviderSettings,
    permits: Arc<Semaphore>,
    checked: Mutex<Option<(Instant, Result<(), ModelError>)>>,
    ambient: Ambient,
}

impl Remote {
    /// Fails when the settings cannot work; reaches for nothing.
    pub fn new(mut settings: ProviderSettings, ambient: Ambient) -> Result<Self, ModelError> {
        if settings.model.is_empty() {
            return Err(ModelError::bad("AIM_AI__MODEL is not set: it names the provider's model"));
        }
        if settings.base_url.is_empty() {
            settings.base_url = settings.provider.default_base_url().to_owned();
        }
        settings.base_url.truncate(settings.base_url.trim_end_matches('/').len());
        if !settings.base_url.starts_with("http://") && !settings.base_url.starts_with("https://") {
            return Err(ModelError::bad("AIM_AI__BASE_URL must start with http:// or https://"));
        }
        let protocol: Box<dyn Protocol> = match settings.provider {
            Provider::OpenAi => Box::new(OpenAi::new(&settings)?),
            Provider::Anthropic | Provider::Gemini | Provider::Ollama => Box::new(Hosted::new(&settings)?),
            Provider::Local => return Err(ModelError::bad("the local model is not behind HTTP")),
        };
        Ok(Self {
            name: ModelName { provider: settings.provider.as_str(), model: settings.model.as_str().into() },
            protocol,
            permits: Arc::new(Semaphore::new(settings.max_concurrent.clamp(1, Semaphore::MAX_PERMITS))),
            checked: Mutex::new(None),
            settings,
            ambient,
        })
    }

    /// One attempt up to its first text.
    async fn attempt(&self, request: &Request) -> Result<(Event, Events), ModelError> {
        let silent = || ModelError::new(ErrorKind::Timeout, "the first token did not come in time");
        let mut deadline = Instant::now() + self.settings.first_token_timeout;
        let mut events = timeout_at(deadline, self.protocol.open(request)).await.map_err(|_| silent())??;
        loop {
            match timeout_at(deadline, events.next()).await.map_err(|_| silent())? {
                Some(Ok(Event::Thinking)) => {
                    deadline = deadline.max(Instant::now() + self.settings.between_tokens_timeout);
                }
                Some(Ok(first)) => return Ok((first, events)),
                Some(Err(error)) => return Err(error),
                None => return Err(ModelError::new(ErrorKind::Interrupted, "the provider ended without a reply")),
            }
        }
    }

    /// The wait before repetition `n`, counted from 0: exponential, spread by half to either side.
    fn backoff(&self, n: u32, error: &ModelError) -> Option<Duration> {
        let asked = error.retry_after.unwrap_or_default();
        if asked > RETRY_AFTER_MOST {
            return None;
        }
        let base = BACKOFF_FIRST.saturating_mul(1 << n.min(8)).min(BACKOFF_MOST);
        Some(base.mul_f64(0.5 + self.ambient.fraction()).max(asked))
    }

    async fn begin(&self, request: &Request) -> Result<(Event, Events), ModelError> {
        let mut repeated = 0;
        loop {
            let error = match self.attempt(request).await {
                Ok(begun) => return Ok(begun),
                Err(error) => error,
            };
            let wait = self.backoff(repeated, &error);
            let Some(wait) = wait.filter(|_| error.retryable && repeated < self.settings.retries) else {
                return Err(error);
            };
            repeated += 1;
            tracing::debug!(model = %self.name, kind = error.kind.as_str(), repeated, "the call is repeated");
            sleep(wait).await;
        }
    }
}

#[async_trait]
impl LanguageModel for Remote {
    fn name(&self) -> &ModelName {
        &self.name
    }

    fn budget(&self) -> TokenBudget {
        self.settings.budget
    }

    async fn stream(&self, request: Request) -> Result<ReplyStream, ModelError> {
        let asked = Instant::now();
        let permit = match self.permits.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => timeout(self.settings.queue_timeout, self.permits.clone().acquire_owned())
                .await
                .ok()
                .and_then(Result::ok)
                .ok_or_else(|| ModelError::new(ErrorKind::Overloaded, "too many replies are under way"))?,
        };
        let provider = self.name.provider;
        match self.begin(&request).await {
            Ok((first, events)) => {
                metrics::histogram!("aim_model_first_token_seconds", "provider" => provider)
                    .record(asked.elapsed().as_secs_f64());
                let now = Instant::now();
                Ok(Box::pin(Reply {
                    first: Some(first),
                    events: Some(events),
                    _permit: permit,
                    between: self.settings.between_tokens_timeout,
                    last: now,
                    silence: Box::pin(sleep_until(now + self.settings.between_tokens_timeout)),
                    prompt: tokens::estimate_turns(&request.messages),
                    length: 0,
                    longest: request.max_tokens as usize * BYTES_PER_TOKEN_MOST + 1_024,
                    provider,
                }))
            }
            Err(error) => {
                metrics::counter!("aim_model_replies_total", "provider" => provider, "outcome" => error.kind.as_str())
                    .increment(1);
                Err(error)
            }
        }
    }

    async fn check(&self) -> Result<(), ModelError> {
        if let Some((at, answer)) = self.checked.lock().as_ref()
            && at.elapsed() < CHECK_FRESH
        {
            return answer.clone();
        }
        let answer = timeout(CHECK_TIMEOUT, self.protocol.check())
            .await
            .unwrap_or_else(|_| Err(ModelError::new(ErrorKind::Timeout, "the provider did not answer in time")));
        *self.checked.lock() = Some((Instant::now(), answer.clone()));
        answer
    }
}

/// A reply under way: the protocol's events, watched for silence. It holds its place under the cap until dropped.
struct Reply {
    first: Option<Event>,
    events: Option<Events>,
    _permit: OwnedSemaphorePermit,
    between: Duration,
    /// When the last sign of life came. `silence` is set anew only when it runs out, which spares a timer per piece.
    last: Instant,
    silence: Pin<Box<Sleep>>,
    /// Tokens of the prompt by estimate.
    prompt: u64,
    /// Bytes so far, and the most there may be.
    length: usize,
    longest: usize,
    provider: &'static str,
}

impl Stream for Reply {
    type Item = Result<Piece, ModelError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            let Some(events) = this.events.as_mut() else { return Poll::Ready(None) };
            let polled = match this.first.take() {
                Some(first) => Poll::Ready(Some(Ok(first))),
                None => events.poll_next_unpin(cx),
            };
            let last = match polled {
                Poll::Ready(Some(Ok(Event::Text(text)))) => {
                    this.last = Instant::now();
                    this.length += text.len();
                    if this.length <= this.longest {
                        return Poll::Ready(Some(Ok(Piece::Text(text))));
                    }
                    Ok((None, StopReason::Length))
                }
                Poll::Ready(Some(Ok(Event::Thinking))) => {
                    this.last = Instant::now();
                    continue;
                }
                Poll::Ready(Some(Ok(Event::End { tokens, stop }))) => Ok((tokens, stop)),
                Poll::Ready(Some(Err(error))) => Err(error),
                Poll::Ready(None) => Err(ModelError::new(ErrorKind::Interrupted, "the reply broke off")),
                Poll::Pending => {
                    if this.silence.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    let deadline = this.last + this.between;
                    if Instant::now() < deadline {
                        this.silence.as_mut().reset(deadline);
                        continue;
                    }
                    Err(ModelError::new(ErrorKind::Timeout, "the next token did not come in time"))
                }
            };
            // Nothing more is wanted: this ends the call at the provider, too.
            this.events = None;
            let outcome = last.as_ref().map_or_else(|error| error.kind.as_str(), |_| "finished");
            metrics::counter!("aim_model_replies_total", "provider" => this.provider, "outcome" => outcome)
                .increment(1);
            return Poll::Ready(Some(last.map(|(tokens, stop)| {
                let estimated = || TokenCount { prompt: this.prompt, completion: (this.length as u64).div_ceil(4) };
                Piece::End { tokens: tokens.unwrap_or_else(estimated), stop }
            })));
        }
    }
}
