#![no_main]
//! A chat: whatever is read is written, and what is written is read again as the same.

use aim_cards::chat::{ChatLine, read, write_header, write_line};
use aim_domain::Timestamp;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(mut chat) = read(&mut &bytes[..]) else { return };
    let mut text = write_header("Ann", "Mara", Timestamp(0));
    for said in &mut chat.said {
        let at = *said.at.insert(said.at.unwrap_or_default());
        let swipes: Vec<&str> = said.swipes.iter().map(String::as_str).collect();
        let (by_user, selected) = (said.by_user, said.selected);
        text += &write_line(&ChatLine { name: "x", by_user, at, text: &said.text, swipes: &swipes, selected });
    }
    let again = read(&mut text.as_bytes()).expect("what is written is a chat");
    assert_eq!(again.said, chat.said);
});
