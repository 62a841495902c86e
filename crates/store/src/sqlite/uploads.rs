//! Uploads: claiming them, who may see them, and what comes in parts.

use super::db::Db;
use super::rows::{Columns, int, json};
use super::{SqliteStore, feed, gallery, leases};
use crate::text::plain;
use crate::{
    Change, ClaimedUpload, DeleteUpload, DueUpload, LeftOver, NewUpload, Part, Result, Resumable, StoreError,
    UploadBytes, UploadClaim, UploadEnd, Uploads,
};
use aim_domain::{Incarnation, Upload, UploadId, UserId};
use async_trait::async_trait;
use rusqlite::params;
use std::time::Duration;

pub(super) const UPLOAD: &str =
    "up.id, up.owner, up.kind, up.status, up.mime_type, up.size, up.created_at, up.variants, up.details, up.version";

pub(super) fn upload(c: &mut Columns) -> rusqlite::Result<Upload> {
    Ok(Upload {
        id: UploadId::trusted(c.text()?),
        owner: UserId::trusted(c.text()?),
        kind: c.word()?,
        status: c.word()?,
        mime_type: c.string()?,
        size: c.count()?,
        created_at: c.time()?,
        variants: c.maybe_json()?.unwrap_or_default(),
        details: c.maybe_json()?.unwrap_or_default(),
        version: c.int()?,
    })
}

const RESUMABLE: &str = "r.id, r.owner, r.length, r.received, r.parts, r.created_at";

fn resumable(c: &mut Columns) -> rusqlite::Result<Resumable> {
    Ok(Resumable {
        id: UploadId::trusted(c.text()?),
        owner: UserId::trusted(c.text()?),
        length: c.count()?,
        received: c.count()?,
        parts: c.maybe_json()?.unwrap_or_default(),
        created_at: c.time()?,
    })
}

/// Whether the holder of upload `up` lives, with the time as `?2`.
const HELD: &str = "EXISTS (SELECT 1 FROM servers s WHERE s.id = up.holder AND s.lease_until > ?2)";

/// Whether the address in a column is one of upload `up`.
fn names(column: &str) -> String {
    format!("substr({column}, 1, length('/media/' || up.id || '/')) = '/media/' || up.id || '/'")
}

/// Whether the owner of upload `up` uses it as the picture of their profile or of a character.
fn is_portrait() -> String {
    format!(
        "(EXISTS (SELECT 1 FROM users u WHERE u.id = up.owner AND {})
         OR EXISTS (SELECT 1 FROM characters ch WHERE ch.owner = up.owner AND {}))",
        names("u.avatar_url"),
        names("ch.avatar_url")
    )
}

/// Whether the owner of upload `up` has a persona with it as its picture.
const IS_PERSONAS: &str = "EXISTS (SELECT 1 FROM personas p WHERE p.user = up.owner AND p.picture = up.id)";

/// Whether that persona is played in a conversation that user `?2` is in too.
const IS_PLAYED: &str = "EXISTS (SELECT 1 FROM personas p
     JOIN members o ON o.user = p.user JOIN members v ON v.conversation = o.conversation AND v.user = ?2
     JOIN conversations c ON c.key = o.conversation
     LEFT JOIN persona_choices pc ON pc.conversation = o.conversation AND pc.user = o.user
     WHERE p.user = up.owner AND p.picture = up.id AND iif(pc.persona IS NULL, p.is_default, p.id = pc.persona))";

/// Whether a gallery shows upload `up`.
const IS_IN_A_GALLERY: &str = "EXISTS (SELECT 1 FROM gallery g WHERE g.upload = up.id)";

/// Whether character `ch` was not taken down: operators left it in the lists, and its owner is neither suspended nor about to be
/// erased; `?3` is the time.
const IS_UP: &str = "(NOT EXISTS (SELECT 1 FROM unlisted_characters x WHERE x.character = ch.key)
     AND NOT EXISTS (SELECT 1 FROM users o
         WHERE o.id = ch.owner AND (o.suspended_until > ?3 OR o.erase_at IS NOT NULL)))";

/// Whether user `?2` is in a conversation with character `ch`; and whether they are an operator, who sees what was taken down.
const IS_TALKED_WITH: &str = "EXISTS (SELECT 1 FROM members me JOIN conversations c ON c.key = me.conversation
     WHERE me.user = ?2 AND c.character = ch.id)";
const IS_ADMINS: &str = "EXISTS (SELECT 1 FROM users a WHERE a.id = ?2 AND a.role = 'admin')";

/// Whether the portrait `up` is seen by `?2`: everyone sees one, but for that of a character that was taken down.
fn is_seen_as_a_portrait() -> String {
    format!(
        "(EXISTS (SELECT 1 FROM users u WHERE u.id = up.owner AND {})
         OR EXISTS (SELECT 1 FROM characters ch WHERE ch.owner = up.owner AND {}
             AND ({IS_UP} OR {IS_TALKED_WITH} OR {IS_ADMINS})))",
        names("u.avatar_url"),
        names("ch.avatar_url")
    )
}

/// Whether `up` is in a gallery that `?2` sees. Of a private character whoever talks with it sees its faces, and no other pictures.
fn is_seen_in_a_gallery() -> String {
    format!(
        "EXISTS (SELECT 1 FROM gallery g JOIN characters ch ON ch.key = g.character
         WHERE g.upload = up.id AND ch.deleted_at IS NULL AND (ch.owner = ?2
             OR (ch.visibility = 'public' AND ?2 <> '' AND ({IS_UP} OR {IS_ADMINS}))
             OR ((ch.visibility = 'public' OR g.expression IS NOT NULL) AND {IS_TALKED_WITH})))"
    )
}

/// Whether a message shows upload `up`.
const IS_SHOWN: &str = "EXISTS (SELECT 1 FROM messages m INDEXED BY messages_by_upload
     WHERE m.media IS NOT NULL AND json_extract(m.media, '$.uploadId') = up.id)";

fn by_id(db: &Db, id: &UploadId) -> Result<Option<Upload>> {
    let sql = format!("SELECT {UPLOAD} FROM uploads up WHERE up.id = ?1 AND up.status <> 'deleted'");
    db.one(&sql, [id.as_str()], |row| upload(&mut Columns::of(row)))
}

fn tell(db: &Db, id: &UploadId, user: &UserId) -> Result<()> {
    feed::write(db, &Change::Upload { id: id.clone(), user: user.clone() })
}

fn millis(length: Duration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}

fn create(db: &Db, new: &NewUpload, from: Option<&UploadId>) -> Result<Upload> {
    let made = db.run(
        "INSERT INTO uploads (id, owner, kind, status, mime_type, size, created_at)
         VALUES (?1, ?2, ?3, 'processing', ?4, ?5, ?6) ON CONFLICT (id) DO NOTHING",
        params![new.id.as_str(), new.owner.as_str(), new.kind.as_str(), new.mime_type, int(new.size), db.now.0],
    )?;
    if let Some(from) = from {
        db.run("DELETE FROM resumables WHERE id = ?1", [from.as_str()])?;
    }
    if made == 1 {
        tell(db, &new.id, &new.owner)?;
    }
    by_id(db, &new.id)?.ok_or_else(|| StoreError::Failed("an upload that was just made is not there".into()))
}

fn visible(db: &Db, id: &UploadId, viewer: Option<&UserId>) -> Result<Option<Upload>> {
    let sql = format!(
        "SELECT {UPLOAD} FROM uploads up WHERE up.id = ?1 AND up.status <> 'deleted' AND (
             up.owner = ?2
             OR EXISTS (SELECT 1 FROM messages m INDEXED BY messages_by_upload
                 JOIN conversations c ON c.key = m.conversation
                 JOIN members mb ON mb.conversation = m.conversation AND mb.user = ?2
                 WHERE m.media IS NOT NULL AND json_extract(m.media, '$.uploadId') = ?1)
             OR {IS_PLAYED} OR {} OR {})",
        is_seen_as_a_portrait(),
        is_seen_in_a_gallery()
    );
    let viewer = viewer.map_or("", UserId::as_str);
    db.one(&sql, params![id.as_str(), viewer, db.now.0], |row| upload(&mut Columns::of(row)))
}

fn claim(db: &Db, id: &UploadId, holder: &Incarnation) -> Result<ClaimedUpload> {
    if !leases::lives(db, holder)? {
        return Ok(ClaimedUpload::NoLease);
    }
    let sql = format!(
        "UPDATE uploads AS up SET holder = ?3, attempts = up.attempts + 1
         WHERE up.id = ?1 AND up.status = 'processing' AND (up.holder IS ?3 OR NOT {HELD}) RETURNING {UPLOAD}, attempts",
        UPLOAD = UPLOAD.replace("up.", "")
    );
    let claimed = db.one(&sql, params![id.as_str(), db.now.0, holder.as_str()], |row| {
        let mut c = Columns::of(row);
        Ok((upload(&mut c)?, c.count()?))
    })?;
    if let Some((upload, attempt)) = claimed {
        let attempt = u32::try_from(attempt).unwrap_or(u32::MAX);
        return Ok(ClaimedUpload::Claimed(Box::new(UploadClaim { upload, holder: holder.clone(), attempt })));
    }
    Ok(match by_id(db, id)? {
        None => ClaimedUpload::NotFound,
        Some(upload) if upload.status == aim_domain::UploadStatus::Processing => ClaimedUpload::Held,
        Some(upload) => ClaimedUpload::NotDue(Box::new(upload)),
    })
}

fn end(db: &Db, claim: &UploadClaim, end: &UploadEnd) -> Result<Option<Upload>> {
    let (status, variants, details) = match end {
        UploadEnd::Ready { variants, details } => ("ready", json(variants)?, json(details)?),
        UploadEnd::Failed(why) => {
            let details = aim_domain::UploadDetails { error: Some(why.clone()), ..Default::default() };
            ("failed", "[]".to_owned(), json(&details)?)
        }
        UploadEnd::Due => ("processing", "[]".to_owned(), "{}".to_owned()),
    };
    let ended = db.run(
        "UPDATE uploads SET status = ?4, variants = ?5, details = ?6, holder = NULL, version = version + 1
         WHERE id = ?1 AND status = 'processing' AND holder = ?2 AND attempts = ?3",
        params![
            claim.upload.id.as_str(),
            claim.holder.as_str(),
            claim.attempt,
            status,
            plain(&variants),
            plain(&details)
        ],
    )?;
    if ended == 0 {
        return Ok(None);
    }
    if *end != UploadEnd::Due {
        tell(db, &claim.upload.id, &claim.upload.owner)?;
        gallery::upload_ended(db, &claim.upload.id, matches!(end, UploadEnd::Ready { .. }))?;
    }
    by_id(db, &claim.upload.id)
}

fn due(db: &Db, after: Option<&UploadId>, limit: u32) -> Result<Vec<DueUpload>> {
    let sql = format!(
        "SELECT up.id, up.attempts FROM uploads up INDEXED BY uploads_due
         WHERE up.status = 'processing' AND up.id > ?1 AND NOT {HELD} ORDER BY up.id LIMIT ?3"
    );
    db.all(&sql, params![after.map_or("", UploadId::as_str), db.now.0, limit], |row| {
        let mut c = Columns::of(row);
        let id = UploadId::trusted(c.text()?);
        Ok(DueUpload { id, attempts: u32::try_from(c.count()?).unwrap_or(u32::MAX) })
    })
}

fn delete(db: &Db, id: &UploadId, owner: Option<&UserId>) -> Result<DeleteUpload> {
    let Some(upload) = by_id(db, id)?.filter(|upload| owner.is_none_or(|owner| upload.owner == *owner)) else {
        return Ok(DeleteUpload::NotFound);
    };
    let sql = format!(
        "UPDATE uploads AS up SET status = 'deleted', holder = NULL, version = up.version + 1
         WHERE up.id = ?1 AND NOT {IS_SHOWN} AND NOT {} AND NOT {IS_PERSONAS}
             AND NOT {IS_IN_A_GALLERY}",
        is_portrait()
    );
    if db.run(&sql, [id.as_str()])? == 0 {
        return Ok(DeleteUpload::InUse);
    }
    tell(db, id, &upload.owner)?;
    Ok(DeleteUpload::Deleted)
}

/// With the account that they belong to.
pub(super) fn delete_all(db: &Db, owner: &UserId) -> Result<()> {
    let mine = "SELECT id FROM uploads WHERE owner = ?1 AND status <> 'deleted'";
    for id in db.all(mine, [owner.as_str()], |row| Ok(UploadId::trusted(Columns::of(row).text()?)))? {
        tell(db, &id, owner)?;
    }
    let me = [owner.as_str()];
    db.run("UPDATE uploads SET status = 'deleted', holder = NULL, version = version + 1 WHERE owner = ?1", me)?;
    db.run("UPDATE resumables SET owner = '' WHERE owner = ?1", me)?;
    Ok(())
}

fn orphaned(db: &Db, age: Duration, after: Option<&UploadId>, limit: u32) -> Result<Vec<UploadId>> {
    let sql = format!(
        "SELECT up.id FROM uploads up WHERE up.id > ?1 AND up.created_at < ?2 AND up.status IN ('ready', 'failed')
             AND NOT {IS_SHOWN} AND NOT {} AND NOT {IS_PERSONAS}
             AND NOT {IS_IN_A_GALLERY} ORDER BY up.id LIMIT ?3",
        is_portrait()
    );
    let before = db.now.0.saturating_sub(millis(age));
    db.all(&sql, params![after.map_or("", UploadId::as_str), before, limit], |row| {
        Ok(UploadId::trusted(Columns::of(row).text()?))
    })
}

fn one_resumable(db: &Db, id: &UploadId) -> Result<Option<Resumable>> {
    let sql = format!("SELECT {RESUMABLE} FROM resumables r WHERE r.id = ?1");
    db.one(&sql, [id.as_str()], |row| resumable(&mut Columns::of(row)))
}

fn create_resumable(db: &Db, id: &UploadId, owner: &UserId, length: u64, most: u32) -> Result<Option<Resumable>> {
    db.run(
        "INSERT INTO resumables (id, owner, length, created_at)
         SELECT ?1, ?2, ?3, ?4 WHERE (SELECT count(*) FROM resumables WHERE owner = ?2) < ?5
         ON CONFLICT (id) DO NOTHING",
        params![id.as_str(), owner.as_str(), int(length), db.now.0, most],
    )?;
    one_resumable(db, id)
}

fn add_part(db: &Db, id: &UploadId, owner: &UserId, offset: u64, part: &Part) -> Result<Option<Resumable>> {
    let Some(mut whole) = one_resumable(db, id)?.filter(|whole| whole.owner == *owner && whole.received == offset)
    else {
        return Ok(None);
    };
    whole.received += part.size;
    whole.parts.push(part.clone());
    if whole.received > whole.length {
        return Ok(None);
    }
    db.run(
        "UPDATE resumables SET received = ?2, parts = ?3 WHERE id = ?1",
        params![id.as_str(), int(whole.received), json(&whole.parts)?],
    )?;
    tell(db, id, owner)?;
    Ok(Some(whole))
}

fn delete_resumable(db: &Db, id: &UploadId) -> Result<bool> {
    let owner = db.one("SELECT owner FROM resumables WHERE id = ?1", [id.as_str()], |row| {
        Ok(UserId::trusted(Columns::of(row).text()?))
    })?;
    let Some(owner) = owner else { return Ok(false) };
    db.run("DELETE FROM resumables WHERE id = ?1", [id.as_str()])?;
    tell(db, id, &owner)?;
    Ok(true)
}

fn left_over(db: &Db, age: Duration) -> Result<LeftOver> {
    let sql = "SELECT (SELECT count(*) FROM uploads INDEXED BY uploads_deleted WHERE status = 'deleted'),
             (SELECT count(*) FROM resumables r WHERE r.created_at < ?1 OR r.owner = '')";
    let found = db.one(sql, [db.now.0.saturating_sub(millis(age))], |row| {
        let mut c = Columns::of(row);
        Ok(LeftOver { deleted: c.count()?, expired: c.count()? })
    })?;
    Ok(found.unwrap_or_default())
}

fn unknown(db: &Db, ids: &[UploadId], of: UploadBytes) -> Result<Vec<UploadId>> {
    let no_upload = match of {
        UploadBytes::Whole => "NOT EXISTS (SELECT 1 FROM uploads WHERE id = asked.value)",
        UploadBytes::Parts => "true",
    };
    let sql = format!(
        "SELECT asked.value FROM json_each(?1) asked
         WHERE {no_upload} AND NOT EXISTS (SELECT 1 FROM resumables WHERE id = asked.value)"
    );
    db.all(&sql, [json(&ids)?], |row| Ok(UploadId::trusted(Columns::of(row).text()?)))
}

fn expired(db: &Db, age: Duration, limit: u32) -> Result<Vec<Resumable>> {
    let sql = format!("SELECT {RESUMABLE} FROM resumables r WHERE r.created_at < ?1 OR r.owner = '' LIMIT ?2");
    let before = db.now.0.saturating_sub(millis(age));
    db.all(&sql, params![before, limit], |row| resumable(&mut Columns::of(row)))
}

fn secret(db: &Db, name: &str, fresh: &str) -> Result<String> {
    db.run("INSERT INTO secrets (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING", [name, fresh])?;
    let kept = db.one("SELECT value FROM secrets WHERE name = ?1", [name], |row| Columns::of(row).string())?;
    kept.ok_or_else(|| StoreError::Failed("a secret that was just made is not there".into()))
}

#[async_trait]
impl Uploads for SqliteStore {
    async fn create_upload(&self, new: NewUpload, from: Option<&UploadId>) -> Result<Upload> {
        let from = from.cloned();
        self.write(move |db| create(db, &new, from.as_ref())).await
    }

    async fn upload(&self, id: &UploadId) -> Result<Option<Upload>> {
        let id = id.clone();
        self.read(move |db| by_id(db, &id)).await
    }

    async fn visible_upload(&self, id: &UploadId, viewer: Option<&UserId>) -> Result<Option<Upload>> {
        let (id, viewer) = (id.clone(), viewer.cloned());
        self.read(move |db| visible(db, &id, viewer.as_ref())).await
    }

    async fn claim_upload(&self, id: &UploadId, holder: &Incarnation) -> Result<ClaimedUpload> {
        let (id, holder) = (id.clone(), holder.clone());
        self.write(move |db| claim(db, &id, &holder)).await
    }

    async fn end_upload(&self, claim: &UploadClaim, how: UploadEnd) -> Result<Option<Upload>> {
        let claim = claim.clone();
        self.write(move |db| end(db, &claim, &how)).await
    }

    async fn due_uploads(&self, after: Option<&UploadId>, limit: u32) -> Result<Vec<DueUpload>> {
        let after = after.cloned();
        self.read(move |db| due(db, after.as_ref(), limit)).await
    }

    async fn delete_upload(&self, id: &UploadId, owner: Option<&UserId>) -> Result<DeleteUpload> {
        let (id, owner) = (id.clone(), owner.cloned());
        self.write(move |db| delete(db, &id, owner.as_ref())).await
    }

    async fn orphaned_uploads(&self, age: Duration, after: Option<&UploadId>, limit: u32) -> Result<Vec<UploadId>> {
        let after = after.cloned();
        self.read(move |db| orphaned(db, age, after.as_ref(), limit)).await
    }

    async fn deleted_uploads(&self, limit: u32) -> Result<Vec<UploadId>> {
        let sql = "SELECT id FROM uploads INDEXED BY uploads_deleted WHERE status = 'deleted' ORDER BY id LIMIT ?1";
        self.read(move |db| db.all(sql, [limit], |row| Ok(UploadId::trusted(Columns::of(row).text()?)))).await
    }

    async fn forget_upload(&self, id: &UploadId) -> Result<()> {
        let id = id.clone();
        let sql = "DELETE FROM uploads WHERE id = ?1 AND status = 'deleted'";
        self.write(move |db| if db.run(sql, [id.as_str()])? == 1 { gallery::forget_upload(db, &id) } else { Ok(()) })
            .await
    }

    async fn create_resumable(
        &self,
        id: &UploadId,
        owner: &UserId,
        length: u64,
        most: u32,
    ) -> Result<Option<Resumable>> {
        let (id, owner) = (id.clone(), owner.clone());
        self.write(move |db| create_resumable(db, &id, &owner, length, most)).await
    }

    async fn resumable(&self, id: &UploadId) -> Result<Option<Resumable>> {
        let id = id.clone();
        self.read(move |db| one_resumable(db, &id)).await
    }

    async fn add_part(&self, id: &UploadId, owner: &UserId, offset: u64, part: &Part) -> Result<Option<Resumable>> {
        let (id, owner, part) = (id.clone(), owner.clone(), part.clone());
        self.write(move |db| add_part(db, &id, &owner, offset, &part)).await
    }

    async fn delete_resumable(&self, id: &UploadId) -> Result<bool> {
        let id = id.clone();
        self.write(move |db| delete_resumable(db, &id)).await
    }

    async fn expired_resumables(&self, age: Duration, limit: u32) -> Result<Vec<Resumable>> {
        self.read(move |db| expired(db, age, limit)).await
    }

    async fn left_over(&self, age: Duration) -> Result<LeftOver> {
        self.read(move |db| left_over(db, age)).await
    }

    async fn unknown_uploads(&self, ids: &[UploadId], of: UploadBytes) -> Result<Vec<UploadId>> {
        let ids = ids.to_vec();
        self.read(move |db| unknown(db, &ids, of)).await
    }

    async fn secret(&self, name: &str, fresh: &str) -> Result<String> {
        let (name, fresh) = (name.to_owned(), fresh.to_owned());
        self.write(move |db| secret(db, &name, &fresh)).await
    }
}
