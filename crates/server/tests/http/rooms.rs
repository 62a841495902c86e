//! The people of a conversation over REST: links, roles, leaving.

use crate::app::{Person, TestApp};
use crate::media::png;
use serde_json::{Value, json};

/// Mara's private character, her conversation with it, and the path of that.
async fn room(app: &TestApp, mara: &Person) -> (String, String) {
    let draft = json!({ "name": "Nora", "greeting": "Ahoy." });
    let made = app.post("/api/characters").by(mara).body(draft).send().await.expect(201).json();
    let character = made["character"]["id"].as_str().unwrap().to_owned();
    let id = app.conversation(mara, &character).await;
    (character, format!("/api/conversations/{id}"))
}

#[tokio::test]
async fn a_link_lets_somebody_in() {
    let app = TestApp::lifted().await;
    let (mara, finn) = (app.person("mara").await, app.person("finn").await);
    let (_, at) = room(&app, &mara).await;
    let invites = format!("{at}/invites");
    let form = json!({ "expiresIn": 3600, "maxUses": 1 });
    let made = app.post(&invites).by(&mara).body(form).send().await.expect(201).json()["invite"].clone();
    let token = made["token"].as_str().unwrap();
    assert_eq!(made["url"], app.url(&format!("/invite/{token}")));
    assert_eq!((&made["uses"], &made["maxUses"]), (&json!(0), &json!(1)));
    assert!(made["id"].is_string() && made["createdAt"].is_string() && made["expiresAt"].is_string());
    let listed = app.get(&invites).by(&mara).send().await.expect(200);
    assert!(!listed.text.contains(token), "the token is shown once");
    assert_eq!(listed.json()["items"][0]["id"], made["id"]);

    let link = format!("/api/invites/{token}");
    app.get(&link).send().await.problem(401, "unauthenticated");
    let seen = app.get(&link).by(&finn).send().await.expect(200).json()["invite"].clone();
    assert_eq!((&seen["character"]["name"], &seen["invitedBy"]["username"]), (&json!("Nora"), &json!("mara")));
    assert_eq!((&seen["members"], &seen["isMember"]), (&json!(1), &json!(false)));
    assert_eq!(seen["conversation"]["title"], "Nora");
    let joined = app.post(&link).by(&finn).send().await.expect(200).json()["conversation"].clone();
    assert_eq!(joined["memberIds"], json!([mara.id, finn.id]));
    app.post(&link).by(&finn).send().await.expect(200);

    let eve = app.person("eve").await;
    for path in [link.as_str(), "/api/invites/unknown"] {
        let answer = app.post(path).by(&eve).send().await;
        assert!(answer.text.contains("may have run out"), "{}", answer.text);
        answer.problem(404, "not_found");
        app.get(path).by(&eve).send().await.problem(404, "not_found");
    }
    assert_eq!(app.get(&invites).by(&mara).send().await.json()["items"], json!([]), "it is used up");

    for bad in [json!({ "expiresIn": 60 }), json!({ "maxUses": 0 }), json!({ "maxUses": 101 })] {
        app.post(&invites).by(&mara).body(bad).send().await.problem(422, "validation");
    }
    app.post(&invites).by(&finn).body(json!({})).send().await.problem(403, "forbidden");
    app.get(&invites).by(&finn).send().await.problem(403, "forbidden");
    app.post(&invites).by(&eve).body(json!({})).send().await.problem(404, "not_found");
    let other = app.post(&invites).by(&mara).body(json!({})).send().await.expect(201).json()["invite"].clone();
    assert_eq!(other["maxUses"], Value::Null);
    let one = format!("{invites}/{}", other["id"].as_str().unwrap());
    app.delete(&one).by(&finn).send().await.problem(403, "forbidden");
    app.delete(&one).by(&mara).send().await.expect(204);
    app.delete(&one).by(&mara).send().await.problem(404, "not_found");
    app.stop().await;
}

#[tokio::test]
async fn people_are_listed_leave_and_are_taken_out() {
    let app = TestApp::lifted().await;
    let (mara, finn, eve) = (app.person("mara").await, app.person("finn").await, app.person("eve").await);
    let (_, at) = room(&app, &mara).await;
    let members = format!("{at}/members");
    app.get(&members).by(&finn).send().await.problem(404, "not_found");
    for guest in [&finn, &eve] {
        app.post(&members).by(&mara).body(json!({ "userId": guest.id })).send().await.expect(200);
    }
    let listed = app.get(&members).by(&finn).send().await.expect(200).json();
    let people: Vec<(&str, &str)> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["user"]["username"].as_str().unwrap(), one["role"].as_str().unwrap()))
        .collect();
    assert_eq!(people, [("mara", "owner"), ("finn", "guest"), ("eve", "guest")]);
    assert!(listed["items"][0]["joinedAt"].is_string() && listed["items"][0]["user"].get("email").is_none());

    let takes_out = |by: &Person, whom: &Person| app.delete(&members).by(by).body(json!({ "userId": whom.id }));
    takes_out(&finn, &eve).send().await.problem(403, "forbidden");
    let answer = takes_out(&mara, &mara).send().await;
    assert!(answer.text.contains("Delete it instead"), "{}", answer.text);
    answer.problem(409, "conflict");
    takes_out(&finn, &finn).send().await.expect(204);
    takes_out(&mara, &eve).send().await.expect(204);
    takes_out(&mara, &eve).send().await.problem(404, "not_found");
    for gone in [&finn, &eve] {
        for path in [at.clone(), members.clone(), format!("{at}/messages")] {
            app.get(&path).by(gone).send().await.problem(404, "not_found");
        }
    }
    app.stop().await;
}

#[tokio::test]
async fn a_guest_sees_the_picture_of_a_private_character() {
    let app = TestApp::lifted().await;
    let (mara, finn) = (app.person("mara").await, app.person("finn").await);
    let (character, at) = room(&app, &mara).await;
    let upload = app.ready(&mara, png(40, 30)).await;
    let picture = json!({ "avatarUrl": upload["url"] });
    app.patch(&format!("/api/characters/{character}")).by(&mara).body(picture).send().await.expect(200);
    app.post(&format!("{at}/members")).by(&mara).body(json!({ "userId": finn.id })).send().await.expect(200);
    let seen = app.get(&at).by(&finn).send().await.expect(200).json()["conversation"].clone();
    assert_eq!(seen["character"]["avatarUrl"], upload["url"]);
    app.get(seen["character"]["avatarUrl"].as_str().unwrap()).cookie(&finn).send().await.expect(200);
    app.get(&format!("/api/characters/{character}")).by(&finn).send().await.problem(404, "not_found");
    app.get(&format!("/api/characters/{character}/export")).by(&finn).send().await.problem(404, "not_found");
    app.stop().await;
}
