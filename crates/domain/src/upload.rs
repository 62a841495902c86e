//! A picture or a voice message that somebody sent ahead of the message that it belongs to.

use crate::account::words;
use crate::id::{UploadId, UserId};
use crate::message::{Kind, Media};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an upload is; found in its first bytes, never in its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MediaKind {
    Image,
    Audio,
}

words!(MediaKind { "image" => MediaKind::Image, "audio" => MediaKind::Audio });

impl MediaKind {
    /// The kind of message that it goes with.
    pub fn of_message(self) -> Kind {
        match self {
            Self::Image => Kind::Image,
            Self::Audio => Kind::Audio,
        }
    }

    /// The variant that a message shows, and that `url` names.
    pub fn shown(self) -> &'static str {
        match self {
            Self::Image => "display",
            Self::Audio => ORIGINAL,
        }
    }
}

/// The bytes as they came.
pub const ORIGINAL: &str = "original";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UploadStatus {
    /// It is whole, and is being looked at.
    Processing,
    Ready,
    /// It cannot be used; `error` says why.
    Failed,
}

words!(UploadStatus {
    "processing" => UploadStatus::Processing,
    "ready" => UploadStatus::Ready,
    "failed" => UploadStatus::Failed,
});

/// One of the forms in which an upload is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UploadVariant {
    /// `thumb`, `display` or `full` of a picture, `original` of audio.
    pub name: String,
    pub mime_type: String,
    /// Bytes.
    pub size: u64,
    /// Pixels, of a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
}

/// What was found in an upload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UploadDetails {
    /// Pixels, of the picture as it is to be shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// <https://blurha.sh>: what to show before the picture is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blur_hash: Option<String>,
    /// Milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length_ms: Option<u64>,
    /// How loud it is from its beginning to its end, 0 to 255 each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<u32>>)]
    pub waveform: Option<Vec<u8>>,
    /// What is said in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript: Option<String>,
    /// Why it failed, for the person whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Upload {
    pub id: UploadId,
    pub owner: UserId,
    pub kind: MediaKind,
    pub status: UploadStatus,
    /// Of the bytes as they came.
    pub mime_type: String,
    /// Bytes, as they came.
    pub size: u64,
    pub created_at: Timestamp,
    /// Empty until it is ready.
    pub variants: Vec<UploadVariant>,
    #[serde(default)]
    pub details: UploadDetails,
    /// Raised by every change.
    pub version: i64,
}

/// A variant as clients see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VariantView {
    pub url: String,
    #[serde(flatten)]
    pub variant: UploadVariant,
}

/// An upload as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UploadView {
    pub id: UploadId,
    pub kind: MediaKind,
    pub status: UploadStatus,
    /// What a message shows of it; there once it is ready.
    pub url: String,
    pub mime_type: String,
    /// Bytes, as they came.
    pub size: u64,
    pub created_at: Timestamp,
    pub variants: Vec<VariantView>,
    #[serde(flatten)]
    pub details: UploadDetails,
}

/// Where a variant is served.
pub fn media_url(id: &UploadId, variant: &str) -> String {
    format!("/media/{id}/{variant}")
}

impl Upload {
    pub fn view(&self) -> UploadView {
        let variant =
            |variant: &UploadVariant| VariantView { url: media_url(&self.id, &variant.name), variant: variant.clone() };
        UploadView {
            id: self.id.clone(),
            kind: self.kind,
            status: self.status,
            url: media_url(&self.id, self.kind.shown()),
            mime_type: self.mime_type.clone(),
            size: self.size,
            created_at: self.created_at,
            variants: self.variants.iter().map(variant).collect(),
            details: self.details.clone(),
        }
    }

    pub fn variant(&self, name: &str) -> Option<&UploadVariant> {
        self.variants.iter().find(|variant| variant.name == name)
    }

    /// What a message says of it.
    pub fn media(&self) -> Media {
        let shown = self.variant(self.kind.shown());
        let UploadDetails { width, height, blur_hash, length_ms, waveform, transcript, .. } = self.details.clone();
        Media {
            upload_id: self.id.clone(),
            url: media_url(&self.id, self.kind.shown()),
            mime_type: shown.map_or_else(|| self.mime_type.clone(), |shown| shown.mime_type.clone()),
            width: shown.and_then(|shown| shown.width).or(width),
            height: shown.and_then(|shown| shown.height).or(height),
            blur_hash,
            length_ms,
            waveform,
            transcript,
        }
    }
}
