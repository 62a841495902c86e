//! The pictures of a character beside its avatar, some of which are its faces.

use crate::error::Checks;
use crate::id::UploadId;
use crate::time::Timestamp;
use crate::upload::{Upload, VariantView, media_url};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Pictures of a character at the most.
pub const MOST_PICTURES: u32 = 200;
/// Characters (Unicode scalar values) of a caption, and of an expression's label, at the most.
const LONGEST_CAPTION: usize = 500;
const LONGEST_LABEL: usize = 40;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GalleryItem {
    /// Of the upload that it is.
    pub id: UploadId,
    /// For a screen.
    pub url: String,
    pub thumbnail_url: String,
    pub variants: Vec<VariantView>,
    /// <https://blurha.sh>: what to show before the picture is there.
    pub blur_hash: Option<String>,
    /// Pixels.
    pub width: Option<u32>,
    pub height: Option<u32>,
    /// Empty where it has none.
    pub caption: String,
    /// Which face it is: a mood of the analysis (`joy`, `sadness` …) or any other label, in lower case.
    pub expression: Option<String>,
    /// 0, 1, 2 … in the gallery.
    pub position: u32,
    pub created_at: Timestamp,
}

/// What is said of a picture, beside the upload that it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PictureWords {
    pub caption: String,
    pub expression: Option<String>,
}

impl PictureWords {
    pub fn check(&self, checks: &mut Checks) {
        checks.length("caption", &self.caption, 0, LONGEST_CAPTION);
        if let Some(label) = &self.expression {
            checks.length("expression", label, 1, LONGEST_LABEL);
            let plain = !label.chars().any(char::is_control);
            checks.require(plain, "expression", "must have no control characters");
        }
    }
}

/// A label as it is kept: in lower case, without space around it; none where nothing is left.
pub fn label(said: &str) -> Option<String> {
    Some(said.trim().to_lowercase()).filter(|label| !label.is_empty())
}

impl GalleryItem {
    /// `upload` as the picture at this position.
    pub fn of(upload: &Upload, words: PictureWords, position: u32, created_at: Timestamp) -> Self {
        let view = upload.view();
        Self {
            url: view.url,
            thumbnail_url: media_url(&upload.id, "thumb"),
            variants: view.variants,
            blur_hash: view.details.blur_hash,
            width: view.details.width,
            height: view.details.height,
            id: view.id,
            caption: words.caption,
            expression: words.expression,
            position,
            created_at,
        }
    }
}
