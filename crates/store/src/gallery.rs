//! Galleries: the pictures of a character, each an upload that is named there. Whoever may see the character may see them;
//! who asks is checked with the character, by the caller.

use crate::Result;
use aim_domain::{CharacterId, GalleryItem, PictureWords, UploadId, UserId};
use async_trait::async_trait;

/// The pictures that are ready, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gallery {
    pub items: Vec<GalleryItem>,
    /// Raised by every change.
    pub version: i64,
}

#[derive(Clone, Debug)]
pub struct NewPicture {
    pub character: CharacterId,
    /// A picture of `owner`'s that did not fail; one that is still being processed is shown when it is ready.
    pub upload: UploadId,
    pub owner: UserId,
    pub words: PictureWords,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddPicture {
    Added,
    /// It has as many as there may be.
    Full,
    /// There is no such character.
    NotFound,
    /// There is no such picture of the owner's, or it failed.
    NoUpload,
}

/// What is absent stays.
#[derive(Clone, Debug, Default)]
pub struct PictureChange {
    pub caption: Option<String>,
    /// `Some(None)` takes the label away.
    pub expression: Option<Option<String>>,
    /// Among those that are shown, from 0; one past the end is the last place.
    pub position: Option<u32>,
}

/// What a store does for galleries. Every change writes `Change::Gallery`, and so does the end of an upload that one names.
#[async_trait]
pub trait Galleries: Send + Sync {
    /// None where there is no such character.
    async fn gallery(&self, character: &CharacterId) -> Result<Option<Gallery>>;
    /// At the end. The same one again changes nothing.
    async fn add_picture(&self, new: NewPicture, most: u32) -> Result<AddPicture>;
    /// False when it is not there.
    async fn change_picture(&self, character: &CharacterId, id: &UploadId, change: PictureChange) -> Result<bool>;
    /// Its upload stays. False when it is not there.
    async fn remove_picture(&self, character: &CharacterId, id: &UploadId) -> Result<bool>;
}

/// The rows of a gallery in their new order, when `moved` comes to `place` among those that are shown. A row is its upload
/// and whether it is shown.
pub(crate) fn reordered(rows: Vec<(String, bool)>, moved: &str, place: u32) -> Vec<String> {
    let mut rest: Vec<_> = rows.into_iter().filter(|(upload, _)| upload != moved).collect();
    let shown = rest.iter().enumerate().filter(|(_, (_, is_shown))| *is_shown).map(|(at, _)| at);
    let at = shown.clone().nth(usize::try_from(place).unwrap_or(usize::MAX)).unwrap_or(rest.len());
    rest.insert(at, (moved.to_owned(), true));
    rest.into_iter().map(|(upload, _)| upload).collect()
}
