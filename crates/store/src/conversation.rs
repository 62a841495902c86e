//! Commands and queries of conversations and their messages.

use aim_domain::{CharacterId, Conversation, ConversationId, Kind, Media, Message, MessageId, UsageCount, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Clone, Debug)]
pub struct OpenConversation {
    pub id: ConversationId,
    pub owner: UserId,
    pub character: CharacterId,
    pub title: String,
    /// Message 1, with its macros replaced; none for a character without a greeting.
    pub greeting: Option<(MessageId, String)>,
    /// A new one, which is the pair's from now on, whether or not there is one already.
    pub anew: bool,
}

/// The character of a conversation, as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CharacterSummary {
    pub id: CharacterId,
    pub name: String,
    pub avatar_url: Option<String>,
}

/// A conversation with what a list shows of it, so that a list takes one read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConversationItem {
    #[serde(flatten)]
    pub conversation: Conversation,
    pub character: CharacterSummary,
    pub last_message: Option<Message>,
    /// Messages of others that the asker has not read, counted up to 100.
    pub unread: u64,
}

/// A conversation without what is known of its character: what most who ask need, in the cheapest read.
#[derive(Clone, Debug, PartialEq)]
pub struct ConversationHead {
    pub conversation: Conversation,
    pub last_message: Option<Message>,
    /// As of a [`ConversationItem`].
    pub unread: u64,
    /// It is the one that opening the pair finds.
    pub is_main: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ConversationPage {
    pub items: Vec<ConversationItem>,
    pub next_cursor: Option<String>,
}

/// Without `before` and `after` the newest page.
#[derive(Clone, Copy, Debug, Default)]
pub struct MessageQuery {
    /// Only those with a lower `seq`: the last `limit` of them.
    pub before: Option<u64>,
    /// Only those with a higher `seq`: the first `limit` of them.
    pub after: Option<u64>,
    pub limit: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct MessagePage {
    /// Ascending by `seq`.
    pub items: Vec<Message>,
    /// Whether there are more in the direction asked for.
    pub has_more: bool,
}

#[derive(Clone, Debug)]
pub struct SendMessage {
    pub conversation: ConversationId,
    pub sender: UserId,
    pub message: MessageId,
    /// 1 to 64 characters.
    pub client_id: String,
    pub kind: Kind,
    pub text: String,
    pub media: Option<Media>,
    /// What the sender may send of this kind in 24 hours; none without end.
    pub usage_limit: Option<u64>,
    /// The most messages that may wait in the conversation.
    pub max_due: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Sent {
    /// Stored; `due` messages of the conversation now await a reply, this one included.
    Accepted {
        message: Message,
        usage: UsageCount,
        due: u64,
        character: CharacterId,
    },
    /// The same `client_id` was sent before; nothing was counted.
    Repeated {
        message: Message,
        usage: UsageCount,
    },
    UsageFull {
        usage: UsageCount,
    },
    /// `max_due` messages wait already.
    LineFull,
    /// No such conversation, or the sender is not in it.
    NotFound,
}
