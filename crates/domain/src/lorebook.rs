//! A lore book: what a character knows of its world, told to the model when the talk comes to it.

use crate::error::Checks;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Most entries of a book.
pub const MAX_ENTRIES: usize = 2_000;
/// Most keys of an entry, of either kind, and most characters of a key. A regular expression may be long.
const MAX_KEYS: usize = 200;
const MAX_KEY: usize = 1_000;
/// Most characters of what an entry tells.
const MAX_CONTENT: usize = 100_000;

/// Where an entry's text stands in the prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LorePosition {
    /// Before the character's description.
    #[default]
    BeforeChar,
    /// After it.
    AfterChar,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Lorebook {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// How many of the last messages are looked through for keys; 4 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scan_depth: Option<u32>,
    /// Tokens that the entries of one reply may take together, by estimate; a quarter of the prompt unless given, and never more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_budget: Option<u32>,
    /// Whether the text of an entry that was told is looked through for keys of others.
    pub recursive_scanning: bool,
    pub entries: Vec<LoreEntry>,
    /// What a card said of its book that this server has no use for; it is exported as it came.
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = HashMap<String, Value>)]
    pub extra: Map<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LoreEntry {
    /// The entry is told when one of them is found.
    pub keys: Vec<String>,
    pub content: String,
    pub enabled: bool,
    /// Lower ones stand earlier.
    pub insertion_order: i64,
    /// Those with lower ones are left out first when the budget is spent; 0 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    pub case_sensitive: bool,
    /// Whether bare keys are regular expressions, too; one that is written `/…/flags` is one in any case. Of an entry that SillyTavern wrote this
    /// says nothing.
    pub use_regex: bool,
    /// Told always, whatever is found.
    pub constant: bool,
    /// Whether one of the secondary keys must be found as well.
    pub selective: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secondary_keys: Vec<String>,
    pub position: LorePosition,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// As in the book. What SillyTavern knows of an entry stands in its `extensions` (`selectiveLogic`, `probability`, `scan_depth`, …), and is obeyed.
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = HashMap<String, Value>)]
    pub extra: Map<String, Value>,
}

impl Default for LoreEntry {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            content: String::new(),
            enabled: true,
            insertion_order: 0,
            priority: None,
            case_sensitive: false,
            use_regex: false,
            constant: false,
            selective: false,
            secondary_keys: Vec::new(),
            position: LorePosition::BeforeChar,
            name: String::new(),
            comment: String::new(),
            extra: Map::new(),
        }
    }
}

impl Lorebook {
    pub(crate) fn check(&self, checks: &mut Checks) {
        checks.length("lorebook.name", &self.name, 0, 1_000);
        checks.length("lorebook.description", &self.description, 0, MAX_CONTENT);
        let few = self.entries.len() <= MAX_ENTRIES;
        checks.require(few, "lorebook.entries", "must be at most 2000");
        if !few {
            return;
        }
        for (at, entry) in self.entries.iter().enumerate() {
            let field = |name: &str| format!("lorebook.entries[{at}].{name}");
            checks.length(&field("content"), &entry.content, 0, MAX_CONTENT);
            checks.length(&field("name"), &entry.name, 0, 1_000);
            checks.length(&field("comment"), &entry.comment, 0, MAX_CONTENT);
            for (name, keys) in [("keys", &entry.keys), ("secondaryKeys", &entry.secondary_keys)] {
                checks.require(keys.len() <= MAX_KEYS, &field(name), "must be at most 200");
                keys.iter().take(MAX_KEYS).for_each(|key| checks.length(&field(name), key, 0, MAX_KEY));
            }
        }
    }
}
