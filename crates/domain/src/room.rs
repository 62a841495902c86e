//! Who is in a conversation, and the links by which others come in.

use crate::account::Profile;
use crate::id::{InviteId, UserId};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// People in one conversation at the most, its owner included.
pub const MAX_MEMBERS: u64 = 50;
/// Links of one conversation that may be open at a time.
pub const MAX_INVITES: u64 = 20;

/// What somebody may do in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RoomRole {
    /// Names it, invites, takes people out, deletes it, and decides on every reply.
    Owner,
    /// Reads and writes, decides on the replies to what they said themselves, and leaves.
    Guest,
}

/// A person as others in a conversation see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PersonSummary {
    pub id: UserId,
    pub username: String,
    pub display_name: String,
    pub avatar_url: Option<String>,
}

impl From<&Profile> for PersonSummary {
    fn from(profile: &Profile) -> Self {
        let Profile { id, username, display_name, avatar_url, .. } = profile.clone();
        Self { id, username, display_name, avatar_url }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Participant {
    pub user: PersonSummary,
    pub role: RoomRole,
    pub joined_at: Timestamp,
}

/// A link that lets people in; its token is not part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Invite {
    pub id: InviteId,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    /// People who came in by it; each counts once.
    pub uses: u64,
    /// Null without end.
    pub max_uses: Option<u64>,
}
