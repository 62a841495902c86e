//! Characters from cards and as cards, over REST and from the command line.

use crate::app::{Person, TestApp};
use crate::media::png;
use flate2::Crc;
use serde_json::{Value, json};

/// A picture of stripes with a card in it.
fn png_card(card: &Value) -> Vec<u8> {
    let base64 = |bytes: &[u8]| {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut out = String::new();
        for three in bytes.chunks(3) {
            let number = (0..3).fold(0_u32, |number, n| number << 8 | u32::from(three.get(n).copied().unwrap_or(0)));
            for n in 0..4 {
                let sign = char::from(ALPHABET[(number >> (18 - 6 * n) & 63) as usize]);
                out.push(if n <= three.len() { sign } else { '=' });
            }
        }
        out
    };
    in_png(&base64(card.to_string().as_bytes()))
}

fn in_png(text: &str) -> Vec<u8> {
    let content = [b"tEXtchara\0", text.as_bytes()].concat();
    let mut crc = Crc::new();
    crc.update(&content);
    let length = (content.len() as u32 - 4).to_be_bytes();
    let chunk = [&length[..], &content, &crc.sum().to_be_bytes()].concat();
    let mut out = png(300, 400);
    let end = out.len() - 12;
    out.splice(end..end, chunk);
    out
}

fn card() -> Value {
    json!({
        "spec": "chara_card_v2", "spec_version": "2.0", "fav": true,
        "data": {
            "name": "Mara Vale", "description": "{{char}} keeps a lighthouse.", "personality": "Dry.", "scenario": "",
            "first_mes": "Ahoy, {{user}}. {{comment: hidden}}", "mes_example": "", "creator_notes": "Be kind.", "system_prompt": "",
            "post_history_instructions": "Speak of the tide, {{char}}.", "alternate_greetings": ["You again, {{user}}."],
            "tags": ["Sea"], "creator": "tess", "character_version": "1.2",
            "extensions": {"depth_prompt": {"prompt": "{{char}} trusts {{user}}.", "depth": 1, "role": "system"}},
            "character_book": {"name": "Coast", "extensions": {}, "entries": [
                {"keys": ["reef"], "content": "The reef took four ships.", "extensions": {"weight": 3}, "enabled": true,
                 "insertion_order": 1, "case_sensitive": false},
            ]},
        },
    })
}

impl TestApp {
    async fn import(&self, who: &Person, bytes: Vec<u8>) -> Value {
        self.post("/api/characters/import").by(who).file(bytes).send().await.expect(201).json()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_is_looked_at_imported_and_exported_without_a_loss() {
    let app = TestApp::lifted().await;
    let (tess, finn) = (app.person("tess").await, app.person("finn").await);
    let bytes = png_card(&card());
    let preview = app.post("/api/characters/import?preview=true").by(&tess).file(bytes.clone()).send().await;
    let preview = preview.expect(200).json();
    assert_eq!((&preview["version"], &preview["character"]["name"]), (&json!("V2"), &json!("Mara Vale")));
    assert_eq!((&preview["character"]["creatorNotes"], &preview["warnings"]), (&json!("Be kind."), &json!([])));
    assert!(preview["picture"].as_str().unwrap().starts_with("data:image/webp;base64,"));
    let none = app.get("/api/characters?q=mara").by(&tess).send().await.expect(200).json();
    assert_eq!(none["items"], json!([]), "a preview stores nothing");

    let imported = app.import(&tess, bytes).await;
    let made = &imported["character"];
    assert_eq!(
        (&made["visibility"], &made["tags"], &made["ownerId"]),
        (&json!("private"), &json!(["sea"]), &json!(tess.id))
    );
    assert_eq!(made["lorebook"]["entries"][0]["keys"], json!(["reef"]));
    app.get(made["avatarUrl"].as_str().unwrap()).by(&tess).send().await.expect(200);
    let path = format!("/api/characters/{}", made["id"].as_str().unwrap());
    let listed = app.get("/api/characters?q=mara").by(&tess).send().await.expect(200).json();
    assert_eq!((&listed["items"][0]["name"], &listed["items"][0]["lorebook"]), (&json!("Mara Vale"), &Value::Null));
    assert_eq!(&app.get(&path).by(&tess).send().await.expect(200).json()["character"], made);

    let export = format!("{path}/export");
    app.get(&export).by(&finn).send().await.problem(404, "not_found");
    let json = app.get(&format!("{export}?format=json")).by(&tess).send().await.expect(200);
    assert_eq!(json.header("content-disposition"), "attachment; filename*=UTF-8''Mara%20Vale%2Ejson");
    let json = json.json();
    let mut expected = card();
    (expected["spec"], expected["spec_version"]) = ("chara_card_v3".into(), "3.0".into());
    expected["data"]["group_only_greetings"] = json!([]);
    assert_eq!(json, expected);

    app.patch(&path).by(&tess).body(json!({ "visibility": "public", "nickname": "Keeper" })).send().await.expect(200);
    let png = app.get(&format!("{export}?format=png")).by(&finn).send().await.expect(200);
    assert_eq!(png.header("content-type"), "image/png");
    let again = app.import(&finn, png.bytes.to_vec()).await;
    assert_eq!((&again["character"]["nickname"], &again["character"]["tags"]), (&json!("Keeper"), &json!(["sea"])));
    assert_ne!(again["character"]["id"], made["id"]);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_that_is_unfit_is_refused_with_what_is_wrong() {
    let app = TestApp::lifted().await;
    let tess = app.person("tess").await;
    let deep = format!("{{\"name\": \"Mara\", \"deep\": {}", "[".repeat(100_000));
    let nameless = json!({ "spec": "chara_card_v3", "data": { "name": "" } }).to_string();
    let cut = png_card(&card());
    for (bytes, says) in [
        (b"hello".to_vec(), "no character card"),
        (png(40, 30), "holds no character card"),
        (cut[..cut.len() - 30].to_vec(), "cut off"),
        (in_png("%%%"), "base64"),
        (in_png("rcc||AAAA"), "RisuAI"),
        (deep.into_bytes(), "levels deep"),
        (nameless.into_bytes(), "no name"),
        (vec![b' '; 51 << 20], "50 MB"),
    ] {
        for path in ["/api/characters/import", "/api/characters/import?preview=true"] {
            let refused = app.post(path).by(&tess).file(bytes.clone()).send().await.problem(422, "validation");
            assert_eq!(refused["errors"][0]["field"], "file", "{refused}");
            assert!(refused.to_string().contains(says), "{says}: {refused}");
        }
    }
    let long = json!({ "name": "Mara", "first_mes": "x".repeat(100_001) });
    let refused = app.post("/api/characters/import").by(&tess).file(long.to_string()).send().await;
    assert_eq!(refused.problem(422, "validation")["errors"][0]["field"], "greeting");
    app.post("/api/characters/import").by(&tess).body(json!({})).send().await.problem(415, "unsupported_media_type");
    let left = std::fs::read_dir(app.data.path().join("incoming")).map_or(0, |files| files.count());
    assert_eq!(left, 0, "nothing of what was refused stays");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_begins_with_the_greeting_that_is_asked_for_and_is_told_of_lore() {
    let app = TestApp::lifted().await;
    let tess = app.person("tess").await;
    let character = app.import(&tess, png_card(&card())).await["character"]["id"].clone();
    let open = |greeting: u32| json!({ "characterId": character, "greeting": greeting });
    let refused = app.post("/api/conversations").by(&tess).body(open(2)).send().await.problem(422, "validation");
    assert_eq!(refused["errors"][0]["field"], "greeting");
    let talk = app.post("/api/conversations").by(&tess).body(open(1)).send().await.expect(201).json();
    assert_eq!(talk["conversation"]["lastMessage"]["text"], "You again, tess.");

    let messages = format!("/api/conversations/{}/messages", talk["conversation"]["id"].as_str().unwrap());
    for (n, (said, lore)) in [("Good evening.", false), ("Mind the REEF!", true)].into_iter().enumerate() {
        let body = json!({ "type": "text", "text": said, "clientId": format!("c{n}") });
        let sent = app.post(&messages).by(&tess).body(body).send().await.expect(202).json();
        app.answered(&tess, talk["conversation"]["id"].as_str().unwrap(), &sent["message"]).await;
        let asked = app.model.asked().last().unwrap().clone();
        let (first, last) = (asked.messages.first().unwrap(), asked.messages.last().unwrap());
        assert_eq!(first.content.contains("The reef took four ships."), lore, "{}", first.content);
        assert_eq!((last.role.as_str(), last.content.as_str()), ("system", "Speak of the tide, Mara Vale."));
        let [.., note, answered, _] = asked.messages.as_slice() else { panic!("{asked:?}") };
        assert_eq!((note.role.as_str(), note.content.as_str()), ("system", "Mara Vale trusts tess."));
        assert_eq!(answered.content, said);
    }
    app.stop().await;
}
