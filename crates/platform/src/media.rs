//! Where uploads lie and who looks at them: what a server brings along to take pictures and voice messages.

use crate::Platform;
use aim_domain::{Code, Refusal, UploadId};
use aim_media::{Caps, Fault, Files, FilesError, Unfit};
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use std::sync::Arc;

/// Turns speech into text.
#[async_trait]
pub trait Ear: Send + Sync + 'static {
    /// What is said in a recording; empty where nobody speaks.
    async fn transcribe(&self, recording: Recording) -> Result<String, Unheard>;
}

#[derive(Clone, Debug)]
pub struct Recording {
    pub bytes: Bytes,
    /// `audio/webm`.
    pub mime_type: String,
}

/// Why there is no transcript; the text is for the log, and holds nothing that was said.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{detail}")]
pub struct Unheard {
    pub detail: String,
    /// Whether another try may help.
    pub retryable: bool,
}

#[derive(Clone)]
pub struct Media {
    pub files: Files,
    pub caps: Caps,
    /// None: voice messages have no transcript.
    pub ear: Option<Arc<dyn Ear>>,
}

/// Under which key a variant lies.
pub(crate) fn key_of(id: &UploadId, variant: &str) -> String {
    format!("uploads/{id}/{variant}")
}

pub(crate) fn folder_of(id: &UploadId) -> String {
    format!("uploads/{id}")
}

/// Of an upload that comes in parts; no two calls write the same key.
pub(crate) fn part_key(id: &UploadId, offset: u64, call: &str) -> String {
    format!("parts/{id}/{offset}-{call}")
}

/// What is wrong with a file, as its sender is told.
pub fn unfit(why: &Unfit) -> Refusal {
    let code = match why.fault() {
        Fault::Unsupported => Code::UnsupportedMediaType,
        Fault::TooLarge => Code::PayloadTooLarge,
        Fault::Bad => Code::Validation,
    };
    match code {
        Code::Validation => Refusal { detail: why.to_string(), ..Refusal::invalid("file", why.to_string()) },
        _ => Refusal::new(code, why.to_string()),
    }
}

pub(crate) fn stored<T>(outcome: Result<T, FilesError>) -> Result<T, Refusal> {
    outcome.map_err(|error| {
        tracing::error!(%error, "the file storage failed");
        Refusal::unavailable("The file storage does not answer. Try again in a moment.")
    })
}

impl Media {
    /// The whole of what lies under a key, if it has `most` bytes at most.
    pub(crate) async fn read_all(&self, key: &str, most: u64) -> Result<Vec<u8>, FilesError> {
        let found = self.files.get(key).await?.ok_or(FilesError::Missing)?;
        if found.size > most {
            return Err(FilesError::Storage(format!("{} bytes lie there, {most} is the most", found.size)));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(found.size).unwrap_or_default());
        let mut stream = self.files.read(key, 0..found.size).await?;
        while let Some(piece) = stream.next().await {
            bytes.extend_from_slice(&piece?);
        }
        if bytes.len() as u64 == found.size { Ok(bytes) } else { Err(FilesError::Storage("cut off".into())) }
    }

    /// Removes everything of an upload.
    pub(crate) async fn remove(&self, id: &UploadId) -> Result<(), FilesError> {
        let entries: Vec<_> = self.files.list(&folder_of(id)).collect().await;
        for entry in entries {
            self.files.delete(&entry?.key).await?;
        }
        Ok(())
    }
}

impl Platform {
    /// What this server takes uploads with; once, before it serves.
    pub fn take_media(&self, media: Media) {
        if self.media.set(media).is_err() {
            tracing::error!("the place of uploads was set twice; the first one stays");
        }
    }

    pub fn media(&self) -> Result<&Media, Refusal> {
        self.media.get().ok_or_else(|| Refusal::unavailable("This server takes no pictures and voice messages."))
    }
}
