//! Messages: sending one, and reading pages of them.

use super::counts;
use super::db::Db;
use super::rows::{self, Columns, MESSAGE, int, maybe_json};
use crate::{MessagePage, MessageQuery, Result, SendMessage, Sent, StoreError};
use aim_domain::{Author, CharacterId, ConversationId, Message, MessageId, ReplyState, UserId};
use rusqlite::{ToSql, params};

/// Whether the holder of conversation `c` lives, with the time as `?2`.
pub(super) const HOLDER_LIVES: &str = "EXISTS (SELECT 1 FROM servers s WHERE s.id = c.holder AND s.lease_until > ?2)";

pub(super) fn send(db: &Db, send: &SendMessage) -> Result<Sent> {
    let sql = format!(
        "SELECT c.key, c.character, c.last_seq, c.due, {HOLDER_LIVES} FROM conversations c
         JOIN members m ON m.conversation = c.key AND m.user = ?3
         JOIN users u ON u.id = m.user AND coalesce(u.suspended_until, 0) <= ?2
         JOIN characters ch ON ch.id = c.character AND ch.deleted_at IS NULL
         WHERE c.id = ?1"
    );
    let found = db.one(&sql, params![send.conversation.as_str(), db.now.0, send.sender.as_str()], |row| {
        let mut c = Columns::of(row);
        Ok((c.int()?, CharacterId::trusted(c.text()?), c.count()?, c.count()?, c.flag()?))
    })?;
    let Some((key, character, last_seq, due, answering)) = found else { return Ok(Sent::NotFound) };

    let stored = counts::stored(db, &send.sender, &character)?;
    let usage = stored.at(db.now);
    let repeated = || Ok::<_, StoreError>(sent_before(db, key, send)?.map(|message| Sent::Repeated { message, usage }));
    let refused = if usage.is_full(send.kind, send.usage_limit, db.now) {
        Some(Sent::UsageFull { usage })
    } else if due.saturating_sub(u64::from(answering)) >= send.max_due {
        Some(Sent::LineFull)
    } else {
        None
    };
    if let Some(refused) = refused {
        return Ok(repeated()?.unwrap_or(refused));
    }

    let message = Message {
        id: send.message.clone(),
        conversation_id: send.conversation.clone(),
        seq: last_seq + 1,
        role: Author::User,
        sender_id: send.sender.as_str().to_owned(),
        kind: send.kind,
        text: send.text.clone(),
        media: send.media.clone(),
        in_reply_to: None,
        client_id: Some(send.client_id.clone()),
        created_at: db.now,
        reply_state: Some(ReplyState::Due),
        variants: None,
        personality: None,
    };
    if !insert(db, key, message.seq, &message)? {
        return repeated()?.ok_or_else(|| StoreError::Failed("a message was neither stored nor found".into()));
    }
    db.run(
        "UPDATE all_conversations SET last_seq = ?2, due = due + 1, updated_at = max(updated_at, ?3) WHERE key = ?1",
        params![key, int(message.seq), db.now.0],
    )?;
    let usage = stored.raised(send.kind, db.now);
    counts::store(db, &send.sender, &character, &usage)?;
    Ok(Sent::Accepted { message, usage, due: due + 1, character })
}

/// What this sender sent here under the same `client_id`.
fn sent_before(db: &Db, key: i64, send: &SendMessage) -> Result<Option<Message>> {
    let sql =
        format!("SELECT {MESSAGE} FROM messages m WHERE m.conversation = ?1 AND m.sender = ?2 AND m.client_id = ?3");
    db.one(&sql, params![key, send.sender.as_str(), send.client_id], |row| {
        rows::message(&mut Columns::of(row), &send.conversation)
    })
}

/// `turn` is the `seq` of the message that a reply answers, and its own for all others. False, and nothing stored, when
/// the sender has used the `client_id` here.
pub(super) fn insert(db: &Db, key: i64, turn: u64, message: &Message) -> Result<bool> {
    let stored = db.run(
        "INSERT INTO messages (conversation, seq, turn, id, role, sender, kind, text, media, in_reply_to, client_id,
             created_at, reply_state, personality)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
         ON CONFLICT (conversation, sender, client_id) WHERE client_id IS NOT NULL DO NOTHING",
        params![
            key,
            int(message.seq),
            int(turn),
            message.id.as_str(),
            message.role.as_str(),
            message.sender_id,
            message.kind.as_str(),
            message.text,
            maybe_json(message.media.as_ref())?,
            message.in_reply_to.as_ref().map(MessageId::as_str),
            message.client_id,
            message.created_at.0,
            message.reply_state.map(|state| state.as_str()),
            maybe_json(message.personality.as_ref())?
        ],
    )?;
    Ok(stored == 1)
}

/// Messages of a conversation that match `rest`, whose parameters start at `?2`.
fn select(db: &Db, conversation: &ConversationId, rest: &str, params: &[&dyn ToSql]) -> Result<Vec<Message>> {
    let sql = format!(
        "SELECT {MESSAGE} FROM messages m WHERE m.conversation = (SELECT key FROM conversations WHERE id = ?1) AND {rest}"
    );
    let id = conversation.as_str();
    let params: Vec<&dyn ToSql> = std::iter::once(&id as &dyn ToSql).chain(params.iter().copied()).collect();
    db.all(&sql, params.as_slice(), |row| rows::message(&mut Columns::of(row), conversation))
}

pub(super) fn page(
    db: &Db,
    conversation: &ConversationId,
    member: &UserId,
    query: MessageQuery,
) -> Result<Option<MessagePage>> {
    let gate =
        "SELECT 1 FROM conversations c JOIN members me ON me.conversation = c.key AND me.user = ?2 WHERE c.id = ?1";
    let within = db.one(gate, [conversation.as_str(), member.as_str()], |_| Ok(()))?;
    if within.is_none() {
        return Ok(None);
    }
    let limit = query.limit as usize;
    let one_more = i64::from(query.limit) + 1;
    let before = query.before.map_or(i64::MAX, int);
    let mut items = match query.after {
        Some(after) => {
            let rest = "m.seq > ?2 AND m.seq < ?3 ORDER BY m.seq LIMIT ?4";
            select(db, conversation, rest, &[&int(after), &before, &one_more])?
        }
        None => select(db, conversation, "m.seq < ?2 ORDER BY m.seq DESC LIMIT ?3", &[&before, &one_more])?,
    };
    let has_more = items.len() > limit;
    items.truncate(limit);
    if query.after.is_none() {
        items.reverse();
    }
    Ok(Some(MessagePage { items, has_more }))
}

pub(super) fn one(db: &Db, conversation: &ConversationId, id: &MessageId) -> Result<Option<Message>> {
    Ok(select(db, conversation, "m.id = ?2", &[&id.as_str()])?.pop())
}

pub(super) fn last_seq(db: &Db, conversation: &ConversationId) -> Result<u64> {
    let last = db.number("SELECT last_seq FROM conversations WHERE id = ?1", [conversation.as_str()])?;
    Ok(last.unsigned_abs())
}

pub(super) fn last_seqs(db: &Db, conversations: &[ConversationId]) -> Result<Vec<(ConversationId, u64)>> {
    let ids: Vec<&str> = conversations.iter().map(ConversationId::as_str).collect();
    let sql = "SELECT c.id, c.last_seq FROM json_each(?1) asked CROSS JOIN conversations c ON c.id = asked.value";
    db.all(sql, [rows::json(&ids)?], |row| {
        let mut c = Columns::of(row);
        Ok((ConversationId::trusted(c.text()?), c.int()?.unsigned_abs()))
    })
}

pub(super) fn missed(db: &Db, conversation: &ConversationId, after: u64, limit: u32) -> Result<Vec<Message>> {
    select(db, conversation, "m.seq > ?2 ORDER BY m.seq LIMIT ?3", &[&int(after), &limit])
}
