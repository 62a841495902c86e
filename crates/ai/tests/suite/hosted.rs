//! Anthropic, Gemini and Ollama by their documented answers, each said once by a server of one sentence.

use aim_ai::provider::Remote;
use aim_ai::{
    ApiKey, ErrorKind, LanguageModel, Piece, Provider, ProviderSettings, Request, Role, StopReason, TokenCount, Turn,
};
use aim_domain::Ambient;
use futures::StreamExt;
use serde_json::Value;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// What was asked: the request's first line and headers in lower case, and its body.
struct Asked {
    head: String,
    body: Value,
}

/// Answers every call with `answer`, and hands on what was asked.
async fn server(status: &'static str, kind: &'static str, answer: &'static str) -> (String, mpsc::Receiver<Asked>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, asked) = mpsc::channel(8);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut bytes = Vec::new();
            let (head, rest) = loop {
                assert!(socket.read_buf(&mut bytes).await.unwrap() > 0, "a whole request");
                let text = String::from_utf8_lossy(&bytes);
                let Some((head, rest)) = text.split_once("\r\n\r\n") else { continue };
                let head = head.to_lowercase();
                let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
                if rest.len() >= length.unwrap_or(0) {
                    break (head, rest.to_owned());
                }
            };
            let body = serde_json::from_str(&rest).unwrap_or_default();
            let reply = format!(
                "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
                answer.len()
            );
            socket.write_all(reply.as_bytes()).await.unwrap();
            tell.send(Asked { head, body }).await.unwrap();
        }
    });
    (url, asked)
}

fn model(provider: Provider, base_url: String) -> Remote {
    let settings = ProviderSettings {
        provider,
        base_url,
        model: "some-model".into(),
        api_key: ApiKey::new("sk-canary"),
        first_token_timeout: Duration::from_secs(5),
        retries: 0,
        ..Default::default()
    };
    Remote::new(settings, Ambient::system()).unwrap()
}

/// A conversation as ours are: a greeting comes first.
fn request() -> Request {
    let messages = vec![
        Turn::new(Role::System, "You are Mara."),
        Turn::new(Role::Character, "Welcome."),
        Turn::new(Role::User, "Hello"),
    ];
    Request { messages, max_tokens: 40, stop: vec!["\nUser:".into()], ..Default::default() }
}

async fn whole(model: &Remote) -> (String, TokenCount, StopReason) {
    let mut stream = model.stream(request()).await.unwrap();
    let mut text = String::new();
    loop {
        match stream.next().await.unwrap().unwrap() {
            Piece::Text(piece) => text.push_str(&piece),
            Piece::End { tokens, stop } => return (text, tokens, stop),
        }
    }
}

const COUNTED: TokenCount = TokenCount { prompt: 12, completion: 5 };

#[tokio::test]
async fn anthropic_answers_with_text_tokens_and_its_reason_to_stop() {
    let answer = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":12,\"output_tokens\":1}}}\n\n",
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
        "event: ping\ndata: {\"type\":\"ping\"}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"The tide \"}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"turns 🌊\"}}\n\n",
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"max_tokens\"},\"usage\":{\"output_tokens\":5}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    );
    let (url, mut asked) = server("200 OK", "text/event-stream", answer).await;
    let told = whole(&model(Provider::Anthropic, format!("{url}/v1"))).await;
    assert_eq!(told, ("The tide turns 🌊".into(), COUNTED, StopReason::Length));
    let Asked { head, body } = asked.recv().await.unwrap();
    assert!(head.starts_with("post /v1/messages ") && head.contains("x-api-key: sk-canary"), "{head}");
    assert_eq!((&body["max_tokens"], &body["stop_sequences"][0]), (&40.into(), &"\nUser:".into()));
    assert_eq!(body["messages"][0]["role"], "user", "the first turn is the user's: {body}");
    assert_eq!(body["messages"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn gemini_answers_with_text_tokens_and_its_reason_to_stop() {
    let answer = concat!(
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"The tide \"}],\"role\":\"model\"},\"index\":0}]}\n\n",
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"turns\"}],\"role\":\"model\"},\"finishReason\":\"STOP\",\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":12,\"candidatesTokenCount\":5,\"totalTokenCount\":17}}\n\n",
    );
    let (url, mut asked) = server("200 OK", "text/event-stream", answer).await;
    let told = whole(&model(Provider::Gemini, format!("{url}/v1beta"))).await;
    assert_eq!(told, ("The tide turns".into(), COUNTED, StopReason::Finished));
    let Asked { head, body } = asked.recv().await.unwrap();
    assert!(head.starts_with("post /v1beta/models/some-model:streamgeneratecontent"), "{head}");
    assert!(head.contains("x-goog-api-key: sk-canary"), "{head}");
    assert_eq!(body["contents"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn ollama_answers_with_text_tokens_and_its_reason_to_stop() {
    let answer = concat!(
        "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"The tide \"},\"done\":false}\n",
        "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"turns\"},\"done\":false}\n",
        "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\",\"prompt_eval_count\":12,\"eval_count\":5}\n",
    );
    let (url, mut asked) = server("200 OK", "application/x-ndjson", answer).await;
    // Written with the version, as for the compatible API, it works as well.
    let told = whole(&model(Provider::Ollama, format!("{url}/v1/"))).await;
    assert_eq!(told, ("The tide turns".into(), COUNTED, StopReason::Finished));
    let Asked { head, body } = asked.recv().await.unwrap();
    assert!(head.starts_with("post /api/chat "), "{head}");
    assert_eq!((&body["options"]["num_predict"], &body["messages"][1]["role"]), (&40.into(), &"assistant".into()));
}

#[tokio::test]
async fn their_refusals_keep_their_status_and_tell_no_secret() {
    for provider in [Provider::Anthropic, Provider::Gemini, Provider::Ollama] {
        let (url, _asked) =
            server("429 Too Many Requests", "application/json", "{\"error\":{\"message\":\"canary\"}}").await;
        let error = match model(provider, url).stream(request()).await {
            Ok(_) => panic!("a reply came"),
            Err(error) => error,
        };
        assert_eq!((error.kind, error.retryable), (ErrorKind::Refused(429), true), "{provider:?}");
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
}

#[tokio::test]
async fn nobody_listening_is_told_as_such_by_all() {
    for provider in [Provider::Anthropic, Provider::Gemini, Provider::Ollama] {
        let model = model(provider, "http://127.0.0.1:9".into());
        let error = model.stream(request()).await.map(|_| ()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Connect, "{provider:?} {error:?}");
        assert_eq!(model.check().await.unwrap_err().kind, ErrorKind::Connect);
    }
}

#[tokio::test]
async fn a_check_is_signed_as_the_provider_wants_it() {
    for (provider, path, header) in [
        (Provider::Anthropic, "get /v1/models", "x-api-key: sk-canary"),
        (Provider::Gemini, "get /v1/models", "x-goog-api-key: sk-canary"),
        (Provider::Ollama, "get /api/version", "host: "),
    ] {
        let (url, mut asked) = server("200 OK", "application/json", "{}").await;
        model(provider, format!("{url}/v1")).check().await.unwrap();
        let head = asked.recv().await.unwrap().head;
        assert!(head.starts_with(path) && head.contains(header), "{head}");
    }
}
