//! The fields of a card, by the names of V3: what of them makes a character here. They are read leniently, since cards are
//! written by many hands: what is of another type than it should be counts as absent, and is told of.

use crate::{Unfit, lore};
use aim_domain::character::MAX_DEPTH;
use aim_domain::{CharacterDraft, DepthPrompt};
use serde_json::{Map, Value};
use std::sync::LazyLock;

/// What V1 calls a field, and V3. Editors wrote later fields into V1 too.
pub(crate) const V1: [(&str, &str); 16] = [
    ("name", "name"),
    ("description", "description"),
    ("personality", "personality"),
    ("scenario", "scenario"),
    ("first_mes", "first_mes"),
    ("mes_example", "mes_example"),
    ("creator_notes", "creator_notes"),
    ("system_prompt", "system_prompt"),
    ("post_history_instructions", "post_history_instructions"),
    ("alternate_greetings", "alternate_greetings"),
    ("tags", "tags"),
    ("creator", "creator"),
    ("character_version", "character_version"),
    ("character_book", "character_book"),
    ("extensions", "extensions"),
    ("nickname", "nickname"),
];

/// What Pygmalion calls a field, and V3.
pub(crate) const PYGMALION: [(&str, &str); 5] = [
    ("char_name", "name"),
    ("char_persona", "description"),
    ("char_greeting", "first_mes"),
    ("world_scenario", "scenario"),
    ("example_dialogue", "mes_example"),
];

/// Tags of a character at the most, and the longest; API.md.
const MOST_TAGS: usize = 20;
const LONGEST_TAG: usize = 40;

/// Bytes of some JSON as text, which is not written for it.
pub(crate) fn length(json: &Map<String, Value>) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, json).map_or(usize::MAX, |()| count.0)
}

static NOTHING: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);

pub(crate) fn data(json: &Map<String, Value>) -> &Map<String, Value> {
    json.get("data").and_then(Value::as_object).unwrap_or(&NOTHING)
}

/// The character that a card makes, and what was not taken as it stands.
pub(crate) fn draft(json: &Map<String, Value>) -> Result<(CharacterDraft, Vec<String>), Unfit> {
    let data = data(json);
    let mut warnings = Vec::new();
    let mut text = |name: &str| match data.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(_) => {
            warnings.push(format!("The card's `{name}` is no text; it was left out."));
            String::new()
        }
    };
    let mut draft = CharacterDraft {
        name: text("name").trim().to_owned(),
        description: text("description"),
        personality: text("personality"),
        scenario: text("scenario"),
        greeting: text("first_mes"),
        example_dialogue: text("mes_example"),
        system_prompt: text("system_prompt"),
        nickname: text("nickname").trim().to_owned(),
        post_history_instructions: text("post_history_instructions"),
        creator_notes: text("creator_notes"),
        creator: text("creator"),
        character_version: text("character_version"),
        ..CharacterDraft::default()
    };
    if draft.name.is_empty() {
        return Err(Unfit::NoName);
    }
    draft.alternate_greetings = texts(data, "alternate_greetings");
    draft.alternate_greetings.retain(|greeting| !greeting.trim().is_empty());
    draft.tags = tags(texts(data, "tags"), &mut warnings);
    draft.depth_prompt = extension(data, DEPTH_PROMPT).and_then(depth_prompt);
    if let Some(book) = data.get("character_book").filter(|book| !book.is_null()) {
        draft.lorebook = lore::book(book, &mut warnings);
    }
    Ok((draft, warnings))
}

/// What SillyTavern's "character's note" is called in a card's `extensions`.
pub(crate) const DEPTH_PROMPT: &str = "depth_prompt";

pub(crate) fn extension<'d>(data: &'d Map<String, Value>, name: &str) -> Option<&'d Value> {
    data.get("extensions")?.get(name)
}

/// None for one that says nothing, as SillyTavern writes into every card.
fn depth_prompt(said: &Value) -> Option<DepthPrompt> {
    let prompt = said.get("prompt")?.as_str().filter(|prompt| !prompt.trim().is_empty())?.to_owned();
    let depth = said.as_object().and_then(|said| lore::number(said, "depth"));
    let depth = depth.map(|depth| u32::try_from(depth.clamp(0, MAX_DEPTH.into())).unwrap_or(MAX_DEPTH));
    let depth = depth.unwrap_or(DepthPrompt::default().depth);
    let role = said.get("role").and_then(Value::as_str).and_then(|role| role.parse().ok());
    Some(DepthPrompt { prompt, depth, role: role.unwrap_or_default() })
}

/// Lists of texts that some editors write as one: tags with commas between them, a greeting alone.
pub(crate) fn part_lists(data: &mut Map<String, Value>) {
    if let Some(Value::String(tags)) = data.get("tags") {
        let tags: Vec<&str> = tags.split(',').map(str::trim).filter(|tag| !tag.is_empty()).collect();
        let tags = Value::from(tags);
        data.insert("tags".into(), tags);
    }
    if let Some(greeting) = data.get_mut("alternate_greetings").filter(|greetings| greetings.is_string()) {
        *greeting = Value::Array(vec![greeting.take()]);
    }
}

/// A list of texts; what is none is passed over.
pub(crate) fn texts(of: &Map<String, Value>, name: &str) -> Vec<String> {
    let items = of.get(name).and_then(Value::as_array);
    items.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn tags(said: Vec<String>, warnings: &mut Vec<String>) -> Vec<String> {
    let mut tags: Vec<String> = Vec::new();
    let mut left_out = 0;
    for tag in said {
        let tag = tag.trim().to_lowercase();
        if tag.is_empty() || tags.contains(&tag) {
            continue;
        }
        if tags.len() < MOST_TAGS && tag.chars().count() <= LONGEST_TAG {
            tags.push(tag);
        } else {
            left_out += 1;
        }
    }
    if left_out > 0 {
        let were = if left_out == 1 { "tag was" } else { "tags were" };
        warnings.push(format!(
            "{left_out} {were} left out: a character has {MOST_TAGS} at the most, of {LONGEST_TAG} characters each."
        ));
    }
    tags
}

pub(crate) fn assets(json: &Map<String, Value>) -> &[Value] {
    data(json).get("assets").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn is_icon(asset: &Value) -> bool {
    asset.get("type").and_then(Value::as_str) == Some("icon")
}

/// Which of the assets is the main picture.
pub(crate) fn main_icon(assets: &[Value]) -> Option<usize> {
    let main = |asset: &Value| is_icon(asset) && asset.get("name").and_then(Value::as_str) == Some("main");
    assets.iter().position(main).or_else(|| assets.iter().position(is_icon))
}

/// Where the card says that its picture is.
pub(crate) fn icon(json: &Map<String, Value>) -> Option<String> {
    let assets = assets(json);
    assets[main_icon(assets)?].get("uri").and_then(Value::as_str).map(str::to_owned)
}

pub(crate) fn assets_mut(json: &mut Map<String, Value>) -> Option<&mut Vec<Value>> {
    json.get_mut("data")?.get_mut("assets")?.as_array_mut()
}

/// Lets the main picture be the one that the card is shown with: its bytes are the avatar's from now on.
pub(crate) fn icon_is_the_avatar(json: &mut Map<String, Value>) {
    if let Some(assets) = assets_mut(json)
        && let Some(icon) = main_icon(assets).and_then(|at| assets[at].as_object_mut())
    {
        icon.insert("uri".into(), "ccdefault:".into());
    }
}

/// Takes out files that stand in the card as text; their entries stay. True if there was one.
pub(crate) fn drop_embedded_files(json: &mut Map<String, Value>) -> bool {
    let mut dropped = false;
    for asset in assets_mut(json).into_iter().flatten() {
        let Some(uri) = asset.get_mut("uri") else { continue };
        if uri.as_str().is_some_and(is_embedded_file) {
            *uri = "data:,".into();
            dropped = true;
        }
    }
    dropped
}

/// Bytes of the files that stand in the card as text.
pub(crate) fn embedded_files(json: &Map<String, Value>) -> usize {
    let uris = assets(json).iter().filter_map(|asset| asset.get("uri")?.as_str());
    uris.filter(|uri| is_embedded_file(uri)).map(str::len).sum()
}

fn is_embedded_file(uri: &str) -> bool {
    uri.len() > 1_024 && uri.starts_with("data:")
}
