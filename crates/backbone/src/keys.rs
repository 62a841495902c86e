//! Every key name of the platform, as API.md part 1 fixes them, without the prefix. Nobody else formats a key.

use crate::cache::{Cached, Family, Key};
use aim_domain::{CharacterId, ConversationId, UserId, Username};

macro_rules! keys {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),+) -> $family:ident, $format:literal;)+) => { $(
        $(#[$doc])*
        pub fn $name<T: Cached>($($arg: $type),+) -> Key<T> {
            Key::new(Family::$family, format!($format))
        }
    )+ };
}

keys! {
    user_profile(user: &UserId) -> UserProfile, "user:profile:{user}";
    username(username: &Username) -> Username, "user:username:{username}";
    character(id: &CharacterId) -> Character, "character:{id}";
    character_prompt(id: &CharacterId) -> CharacterPrompt, "character:prompt:{id}";
    conversation(user: &UserId, character: &CharacterId) -> Conversation, "conversation:{user}:{character}";
    context(conversation: &ConversationId) -> Context, "conversation:context:{conversation}";
    /// `hash` is `aim_ai::personality::reply_hash`.
    personality(character: &CharacterId, hash: &str) -> Personality, "personality:{character}:{hash}";
}
