//! Uploads: taking them, showing them to those who may see them, deleting them.
//!
//! The bytes are put away first, then one commit makes the row that is due; a job looks at it (`jobs::media_processing`).

use crate::faults::{OrRefuse, hint};
use crate::jobs::media_processing;
use crate::media::{key_of, stored, unfit};
use crate::{Platform, gate};
use aim_backbone::cache::{Cached, Reach};
use aim_backbone::keys;
use aim_backbone::limits::{Ask, Verdict};
use aim_domain::upload::ORIGINAL;
use aim_domain::{
    Kind, Media, MediaKind, Member, Refusal, Rule, Tier, Upload, UploadId, UploadStatus, UploadVariant, UploadView,
    UserEvent, UserId,
};
use aim_media::{Kind as FileKind, Sniffed};
use aim_store::{Change, DeleteUpload, LeftOver, NewUpload, Resumable, StoreError};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::{Duration, Instant};

/// Between two looks of a message that waits for its upload.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Deleted and expired uploads whose bytes are removed in a round.
const SWEPT_AT_ONCE: u32 = 200;

/// What is known of an upload, as the cache keeps it: whole, or coming in parts.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) enum CachedUpload {
    Whole(Upload),
    Parts(Resumable),
}

impl Cached for CachedUpload {
    const SCHEMA: u16 = 1;
    /// Parts come before the whole.
    fn version(&self) -> i64 {
        const WHOLE: i64 = 1 << 40;
        match self {
            Self::Whole(upload) => WHOLE + upload.version,
            Self::Parts(parts) => i64::try_from(parts.received).unwrap_or(WHOLE),
        }
    }
}

/// A file that came, whole, on this machine's disk.
pub struct Received<'a> {
    pub path: &'a Path,
    /// Bytes; 1 at least.
    pub size: u64,
    pub sniffed: Sniffed,
}

/// What may be served: a variant, and where it lies.
#[derive(Clone, Debug)]
pub struct Served {
    pub upload: Upload,
    pub variant: UploadVariant,
    pub key: String,
}

pub(crate) fn kind_of(sniffed: Sniffed) -> MediaKind {
    match sniffed.kind {
        FileKind::Picture => MediaKind::Image,
        FileKind::Audio => MediaKind::Audio,
    }
}

fn no_upload() -> Refusal {
    Refusal::not_found("upload")
}

impl Platform {
    /// `upload`: once for each file, however many parts it comes in.
    pub fn upload_ask(&self, who: &Member) -> Ask {
        self.user_ask(Rule::Upload, who)
    }

    /// A voice message that is to be transcribed asks a model for more than a reply, and counts `ai`.
    pub async fn admit_transcription(&self, who: &Member, sniffed: Sniffed) -> Result<Option<Verdict>, Refusal> {
        if sniffed.kind != FileKind::Audio || self.media()?.ear.is_none() {
            return Ok(None);
        }
        let verdict = self.admit(&[self.ai_ask(who)]).await?;
        match gate::refusal(&verdict) {
            Some(refusal) => Err(refusal),
            None => Ok(Some(verdict)),
        }
    }

    /// Takes a whole file. Whether it is fit to be shown its processing finds.
    pub async fn create_upload(&self, who: &Member, file: Received<'_>) -> Result<UploadView, Refusal> {
        self.store_upload((who.user_id(), who.tier), self.ambient.id(), file, None).await
    }

    pub(crate) async fn store_upload(
        &self,
        (owner, tier): (&UserId, Tier),
        id: UploadId,
        file: Received<'_>,
        from: Option<&UploadId>,
    ) -> Result<UploadView, Refusal> {
        let media = self.media()?;
        let key = key_of(&id, ORIGINAL);
        stored(media.files.put_file(&key, file.path).await)?;
        let new = NewUpload {
            id,
            owner: owner.clone(),
            kind: kind_of(file.sniffed),
            mime_type: file.sniffed.mime.to_owned(),
            size: file.size,
        };
        let upload = match self.store.create_upload(new, from).await {
            Ok(upload) => upload,
            Err(error) => {
                // Whether it was done is not known when the store did not answer: then the row is due, and needs its bytes.
                if matches!(error, StoreError::Failed(_))
                    && let Err(error) = media.files.delete(&key).await
                {
                    tracing::warn!(%error, key, "a stray file remains");
                }
                return Err(error).or_refuse();
            }
        };
        metrics::counter!("aim_uploads_total", "kind" => upload.kind.as_str()).increment(1);
        self.take_in(Change::Upload { id: upload.id.clone(), user: upload.owner.clone() }).await;
        let job = media_processing::job(&upload.id, 1, tier == Tier::Premium, self.ambient.now());
        hint("hurry an upload", self.backbone.queue.add(job).await.map(drop));
        self.tell_upload(&upload).await;
        Ok(upload.view())
    }

    /// Tells the sockets of its owner, on all servers.
    pub(crate) async fn tell_upload(&self, upload: &Upload) {
        let event = UserEvent::Upload { upload: upload.view() };
        hint("tell of an upload", self.backbone.bus.publish_user(&upload.owner, event.into()).await);
    }

    pub(crate) async fn known_upload(&self, id: &UploadId) -> Result<Option<CachedUpload>, Refusal> {
        let load = async {
            if let Some(upload) = self.store.upload(id).await? {
                return Ok(Some(CachedUpload::Whole(upload)));
            }
            Ok::<_, StoreError>(self.store.resumable(id).await?.map(CachedUpload::Parts))
        };
        let found = self.backbone.cache.get_or_load(&keys::session_upload::<CachedUpload>(id), load).await;
        Ok(found.or_refuse()?.map(|found| (*found).clone()))
    }

    pub(crate) async fn forget_upload(&self, id: &UploadId, reach: Reach) {
        self.backbone.cache.invalidate(&keys::session_upload::<CachedUpload>(id), reach).await;
    }

    /// One of one's own.
    pub async fn upload(&self, who: &Member, id: &UploadId) -> Result<UploadView, Refusal> {
        match self.known_upload(id).await? {
            Some(CachedUpload::Whole(upload)) if upload.owner == *who.user_id() => Ok(upload.view()),
            _ => Err(no_upload()),
        }
    }

    /// Deletes one of one's own that no message, profile or character shows.
    pub async fn delete_upload(&self, who: &Member, id: &UploadId) -> Result<(), Refusal> {
        match self.store.delete_upload(id, Some(who.user_id())).await.or_refuse()? {
            DeleteUpload::Deleted => {
                self.take_in(Change::Upload { id: id.clone(), user: who.user_id().clone() }).await;
                self.remove_deleted(id).await;
                Ok(())
            }
            DeleteUpload::InUse => Err(Refusal::conflict("A message, a profile or a gallery shows this upload.")),
            DeleteUpload::NotFound => Err(no_upload()),
        }
    }

    /// A variant for whoever asks; none: somebody who is not signed in.
    pub async fn served(&self, who: Option<&UserId>, id: &UploadId, variant: &str) -> Result<Served, Refusal> {
        let found = self.store.visible_upload(id, who).await.or_refuse()?;
        let upload = found.ok_or_else(|| Refusal::not_found("file"))?;
        self.variant_of(upload, variant)
    }

    /// As `served`, for whoever has a signed address, which is for this variant alone.
    pub async fn served_to_bearer(&self, id: &UploadId, variant: &str) -> Result<Served, Refusal> {
        let found = self.store.upload(id).await.or_refuse()?;
        self.variant_of(found.ok_or_else(|| Refusal::not_found("file"))?, variant)
    }

    fn variant_of(&self, upload: Upload, name: &str) -> Result<Served, Refusal> {
        let variant = upload.variant(name).cloned().ok_or_else(|| Refusal::not_found("file"))?;
        Ok(Served { key: key_of(&upload.id, &variant.name), variant, upload })
    }

    /// What a message of `kind` says of an upload of the sender's, waiting some seconds for one that is being processed.
    pub(crate) async fn attachment(&self, who: &Member, kind: Kind, id: &UploadId) -> Result<Media, Refusal> {
        let began = Instant::now();
        loop {
            let found = self.store.upload(id).await.or_refuse()?;
            let Some(upload) = found.filter(|upload| upload.owner == *who.user_id()) else {
                return Err(Refusal::invalid("uploadId", "is no upload of yours"));
            };
            if upload.kind.of_message() != kind {
                let what = match upload.kind {
                    MediaKind::Image => "is a picture: send it as type image",
                    MediaKind::Audio => "is audio: send it as type audio",
                };
                return Err(Refusal::invalid("uploadId", what));
            }
            match upload.status {
                UploadStatus::Ready => return Ok(upload.media()),
                UploadStatus::Failed => {
                    let why = upload.details.error.as_deref().unwrap_or("it could not be processed");
                    return Err(Refusal::invalid("uploadId", format!("cannot be used: {why}")));
                }
                UploadStatus::Processing if began.elapsed() < self.settings.upload_patience => {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                UploadStatus::Processing => {
                    let detail = "The upload is still being processed. Send the message when it is ready.";
                    return Err(Refusal::conflict(detail).retry_after(Duration::from_secs(2)));
                }
            }
        }
    }

    /// Removes the bytes of a deleted upload, then its row; what fails is tried again by the sweep. False when it did.
    pub(crate) async fn remove_deleted(&self, id: &UploadId) -> bool {
        let Ok(media) = self.media() else { return false };
        if let Err(error) = media.remove(id).await {
            tracing::warn!(%error, "a deleted upload's files remain for now");
            return false;
        }
        if let Err(error) = self.store.forget_upload(id).await {
            tracing::warn!(%error, "a deleted upload's row remains for now");
            return false;
        }
        true
    }

    /// Removes what is left of deleted uploads, and of parts that nobody goes on with: a portion, and answers how much.
    pub(crate) async fn sweep_uploads(&self) -> Result<LeftOver, StoreError> {
        let mut swept = LeftOver::default();
        let Ok(media) = self.media() else { return Ok(swept) };
        for id in self.store.deleted_uploads(SWEPT_AT_ONCE).await? {
            swept.deleted += u64::from(self.remove_deleted(&id).await);
        }
        for parts in self.store.expired_resumables(self.settings.resumable_age, SWEPT_AT_ONCE).await? {
            self.drop_parts(media, &parts).await?;
            swept.expired += 1;
        }
        Ok(swept)
    }

    /// As `sweep_uploads`, all of it; without `act` only counts.
    pub(crate) async fn sweep_all_uploads(&self, act: bool) -> Result<LeftOver, StoreError> {
        if !act {
            return self.store.left_over(self.settings.resumable_age).await;
        }
        let mut all = LeftOver::default();
        loop {
            let swept = self.sweep_uploads().await?;
            all.deleted += swept.deleted;
            all.expired += swept.expired;
            // What cannot be removed now comes up again.
            if swept == LeftOver::default() {
                return Ok(all);
            }
        }
    }

    /// Deletes uploads that nothing has shown for longer than `age`, and answers how many; without `act` only counts them.
    pub async fn delete_orphaned_uploads(&self, age: Duration, act: bool) -> Result<u64, StoreError> {
        let (mut after, mut count) = (None, 0);
        loop {
            let orphans = self.store.orphaned_uploads(age, after.as_ref(), SWEPT_AT_ONCE).await?;
            for id in &orphans {
                if !act || self.store.delete_upload(id, None).await? == DeleteUpload::Deleted {
                    count += 1;
                }
                if act {
                    self.remove_deleted(id).await;
                }
            }
            match orphans.last() {
                Some(last) => after = Some(last.clone()),
                None => return Ok(count),
            }
        }
    }
}

/// What is wrong with a file before it is whole, from its first bytes.
pub fn sniff(head: &[u8]) -> Result<Sniffed, Refusal> {
    aim_media::sniff(head).map_err(|why| unfit(&why))
}
