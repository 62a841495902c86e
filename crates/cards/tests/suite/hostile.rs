//! Files that want to take the server down, or are simply broken: each is refused with what is wrong with it.

use crate::forge::{archive, chunk, png, png_card, text_chunk};
use aim_cards::{MAX_FILE, Unfit, parse, read};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use std::io::{Read, Seek, SeekFrom, Write};

fn refused(bytes: &[u8]) -> Unfit {
    parse(bytes).map(|card| card.draft.name).unwrap_err()
}

fn in_png(text: &str) -> Vec<u8> {
    png(&[text_chunk("chara", text)], &[])
}

fn card() -> Vec<u8> {
    png_card("chara", &json!({"name": "Mara"}))
}

#[test]
fn what_is_no_card_is_told_apart() {
    assert_eq!(refused(b""), Unfit::NotACard);
    assert_eq!(refused(b"\xFF\xD8\xFF\xE0 a picture"), Unfit::NoCardInJpeg);
    assert_eq!(refused(b"RIFF\x10\0\0\0WEBPVP8 "), Unfit::NotACard);
    assert_eq!(refused(&png(&[], &[])), Unfit::NoCardInPng);
    assert_eq!(refused(&png(&[text_chunk("Comment", "chara")], &[])), Unfit::NoCardInPng);
    assert_eq!(refused(b"{}"), Unfit::NotACardsJson);
    assert_eq!(refused(b"[]"), Unfit::NotACardsJson);
    assert_eq!(refused(b"{\"name\": "), Unfit::NotJson { line: 1, column: 9 });
    assert_eq!(refused(b"{\"name\": \"  \"}"), Unfit::NoName);
    assert_eq!(refused(b"{\"spec\": \"chara_card_v2\", \"data\": []}"), Unfit::NoData);
    assert_eq!(refused(b"{\"name\": \"\xFF\"}"), Unfit::NotUtf8);
    assert_eq!(refused(&archive(&[("other.json", b"{}")])), Unfit::NoCardInArchive);
}

#[test]
fn a_payload_that_is_encrypted_or_no_base64_says_so() {
    assert_eq!(refused(&in_png("rcc||AAAA")), Unfit::Encrypted);
    assert_eq!(refused(&in_png(&STANDARD.encode("rcc||AAAA"))), Unfit::Encrypted);
    assert_eq!(refused(b"rcc||AAAA"), Unfit::Encrypted);
    assert_eq!(refused(&in_png("{\"name\": \"Mara\"}")), Unfit::NotBase64);
    assert_eq!(refused(&in_png(&STANDARD.encode("not json"))), Unfit::NotJson { line: 1, column: 2 });
    let mut text = STANDARD.encode("{\"name\": \"Mara\"}");
    text.insert(8, '\n');
    assert!(parse(&in_png(text.trim_end_matches('='))).is_ok(), "lines and missing padding do no harm");
}

#[test]
fn a_card_that_is_cut_off_anywhere_is_refused_and_never_panics() {
    for whole in [card(), archive(&[("card.json", br#"{"name":"Mara"}"#), ("a.png", &[7; 64])])] {
        assert!(parse(&whole).is_ok());
        for end in 0..whole.len() {
            assert!(parse(&whole[..end]).is_err(), "{end} of {}", whole.len());
        }
    }
}

#[test]
fn bytes_that_were_changed_never_panic() {
    let archive = archive(&[("card.json", br#"{"name":"Mara","assets":[]}"#)]);
    for whole in [card(), archive] {
        for at in 0..whole.len() {
            for value in [0x00, 0xFF, whole[at] ^ 0x01, whole[at] ^ 0x80] {
                let mut changed = whole.clone();
                changed[at] = value;
                let _ = parse(&changed);
            }
        }
    }
}

#[test]
fn a_damaged_checksum_is_told_of() {
    let mut bytes = card();
    let at = bytes.windows(4).position(|four| four == b"IDAT").unwrap() - 5;
    bytes[at] ^= 1;
    assert!(parse(&bytes).unwrap().warnings[0].contains("checksum"));
}

#[test]
fn a_hundred_thousand_levels_are_counted_and_not_climbed() {
    for open in ["[", "{\"a\":"] {
        let text = format!("{{\"name\": \"Mara\", \"deep\": {}", open.repeat(100_000));
        assert!(matches!(refused(text.as_bytes()), Unfit::TooDeep { .. }));
        assert!(matches!(refused(&in_png(&STANDARD.encode(&text))), Unfit::TooDeep { .. }));
        assert!(matches!(refused(&archive(&[("card.json", text.as_bytes())])), Unfit::TooDeep { .. }));
    }
}

#[test]
fn what_is_wide_or_long_is_refused() {
    let wide = format!("{{\"name\": \"Mara\", \"wide\": [{}0]}}", "0,".repeat(1_000_000));
    assert!(matches!(refused(wide.as_bytes()), Unfit::TooMany { .. }));
    let long = format!("{{\"name\": \"Mara\", \"long\": \"{}\"}}", "x".repeat(3 << 20));
    assert_eq!(refused(long.as_bytes()), Unfit::FieldsTooLarge);
    let longer = format!("{{\"name\": \"Mara\", \"long\": \"{}\"}}", "x".repeat(9 << 20));
    assert_eq!(refused(longer.as_bytes()), Unfit::TextTooLarge);
    assert_eq!(refused(&in_png(&STANDARD.encode(&longer))), Unfit::TextTooLarge);
}

#[test]
fn files_in_the_text_are_dropped_before_the_card_is_refused() {
    let asset = json!({"type": "emotion", "name": "happy", "ext": "png", "uri": format!("data:image/png;base64,{}", "A".repeat(3 << 20))});
    let card = json!({"spec": "chara_card_v3", "data": {"name": "Mara", "assets": [asset]}});
    let card = parse(card.to_string().as_bytes()).unwrap();
    assert!(card.is_too_large() && card.kept().len() < 1_000);
    assert_eq!(card.assets.len(), 1, "it is there to be taken as a picture");
}

#[test]
fn a_bomb_is_unfolded_no_further_than_a_card_may_be() {
    let zeros = vec![b' '; 64 << 20];
    let bomb = archive(&[("card.json", &zeros)]);
    assert!(bomb.len() < 1 << 20);
    assert_eq!(refused(&bomb), Unfit::Unfolds("card.json"));
    // One that lies: its directory says it is short.
    let mut lies = bomb;
    let directory = lies.windows(4).rposition(|four| four == b"PK\x01\x02").unwrap();
    lies[directory + 24..directory + 28].copy_from_slice(&10_u32.to_le_bytes());
    assert_eq!(refused(&lies), Unfit::Unfolds("card.json"));
}

#[test]
fn a_path_out_of_the_archive_is_refused() {
    for path in ["../card.json", "assets/../../x.png", "/etc/passwd", "..\\x.png", "C:\\x.png"] {
        // The writer under test is not ours and mends some of these names: they are put in behind its back.
        let mut bytes = archive(&[("card.json", br#"{"name":"Mara"}"#), (&"x".repeat(path.len()), b"x")]);
        let placeholder = "x".repeat(path.len()).into_bytes();
        while let Some(at) = bytes.windows(path.len()).rposition(|window| window == placeholder) {
            bytes[at..at + path.len()].copy_from_slice(path.as_bytes());
        }
        assert_eq!(refused(&bytes), Unfit::PathOutside, "{path}");
    }
}

#[test]
fn an_encrypted_archive_or_one_of_the_large_form_is_refused() {
    let mut bytes = archive(&[("card.json", br#"{"name":"Mara"}"#)]);
    let directory = bytes.windows(4).rposition(|four| four == b"PK\x01\x02").unwrap();
    bytes[directory + 8] |= 1;
    assert_eq!(refused(&bytes), Unfit::EncryptedArchive);
    let end = bytes.windows(4).rposition(|four| four == b"PK\x05\x06").unwrap();
    bytes[end + 8..end + 12].copy_from_slice(&[0xFF; 4]);
    assert!(matches!(refused(&bytes), Unfit::Packed(_)));
    bytes[end + 8..end + 12].copy_from_slice(&[0xFE; 4]);
    assert!(matches!(refused(&bytes), Unfit::TooManyFiles { .. }));
}

/// A file that ends where it says, and is never read but for its ends: as large as one likes.
struct Vast {
    start: Vec<u8>,
    length: u64,
    at: u64,
    read: u64,
}

impl Read for Vast {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = usize::try_from(self.length.saturating_sub(self.at)).unwrap_or(usize::MAX).min(buffer.len());
        for (n, byte) in buffer[..left].iter_mut().enumerate() {
            *byte = usize::try_from(self.at).ok().and_then(|at| self.start.get(at + n)).copied().unwrap_or(0);
        }
        self.at += left as u64;
        self.read += left as u64;
        Ok(left)
    }
}

impl Seek for Vast {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.at = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::End(by) => self.length.saturating_add_signed(by),
            SeekFrom::Current(by) => self.at.saturating_add_signed(by),
        };
        Ok(self.at)
    }
}

#[test]
fn pixels_are_skipped_unread_and_a_huge_file_is_not_opened() {
    let pixels: u32 = 30 << 20;
    let mut start = b"\x89PNG\r\n\x1a\n".to_vec();
    start.extend(text_chunk("chara", &STANDARD.encode(r#"{"name":"Mara"}"#)));
    start.write_all(&[&pixels.to_be_bytes(), b"IDAT".as_slice()].concat()).unwrap();
    let mut vast = Vast { length: start.len() as u64 + u64::from(pixels), start, at: 0, read: 0 };
    assert_eq!(read(&mut vast).map(|card| card.draft.name), Err(Unfit::CutOff("picture")));
    assert!(vast.read < 100_000, "{} bytes were read", vast.read);
    (vast.length, vast.read) = (MAX_FILE + 1, 0);
    assert_eq!(read(&mut vast).map(|card| card.draft.name), Err(Unfit::FileTooLarge));
    assert_eq!(vast.read, 0);
}

#[test]
fn a_chunk_that_promises_four_gigabytes_takes_none() {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    bytes.extend([0xFF; 4]);
    bytes.extend(b"tEXtchara\0AAAA");
    assert_eq!(refused(&bytes), Unfit::CutOff("picture"));
    let many: Vec<Vec<u8>> = (0..100_001).map(|_| chunk(b"tIME", &[])).collect();
    assert_eq!(refused(&png(&many, &[])), Unfit::Damaged("picture"));
}
