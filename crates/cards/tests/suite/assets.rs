//! The pictures of a card: found in every kind of file, read within bounds, and there again after an export.

use crate::forge::{archive, character, png, text_chunk};
use aim_cards::{Asset, AssetKind, Card, ExportedAsset, MOST_ASSETS, Unfit, export, parse};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::io::Cursor;

fn card(assets: Value) -> Value {
    json!({ "spec": "chara_card_v3", "spec_version": "3.0", "data": { "name": "Mara", "assets": assets } })
}

fn bytes(asset: &Asset, file: &[u8]) -> Vec<u8> {
    asset.read(&mut Cursor::new(file), 1 << 20).unwrap()
}

fn told(card: &Card) -> Vec<(AssetKind, &str)> {
    card.assets.iter().map(|asset| (asset.kind, asset.name.as_str())).collect()
}

#[test]
fn pictures_are_found_in_an_archive_in_the_text_and_in_chunks() {
    let smile = json!({"type": "emotion", "uri": "embeded://assets/emotion/smile.png", "name": "smile", "ext": "png"});
    let room = json!({"type": "background", "uri": "data:image/png;base64,Uk9PTQ==", "name": "The room", "ext": "png"});
    let text = card(json!([smile, room])).to_string();
    let file = archive(&[("card.json", text.as_bytes()), ("assets/emotion/smile.png", b"SMILE")]);
    let read = parse(&file).unwrap();
    assert_eq!(told(&read), [(AssetKind::Emotion, "smile"), (AssetKind::Other, "The room")]);
    assert_eq!((bytes(&read.assets[0], &file), bytes(&read.assets[1], &file)), (b"SMILE".to_vec(), b"ROOM".to_vec()));

    let smile = json!({"type": "emotion", "uri": "__asset:0", "name": "smile", "ext": "png"});
    let text = STANDARD.encode(card(json!([smile])).to_string());
    for keyword in ["chara-ext-asset_:0", "chara-ext-asset_0"] {
        let file = png(&[text_chunk(keyword, &STANDARD.encode("SMILE")), text_chunk("ccv3", &text)], &[]);
        let read = parse(&file).unwrap();
        assert_eq!((told(&read), read.warnings.len()), (vec![(AssetKind::Emotion, "smile")], 0));
        assert_eq!(bytes(&read.assets[0], &file), b"SMILE");
    }
    let old = json!({ "spec": "chara_card_v2", "data": { "name": "Mara", "extensions": { "risuai": {
        "emotions": [["smile", "__asset:0"], ["lost", "__asset:7"], 3],
        "additionalAssets": [["The room", "__asset:1", "png"]],
    } } } });
    let chunk = |n: u32, said: &str| text_chunk(&format!("chara-ext-asset_:{n}"), &STANDARD.encode(said));
    let file = png(&[text_chunk("chara", &STANDARD.encode(old.to_string()))], &[chunk(0, "SMILE"), chunk(1, "ROOM")]);
    let read = parse(&file).unwrap();
    assert_eq!(told(&read), [(AssetKind::Emotion, "smile"), (AssetKind::Other, "The room")]);
    assert_eq!(bytes(&read.assets[1], &file), b"ROOM");
}

#[test]
fn what_is_elsewhere_or_missing_is_told_and_never_sought() {
    let uris = [
        "https://example.test/a.png",
        "HTTP://example.test/b.png",
        "embeded://assets/none.png",
        "__asset:3",
        "ccdefault:",
        "",
        "é",
    ];
    let assets: Vec<_> = uris.iter().map(|uri| json!({"type": "other", "uri": uri, "name": "x"})).collect();
    let text = card(assets.into()).to_string();
    let read = parse(&archive(&[("card.json", text.as_bytes())])).unwrap();
    assert!(read.assets.is_empty());
    assert_eq!(read.warnings.len(), 2, "{:?}", read.warnings);
    assert!(read.warnings.iter().all(|said| said.contains(": 2 pictures.")), "{:?}", read.warnings);
}

#[test]
fn a_picture_is_read_within_its_bound_and_there_are_so_many() {
    let bomb = vec![0_u8; 8 << 20];
    let asset = json!({"type": "emotion", "uri": "embeded://bomb.json", "name": "joy", "ext": "png"});
    let text = card(json!([asset])).to_string();
    let file = archive(&[("card.json", text.as_bytes()), ("bomb.json", &bomb)]);
    assert!(file.len() < 1 << 20);
    let read = parse(&file).unwrap();
    let refused = read.assets[0].read(&mut Cursor::new(&file), 1 << 20).unwrap_err();
    assert_eq!(refused, Unfit::Unfolds("a picture"));
    let long = format!("data:image/png;base64,{}", STANDARD.encode(vec![7; 4_000]));
    let read = parse(card(json!([{"type": "other", "uri": long, "name": ""}])).to_string().as_bytes()).unwrap();
    assert_eq!(read.assets[0].read(&mut Cursor::new(b""), 3_999).unwrap_err(), Unfit::Unfolds("a picture"));
    assert!(read.assets[0].read(&mut Cursor::new(b""), 4_000).is_ok());
    let many: Vec<_> = (0..MOST_ASSETS + 7)
        .map(|n| json!({"type": "other", "uri": "data:image/png;base64,AA==", "name": n.to_string()}))
        .collect();
    let read = parse(card(many.into()).to_string().as_bytes()).unwrap();
    assert_eq!(read.assets.len(), MOST_ASSETS);
    assert!(read.warnings[0].starts_with("Left out: 7 pictures"), "{:?}", read.warnings);
}

#[test]
fn what_was_taken_is_written_from_the_gallery_alone() {
    let assets = json!([
        {"type": "icon", "uri": "ccdefault:", "name": "main", "ext": "png"},
        {"type": "emotion", "uri": "data:image/png;base64,AAAA", "name": "taken", "ext": "png"},
        {"type": "other", "uri": "data:audio/ogg;base64,BBBB", "name": "a song", "ext": "ogg"},
        {"type": "other", "uri": "https://example.test/a.png", "name": "afar", "ext": "png"},
    ]);
    let mut read = parse(card(assets.clone()).to_string().as_bytes()).unwrap();
    let taken = [read.assets[0].clone()];
    read.forget(&taken);
    let export = export(Some(&read.kept()), &character(&read));
    let json: Value = serde_json::from_str(&export.json()).unwrap();
    assert_eq!(json["data"]["assets"], json!([assets[0], assets[2], assets[3]]));
    let picture =
        ExportedAsset { path: "assets/emotion/1.webp".into(), expression: Some("joy".into()), caption: String::new() };
    let json: Value =
        serde_json::from_str(&export.with_assets(Some("assets/icon/main.webp"), &[picture]).json()).unwrap();
    let out = json["data"]["assets"].as_array().unwrap();
    assert_eq!((&out[0]["uri"], &out[0]["name"]), (&json!("embeded://assets/icon/main.webp"), &json!("main")));
    assert_eq!(out[1..3], [assets[2].clone(), assets[3].clone()]);
    assert_eq!((&out[3]["type"], &out[3]["name"], &out[3]["ext"]), (&json!("emotion"), &json!("joy"), &json!("webp")));
}

fn pictures() -> impl Strategy<Value = Vec<(Option<String>, String, Vec<u8>)>> {
    let label = prop::option::of("[a-zà-ü ]{1,20}");
    vec((label, "\\PC{0,30}", vec(any::<u8>(), 1..60)), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_gallery_comes_back_out_of_its_archive(pictures in pictures(), avatar in prop::option::of(vec(any::<u8>(), 1..60))) {
        let made = character(&parse(br#"{"name":"Mara"}"#).unwrap());
        let assets: Vec<_> = pictures
            .iter()
            .enumerate()
            .map(|(n, (expression, caption, _))| ExportedAsset {
                path: format!("assets/image/{n}.webp"),
                expression: expression.clone(),
                caption: caption.clone(),
            })
            .collect();
        let icon = "assets/icon/main.webp";
        let text = export(None, &made).with_assets(avatar.as_ref().map(|_| icon), &assets).json();
        let mut files = vec![("card.json", text.as_bytes())];
        files.extend(avatar.iter().map(|bytes| (icon, bytes.as_slice())));
        files.extend(assets.iter().zip(&pictures).map(|(asset, (.., bytes))| (asset.path.as_str(), bytes.as_slice())));
        let file = archive(&files);
        let read = parse(&file).unwrap();
        prop_assert!(read.warnings.is_empty(), "{:?}", read.warnings);
        prop_assert_eq!(read.picture.clone(), avatar.map(aim_cards::Picture::Bytes));
        prop_assert_eq!(read.assets.len(), pictures.len());
        for (asset, (expression, caption, said)) in read.assets.iter().zip(&pictures) {
            prop_assert_eq!(&bytes(asset, &file), said);
            prop_assert_eq!(asset.caption.as_ref(), Some(caption));
            prop_assert_eq!(asset.kind == AssetKind::Emotion, expression.is_some());
            if let Some(label) = expression {
                prop_assert_eq!(&asset.name, label);
            }
        }
        // Written from what is kept, it names each of them once again.
        let mut read = read;
        let taken = read.assets.clone();
        read.forget(&taken);
        let again = export(Some(&read.kept()), &character(&read)).with_assets(None, &assets).json();
        let again: Value = serde_json::from_str(&again).unwrap();
        let named = again["data"]["assets"].as_array().unwrap().iter().filter(|asset| asset["type"] != "icon").count();
        prop_assert_eq!(named, pictures.len());
    }
}
