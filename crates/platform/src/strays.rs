//! Bytes that no row knows: a server puts them away before it makes their row, and may die in between; a deletion that
//! failed leaves some as well. They are found by listing all that is stored, and go when they are old enough that no row is
//! to come.

use crate::Platform;
use crate::media::Media;
use aim_domain::{Timestamp, UploadId};
use aim_media::FilesError;
use aim_store::{StoreError, UploadBytes};
use futures::StreamExt;
use std::collections::BTreeMap;
use std::time::{Duration, Instant, UNIX_EPOCH};

/// Where uploads lie, and where their parts do; see `media::key_of` and `media::part_key`.
const FOLDERS: [(&str, UploadBytes); 2] = [("uploads", UploadBytes::Whole), ("parts", UploadBytes::Parts)];
/// Uploads whose rows are asked for at a time.
const ASKED_AT_ONCE: usize = 500;
/// Files of one upload that are looked at together; more of them are of the next look.
const FILES_AT_ONCE: usize = 10_000;
/// A look at a folder with more files than can be listed in this time ends; what it found is done.
const LONGEST_LOOK: Duration = Duration::from_secs(120);

/// What one look saw: uploads by their ids, and files that no row knows.
#[derive(Default)]
struct Look {
    known: u64,
    unknown: u64,
    strays: u64,
}

/// The upload that a key belongs to; none for what no server of ours put there: ids of uploads are made here alone, as UUIDs of
/// version 7, and a key has three parts.
fn owner_of(key: &str) -> Option<UploadId> {
    let mut parts = key.split('/').skip(1);
    let (id, name) = (parts.next()?, parts.next()?);
    let id: UploadId = id.parse().ok()?;
    let is_plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    (id.is_made_here() && is_plain && parts.next().is_none()).then_some(id)
}

fn failed(error: FilesError) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

impl Platform {
    /// Removes files of uploads that no row knows and that are older than `age`, and answers how many; without `act` only
    /// counts them. None goes, or is counted, where more uploads are unknown than are known: then the database may be another
    /// one than this place belongs to, new or not restored yet.
    pub async fn remove_strays(&self, age: Duration, act: bool) -> Result<u64, StoreError> {
        let Ok(media) = self.media() else { return Ok(0) };
        let seen = self.look_for_strays(media, age, false).await?;
        if seen.unknown > seen.known {
            tracing::warn!(
                place = %media.files, known = seen.known, unknown = seen.unknown,
                "the database does not know most of the uploads that lie here: none is removed. Does another one?"
            );
            return Ok(0);
        }
        if !act || seen.strays == 0 {
            return Ok(seen.strays);
        }
        Ok(self.look_for_strays(media, age, true).await?.strays)
    }

    async fn look_for_strays(&self, media: &Media, age: Duration, act: bool) -> Result<Look, StoreError> {
        let before = self.ambient.now().0.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
        let mut look = Look::default();
        for (folder, of) in FOLDERS {
            let began = Instant::now();
            let mut listing = media.files.list(folder);
            let (mut batch, mut files) = (BTreeMap::<UploadId, Vec<String>>::new(), 0);
            while let Some(entry) = listing.next().await {
                if began.elapsed() > LONGEST_LOOK {
                    tracing::info!(place = %media.files, "stray files were looked for in a part of what lies there");
                    break;
                }
                let entry = entry.map_err(failed)?;
                let Some(id) = owner_of(&entry.key) else { continue };
                let modified = entry.modified.duration_since(UNIX_EPOCH).unwrap_or_default();
                if Timestamp(0).plus(modified).0 > before {
                    continue;
                }
                batch.entry(id).or_default().push(entry.key);
                files += 1;
                if batch.len() == ASKED_AT_ONCE || files == FILES_AT_ONCE {
                    self.settle_strays(media, &mut look, std::mem::take(&mut batch), of, act).await?;
                    files = 0;
                }
            }
            self.settle_strays(media, &mut look, batch, of, act).await?;
            let before = UNIX_EPOCH + Duration::from_millis(u64::try_from(before).unwrap_or_default());
            look.strays += media.files.remove_unfinished(folder, before, act).await.map_err(failed)?;
        }
        Ok(look)
    }

    async fn settle_strays(
        &self,
        media: &Media,
        look: &mut Look,
        batch: BTreeMap<UploadId, Vec<String>>,
        of: UploadBytes,
        act: bool,
    ) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let ids: Vec<UploadId> = batch.keys().cloned().collect();
        let unknown = self.store.unknown_uploads(&ids, of).await?;
        look.known += (ids.len() - unknown.len()) as u64;
        look.unknown += unknown.len() as u64;
        let strays: Vec<&String> = unknown.iter().filter_map(|id| batch.get(id)).flatten().collect();
        for key in strays {
            if act && let Err(error) = media.files.delete(key).await {
                // The others go all the same; this one is tried again by the next look.
                tracing::warn!(%error, key, "a stray file could not be removed");
                continue;
            }
            look.strays += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_its_upload_and_nothing_else_does() {
        const ID: &str = "01a22a9e-beb9-7d05-84f4-6038a53cde4d";
        let of = |key: &str| owner_of(&key.replace("ID", ID)).map(|id| id.to_string());
        for key in ["uploads/ID/original", "uploads/ID/thumb", "parts/ID/0-ID"] {
            assert_eq!(of(key).as_deref(), Some(ID), "{key}");
        }
        // A photo of another application in the same bucket among them.
        for key in
            ["", "uploads", "uploads/ID", "uploads/u1/photo", "uploads/ID/a/b", "uploads/ID/photo.jpg", "uploads/ID/"]
        {
            assert_eq!(of(key), None, "{key}");
        }
    }
}
