//! Accounts, sessions and the ways to prove one.

use crate::app::{PASSWORD, Person, TestApp, person};
use serde_json::json;

#[tokio::test]
async fn signing_in_and_out() {
    let app = TestApp::lifted().await;
    let form =
        json!({ "email": "Mara@Example.test", "username": "Mara_7", "password": PASSWORD, "displayName": "Mara Vale" });
    let registered = app.post("/api/auth/register").body(form.clone()).send().await.expect(201);
    let body = registered.json();
    assert_eq!((&body["user"]["username"], &body["user"]["displayName"]), (&json!("mara_7"), &json!("Mara Vale")));
    assert_eq!((&body["user"]["tier"], &body["user"]["role"]), (&json!("free"), &json!("user")));
    assert!(body["expiresAt"].as_str().unwrap().ends_with('Z'));
    assert!(!registered.text.contains(PASSWORD) && !registered.text.contains("hash"));
    app.post("/api/auth/register").body(form).send().await.problem(409, "conflict");

    for login in ["mara_7", "MARA_7", "mara@example.test"] {
        let mara = person(&app.login(login, PASSWORD).await.expect(200).json());
        let me = app.get("/api/auth/me").by(&mara).send().await.expect(200).json();
        assert_eq!(me["user"]["id"], body["user"]["id"]);
    }
    let mara = person(&body);
    let out = app.post("/api/auth/logout").by(&mara).send().await.expect(204);
    assert!(out.header("set-cookie").starts_with("aim_session=; ") && out.header("set-cookie").contains("Max-Age=0"));
    app.get("/api/auth/me").by(&mara).send().await.problem(401, "unauthenticated");
    app.stop().await;
}

#[tokio::test]
async fn nobody_registers_where_it_is_closed() {
    let app = TestApp::with(&[("AIM_AUTH__REGISTRATION", "closed")]).await;
    let form = json!({ "email": "a@b.test", "username": "mara", "password": PASSWORD });
    app.post("/api/auth/register").body(form).send().await.problem(403, "forbidden");
    assert_eq!(app.get("/api/config").send().await.json()["registration"], "closed");
    app.stop().await;
}

#[tokio::test]
async fn a_device_can_be_signed_out() {
    let app = TestApp::lifted().await;
    let here = app.person("mara").await;
    let there = {
        let body = json!({ "login": "mara", "password": PASSWORD });
        let phone = app.post("/api/auth/login").header("user-agent", "A phone").body(body);
        person(&phone.send().await.expect(200).json())
    };
    let list = app.get("/api/auth/sessions").by(&here).send().await.expect(200).json();
    let items = list["items"].as_array().unwrap().clone();
    assert_eq!(items.len(), 2);
    let phone = items.iter().find(|item| item["device"] == "A phone").unwrap();
    assert_eq!(phone["current"], false);
    assert_eq!(items.iter().filter(|item| item["current"] == true).count(), 1);
    assert!(!list.to_string().contains(&there.token), "a token is told once");

    let path = format!("/api/auth/sessions/{}", phone["id"].as_str().unwrap());
    let finn = app.person("finn").await;
    app.delete(&path).by(&finn).send().await.problem(404, "not_found");
    app.get("/api/auth/me").by(&there).send().await.expect(200);
    app.delete(&path).by(&here).send().await.expect(204);
    app.get("/api/auth/me").by(&there).send().await.problem(401, "unauthenticated");
    app.get("/api/auth/me").by(&here).send().await.expect(200);
    app.delete(&path).by(&here).send().await.problem(404, "not_found");
    app.stop().await;
}

#[tokio::test]
async fn the_cookie_is_kept_from_scripts_and_renewed() {
    let app = TestApp::with(&[("AIM_HTTP__TRUSTED_PROXIES", "127.0.0.1")]).await;
    let mara = app.person("mara").await;
    let plain = app.login("mara", PASSWORD).await.expect(200);
    let token = plain.json()["token"].as_str().unwrap().to_owned();
    let expected = format!("aim_session={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age=2592000");
    assert_eq!(plain.header("set-cookie"), expected);
    let body = json!({ "login": "mara", "password": PASSWORD });
    let over_tls = app.post("/api/auth/login").header("x-forwarded-proto", "https").body(body).send().await.expect(200);
    assert!(over_tls.header("set-cookie").ends_with("; Secure"));
    let me = app.get("/api/auth/me").cookie(&mara).send().await.expect(200);
    assert!(me.header("set-cookie").contains(&mara.token), "it lives on as the session does");
    let me = app.get("/api/auth/me").by(&mara).send().await.expect(200);
    assert_eq!(me.header("set-cookie"), "", "who brings a token has no need of it");
    app.stop().await;
}

#[tokio::test]
async fn with_the_cookie_a_change_must_come_from_our_own_pages() {
    let app =
        TestApp::with(&[("AIM_HTTP__ALLOWED_ORIGINS", "https://friend.test"), ("AIM_LIMITS__MULTIPLIER", "9")]).await;
    let mara = app.person("mara").await;
    let ours = app.url("");
    let change = |who: &Person| app.patch("/api/users/me").cookie(who).body(json!({ "displayName": "Mara" }));
    change(&mara).header("origin", &ours).send().await.expect(200);
    change(&mara).header("origin", "https://friend.test").send().await.expect(200);
    for origin in ["https://evil.test", "null", "http://127.0.0.1:1", "https://friend.test.evil.test"] {
        change(&mara).header("origin", origin).send().await.problem(403, "forbidden");
    }
    change(&mara).send().await.problem(403, "forbidden");
    // Reading is safe, and a bearer token is sent by nobody unasked.
    app.get("/api/auth/me").cookie(&mara).header("origin", "https://evil.test").send().await.expect(200);
    let bearer = app.patch("/api/users/me").by(&mara).header("origin", "https://evil.test");
    bearer.body(json!({ "displayName": "Mara" })).send().await.expect(200);
    app.stop().await;
}

#[tokio::test]
async fn profiles_are_read_changed_and_erased() {
    let app = TestApp::lifted().await;
    let (mara, finn) = (app.person("mara").await, app.person("finn").await);
    let path = format!("/api/users/{}", mara.id);
    let seen = app.get(&path).by(&finn).send().await.expect(200).json();
    assert_eq!(seen["user"]["username"], "mara");
    assert!(seen["user"].get("email").is_none(), "{seen}");
    assert_eq!(app.get("/api/users/by-username/MARA").by(&finn).send().await.expect(200).json(), seen);
    app.get(&path).send().await.problem(401, "unauthenticated");

    let patch = |body| app.patch("/api/users/me").by(&mara).body(body).send();
    let changed =
        patch(json!({ "displayName": "Mara Vale", "avatarUrl": "https://x.test/a.png" })).await.expect(200).json();
    assert_eq!(changed["user"]["avatarUrl"], "https://x.test/a.png");
    let seen = app.get(&path).by(&finn).send().await.json();
    assert_eq!(
        (&seen["user"]["displayName"], &seen["user"]["avatarUrl"]),
        (&json!("Mara Vale"), &json!("https://x.test/a.png"))
    );
    assert_eq!(patch(json!({ "avatarUrl": null })).await.json()["user"]["avatarUrl"], json!(null));
    assert_eq!(patch(json!({})).await.json()["user"]["displayName"], "Mara Vale", "what is absent stays");
    let refused = patch(json!({ "avatarUrl": "javascript:alert(1)" })).await.problem(422, "validation");
    assert_eq!(refused["errors"][0]["field"], "avatarUrl");

    app.delete("/api/users/me").by(&mara).send().await.expect(204);
    app.get("/api/auth/me").by(&mara).send().await.problem(401, "unauthenticated");
    app.get(&path).by(&finn).send().await.problem(404, "not_found");
    app.stop().await;
}
