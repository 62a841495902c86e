//! What is around the API: CORS, compression, pages, health, metrics, and the operators' calls.

use crate::app::TestApp;
use aim_domain::{Role, Tier};
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn listed_sites_may_read_answers() {
    let app = TestApp::with(&[("AIM_HTTP__ALLOWED_ORIGINS", "https://friend.test,http://localhost:5173")]).await;
    let preflight = |origin: &str| {
        app.call(Method::OPTIONS, "/api/auth/me")
            .header("origin", origin)
            .header("access-control-request-method", "PATCH")
            .header("access-control-request-headers", "authorization, content-type")
            .send()
    };
    let fine = preflight("https://friend.test").await.expect(204);
    assert_eq!(fine.header("access-control-allow-origin"), "https://friend.test");
    assert_eq!(fine.header("access-control-allow-credentials"), "true");
    assert!(fine.header("access-control-allow-methods").contains("PATCH"));
    assert!(fine.header("access-control-allow-headers").contains("authorization"));
    let refused = preflight("https://evil.test").await;
    assert_eq!(refused.header("access-control-allow-origin"), "");

    let answer = app.get("/api/config").header("origin", "http://localhost:5173").send().await.expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), "http://localhost:5173");
    for name in ["ratelimit", "ratelimit-policy", "retry-after"] {
        assert!(answer.header("access-control-expose-headers").contains(name), "{name}");
    }
    assert!(answer.header("vary").contains("origin"));
    let problem = app.get("/api/nothing").header("origin", "https://friend.test").send().await;
    assert_eq!(problem.header("access-control-allow-origin"), "https://friend.test", "errors can be read as well");
    let stranger = app.get("/api/config").header("origin", "https://evil.test").send().await.expect(200);
    assert_eq!(stranger.header("access-control-allow-origin"), "");
    app.stop().await;
}

#[tokio::test]
async fn long_answers_are_compressed_for_who_asks() {
    let app = TestApp::start().await;
    let plain = app.get("/api/openapi.json").send().await.expect(200);
    assert_eq!(plain.header("content-encoding"), "");
    let small = app.get("/api/openapi.json").header("accept-encoding", "br, gzip").send().await.expect(200);
    assert_eq!(small.header("content-encoding"), "gzip");
    assert!(small.header("vary").contains("accept-encoding"));
    let length = |answer: &crate::app::Answer| answer.header("content-length").parse::<usize>().unwrap();
    assert!(length(&small) < plain.text.len() / 3, "{} of {}", length(&small), plain.text.len());
    let short = app.get("/api/config").header("accept-encoding", "gzip").send().await.expect(200);
    assert_eq!(short.header("content-encoding"), "");
    app.stop().await;
}

#[tokio::test]
async fn pages_are_guarded_and_cached() {
    let app = TestApp::start().await;
    for path in ["/", "/conversations/some-id", "/docs"] {
        let page = app.get(path).header("accept", "text/html,*/*").send().await.expect(200);
        assert!(page.header("content-type").starts_with("text/html"), "{path}");
        let policy = page.header("content-security-policy");
        for part in ["default-src 'self'", "script-src 'self'", "frame-ancestors 'none'", "connect-src 'self' ws: wss:"]
        {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"));
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert!(!page.header("referrer-policy").is_empty());
    }
    for path in ["/docs/docs.js", "/docs/docs.css"] {
        app.get(path).send().await.expect(200);
    }
    let portrait = app.get("/demo/avatars/folio.svg").send().await.expect(200);
    assert_eq!(portrait.header("content-type"), "image/svg+xml");
    let again = app.get("/demo/avatars/folio.svg").header("if-none-match", portrait.header("etag")).send().await;
    assert_eq!(again.expect(304).text, "");
    // What is for operators has its status for who asks; a browser gets the page with it, which signs people in.
    let (ann, root) = (app.person("ann").await, app.admin("root").await);
    for path in ["/admin", "/admin/", "/admin/people"] {
        app.get(path).send().await.problem(401, "unauthenticated");
        app.get(path).by(&ann).send().await.problem(403, "forbidden");
        assert!(app.get(path).by(&root).send().await.expect(200).header("content-type").starts_with("text/html"));
        let nobody = app.get(path).header("accept", "text/html").send().await.expect(401);
        assert!(nobody.header("content-type").starts_with("text/html"), "{path}");
        app.get(path).header("accept", "text/html").by(&ann).send().await.expect(403);
    }
    // An address of the API is never answered with a page.
    app.get("/api/nothing").header("accept", "text/html").send().await.problem(404, "not_found");
    app.stop().await;
}

#[tokio::test]
async fn health_has_a_figure_and_a_threshold_for_each_check() {
    let app = TestApp::start().await;
    let health = app.get("/health").send().await.expect(200).json();
    assert_eq!(health["status"], "ok", "{health}");
    for check in ["database", "queues", "ai"] {
        let check = &health["checks"][check];
        assert_eq!(check["status"], "ok", "{health}");
        assert!(check["value"].is_number() && check["threshold"].is_number(), "{check}");
    }
    for check in ["connectivity", "performance", "memory"] {
        assert_eq!(health["checks"]["redis"][check]["status"], "off", "{health}");
    }
    app.get("/health/live").send().await.expect(200);
    app.get("/health/ready").send().await.expect(200);
    app.stop().await;
}

#[tokio::test]
async fn a_model_that_is_away_degrades_the_server_and_stops_nothing() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let app = TestApp::with(&[("AIM_AI__BASE_URL", &format!("http://{nobody}/v1"))]).await;
    let health = app.get("/health").send().await.expect(200).json();
    assert_eq!((&health["status"], &health["checks"]["ai"]["status"]), (&json!("degraded"), &json!("degraded")));
    app.get("/health/ready").send().await.expect(200);
    app.stop().await;
}

#[tokio::test]
async fn metrics_count_routes_and_not_ids() {
    let app = TestApp::start().await;
    let mara = app.person("mara").await;
    app.get(&format!("/api/users/{}", mara.id)).by(&mara).send().await.expect(200);
    let metrics = app.get("/metrics").send().await.expect(200);
    assert!(metrics.header("content-type").starts_with("text/plain"));
    for line in [
        "aim_http_requests_total{method=\"GET\",route=\"/api/users/{uid}\",status=\"2xx\"}",
        "aim_http_request_seconds_bucket{method=\"GET\",route=\"/api/users/{uid}\",le=\"0.01\"}",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_uptime_seconds",
    ] {
        assert!(metrics.text.contains(line), "{line}");
    }
    assert!(!metrics.text.contains(&mara.id));
    app.stop().await;
}

#[tokio::test]
async fn operators_see_what_the_model_cost() {
    let app = TestApp::start().await;
    let mara = app.person("mara").await;
    app.get("/api/admin/ai/usage").by(&mara).send().await.problem(403, "forbidden");
    app.get("/api/admin/ai/usage").send().await.problem(401, "unauthenticated");
    app.running.platform.set_user("mara", Some(Tier::Premium), Some(Role::Admin)).await.unwrap();
    let read = async {
        loop {
            let answer = app.get("/api/admin/ai/usage").by(&mara).send().await;
            if answer.status == 200 {
                return answer;
            }
        }
    };
    let answer = tokio::time::timeout(std::time::Duration::from_secs(2), read).await.unwrap();
    assert_eq!(answer.header("ratelimit"), "", "operators' calls are not counted");
    assert_eq!(answer.json()["models"], json!([]));
    assert_eq!(answer.json()["day"].as_str().unwrap().len(), 10);
    app.get("/api/admin/ai/usage?day=2026-11-23").by(&mara).send().await.expect(200);
    app.get("/api/admin/ai/usage?day=yesterday").by(&mara).send().await.problem(422, "validation");
    let premium = app.get("/api/auth/me").by(&mara).send().await.expect(200);
    assert_eq!(premium.header("ratelimit-policy"), "\"api\";q=500;w=900");
    let usage = app.get("/api/auth/usage").by(&mara).send().await.expect(200).json();
    assert_eq!((&usage["tier"], &usage["limits"]["text"]), (&json!("premium"), &json!(null)));
    app.stop().await;
}

#[tokio::test]
async fn a_page_learns_who_answers_before_anyone_signs_in() {
    let app = TestApp::start().await;
    let config = app.get("/api/config").send().await.expect(200).json();
    assert_eq!(config["provider"], "openai");
    assert_eq!(
        (&config["model"], &config["demo"], &config["registration"]),
        (&json!("stub"), &json!(false), &json!("open"))
    );
    assert!(config["version"].is_string());
    app.stop().await;
}
