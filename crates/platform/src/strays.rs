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
/// A look at a place with more files than can be listed in this time ends; what it found is done.
const LONGEST_LOOK: Duration = Duration::from_secs(240);
/// Where more uploads are unknown than this, and more than are known, place and database do not belong together.
const MISTAKEN: u64 = 100;

/// What one look saw: uploads by their ids, and files that no row knows.
#[derive(Default)]
struct Look {
    known: u64,
    unknown: u64,
    strays: u64,
}

/// The upload that a key belongs to; none for what is not ours.
fn owner_of(key: &str) -> Option<UploadId> {
    key.split('/').nth(1)?.parse().ok()
}

fn failed(error: FilesError) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

impl Platform {
    /// Removes files of uploads that no row knows and that are older than `age`, and answers how many; without `act` only
    /// counts them. Nothing goes where most of what lies there is unknown: another database may know it.
    pub async fn remove_strays(&self, age: Duration, act: bool) -> Result<u64, StoreError> {
        let Ok(media) = self.media() else { return Ok(0) };
        let seen = self.look_for_strays(media, age, false).await?;
        if !act || seen.strays == 0 {
            return Ok(seen.strays);
        }
        if seen.unknown > MISTAKEN && seen.unknown > seen.known {
            tracing::warn!(
                place = %media.files, known = seen.known, unknown = seen.unknown,
                "the database does not know most of the uploads that lie here: none is removed. Does another one?"
            );
            return Ok(0);
        }
        Ok(self.look_for_strays(media, age, true).await?.strays)
    }

    async fn look_for_strays(&self, media: &Media, age: Duration, act: bool) -> Result<Look, StoreError> {
        let before = self.ambient.now().0.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
        let began = Instant::now();
        let mut look = Look::default();
        for (folder, of) in FOLDERS {
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
            if act {
                media.files.delete(key).await.map_err(failed)?;
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
        let of = |key| owner_of(key).map(|id| id.to_string());
        assert_eq!(of("uploads/0199-a/original").as_deref(), Some("0199-a"));
        assert_eq!(of("parts/0199-a/0-0199-b").as_deref(), Some("0199-a"));
        assert_eq!((of("uploads"), of("uploads/a.b/original"), of("")), (None, None, None));
    }
}
