//! Galleries: the pictures of a character. Each is an upload of its owner's; whoever may see the character sees them.

use crate::Platform;
use crate::faults::OrRefuse;
use aim_backbone::cache::{Cached, Reach, weight_of};
use aim_backbone::keys;
use aim_domain::error::Checks;
use aim_domain::gallery::label;
use aim_domain::{
    CharacterId, Code, GalleryItem, Kind, MOST_PICTURES, Member, PictureWords, Refusal, UploadId, UserId,
};
use aim_store::{AddPicture, Change, DeleteUpload, Gallery, NewPicture, PictureChange, StoreError};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// A gallery as the cache keeps it, an empty one too.
#[derive(Serialize, Deserialize)]
pub(crate) struct CachedGallery {
    items: Arc<Vec<GalleryItem>>,
    version: i64,
}

impl Cached for CachedGallery {
    const SCHEMA: u16 = 1;
    fn version(&self) -> i64 {
        self.version
    }

    fn weight(&self) -> u32 {
        const ITEM: usize = 1_024;
        weight_of(self.items.len() * ITEM)
    }
}

/// A picture that is added to a gallery.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NewGalleryItem {
    /// A picture of one's own; one that is still being processed is waited for, for some seconds.
    pub upload_id: UploadId,
    /// 500 characters at most.
    #[serde(default)]
    pub caption: String,
    /// Which face it is: a mood (`joy`, `sadness`, `anger`, `fear`, `surprise`, `affection`, `curiosity`, `neutral`) or any
    /// other label of 40 characters at most.
    #[serde(default)]
    pub expression: Option<String>,
}

/// What is absent stays.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PicturePatch {
    pub caption: Option<String>,
    /// Null, or an empty one, takes the label away.
    #[serde(deserialize_with = "aim_domain::given")]
    #[schema(value_type = Option<String>)]
    pub expression: Option<Option<String>>,
    /// Its place in the gallery, from 0; the others move aside.
    pub position: Option<u32>,
}

fn checked(words: &PictureWords) -> Result<(), Refusal> {
    let mut checks = Checks::default();
    words.check(&mut checks);
    checks.finish()
}

fn no_picture() -> Refusal {
    Refusal::not_found("picture")
}

impl Platform {
    /// The pictures of a character that `who` may see, in order; of one that is private, to who talks with it, its faces alone.
    pub async fn gallery(&self, who: &Member, id: &CharacterId) -> Result<Arc<Vec<GalleryItem>>, Refusal> {
        match self.character(who, id).await {
            Ok(_) => self.all_pictures(id).await,
            Err(refusal) if refusal.code == Code::NotFound => {
                let is_there = self.any_character(id).await?.is_some();
                if !is_there || !self.store.talks_with(who.user_id(), id, true).await.or_refuse()? {
                    return Err(refusal);
                }
                let all = self.all_pictures(id).await?;
                Ok(Arc::new(all.iter().filter(|item| item.expression.is_some()).cloned().collect()))
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// Whoever asks.
    async fn all_pictures(&self, id: &CharacterId) -> Result<Arc<Vec<GalleryItem>>, Refusal> {
        let load = async {
            let found = self.store.gallery(id).await?;
            let cached = |Gallery { items, version }| CachedGallery { items: Arc::new(items), version };
            Ok::<_, StoreError>(found.map(cached))
        };
        let found =
            self.backbone.cache.get_or_load(&keys::character_gallery::<CachedGallery>(id), load).await.or_refuse()?;
        Ok(found.map(|found| found.items.clone()).unwrap_or_default())
    }

    /// Whose character it is; for servers, which tell its owner that its pictures changed.
    pub async fn owner_of(&self, id: &CharacterId) -> Result<Option<UserId>, Refusal> {
        Ok(self.any_character(id).await?.and_then(|character| character.owner_id.clone()))
    }

    pub(crate) async fn forget_gallery(&self, id: &CharacterId, reach: Reach) {
        self.backbone.cache.invalidate(&keys::character_gallery::<CachedGallery>(id), reach).await;
    }

    /// Adds an upload of `who`'s to a character of theirs, as the last picture; the same one again changes nothing.
    pub async fn add_picture(
        &self,
        who: &Member,
        id: &CharacterId,
        new: NewGalleryItem,
    ) -> Result<GalleryItem, Refusal> {
        let words = PictureWords { caption: new.caption, expression: new.expression.as_deref().and_then(label) };
        checked(&words)?;
        self.owned_character(who, id).await?;
        self.attachment(who, Kind::Image, &new.upload_id).await?;
        let upload = new.upload_id;
        self.put_picture(who.user_id(), id, &upload, words).await?;
        self.stored_picture(id, &upload).await
    }

    /// The upload may still be processed.
    pub(crate) async fn put_picture(
        &self,
        owner: &UserId,
        id: &CharacterId,
        upload: &UploadId,
        words: PictureWords,
    ) -> Result<(), Refusal> {
        let new = NewPicture { character: id.clone(), upload: upload.clone(), owner: owner.clone(), words };
        match self.store.add_picture(new, MOST_PICTURES).await.or_refuse()? {
            AddPicture::Added => {
                self.take_in(Change::Gallery { id: id.clone() }).await;
                Ok(())
            }
            AddPicture::Full => Err(Refusal::conflict(format!(
                "A character has {MOST_PICTURES} pictures at the most. Delete one first."
            ))),
            AddPicture::NotFound => Err(Refusal::not_found("character")),
            AddPicture::NoUpload => Err(Refusal::invalid("uploadId", "is no picture of yours")),
        }
    }

    /// From the store itself: as it is now.
    async fn stored_picture(&self, id: &CharacterId, picture: &UploadId) -> Result<GalleryItem, Refusal> {
        let gallery = self.store.gallery(id).await.or_refuse()?;
        let items = gallery.map(|gallery| gallery.items).unwrap_or_default();
        items.into_iter().find(|item| item.id == *picture).ok_or_else(no_picture)
    }

    pub async fn change_picture(
        &self,
        who: &Member,
        id: &CharacterId,
        picture: &UploadId,
        patch: PicturePatch,
    ) -> Result<GalleryItem, Refusal> {
        let expression = patch.expression.map(|said| said.as_deref().and_then(label));
        checked(&PictureWords {
            caption: patch.caption.clone().unwrap_or_default(),
            expression: expression.clone().flatten(),
        })?;
        self.owned_character(who, id).await?;
        let change = PictureChange { caption: patch.caption, expression, position: patch.position };
        if !self.store.change_picture(id, picture, change).await.or_refuse()? {
            return Err(no_picture());
        }
        self.take_in(Change::Gallery { id: id.clone() }).await;
        self.stored_picture(id, picture).await
    }

    /// Its bytes go as well, unless something else shows them: a message, another gallery, a portrait, a persona.
    pub async fn remove_picture(&self, who: &Member, id: &CharacterId, picture: &UploadId) -> Result<(), Refusal> {
        self.owned_character(who, id).await?;
        if !self.store.remove_picture(id, picture).await.or_refuse()? {
            return Err(no_picture());
        }
        self.take_in(Change::Gallery { id: id.clone() }).await;
        // What is not done here the cleanup does.
        match self.store.delete_upload(picture, Some(who.user_id())).await {
            Ok(DeleteUpload::Deleted) => {
                self.take_in(Change::Upload { id: picture.clone(), user: who.user_id().clone() }).await;
                self.remove_deleted(picture).await;
            }
            Ok(DeleteUpload::InUse | DeleteUpload::NotFound) => {}
            Err(error) => tracing::warn!(%error, "the upload of a picture that was removed remains for now"),
        }
        Ok(())
    }
}
