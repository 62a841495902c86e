//! Changing what was said last. A question's row says that it is answered anew (`redo`); its reply's row says what the chosen
//! variant says, and `variants` has them all, once there are two. What claims and commits do with it stands in
//! `aim_claim_reply` and `aim_commit_reply` of the schema.

use super::PostgresStore;
use super::db::{Again, Db, Postgres, Tried, sql};
use super::faults::Fault;
use super::replies::{by_seq, lock};
use super::rows::{int, maybe_json};
use crate::text::plain;
use crate::{
    Change, DueAgain, EditMessage, Edited, MAX_VARIANTS, Redo, RedoReply, Result, ReviseReply, Revised, Revisions,
    Unfit,
};
use aim_domain::message::MAX_TEXT;
use aim_domain::{Author, Conversation, ConversationId, Kind, Message, MessageId, Timestamp, Variants};
use async_trait::async_trait;

/// What was said last: a person's message, and its reply where it has one. The conversation is locked.
struct Exchange {
    key: i64,
    asked: Message,
    reply: Option<Message>,
}

fn vanished() -> Fault {
    Fault::Failed("a message that was just changed is not there".into())
}

/// The last exchange, if `message` is in it and nothing of the conversation is due.
async fn last_exchange(db: &mut Db, conversation: &ConversationId, message: &MessageId) -> Tried<Revised<Exchange>> {
    let Some((key, _)) = lock(db, conversation).await? else { return Ok(Err(Unfit::NotFound)) };
    let look = sql("SELECT c.last_seq, c.due, m.turn FROM conversations c JOIN messages m ON m.conversation = c.key
         WHERE c.key = $1 AND m.id = $2")
    .bind(key)
    .bind(message.as_str());
    let Some((last_seq, due, turn)) = db.one(look, |c| Ok((c.int()?, c.int()?, c.int()?))).await? else {
        return Ok(Err(Unfit::NotFound));
    };
    if due > 0 {
        return Ok(Err(Unfit::Busy));
    }
    let Some(last) = by_seq(db, key, conversation, last_seq).await? else { return Err(vanished()) };
    if last_seq == turn {
        let fits = last.role == Author::User;
        return Ok(if fits { Ok(Exchange { key, asked: last, reply: None }) } else { Err(Unfit::Unanswered) });
    }
    let Some(asked) = by_seq(db, key, conversation, turn).await? else { return Err(vanished()) };
    if asked.role != Author::User {
        return Ok(Err(Unfit::Unanswered));
    }
    if last.in_reply_to.as_ref() != Some(&asked.id) {
        return Ok(Err(Unfit::NotLast));
    }
    Ok(Ok(Exchange { key, asked, reply: Some(last) }))
}

/// Makes the message due, under a new attempt and a new fence.
async fn make_due(db: &mut Db, key: i64, asked: &Message, redo: Option<Redo>) -> Tried<DueAgain> {
    let again = sql("UPDATE messages m SET reply_state = 'due', attempt = m.attempt + 1, redo = $3, redo_fence = NULL
         WHERE m.conversation = $1 AND m.seq = $2 RETURNING m.attempt")
    .bind(key)
    .bind(int(asked.seq))
    .bind(redo.map(Redo::as_str));
    let attempt = db.one(again, |c| c.small()).await?.ok_or_else(vanished)?;
    db.run(sql("UPDATE conversations SET due = due + 1, fence = fence + 1 WHERE key = $1").bind(key)).await?;
    let message = by_seq(db, key, &asked.conversation_id, int(asked.seq)).await?.ok_or_else(vanished)?;
    Ok((message, attempt))
}

fn has_room(reply: &Message) -> bool {
    reply.variants.is_none_or(|variants| variants.count < MAX_VARIANTS)
}

async fn redo(pg: &Postgres, redo: &RedoReply) -> Tried<Revised<DueAgain>> {
    let mut db = pg.begin().await?;
    let at = match last_exchange(&mut db, &redo.conversation, &redo.message).await? {
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
    let due = make_due(&mut db, at.key, &at.asked, Some(redo.how)).await?;
    db.commit().await?;
    Ok(Ok(due))
}

/// Takes the oldest variant away that is not chosen; those behind it move up. Answers the reply.
async fn make_room(db: &mut Db, key: i64, reply: &Message, variants: Variants) -> Tried<Message> {
    let (seq, oldest) = (int(reply.seq), i64::from(variants.selected == 0));
    let oldest_goes = sql("DELETE FROM variants WHERE conversation = $1 AND seq = $2 AND number = $3");
    db.run(oldest_goes.bind(key).bind(seq).bind(oldest)).await?;
    // Past zero and back: a number is there once at any moment.
    let away = sql("UPDATE variants SET number = -number WHERE conversation = $1 AND seq = $2 AND number > $3");
    db.run(away.bind(key).bind(seq).bind(oldest)).await?;
    let back = sql("UPDATE variants SET number = -number - 1 WHERE conversation = $1 AND seq = $2 AND number < 0");
    db.run(back.bind(key).bind(seq)).await?;
    let count = sql("UPDATE messages SET variants = variants - 1,
             selected = CASE WHEN selected > $3 THEN selected - 1 ELSE selected END
         WHERE conversation = $1 AND seq = $2");
    db.run(count.bind(key).bind(seq).bind(oldest)).await?;
    by_seq(db, key, &reply.conversation_id, seq).await?.ok_or_else(vanished)
}

async fn edit(pg: &Postgres, edit: &EditMessage) -> Tried<Revised<Edited>> {
    let mut db = pg.begin().await?;
    let at = match last_exchange(&mut db, &edit.conversation, &edit.message).await? {
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
        Some((reply, variants)) => Some(make_room(&mut db, at.key, reply, variants).await?),
        None => None,
    };
    let text = sql("UPDATE messages SET text = $3 WHERE conversation = $1 AND seq = $2")
        .bind(at.key)
        .bind(int(at.asked.seq))
        .bind(plain(&edit.text));
    db.run(text).await?;
    let due = make_due(&mut db, at.key, &at.asked, at.reply.map(|_| Redo::Variant)).await?;
    db.tell(&Change::Conversation { id: edit.conversation.clone() })?;
    db.commit().await?;
    Ok(Ok(Edited { due, reply }))
}

async fn select(
    pg: &Postgres,
    conversation: &ConversationId,
    message: &MessageId,
    selected: u32,
) -> Tried<Revised<Message>> {
    let mut db = pg.begin().await?;
    let at = match last_exchange(&mut db, conversation, message).await? {
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
    let choose =
        sql("UPDATE messages m SET selected = v.number, text = v.text, personality = v.personality FROM variants v
         WHERE m.conversation = $1 AND m.seq = $2 AND v.conversation = $1 AND v.seq = $2 AND v.number = $3")
        .bind(at.key)
        .bind(int(reply.seq))
        .bind(i64::from(selected));
    db.run(choose).await?;
    db.run(sql("UPDATE conversations SET fence = fence + 1 WHERE key = $1").bind(at.key)).await?;
    let chosen = by_seq(&mut db, at.key, conversation, int(reply.seq)).await?.ok_or_else(vanished)?;
    db.tell(&Change::Conversation { id: conversation.clone() })?;
    db.commit().await?;
    Ok(Ok(chosen))
}

async fn revise(pg: &Postgres, ask: &ReviseReply) -> Tried<Revised<Message>> {
    let mut db = pg.begin().await?;
    let at = match last_exchange(&mut db, &ask.conversation, &ask.reply).await? {
        Ok(at) => at,
        Err(unfit) => return Ok(Err(unfit)),
    };
    let Some(reply) = at.reply.filter(|reply| reply.id == ask.reply) else { return Ok(Err(Unfit::Unanswered)) };
    let (text, personality) = (plain(&ask.text), maybe_json(ask.personality.as_ref())?);
    // Said twice is said, when the answer to the first was lost.
    if ask.was.as_ref().is_some_and(|was| *was != reply.text && text != reply.text) {
        return Ok(Err(Unfit::Changed));
    }
    let say = sql("UPDATE messages SET text = $3, personality = $4, revised_at = aim_now($5) WHERE conversation = $1 AND seq = $2")
        .bind(at.key)
        .bind(int(reply.seq))
        .bind(&*text)
        .bind(personality.as_deref())
        .bind(db.now);
    db.run(say).await?;
    if let Some(variants) = reply.variants {
        let say =
            sql("UPDATE variants SET text = $4, personality = $5 WHERE conversation = $1 AND seq = $2 AND number = $3")
                .bind(at.key)
                .bind(int(reply.seq))
                .bind(i64::from(variants.selected))
                .bind(&*text)
                .bind(personality.as_deref());
        db.run(say).await?;
    }
    db.run(sql("UPDATE conversations SET fence = fence + 1 WHERE key = $1").bind(at.key)).await?;
    let revised = by_seq(&mut db, at.key, &ask.conversation, int(reply.seq)).await?.ok_or_else(vanished)?;
    db.tell(&Change::Conversation { id: ask.conversation.clone() })?;
    db.commit().await?;
    Ok(Ok(revised))
}

#[async_trait]
impl Revisions for PostgresStore {
    async fn redo_reply(&self, ask: RedoReply) -> Result<Revised<DueAgain>> {
        self.pg.run(Again::Never, || redo(&self.pg, &ask)).await
    }

    async fn select_variant(
        &self,
        conversation: &Conversation,
        reply: &MessageId,
        selected: u32,
    ) -> Result<Revised<Message>> {
        // Chosen twice is chosen.
        self.pg.run(Again::Fine, || select(&self.pg, &conversation.id, reply, selected)).await
    }

    async fn edit_message(&self, ask: EditMessage) -> Result<Revised<Edited>> {
        self.pg.run(Again::Never, || edit(&self.pg, &ask)).await
    }

    async fn revise_reply(&self, ask: ReviseReply) -> Result<Revised<Message>> {
        self.pg.run(Again::Fine, || revise(&self.pg, &ask)).await
    }

    async fn revised_at(&self, conversation: &Conversation, message: &MessageId) -> Result<Option<Timestamp>> {
        let look = || async {
            let look = sql("SELECT m.revised_at FROM messages m JOIN conversations c ON c.key = m.conversation
                 WHERE c.id = $1 AND m.id = $2")
            .bind(conversation.id.as_str())
            .bind(message.as_str());
            Ok(self.pg.take().await?.one(look, |c| c.maybe_int()).await?.flatten().map(Timestamp))
        };
        self.pg.run(Again::Fine, look).await
    }
}
