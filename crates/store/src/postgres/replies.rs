//! The claim protocol: who answers a message, and what comes of it.
//!
//! The row of `claims` is the claim: its holder, the `seq` of its message, and the conversation's `fence`, which every claim
//! raises. It counts while its holder's lease lives; a commit needs it to be there under the same fence. `due` counts the
//! messages with `reply_state = 'due'`, the claimed one included, and changes only together with one. What claiming and
//! committing do stands in `aim_claim_reply` and `aim_commit_reply` of the schema.

use super::counts::add_tokens;
use super::db::{Again, Db, Postgres, Tried, sql};
use super::faults::Fault;
use super::personas::{PERSONA, maybe_persona};
use super::rows::{self, Columns, MESSAGE, int, maybe_json};
use crate::text::plain;
use crate::{
    Cancel, Change, Claim, ClaimReply, Claimed, CommitReply, Committed, Due, EndReply, Ended, Redoing, Result,
};
use aim_domain::{
    Author, CharacterId, ConversationId, Incarnation, Kind, Message, MessageId, ReplyState, Speaker, Tier, Timestamp,
    UserId,
};
use std::time::Duration;

/// The longest wait between two tries to take back a claim that nobody knows of.
const TAKE_BACK_PACE: Duration = Duration::from_secs(5);

/// A claim whose answer is lost would shut its conversation for as long as its holder lives. So a claim is known by its call,
/// which finds it when it asks again, and takes it back when it does not.
pub(super) async fn claim(pg: &Postgres, claim: &ClaimReply) -> Result<Claimed> {
    let call: MessageId = pg.ambient.id();
    let mut unheard = Unheard { pg, claim, call: Some(call.clone()) };
    let outcome = pg.run(Again::Fine, || ask(pg, claim, &call)).await;
    if outcome.is_ok() {
        unheard.call = None;
    }
    outcome
}

/// Takes a claim back whose answer nobody heard.
struct Unheard<'c> {
    pg: &'c Postgres,
    claim: &'c ClaimReply,
    call: Option<MessageId>,
}

impl Drop for Unheard<'_> {
    fn drop(&mut self) {
        if let Some(call) = self.call.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let (pg, holder) = (self.pg.clone(), self.claim.holder.clone());
            runtime.spawn(async move { take_back(&pg, &holder, &call).await });
        }
    }
}

/// At once, and again when the call can no longer be under way.
async fn take_back(pg: &Postgres, holder: &Incarnation, call: &MessageId) {
    for pause in [Duration::ZERO, pg.pool.options().statement_timeout + Duration::from_secs(1)] {
        tokio::time::sleep(pause).await;
        let mut wait = Duration::from_millis(100);
        loop {
            let attempt = async {
                let delete = sql("DELETE FROM claims WHERE holder = $1 AND call = $2");
                pg.take().await?.run(delete.bind(holder.as_str()).bind(call.as_str())).await
            };
            match attempt.await {
                Ok(0) => break,
                Ok(_) => {
                    tracing::info!(%holder, "a claim whose answer was lost was taken back");
                    return;
                }
                Err(_) if pg.pool.is_closed() => return,
                Err(fault) => tracing::warn!(?fault, "a claim whose answer was lost may be there still: trying again"),
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(TAKE_BACK_PACE);
        }
    }
}

async fn ask(pg: &Postgres, claim: &ClaimReply, call: &MessageId) -> Tried<Claimed> {
    let mut db = pg.take().await?;
    // Of the function's rows there is one, which the planner does not know.
    let query = sql(format!(
        "SELECT r.*, {PERSONA} FROM (SELECT * FROM aim_claim_reply($1, $2, $3, $4, $5) LIMIT 1) r
         LEFT JOIN (conversations c JOIN members me ON me.conversation = c.key)
             ON c.id = $2 AND me.user_id = r.r_sender AND r.r_outcome = 'claimed'
         LEFT JOIN persona_choices pc ON pc.conversation = me.conversation AND pc.user_id = me.user_id
         LEFT JOIN personas p ON p.user_id = me.user_id
             AND CASE WHEN pc.persona IS NULL THEN p.is_default ELSE p.id = pc.persona END"
    ))
    .bind(db.now)
    .bind(claim.conversation.as_str())
    .bind(claim.holder.as_str())
    .bind(call.as_str())
    .bind(int(claim.replies_per_character));
    let claimed = db.one(query, |c| claimed(c, &claim.conversation)).await?;
    // The message is gone with its conversation.
    Ok(claimed.unwrap_or(Claimed::NothingDue))
}

fn claimed(c: &mut Columns, conversation: &ConversationId) -> Tried<Claimed> {
    Ok(match c.text()? {
        "claimed" => {
            let (character, fence, last_seq) = (CharacterId::trusted(c.text()?), c.count()?, c.count()?);
            let (redo, attempt, display_name) = (redoing(c)?, c.small()?, c.string()?);
            let message = rows::asked(c, conversation)?;
            let user = UserId::trusted(message.sender_id.as_str());
            let sender = Speaker { user, display_name, persona: maybe_persona(c)? };
            let conversation = conversation.clone();
            Claimed::Claimed(Box::new(Claim {
                conversation,
                character,
                message,
                sender,
                attempt,
                fence,
                last_seq,
                redo,
            }))
        }
        "cancelled" => {
            c.skip(9);
            Claimed::Cancelled(Box::new(rows::asked(c, conversation)?))
        }
        "nothing_due" => Claimed::NothingDue,
        "conversation_busy" => Claimed::ConversationBusy,
        "character_busy" => Claimed::CharacterBusy,
        "no_lease" => Claimed::NoLease,
        other => return Err(Fault::Failed(format!("a claim was answered with {other:?}"))),
    })
}

fn redoing(c: &mut Columns) -> Tried<Option<Redoing>> {
    let (how, reply, text, first) = (c.maybe_redo()?, c.maybe_text()?, c.maybe_string()?, c.maybe_flag()?);
    Ok(how.zip(reply).map(|(how, reply)| Redoing {
        how,
        reply: MessageId::trusted(reply),
        text: text.unwrap_or_default(),
        first: first.unwrap_or_default(),
    }))
}

pub(super) async fn commit(pg: &Postgres, commit: &CommitReply) -> Tried<Committed> {
    let mut db = pg.take().await?;
    let text = plain(&commit.reply.text);
    let tokens = commit.tokens.as_ref();
    let query = sql("SELECT * FROM aim_commit_reply($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)")
        .bind(db.now)
        .bind(commit.conversation.as_str())
        .bind(int(commit.fence))
        .bind(commit.message.as_str())
        .bind(commit.reply.id.as_str())
        .bind(&*text)
        .bind(maybe_json(commit.reply.personality.as_ref())?)
        .bind(tokens.map(|tokens| tokens.user.as_str()))
        .bind(tokens.map(|tokens| tokens.character.as_str()))
        .bind(tokens.map(|tokens| plain(&tokens.model)))
        .bind(tokens.map(|tokens| int(tokens.prompt)))
        .bind(tokens.map(|tokens| int(tokens.completion)));
    let stored = db
        .one(query, |c| {
            let (id, seq, created_at) = (MessageId::trusted(c.text()?), c.count()?, c.time()?);
            let (variants, character) = (rows::variants(c)?, c.string()?);
            Ok((id, seq, created_at, variants, character, rows::asked(c, &commit.conversation)?))
        })
        .await?;
    let Some((id, seq, created_at, variants, sender_id, asked)) = stored else { return Ok(Committed::Stale) };
    let reply = Message {
        id,
        conversation_id: commit.conversation.clone(),
        seq,
        role: Author::Character,
        sender_id,
        kind: Kind::Text,
        text: text.into_owned(),
        media: None,
        in_reply_to: Some(asked.id.clone()),
        client_id: None,
        created_at,
        reply_state: None,
        variants,
        personality: commit.reply.personality.clone(),
    };
    Ok(Committed::Committed { asked: Box::new(asked), reply: Box::new(reply) })
}

/// Locks a conversation until the commit; its key, and the time.
pub(super) async fn lock(db: &mut Db, conversation: &ConversationId) -> Tried<Option<(i64, Timestamp)>> {
    let lock = sql("SELECT c.key, aim_now($2) FROM conversations c WHERE c.id = $1 FOR NO KEY UPDATE")
        .bind(conversation.as_str())
        .bind(db.now);
    db.one(lock, |c| Ok((c.int()?, c.time()?))).await
}

pub(super) async fn by_seq(db: &mut Db, key: i64, conversation: &ConversationId, seq: i64) -> Tried<Option<Message>> {
    let text = format!("SELECT {MESSAGE} FROM messages m WHERE m.conversation = $1 AND m.seq = $2");
    db.one(sql(text).bind(key).bind(seq), |c| rows::message(c, conversation)).await
}

async fn count_due(db: &mut Db, key: i64, more: i64) -> Tried<()> {
    db.run(sql("UPDATE conversations SET due = due + $2 WHERE key = $1").bind(key).bind(more)).await.map(drop)
}

pub(super) async fn end(pg: &Postgres, end: &EndReply) -> Tried<Ended> {
    if end.state == ReplyState::Done {
        return Err(Fault::Failed("a reply is done by its commit alone".into()));
    }
    let mut db = pg.begin().await?;
    let Some((key, _)) = lock(&mut db, &end.conversation).await? else { return Ok(Ended::Stale) };
    let held = sql("DELETE FROM claims cl USING messages m
         WHERE cl.conversation = $1 AND cl.fence = $2 AND m.conversation = $1 AND m.seq = cl.seq AND m.id = $3
         RETURNING cl.seq, cl.stopping")
    .bind(key)
    .bind(int(end.fence))
    .bind(end.message.as_str());
    let Some((seq, stopping)) = db.one(held, |c| Ok((c.int()?, c.flag()?))).await? else { return Ok(Ended::Stale) };
    // Who was told to stop and gives it back instead, because it shuts down, must not have it answered after all.
    let state = if end.state == ReplyState::Due && stopping { ReplyState::Cancelled } else { end.state };
    if state != ReplyState::Due {
        let settle =
            sql("UPDATE messages SET reply_state = CASE WHEN redo IS NULL THEN $3 ELSE 'done' END, redo = NULL,
                 redo_fence = NULL
             WHERE conversation = $1 AND seq = $2 AND reply_state = 'due'");
        let settled = db.run(settle.bind(key).bind(seq).bind(state.as_str())).await?;
        count_due(&mut db, key, -int(settled)).await?;
    }
    let message = by_seq(&mut db, key, &end.conversation, seq).await?;
    add_tokens(&mut db, end.tokens.as_ref()).await?;
    db.commit().await?;
    Ok(message.map_or(Ended::Stale, |message| Ended::Ended(Box::new(message))))
}

/// Of all that was said, or of what `of` said alone.
pub(super) async fn cancel(pg: &Postgres, conversation: &ConversationId, of: Option<&UserId>) -> Tried<Cancel> {
    let of = of.map(UserId::as_str);
    let mut db = pg.begin().await?;
    let Some((key, now)) = lock(&mut db, conversation).await? else { return Ok(Cancel::Cancelled(Vec::new())) };
    let stop = sql("UPDATE claims cl SET stopping = true FROM servers s, messages m
         WHERE cl.conversation = $1 AND s.id = cl.holder AND s.lease_until > $2
             AND m.conversation = cl.conversation AND m.seq = cl.seq AND ($3::text IS NULL OR m.sender = $3)
         RETURNING m.id, cl.holder, cl.fence")
    .bind(key)
    .bind(now.0)
    .bind(of);
    let stopping =
        db.one(stop, |c| Ok((MessageId::trusted(c.text()?), Incarnation::trusted(c.text()?), c.count()?))).await?;
    if let Some((message, holder, fence)) = stopping {
        db.tell(&Change::Cancel { conversation: conversation.clone(), fence })?;
        db.commit().await?;
        return Ok(Cancel::Stopping { message, holder, fence });
    }
    let cancel = sql(format!(
        "UPDATE messages m SET reply_state = CASE WHEN m.redo IS NULL THEN 'cancelled' ELSE 'done' END, redo = NULL,
             redo_fence = NULL
         WHERE m.conversation = $1 AND m.reply_state = 'due' AND ($2::text IS NULL OR m.sender = $2) RETURNING {MESSAGE}"
    ));
    let mut waiting = db.all(cancel.bind(key).bind(of), |c| rows::message(c, conversation)).await?;
    waiting.sort_by_key(|message| message.seq);
    // A claim of theirs is a dead holder's; another's stays.
    let free = sql("DELETE FROM claims cl WHERE cl.conversation = $1 AND ($2::text IS NULL OR EXISTS (
             SELECT 1 FROM messages m WHERE m.conversation = $1 AND m.seq = cl.seq AND m.sender = $2))");
    db.run(free.bind(key).bind(of)).await?;
    let ended = i64::try_from(waiting.len()).unwrap_or(i64::MAX);
    let count = sql("UPDATE conversations SET due = greatest(0, due - $2) WHERE key = $1");
    db.run(count.bind(key).bind(ended)).await?;
    db.commit().await?;
    Ok(Cancel::Cancelled(waiting))
}

pub(super) async fn retry(
    pg: &Postgres,
    conversation: &ConversationId,
    id: &MessageId,
) -> Tried<Option<(Message, u32)>> {
    let mut db = pg.begin().await?;
    let Some((key, _)) = lock(&mut db, conversation).await? else { return Ok(None) };
    let update = sql(format!(
        "UPDATE messages m SET reply_state = 'due', attempt = m.attempt + 1
         WHERE m.conversation = $1 AND m.id = $2 AND m.reply_state IN ('failed', 'cancelled') RETURNING m.attempt, {MESSAGE}"
    ));
    let again = db
        .one(update.bind(key).bind(id.as_str()), |c| {
            let attempt = c.small()?;
            Ok((rows::message(c, conversation)?, attempt))
        })
        .await?;
    if again.is_some() {
        count_due(&mut db, key, 1).await?;
        db.commit().await?;
    }
    Ok(again)
}

pub(super) async fn due(db: &mut Db, after: Option<&MessageId>, limit: u32) -> Tried<Vec<Due>> {
    let list = sql("SELECT c.id, c.character_id, m.id, m.attempt, coalesce(u.tier, 'free')
         FROM messages m JOIN conversations c ON c.key = m.conversation LEFT JOIN users u ON u.id = m.sender
         WHERE m.reply_state = 'due' AND m.id > $3 AND NOT EXISTS (
             SELECT 1 FROM claims cl JOIN servers s ON s.id = cl.holder
             WHERE cl.conversation = m.conversation AND cl.seq = m.seq AND s.lease_until > aim_now($2))
         ORDER BY m.id LIMIT $1")
    .bind(i64::from(limit))
    .bind(db.now)
    .bind(after.map_or("", MessageId::as_str));
    db.all(list, |c| {
        Ok(Due {
            conversation: ConversationId::trusted(c.text()?),
            character: CharacterId::trusted(c.text()?),
            message: MessageId::trusted(c.text()?),
            attempt: c.small()?,
            premium: c.word::<Tier>()? == Tier::Premium,
        })
    })
    .await
}

pub(super) async fn context(db: &mut Db, claim: &Claim, limit: u32) -> Tried<Vec<(Author, Message)>> {
    let list = sql(format!(
        "SELECT {MESSAGE} FROM messages m
         WHERE m.conversation = (SELECT c.key FROM conversations c WHERE c.id = $1)
             AND (m.reply_state IS NULL OR m.reply_state = 'done')
             AND (m.turn <> $3 OR m.in_reply_to IS NULL)
         ORDER BY m.turn DESC, m.seq DESC LIMIT $2"
    ))
    .bind(claim.conversation.as_str())
    .bind(i64::from(limit))
    // No message has the number 0: nothing is left out.
    .bind(claim.redo.as_ref().map_or(0, |_| int(claim.message.seq)));
    let mut read = db
        .all(list, |c| {
            let message = rows::message(c, &claim.conversation)?;
            Ok((message.role, message))
        })
        .await?;
    read.reverse();
    Ok(read)
}
