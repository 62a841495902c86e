#![no_main]
//! What comes after an archive's signature.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = aim_cards::parse(&[b"PK\x03\x04", bytes].concat());
});
