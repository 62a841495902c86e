//! Changing what was said last. A question's row says that it is answered anew (`redo`); its reply's row says what the chosen
//! variant says, and `variants` has them all, once there are two.

use super::SqliteStore;
use super::db::Db;
use super::feed;
use super::replies::by_seq;
use super::rows::{self, Columns, MESSAGE, int, maybe_json};
use crate::text::plain;
use crate::{
    Change, CommitReply, Committed, DueAgain, EditMessage, Edited, MAX_VARIANTS, Redo, RedoReply, Result, ReviseReply,
    Revised, Revisions, StoreError, Unfit,
};
use aim_domain::message::MAX_TEXT;
use aim_domain::{Author, Conversation, ConversationId, Kind, Message, MessageId, ReplyState, Timestamp, Variants};
use async_trait::async_trait;
use rusqlite::params;

/// The reply to the message with this `seq`.
pub(super) fn reply_to(db: &Db, key: i64, conversation: &ConversationId, asked: u64) -> Result<Option<Message>> {
    let sql = format!(
        "SELECT {MESSAGE} FROM messages m INDEXED BY messages_by_turn
         WHERE m.conversation = ?1 AND m.turn = ?2 AND m.seq > ?2 AND m.reply_state IS NULL"
    );
    db.one(&sql, params![key, int(asked)], |row| rows::message(&mut Columns::of(row), conversation))
}

/// What was said last: a person's message, and its reply where it has one.
struct Exchange {
    key: i64,
    asked: Message,
    reply: Option<Message>,
}

fn vanished() -> StoreError {
    StoreError::Failed("a message that was just changed is not there".into())
}

/// The last exchange, if `message` is in it and nothing of the conversation is due.
fn last_exchange(db: &Db, conversation: &ConversationId, message: &MessageId) -> Result<Revised<Exchange>> {
    let standing = db.one(
        "SELECT c.key, c.last_seq, c.due, m.turn FROM conversations c JOIN messages m ON m.conversation = c.key
         WHERE c.id = ?1 AND m.id = ?2",
        [conversation.as_str(), message.as_str()],
        |row| {
            let mut c = Columns::of(row);
            Ok((c.int()?, c.count()?, c.count()?, c.count()?))
        },
    )?;
    let Some((key, last_seq, due, turn)) = standing else { return Ok(Err(Unfit::NotFound)) };
    if due > 0 {
        return Ok(Err(Unfit::Busy));
    }
    let Some(last) = by_seq(db, key, conversation, last_seq)? else { return Err(vanished()) };
    if last.seq == turn {
        let fits = last.role == Author::User;
        return Ok(if fits { Ok(Exchange { key, asked: last, reply: None }) } else { Err(Unfit::Unanswered) });
    }
    let Some(asked) = by_seq(db, key, conversation, turn)? else { return Err(vanished()) };
    if asked.role != Author::User {
        return Ok(Err(Unfit::Unanswered));
    }
    if last.in_reply_to.as_ref() != Some(&asked.id) {
        return Ok(Err(Unfit::NotLast));
    }
    Ok(Ok(Exchange { key, asked, reply: Some(last) }))
}

/// Makes the message due, under a new attempt and a new fence.
fn make_due(db: &Db, key: i64, asked: &Message, redo: Option<Redo>) -> Result<DueAgain> {
    let attempt = db.one(
        "UPDATE messages SET reply_state = 'due', attempt = attempt + 1, redo = ?3, redo_fence = NULL
         WHERE conversation = ?1 AND seq = ?2 RETURNING attempt",
        params![key, int(asked.seq), redo.map(Redo::as_str)],
        |row| row.get::<_, i64>(0),
    )?;
    db.run("UPDATE all_conversations SET due = due + 1, fence = fence + 1 WHERE key = ?1", [key])?;
    let message = by_seq(db, key, &asked.conversation_id, asked.seq)?.ok_or_else(vanished)?;
    Ok((message, u32::try_from(attempt.unwrap_or(1)).unwrap_or(u32::MAX)))
}

fn has_room(reply: &Message) -> bool {
    reply.variants.is_none_or(|variants| variants.count < MAX_VARIANTS)
}

fn redo(db: &Db, redo: &RedoReply) -> Result<Revised<DueAgain>> {
    let at = match last_exchange(db, &redo.conversation, &redo.message)? {
        Ok(at) => at,
        Err(unfit) => return Ok(Err(unfit)),
    };
    let Some(reply) = &at.reply else { return Ok(Err(Unfit::Unanswered)) };
    let fits = match redo.how {
        Redo::Variant => has_room(reply),
        Redo::Continue => reply.text.chars().count() < MAX_TEXT,
    };
    if !fits {
        return Ok(Err(Unfit::Full));
    }
    make_due(db, at.key, &at.asked, Some(redo.how)).map(Ok)
}

/// Takes the oldest variant away that is not chosen; those behind it move up. Answers the reply.
fn make_room(db: &Db, key: i64, reply: &Message, variants: Variants) -> Result<Message> {
    let oldest = i64::from(variants.selected == 0);
    let at = params![key, int(reply.seq), oldest];
    db.run("DELETE FROM variants WHERE conversation = ?1 AND seq = ?2 AND number = ?3", at)?;
    // Past zero and back: a number is there once at any moment.
    db.run("UPDATE variants SET number = -number WHERE conversation = ?1 AND seq = ?2 AND number > ?3", at)?;
    let back = "UPDATE variants SET number = -number - 1 WHERE conversation = ?1 AND seq = ?2 AND number < 0";
    db.run(back, params![key, int(reply.seq)])?;
    db.run(
        "UPDATE messages SET variants = variants - 1, selected = selected - (selected > ?3)
         WHERE conversation = ?1 AND seq = ?2",
        at,
    )?;
    by_seq(db, key, &reply.conversation_id, reply.seq)?.ok_or_else(vanished)
}

fn edit(db: &Db, edit: &EditMessage) -> Result<Revised<Edited>> {
    let at = match last_exchange(db, &edit.conversation, &edit.message)? {
        Ok(at) => at,
        Err(unfit) => return Ok(Err(unfit)),
    };
    if at.asked.id != edit.message || at.asked.sender_id != edit.by.as_str() || at.asked.kind != Kind::Text {
        return Ok(Err(Unfit::NotTheirs));
    }
    if edit.was.as_ref().is_some_and(|was| *was != at.asked.text) {
        return Ok(Err(Unfit::Changed));
    }
    let full = at.reply.as_ref().filter(|reply| !has_room(reply));
    let reply = match full.and_then(|reply| reply.variants.map(|variants| (reply, variants))) {
        Some((reply, variants)) => Some(make_room(db, at.key, reply, variants)?),
        None => None,
    };
    db.run(
        "UPDATE messages SET text = ?3 WHERE conversation = ?1 AND seq = ?2",
        params![at.key, int(at.asked.seq), plain(&edit.text)],
    )?;
    feed::write(db, &Change::Conversation { id: edit.conversation.clone() })?;
    let due = make_due(db, at.key, &at.asked, at.reply.map(|_| Redo::Variant))?;
    Ok(Ok(Edited { due, reply }))
}

fn select(db: &Db, conversation: &ConversationId, message: &MessageId, selected: u32) -> Result<Revised<Message>> {
    let at = match last_exchange(db, conversation, message)? {
        Ok(at) => at,
        Err(unfit) => return Ok(Err(unfit)),
    };
    let Some(reply) = at.reply else { return Ok(Err(Unfit::Unanswered)) };
    let count = reply.variants.map_or(1, |variants| variants.count);
    if selected >= count {
        return Ok(Err(Unfit::NotFound));
    }
    if count == 1 {
        return Ok(Ok(reply));
    }
    db.run(
        "UPDATE messages SET selected = ?3, (text, personality) = (SELECT text, personality FROM variants v
             WHERE v.conversation = ?1 AND v.seq = ?2 AND v.number = ?3)
         WHERE conversation = ?1 AND seq = ?2",
        params![at.key, int(reply.seq), selected],
    )?;
    db.run("UPDATE all_conversations SET fence = fence + 1 WHERE key = ?1", [at.key])?;
    feed::write(db, &Change::Conversation { id: conversation.clone() })?;
    Ok(Ok(by_seq(db, at.key, conversation, reply.seq)?.ok_or_else(vanished)?))
}

fn revise(db: &Db, ask: &ReviseReply) -> Result<Revised<Message>> {
    let at = match last_exchange(db, &ask.conversation, &ask.reply)? {
        Ok(at) => at,
        Err(unfit) => return Ok(Err(unfit)),
    };
    let Some(reply) = at.reply.filter(|reply| reply.id == ask.reply) else { return Ok(Err(Unfit::Unanswered)) };
    let (text, personality) = (plain(&ask.text), maybe_json(ask.personality.as_ref())?);
    // Said twice is said, when the answer to the first was lost.
    if ask.was.as_ref().is_some_and(|was| *was != reply.text && text != reply.text) {
        return Ok(Err(Unfit::Changed));
    }
    db.run(
        "UPDATE messages SET text = ?3, personality = ?4, revised_at = ?5 WHERE conversation = ?1 AND seq = ?2",
        params![at.key, int(reply.seq), text, personality, db.now.0],
    )?;
    if let Some(variants) = reply.variants {
        db.run(
            "UPDATE variants SET text = ?4, personality = ?5 WHERE conversation = ?1 AND seq = ?2 AND number = ?3",
            params![at.key, int(reply.seq), variants.selected, text, personality],
        )?;
    }
    db.run("UPDATE all_conversations SET fence = fence + 1 WHERE key = ?1", [at.key])?;
    feed::write(db, &Change::Conversation { id: ask.conversation.clone() })?;
    Ok(Ok(by_seq(db, at.key, &ask.conversation, reply.seq)?.ok_or_else(vanished)?))
}

/// Stores what was answered anew, in the reply that is there; none when the message has no reply. The claim holds, and is over
/// with it.
pub(super) fn commit(db: &Db, key: i64, asked: &Message, commit: &CommitReply) -> Result<Option<Message>> {
    let redo = db.one(
        "SELECT redo FROM messages WHERE conversation = ?1 AND seq = ?2",
        params![key, int(asked.seq)],
        |row| Columns::of(row).maybe_redo(),
    )?;
    let Some(redo) = redo.flatten() else { return Ok(None) };
    let Some(mut reply) = reply_to(db, key, &commit.conversation, asked.seq)? else { return Ok(None) };
    let (text, personality) = (plain(&commit.reply.text), maybe_json(commit.reply.personality.as_ref())?);
    let seq = int(reply.seq);
    match (redo, reply.variants) {
        (Redo::Continue, Some(variants)) => {
            db.run(
                "UPDATE variants SET text = ?4, personality = ?5 WHERE conversation = ?1 AND seq = ?2 AND number = ?3",
                params![key, seq, variants.selected, text, personality],
            )?;
        }
        (Redo::Continue, None) => {}
        (Redo::Variant, variants) => {
            if variants.is_none() {
                db.run(
                    "INSERT INTO variants (conversation, seq, number, text, personality)
                     SELECT conversation, seq, 0, text, personality FROM messages WHERE conversation = ?1 AND seq = ?2",
                    params![key, seq],
                )?;
            }
            let number = variants.map_or(1, |variants| variants.count);
            db.run(
                "INSERT INTO variants (conversation, seq, number, text, personality) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![key, seq, number, text, personality],
            )?;
            reply.variants = Some(Variants { count: number + 1, selected: number });
        }
    }
    db.run(
        "UPDATE messages SET text = ?3, personality = ?4, variants = ?5, selected = ?6 WHERE conversation = ?1 AND seq = ?2",
        params![
            key,
            seq,
            text,
            personality,
            reply.variants.map(|variants| variants.count),
            reply.variants.map(|variants| variants.selected)
        ],
    )?;
    db.run(
        "UPDATE messages SET reply_state = 'done', redo = NULL, redo_fence = ?3 WHERE conversation = ?1 AND seq = ?2",
        params![key, int(asked.seq), int(commit.fence)],
    )?;
    db.run(
        "UPDATE all_conversations SET due = due - 1, holder = NULL, claimed = NULL, updated_at = max(updated_at, ?2)
         WHERE key = ?1",
        params![key, db.now.0],
    )?;
    super::counts::add_tokens(db, commit.tokens.as_ref())?;
    // Who did not hear of it by an event looks: no `seq` tells.
    feed::write(db, &Change::Conversation { id: commit.conversation.clone() })?;
    (reply.text, reply.personality) = (text.into_owned(), commit.reply.personality.clone());
    Ok(Some(reply))
}

/// The same call, asked again because its answer was lost.
pub(super) fn committed_before(db: &Db, commit: &CommitReply) -> Result<Committed> {
    let sql = format!(
        "SELECT m.conversation, {MESSAGE} FROM messages m JOIN conversations c ON c.key = m.conversation
         WHERE m.id = ?2 AND c.id = ?1 AND m.redo IS NULL AND m.redo_fence = ?3"
    );
    let by = params![commit.conversation.as_str(), commit.message.as_str(), int(commit.fence)];
    let found = db.one(&sql, by, |row| {
        let mut c = Columns::of(row);
        Ok((c.int()?, rows::message(&mut c, &commit.conversation)?))
    })?;
    let Some((key, asked)) = found.filter(|(_, asked)| asked.reply_state == Some(ReplyState::Done)) else {
        return Ok(Committed::Stale);
    };
    Ok(match reply_to(db, key, &commit.conversation, asked.seq)? {
        Some(reply) => Committed::Committed { asked: Box::new(asked), reply: Box::new(reply) },
        None => Committed::Stale,
    })
}

#[async_trait]
impl Revisions for SqliteStore {
    async fn redo_reply(&self, ask: RedoReply) -> Result<Revised<DueAgain>> {
        self.write(move |db| redo(db, &ask)).await
    }

    async fn select_variant(
        &self,
        conversation: &Conversation,
        reply: &MessageId,
        selected: u32,
    ) -> Result<Revised<Message>> {
        let (id, reply) = (conversation.id.clone(), reply.clone());
        self.write(move |db| select(db, &id, &reply, selected)).await
    }

    async fn edit_message(&self, ask: EditMessage) -> Result<Revised<Edited>> {
        self.write(move |db| edit(db, &ask)).await
    }

    async fn revise_reply(&self, ask: ReviseReply) -> Result<Revised<Message>> {
        self.write(move |db| revise(db, &ask)).await
    }

    async fn revised_at(&self, conversation: &Conversation, message: &MessageId) -> Result<Option<Timestamp>> {
        let (id, message) = (conversation.id.clone(), message.clone());
        let look = "SELECT m.revised_at FROM messages m JOIN conversations c ON c.key = m.conversation
                    WHERE c.id = ?1 AND m.id = ?2";
        let read = move |db: &Db| db.one(look, [id.as_str(), message.as_str()], |row| row.get::<_, Option<i64>>(0));
        Ok(self.read(read).await?.flatten().map(Timestamp))
    }
}
