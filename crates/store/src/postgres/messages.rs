//! Messages: sending them, and reading pages of them. What a send does stands in `aim_send` of the schema.

use super::db::{Db, Postgres, Tried, sql};
use super::faults::Fault;
use super::pool::Query;
use super::rows::{self, Columns, MESSAGE, int, maybe_json};
use crate::{MessagePage, MessageQuery, SendMessage, Sent};
use aim_domain::usage::USAGE_WINDOW;
use aim_domain::{Author, CharacterId, ConversationId, Message, MessageId, ReplyState, UsageCount, UserId};

const TOLD: &str =
    "s.r_outcome, s.r_at, s.r_seq, s.r_character, s.r_due, s.r_text, s.r_audio, s.r_image, s.r_since, s.r_version";

fn window() -> i64 {
    super::sessions::millis(USAGE_WINDOW)
}

fn limit(send: &SendMessage) -> Option<i64> {
    send.usage_limit.map(int)
}

/// `again`: it may be sent already, by this very call.
pub(super) async fn send(pg: &Postgres, send: &SendMessage, again: bool) -> Tried<Sent> {
    let mut db = pg.take().await?;
    let call = sql(format!("SELECT {TOLD} FROM aim_send($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) s"))
        .bind(db.now)
        .bind(send.conversation.as_str())
        .bind(send.sender.as_str())
        .bind(send.message.as_str())
        .bind(&send.client_id)
        .bind(send.kind.as_str())
        .bind(&send.text)
        .bind(maybe_json(send.media.as_ref())?)
        .bind(limit(send))
        .bind(window())
        .bind(int(send.max_due))
        .bind(again);
    let told = db.one(call, |c| outcome(c, send)).await?;
    match told.ok_or_else(|| Fault::Failed("a message was sent without an answer".into()))? {
        Ok(sent) => Ok(sent),
        Err(Repeated { seq, usage }) => {
            let at = select(&send.conversation, "m.seq = $2").bind(seq);
            let before = db.one(at, |c| rows::message(c, &send.conversation)).await?;
            Ok(before.map_or(Sent::NotFound, |message| Sent::Repeated { message, usage }))
        }
    }
}

/// Sends several in one commit. None for one that has to be sent by itself.
pub(super) async fn send_many(pg: &Postgres, sends: &[&SendMessage]) -> Tried<Vec<Option<Sent>>> {
    fn column<'s, T>(sends: &[&'s SendMessage], of: impl Fn(&'s SendMessage) -> T) -> Vec<T> {
        sends.iter().map(|send| of(send)).collect()
    }
    let mut db = pg.take().await?;
    let medias: Vec<_> = sends.iter().map(|send| maybe_json(send.media.as_ref())).collect::<Tried<_>>()?;
    let call =
        sql(format!("SELECT s.r_number, {TOLD} FROM aim_send_many($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) s"))
            .bind(db.now)
            .bind(column(sends, |send| send.conversation.as_str()))
            .bind(column(sends, |send| send.sender.as_str()))
            .bind(column(sends, |send| send.message.as_str()))
            .bind(column(sends, |send| send.client_id.as_str()))
            .bind(column(sends, |send| send.kind.as_str()))
            .bind(column(sends, |send| send.text.as_str()))
            .bind(medias)
            .bind(column(sends, limit))
            .bind(window())
            .bind(column(sends, |send| int(send.max_due)));
    let mut answers: Vec<Option<Sent>> = sends.iter().map(|_| None).collect();
    let told = db
        .all(call, |c| {
            let number = usize::try_from(c.int()? - 1).unwrap_or(usize::MAX);
            let Some(send) = sends.get(number) else { return Ok(None) };
            // What it was before is read by itself.
            Ok(match outcome(c, send)? {
                Ok(sent) => Some((number, sent)),
                Err(Repeated { .. }) => None,
            })
        })
        .await?;
    for (number, sent) in told.into_iter().flatten() {
        answers[number] = Some(sent);
    }
    Ok(answers)
}

/// It was sent before, under this `seq`.
struct Repeated {
    seq: i64,
    usage: UsageCount,
}

/// What `aim_send` answers.
fn outcome(c: &mut Columns, send: &SendMessage) -> Tried<Result<Sent, Repeated>> {
    let (outcome, at) = (c.text()?, c.time()?);
    let (seq, character, due) = (c.maybe_int()?, c.maybe_text()?, c.maybe_int()?);
    let usage = rows::usage(c)?;
    let (Some(seq), Some(character), Some(due)) = (seq, character, due) else {
        return Ok(Ok(Sent::NotFound));
    };
    Ok(Ok(match outcome {
        "accepted" => Sent::Accepted {
            message: Message {
                id: send.message.clone(),
                conversation_id: send.conversation.clone(),
                seq: seq.unsigned_abs(),
                role: Author::User,
                sender_id: send.sender.as_str().to_owned(),
                kind: send.kind,
                text: send.text.clone(),
                media: send.media.clone(),
                in_reply_to: None,
                client_id: Some(send.client_id.clone()),
                created_at: at,
                reply_state: Some(ReplyState::Due),
                variants: None,
                personality: None,
            },
            usage,
            due: due.unsigned_abs(),
            character: CharacterId::trusted(character),
        },
        "repeated" => return Ok(Err(Repeated { seq, usage: usage.at(at) })),
        "usage_full" => Sent::UsageFull { usage: usage.at(at) },
        "line_full" => Sent::LineFull,
        "absent" => Sent::NotFound,
        other => return Err(Fault::Failed(format!("a message was answered with {other:?}"))),
    }))
}

/// Messages of a conversation that match `rest`, whose parameters start at `$2`.
fn select<'q>(conversation: &ConversationId, rest: &str) -> Query<'q> {
    sql(format!(
        "SELECT {MESSAGE} FROM messages m
         WHERE m.conversation = (SELECT c.key FROM conversations c WHERE c.id = $1) AND {rest}"
    ))
    .bind(conversation.as_str().to_owned())
}

/// One row without a message stands for a conversation that has none here. They are sorted here: to the database it would be one
/// more step over rows that it has found in order.
pub(super) async fn page(
    db: &mut Db,
    conversation: &ConversationId,
    member: &UserId,
    query: MessageQuery,
) -> Tried<Option<MessagePage>> {
    let order = if query.after.is_some() { "ASC" } else { "DESC" };
    let text = format!(
        "SELECT m.seq IS NOT NULL, {MESSAGE}
         FROM conversations c JOIN members me ON me.conversation = c.key AND me.user_id = $2
             LEFT JOIN LATERAL (SELECT * FROM messages p WHERE p.conversation = c.key AND p.seq > $3 AND p.seq < $4
                 ORDER BY p.seq {order} LIMIT $5) m ON true
         WHERE c.id = $1"
    );
    let rows = sql(text)
        .bind(conversation.as_str())
        .bind(member.as_str())
        .bind(query.after.map_or(-1, int))
        .bind(query.before.map_or(i64::MAX, int))
        .bind(i64::from(query.limit) + 1);
    let rows = db.all(rows, |c| if c.flag()? { rows::message(c, conversation).map(Some) } else { Ok(None) }).await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let mut items: Vec<Message> = rows.into_iter().flatten().collect();
    items.sort_unstable_by_key(|message| message.seq);
    let has_more = items.len() > query.limit as usize;
    if has_more {
        // The one too many is the farthest from where it was asked.
        items.remove(if query.after.is_some() { items.len() - 1 } else { 0 });
    }
    Ok(Some(MessagePage { items, has_more }))
}

pub(super) async fn one(db: &mut Db, conversation: &ConversationId, id: &MessageId) -> Tried<Option<Message>> {
    db.one(select(conversation, "m.id = $2").bind(id.as_str()), |c| rows::message(c, conversation)).await
}

pub(super) async fn last_seq(db: &mut Db, conversation: &ConversationId) -> Tried<u64> {
    let last = sql("SELECT last_seq FROM conversations WHERE id = $1").bind(conversation.as_str());
    Ok(db.number(last).await?.unsigned_abs())
}

pub(super) async fn last_seqs(db: &mut Db, conversations: &[ConversationId]) -> Tried<Vec<(ConversationId, u64)>> {
    let ids: Vec<String> = conversations.iter().map(|id| id.as_str().to_owned()).collect();
    let last = sql("SELECT id, last_seq FROM conversations WHERE id = ANY($1)").bind(ids);
    db.all(last, |c| Ok((ConversationId::trusted(c.text()?), c.int()?.unsigned_abs()))).await
}

pub(super) async fn missed(db: &mut Db, conversation: &ConversationId, after: u64, limit: u32) -> Tried<Vec<Message>> {
    let rows = select(conversation, "m.seq > $2 ORDER BY m.seq LIMIT $3").bind(int(after)).bind(i64::from(limit));
    db.all(rows, |c| rows::message(c, conversation)).await
}
