//! Conversations and who is in them.

use super::db::{Db, Postgres, Tried, sql};
use super::faults::Fault;
use super::rows::{self, HEAD_TABLES, ITEM_TABLES, head_columns, int, item_columns};
use crate::text::plain;
use crate::{Change, ConversationHead, ConversationItem, ConversationPage, OpenConversation, cursor};
use aim_domain::{CharacterId, ConversationId, UserId};

pub(super) async fn open(pg: &Postgres, open: &OpenConversation) -> Tried<(ConversationItem, bool)> {
    // The connection is released again, or as many that open at once as there are connections would wait for each other.
    let mut found = match open.anew {
        // Asked again after a lost answer, it is there.
        true => get(&mut pg.take().await?, &open.id, &open.owner).await?,
        false => of_pair(&mut pg.take().await?, &open.owner, &open.character).await?,
    };
    if found.is_none() {
        create(pg, open).await?;
        let mut db = pg.take().await?;
        // Another that was begun anew at the same time may be the main one.
        found = match open.anew {
            true => get(&mut db, &open.id, &open.owner).await?,
            false => of_pair(&mut db, &open.owner, &open.character).await?,
        };
    }
    // Made, and gone again. Who asks again makes it anew.
    let item = found.ok_or_else(|| Fault::Unavailable("a conversation that was just opened is not there".into()))?;
    let made = item.conversation.id == open.id;
    Ok((item, made))
}

pub(super) async fn of_pair(db: &mut Db, owner: &UserId, character: &CharacterId) -> Tried<Option<ConversationItem>> {
    let text = format!(
        "SELECT {} FROM {ITEM_TABLES} WHERE c.owner_id = $1 AND c.character_id = $2 AND c.main AND me.user_id = $1",
        item_columns()
    );
    db.one(sql(text).bind(owner.as_str()).bind(character.as_str()), rows::item).await
}

/// Does nothing when another made it meanwhile.
async fn create(pg: &Postgres, open: &OpenConversation) -> Tried<()> {
    let mut db = pg.begin().await?;
    let Some((key, now)) = insert(&mut db, open).await? else { return Ok(()) };
    if let Some((id, text)) = &open.greeting {
        let greet = sql("INSERT INTO messages (conversation, seq, turn, id, role, sender, kind, text, created_at)
             VALUES ($1, 1, 1, $2, 'character', $3, 'text', $4, $5)")
        .bind(key)
        .bind(id.as_str())
        .bind(open.character.as_str())
        .bind(plain(text))
        .bind(now);
        db.run(greet).await?;
    }
    db.commit().await
}

/// The conversation with its owner in it: its key, and the time; its greeting is still to be said. None when the pair got another one
/// meanwhile.
pub(super) async fn insert(db: &mut Db, open: &OpenConversation) -> Tried<Option<(i64, i64)>> {
    lock_owner(db, &open.owner).await?;
    let displace = sql("UPDATE conversations SET main = false WHERE owner_id = $1 AND character_id = $2 AND main");
    let displaced = match open.anew {
        true => db.run(displace.bind(open.owner.as_str()).bind(open.character.as_str())).await? > 0,
        false => false,
    };
    // A person counts once.
    let count = sql("UPDATE characters SET conversations = conversations + $3 WHERE id = $1 AND deleted_at IS NULL
         RETURNING aim_now($2)")
    .bind(open.character.as_str())
    .bind(db.now)
    .bind(i64::from(!displaced));
    let Some(now) = db.one(count, |c| c.int()).await? else {
        return Err(Fault::Failed("a conversation was opened with a character that is gone".into()));
    };
    let insert =
        sql("INSERT INTO all_conversations (id, owner_id, character_id, title, last_seq, due, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, 0, $6, $6) 
         ON CONFLICT (owner_id, character_id) WHERE main AND deleted_at IS NULL DO NOTHING RETURNING key")
        .bind(open.id.as_str())
        .bind(open.owner.as_str())
        .bind(open.character.as_str())
        .bind(plain(&open.title))
        .bind(int(u64::from(open.greeting.is_some())))
        .bind(now);
    let Some(key) = db.one(insert, |c| c.int()).await? else { return Ok(None) };
    join(db, key, &open.owner, now).await?;
    Ok(Some((key, now)))
}

/// What was said before somebody came in is not unread.
pub(super) async fn join(db: &mut Db, key: i64, user: &UserId, now: i64) -> Tried<()> {
    let insert = sql("INSERT INTO members (conversation, user_id, joined_at, read_seq)
         SELECT key, $2, $3, last_seq FROM all_conversations WHERE key = $1 ON CONFLICT DO NOTHING");
    db.run(insert.bind(key).bind(user.as_str()).bind(now)).await.map(drop)
}

pub(super) async fn get(db: &mut Db, id: &ConversationId, member: &UserId) -> Tried<Option<ConversationItem>> {
    let text = format!("SELECT {} FROM {ITEM_TABLES} WHERE c.id = $1 AND me.user_id = $2", item_columns());
    db.one(sql(text).bind(id.as_str()).bind(member.as_str()), rows::item).await
}

/// As `get`, without a look at the character.
pub(super) async fn head(db: &mut Db, id: &ConversationId, member: &UserId) -> Tried<Option<ConversationHead>> {
    let text = format!("SELECT {} FROM {HEAD_TABLES} WHERE c.id = $1 AND me.user_id = $2", head_columns());
    db.one(sql(text).bind(id.as_str()).bind(member.as_str()), rows::head).await
}

/// A person has as many conversations as characters they talk with: these are sorted as they are read, which spares every
/// message from moving a row in an index of its members' lists.
pub(super) async fn list(db: &mut Db, member: &UserId, after: Option<&str>, limit: u32) -> Tried<ConversationPage> {
    let (at, id) = after.and_then(|text| cursor::number(text, "c")).unwrap_or((i64::MAX, String::new()));
    let text = format!(
        "WITH page AS (
             SELECT c.key FROM members me JOIN conversations c ON c.key = me.conversation
             WHERE me.user_id = $1 AND (c.updated_at < $2 OR (c.updated_at = $2 AND c.id < $3))
             ORDER BY c.updated_at DESC, c.id DESC LIMIT $4)
         SELECT {} FROM page CROSS JOIN {ITEM_TABLES} WHERE c.key = page.key AND me.user_id = $1
         ORDER BY c.updated_at DESC, c.id DESC",
        item_columns()
    );
    let page = sql(text).bind(member.as_str()).bind(at).bind(plain(&id)).bind(i64::from(limit) + 1);
    let mut items = db.all(page, rows::item).await?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let last = items.last().filter(|_| more).map(|item| &item.conversation);
    let next_cursor = last.map(|last| cursor::make("c", last.id.as_str(), &last.updated_at.0.to_string()));
    Ok(ConversationPage { items, next_cursor })
}

/// The key of a conversation and the time, if `owner` owns it; locked until the commit.
pub(super) async fn owned(db: &mut Db, id: &ConversationId, owner: &UserId) -> Tried<Option<(i64, i64)>> {
    let lock =
        sql("SELECT c.key, aim_now($3) FROM conversations c WHERE c.id = $1 AND c.owner_id = $2 FOR NO KEY UPDATE")
            .bind(id.as_str())
            .bind(owner.as_str())
            .bind(db.now);
    db.one(lock, |c| Ok((c.int()?, c.int()?))).await
}

pub(super) async fn changed(db: &mut Db, key: i64, id: &ConversationId, now: i64) -> Tried<()> {
    let touch =
        sql("UPDATE conversations SET updated_at = greatest(updated_at, $2) WHERE key = $1").bind(key).bind(now);
    db.run(touch).await?;
    db.tell(&Change::Conversation { id: id.clone() })
}

pub(super) async fn rename(pg: &Postgres, id: &ConversationId, owner: &UserId, title: &str) -> Tried<bool> {
    let mut db = pg.begin().await?;
    let Some((key, now)) = owned(&mut db, id, owner).await? else { return Ok(false) };
    db.run(sql("UPDATE conversations SET title = $2 WHERE key = $1").bind(key).bind(plain(title))).await?;
    changed(&mut db, key, id, now).await?;
    db.commit().await?;
    Ok(true)
}

pub(super) async fn delete(pg: &Postgres, id: &ConversationId, owner: &UserId) -> Tried<bool> {
    let mut db = pg.begin().await?;
    lock_owner(&mut db, owner).await?;
    let Some((key, now)) = owned(&mut db, id, owner).await? else { return Ok(false) };
    stop(&mut db, key, id).await?;
    count(&mut db, key, -1).await?;
    let cancel =
        sql("UPDATE messages SET reply_state = CASE WHEN redo IS NULL THEN 'cancelled' ELSE 'done' END, redo = NULL,
             redo_fence = NULL
         WHERE conversation = $1 AND reply_state = 'due'");
    db.run(cancel.bind(key)).await?;
    let mark = sql("UPDATE all_conversations SET deleted_at = $2, due = 0, fence = fence + 1 WHERE key = $1");
    db.run(mark.bind(key).bind(now)).await?;
    promote(&mut db, key).await?;
    tell_members(&mut db, key, id).await?;
    db.tell(&Change::Conversation { id: id.clone() })?;
    db.commit().await?;
    Ok(true)
}

/// Of an owner's conversations one at a time becomes the main one of its pair. Before all else, so that none waits for another
/// crosswise.
pub(super) async fn lock_owner(db: &mut Db, owner: &UserId) -> Tried<bool> {
    let lock = sql("SELECT 1::bigint FROM users WHERE id = $1 FOR NO KEY UPDATE").bind(owner.as_str());
    Ok(db.one(lock, |c| c.int()).await?.is_some())
}

/// After a pair's main conversation the last changed of their others is the main one; a branch never is.
async fn promote(db: &mut Db, deleted: i64) -> Tried<()> {
    let next = sql(
        "UPDATE all_conversations SET main = true WHERE key = (
             SELECT o.key FROM all_conversations was
             JOIN conversations o ON o.owner_id = was.owner_id AND o.character_id = was.character_id
             WHERE was.key = $1 AND was.main AND o.branch_of IS NULL ORDER BY o.updated_at DESC LIMIT 1) RETURNING key",
    )
    .bind(deleted);
    match db.one(next, |c| c.int()).await? {
        Some(key) => count(db, key, 1).await,
        None => Ok(()),
    }
}

/// A reply under way is told to stop, since nobody waits for it.
async fn stop(db: &mut Db, key: i64, id: &ConversationId) -> Tried<()> {
    let held = sql("DELETE FROM claims WHERE conversation = $1 RETURNING fence").bind(key);
    match db.one(held, |c| c.count()).await? {
        Some(fence) => db.tell(&Change::Cancel { conversation: id.clone(), fence }),
        None => Ok(()),
    }
}

/// Counts a conversation that is there with its character, one more or one less: a person counts once, whatever branches off.
pub(super) async fn count(db: &mut Db, key: i64, more: i64) -> Tried<()> {
    let count = sql("UPDATE characters SET conversations = conversations + $2
         WHERE id = (SELECT c.character_id FROM conversations c WHERE c.key = $1 AND c.main)");
    db.run(count.bind(key).bind(more)).await.map(drop)
}

/// Takes a conversation away for good, with its members and messages, deleted before or not. It is locked.
pub(super) async fn remove(db: &mut Db, key: i64, id: &ConversationId) -> Tried<()> {
    stop(db, key, id).await?;
    count(db, key, -1).await?;
    db.run(sql("DELETE FROM variants WHERE conversation = $1").bind(key)).await?;
    db.run(sql("DELETE FROM messages WHERE conversation = $1").bind(key)).await?;
    tell_members(db, key, id).await?;
    db.run(sql("DELETE FROM all_conversations WHERE key = $1").bind(key)).await?;
    db.tell(&Change::Conversation { id: id.clone() })
}

/// Those who are in it, or were until now, are told.
pub(super) async fn tell_members(db: &mut Db, key: i64, id: &ConversationId) -> Tried<()> {
    let members = sql("SELECT user_id FROM members WHERE conversation = $1").bind(key);
    for user in db.all(members, |c| c.text().map(UserId::trusted)).await? {
        db.tell(&Change::Member { conversation: id.clone(), user })?;
    }
    Ok(())
}
