//! Conversations and messages over REST.

use crate::app::{Person, TestApp};
use serde_json::{Value, json};
use std::time::Duration;

/// The messages, once the last of the user's has this state.
async fn messages_when(app: &TestApp, who: &Person, conversation: &str, state: &str) -> Vec<Value> {
    let path = format!("/api/conversations/{conversation}/messages");
    let read = async {
        loop {
            let page = app.get(&path).by(who).send().await.expect(200).json();
            let items = page["items"].as_array().unwrap().clone();
            if items.iter().rev().find(|item| item["role"] == "user").is_some_and(|item| item["replyState"] == state) {
                return items;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), read).await.unwrap()
}

#[tokio::test]
async fn a_message_is_taken_in_and_answered() {
    let app = TestApp::lifted().await;
    let mara = app.person("mara").await;
    let character = app.character(&mara, "Folio").await;
    let open = || app.post("/api/conversations").by(&mara).body(json!({ "characterId": character })).send();
    let first = open().await.expect(201).json();
    assert_eq!(first["conversation"]["character"]["name"], "Folio");
    let again = open().await.expect(200).json();
    let id = first["conversation"]["id"].as_str().unwrap();
    assert_eq!(again["conversation"]["id"], id);

    let path = format!("/api/conversations/{id}/messages");
    let form = json!({ "type": "text", "text": "Which century?", "clientId": "c1" });
    let sent = app.post(&path).by(&mara).body(form.clone()).send().await.expect(202).json();
    assert_eq!((&sent["message"]["seq"], &sent["message"]["replyState"]), (&json!(2), &json!("due")));
    assert_eq!((&sent["state"], &sent["usage"]["text"]["used"]), (&json!("processing"), &json!(1)));
    let items = messages_when(&app, &mara, id, "done").await;
    assert_eq!(items.iter().map(|item| item["seq"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(items[0]["text"], "Ahoy, mara.", "the greeting");
    assert_eq!((&items[2]["inReplyTo"], &items[2]["senderId"]), (&sent["message"]["id"], &json!(character)));
    let repeated = app.post(&path).by(&mara).body(form).send().await.expect(202).json();
    assert_eq!((&repeated["message"]["id"], &repeated["usage"]["text"]["used"]), (&sent["message"]["id"], &json!(1)));

    let page = |query: &str| app.get(&format!("{path}?{query}")).by(&mara).send();
    let seqs = |page: &Value| {
        page["items"].as_array().unwrap().iter().map(|item| item["seq"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let newest = page("limit=2").await.expect(200).json();
    assert_eq!((seqs(&newest), &newest["hasMore"]), (vec![2, 3], &json!(true)));
    assert_eq!(seqs(&page("before=2").await.json()), [1]);
    assert_eq!(seqs(&page("after=1&limit=1").await.json()), [2]);

    let usage = app.get("/api/auth/usage").by(&mara).send().await.expect(200).json();
    assert_eq!(usage["characters"][&character]["text"]["used"], 1);
    let one = app.get(&format!("/api/auth/usage/{character}")).by(&mara).send().await.expect(200).json();
    assert_eq!(one["text"]["used"], 1);
    let state = app.get(&format!("/api/conversations/{id}/state")).by(&mara).send().await.expect(200).json();
    assert_eq!(state["pending"], 0);
    let tokens = aim_of_the_day(&app).await;
    assert!(tokens > 0, "tokens of the day: {tokens}");
    app.stop().await;
}

/// Tokens of today, as the platform counts them.
async fn aim_of_the_day(app: &TestApp) -> u64 {
    let platform = &app.running.platform;
    let day = platform.ambient.now().day();
    platform.tokens_on(&day).await.unwrap().iter().map(|model| model.prompt + model.completion).sum()
}

#[tokio::test]
async fn what_belongs_to_someone_else_is_not_found() {
    let app = TestApp::lifted().await;
    let (mara, finn) = (app.person("mara").await, app.person("finn").await);
    let character = app.character(&mara, "Folio").await;
    let id = app.conversation(&mara, &character).await;
    let at = |rest: &str| format!("/api/conversations/{id}{rest}");
    let message = json!({ "type": "text", "text": "hello", "clientId": "c1" });
    let someone = json!({ "userId": finn.id });
    app.get(&at("")).by(&finn).send().await.problem(404, "not_found");
    app.get(&at("/messages")).by(&finn).send().await.problem(404, "not_found");
    app.get(&at("/state")).by(&finn).send().await.problem(404, "not_found");
    app.post(&at("/messages")).by(&finn).body(message.clone()).send().await.problem(404, "not_found");
    app.post(&at("/cancel")).by(&finn).send().await.problem(404, "not_found");
    app.post(&at("/messages/m1/retry")).by(&finn).send().await.problem(404, "not_found");
    app.patch(&at("")).by(&finn).body(json!({ "title": "Mine" })).send().await.problem(404, "not_found");
    app.delete(&at("")).by(&finn).send().await.problem(404, "not_found");
    app.post(&at("/members")).by(&finn).body(someone.clone()).send().await.problem(404, "not_found");
    let list = app.get("/api/conversations").by(&finn).send().await.expect(200).json();
    assert_eq!(list["items"], json!([]));

    // Until he is brought in.
    app.post(&at("/members")).by(&mara).body(someone.clone()).send().await.expect(200);
    app.get(&at("")).by(&finn).send().await.expect(200);
    app.post(&at("/messages")).by(&finn).body(message).send().await.expect(202);
    app.delete(&at("/members")).by(&mara).body(someone).send().await.expect(204);
    app.get(&at("")).by(&finn).send().await.problem(404, "not_found");

    // Whose character is gone is still there, and says who is missing.
    app.delete(&format!("/api/characters/{character}")).by(&mara).send().await.expect(204);
    let late = json!({ "type": "text", "text": "hello?", "clientId": "c2" });
    let refused = app.post(&at("/messages")).by(&mara).body(late).send().await.problem(404, "not_found");
    assert!(refused["detail"].as_str().unwrap().contains("character"), "{refused}");
    app.get(&at("")).by(&mara).send().await.expect(200);

    let renamed = app.patch(&at("")).by(&mara).body(json!({ "title": "At night" })).send().await.expect(200).json();
    assert_eq!(renamed["conversation"]["title"], "At night");
    app.delete(&at("")).by(&mara).send().await.expect(204);
    app.get(&at("")).by(&mara).send().await.problem(404, "not_found");
    app.stop().await;
}

#[tokio::test]
async fn a_failed_reply_can_be_asked_for_again() {
    let app = TestApp::with(&[("AIM_AI__RETRIES", "0")]).await;
    let mara = app.person("mara").await;
    let character = app.character(&mara, "Folio").await;
    let id = app.conversation(&mara, &character).await;
    app.model.refuse_next(1, 400);
    let form = json!({ "type": "text", "text": "hello", "clientId": "c1" });
    let path = format!("/api/conversations/{id}/messages");
    let sent = app.post(&path).by(&mara).body(form).send().await.expect(202).json();
    messages_when(&app, &mara, &id, "failed").await;
    let retry = format!("{path}/{}/retry", sent["message"]["id"].as_str().unwrap());
    let again = app.post(&retry).by(&mara).send().await.expect(202).json();
    assert_eq!(again["message"]["replyState"], "due");
    messages_when(&app, &mara, &id, "done").await;
    app.post(&retry).by(&mara).send().await.problem(409, "conflict");
    app.stop().await;
}

#[tokio::test]
async fn the_days_allowance_ends() {
    let app = TestApp::with(&[("AIM_LIMITS__MULTIPLIER", "1000")]).await;
    let mara = app.person("mara").await;
    let character = app.character(&mara, "Folio").await;
    let id = app.conversation(&mara, &character).await;
    let path = format!("/api/conversations/{id}/messages");
    for n in 0..31 {
        let form = json!({ "type": "text", "text": "hello", "clientId": format!("c{n}") });
        let answer = app.post(&path).by(&mara).body(form).send().await;
        if n < 30 {
            answer.expect(202);
        } else {
            assert!(!answer.header("retry-after").is_empty());
            answer.problem(402, "usage_limit_reached");
        }
    }
    let form = json!({ "type": "image", "clientId": "c40", "uploadId": "u1" });
    app.post(&path).by(&mara).body(form).send().await.problem(422, "validation");
    app.stop().await;
}
