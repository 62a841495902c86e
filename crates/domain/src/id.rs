//! Ids as types of their own, so that one cannot be passed for another. An id matches `[A-Za-z0-9_-]{1,128}` and is
//! none of the words that key names use.

use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;

/// Words that stand beside ids in key names, and so may be no id themselves.
pub const RESERVED: [&str; 14] = [
    "profile",
    "username",
    "gallery",
    "prompt",
    "context",
    "firebase",
    "preferences",
    "draft",
    "upload",
    "usage",
    "usages",
    "tokens",
    // Of the paths beside a character's.
    "tags",
    "import",
];

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    #[error("must be 1 to 128 characters of A-Z, a-z, 0-9, _ and -")]
    Malformed,
    #[error("is a reserved word")]
    Reserved,
}

fn check(text: &str) -> Result<(), IdError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if text.is_empty() || text.len() > 128 || !text.bytes().all(allowed) {
        return Err(IdError::Malformed);
    }
    if RESERVED.contains(&text) { Err(IdError::Reserved) } else { Ok(()) }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => { $(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            pub fn parse(text: &str) -> Result<Self, IdError> {
                check(text)?;
                Ok(Self(text.into()))
            }

            /// An id that was checked when it was stored.
            pub fn trusted(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// Whether it has the form of those that [`crate::Ambient::id`] makes; others are brought along.
            pub fn is_made_here(&self) -> bool {
                uuid::Uuid::try_parse(&self.0).is_ok_and(|id| id.get_version_num() == 7)
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<uuid::Uuid> for $name {
            fn from(id: uuid::Uuid) -> Self {
                let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
                Self((&*id.as_hyphenated().encode_lower(&mut text)).into())
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                use utoipa::openapi::schema::{ObjectBuilder, Type};
                ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[A-Za-z0-9_-]{1,128}$")).into()
            }
        }

        impl utoipa::ToSchema for $name {}
    )+ };
}

ids! {
    UserId,
    CharacterId,
    ConversationId,
    MessageId,
    SessionId,
    UploadId,
    MailId,
    /// Of a link into a conversation; the link itself carries a token.
    InviteId,
    PersonaId,
    /// A report that somebody made of something.
    CaseId,
    /// Something that an operator did.
    DeedId,
    /// Which form of a user's a draft is of; the client names it.
    DraftKey,
    /// One run of one server process; a new one at every start.
    Incarnation,
}

/// SHA-256 of a session's token, in hex. The token itself is stored nowhere.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenHash(Arc<str>);

impl TokenHash {
    pub fn of(token: &str) -> Self {
        Self(hex(&Sha256::digest(token.as_bytes())).into())
    }

    /// A hash as it was stored.
    pub fn trusted(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", self.0.get(..8).unwrap_or_default())
    }
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_checked_when_they_come_from_outside() {
        assert!(UserId::parse("mara_7-X").is_ok());
        assert_eq!(UserId::parse(""), Err(IdError::Malformed));
        assert_eq!(UserId::parse("a:b"), Err(IdError::Malformed));
        assert_eq!(UserId::parse(&"a".repeat(129)), Err(IdError::Malformed));
        assert_eq!(CharacterId::parse("gallery"), Err(IdError::Reserved));
        assert!(serde_json::from_str::<UserId>("\"a b\"").is_err());
    }

    #[test]
    fn a_token_is_known_by_its_hash_alone() {
        let hash = TokenHash::of("secret");
        assert_eq!(hash.as_str().len(), 64);
        assert!(!format!("{hash:?}").contains("secret"));
    }
}
