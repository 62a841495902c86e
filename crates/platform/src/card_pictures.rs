//! The pictures of a card beside its main one: into a gallery, and out of it into an archive (CHARX).
//!
//! On their way in they are what every upload is: bytes that nobody trusts, which a job encodes anew. One is in memory at a
//! time. What is wrong with one of them is told, and does not fail the card.

use crate::Platform;
use crate::faults::OrRefuse;
use crate::media::key_of;
use crate::uploads::Received;
use aim_cards::{Asset, AssetKind, Card, ExportedAsset, Form, Unfit};
use aim_domain::gallery::label;
use aim_domain::{CharacterId, Code, GalleryItem, PictureWords, Refusal, Tier, UploadId, UploadStatus, UserId};
use aim_media::{Kind as FileKind, Sniffed};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fs::File;
use std::io::{BufReader, Cursor, Write};
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempPath;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Bytes of a card's pictures, unfolded, at the most; what is no picture counts too.
const MOST_BYTES: u64 = 100 << 20;
/// Bytes of the pictures in a card that we write, at the most: it is to be read again, with its text, and base64 is a third longer.
pub(crate) const MOST_IN_ARCHIVE: u64 = 40 << 20;
pub(crate) const MOST_IN_PNG: u64 = 24 << 20;
pub(crate) const MOST_IN_JSON: u64 = 3 << 20;
/// Bytes of a main picture that stands in a text.
const MOST_OF_ICON: usize = 512 << 10;
/// Between two looks at pictures that are being processed.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Sentences about single pictures, at the most.
const MOST_TOLD: usize = 10;

/// A picture of a card, stored as an upload.
pub(crate) struct Taken {
    upload: UploadId,
    words: PictureWords,
    /// What it is called where it is told of.
    called: String,
}

/// What became of the pictures of a card.
#[derive(Default)]
pub(crate) struct Pictures {
    pub taken: Vec<Taken>,
    assets: Vec<Asset>,
    wrong: Vec<String>,
}

fn not_taken(called: &str, why: &str) -> String {
    format!("The picture “{called}” was not taken: {why}")
}

fn tell(warnings: &mut Vec<String>, wrong: &[String]) {
    warnings.extend(wrong.iter().take(MOST_TOLD).cloned());
    if wrong.len() > MOST_TOLD {
        warnings.push(format!("Pictures that were not taken besides: {}.", wrong.len() - MOST_TOLD));
    }
}

/// A text of a card as a row may have it.
fn fitted(text: &str, most: usize) -> String {
    text.chars().filter(|sign| !sign.is_control()).take(most).collect::<String>().trim().to_owned()
}

fn words_of(asset: &Asset) -> PictureWords {
    let caption = |text: &str| fitted(text, 500);
    match asset.kind {
        AssetKind::Emotion => PictureWords {
            caption: asset.caption.as_deref().map(caption).unwrap_or_default(),
            expression: label(&fitted(&asset.name, 40)),
        },
        AssetKind::Other => {
            PictureWords { caption: caption(asset.caption.as_deref().unwrap_or(&asset.name)), expression: None }
        }
    }
}

/// Some bytes of a card as a file of their own.
struct Spilt {
    path: TempPath,
    size: u64,
    sniffed: Sniffed,
}

/// A refusal comes with the bytes that were read for it: none of one that says it is too large.
fn spill(card: &Path, asset: &Asset, most: u64) -> Result<Spilt, (String, u64)> {
    let read = File::open(card).map_err(Unfit::from).and_then(|file| asset.read(&mut BufReader::new(file), most));
    let begun = if asset.size() > most { 0 } else { asset.size() };
    let bytes = read.map_err(|why| (why.to_string(), begun))?;
    let size = bytes.len() as u64;
    let sniffed = crate::sniff(&bytes[..bytes.len().min(aim_media::SNIFFED_BYTES)]).ok();
    let sniffed = sniffed.filter(|sniffed| sniffed.kind == FileKind::Picture);
    let sniffed = sniffed.ok_or_else(|| ("It is no PNG, JPEG, WebP or GIF.".to_owned(), size))?;
    let folder = card.parent().map_or_else(std::env::temp_dir, Path::to_owned);
    let written = tempfile::NamedTempFile::new_in(folder).or_else(|_| tempfile::NamedTempFile::new());
    let written = written.and_then(|mut file| file.write_all(&bytes).map(|()| file.into_temp_path()));
    let path = written.map_err(|error| {
        tracing::error!(%error, "a card's picture could not be written");
        ("The server's disk failed.".to_owned(), size)
    })?;
    Ok(Spilt { path, size, sniffed })
}

impl Platform {
    /// Lets the card's text name what is stored as pictures, takes in what else there is in its file, and tells what is wrong.
    pub(crate) async fn settle_card(&self, mut card: Card, pictures: &Pictures, path: &Path) -> Result<Card, Refusal> {
        let ids = pictures.taken.iter().map(|taken| taken.upload.to_string());
        let taken: Vec<(Asset, String)> = pictures.assets.iter().cloned().zip(ids).collect();
        let path = path.to_owned();
        let settled = self.blocking(move || -> std::io::Result<Card> {
            let named: Vec<_> = taken.iter().map(|(asset, id)| (asset, id.clone())).collect();
            card.place(&named);
            let assets: Vec<_> = taken.iter().map(|(asset, _)| asset).collect();
            card.keep_files(&mut BufReader::new(File::open(path)?), &assets);
            if card.is_too_large() {
                card.warnings.push("Files that the card holds as text are too large to be kept for export.".into());
            }
            Ok(card)
        });
        let mut card = settled.await?.map_err(|error| {
            tracing::error!(%error, "a card could not be read once more");
            Refusal::unavailable("The server's disk failed. Try again in a moment.")
        })?;
        tell(&mut card.warnings, &pictures.wrong);
        Ok(card)
    }

    /// Stores the pictures of a card as uploads of `owner`'s, who is of this tier; they are processed behind it.
    pub(crate) async fn take_card_pictures(
        &self,
        owner: (&UserId, Tier),
        card: &Card,
        path: &Path,
    ) -> Result<Pictures, Refusal> {
        let mut pictures = Pictures::default();
        let (mut left, most) = (MOST_BYTES, self.media()?.caps.picture_bytes);
        for asset in &card.assets {
            let called = if asset.name.is_empty() { "without a name" } else { asset.name.as_str() };
            let called = fitted(called, 60);
            let (from, of) = (path.to_owned(), asset.clone());
            let spilt = self.blocking(move || spill(&from, &of, most.min(left))).await?;
            match spilt {
                Ok(Spilt { path, size, sniffed }) => {
                    left = left.saturating_sub(size);
                    let file = Received { path: &path, size, sniffed };
                    let upload = self.store_upload(owner, self.ambient.id(), file, None).await?.id;
                    pictures.taken.push(Taken { upload, words: words_of(asset), called });
                    pictures.assets.push(asset.clone());
                }
                Err((why, size)) => {
                    left = left.saturating_sub(size);
                    pictures.wrong.push(not_taken(&called, &why));
                }
            }
        }
        Ok(pictures)
    }

    /// Puts a card's pictures into the gallery of the character that it made; answers how many could not be.
    pub(crate) async fn put_card_pictures(
        &self,
        owner: &UserId,
        character: &CharacterId,
        taken: &[Taken],
        warnings: &mut Vec<String>,
    ) -> usize {
        let mut wrong = Vec::new();
        for Taken { upload, words, called } in taken {
            match self.put_picture(owner, character, upload, words.clone()).await {
                // One that failed meanwhile is told of with its reason.
                Ok(()) | Err(Refusal { code: Code::Validation, .. }) => {}
                Err(refusal) => wrong.push(not_taken(called, &refusal.detail)),
            }
        }
        tell(warnings, &wrong);
        wrong.len()
    }

    /// Waits some seconds for the pictures of a card to be processed, and tells of those that failed or take longer;
    /// answers how many failed.
    pub(crate) async fn await_card_pictures(&self, taken: &[Taken], warnings: &mut Vec<String>) -> usize {
        let (began, mut slow, mut wrong) = (Instant::now(), 0, Vec::new());
        for Taken { upload, called, .. } in taken {
            loop {
                let Ok(Some(found)) = self.store.upload(upload).await else { break };
                match found.status {
                    UploadStatus::Ready => break,
                    UploadStatus::Failed => {
                        let why = found.details.error.unwrap_or_else(|| "It could not be processed.".into());
                        wrong.push(not_taken(called, &why));
                        break;
                    }
                    UploadStatus::Processing if began.elapsed() >= self.settings.upload_patience => {
                        slow += 1;
                        break;
                    }
                    UploadStatus::Processing => tokio::time::sleep(LOOK_EVERY).await,
                }
            }
        }
        tell(warnings, &wrong);
        if slow > 0 {
            warnings.push(format!(
                "Still being processed, and in the gallery when they are ready: {slow} of the pictures."
            ));
        }
        wrong.len()
    }

    /// The gallery of a character with its bytes, `most` of them at the most, as an archive has them; the caller has checked who asks.
    pub(crate) async fn gallery_files(
        &self,
        character: &CharacterId,
        most: u64,
    ) -> Result<Vec<(ExportedAsset, Vec<u8>)>, Refusal> {
        let gallery = self.store.gallery(character).await.or_refuse()?;
        let items = gallery.map(|gallery| gallery.items).unwrap_or_default();
        let size = |item: &GalleryItem, name: &str| variant(item, name).map_or(0, |(size, _)| size);
        let fits = |name: &&str| items.iter().map(|item| size(item, name)).sum::<u64>() <= most;
        let name = ["full", "display", "thumb"].into_iter().find(fits).unwrap_or("thumb");
        let mut files = Vec::with_capacity(items.len());
        let mut left = most;
        for (n, item) in items.into_iter().enumerate() {
            let Some((size, mime)) = variant(&item, name).filter(|(size, _)| *size <= left) else { continue };
            left -= size;
            let bytes = match self.media()?.read_all(&key_of(&item.id, name), size).await {
                Ok(bytes) => bytes,
                Err(error) => {
                    tracing::warn!(%error, "a picture is missing from a card");
                    continue;
                }
            };
            let folder = if item.expression.is_some() { "emotion" } else { "other" };
            let ending = mime.rsplit('/').next().unwrap_or("webp");
            let uri = format!("embeded://assets/{folder}/image/{}.{ending}", n + 1);
            let (id, ext) = (item.id.to_string(), ending.to_owned());
            files.push((ExportedAsset { id, uri, ext, expression: item.expression, caption: item.caption }, bytes));
        }
        Ok(files)
    }
}

/// Bytes and type of a picture in one of its sizes.
fn variant<'i>(item: &'i GalleryItem, name: &str) -> Option<(u64, &'i str)> {
    let found = item.variants.iter().find(|view| view.variant.name == name)?;
    Some((found.variant.size, &found.variant.mime_type))
}

/// The avatar, which is a WebP, as the main picture of a card.
fn icon(uri: String) -> ExportedAsset {
    ExportedAsset { id: String::new(), uri, ext: "webp".into(), expression: None, caption: String::new() }
}

/// An archive of a card: its text, its main picture, the others, and what other files it came with.
pub(crate) fn archive(
    card: aim_cards::Export,
    avatar: Option<Vec<u8>>,
    files: Vec<(ExportedAsset, Vec<u8>)>,
) -> zip::result::ZipResult<Vec<u8>> {
    const ICON: &str = "assets/icon/image/main.webp";
    let packed = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    let as_it_is = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let (assets, bytes): (Vec<_>, Vec<_>) = files.into_iter().unzip();
    let main = avatar.as_ref().map(|_| icon(format!("embeded://{ICON}")));
    let (card, others) = card.with_assets(main.as_ref(), &assets, Form::Archive);
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    archive.start_file("card.json", packed)?;
    archive.write_all(card.json().as_bytes())?;
    let names = assets.iter().map(|asset| asset.uri.trim_start_matches("embeded://"));
    let pictures = avatar.iter().map(|bytes| (ICON, bytes)).chain(names.zip(&bytes));
    for (name, bytes) in pictures.chain(others.iter().map(|(name, bytes)| (name.as_str(), bytes))) {
        archive.start_file(name, as_it_is)?;
        archive.write_all(bytes)?;
    }
    Ok(archive.finish()?.into_inner())
}

/// A picture with the card in it, and the pictures of the gallery in chunks of their own.
pub(crate) fn in_png(
    card: aim_cards::Export,
    picture: &[u8],
    files: Vec<(ExportedAsset, Vec<u8>)>,
) -> Result<Vec<u8>, Unfit> {
    let (mut assets, bytes): (Vec<_>, Vec<_>) = files.into_iter().unzip();
    let chunks: Vec<String> = card.free_chunks().take(assets.len()).collect();
    assets.iter_mut().zip(&chunks).for_each(|(asset, name)| asset.uri = format!("__asset:{name}"));
    let (card, _) = card.with_assets(None, &assets, Form::Text);
    let files: Vec<(String, &[u8])> = chunks.into_iter().zip(bytes.iter().map(Vec::as_slice)).collect();
    aim_cards::into_png(picture, &card, &files)
}

/// A card's text with the pictures of the gallery in it, and the main one where the card named one.
pub(crate) fn in_json(
    card: aim_cards::Export,
    avatar: Option<Vec<u8>>,
    files: Vec<(ExportedAsset, Vec<u8>)>,
) -> Vec<u8> {
    let as_text = |ext: &str, bytes: &[u8]| format!("data:image/{ext};base64,{}", STANDARD.encode(bytes));
    let placed = |(asset, bytes): (ExportedAsset, Vec<u8>)| ExportedAsset { uri: as_text(&asset.ext, &bytes), ..asset };
    let assets: Vec<_> = files.into_iter().map(placed).collect();
    let avatar = avatar.filter(|bytes| bytes.len() <= MOST_OF_ICON && card.names_its_picture());
    let main = avatar.map(|bytes| icon(as_text("webp", &bytes)));
    card.with_assets(main.as_ref(), &assets, Form::Text).0.json().into_bytes()
}
