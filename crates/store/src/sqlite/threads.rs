//! The end of a conversation removed, branches, deletions that can be taken back, and how far each has read.

use super::db::Db;
use super::replies::by_seq;
use super::rows::{self, Columns, ITEM_TABLES, UNREAD, int, item_columns};
use super::{SqliteStore, conversations, feed};
use crate::text::plain;
use crate::{
    BranchConversation, Branched, Change, ConversationItem, ConversationPage, MAX_BRANCH, ReadMark, RemoveExchange,
    Removed, Result, Revised, RoomStanding, StoreError, Threads, Unfit, cursor,
};
use aim_domain::{ConversationId, MessageId, UserId};
use async_trait::async_trait;
use rusqlite::params;
use std::time::Duration;

/// A copy's id: the time of what it copies, the copy's number, and what is random in its conversation's id. So one statement
/// gives all copies of a conversation their ids, which sort as those that they copy.
fn copied(message: &str) -> String {
    format!(
        "substr({message}.id, 1, 15) || printf('%03x-a%03x-', {message}.seq / 4096, {message}.seq % 4096) || substr(?2, 25, 12)"
    )
}

fn remove(db: &Db, ask: &RemoveExchange) -> Result<Revised<Removed>> {
    let found = db.one(
        "SELECT c.key, c.owner = ?3, c.due, m.seq, m.role, m.sender = ?3,
             EXISTS (SELECT 1 FROM messages l WHERE l.conversation = c.key AND l.seq > m.seq AND l.role = 'user')
         FROM conversations c JOIN messages m ON m.conversation = c.key WHERE c.id = ?1 AND m.id = ?2",
        [ask.conversation.as_str(), ask.message.as_str(), ask.by.as_str()],
        |row| {
            let mut c = Columns::of(row);
            Ok((c.int()?, c.flag()?, c.int()?, c.count()?, c.string()?, c.flag()?, c.flag()?))
        },
    )?;
    let Some((key, owns, due, from_seq, role, theirs, is_followed)) = found else { return Ok(Err(Unfit::NotFound)) };
    if role != "user" {
        return Ok(Err(Unfit::Unanswered));
    }
    if !owns && !theirs {
        return Ok(Err(Unfit::NotTheirs));
    }
    if due > 0 {
        return Ok(Err(Unfit::Busy));
    }
    if is_followed {
        return Ok(Err(Unfit::NotLast));
    }
    let at = params![key, int(from_seq)];
    // Of whom it is no business, no reply to them goes with it.
    let others =
        "SELECT EXISTS (SELECT 1 FROM messages r JOIN messages q ON q.conversation = r.conversation AND q.seq = r.turn
         WHERE r.conversation = ?1 AND r.seq > ?2 AND r.turn < ?2 AND q.sender <> ?3)";
    if !owns && db.number(others, params![key, int(from_seq), ask.by.as_str()])? > 0 {
        return Ok(Err(Unfit::NotTheirs));
    }
    let orphans = db.all(
        "SELECT turn FROM messages WHERE conversation = ?1 AND seq > ?2 AND turn < ?2 ORDER BY turn",
        at,
        |row| Columns::of(row).count(),
    )?;
    db.run("DELETE FROM variants WHERE conversation = ?1 AND seq >= ?2", at)?;
    let messages = db.all("DELETE FROM messages WHERE conversation = ?1 AND seq >= ?2 RETURNING id", at, |row| {
        Ok(MessageId::trusted(Columns::of(row).text()?))
    })?;
    let mut cancelled = Vec::with_capacity(orphans.len());
    for seq in orphans {
        let cancel =
            "UPDATE messages SET reply_state = 'cancelled', redo_fence = NULL WHERE conversation = ?1 AND seq = ?2
             AND reply_state = 'done'";
        db.run(cancel, params![key, int(seq)])?;
        cancelled.extend(by_seq(db, key, &ask.conversation, seq)?);
    }
    let left = from_seq - 1;
    db.run("UPDATE members SET read_seq = min(read_seq, ?2) WHERE conversation = ?1", params![key, int(left)])?;
    let removals = db.one(
        "UPDATE all_conversations SET last_seq = ?2, fence = fence + 1, removals = removals + 1,
             branch_seq = min(branch_seq, ?2),
             updated_at = max(updated_at, ?3) WHERE key = ?1 RETURNING removals",
        params![key, int(left), db.now.0],
        |row| Columns::of(row).count(),
    )?;
    feed::write(db, &Change::Conversation { id: ask.conversation.clone() })?;
    let last = by_seq(db, key, &ask.conversation, left)?;
    Ok(Ok(Removed { from_seq, removals: removals.unwrap_or_default(), messages, cancelled, last }))
}

fn branch(db: &Db, ask: &BranchConversation) -> Result<Branched> {
    let found = db.one(
        "SELECT c.key, c.character, m.seq, c.branch_of IS NULL AND coalesce(c.branch_seq, 0) >= m.seq FROM conversations c
         JOIN members me ON me.conversation = c.key AND me.user = ?3 JOIN messages m ON m.conversation = c.key
         WHERE c.id = ?1 AND m.id = ?2",
        [ask.from.as_str(), ask.message.as_str(), ask.by.as_str()],
        |row| {
            let mut c = Columns::of(row);
            Ok((c.int()?, c.string()?, c.count()?, c.flag()?))
        },
    )?;
    let Some((from, character, seq, is_imported)) = found else { return Ok(Branched::NotFound) };
    if seq > MAX_BRANCH {
        return Ok(Branched::TooLong);
    }
    let key = db.one(
        "INSERT INTO all_conversations (id, owner, character, title, last_seq, due, created_at, updated_at, main, branch_of,
             branch_seq) VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?6, 0, ?7, ?5) RETURNING key",
        params![
            ask.id.as_str(),
            ask.by.as_str(),
            character,
            plain(&ask.title),
            int(seq),
            db.now.0,
            // None of it was said here.
            (!is_imported).then(|| ask.from.as_str())
        ],
        |row| row.get::<_, i64>(0),
    )?;
    let key = key.ok_or_else(|| StoreError::Failed("a conversation was stored without a key".into()))?;
    // A question whose reply is not copied can be asked again.
    let copy = format!(
        "INSERT INTO messages (conversation, seq, turn, id, role, sender, kind, text, media, in_reply_to, client_id, created_at,
             reply_state, personality, revised_at)
         SELECT ?1, m.seq, m.turn, {}, m.role, m.sender, m.kind, m.text, m.media,
             CASE WHEN m.in_reply_to IS NOT NULL THEN {} END, m.client_id, m.created_at,
             CASE WHEN m.reply_state NOT IN ('due', 'done') THEN m.reply_state
                 WHEN EXISTS (SELECT 1 FROM messages r WHERE r.conversation = m.conversation AND r.turn = m.seq
                     AND r.seq > m.seq AND r.seq <= ?4 AND r.reply_state IS NULL) THEN 'done'
                 WHEN m.reply_state IS NOT NULL THEN 'cancelled' END,
             m.personality, m.revised_at
         FROM messages m LEFT JOIN messages q ON q.conversation = m.conversation AND q.seq = m.turn
         WHERE m.conversation = ?3 AND m.seq <= ?4 ORDER BY m.seq",
        copied("m"),
        copied("q")
    );
    db.run(&copy, params![key, ask.id.as_str(), from, int(seq)])?;
    conversations::join(db, key, &ask.by)?;
    feed::write(db, &Change::Conversation { id: ask.id.clone() })?;
    let item = conversations::get(db, &ask.id, &ask.by)?;
    let item = item.ok_or_else(|| StoreError::Failed("a branch that was just made is not there".into()))?;
    Ok(Branched::Made(Box::new(item)))
}

/// What was deleted before this can no longer be had back.
pub(super) fn since(db: &Db, keep: Duration) -> i64 {
    db.now.0.saturating_sub(i64::try_from(keep.as_millis()).unwrap_or(i64::MAX))
}

fn restore(db: &Db, id: &ConversationId, owner: &UserId, keep: Duration) -> Result<Option<ConversationItem>> {
    let key = db.one(
        "UPDATE all_conversations AS c SET deleted_at = NULL, main = c.main AND NOT EXISTS (
             SELECT 1 FROM conversations o WHERE o.owner = c.owner AND o.character = c.character AND o.main = 1)
         WHERE c.id = ?1 AND c.owner = ?2 AND c.deleted_at > ?3 RETURNING key",
        params![id.as_str(), owner.as_str(), since(db, keep)],
        |row| row.get::<_, i64>(0),
    )?;
    let Some(key) = key else { return Ok(None) };
    conversations::count(db, key, 1)?;
    conversations::tell_members(db, key, id)?;
    feed::write(db, &Change::Conversation { id: id.clone() })?;
    conversations::get(db, id, owner)
}

fn deleted(db: &Db, owner: &UserId, keep: Duration, after: Option<&str>, limit: u32) -> Result<ConversationPage> {
    let (at, id) = after.and_then(|text| cursor::number(text, "d")).unwrap_or((i64::MAX, String::new()));
    let sql = format!(
        "SELECT {} FROM {} WHERE c.owner = ?1 AND me.user = ?1 AND c.deleted_at > ?2
             AND (c.deleted_at < ?3 OR (c.deleted_at = ?3 AND c.id < ?4))
         ORDER BY c.deleted_at DESC, c.id DESC LIMIT ?5",
        item_columns(),
        ITEM_TABLES.replacen("conversations c", "all_conversations c", 1)
    );
    let page = params![owner.as_str(), since(db, keep), at, id, i64::from(limit) + 1];
    let mut items = db.all(&sql, page, |row| rows::item(&mut Columns::of(row)))?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let last = items.last().filter(|_| more).map(|item| &item.conversation);
    let next_cursor = last.map(|last| {
        let at = last.deleted_at.unwrap_or(last.updated_at);
        cursor::make("d", last.id.as_str(), &at.0.to_string())
    });
    Ok(ConversationPage { items, next_cursor })
}

fn purge(db: &Db, keep: Duration) -> Result<bool> {
    let oldest = db.one(
        "SELECT key, id FROM all_conversations WHERE deleted_at <= ?1 ORDER BY deleted_at LIMIT 1",
        [since(db, keep)],
        |row| {
            let mut c = Columns::of(row);
            Ok((c.int()?, ConversationId::trusted(c.text()?)))
        },
    )?;
    let Some((key, id)) = oldest else { return Ok(false) };
    conversations::remove(db, key, &id)?;
    Ok(true)
}

fn mark(db: &Db, id: &ConversationId, member: &UserId) -> Result<Option<(i64, u64, u64, u64)>> {
    let sql = format!(
        "SELECT c.key, c.last_seq, me.read_seq, {UNREAD} FROM conversations c
         JOIN members me ON me.conversation = c.key AND me.user = ?2 WHERE c.id = ?1"
    );
    db.one(&sql, [id.as_str(), member.as_str()], |row| {
        let mut c = Columns::of(row);
        Ok((c.int()?, c.count()?, c.count()?, c.count()?))
    })
}

fn mark_read(db: &Db, id: &ConversationId, member: &UserId, seq: u64) -> Result<Option<ReadMark>> {
    let Some((key, last_seq, was, unread)) = mark(db, id, member)? else { return Ok(None) };
    let seq = seq.min(last_seq);
    if seq <= was {
        return Ok(Some(ReadMark { seq: was, unread, moved: false }));
    }
    let forward = "UPDATE members SET read_seq = ?3 WHERE conversation = ?1 AND user = ?2";
    db.run(forward, params![key, member.as_str(), int(seq)])?;
    let now = mark(db, id, member)?;
    Ok(now.map(|(_, _, seq, unread)| ReadMark { seq, unread, moved: true }))
}

#[async_trait]
impl Threads for SqliteStore {
    async fn remove_exchange(&self, ask: RemoveExchange) -> Result<Revised<Removed>> {
        self.write(move |db| remove(db, &ask)).await
    }

    async fn branch_conversation(&self, ask: BranchConversation) -> Result<Branched> {
        self.write(move |db| branch(db, &ask)).await
    }

    async fn restore_conversation(
        &self,
        id: &ConversationId,
        owner: &UserId,
        keep: Duration,
    ) -> Result<Option<ConversationItem>> {
        let (id, owner) = (id.clone(), owner.clone());
        self.write(move |db| restore(db, &id, &owner, keep)).await
    }

    async fn deleted_conversations(
        &self,
        owner: &UserId,
        keep: Duration,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<ConversationPage> {
        let (owner, cursor) = (owner.clone(), cursor.map(str::to_owned));
        self.read(move |db| deleted(db, &owner, keep, cursor.as_deref(), limit)).await
    }

    async fn count_purgeable(&self, keep: Duration) -> Result<u64> {
        let sql = "SELECT count(*) FROM all_conversations WHERE deleted_at <= ?1";
        self.read(move |db| Ok(db.number(sql, [since(db, keep)])?.unsigned_abs())).await
    }

    async fn purge_conversation(&self, keep: Duration) -> Result<bool> {
        self.write(move |db| purge(db, keep)).await
    }

    async fn mark_read(&self, id: &ConversationId, member: &UserId, seq: u64) -> Result<Option<ReadMark>> {
        let (id, member) = (id.clone(), member.clone());
        // What changes nothing waits for no writer.
        let (asked, who) = (id.clone(), member.clone());
        let Some((_, last_seq, was, unread)) = self.read(move |db| mark(db, &asked, &who)).await? else {
            return Ok(None);
        };
        if seq.min(last_seq) <= was {
            return Ok(Some(ReadMark { seq: was, unread, moved: false }));
        }
        self.write(move |db| mark_read(db, &id, &member, seq)).await
    }

    async fn room_standing(&self, id: &ConversationId) -> Result<Option<RoomStanding>> {
        let id = id.clone();
        let sql = "SELECT last_seq, removals FROM conversations WHERE id = ?1";
        self.read(move |db| {
            db.one(sql, [id.as_str()], |row| {
                let mut c = Columns::of(row);
                Ok(RoomStanding { last_seq: c.count()?, removals: c.count()? })
            })
        })
        .await
    }

    async fn member_ids(&self, id: &ConversationId) -> Result<Vec<UserId>> {
        let id = id.clone();
        let sql = "SELECT me.user FROM conversations c JOIN members me ON me.conversation = c.key WHERE c.id = ?1";
        self.read(move |db| db.all(sql, [id.as_str()], |row| Ok(UserId::trusted(Columns::of(row).text()?)))).await
    }
}
