//! Conversations and who is in them.

use super::db::Db;
use super::rows::{self, Columns, HEAD_TABLES, ITEM_TABLES, head_columns, int, item_columns};
use super::{feed, messages};
use crate::{
    Change, ConversationHead, ConversationItem, ConversationPage, OpenConversation, Result, StoreError, cursor,
};
use aim_domain::{Author, CharacterId, ConversationId, Kind, Message, UserId};
use rusqlite::params;

pub(super) fn open(db: &Db, open: &OpenConversation) -> Result<(ConversationItem, bool)> {
    if !open.anew
        && let Some(item) = of_pair(db, &open.owner, &open.character)?
    {
        return Ok((item, false));
    }
    greet(db, open)?;
    let item = get(db, &open.id, &open.owner)?
        .ok_or_else(|| StoreError::Failed("a conversation that was just opened is not there".into()))?;
    Ok((item, true))
}

pub(super) fn of_pair(db: &Db, owner: &UserId, character: &CharacterId) -> Result<Option<ConversationItem>> {
    let main = "SELECT id FROM conversations WHERE owner = ?1 AND character = ?2 AND main = 1";
    let pair = [owner.as_str(), character.as_str()];
    match db.one(main, pair, |row| Ok(ConversationId::trusted(Columns::of(row).text()?)))? {
        Some(id) => get(db, &id, owner),
        None => Ok(None),
    }
}

/// Makes the conversation, with its owner in it, and answers its key; its greeting is still to be said.
pub(super) fn create(db: &Db, open: &OpenConversation) -> Result<i64> {
    let displace =
        "UPDATE all_conversations SET main = 0 WHERE owner = ?1 AND character = ?2 AND main = 1 AND deleted_at IS NULL";
    let displaced = match open.anew {
        true => db.run(displace, [open.owner.as_str(), open.character.as_str()])? > 0,
        false => false,
    };
    // A person counts once.
    let counted = db.run(
        "UPDATE characters SET conversations = conversations + ?2 WHERE id = ?1 AND deleted_at IS NULL",
        params![open.character.as_str(), i64::from(!displaced)],
    )?;
    if counted == 0 {
        return Err(StoreError::Failed("a conversation was opened with a character that is gone".into()));
    }
    let key = db.one(
        "INSERT INTO all_conversations (id, owner, character, title, last_seq, due, created_at, updated_at)
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
    Ok(key)
}

fn greet(db: &Db, open: &OpenConversation) -> Result<()> {
    let key = create(db, open)?;
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

/// What was said before somebody came in is not unread.
pub(super) fn join(db: &Db, key: i64, user: &UserId) -> Result<()> {
    db.run(
        "INSERT INTO members (conversation, user, joined_at, read_seq)
         SELECT ?1, ?2, ?3, last_seq FROM all_conversations WHERE key = ?1 ON CONFLICT DO NOTHING",
        params![key, user.as_str(), db.now.0],
    )?;
    Ok(())
}

pub(super) fn get(db: &Db, id: &ConversationId, member: &UserId) -> Result<Option<ConversationItem>> {
    let sql = format!("SELECT {} FROM {ITEM_TABLES} WHERE c.id = ?1 AND me.user = ?2", item_columns());
    db.one(&sql, [id.as_str(), member.as_str()], |row| rows::item(&mut Columns::of(row)))
}

/// As `get`, without a look at the character.
pub(super) fn head(db: &Db, id: &ConversationId, member: &UserId) -> Result<Option<ConversationHead>> {
    let sql = format!("SELECT {} FROM {HEAD_TABLES} WHERE c.id = ?1 AND me.user = ?2", head_columns());
    db.one(&sql, [id.as_str(), member.as_str()], |row| rows::head(&mut Columns::of(row)))
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
         SELECT {} FROM page JOIN {ITEM_TABLES} WHERE c.key = page.key AND me.user = ?1 ORDER BY c.updated_at DESC, c.id DESC",
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
pub(super) fn owned(db: &Db, id: &ConversationId, owner: &UserId) -> Result<Option<i64>> {
    let sql = "SELECT key FROM conversations WHERE id = ?1 AND owner = ?2";
    db.one(sql, [id.as_str(), owner.as_str()], |row| row.get(0))
}

pub(super) fn changed(db: &Db, key: i64, id: &ConversationId) -> Result<()> {
    db.run("UPDATE all_conversations SET updated_at = max(updated_at, ?2) WHERE key = ?1", params![key, db.now.0])?;
    feed::write(db, &Change::Conversation { id: id.clone() })
}

pub(super) fn rename(db: &Db, id: &ConversationId, owner: &UserId, title: &str) -> Result<bool> {
    let Some(key) = owned(db, id, owner)? else { return Ok(false) };
    db.run("UPDATE all_conversations SET title = ?2 WHERE key = ?1", params![key, title])?;
    changed(db, key, id)?;
    Ok(true)
}

pub(super) fn delete(db: &Db, id: &ConversationId, owner: &UserId) -> Result<bool> {
    let Some(key) = owned(db, id, owner)? else { return Ok(false) };
    stop(db, key, id)?;
    count(db, key, -1)?;
    db.run(
        "UPDATE messages SET reply_state = CASE WHEN redo IS NULL THEN 'cancelled' ELSE 'done' END, redo = NULL,
             redo_fence = NULL
         WHERE conversation = ?1 AND reply_state = 'due'",
        [key],
    )?;
    db.run(
        "UPDATE all_conversations SET deleted_at = ?2, due = 0, holder = NULL, claimed = NULL, fence = fence + 1
         WHERE key = ?1",
        params![key, db.now.0],
    )?;
    promote(db, key)?;
    tell_members(db, key, id)?;
    feed::write(db, &Change::Conversation { id: id.clone() })?;
    Ok(true)
}

/// After a pair's main conversation the last changed of their others is the main one; a branch never is.
fn promote(db: &Db, deleted: i64) -> Result<()> {
    let next = db.one(
        "UPDATE all_conversations SET main = 1 WHERE key = (
             SELECT o.key FROM all_conversations was JOIN conversations o ON o.owner = was.owner AND o.character = was.character
             WHERE was.key = ?1 AND was.main = 1 AND o.branch_of IS NULL ORDER BY o.updated_at DESC LIMIT 1) RETURNING key",
        [deleted],
        |row| row.get::<_, i64>(0),
    )?;
    next.map_or(Ok(()), |key| count(db, key, 1))
}

/// A reply under way is told to stop, since nobody waits for it.
fn stop(db: &Db, key: i64, id: &ConversationId) -> Result<()> {
    let held = db.one("SELECT fence FROM conversations WHERE key = ?1 AND holder IS NOT NULL", [key], |row| {
        Columns::of(row).count()
    })?;
    match held {
        Some(fence) => feed::write(db, &Change::Cancel { conversation: id.clone(), fence }),
        None => Ok(()),
    }
}

/// Counts a conversation that is there with its character, one more or one less: a person counts once, whatever branches off.
pub(super) fn count(db: &Db, key: i64, more: i64) -> Result<()> {
    db.run(
        "UPDATE characters SET conversations = conversations + ?2
         WHERE id = (SELECT character FROM conversations WHERE key = ?1 AND main = 1)",
        [key, more],
    )
    .map(drop)
}

/// Takes a conversation away for good, with its members and messages, deleted before or not.
pub(super) fn remove(db: &Db, key: i64, id: &ConversationId) -> Result<()> {
    stop(db, key, id)?;
    count(db, key, -1)?;
    tell_members(db, key, id)?;
    db.run("DELETE FROM all_conversations WHERE key = ?1", [key])?;
    feed::write(db, &Change::Conversation { id: id.clone() })
}

/// Those who are in it, or were until now, are told.
pub(super) fn tell_members(db: &Db, key: i64, id: &ConversationId) -> Result<()> {
    let members = db.all("SELECT user FROM members WHERE conversation = ?1", [key], |row| {
        Ok(UserId::trusted(Columns::of(row).text()?))
    })?;
    for user in members {
        feed::write(db, &Change::Member { conversation: id.clone(), user })?;
    }
    Ok(())
}
