#![no_main]
//! What comes after a PNG's signature: read, and where it can be read written with another card.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let png = [b"\x89PNG\r\n\x1a\n", bytes].concat();
    if let Ok(card) = aim_cards::parse(&png) {
        let export = aim_cards::export(Some(&card.kept()), &aim_cards_fuzz::character(&card));
        let written = aim_cards::into_png(&png, &export, &[]).expect("what is read can be written");
        assert!(aim_cards::parse(&written).is_ok());
    }
});
