//! Search and lists as a client asks for them.

use crate::app::{Person, TestApp};
use serde_json::{Value, json};

async fn found(app: &TestApp, who: &Person, query: &str) -> Value {
    app.get(&format!("/api/search?{query}")).by(who).send().await.expect(200).json()
}

fn count(answer: &Value, what: &str) -> usize {
    answer[what].as_array().unwrap().len()
}

/// Those that a person wrote: a reply may repeat the words, and come at any time.
fn said(answer: &Value) -> Vec<&Value> {
    answer["messages"].as_array().unwrap().iter().filter(|hit| hit["message"]["role"] == "user").collect()
}

#[tokio::test]
async fn what_was_said_is_found_with_its_place_and_by_members_alone() {
    let app = TestApp::lifted().await;
    let (mara, finn) = (app.person("mara").await, app.person("finn").await);
    let nora = app.character(&finn, "Nora Lighthouse").await;
    let talk = {
        let body = json!({ "characterId": nora });
        app.post("/api/conversations").by(&mara).body(body).send().await.expect(201).json()["conversation"].clone()
    };
    let path = format!("/api/conversations/{}/messages", talk["id"].as_str().unwrap());
    let body = json!({ "type": "text", "text": "Is the <b>Lïghthouse</b> open?", "clientId": "1" });
    let sent = app.post(&path).by(&mara).body(body).send().await.expect(202).json()["message"].clone();

    let answer = found(&app, &mara, "q=lighth").await;
    assert_eq!(answer["characters"][0]["id"], json!(nora));
    let hit = said(&answer)[0];
    assert_eq!((&hit["message"]["id"], &hit["conversation"]["id"]), (&sent["id"], &talk["id"]));
    assert_eq!((&hit["conversation"]["characterId"], &hit["conversation"]["title"]), (&json!(nora), &talk["title"]));
    assert_eq!(
        hit["snippet"],
        json!([
            { "text": "Is the <b>", "hit": false },
            { "text": "Lïghthouse", "hit": true },
            { "text": "</b> open?", "hit": false },
        ])
    );
    assert_eq!(count(&found(&app, &finn, "q=lighth").await, "messages"), 0, "another's words");
    let by_finn = &found(&app, &mara, "q=@finn").await["characters"][0];
    assert_eq!(by_finn["id"], json!(nora));
    assert_eq!(by_finn["snippet"], json!([{ "text": "by ", "hit": false }, { "text": "finn", "hit": true }]));
    let within = format!("q=lighth&conversationId={}", talk["id"].as_str().unwrap());
    let answer = found(&app, &mara, &within).await;
    assert_eq!((count(&answer, "characters"), said(&answer).len()), (0, 1));
    app.get(&format!("/api/search?{within}")).by(&finn).send().await.problem(404, "not_found");
    app.get("/api/search?q=lighth&conversationId=nowhere").by(&mara).send().await.problem(404, "not_found");
    for nothing in ["", "q=", "q=%20%3F!", "q=nothingatall", "q=%22%20OR%201=1%20--"] {
        let answer = found(&app, &mara, nothing).await;
        assert_eq!((count(&answer, "characters"), count(&answer, "messages")), (0, 0), "{nothing}");
    }
    let long = format!("/api/search?q={}", "x".repeat(201));
    app.get(&long).by(&mara).send().await.problem(422, "validation");
    app.get("/api/search?q=light").send().await.problem(401, "unauthenticated");
    app.stop().await;
}

#[tokio::test]
async fn lists_know_favourites_tags_and_those_talked_with() {
    let app = TestApp::lifted().await;
    let mara = app.person("mara").await;
    let mut ids = Vec::new();
    for (name, tags) in [("Nora", json!(["sea", "Storms"])), ("Bo", json!(["sea"])), ("Ada", json!([]))] {
        let draft = json!({ "name": name, "tags": tags, "visibility": "public" });
        let made = app.post("/api/characters").by(&mara).body(draft).send().await.expect(201).json();
        ids.push(made["character"]["id"].as_str().unwrap().to_owned());
    }
    let tags = app.get("/api/characters/tags").by(&mara).send().await.expect(200).json();
    let tags = tags["items"].as_array().unwrap().clone();
    assert!(
        tags.contains(&json!({ "tag": "sea", "count": 2 })) && tags.contains(&json!({ "tag": "storms", "count": 1 }))
    );

    let list = async |query: &str| {
        let page = app.get(&format!("/api/characters?{query}")).by(&mara).send().await.expect(200).json();
        let names = page["items"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(list("favourite=true").await, Vec::<String>::new());
    let favourites = json!({ "favourites": [ids[0], ids[2], "gone"] });
    app.put("/api/users/me/preferences").by(&mara).body(favourites).send().await.expect(200);
    assert_eq!(list("favourite=true&sort=name").await, ["Ada", "Nora"]);
    assert_eq!(list("favourite=true&tag=sea").await, ["Nora"]);
    for id in [&ids[1], &ids[0]] {
        app.post("/api/conversations").by(&mara).body(json!({ "characterId": id })).send().await.expect(201);
        tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    }
    assert_eq!(list("sort=recent").await, ["Nora", "Bo"]);
    assert_eq!(list("q=%40mara&sort=name").await, ["Ada", "Bo", "Nora"]);
    app.get("/api/characters?sort=odd").by(&mara).send().await.problem(422, "validation");
    app.stop().await;
}
