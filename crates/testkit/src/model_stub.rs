//! An OpenAI-compatible model in the test's own process: it answers what it is told to, as slowly and as badly as it
//! is told to, and remembers who asked what and who went away. Every reply says which message it answers.

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures::stream::unfold;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How the stub answers; the default answers at once and well.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// What follows the opening `About {marker}: `.
    pub pieces: Vec<String>,
    /// Whether the reply opens with whom it answers.
    pub opening: bool,
    pub first_delay: Duration,
    /// Before each piece but the first.
    pub delay: Duration,
    /// Tokens of prompt and completion that are told; none tells nothing.
    pub usage: Option<(u64, u64)>,
    /// Calls that are still to be refused, with what status; counted down.
    pub refuse: Option<Refuse>,
    /// After how many pieces, the opening among them, the connection breaks.
    pub break_after: Option<usize>,
    /// After how many pieces, the opening among them, nothing more comes; 0: not even the head of the answer.
    pub hang_after: Option<usize>,
}

#[derive(Clone, Copy, Debug)]
pub struct Refuse {
    pub times: u32,
    pub status: u16,
    /// Seconds.
    pub retry_after: Option<u64>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            pieces: ["the ", "tide ", "turns ", "slowly ", "🌊 ", "indeed."].map(String::from).into(),
            opening: true,
            first_delay: Duration::ZERO,
            delay: Duration::ZERO,
            usage: Some((11, 7)),
            refuse: None,
            break_after: None,
            hang_after: None,
        }
    }
}

/// One call as it was asked.
#[derive(Clone, Debug, Deserialize)]
pub struct Asked {
    pub model: String,
    pub messages: Vec<AskedMessage>,
    #[serde(default)]
    pub max_tokens: Option<u32>,
    #[serde(default)]
    pub stop: Vec<String>,
    #[serde(default)]
    pub seed: Option<u64>,
    #[serde(skip)]
    pub authorization: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "WireMessage")]
pub struct AskedMessage {
    pub role: String,
    /// Its text.
    pub content: String,
    /// The URLs of its pictures.
    pub pictures: Vec<String>,
}

#[derive(Deserialize)]
struct WireMessage {
    role: String,
    content: WireContent,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WireContent {
    Text(String),
    Parts(Vec<WirePart>),
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum WirePart {
    Text { text: String },
    ImageUrl { image_url: WireUrl },
}

#[derive(Deserialize)]
struct WireUrl {
    url: String,
}

impl From<WireMessage> for AskedMessage {
    fn from(WireMessage { role, content }: WireMessage) -> Self {
        let mut message = Self { role, content: String::new(), pictures: Vec::new() };
        match content {
            WireContent::Text(text) => message.content = text,
            WireContent::Parts(parts) => {
                for part in parts {
                    match part {
                        WirePart::Text { text } => message.content.push_str(&text),
                        WirePart::ImageUrl { image_url } => message.pictures.push(image_url.url),
                    }
                }
            }
        }
        message
    }
}

impl Asked {
    /// What the reply says that it answers: the last marker `lg#…` of the last user's text, or else that text's start.
    pub fn marker(&self) -> String {
        let last = self.messages.iter().rfind(|message| message.role == "user").map_or("", |message| &message.content);
        match last.rfind("lg#") {
            Some(at) => last[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || "#-".contains(*c)).collect(),
            None => last.chars().take_while(|c| *c != '\n').take(60).collect(),
        }
    }
}

#[derive(Default)]
struct Record {
    behaviour: Behaviour,
    asked: Vec<Asked>,
    under_way: usize,
    most_under_way: usize,
    finished: usize,
    cancelled: usize,
    peers: HashSet<SocketAddr>,
}

type Shared = Arc<Mutex<Record>>;

/// A running stub; it stops when dropped.
pub struct ModelStub {
    address: SocketAddr,
    record: Shared,
    server: JoinHandle<()>,
}

impl Drop for ModelStub {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl ModelStub {
    /// Listens on a free port of the loopback.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(Behaviour::default()).await
    }

    pub async fn start_with(behaviour: Behaviour) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let record: Shared = Arc::new(Mutex::new(Record { behaviour, ..Default::default() }));
        let router = Router::new()
            .route("/v1/models", get(|| async { Json(json!({ "object": "list", "data": [{ "id": "stub" }] })) }))
            .route("/v1/chat/completions", post(answer))
            .with_state(record.clone());
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>()).await;
        });
        Ok(Self { address, record, server })
    }

    /// For `AIM_AI__BASE_URL`: `http://127.0.0.1:PORT/v1`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Changes how calls from now on are answered.
    pub fn set(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.record.lock().behaviour);
    }

    /// Refuses the next `times` calls with `status`.
    pub fn refuse_next(&self, times: u32, status: u16) {
        self.set(|behaviour| behaviour.refuse = Some(Refuse { times, status, retry_after: None }));
    }

    /// All calls in order, the refused ones too.
    pub fn asked(&self) -> Vec<Asked> {
        self.record.lock().asked.clone()
    }

    pub fn calls(&self) -> usize {
        self.record.lock().asked.len()
    }

    /// Replies that were sent to their end.
    pub fn finished(&self) -> usize {
        self.record.lock().finished
    }

    /// Replies whose asker went away before their end.
    pub fn cancelled(&self) -> usize {
        self.record.lock().cancelled
    }

    pub fn under_way(&self) -> usize {
        self.record.lock().under_way
    }

    /// Connections over which calls came.
    pub fn connections(&self) -> usize {
        self.record.lock().peers.len()
    }

    pub fn most_under_way(&self) -> usize {
        self.record.lock().most_under_way
    }
}

/// Counts a reply under way, and notes how it ended: whoever goes away drops this before it is finished.
struct UnderWay {
    record: Shared,
    over: bool,
}

impl UnderWay {
    fn begin(record: &Shared) -> Self {
        let mut now = record.lock();
        now.under_way += 1;
        now.most_under_way = now.most_under_way.max(now.under_way);
        drop(now);
        Self { record: record.clone(), over: false }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut now = self.record.lock();
        now.under_way -= 1;
        if !self.over {
            now.cancelled += 1;
        }
    }
}

async fn answer(
    State(record): State<Shared>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: header::HeaderMap,
    Json(mut asked): Json<Asked>,
) -> Response {
    asked.authorization = headers.get(header::AUTHORIZATION).and_then(|value| Some(value.to_str().ok()?.to_owned()));
    let marker = asked.marker();
    let behaviour = {
        let mut now = record.lock();
        now.asked.push(asked);
        now.peers.insert(peer);
        if let Some(refuse) = now.behaviour.refuse.as_mut().filter(|refuse| refuse.times > 0) {
            refuse.times -= 1;
            return refusal(*refuse);
        }
        now.behaviour.clone()
    };
    let under_way = UnderWay::begin(&record);
    if behaviour.hang_after == Some(0) {
        std::future::pending::<()>().await;
    }
    reply(behaviour, &marker, under_way)
}

fn refusal(Refuse { status, retry_after, .. }: Refuse) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = Json(json!({ "error": { "message": "as the test wants", "type": "stub_refusal" } }));
    match retry_after {
        Some(seconds) => (status, [(header::RETRY_AFTER, seconds.to_string())], body).into_response(),
        None => (status, body).into_response(),
    }
}

fn reply(behaviour: Behaviour, marker: &str, under_way: UnderWay) -> Response {
    let mut events: Vec<Bytes> = Vec::new();
    let opening = behaviour.opening.then(|| format!("About {marker}: "));
    for piece in opening.iter().chain(&behaviour.pieces) {
        events.push(event(json!([{ "index": 0, "delta": { "content": piece }, "finish_reason": null }]), Value::Null));
    }
    events.push(event(json!([{ "index": 0, "delta": {}, "finish_reason": "stop" }]), Value::Null));
    if let Some((prompt, completion)) = behaviour.usage {
        let usage =
            json!({ "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion });
        events.push(event(json!([]), usage));
    }
    events.push(Bytes::from_static(b"data: [DONE]\n\n"));
    let body = unfold((0, events, behaviour, under_way), |(at, events, behaviour, mut under_way)| async move {
        let Some(event) = events.get(at).cloned() else {
            under_way.over = true;
            under_way.record.lock().finished += 1;
            return None;
        };
        if behaviour.break_after == Some(at) {
            under_way.over = true;
            // What was said so far must have left before the connection breaks.
            tokio::time::sleep(Duration::from_millis(20)).await;
            return Some((
                Err(io::Error::other("broken as the test wants")),
                (events.len(), events, behaviour, under_way),
            ));
        }
        if behaviour.hang_after == Some(at) {
            std::future::pending::<()>().await;
        }
        let wait = if at == 0 { behaviour.first_delay } else { behaviour.delay };
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        Some((Ok(event), (at + 1, events, behaviour, under_way)))
    });
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(body)).into_response()
}

fn event(choices: Value, usage: Value) -> Bytes {
    let chunk = json!({
        "id": "chatcmpl-stub", "object": "chat.completion.chunk", "created": 0, "model": "stub",
        "choices": choices, "usage": usage,
    });
    format!("data: {chunk}\n\n").into()
}
