//! The pictures of a character: its owner's to change, seen by whoever sees the character, and in its archive.

use crate::app::{Person, TestApp};
use crate::media::png;
use serde_json::{Value, json};
use std::io::{Cursor, Read, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

impl TestApp {
    async fn add(&self, who: &Person, character: &str, width: u32, said: Value) -> Value {
        let upload = self.upload(who, png(width, 40)).await;
        let mut body = said;
        body["uploadId"] = upload["id"].clone();
        let added = self.post(&format!("/api/characters/{character}/gallery")).by(who).body(body).send().await;
        added.expect(201).json()["item"].clone()
    }

    async fn pictures(&self, who: &Person, character: &str) -> Vec<Value> {
        let body = self.get(&format!("/api/characters/{character}/gallery")).by(who).send().await.expect(200).json();
        body["items"].as_array().unwrap().clone()
    }
}

fn field(items: &[Value], name: &str) -> Value {
    items.iter().map(|item| item[name].clone()).collect()
}

fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        let packed = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        zip.start_file(*name, packed).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gallery_is_its_owners_and_seen_by_whoever_sees_its_character() {
    let app = TestApp::lifted().await;
    let (tess, finn) = (app.person("tess").await, app.person("finn").await);
    let mara = app.character(&tess, "Mara").await;
    let path = format!("/api/characters/{mara}/gallery");
    assert!(app.pictures(&finn, &mara).await.is_empty());
    let joy = app.add(&tess, &mara, 64, json!({ "caption": "Home.", "expression": "  Joy " })).await;
    assert_eq!(
        (&joy["expression"], &joy["caption"], &joy["position"], &joy["width"], &joy["height"]),
        (&json!("joy"), &json!("Home."), &json!(0), &json!(64), &json!(40))
    );
    assert!(joy["blurHash"].as_str().unwrap().len() > 6 && joy["variants"].as_array().unwrap().len() == 3, "{joy}");
    let (joy_path, url) = (format!("{path}/{}", joy["id"].as_str().unwrap()), joy["url"].as_str().unwrap());
    let plain = app.add(&tess, &mara, 72, json!({})).await;
    assert_eq!((&plain["expression"], &plain["caption"]), (&Value::Null, &json!("")));
    assert_eq!(field(&app.pictures(&finn, &mara).await, "id"), json!([joy["id"], plain["id"]]));
    app.get(url).by(&finn).send().await.expect(200);
    app.get(url).send().await.problem(401, "unauthenticated");

    // Nobody else's to change.
    let theirs = app.ready(&finn, png(30, 30)).await;
    let add = json!({ "uploadId": theirs["id"] });
    app.post(&path).by(&finn).body(add.clone()).send().await.problem(404, "not_found");
    app.patch(&joy_path).by(&finn).body(json!({ "caption": "x" })).send().await.problem(404, "not_found");
    app.delete(&joy_path).by(&finn).send().await.problem(404, "not_found");
    app.get(&path).send().await.problem(401, "unauthenticated");
    app.post(&path).body(add.clone()).send().await.problem(401, "unauthenticated");
    let refused = app.post(&path).by(&tess).body(add).send().await.problem(422, "validation");
    assert_eq!(refused["errors"][0]["field"], "uploadId");
    let refused = app.patch(&joy_path).by(&tess).body(json!({ "expression": "x".repeat(41) })).send().await;
    assert_eq!(refused.problem(422, "validation")["errors"][0]["field"], "expression");

    let moved = app.patch(&joy_path).by(&tess).body(json!({ "position": 1, "expression": null })).send().await;
    let moved = moved.expect(200).json()["item"].clone();
    assert_eq!(
        (&moved["position"], &moved["expression"], &moved["caption"]),
        (&json!(1), &Value::Null, &json!("Home."))
    );
    assert_eq!(field(&app.pictures(&finn, &mara).await, "id"), json!([plain["id"], joy["id"]]));

    // What is private is private with its pictures.
    app.patch(&format!("/api/characters/{mara}"))
        .by(&tess)
        .body(json!({ "visibility": "private" }))
        .send()
        .await
        .expect(200);
    app.get(&path).by(&finn).send().await.problem(404, "not_found");
    app.get(url).by(&finn).send().await.problem(404, "not_found");
    app.get(url).by(&tess).send().await.expect(200);
    app.delete(&format!("/api/uploads/{}", joy["id"].as_str().unwrap()))
        .by(&tess)
        .send()
        .await
        .problem(409, "conflict");

    app.delete(&joy_path).by(&tess).send().await.expect(204);
    app.delete(&joy_path).by(&tess).send().await.problem(404, "not_found");
    app.get(url).by(&tess).send().await.problem(404, "not_found");
    assert_eq!(field(&app.pictures(&tess, &mara).await, "id"), json!([plain["id"]]));
    app.delete(&format!("/api/characters/{mara}")).by(&tess).send().await.expect(204);
    app.get(&path).by(&tess).send().await.problem(404, "not_found");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_fills_the_gallery_and_gives_it_back() {
    let app = TestApp::lifted().await;
    let (tess, finn) = (app.person("tess").await, app.person("finn").await);
    let asset = |kind: &str, path: &str, name: &str| json!({"type": kind, "uri": format!("embeded://{path}"), "name": name, "ext": "png"});
    let card = json!({ "spec": "chara_card_v3", "spec_version": "3.0", "data": { "name": "Mara", "assets": [
        asset("icon", "assets/icon/main.png", "main"),
        asset("emotion", "assets/emotion/joy.png", "Joy"),
        asset("emotion", "assets/emotion/broken.png", "anger"),
        asset("background", "assets/background/room.png", "The room"),
        asset("other", "assets/other/song.ogg", "A song"),
        json!({"type": "other", "uri": "https://example.test/x.png", "name": "afar", "ext": "png"}),
    ] } });
    let text = card.to_string();
    let broken = png(50, 50)[..200].to_vec();
    let (icon, joy, room) = (png(80, 80), png(64, 48), png(120, 60));
    let file = archive(&[
        ("card.json", text.as_bytes()),
        ("assets/icon/main.png", &icon),
        ("assets/emotion/joy.png", &joy),
        ("assets/emotion/broken.png", &broken),
        ("assets/background/room.png", &room),
        ("assets/other/song.ogg", b"OggS is no picture"),
    ]);
    let preview = app.post("/api/characters/import?preview=true").by(&tess).file(file.clone()).send().await;
    assert_eq!(preview.expect(200).json()["pictures"], 4);
    let imported = app.post("/api/characters/import").by(&tess).file(file).send().await.expect(201).json();
    let warnings: Vec<_> = imported["warnings"].as_array().unwrap().iter().map(|said| said.as_str().unwrap()).collect();
    for part in ["“anger”", "“A song”", "elsewhere: 1 picture."] {
        assert!(warnings.iter().any(|said| said.contains(part)), "{part}: {warnings:?}");
    }
    assert_eq!((&imported["pictures"], warnings.len()), (&json!(2), 3), "{warnings:?}");
    let id = imported["character"]["id"].as_str().unwrap();
    let pictures = app.pictures(&tess, id).await;
    let said = |items: &[Value]| {
        [field(items, "expression"), field(items, "caption"), field(items, "width"), field(items, "height")]
    };
    let expected = [json!(["joy", null]), json!(["", "The room"]), json!([64, 120]), json!([48, 60])];
    assert_eq!(said(&pictures), expected);
    let caption = json!({ "caption": "On the pier." });
    let joy_path = format!("/api/characters/{id}/gallery/{}", pictures[0]["id"].as_str().unwrap());
    app.patch(&joy_path).by(&tess).body(caption).send().await.expect(200);

    let export = format!("/api/characters/{id}/export?format=charx");
    app.get(&export).by(&finn).send().await.problem(404, "not_found");
    let file = app.get(&export).by(&tess).send().await.expect(200);
    assert_eq!(file.header("content-disposition"), "attachment; filename*=UTF-8''Mara%2Echarx");
    let mut zip = ZipArchive::new(Cursor::new(file.bytes.clone())).unwrap();
    assert_eq!(zip.len(), 5, "the card, its icon, two pictures and the song");
    let mut song = Vec::new();
    zip.by_name("assets/other/song.ogg").unwrap().read_to_end(&mut song).unwrap();
    assert_eq!(song, b"OggS is no picture");
    let mut text = String::new();
    zip.by_name("card.json").unwrap().read_to_string(&mut text).unwrap();
    let card: Value = serde_json::from_str(&text).unwrap();
    for asset in card["data"]["assets"].as_array().unwrap() {
        let uri = asset["uri"].as_str().unwrap();
        if let Some(path) = uri.strip_prefix("embeded://") {
            zip.by_name(path).unwrap();
        } else {
            assert_eq!(uri, "https://example.test/x.png");
        }
    }
    let again = app.post("/api/characters/import").by(&finn).file(file.bytes).send().await.expect(201).json();
    assert_eq!(again["pictures"], 2, "{again}");
    assert!(again["character"]["avatarUrl"].as_str().unwrap().starts_with("/media/"), "{again}");
    let pictures = app.pictures(&finn, again["character"]["id"].as_str().unwrap()).await;
    let expected = [json!(["joy", null]), json!(["On the pier.", "The room"]), json!([64, 120]), json!([48, 60])];
    assert_eq!(said(&pictures), expected);
    // The other two have them as well.
    for format in ["png", "json"] {
        let file = app.get(&format!("/api/characters/{id}/export?format={format}")).by(&tess).send().await.expect(200);
        let again = app.post("/api/characters/import").by(&finn).file(file.bytes).send().await.expect(201).json();
        assert_eq!(again["pictures"], 2, "{format}: {again}");
        assert!(
            again["character"]["avatarUrl"].as_str().is_some_and(|url| url.starts_with("/media/")),
            "{format}: {again}"
        );
        assert_eq!(said(&app.pictures(&finn, again["character"]["id"].as_str().unwrap()).await), expected, "{format}");
    }
    // One's own data names them, and has their bytes.
    let data = app.get("/api/users/me/export").by(&tess).send().await.expect(200);
    let mut zip = ZipArchive::new(Cursor::new(data.bytes)).unwrap();
    let mut text = String::new();
    zip.by_name(&format!("characters/{id}.gallery.json")).unwrap().read_to_string(&mut text).unwrap();
    let items: Vec<Value> = serde_json::from_str(&text).unwrap();
    zip.by_name(&format!("media/{}/full.webp", items[0]["id"].as_str().unwrap())).unwrap();
    app.stop().await;
}
