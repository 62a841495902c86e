//! What was said in a sound: OpenAI's `POST {base_url}/audio/transcriptions` and all that is compatible with it
//! (whisper.cpp, faster-whisper, speaches, Groq, …). One attempt a call; whoever calls repeats what is `retryable`.
//! Neither the key nor anything of what was said is ever logged, nor stands in an error.

use crate::provider::ApiKey;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::multipart::{Form, Part};
use reqwest::{Body, Response, Url};
use serde::Deserialize;
use std::io;
use std::time::Duration;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest answer that is read. An hour of speech is some 60 kB of text.
const ANSWER_MOST: usize = 1 << 20;

/// Longest wait that a provider may ask for.
const RETRY_AFTER_MOST: Duration = Duration::from_secs(3600);

/// `[transcription]` of the configuration.
#[derive(Clone, Debug, Default)]
pub struct TranscriptionSettings {
    /// With the version, as `http://127.0.0.1:8082/v1`; without a trailing slash.
    pub base_url: String,
    pub model: String,
    pub api_key: ApiKey,
    /// Longest that a call may take, from sending the sound to the end of the answer.
    pub timeout: Duration,
}

/// A sound to be sent, once. It is streamed, and never whole in memory.
pub struct Recording {
    length: u64,
    bytes: BoxStream<'static, io::Result<Bytes>>,
    mime: String,
    extension: String,
}

impl Recording {
    /// `bytes` must come to `length` of them. Providers go by the extension (without a dot) as much as by the type.
    pub fn new(
        length: u64,
        bytes: BoxStream<'static, io::Result<Bytes>>,
        mime: impl Into<String>,
        extension: impl Into<String>,
    ) -> Self {
        Self { length, bytes, mime: mime.into(), extension: extension.into() }
    }

    /// Of bytes that are in memory.
    pub fn whole(bytes: Bytes, mime: impl Into<String>, extension: impl Into<String>) -> Self {
        Self::new(bytes.len() as u64, futures::stream::iter([Ok(bytes)]).boxed(), mime, extension)
    }
}

/// Why there is no transcript; for logs and operators.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no transcript: {detail}")]
pub struct TranscriptionError {
    /// Whether the same sound may be transcribed later; else it is final.
    pub retryable: bool,
    /// How long the provider asks to be left alone.
    pub retry_after: Option<Duration>,
    pub detail: String,
}

impl TranscriptionError {
    fn later(detail: impl Into<String>) -> Self {
        Self { retryable: true, retry_after: None, detail: detail.into() }
    }

    fn never(detail: impl Into<String>) -> Self {
        Self { retryable: false, retry_after: None, detail: detail.into() }
    }
}

/// A provider of transcripts. Calls share its connections.
pub struct Transcription {
    http: reqwest::Client,
    url: Url,
    headers: HeaderMap,
    model: String,
    timeout: Duration,
}

impl Transcription {
    /// The provider that the settings name. Reaches for nothing yet; fails where the settings cannot work.
    pub fn new(settings: &TranscriptionSettings) -> Result<Self, TranscriptionError> {
        let base_url = settings.base_url.trim_end_matches('/');
        let url = Url::parse(&format!("{base_url}/audio/transcriptions"))
            .map_err(|error| TranscriptionError::never(format!("AIM_TRANSCRIPTION__BASE_URL is no URL: {error}")))?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if !settings.api_key.is_empty() {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", settings.api_key.reveal())).map_err(|_| {
                TranscriptionError::never("AIM_TRANSCRIPTION__API_KEY has characters that no header may hold")
            })?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        // No redirect is followed: the key goes with it.
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("aim/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| {
                TranscriptionError::never(format!("the HTTP client could not be made: {}", error.without_url()))
            })?;
        Ok(Self { http, url, headers, model: settings.model.clone(), timeout: settings.timeout })
    }

    /// What was said, trimmed; empty where nothing was. Dropping the call stops it.
    pub async fn transcribe(&self, recording: Recording) -> Result<String, TranscriptionError> {
        let Recording { length, bytes, mime, extension } = recording;
        let file = Part::stream_with_length(Body::wrap_stream(bytes), length)
            .file_name(format!("recording.{extension}"))
            .mime_str(&mime)
            .map_err(|_| TranscriptionError::never("the sound's type is no MIME type"))?;
        let form = Form::new().text("model", self.model.clone()).text("response_format", "json").part("file", file);
        let call = self.http.post(self.url.clone()).headers(self.headers.clone()).multipart(form);
        let answered = async {
            let response = call.send().await.map_err(transport)?;
            if !response.status().is_success() {
                return Err(refusal(response).await);
            }
            let body = body(response).await?;
            let answer: Answer = serde_json::from_slice(&body)
                .map_err(|_| TranscriptionError::never("the provider's answer is no transcript"))?;
            Ok(answer.text.trim().to_owned())
        };
        match tokio::time::timeout(self.timeout, answered).await {
            Ok(answered) => answered,
            Err(_) => Err(TranscriptionError::later(format!(
                "the provider took more than {} s; see AIM_TRANSCRIPTION__TIMEOUT",
                self.timeout.as_secs_f32()
            ))),
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    text: String,
}

/// What went wrong on the way, without a URL, which may hold a key.
fn transport(error: reqwest::Error) -> TranscriptionError {
    if error.is_builder() {
        return TranscriptionError::never(
            "AIM_TRANSCRIPTION__BASE_URL or AIM_TRANSCRIPTION__API_KEY cannot be used in a request",
        );
    }
    if error.is_connect() {
        return TranscriptionError::later("nobody answered at AIM_TRANSCRIPTION__BASE_URL");
    }
    TranscriptionError::later("the connection to the provider broke")
}

/// The error of an answer that is no success. Its text may quote what was sent, so its code alone is told.
async fn refusal(response: Response) -> TranscriptionError {
    #[derive(Deserialize)]
    struct Refusal {
        error: Told,
    }
    #[derive(Deserialize)]
    struct Told {
        code: Option<String>,
    }
    let status = response.status().as_u16();
    let hint = match status {
        401 | 403 => ": is AIM_TRANSCRIPTION__API_KEY right?",
        404 => ": are AIM_TRANSCRIPTION__BASE_URL and AIM_TRANSCRIPTION__MODEL right?",
        413 => ": the sound is larger than it takes",
        429 => ": its rate limit or quota is used up",
        _ => "",
    };
    let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let body = body(response).await.unwrap_or_default();
    let code = serde_json::from_slice::<Refusal>(&body).ok().and_then(|refusal| refusal.error.code);
    // No money left is no matter of waiting.
    let quota = code.is_some_and(|code| code == "insufficient_quota");
    let retryable = matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504 | 529) && !quota;
    TranscriptionError {
        retryable,
        retry_after: seconds.map(|seconds| Duration::from_secs(seconds).min(RETRY_AFTER_MOST)),
        detail: format!("the provider answered {status}{hint}"),
    }
}

async fn body(response: Response) -> Result<Vec<u8>, TranscriptionError> {
    let mut body = Vec::new();
    let mut bytes = response.bytes_stream();
    while let Some(more) = bytes.next().await {
        let more = more.map_err(|_| TranscriptionError::later("the provider's answer broke off"))?;
        if body.len() + more.len() > ANSWER_MOST {
            return Err(TranscriptionError::never("the provider's answer is longer than any transcript"));
        }
        body.extend_from_slice(&more);
    }
    Ok(body)
}
