//! People: accounts, what others see of them, and the sessions they are signed in with.

use crate::id::{SessionId, TokenHash, UserId};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use utoipa::ToSchema;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    #[default]
    Free,
    Premium,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    #[default]
    User,
    Admin,
}

macro_rules! words {
    ($type:ty { $($word:literal => $value:path),+ $(,)? }) => {
        impl $type {
            /// The word that stands for it on the wire and in the store.
            pub fn as_str(self) -> &'static str {
                match self { $($value => $word),+ }
            }
        }

        impl std::str::FromStr for $type {
            type Err = String;
            fn from_str(word: &str) -> Result<Self, String> {
                match word {
                    $($word => Ok($value),)+
                    _ => Err(format!("{word:?} is none of {}", [$($word),+].join(", "))),
                }
            }
        }
    };
}
pub(crate) use words;

words!(Tier { "free" => Tier::Free, "premium" => Tier::Premium });
words!(Role { "user" => Role::User, "admin" => Role::Admin });

/// 3 to 30 of a-z, 0-9 and `_`; kept in lower case, so that it compares without case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Username(Arc<str>);

impl Username {
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let lower = text.to_ascii_lowercase();
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if (3..=30).contains(&lower.len()) && lower.bytes().all(allowed) {
            Ok(Self(lower.into()))
        } else {
            Err("must be 3 to 30 of a-z, 0-9 and _")
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What anyone may see of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    pub id: UserId,
    pub username: String,
    pub display_name: String,
    pub avatar_url: Option<String>,
    pub created_at: Timestamp,
}

/// An account as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct User {
    pub id: UserId,
    pub username: String,
    pub display_name: String,
    pub avatar_url: Option<String>,
    pub email: String,
    pub tier: Tier,
    pub role: Role,
    pub created_at: Timestamp,
    /// Raised by every change of the row.
    #[serde(skip)]
    pub version: i64,
    /// When it is erased for good, where its owner asked for that: nobody is signed in to it until then, and others do not
    /// see it.
    #[serde(skip)]
    pub erase_at: Option<Timestamp>,
}

impl User {
    pub fn profile(&self) -> Profile {
        Profile {
            id: self.id.clone(),
            username: self.username.clone(),
            display_name: self.display_name.clone(),
            avatar_url: self.avatar_url.clone(),
            created_at: self.created_at,
        }
    }
}

/// A device that is signed in. Seen by servers; the client's view of it is made in `platform`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    pub id: SessionId,
    pub user_id: UserId,
    pub token_hash: TokenHash,
    /// The device, as its `User-Agent` says.
    pub device: String,
    pub created_at: Timestamp,
    /// Written at most once an hour.
    pub last_used_at: Timestamp,
    pub expires_at: Timestamp,
}

/// Who asks: a session with what its user may do, as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub session: Session,
    pub username: String,
    pub display_name: String,
    pub tier: Tier,
    pub role: Role,
}

impl Member {
    pub fn user_id(&self) -> &UserId {
        &self.session.user_id
    }

    pub fn is_admin(&self) -> bool {
        self.role == Role::Admin
    }

    pub fn is_premium(&self) -> bool {
        self.tier == Tier::Premium
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usernames_compare_without_case() {
        assert_eq!(Username::parse("Mara_7"), Username::parse("mara_7"));
        for bad in ["ab", "with space", "ümlaut", "a-b", &"x".repeat(31)] {
            assert!(Username::parse(bad).is_err(), "{bad}");
        }
    }
}
