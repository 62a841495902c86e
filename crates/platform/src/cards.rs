//! Characters from cards, and cards of characters.
//!
//! A card is read from a file of this machine, off the threads that serve and few at a time. Its picture goes the way of every
//! upload, so what is shown of it was encoded anew; the card itself is kept beside the character, for its export.

use crate::card_pictures::{MOST_IN_ARCHIVE, MOST_IN_JSON, MOST_IN_PNG, Pictures, archive, in_json, in_png};
use crate::faults::OrRefuse;
use crate::media::key_of;
use crate::uploads::Received;
use crate::{Platform, sniff};
use aim_ai::lore::Book;
use aim_cards::{Card, Picture, Unfit};
use aim_domain::{
    Character, CharacterDraft, CharacterId, Code, Kind, Member, Refusal, Tier, UploadId, UserId, Visibility,
};
use aim_media::{Kind as FileKind, SNIFFED_BYTES};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use std::fs::File;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};
use utoipa::ToSchema;

/// Cards that are read or written at a time, in this process.
pub(crate) const AT_A_TIME: usize = 2;
/// Bytes of an avatar that goes into a card, at the most.
const MOST_AVATAR: u64 = 25 << 20;

/// A card, before it is saved.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CardPreview {
    /// `Pygmalion`, `V1`, `V2` or `V3`.
    pub version: &'static str,
    /// What importing it would make.
    pub character: CharacterDraft,
    /// Its picture, small, as a `data:` URL.
    pub picture: Option<String>,
    /// Pictures beside it, for the gallery: how many the card has.
    pub pictures: u32,
    /// Sentences on what would not be taken as it is.
    pub warnings: Vec<String>,
}

/// What became of a card.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportedCharacter {
    pub character: Character,
    /// How many pictures its gallery has, or will have when they are processed.
    pub pictures: u32,
    /// Sentences on what was not taken as it was.
    pub warnings: Vec<String>,
}

/// The file that a card is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardFile {
    /// The avatar, with the card and its gallery in it.
    Png,
    /// The card with its gallery as text.
    Json,
    /// An archive (CHARX) of the card, its avatar and its gallery.
    Charx,
}

impl CardFile {
    fn type_and_ending(self) -> (&'static str, &'static str) {
        match self {
            Self::Png => ("image/png", "png"),
            Self::Json => ("application/json", "json"),
            Self::Charx => ("application/zip", "charx"),
        }
    }
}

/// A file for whoever asked for it.
#[derive(Clone, Debug)]
pub struct ExportedCard {
    pub bytes: Vec<u8>,
    pub mime_type: &'static str,
    /// With its ending; letters, digits, spaces and dashes of any script.
    pub file_name: String,
}

fn unfit(why: &Unfit) -> Refusal {
    Refusal { detail: why.to_string(), ..Refusal::invalid("file", why.to_string()) }
}

/// The bytes of a card's picture, on disk: the card's own file, or one that goes when this does.
struct PictureFile {
    path: PathBuf,
    _own: Option<tempfile::TempPath>,
}

impl Platform {
    /// What a card says, and how it would look; nothing is stored.
    pub async fn preview_card(&self, path: &Path) -> Result<CardPreview, Refusal> {
        let mut card = self.read_card(path).await?;
        let character = card.draft.clone().checked()?;
        let picture = match self.picture_of(&mut card, path).await? {
            Some(file) => self.small(&file.path, &mut card.warnings).await?,
            None => None,
        };
        let (version, pictures) = (card.version.as_str(), count(card.assets.len()));
        Ok(CardPreview { version, character, picture, pictures, warnings: card.warnings })
    }

    /// Makes a private character of a card.
    pub async fn import_card(&self, who: &Member, path: &Path) -> Result<ImportedCharacter, Refusal> {
        let mut card = self.read_card(path).await?;
        card.draft.clone().checked()?;
        if let Some(file) = self.picture_of(&mut card, path).await?
            && let Some(id) = self.take_picture((who.user_id(), who.tier), &file.path, &mut card.warnings).await?
        {
            match self.attachment(who, Kind::Image, &id).await {
                Ok(media) => card.draft.avatar_url = Some(media.url),
                // It is only slow.
                Err(refusal) if refusal.code == Code::Conflict => card.draft.avatar_url = Some(shown(&id)),
                Err(refusal) => card.warnings.push(format!("The card's picture was not taken: {}", refusal.detail)),
            }
        }
        let pictures = self.take_card_pictures((who.user_id(), who.tier), &card, path).await?;
        let card = self.settle_card(card, &pictures, path).await?;
        let mut imported = self.save_card(Some(who.user_id().clone()), card).await?;
        let ImportedCharacter { character, warnings, .. } = &mut imported;
        let lost = self.put_card_pictures(who.user_id(), &character.id, &pictures.taken, warnings).await
            + self.await_card_pictures(&pictures.taken, warnings).await;
        imported.pictures = count(pictures.taken.len().saturating_sub(lost));
        Ok(imported)
    }

    /// For the command line: whose it is and who may see it is said there, and a server looks at the picture later.
    pub async fn import_card_for(
        &self,
        owner: Option<UserId>,
        path: &Path,
        visibility: Visibility,
    ) -> Result<ImportedCharacter, Refusal> {
        let mut card = self.read_card(path).await?;
        card.draft.visibility = visibility;
        card.draft.clone().checked()?;
        let mut pictures = Pictures::default();
        match &owner {
            Some(owner) => {
                if let Some(file) = self.picture_of(&mut card, path).await? {
                    // Nobody waits for it.
                    let taken = self.take_picture((owner, Tier::Free), &file.path, &mut card.warnings).await?;
                    card.draft.avatar_url = taken.as_ref().map(shown);
                }
                pictures = self.take_card_pictures((owner, Tier::Free), &card, path).await?;
            }
            None => card.warnings.push("Pictures need an owner (--owner); the card's were left out.".into()),
        }
        let card = self.settle_card(card, &pictures, path).await?;
        let mut imported = self.save_card(owner.clone(), card).await?;
        if let Some(owner) = &owner {
            let ImportedCharacter { character, warnings, .. } = &mut imported;
            let lost = self.put_card_pictures(owner, &character.id, &pictures.taken, warnings).await;
            imported.pictures = count(pictures.taken.len().saturating_sub(lost));
        }
        Ok(imported)
    }

    async fn save_card(&self, owner: Option<UserId>, card: Card) -> Result<ImportedCharacter, Refusal> {
        let kept = card.kept();
        let character = self.save_character(owner, card.draft, Some(kept)).await?;
        metrics::counter!("aim_cards_imported_total", "version" => card.version.as_str()).increment(1);
        Ok(ImportedCharacter { character, pictures: 0, warnings: card.warnings })
    }

    async fn read_card(&self, path: &Path) -> Result<Card, Refusal> {
        let path = path.to_owned();
        let read = self.blocking(move || {
            let mut card = File::open(path).map_err(Unfit::from).and_then(|file| {
                // Reads of a few bytes each, and long jumps.
                aim_cards::read(&mut BufReader::new(file))
            })?;
            let unusable = card.draft.lorebook.as_ref().map_or(0, |book| Book::of(book).unusable_keys());
            if unusable > 0 {
                let what = if unusable == 1 { "regular expression" } else { "regular expressions" };
                card.warnings.push(format!(
                    "{unusable} {what} of the lore book cannot be used here (wrong, too large, too many, or with look-around)."
                ));
            }
            Ok(card)
        });
        read.await?.map_err(|why: Unfit| unfit(&why))
    }

    /// Runs what may take memory and time, few at a time.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        run: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let _permit = self.cards.acquire().await.map_err(|_| Refusal::internal())?;
        tokio::task::spawn_blocking(run).await.map_err(|error| {
            tracing::error!(%error, "reading or writing a card ended badly");
            Refusal::internal()
        })
    }

    async fn picture_of(&self, card: &mut Card, path: &Path) -> Result<Option<PictureFile>, Refusal> {
        let bytes = match card.picture.take() {
            None => return Ok(None),
            Some(Picture::TheFile) => return Ok(Some(PictureFile { path: path.to_owned(), _own: None })),
            Some(Picture::Bytes(bytes)) => bytes,
        };
        // Beside the card, where there is room for files on their way in.
        let folder = path.parent().map_or_else(std::env::temp_dir, Path::to_owned);
        let written = self.blocking(move || -> std::io::Result<_> {
            let mut file = tempfile::NamedTempFile::new_in(folder).or_else(|_| tempfile::NamedTempFile::new())?;
            file.write_all(&bytes)?;
            Ok(file.into_temp_path())
        });
        let own = written.await?.map_err(|error| {
            tracing::error!(%error, "a card's picture could not be written");
            Refusal::unavailable("The server's disk failed. Try again in a moment.")
        })?;
        Ok(Some(PictureFile { path: own.to_path_buf(), _own: Some(own) }))
    }

    /// A picture as small as a list shows it; none, and a warning, where it is none.
    async fn small(&self, path: &Path, warnings: &mut Vec<String>) -> Result<Option<String>, Refusal> {
        let (path, caps) = (path.to_owned(), self.media()?.caps.clone());
        let made = self.blocking(move || {
            let bytes = std::fs::read(path).map_err(|_| "it cannot be read".to_owned())?;
            let picture = aim_media::picture(&bytes, &caps).map_err(|why| why.to_string())?;
            let thumb = picture.variants.into_iter().find(|variant| variant.name == "thumb");
            let url = thumb.map(|thumb| format!("data:{};base64,{}", thumb.mime, STANDARD.encode(thumb.bytes)));
            url.ok_or_else(String::new)
        });
        match made.await? {
            Ok(url) => Ok(Some(url)),
            Err(why) => {
                warnings.push(format!("The card's picture cannot be taken: {why}"));
                Ok(None)
            }
        }
    }

    /// Stores a picture as an upload of `owner`'s, who is of this tier; none, and a warning, where it is none.
    async fn take_picture(
        &self,
        owner: (&UserId, Tier),
        path: &Path,
        warnings: &mut Vec<String>,
    ) -> Result<Option<UploadId>, Refusal> {
        let most = self.media()?.caps.picture_bytes;
        let from = path.to_owned();
        let looked = self.blocking(move || -> std::io::Result<(Vec<u8>, u64)> {
            let file = File::open(from)?;
            let (size, mut head) = (file.metadata()?.len(), Vec::new());
            std::io::Read::read_to_end(&mut std::io::Read::take(file, SNIFFED_BYTES as u64), &mut head)?;
            Ok((head, size))
        });
        let (head, size) = looked.await?.map_err(|error| {
            tracing::error!(%error, "a card's picture could not be read");
            Refusal::internal()
        })?;
        let why = match sniff(&head) {
            Ok(sniffed) if sniffed.kind == FileKind::Picture && size <= most => {
                let file = Received { path, size, sniffed };
                return Ok(Some(self.store_upload(owner, self.ambient.id(), file, None).await?.id));
            }
            Ok(_) if size > most => format!("It has more than {} MB.", most >> 20),
            Ok(_) => "It is no picture.".to_owned(),
            Err(refusal) => refusal.detail,
        };
        warnings.push(format!("The card's picture was not taken: {why}"));
        Ok(None)
    }

    /// The card of a character that `who` may see.
    pub async fn export_card(&self, who: &Member, id: &CharacterId, file: CardFile) -> Result<ExportedCard, Refusal> {
        self.character(who, id).await?;
        // From the store itself: a card and its character as they are now.
        let character = self.store.character(id).await.or_refuse()?.ok_or_else(|| Refusal::not_found("character"))?;
        let kept = self.store.character_card(id).await.or_refuse()?;
        // A text that names no main picture gets none.
        let has_icon = file != CardFile::Json || kept.as_ref().is_some_and(|kept| kept.contains("ccdefault:"));
        let avatar = if has_icon { self.avatar_of(who, &character).await } else { None };
        // As many at a time as there are places for cards: a gallery is in memory until it is written.
        let _place = self.archives.acquire().await.map_err(|_| Refusal::internal())?;
        let most = match file {
            CardFile::Charx => MOST_IN_ARCHIVE,
            CardFile::Png => MOST_IN_PNG,
            CardFile::Json => MOST_IN_JSON,
        };
        let pictures = self.gallery_files(id, most).await?;
        let caps = self.media().map(|media| media.caps.clone()).unwrap_or_default();
        let name = character.name.clone();
        let made = self.blocking(move || {
            let card = aim_cards::export(kept.as_deref(), &character);
            match file {
                CardFile::Json => Ok(in_json(card, avatar, pictures)),
                CardFile::Charx => archive(card, avatar, pictures).map_err(|error| error.to_string()),
                CardFile::Png => {
                    let picture = avatar.and_then(|bytes| aim_media::png(&bytes, &caps).ok());
                    let picture = picture.unwrap_or_else(|| aim_media::plain_png(character.id.as_str()));
                    in_png(card, &picture, pictures).map_err(|error| error.to_string())
                }
            }
        });
        let bytes = made.await?.map_err(|error| {
            tracing::error!(%error, "a card could not be written");
            Refusal::internal()
        })?;
        let (mime_type, ending) = file.type_and_ending();
        Ok(ExportedCard { bytes, mime_type, file_name: format!("{}.{ending}", file_name(&name)) })
    }

    /// The bytes of an avatar that is an upload of this server's.
    async fn avatar_of(&self, who: &Member, character: &Character) -> Option<Vec<u8>> {
        let path = character.avatar_url.as_deref()?.strip_prefix("/media/")?;
        let id: UploadId = path.split('/').next()?.parse().ok()?;
        let served = self.served(Some(who.user_id()), &id, "display").await.ok()?;
        let read = self.media().ok()?.read_all(&key_of(&id, &served.variant.name), MOST_AVATAR).await;
        read.inspect_err(|error| tracing::warn!(%error, "an avatar is missing from a card")).ok()
    }
}

/// Where the picture of an upload is shown, once it is ready.
fn shown(id: &UploadId) -> String {
    aim_domain::upload::media_url(id, aim_domain::MediaKind::Image.shown())
}

fn count(many: usize) -> u32 {
    u32::try_from(many).unwrap_or(u32::MAX)
}

/// A name that every system takes for a file's.
pub(crate) fn file_name(name: &str) -> String {
    let kept = |character: char| character.is_alphanumeric() || matches!(character, ' ' | '-' | '_');
    let name: String = name.chars().map(|character| if kept(character) { character } else { '_' }).take(60).collect();
    let name = name.trim().to_owned();
    if name.is_empty() { "character".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn a_file_is_named_after_its_character() {
        for (name, file) in [("Mara Vale", "Mara Vale"), ("../a\"b\r\n", "___a_b__"), ("潮", "潮"), ("  ", "character")]
        {
            assert_eq!(file_name(name), file);
        }
    }
}
