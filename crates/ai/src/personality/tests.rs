//! Clear cases of mood and style.

#![allow(clippy::unwrap_used, clippy::panic)]

use super::{analyse, reply_hash};
use aim_domain::{Character, CharacterDetails, CharacterId, Timestamp, Visibility};

fn character(example_dialogue: &str) -> Character {
    Character {
        id: CharacterId::trusted("mara"),
        name: "Mara".into(),
        description: "A lighthouse keeper".into(),
        personality: "Calm, dry, patient".into(),
        scenario: String::new(),
        greeting: String::new(),
        example_dialogue: example_dialogue.into(),
        system_prompt: String::new(),
        tags: Vec::new(),
        visibility: Visibility::Public,
        avatar_url: None,
        owner_id: None,
        revision: 1,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
        listing: aim_domain::Listing::default(),
        details: CharacterDetails::default(),
    }
}

#[test]
fn clear_moods_are_told() {
    for (reply, mood, expression) in [
        ("*laughs* What a wonderful day, I am so happy!", "joy", "smile"),
        ("I miss her. *sighs, tears in her eyes* It is so sad.", "sadness", "frown"),
        ("How dare you! I am FURIOUS. *growls*", "anger", "glare"),
        ("Stay close... I'm afraid. Something dreadful is out there, and I tremble.", "fear", "worry"),
        ("*gasps* Wow, I did not expect that! I'm astonished.", "surprise", "gasp"),
        ("Come here, my dearest. *hugs you gently*", "affection", "warm"),
        ("How curious! Why is it blue? What lies beneath? Let us explore.", "curiosity", "wonder"),
        ("The boat leaves at nine. Bring a coat.", "neutral", "calm"),
        ("", "neutral", "calm"),
        ("はい 😊", "joy", "smile"),
    ] {
        let told = analyse(&character(""), reply);
        assert_eq!((told.mood.as_str(), told.expression.as_str()), (mood, expression), "of {reply:?}");
    }
}

#[test]
fn a_feeling_that_is_denied_is_not_felt() {
    assert_ne!(analyse(&character(""), "I am not happy about it.").mood, "joy");
    assert_eq!(analyse(&character(""), "I'm not afraid.").mood, "neutral");
    assert_eq!(analyse(&character(""), "I can't ever be happy. I don't enjoy a thing.").mood, "sadness");
}

const CALM: &str = "<START>\n{{user}}: HELLO!!!\n{{char}}: The tide comes in. The lamp turns. I keep the watch, as my father \
                    did.\n{{user}}: wow\n{{char}}: It is quiet work. The gulls complain. I do not.";

#[test]
fn the_characters_own_voice_adheres_more_than_a_strangers() {
    let mara = character(CALM);
    let own = analyse(&mara, "The lamp is lit. The gulls are asleep. I keep watch over quiet water.").adherence;
    let stranger =
        analyse(&mara, "OMG hiiii!!! *jumps around* it's so so awesome, can't wait!!! 😂😂 *spins* let's gooo!!!")
            .adherence;
    assert!(own > 0.75, "{own}");
    assert!(stranger < 0.4, "{stranger}");
    assert!((0.0..=1.0).contains(&own) && (0.0..=1.0).contains(&stranger));
}

#[test]
fn stepping_out_of_character_adheres_little() {
    let told =
        analyse(&character(CALM), "As an AI language model, I keep the lamp. The tide comes in. The gulls complain.");
    assert!(told.adherence <= 0.3, "{}", told.adherence);
}

#[test]
fn without_examples_nothing_is_said_for_or_against() {
    assert_eq!(analyse(&character(""), "The boat leaves at nine.").adherence, 0.5);
}

#[test]
fn the_hash_is_of_the_revision_and_the_reply() {
    let hash = reply_hash(1, "Hello");
    assert_eq!((hash.len(), hash.as_str()), (64, reply_hash(1, "Hello").as_str()));
    assert_ne!(hash, reply_hash(2, "Hello"));
    assert_ne!(hash, reply_hash(1, "Hello "));
}

#[test]
fn the_result_holds_no_text_of_the_reply() {
    let told = analyse(&character(""), "canary-4711 is happy, truly happy");
    assert!(!serde_json::to_string(&told).unwrap().contains("canary"));
}
