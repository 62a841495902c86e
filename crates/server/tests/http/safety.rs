//! Blocks, reports, and what operators do about them.

use crate::app::{PASSWORD, Person, TestApp, person};
use crate::commands::{aim, done};
use aim_domain::{ManualClock, Timestamp};
use serde_json::{Value, json};
use std::time::Duration;

/// An admin, once the server knows.
async fn eventually(mut holds: impl AsyncFnMut() -> bool) {
    let look = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), look).await.unwrap();
}

async fn listed(app: &TestApp, who: &Person) -> Vec<String> {
    let body = app.get("/api/characters").by(who).send().await.expect(200).json();
    let ids =
        |items: &Value| items.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
    ids(&body["items"])
}

#[tokio::test]
async fn the_blocked_bring_nobody_in_and_their_characters_are_in_no_list() {
    let app = TestApp::lifted().await;
    let (mara, finn) = (app.person("mara").await, app.person("finn").await);
    let nora = app.character(&finn, "Nora").await;
    let theirs = app.conversation(&finn, &nora).await;
    assert!(listed(&app, &mara).await.contains(&nora));
    let block = format!("/api/users/me/blocks/{}", finn.id);
    for _ in 0..2 {
        app.put(&block).by(&mara).send().await.expect(204);
    }
    let blocks = app.get("/api/users/me/blocks").by(&mara).send().await.expect(200).json();
    assert_eq!(blocks["items"].as_array().unwrap().len(), 1);
    assert_eq!(blocks["items"][0]["user"]["username"], "finn");
    assert!(blocks["items"][0]["createdAt"].is_string());
    assert!(!listed(&app, &mara).await.contains(&nora));
    let found = app.get("/api/search?q=nora").by(&mara).send().await.expect(200).json();
    assert_eq!(found["characters"], json!([]));
    let members = format!("/api/conversations/{theirs}/members");
    let refused = app.post(&members).by(&finn).body(json!({ "userId": mara.id })).send().await;
    let nobody = app.post(&members).by(&finn).body(json!({ "userId": "nobody" })).send().await;
    let (refused, nobody) = (refused.problem(404, "not_found"), nobody.problem(404, "not_found"));
    assert_eq!(refused["detail"], nobody["detail"], "as if there were no such user");

    app.put(&format!("/api/users/me/blocks/{}", mara.id)).by(&mara).send().await.problem(422, "validation");
    app.put("/api/users/me/blocks/nobody").by(&mara).send().await.problem(404, "not_found");
    for _ in 0..2 {
        app.delete(&block).by(&mara).send().await.expect(204);
    }
    assert!(listed(&app, &mara).await.contains(&nora));
    app.post(&members).by(&finn).body(json!({ "userId": mara.id })).send().await.expect(200);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_shows_operators_what_it_was_of() {
    let app = TestApp::lifted().await;
    let (ada, mara, finn) = (app.admin("ada").await, app.person("mara").await, app.person("finn").await);
    let nora = app.character(&finn, "Nora").await;
    let form = json!({ "kind": "character", "id": nora, "reason": "impersonation", "note": " That is me. " });
    let first = app.post("/api/reports").by(&mara).body(form.clone()).send().await.expect(201).json();
    let again = app.post("/api/reports").by(&mara).body(form).send().await.expect(200).json();
    assert_eq!(first, again);
    assert_eq!((&first["report"]["state"], &first["report"]["note"]), (&json!("open"), &json!("That is me.")));
    assert!(first["report"].get("snapshot").is_none() && first["report"].get("author").is_none());
    app.patch(&format!("/api/characters/{nora}"))
        .by(&finn)
        .body(json!({ "name": "Somebody else" }))
        .send()
        .await
        .expect(200);

    let talk = app.conversation(&mara, &nora).await;
    let path = format!("/api/conversations/{talk}/messages");
    let greeting = app.get(&path).by(&mara).send().await.json()["items"][0]["id"].as_str().unwrap().to_owned();
    let reply = json!({ "kind": "reply", "id": greeting, "conversationId": talk, "reason": "hate" });
    app.post("/api/reports").by(&mara).body(reply.clone()).send().await.expect(201);
    app.post("/api/reports").by(&finn).body(reply).send().await.problem(404, "not_found");
    for (wrong, status) in [
        (json!({ "kind": "message", "id": greeting, "conversationId": talk, "reason": "hate" }), 404),
        (json!({ "kind": "message", "id": greeting, "reason": "hate" }), 422),
        (json!({ "kind": "user", "id": mara.id, "reason": "hate" }), 422),
        (json!({ "kind": "user", "id": "nobody", "reason": "hate" }), 404),
        (json!({ "kind": "user", "id": finn.id, "reason": "boring" }), 422),
        (json!({ "kind": "user", "id": finn.id, "reason": "spam", "note": "x".repeat(2_001) }), 422),
    ] {
        let answer = app.post("/api/reports").by(&mara).body(wrong.clone()).send().await;
        assert_eq!(answer.status.as_u16(), status, "{wrong}: {}", answer.text);
    }

    let all = app.get("/api/admin/complaints").by(&ada).send().await.expect(200).json();
    assert_eq!((&all["open"], all["items"].as_array().unwrap().len()), (&json!(2), 2));
    let (reply, character) = (&all["items"][0], &all["items"][1]);
    assert_eq!((&character["snapshot"]["name"], &character["targetId"]), (&json!("Nora"), &json!(nora)));
    assert_eq!(
        (&character["reporter"]["username"], &character["author"]["username"]),
        (&json!("mara"), &json!("finn"))
    );
    assert_eq!((&reply["snapshot"]["text"], &reply["characterId"]), (&json!("Ahoy, mara."), &json!(nora)));

    let one = format!("/api/admin/complaints/{}", character["id"].as_str().unwrap());
    let closed = json!({ "state": "closed", "resolution": "Renamed." });
    let body = app.patch(&one).by(&ada).body(closed).send().await.expect(200).json();
    assert_eq!((&body["complaint"]["state"], &body["complaint"]["resolution"]), (&json!("closed"), &json!("Renamed.")));
    let list = app.get("/api/admin/complaints?state=closed").by(&ada).send().await.expect(200).json();
    assert_eq!((list["items"].as_array().unwrap().len(), &list["open"]), (1, &json!(1)));
    app.get("/api/admin/complaints?state=odd").by(&ada).send().await.problem(422, "validation");
    app.patch("/api/admin/complaints/none")
        .by(&ada)
        .body(json!({ "state": "open" }))
        .send()
        .await
        .problem(404, "not_found");
    app.stop().await;
}

#[tokio::test]
async fn somebody_makes_twenty_reports_a_day() {
    let clock = ManualClock::at(Timestamp(1_795_408_728_120));
    let app = TestApp::at(clock.clone()).await;
    let (mara, finn) = (app.person("mara").await, app.person("finn").await);
    let mut last = String::new();
    for n in 0..21 {
        last = app.character(&finn, &format!("Nora {n}")).await;
        let form = json!({ "kind": "character", "id": last, "reason": "spam" });
        let answer = app.post("/api/reports").by(&mara).body(form).send().await;
        if n < 20 {
            answer.expect(201);
        } else {
            let retry: u64 = answer.header("retry-after").parse().unwrap();
            assert!((86_000..=86_400).contains(&retry), "{retry}");
            answer.problem(429, "rate_limited");
        }
    }
    clock.advance(Duration::from_secs(24 * 3_600));
    let form = json!({ "kind": "character", "id": last, "reason": "spam" });
    app.post("/api/reports").by(&mara).body(form).send().await.expect(201);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unlisted_character_is_gone_for_others_and_goes_on_where_it_is_known() {
    let app = TestApp::lifted().await;
    let (ada, mara, finn, otto) =
        (app.admin("ada").await, app.person("mara").await, app.person("finn").await, app.person("otto").await);
    let nora = app.character(&finn, "Nora").await;
    let talk = app.conversation(&mara, &nora).await;
    let (path, at) = (format!("/api/admin/characters/{nora}"), format!("/api/characters/{nora}"));
    app.get(&at).by(&otto).send().await.expect(200);
    app.patch(&path).by(&ada).body(json!({ "unlisted": true, "reason": " " })).send().await.problem(422, "validation");
    let body = json!({ "unlisted": true, "reason": "A copy." });
    app.patch(&path).by(&ada).body(body).send().await.expect(200);
    for who in [&mara, &otto] {
        assert!(!listed(&app, who).await.contains(&nora));
    }
    app.get(&at).by(&otto).send().await.problem(404, "not_found");
    app.post("/api/conversations")
        .by(&otto)
        .body(json!({ "characterId": nora }))
        .send()
        .await
        .problem(404, "not_found");

    let known = app.get(&at).by(&mara).send().await.expect(200).json();
    assert_eq!((&known["character"]["unlisted"], known["character"].get("unlistedReason")), (&json!(true), None));
    app.post("/api/conversations").by(&mara).body(json!({ "characterId": nora })).send().await.expect(200);
    let send = json!({ "type": "text", "text": "Are you there?", "clientId": "1" });
    app.post(&format!("/api/conversations/{talk}/messages")).by(&mara).body(send).send().await.expect(202);

    assert!(listed(&app, &finn).await.contains(&nora), "its owner finds it");
    let own = app.get(&at).by(&finn).send().await.expect(200).json();
    assert_eq!(own["character"]["unlistedReason"], "A copy.");
    app.post("/api/conversations").by(&finn).body(json!({ "characterId": nora })).send().await.expect(201);
    app.post("/api/conversations").by(&ada).body(json!({ "characterId": nora })).send().await.problem(403, "forbidden");

    app.patch(&path).by(&ada).body(json!({ "unlisted": false, "reason": "Settled." })).send().await.expect(200);
    let again = app.get(&at).by(&otto).send().await.expect(200).json();
    assert!(again["character"].get("unlisted").is_none());
    let audit = app.get("/api/admin/audit").by(&ada).send().await.expect(200).json();
    let brief: Vec<_> = audit["items"].as_array().unwrap().iter().map(|one| (&one["action"], &one["reason"])).collect();
    let (list, unlist) = (json!("list_character"), json!("unlist_character"));
    assert_eq!(brief, [(&list, &json!("Settled.")), (&unlist, &json!("A copy."))]);
    assert_eq!(audit["items"][0]["operator"]["username"], "ada");
    assert_eq!(audit["items"][0]["target"], json!({ "kind": "character", "id": nora, "name": "Nora" }));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suspended_are_out_at_once_and_are_told_why() {
    let app = TestApp::lifted().await;
    let (ada, mara, otto) = (app.admin("ada").await, app.person("mara").await, app.person("otto").await);
    let nora = app.character(&mara, "Nora").await;
    let path = format!("/api/admin/users/{}", mara.id);
    app.get("/api/auth/me").by(&mara).send().await.expect(200);
    for wrong in [
        json!({ "suspended": true, "reason": "" }),
        json!({ "suspended": true, "reason": "x", "until": "2020-01-01T00:00:00Z" }),
    ] {
        app.patch(&path).by(&ada).body(wrong).send().await.problem(422, "validation");
    }
    let until = app.running.platform.ambient.now().plus(Duration::from_secs(3_600));
    let form = json!({ "suspended": true, "until": until, "reason": "Spam." });
    let body = app.patch(&path).by(&ada).body(form).send().await.expect(200).json();
    assert_eq!((&body["user"]["username"], &body["suspension"]["until"]), (&json!("mara"), &json!(until)));
    app.get("/api/auth/me").by(&mara).send().await.problem(401, "unauthenticated");
    let told = app.login("mara", PASSWORD).await.problem(403, "forbidden");
    let detail = told["detail"].as_str().unwrap();
    assert!(detail.contains(&until.to_string()[..10]) && detail.ends_with("Reason: Spam."), "{detail}");
    app.login("mara", "a wrong one").await.problem(401, "unauthenticated");
    assert!(!listed(&app, &otto).await.contains(&nora));
    app.post("/api/conversations")
        .by(&otto)
        .body(json!({ "characterId": nora }))
        .send()
        .await
        .problem(404, "not_found");

    let back = json!({ "suspended": false, "reason": "Sorry." });
    let body = app.patch(&path).by(&ada).body(back).send().await.expect(200).json();
    assert_eq!(body["suspension"], Value::Null);
    let mara = person(&app.login("mara", PASSWORD).await.expect(200).json());
    app.get("/api/auth/me").by(&mara).send().await.expect(200);
    assert!(listed(&app, &otto).await.contains(&nora));

    let own = format!("/api/admin/users/{}", ada.id);
    let form = json!({ "suspended": true, "reason": "Bored." });
    app.patch(&own).by(&ada).body(form.clone()).send().await.problem(409, "conflict");
    app.patch("/api/admin/users/nobody").by(&ada).body(form.clone()).send().await.problem(404, "not_found");
    // With the cookie alone a change must come from here.
    let sent = app.patch(&path).cookie(&ada).header("origin", "https://evil.test").body(form);
    sent.send().await.problem(403, "forbidden");
    app.get("/api/auth/me").by(&mara).send().await.expect(200);
    app.stop().await;
}

/// As an operator without the page does it, beside a server that runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminal_suspends_and_unlists() {
    let app = TestApp::lifted().await;
    let (ada, mara, otto) = (app.admin("ada").await, app.person("mara").await, app.person("otto").await);
    let nora = app.character(&mara, "Nora").await;
    app.get(&format!("/api/characters/{nora}")).by(&otto).send().await.expect(200);
    let data = app.data.path();
    let unlist = done(&aim(data, &["character", "unlist", &nora, "--reason", "A copy."], &[], ""));
    assert_eq!(unlist.trim(), "Nora is out of lists.");
    eventually(async || app.get(&format!("/api/characters/{nora}")).by(&otto).send().await.status == 404).await;
    done(&aim(data, &["character", "relist", &nora], &[], ""));
    eventually(async || app.get(&format!("/api/characters/{nora}")).by(&otto).send().await.status == 200).await;

    let day = app.running.platform.ambient.now().plus(Duration::from_secs(3 * 86_400)).day();
    let said = done(&aim(data, &["user", "suspend", "mara", "--until", &day, "--reason", "Spam."], &[], ""));
    assert!(said.contains(&format!("until {day} 00:00 UTC. Reason: Spam.")), "{said}");
    eventually(async || app.get("/api/auth/me").by(&mara).send().await.status == 401).await;
    app.login("mara", PASSWORD).await.problem(403, "forbidden");
    assert!(done(&aim(data, &["user", "show", "mara"], &[], "")).contains("suspended until"));
    done(&aim(data, &["user", "restore", "mara"], &[], ""));
    app.login("mara", PASSWORD).await.expect(200);

    let last = aim(data, &["user", "suspend", "ada", "--reason", "x"], &[], "");
    assert_eq!(last.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&last.stderr).contains("last administrator"));
    let wrong = aim(data, &["user", "suspend", "otto", "--until", "soon", "--reason", "x"], &[], "");
    assert_eq!(wrong.status.code(), Some(2));
    let audit = app.get("/api/admin/audit").by(&ada).send().await.expect(200).json();
    assert_eq!(audit["items"].as_array().unwrap().len(), 4);
    assert_eq!(audit["items"][0]["operator"], Value::Null);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_look_up_accounts() {
    let app = TestApp::lifted().await;
    let (ada, mara) = (app.admin("ada").await, app.person("mara").await);
    let looked = async |query: &str| {
        let found = app.get(&format!("/api/admin/users?{query}")).by(&ada).send().await.expect(200).json();
        found["items"].as_array().unwrap().clone()
    };
    assert_eq!(looked("").await.len(), 2);
    let found = looked("q=@MA").await;
    assert_eq!(found.len(), 1);
    assert_eq!(
        (&found[0]["id"], &found[0]["suspension"], &found[0]["role"]),
        (&json!(mara.id), &Value::Null, &json!("user"))
    );
    let body = json!({ "suspended": true, "reason": "Spam." });
    app.patch(&format!("/api/admin/users/{}", mara.id)).by(&ada).body(body).send().await.expect(200);
    let found = looked("suspended=true").await;
    assert_eq!((found.len(), &found[0]["suspension"]), (1, &json!({ "until": null, "reason": "Spam." })));
    let page = app.get("/api/admin/users?limit=1").by(&ada).send().await.expect(200).json();
    let next = format!("limit=1&cursor={}", page["nextCursor"].as_str().unwrap());
    assert_ne!(looked(&next).await[0]["id"], page["items"][0]["id"]);
    app.get("/api/admin/users?suspended=perhaps").by(&ada).send().await.problem(422, "validation");
    app.stop().await;
}
