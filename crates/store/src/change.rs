//! The change feed: what became stale, for every server that may have it cached.

use aim_domain::{CharacterId, ConversationId, DraftKey, SessionId, TokenHash, UploadId, UserId};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Change {
    /// A profile, tier or role; `username` is the one that may be cached.
    User {
        id: UserId,
        username: String,
    },
    /// A session was revoked, or is over.
    Session {
        token: TokenHash,
        id: SessionId,
        user: UserId,
    },
    Character {
        id: CharacterId,
    },
    /// The pictures of a character.
    Gallery {
        id: CharacterId,
    },
    /// Members or title changed, or it is gone.
    Conversation {
        id: ConversationId,
    },
    /// Somebody came into a conversation or left it, or it is gone. For who tells them; nothing of it is cached.
    Member {
        conversation: ConversationId,
        user: UserId,
    },
    /// What waited for its reply was cancelled by an operator, who may be at a terminal and reach no room: whoever is in one looks.
    Withdrawn {
        conversation: ConversationId,
    },
    /// The reply under way is to stop, if it is still the one of the claim with this fence.
    Cancel {
        conversation: ConversationId,
        fence: u64,
    },
    /// What is known of an upload of this user's, or it is gone.
    Upload {
        id: UploadId,
        user: UserId,
    },
    /// A user's settings.
    Preferences {
        user: UserId,
    },
    /// How far a user's form has come, or it is gone.
    Draft {
        user: UserId,
        key: DraftKey,
    },
}
