//! A card, read from any of its forms and brought into the newest of them, V3.

use crate::assets::{self, Asset, Beside, embedded_path};
use crate::charx::{self, Archive};
use crate::{MAX_FILE, MAX_JSON, MAX_KEPT, MAX_PICTURE, Unfit, fields, files, gallery, payload, png, world_info};
use aim_domain::CharacterDraft;
use serde_json::{Map, Value};
use std::io::{Cursor, Read, Seek, SeekFrom};

/// The form in which a card came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Pygmalion,
    V1,
    V2,
    V3,
}

impl Version {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pygmalion => "Pygmalion",
            Self::V1 => "V1",
            Self::V2 => "V2",
            Self::V3 => "V3",
        }
    }
}

/// A card's picture. Nobody has looked whether it is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Picture {
    /// The file that the card was read from.
    TheFile,
    Bytes(Vec<u8>),
}

#[derive(Clone, Debug)]
pub struct Card {
    pub version: Version,
    /// What of the card makes a character here; not checked yet.
    pub draft: CharacterDraft,
    pub picture: Option<Picture>,
    /// Its other pictures, to be read from the same file.
    pub assets: Vec<Asset>,
    /// Sentences on what was not taken as it came.
    pub warnings: Vec<String>,
    pub(crate) json: Map<String, Value>,
    /// Files of its archive that it does not name.
    pub(crate) unnamed: Vec<(String, charx::File)>,
}

impl Card {
    /// All of the card as JSON, to be given to [`crate::export`] again. Files that it holds as text are left out where they
    /// are too large.
    pub fn kept(&self) -> String {
        let mut json = self.json.clone();
        if self.is_too_large() {
            fields::drop_embedded_files(&mut json);
        }
        Value::Object(json).to_string()
    }

    /// Whether files that the card holds as text are too large to be kept.
    pub fn is_too_large(&self) -> bool {
        fields::length(&self.json) > MAX_KEPT
    }

    /// Puts the number of a picture in the place of each of these assets: its bytes are in a gallery, and written from there.
    pub fn place(&mut self, taken: &[(&Asset, String)]) {
        let Some(assets) = fields::assets_mut(&mut self.json) else { return };
        for (asset, id) in taken {
            let entry = asset.entry().and_then(|n| assets.get_mut(n)?.as_object_mut());
            if let Some(entry) = entry {
                entry.insert("uri".into(), gallery::uri(id).into());
            }
        }
    }
}

/// How a JPEG begins.
const JPEG: [u8; 3] = *b"\xFF\xD8\xFF";

/// A card in memory.
pub fn parse(bytes: &[u8]) -> Result<Card, Unfit> {
    read(&mut Cursor::new(bytes))
}

/// A card from a file, of which only the card's text and its picture's entry are brought into memory.
pub fn read(source: &mut (impl Read + Seek)) -> Result<Card, Unfit> {
    let length = source.seek(SeekFrom::End(0))?;
    if length > MAX_FILE {
        return Err(Unfit::FileTooLarge);
    }
    let head = png::first_bytes(source)?;
    if head.starts_with(&png::SIGNATURE) {
        return from_png(source);
    }
    if head.starts_with(&charx::SIGNATURE) {
        return from_archive(source, false);
    }
    if head.starts_with(&JPEG) {
        return from_archive(source, true);
    }
    if head.starts_with(b"rcc||") {
        return Err(Unfit::Encrypted);
    }
    let text = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&head);
    if !matches!(text.trim_ascii_start().first(), Some(b'{' | b'[')) {
        return Err(Unfit::NotACard);
    }
    if length > MAX_JSON {
        return Err(Unfit::TextTooLarge);
    }
    source.seek(SeekFrom::Start(0))?;
    let mut text = Vec::new();
    source.take(MAX_JSON).read_to_end(&mut text)?;
    let (mut card, icon) = card(payload::json(&text)?)?;
    card.picture = icon.and_then(|icon| card.embedded(&icon));
    card.finish(&Beside::Nothing)
}

fn from_png(source: &mut (impl Read + Seek)) -> Result<Card, Unfit> {
    let found = png::texts(source)?;
    let mut damaged = false;
    let mut decode = |found| -> Result<_, Unfit> {
        let (text, whole) = png::text(source, found)?;
        let card = card(payload::of_png(text)?)?;
        damaged = !whole;
        Ok(card)
    };
    let (mut card, icon) = match (found.v3, found.v2) {
        (None, None) => return Err(Unfit::NoCardInPng),
        (Some(only), None) | (None, Some(only)) => decode(only)?,
        (Some(v3), Some(v2)) => match decode(v3) {
            Ok(card) => card,
            Err(why) => {
                let (mut card, icon) = decode(v2).map_err(|_| why)?;
                card.warnings.push("The PNG's V3 card cannot be read; its V2 card was taken.".into());
                (card, icon)
            }
        },
    };
    if damaged {
        card.warnings.push("The checksum of the card's text does not hold: some of it may be damaged.".into());
    }
    card.picture = icon.and_then(|icon| card.embedded(&icon)).or(Some(Picture::TheFile));
    card.finish(&Beside::Chunks(&found.files))
}

/// An archive, or one that stands behind a JPEG, as RisuAI writes it: the JPEG is the card's picture, unless it names another.
fn from_archive(source: &mut (impl Read + Seek), behind_jpeg: bool) -> Result<Card, Unfit> {
    let archive = Archive::open(source).map_err(|why| match why {
        Unfit::CutOff(_) if behind_jpeg => Unfit::NoCardInJpeg,
        why => why,
    })?;
    let (mut card, icon) = card(payload::json(&archive.card(source)?)?)?;
    if let Some(icon) = &icon {
        card.picture = match embedded_path(icon) {
            Some(path) => match archive.read(source, path, MAX_PICTURE, "its picture")? {
                Some(bytes) => {
                    fields::icon_is_the_avatar(&mut card.json);
                    Some(Picture::Bytes(bytes))
                }
                None => {
                    card.warnings.push("The card's picture is not in the archive.".into());
                    None
                }
            },
            None => card.embedded(icon),
        };
    }
    if behind_jpeg && card.picture.is_none() && archive.start() <= MAX_PICTURE {
        source.seek(SeekFrom::Start(0))?;
        let mut bytes = Vec::new();
        source.take(archive.start()).read_to_end(&mut bytes)?;
        card.picture = Some(Picture::Bytes(bytes));
    }
    let mut card = card.finish(&Beside::Archive(&archive))?;
    card.unnamed = files::unnamed(&archive, &card.json, icon.as_deref());
    Ok(card)
}

/// The card that some JSON says, and where its picture is.
fn card(mut json: Map<String, Value>) -> Result<(Card, Option<String>), Unfit> {
    let mut warnings = Vec::new();
    let version = upgrade(&mut json, &mut warnings)?;
    if let Some(Value::Object(data)) = json.get_mut("data") {
        fields::part_lists(data);
        if let Some(book) = data.get_mut("character_book") {
            world_info::upgrade(book);
        }
    }
    let (draft, more) = fields::draft(&json)?;
    warnings.extend(more);
    let icon = fields::icon(&json);
    Ok((Card { version, draft, picture: None, assets: Vec::new(), warnings, json, unnamed: Vec::new() }, icon))
}

impl Card {
    /// A picture that stands in the card's text.
    fn embedded(&mut self, icon: &str) -> Option<Picture> {
        let lower = icon.get(..8)?.to_ascii_lowercase();
        if lower.starts_with("http://") || lower == "https://" {
            self.warnings.push("The card's picture is an address; pictures are not fetched from elsewhere.".into());
            return None;
        }
        let (head, text) = icon.split_once(',').filter(|_| lower.starts_with("data:"))?;
        let bytes = payload::unbase64(text.as_bytes().to_vec()).ok().filter(|bytes| !bytes.is_empty());
        if !head.to_ascii_lowercase().ends_with(";base64") || bytes.is_none() {
            self.warnings.push("The card's picture cannot be read.".into());
            return None;
        }
        fields::icon_is_the_avatar(&mut self.json);
        bytes.map(Picture::Bytes)
    }

    /// Lists the other pictures, and refuses what is too large without them.
    fn finish(mut self, beside: &Beside) -> Result<Self, Unfit> {
        let (assets, warnings) = assets::list(&self.json, beside);
        self.assets = assets;
        self.warnings.extend(warnings);
        let length = fields::length(&self.json);
        if length - fields::embedded_files(&self.json).min(length) > MAX_KEPT {
            return Err(Unfit::FieldsTooLarge);
        }
        Ok(self)
    }
}

/// Brings the JSON of any version into the form of V3: `data` with the fields, and beside it what else there was.
fn upgrade(json: &mut Map<String, Value>, warnings: &mut Vec<String>) -> Result<Version, Unfit> {
    let spec = json.get("spec").and_then(Value::as_str).unwrap_or_default().to_owned();
    let has_data = json.get("data").is_some_and(Value::is_object);
    if let Some(version) = spec.strip_prefix("chara_card_v") {
        if !has_data {
            return Err(Unfit::NoData);
        }
        let newest = json.get("spec_version").and_then(|said| match said {
            Value::String(text) => text.trim().parse().ok(),
            other => other.as_f64(),
        });
        if version == "2" {
            return Ok(Version::V2);
        }
        if version != "3" || newest.is_some_and(|newest: f64| newest > 3.0) {
            warnings.push("The card is of a newer version than V3; what is known of it was taken.".into());
        }
        return Ok(Version::V3);
    }
    if has_data && json.get("data").and_then(|data| data.get("name")).is_some() {
        warnings.push("The card does not say its version; it was read as V2.".into());
        return Ok(Version::V2);
    }
    let (version, moved): (_, &[(&str, &str)]) = if json.contains_key("name") {
        (Version::V1, &fields::V1)
    } else if json.contains_key("char_name") {
        (Version::Pygmalion, &fields::PYGMALION)
    } else if json.get("entries").is_some_and(|entries| entries.is_object() || entries.is_array()) {
        return Err(Unfit::LoreBook);
    } else {
        return Err(Unfit::NotACardsJson);
    };
    // A `data` of another meaning stays, under a name that says whose it is.
    let mut data = Map::new();
    for (from, to) in moved {
        if let Some(value) = json.remove(*from) {
            data.insert((*to).to_owned(), value);
        }
    }
    if let Some(other) = json.remove("data") {
        json.insert("data_of_v1".into(), other);
    }
    json.insert("data".into(), Value::Object(data));
    Ok(version)
}
