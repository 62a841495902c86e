//! Galleries: adding, changing and removing pictures, and what becomes of them when an upload or an account ends. Whoever
//! changes a gallery holds its character's row, so that two of them count, and order, one after the other.

use super::db::{Again, Db, Postgres, Tried, sql};
use super::rows::Columns;
use super::uploads::{UPLOAD, upload};
use super::{PostgresStore, again, ask};
use crate::gallery::reordered;
use crate::{AddPicture, Change, Galleries, Gallery, NewPicture, PictureChange, Result};
use aim_domain::{CharacterId, GalleryItem, PictureWords, UploadId, UserId};
use async_trait::async_trait;

/// Takes hold of a character that is not deleted, and raises its gallery's version; answers its number.
async fn hold(db: &mut Db, character: &CharacterId) -> Tried<Option<i64>> {
    let hold = sql("UPDATE characters SET gallery_version = gallery_version + 1
         WHERE id = $1 AND deleted_at IS NULL RETURNING key");
    db.one(hold.bind(character.as_str()), |c| c.int()).await
}

/// Commits a change of a gallery.
async fn changed(mut db: Db, character: &CharacterId) -> Tried<()> {
    db.tell(&Change::Gallery { id: character.clone() })?;
    db.commit().await
}

async fn get(db: &mut Db, character: &CharacterId) -> Tried<Option<Gallery>> {
    // First the version: what is read after it is no older.
    let version = sql("SELECT gallery_version FROM characters WHERE id = $1 AND deleted_at IS NULL");
    let Some(version) = db.one(version.bind(character.as_str()), |c| c.int()).await? else { return Ok(None) };
    let list = sql(format!(
        "SELECT g.caption, g.expression, g.created_at, {UPLOAD} FROM characters ch
         JOIN gallery g ON g.character = ch.key JOIN uploads up ON up.id = g.upload
         WHERE ch.id = $1 AND up.status = 'ready' ORDER BY g.position, g.upload"
    ));
    let mut position = 0;
    let item = |c: &mut Columns| {
        let words = PictureWords { caption: c.string()?, expression: c.maybe_string()? };
        let created_at = c.time()?;
        position += 1;
        Ok(GalleryItem::of(&upload(c)?, words, position - 1, created_at))
    };
    let items = db.all(list.bind(character.as_str()), item).await?;
    Ok(Some(Gallery { items, version }))
}

async fn add(pg: &Postgres, new: &NewPicture, most: u32) -> Tried<AddPicture> {
    let mut db = pg.begin().await?;
    let Some(key) = hold(&mut db, &new.character).await? else { return Ok(AddPicture::NotFound) };
    let is_fit = sql("SELECT true FROM uploads
         WHERE id = $1 AND owner_id = $2 AND kind = 'image' AND status IN ('processing', 'ready') FOR SHARE")
    .bind(new.upload.as_str())
    .bind(new.owner.as_str());
    if db.one(is_fit, |c| c.flag()).await?.is_none() {
        return Ok(AddPicture::NoUpload);
    }
    let others = sql("SELECT count(*) FROM gallery WHERE character = $1 AND upload <> $2");
    if db.number(others.bind(key).bind(new.upload.as_str())).await? >= i64::from(most) {
        return Ok(AddPicture::Full);
    }
    let insert = sql("INSERT INTO gallery (character, upload, position, caption, expression, created_at)
         SELECT $1, $3, coalesce(max(position), -1) + 1, $4, $5, aim_now($2) FROM gallery WHERE character = $1
         ON CONFLICT DO NOTHING")
    .bind(key)
    .bind(db.now)
    .bind(new.upload.as_str())
    .bind(new.words.caption.as_str())
    .bind(new.words.expression.as_deref());
    if db.run(insert).await? == 1 {
        changed(db, &new.character).await?;
    }
    Ok(AddPicture::Added)
}

async fn change(pg: &Postgres, character: &CharacterId, id: &UploadId, change: &PictureChange) -> Tried<bool> {
    let mut db = pg.begin().await?;
    let Some(key) = hold(&mut db, character).await? else { return Ok(false) };
    let update = sql("UPDATE gallery SET caption = coalesce($3, caption),
             expression = CASE WHEN $4 THEN $5 ELSE expression END
         WHERE character = $1 AND upload = $2")
    .bind(key)
    .bind(id.as_str())
    .bind(change.caption.as_deref())
    .bind(change.expression.is_some())
    .bind(change.expression.as_ref().and_then(|label| label.as_deref()));
    if db.run(update).await? == 0 {
        return Ok(false);
    }
    if let Some(place) = change.position {
        let list = sql("SELECT g.upload, coalesce(up.status = 'ready', false) FROM gallery g
             LEFT JOIN uploads up ON up.id = g.upload WHERE g.character = $1 ORDER BY g.position, g.upload")
        .bind(key);
        let rows = db.all(list, |c| Ok((c.string()?, c.flag()?))).await?;
        let order = sql("UPDATE gallery g SET position = o.place
             FROM unnest($2) WITH ORDINALITY o (upload, place)
             WHERE g.character = $1 AND g.upload = o.upload AND g.position <> o.place")
        .bind(key)
        .bind(reordered(rows, id.as_str(), place));
        db.run(order).await?;
    }
    changed(db, character).await?;
    Ok(true)
}

async fn remove(pg: &Postgres, character: &CharacterId, id: &UploadId) -> Tried<bool> {
    let mut db = pg.begin().await?;
    let Some(key) = hold(&mut db, character).await? else { return Ok(false) };
    let delete = sql("DELETE FROM gallery WHERE character = $1 AND upload = $2").bind(key).bind(id.as_str());
    if db.run(delete).await? == 0 {
        return Ok(false);
    }
    changed(db, character).await?;
    Ok(true)
}

/// With the character that it is of, whose row the caller holds.
pub(super) async fn clear(db: &mut Db, character: &CharacterId) -> Tried<()> {
    let delete = sql("DELETE FROM gallery WHERE character = (SELECT key FROM characters WHERE id = $1)");
    if db.run(delete.bind(character.as_str())).await? > 0 {
        db.tell(&Change::Gallery { id: character.clone() })?;
    }
    Ok(())
}

/// What somebody's uploads show, before they are deleted with the account.
pub(super) async fn clear_of(db: &mut Db, owner: &UserId) -> Tried<()> {
    let delete = sql("WITH gone AS (
             DELETE FROM gallery g USING uploads up WHERE up.id = g.upload AND up.owner_id = $1 RETURNING g.character)
         UPDATE characters ch SET gallery_version = ch.gallery_version + 1
         WHERE ch.key IN (SELECT character FROM gone) RETURNING ch.id")
    .bind(owner.as_str());
    for character in db.all(delete, |c| c.text().map(CharacterId::trusted)).await? {
        db.tell(&Change::Gallery { id: character })?;
    }
    Ok(())
}

/// An upload that is ready is shown from now on; one that failed is a picture of nothing.
pub(super) async fn upload_ended(db: &mut Db, id: &UploadId, is_ready: bool) -> Tried<()> {
    let raise = sql("UPDATE characters ch SET gallery_version = ch.gallery_version + 1
         WHERE ch.key IN (SELECT g.character FROM gallery g WHERE g.upload = $1) RETURNING ch.id");
    let characters = db.all(raise.bind(id.as_str()), |c| c.text().map(CharacterId::trusted)).await?;
    if !is_ready && !characters.is_empty() {
        db.run(sql("DELETE FROM gallery WHERE upload = $1").bind(id.as_str())).await?;
    }
    characters.into_iter().try_for_each(|id| db.tell(&Change::Gallery { id }))
}

#[async_trait]
impl Galleries for PostgresStore {
    async fn gallery(&self, character: &CharacterId) -> Result<Option<Gallery>> {
        ask!(self, get, character)
    }

    async fn add_picture(&self, new: NewPicture, most: u32) -> Result<AddPicture> {
        again!(self, add, &new, most)
    }

    async fn change_picture(&self, character: &CharacterId, id: &UploadId, how: PictureChange) -> Result<bool> {
        again!(self, change, character, id, &how)
    }

    async fn remove_picture(&self, character: &CharacterId, id: &UploadId) -> Result<bool> {
        self.pg.run(Again::Never, || remove(&self.pg, character, id)).await
    }
}
