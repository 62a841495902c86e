//! A model behind HTTP, against a real server that answers slowly, badly or not at all.

use aim_ai::provider::Remote;
use aim_ai::{
    ApiKey, ErrorKind, LanguageModel, ModelError, Piece, Provider, ProviderSettings, ReplyStream, Request, Role,
    StopReason, TokenCount, Turn,
};
use aim_domain::{Ambient, ManualClock, SeededRandom, Timestamp};
use aim_testkit::model_stub::{Behaviour, ModelStub, Refuse};
use futures::StreamExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn settings(stub: &ModelStub) -> ProviderSettings {
    ProviderSettings {
        provider: Provider::OpenAi,
        base_url: stub.base_url(),
        model: "stub".into(),
        api_key: ApiKey::new("sk-canary"),
        connect_timeout: Duration::from_millis(500),
        first_token_timeout: Duration::from_millis(600),
        between_tokens_timeout: Duration::from_millis(400),
        max_concurrent: 8,
        queue_timeout: Duration::from_millis(300),
        retries: 2,
        ..Default::default()
    }
}

fn model(settings: ProviderSettings) -> Remote {
    let ambient = Ambient { clock: ManualClock::at(Timestamp(0)), random: SeededRandom::new(1) };
    Remote::new(settings, ambient).unwrap()
}

fn request(text: &str) -> Request {
    let messages = vec![Turn::new(Role::System, "You are Mara."), Turn::new(Role::User, text)];
    Request { messages, stop: vec!["\nUser:".into()], seed: Some(4), ..Default::default() }
}

/// The reply's text and its end.
async fn whole(mut stream: ReplyStream) -> (String, Result<(TokenCount, StopReason), ModelError>) {
    let mut text = String::new();
    loop {
        match stream.next().await.expect("a stream ends with its end or an error") {
            Ok(Piece::Text(piece)) => text.push_str(&piece),
            Ok(Piece::End { tokens, stop }) => {
                assert!(stream.next().await.is_none());
                return (text, Ok((tokens, stop)));
            }
            Err(error) => {
                assert!(stream.next().await.is_none());
                return (text, Err(error));
            }
        }
    }
}

async fn refused(model: &Remote) -> ModelError {
    match model.stream(request("Hello lg#1-1")).await {
        Ok(_) => panic!("a reply came"),
        Err(error) => error,
    }
}

async fn within(length: Duration, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < length, "not within {length:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_reply_arrives_whole_with_the_providers_count_of_tokens() {
    let stub = ModelStub::start().await.unwrap();
    let model = model(settings(&stub));
    let (text, end) = whole(model.stream(request("Tell me lg#3-7 please")).await.unwrap()).await;
    assert_eq!(text, "About lg#3-7: the tide turns slowly 🌊 indeed.");
    assert_eq!(end.unwrap(), (TokenCount { prompt: 11, completion: 7 }, StopReason::Finished));
    let asked = &stub.asked()[0];
    assert_eq!(
        (asked.model.as_str(), asked.seed, asked.stop.as_slice()),
        ("stub", Some(4), &["\nUser:".to_owned()][..])
    );
    assert_eq!(asked.authorization.as_deref(), Some("Bearer sk-canary"));
    let roles: Vec<&str> = asked.messages.iter().map(|message| message.role.as_str()).collect();
    assert_eq!(roles, ["system", "user"]);
    assert_eq!(model.name().to_string(), "openai/stub");
}

#[tokio::test]
async fn tokens_are_estimated_where_the_provider_does_not_count() {
    let stub = ModelStub::start_with(Behaviour { usage: None, ..Default::default() }).await.unwrap();
    let (text, end) = whole(model(settings(&stub)).stream(request("Hello lg#1")).await.unwrap()).await;
    let (tokens, _) = end.unwrap();
    assert_eq!(tokens.completion, (text.len() as u64).div_ceil(4));
    assert!(tokens.prompt > 0);
}

#[tokio::test]
async fn a_slow_reply_streams_piece_by_piece() {
    let behaviour = Behaviour { delay: Duration::from_millis(30), ..Default::default() };
    let stub = ModelStub::start_with(behaviour).await.unwrap();
    let mut stream = model(settings(&stub)).stream(request("Hello lg#1")).await.unwrap();
    let mut pieces = 0;
    while let Some(Ok(Piece::Text(_))) = stream.next().await {
        pieces += 1;
    }
    assert_eq!(pieces, 7, "each piece is given out when it comes");
}

#[tokio::test]
async fn connections_are_used_again() {
    let stub = ModelStub::start().await.unwrap();
    let model = model(settings(&stub));
    for _ in 0..20 {
        whole(model.stream(request("Hello lg#1")).await.unwrap()).await.1.unwrap();
    }
    assert_eq!((stub.finished(), stub.cancelled()), (20, 0));
    assert_eq!(stub.connections(), 1);
}

#[tokio::test]
async fn a_failure_before_the_first_token_is_repeated() {
    let stub = ModelStub::start().await.unwrap();
    stub.refuse_next(2, 503);
    let (text, end) = whole(model(settings(&stub)).stream(request("Hello lg#1")).await.unwrap()).await;
    assert!(text.starts_with("About lg#1") && end.is_ok());
    assert_eq!(stub.calls(), 3);
}

#[tokio::test]
async fn repetitions_end_and_what_cannot_heal_is_not_repeated() {
    let stub = ModelStub::start().await.unwrap();
    let model = model(settings(&stub));
    stub.refuse_next(9, 500);
    let error = refused(&model).await;
    assert_eq!((error.kind, error.retryable, stub.calls()), (ErrorKind::Refused(500), true, 3));
    stub.refuse_next(9, 401);
    let error = refused(&model).await;
    assert_eq!((error.kind, error.retryable, stub.calls()), (ErrorKind::Refused(401), false, 4));
    assert!(error.detail.contains("stub_refusal"), "{}", error.detail);
}

#[tokio::test]
async fn a_provider_that_asks_for_a_long_rest_is_left_alone() {
    let stub = ModelStub::start().await.unwrap();
    stub.set(|behaviour| behaviour.refuse = Some(Refuse { times: 9, status: 429, retry_after: Some(120) }));
    let error = refused(&model(settings(&stub))).await;
    assert_eq!((error.kind, error.retry_after), (ErrorKind::Refused(429), Some(Duration::from_secs(120))));
    assert_eq!(stub.calls(), 1);
}

#[tokio::test]
async fn a_reply_that_breaks_off_is_not_asked_for_again() {
    let stub = ModelStub::start_with(Behaviour { break_after: Some(3), ..Default::default() }).await.unwrap();
    let (text, end) = whole(model(settings(&stub)).stream(request("Hello lg#1")).await.unwrap()).await;
    assert_eq!(text, "About lg#1: the tide ");
    assert_eq!(end.unwrap_err().kind, ErrorKind::Interrupted);
    assert_eq!(stub.calls(), 1);
}

#[tokio::test]
async fn a_reply_that_breaks_before_its_first_token_is_asked_for_again() {
    let stub = ModelStub::start_with(Behaviour { break_after: Some(0), ..Default::default() }).await.unwrap();
    assert_eq!(refused(&model(settings(&stub))).await.kind, ErrorKind::Interrupted);
    assert_eq!(stub.calls(), 3);
}

#[tokio::test]
async fn silence_before_the_first_token_times_out_and_frees_the_provider() {
    let stub = ModelStub::start_with(Behaviour { hang_after: Some(0), ..Default::default() }).await.unwrap();
    let model = model(ProviderSettings { retries: 0, ..settings(&stub) });
    let start = Instant::now();
    assert_eq!(refused(&model).await.kind, ErrorKind::Timeout);
    assert!((Duration::from_millis(550)..Duration::from_millis(1_500)).contains(&start.elapsed()));
    within(Duration::from_secs(1), || stub.under_way() == 0).await;
}

#[tokio::test]
async fn silence_between_tokens_times_out() {
    let stub = ModelStub::start_with(Behaviour { hang_after: Some(3), ..Default::default() }).await.unwrap();
    let model = model(settings(&stub));
    let stream = model.stream(request("Hello lg#1")).await.unwrap();
    let start = Instant::now();
    let (text, end) = whole(stream).await;
    assert_eq!((text.as_str(), end.unwrap_err().kind), ("About lg#1: the tide ", ErrorKind::Timeout));
    assert!((Duration::from_millis(350)..Duration::from_millis(1_500)).contains(&start.elapsed()));
    within(Duration::from_secs(1), || stub.cancelled() == 1).await;
}

#[tokio::test]
async fn a_steady_reply_may_take_longer_than_any_one_time_out() {
    let behaviour = Behaviour { delay: Duration::from_millis(120), ..Default::default() };
    let stub = ModelStub::start_with(behaviour).await.unwrap();
    let (_, end) = whole(model(settings(&stub)).stream(request("Hello lg#1")).await.unwrap()).await;
    assert!(end.is_ok());
}

#[tokio::test]
async fn dropping_the_stream_cancels_upstream_within_a_second() {
    let behaviour =
        Behaviour { delay: Duration::from_millis(20), pieces: vec!["on ".into(); 1_000], ..Default::default() };
    let stub = ModelStub::start_with(behaviour).await.unwrap();
    let mut stream = model(settings(&stub)).stream(request("Hello lg#1")).await.unwrap();
    assert!(matches!(stream.next().await, Some(Ok(Piece::Text(_)))));
    drop(stream);
    within(Duration::from_secs(1), || stub.cancelled() == 1 && stub.under_way() == 0).await;
}

#[tokio::test]
async fn dropping_the_call_before_the_first_token_cancels_upstream_too() {
    let stub = ModelStub::start_with(Behaviour { hang_after: Some(0), ..Default::default() }).await.unwrap();
    let model = model(settings(&stub));
    let call = tokio::time::timeout(Duration::from_millis(100), model.stream(request("Hello")));
    assert!(call.await.is_err());
    within(Duration::from_secs(1), || stub.cancelled() == 1 && stub.under_way() == 0).await;
}

#[tokio::test]
async fn calls_at_a_time_are_capped_and_the_wait_for_one_is_bounded() {
    let behaviour = Behaviour { delay: Duration::from_millis(10), ..Default::default() };
    let stub = ModelStub::start_with(behaviour).await.unwrap();
    let queue_timeout = Duration::from_secs(10);
    let model = Arc::new(model(ProviderSettings { max_concurrent: 3, queue_timeout, ..settings(&stub) }));
    let calls = (0..20).map(|_| {
        let model = model.clone();
        tokio::spawn(async move { whole(model.stream(request("Hello lg#1")).await.unwrap()).await.1.unwrap() })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    assert_eq!((stub.finished(), stub.most_under_way()), (20, 3));

    stub.set(|behaviour| behaviour.hang_after = Some(1));
    let short = Remote::new(
        ProviderSettings { max_concurrent: 1, between_tokens_timeout: Duration::from_secs(9), ..settings(&stub) },
        Ambient::system(),
    )
    .unwrap();
    let _held = short.stream(request("Hello")).await.unwrap();
    let start = Instant::now();
    assert_eq!(refused(&short).await.kind, ErrorKind::Overloaded);
    assert!(start.elapsed() < Duration::from_millis(900));
}

#[tokio::test]
async fn nobody_listening_is_told_as_such() {
    let stub = ModelStub::start().await.unwrap();
    let gone = settings(&stub);
    drop(stub);
    let model = model(ProviderSettings { base_url: "http://127.0.0.1:9/v1/".into(), retries: 1, ..gone });
    assert_eq!(refused(&model).await.kind, ErrorKind::Connect);
    assert_eq!(model.check().await.unwrap_err().kind, ErrorKind::Connect);
}

#[tokio::test]
async fn a_check_asks_for_no_reply() {
    let stub = ModelStub::start().await.unwrap();
    let model = model(settings(&stub));
    model.check().await.unwrap();
    model.check().await.unwrap();
    assert_eq!(stub.calls(), 0);
}

#[tokio::test]
async fn no_error_and_no_debug_output_holds_the_key_or_the_prompt() {
    let stub = ModelStub::start().await.unwrap();
    stub.refuse_next(9, 400);
    let model = model(settings(&stub));
    let error = match model.stream(request("canary-4711")).await {
        Ok(_) => panic!("a reply came"),
        Err(error) => error,
    };
    let shown = format!("{error} {error:?} {:?}", settings(&stub));
    assert!(!shown.contains("canary"), "{shown}");
}

#[test]
fn settings_that_cannot_work_are_refused_at_once() {
    let with = |change: fn(&mut ProviderSettings)| {
        let mut settings = ProviderSettings { model: "m".into(), ..Default::default() };
        change(&mut settings);
        Remote::new(settings, Ambient::system()).map(|_| ()).map_err(|error| error.detail)
    };
    assert!(with(|_| {}).is_ok());
    assert!(with(|s| s.model.clear()).unwrap_err().contains("AIM_AI__MODEL"));
    assert!(with(|s| s.base_url = "localhost:1".into()).unwrap_err().contains("AIM_AI__BASE_URL"));
    assert!(with(|s| s.provider = Provider::Anthropic).unwrap_err().contains("AIM_AI__API_KEY"));
    assert!(with(|s| s.provider = Provider::Ollama).is_ok());
}
