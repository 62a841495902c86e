//! Leaving: taking one's data along, and being erased.

use crate::app::{Person, TestApp};
use crate::media::png;
use aim_domain::{ManualClock, Timestamp, UserId};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::io::{Cursor, Read};
use std::path::Path;
use std::time::Duration;

/// In everything that the one who leaves wrote.
const CANARY: &str = "xylocanary";
const DAY: Duration = Duration::from_secs(24 * 3_600);

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

async fn says(app: &TestApp, who: &Person, conversation: &str, body: Value) -> Value {
    let path = format!("/api/conversations/{conversation}/messages");
    app.post(&path).by(who).body(body).send().await.expect(202).json()["message"].clone()
}

/// Waits until nothing is due in a conversation.
async fn answered(app: &TestApp, who: &Person, conversation: &str) {
    for _ in 0..400 {
        let state = app.get(&format!("/api/conversations/{conversation}/state")).by(who).send().await.json();
        if state["state"] == "idle" && state["pending"] == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("no reply");
}

async fn talk(app: &TestApp, who: &Person, character: &str) -> String {
    let body = json!({ "characterId": character });
    let opened = app.post("/api/conversations").by(who).body(body).send().await.expect(201).json();
    text(&opened["conversation"]["id"]).to_owned()
}

/// Somebody who wrote the canary wherever one can write, in a conversation of another's too; and that other.
async fn everywhere(app: &TestApp) -> (Person, Person, String) {
    let (mara, finn) = (app.person("mara").await, app.person("finn").await);
    let finns = app.character(&finn, "Nora").await;
    let draft = json!({
        "name": format!("Own {CANARY}"), "description": CANARY, "greeting": CANARY, "tags": [CANARY], "visibility": "public",
    });
    app.post("/api/characters").by(&mara).body(draft).send().await.expect(201);
    let profile = json!({ "displayName": format!("Mara {CANARY}") });
    app.patch("/api/users/me").by(&mara).body(profile).send().await.expect(200);
    app.put("/api/users/me/preferences").by(&mara).body(json!({ "note": CANARY })).send().await.expect(200);
    app.put("/api/drafts/form").by(&mara).body(json!({ "name": CANARY })).send().await.expect(200);
    let persona = json!({ "name": format!("Role {CANARY}"), "description": CANARY, "isDefault": true });
    app.post("/api/users/me/personas").by(&mara).body(persona).send().await.expect(201);
    let own = talk(app, &mara, &finns).await;
    let upload = app.ready(&mara, png(40, 30)).await;
    let picture = json!({ "type": "image", "uploadId": upload["id"], "text": CANARY, "clientId": "1" });
    says(app, &mara, &own, picture).await;
    let theirs = talk(app, &finn, &finns).await;
    let members = |conversation: &str| format!("/api/conversations/{conversation}/members");
    app.post(&members(&theirs)).by(&finn).body(json!({ "userId": mara.id })).send().await.expect(200);
    // Into another of his she came by a link, and was taken out.
    let other = app.character(&finn, "Ona").await;
    let other = talk(app, &finn, &other).await;
    let invites = format!("/api/conversations/{other}/invites");
    let made = app.post(&invites).by(&finn).body(json!({})).send().await.expect(201).json();
    let link = format!("/api/invites/{}", text(&made["invite"]["token"]));
    app.post(&link).by(&mara).send().await.expect(200);
    app.delete(&members(&other)).by(&finn).body(json!({ "userId": mara.id })).send().await.expect(204);
    says(app, &mara, &theirs, json!({ "type": "text", "text": format!("mine {CANARY}"), "clientId": "2" })).await;
    says(app, &finn, &theirs, json!({ "type": "text", "text": "I stay here", "clientId": "3" })).await;
    app.put(&format!("/api/users/me/blocks/{}", finn.id)).by(&mara).send().await.expect(204);
    let note = json!({ "kind": "user", "id": finn.id, "reason": "other", "note": CANARY });
    app.post("/api/reports").by(&mara).body(note).send().await.expect(201);
    let page = app.get(&format!("/api/conversations/{theirs}/messages")).by(&finn).send().await.json();
    let hers = page["items"].as_array().unwrap().iter().find(|one| one["senderId"] == json!(mara.id)).unwrap();
    let of_hers = json!({ "kind": "message", "id": hers["id"], "conversationId": theirs, "reason": "other" });
    app.post("/api/reports").by(&finn).body(of_hers).send().await.expect(201);
    let platform = &app.running.platform;
    let (id, reason) = (UserId::trusted(mara.id.as_str()), format!("About {CANARY}"));
    platform.end_suspension(None, &id, &reason).await.unwrap();
    for (who, conversation) in [(&mara, &own), (&finn, &theirs)] {
        answered(app, who, conversation).await;
    }
    (mara, finn, theirs)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_holds_all_that_is_ones_own() {
    let app = TestApp::lifted().await;
    let (mara, finn, theirs) = everywhere(&app).await;
    for n in 0..130 {
        let body = json!({ "type": "text", "text": format!("line {n}"), "clientId": format!("line-{n}") });
        says(&app, &finn, &theirs, body).await;
        if n % 50 == 49 {
            answered(&app, &finn, &theirs).await;
        }
    }
    // A conversation of hers with a reply of two answers; and another, which she deleted.
    let own = app.get("/api/conversations").by(&mara).send().await.json();
    let own = own["items"].as_array().unwrap().iter().find(|one| one["ownerId"] == json!(mara.id)).unwrap();
    let own = text(&own["id"]).to_owned();
    let page = app.get(&format!("/api/conversations/{own}/messages")).by(&mara).send().await.json();
    let reply = page["items"].as_array().unwrap().iter().rev().find(|one| one["role"] == "character").unwrap();
    let again = format!("/api/conversations/{own}/messages/{}/regenerate", text(&reply["id"]));
    app.post(&again).by(&mara).send().await.expect(202);
    answered(&app, &mara, &own).await;
    let theirs_to_talk_with = app.character(&mara, "Vera").await;
    let deleted = talk(&app, &mara, &theirs_to_talk_with).await;
    says(&app, &mara, &deleted, json!({ "type": "text", "text": "thought better of", "clientId": "gone" })).await;
    answered(&app, &mara, &deleted).await;
    app.delete(&format!("/api/conversations/{deleted}")).by(&mara).send().await.expect(204);

    let answer = app.get("/api/users/me/export").by(&mara).send().await.expect(200);
    assert_eq!(answer.header("content-type"), "application/zip");
    assert_eq!(answer.header("content-disposition"), "attachment; filename=\"aim-mara.zip\"");
    let mut archive = zip::ZipArchive::new(Cursor::new(&answer.bytes)).unwrap();
    let names: Vec<String> = archive.file_names().map(|name| name.unwrap().into_owned()).collect();
    let mut read = |name: &str| {
        let mut bytes = Vec::new();
        archive.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    };
    let mut object = |name: &str| serde_json::from_slice::<Value>(&read(name)).unwrap();
    let profile = object("profile.json");
    assert_eq!(profile["user"]["id"], json!(mara.id));
    assert!(!profile.to_string().contains("argon2"), "no secrets");
    let safety = object("safety.json");
    assert_eq!(safety["blocked"][0]["username"], "finn");
    assert_eq!(safety["reported"][0]["note"], CANARY);
    assert_eq!(object("preferences.json")["note"], CANARY);
    assert_eq!(object("drafts/form.json")["data"]["name"], CANARY);
    assert_eq!(object("personas.json")[0]["description"], CANARY);
    let shared = object(&format!("conversations/{theirs}.json"));
    let seqs: Vec<u64> =
        shared["messages"].as_array().unwrap().iter().map(|one| one["seq"].as_u64().unwrap()).collect();
    assert!(seqs.len() > 130 && seqs.iter().copied().eq(1..=seqs.len() as u64), "all pages, in order: {seqs:?}");
    let of_hers = object(&format!("conversations/{own}.json"));
    assert!(of_hers["conversation"].get("deletedAt").is_none());
    let answered_twice: Vec<&Value> =
        of_hers["messages"].as_array().unwrap().iter().filter(|one| one.get("otherVariants").is_some()).collect();
    assert_eq!(answered_twice.len(), 1, "{of_hers}");
    let other = &answered_twice[0]["otherVariants"];
    assert_eq!((other.as_array().unwrap().len(), &other[0]["number"]), (1, &json!(0)));
    assert_eq!((&other[0]["text"], &answered_twice[0]["id"]), (&reply["text"], &reply["id"]));
    let gone = object(&format!("deleted-conversations/{deleted}.json"));
    assert!(gone["conversation"]["deletedAt"].is_string(), "{gone}");
    assert_eq!(gone["messages"].as_array().unwrap().iter().filter(|one| one["text"] == "thought better of").count(), 1);
    let with =
        |start: &str, end: &str| names.iter().filter(|name| name.starts_with(start) && name.ends_with(end)).count();
    assert_eq!((with("conversations/", ".json"), with("characters/", ".json")), (2, 2));
    let card = names.iter().find(|name| name.starts_with("characters/")).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&read(card)).unwrap()["spec"], "chara_card_v3");
    assert_eq!(with("media/", "upload.json"), 1);
    let picture = names.iter().find(|name| name.ends_with("full.webp")).unwrap_or_else(|| panic!("{names:?}"));
    assert_eq!(&read(picture)[8..12], b"WEBP");
    app.get("/api/users/me/export").send().await.problem(401, "unauthenticated");
    app.stop().await;
}

/// Where a text stands in any row of any table.
fn traces(database: &Path, wanted: &str) -> Vec<String> {
    let db = Connection::open(database).unwrap();
    let mut tables =
        db.prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE '%VIRTUAL%'").unwrap();
    let tables: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(tables.len() > 20 && tables.iter().any(|table| table == "message_search_data"), "{tables:?}");
    let mut found = Vec::new();
    for table in tables {
        let mut rows = db.prepare(&format!("SELECT * FROM \"{table}\"")).unwrap();
        let count = rows.column_count();
        let mut rows = rows.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            for column in 0..count {
                use rusqlite::types::ValueRef::{Blob, Text};
                let (Text(bytes) | Blob(bytes)) = row.get_ref(column).unwrap() else { continue };
                if bytes.windows(wanted.len()).any(|window| window.eq_ignore_ascii_case(wanted.as_bytes())) {
                    found.push(format!("{table}: {}", String::from_utf8_lossy(bytes)));
                }
            }
        }
    }
    found
}

fn files(folder: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => all.extend(files(&path)),
            path => all.push(path.display().to_string()),
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erased_account_leaves_no_trace() {
    let clock = ManualClock::at(Timestamp(1_795_408_728_120));
    let app = TestApp::at(clock.clone()).await;
    let (mara, _, theirs) = everywhere(&app).await;
    let (database, media) = (app.data.path().join("aim.db"), app.data.path().join("media"));
    let email = text(&app.get("/api/auth/me").by(&mara).send().await.json()["user"]["email"]).to_owned();
    assert!(traces(&database, CANARY).len() > 5 && !traces(&database, &mara.id).is_empty());
    assert!(
        traces(&database, CANARY).iter().any(|one| one.starts_with("message_search_data")),
        "its words are indexed"
    );
    assert!(!files(&media).is_empty(), "the picture lies there");

    app.delete("/api/users/me").by(&mara).send().await.expect(204);
    clock.advance(7 * DAY - Duration::from_secs(60));
    app.running.platform.clean_up(false).await.unwrap();
    assert!(!traces(&database, CANARY).is_empty(), "it may be had back still");
    clock.advance(Duration::from_secs(61));
    app.running.platform.clean_up(false).await.unwrap();
    // What told the servers of it is kept for an hour; uploads go with the next run.
    clock.advance(Duration::from_secs(2 * 3_600));
    app.running.platform.clean_up(false).await.unwrap();
    for wanted in [CANARY, &mara.id, &email] {
        assert_eq!(traces(&database, wanted), Vec::<String>::new(), "{wanted}");
    }
    assert_eq!(files(&media), Vec::<String>::new());

    let restore = json!({ "login": "mara", "password": crate::app::PASSWORD, "restore": true });
    app.post("/api/auth/login").body(restore).send().await.problem(401, "unauthenticated");
    let finn = {
        let body = json!({ "login": "finn", "password": crate::app::PASSWORD });
        crate::app::person(&app.post("/api/auth/login").body(body).send().await.expect(200).json())
    };
    let page = app.get(&format!("/api/conversations/{theirs}/messages")).by(&finn).send().await.expect(200).json();
    let said: Vec<&str> = page["items"].as_array().unwrap().iter().map(|one| text(&one["text"])).collect();
    assert!(said.contains(&"I stay here") && said.contains(&"(This message went with its account.)"), "{said:?}");
    app.stop().await;
}
