//! `media-processing`: one upload. Due in the database: an upload that is `processing` and that no living server holds.
//!
//! A picture gets its variants and its blur hash, and its original goes: what is kept of it was encoded anew. Audio gets its
//! length, its waveform and, where an endpoint is configured, its transcript. A file that is not fit fails at once, with the
//! reason; what may pass is tried again; a file that took a server down with it is given up after as many claims.

use super::order::{self, Class};
use super::{Ran, Runs};
use crate::Platform;
use crate::media::{Media, Recording, key_of};
use aim_backbone::Fault;
use aim_backbone::queue::{self, Failure, NewJob, Run, Worker};
use aim_domain::upload::ORIGINAL;
use aim_domain::{MediaKind, Timestamp, Upload, UploadDetails, UploadId, UploadVariant};
use aim_media::{FilesError, Unfit};
use aim_store::{ClaimedUpload, UploadClaim, UploadEnd};
use bytes::Bytes;
use futures::FutureExt;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

pub const QUEUE: &str = queue::MEDIA_PROCESSING;
pub const NAME: &str = "process";
/// Runs of a job, and claims of an upload, at the most.
const ATTEMPTS: u32 = 3;
const BACKOFF: Duration = Duration::from_secs(2);
/// A run that takes longer is dropped; a transcript of an hour takes its time.
const TIMEOUT: Duration = Duration::from_secs(300);

/// `{uploadId, attempt}`. Premium users' go first, within a bound.
pub fn job(upload: &UploadId, attempt: u32, premium: bool, now: Timestamp) -> NewJob {
    NewJob {
        queue: QUEUE,
        name: NAME,
        id: job_id(upload, attempt),
        data: json!({ "uploadId": upload, "attempt": attempt }),
        attempts: ATTEMPTS,
        backoff: BACKOFF,
        delay: Duration::ZERO,
        priority: order::priority(now, Duration::ZERO, Class::Ordinary, premium),
    }
}

pub fn job_id(upload: &UploadId, attempt: u32) -> String {
    format!("upload-{upload}-{attempt}")
}

/// What came of looking at a file.
enum Seen {
    Fit(Vec<UploadVariant>, UploadDetails),
    /// With a sentence for the person.
    Unfit(String),
    /// With words for the log; another try may help.
    Passing(String),
}

/// A claim that is given back unless it was settled, dropped by a time-out or in a panic too.
struct UnderWay {
    platform: Platform,
    claim: Option<UploadClaim>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let (Some(claim), Ok(runtime)) = (self.claim.take(), Handle::try_current()) {
            let platform = self.platform.clone();
            runtime.spawn(async move { platform.give_upload_back(&claim).await });
        }
    }
}

impl Platform {
    /// Begins to process uploads in this process.
    pub(crate) async fn work_media(&self) -> Result<Arc<dyn Worker>, Fault> {
        let runs = Runs { queue: QUEUE, concurrency: self.settings.media_concurrency, timeout: Some(TIMEOUT) };
        self.work_on(runs, |platform, run| async move { platform.run_media_job(run).await }.boxed()).await
    }

    async fn run_media_job(&self, run: Run) -> Ran {
        let id = run.data.get("uploadId").and_then(Value::as_str).and_then(|id| id.parse::<UploadId>().ok());
        let Some(id) = id else { return Err(Failure::Final("the job's data name no upload".into())) };
        let retry = |why: &str| Err(Failure::Retry(why.to_owned()));
        let Some(holder) = self.lease.current() else { return retry("this server has no lease") };
        let Ok(media) = self.media() else { return retry("this server has no place for media") };
        let claim = match self.store.claim_upload(&id, &holder).await {
            Ok(ClaimedUpload::Claimed(claim)) => *claim,
            Ok(ClaimedUpload::Held) => return Ok(json!({ "outcome": "busy elsewhere" })),
            Ok(ClaimedUpload::NotDue(upload)) => {
                // The answer of its end may have been lost, and with it what its owner is told.
                self.tell_upload(&upload).await;
                return Ok(json!({ "outcome": "done before" }));
            }
            Ok(ClaimedUpload::NotFound) => return Ok(json!({ "outcome": "gone" })),
            Ok(ClaimedUpload::NoLease) => return retry("this server has no lease"),
            Err(error) => return Err(Failure::Retry(error.to_string())),
        };
        let mut under_way = UnderWay { platform: self.clone(), claim: Some(claim.clone()) };
        let seen = if claim.attempt > ATTEMPTS {
            Seen::Unfit("The file could not be processed.".into())
        } else {
            self.look_at(media, &claim.upload, claim.attempt).await
        };
        let (end, failed) = match seen {
            Seen::Fit(variants, details) => (UploadEnd::Ready { variants, details }, None),
            Seen::Unfit(why) => (UploadEnd::Failed(why.clone()), Some(Failure::Final(why))),
            Seen::Passing(why) if claim.attempt < ATTEMPTS => (UploadEnd::Due, Some(Failure::Retry(why))),
            Seen::Passing(why) => {
                let told = "The file could not be processed just now. Send it again in a while.";
                (UploadEnd::Failed(told.into()), Some(Failure::Final(why)))
            }
        };
        let settled = end != UploadEnd::Due;
        let ended = self.store.end_upload(&claim, end).await.map_err(|error| Failure::Retry(error.to_string()))?;
        under_way.claim = None;
        let Some(upload) = ended else { return Ok(json!({ "outcome": "lost" })) };
        if settled {
            self.settle_upload(media, &upload).await;
        }
        match failed {
            Some(failure) => {
                metrics::counter!("aim_uploads_failed_total", "kind" => upload.kind.as_str()).increment(1);
                Err(failure)
            }
            None => Ok(json!({ "outcome": "ready" })),
        }
    }

    /// Tells of the end, and removes the bytes that nobody is to see.
    async fn settle_upload(&self, media: &Media, upload: &Upload) {
        self.take_in(aim_store::Change::Upload { id: upload.id.clone(), user: upload.owner.clone() }).await;
        self.tell_upload(upload).await;
        if upload.variant(ORIGINAL).is_none()
            && let Err(error) = media.files.delete(&key_of(&upload.id, ORIGINAL)).await
        {
            tracing::warn!(%error, "an original that is shown to nobody remains");
        }
    }

    async fn give_upload_back(&self, claim: &UploadClaim) {
        if let Err(error) = self.store.end_upload(claim, UploadEnd::Due).await {
            tracing::warn!(%error, "an upload's claim was not given back: it is free when this server's lease ends");
        }
    }

    async fn look_at(&self, media: &Media, upload: &Upload, attempt: u32) -> Seen {
        let most = match upload.kind {
            MediaKind::Image => media.caps.picture_bytes,
            MediaKind::Audio => media.caps.audio_bytes,
        };
        let bytes = match media.read_all(&key_of(&upload.id, ORIGINAL), most).await {
            Ok(bytes) => Bytes::from(bytes),
            Err(FilesError::Missing) => return Seen::Passing("its bytes are not there".into()),
            Err(error) => return Seen::Passing(error.to_string()),
        };
        match upload.kind {
            MediaKind::Image => self.look_at_picture(media, upload, bytes).await,
            MediaKind::Audio => self.listen_to(media, upload, bytes, attempt).await,
        }
    }

    async fn look_at_picture(&self, media: &Media, upload: &Upload, bytes: Bytes) -> Seen {
        let caps = media.caps.clone();
        let picture = match decoded(move || aim_media::picture(&bytes, &caps)).await {
            Ok(picture) => picture,
            Err(seen) => return seen,
        };
        let mut variants = Vec::with_capacity(picture.variants.len());
        for variant in picture.variants {
            variants.push(UploadVariant {
                name: variant.name.to_owned(),
                mime_type: variant.mime.to_owned(),
                size: variant.bytes.len() as u64,
                width: Some(variant.width),
                height: Some(variant.height),
            });
            let key = key_of(&upload.id, variant.name);
            if let Err(error) = media.files.put(&key, variant.bytes.into()).await {
                return Seen::Passing(error.to_string());
            }
        }
        let details = UploadDetails {
            width: Some(picture.width),
            height: Some(picture.height),
            blur_hash: Some(picture.blur_hash),
            ..Default::default()
        };
        Seen::Fit(variants, details)
    }

    async fn listen_to(&self, media: &Media, upload: &Upload, bytes: Bytes, attempt: u32) -> Seen {
        let (caps, heard) = (media.caps.clone(), bytes.clone());
        let audio = match decoded(move || aim_media::audio(&heard, &caps)).await {
            Ok(audio) => audio,
            Err(seen) => return seen,
        };
        let mut transcript = None;
        if let Some(ear) = &media.ear {
            match ear.transcribe(Recording { bytes, mime_type: upload.mime_type.clone() }).await {
                Ok(text) => transcript = Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
                Err(why) if why.retryable && attempt < ATTEMPTS => return Seen::Passing(why.to_string()),
                // A voice message that is heard by people alone is better than none.
                Err(error) => {
                    metrics::counter!("aim_transcripts_failed_total").increment(1);
                    tracing::warn!(%error, "a voice message has no transcript");
                }
            }
        }
        let original = UploadVariant {
            name: ORIGINAL.into(),
            mime_type: upload.mime_type.clone(),
            size: upload.size,
            width: None,
            height: None,
        };
        let details = UploadDetails {
            length_ms: Some(audio.length_ms),
            waveform: Some(audio.waveform),
            transcript,
            ..Default::default()
        };
        Seen::Fit(vec![original], details)
    }
}

/// Off the threads that serve.
async fn decoded<T: Send + 'static>(decode: impl FnOnce() -> Result<T, Unfit> + Send + 'static) -> Result<T, Seen> {
    match tokio::task::spawn_blocking(decode).await {
        Ok(Ok(decoded)) => Ok(decoded),
        Ok(Err(why)) => Err(Seen::Unfit(why.to_string())),
        Err(_) => Err(Seen::Passing("the decoder ended badly".into())),
    }
}
