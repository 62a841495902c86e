//! What the targets share.

use aim_cards::Card;
use aim_domain::{Character, CharacterId, Timestamp};

/// The character that a server makes of a card; one whose fields are too long stays as long as it is.
pub fn character(card: &Card) -> Character {
    let draft = card.draft.clone().checked().unwrap_or_else(|_| card.draft.clone());
    draft.into_character(CharacterId::trusted("fuzzed"), None, Timestamp(0))
}
