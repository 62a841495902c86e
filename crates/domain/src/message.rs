//! A message of a conversation, a person's or the character's.

use crate::account::words;
use crate::id::{ConversationId, MessageId, UploadId};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Most characters (Unicode scalar values) of a text; API.md part 2, caps.
pub const MAX_TEXT: usize = 8_000;

/// Who wrote a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Author {
    User,
    Character,
}

words!(Author { "user" => Author::User, "character" => Author::Character });

/// What a message is, and under which heading its sending is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    #[default]
    Text,
    Audio,
    Image,
}

words!(Kind { "text" => Kind::Text, "audio" => Kind::Audio, "image" => Kind::Image });

impl Kind {
    pub const ALL: [Self; 3] = [Self::Text, Self::Audio, Self::Image];
}

/// Where a user's message stands with its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReplyState {
    Due,
    Done,
    Failed,
    Cancelled,
}

words!(ReplyState {
    "due" => ReplyState::Due,
    "done" => ReplyState::Done,
    "failed" => ReplyState::Failed,
    "cancelled" => ReplyState::Cancelled,
});

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Media {
    pub upload_id: UploadId,
    /// Where a picture for a screen, or the audio, is served; `/media/{uploadId}/thumb` and `…/full` are a picture's others.
    pub url: String,
    pub mime_type: String,
    /// Pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// <https://blurha.sh>: what to show before the picture is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blur_hash: Option<String>,
    /// Milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length_ms: Option<u64>,
    /// How loud it is from its beginning to its end, 0 to 255 each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<u32>>)]
    pub waveform: Option<Vec<u8>>,
    /// What is said in it, as far as it was understood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript: Option<String>,
}

/// How many answers a reply has, and which is shown; counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Variants {
    pub count: u32,
    pub selected: u32,
}

/// What the analysis says of a reply; never its text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Personality {
    /// One word: `joy`, `sadness`, `anger`, `fear`, `surprise`, `affection`, `curiosity` or `neutral`.
    pub mood: String,
    /// The picture of the character to show: a mood as a face, such as `smile`.
    pub expression: String,
    /// How far the reply keeps to the character's own style, 0 to 1.
    pub adherence: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    pub id: MessageId,
    pub conversation_id: ConversationId,
    /// 1, 2, 3 … in its conversation, without a gap.
    pub seq: u64,
    pub role: Author,
    /// The user's id, or the character's.
    pub sender_id: String,
    #[serde(rename = "type")]
    pub kind: Kind,
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<Media>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_reply_to: Option<MessageId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    pub created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_state: Option<ReplyState>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variants: Option<Variants>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub personality: Option<Personality>,
}

/// The length of a text in UTF-16 code units, the unit of `offset`.
pub fn utf16_len(text: &str) -> u64 {
    text.chars().map(|c| c.len_utf16() as u64).sum()
}
