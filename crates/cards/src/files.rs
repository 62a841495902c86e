//! Files of a card that no gallery has: sounds, videos, programs' own. They are kept with the card's text as long as they are few and
//! small, under a name of ours beside the fields, and written where they were: into an archive as files, into other cards as text.

use crate::assets::{Asset, embedded_path, is_beside};
use crate::charx::{self, File};
use crate::{Card, MAX_KEPT, Unfit, fields, payload};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashSet};
use std::io::{Read, Seek};

/// Where they are kept: an object of base64 by path, or by `__asset:` and the name of a chunk.
const FIELD: &str = "aim_files";
/// Files that are kept, and bytes that are unfolded for them, at the most.
const MOST_FILES: usize = 200;
const MOST_UNFOLDED: u64 = 16 << 20;
/// What a card's text may grow by when it is written.
const SLACK: usize = 64 << 10;

impl Card {
    /// Takes in the files that were not `taken` as pictures, to be written again; what is too large or too much is told. Call
    /// it after [`Card::place`], with the file that the card was read from.
    pub fn keep_files(&mut self, source: &mut (impl Read + Seek), taken: &[&Asset]) {
        let entries = fields::assets(&self.json);
        let beside = self.assets.iter().filter_map(|asset| {
            let is_taken = taken.iter().any(|one| one.entry() == asset.entry());
            let uri = entries.get(asset.entry()?)?.get("uri")?.as_str()?;
            (!is_taken && is_beside(uri)).then(|| (asset.clone(), embedded_path(uri).unwrap_or(uri).to_owned()))
        });
        let beside = beside.map(|(asset, name)| (name, Kept::Asset(asset)));
        let unnamed = self.unnamed.iter().map(|(name, file)| (name.clone(), Kept::File(*file)));
        let mut files: Vec<(String, Kept)> = beside.chain(unnamed).collect();
        // There is room for many small ones.
        files.sort_by_key(|(_, file)| file.size());
        let mut room = MAX_KEPT.saturating_sub(SLACK).saturating_sub(fields::length(&self.json));
        let mut unfolded = MOST_UNFOLDED;
        let (mut kept, mut left_out) = (Map::new(), 0_usize);
        for (name, file) in files {
            // A card may name one file twice.
            if kept.contains_key(&name) {
                continue;
            }
            let most = unfolded.min((room / 4 * 3).saturating_sub(name.len() + 16) as u64);
            if kept.len() >= MOST_FILES || most == 0 || file.size() > most {
                left_out += 1;
                continue;
            }
            // Whatever comes of it: so much of it may have been unfolded.
            unfolded = unfolded.saturating_sub(file.size());
            let Ok(bytes) = file.read(source, most) else {
                left_out += 1;
                continue;
            };
            let text = STANDARD.encode(bytes);
            room = room.saturating_sub(text.len() + name.len() + 16);
            kept.insert(name, text.into());
        }
        if left_out > 0 {
            self.warnings.push(format!(
                "Files of the card that are too large or too many to be kept for its export: {left_out}."
            ));
        }
        if !kept.is_empty() {
            let field = self.json.entry(FIELD).or_insert_with(|| Map::new().into());
            if let Some(had) = field.as_object_mut() {
                had.extend(kept);
            }
        }
    }
}

/// A file that may be kept.
enum Kept {
    Asset(Asset),
    File(File),
}

impl Kept {
    /// Bytes that it says it has; it is read no further.
    fn size(&self) -> u64 {
        match self {
            Self::Asset(asset) => asset.size(),
            Self::File(file) => file.size(),
        }
    }

    fn read(&self, source: &mut (impl Read + Seek), most: u64) -> Result<Vec<u8>, Unfit> {
        match self {
            Self::Asset(asset) => asset.read(source, most),
            Self::File(file) => file.read(source, most, "a file"),
        }
    }
}

/// The files of an archive that its card names nowhere.
pub(crate) fn unnamed(archive: &charx::Archive, json: &Map<String, Value>, icon: Option<&str>) -> Vec<(String, File)> {
    let uris = fields::assets(json).iter().filter_map(|asset| asset.get("uri")?.as_str());
    let named: HashSet<&str> = uris.filter_map(embedded_path).chain(icon.and_then(embedded_path)).collect();
    let others = archive.files().filter(|(name, _)| !named.contains(name));
    others.map(|(name, file)| (name.to_owned(), file)).collect()
}

/// The files that a card has kept, taken out of its text.
pub(crate) fn take(json: &mut Map<String, Value>) -> BTreeMap<String, Vec<u8>> {
    let Some(Value::Object(kept)) = json.remove(FIELD) else { return BTreeMap::new() };
    let decoded = kept.into_iter().filter_map(|(name, text)| {
        let bytes = payload::unbase64(text.as_str()?.as_bytes().to_vec()).ok()?;
        Some((name, bytes))
    });
    decoded.collect()
}

/// Puts the files back that are to stay in the text.
pub(crate) fn put(json: &mut Map<String, Value>, files: BTreeMap<String, Vec<u8>>) {
    if !files.is_empty() {
        let texts = files.into_iter().map(|(name, bytes)| (name, STANDARD.encode(bytes).into()));
        json.insert(FIELD.into(), Value::Object(texts.collect()));
    }
}
