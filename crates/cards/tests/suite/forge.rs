//! Files that hold cards, made by other writers than the ones under test where there are any.

use aim_cards::Card;
use aim_domain::{Character, CharacterDraft, CharacterId, Timestamp};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Crc;
use serde_json::Value;
use std::io::Write;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

pub fn chunk(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let mut crc = Crc::new();
    crc.update(kind);
    crc.update(content);
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&length[..], kind, content, &crc.sum().to_be_bytes()].concat()
}

pub fn text_chunk(keyword: &str, text: &str) -> Vec<u8> {
    chunk(b"tEXt", &[keyword.as_bytes(), &[0][..], text.as_bytes()].concat())
}

/// A PNG of one grey pixel, with these chunks before its pixels and those after.
pub fn png(before: &[Vec<u8>], after: &[Vec<u8>]) -> Vec<u8> {
    let mut pixels = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    pixels.write_all(&[0, 128]).unwrap();
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    out.extend(chunk(b"IHDR", &[0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0]));
    out.extend(before.concat());
    out.extend(chunk(b"IDAT", &pixels.finish().unwrap()));
    out.extend(after.concat());
    out.extend(chunk(b"IEND", &[]));
    out
}

pub fn png_card(keyword: &str, card: &Value) -> Vec<u8> {
    png(&[text_chunk(keyword, &STANDARD.encode(card.to_string()))], &[])
}

pub fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        let method = if name.ends_with(".json") { CompressionMethod::Deflated } else { CompressionMethod::Stored };
        zip.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The character that a server makes of a card.
pub fn character(card: &Card) -> Character {
    character_of(card.draft.clone())
}

pub fn character_of(draft: CharacterDraft) -> Character {
    let made =
        draft.checked().unwrap().into_character(CharacterId::trusted("mara"), None, Timestamp(1_700_000_000_000));
    Character { avatar_url: None, updated_at: Timestamp(1_700_000_100_000), ..made }
}
