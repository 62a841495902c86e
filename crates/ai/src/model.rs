//! The contract that every language model honours: a request in, a stream of pieces out. What stands behind it (an
//! API, a server on this machine, a model in this process) is the business of `provider` and `local`.

use crate::tokens::TokenBudget;
use async_trait::async_trait;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Which model answers, under whose roof. Shown as `openai/gpt-4o-mini`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelName {
    /// `openai`, `anthropic`, `gemini`, `ollama` or `local`.
    pub provider: &'static str,
    /// The id that the provider knows the model by.
    pub model: Arc<str>,
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    System,
    User,
    Character,
}

/// A picture for a model that sees.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// `image/webp`.
    pub mime_type: Arc<str>,
    pub bytes: Arc<[u8]>,
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} bytes", self.mime_type, self.bytes.len())
    }
}

/// One utterance of what the model is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    pub role: Role,
    pub text: String,
    /// Shown with the text; the providers' models that see nothing are to be given none.
    #[serde(skip)]
    pub pictures: Vec<Picture>,
}

impl Turn {
    pub fn new(role: Role, text: impl Into<String>) -> Self {
        Self { role, text: text.into(), pictures: Vec::new() }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// In order; a system turn, if any, comes first, and the last is the user's.
    pub messages: Vec<Turn>,
    /// Most tokens of the reply.
    pub max_tokens: u32,
    /// 0 picks the likeliest token; 0.7 to 1 suits characters.
    pub temperature: f32,
    /// The reply ends before any of these.
    pub stop: Vec<String>,
    /// The same seed gives the same reply where the provider supports it.
    pub seed: Option<u64>,
}

impl Default for Request {
    fn default() -> Self {
        Self { messages: Vec::new(), max_tokens: 512, temperature: 0.8, stop: Vec::new(), seed: None }
    }
}

/// Tokens paid for one reply, as the provider says, or else estimated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenCount {
    pub prompt: u64,
    pub completion: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The model came to an end, or to one of the request's stop texts.
    Finished,
    /// `max_tokens` were reached.
    Length,
    /// The provider withheld the rest.
    Filtered,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Some more of the reply; never empty. Pieces that arrive together come as one.
    Text(String),
    /// The last item of a stream that went well.
    End { tokens: TokenCount, stop: StopReason },
}

/// A reply as it comes: any number of `Text`, then `End`, or an error and nothing more. Dropping it stops the model.
pub type ReplyStream = BoxStream<'static, Result<Piece, ModelError>>;

#[async_trait]
pub trait LanguageModel: Send + Sync {
    fn name(&self) -> &ModelName;

    /// How much it reads and writes, for `prompt::assemble` and `Request::max_tokens`.
    fn budget(&self) -> TokenBudget;

    /// Returns once the first text is there, or the reply's end. Everything that a repetition can cure was repeated
    /// by then; what fails later comes as the stream's last item, since part of the reply has been seen.
    async fn stream(&self, request: Request) -> Result<ReplyStream, ModelError>;

    /// Whether the model could answer now, without asking it to; for health checks, within two seconds.
    async fn check(&self) -> Result<(), ModelError>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Nobody listens there, or the connection could not be made secure.
    Connect,
    /// No first token, or no next one, within the time allowed.
    Timeout,
    /// The provider answered with this HTTP status.
    Refused(u16),
    /// The reply broke off.
    Interrupted,
    /// Too many replies are under way here, or the model is still loading.
    Overloaded,
    /// The settings or the request cannot work, or the answer made no sense.
    Bad,
}

impl ErrorKind {
    /// One word, for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Refused(_) => "refused",
            Self::Interrupted => "interrupted",
            Self::Overloaded => "overloaded",
            Self::Bad => "bad",
        }
    }
}

/// Why there is no reply, or no more of it. `detail` is for logs and operators: it holds neither secrets nor any
/// part of a prompt or reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the model failed ({}): {detail}", kind.as_str())]
pub struct ModelError {
    pub kind: ErrorKind,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// How long the provider asks to be left alone.
    pub retry_after: Option<Duration>,
    pub detail: String,
}

impl ModelError {
    pub fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        let retryable = match kind {
            ErrorKind::Refused(status) => matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504 | 529),
            ErrorKind::Bad => false,
            ErrorKind::Connect | ErrorKind::Timeout | ErrorKind::Interrupted | ErrorKind::Overloaded => true,
        };
        Self { kind, retryable, retry_after: None, detail: detail.into() }
    }

    /// The provider answered with an HTTP status that is no success.
    pub fn refused(status: u16, retry_after: Option<Duration>) -> Self {
        let hint = match status {
            401 | 403 => ": is AIM_AI__API_KEY right?",
            404 => ": are AIM_AI__BASE_URL and AIM_AI__MODEL right?",
            429 => ": its rate limit or quota is used up",
            _ => "",
        };
        let error = Self::new(ErrorKind::Refused(status), format!("the provider answered {status}{hint}"));
        Self { retry_after, ..error }
    }

    pub fn bad(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Bad, detail)
    }
}
