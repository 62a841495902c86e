//! Transcription by its documented call, answered by a server of one sentence.

use aim_ai::ApiKey;
use aim_ai::transcription::{Recording, Transcription, TranscriptionError, TranscriptionSettings};
use bytes::Bytes;
use futures::StreamExt;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// Answers every call with a status line, headers more and a body, and hands on what was asked, head and body.
async fn server(
    status: &'static str,
    headers: &'static str,
    answer: impl Into<String>,
) -> (String, mpsc::Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let (tell, asked) = mpsc::channel(8);
    let answer = answer.into();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut bytes = Vec::new();
            let (head, body) = loop {
                assert!(socket.read_buf(&mut bytes).await.unwrap() > 0, "a whole request");
                let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
                let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
                let length: usize = head
                    .split("content-length: ")
                    .nth(1)
                    .and_then(|rest| rest.lines().next()?.parse().ok())
                    .expect("the length is known beforehand");
                if bytes.len() >= end + 4 + length {
                    break (head, bytes[end + 4..].to_vec());
                }
            };
            let reply = format!(
                "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{answer}",
                answer.len()
            );
            let _ = socket.write_all(reply.as_bytes()).await;
            tell.send((head, body)).await.unwrap();
        }
    });
    (url, asked)
}

fn transcription(base_url: &str, timeout: Duration) -> Transcription {
    let settings = TranscriptionSettings {
        base_url: base_url.to_owned(),
        model: "whisper-1".into(),
        api_key: ApiKey::new("sk-canary"),
        timeout,
    };
    Transcription::new(&settings).unwrap()
}

const PATIENT: Duration = Duration::from_secs(10);

fn recording() -> Recording {
    Recording::whole(Bytes::from_static(b"OggS and what was said"), "audio/ogg", "ogg")
}

async fn refused(status: &'static str, headers: &'static str, answer: &'static str) -> TranscriptionError {
    let (url, _asked) = server(status, headers, answer).await;
    transcription(&url, PATIENT).transcribe(recording()).await.unwrap_err()
}

#[tokio::test]
async fn the_sound_is_sent_as_a_form_and_what_was_said_comes_back() {
    let answer = r#"{"text":"  Tell me a story about the storm. \n","usage":{"type":"duration","seconds":3}}"#;
    let (url, mut asked) = server("200 OK", "content-type: application/json\r\n", answer).await;
    let said = transcription(&format!("{url}/"), PATIENT).transcribe(recording()).await.unwrap();
    assert_eq!(said, "Tell me a story about the storm.");
    let (head, body) = asked.recv().await.unwrap();
    assert!(head.starts_with("post /v1/audio/transcriptions http/1.1"), "{head}");
    assert!(head.contains("authorization: bearer sk-canary"), "{head}");
    assert!(head.contains("content-type: multipart/form-data; boundary="), "{head}");
    let body = String::from_utf8(body).unwrap();
    for part in [
        "name=\"model\"\r\n\r\nwhisper-1\r\n",
        "name=\"response_format\"\r\n\r\njson\r\n",
        "name=\"file\"; filename=\"recording.ogg\"\r\nContent-Type: audio/ogg\r\n\r\nOggS and what was said\r\n",
    ] {
        assert!(body.contains(part), "{part:?} is not in {body:?}");
    }
}

#[tokio::test]
async fn a_long_sound_is_streamed() {
    let (url, mut asked) = server("200 OK", "", r#"{"text":""}"#).await;
    let pieces = futures::stream::iter((0..200).map(|_| Ok(Bytes::from(vec![b'x'; 10_000])))).boxed();
    let said = transcription(&url, PATIENT).transcribe(Recording::new(2_000_000, pieces, "audio/webm", "webm")).await;
    assert_eq!(said.unwrap(), "", "nothing was said");
    let (_, body) = asked.recv().await.unwrap();
    assert_eq!(body.iter().filter(|&&byte| byte == b'x').count() / 1000, 2000);
}

#[tokio::test]
async fn a_status_tells_whether_to_try_again() {
    let no_money = r#"{"error":{"message":"canary","code":"insufficient_quota"}}"#;
    for (status, answer, retryable, said) in [
        ("500 Internal Server Error", "canary", true, "500"),
        ("503 Service Unavailable", "{}", true, "503"),
        ("429 Too Many Requests", "{}", true, "429: its rate limit or quota is used up"),
        ("429 Too Many Requests", no_money, false, "429"),
        ("400 Bad Request", r#"{"error":{"message":"canary","code":null}}"#, false, "400"),
        ("401 Unauthorized", "{}", false, "AIM_TRANSCRIPTION__API_KEY"),
        ("404 Not Found", "{}", false, "AIM_TRANSCRIPTION__MODEL"),
        ("413 Payload Too Large", "{}", false, "413: the sound is larger"),
        ("307 Temporary Redirect", "{}", false, "307"),
    ] {
        let error = refused(status, "location: http://127.0.0.1:9/\r\n", answer).await;
        assert_eq!(error.retryable, retryable, "{status}: {error}");
        assert!(error.detail.contains(said) && !error.detail.contains("canary"), "{status}: {error}");
    }
    let error = refused("429 Too Many Requests", "retry-after: 7\r\n", "{}").await;
    assert_eq!(error.retry_after, Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn an_answer_that_is_no_transcript_is_final_and_not_repeated_in_the_error() {
    for answer in ["<html>canary</html>", r#"{"canary":1}"#, ""] {
        let error = refused("200 OK", "", answer).await;
        assert!(!error.retryable && !error.detail.contains("canary"), "{error}");
    }
    let (url, _asked) = server("200 OK", "", format!(r#"{{"text":"{}"}}"#, "canary ".repeat(300_000))).await;
    let error = transcription(&url, PATIENT).transcribe(recording()).await.unwrap_err();
    assert!(error.detail.contains("longer than any transcript"), "{error}");
}

#[tokio::test]
async fn a_silent_provider_and_an_absent_one_may_answer_later() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let start = Instant::now();
    let slow = transcription(&url, Duration::from_millis(300)).transcribe(recording()).await.unwrap_err();
    assert!(slow.retryable && slow.detail.contains("AIM_TRANSCRIPTION__TIMEOUT"), "{slow}");
    assert!(start.elapsed() < Duration::from_secs(3));
    drop(listener);
    let gone = transcription(&url, PATIENT).transcribe(recording()).await.unwrap_err();
    assert!(gone.retryable && gone.detail.contains("nobody answered"), "{gone}");
}

#[tokio::test]
async fn a_sound_that_cannot_be_read_to_its_end_is_no_transcript() {
    let (url, _asked) = server("200 OK", "", r#"{"text":"half"}"#).await;
    let pieces = [Ok(Bytes::from_static(b"half")), Err(std::io::Error::other("the disk"))];
    let recording = Recording::new(100, futures::stream::iter(pieces).boxed(), "audio/ogg", "ogg");
    assert!(transcription(&url, PATIENT).transcribe(recording).await.unwrap_err().retryable);
}

#[test]
fn settings_that_cannot_work_say_which() {
    let told = |base_url: &str, key: &str| {
        let settings = TranscriptionSettings {
            base_url: base_url.into(),
            api_key: ApiKey::new(key),
            ..TranscriptionSettings::default()
        };
        assert!(!format!("{settings:?}").contains("canary"), "the key shows itself nowhere");
        let error = Transcription::new(&settings).err().unwrap();
        assert!(!error.retryable && !error.detail.contains("canary"), "{error}");
        error.detail
    };
    assert!(told("whisper", "").starts_with("AIM_TRANSCRIPTION__BASE_URL is no URL"));
    assert!(told("http://127.0.0.1:1/v1", "sk-canary\n").starts_with("AIM_TRANSCRIPTION__API_KEY"));
}
