//! Every key name of the platform, as API.md part 1 fixes them, Nobody else formats a key. Cached values
//! are named without the prefix, which their backend puts before it.

use crate::cache::{Cached, Family, Key};
use crate::link::Client;
use aim_domain::{CharacterId, ConversationId, Rule, TokenHash, UserId, Username};
use std::borrow::Cow;
use std::sync::Arc;

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

/// The names in Redis of what is no cached value: the prefix, then what API.md part 1 says. In a Cluster the keys that one
/// script touches carry a hash tag around the value that they share.
#[derive(Clone)]
pub(crate) struct Names {
    prefix: Arc<str>,
    in_cluster: bool,
}

impl Names {
    pub fn new(prefix: &str, in_cluster: bool) -> Self {
        Self { prefix: prefix.into(), in_cluster }
    }

    pub fn of(client: &Client) -> Self {
        Self::new(client.prefix(), client.is_cluster())
    }

    /// A cached value's, by its key's name.
    pub fn cached(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    pub fn rate_limit(&self, rule: Rule, subject: &str) -> String {
        format!("{}ratelimit:{}:{}", self.prefix, rule.as_str(), self.tagged(subject))
    }

    pub fn usage(&self, user: &UserId, character: &CharacterId) -> String {
        format!("{}user:usage:{}:{character}", self.prefix, self.tagged(user.as_str()))
    }

    pub fn usages(&self, user: &UserId) -> String {
        format!("{}user:usages:{}", self.prefix, self.tagged(user.as_str()))
    }

    pub fn session(&self, token: &TokenHash) -> String {
        format!("{}session:{}", self.prefix, self.tagged(token.as_str()))
    }

    /// The hashes of a user's sessions. A hash holds no colon, so this is no session's name.
    pub fn user_sessions(&self, user: &UserId) -> String {
        format!("{}session:user:{user}", self.prefix)
    }

    /// `part` of one character's turn-taking.
    pub fn turn(&self, character: &CharacterId, part: &str) -> String {
        format!("{}turn:{}:{part}", self.prefix, self.tagged(character.as_str()))
    }

    fn tagged<'a>(&self, value: &'a str) -> Cow<'a, str> {
        if self.in_cluster { Cow::Owned(format!("{{{value}}}")) } else { Cow::Borrowed(value) }
    }
}
