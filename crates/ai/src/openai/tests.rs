#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;

const STREAM: &str = concat!(
    ": a comment\r\n\r\n",
    "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":null},\"finish_reason\":null}],\"usage\":null}\r\n\r\n",
    "event: message\ndata:{\"choices\":[{\"delta\":{\"content\":\"Sal\\u0075t 🌊\\n\"}}]}\n\n",
    "data: {\"choices\":[],\"prompt_filter_results\":[]}\n\n",
    "data: {\"choices\":[{\"delta\":{\"content\":\"toi\"},\"finish_reason\":\"length\"}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"extra\":{}}}\n\ndata: [DONE]\n\n",
);

#[test]
fn a_stream_reads_the_same_however_its_bytes_are_cut() {
    for size in 1..STREAM.len() {
        let mut stream = EventStream::default();
        let mut text = String::new();
        for bytes in STREAM.as_bytes().chunks(size) {
            stream.feed(bytes).unwrap();
            if let Some(Event::Text(more)) = stream.take() {
                text.push_str(&more);
            }
        }
        assert_eq!(text, "Salut 🌊\ntoi");
        let Ok(Event::End { tokens, stop }) = stream.end() else { panic!("no end") };
        assert_eq!((tokens, stop), (Some(TokenCount { prompt: 3, completion: 2 }), StopReason::Length));
    }
}

#[test]
fn reasoning_is_a_sign_of_life_and_no_text() {
    let mut stream = EventStream::default();
    stream.feed(b"data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"Hm\"}}]}\n").unwrap();
    assert!(matches!(stream.take(), Some(Event::Thinking)));
    assert!(stream.take().is_none());
}

#[test]
fn what_is_no_stream_of_replies_is_told_without_its_text() {
    let mut page = EventStream::default();
    page.feed(b"<html>canary</html>\n").unwrap();
    assert_eq!(page.end().unwrap_err().kind, ErrorKind::Bad);
    let mut stream = EventStream::default();
    let broken = stream.feed(b"data: {\"canary\n").unwrap_err();
    let told = stream
        .feed(b"data: {\"error\":{\"message\":\"canary\",\"code\":500,\"type\":\"server_error\"}}\n")
        .unwrap_err();
    assert!(!broken.detail.contains("canary") && told.detail.ends_with("(server_error)"), "{broken} {told}");
    assert_eq!((broken.kind, told.kind), (ErrorKind::Bad, ErrorKind::Interrupted));
}

#[test]
fn openais_newer_models_are_asked_in_their_dialect() {
    let dialect = |url: &str, model| Dialect::of(&Url::parse(url).unwrap(), model);
    let own = dialect("https://api.openai.com/v1", "gpt-5-mini");
    assert!(own.max_completion_tokens && !own.temperature);
    let other = dialect("http://127.0.0.1:8081/v1", "gpt-5-mini");
    assert!(!other.max_completion_tokens && other.temperature);
}
