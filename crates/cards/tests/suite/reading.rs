//! What is read of each version, in each kind of file.

use crate::forge::{archive, character, chunk, png, png_card, text_chunk};
use aim_cards::{Picture, Unfit, Version, export, into_png, parse};
use aim_domain::{DepthPrompt, LoreEntry, LorePosition, PromptRole};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

fn v3(name: &str) -> Value {
    json!({
        "spec": "chara_card_v3", "spec_version": "3.0",
        "data": {
            "name": name, "description": "Keeps the light.", "personality": "Dry.", "scenario": "A storm.",
            "first_mes": "Ahoy, {{user}}.", "mes_example": "<START>\n{{user}}: Hi", "creator_notes": "Be kind.",
            "system_prompt": "{{original}} Rhyme.", "post_history_instructions": "Stay calm.",
            "alternate_greetings": ["You again."], "tags": ["Sea", "sea", "Storm"], "creator": "tess",
            "character_version": "1.2", "nickname": "Keeper", "group_only_greetings": ["All of you."],
            "extensions": {"depth_prompt": {"depth": 4, "prompt": "x"}}, "creator_notes_multilingual": {"de": "Sei nett."},
            "source": ["https://example.test"],
            "assets": [{"type": "icon", "uri": "ccdefault:", "name": "main", "ext": "png"}],
            "character_book": {
                "name": "The coast", "scan_depth": 3, "token_budget": 200, "recursive_scanning": true, "extensions": {"a": 1},
                "entries": [{
                    "keys": ["reef"], "content": "The reef took four ships.", "extensions": {"weight": 3}, "enabled": true,
                    "insertion_order": 10, "case_sensitive": true, "priority": 5, "id": 7, "selective": true,
                    "secondary_keys": ["ship"], "constant": false, "position": "after_char", "use_regex": false,
                }],
            },
        },
    })
}

#[test]
fn a_v3_card_gives_all_its_fields() {
    let card = parse(&png_card("ccv3", &v3("Mara"))).unwrap();
    assert_eq!((card.version, &card.picture, card.warnings.len()), (Version::V3, &Some(Picture::TheFile), 0));
    let draft = &card.draft;
    assert_eq!((draft.name.as_str(), draft.nickname.as_str(), draft.creator.as_str()), ("Mara", "Keeper", "tess"));
    assert_eq!((draft.greeting.as_str(), draft.system_prompt.as_str()), ("Ahoy, {{user}}.", "{{original}} Rhyme."));
    assert_eq!(
        (&draft.tags, &draft.alternate_greetings),
        (&vec!["sea".into(), "storm".into()], &vec!["You again.".into()])
    );
    let note = DepthPrompt { prompt: "x".into(), depth: 4, role: PromptRole::System };
    assert_eq!(draft.depth_prompt, Some(note));
    let book = draft.lorebook.as_ref().unwrap();
    assert_eq!((book.scan_depth, book.token_budget, book.recursive_scanning), (Some(3), Some(200), true));
    let LoreEntry { keys, secondary_keys, priority, position, case_sensitive, extra, .. } = &book.entries[0];
    assert_eq!((keys[0].as_str(), secondary_keys[0].as_str()), ("reef", "ship"));
    assert_eq!((*priority, *position, *case_sensitive), (Some(5), LorePosition::AfterChar, true));
    assert_eq!((&extra["id"], &extra["extensions"]["weight"]), (&json!(7), &json!(3)));
}

#[test]
fn a_note_among_the_messages_is_read_as_it_was_meant() {
    let of = |said: Value| {
        let mut card = v3("Mara");
        card["data"]["extensions"]["depth_prompt"] = said;
        let note = parse(card.to_string().as_bytes()).unwrap().draft.depth_prompt;
        note.map(|DepthPrompt { prompt, depth, role }| (prompt, depth, role))
    };
    let is = |prompt: &str, depth, role| Some((prompt.to_owned(), depth, role));
    let (system, user, assistant) = (PromptRole::System, PromptRole::User, PromptRole::Assistant);
    for (said, note) in [
        (json!({"prompt": " Be dry.", "depth": 0, "role": "user"}), is(" Be dry.", 0, user)),
        (json!({"prompt": "x", "depth": "2", "role": "assistant"}), is("x", 2, assistant)),
        (json!({"prompt": "x", "depth": 2.0, "role": 7}), is("x", 2, system)),
        (json!({"prompt": "x", "depth": -3, "role": "narrator"}), is("x", 0, system)),
        (json!({"prompt": "x", "depth": 1e300}), is("x", 10_000, system)),
        (json!({"prompt": "x", "depth": null}), is("x", 4, system)),
        // What SillyTavern writes into every card.
        (json!({"prompt": "", "depth": 4, "role": "system"}), None),
        (json!({"depth": 4}), None),
        (json!("x"), None),
    ] {
        assert_eq!(of(said.clone()), note, "{said}");
    }
}

#[test]
fn world_info_in_a_card_is_a_lore_book() {
    let mut card = v3("Mara");
    card["data"]["character_book"] = json!({ "entries": {
        "10": { "uid": 10, "key": ["last"], "content": "c", "order": 5, "position": 0, "disable": true },
        "2": {
            "uid": 2, "key": ["reef", 1912], "keysecondary": ["ship"], "comment": "The reef", "content": "It took four ships.",
            "constant": false, "selective": true, "selectiveLogic": 2, "order": 100, "position": 1, "disable": false,
            "excludeRecursion": true, "probability": 40, "useProbability": true, "depth": 4, "group": "", "scanDepth": null,
            "caseSensitive": null, "role": 0, "displayIndex": 2, "x_of_mine": 7,
        },
    }});
    let read = parse(&png_card("ccv3", &card)).unwrap();
    assert_eq!(read.warnings, Vec::<String>::new());
    let book = read.draft.lorebook.as_ref().unwrap();
    let [first, last] = book.entries.as_slice() else { panic!("{book:?}") };
    assert_eq!(
        (&first.keys, &first.secondary_keys),
        (&vec!["reef".to_owned(), "1912".into()], &vec!["ship".to_owned()])
    );
    assert_eq!((first.insertion_order, first.position, first.enabled), (100, LorePosition::AfterChar, true));
    let extensions = &first.extra["extensions"];
    assert_eq!((&extensions["selectiveLogic"], &extensions["exclude_recursion"]), (&json!(2), &json!(true)));
    assert_eq!((&extensions["probability"], &extensions["display_index"]), (&json!(40), &json!(2)));
    assert_eq!((&first.extra["x_of_mine"], &first.extra["id"]), (&json!(7), &json!(2)));
    assert_eq!((last.content.as_str(), last.enabled), ("c", false));
    // What is written is a book of V3, and says the same.
    let json = export(Some(&read.kept()), &character(&read)).json();
    assert!(serde_json::from_str::<Value>(&json).unwrap()["data"]["character_book"]["entries"][0]["keys"].is_array());
    assert_eq!(parse(json.as_bytes()).unwrap().draft, read.draft);
}

#[test]
fn numbers_and_flags_count_however_an_editor_wrote_them() {
    let mut card = v3("Mara");
    card["data"]["tags"] = json!("Fantasy, pirate,");
    card["data"]["alternate_greetings"] = json!("Hey.");
    card["data"]["character_book"] = json!({
        "scan_depth": "1", "token_budget": "300", "recursive_scanning": "true",
        "entries": [
            { "keys": "a, b", "content": "x", "enabled": "false", "insertion_order": "7", "constant": 1 },
            { "keys": ["a"], "content": "x", "enabled": 0, "insertion_order": 2.9, "extensions": {"position": 1} },
            { "keys": ["a"], "content": "x", "enabled": null, "position": 1 },
            { "keys": ["a"], "content": "x", "position": "before_char", "extensions": {"position": 1} },
        ],
    });
    let draft = parse(card.to_string().as_bytes()).unwrap().draft;
    assert_eq!(draft.tags, ["fantasy", "pirate"]);
    assert_eq!(draft.alternate_greetings, ["Hey."]);
    let book = draft.lorebook.unwrap();
    assert_eq!((book.scan_depth, book.token_budget, book.recursive_scanning), (Some(1), Some(300), true));
    let said = |entry: &LoreEntry| (entry.enabled, entry.insertion_order, entry.constant, entry.position);
    assert_eq!(
        book.entries.iter().map(said).collect::<Vec<_>>(),
        [
            (false, 7, true, LorePosition::BeforeChar),
            (false, 2, false, LorePosition::AfterChar),
            (true, 0, false, LorePosition::AfterChar),
            (true, 0, false, LorePosition::BeforeChar),
        ]
    );
}

#[test]
fn a_text_is_read_from_whatever_chunk_a_program_made_of_it() {
    use std::io::Write;
    let text = STANDARD.encode(v3("Mara").to_string());
    let packed = |text: &str| {
        let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(text.as_bytes()).unwrap();
        packer.finish().unwrap()
    };
    let content = |parts: &[&[u8]]| parts.concat();
    let bomb = packed(&"A".repeat(40 << 20));
    for (kind, content, name) in [
        (b"zTXt", content(&[b"chara\0\0", &packed(&text)]), Ok("Mara")),
        (b"iTXt", content(&[b"ccv3\0\0\0\0\0", text.as_bytes()]), Ok("Mara")),
        (b"iTXt", content(&[b"ccv3\0\x01\0en\0card\0", &packed(&text)]), Ok("Mara")),
        (b"zTXt", content(&[b"chara\0\0", &bomb]), Err(Unfit::TextTooLarge)),
        (b"zTXt", content(&[b"chara\0\0", &packed(&text)[..40]]), Err(Unfit::Damaged("text"))),
        (b"zTXt", content(&[b"chara\0"]), Err(Unfit::Damaged("text"))),
        (b"iTXt", content(&[b"chara\0\0"]), Err(Unfit::Damaged("text"))),
        (b"iTXt", content(&[b"chara\0\0\0en\0", b"x"]), Err(Unfit::Damaged("text"))),
    ] {
        let file = png(&[chunk(kind, &content)], &[]);
        let read = parse(&file).map(|card| card.draft.name);
        assert_eq!(read, name.map(str::to_owned), "{}", String::from_utf8_lossy(&content[..content.len().min(20)]));
    }
    // Written with a card anew, it has that one alone.
    let file = png(&[chunk(b"zTXt", &content(&[b"chara\0\0", &packed(&text)]))], &[]);
    let card = parse(&file).unwrap();
    let written = into_png(&file, &export(Some(&card.kept()), &character(&card)), &[]).unwrap();
    assert!(!written.windows(4).any(|kind| kind == b"zTXt"));
    assert_eq!(parse(&written).unwrap().draft, card.draft);
}

#[test]
fn older_versions_are_read_by_their_own_names() {
    let v1 = json!({"name": "Mara", "description": "d", "personality": "p", "scenario": "s", "first_mes": "f", "mes_example": "m"});
    let card = parse(v1.to_string().as_bytes()).unwrap();
    assert_eq!((card.version, card.picture.clone()), (Version::V1, None));
    assert_eq!((card.draft.greeting.as_str(), card.draft.example_dialogue.as_str()), ("f", "m"));
    let pygmalion = json!({"char_name": "Mara", "char_persona": "d", "char_greeting": "f", "world_scenario": "s", "example_dialogue": "m"});
    let card = parse(pygmalion.to_string().as_bytes()).unwrap();
    assert_eq!(
        (card.version, card.draft.description.as_str(), card.draft.scenario.as_str()),
        (Version::Pygmalion, "d", "s")
    );
    let mut v2 = v3("Mara");
    v2["spec"] = "chara_card_v2".into();
    v2["spec_version"] = "2.0".into();
    assert_eq!(parse(&png_card("Chara", &v2)).unwrap().version, Version::V2, "keywords have no case");
}

#[test]
fn v3_is_preferred_wherever_it_stands_and_v2_takes_its_place_where_it_is_broken() {
    let text = |name: &str| STANDARD.encode(v3(name).to_string());
    let both = png(&[text_chunk("chara", &text("Old"))], &[text_chunk("ccv3", &text("New"))]);
    assert_eq!(parse(&both).unwrap().draft.name, "New");
    let broken = png(&[text_chunk("ccv3", "%%%"), text_chunk("chara", &text("Old"))], &[]);
    let card = parse(&broken).unwrap();
    assert_eq!((card.draft.name.as_str(), card.warnings.len()), ("Old", 1));
}

#[test]
fn an_archive_brings_its_picture_and_lists_the_others() {
    let mut card = v3("Mara");
    card["data"]["assets"] = json!([
        {"type": "icon", "uri": "embeded://assets/icon/main.png", "name": "main", "ext": "png"},
        {"type": "emotion", "uri": "embeded://assets/emotion/happy.png", "name": "happy", "ext": "png"},
    ]);
    let text = card.to_string();
    let files: [(&str, &[u8]); 4] = [
        ("card.json", text.as_bytes()),
        ("assets/icon/main.png", b"PICTURE"),
        ("assets/emotion/happy.png", b"SMILE"),
        ("assets/other/unnamed.png", b"WHAT"),
    ];
    let read = parse(&archive(&files)).unwrap();
    assert_eq!(read.picture, Some(Picture::Bytes(b"PICTURE".to_vec())));
    assert_eq!((read.assets.len(), read.assets[0].name.as_str()), (1, "happy"));
    assert!(read.warnings.is_empty(), "{:?}", read.warnings);
    let out: Value = serde_json::from_str(&export(Some(&read.kept()), &character(&read)).json()).unwrap();
    assert_eq!(out["data"]["assets"][0]["uri"], "ccdefault:", "it is the avatar now");
    assert_eq!(out["data"]["assets"][1], card["data"]["assets"][1], "what the card says of the others stays");
}

#[test]
fn an_archive_behind_a_jpeg_is_a_card_with_that_picture() {
    let jpeg = b"\xFF\xD8\xFF\xE0 a picture PK\x03\x04 \xFF\xD9".as_slice();
    let with = |uri: &str| {
        let mut card = v3("Mara");
        card["data"]["assets"][0]["uri"] = uri.into();
        let text = card.to_string();
        [jpeg, &archive(&[("card.json", text.as_bytes()), ("assets/icon/main.png", b"PICTURE")])].concat()
    };
    let bytes = with("ccdefault:");
    let read = parse(&bytes).unwrap();
    assert_eq!((read.draft.name.as_str(), &read.picture), ("Mara", &Some(Picture::Bytes(jpeg.to_vec()))));
    let named = parse(&with("embeded://assets/icon/main.png")).unwrap();
    assert_eq!(named.picture, Some(Picture::Bytes(b"PICTURE".to_vec())));
    for end in 0..bytes.len() {
        assert!(parse(&bytes[..end]).is_err(), "{end}");
    }
}

#[test]
fn a_picture_in_the_text_is_taken_and_an_address_is_not_followed() {
    let mut card = v3("Mara");
    let mut with = |uri: &str| {
        card["data"]["assets"][0]["uri"] = uri.into();
        parse(card.to_string().as_bytes()).unwrap()
    };
    assert_eq!(with("data:image/png;base64,UElD").picture, Some(Picture::Bytes(b"PIC".to_vec())));
    let afar = with("https://example.test/a.png");
    assert_eq!((afar.picture, afar.warnings.len()), (None, 1));
    assert_eq!(with("é").picture, None);
}

#[test]
fn a_written_png_has_the_card_once_for_each_version_and_reads_back() {
    let old = parse(&png_card("ccv3", &v3("Mara"))).unwrap();
    let mut now = character(&old);
    now.name = "Mara Quill".into();
    let picture = png_card("CHARA", &v3("Somebody else"));
    let png = into_png(&picture, &export(Some(&old.kept()), &now), &[]).unwrap();
    assert_eq!(png.windows(4).filter(|four| four == b"tEXt").count(), 2);
    let again = parse(&png).unwrap();
    assert_eq!((again.version, again.draft.name.as_str()), (Version::V3, "Mara Quill"));
    let v2 = png.windows(6).position(|six| six == b"chara\0").unwrap() + 6;
    let length = png[v2..].iter().position(|byte| !byte.is_ascii_alphanumeric() && !b"+/=".contains(byte)).unwrap();
    // The checksum that follows may begin with a letter.
    let text =
        (length.saturating_sub(4)..=length).rev().find_map(|end| STANDARD.decode(&png[v2..v2 + end]).ok()).unwrap();
    let v2: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!((&v2["spec"], &v2["data"]["name"]), (&json!("chara_card_v2"), &json!("Mara Quill")));
}

#[test]
fn what_is_of_another_type_counts_as_absent_and_is_told() {
    let card = json!({"spec": "chara_card_v2", "data": {
        "name": " Mara ", "description": ["no"], "tags": "no", "alternate_greetings": [1, "yes", " "], "scenario": null,
        "character_book": {"entries": [7, {"keys": "reef, rock", "insertion_order": 2.0, "enabled": null}]},
    }});
    let card = parse(card.to_string().as_bytes()).unwrap();
    assert_eq!(
        (card.draft.name.as_str(), card.draft.alternate_greetings.as_slice()),
        ("Mara", &["yes".to_owned()][..])
    );
    assert_eq!(card.warnings.len(), 2, "{:?}", card.warnings);
    let entry = &card.draft.lorebook.as_ref().unwrap().entries[0];
    assert_eq!(
        (entry.keys.as_slice(), entry.insertion_order, entry.enabled),
        (&["reef".to_owned(), "rock".into()][..], 2, true)
    );
}

#[test]
fn a_newer_version_is_taken_with_a_word() {
    let mut card = v3("Mara");
    for (spec, version) in
        [("chara_card_v3", json!("3.1")), ("chara_card_v3", json!(4)), ("chara_card_v9", json!("9.0"))]
    {
        (card["spec"], card["spec_version"]) = (spec.into(), version);
        let read = parse(card.to_string().as_bytes()).unwrap();
        assert_eq!((read.version, read.warnings.len()), (Version::V3, 1), "{spec}");
    }
}
