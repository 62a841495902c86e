//! Uploads: claiming them, who may see them, and what comes in parts.

use super::db::{Again, Db, Postgres, Tried, sql};
use super::faults::Fault;
use super::rows::{Columns, int, json};
use super::sessions::millis;
use super::{PostgresStore, again, ask, gallery};
use crate::text::plain;
use crate::{
    Change, ClaimedUpload, DeleteUpload, DueUpload, LeftOver, NewUpload, Part, Result, Resumable, UploadBytes,
    UploadClaim, UploadEnd, Uploads,
};
use aim_domain::{Incarnation, Upload, UploadDetails, UploadId, UploadStatus, UserId};
use async_trait::async_trait;
use std::time::Duration;

pub(super) const UPLOAD: &str =
    "up.id, up.owner_id, up.kind, up.status, up.mime_type, up.size, up.created_at, up.variants, up.details, up.version";

pub(super) fn upload(c: &mut Columns) -> Tried<Upload> {
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

const RESUMABLE: &str = "r.id, r.owner_id, r.length, r.received, r.parts, r.created_at";

fn resumable(c: &mut Columns) -> Tried<Resumable> {
    Ok(Resumable {
        id: UploadId::trusted(c.text()?),
        owner: UserId::trusted(c.text()?),
        length: c.count()?,
        received: c.count()?,
        parts: c.maybe_json()?.unwrap_or_default(),
        created_at: c.time()?,
    })
}

/// Whether the holder of upload `up` lives, with the store's clock as `$2`.
const HELD: &str = "EXISTS (SELECT 1 FROM servers s WHERE s.id = up.holder AND s.lease_until > aim_now($2))";

/// Whether the owner of upload `up` uses it as the picture of their profile or of a character.
const IS_PORTRAIT: &str = "(EXISTS (SELECT 1 FROM users u WHERE u.id = up.owner_id
         AND starts_with(u.avatar_url, '/media/' || up.id || '/'))
     OR EXISTS (SELECT 1 FROM characters ch WHERE ch.owner_id = up.owner_id
         AND starts_with(ch.avatar_url, '/media/' || up.id || '/')))";

/// Whether the owner of upload `up` has a persona with it as its picture.
const IS_PERSONAS: &str = "EXISTS (SELECT 1 FROM personas p WHERE p.user_id = up.owner_id AND p.picture = up.id)";

/// Whether that persona is played in a conversation that user `$2` is in too.
const IS_PLAYED: &str = "EXISTS (SELECT 1 FROM personas p
     JOIN members o ON o.user_id = p.user_id JOIN members v ON v.conversation = o.conversation AND v.user_id = $2
     JOIN conversations c ON c.key = o.conversation
     LEFT JOIN persona_choices pc ON pc.conversation = o.conversation AND pc.user_id = o.user_id
     WHERE p.user_id = up.owner_id AND p.picture = up.id
         AND CASE WHEN pc.persona IS NULL THEN p.is_default ELSE p.id = pc.persona END)";

/// Whether a gallery shows upload `up`.
const IS_IN_A_GALLERY: &str = "EXISTS (SELECT 1 FROM gallery g WHERE g.upload = up.id)";

/// Whether character `ch` was not taken down: operators left it in the lists, and its owner is neither suspended nor about to be
/// erased; the store's clock as `$3`.
const IS_UP: &str = "(NOT EXISTS (SELECT 1 FROM unlisted_characters x WHERE x.character = ch.key)
     AND NOT EXISTS (SELECT 1 FROM users o
         WHERE o.id = ch.owner_id AND (o.suspended_until > (SELECT aim_now($3)) OR o.erase_at IS NOT NULL)))";

/// Whether user `$2` is in a conversation with character `ch`; and whether they are an operator, who sees what was taken down.
const IS_TALKED_WITH: &str = "EXISTS (SELECT 1 FROM members me JOIN conversations c ON c.key = me.conversation
     WHERE me.user_id = $2 AND c.character_id = ch.id)";
const IS_ADMINS: &str = "EXISTS (SELECT 1 FROM users a WHERE a.id = $2 AND a.role = 'admin')";

/// Whether the portrait `up` is seen by `$2`: everyone sees one, but for that of a character that was taken down.
fn is_seen_as_a_portrait() -> String {
    format!(
        "(EXISTS (SELECT 1 FROM users u WHERE u.id = up.owner_id AND starts_with(u.avatar_url, '/media/' || up.id || '/'))
         OR EXISTS (SELECT 1 FROM characters ch WHERE ch.owner_id = up.owner_id
             AND starts_with(ch.avatar_url, '/media/' || up.id || '/')
             AND ({IS_UP} OR {IS_TALKED_WITH} OR {IS_ADMINS})))"
    )
}

/// Whether `up` is in a gallery that `$2` sees. Of a private character whoever talks with it sees its faces, and no other pictures.
fn is_seen_in_a_gallery() -> String {
    format!(
        "EXISTS (SELECT 1 FROM gallery g JOIN characters ch ON ch.key = g.character
         WHERE g.upload = up.id AND ch.deleted_at IS NULL AND (ch.owner_id = $2
             OR (ch.visibility = 'public' AND $2 <> '' AND ({IS_UP} OR {IS_ADMINS}))
             OR ((ch.visibility = 'public' OR g.expression IS NOT NULL) AND {IS_TALKED_WITH})))"
    )
}

/// Whether a message shows upload `up`.
const IS_SHOWN: &str =
    "EXISTS (SELECT 1 FROM messages m WHERE m.media IS NOT NULL AND (m.media::json ->> 'uploadId') = up.id)";

async fn by_id(db: &mut Db, id: &UploadId) -> Tried<Option<Upload>> {
    let text = format!("SELECT {UPLOAD} FROM uploads up WHERE up.id = $1 AND up.status <> 'deleted'");
    db.one(sql(text).bind(id.as_str()), upload).await
}

fn told(id: &UploadId, user: &UserId) -> Change {
    Change::Upload { id: id.clone(), user: user.clone() }
}

async fn create(pg: &Postgres, new: &NewUpload, from: Option<&UploadId>) -> Tried<Upload> {
    let mut db = pg.begin().await?;
    let insert = sql("INSERT INTO uploads (id, owner_id, kind, status, mime_type, size, created_at)
         VALUES ($1, $3, $4, 'processing', $5, $6, aim_now($2)) ON CONFLICT (id) DO NOTHING")
    .bind(new.id.as_str())
    .bind(db.now)
    .bind(new.owner.as_str())
    .bind(new.kind.as_str())
    .bind(plain(&new.mime_type))
    .bind(int(new.size));
    let made = db.run(insert).await?;
    if let Some(from) = from {
        db.run(sql("DELETE FROM resumables WHERE id = $1").bind(from.as_str())).await?;
    }
    let upload = by_id(&mut db, &new.id).await?;
    if made == 1 {
        db.tell(&told(&new.id, &new.owner))?;
    }
    db.commit().await?;
    upload.ok_or_else(|| Fault::Failed("an upload that was just made is not there".into()))
}

async fn visible(db: &mut Db, id: &UploadId, viewer: Option<&UserId>) -> Tried<Option<Upload>> {
    let text = format!(
        "SELECT {UPLOAD} FROM uploads up WHERE up.id = $1 AND up.status <> 'deleted' AND (
             up.owner_id = $2
             OR EXISTS (SELECT 1 FROM messages m
                 JOIN conversations c ON c.key = m.conversation
                 JOIN members mb ON mb.conversation = m.conversation AND mb.user_id = $2
                 WHERE m.media IS NOT NULL AND (m.media::json ->> 'uploadId') = $1)
             OR {IS_PLAYED} OR {} OR {})",
        is_seen_as_a_portrait(),
        is_seen_in_a_gallery()
    );
    let read = sql(text).bind(id.as_str()).bind(viewer.map_or("", UserId::as_str)).bind(db.now);
    db.one(read, upload).await
}

async fn claim(db: &mut Db, id: &UploadId, holder: &Incarnation) -> Tried<ClaimedUpload> {
    let now = db.now;
    let lives = sql("SELECT EXISTS (SELECT 1 FROM servers s WHERE s.id = $1 AND s.lease_until > aim_now($2))")
        .bind(holder.as_str())
        .bind(now);
    if db.one(lives, |c| c.flag()).await? != Some(true) {
        return Ok(ClaimedUpload::NoLease);
    }
    let claim = sql(format!(
        "UPDATE uploads up SET holder = $3, attempts = up.attempts + 1
         WHERE up.id = $1 AND up.status = 'processing' AND (up.holder = $3 OR NOT {HELD}) RETURNING {UPLOAD}, up.attempts"
    ))
    .bind(id.as_str())
    .bind(now)
    .bind(holder.as_str());
    let claimed = db.one(claim, |c| Ok((upload(c)?, c.small()?))).await?;
    if let Some((upload, attempt)) = claimed {
        return Ok(ClaimedUpload::Claimed(Box::new(UploadClaim { upload, holder: holder.clone(), attempt })));
    }
    Ok(match by_id(db, id).await? {
        None => ClaimedUpload::NotFound,
        Some(upload) if upload.status == UploadStatus::Processing => ClaimedUpload::Held,
        Some(upload) => ClaimedUpload::NotDue(Box::new(upload)),
    })
}

async fn end(pg: &Postgres, claim: &UploadClaim, how: &UploadEnd) -> Tried<Option<Upload>> {
    let (status, variants, details) = match how {
        UploadEnd::Ready { variants, details } => ("ready", json(variants)?, json(details)?),
        UploadEnd::Failed(why) => {
            let details = UploadDetails { error: Some(why.clone()), ..Default::default() };
            ("failed", "[]".to_owned(), json(&details)?)
        }
        UploadEnd::Due => ("processing", "[]".to_owned(), "{}".to_owned()),
    };
    let mut db = pg.begin().await?;
    let end = sql(format!(
        "UPDATE uploads up SET status = $4, variants = $5, details = $6, holder = NULL, version = up.version + 1
         WHERE up.id = $1 AND up.status = 'processing' AND up.holder = $2 AND up.attempts = $3 RETURNING {UPLOAD}"
    ))
    .bind(claim.upload.id.as_str())
    .bind(claim.holder.as_str())
    .bind(i64::from(claim.attempt))
    .bind(status)
    .bind(plain(&variants))
    .bind(plain(&details));
    let Some(upload) = db.one(end, upload).await? else { return Ok(None) };
    if *how != UploadEnd::Due {
        db.tell(&told(&upload.id, &upload.owner))?;
        gallery::upload_ended(&mut db, &upload.id, matches!(how, UploadEnd::Ready { .. })).await?;
    }
    db.commit().await?;
    Ok(Some(upload))
}

async fn due(db: &mut Db, after: Option<&UploadId>, limit: u32) -> Tried<Vec<DueUpload>> {
    let list = sql(format!(
        "SELECT up.id, up.attempts FROM uploads up WHERE up.status = 'processing' AND up.id > $1 AND NOT {HELD}
         ORDER BY up.id LIMIT $3"
    ))
    .bind(after.map_or("", UploadId::as_str))
    .bind(db.now)
    .bind(i64::from(limit));
    db.all(list, |c| Ok(DueUpload { id: UploadId::trusted(c.text()?), attempts: c.small()? })).await
}

async fn delete(pg: &Postgres, id: &UploadId, owner: Option<&UserId>) -> Tried<DeleteUpload> {
    let mut db = pg.begin().await?;
    let found = by_id(&mut db, id).await?.filter(|upload| owner.is_none_or(|owner| upload.owner == *owner));
    let Some(upload) = found else { return Ok(DeleteUpload::NotFound) };
    let delete = sql(format!(
        "UPDATE uploads up SET status = 'deleted', holder = NULL, version = up.version + 1
         WHERE up.id = $1 AND NOT {IS_SHOWN} AND NOT {IS_PORTRAIT} AND NOT {IS_PERSONAS}
             AND NOT {IS_IN_A_GALLERY}"
    ));
    if db.run(delete.bind(id.as_str())).await? == 0 {
        return Ok(DeleteUpload::InUse);
    }
    db.tell(&told(id, &upload.owner))?;
    db.commit().await?;
    Ok(DeleteUpload::Deleted)
}

/// With the account that they belong to.
pub(super) async fn delete_all(db: &mut Db, owner: &UserId) -> Tried<()> {
    let mine = sql("UPDATE uploads SET status = 'deleted', holder = NULL, version = version + 1
         WHERE owner_id = $1 AND status <> 'deleted' RETURNING id")
    .bind(owner.as_str());
    for id in db.all(mine, |c| c.text().map(UploadId::trusted)).await? {
        db.tell(&told(&id, owner))?;
    }
    db.run(sql("UPDATE resumables SET owner_id = '' WHERE owner_id = $1").bind(owner.as_str())).await.map(drop)
}

async fn orphaned(db: &mut Db, age: Duration, after: Option<&UploadId>, limit: u32) -> Tried<Vec<UploadId>> {
    let list = sql(format!(
        "SELECT up.id FROM uploads up WHERE up.id > $1 AND up.created_at < (SELECT aim_now($2) - $3)
             AND up.status IN ('ready', 'failed') AND NOT {IS_SHOWN} AND NOT {IS_PORTRAIT} AND NOT {IS_PERSONAS}
             AND NOT {IS_IN_A_GALLERY}
         ORDER BY up.id LIMIT $4"
    ))
    .bind(after.map_or("", UploadId::as_str))
    .bind(db.now)
    .bind(millis(age))
    .bind(i64::from(limit));
    db.all(list, |c| c.text().map(UploadId::trusted)).await
}

async fn deleted(db: &mut Db, limit: u32) -> Tried<Vec<UploadId>> {
    let list = sql("SELECT id FROM uploads WHERE status = 'deleted' ORDER BY id LIMIT $1").bind(i64::from(limit));
    db.all(list, |c| c.text().map(UploadId::trusted)).await
}

async fn forget(db: &mut Db, id: &UploadId) -> Tried<()> {
    // One statement, and so one commit: rows of galleries that still name it go with it.
    let forget = sql("WITH gone AS (DELETE FROM uploads WHERE id = $1 AND status = 'deleted' RETURNING id)
         DELETE FROM gallery g USING gone WHERE g.upload = gone.id");
    db.run(forget.bind(id.as_str())).await.map(drop)
}

async fn one_resumable(db: &mut Db, id: &UploadId) -> Tried<Option<Resumable>> {
    let text = format!("SELECT {RESUMABLE} FROM resumables r WHERE r.id = $1");
    db.one(sql(text).bind(id.as_str()), resumable).await
}

async fn create_resumable(
    pg: &Postgres,
    id: &UploadId,
    owner: &UserId,
    length: u64,
    most: u32,
) -> Tried<Option<Resumable>> {
    let mut db = pg.begin().await?;
    // One at a time of a user, or two would count the same rows and both find room.
    let lock = sql("SELECT id FROM users WHERE id = $1 FOR NO KEY UPDATE").bind(owner.as_str());
    db.run(lock).await?;
    let insert = sql("INSERT INTO resumables (id, owner_id, length, created_at)
         SELECT $1, $3, $4, aim_now($2) WHERE (SELECT count(*) FROM resumables WHERE owner_id = $3) < $5
         ON CONFLICT (id) DO NOTHING")
    .bind(id.as_str())
    .bind(db.now)
    .bind(owner.as_str())
    .bind(int(length))
    .bind(i64::from(most));
    db.run(insert).await?;
    let made = one_resumable(&mut db, id).await?;
    db.commit().await?;
    Ok(made)
}

async fn add_part(pg: &Postgres, id: &UploadId, owner: &UserId, offset: u64, part: &Part) -> Tried<Option<Resumable>> {
    let mut db = pg.begin().await?;
    let lock = sql(format!("SELECT {RESUMABLE} FROM resumables r WHERE r.id = $1 AND r.owner_id = $2 FOR UPDATE"));
    let found = db.one(lock.bind(id.as_str()).bind(owner.as_str()), resumable).await?;
    let Some(mut whole) = found else { return Ok(None) };
    if whole.parts.last() == Some(part) && whole.received == offset + part.size {
        // The same call, asked again because its answer was lost.
        return Ok(Some(whole));
    }
    if whole.received != offset || whole.received + part.size > whole.length {
        return Ok(None);
    }
    whole.received += part.size;
    whole.parts.push(part.clone());
    let update = sql("UPDATE resumables SET received = $2, parts = $3 WHERE id = $1")
        .bind(id.as_str())
        .bind(int(whole.received))
        .bind(json(&whole.parts)?);
    db.run(update).await?;
    db.tell(&told(id, owner))?;
    db.commit().await?;
    Ok(Some(whole))
}

async fn delete_resumable(pg: &Postgres, id: &UploadId) -> Tried<bool> {
    let mut db = pg.begin().await?;
    let delete = sql("DELETE FROM resumables WHERE id = $1 RETURNING owner_id").bind(id.as_str());
    let Some(owner) = db.one(delete, |c| c.text().map(UserId::trusted)).await? else { return Ok(false) };
    db.tell(&told(id, &owner))?;
    db.commit().await?;
    Ok(true)
}

async fn left_over(db: &mut Db, age: Duration) -> Tried<LeftOver> {
    let count = sql("SELECT (SELECT count(*) FROM uploads WHERE status = 'deleted'),
             (SELECT count(*) FROM resumables r WHERE r.created_at < (SELECT aim_now($1) - $2) OR r.owner_id = '')")
    .bind(db.now)
    .bind(millis(age));
    let found = db.one(count, |c| Ok(LeftOver { deleted: c.count()?, expired: c.count()? })).await?;
    Ok(found.unwrap_or_default())
}

async fn unknown(db: &mut Db, ids: &[UploadId], of: UploadBytes) -> Tried<Vec<UploadId>> {
    let ids: Vec<String> = ids.iter().map(|id| id.as_str().to_owned()).collect();
    let no_upload = match of {
        UploadBytes::Whole => "NOT EXISTS (SELECT 1 FROM uploads WHERE id = asked.id)",
        UploadBytes::Parts => "true",
    };
    let list = sql(format!(
        "SELECT asked.id FROM unnest($1::text[]) asked(id)
         WHERE {no_upload} AND NOT EXISTS (SELECT 1 FROM resumables WHERE id = asked.id)"
    ))
    .bind(ids);
    db.all(list, |c| c.text().map(UploadId::trusted)).await
}

async fn expired(db: &mut Db, age: Duration, limit: u32) -> Tried<Vec<Resumable>> {
    let list = sql(format!(
        "SELECT {RESUMABLE} FROM resumables r WHERE r.created_at < (SELECT aim_now($1) - $2) OR r.owner_id = '' LIMIT $3"
    ))
    .bind(db.now)
    .bind(millis(age))
    .bind(i64::from(limit));
    db.all(list, resumable).await
}

async fn secret(db: &mut Db, name: &str, fresh: &str) -> Tried<String> {
    let insert = sql("INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING");
    db.run(insert.bind(name).bind(fresh)).await?;
    let kept = db.one(sql("SELECT value FROM secrets WHERE name = $1").bind(name), |c| c.string()).await?;
    kept.ok_or_else(|| Fault::Failed("a secret that was just made is not there".into()))
}

#[async_trait]
impl Uploads for PostgresStore {
    async fn create_upload(&self, new: NewUpload, from: Option<&UploadId>) -> Result<Upload> {
        again!(self, create, &new, from)
    }

    async fn upload(&self, id: &UploadId) -> Result<Option<Upload>> {
        ask!(self, by_id, id)
    }

    async fn visible_upload(&self, id: &UploadId, viewer: Option<&UserId>) -> Result<Option<Upload>> {
        ask!(self, visible, id, viewer)
    }

    async fn claim_upload(&self, id: &UploadId, holder: &Incarnation) -> Result<ClaimedUpload> {
        ask!(self, claim, id, holder)
    }

    async fn end_upload(&self, claim: &UploadClaim, how: UploadEnd) -> Result<Option<Upload>> {
        self.pg.run(Again::Never, || end(&self.pg, claim, &how)).await
    }

    async fn due_uploads(&self, after: Option<&UploadId>, limit: u32) -> Result<Vec<DueUpload>> {
        ask!(self, due, after, limit)
    }

    async fn delete_upload(&self, id: &UploadId, owner: Option<&UserId>) -> Result<DeleteUpload> {
        self.pg.run(Again::Never, || delete(&self.pg, id, owner)).await
    }

    async fn orphaned_uploads(&self, age: Duration, after: Option<&UploadId>, limit: u32) -> Result<Vec<UploadId>> {
        ask!(self, orphaned, age, after, limit)
    }

    async fn deleted_uploads(&self, limit: u32) -> Result<Vec<UploadId>> {
        ask!(self, deleted, limit)
    }

    async fn forget_upload(&self, id: &UploadId) -> Result<()> {
        ask!(self, forget, id)
    }

    async fn create_resumable(
        &self,
        id: &UploadId,
        owner: &UserId,
        length: u64,
        most: u32,
    ) -> Result<Option<Resumable>> {
        again!(self, create_resumable, id, owner, length, most)
    }

    async fn resumable(&self, id: &UploadId) -> Result<Option<Resumable>> {
        ask!(self, one_resumable, id)
    }

    async fn add_part(&self, id: &UploadId, owner: &UserId, offset: u64, part: &Part) -> Result<Option<Resumable>> {
        again!(self, add_part, id, owner, offset, part)
    }

    async fn delete_resumable(&self, id: &UploadId) -> Result<bool> {
        self.pg.run(Again::Never, || delete_resumable(&self.pg, id)).await
    }

    async fn expired_resumables(&self, age: Duration, limit: u32) -> Result<Vec<Resumable>> {
        ask!(self, expired, age, limit)
    }

    async fn left_over(&self, age: Duration) -> Result<LeftOver> {
        ask!(self, left_over, age)
    }

    async fn unknown_uploads(&self, ids: &[UploadId], of: UploadBytes) -> Result<Vec<UploadId>> {
        ask!(self, unknown, ids, of)
    }

    async fn secret(&self, name: &str, fresh: &str) -> Result<String> {
        ask!(self, secret, name, fresh)
    }
}
