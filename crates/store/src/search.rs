//! Full text: what people find again of what they and their characters said, and characters.
//!
//! A store finds what holds all words ([`crate::words`]), newest or most popular first, and a bounded number of them; what fits
//! best of these is decided here, the same for every store.

use crate::Result;
use crate::conversation::CharacterSummary;
use crate::words::Sought;
use aim_domain::{Character, ConversationId, Message, UserId};
use async_trait::async_trait;
use serde::Serialize;
use utoipa::ToSchema;

/// Conversations of a person that are searched, the last changed first.
pub(crate) const CONVERSATIONS: u32 = 500;
/// What is found and put in order, of a conversation and of all.
pub(crate) const CANDIDATES_EACH: usize = 50;
pub(crate) const CANDIDATES: usize = 300;

#[derive(Clone, Debug)]
pub struct SearchQuery {
    /// Finds what he may see: messages of conversations that he is in, public characters and his own.
    pub viewer: UserId,
    pub sought: Sought,
    /// Only messages of this one.
    pub conversation: Option<ConversationId>,
    pub limit: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FoundMessage {
    pub message: Message,
    /// Of its conversation.
    pub title: String,
    pub character: CharacterSummary,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FoundCharacter {
    pub character: Character,
    /// Who made it: the one whom its card names, and the username of its owner.
    pub creators: Vec<String>,
}

/// A tag, and how many public characters have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TagCount {
    /// In lower case.
    pub tag: String,
    pub count: u64,
}

#[async_trait]
pub trait Search: Send + Sync + 'static {
    /// What fits best first, then the newest.
    async fn search_messages(&self, query: &SearchQuery) -> Result<Vec<FoundMessage>>;
    /// Those whose names fit first, then those with the most conversations.
    async fn search_characters(&self, query: &SearchQuery) -> Result<Vec<FoundCharacter>>;
    /// The most used tags of characters that `viewer` finds in lists: public ones, and their own private ones.
    async fn character_tags(&self, viewer: &UserId, limit: u32) -> Result<Vec<TagCount>>;
    /// Takes the words of what was deleted out of the index, a portion at a time; true while there is more to do.
    async fn tidy_search(&self) -> Result<bool>;
}

pub(crate) fn best_messages(mut found: Vec<FoundMessage>, query: &SearchQuery) -> Vec<FoundMessage> {
    found.sort_by_cached_key(|found| {
        let newest = std::cmp::Reverse((found.message.created_at, found.message.seq));
        (std::cmp::Reverse(query.sought.score(&found.message.text)), newest)
    });
    found.truncate(query.limit as usize);
    found
}

/// `found` is in order of popularity.
pub(crate) fn best_characters(mut found: Vec<FoundCharacter>, query: &SearchQuery) -> Vec<FoundCharacter> {
    let score = |FoundCharacter { character, creators }: &FoundCharacter| {
        let rest = format!("{} {} {}", character.tags.join(" "), character.description, creators.join(" "));
        4 * query.sought.score(&character.name) + query.sought.score(&rest)
    };
    found.sort_by_cached_key(|found| std::cmp::Reverse(score(found)));
    found.truncate(query.limit as usize);
    found
}
