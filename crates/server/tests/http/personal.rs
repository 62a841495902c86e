//! Settings, drafts, and what one signs in with.

use crate::app::{PASSWORD, TestApp, person};
use serde_json::json;

#[tokio::test]
async fn settings_follow_a_person_and_nobody_else() {
    let app = TestApp::lifted().await;
    let (mara, finn) = (app.person("mara").await, app.person("finn").await);
    let path = "/api/users/me/preferences";
    assert_eq!(app.get(path).by(&mara).send().await.expect(200).json(), json!({ "favourites": [] }));
    let settings = json!({ "theme": "dark", "favourites": ["nora"], "reader": { "size": 18 } });
    assert_eq!(app.put(path).by(&mara).body(settings.clone()).send().await.expect(200).json(), settings);
    let phone = person(&app.login("mara", PASSWORD).await.expect(200).json());
    assert_eq!(app.get(path).by(&phone).send().await.expect(200).json(), settings);
    // Read once and cached, then replaced: the copy is not what is answered.
    app.put(path).by(&phone).body(json!({ "theme": "light" })).send().await.expect(200);
    let now = json!({ "theme": "light", "favourites": [] });
    assert_eq!(app.get(path).by(&mara).send().await.json(), now);

    // Of two devices that knew the same version one is told to look again, and a tag that is not ours is of no version.
    let read = app.get(path).by(&phone).send().await;
    assert_eq!(read.header("etag"), "\"2\"");
    let saves = |tag: &str| app.put(path).header("if-match", tag).body(now.clone());
    assert_eq!(saves("W/\"2\"").by(&phone).send().await.expect(200).header("etag"), "\"3\"");
    for tag in ["\"2\"", "\"\"", "nonsense", "\"0\"", "-1"] {
        saves(tag).by(&mara).send().await.problem(409, "conflict");
    }
    saves("*").by(&mara).send().await.expect(200);
    saves("\"4\"").by(&mara).send().await.expect(200);
    assert_eq!(app.get(path).by(&finn).send().await.json(), json!({ "favourites": [] }));

    for bad in [json!({ "favourites": "nora" }), json!({ "favourites": ["a b"] }), json!({ "favourites": [7] })] {
        let refused = app.put(path).by(&mara).body(bad).send().await.problem(422, "validation");
        assert_eq!(refused["errors"][0]["field"], "favourites");
    }
    app.put(path).by(&mara).body(json!(["no", "object"])).send().await.problem(422, "validation");
    let large = json!({ "note": "x".repeat(16 * 1024) });
    app.put(path).by(&mara).body(large).send().await.problem(413, "payload_too_large");
    assert_eq!(app.get(path).by(&mara).send().await.json(), now, "what is refused changes nothing");
    app.get(path).send().await.problem(401, "unauthenticated");
    app.stop().await;
}

#[tokio::test]
async fn a_form_goes_on_where_it_was_left() {
    let app = TestApp::lifted().await;
    let (mara, finn) = (app.person("mara").await, app.person("finn").await);
    let path = "/api/drafts/new-character";
    app.get(path).by(&mara).send().await.problem(404, "not_found");
    let form = json!({ "step": 2, "name": "Nora", "tags": ["sea"] });
    let saved = app.put(path).by(&mara).body(form.clone()).send().await.expect(200).json();
    assert_eq!((&saved["draft"]["key"], &saved["draft"]["data"]), (&json!("new-character"), &form));
    let phone = person(&app.login("mara", PASSWORD).await.expect(200).json());
    assert_eq!(app.get(path).by(&phone).send().await.expect(200).json(), saved);
    app.get(path).by(&finn).send().await.problem(404, "not_found");
    app.put(path).by(&phone).body(json!({ "step": 3 })).send().await.expect(200);
    assert_eq!(app.get(path).by(&mara).send().await.json()["draft"]["data"], json!({ "step": 3 }));

    app.put(path).by(&mara).body(json!({ "x": "y".repeat(64 * 1024) })).send().await.problem(413, "payload_too_large");
    app.put("/api/drafts/a%20b").by(&mara).body(json!({})).send().await.problem(404, "not_found");
    for n in 1..50 {
        app.put(&format!("/api/drafts/form-{n}")).by(&mara).body(json!({})).send().await.expect(200);
    }
    app.put("/api/drafts/one-more").by(&mara).body(json!({})).send().await.problem(409, "conflict");
    app.delete(path).by(&mara).send().await.expect(204);
    app.delete(path).by(&mara).send().await.problem(404, "not_found");
    app.get(path).by(&phone).send().await.problem(404, "not_found");
    app.put("/api/drafts/one-more").by(&mara).body(json!({})).send().await.expect(200);
    app.stop().await;
}

#[tokio::test]
async fn another_password_signs_out_the_other_devices() {
    let app = TestApp::lifted().await;
    let here = app.person("mara").await;
    let there = person(&app.login("mara", PASSWORD).await.expect(200).json());
    let change = |current: &str, new: &str| {
        app.post("/api/auth/password").by(&here).body(json!({ "current": current, "new": new })).send()
    };
    let refused = change("not this one", "battery staple").await.problem(422, "validation");
    assert_eq!(refused["errors"][0]["field"], "current");
    assert_eq!(change(PASSWORD, "short").await.problem(422, "validation")["errors"][0]["field"], "new");
    app.get("/api/auth/me").by(&there).send().await.expect(200);
    change(PASSWORD, "battery staple").await.expect(204);
    app.get("/api/auth/me").by(&here).send().await.expect(200);
    app.get("/api/auth/me").by(&there).send().await.problem(401, "unauthenticated");
    app.login("mara", PASSWORD).await.problem(401, "unauthenticated");
    app.login("mara", "battery staple").await.expect(200);
    app.stop().await;
}

#[tokio::test]
async fn another_address_takes_the_password_and_counts_as_not_confirmed() {
    let app = TestApp::lifted().await;
    let (mara, finn) = (app.person("mara").await, app.person("finn").await);
    let change = |email: &str, password: &str| {
        app.post("/api/auth/email").by(&mara).body(json!({ "email": email, "password": password })).send()
    };
    change("new@example.test", "not this one").await.problem(422, "validation");
    change("nowhere", PASSWORD).await.problem(422, "validation");
    let finns = app.get("/api/auth/me").by(&finn).send().await.json()["user"]["email"].as_str().unwrap().to_owned();
    change(&finns.to_uppercase(), PASSWORD).await.problem(409, "conflict");
    let changed = change("New@example.test", PASSWORD).await.expect(200).json();
    assert_eq!(changed["user"]["email"], "New@example.test");
    let me = app.get("/api/auth/me").by(&mara).send().await.expect(200).json();
    assert_eq!((&me["user"]["email"], &me["user"]["emailConfirmed"]), (&json!("New@example.test"), &json!(false)));
    app.login("new@example.test", PASSWORD).await.expect(200);
    app.stop().await;
}

#[tokio::test]
async fn a_deleted_account_is_closed_and_may_be_had_back() {
    let app = TestApp::lifted().await;
    let (mara, finn) = (app.person("mara").await, app.person("finn").await);
    let phone = person(&app.login("mara", PASSWORD).await.expect(200).json());
    let me = app.get("/api/auth/me").by(&mara).send().await.json()["user"]["id"].as_str().unwrap().to_owned();
    let path = format!("/api/users/{me}");
    app.get(&path).by(&finn).send().await.expect(200);
    app.delete("/api/users/me").by(&mara).send().await.expect(204);
    for device in [&mara, &phone] {
        app.get("/api/auth/me").by(device).send().await.problem(401, "unauthenticated");
    }
    app.get(&path).by(&finn).send().await.problem(404, "not_found");
    app.get("/api/users/by-username/mara").by(&finn).send().await.problem(404, "not_found");
    let asked = app.login("mara", PASSWORD).await.problem(409, "conflict");
    assert_eq!(asked["errors"][0]["field"], "restore");
    app.login("mara", "not this one").await.problem(401, "unauthenticated");

    let restore = json!({ "login": "mara", "password": PASSWORD, "restore": true });
    let back = person(&app.post("/api/auth/login").body(restore).send().await.expect(200).json());
    assert_eq!(app.get("/api/auth/me").by(&back).send().await.expect(200).json()["user"]["id"], me);
    app.get("/api/auth/me").by(&phone).send().await.problem(401, "unauthenticated");
    app.get(&path).by(&finn).send().await.expect(200);
    app.stop().await;
}
