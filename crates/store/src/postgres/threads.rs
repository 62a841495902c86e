//! The end of a conversation removed, branches, deletions that can be taken back, and how far each has read.

use super::PostgresStore;
use super::db::{Again, Db, Postgres, Tried, sql};
use super::faults::Fault;
use super::replies::{by_seq, lock};
use super::rows::{self, ITEM_TABLES, UNREAD, int, item_columns};
use super::{conversations, sessions::millis};
use crate::text::plain;
use crate::{
    BranchConversation, Branched, Change, ConversationItem, ConversationPage, MAX_BRANCH, ReadMark, RemoveExchange,
    Removed, Result, Revised, RoomStanding, Threads, Unfit, cursor,
};
use aim_domain::{ConversationId, MessageId, UserId};
use async_trait::async_trait;
use std::time::Duration;

/// A copy's id: the time of what it copies, the copy's number, and what is random in its conversation's id. So one statement
/// gives all copies of a conversation their ids, which sort as those that they copy.
fn copied(message: &str) -> String {
    format!(
        "substr({message}.id, 1, 15) || lpad(to_hex({message}.seq / 4096), 3, '0') || '-a' \
         || lpad(to_hex({message}.seq % 4096), 3, '0') || '-' || substr($2, 25, 12)"
    )
}

async fn remove(pg: &Postgres, ask: &RemoveExchange) -> Tried<Revised<Removed>> {
    let mut db = pg.begin().await?;
    let Some((key, now)) = lock(&mut db, &ask.conversation).await? else { return Ok(Err(Unfit::NotFound)) };
    let look = sql("SELECT c.owner_id = $3, c.due, m.seq, m.role, m.sender = $3,
             EXISTS (SELECT 1 FROM messages l WHERE l.conversation = c.key AND l.seq > m.seq AND l.role = 'user')
         FROM conversations c JOIN messages m ON m.conversation = c.key WHERE c.key = $1 AND m.id = $2")
    .bind(key)
    .bind(ask.message.as_str())
    .bind(ask.by.as_str());
    let found = db.one(look, |c| Ok((c.flag()?, c.int()?, c.count()?, c.string()?, c.flag()?, c.flag()?))).await?;
    let Some((owns, due, from_seq, role, theirs, is_followed)) = found else { return Ok(Err(Unfit::NotFound)) };
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
    let from = int(from_seq);
    // Of whom it is no business, no reply to them goes with it.
    let others =
        sql("SELECT count(*) FROM messages r JOIN messages q ON q.conversation = r.conversation AND q.seq = r.turn
         WHERE r.conversation = $1 AND r.seq > $2 AND r.turn < $2 AND q.sender <> $3");
    if !owns && db.number(others.bind(key).bind(from).bind(ask.by.as_str())).await? > 0 {
        return Ok(Err(Unfit::NotTheirs));
    }
    let orphans =
        sql("SELECT turn FROM messages WHERE conversation = $1 AND seq > $2 AND turn < $2 ORDER BY turn").bind(key);
    let orphans = db.all(orphans.bind(from), |c| c.int()).await?;
    db.run(sql("DELETE FROM variants WHERE conversation = $1 AND seq >= $2").bind(key).bind(from)).await?;
    let gone = sql("DELETE FROM messages WHERE conversation = $1 AND seq >= $2 RETURNING id").bind(key).bind(from);
    let messages = db.all(gone, |c| c.text().map(MessageId::trusted)).await?;
    let mut cancelled = Vec::with_capacity(orphans.len());
    for seq in orphans {
        let cancel = sql("UPDATE messages SET reply_state = 'cancelled', redo_fence = NULL
             WHERE conversation = $1 AND seq = $2 AND reply_state = 'done'");
        db.run(cancel.bind(key).bind(seq)).await?;
        cancelled.extend(by_seq(&mut db, key, &ask.conversation, seq).await?);
    }
    let left = from - 1;
    let unread = sql("UPDATE members SET read_seq = $2 WHERE conversation = $1 AND read_seq > $2");
    db.run(unread.bind(key).bind(left)).await?;
    let fall = sql("UPDATE conversations c SET last_seq = $2, fence = c.fence + 1, removals = c.removals + 1,
             branch_seq = CASE WHEN c.branch_seq > $2 THEN $2 ELSE c.branch_seq END,
             updated_at = greatest(c.updated_at, $3) WHERE c.key = $1 RETURNING c.removals")
    .bind(key)
    .bind(left)
    .bind(now.0);
    let removals = db.one(fall, |c| c.count()).await?.unwrap_or_default();
    let last = by_seq(&mut db, key, &ask.conversation, left).await?;
    db.tell(&Change::Conversation { id: ask.conversation.clone() })?;
    db.commit().await?;
    Ok(Ok(Removed { from_seq, removals, messages, cancelled, last }))
}

async fn branch(pg: &Postgres, ask: &BranchConversation) -> Tried<Branched> {
    let mut db = pg.begin().await?;
    let look = sql(
        "SELECT c.key, c.character_id, m.seq, aim_now($4), c.branch_of IS NULL AND coalesce(c.branch_seq, 0) >= m.seq
         FROM conversations c
         JOIN members me ON me.conversation = c.key AND me.user_id = $3 JOIN messages m ON m.conversation = c.key
         WHERE c.id = $1 AND m.id = $2",
    )
    .bind(ask.from.as_str())
    .bind(ask.message.as_str())
    .bind(ask.by.as_str())
    .bind(db.now);
    let found = db.one(look, |c| Ok((c.int()?, c.string()?, c.count()?, c.int()?, c.flag()?))).await?;
    let Some((from, character, seq, now, is_imported)) = found else { return Ok(Branched::NotFound) };
    if seq > MAX_BRANCH {
        return Ok(Branched::TooLong);
    }
    let insert =
        sql("INSERT INTO all_conversations (id, owner_id, character_id, title, last_seq, due, created_at, updated_at,
             main, branch_of, branch_seq) VALUES ($1, $2, $3, $4, $5, 0, $6, $6, false, $7, $5) RETURNING key")
        .bind(ask.id.as_str())
        .bind(ask.by.as_str())
        .bind(&character)
        .bind(plain(&ask.title))
        .bind(int(seq))
        .bind(now)
        // None of it was said here.
        .bind((!is_imported).then(|| ask.from.as_str()));
    let key = db.one(insert, |c| c.int()).await?;
    let key = key.ok_or_else(|| Fault::Failed("a conversation was stored without a key".into()))?;
    // A question whose reply is not copied can be asked again.
    let copy = format!(
        "INSERT INTO messages (conversation, seq, turn, id, role, sender, kind, text, media, in_reply_to, client_id, created_at,
             reply_state, personality, revised_at)
         SELECT $1, m.seq, m.turn, {}, m.role, m.sender, m.kind, m.text, m.media,
             CASE WHEN m.in_reply_to IS NOT NULL THEN {} END, m.client_id, m.created_at,
             CASE WHEN m.reply_state NOT IN ('due', 'done') THEN m.reply_state
                 WHEN EXISTS (SELECT 1 FROM messages r WHERE r.conversation = m.conversation AND r.turn = m.seq
                     AND r.seq > m.seq AND r.seq <= $4 AND r.reply_state IS NULL) THEN 'done'
                 WHEN m.reply_state IS NOT NULL THEN 'cancelled' END,
             m.personality, m.revised_at
         FROM messages m LEFT JOIN messages q ON q.conversation = m.conversation AND q.seq = m.turn
         WHERE m.conversation = $3 AND m.seq <= $4 ORDER BY m.seq",
        copied("m"),
        copied("q")
    );
    let copies = db.run(sql(copy).bind(key).bind(ask.id.as_str()).bind(from).bind(int(seq))).await?;
    if copies != seq {
        // Its end was removed meanwhile: the message may be gone.
        return Err(Fault::Conflict("a conversation changed while it was copied".into()));
    }
    conversations::join(&mut db, key, &ask.by, now).await?;
    let item = conversations::get(&mut db, &ask.id, &ask.by).await?;
    let item = item.ok_or_else(|| Fault::Failed("a branch that was just made is not there".into()))?;
    db.tell(&Change::Conversation { id: ask.id.clone() })?;
    db.commit().await?;
    Ok(Branched::Made(Box::new(item)))
}

async fn restore(
    pg: &Postgres,
    id: &ConversationId,
    owner: &UserId,
    keep: Duration,
) -> Tried<Option<ConversationItem>> {
    let mut db = pg.begin().await?;
    if !conversations::lock_owner(&mut db, owner).await? {
        return Ok(None);
    }
    let back = sql("UPDATE all_conversations c SET deleted_at = NULL, main = c.main AND NOT EXISTS (
             SELECT 1 FROM conversations o
             WHERE o.owner_id = c.owner_id AND o.character_id = c.character_id AND o.main)
         WHERE c.id = $1 AND c.owner_id = $2 AND c.deleted_at > (SELECT aim_now($3) - $4) RETURNING c.key")
    .bind(id.as_str())
    .bind(owner.as_str())
    .bind(db.now)
    .bind(millis(keep));
    let Some(key) = db.one(back, |c| c.int()).await? else { return Ok(None) };
    conversations::count(&mut db, key, 1).await?;
    let item = conversations::get(&mut db, id, owner).await?;
    conversations::tell_members(&mut db, key, id).await?;
    db.tell(&Change::Conversation { id: id.clone() })?;
    db.commit().await?;
    Ok(item)
}

async fn deleted(
    db: &mut Db,
    owner: &UserId,
    keep: Duration,
    after: Option<&str>,
    limit: u32,
) -> Tried<ConversationPage> {
    let (at, id) = after.and_then(|text| cursor::number(text, "d")).unwrap_or((i64::MAX, String::new()));
    let text = format!(
        "SELECT {} FROM {} WHERE c.owner_id = $1 AND me.user_id = $1 AND c.deleted_at > (SELECT aim_now($2) - $3)
             AND (c.deleted_at < $4 OR (c.deleted_at = $4 AND c.id < $5))
         ORDER BY c.deleted_at DESC, c.id DESC LIMIT $6",
        item_columns(),
        ITEM_TABLES.replacen("conversations c", "all_conversations c", 1)
    );
    let page = sql(text)
        .bind(owner.as_str())
        .bind(db.now)
        .bind(millis(keep))
        .bind(at)
        .bind(plain(&id))
        .bind(i64::from(limit) + 1);
    let mut items = db.all(page, rows::item).await?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let last = items.last().filter(|_| more).map(|item| &item.conversation);
    let next_cursor = last.map(|last| {
        let at = last.deleted_at.unwrap_or(last.updated_at);
        cursor::make("d", last.id.as_str(), &at.0.to_string())
    });
    Ok(ConversationPage { items, next_cursor })
}

async fn purge(pg: &Postgres, keep: Duration) -> Tried<bool> {
    let mut db = pg.begin().await?;
    let oldest = sql("SELECT c.key, c.id FROM all_conversations c WHERE c.deleted_at <= (SELECT aim_now($1) - $2)
         ORDER BY c.deleted_at LIMIT 1 FOR UPDATE SKIP LOCKED")
    .bind(db.now)
    .bind(millis(keep));
    let Some((key, id)) = db.one(oldest, |c| Ok((c.int()?, ConversationId::trusted(c.text()?)))).await? else {
        return Ok(false);
    };
    conversations::remove(&mut db, key, &id).await?;
    db.commit().await?;
    Ok(true)
}

async fn mark_read(pg: &Postgres, id: &ConversationId, member: &UserId, seq: u64) -> Tried<Option<ReadMark>> {
    let mut db = pg.take().await?;
    let mark = format!(
        "SELECT me.read_seq, least($3, c.last_seq) > me.read_seq, {UNREAD} FROM conversations c
         JOIN members me ON me.conversation = c.key AND me.user_id = $2 WHERE c.id = $1"
    );
    let look = || sql(mark.clone()).bind(id.as_str()).bind(member.as_str()).bind(int(seq));
    let read = |c: &mut rows::Columns<'_>| Ok((c.count()?, c.flag()?, c.count()?));
    let Some((was, behind, unread)) = db.one(look(), read).await? else { return Ok(None) };
    if !behind {
        return Ok(Some(ReadMark { seq: was, unread, moved: false }));
    }
    drop(db);
    let mut db = pg.begin().await?;
    // Or its end is removed meanwhile, and what was read goes beyond it.
    let lock = sql("SELECT c.key FROM conversations c WHERE c.id = $1 FOR SHARE").bind(id.as_str());
    db.one(lock, |c| c.int()).await?;
    let forward = sql("UPDATE members me SET read_seq = least($3, c.last_seq) FROM conversations c
         WHERE c.id = $1 AND me.conversation = c.key AND me.user_id = $2 AND me.read_seq < least($3, c.last_seq)");
    let moved = db.run(forward.bind(id.as_str()).bind(member.as_str()).bind(int(seq))).await? > 0;
    let now = db.one(look(), read).await?;
    db.commit().await?;
    Ok(now.map(|(seq, _, unread)| ReadMark { seq, unread, moved }))
}

#[async_trait]
impl Threads for PostgresStore {
    async fn remove_exchange(&self, ask: RemoveExchange) -> Result<Revised<Removed>> {
        self.pg.run(Again::Never, || remove(&self.pg, &ask)).await
    }

    async fn branch_conversation(&self, ask: BranchConversation) -> Result<Branched> {
        self.pg.run(Again::Never, || branch(&self.pg, &ask)).await
    }

    async fn restore_conversation(
        &self,
        id: &ConversationId,
        owner: &UserId,
        keep: Duration,
    ) -> Result<Option<ConversationItem>> {
        self.pg.run(Again::Never, || restore(&self.pg, id, owner, keep)).await
    }

    async fn deleted_conversations(
        &self,
        owner: &UserId,
        keep: Duration,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<ConversationPage> {
        self.pg.run(Again::Fine, async || deleted(&mut self.pg.take().await?, owner, keep, cursor, limit).await).await
    }

    async fn count_purgeable(&self, keep: Duration) -> Result<u64> {
        let count = async || {
            let mut db = self.pg.take().await?;
            let over = sql("SELECT count(*) FROM all_conversations WHERE deleted_at <= (SELECT aim_now($1) - $2)");
            let now = db.now;
            Ok(db.number(over.bind(now).bind(millis(keep))).await?.unsigned_abs())
        };
        self.pg.run(Again::Fine, count).await
    }

    async fn purge_conversation(&self, keep: Duration) -> Result<bool> {
        self.pg.run(Again::Fine, || purge(&self.pg, keep)).await
    }

    async fn mark_read(&self, id: &ConversationId, member: &UserId, seq: u64) -> Result<Option<ReadMark>> {
        self.pg.run(Again::Fine, || mark_read(&self.pg, id, member, seq)).await
    }

    async fn room_standing(&self, id: &ConversationId) -> Result<Option<RoomStanding>> {
        let read = async || {
            let look = sql("SELECT last_seq, removals FROM conversations WHERE id = $1").bind(id.as_str());
            let standing = |c: &mut rows::Columns<'_>| Ok(RoomStanding { last_seq: c.count()?, removals: c.count()? });
            self.pg.take().await?.one(look, standing).await
        };
        self.pg.run(Again::Fine, read).await
    }

    async fn member_ids(&self, id: &ConversationId) -> Result<Vec<UserId>> {
        let read = async || {
            let list = sql(
                "SELECT me.user_id FROM conversations c JOIN members me ON me.conversation = c.key WHERE c.id = $1",
            );
            self.pg.take().await?.all(list.bind(id.as_str()), |c| c.text().map(UserId::trusted)).await
        };
        self.pg.run(Again::Fine, read).await
    }
}
