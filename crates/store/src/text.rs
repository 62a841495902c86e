//! Texts as every store keeps them. PostgreSQL has no NUL in its texts; so that data may move from one store to another, none
//! has. People's texts with a NUL are refused before they come here. What a model writes is kept, with U+FFFD in its place.

use crate::SendMessage;
use aim_domain::Character;
use std::borrow::Cow;

pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{FFFD}").into() } else { text.into() }
}

fn make_plain(text: &mut String) {
    if let Cow::Owned(plain) = plain(text) {
        *text = plain;
    }
}

pub(crate) fn plain_message(mut send: SendMessage) -> SendMessage {
    make_plain(&mut send.text);
    make_plain(&mut send.client_id);
    send
}

pub(crate) fn plain_character(mut character: Character) -> Character {
    let texts = [
        &mut character.name,
        &mut character.description,
        &mut character.personality,
        &mut character.scenario,
        &mut character.greeting,
        &mut character.example_dialogue,
        &mut character.system_prompt,
    ];
    texts.into_iter().chain(&mut character.tags).chain(&mut character.avatar_url).for_each(make_plain);
    character
}
