//! Uploads that come in parts and go on after a cut, on any server that shares the media: each part is a file of its own,
//! and the row says which there are and where the next begins.

use crate::Platform;
use crate::faults::OrRefuse;
use crate::media::{Media, part_key, stored, unfit};
use crate::uploads::{CachedUpload, Received};
use aim_domain::{Code, Member, MessageId, Refusal, UploadId, UploadView};
use aim_media::{SNIFFED_BYTES, Unfit};
use aim_store::{Change, Part, Resumable, StoreError};
use futures::StreamExt;
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Parts of an upload at the most: a client whose parts are smaller is told to send larger ones.
const PARTS_MOST: usize = 1_000;

/// Where an upload in parts stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub received: u64,
    pub length: u64,
    /// Milliseconds since the Unix epoch; none once it is whole.
    pub expires: Option<aim_domain::Timestamp>,
}

fn no_upload() -> Refusal {
    Refusal::not_found("upload")
}

impl Platform {
    /// Begins an upload of `length` bytes.
    pub async fn begin_resumable(&self, who: &Member, length: u64) -> Result<(UploadId, Standing), Refusal> {
        let caps = &self.media()?.caps;
        if length == 0 {
            return Err(unfit(&Unfit::Empty));
        }
        let most = caps.audio_bytes.max(caps.picture_bytes);
        if length > most {
            return Err(unfit(&Unfit::TooLarge { most }));
        }
        let (id, at_a_time): (UploadId, _) = (self.ambient.id(), self.settings.resumables_at_a_time);
        let made = self.store.create_resumable(&id, who.user_id(), length, at_a_time).await.or_refuse()?;
        let parts = made.ok_or_else(|| {
            let detail = format!("{at_a_time} uploads are under way already: finish or delete one of them.");
            Refusal::conflict(detail)
        })?;
        Ok((id, self.standing(&parts)))
    }

    fn standing(&self, parts: &Resumable) -> Standing {
        let expires = Some(parts.created_at.plus(self.settings.resumable_age));
        Standing { received: parts.received, length: parts.length, expires }
    }

    /// Where the next part begins.
    pub async fn resumable(&self, who: &Member, id: &UploadId) -> Result<Standing, Refusal> {
        match self.known_upload(id).await? {
            Some(CachedUpload::Parts(parts)) if parts.owner == *who.user_id() => {
                let now = self.standing(&parts);
                if now.expires.is_some_and(|at| at <= self.ambient.now()) { Err(no_upload()) } else { Ok(now) }
            }
            Some(CachedUpload::Whole(upload)) if upload.owner == *who.user_id() => {
                Ok(Standing { received: upload.size, length: upload.size, expires: None })
            }
            _ => Err(no_upload()),
        }
    }

    /// Adds the bytes in `file`, whose first is number `offset` of the whole. The last part makes it an upload.
    pub async fn add_part(
        &self,
        who: &Member,
        id: &UploadId,
        offset: u64,
        file: &Path,
        size: u64,
    ) -> Result<(Standing, Option<UploadView>), Refusal> {
        let media = self.media()?;
        let found = self.store.resumable(id).await.or_refuse()?;
        let before = found.filter(|parts| parts.owner == *who.user_id()).ok_or_else(no_upload)?;
        let elsewhere = || Refusal::conflict("The upload goes on elsewhere: ask for its offset.");
        if before.received != offset {
            return Err(elsewhere());
        }
        if size == 0 {
            return Ok((self.standing(&before), None));
        }
        if before.parts.len() >= PARTS_MOST && offset + size < before.length {
            return Err(Refusal::conflict("The upload has too many parts. Begin anew, with larger ones."));
        }
        if offset == 0 {
            let head = read_head(file).await?;
            // A part that is shorter than what is looked at says nothing yet.
            if tells_kind(size, before.length) {
                let sniffed = self.check_kind(&head, before.length)?;
                self.admit_transcription(who, sniffed).await?;
            }
        }
        let key = part_key(id, offset, self.ambient.id::<MessageId>().as_str());
        stored(media.files.put_file(&key, file).await)?;
        let part = Part { key: key.clone(), size };
        let added = match self.store.add_part(id, who.user_id(), offset, &part).await {
            Ok(added) => added,
            Err(error) => {
                // It may be in the row all the same: the file stays until the upload goes.
                return Err(error).or_refuse();
            }
        };
        let Some(parts) = added else {
            self.delete_file(media, &key).await;
            return Err(elsewhere());
        };
        self.take_in(Change::Upload { id: id.clone(), user: who.user_id().clone() }).await;
        let now = self.standing(&parts);
        if parts.received < parts.length {
            return Ok((now, None));
        }
        let upload = self.join_parts(who, media, &parts, file).await?;
        Ok((Standing { expires: None, ..now }, Some(upload)))
    }

    fn check_kind(&self, head: &[u8], length: u64) -> Result<aim_media::Sniffed, Refusal> {
        let sniffed = aim_media::sniff(head).map_err(|why| unfit(&why))?;
        let most = self.media()?.caps.bytes(sniffed.kind);
        if length > most {
            return Err(unfit(&Unfit::TooLarge { most }));
        }
        Ok(sniffed)
    }

    /// Puts the parts together, over the file that held the last one, and makes them an upload.
    async fn join_parts(
        &self,
        who: &Member,
        media: &Media,
        parts: &Resumable,
        file: &Path,
    ) -> Result<UploadView, Refusal> {
        let broken = |error: std::io::Error| {
            tracing::error!(%error, "parts of an upload could not be put together");
            Refusal::unavailable("The server's disk failed. Try again in a moment.")
        };
        let mut whole = tokio::fs::File::create(file).await.map_err(broken)?;
        for part in &parts.parts {
            let mut stream = stored(media.files.read(&part.key, 0..part.size).await)?;
            while let Some(piece) = stream.next().await {
                whole.write_all(&stored(piece)?).await.map_err(broken)?;
            }
        }
        whole.flush().await.map_err(broken)?;
        drop(whole);
        let head = read_head(file).await?;
        let checked = self.check_kind(&head, parts.length);
        let sniffed = match checked {
            Ok(sniffed) => sniffed,
            Err(refusal) => {
                // It can never become an upload.
                self.drop_parts(media, parts).await.or_refuse()?;
                return Err(refusal);
            }
        };
        // Where the first part told what it is, it was counted then.
        if !parts.parts.first().is_some_and(|first| tells_kind(first.size, parts.length)) {
            self.admit_transcription(who, sniffed).await?;
        }
        let received = Received { path: file, size: parts.length, sniffed };
        let upload = self.store_upload((who.user_id(), who.tier), parts.id.clone(), received, Some(&parts.id)).await?;
        for part in &parts.parts {
            self.delete_file(media, &part.key).await;
        }
        Ok(upload)
    }

    /// Whole by its row, and yet no upload: the server that was to put it together died. Whoever asks does it now.
    pub async fn complete_resumable(&self, who: &Member, id: &UploadId, room: &Path) -> Result<(), Refusal> {
        let found = self.store.resumable(id).await.or_refuse()?;
        match found.filter(|parts| parts.owner == *who.user_id() && parts.received == parts.length) {
            Some(parts) => self.join_parts(who, self.media()?, &parts, room).await.map(drop),
            None => Ok(()),
        }
    }

    /// Ends an upload that is not whole, or deletes the one that it became.
    pub async fn end_resumable(&self, who: &Member, id: &UploadId) -> Result<(), Refusal> {
        let found = self.store.resumable(id).await.or_refuse()?;
        match found.filter(|parts| parts.owner == *who.user_id()) {
            Some(parts) => self.drop_parts(self.media()?, &parts).await.or_refuse(),
            None => self.delete_upload(who, id).await,
        }
    }

    /// Files first: a crash in between leaves the row, which says what is left to do.
    pub(crate) async fn drop_parts(&self, media: &Media, parts: &Resumable) -> Result<(), StoreError> {
        for part in &parts.parts {
            self.delete_file(media, &part.key).await;
        }
        if self.store.delete_resumable(&parts.id).await? {
            self.take_in(Change::Upload { id: parts.id.clone(), user: parts.owner.clone() }).await;
        }
        Ok(())
    }

    async fn delete_file(&self, media: &Media, key: &str) {
        if let Err(error) = media.files.delete(key).await {
            tracing::warn!(%error, key, "a part of an upload remains");
        }
    }
}

/// Whether a first part of `size` bytes says what the whole is.
fn tells_kind(size: u64, length: u64) -> bool {
    size >= SNIFFED_BYTES as u64 || size == length
}

/// The first bytes of a file of this machine.
async fn read_head(file: &Path) -> Result<Vec<u8>, Refusal> {
    let read = async {
        let file = tokio::fs::File::open(file).await?;
        let mut head = Vec::with_capacity(SNIFFED_BYTES);
        file.take(SNIFFED_BYTES as u64).read_to_end(&mut head).await?;
        Ok::<_, std::io::Error>(head)
    };
    read.await.map_err(|error| {
        tracing::error!(%error, "what was received cannot be read");
        Refusal::new(Code::Unavailable, "The server's disk failed. Try again in a moment.")
    })
}
