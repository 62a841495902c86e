//! Removing the last exchange, branching, deleting with a way back, and read marks, over REST.

use crate::app::{Person, TestApp};
use serde_json::{Value, json};
use std::time::Duration;

/// Says something and waits for its reply; all messages after it.
async fn exchange(app: &TestApp, who: &Person, conversation: &str, text: &str) -> Vec<Value> {
    let path = format!("/api/conversations/{conversation}/messages");
    let form = json!({ "type": "text", "text": text, "clientId": text });
    let sent = app.post(&path).by(who).body(form).send().await.expect(202).json();
    let answered = async {
        loop {
            let items = app.get(&path).by(who).send().await.expect(200).json()["items"].as_array().unwrap().clone();
            let stored = |item: &Value| item["id"] == sent["message"]["id"] && item["replyState"] == "done";
            if items.iter().any(stored) {
                return items;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), answered).await.unwrap()
}

fn id(of: &Value) -> &str {
    of["id"].as_str().unwrap()
}

#[tokio::test]
async fn the_last_exchange_is_removed_by_its_sender_or_the_owner() {
    let app = TestApp::lifted().await;
    let (mara, finn, eve) = (app.person("mara").await, app.person("finn").await, app.person("eve").await);
    let character = app.character(&mara, "Folio").await;
    let talk = app.conversation(&mara, &character).await;
    let at = |message: &Value| format!("/api/conversations/{talk}/messages/{}", id(message));
    app.post(&format!("/api/conversations/{talk}/members"))
        .by(&mara)
        .body(json!({ "userId": finn.id }))
        .send()
        .await
        .expect(200);
    exchange(&app, &mara, &talk, "a harbour").await;
    let said = exchange(&app, &mara, &talk, "a tempest").await;
    let [greeting, one, _, two, reply] = said.as_slice() else { panic!("{said:?}") };
    app.delete(&at(greeting)).by(&mara).send().await.problem(409, "conflict");
    app.delete(&at(reply)).by(&mara).send().await.problem(409, "conflict");
    app.delete(&at(one)).by(&mara).send().await.problem(409, "conflict");
    app.delete(&at(two)).by(&finn).send().await.problem(403, "forbidden");
    app.delete(&at(two)).by(&eve).send().await.problem(404, "not_found");
    app.delete(&at(two)).send().await.problem(401, "unauthenticated");
    app.delete(&format!("/api/conversations/{talk}/messages/nothing")).by(&mara).send().await.problem(404, "not_found");
    app.delete(&at(two)).by(&mara).send().await.expect(204);
    app.delete(&at(two)).by(&mara).send().await.problem(404, "not_found");
    let now = app.get(&format!("/api/conversations/{talk}")).by(&finn).send().await.expect(200).json();
    let now = &now["conversation"];
    assert_eq!((&now["lastSeq"], &now["removals"]), (&json!(3), &json!(1)));

    let again = exchange(&app, &finn, &talk, "an anchor").await;
    assert_eq!(again.iter().map(|item| item["seq"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    app.delete(&at(&again[3])).by(&mara).send().await.expect(204);
    // What the character reads next knows nothing of what was removed.
    exchange(&app, &mara, &talk, "a compass").await;
    let asked = app.model.asked();
    let read = format!("{:?}", asked.last().unwrap().messages);
    assert!(["harbour", "compass"].iter().all(|word| read.contains(word)), "{read}");
    app.stop().await;
}

#[tokio::test]
async fn a_branch_is_a_conversation_of_ones_own() {
    let app = TestApp::lifted().await;
    let (mara, finn) = (app.person("mara").await, app.person("finn").await);
    let character = app.character(&mara, "Folio").await;
    let talk = app.conversation(&mara, &character).await;
    let said = exchange(&app, &mara, &talk, "one").await;
    let path = format!("/api/conversations/{talk}/branch");
    let form = json!({ "messageId": id(&said[2]) });
    app.post(&path).by(&finn).body(form.clone()).send().await.problem(404, "not_found");
    app.post(&path).by(&mara).body(json!({ "messageId": "nothing" })).send().await.problem(404, "not_found");
    app.post(&path).by(&mara).body(json!({})).send().await.problem(422, "validation");
    let branch = app.post(&path).by(&mara).body(form).send().await.expect(201).json()["conversation"].clone();
    assert_eq!(branch["branchOf"], json!({ "conversationId": talk, "seq": 3 }));
    assert_eq!((&branch["title"], &branch["lastSeq"]), (&json!("Folio (branch)"), &json!(3)));
    let here =
        app.get(&format!("/api/conversations/{}/messages", id(&branch))).by(&mara).send().await.expect(200).json();
    let texts = |items: &[Value]| items.iter().map(|item| item["text"].clone()).collect::<Vec<_>>();
    assert_eq!(texts(here["items"].as_array().unwrap()), texts(&said));
    let after = exchange(&app, &mara, id(&branch), "two").await;
    assert_eq!(after.len(), 5);
    let opened = app.post("/api/conversations").by(&mara).body(json!({ "characterId": character })).send().await;
    assert_eq!(opened.expect(200).json()["conversation"]["id"], json!(talk), "the main one");
    app.stop().await;
}

#[tokio::test]
async fn a_new_conversation_takes_the_place_of_the_one_before() {
    let app = TestApp::lifted().await;
    let (mara, finn) = (app.person("mara").await, app.person("finn").await);
    let character = app.character(&mara, "Folio").await;
    let open = async |who: &Person, more: Value| {
        let mut form = json!({ "characterId": character });
        form.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = app.post("/api/conversations").by(who).body(form).send().await;
        (answer.status.as_u16(), answer.json()["conversation"]["id"].as_str().unwrap_or_default().to_owned())
    };
    let (status, first) = open(&mara, json!({ "new": true })).await;
    assert_eq!(status, 201);
    exchange(&app, &mara, &first, "a harbour").await;
    assert_eq!(open(&mara, json!({})).await, (200, first.clone()));
    let (status, second) = open(&mara, json!({ "new": true })).await;
    assert!(status == 201 && second != first);
    assert_eq!(open(&mara, json!({})).await, (200, second.clone()), "not the one that was cached");
    // Nothing of the one is known in the other, and both are there.
    exchange(&app, &mara, &second, "a compass").await;
    let read = format!("{:?}", app.model.asked().last().unwrap().messages);
    assert!(read.contains("compass") && !read.contains("harbour"), "{read}");
    let listed = app.get("/api/conversations").by(&mara).send().await.expect(200).json();
    assert_eq!(listed["items"].as_array().unwrap().iter().map(id).collect::<Vec<_>>(), [&second, &first]);
    let (status, theirs) = open(&finn, json!({})).await;
    assert!(status == 201 && theirs != second);
    app.delete(&format!("/api/conversations/{second}")).by(&mara).send().await.expect(204);
    assert_eq!(open(&mara, json!({})).await, (200, first), "what is left of the pair");
    app.stop().await;
}

#[tokio::test]
async fn branching_counts_as_asking_the_model_for_more_does() {
    let app = TestApp::start().await;
    let mara = app.person("mara").await;
    let character = app.character(&mara, "Folio").await;
    let talk = app.conversation(&mara, &character).await;
    let page = app.get(&format!("/api/conversations/{talk}/messages")).by(&mara).send().await.expect(200).json();
    let form = json!({ "messageId": page["items"][0]["id"] });
    let branch =
        async || app.post(&format!("/api/conversations/{talk}/branch")).by(&mara).body(form.clone()).send().await;
    for left in (0..20).rev() {
        assert_eq!(branch().await.expect(201).remaining("ai"), left);
    }
    let refused = branch().await;
    assert_eq!(refused.remaining("ai"), 0);
    refused.problem(429, "rate_limited");
    let listed = app.get("/api/conversations?limit=100").by(&mara).send().await.expect(200).json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 21, "what was refused was not made");
    app.stop().await;
}

#[tokio::test]
async fn a_deleted_conversation_can_be_had_back() {
    let app = TestApp::lifted().await;
    let (mara, finn) = (app.person("mara").await, app.person("finn").await);
    let character = app.character(&mara, "Folio").await;
    let talk = app.conversation(&mara, &character).await;
    let said = exchange(&app, &mara, &talk, "one").await;
    let at = |rest: &str| format!("/api/conversations/{talk}{rest}");
    app.post(&at("/members")).by(&mara).body(json!({ "userId": finn.id })).send().await.expect(200);
    app.post(&at("/restore")).by(&mara).send().await.problem(404, "not_found");
    app.delete(&at("")).by(&finn).send().await.problem(403, "forbidden");
    app.delete(&at("")).by(&mara).send().await.expect(204);
    for who in [&mara, &finn] {
        app.get(&at("")).by(who).send().await.problem(404, "not_found");
        app.get(&at("/messages")).by(who).send().await.problem(404, "not_found");
        app.put(&at("/read")).by(who).body(json!({ "seq": 1 })).send().await.problem(404, "not_found");
        let list = app.get("/api/conversations").by(who).send().await.expect(200).json();
        assert_eq!(list["items"], json!([]));
    }
    let deleted = app.get("/api/conversations?deleted=true").by(&mara).send().await.expect(200).json();
    assert_eq!(deleted["items"][0]["id"], json!(talk));
    assert!(deleted["items"][0]["deletedAt"].is_string());
    let theirs = app.get("/api/conversations?deleted=true").by(&finn).send().await.expect(200).json();
    assert_eq!(theirs["items"], json!([]));

    // Begun anew meanwhile, it comes back as a further one.
    let open = || app.post("/api/conversations").by(&mara).body(json!({ "characterId": character })).send();
    let anew = open().await.expect(201).json()["conversation"]["id"].clone();
    assert_ne!(anew, json!(talk));
    app.post(&at("/restore")).by(&finn).send().await.problem(404, "not_found");
    let back = app.post(&at("/restore")).by(&mara).send().await.expect(200).json();
    assert_eq!((&back["conversation"]["id"], &back["conversation"]["deletedAt"]), (&json!(talk), &Value::Null));
    assert_eq!(open().await.expect(200).json()["conversation"]["id"], anew);
    let now = app.get(&at("/messages")).by(&finn).send().await.expect(200).json();
    assert_eq!(now["items"], json!(said));
    app.stop().await;
}

#[tokio::test]
async fn a_read_mark_moves_forward_and_counts_what_is_left() {
    let app = TestApp::lifted().await;
    let mara = app.person("mara").await;
    let character = app.character(&mara, "Folio").await;
    let talk = app.conversation(&mara, &character).await;
    exchange(&app, &mara, &talk, "one").await;
    let unread = async || {
        let list = app.get("/api/conversations").by(&mara).send().await.expect(200).json();
        list["items"][0]["unread"].clone()
    };
    assert_eq!(unread().await, 1, "the reply");
    let path = format!("/api/conversations/{talk}/read");
    let mark = async |seq: u64| app.put(&path).by(&mara).body(json!({ "seq": seq })).send().await.expect(200).json();
    assert_eq!(mark(2).await, json!({ "seq": 2, "unread": 1 }));
    assert_eq!(mark(99).await, json!({ "seq": 3, "unread": 0 }));
    assert_eq!(mark(1).await, json!({ "seq": 3, "unread": 0 }));
    assert_eq!(unread().await, 0);
    app.put(&path).by(&mara).body(json!({ "seq": -1 })).send().await.problem(422, "validation");
    app.stop().await;
}
