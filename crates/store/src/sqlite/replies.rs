//! The claim protocol: who answers a message, and what comes of it.
//!
//! A conversation's row carries the claim: `holder`, the `seq` it `claimed`, and the `fence` that every claim raises. A
//! claim counts while its holder's lease lives; a commit needs the claim to be there under the same fence. `due` counts
//! the messages with `reply_state = 'due'`, the claimed one included, and changes only together with one.

use super::counts::add_tokens;
use super::db::Db;
use super::messages::{HOLDER_LIVES, insert};
use super::rows::{self, Columns, MESSAGE, int};
use super::{feed, leases, personas, revisions};
use crate::text::plain;
use crate::{
    Cancel, Change, Claim, ClaimReply, Claimed, CommitReply, Committed, Due, EndReply, Ended, Redo, Redoing, Result,
    StoreError,
};
use aim_domain::{
    Author, CharacterId, ConversationId, Incarnation, Kind, Message, MessageId, ReplyState, Speaker, Tier, UserId,
};
use rusqlite::params;

/// A conversation's row, as the protocol sees it.
struct Standing {
    key: i64,
    character: CharacterId,
    last_seq: u64,
    fence: u64,
    /// With the `seq` it claimed.
    holder: Option<(Incarnation, u64)>,
    holder_lives: bool,
    /// The claim was told to stop.
    stopping: bool,
}

fn standing(db: &Db, conversation: &ConversationId) -> Result<Option<Standing>> {
    let sql = format!(
        "SELECT c.key, c.character, c.last_seq, c.fence, c.holder, c.claimed, {HOLDER_LIVES}, c.stop_fence = c.fence
         FROM conversations c WHERE c.id = ?1"
    );
    db.one(&sql, params![conversation.as_str(), db.now.0], |row| {
        let mut c = Columns::of(row);
        let (key, character, last_seq, fence) = (c.int()?, CharacterId::trusted(c.text()?), c.count()?, c.count()?);
        let (holder, claimed) = (c.maybe_text()?.map(Incarnation::trusted), c.maybe_int()?);
        Ok(Standing {
            key,
            character,
            last_seq,
            fence,
            holder: holder.zip(claimed.map(i64::unsigned_abs)),
            holder_lives: c.flag()?,
            stopping: c.flag()?,
        })
    })
}

pub(super) fn claim(db: &Db, claim: &ClaimReply) -> Result<Claimed> {
    let conversation = &claim.conversation;
    if !leases::lives(db, &claim.holder)? {
        return Ok(Claimed::NoLease);
    }
    let Some(at) = standing(db, conversation)? else { return Ok(Claimed::NothingDue) };
    if at.holder_lives {
        return Ok(Claimed::ConversationBusy);
    }
    if let Some((_, seq)) = at.holder.as_ref().filter(|_| at.stopping) {
        let message = settle(db, at.key, conversation, *seq, ReplyState::Cancelled)?;
        return Ok(message.map_or(Claimed::NothingDue, |message| Claimed::Cancelled(Box::new(message))));
    }
    let Some((message, attempt, display_name, redo)) = lowest_due(db, at.key, conversation)? else {
        return Ok(Claimed::NothingDue);
    };
    if replies_under_way(db, &at.character, claim.replies_per_character)? >= claim.replies_per_character {
        return Ok(Claimed::CharacterBusy);
    }
    let fence = at.fence + 1;
    db.run(
        "UPDATE all_conversations SET holder = ?2, claimed = ?3, fence = ?4 WHERE key = ?1",
        params![at.key, claim.holder.as_str(), int(message.seq), int(fence)],
    )?;
    let redo = match redo {
        Some(how) => redoing(db, at.key, &message, how, fence)?,
        None => None,
    };
    let user = UserId::trusted(message.sender_id.as_str());
    let sender = Speaker { persona: personas::played(db, at.key, &user)?, user, display_name };
    Ok(Claimed::Claimed(Box::new(Claim {
        conversation: conversation.clone(),
        character: at.character,
        message,
        sender,
        attempt,
        fence,
        last_seq: at.last_seq,
        redo,
    })))
}

/// What is known of a reply that is answered anew; notes the first claim of that work.
fn redoing(db: &Db, key: i64, message: &Message, how: Redo, fence: u64) -> Result<Option<Redoing>> {
    let Some(reply) = revisions::reply_to(db, key, &message.conversation_id, message.seq)? else { return Ok(None) };
    let first = db.run(
        "UPDATE messages SET redo_fence = ?3 WHERE conversation = ?1 AND seq = ?2 AND redo_fence IS NULL",
        params![key, int(message.seq), int(fence)],
    )?;
    let text = if how == Redo::Continue { reply.text } else { String::new() };
    Ok(Some(Redoing { how, reply: reply.id, text, first: first == 1 }))
}

type LowestDue = (Message, u32, String, Option<Redo>);

fn lowest_due(db: &Db, key: i64, conversation: &ConversationId) -> Result<Option<LowestDue>> {
    let sql = format!(
        "SELECT m.attempt, coalesce(u.display_name, ''), m.redo, {MESSAGE}
         FROM messages m INDEXED BY messages_due LEFT JOIN users u ON u.id = m.sender
         WHERE m.conversation = ?1 AND m.reply_state = 'due' ORDER BY m.seq LIMIT 1"
    );
    db.one(&sql, [key], |row| {
        let mut c = Columns::of(row);
        let (attempt, display_name, redo) = (attempt(&mut c)?, c.string()?, c.maybe_redo()?);
        Ok((rows::message(&mut c, conversation)?, attempt, display_name, redo))
    })
}

fn attempt(c: &mut Columns) -> rusqlite::Result<u32> {
    Ok(u32::try_from(c.int()?).unwrap_or(u32::MAX))
}

/// How many replies living servers give for a character; counted up to `enough`.
fn replies_under_way(db: &Db, character: &CharacterId, enough: u64) -> Result<u64> {
    let under_way = db.number(
        "SELECT count(*) FROM (
             SELECT 1 FROM all_conversations c INDEXED BY conversations_held JOIN servers s ON s.id = c.holder
             WHERE c.character = ?1 AND c.holder IS NOT NULL AND s.lease_until > ?2 LIMIT ?3)",
        params![character.as_str(), db.now.0, int(enough)],
    )?;
    Ok(under_way.unsigned_abs())
}

/// The standing of a conversation, if `message` is claimed there under `fence`, and the claimed message.
fn held(
    db: &Db,
    conversation: &ConversationId,
    fence: u64,
    message: &MessageId,
) -> Result<Option<(Standing, Message)>> {
    let Some(at) = standing(db, conversation)?.filter(|at| at.fence == fence) else { return Ok(None) };
    let Some((_, seq)) = &at.holder else { return Ok(None) };
    let claimed = by_seq(db, at.key, conversation, *seq)?;
    Ok(claimed.filter(|claimed| claimed.id == *message).map(|claimed| (at, claimed)))
}

pub(super) fn by_seq(db: &Db, key: i64, conversation: &ConversationId, seq: u64) -> Result<Option<Message>> {
    let sql = format!("SELECT {MESSAGE} FROM messages m WHERE m.conversation = ?1 AND m.seq = ?2");
    db.one(&sql, params![key, int(seq)], |row| rows::message(&mut Columns::of(row), conversation))
}

/// Gives the claimed message its state and takes the claim away; answers the message. One that has its reply is done.
fn settle(db: &Db, key: i64, conversation: &ConversationId, seq: u64, state: ReplyState) -> Result<Option<Message>> {
    let mut settled = 0;
    if state != ReplyState::Due {
        settled = db.run(
            "UPDATE messages SET reply_state = CASE WHEN redo IS NULL THEN ?3 ELSE 'done' END, redo = NULL,
                 redo_fence = NULL
             WHERE conversation = ?1 AND seq = ?2 AND reply_state = 'due'",
            params![key, int(seq), state.as_str()],
        )?;
    }
    db.run(
        "UPDATE all_conversations SET holder = NULL, claimed = NULL, due = due - ?2 WHERE key = ?1",
        params![key, settled as i64],
    )?;
    by_seq(db, key, conversation, seq)
}

pub(super) fn commit(db: &Db, commit: &CommitReply) -> Result<Committed> {
    let Some((at, mut asked)) = held(db, &commit.conversation, commit.fence, &commit.message)? else {
        return revisions::committed_before(db, commit);
    };
    if let Some(anew) = revisions::commit(db, at.key, &asked, commit)? {
        asked.reply_state = Some(ReplyState::Done);
        return Ok(Committed::Committed { asked: Box::new(asked), reply: Box::new(anew) });
    }
    let reply = Message {
        id: commit.reply.id.clone(),
        conversation_id: commit.conversation.clone(),
        seq: at.last_seq + 1,
        role: Author::Character,
        sender_id: at.character.as_str().to_owned(),
        kind: Kind::Text,
        text: plain(&commit.reply.text).into_owned(),
        media: None,
        in_reply_to: Some(asked.id.clone()),
        client_id: None,
        created_at: db.now,
        reply_state: None,
        variants: None,
        personality: commit.reply.personality.clone(),
    };
    insert(db, at.key, asked.seq, &reply)?;
    db.run(
        "UPDATE messages SET reply_state = 'done', redo = NULL WHERE conversation = ?1 AND seq = ?2",
        params![at.key, int(asked.seq)],
    )?;
    db.run(
        "UPDATE all_conversations SET last_seq = ?2, due = due - 1, holder = NULL, claimed = NULL,
             updated_at = max(updated_at, ?3) WHERE key = ?1",
        params![at.key, int(reply.seq), db.now.0],
    )?;
    add_tokens(db, commit.tokens.as_ref())?;
    asked.reply_state = Some(ReplyState::Done);
    Ok(Committed::Committed { asked: Box::new(asked), reply: Box::new(reply) })
}

pub(super) fn end(db: &Db, end: &EndReply) -> Result<Ended> {
    if end.state == ReplyState::Done {
        return Err(StoreError::Failed("a reply is done by its commit alone".into()));
    }
    let Some((at, claimed)) = held(db, &end.conversation, end.fence, &end.message)? else { return Ok(Ended::Stale) };
    // Who was told to stop and gives it back instead, because it shuts down, must not have it answered after all.
    let state = if end.state == ReplyState::Due && at.stopping { ReplyState::Cancelled } else { end.state };
    let message = settle(db, at.key, &end.conversation, claimed.seq, state)?;
    add_tokens(db, end.tokens.as_ref())?;
    Ok(message.map_or(Ended::Stale, |message| Ended::Ended(Box::new(message))))
}

/// Of all that was said, or of what `of` said alone.
pub(super) fn cancel(db: &Db, conversation: &ConversationId, of: Option<&UserId>) -> Result<Cancel> {
    let Some(at) = standing(db, conversation)? else { return Ok(Cancel::Cancelled(Vec::new())) };
    let claim = at.holder.as_ref().map(|(_, seq)| *seq);
    if let Some((holder, seq)) = at.holder.filter(|_| at.holder_lives)
        && let Some(message) = by_seq(db, at.key, conversation, seq)?
        && of.is_none_or(|of| message.sender_id == of.as_str())
    {
        db.run("UPDATE all_conversations SET stop_fence = fence WHERE key = ?1", [at.key])?;
        feed::write(db, &Change::Cancel { conversation: conversation.clone(), fence: at.fence })?;
        return Ok(Cancel::Stopping { message: message.id, holder, fence: at.fence });
    }
    let sql = format!(
        "SELECT m.redo, {MESSAGE} FROM messages m INDEXED BY messages_due
         WHERE m.conversation = ?1 AND m.reply_state = 'due' AND (?2 IS NULL OR m.sender = ?2) ORDER BY m.seq"
    );
    let whose = params![at.key, of.map(UserId::as_str)];
    let waiting = db.all(&sql, whose, |row| {
        let mut c = Columns::of(row);
        let redo = c.maybe_redo()?;
        let state = if redo.is_some() { ReplyState::Done } else { ReplyState::Cancelled };
        Ok(Message { reply_state: Some(state), ..rows::message(&mut c, conversation)? })
    })?;
    db.run(
        "UPDATE messages SET reply_state = CASE WHEN redo IS NULL THEN 'cancelled' ELSE 'done' END, redo = NULL,
                 redo_fence = NULL
         WHERE conversation = ?1 AND reply_state = 'due' AND (?2 IS NULL OR sender = ?2)",
        whose,
    )?;
    // A claim of theirs is a dead holder's; another's stays.
    let frees = of.is_none() || waiting.iter().any(|message| Some(message.seq) == claim);
    db.run(
        "UPDATE all_conversations SET due = max(0, due - ?2), holder = iif(?3, NULL, holder), claimed = iif(?3, NULL, claimed)
         WHERE key = ?1",
        params![at.key, int(waiting.len() as u64), frees],
    )?;
    Ok(Cancel::Cancelled(waiting))
}

pub(super) fn retry(db: &Db, conversation: &ConversationId, id: &MessageId) -> Result<Option<(Message, u32)>> {
    let found = db.one(
        "SELECT m.conversation, m.seq, m.attempt + 1 FROM messages m JOIN conversations c ON c.key = m.conversation
         WHERE m.id = ?2 AND c.id = ?1 AND m.reply_state IN ('failed', 'cancelled')",
        [conversation.as_str(), id.as_str()],
        |row| {
            let mut c = Columns::of(row);
            Ok((c.int()?, c.count()?, attempt(&mut c)?))
        },
    )?;
    let Some((key, seq, attempt)) = found else { return Ok(None) };
    db.run(
        "UPDATE messages SET reply_state = 'due', attempt = attempt + 1 WHERE conversation = ?1 AND seq = ?2",
        params![key, int(seq)],
    )?;
    db.run("UPDATE all_conversations SET due = due + 1 WHERE key = ?1", [key])?;
    Ok(by_seq(db, key, conversation, seq)?.map(|message| (message, attempt)))
}

pub(super) fn due(db: &Db, after: Option<&MessageId>, limit: u32) -> Result<Vec<Due>> {
    let sql = format!(
        "SELECT c.id, c.character, m.id, m.attempt, coalesce(u.tier, 'free')
         FROM messages m INDEXED BY messages_due_by_id
         JOIN conversations c ON c.key = m.conversation LEFT JOIN users u ON u.id = m.sender
         WHERE m.reply_state = 'due' AND m.id > ?3 AND NOT (c.claimed IS m.seq AND {HOLDER_LIVES})
         ORDER BY m.id LIMIT ?1"
    );
    let after = after.map_or("", MessageId::as_str);
    db.all(&sql, params![limit, db.now.0, after], |row| {
        let mut c = Columns::of(row);
        Ok(Due {
            conversation: ConversationId::trusted(c.text()?),
            character: CharacterId::trusted(c.text()?),
            message: MessageId::trusted(c.text()?),
            attempt: attempt(&mut c)?,
            premium: c.word::<Tier>()? == Tier::Premium,
        })
    })
}

pub(super) fn context(db: &Db, claim: &Claim, limit: u32) -> Result<Vec<(Author, Message)>> {
    let conversation = &claim.conversation;
    // No message has the number 0: nothing is left out.
    let redone = claim.redo.as_ref().map_or(0, |_| int(claim.message.seq));
    let sql = format!(
        "SELECT {MESSAGE} FROM messages m INDEXED BY messages_by_turn
         WHERE m.conversation = (SELECT key FROM conversations WHERE id = ?1)
             AND (m.reply_state IS NULL OR m.reply_state = 'done')
             AND (m.turn <> ?3 OR m.in_reply_to IS NULL)
         ORDER BY m.turn DESC, m.seq DESC LIMIT ?2"
    );
    let mut read = db.all(&sql, params![conversation.as_str(), limit, redone], |row| {
        let message = rows::message(&mut Columns::of(row), conversation)?;
        Ok((message.role, message))
    })?;
    read.reverse();
    Ok(read)
}
