//! The pictures of a card: found in every kind of file, read within bounds, and there again after an export.

use crate::forge::{archive, character, png, text_chunk};
use aim_cards::{Asset, AssetKind, Card, Export, ExportedAsset, Form, MOST_ASSETS, Unfit, export, into_png, parse};
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

fn json_of(export: &Export) -> Value {
    serde_json::from_str(&export.json()).unwrap()
}

fn picture(id: &str, uri: &str, expression: Option<&str>, caption: &str) -> ExportedAsset {
    let expression = expression.map(str::to_owned);
    ExportedAsset { id: id.into(), uri: uri.into(), ext: "webp".into(), expression, caption: caption.into() }
}

#[test]
fn what_was_taken_is_written_from_the_gallery_with_what_its_card_said() {
    let assets = json!([
        {"type": "icon", "uri": "ccdefault:", "name": "main", "ext": "png", "x_kept": 1},
        {"type": "emotion", "uri": "data:image/png;base64,AAAA", "name": " Joy ", "ext": "png", "x_kept": [2.5]},
        {"type": "other", "uri": "data:audio/ogg;base64,BBBB", "name": "a song", "ext": "ogg"},
        {"type": "background", "uri": "data:image/png;base64,CCCC", "name": "The room", "ext": "png"},
        {"type": "user_icon", "uri": "data:image/png;base64,DDDD", "name": "You", "ext": "png"},
        {"type": "other", "uri": "https://example.test/a.png", "name": "afar", "ext": "png"},
        "junk",
    ]);
    let mut read = parse(card(assets.clone()).to_string().as_bytes()).unwrap();
    let ids = [(0, "u1"), (2, "u2"), (3, "u3")];
    let taken: Vec<_> = ids.iter().map(|(n, id)| (read.assets[*n].clone(), (*id).to_owned())).collect();
    read.place(&taken.iter().map(|(asset, id)| (asset, id.clone())).collect::<Vec<_>>());
    let kept = read.kept();
    let made = character(&read);
    let icon = picture("", "embeded://assets/icon/main.webp", None, "");
    let pictures = [
        picture("u1", "embeded://assets/1.webp", Some("joy"), ""),
        picture("u9", "embeded://assets/9.webp", Some("anger"), "Beware."),
        picture("u2", "embeded://assets/2.webp", None, "By night"),
    ];
    let (out, files) = export(Some(&kept), &made).with_assets(Some(&icon), &pictures, Form::Archive);
    assert!(files.is_empty());
    let out = json_of(&out)["data"]["assets"].clone();
    assert_eq!(
        out,
        json!([
            {"type": "icon", "uri": "embeded://assets/icon/main.webp", "name": "main", "ext": "webp", "x_kept": 1},
            {"type": "emotion", "uri": "embeded://assets/1.webp", "name": " Joy ", "ext": "webp", "x_kept": [2.5]},
            assets[2],
            {"type": "background", "uri": "embeded://assets/2.webp", "name": "The room", "ext": "webp", "caption": "By night"},
            assets[5],
            "junk",
            {"type": "emotion", "uri": "embeded://assets/9.webp", "name": "anger", "ext": "webp", "caption": "Beware."},
        ]),
        "the third was taken out of the gallery since"
    );
    // Another label, and none.
    let pictures = [picture("u1", "a", Some("sad"), ""), picture("u2", "b", Some("calm"), "The room")];
    let out = json_of(&export(Some(&kept), &made).with_assets(None, &pictures, Form::Text).0)["data"]["assets"].clone();
    assert_eq!((&out[1]["name"], &out[1]["type"]), (&json!("sad"), &json!("emotion")));
    assert_eq!((&out[3]["name"], &out[3]["type"]), (&json!("calm"), &json!("emotion")));
    let out = json_of(&export(Some(&kept), &made).with_assets(None, &[picture("u1", "a", None, "")], Form::Text).0);
    assert_eq!((&out["data"]["assets"][1]["type"], &out["data"]["assets"][0]), (&json!("other"), &assets[0]));
    // A card that had none and has none says nothing of them.
    let plain = parse(br#"{"name":"Mara"}"#).unwrap();
    let (out, _) = export(Some(&plain.kept()), &character(&plain)).with_assets(None, &[], Form::Text);
    assert_eq!(json_of(&out)["data"]["assets"], Value::Null);
}

#[test]
fn files_that_are_no_pictures_are_kept_and_written_where_they_were() {
    let asset = |uri: &str, ext: &str| json!({"type": "x_sound", "uri": uri, "name": "a song", "ext": ext});
    let text = card(json!([
        asset("embeded://assets/other/song.ogg", "ogg"),
        asset("embeded://assets/other/song.ogg", "ogg"),
        asset("embeded://assets/other/lost.ogg", "ogg"),
    ]))
    .to_string();
    let files: [(&str, &[u8]); 4] = [
        ("card.json", text.as_bytes()),
        ("assets/other/song.ogg", b"OggS"),
        ("module.risum", b"\x6f\x00module"),
        ("x_meta/1.json", b"{}"),
    ];
    let file = archive(&files);
    let mut read = parse(&file).unwrap();
    read.keep_files(&mut Cursor::new(&file), &[]);
    assert_eq!(read.warnings.len(), 1, "the lost one: {:?}", read.warnings);
    let made = character(&read);
    let (out, files) = export(Some(&read.kept()), &made).with_assets(None, &[], Form::Archive);
    let out = json_of(&out);
    assert_eq!(out["data"]["assets"].as_array().unwrap().len(), 2, "both name the one file, and nothing the lost one");
    let names: Vec<_> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    let expected: [(&str, &[u8]); 3] =
        [("assets/other/song.ogg", b"OggS"), ("module.risum", b"\x6f\x00module"), ("x_meta/1.json", b"{}")];
    assert_eq!(names, expected);
    assert!(!out.to_string().contains("aim_files"), "they are beside it");
    // In a text they stand in the text, and come back from there.
    let (out, files) = export(Some(&read.kept()), &made).with_assets(None, &[], Form::Text);
    let out = json_of(&out);
    assert!(files.is_empty());
    assert_eq!(out["data"]["assets"][0]["uri"], format!("data:audio/ogg;base64,{}", STANDARD.encode("OggS")));
    let again = parse(out.to_string().as_bytes()).unwrap();
    let (_, files) = export(Some(&again.kept()), &made).with_assets(None, &[], Form::Archive);
    assert_eq!(files.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["module.risum", "x_meta/1.json"]);
    // A text can claim any path; an archive gets none that leads outside, and none twice.
    let hostile = json!({ "name": "Mara", "aim_files": {
        "../evil": "AAAA", "/etc/passwd": "AAAA", "card.json": "AAAA", "C:\\x": "AAAA", "no base64": "%%%", "number": 3, "fine": "AAAA",
    } });
    let read = parse(hostile.to_string().as_bytes()).unwrap();
    let (_, files) = export(Some(&read.kept()), &character(&read)).with_assets(None, &[], Form::Archive);
    assert_eq!(files.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["fine"]);
}

#[test]
fn what_a_card_names_and_has_lost_never_means_another_file() {
    let said = json!({ "spec": "chara_card_v3", "data": { "name": "Mara", "assets": [
        {"type": "emotion", "uri": "__asset:0", "name": "joy", "ext": "png"},
        {"type": "x_sound", "uri": "EMBEDED://2", "name": "a song", "ext": "ogg"},
        {"type": "x_sound", "uri": "__asset:18446744073709551615", "name": "a song", "ext": "ogg"},
    ], "extensions": { "risuai": { "additionalAssets": [["The room", "__asset:3", "png"]] } } } });
    let read = parse(said.to_string().as_bytes()).unwrap();
    let out = export(Some(&read.kept()), &character(&read));
    let names: Vec<_> = out.free_chunks().take(3).collect();
    assert_eq!(names, ["1", "4", "5"]);
    let pictures = [picture("u1", "__asset:1", Some("anger"), "")];
    let (out, _) = out.with_assets(None, &pictures, Form::Text);
    let file = into_png(&png(&[], &[]), &out, &[("1".into(), b"ANGER")]).unwrap();
    let again = parse(&file).unwrap();
    assert_eq!(told(&again), [(AssetKind::Emotion, "anger")], "and the lost ones are told of: {:?}", again.warnings);
    assert_eq!(bytes(&again.assets[0], &file), b"ANGER");
}

#[test]
fn of_many_and_large_files_so_many_are_kept_and_the_others_told_of() {
    let text = card(json!([])).to_string();
    let noise: Vec<u8> = (0..2_u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let names: Vec<String> = (0..300).map(|n| format!("x/{n}.bin")).collect();
    let mut files = vec![("card.json", text.as_bytes()), ("large.bin", noise.as_slice())];
    files.extend(names.iter().map(|name| (name.as_str(), b"small".as_slice())));
    let file = archive(&files);
    let mut read = parse(&file).unwrap();
    read.keep_files(&mut Cursor::new(&file), &[]);
    assert!(read.warnings[0].ends_with(": 101."), "{:?}", read.warnings);
    assert!(read.kept().len() < 100_000);
}

#[test]
fn a_file_that_is_too_large_takes_no_room_from_others() {
    // The first would unfold to more than all files may; so would the third, together with the second.
    let (bomb, large) = (vec![0_u8; 20 << 20], vec![0_u8; 1 << 20]);
    let asset = |uri: &str| json!({"type": "x_sound", "uri": uri, "name": "a song", "ext": "ogg"});
    let text = card(json!([asset("embeded://bomb.ogg"), asset("embeded://large.ogg"), asset("embeded://small.ogg")]));
    let text = text.to_string();
    let files: [(&str, &[u8]); 5] = [
        ("card.json", text.as_bytes()),
        ("bomb.ogg", &bomb),
        ("large.ogg", &large),
        ("small.ogg", b"OggS"),
        ("unnamed.bin", b"unnamed"),
    ];
    let file = archive(&files);
    let mut read = parse(&file).unwrap();
    read.keep_files(&mut Cursor::new(&file), &[]);
    assert!(read.warnings[0].ends_with(": 1."), "the bomb alone: {:?}", read.warnings);
    let (_, files) = export(Some(&read.kept()), &character(&read)).with_assets(None, &[], Form::Archive);
    let mut names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["large.ogg", "small.ogg", "unnamed.bin"]);
}

/// A label or none, a caption, bytes.
fn pictures() -> impl Strategy<Value = Vec<(Option<String>, String, Vec<u8>)>> {
    let label = prop::option::of("[a-zà-ü][a-zà-ü ]{0,18}[a-zà-ü]");
    vec((label, "[^\\pC ][^\\pC]{0,28}[^\\pC ]", vec(any::<u8>(), 1..60)), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_gallery_comes_back_out_of_whatever_it_is_written_into(
        pictures in pictures(),
        avatar in prop::option::of(vec(any::<u8>(), 1..60)),
        how in 0..3_usize,
    ) {
        let made = character(&parse(br#"{"name":"Mara"}"#).unwrap());
        let uri = |n: usize, bytes: &[u8]| match how {
            0 => format!("embeded://assets/image/{n}.webp"),
            1 => format!("__asset:{n}"),
            _ => format!("data:image/webp;base64,{}", STANDARD.encode(bytes)),
        };
        let assets: Vec<_> = pictures
            .iter()
            .enumerate()
            .map(|(n, (label, caption, bytes))| picture(&n.to_string(), &uri(n, bytes), label.as_deref(), caption))
            .collect();
        let write = |kept: Option<&str>, made: &aim_domain::Character| {
            let form = if how == 0 { Form::Archive } else { Form::Text };
            let icon = avatar.as_ref().filter(|_| how != 1).map(|bytes| {
                let path = "embeded://assets/icon/main.webp".to_owned();
                let text = format!("data:image/webp;base64,{}", STANDARD.encode(bytes));
                picture("", if how == 0 { &path } else { &text }, None, "")
            });
            let (card, _) = export(kept, made).with_assets(icon.as_ref(), &assets, form);
            let files: Vec<&[u8]> = pictures.iter().map(|(.., bytes)| bytes.as_slice()).collect();
            let chunks: Vec<_> = files.iter().enumerate().map(|(n, bytes)| (n.to_string(), *bytes)).collect();
            match how {
                1 => into_png(&png(&[], &[]), &card, &chunks).unwrap(),
                2 => card.json().into_bytes(),
                _ => {
                    let (text, names) = (card.json(), (0..files.len()).map(|n| format!("assets/image/{n}.webp")).collect::<Vec<_>>());
                    let mut all = vec![("card.json", text.as_bytes())];
                    all.extend(avatar.iter().map(|bytes| ("assets/icon/main.webp", bytes.as_slice())));
                    all.extend(names.iter().map(String::as_str).zip(files));
                    archive(&all)
                }
            }
        };
        let file = write(None, &made);
        let mut read = parse(&file).unwrap();
        prop_assert!(read.warnings.is_empty(), "{:?}", read.warnings);
        match how {
            1 => prop_assert_eq!(read.picture.clone(), Some(aim_cards::Picture::TheFile)),
            _ => prop_assert_eq!(read.picture.clone(), avatar.clone().map(aim_cards::Picture::Bytes)),
        }
        prop_assert_eq!(read.assets.len(), pictures.len());
        for (asset, (label, caption, said)) in read.assets.iter().zip(&pictures) {
            prop_assert_eq!(&bytes(asset, &file), said);
            prop_assert_eq!(asset.caption.as_ref(), Some(caption));
            prop_assert_eq!(asset.kind == AssetKind::Emotion, label.is_some());
            if let Some(label) = label {
                prop_assert_eq!(&asset.name, label);
            }
        }
        // Written from what is kept, it is what it was: every picture once, with its words.
        let assets = read.assets.clone();
        read.place(&assets.iter().enumerate().map(|(n, asset)| (asset, n.to_string())).collect::<Vec<_>>());
        let again = parse(&write(Some(&read.kept()), &character(&read))).unwrap();
        let said = |card: &Card| -> Vec<_> {
            card.assets.iter().map(|asset| (asset.kind, asset.name.clone(), asset.caption.clone())).collect()
        };
        prop_assert_eq!(said(&again), said(&read));
        prop_assert_eq!(again.draft, read.draft);
    }
}
