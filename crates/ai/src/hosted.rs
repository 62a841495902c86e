//! Anthropic, Gemini and Ollama, each in its own protocol, through genai.

use crate::model::{ErrorKind, ModelError, Request, Role, StopReason, TokenCount, Turn};
use crate::provider::{Event, Events, Protocol, Provider, ProviderSettings, http_client, transport_error};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::stream::StreamExt;
use genai::adapter::AdapterKind;
use genai::chat::{
    ChatMessage, ChatOptions, ChatRequest, ChatStreamEvent, ContentPart, MessageContent, StopReason as Stop, StreamEnd,
};
use genai::resolver::{AuthData, Endpoint};
use genai::{Client, ModelIden, ServiceTarget};
use std::time::Duration;

/// Said by nobody: some providers want the first turn to be the user's, and our conversations start with a greeting.
const OPENING: &str = "(The conversation begins.)";

pub(crate) struct Hosted {
    client: Client,
    http: reqwest::Client,
    provider: Provider,
    /// Ends in a slash, as genai wants it.
    base_url: String,
    target: ServiceTarget,
    key: String,
}

impl Hosted {
    pub(crate) fn new(settings: &ProviderSettings) -> Result<Self, ModelError> {
        let provider = settings.provider;
        let (kind, base_url) = match provider {
            Provider::Anthropic => (AdapterKind::Anthropic, settings.base_url.as_str()),
            Provider::Gemini => (AdapterKind::Gemini, settings.base_url.as_str()),
            // Its own API is beside the compatible one, not below it.
            _ => (AdapterKind::Ollama, settings.base_url.trim_end_matches("/v1")),
        };
        if settings.api_key.is_empty() && provider != Provider::Ollama {
            return Err(ModelError::bad(format!("AIM_AI__API_KEY is not set: {} wants one", provider.as_str())));
        }
        let base_url = format!("{base_url}/");
        let key = settings.api_key.reveal().to_owned();
        let http = http_client(settings)?;
        let client = Client::builder()
            .with_reqwest(http.clone())
            .build()
            .map_err(|_| ModelError::bad("the client of the provider could not be made"))?;
        let target = ServiceTarget {
            endpoint: Endpoint::from_owned(base_url.as_str()),
            auth: AuthData::from_single(key.as_str()),
            model: ModelIden::new(kind, settings.model.as_str()),
        };
        Ok(Self { client, http, provider, base_url, target, key })
    }

    fn chat(&self, request: &Request) -> ChatRequest {
        let mut messages: Vec<ChatMessage> = Vec::with_capacity(request.messages.len() + 1);
        let mut spoken = false;
        for turn in &request.messages {
            if turn.role == Role::Character && !spoken && self.provider != Provider::Ollama {
                messages.push(ChatMessage::user(OPENING));
            }
            messages.push(match turn.role {
                Role::System => ChatMessage::system(turn.text.as_str()),
                Role::User => ChatMessage::user(content(turn)),
                Role::Character => ChatMessage::assistant(turn.text.as_str()),
            });
            spoken |= turn.role != Role::System;
        }
        ChatRequest::new(messages)
    }
}

#[async_trait]
impl Protocol for Hosted {
    async fn open(&self, request: &Request) -> Result<Events, ModelError> {
        let mut options = ChatOptions::default()
            .with_capture_usage(true)
            .with_max_tokens(request.max_tokens)
            .with_temperature(f64::from(request.temperature))
            .with_stop_sequences(request.stop.clone());
        options.seed = request.seed;
        let call = self.client.exec_chat_stream(self.target.clone(), self.chat(request), Some(&options));
        let stream = call.await.map_err(failure)?.stream;
        let events = stream.filter_map(|event| {
            let event = match event {
                Ok(ChatStreamEvent::Chunk(chunk)) if !chunk.content.is_empty() => Some(Ok(Event::Text(chunk.content))),
                Ok(ChatStreamEvent::ReasoningChunk(_) | ChatStreamEvent::Heartbeat) => Some(Ok(Event::Thinking)),
                Ok(ChatStreamEvent::End(end)) => Some(Ok(ended(end))),
                Ok(_) => None,
                Err(error) => Some(Err(failure(error))),
            };
            std::future::ready(event)
        });
        Ok(events.boxed())
    }

    async fn check(&self) -> Result<(), ModelError> {
        let url = |path: &str| format!("{}{path}", self.base_url);
        let call = match self.provider {
            Provider::Anthropic => {
                let call = self.http.get(url("models?limit=1")).header("x-api-key", &self.key);
                call.header("anthropic-version", "2023-06-01")
            }
            Provider::Gemini => self.http.get(url("models?pageSize=1")).header("x-goog-api-key", &self.key),
            _ => self.http.get(url("api/version")),
        };
        let status = call.send().await.map_err(transport_error)?.status();
        if status.is_success() { Ok(()) } else { Err(ModelError::refused(status.as_u16(), None)) }
    }
}

fn content(turn: &Turn) -> MessageContent {
    let text = ContentPart::from_text(turn.text.as_str());
    let pictures = turn
        .pictures
        .iter()
        .map(|picture| ContentPart::from_binary_base64(&*picture.mime_type, STANDARD.encode(&picture.bytes), None));
    MessageContent::from_parts(std::iter::once(text).chain(pictures).collect::<Vec<_>>())
}

fn ended(end: StreamEnd) -> Event {
    let stop = match end.captured_stop_reason {
        Some(Stop::MaxTokens(_)) => StopReason::Length,
        Some(Stop::ContentFilter(_)) => StopReason::Filtered,
        _ => StopReason::Finished,
    };
    let count = |tokens: Option<i32>| tokens.and_then(|tokens| u64::try_from(tokens).ok());
    let tokens = end.captured_usage.and_then(|usage| {
        Some(TokenCount { prompt: count(usage.prompt_tokens)?, completion: count(usage.completion_tokens)? })
    });
    Event::End { tokens, stop }
}

/// genai's error as ours. Its own texts quote requests and answers, so only their kind is told.
fn failure(error: genai::Error) -> ModelError {
    let retry_after = |error: &genai::Error| {
        let seconds = error.headers()?.get(reqwest::header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
        Some(Duration::from_secs(seconds))
    };
    if let Some(status) = error.status() {
        return ModelError::refused(status.as_u16(), retry_after(&error));
    }
    match error {
        genai::Error::WebStream { error, .. } => match error.downcast::<genai::Error>() {
            Ok(inner) => match inner.status() {
                Some(status) => ModelError::refused(status.as_u16(), retry_after(&inner)),
                None => ModelError::new(ErrorKind::Interrupted, "the provider gave up the reply"),
            },
            Err(error) => match error.downcast::<reqwest::Error>() {
                Ok(error) => transport_error(*error),
                Err(_) => ModelError::new(ErrorKind::Interrupted, "the connection to the provider broke"),
            },
        },
        genai::Error::WebModelCall { webc_error: genai::webc::Error::Reqwest(error), .. } => transport_error(error),
        genai::Error::ChatResponse { .. } => ModelError::new(ErrorKind::Interrupted, "the provider gave up the reply"),
        genai::Error::StreamParse { .. } => ModelError::bad("the provider sent an event that makes no sense"),
        _ => ModelError::bad("the provider does not take this request"),
    }
}
