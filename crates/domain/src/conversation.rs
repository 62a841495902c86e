//! A conversation between one or more people and one character.

use crate::id::{CharacterId, ConversationId, UserId};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Conversation {
    pub id: ConversationId,
    /// Who began it.
    pub owner_id: UserId,
    pub character_id: CharacterId,
    pub title: String,
    /// Everyone who may read and write here, the owner included.
    pub member_ids: Vec<UserId>,
    pub last_seq: u64,
    /// How often its last exchange was removed: `lastSeq` fell then.
    pub removals: u64,
    /// Where it was branched off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch_of: Option<BranchPoint>,
    /// The last message that was said elsewhere and taken in: no model answers it, or what came before it, anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported_seq: Option<u64>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Of one that was deleted, and can be had back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
}

/// The last message that two conversations have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BranchPoint {
    /// It may be gone by now.
    pub conversation_id: ConversationId,
    pub seq: u64,
}

/// Whether a conversation is being answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    #[default]
    Idle,
    /// A reply is under way.
    Processing,
    /// It waits, for its own reply under way or for its character's.
    Queued,
}

/// Where a conversation stands in its character's line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConversationState {
    pub state: Phase,
    /// Messages that wait, the one being answered apart.
    pub pending: u64,
    /// Replies before this conversation's next one in the character's line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
}
