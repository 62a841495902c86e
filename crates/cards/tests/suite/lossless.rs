//! Import, then export: nothing of a card is lost, whatever its version and whatever else it holds.

use crate::forge::{archive, character, png_card};
use aim_cards::{export, into_png, parse};
use aim_domain::{DepthPrompt, PromptRole};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::num::f64::NORMAL.prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            btree_map("[a-z_]{1,8}", inner, 0..5).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Fields that no version knows.
fn unknown() -> impl Strategy<Value = Map<String, Value>> {
    btree_map("x_[a-z]{1,8}", anything(), 0..4).prop_map(|fields| fields.into_iter().collect())
}

fn text() -> impl Strategy<Value = Value> {
    "[^\\x00]{0,40}".prop_map(Value::from)
}

fn entry() -> impl Strategy<Value = Value> {
    let order = prop_oneof![any::<i32>().prop_map(Value::from), (-1e6..1e6_f64).prop_map(Value::from)];
    let known = (vec("[a-z]{1,8}", 0..4), text(), any::<bool>(), order, prop::option::of(any::<i32>()));
    (known, anything(), unknown()).prop_map(|((keys, content, flag, order, priority), extensions, mut entry)| {
        entry.extend([
            ("keys".to_owned(), json!(keys)),
            ("content".to_owned(), content),
            ("enabled".to_owned(), flag.into()),
        ]);
        entry.extend([("insertion_order".to_owned(), json!(order)), ("extensions".to_owned(), extensions)]);
        entry.insert("priority".into(), json!(priority));
        Value::Object(entry)
    })
}

fn book() -> impl Strategy<Value = Value> {
    (vec(entry(), 0..4), prop::option::of(0..100_u32), unknown()).prop_map(|(entries, depth, mut book)| {
        book.insert("entries".into(), entries.into());
        book.insert("scan_depth".into(), json!(depth));
        Value::Object(book)
    })
}

/// SillyTavern's, with what others say beside it.
fn extensions() -> impl Strategy<Value = Value> {
    let role = prop_oneof![Just(json!("user")), Just(json!("assistant")), anything()];
    let depth = prop_oneof![(0..200_u32).prop_map(Value::from), anything()];
    (text(), depth, role, unknown(), unknown()).prop_map(|(prompt, depth, role, mut note, mut extensions)| {
        note.extend([("prompt".to_owned(), prompt), ("depth".to_owned(), depth), ("role".to_owned(), role)]);
        extensions.insert("depth_prompt".into(), Value::Object(note));
        Value::Object(extensions)
    })
}

/// `data` of V2 and V3, now and then with a field of another type than it should be.
fn data() -> impl Strategy<Value = Map<String, Value>> {
    let texts = btree_map(
        "(description|personality|scenario|first_mes|mes_example|creator_notes|system_prompt|creator)",
        text(),
        0..8,
    );
    let lists = (vec("[A-Za-z ]{1,50}", 0..30), vec(text(), 0..4));
    let strange =
        btree_map("(nickname|tags|assets|extensions|source|group_only_greetings|character_version)", anything(), 0..2);
    let parts = (prop::option::of(book()), prop::option::of(extensions()));
    ("[A-Za-z]{1,20}", texts, lists, parts, strange, unknown()).prop_map(
        |(name, texts, (tags, greetings), (book, extensions), strange, mut data)| {
            data.extend(texts);
            data.insert("name".into(), name.into());
            data.insert("tags".into(), json!(tags));
            data.insert("alternate_greetings".into(), json!(greetings));
            if let Some(book) = book {
                data.insert("character_book".into(), book);
            }
            if let Some(extensions) = extensions {
                data.insert("extensions".into(), extensions);
            }
            data.extend(strange);
            data
        },
    )
}

fn card() -> impl Strategy<Value = Value> {
    let new = (prop_oneof![Just(("chara_card_v2", "2.0")), Just(("chara_card_v3", "3.0"))], data(), unknown())
        .prop_map(|((spec, version), data, mut card)| {
            card.extend([("spec".to_owned(), spec.into()), ("spec_version".to_owned(), version.into())]);
            card.insert("data".into(), Value::Object(data));
            Value::Object(card)
        });
    let v1 = (data(), unknown()).prop_map(|(mut card, unknown)| {
        ["assets", "source", "group_only_greetings"].into_iter().for_each(|name| drop(card.remove(name)));
        card.extend(unknown);
        Value::Object(card)
    });
    let pygmalion = ("[a-z]{1,9}", text(), text(), unknown()).prop_map(|(name, persona, greeting, mut card)| {
        card.insert("char_name".into(), name.into());
        card.extend([("char_persona".to_owned(), persona), ("char_greeting".to_owned(), greeting)]);
        Value::Object(card)
    });
    prop_oneof![4 => new, 1 => v1, 1 => pygmalion]
}

/// Whether all that `before` says is in `after`; what was null may have become something.
fn lost(before: &Value, after: &Value, path: &str) -> Option<String> {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => before.iter().find_map(|(name, value)| {
            let path = format!("{path}.{name}");
            match after.get(name) {
                Some(found) => lost(value, found, &path),
                None => Some(path),
            }
        }),
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            before.iter().zip(after).enumerate().find_map(|(n, (one, other))| lost(one, other, &format!("{path}[{n}]")))
        }
        (Value::Null, _) => None,
        (before, after) => (before != after).then(|| format!("{path}: {before} became {after}")),
    }
}

/// A card of the old versions as V3 tells it, and lists as lists.
fn as_v3(card: &Value) -> Value {
    let mut card = renamed(card);
    if let Value::String(tags) = &card["data"]["tags"] {
        let tags: Vec<&str> = tags.split(',').map(str::trim).filter(|tag| !tag.is_empty()).collect();
        card["data"]["tags"] = json!(tags);
    }
    card
}

fn renamed(card: &Value) -> Value {
    if card.get("spec").is_some() {
        let mut card = card.clone();
        card["spec"] = "chara_card_v3".into();
        card["spec_version"] = "3.0".into();
        return card;
    }
    let names = [("char_name", "name"), ("char_persona", "description"), ("char_greeting", "first_mes")];
    let mut data = Map::new();
    let mut rest = card.as_object().unwrap().clone();
    let kept: Vec<String> = rest.keys().filter(|name| !name.starts_with("x_")).cloned().collect();
    for name in kept {
        let new = names.iter().find(|(old, _)| *old == name).map_or(name.clone(), |(_, new)| (*new).to_owned());
        data.insert(new, rest.remove(&name).unwrap());
    }
    rest.insert("data".into(), Value::Object(data));
    Value::Object(rest)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_of_a_card_is_lost(said in card(), how in 0..3) {
        let text = said.to_string();
        let bytes = match how {
            0 => text.clone().into_bytes(),
            1 => png_card("ccv3", &said),
            _ => archive(&[("card.json", text.as_bytes())]),
        };
        let read = parse(&bytes).unwrap();
        let character = character(&read);
        let out = export(Some(&read.kept()), &character);
        let json: Value = serde_json::from_str(&out.json()).unwrap();
        prop_assert_eq!(lost(&as_v3(&said), &json, ""), None);
        // And once more, through a picture: it is a fixed point.
        let again = parse(&into_png(&png_card("chara", &said), &out, &[]).unwrap()).unwrap();
        prop_assert_eq!(&again.draft, &read.draft);
        let exported: Value = serde_json::from_str(&export(Some(&again.kept()), &character).json()).unwrap();
        prop_assert_eq!(exported, json);
    }

    #[test]
    fn a_change_is_written_and_leaves_the_rest_alone(said in card(), now in "[a-z][a-z ]{0,29}") {
        let read = parse(said.to_string().as_bytes()).unwrap();
        let mut character = character(&read);
        character.description = now.clone();
        if let Some(entry) = character.details.lorebook.as_mut().and_then(|book| book.entries.first_mut()) {
            entry.content = now.clone();
        }
        character.details.depth_prompt = Some(DepthPrompt { prompt: now.clone(), depth: 7, role: PromptRole::User });
        let json = export(Some(&read.kept()), &character).json();
        let again = parse(json.as_bytes()).unwrap();
        prop_assert_eq!(crate::forge::character(&again), character);
        let (mut before, after) = (as_v3(&said), serde_json::from_str::<Value>(&json).unwrap());
        let book = before["data"].as_object_mut().unwrap().remove("character_book").unwrap_or_default();
        before["data"]["description"] = now.into();
        match before["data"].get_mut("extensions") {
            Some(Value::Object(extensions)) => match extensions.get_mut("depth_prompt") {
                Some(Value::Object(note)) => ["prompt", "depth", "role"].map(|name| note.remove(name)).into_iter().for_each(drop),
                _ => drop(extensions.remove("depth_prompt")),
            },
            // No object can be written into something else.
            _ => drop(before["data"].as_object_mut().unwrap().remove("extensions")),
        }
        prop_assert_eq!(lost(&before, &after, ""), None);
        let after_book = &after["data"]["character_book"]["entries"];
        for (n, entry) in book["entries"].as_array().into_iter().flatten().enumerate().skip(1) {
            prop_assert_eq!(&after_book[n], entry, "an entry that nobody touched is as it came");
        }
        for (n, entry) in book["entries"].as_array().into_iter().flatten().enumerate() {
            for (name, value) in entry.as_object().unwrap().iter().filter(|(name, _)| name.starts_with("x_")) {
                prop_assert_eq!(&after["data"]["character_book"]["entries"][n][name], value);
            }
        }
    }

    #[test]
    fn a_character_without_a_card_makes_one(said in card()) {
        let character = character(&parse(said.to_string().as_bytes()).unwrap());
        let again = parse(export(None, &character).json().as_bytes()).unwrap();
        prop_assert_eq!(crate::forge::character(&again), character);
    }

    #[test]
    fn bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..400), start in 0..4_usize) {
        let starts: [&[u8]; 4] = [b"", b"\x89PNG\r\n\x1a\n", b"PK\x03\x04", b"{"];
        let _ = parse(&[starts[start], bytes.as_slice()].concat());
    }
}
