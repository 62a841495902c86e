//! The role that a person plays in front of characters: another name, a few words on who that is, a picture.

use crate::error::{Checks, Refusal};
use crate::id::{PersonaId, UserId};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Personas of one person at the most.
pub const MAX_PERSONAS: u32 = 50;
/// Characters (Unicode scalar values).
pub const MAX_NAME: usize = 80;
pub const MAX_DESCRIPTION: usize = 4_000;

/// A persona as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Persona {
    pub id: PersonaId,
    /// What characters call the one who plays it.
    pub name: String,
    /// Who that is, as characters are told.
    pub description: String,
    pub avatar_url: Option<String>,
    /// Played wherever no other was chosen; of one person's personas exactly one is, or none.
    pub is_default: bool,
    /// Raised by every change.
    pub revision: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// How a member of a conversation goes by there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speaker {
    pub user: UserId,
    /// The account's own.
    pub display_name: String,
    /// The one chosen there, or else the default.
    pub persona: Option<Persona>,
}

impl Speaker {
    pub fn name(&self) -> &str {
        self.persona.as_ref().map_or(&self.display_name, |persona| &persona.name)
    }

    pub fn about(&self) -> &str {
        self.persona.as_ref().map_or("", |persona| &persona.description)
    }
}

/// Refuses a name or a description that is none; what is absent is not looked at.
pub fn check(name: Option<&str>, description: Option<&str>) -> Result<(), Refusal> {
    let mut checks = Checks::default();
    if let Some(name) = name {
        checks.length("name", name.trim(), 1, MAX_NAME);
        checks.one_line("name", name.trim());
    }
    if let Some(description) = description {
        checks.length("description", description.trim(), 0, MAX_DESCRIPTION);
    }
    checks.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line_of_some_length() {
        assert!(check(Some(" Captain: {{user}} "), Some("")).is_ok());
        for bad in ["", "  ", "a\nb", "a\u{2028}b", "a\0b", &"x".repeat(81)] {
            assert!(check(Some(bad), None).is_err(), "{bad:?}");
        }
        assert!(check(Some(&"é".repeat(80)), Some(&"é".repeat(4_000))).is_ok());
        assert!(check(None, Some(&"x".repeat(4_001))).is_err());
    }
}
