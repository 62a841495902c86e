//! Characters over REST.

use crate::app::TestApp;
use serde_json::{Value, json};

#[tokio::test]
async fn a_private_character_is_its_owners_alone() {
    let app = TestApp::lifted().await;
    let (mara, finn) = (app.person("mara").await, app.person("finn").await);
    let made =
        app.post("/api/characters").by(&mara).body(json!({ "name": " Captain Vale " })).send().await.expect(201).json();
    let character = &made["character"];
    assert_eq!((&character["name"], &character["visibility"]), (&json!("Captain Vale"), &json!("private")));
    assert_eq!(character["ownerId"], mara.id.as_str());
    let path = format!("/api/characters/{}", character["id"].as_str().unwrap());
    app.get(&path).by(&mara).send().await.expect(200);
    app.get(&path).by(&finn).send().await.problem(404, "not_found");
    app.patch(&path).by(&finn).body(json!({ "name": "Mine" })).send().await.problem(404, "not_found");
    app.delete(&path).by(&finn).send().await.problem(404, "not_found");

    let changed =
        app.patch(&path).by(&mara).body(json!({ "visibility": "public", "tags": ["Sea"] })).send().await.expect(200);
    assert_eq!(
        (&changed.json()["character"]["name"], &changed.json()["character"]["tags"]),
        (&json!("Captain Vale"), &json!(["sea"]))
    );
    app.get(&path).by(&finn).send().await.expect(200);
    let others = app.patch(&path).by(&finn).body(json!({ "name": "Mine" })).send().await;
    assert!(matches!(others.status.as_u16(), 403 | 404), "{others:?}");
    app.delete(&path).by(&mara).send().await.expect(204);
    app.get(&path).by(&mara).send().await.problem(404, "not_found");
    app.stop().await;
}

#[tokio::test]
async fn a_character_may_bring_its_id() {
    let app = TestApp::lifted().await;
    let mara = app.person("mara").await;
    let make = |body: Value| app.post("/api/characters").by(&mara).body(body).send();
    let made = make(json!({ "id": "captain_vale-1", "name": "Vale" })).await.expect(201).json();
    assert_eq!(made["character"]["id"], "captain_vale-1");
    make(json!({ "id": "captain_vale-1", "name": "Vale" })).await.problem(409, "conflict");
    for id in ["gallery", "a:b", ""] {
        let refused = make(json!({ "id": id, "name": "Vale" })).await.problem(422, "validation");
        assert_eq!(refused["errors"][0]["field"], "id", "{refused}");
    }
    let nameless = make(json!({ "description": "nobody" })).await.problem(422, "validation");
    assert_eq!(nameless["errors"][0]["field"], "name");
    app.stop().await;
}

#[tokio::test]
async fn a_list_is_read_page_by_page() {
    let app = TestApp::lifted().await;
    let (mara, finn) = (app.person("mara").await, app.person("finn").await);
    for n in 0..7 {
        let tags = if n % 2 == 0 { json!(["even"]) } else { json!(["odd"]) };
        let draft = json!({ "name": format!("Vale {n}"), "visibility": "public", "tags": tags });
        app.post("/api/characters").by(&mara).body(draft).send().await.expect(201);
    }
    app.post("/api/characters").by(&mara).body(json!({ "name": "Hidden Vale" })).send().await.expect(201);
    let names = |page: &Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    };
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/api/characters?sort=name&limit=3&cursor={cursor}");
        let page = app.get(&path).by(&finn).send().await.expect(200).json();
        assert!(page["items"].as_array().unwrap().len() <= 3);
        seen.extend(names(&page));
        match page["nextCursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, (0..7).map(|n| format!("Vale {n}")).collect::<Vec<_>>());
    let tagged = app.get("/api/characters?tag=ODD&limit=1000").by(&finn).send().await.expect(200).json();
    assert_eq!(tagged["items"].as_array().unwrap().len(), 3);
    let found = app.get("/api/characters?q=hidden").by(&mara).send().await.expect(200).json();
    assert_eq!(names(&found), ["Hidden Vale"]);
    app.stop().await;
}
