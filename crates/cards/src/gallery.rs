//! The pictures of a card that a gallery has. The card's text as it is kept has the number of each in the place of its bytes, so that
//! what else the card said of it is written again; what the gallery says of it by now is written over that.

use crate::assets::{AssetKind, chunk, embedded_path, is_beside, kind_of};
use crate::charx::leads_outside;
use crate::write::Export;
use crate::{fields, files};
use aim_domain::gallery::label;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap, HashSet};

const PREFIX: &str = "gallery:";
/// Characters of a label at the most; `domain::gallery`.
const LONGEST_LABEL: usize = 40;

/// Where an asset is, that a gallery has under this number.
pub(crate) fn uri(id: &str) -> String {
    format!("{PREFIX}{id}")
}

/// What a card is written into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Files stand beside the card's text.
    Archive,
    /// Files that are not pictures stand in the card's text.
    Text,
}

/// A picture that is written with the card.
#[derive(Clone, Debug)]
pub struct ExportedAsset {
    /// The number of its upload.
    pub id: String,
    /// Where its bytes are: `embeded://` and a path of the archive, `__asset:` and the name of a chunk, or `data:`.
    pub uri: String,
    /// The ending of its file, without a point.
    pub ext: String,
    /// The label of a face; none: whatever else is shown.
    pub expression: Option<String>,
    pub caption: String,
}

impl ExportedAsset {
    fn json(&self, n: usize) -> Value {
        let name = match &self.expression {
            Some(label) => label.clone(),
            None if self.caption.is_empty() => format!("picture {}", n + 1),
            None => self.caption.clone(),
        };
        let kind = if self.expression.is_some() { "emotion" } else { "other" };
        json!({ "type": kind, "uri": self.uri, "name": name, "ext": self.ext, "caption": self.caption })
    }

    /// Writes what it is now over what the card said of it.
    fn write_over(&self, entry: &mut Map<String, Value>) {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (name, kind) = (text("name"), kind_of(&text("type")));
        let labelled: String = name.chars().filter(|sign| !sign.is_control()).take(LONGEST_LABEL).collect();
        let labelled = if kind == AssetKind::Emotion { label(&labelled) } else { None };
        let said = entry.get("caption").and_then(Value::as_str);
        let caption = said.unwrap_or(if kind == AssetKind::Emotion { "" } else { &name }).trim().to_owned();
        if labelled != self.expression {
            let kind = if self.expression.is_some() { "emotion" } else { "other" };
            entry.insert("type".into(), kind.into());
            if let Some(label) = &self.expression {
                entry.insert("name".into(), label.as_str().into());
            }
        }
        if caption != self.caption {
            entry.insert("caption".into(), self.caption.as_str().into());
        }
        self.put_place(entry);
    }

    fn put_place(&self, entry: &mut Map<String, Value>) {
        entry.insert("uri".into(), self.uri.as_str().into());
        entry.insert("ext".into(), self.ext.as_str().into());
    }
}

impl Export {
    /// Names of chunks that the card calls nothing by: what it says of files that nobody has kept must not mean others.
    pub fn free_chunks(&self) -> impl Iterator<Item = String> {
        let mut named = HashSet::new();
        self.0.values().for_each(|value| named_chunks(value, &mut named));
        (0..=named.len() + MOST_CHUNKS).map(|n| n.to_string()).filter(move |name| !named.contains(name))
    }

    /// Whether the card names a main picture, and that it is the one it is shown with.
    pub fn names_its_picture(&self) -> bool {
        fields::icon(&self.0).is_some_and(|uri| uri.starts_with("ccdefault:"))
    }

    /// Names the pictures that are written with it, `icon` as the main one, and answers what other files are to be written beside its text.
    pub fn with_assets(
        mut self,
        icon: Option<&ExportedAsset>,
        pictures: &[ExportedAsset],
        form: Form,
    ) -> (Self, Vec<(String, Vec<u8>)>) {
        let mut beside = Beside::new(files::take(&mut self.0), icon.into_iter().chain(pictures), form);
        let Some(data) = self.0.get_mut("data").and_then(Value::as_object_mut) else { return (self, Vec::new()) };
        let came = data.get("assets").and_then(Value::as_array).cloned();
        let main = came.as_ref().and_then(|assets| fields::main_icon(assets));
        let mut named = HashSet::new();
        let mut assets = Vec::new();
        for (n, mut asset) in came.iter().flatten().cloned().enumerate() {
            let stays = match (asset.as_object_mut(), icon) {
                (Some(entry), Some(icon)) if Some(n) == main => {
                    icon.put_place(entry);
                    true
                }
                (Some(entry), _) => beside.settle(entry, pictures, &mut named),
                (None, _) => true,
            };
            if stays {
                assets.push(asset);
            }
        }
        if let Some(icon) = icon.filter(|_| main.is_none()) {
            assets.insert(0, json!({ "type": "icon", "uri": icon.uri, "name": "main", "ext": icon.ext }));
        }
        let new = pictures.iter().enumerate().filter(|(_, picture)| !named.contains(picture.id.as_str()));
        assets.extend(new.map(|(n, picture)| picture.json(n)));
        if came.is_some() || !assets.is_empty() {
            data.insert("assets".into(), Value::Array(assets));
        }
        let files = beside.finish(&mut self.0);
        (self, files)
    }
}

/// Pictures that are written in chunks, at the most, and more.
const MOST_CHUNKS: usize = 10_000;

/// Wherever in the card they stand: RisuAI has lists of its own.
fn named_chunks(value: &Value, named: &mut HashSet<String>) {
    match value {
        Value::String(uri) => named.extend(chunk(uri).map(str::to_owned)),
        Value::Array(values) => values.iter().for_each(|value| named_chunks(value, named)),
        Value::Object(values) => values.values().for_each(|value| named_chunks(value, named)),
        _ => {}
    }
}

/// Files that are no pictures, on their way out.
struct Beside {
    kept: BTreeMap<String, Vec<u8>>,
    /// Paths of the archive that are taken.
    paths: HashSet<String>,
    /// Where what the card names is now; it may name one file twice.
    placed: HashMap<String, String>,
    out: Vec<(String, Vec<u8>)>,
    form: Form,
}

impl Beside {
    fn new<'p>(kept: BTreeMap<String, Vec<u8>>, pictures: impl Iterator<Item = &'p ExportedAsset>, form: Form) -> Self {
        let paths = pictures.filter_map(|picture| embedded_path(&picture.uri)).map(str::to_owned);
        let paths = paths.chain(["card.json".to_owned()]).collect();
        Self { kept, paths, placed: HashMap::new(), out: Vec::new(), form }
    }

    /// Lets an entry say where its bytes are now. False where there are none any more.
    fn settle<'p>(
        &mut self,
        entry: &mut Map<String, Value>,
        pictures: &'p [ExportedAsset],
        named: &mut HashSet<&'p str>,
    ) -> bool {
        let uri = entry.get("uri").and_then(Value::as_str).unwrap_or_default().to_owned();
        if let Some(id) = uri.strip_prefix(PREFIX) {
            let picture = pictures.iter().find(|picture| picture.id == id);
            let picture = picture.filter(|picture| named.insert(&picture.id));
            return picture.inspect(|picture| picture.write_over(entry)).is_some();
        }
        if !is_beside(&uri) {
            return true;
        }
        if !self.placed.contains_key(&uri) {
            let Some(bytes) = self.kept.remove(embedded_path(&uri).unwrap_or(&uri)) else {
                return self.form == Form::Text;
            };
            let ext = entry.get("ext").and_then(Value::as_str).unwrap_or_default().to_owned();
            let now = match self.form {
                Form::Text => data_url(&ext, &bytes),
                Form::Archive => {
                    let path = self.path(embedded_path(&uri), &ext);
                    self.out.push((path.clone(), bytes));
                    format!("embeded://{path}")
                }
            };
            self.placed.insert(uri.clone(), now);
        }
        if let Some(now) = self.placed.get(&uri) {
            entry.insert("uri".into(), now.as_str().into());
        }
        true
    }

    /// The path it had, where no other file has it.
    fn path(&mut self, had: Option<&str>, ext: &str) -> String {
        let fits = |path: &&str| !path.is_empty() && !path.ends_with('/') && !leads_outside(path);
        if let Some(path) = had.filter(fits)
            && self.paths.insert(path.to_owned())
        {
            return path.to_owned();
        }
        let is_word = !ext.is_empty() && ext.len() <= 8 && ext.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let ext = if is_word { ext } else { "bin" };
        let mut n = self.out.len() + 1;
        loop {
            let path = format!("assets/other/file/{n}.{ext}");
            if self.paths.insert(path.clone()) {
                return path;
            }
            n += 1;
        }
    }

    /// What the card does not name.
    fn finish(mut self, json: &mut Map<String, Value>) -> Vec<(String, Vec<u8>)> {
        if self.form == Form::Text {
            files::put(json, self.kept);
            return self.out;
        }
        for (name, bytes) in std::mem::take(&mut self.kept) {
            if !is_beside(&name) && !leads_outside(&name) && !self.paths.contains(&name) {
                self.paths.insert(name.clone());
                self.out.push((name, bytes));
            }
        }
        self.out
    }
}

/// A file as a text of its own.
fn data_url(ext: &str, bytes: &[u8]) -> String {
    let mime = match ext.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "mp3" => "audio/mpeg",
        "ogg" => "audio/ogg",
        "wav" => "audio/wav",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        _ => "application/octet-stream",
    };
    format!("data:{mime};base64,{}", STANDARD.encode(bytes))
}
