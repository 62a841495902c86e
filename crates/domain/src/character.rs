//! A character: what its author wrote of it, and who may see it.

use crate::account::words;
use crate::error::{Checks, Refusal};
use crate::id::{CharacterId, UserId};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    Public,
    #[default]
    Private,
}

words!(Visibility { "public" => Visibility::Public, "private" => Visibility::Private });

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Character {
    pub id: CharacterId,
    pub name: String,
    pub description: String,
    pub personality: String,
    pub scenario: String,
    pub greeting: String,
    /// Turns parted by `<START>`, with the macros `{{char}}` and `{{user}}`.
    pub example_dialogue: String,
    pub system_prompt: String,
    pub tags: Vec<String>,
    pub visibility: Visibility,
    pub avatar_url: Option<String>,
    /// Absent for the characters that come with the server.
    pub owner_id: Option<UserId>,
    /// Raised by every change; what is derived from a character is cached under it.
    pub revision: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Character {
    /// Whether `user` may read it and talk with it.
    pub fn is_visible_to(&self, user: &UserId) -> bool {
        self.visibility == Visibility::Public || self.is_owned_by(user)
    }

    pub fn is_owned_by(&self, user: &UserId) -> bool {
        self.owner_id.as_ref() == Some(user)
    }
}

/// What a character is made from. Only `name` is needed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CharacterDraft {
    /// An id of one's own; a UUIDv7 is made unless it is given.
    #[serde(default)]
    pub id: Option<CharacterId>,
    pub name: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub personality: String,
    #[serde(default)]
    pub scenario: String,
    #[serde(default)]
    pub greeting: String,
    #[serde(default)]
    pub example_dialogue: String,
    #[serde(default)]
    pub system_prompt: String,
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default)]
    pub visibility: Visibility,
    #[serde(default)]
    pub avatar_url: Option<String>,
}

/// A change of some fields; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CharacterPatch {
    pub name: Option<String>,
    pub description: Option<String>,
    pub personality: Option<String>,
    pub scenario: Option<String>,
    pub greeting: Option<String>,
    pub example_dialogue: Option<String>,
    pub system_prompt: Option<String>,
    pub tags: Option<Vec<String>>,
    pub visibility: Option<Visibility>,
    pub avatar_url: Option<String>,
}

impl CharacterPatch {
    pub fn apply(self, draft: &mut CharacterDraft) {
        macro_rules! take {
            ($($field:ident),+) => { $(if let Some(value) = self.$field { draft.$field = value; })+ };
        }
        take!(name, description, personality, scenario, greeting, example_dialogue, system_prompt, tags, visibility);
        if let Some(url) = self.avatar_url {
            draft.avatar_url = Some(url).filter(|url| !url.is_empty());
        }
    }
}

/// Characters in the longest of a character's texts.
const LONG_TEXT: usize = 20_000;

impl CharacterDraft {
    /// Trims names and tags, folds equal tags, and refuses what is too long.
    pub fn checked(mut self) -> Result<Self, Refusal> {
        self.name = self.name.trim().to_owned();
        let mut tags: Vec<String> = Vec::new();
        for tag in &self.tags {
            let tag = tag.trim().to_lowercase();
            if !tag.is_empty() && !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        self.tags = tags;
        let mut checks = Checks::default();
        checks.length("name", &self.name, 1, 100);
        for (field, text) in [
            ("description", &self.description),
            ("personality", &self.personality),
            ("scenario", &self.scenario),
            ("greeting", &self.greeting),
            ("exampleDialogue", &self.example_dialogue),
            ("systemPrompt", &self.system_prompt),
        ] {
            checks.length(field, text, 0, LONG_TEXT);
        }
        checks.require(self.tags.len() <= 20, "tags", "must be at most 20");
        checks.require(
            self.tags.iter().all(|tag| tag.chars().count() <= 40),
            "tags",
            "must have at most 40 characters each",
        );
        self.tags.iter().for_each(|tag| checks.storable("tags", tag));
        if let Some(url) = &self.avatar_url {
            let ours = url.starts_with('/') && !url.starts_with("//");
            checks.require(
                ours || url.starts_with("https://"),
                "avatarUrl",
                "must be a path of this server or start with https://",
            );
            checks.length("avatarUrl", url, 1, 2_000);
        }
        checks.finish()?;
        Ok(self)
    }
}

impl From<&Character> for CharacterDraft {
    fn from(of: &Character) -> Self {
        Self {
            id: Some(of.id.clone()),
            name: of.name.clone(),
            description: of.description.clone(),
            personality: of.personality.clone(),
            scenario: of.scenario.clone(),
            greeting: of.greeting.clone(),
            example_dialogue: of.example_dialogue.clone(),
            system_prompt: of.system_prompt.clone(),
            tags: of.tags.clone(),
            visibility: of.visibility,
            avatar_url: of.avatar_url.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_needs_a_name_and_folds_its_tags() {
        let nameless = CharacterDraft { name: "  ".into(), ..Default::default() };
        assert!(nameless.checked().is_err());
        let tags = vec![" Sea ".into(), "sea".into(), String::new(), "storms".into()];
        let named = CharacterDraft { name: " Mara ".into(), tags, ..Default::default() };
        let checked = named.checked().unwrap_or_default();
        assert_eq!((checked.name.as_str(), checked.tags), ("Mara", vec!["sea".to_owned(), "storms".into()]));
    }

    #[test]
    fn what_no_database_can_store_is_refused_by_its_field() {
        let nul = || "a\u{0}b".to_owned();
        let (name, description, tags) = (nul(), nul(), vec![nul()]);
        let draft = CharacterDraft { name, description, tags, avatar_url: Some("/\u{0}".into()), ..Default::default() };
        let errors = draft.checked().err().map(|refusal| refusal.errors).unwrap_or_default();
        let fields: Vec<_> = errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["name", "description", "tags", "avatarUrl"]);
    }

    #[test]
    fn an_avatar_is_ours_or_comes_over_tls() {
        for (url, fine) in
            [("/media/a.webp", true), ("https://x.test/a.png", true), ("//x.test/a", false), ("javascript:1", false)]
        {
            let draft = CharacterDraft { name: "Mara".into(), avatar_url: Some(url.into()), ..Default::default() };
            assert_eq!(draft.checked().is_ok(), fine, "{url}");
        }
    }
}
