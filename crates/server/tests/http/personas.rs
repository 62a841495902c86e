//! The roles that one plays: made, changed, chosen for a conversation, and seen by those in it.

use crate::app::TestApp;
use crate::media::png;
use serde_json::json;

const MINE: &str = "/api/users/me/personas";

#[tokio::test]
async fn personas_are_ones_own() {
    let app = TestApp::lifted().await;
    let (mara, finn) = (app.person("mara").await, app.person("finn").await);
    assert_eq!(app.get(MINE).by(&mara).send().await.expect(200).json(), json!({ "items": [] }));
    let form = json!({ "name": " Captain ", "description": "Of the sea.", "isDefault": true });
    let made = app.post(MINE).by(&mara).body(form).send().await.expect(201).json()["persona"].clone();
    assert_eq!((&made["name"], &made["description"]), (&json!("Captain"), &json!("Of the sea.")));
    assert_eq!((&made["isDefault"], &made["avatarUrl"], &made["revision"]), (&json!(true), &json!(null), &json!(1)));
    let other = app.post(MINE).by(&mara).body(json!({ "name": "Smith" })).send().await.expect(201).json();
    let other = other["persona"].clone();
    let path = format!("{MINE}/{}", other["id"].as_str().unwrap());
    let now = app.patch(&path).by(&mara).body(json!({ "isDefault": true })).send().await.expect(200).json();
    assert_eq!((&now["persona"]["name"], &now["persona"]["isDefault"]), (&json!("Smith"), &json!(true)));
    let items = app.get(MINE).by(&mara).send().await.json()["items"].clone();
    assert_eq!((&items[0]["name"], &items[0]["isDefault"]), (&json!("Captain"), &json!(false)));

    for (body, field) in [
        (json!({ "name": "" }), "name"),
        (json!({ "name": "x".repeat(81) }), "name"),
        (json!({ "name": "x", "description": "y".repeat(4_001) }), "description"),
        (json!({ "name": "x", "avatarUrl": "https://example.test/a.png" }), "avatarUrl"),
    ] {
        let refused = app.post(MINE).by(&mara).body(body).send().await.problem(422, "validation");
        assert_eq!(refused["errors"][0]["field"], field);
    }
    app.post(MINE).by(&mara).body(json!({})).send().await.problem(422, "validation");
    app.patch(&path).by(&finn).body(json!({ "name": "Mine" })).send().await.problem(404, "not_found");
    app.delete(&path).by(&finn).send().await.problem(404, "not_found");
    app.delete(&path).by(&mara).send().await.expect(204);
    app.delete(&path).by(&mara).send().await.problem(404, "not_found");
    app.get(MINE).send().await.problem(401, "unauthenticated");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_plays_a_persona_and_the_others_see_its_picture() {
    let app = TestApp::lifted().await;
    let (mara, finn, zoe) = (app.person("mara").await, app.person("finn").await, app.person("zoe").await);
    let nora = app.character(&mara, "Nora").await;
    let talk = app.conversation(&mara, &nora).await;
    let (persona, personas) =
        (format!("/api/conversations/{talk}/persona"), format!("/api/conversations/{talk}/personas"));
    let members = format!("/api/conversations/{talk}/members");
    app.post(&members).by(&mara).body(json!({ "userId": finn.id })).send().await.expect(200);
    let nobody = json!({ "persona": null, "speaksAs": null });
    assert_eq!(app.get(&persona).by(&mara).send().await.expect(200).json(), nobody);
    let upload = app.ready(&mara, png(40, 30)).await;
    let url = format!("/media/{}/thumb", upload["id"].as_str().unwrap());
    let form = json!({ "name": "Captain", "avatarUrl": format!("/media/{}/display", upload["id"].as_str().unwrap()) });
    let made = app.post(MINE).by(&mara).body(form).send().await.expect(201).json()["persona"].clone();
    assert_eq!(made["avatarUrl"], url);
    app.get(&url).by(&mara).send().await.expect(200);
    app.get(&url).by(&finn).send().await.problem(404, "not_found");

    let choice = json!({ "personaId": made["id"] });
    let chosen = app.put(&persona).by(&mara).body(choice.clone()).send().await.expect(200).json();
    assert_eq!(chosen, json!({ "persona": made, "speaksAs": made }));
    assert_eq!(app.get(&persona).by(&mara).send().await.json(), chosen);
    assert_eq!(app.get(&persona).by(&finn).send().await.json(), nobody, "each has a choice of their own");
    let played = json!({ "items": [{ "userId": mara.id, "name": "Captain", "avatarUrl": url }] });
    assert_eq!(app.get(&personas).by(&finn).send().await.expect(200).json(), played);
    app.get(&url).by(&finn).send().await.expect(200);
    app.get(&url).by(&zoe).send().await.problem(404, "not_found");
    app.get(&url).send().await.problem(401, "unauthenticated");
    app.get(&personas).by(&zoe).send().await.problem(404, "not_found");
    app.get(&persona).by(&zoe).send().await.problem(404, "not_found");
    app.put(&persona).by(&finn).body(choice).send().await.problem(404, "not_found");
    let path = format!("/api/uploads/{}", upload["id"].as_str().unwrap());
    app.delete(&path).by(&mara).send().await.problem(409, "conflict");

    let back = app.put(&persona).by(&mara).body(json!({ "personaId": null })).send().await.expect(200).json();
    assert_eq!(back, nobody);
    app.get(&url).by(&finn).send().await.problem(404, "not_found");
    let path = format!("{MINE}/{}", made["id"].as_str().unwrap());
    let bare = app.patch(&path).by(&mara).body(json!({ "isDefault": true, "avatarUrl": null })).send().await;
    let bare = bare.expect(200).json()["persona"].clone();
    assert_eq!(bare["avatarUrl"], json!(null));
    assert_eq!(app.get(&persona).by(&mara).send().await.json(), json!({ "persona": null, "speaksAs": bare }));
    app.stop().await;
}
