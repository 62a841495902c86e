//! Settings, drafts, and accounts that are closed.

use super::db::Db;
use super::rows::{self, CHARACTER, Columns, MESSAGE, int, json};
use super::uploads::UPLOAD;
use super::{SqliteStore, accounts, feed, safety, sessions, threads, uploads};
use crate::mail::WARNINGS;
use crate::text::plain;
use crate::{
    Change, ChangeEmail, Closed, Draft, MessagePage, OtherVariant, Personal, Preferences, Result, SaveDraft,
    SavePreferences, StoreError,
};
use aim_domain::{Character, CharacterId, ConversationId, DraftKey, Upload, UploadId, UserId};
use async_trait::async_trait;
use rusqlite::params;
use serde_json::{Map, Value};
use std::time::Duration;

fn object(text: &str) -> Result<Map<String, Value>> {
    serde_json::from_str(text).map_err(|error| StoreError::Failed(format!("a row cannot be read: {error}")))
}

fn preferences(db: &Db, user: &UserId) -> Result<Option<Preferences>> {
    let row = db.one("SELECT body, version FROM preferences WHERE user = ?1", [user.as_str()], |row| {
        let mut c = Columns::of(row);
        Ok((c.string()?, c.int()?))
    })?;
    row.map(|(body, version)| Ok(Preferences { body: object(&body)?, version })).transpose()
}

fn save_preferences(
    db: &Db,
    user: &UserId,
    body: &Map<String, Value>,
    version: Option<i64>,
) -> Result<SavePreferences> {
    let known = "SELECT version FROM preferences WHERE user = ?1";
    if version.is_some() && version != Some(db.number(known, [user.as_str()])?) {
        let is_there = db.one("SELECT 1 FROM users WHERE id = ?1", [user.as_str()], |_| Ok(()))?.is_some();
        return Ok(if is_there { SavePreferences::Stale } else { SavePreferences::NoUser });
    }
    let saved = db.run(
        "INSERT INTO preferences (user, body, version) SELECT id, ?2, 1 FROM users WHERE id = ?1
         ON CONFLICT (user) DO UPDATE SET body = excluded.body, version = version + 1",
        params![user.as_str(), json(body)?],
    )?;
    if saved == 0 {
        return Ok(SavePreferences::NoUser);
    }
    feed::write(db, &Change::Preferences { user: user.clone() })?;
    Ok(preferences(db, user)?.map_or(SavePreferences::NoUser, SavePreferences::Saved))
}

fn draft(db: &Db, user: &UserId, key: &DraftKey) -> Result<Option<Draft>> {
    let sql = "SELECT body, saved_at, expires_at, version FROM drafts WHERE user = ?1 AND key = ?2 AND expires_at > ?3";
    let row = db.one(sql, params![user.as_str(), key.as_str(), db.now.0], |row| {
        let mut c = Columns::of(row);
        Ok((c.string()?, c.time()?, c.time()?, c.int()?))
    })?;
    row.map(|(body, saved_at, expires_at, version)| {
        Ok(Draft { key: key.clone(), body: object(&body)?, saved_at, expires_at, version })
    })
    .transpose()
}

fn save_draft(
    db: &Db,
    user: &UserId,
    key: &DraftKey,
    body: &Map<String, Value>,
    lives: Duration,
    most: u32,
) -> Result<SaveDraft> {
    let others = db.number(
        "SELECT count(*) FROM drafts WHERE user = ?1 AND key <> ?2 AND expires_at > ?3",
        params![user.as_str(), key.as_str(), db.now.0],
    )?;
    if others >= i64::from(most) {
        return Ok(SaveDraft::TooMany);
    }
    // A version is a time, so that one that was deleted and saved anew is newer than any copy of it.
    let saved = db.run(
        "INSERT INTO drafts (user, key, body, saved_at, expires_at, version) SELECT id, ?2, ?3, ?4, ?5, ?4 FROM users WHERE id = ?1
         ON CONFLICT (user, key) DO UPDATE SET body = excluded.body, saved_at = excluded.saved_at,
             expires_at = excluded.expires_at, version = max(version + 1, excluded.version)",
        params![user.as_str(), key.as_str(), json(body)?, db.now.0, db.now.plus(lives).0],
    )?;
    if saved == 0 {
        return Ok(SaveDraft::NoUser);
    }
    feed::write(db, &Change::Draft { user: user.clone(), key: key.clone() })?;
    Ok(draft(db, user, key)?.map_or(SaveDraft::NoUser, SaveDraft::Saved))
}

fn delete_draft(db: &Db, user: &UserId, key: &DraftKey) -> Result<bool> {
    let deleted = db.run("DELETE FROM drafts WHERE user = ?1 AND key = ?2", params![user.as_str(), key.as_str()])? == 1;
    if deleted {
        feed::write(db, &Change::Draft { user: user.clone(), key: key.clone() })?;
    }
    Ok(deleted)
}

fn drafts(db: &Db, user: &UserId) -> Result<Vec<Draft>> {
    let keys = db.all("SELECT key FROM drafts WHERE user = ?1 ORDER BY key", [user.as_str()], |row| {
        Ok(DraftKey::trusted(Columns::of(row).text()?))
    })?;
    let each = keys.iter().map(|key| draft(db, user, key)).collect::<Result<Vec<_>>>()?;
    Ok(each.into_iter().flatten().collect())
}

fn own_characters(db: &Db, user: &UserId, after: Option<&CharacterId>, limit: u32) -> Result<Vec<Character>> {
    let sql = format!(
        "SELECT {CHARACTER} FROM characters ch WHERE ch.owner = ?1 AND ch.id > ?2 AND ch.deleted_at IS NULL
         ORDER BY ch.id LIMIT ?3"
    );
    db.all(&sql, params![user.as_str(), after.map_or("", CharacterId::as_str), limit], |row| {
        rows::character(&mut Columns::of(row))
    })
}

fn own_uploads(db: &Db, user: &UserId, after: Option<&UploadId>, limit: u32) -> Result<Vec<Upload>> {
    let sql = format!(
        "SELECT {UPLOAD} FROM uploads up WHERE up.owner = ?1 AND up.id > ?2 AND up.status <> 'deleted'
         ORDER BY up.id LIMIT ?3"
    );
    db.all(&sql, params![user.as_str(), after.map_or("", UploadId::as_str), limit], |row| {
        uploads::upload(&mut Columns::of(row))
    })
}

/// Whether `me` may take conversation `c` along: it is there, or was deleted after `?3` and can be had back.
const IS_KEPT: &str = "(c.deleted_at IS NULL OR (c.owner = me.user AND c.deleted_at > ?3))";

fn own_messages(
    db: &Db,
    id: &ConversationId,
    user: &UserId,
    since: i64,
    after: u64,
    limit: u32,
) -> Result<Option<MessagePage>> {
    let gate = format!(
        "SELECT c.key FROM all_conversations c JOIN members me ON me.conversation = c.key AND me.user = ?2
         WHERE c.id = ?1 AND {IS_KEPT}"
    );
    let key = db.one(&gate, params![id.as_str(), user.as_str(), since], |row| row.get::<_, i64>(0))?;
    let Some(key) = key else { return Ok(None) };
    let sql =
        format!("SELECT {MESSAGE} FROM messages m WHERE m.conversation = ?1 AND m.seq > ?2 ORDER BY m.seq LIMIT ?3");
    let one_more = i64::from(limit) + 1;
    let mut items = db.all(&sql, params![key, int(after), one_more], |row| rows::message(&mut Columns::of(row), id))?;
    let has_more = items.len() > limit as usize;
    items.truncate(limit as usize);
    Ok(Some(MessagePage { items, has_more }))
}

fn other_variants(db: &Db, id: &ConversationId, user: &UserId, since: i64, seq: u64) -> Result<Vec<OtherVariant>> {
    let sql = format!(
        "SELECT v.number, v.text, v.personality FROM all_conversations c
         JOIN members me ON me.conversation = c.key AND me.user = ?2
         JOIN messages m ON m.conversation = c.key AND m.seq = ?4
         JOIN messages q ON q.conversation = c.key AND q.seq = m.turn
         JOIN variants v ON v.conversation = c.key AND v.seq = m.seq AND v.number <> coalesce(m.selected, 0)
         WHERE c.id = ?1 AND {IS_KEPT} AND (c.owner = ?2 OR q.sender = ?2) ORDER BY v.number"
    );
    db.all(&sql, params![id.as_str(), user.as_str(), since, int(seq)], |row| {
        let mut c = Columns::of(row);
        let number = u32::try_from(c.int()?).unwrap_or(u32::MAX);
        Ok(OtherVariant { number, text: c.string()?, personality: c.maybe_json()? })
    })
}

fn change_email(db: &Db, id: &UserId, email: &str) -> Result<ChangeEmail> {
    let key = email.to_lowercase();
    let taken = "SELECT 1 FROM users WHERE email_key = ?2 AND id <> ?1";
    if db.one(taken, [id.as_str(), &key], |_| Ok(()))?.is_some() {
        return Ok(ChangeEmail::Taken);
    }
    let update = "UPDATE users SET email = ?2, email_key = ?3, version = version + 1 WHERE id = ?1";
    if db.run(update, [id.as_str(), email, &key])? == 0 {
        return Ok(ChangeEmail::NoUser);
    }
    let me = [id.as_str()];
    db.run("DELETE FROM one_time_tokens WHERE user = ?1", me)?;
    db.run("DELETE FROM confirmed_addresses WHERE user = ?1", me)?;
    let mails = format!("UPDATE mails SET address = ?2 WHERE user = ?1 AND state = 'due' AND kind NOT IN {WARNINGS}");
    db.run(&mails, [id.as_str(), email])?;
    let Some(user) = accounts::user(db, id)? else { return Ok(ChangeEmail::NoUser) };
    feed::write(db, &Change::User { id: id.clone(), username: user.username.clone() })?;
    Ok(ChangeEmail::Changed(user))
}

fn close(db: &Db, id: &UserId, grace: Duration) -> Result<Option<Closed>> {
    let closed = db.run(
        "UPDATE users SET erase_at = coalesce(erase_at, ?2), version = version + 1 WHERE id = ?1",
        params![id.as_str(), db.now.plus(grace).0],
    )?;
    if closed == 0 {
        return Ok(None);
    }
    // Who is leaving is told nothing more, but of what somebody else may have done.
    let mails = format!("DELETE FROM mails WHERE user = ?1 AND state = 'due' AND kind NOT IN {WARNINGS}");
    db.run(&mails, [id.as_str()])?;
    let mut changes = sessions::revoke_each(db, id, None)?;
    let Some(user) = accounts::user(db, id)? else { return Ok(None) };
    let mut told = vec![Change::User { id: id.clone(), username: user.username }];
    let withdrawn = safety::withdraw(db, id, &mut told)?;
    told.iter().try_for_each(|change| feed::write(db, change))?;
    changes.append(&mut told);
    Ok(user.erase_at.map(|erase_at| Closed { erase_at, changes, withdrawn }))
}

fn restore(db: &Db, id: &UserId) -> Result<bool> {
    let username = db.one(
        "UPDATE users SET erase_at = NULL, version = version + 1 WHERE id = ?1 AND erase_at > ?2 RETURNING username",
        params![id.as_str(), db.now.0],
        |row| Columns::of(row).string(),
    )?;
    let Some(username) = username else { return Ok(false) };
    feed::write(db, &Change::User { id: id.clone(), username })?;
    Ok(true)
}

fn to_erase(db: &Db, limit: u32) -> Result<Vec<UserId>> {
    let sql = "SELECT id FROM users WHERE erase_at IS NOT NULL AND erase_at <= ?1 ORDER BY erase_at LIMIT ?2";
    db.all(sql, params![db.now.0, limit], |row| Ok(UserId::trusted(Columns::of(row).text()?)))
}

/// Before an account goes: its caches are to forget what goes with it.
pub(super) fn tell_all(db: &Db, user: &UserId) -> Result<()> {
    feed::write(db, &Change::Preferences { user: user.clone() })?;
    let keys = db.all("SELECT key FROM drafts WHERE user = ?1", [user.as_str()], |row| {
        Ok(DraftKey::trusted(Columns::of(row).text()?))
    })?;
    keys.into_iter().try_for_each(|key| feed::write(db, &Change::Draft { user: user.clone(), key }))
}

#[async_trait]
impl Personal for SqliteStore {
    async fn preferences(&self, user: &UserId) -> Result<Option<Preferences>> {
        let user = user.clone();
        self.read(move |db| preferences(db, &user)).await
    }

    async fn save_preferences(
        &self,
        user: &UserId,
        body: &Map<String, Value>,
        version: Option<i64>,
    ) -> Result<SavePreferences> {
        let (user, body) = (user.clone(), body.clone());
        self.write(move |db| save_preferences(db, &user, &body, version)).await
    }

    async fn draft(&self, user: &UserId, key: &DraftKey) -> Result<Option<Draft>> {
        let (user, key) = (user.clone(), key.clone());
        self.read(move |db| draft(db, &user, &key)).await
    }

    async fn save_draft(
        &self,
        user: &UserId,
        key: &DraftKey,
        body: &Map<String, Value>,
        lives: Duration,
        most: u32,
    ) -> Result<SaveDraft> {
        let (user, key, body) = (user.clone(), key.clone(), body.clone());
        self.write(move |db| save_draft(db, &user, &key, &body, lives, most)).await
    }

    async fn delete_draft(&self, user: &UserId, key: &DraftKey) -> Result<bool> {
        let (user, key) = (user.clone(), key.clone());
        self.write(move |db| delete_draft(db, &user, &key)).await
    }

    async fn drafts(&self, user: &UserId) -> Result<Vec<Draft>> {
        let user = user.clone();
        self.read(move |db| drafts(db, &user)).await
    }

    async fn own_characters(&self, user: &UserId, after: Option<&CharacterId>, limit: u32) -> Result<Vec<Character>> {
        let (user, after) = (user.clone(), after.cloned());
        self.read(move |db| own_characters(db, &user, after.as_ref(), limit)).await
    }

    async fn own_uploads(&self, user: &UserId, after: Option<&UploadId>, limit: u32) -> Result<Vec<Upload>> {
        let (user, after) = (user.clone(), after.cloned());
        self.read(move |db| own_uploads(db, &user, after.as_ref(), limit)).await
    }

    async fn own_messages(
        &self,
        id: &ConversationId,
        user: &UserId,
        keep: Duration,
        after: u64,
        limit: u32,
    ) -> Result<Option<MessagePage>> {
        let (id, user) = (id.clone(), user.clone());
        self.read(move |db| own_messages(db, &id, &user, threads::since(db, keep), after, limit)).await
    }

    async fn other_variants(
        &self,
        id: &ConversationId,
        user: &UserId,
        keep: Duration,
        seq: u64,
    ) -> Result<Vec<OtherVariant>> {
        let (id, user) = (id.clone(), user.clone());
        self.read(move |db| other_variants(db, &id, &user, threads::since(db, keep), seq)).await
    }

    async fn change_email(&self, user: &UserId, email: &str) -> Result<ChangeEmail> {
        let (user, email) = (user.clone(), plain(email).into_owned());
        self.write(move |db| change_email(db, &user, &email)).await
    }

    async fn close_account(&self, user: &UserId, grace: Duration) -> Result<Option<Closed>> {
        let user = user.clone();
        self.write(move |db| close(db, &user, grace)).await
    }

    async fn restore_account(&self, user: &UserId) -> Result<bool> {
        let user = user.clone();
        self.write(move |db| restore(db, &user)).await
    }

    async fn accounts_to_erase(&self, limit: u32) -> Result<Vec<UserId>> {
        self.read(move |db| to_erase(db, limit)).await
    }
}
