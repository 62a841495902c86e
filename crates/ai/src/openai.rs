//! OpenAI's chat completions as a stream, for OpenAI itself and all that are compatible with it (llama.cpp, vLLM,
//! LM Studio, OpenRouter, …). Written out rather than left to genai, which takes three times the processor time a
//! reply: here a piece is borrowed from the bytes that came, and pieces that came together leave as one.

use crate::model::{ErrorKind, ModelError, Request, Role, StopReason, TokenCount, Turn};
use crate::provider::{Event, Events, Protocol, ProviderSettings, http_client, transport_error};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::stream::{Stream, StreamExt};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Response, Url};
use serde::de::{self, IgnoredAny, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

/// Longest line of a stream, and longest part of an error's body that is looked at.
const LINE_MOST: usize = 1 << 20;
const ERROR_BODY_MOST: usize = 16 << 10;

/// Text that came together is handed on in pieces of about this many bytes.
const PIECE_MOST: usize = 4 << 10;

/// How long a provider may take to end its answer after `[DONE]`; reading to the end keeps the connection usable.
const END_GRACE: Duration = Duration::from_millis(100);

/// The API takes no more stop texts than this.
const STOPS_MOST: usize = 4;

pub(crate) struct OpenAi {
    http: reqwest::Client,
    chat: Url,
    models: Url,
    headers: HeaderMap,
    model: String,
    dialect: Dialect,
}

/// OpenAI's own newer models name the limit otherwise and refuse a temperature; the compatible ones know the old way.
#[derive(Clone, Copy)]
struct Dialect {
    max_completion_tokens: bool,
    temperature: bool,
}

impl Dialect {
    fn of(url: &Url, model: &str) -> Self {
        let own = url.host_str().is_some_and(|host| host == "openai.com" || host.ends_with(".openai.com"));
        let reasons = ["o1", "o3", "o4", "gpt-5"].iter().any(|family| model.starts_with(family));
        Self { max_completion_tokens: own, temperature: !(own && reasons) }
    }
}

impl OpenAi {
    pub(crate) fn new(settings: &ProviderSettings) -> Result<Self, ModelError> {
        let url = |path: &str| {
            Url::parse(&format!("{}/{path}", settings.base_url))
                .map_err(|error| ModelError::bad(format!("AIM_AI__BASE_URL is no URL: {error}")))
        };
        let chat = url("chat/completions")?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        if !settings.api_key.is_empty() {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", settings.api_key.reveal()))
                .map_err(|_| ModelError::bad("AIM_AI__API_KEY has characters that no header may hold"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(Self {
            http: http_client(settings)?,
            dialect: Dialect::of(&chat, &settings.model),
            chat,
            models: url("models")?,
            headers,
            model: settings.model.clone(),
        })
    }
}

#[async_trait]
impl Protocol for OpenAi {
    async fn open(&self, request: &Request) -> Result<Events, ModelError> {
        let body = serde_json::to_vec(&ChatBody::of(self, request))
            .map_err(|error| ModelError::bad(format!("the request could not be written: {error}")))?;
        let call = self.http.post(self.chat.clone()).headers(self.headers.clone()).body(body);
        let response = call.send().await.map_err(transport_error)?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        Ok(Reader {
            bytes: response.bytes_stream(),
            stream: EventStream::default(),
            failed: None,
            ended: false,
            yielded: false,
            grace: None,
        }
        .boxed())
    }

    async fn check(&self) -> Result<(), ModelError> {
        let call = self.http.get(self.models.clone()).headers(self.headers.clone());
        let status = call.send().await.map_err(transport_error)?.status();
        // Not every compatible server lists its models; that it answers is enough.
        if status.is_success() || matches!(status.as_u16(), 404 | 405) {
            return Ok(());
        }
        Err(ModelError::refused(status.as_u16(), None))
    }
}

/// The error of an answer that is no success, with the code that the provider gives it.
async fn refusal(response: Response) -> ModelError {
    let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let mut error = ModelError::refused(response.status().as_u16(), seconds.map(Duration::from_secs));
    let mut body = Vec::new();
    let mut bytes = response.bytes_stream();
    while let Some(Ok(more)) = bytes.next().await {
        body.extend_from_slice(&more);
        if body.len() > ERROR_BODY_MOST {
            break;
        }
    }
    if let Ok(Chunk { error: Some(told), .. }) = serde_json::from_slice(&body)
        && let Some(code) = told.code()
    {
        // No money left is no matter of waiting.
        error.retryable &= code != "insufficient_quota";
        error.detail = format!("{} ({code})", error.detail);
    }
    error
}

#[derive(Serialize)]
struct ChatBody<'a> {
    model: &'a str,
    messages: Messages<'a>,
    stream: bool,
    stream_options: StreamOptions,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

impl<'a> ChatBody<'a> {
    fn of(client: &'a OpenAi, request: &'a Request) -> Self {
        let Dialect { max_completion_tokens, temperature } = client.dialect;
        Self {
            model: &client.model,
            messages: Messages(request),
            stream: true,
            stream_options: StreamOptions { include_usage: true },
            max_tokens: (!max_completion_tokens).then_some(request.max_tokens),
            max_completion_tokens: max_completion_tokens.then_some(request.max_tokens),
            temperature: temperature.then_some(request.temperature),
            stop: &request.stop[..request.stop.len().min(STOPS_MOST)],
            seed: request.seed,
        }
    }
}

struct Messages<'a>(&'a Request);

impl Serialize for Messages<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Message<'a> {
            role: &'static str,
            content: Content<'a>,
        }
        serializer.collect_seq(self.0.messages.iter().map(|turn| Message {
            role: match turn.role {
                Role::System => "system",
                Role::User => "user",
                Role::Character => "assistant",
            },
            content: Content::of(turn),
        }))
    }
}

/// Plain where it can be: not every compatible server knows parts.
#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(&'a str),
    Parts(Vec<ContentPart<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ContentPart<'a> {
    Text { text: &'a str },
    ImageUrl { image_url: ImageUrl },
}

#[derive(Serialize)]
struct ImageUrl {
    url: String,
}

impl<'a> Content<'a> {
    fn of(turn: &'a Turn) -> Self {
        if turn.pictures.is_empty() {
            return Self::Text(&turn.text);
        }
        let pictures = turn.pictures.iter().map(|picture| {
            let url = format!("data:{};base64,{}", picture.mime_type, STANDARD.encode(&picture.bytes));
            ContentPart::ImageUrl { image_url: ImageUrl { url } }
        });
        let text = (!turn.text.is_empty()).then_some(ContentPart::Text { text: &turn.text });
        Self::Parts(text.into_iter().chain(pictures).collect())
    }
}

/// One event's JSON, borrowed. Fields that some send as null and others leave out are options.
#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(borrow, default)]
    error: Option<Told<'a>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, default)]
    delta: Option<Delta<'a>>,
    #[serde(borrow, default)]
    finish_reason: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    content: Option<Text<'a>>,
    #[serde(borrow, default)]
    reasoning_content: Option<Text<'a>>,
    #[serde(borrow, default)]
    reasoning: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
}

#[derive(Deserialize)]
struct Told<'a> {
    #[serde(borrow, default)]
    code: Option<Text<'a>>,
    #[serde(borrow, default, rename = "type")]
    kind: Option<Text<'a>>,
}

impl Told<'_> {
    /// A word such as `model_not_found`. The message beside it may quote the prompt, so it is not repeated.
    fn code(&self) -> Option<&str> {
        let word = |text: &&str| {
            (1..=64).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
                // Some repeat the status there.
                && !text.bytes().all(|b| b.is_ascii_digit())
        };
        let texts = [self.code.as_ref(), self.kind.as_ref()];
        texts.into_iter().flatten().map(|text| &*text.0).find(word)
    }
}

/// A string that is borrowed from the input when nothing in it is escaped; other types read as empty. (`Option<Cow>`
/// would always copy.)
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrow;
        impl<'de> Visitor<'de> for Borrow {
            type Value = Cow<'de, str>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(text))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(text.to_owned()))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Cow::Owned(number.to_string()))
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(""))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut parts: A) -> Result<Self::Value, A::Error> {
                while parts.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Cow::Borrowed(""))
            }
        }
        deserializer.deserialize_any(Borrow).map(Text)
    }
}

/// What the events so far have told. Bytes go in as they come, split anywhere.
#[derive(Default)]
struct EventStream {
    /// The start of a line whose end has not come.
    partial: Vec<u8>,
    text: String,
    thought: bool,
    stop: Option<StopReason>,
    tokens: Option<TokenCount>,
    done: bool,
    /// Whether any event came at all.
    opened: bool,
}

impl EventStream {
    fn feed(&mut self, mut bytes: &[u8]) -> Result<(), ModelError> {
        if !self.partial.is_empty() {
            let end = bytes.iter().position(|&b| b == b'\n');
            self.partial.extend_from_slice(&bytes[..end.unwrap_or(bytes.len())]);
            let Some(end) = end else { return self.bounded() };
            let line = std::mem::take(&mut self.partial);
            self.line(&line)?;
            bytes = &bytes[end + 1..];
        }
        while let Some(end) = bytes.iter().position(|&b| b == b'\n') {
            self.line(&bytes[..end])?;
            bytes = &bytes[end + 1..];
        }
        self.partial.extend_from_slice(bytes);
        self.bounded()
    }

    fn bounded(&self) -> Result<(), ModelError> {
        if self.partial.len() > LINE_MOST { Err(ModelError::bad("the provider sent an endless line")) } else { Ok(()) }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), ModelError> {
        let Some(data) = line.strip_prefix(b"data:") else { return Ok(()) };
        let data = data.trim_ascii();
        self.opened = true;
        if data == b"[DONE]" {
            self.done = true;
            return Ok(());
        }
        let chunk: Chunk<'_> = serde_json::from_slice(data).map_err(|error| {
            ModelError::bad(format!("the provider sent an event that is no chunk ({})", place(&error)))
        })?;
        if let Some(told) = chunk.error {
            let code = told.code().map_or(String::new(), |code| format!(" ({code})"));
            return Err(ModelError::new(ErrorKind::Interrupted, format!("the provider gave up the reply{code}")));
        }
        if let Some(Usage { prompt_tokens, completion_tokens }) = chunk.usage {
            self.tokens = Some(TokenCount { prompt: prompt_tokens, completion: completion_tokens });
        }
        let Some(choice) = chunk.choices.and_then(|choices| choices.into_iter().next()) else { return Ok(()) };
        if let Some(delta) = choice.delta {
            if let Some(content) = delta.content {
                self.text.push_str(&content.0);
            }
            self.thought |= [delta.reasoning_content, delta.reasoning].iter().flatten().any(|text| !text.0.is_empty());
        }
        match choice.finish_reason.as_ref().map(|reason| &*reason.0) {
            None | Some("") => {}
            Some("length") => self.stop = Some(StopReason::Length),
            Some("content_filter") => self.stop = Some(StopReason::Filtered),
            Some(_) => self.stop = Some(StopReason::Finished),
        }
        Ok(())
    }

    /// The next event of what was fed, text first.
    fn take(&mut self) -> Option<Event> {
        if !self.text.is_empty() {
            self.thought = false;
            return Some(Event::Text(std::mem::take(&mut self.text)));
        }
        std::mem::take(&mut self.thought).then_some(Event::Thinking)
    }

    /// The event at the end of the bytes; an error when the reply had not ended.
    fn end(&mut self) -> Result<Event, ModelError> {
        match self.stop {
            Some(stop) => Ok(Event::End { tokens: self.tokens, stop }),
            None if self.done => Ok(Event::End { tokens: self.tokens, stop: StopReason::Finished }),
            None if self.opened => Err(ModelError::new(ErrorKind::Interrupted, "the reply broke off")),
            None => Err(ModelError::bad("the provider's answer is no stream of events")),
        }
    }
}

/// Where JSON went wrong, without the text there.
fn place(error: &serde_json::Error) -> String {
    format!("{:?} error at byte {}", error.classify(), error.column())
}

struct Reader<S> {
    bytes: S,
    stream: EventStream,
    /// What went wrong after text that is still to be handed on.
    failed: Option<ModelError>,
    /// No more bytes will come.
    ended: bool,
    /// Whether the connection was given a moment, since the last bytes, to hand over what has come meanwhile.
    yielded: bool,
    grace: Option<Pin<Box<Sleep>>>,
}

impl<S, B> Stream for Reader<S>
where
    S: Stream<Item = reqwest::Result<B>> + Unpin,
    B: AsRef<[u8]>,
{
    type Item = Result<Event, ModelError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if this.stream.text.len() >= PIECE_MOST {
                return Poll::Ready(this.stream.take().map(Ok));
            }
            if let Some(error) = this.failed.take() {
                return Poll::Ready(Some(Err(error)));
            }
            if this.ended {
                return Poll::Ready(Some(this.stream.take().map_or_else(|| this.stream.end(), Ok)));
            }
            let error = match this.bytes.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(bytes))) => {
                    this.yielded = false;
                    match this.stream.feed(bytes.as_ref()) {
                        Ok(()) => continue,
                        Err(error) => error,
                    }
                }
                // A connection that breaks after the reply's end does no harm to the reply.
                Poll::Ready(Some(Err(error))) if this.stream.stop.is_none() && !this.stream.done => {
                    transport_error(error)
                }
                Poll::Ready(_) => {
                    this.ended = true;
                    continue;
                }
                Poll::Pending => {
                    // The connection's task hands over one chunk at a time. When more of them are there already, one
                    // larger piece spares all that comes after us most of its work.
                    if !this.stream.text.is_empty() && !this.yielded {
                        this.yielded = true;
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    if let Some(event) = this.stream.take() {
                        return Poll::Ready(Some(Ok(event)));
                    }
                    if this.stream.done {
                        let grace = this.grace.get_or_insert_with(|| Box::pin(sleep(END_GRACE)));
                        if grace.as_mut().poll(cx).is_ready() {
                            return Poll::Ready(Some(this.stream.end()));
                        }
                    }
                    return Poll::Pending;
                }
            };
            this.failed = Some(error);
            if let Some(event) = this.stream.take() {
                return Poll::Ready(Some(Ok(event)));
            }
        }
    }
}

#[cfg(test)]
mod tests;
