//! Uploads: rows of what people sent, and of what they are sending in parts. The bytes lie elsewhere, under names made
//! from the id.
//!
//! Work on an upload is claimed like a reply: a row is *due* while it is `processing` and no living server holds it.
//! What is deleted stays as a row without an owner's sight until its bytes are gone, so that a crash leaves no stray file.

use crate::Result;
use aim_domain::{Incarnation, MediaKind, Timestamp, Upload, UploadDetails, UploadId, UploadVariant, UserId};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct NewUpload {
    pub id: UploadId,
    pub owner: UserId,
    pub kind: MediaKind,
    pub mime_type: String,
    /// Bytes.
    pub size: u64,
}

/// The right to process an upload: it holds while the holder's lease does and nobody else claimed it.
#[derive(Clone, Debug, PartialEq)]
pub struct UploadClaim {
    pub upload: Upload,
    pub holder: Incarnation,
    /// Counted from 1; the fence of this claim.
    pub attempt: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ClaimedUpload {
    Claimed(Box<UploadClaim>),
    /// Another living server has it.
    Held,
    /// It is done already.
    NotDue(Box<Upload>),
    /// There is none, or it is deleted.
    NotFound,
    /// The one who asks has no lease.
    NoLease,
}

#[derive(Clone, Debug, PartialEq)]
pub enum UploadEnd {
    Ready {
        variants: Vec<UploadVariant>,
        details: UploadDetails,
    },
    /// With a sentence for the person.
    Failed(String),
    /// Given back: it is due again.
    Due,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueUpload {
    pub id: UploadId,
    /// How often it was claimed so far.
    pub attempts: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteUpload {
    Deleted,
    /// A message or a picture of a profile or character shows it.
    InUse,
    NotFound,
}

/// Bytes of an upload that comes in parts, under a key of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub key: String,
    pub size: u64,
}

/// An upload that comes in parts and is not whole yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resumable {
    pub id: UploadId,
    pub owner: UserId,
    /// Bytes of the whole.
    pub length: u64,
    /// The sum of the parts: where the next one begins.
    pub received: u64,
    /// In order.
    pub parts: Vec<Part>,
    pub created_at: Timestamp,
}

/// What is kept under an upload's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadBytes {
    /// The file and its variants: of an upload, and of one in parts, which is to become one.
    Whole,
    /// Parts of one that is not whole yet.
    Parts,
}

/// Uploads whose bytes wait to be removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOver {
    pub deleted: u64,
    /// In parts, that nobody goes on with.
    pub expired: u64,
}

/// What a store does for uploads. Every change that somebody may have cached writes `Change::Upload`; who holds a claim
/// is cached by nobody.
#[async_trait]
pub trait Uploads: Send + Sync {
    /// A row that is due. The same id again answers the first row; `from` is the upload in parts that it was, which is gone
    /// with this commit.
    async fn create_upload(&self, new: NewUpload, from: Option<&UploadId>) -> Result<Upload>;
    /// Whoever's it is, for servers: who asks is compared with `owner`.
    async fn upload(&self, id: &UploadId) -> Result<Option<Upload>>;
    /// To whoever may see it: its owner, the members of a conversation with a message that shows it, and everyone, `viewer`
    /// none included, where its owner uses it as the picture of their profile or character.
    async fn visible_upload(&self, id: &UploadId, viewer: Option<&UserId>) -> Result<Option<Upload>>;
    /// One compare-and-set. Who holds it already claims it anew, since the answer may have been lost; the claim before is
    /// over then.
    async fn claim_upload(&self, id: &UploadId, holder: &Incarnation) -> Result<ClaimedUpload>;
    /// None when the claim is lost.
    async fn end_upload(&self, claim: &UploadClaim, end: UploadEnd) -> Result<Option<Upload>>;
    /// Those that are due, oldest first, only those after `after`.
    async fn due_uploads(&self, after: Option<&UploadId>, limit: u32) -> Result<Vec<DueUpload>>;
    /// Deletes what nothing shows. Without an owner: whoever's it is.
    async fn delete_upload(&self, id: &UploadId, owner: Option<&UserId>) -> Result<DeleteUpload>;
    /// Those that are done for longer than `age` and that nothing shows, oldest first, only those after `after`.
    async fn orphaned_uploads(&self, age: Duration, after: Option<&UploadId>, limit: u32) -> Result<Vec<UploadId>>;
    /// Those that are deleted and whose bytes may still be there.
    async fn deleted_uploads(&self, limit: u32) -> Result<Vec<UploadId>>;
    /// Removes the row of one that is deleted, once its bytes are gone.
    async fn forget_upload(&self, id: &UploadId) -> Result<()>;

    /// Makes the row of an upload in parts. None when its owner has `most` of them already; the same id again is one.
    async fn create_resumable(
        &self,
        id: &UploadId,
        owner: &UserId,
        length: u64,
        most: u32,
    ) -> Result<Option<Resumable>>;
    /// As `upload`.
    async fn resumable(&self, id: &UploadId) -> Result<Option<Resumable>>;
    /// Adds a part whose first byte is number `offset`. None, and nothing added, when the next part begins elsewhere.
    async fn add_part(&self, id: &UploadId, owner: &UserId, offset: u64, part: &Part) -> Result<Option<Resumable>>;
    /// Removes the row. False when there was none; the parts are the caller's to remove, before.
    async fn delete_resumable(&self, id: &UploadId) -> Result<bool>;
    /// Those that began longer than `age` ago, and those of nobody.
    async fn expired_resumables(&self, age: Duration, limit: u32) -> Result<Vec<Resumable>>;

    /// How many there are of `deleted_uploads` and of `expired_resumables`.
    async fn left_over(&self, age: Duration) -> Result<LeftOver>;
    /// Those of `ids` for which no row, a deleted one included, says that such bytes are kept.
    async fn unknown_uploads(&self, ids: &[UploadId], of: UploadBytes) -> Result<Vec<UploadId>>;

    /// A secret that all servers share: `fresh` where there is none of that name yet.
    async fn secret(&self, name: &str, fresh: &str) -> Result<String>;
}
