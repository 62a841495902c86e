//! Writing a card: what a character says now, over what its card said when it came. A field that nobody changed since is
//! written as it came, in its own form.

use crate::fields::DEPTH_PROMPT;
use crate::{Unfit, fields, lore, png};
use aim_domain::{Character, CharacterDraft, DepthPrompt};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// A card that is ready to be written.
#[derive(Clone, Debug)]
pub struct Export(pub(crate) Map<String, Value>);

impl Export {
    /// As V3, whose fields V2 reads as well.
    pub fn json(&self) -> String {
        self.of("chara_card_v3", "3.0").to_string()
    }

    fn of(&self, spec: &str, version: &str) -> Value {
        let mut json = self.0.clone();
        json.insert("spec".into(), spec.into());
        json.insert("spec_version".into(), version.into());
        Value::Object(json)
    }
}

/// The card of `character`, over the one it came from, if it came from one ([`crate::Card::kept`]).
pub fn export(kept: Option<&str>, character: &Character) -> Export {
    let mut json: Map<String, Value> = kept.and_then(|kept| serde_json::from_str(kept).ok()).unwrap_or_default();
    let came = fields::draft(&json).ok().and_then(|(draft, _)| draft.checked().ok());
    let mut data = match json.remove("data") {
        Some(Value::Object(data)) => data,
        _ => Map::new(),
    };
    let (new, mut now) = (came.is_none(), CharacterDraft::from(character));
    let (mut came, details) = (came.unwrap_or_default(), now.take_details());
    let was = came.take_details();
    let mut changed = false;
    let mut put = |data: &mut Map<String, Value>, name: &str, same: bool, value: Value| {
        if new || !same {
            data.insert(name.into(), value);
            changed = true;
        }
    };
    macro_rules! put {
        ($(($name:literal, $was:expr, $now:expr)),+ $(,)?) => {
            $(put(&mut data, $name, $was == $now, json!($now));)+
        };
    }
    put!(
        ("name", came.name, now.name),
        ("description", came.description, now.description),
        ("personality", came.personality, now.personality),
        ("scenario", came.scenario, now.scenario),
        ("first_mes", came.greeting, now.greeting),
        ("mes_example", came.example_dialogue, now.example_dialogue),
        ("system_prompt", came.system_prompt, now.system_prompt),
        ("tags", came.tags, now.tags),
        ("alternate_greetings", was.alternate_greetings, details.alternate_greetings),
        ("post_history_instructions", was.post_history_instructions, details.post_history_instructions),
        ("creator_notes", was.creator_notes, details.creator_notes),
        ("creator", was.creator, details.creator),
        ("character_version", was.character_version, details.character_version),
    );
    if was.nickname != details.nickname {
        put(&mut data, "nickname", false, json!(details.nickname));
    }
    if was.lorebook != details.lorebook {
        match &details.lorebook {
            Some(book) => {
                let json = lore::to_json(book, was.lorebook.as_ref(), data.get("character_book"));
                put(&mut data, "character_book", false, json);
            }
            None => drop(data.remove("character_book")),
        }
    }
    if was.depth_prompt != details.depth_prompt {
        put_depth_prompt(&mut data, details.depth_prompt.as_ref());
        changed = true;
    }
    require(&mut data);
    let seconds = |time: aim_domain::Timestamp| Value::from(time.0.div_euclid(1_000));
    if new {
        data.insert("creation_date".into(), seconds(character.created_at));
    }
    if changed {
        data.insert("modification_date".into(), seconds(character.updated_at));
    }
    // Some editors write the fields of V1 beside `data` too; they must not tell of another character.
    let beside = fields::V1[..6].iter().chain(&[("tags", "tags"), ("creatorcomment", "creator_notes")]);
    for (name, in_data) in beside {
        if let (Some(old), Some(new)) = (json.get_mut(*name), data.get(*in_data))
            && std::mem::discriminant(old) == std::mem::discriminant(new)
        {
            *old = new.clone();
        }
    }
    json.insert("data".into(), Value::Object(data));
    Export(json)
}

/// Over what other programs wrote beside it.
fn put_depth_prompt(data: &mut Map<String, Value>, note: Option<&DepthPrompt>) {
    let Some(extensions) = object(data, "extensions") else { return };
    let Some(note) = note else {
        extensions.remove(DEPTH_PROMPT);
        return;
    };
    let Some(said) = object(extensions, DEPTH_PROMPT) else { return };
    said.insert("prompt".into(), json!(note.prompt));
    said.insert("depth".into(), note.depth.into());
    said.insert("role".into(), note.role.as_str().into());
}

/// The object of this name; an empty one takes the place of anything else.
fn object<'m>(of: &'m mut Map<String, Value>, name: &str) -> Option<&'m mut Map<String, Value>> {
    let value = of.entry(name).or_insert(Value::Null);
    if !value.is_object() {
        *value = json!({});
    }
    value.as_object_mut()
}

/// Fills in what V2 and V3 say must be there.
fn require(data: &mut Map<String, Value>) {
    let mut need = |name: &str, value: Value| {
        let field = data.entry(name).or_insert(Value::Null);
        if field.is_null() {
            *field = value;
        }
    };
    for name in [
        "name",
        "description",
        "personality",
        "scenario",
        "first_mes",
        "mes_example",
        "creator_notes",
        "system_prompt",
        "post_history_instructions",
        "creator",
        "character_version",
    ] {
        need(name, json!(""));
    }
    for name in ["alternate_greetings", "group_only_greetings", "tags"] {
        need(name, json!([]));
    }
    need("extensions", json!({}));
}

/// `picture`, a PNG, with the card in it: V3 under `ccv3`, V2 under `chara`, each of `files` under the name that the card's
/// `__asset:` has, and none that it had before.
pub fn into_png(picture: &[u8], export: &Export, files: &[(String, &[u8])]) -> Result<Vec<u8>, Unfit> {
    let text = |spec, version| STANDARD.encode(export.of(spec, version).to_string());
    let mut texts =
        vec![("chara".to_owned(), text("chara_card_v2", "2.0")), ("ccv3".to_owned(), text("chara_card_v3", "3.0"))];
    texts.extend(files.iter().map(|(name, bytes)| (format!("chara-ext-asset_:{name}"), STANDARD.encode(bytes))));
    png::with_texts(picture, &texts)
}
