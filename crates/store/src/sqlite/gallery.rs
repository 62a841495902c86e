//! Galleries: adding, changing and removing pictures, and what becomes of them when an upload or an account ends.

use super::db::Db;
use super::rows::Columns;
use super::uploads::{UPLOAD, upload};
use super::{SqliteStore, feed};
use crate::gallery::reordered;
use crate::{AddPicture, Change, Galleries, Gallery, NewPicture, PictureChange, Result};
use aim_domain::{CharacterId, GalleryItem, PictureWords, UploadId, UserId};
use async_trait::async_trait;
use rusqlite::params;

/// The number of a character that is not deleted.
fn key(db: &Db, character: &CharacterId) -> Result<Option<i64>> {
    let sql = "SELECT key FROM characters WHERE id = ?1 AND deleted_at IS NULL";
    db.one(sql, [character.as_str()], |row| row.get(0))
}

fn changed(db: &Db, character: &CharacterId) -> Result<()> {
    db.run("UPDATE characters SET gallery_version = gallery_version + 1 WHERE id = ?1", [character.as_str()])?;
    feed::write(db, &Change::Gallery { id: character.clone() })
}

fn get(db: &Db, character: &CharacterId) -> Result<Option<Gallery>> {
    let version = "SELECT gallery_version FROM characters WHERE id = ?1 AND deleted_at IS NULL";
    let Some(version) = db.one(version, [character.as_str()], |row| row.get(0))? else { return Ok(None) };
    let sql = format!(
        "SELECT g.caption, g.expression, g.created_at, {UPLOAD} FROM characters ch
         JOIN gallery g ON g.character = ch.key JOIN uploads up ON up.id = g.upload
         WHERE ch.id = ?1 AND up.status = 'ready' ORDER BY g.position, g.upload"
    );
    let mut position = 0;
    let items = db.all(&sql, [character.as_str()], |row| {
        let mut c = Columns::of(row);
        let words = PictureWords { caption: c.string()?, expression: c.maybe_string()? };
        let created_at = c.time()?;
        position += 1;
        Ok(GalleryItem::of(&upload(&mut c)?, words, position - 1, created_at))
    })?;
    Ok(Some(Gallery { items, version }))
}

fn add(db: &Db, new: &NewPicture, most: u32) -> Result<AddPicture> {
    let Some(key) = key(db, &new.character)? else { return Ok(AddPicture::NotFound) };
    let is_fit =
        "SELECT 1 FROM uploads WHERE id = ?1 AND owner = ?2 AND kind = 'image' AND status IN ('processing', 'ready')";
    if db.one(is_fit, [new.upload.as_str(), new.owner.as_str()], |_| Ok(()))?.is_none() {
        return Ok(AddPicture::NoUpload);
    }
    let others = "SELECT count(*) FROM gallery WHERE character = ?1 AND upload <> ?2";
    if db.number(others, params![key, new.upload.as_str()])? >= i64::from(most) {
        return Ok(AddPicture::Full);
    }
    let added = db.run(
        "INSERT INTO gallery (character, upload, position, caption, expression, created_at)
         SELECT ?1, ?2, coalesce(max(position), -1) + 1, ?3, ?4, ?5 FROM gallery WHERE character = ?1
         ON CONFLICT DO NOTHING",
        params![key, new.upload.as_str(), new.words.caption, new.words.expression, db.now.0],
    )?;
    if added == 1 {
        changed(db, &new.character)?;
    }
    Ok(AddPicture::Added)
}

fn change(db: &Db, character: &CharacterId, id: &UploadId, change: &PictureChange) -> Result<bool> {
    let Some(key) = key(db, character)? else { return Ok(false) };
    let (relabelled, label) = match &change.expression {
        Some(label) => (true, label.as_deref()),
        None => (false, None),
    };
    let found = db.run(
        "UPDATE gallery SET caption = coalesce(?3, caption), expression = iif(?4, ?5, expression)
         WHERE character = ?1 AND upload = ?2",
        params![key, id.as_str(), change.caption, relabelled, label],
    )?;
    if found == 0 {
        return Ok(false);
    }
    if let Some(place) = change.position {
        let sql =
            "SELECT g.upload, coalesce(up.status = 'ready', 0) FROM gallery g LEFT JOIN uploads up ON up.id = g.upload
             WHERE g.character = ?1 ORDER BY g.position, g.upload";
        let rows = db.all(sql, [key], |row| Ok((row.get(0)?, row.get(1)?)))?;
        for (position, upload) in (0_i64..).zip(reordered(rows, id.as_str(), place)) {
            let sql = "UPDATE gallery SET position = ?3 WHERE character = ?1 AND upload = ?2 AND position <> ?3";
            db.run(sql, params![key, upload, position])?;
        }
    }
    changed(db, character)?;
    Ok(true)
}

fn remove(db: &Db, character: &CharacterId, id: &UploadId) -> Result<bool> {
    let Some(key) = key(db, character)? else { return Ok(false) };
    if db.run("DELETE FROM gallery WHERE character = ?1 AND upload = ?2", params![key, id.as_str()])? == 0 {
        return Ok(false);
    }
    changed(db, character)?;
    Ok(true)
}

/// With the character that it is of.
pub(super) fn clear(db: &Db, character: &CharacterId) -> Result<()> {
    let sql = "DELETE FROM gallery WHERE character = (SELECT key FROM characters WHERE id = ?1)";
    if db.run(sql, [character.as_str()])? > 0 {
        changed(db, character)?;
    }
    Ok(())
}

/// What somebody's uploads show, before they are deleted with the account.
pub(super) fn clear_of(db: &Db, owner: &UserId) -> Result<()> {
    let theirs = "SELECT DISTINCT ch.id FROM uploads up JOIN gallery g ON g.upload = up.id
         JOIN characters ch ON ch.key = g.character WHERE up.owner = ?1";
    let characters = db.all(theirs, [owner.as_str()], |row| Ok(CharacterId::trusted(Columns::of(row).text()?)))?;
    let sql = "DELETE FROM gallery WHERE upload IN (SELECT id FROM uploads WHERE owner = ?1)";
    db.run(sql, [owner.as_str()])?;
    characters.iter().try_for_each(|character| changed(db, character))
}

/// An upload that is ready is shown from now on; one that failed is a picture of nothing.
pub(super) fn upload_ended(db: &Db, id: &UploadId, is_ready: bool) -> Result<()> {
    let sql = "SELECT ch.id FROM gallery g JOIN characters ch ON ch.key = g.character WHERE g.upload = ?1";
    let characters = db.all(sql, [id.as_str()], |row| Ok(CharacterId::trusted(Columns::of(row).text()?)))?;
    if !is_ready && !characters.is_empty() {
        forget_upload(db, id)?;
    }
    characters.iter().try_for_each(|character| changed(db, character))
}

pub(super) fn forget_upload(db: &Db, id: &UploadId) -> Result<()> {
    db.run("DELETE FROM gallery WHERE upload = ?1", [id.as_str()]).map(drop)
}

#[async_trait]
impl Galleries for SqliteStore {
    async fn gallery(&self, character: &CharacterId) -> Result<Option<Gallery>> {
        let character = character.clone();
        self.read(move |db| get(db, &character)).await
    }

    async fn add_picture(&self, new: NewPicture, most: u32) -> Result<AddPicture> {
        self.write(move |db| add(db, &new, most)).await
    }

    async fn change_picture(&self, character: &CharacterId, id: &UploadId, how: PictureChange) -> Result<bool> {
        let (character, id) = (character.clone(), id.clone());
        self.write(move |db| change(db, &character, &id, &how)).await
    }

    async fn remove_picture(&self, character: &CharacterId, id: &UploadId) -> Result<bool> {
        let (character, id) = (character.clone(), id.clone());
        self.write(move |db| remove(db, &character, &id)).await
    }
}
