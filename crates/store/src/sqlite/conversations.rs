//! Conversations and who is in them.

use super::db::Db;
use super::rows::{self, Columns, ITEM_TABLES, int, item_columns};
use super::{feed, messages};
use crate::{Change, ConversationItem, ConversationPage, OpenConversation, Result, StoreError, cursor};
use aim_domain::{Author, ConversationId, Kind, Message, UserId};
use rusqlite::params;

pub(super) fn open(db: &Db, open: &OpenConversation) -> Result<(ConversationItem, bool)> {
    let pair = [open.owner.as_str(), open.character.as_str()];
    let existing = db.one("SELECT id FROM conversations WHERE owner = ?1 AND character = ?2", pair, |row| {
        Ok(ConversationId::trusted(Columns::of(row).text()?))
    })?;
    let id = existing.as_ref().unwrap_or(&open.id);
    if existing.is_none() {
        create(db, open)?;
    }
    let item = get(db, id, &open.owner)?
        .ok_or_else(|| StoreError::Failed("a conversation that was just opened is not there".into()))?;
    Ok((item, existing.is_none()))
}

fn create(db: &Db, open: &OpenConversation) -> Result<()> {
    let counted = db.run(
        "UPDATE characters SET conversations = conversations + 1 WHERE id = ?1 AND deleted_at IS NULL",
        [open.character.as_str()],
    )?;
    if counted == 0 {
        return Err(StoreError::Failed("a conversation was opened with a character that is gone".into()));
    }
    let key = db.one(
        "INSERT INTO conversations (id, owner, character, title, last_seq, due, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?6) RETURNING key",
        params![
            open.id.as_str(),
            open.owner.as_str(),
            open.character.as_str(),
            open.title,
            int(u64::from(open.greeting.is_some())),
            db.now.0
        ],
        |row| row.get::<_, i64>(0),
    )?;
    let key = key.ok_or_else(|| StoreError::Failed("a conversation was stored without a key".into()))?;
    join(db, key, &open.owner)?;
    let Some((id, text)) = &open.greeting else { return Ok(()) };
    let greeting = Message {
        id: id.clone(),
        conversation_id: open.id.clone(),
        seq: 1,
        role: Author::Character,
        sender_id: open.character.as_str().to_owned(),
        kind: Kind::Text,
        text: text.clone(),
        media: None,
        in_reply_to: None,
        client_id: None,
        created_at: db.now,
        reply_state: None,
        variants: None,
        personality: None,
    };
    messages::insert(db, key, greeting.seq, &greeting).map(drop)
}

fn join(db: &Db, key: i64, user: &UserId) -> Result<()> {
    db.run(
        "INSERT INTO members (conversation, user, joined_at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        params![key, user.as_str(), db.now.0],
    )?;
    Ok(())
}

pub(super) fn get(db: &Db, id: &ConversationId, member: &UserId) -> Result<Option<ConversationItem>> {
    let sql = format!(
        "SELECT {} FROM {ITEM_TABLES}
         WHERE c.id = ?1 AND EXISTS (SELECT 1 FROM members WHERE conversation = c.key AND user = ?2)",
        item_columns()
    );
    db.one(&sql, [id.as_str(), member.as_str()], |row| rows::item(&mut Columns::of(row)))
}

/// A person has as many conversations as characters they talk with: these are sorted as they are read, which spares every
/// message from moving a row in an index of its members' lists.
pub(super) fn list(db: &Db, member: &UserId, after: Option<&str>, limit: u32) -> Result<ConversationPage> {
    let (at, id) = after.and_then(|text| cursor::number(text, "c")).unwrap_or((i64::MAX, String::new()));
    let sql = format!(
        "WITH page AS (
             SELECT c.key FROM members me JOIN conversations c ON c.key = me.conversation
             WHERE me.user = ?1 AND (c.updated_at < ?2 OR (c.updated_at = ?2 AND c.id < ?3))
             ORDER BY c.updated_at DESC, c.id DESC LIMIT ?4)
         SELECT {} FROM page JOIN {ITEM_TABLES} WHERE c.key = page.key ORDER BY c.updated_at DESC, c.id DESC",
        item_columns()
    );
    let one_more = i64::from(limit) + 1;
    let mut items =
        db.all(&sql, params![member.as_str(), at, id, one_more], |row| rows::item(&mut Columns::of(row)))?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let last = items.last().filter(|_| more).map(|item| &item.conversation);
    let next_cursor = last.map(|last| cursor::make("c", last.id.as_str(), &last.updated_at.0.to_string()));
    Ok(ConversationPage { items, next_cursor })
}

/// The key of a conversation, if `owner` owns it.
fn owned(db: &Db, id: &ConversationId, owner: &UserId) -> Result<Option<i64>> {
    let sql = "SELECT key FROM conversations WHERE id = ?1 AND owner = ?2";
    db.one(sql, [id.as_str(), owner.as_str()], |row| row.get(0))
}

fn changed(db: &Db, key: i64, id: &ConversationId) -> Result<()> {
    db.run("UPDATE conversations SET updated_at = max(updated_at, ?2) WHERE key = ?1", params![key, db.now.0])?;
    feed::write(db, &Change::Conversation { id: id.clone() })
}

pub(super) fn rename(db: &Db, id: &ConversationId, owner: &UserId, title: &str) -> Result<bool> {
    let Some(key) = owned(db, id, owner)? else { return Ok(false) };
    db.run("UPDATE conversations SET title = ?2 WHERE key = ?1", params![key, title])?;
    changed(db, key, id)?;
    Ok(true)
}

pub(super) fn delete(db: &Db, id: &ConversationId, owner: &UserId) -> Result<bool> {
    let Some(key) = owned(db, id, owner)? else { return Ok(false) };
    remove(db, key, id)?;
    Ok(true)
}

/// Takes a conversation away with its members and messages; a reply under way is told to stop, since nobody waits for it.
pub(super) fn remove(db: &Db, key: i64, id: &ConversationId) -> Result<()> {
    let held = db.one("SELECT fence FROM conversations WHERE key = ?1 AND holder IS NOT NULL", [key], |row| {
        Columns::of(row).count()
    })?;
    if let Some(fence) = held {
        feed::write(db, &Change::Cancel { conversation: id.clone(), fence })?;
    }
    db.run(
        "UPDATE characters SET conversations = conversations - 1
         WHERE id = (SELECT character FROM conversations WHERE key = ?1)",
        [key],
    )?;
    db.run("DELETE FROM conversations WHERE key = ?1", [key])?;
    feed::write(db, &Change::Conversation { id: id.clone() })
}

pub(super) fn add_member(db: &Db, id: &ConversationId, owner: &UserId, user: &UserId) -> Result<bool> {
    let Some(key) = owned(db, id, owner)? else { return Ok(false) };
    // Whom he blocked, he does not exist for.
    let there = "SELECT 1 FROM users WHERE id = ?1
         AND NOT EXISTS (SELECT 1 FROM blocks WHERE blocker = ?1 AND blocked = ?2)";
    if db.one(there, [user.as_str(), owner.as_str()], |_| Ok(()))?.is_none() {
        return Ok(false);
    }
    join(db, key, user)?;
    changed(db, key, id)?;
    Ok(true)
}

pub(super) fn remove_member(db: &Db, id: &ConversationId, by: &UserId, user: &UserId) -> Result<bool> {
    let key = db.one(
        "SELECT key FROM conversations WHERE id = ?1 AND owner <> ?3 AND (owner = ?2 OR ?2 = ?3)",
        [id.as_str(), by.as_str(), user.as_str()],
        |row| row.get::<_, i64>(0),
    )?;
    let Some(key) = key else { return Ok(false) };
    if db.run("DELETE FROM members WHERE conversation = ?1 AND user = ?2", params![key, user.as_str()])? == 0 {
        return Ok(false);
    }
    changed(db, key, id)?;
    Ok(true)
}
