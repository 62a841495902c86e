//! What servers tell clients: the events of API.md part 4. A `RoomEvent` goes to everyone in a conversation, a
//! `UserEvent` to all sockets of one user.

use crate::conversation::{Conversation, ConversationState};
use crate::error::{Code, Refusal};
use crate::id::{CharacterId, ConversationId, DraftKey, MessageId, UserId};
use crate::message::Message;
use crate::time::Timestamp;
use crate::upload::UploadView;
use crate::usage::Usage;
use serde::{Deserialize, Serialize};

/// An error as a socket is told of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventError {
    pub code: Code,
    pub detail: String,
    /// Seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

impl From<&Refusal> for EventError {
    fn from(refusal: &Refusal) -> Self {
        Self {
            code: refusal.code,
            detail: refusal.detail.clone(),
            retry_after: refusal.retry_after.map(|wait| wait.as_secs_f64().ceil() as u64),
        }
    }
}

/// A reply under way, as far as it has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Partial {
    pub message_id: MessageId,
    pub in_reply_to: MessageId,
    pub text: String,
}

/// Serialises as `{"event": NAME, "payload": {…}}` between servers; a client gets the two apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", content = "payload", rename_all_fields = "camelCase")]
pub enum RoomEvent {
    #[serde(rename = "message:new")]
    MessageNew { message: Message },
    #[serde(rename = "message:updated")]
    MessageUpdated { message: Message },
    /// The last person's message and all after it are gone.
    #[serde(rename = "message:removed")]
    MessageRemoved {
        conversation_id: ConversationId,
        from_seq: u64,
        /// How often this happened here, this time included.
        removals: u64,
        message_ids: Vec<MessageId>,
    },
    #[serde(rename = "reply:start")]
    ReplyStart { conversation_id: ConversationId, message_id: MessageId, in_reply_to: MessageId },
    #[serde(rename = "reply:delta")]
    ReplyDelta {
        conversation_id: ConversationId,
        message_id: MessageId,
        /// UTF-16 code units from the reply's start.
        offset: u64,
        text: String,
    },
    #[serde(rename = "reply:error")]
    ReplyError { conversation_id: ConversationId, message_id: MessageId, in_reply_to: MessageId, error: EventError },
    #[serde(rename = "conversation:resync")]
    Resync { conversation_id: ConversationId },
    #[serde(rename = "typing")]
    Typing {
        conversation_id: ConversationId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user_id: Option<UserId>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        character_id: Option<CharacterId>,
        typing: bool,
    },
    #[serde(rename = "conversation:state")]
    State {
        conversation_id: ConversationId,
        #[serde(flatten)]
        state: ConversationState,
    },
    /// Its name or its people changed.
    #[serde(rename = "conversation:updated")]
    Updated { conversation: Conversation },
}

impl RoomEvent {
    /// The event's name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Self::MessageNew { .. } => "message:new",
            Self::MessageUpdated { .. } => "message:updated",
            Self::MessageRemoved { .. } => "message:removed",
            Self::ReplyStart { .. } => "reply:start",
            Self::ReplyDelta { .. } => "reply:delta",
            Self::ReplyError { .. } => "reply:error",
            Self::Resync { .. } => "conversation:resync",
            Self::Typing { .. } => "typing",
            Self::State { .. } => "conversation:state",
            Self::Updated { .. } => "conversation:updated",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", content = "payload", rename_all_fields = "camelCase")]
pub enum UserEvent {
    #[serde(rename = "usage:updated")]
    Usage {
        character_id: CharacterId,
        #[serde(flatten)]
        usage: Usage,
    },
    #[serde(rename = "upload:updated")]
    Upload { upload: UploadView },
    /// This user is in a conversation now.
    #[serde(rename = "conversation:added")]
    Added { conversation_id: ConversationId },
    /// This user is no longer in a conversation, or it is gone.
    #[serde(rename = "conversation:removed")]
    Removed { conversation_id: ConversationId },
    /// Something was said in a conversation of the user's, or what was said last is another now; nothing, where it is
    /// empty. Sockets in its room hear of what was said there.
    #[serde(rename = "conversation:activity")]
    Activity { conversation_id: ConversationId, last_message: Option<Message>, last_seq: u64 },
    /// The user read on, in another place.
    #[serde(rename = "conversation:read")]
    Read {
        conversation_id: ConversationId,
        seq: u64,
        /// Messages of others after it, counted up to 100.
        unread: u64,
    },
    /// The pictures of a character of the user's, or of one in whose room the socket is, are others now.
    #[serde(rename = "gallery:updated")]
    Gallery { character_id: CharacterId },
    /// A form of the user's was saved; none: it is gone.
    #[serde(rename = "draft:updated")]
    Draft { key: DraftKey, saved_at: Option<Timestamp> },
    /// The user's settings are these now; a greater `version` was saved later.
    #[serde(rename = "preferences:updated")]
    Preferences { version: i64, preferences: serde_json::Map<String, serde_json::Value> },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_reads_as_the_contract_says() -> Result<(), Box<dyn std::error::Error>> {
        let event = RoomEvent::State {
            conversation_id: ConversationId::parse("c1")?,
            state: ConversationState { pending: 2, position: Some(1), ..Default::default() },
        };
        let expected = serde_json::json!({
            "event": "conversation:state",
            "payload": { "conversationId": "c1", "state": "idle", "pending": 2, "position": 1 },
        });
        assert_eq!(serde_json::to_value(&event)?, expected);
        assert_eq!(serde_json::from_value::<RoomEvent>(expected)?, event);
        Ok(())
    }
}
