//! What the targets share.

use aim_cards::Card;
use aim_domain::{Character, CharacterId, Timestamp};

/// The character that a server makes of a card; one whose fields are too long stays as long as it is.
pub fn character(card: &Card) -> Character {
    let mut draft = card.draft.clone();
    draft = draft.clone().checked().unwrap_or(draft);
    let details = draft.take_details();
    Character {
        id: CharacterId::trusted("fuzzed"),
        name: draft.name,
        description: draft.description,
        personality: draft.personality,
        scenario: draft.scenario,
        greeting: draft.greeting,
        example_dialogue: draft.example_dialogue,
        system_prompt: draft.system_prompt,
        tags: draft.tags,
        visibility: draft.visibility,
        avatar_url: None,
        owner_id: None,
        revision: 1,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
        details,
    }
}
