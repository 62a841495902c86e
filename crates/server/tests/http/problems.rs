//! Errors are problems, all of them, in the one form.

use crate::app::TestApp;
use reqwest::Method;
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[tokio::test]
async fn whatever_goes_wrong_is_a_problem() {
    let app = TestApp::lifted().await;
    let mara = app.person("mara").await;
    let login = json!({ "login": "mara", "password": "wrong one" }).to_string();
    let json = "application/json";
    let nobody = "01900000-0000-7000-8000-000000000000";
    for (method, path, kind, body, status, code) in [
        (Method::GET, "/api/nothing/here", "", "", 404, "not_found"),
        (Method::GET, "/nothing.js", "", "", 404, "not_found"),
        (Method::POST, "/", "", "", 404, "not_found"),
        (Method::GET, "/media/x", "", "", 404, "not_found"),
        (Method::GET, "/demo/avatars/nobody.svg", "", "", 404, "not_found"),
        (Method::GET, "/docs/nothing", "", "", 404, "not_found"),
        (Method::PUT, "/api/auth/login", "", "", 405, "validation"),
        (Method::DELETE, "/health", "", "", 405, "validation"),
        (Method::POST, "/api/auth/login", json, login.as_str(), 401, "unauthenticated"),
        (Method::POST, "/api/auth/login", json, "{\"login\": ", 422, "validation"),
        (Method::POST, "/api/auth/login", json, "", 422, "validation"),
        (Method::POST, "/api/auth/login", json, "{} {}", 422, "validation"),
        (Method::POST, "/api/auth/login", json, "\u{0}", 422, "validation"),
        (Method::POST, "/api/auth/login", "text/plain", login.as_str(), 415, "unsupported_media_type"),
        (Method::POST, "/api/auth/login", "", login.as_str(), 415, "unsupported_media_type"),
        (Method::GET, "/api/users/not%20an%20id", "", "", 404, "not_found"),
        (Method::GET, "/api/users/profile", "", "", 404, "not_found"),
        (Method::GET, "/api/users/%ff", "", "", 404, "not_found"),
        (Method::GET, &format!("/api/users/{nobody}"), "", "", 404, "not_found"),
        (Method::GET, &format!("/api/conversations/{nobody}"), "", "", 404, "not_found"),
        (Method::GET, "/api/characters?limit=many", "", "", 422, "validation"),
        (Method::GET, "/api/characters?sort=best", "", "", 422, "validation"),
        (Method::GET, "/api/admin/ai/usage", "", "", 403, "forbidden"),
    ] {
        let mut call = app.call(method.clone(), path).by(&mara);
        if !body.is_empty() || !kind.is_empty() {
            call = call.raw(kind, body.to_owned());
        }
        let answer = call.send().await;
        println!("{method} {path}: {}", answer.text);
        if status == 405 {
            assert!(!answer.header("allow").is_empty(), "{answer:?}");
        }
        answer.problem(status, code);
    }
    app.stop().await;
}

#[tokio::test]
async fn bad_fields_are_named() {
    let app = TestApp::start().await;
    let register = |body| app.post("/api/auth/register").body(body).send();
    let body =
        register(json!({ "email": "nobody", "username": "a b", "password": "short" })).await.problem(422, "validation");
    let fields: Vec<_> =
        body["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["username", "email", "password"]);

    let missing = register(json!({ "email": "a@b.test", "username": "mara" })).await.problem(422, "validation");
    assert_eq!(missing["errors"], json!([{ "field": "password", "message": "is missing" }]));

    let wrong = register(json!({ "email": "a@b.test", "username": 7, "password": "a secret of mine" })).await;
    assert!(!wrong.text.contains("a secret of mine"));
    let wrong = wrong.problem(422, "validation");
    assert_eq!(wrong["errors"], json!([{ "field": "username", "message": "must be a string" }]));

    let query =
        app.get("/api/characters?limit=many").by(&app.person("mara").await).send().await.problem(422, "validation");
    assert_eq!(query["errors"][0]["field"], "limit");
    app.stop().await;
}

/// Not every database can store a NUL, so that none is given one.
#[tokio::test]
async fn a_nul_in_a_text_is_refused_by_its_field_on_every_database() {
    let postgres = aim_testkit::Database::fresh().await.unwrap();
    for url in ["", &postgres.url()] {
        let lifted = [("AIM_LIMITS__MULTIPLIER", "100000"), ("AIM_DATABASE__URL", url)];
        let app = TestApp::with(&lifted[..if url.is_empty() { 1 } else { 2 }]).await;
        let mara = app.person("mara").await;
        let character = app.character(&mara, "Vale").await;
        let conversation = format!("/api/conversations/{}", app.conversation(&mara, &character).await);
        let messages = format!("{conversation}/messages");
        let fine = "correct horse";
        for (method, path, body, fields) in [
            (
                Method::POST,
                "/api/auth/register",
                json!({ "email": "a\0@b.test", "username": "a\0b", "password": "correct\0horse", "displayName": "\0" }),
                vec!["username", "email", "password", "displayName"],
            ),
            (Method::POST, "/api/auth/login", json!({ "login": "ma\0ra", "password": fine }), vec!["login"]),
            (Method::PATCH, "/api/users/me", json!({ "avatarUrl": "/a\0.webp" }), vec!["avatarUrl"]),
            (
                Method::POST,
                "/api/characters",
                json!({ "name": "a\0", "greeting": "\0", "tags": ["fine", "a\0"] }),
                vec!["name", "greeting", "tags"],
            ),
            (Method::PATCH, &conversation, json!({ "title": "a\0" }), vec!["title"]),
            (
                Method::POST,
                &messages,
                json!({ "clientId": "c\0", "type": "text", "text": "a\0b" }),
                vec!["clientId", "text"],
            ),
            (Method::POST, "/api/conversations", json!({ "characterId": "a\0" }), vec!["characterId"]),
        ] {
            let told = app.call(method, path).by(&mara).body(body).send().await.problem(422, "validation");
            let mut told: Vec<_> =
                told["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect();
            told.dedup();
            assert_eq!(told, fields, "{path} on {url:?}");
        }
        for path in ["/api/characters?q=%00", "/api/characters?tag=%00"] {
            assert_eq!(app.get(path).by(&mara).send().await.expect(200).json()["items"], json!([]));
        }
        // Of another list, and so none.
        for cursor in ["%00", "bmFtZTp4ADp4AA"] {
            app.get(&format!("/api/characters?sort=name&cursor={cursor}")).by(&mara).send().await.expect(200);
        }
        app.get("/api/users/by-username/a%00b").by(&mara).send().await.problem(404, "not_found");
        app.get("/api/users/a%00b").by(&mara).send().await.problem(404, "not_found");
        app.stop().await;
    }
}

#[tokio::test]
async fn a_body_has_bounds() {
    let app = TestApp::lifted().await;
    let mara = app.person("mara").await;
    let long = "x".repeat(65_536);
    let login = json!({ "login": long, "password": "x" }).to_string();
    app.post("/api/auth/login").raw("application/json", login.clone()).send().await.problem(413, "payload_too_large");
    // Without a Content-Length as well.
    let chunks = futures::stream::iter(
        login.as_bytes().chunks(1_000).map(|part| Ok::<_, std::io::Error>(part.to_vec())).collect::<Vec<_>>(),
    );
    let chunked = app.post("/api/auth/login").raw("application/json", reqwest::Body::wrap_stream(chunks));
    chunked.send().await.problem(413, "payload_too_large");
    // Characters have more to say, and so do 8,000 characters in escapes.
    let text = "y".repeat(20_000);
    let draft = json!({ "name": "Mara", "description": text, "personality": text, "scenario": text, "greeting": text });
    let made = app.post("/api/characters").by(&mara).body(draft).send().await.expect(201).json();
    let character = made["character"]["id"].as_str().unwrap();
    let conversation = app.conversation(&mara, character).await;
    let escaped = format!("{{\"clientId\":\"c1\",\"type\":\"text\",\"text\":\"{}\"}}", "\\ud83c\\udf0a".repeat(8_000));
    let path = format!("/api/conversations/{conversation}/messages");
    app.post(&path).by(&mara).raw("application/json", escaped).send().await.expect(202);
    let too_long = json!({ "clientId": "c2", "type": "text", "text": "z".repeat(8_001) });
    let problem = app.post(&path).by(&mara).body(too_long).send().await.problem(422, "validation");
    assert_eq!(problem["errors"][0]["field"], "text");
    app.stop().await;
}

#[tokio::test]
async fn a_request_has_an_id() {
    let app = TestApp::start().await;
    let given = app.get("/api/nothing").header("x-request-id", "load-test.7_a").send().await;
    assert_eq!(given.header("x-request-id"), "load-test.7_a");
    given.problem(404, "not_found");
    for unfit in ["two words", "a,b", &"x".repeat(129)] {
        let answer = app.get("/health/live").header("x-request-id", unfit).send().await.expect(200);
        assert_eq!(answer.header("x-request-id").len(), 36, "{unfit:?} is replaced by an id of ours");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_told_so() {
    // A model that takes connections and says nothing holds the health check up for two seconds.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/v1", silent.local_addr().unwrap());
    let app = TestApp::with(&[("AIM_HTTP__REQUEST_TIMEOUT", "1s"), ("AIM_AI__BASE_URL", &base_url)]).await;
    let problem = app.get("/health").send().await.problem(503, "unavailable");
    assert!(problem["detail"].as_str().unwrap().contains("too long"), "{problem}");
    // A body that does not come is not waited for either.
    let mut slow = TcpStream::connect(app.running.address).await.unwrap();
    let head =
        "POST /api/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    slow.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 12];
    tokio::time::timeout(Duration::from_secs(5), slow.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(answer, b"HTTP/1.1 503");
    app.stop().await;
}

#[tokio::test]
async fn a_connection_that_sends_no_head_is_closed() {
    let app = TestApp::with(&[("AIM_HTTP__HEADER_TIMEOUT", "1s")]).await;
    let mut slow = TcpStream::connect(app.running.address).await.unwrap();
    slow.write_all(b"GET /health/live HTTP/1.1\r\nhost:").await.unwrap();
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(5), slow.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert!(!rest.starts_with(b"HTTP/1.1 200"));
    app.stop().await;
}
