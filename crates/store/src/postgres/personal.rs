//! Settings, drafts, and accounts that are closed.

use super::db::{Again, Db, Postgres, Tried, sql};
use super::faults::Fault;
use super::rows::{self, CHARACTER, MESSAGE, USER, int, json};
use super::sessions::{self, millis};
use super::uploads::{self, UPLOAD};
use super::{PostgresStore, again, ask, safety};
use crate::mail::WARNINGS;
use crate::text::plain;
use crate::{
    Change, ChangeEmail, Closed, Draft, MessagePage, OtherVariant, Personal, Preferences, Result, SaveDraft,
    SavePreferences,
};
use aim_domain::{Character, CharacterId, ConversationId, DraftKey, Upload, UploadId, UserId};
use async_trait::async_trait;
use serde_json::{Map, Value};
use std::time::Duration;

fn object(text: &str) -> Tried<Map<String, Value>> {
    serde_json::from_str(text).map_err(|error| Fault::Failed(format!("a row cannot be read: {error}")))
}

async fn preferences(db: &mut Db, user: &UserId) -> Tried<Option<Preferences>> {
    let read = sql("SELECT body, version FROM preferences WHERE user_id = $1").bind(user.as_str());
    db.one(read, |c| Ok(Preferences { body: object(c.text()?)?, version: c.int()? })).await
}

/// One row is written or none: `ON CONFLICT` waits for whoever writes it, and then looks at its version.
async fn save_preferences(
    pg: &Postgres,
    user: &UserId,
    body: &Map<String, Value>,
    version: Option<i64>,
) -> Tried<SavePreferences> {
    let mut db = pg.begin().await?;
    let save = sql("INSERT INTO preferences (user_id, body, version)
         SELECT u.id, $2, 1 FROM users u WHERE u.id = $1
             AND ($3::bigint IS NULL OR $3 = 0 OR EXISTS (SELECT 1 FROM preferences p WHERE p.user_id = $1))
         ON CONFLICT (user_id) DO UPDATE SET body = excluded.body, version = preferences.version + 1
             WHERE $3::bigint IS NULL OR preferences.version = $3
         RETURNING version")
    .bind(user.as_str())
    .bind(json(body)?)
    .bind(version);
    let Some(version) = db.one(save, |c| c.int()).await? else {
        let user = sql("SELECT count(*) FROM users WHERE id = $1").bind(user.as_str());
        let is_there = db.number(user).await? == 1;
        return Ok(if is_there { SavePreferences::Stale } else { SavePreferences::NoUser });
    };
    db.tell(&Change::Preferences { user: user.clone() })?;
    db.commit().await?;
    Ok(SavePreferences::Saved(Preferences { body: body.clone(), version }))
}

async fn draft(db: &mut Db, user: &UserId, key: &DraftKey) -> Tried<Option<Draft>> {
    let read = sql("SELECT body, saved_at, expires_at, version FROM drafts
         WHERE user_id = $1 AND key = $2 AND expires_at > aim_now($3)")
    .bind(user.as_str())
    .bind(key.as_str())
    .bind(db.now);
    db.one(read, |c| {
        Ok(Draft {
            key: key.clone(),
            body: object(c.text()?)?,
            saved_at: c.time()?,
            expires_at: c.time()?,
            version: c.int()?,
        })
    })
    .await
}

async fn save_draft(
    pg: &Postgres,
    user: &UserId,
    key: &DraftKey,
    body: &Map<String, Value>,
    lives: Duration,
    most: u32,
) -> Tried<SaveDraft> {
    let mut db = pg.begin().await?;
    // Those of one user come one after the other, so that they are counted.
    let lock = sql("SELECT aim_now($2) FROM users WHERE id = $1 FOR NO KEY UPDATE").bind(user.as_str()).bind(db.now);
    let Some(now) = db.one(lock, |c| c.int()).await? else { return Ok(SaveDraft::NoUser) };
    let others = sql("SELECT count(*) FROM drafts WHERE user_id = $1 AND key <> $2 AND expires_at > $3")
        .bind(user.as_str())
        .bind(key.as_str())
        .bind(now);
    if db.number(others).await? >= i64::from(most) {
        return Ok(SaveDraft::TooMany);
    }
    // A version is a time, so that one that was deleted and saved anew is newer than any copy of it.
    let save = sql(
        "INSERT INTO drafts AS d (user_id, key, body, saved_at, expires_at, version) VALUES ($1, $2, $3, $4, $5, $4)
         ON CONFLICT (user_id, key) DO UPDATE SET body = excluded.body, saved_at = excluded.saved_at,
             expires_at = excluded.expires_at, version = greatest(d.version + 1, excluded.version)
         RETURNING saved_at, expires_at, version",
    )
    .bind(user.as_str())
    .bind(key.as_str())
    .bind(json(body)?)
    .bind(now)
    .bind(now.saturating_add(millis(lives)));
    let saved = db.one(save, |c| {
        Ok(Draft {
            key: key.clone(),
            body: body.clone(),
            saved_at: c.time()?,
            expires_at: c.time()?,
            version: c.int()?,
        })
    });
    let Some(saved) = saved.await? else { return Ok(SaveDraft::NoUser) };
    db.tell(&Change::Draft { user: user.clone(), key: key.clone() })?;
    db.commit().await?;
    Ok(SaveDraft::Saved(saved))
}

async fn delete_draft(pg: &Postgres, user: &UserId, key: &DraftKey) -> Tried<bool> {
    let mut db = pg.begin().await?;
    let delete = sql("DELETE FROM drafts WHERE user_id = $1 AND key = $2").bind(user.as_str()).bind(key.as_str());
    if db.run(delete).await? == 0 {
        return Ok(false);
    }
    db.tell(&Change::Draft { user: user.clone(), key: key.clone() })?;
    db.commit().await?;
    Ok(true)
}

async fn drafts(db: &mut Db, user: &UserId) -> Tried<Vec<Draft>> {
    let read = sql("SELECT key, body, saved_at, expires_at, version FROM drafts
         WHERE user_id = $1 AND expires_at > (SELECT aim_now($2)) ORDER BY key")
    .bind(user.as_str())
    .bind(db.now);
    db.all(read, |c| {
        Ok(Draft {
            key: DraftKey::trusted(c.text()?),
            body: object(c.text()?)?,
            saved_at: c.time()?,
            expires_at: c.time()?,
            version: c.int()?,
        })
    })
    .await
}

async fn own_characters(db: &mut Db, user: &UserId, after: Option<&CharacterId>, limit: u32) -> Tried<Vec<Character>> {
    let read = sql(format!(
        "SELECT {CHARACTER} FROM characters ch WHERE ch.owner_id = $1 AND ch.id > $2 AND ch.deleted_at IS NULL
         ORDER BY ch.id LIMIT $3"
    ))
    .bind(user.as_str())
    .bind(after.map_or("", CharacterId::as_str))
    .bind(i64::from(limit));
    db.all(read, rows::character).await
}

async fn own_uploads(db: &mut Db, user: &UserId, after: Option<&UploadId>, limit: u32) -> Tried<Vec<Upload>> {
    let read = sql(format!(
        "SELECT {UPLOAD} FROM uploads up WHERE up.owner_id = $1 AND up.id > $2 AND up.status <> 'deleted'
         ORDER BY up.id LIMIT $3"
    ))
    .bind(user.as_str())
    .bind(after.map_or("", UploadId::as_str))
    .bind(i64::from(limit));
    db.all(read, uploads::upload).await
}

/// Whether `me` may take conversation `c` along: it is there, or was deleted less than `$4` ago and can be had back; the store's
/// clock as `$3`.
const IS_KEPT: &str =
    "(c.deleted_at IS NULL OR (c.owner_id = me.user_id AND c.deleted_at > (SELECT aim_now($3) - $4)))";

/// As a page of messages: one row without a message stands for a conversation that has none here.
async fn own_messages(
    db: &mut Db,
    id: &ConversationId,
    user: &UserId,
    keep: Duration,
    after: u64,
    limit: u32,
) -> Tried<Option<MessagePage>> {
    let read = sql(format!(
        "SELECT m.seq IS NOT NULL, {MESSAGE}
         FROM all_conversations c JOIN members me ON me.conversation = c.key AND me.user_id = $2
             LEFT JOIN LATERAL (SELECT * FROM messages p WHERE p.conversation = c.key AND p.seq > $5
                 ORDER BY p.seq LIMIT $6) m ON true
         WHERE c.id = $1 AND {IS_KEPT}"
    ))
    .bind(id.as_str())
    .bind(user.as_str())
    .bind(db.now)
    .bind(millis(keep))
    .bind(int(after))
    .bind(i64::from(limit) + 1);
    let rows = db.all(read, |c| if c.flag()? { rows::message(c, id).map(Some) } else { Ok(None) }).await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let mut items: Vec<_> = rows.into_iter().flatten().collect();
    items.sort_unstable_by_key(|message| message.seq);
    let has_more = items.len() > limit as usize;
    items.truncate(limit as usize);
    Ok(Some(MessagePage { items, has_more }))
}

async fn other_variants(
    db: &mut Db,
    id: &ConversationId,
    user: &UserId,
    keep: Duration,
    seq: u64,
) -> Tried<Vec<OtherVariant>> {
    let read = sql(format!(
        "SELECT v.number, v.text, v.personality FROM all_conversations c
         JOIN members me ON me.conversation = c.key AND me.user_id = $2
         JOIN messages m ON m.conversation = c.key AND m.seq = $5
         JOIN messages q ON q.conversation = c.key AND q.seq = m.turn
         JOIN variants v ON v.conversation = c.key AND v.seq = m.seq AND v.number <> coalesce(m.selected, 0)
         WHERE c.id = $1 AND {IS_KEPT} AND (c.owner_id = $2 OR q.sender = $2) ORDER BY v.number"
    ))
    .bind(id.as_str())
    .bind(user.as_str())
    .bind(db.now)
    .bind(millis(keep))
    .bind(int(seq));
    db.all(read, |c| Ok(OtherVariant { number: c.small()?, text: c.string()?, personality: c.maybe_json()? })).await
}

async fn change_email(pg: &Postgres, id: &UserId, email: &str) -> Tried<ChangeEmail> {
    let email = plain(email);
    let key = email.to_lowercase();
    let mut db = pg.begin().await?;
    let update = sql(format!(
        "UPDATE users u SET email = $2, email_key = $3, version = u.version + 1
         WHERE u.id = $1 AND NOT EXISTS (SELECT 1 FROM users o WHERE o.email_key = $3 AND o.id <> $1) RETURNING {USER}"
    ))
    .bind(id.as_str())
    .bind(&*email)
    .bind(&key);
    let Some(user) = db.one(update, rows::user).await? else {
        let there = sql("SELECT count(*) FROM users WHERE id = $1").bind(id.as_str());
        return Ok(if db.number(there).await? == 0 { ChangeEmail::NoUser } else { ChangeEmail::Taken });
    };
    db.run(sql("DELETE FROM one_time_tokens WHERE user_id = $1").bind(id.as_str())).await?;
    db.run(sql("DELETE FROM confirmed_addresses WHERE user_id = $1").bind(id.as_str())).await?;
    let mails =
        sql(format!("UPDATE mails SET address = $2 WHERE user_id = $1 AND state = 'due' AND kind NOT IN {WARNINGS}"));
    db.run(mails.bind(id.as_str()).bind(&*email)).await?;
    db.tell(&Change::User { id: id.clone(), username: user.username.clone() })?;
    db.commit().await?;
    Ok(ChangeEmail::Changed(user))
}

async fn close(pg: &Postgres, id: &UserId, grace: Duration) -> Tried<Option<Closed>> {
    let mut db = pg.begin().await?;
    let update = sql("UPDATE users SET erase_at = coalesce(erase_at, aim_now($2) + $3), version = version + 1
         WHERE id = $1 RETURNING username, erase_at, aim_now($2)")
    .bind(id.as_str())
    .bind(db.now)
    .bind(millis(grace));
    let closed = db.one(update, |c| Ok((c.string()?, c.time()?, c.int()?))).await?;
    let Some((username, erase_at, now)) = closed else { return Ok(None) };
    // Who is leaving is told nothing more, but of what somebody else may have done.
    let mails = sql(format!("DELETE FROM mails WHERE user_id = $1 AND state = 'due' AND kind NOT IN {WARNINGS}"));
    db.run(mails.bind(id.as_str())).await?;
    let mut changes = sessions::revoke_each(&mut db, id, None).await?;
    let mut told = vec![Change::User { id: id.clone(), username }];
    let withdrawn = safety::withdraw(&mut db, id, now, &mut told).await?;
    told.iter().try_for_each(|change| db.tell(change))?;
    changes.append(&mut told);
    db.commit().await?;
    Ok(Some(Closed { erase_at, changes, withdrawn }))
}

async fn restore(pg: &Postgres, id: &UserId) -> Tried<bool> {
    let mut db = pg.begin().await?;
    let update = sql("UPDATE users SET erase_at = NULL, version = version + 1
         WHERE id = $1 AND erase_at > aim_now($2) RETURNING username")
    .bind(id.as_str())
    .bind(db.now);
    let Some(username) = db.one(update, |c| c.string()).await? else { return Ok(false) };
    db.tell(&Change::User { id: id.clone(), username })?;
    db.commit().await?;
    Ok(true)
}

async fn to_erase(db: &mut Db, limit: u32) -> Tried<Vec<UserId>> {
    let read = sql("SELECT id FROM users WHERE erase_at IS NOT NULL AND erase_at <= (SELECT aim_now($1))
         ORDER BY erase_at LIMIT $2")
    .bind(db.now)
    .bind(i64::from(limit));
    db.all(read, |c| c.text().map(UserId::trusted)).await
}

/// Before an account goes: its caches are to forget what goes with it.
pub(super) async fn tell_all(db: &mut Db, user: &UserId) -> Tried<()> {
    db.tell(&Change::Preferences { user: user.clone() })?;
    let keys = sql("SELECT key FROM drafts WHERE user_id = $1").bind(user.as_str());
    for key in db.all(keys, |c| c.text().map(DraftKey::trusted)).await? {
        db.tell(&Change::Draft { user: user.clone(), key })?;
    }
    Ok(())
}

#[async_trait]
impl Personal for PostgresStore {
    async fn preferences(&self, user: &UserId) -> Result<Option<Preferences>> {
        ask!(self, preferences, user)
    }

    async fn save_preferences(
        &self,
        user: &UserId,
        body: &Map<String, Value>,
        version: Option<i64>,
    ) -> Result<SavePreferences> {
        again!(self, save_preferences, user, body, version)
    }

    async fn draft(&self, user: &UserId, key: &DraftKey) -> Result<Option<Draft>> {
        ask!(self, draft, user, key)
    }

    async fn save_draft(
        &self,
        user: &UserId,
        key: &DraftKey,
        body: &Map<String, Value>,
        lives: Duration,
        most: u32,
    ) -> Result<SaveDraft> {
        again!(self, save_draft, user, key, body, lives, most)
    }

    async fn delete_draft(&self, user: &UserId, key: &DraftKey) -> Result<bool> {
        self.pg.run(Again::Never, || delete_draft(&self.pg, user, key)).await
    }

    async fn drafts(&self, user: &UserId) -> Result<Vec<Draft>> {
        ask!(self, drafts, user)
    }

    async fn own_characters(&self, user: &UserId, after: Option<&CharacterId>, limit: u32) -> Result<Vec<Character>> {
        ask!(self, own_characters, user, after, limit)
    }

    async fn own_uploads(&self, user: &UserId, after: Option<&UploadId>, limit: u32) -> Result<Vec<Upload>> {
        ask!(self, own_uploads, user, after, limit)
    }

    async fn own_messages(
        &self,
        id: &ConversationId,
        user: &UserId,
        keep: Duration,
        after: u64,
        limit: u32,
    ) -> Result<Option<MessagePage>> {
        ask!(self, own_messages, id, user, keep, after, limit)
    }

    async fn other_variants(
        &self,
        id: &ConversationId,
        user: &UserId,
        keep: Duration,
        seq: u64,
    ) -> Result<Vec<OtherVariant>> {
        ask!(self, other_variants, id, user, keep, seq)
    }

    async fn change_email(&self, user: &UserId, email: &str) -> Result<ChangeEmail> {
        self.pg.run(Again::Never, || change_email(&self.pg, user, email)).await
    }

    async fn close_account(&self, user: &UserId, grace: Duration) -> Result<Option<Closed>> {
        // Asked again after a lost answer it would not know the sessions that it ended.
        self.pg.run(Again::Never, || close(&self.pg, user, grace)).await
    }

    async fn restore_account(&self, user: &UserId) -> Result<bool> {
        self.pg.run(Again::Never, || restore(&self.pg, user)).await
    }

    async fn accounts_to_erase(&self, limit: u32) -> Result<Vec<UserId>> {
        ask!(self, to_erase, limit)
    }
}
