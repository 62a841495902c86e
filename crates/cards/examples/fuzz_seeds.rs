//! What a fuzzer begins with: `fuzz_seeds FOLDER` writes some whole cards of each kind into FOLDER/TARGET, as the targets take them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::error::Error;
use std::io::{Cursor, Write};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// A PNG of one grey pixel. No sum is looked at while fuzzing.
const HEAD: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0\x3a\x7e\x9b\x55";
const PIXELS: &[u8] = b"\0\0\0\x0aIDAT\x78\x9c\x63\x68\0\0\0\x82\0\x81\x77\xcd\x72\xb6";
const END: &[u8] = b"\0\0\0\0IEND\xae\x42\x60\x82";

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("which folder?")?;
    for (name, card) in cards() {
        let text = card.to_string();
        let picture = picture(&text, name == "v3");
        let archive = archive(&text)?;
        // A target adds what every file of its kind begins with.
        for (target, file, skipped) in [
            ("json", text.as_bytes(), 1),
            ("png", &picture, 8),
            ("charx", &archive, 4),
            ("card", text.as_bytes(), 0),
            ("card", &picture, 0),
            ("card", &archive, 0),
        ] {
            let folder = Path::new(&folder).join(target);
            std::fs::create_dir_all(&folder)?;
            std::fs::write(folder.join(format!("{name}-{}", file.len())), &file[skipped..])?;
        }
    }
    let chats = Path::new(&folder).join("chat");
    std::fs::create_dir_all(&chats)?;
    std::fs::write(chats.join("whole"), chat())?;
    Ok(())
}

fn chat() -> String {
    let lines = [
        json!({"user_name": "Ann", "character_name": "Mara", "create_date": "2024-1-5@14h03m22s", "chat_metadata": {}}),
        json!({"name": "Mara", "is_user": false, "is_system": false, "send_date": "January 5, 2024 2:03pm", "mes": "Ahoy.",
            "swipe_id": 1, "swipes": ["Hey.", "Ahoy."], "extra": {}}),
        json!({"name": "Ann", "is_user": true, "send_date": 1_704_463_500_000_u64, "mes": "Where are we?"}),
        json!({"name": "Note", "is_user": false, "is_system": true, "mes": "x", "extra": {"type": "comment"}}),
    ];
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn cards() -> [(&'static str, Value); 4] {
    let v1 = json!({
        "name": "Mara", "description": "A captain.", "personality": "dry", "scenario": "At sea.",
        "first_mes": "Hello, {{user}}.", "mes_example": "<START>\n{{user}}: Hi\n{{char}}: Aye.",
    });
    let pygmalion = json!({
        "char_name": "Mara", "char_persona": "dry", "world_scenario": "At sea.", "char_greeting": "Hello.",
        "example_dialogue": "You: Hi\nMara: Aye.",
    });
    let entry = json!({
        "keys": ["sea", "/st(or|ea)m/i"], "secondary_keys": ["night"], "selective": true, "constant": false,
        "content": "@@depth 4\nIt is deep.", "enabled": true, "insertion_order": 10, "priority": 3, "case_sensitive": false,
        "use_regex": true, "position": "before_char", "id": 1, "name": "sea", "comment": "", "extensions": {"x": [1, 2.5, null]},
    });
    let mut data = v1.clone();
    let fields = json!({
        "creator_notes": "Be kind.", "system_prompt": "{{original}} Be short.", "post_history_instructions": "Stay dry.",
        "alternate_greetings": ["Aye.", "You again."], "tags": ["sea", "captain"], "creator": "Ann",
        "character_version": "1.1", "extensions": {"depth_prompt": {"prompt": "x", "depth": 4}},
        "character_book": {
            "name": "Sea", "description": "", "scan_depth": 4, "token_budget": 500, "recursive_scanning": true,
            "extensions": {}, "entries": [entry],
        },
    });
    merge(&mut data, &fields);
    let v2 = json!({"spec": "chara_card_v2", "spec_version": "2.0", "data": data.clone()});
    let newer = json!({
        "nickname": "Cap", "creator_notes_multilingual": {"de": "Nett."}, "source": ["https://example.org/mara"],
        "group_only_greetings": [], "creation_date": 1_700_000_000, "modification_date": 1_700_000_001,
        "assets": [
            {"type": "icon", "uri": "embeded://assets/icon.png", "name": "main", "ext": "png"},
            {"type": "emotion", "uri": "__asset:1", "name": "joy", "ext": "png"},
            {"type": "background", "uri": "data:image/png;base64,iVBORw0KGgo=", "name": "sea", "ext": "png"},
            {"type": "icon", "uri": "ccdefault:", "name": "other", "ext": "png"},
        ],
    });
    merge(&mut data, &newer);
    let v3 = json!({"spec": "chara_card_v3", "spec_version": "3.0", "data": data});
    [("v1", v1), ("pygmalion", pygmalion), ("v2", v2), ("v3", v3)]
}

fn merge(into: &mut Value, more: &Value) {
    for (key, value) in more.as_object().into_iter().flatten() {
        into[key] = value.clone();
    }
}

fn picture(card: &str, is_v3: bool) -> Vec<u8> {
    let mut file = [HEAD, &text("chara", card)].concat();
    if is_v3 {
        file.extend(text("ccv3", card));
        file.extend(text("chara-ext-asset_:1", "a picture"));
    }
    [&file, PIXELS, END].concat()
}

fn text(keyword: &str, text: &str) -> Vec<u8> {
    let content = [keyword.as_bytes(), &[0], STANDARD.encode(text).as_bytes()].concat();
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&length[..], b"tEXt", &content, &[0; 4]].concat()
}

fn archive(card: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let deflated = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    zip.start_file("card.json", deflated)?;
    zip.write_all(card.as_bytes())?;
    zip.start_file("assets/icon.png", stored)?;
    zip.write_all(&[HEAD, PIXELS, END].concat())?;
    Ok(zip.finish()?.into_inner())
}
