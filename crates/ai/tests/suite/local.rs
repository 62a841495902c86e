//! The built-in model with its real file: `models/demo.gguf`, or what `AIM_TEST_MODEL` names. Without it these tests
//! fail and say how to get it.

use aim_ai::local::{LocalModel, LocalSettings};
use aim_ai::{ErrorKind, LanguageModel, Piece, ReplyStream, Request, Role, TokenCount, Turn};
use aim_domain::Ambient;
use futures::StreamExt;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

fn file() -> PathBuf {
    let file = std::env::var_os("AIM_TEST_MODEL")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/demo.gguf")), PathBuf::from);
    assert!(file.exists(), "{} is missing: run `make model`", file.display());
    file
}

/// One for all tests of this process: it takes some hundred megabytes.
static MODEL: LazyLock<Arc<LocalModel>> =
    LazyLock::new(|| Arc::new(LocalModel::start(LocalSettings::new(file()), Ambient::system()).unwrap()));

fn request(text: &str) -> Request {
    let system =
        "You are Mara, a lighthouse keeper who loves storms and strong coffee. Reply in one to three short sentences.";
    let messages = vec![Turn::new(Role::System, system), Turn::new(Role::User, text)];
    Request { messages, seed: Some(7), ..Default::default() }
}

async fn whole(mut stream: ReplyStream) -> (String, usize, TokenCount) {
    let (mut text, mut pieces) = (String::new(), 0);
    loop {
        match stream.next().await.unwrap().unwrap() {
            Piece::Text(piece) => {
                text.push_str(&piece);
                pieces += 1;
            }
            Piece::End { tokens, .. } => return (text, pieces, tokens),
        }
    }
}

#[tokio::test]
async fn the_real_model_streams_a_reply_that_ends_with_a_sentence() {
    let start = Instant::now();
    let stream = MODEL.stream(request("Hello! Who are you, and what do you love?")).await.unwrap();
    let first = start.elapsed();
    let (text, pieces, tokens) = whole(stream).await;
    println!("first token {first:?}, whole {:?}, {tokens:?}: {text}", start.elapsed());
    assert!(pieces > 3, "it streams: {pieces}");
    assert!(text.trim_end().ends_with(['.', '!', '?', '…', '"', '*', ')']), "{text:?}");
    assert!((5..=100).contains(&tokens.completion) && tokens.prompt > 30, "{tokens:?}");
    assert!(!text.contains("<|"), "{text:?}");
    MODEL.check().await.unwrap();
}

#[tokio::test]
async fn the_same_seed_gives_the_same_reply_whether_or_not_the_prompt_is_remembered() {
    let ask = || Request { max_tokens: 12, ..request("What is your favourite weather?") };
    let (fresh, ..) = whole(MODEL.stream(ask()).await.unwrap()).await;
    let start = Instant::now();
    let (again, ..) = whole(MODEL.stream(ask()).await.unwrap()).await;
    println!("again in {:?}", start.elapsed());
    assert_eq!(fresh, again);

    // The next question of the same conversation goes on from there.
    let mut next = ask();
    next.messages.push(Turn::new(Role::Character, fresh));
    next.messages.push(Turn::new(Role::User, "And what do you fear?"));
    let (text, _, tokens) = whole(MODEL.stream(next).await.unwrap()).await;
    assert!(!text.is_empty() && tokens.prompt > 50, "{text:?} {tokens:?}");
}

#[tokio::test]
async fn dropping_a_reply_stops_it_and_lets_the_next_one_in() {
    let long =
        || Request { messages: vec![Turn::new(Role::User, "Count slowly to one hundred, in words.")], ..request("") };
    let first = MODEL.stream(long()).await.unwrap();
    // These wait, and give up waiting.
    for _ in 0..5 {
        let waiting = tokio::time::timeout(Duration::from_millis(20), MODEL.stream(long())).await;
        assert!(waiting.is_err(), "one reply at a time");
    }
    drop(first);
    let start = Instant::now();
    let next = MODEL.stream(Request { max_tokens: 4, ..request("Hi") }).await.unwrap();
    println!("the next one began after {:?}", start.elapsed());
    let (text, ..) = whole(next).await;
    assert!(!text.is_empty());
}

#[tokio::test]
async fn the_runtime_is_not_held_up_while_the_model_thinks() {
    let reply = tokio::spawn(async { whole(MODEL.stream(request("Tell me of a storm.")).await.unwrap()).await });
    let mut longest = Duration::ZERO;
    while !reply.is_finished() {
        let start = Instant::now();
        tokio::time::sleep(Duration::from_millis(5)).await;
        longest = longest.max(start.elapsed());
    }
    reply.await.unwrap();
    assert!(longest < Duration::from_millis(250), "{longest:?}");
}

#[tokio::test]
async fn a_prompt_that_is_too_long_loses_its_oldest_turns_and_still_is_answered() {
    let mut ask = Request { max_tokens: 4, ..request("") };
    ask.messages.pop();
    for n in 0..40 {
        ask.messages.push(Turn::new(Role::User, format!("{n} {}", "wort ".repeat(20))));
        ask.messages.push(Turn::new(Role::Character, "Yes."));
    }
    ask.messages.push(Turn::new(Role::User, "Hello?"));
    let model =
        LocalModel::start(LocalSettings { window: 256, ..LocalSettings::new(file()) }, Ambient::system()).unwrap();
    let (text, _, tokens) = whole(model.stream(ask).await.unwrap()).await;
    assert!(!text.is_empty() && (150..=256).contains(&tokens.prompt), "{tokens:?}");
}

#[tokio::test]
async fn a_missing_file_is_told_with_the_remedy_and_looked_for_again() {
    let gone = std::env::temp_dir().join(format!("aim-no-model-{}", std::process::id())).join("demo.gguf");
    let start = Instant::now();
    let model = LocalModel::start(LocalSettings::new(gone.clone()), Ambient::system()).unwrap();
    assert!(start.elapsed() < Duration::from_millis(100), "starting waits for nothing");
    let error = match model.stream(request("Hello")).await {
        Ok(_) => panic!("a reply came"),
        Err(error) => error,
    };
    assert_eq!((error.kind, error.retryable), (ErrorKind::Bad, false));
    assert!(error.detail.contains("make model"), "{}", error.detail);
    assert!(model.check().await.unwrap_err().detail.contains("make model"));

    std::fs::create_dir_all(gone.parent().unwrap()).unwrap();
    std::fs::hard_link(file(), &gone).or_else(|_| std::fs::copy(file(), &gone).map(|_| ())).unwrap();
    let (text, ..) = whole(model.stream(Request { max_tokens: 4, ..request("Hello") }).await.unwrap()).await;
    assert!(!text.is_empty());
    model.check().await.unwrap();
    let kept: Vec<_> =
        std::fs::read_dir(gone.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(kept.iter().any(|name| name == "demo.q8_0.gguf") && kept.len() == 2, "{kept:?}");
    std::fs::remove_dir_all(gone.parent().unwrap()).unwrap();
}
