//! The rate limits of API.md part 2 on REST, with their headers.

use crate::app::{Answer, PASSWORD, TestApp};
use serde_json::json;

fn seconds(answer: &Answer, name: &str) -> u64 {
    answer.header(name).parse().unwrap_or_else(|_| panic!("{name}: {answer:?}"))
}

#[tokio::test]
async fn a_hundred_calls_are_admitted_and_each_tells_what_is_left() {
    let app = TestApp::start().await;
    let (mara, finn) = (app.person("mara").await, app.person("finn").await);
    for left in (0..100).rev() {
        let answer = app.get("/api/auth/me").by(&mara).send().await.expect(200);
        assert_eq!(answer.header("ratelimit-policy"), "\"api\";q=100;w=900");
        assert_eq!(answer.remaining("api"), left);
    }
    let refused = app.get("/api/auth/me").by(&mara).send().await;
    assert_eq!(refused.remaining("api"), 0);
    let wait = seconds(&refused, "retry-after");
    assert!((880..=900).contains(&wait), "{wait}");
    refused.problem(429, "rate_limited");
    // The rest of the user's calls too, whatever they are; others go on, and so does who is signed out.
    app.get("/api/nothing").by(&mara).send().await.problem(429, "rate_limited");
    app.get("/api/auth/me").by(&finn).send().await.expect(200);
    app.get("/api/config").send().await.expect(200);
    app.stop().await;
}

#[tokio::test]
async fn who_is_signed_out_counts_by_address() {
    let app = TestApp::start().await;
    for left in (0..100).rev() {
        let answer = app.get("/api/auth/me").send().await;
        assert_eq!(answer.remaining("api"), left);
        answer.problem(401, "unauthenticated");
    }
    app.get("/api/auth/me").send().await.problem(429, "rate_limited");
    let unknown = app.get("/api/auth/me").header("authorization", "Bearer nonsense").send().await;
    unknown.problem(429, "rate_limited");
    // Pages, health and metrics are not REST calls.
    for path in ["/", "/health/live", "/metrics", "/docs", "/demo/avatars/folio.svg"] {
        let answer = app.get(path).send().await.expect(200);
        assert_eq!(answer.header("ratelimit"), "", "{path}");
    }
    app.stop().await;
}

#[tokio::test]
async fn ten_messages_a_minute_count_on_both_rules() {
    let app = TestApp::start().await;
    let mara = app.person("mara").await;
    let character = app.character(&mara, "Folio").await;
    let conversation = app.conversation(&mara, &character).await;
    let path = format!("/api/conversations/{conversation}/messages");
    let send = |n: u32| {
        let body = json!({ "type": "text", "text": "hello", "clientId": format!("c{n}") });
        app.post(&path).by(&mara).body(body).send()
    };
    let mut ids = Vec::new();
    for n in 0..10_u32 {
        let answer = send(n).await.expect(202);
        ids.push(answer.json()["message"]["id"].clone());
        assert_eq!(answer.header("ratelimit-policy"), "\"messaging\";q=10;w=60");
        assert_eq!(answer.remaining("messaging"), u64::from(9 - n));
    }
    let before = app.get("/api/auth/me").by(&mara).send().await.remaining("api");
    let refused = send(10).await;
    assert_eq!(refused.remaining("messaging"), 0);
    let wait = seconds(&refused, "retry-after");
    assert!((1..=60).contains(&wait), "{wait}");
    refused.problem(429, "rate_limited");
    let after = app.get("/api/auth/me").by(&mara).send().await.remaining("api");
    assert_eq!(after, before - 1, "what is refused counts on no rule");
    // A repeat is free of `messaging`, and answers as the first time.
    let repeated = send(3).await.expect(202);
    assert_eq!(repeated.json()["message"]["id"], ids[3]);
    // What is not a message still is a call.
    let left = app.get("/api/auth/me").by(&mara).send().await.remaining("api");
    let broken = app.post(&path).by(&mara).raw("application/json", "{").send().await;
    assert_eq!(broken.remaining("api"), left - 1);
    broken.problem(422, "validation");
    app.stop().await;
}

#[tokio::test]
async fn five_attempts_to_sign_in_then_a_block() {
    let app = TestApp::with(&[("AIM_HTTP__TRUSTED_PROXIES", "127.0.0.1")]).await;
    let login = |address: &'static str, login: &str, password: &str| {
        let body = json!({ "login": login, "password": password });
        app.post("/api/auth/login").header("x-forwarded-for", address).body(body).send()
    };
    let form = json!({ "email": "mara@example.test", "username": "mara", "password": PASSWORD });
    app.post("/api/auth/register").header("x-forwarded-for", "203.0.113.1").body(form).send().await.expect(201);

    for left in (0..5).rev() {
        let wrong = login("203.0.113.2", "mara", "wrong wrong").await;
        assert_eq!(wrong.remaining("auth"), left, "an attempt is told what is left");
        wrong.problem(401, "unauthenticated");
    }
    let refused = login("203.0.113.2", "mara", "wrong wrong").await;
    assert_eq!(refused.header("ratelimit-policy"), "\"auth\";q=5;w=900");
    assert_eq!(refused.remaining("auth"), 0);
    let wait = seconds(&refused, "retry-after");
    assert!((890..=900).contains(&wait), "{wait}");
    refused.problem(429, "rate_limited");
    // The name is blocked from every address, with the right password too; the address for every name.
    login("203.0.113.3", "MARA", PASSWORD).await.problem(429, "rate_limited");
    login("203.0.113.2", "finn", "wrong wrong").await.problem(429, "rate_limited");
    login("203.0.113.3", "finn", "wrong wrong").await.problem(401, "unauthenticated");
    app.stop().await;
}

#[tokio::test]
async fn a_success_clears_the_login_name() {
    let app = TestApp::with(&[("AIM_HTTP__TRUSTED_PROXIES", "127.0.0.1")]).await;
    app.person("mara").await;
    for round in 0..3 {
        for attempt in 0..4 {
            let address = format!("203.0.113.{}", round * 8 + attempt);
            let body = json!({ "login": "mara", "password": "wrong wrong" });
            app.post("/api/auth/login").header("x-forwarded-for", &address).body(body).send().await.expect(401);
        }
        let body = json!({ "login": "mara", "password": PASSWORD });
        let address = format!("203.0.113.{}", round * 8 + 7);
        app.post("/api/auth/login").header("x-forwarded-for", &address).body(body).send().await.expect(200);
    }
    app.stop().await;
}

#[tokio::test]
async fn addresses_count_apart_behind_a_trusted_proxy_alone() {
    let trusting = TestApp::with(&[("AIM_HTTP__TRUSTED_PROXIES", "127.0.0.0/8")]).await;
    let ask = |app: &TestApp, address: &str| app.get("/api/config").header("x-forwarded-for", address).send();
    assert_eq!(ask(&trusting, "203.0.113.1").await.remaining("api"), 99);
    assert_eq!(ask(&trusting, "203.0.113.2").await.remaining("api"), 99);
    assert_eq!(ask(&trusting, "6.6.6.6, 203.0.113.2").await.remaining("api"), 98, "what a client wrote is not read");
    assert_eq!(ask(&trusting, "2001:db8:1:2::1").await.remaining("api"), 99);
    assert_eq!(ask(&trusting, "2001:db8:1:2:ffff::9").await.remaining("api"), 98, "IPv6 counts by /64");
    let alone = TestApp::start().await;
    assert_eq!(ask(&alone, "203.0.113.1").await.remaining("api"), 99);
    assert_eq!(ask(&alone, "203.0.113.2").await.remaining("api"), 98);
    trusting.stop().await;
    alone.stop().await;
}
