#![no_main]
//! What comes after an archive's signature, and the pictures in it.

use std::io::Cursor;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let file = [b"PK\x03\x04", bytes].concat();
    if let Ok(card) = aim_cards::parse(&file) {
        for asset in &card.assets {
            let _ = asset.read(&mut Cursor::new(&file), 1 << 20);
        }
    }
});
