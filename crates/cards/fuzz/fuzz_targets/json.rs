#![no_main]
//! The text of a card: whatever is read is exported, and the export is read again as the same.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(card) = aim_cards::parse(&[b"{", bytes].concat()) else { return };
    if card.draft.clone().checked().is_err() {
        return;
    }
    let export = aim_cards::export(Some(&card.kept()), &aim_cards_fuzz::character(&card)).json();
    let again = aim_cards::parse(export.as_bytes()).expect("an export is a card");
    assert_eq!(again.draft, card.draft);
});
