//! The pictures of a card beside its main one: where each stands, and reading one when it is wanted. Nobody has looked whether
//! they are pictures; what lies elsewhere is never fetched.

use crate::charx::{Archive, File};
use crate::png::{self, Chunks, Found};
use crate::{MAX_PICTURE, Unfit, fields, payload};
use serde_json::{Map, Value};
use std::io::{Read, Seek};

/// Pictures of a card that are listed, at the most.
pub const MOST_ASSETS: usize = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssetKind {
    /// A face, which the name tells.
    Emotion,
    /// Whatever else is shown: other icons, backgrounds, what the card's program alone knows.
    Other,
}

/// A file of a card that may be a picture.
#[derive(Clone, Debug)]
pub struct Asset {
    pub kind: AssetKind,
    /// The label of a face; a title else. May be empty.
    pub name: String,
    /// Where this program wrote the card.
    pub caption: Option<String>,
    place: Place,
    /// Its number in the card's list of assets, if it stands there.
    entry: Option<usize>,
}

#[derive(Clone, Debug)]
enum Place {
    /// Base64, or a `data:` URL of it.
    Text(String),
    Archive(File),
    Chunk(Found),
}

/// What is beside the card's text in its file.
pub(crate) enum Beside<'b> {
    Nothing,
    Archive(&'b Archive),
    Chunks(&'b Chunks),
}

impl Beside<'_> {
    /// Where a file of the card is, by what the card's text says of it.
    fn find(&self, uri: &str) -> Option<Place> {
        match self {
            Self::Nothing => None,
            Self::Archive(archive) => archive.file(embedded_path(uri)?).map(Place::Archive),
            Self::Chunks(chunks) => chunks.get(chunk(uri)?).copied().map(Place::Chunk),
        }
    }
}

fn strip<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

/// The specification writes it with one d.
pub(crate) fn embedded_path(uri: &str) -> Option<&str> {
    strip(uri, "embeded://").or_else(|| strip(uri, "embedded://"))
}

/// The chunk of a PNG that a file is in.
pub(crate) fn chunk(uri: &str) -> Option<&str> {
    strip(uri, "__asset:").or_else(|| embedded_path(uri))
}

/// Whether what is named so stands in the card's file, beside its text.
pub(crate) fn is_beside(uri: &str) -> bool {
    chunk(uri).is_some()
}

impl Asset {
    /// Bytes that it says it has, about; it is read no further.
    pub fn size(&self) -> u64 {
        match &self.place {
            Place::Archive(file) => file.size(),
            Place::Chunk(found) => found.length() / 4 * 3,
            Place::Text(text) => {
                let said = text.split_once(";base64,").map_or(text.as_str(), |(_, said)| said);
                said.len() as u64 / 4 * 3
            }
        }
    }

    /// Its bytes, `most` of them at the most; one that says it has more is not begun.
    pub fn read(&self, source: &mut (impl Read + Seek), most: u64) -> Result<Vec<u8>, Unfit> {
        let most = most.min(MAX_PICTURE);
        let bytes = match &self.place {
            Place::Archive(file) => file.read(source, most, "a picture")?,
            Place::Chunk(found) => {
                if found.length() / 4 * 3 > most {
                    return Err(Unfit::Unfolds("a picture"));
                }
                payload::unbase64(png::text(source, *found)?.0)?
            }
            Place::Text(text) => {
                let text = match strip(text, "data:") {
                    None => text.as_str(),
                    Some(data) => data.split_once(";base64,").ok_or(Unfit::NotBase64)?.1,
                };
                payload::unbase64(text.as_bytes().to_vec())?
            }
        };
        if bytes.len() as u64 > most { Err(Unfit::Unfolds("a picture")) } else { Ok(bytes) }
    }

    pub(crate) fn entry(&self) -> Option<usize> {
        self.entry
    }
}

/// The files of a card but its main picture, and sentences on those that are not to be had.
pub(crate) fn list(json: &Map<String, Value>, beside: &Beside) -> (Vec<Asset>, Vec<String>) {
    let (mut assets, mut missing, mut afar) = (Vec::new(), 0, 0);
    let entries = fields::assets(json);
    let main = fields::main_icon(entries);
    let text = |entry: &Value, name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    for (n, entry) in entries.iter().enumerate().filter(|(n, _)| Some(*n) != main) {
        let uri = text(entry, "uri");
        let place = if strip(&uri, "data:").is_some() { Some(Place::Text(uri.clone())) } else { beside.find(&uri) };
        match place {
            Some(place) => assets.push(Asset {
                kind: kind_of(&text(entry, "type")),
                name: text(entry, "name"),
                caption: entry.get("caption").and_then(Value::as_str).map(str::to_owned),
                place,
                entry: Some(n),
            }),
            None if is_beside(&uri) => missing += 1,
            None if strip(&uri, "http").is_some() => afar += 1,
            None => {}
        }
    }
    if assets.is_empty() {
        of_risu(json, beside, &mut assets);
    }
    let mut warnings = Vec::new();
    if missing > 0 {
        warnings.push(format!("Named by the card and not in its file: {}.", pictures(missing)));
    }
    if afar > 0 {
        warnings.push(format!("Named by an address, and never fetched from elsewhere: {}.", pictures(afar)));
    }
    if assets.len() > MOST_ASSETS {
        let more = assets.len() - MOST_ASSETS;
        warnings.push(format!("Left out: {}; a character has {MOST_ASSETS} at the most.", pictures(more)));
        assets.truncate(MOST_ASSETS);
    }
    (assets, warnings)
}

fn pictures(many: usize) -> String {
    format!("{many} {}", if many == 1 { "picture" } else { "pictures" })
}

pub(crate) fn kind_of(word: &str) -> AssetKind {
    match word {
        "emotion" | "expression" => AssetKind::Emotion,
        _ => AssetKind::Other,
    }
}

/// As RisuAI wrote them before V3: pairs of a name and a place.
fn of_risu(json: &Map<String, Value>, beside: &Beside, assets: &mut Vec<Asset>) {
    let Some(risu) = fields::extension(fields::data(json), "risuai") else { return };
    for (list, kind) in [("emotions", AssetKind::Emotion), ("additionalAssets", AssetKind::Other)] {
        for pair in risu.get(list).and_then(Value::as_array).into_iter().flatten() {
            let text = |n| pair.get(n).and_then(Value::as_str);
            let (Some(name), Some(uri)) = (text(0), text(1)) else { continue };
            let written = || strip(uri, "data:image/").map(|_| Place::Text(uri.to_owned()));
            if let Some(place) = beside.find(uri).or_else(written) {
                assets.push(Asset { kind, name: name.to_owned(), caption: None, place, entry: None });
            }
        }
    }
}
