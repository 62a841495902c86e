//! A character: what its author wrote of it, and who may see it.

use crate::account::words;
use crate::error::{Checks, Refusal};
use crate::id::{CharacterId, UserId};
use crate::lorebook::Lorebook;
use crate::patch::given;
use crate::safety::Listing;
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
    #[serde(flatten)]
    pub listing: Listing,
    /// Empty where characters are listed: they are long.
    #[serde(flatten)]
    pub details: CharacterDetails,
}

/// What else a character card says. Absent where it is empty, and in lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CharacterDetails {
    /// What `{{char}}` stands for, instead of the name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub nickname: String,
    /// Greetings that a conversation may begin with instead of `greeting`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alternate_greetings: Vec<String>,
    /// Told to the model after what was said; `{{original}}` stands for the server's own, of which there are none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub post_history_instructions: String,
    /// For people; never in a prompt.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub creator_notes: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub creator: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub character_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth_prompt: Option<DepthPrompt>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lorebook: Option<Lorebook>,
}

/// A text that stands among the messages of every prompt; SillyTavern's "character's note".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DepthPrompt {
    pub prompt: String,
    /// How many messages come after it, 10,000 at the most; 4 unless given. Where there are fewer, it stands before them all.
    pub depth: u32,
    pub role: PromptRole,
}

impl Default for DepthPrompt {
    fn default() -> Self {
        Self { prompt: String::new(), depth: 4, role: PromptRole::System }
    }
}

/// As whose a text is told to the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PromptRole {
    #[default]
    System,
    User,
    Assistant,
}

words!(PromptRole { "system" => PromptRole::System, "user" => PromptRole::User, "assistant" => PromptRole::Assistant });

/// Bytes of a character's details as JSON, at the most.
const MOST_DETAILS: usize = 1_000_000;
const MOST_GREETINGS: usize = 100;
/// Messages that come after a [`DepthPrompt`], at the most.
pub const MAX_DEPTH: u32 = 10_000;

impl CharacterDetails {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Leaves out what says nothing.
    fn tidy(&mut self) {
        self.nickname = self.nickname.trim().to_owned();
        self.alternate_greetings.retain(|greeting| !greeting.trim().is_empty());
        self.depth_prompt.take_if(|note| note.prompt.trim().is_empty());
        self.lorebook.take_if(|book| *book == Lorebook::default());
    }

    fn check(&self, checks: &mut Checks) {
        for (field, text, most) in [
            ("nickname", &self.nickname, 100),
            ("postHistoryInstructions", &self.post_history_instructions, LONG_TEXT),
            ("creatorNotes", &self.creator_notes, 5 * LONG_TEXT),
            ("creator", &self.creator, 1_000),
            ("characterVersion", &self.character_version, 1_000),
        ] {
            checks.length(field, text, 0, most);
        }
        let few = self.alternate_greetings.len() <= MOST_GREETINGS;
        checks.require(few, "alternateGreetings", "must be at most 100");
        for greeting in self.alternate_greetings.iter().take(MOST_GREETINGS) {
            checks.length("alternateGreetings", greeting, 0, LONG_TEXT);
        }
        if let Some(note) = &self.depth_prompt {
            checks.length("depthPrompt.prompt", &note.prompt, 0, LONG_TEXT);
            checks.require(note.depth <= MAX_DEPTH, "depthPrompt.depth", "must be at most 10000");
        }
        if let Some(book) = &self.lorebook {
            book.check(checks);
        }
        let size = serde_json::to_vec(self).map_or(usize::MAX, |json| json.len());
        let detail = "and the character's other texts come to more than 1 MB together";
        checks.require(size <= MOST_DETAILS, "lorebook", detail);
    }
}

impl Character {
    /// The name it goes by in a talk.
    pub fn called(&self) -> &str {
        if self.details.nickname.is_empty() { &self.name } else { &self.details.nickname }
    }

    /// The greeting of this number: 0 is the first, the others are its alternates.
    pub fn greeting_at(&self, index: usize) -> Option<&str> {
        match index.checked_sub(1) {
            None => Some(&self.greeting),
            Some(other) => self.details.alternate_greetings.get(other).map(String::as_str),
        }
    }

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
    #[serde(default)]
    pub nickname: String,
    #[serde(default)]
    pub alternate_greetings: Vec<String>,
    #[serde(default)]
    pub post_history_instructions: String,
    #[serde(default)]
    pub creator_notes: String,
    #[serde(default)]
    pub creator: String,
    #[serde(default)]
    pub character_version: String,
    #[serde(default)]
    pub depth_prompt: Option<DepthPrompt>,
    #[serde(default)]
    pub lorebook: Option<Lorebook>,
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
    /// Null, or an empty one, takes the picture away.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub avatar_url: Option<Option<String>>,
    pub nickname: Option<String>,
    pub alternate_greetings: Option<Vec<String>>,
    pub post_history_instructions: Option<String>,
    pub creator_notes: Option<String>,
    pub creator: Option<String>,
    pub character_version: Option<String>,
    /// The whole of it; null, or one without a text, takes it away.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<DepthPrompt>)]
    pub depth_prompt: Option<Option<DepthPrompt>>,
    /// The whole book; null, or one without entries, takes it away.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<Lorebook>)]
    pub lorebook: Option<Option<Lorebook>>,
}

impl CharacterPatch {
    pub fn apply(self, draft: &mut CharacterDraft) {
        macro_rules! take {
            ($($field:ident),+) => { $(if let Some(value) = self.$field { draft.$field = value; })+ };
        }
        take!(name, description, personality, scenario, greeting, example_dialogue, system_prompt, tags, visibility);
        take!(nickname, alternate_greetings, post_history_instructions, creator_notes, creator, character_version);
        take!(depth_prompt);
        if let Some(book) = self.lorebook {
            draft.lorebook = book.filter(|book| !book.entries.is_empty());
        }
        if let Some(url) = self.avatar_url {
            draft.avatar_url = url.filter(|url| !url.is_empty());
        }
    }
}

/// Characters in the longest of a character's texts.
const LONG_TEXT: usize = 100_000;

impl CharacterDraft {
    /// Trims names and tags, folds equal tags, and refuses what is too long.
    pub fn checked(mut self) -> Result<Self, Refusal> {
        self.name = self.name.trim().to_owned();
        let mut details = self.take_details();
        details.tidy();
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
        details.check(&mut checks);
        checks.finish()?;
        self.put_details(details);
        Ok(self)
    }

    /// A new character, as it is made at `at`.
    pub fn into_character(mut self, id: CharacterId, owner_id: Option<UserId>, at: Timestamp) -> Character {
        let details = self.take_details();
        Character {
            id,
            name: self.name,
            description: self.description,
            personality: self.personality,
            scenario: self.scenario,
            greeting: self.greeting,
            example_dialogue: self.example_dialogue,
            system_prompt: self.system_prompt,
            tags: self.tags,
            visibility: self.visibility,
            avatar_url: self.avatar_url,
            owner_id,
            revision: 1,
            created_at: at,
            updated_at: at,
            listing: Listing::default(),
            details,
        }
    }

    /// Its details, which it then has no longer.
    pub fn take_details(&mut self) -> CharacterDetails {
        CharacterDetails {
            nickname: std::mem::take(&mut self.nickname),
            alternate_greetings: std::mem::take(&mut self.alternate_greetings),
            post_history_instructions: std::mem::take(&mut self.post_history_instructions),
            creator_notes: std::mem::take(&mut self.creator_notes),
            creator: std::mem::take(&mut self.creator),
            character_version: std::mem::take(&mut self.character_version),
            depth_prompt: self.depth_prompt.take(),
            lorebook: self.lorebook.take(),
        }
    }

    pub fn put_details(&mut self, details: CharacterDetails) {
        self.nickname = details.nickname;
        self.alternate_greetings = details.alternate_greetings;
        self.post_history_instructions = details.post_history_instructions;
        self.creator_notes = details.creator_notes;
        self.creator = details.creator;
        self.character_version = details.character_version;
        self.depth_prompt = details.depth_prompt;
        self.lorebook = details.lorebook;
    }
}

impl From<&Character> for CharacterDraft {
    fn from(of: &Character) -> Self {
        let mut draft = Self {
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
            ..Self::default()
        };
        draft.put_details(of.details.clone());
        draft
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lorebook::LoreEntry;

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
    fn a_note_has_bounds_and_one_without_a_text_is_none() {
        let noted = |prompt: &str, depth| CharacterDraft {
            name: "Mara".into(),
            depth_prompt: Some(DepthPrompt { prompt: prompt.into(), depth, ..Default::default() }),
            ..Default::default()
        };
        let of = |draft: CharacterDraft| draft.checked().map(|draft| draft.depth_prompt.map(|note| note.prompt));
        assert_eq!(of(noted(" \n", 0)).ok(), Some(None));
        assert_eq!(of(noted("Be dry.", MAX_DEPTH)).ok(), Some(Some("Be dry.".to_owned())));
        let too_deep = of(noted("Be dry.", MAX_DEPTH + 1)).err().map(|refusal| refusal.errors[0].field.clone());
        assert_eq!(too_deep.as_deref(), Some("depthPrompt.depth"));
        assert!(of(noted(&"x".repeat(LONG_TEXT + 1), 0)).is_err());
        let mut draft = noted("Be dry.", 2);
        let patch: CharacterPatch =
            serde_json::from_str(r#"{"depthPrompt":{"prompt":"Be kind."}}"#).unwrap_or_default();
        patch.apply(&mut draft);
        let kind = DepthPrompt { prompt: "Be kind.".into(), depth: 4, role: PromptRole::System };
        assert_eq!(draft.depth_prompt, Some(kind));
        CharacterPatch { depth_prompt: Some(Some(DepthPrompt::default())), ..Default::default() }.apply(&mut draft);
        assert_eq!(of(draft).ok(), Some(None));
    }

    #[test]
    fn null_takes_away_what_a_character_need_not_have_and_what_is_absent_stays() {
        let mut draft = CharacterDraft {
            name: "Mara".into(),
            avatar_url: Some("/media/m".into()),
            depth_prompt: Some(DepthPrompt::default()),
            lorebook: Some(Lorebook::default()),
            ..Default::default()
        };
        let patch = |json: &str| serde_json::from_str::<CharacterPatch>(json).unwrap_or_default();
        patch(r#"{"name":"Bo"}"#).apply(&mut draft);
        assert!(draft.name == "Bo" && draft.avatar_url.is_some() && draft.depth_prompt.is_some());
        patch(r#"{"avatarUrl":null,"depthPrompt":null,"lorebook":null}"#).apply(&mut draft);
        assert_eq!((draft.avatar_url, draft.depth_prompt, draft.lorebook), (None, None, None));
    }

    #[test]
    fn details_that_say_nothing_are_left_out_and_a_book_has_bounds() {
        let draft = CharacterDraft {
            name: "Mara".into(),
            alternate_greetings: vec!["  ".into(), "Ahoy.".into()],
            lorebook: Some(Lorebook::default()),
            ..Default::default()
        };
        let draft = draft.checked().unwrap_or_default();
        assert_eq!((draft.alternate_greetings.len(), draft.lorebook.is_none()), (1, true));
        let entry = LoreEntry { content: "x".repeat(LONG_TEXT + 1), ..Default::default() };
        let lorebook = Some(Lorebook { entries: vec![LoreEntry::default(), entry], ..Default::default() });
        let refused = CharacterDraft { lorebook, ..draft.clone() }.checked().err();
        let field = refused.map(|refusal| refusal.errors[0].field.clone());
        assert_eq!(field.as_deref(), Some("lorebook.entries[1].content"));
        let entry = LoreEntry { content: "x".repeat(LONG_TEXT), ..Default::default() };
        let lorebook = Some(Lorebook { entries: vec![entry; 12], ..Default::default() });
        assert!(CharacterDraft { lorebook, ..draft }.checked().is_err(), "1.2 MB");
    }

    #[test]
    fn a_character_without_details_reads_as_before() {
        let draft: CharacterDraft = serde_json::from_str(r#"{"name":"Mara"}"#).unwrap_or_default();
        assert_eq!(draft.name, "Mara");
        let text = serde_json::to_string(&CharacterDetails::default()).unwrap_or_default();
        assert_eq!(text, "{}");
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
