//! A conversation that was held elsewhere. As of a branch, its row says how far it was copied, so that reports count none of it.

use super::PostgresStore;
use super::conversations;
use super::db::{Again, Postgres, Tried, sql};
use super::faults::Fault;
use super::rows::int;
use crate::text::plain;
use crate::{Change, ConversationItem, ImportConversation, ImportedMessage, Importing, Result};
use async_trait::async_trait;

/// Messages of a statement: each statement has a time that it may take.
const PORTION: usize = 200;

async fn import(pg: &Postgres, ask: &ImportConversation) -> Tried<ConversationItem> {
    // Asked again after a lost answer, it is there.
    if let Some(item) = conversations::get(&mut pg.take().await?, &ask.id, &ask.owner).await? {
        return Ok(item);
    }
    let mut db = pg.begin().await?;
    let made = conversations::insert(&mut db, &ask.opening()).await?;
    let (key, _) = made.ok_or_else(|| Fault::Conflict("another conversation of this pair was begun".into()))?;
    for portion in ask.said.chunks(PORTION) {
        let of = |what: fn(&ImportedMessage) -> i64| portion.iter().map(what).collect::<Vec<_>>();
        let messages = || portion.iter().map(|one| &one.message);
        let insert = sql("INSERT INTO messages (conversation, seq, turn, id, role, sender, kind, text, in_reply_to, created_at,
                 reply_state, variants, selected)
             SELECT $1, s.seq, s.turn, s.id, s.role, s.sender, s.kind, s.text, s.in_reply_to, s.created_at, s.reply_state, s.variants,
                 s.selected
             FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
                 $10::bigint[], $11::text[], $12::bigint[], $13::bigint[])
                 AS s (seq, turn, id, role, sender, kind, text, in_reply_to, created_at, reply_state, variants, selected)")
        .bind(key)
        .bind(of(|one| int(one.message.seq)))
        .bind(of(|one| int(one.turn())))
        .bind(messages().map(|message| message.id.as_str()).collect::<Vec<_>>())
        .bind(messages().map(|message| message.role.as_str()).collect::<Vec<_>>())
        .bind(messages().map(|message| message.sender_id.as_str()).collect::<Vec<_>>())
        .bind(messages().map(|message| message.kind.as_str()).collect::<Vec<_>>())
        .bind(messages().map(|message| plain(&message.text)).collect::<Vec<_>>())
        .bind(messages().map(|message| message.in_reply_to.as_ref().map(|id| id.as_str())).collect::<Vec<_>>())
        .bind(of(|one| one.message.created_at.0))
        .bind(messages().map(|message| message.reply_state.map(|state| state.as_str())).collect::<Vec<_>>())
        .bind(messages().map(|message| message.variants.map(|all| i64::from(all.count))).collect::<Vec<_>>())
        .bind(messages().map(|message| message.variants.map(|all| i64::from(all.selected))).collect::<Vec<_>>());
        db.run(insert).await?;
        let (mut seqs, mut numbers, mut texts) = (Vec::new(), Vec::new(), Vec::new());
        for one in portion {
            for (number, text) in (0_i64..).zip(&one.variants) {
                seqs.push(int(one.message.seq));
                numbers.push(number);
                texts.push(plain(text));
            }
        }
        if seqs.is_empty() {
            continue;
        }
        let insert = sql("INSERT INTO variants (conversation, seq, number, text)
             SELECT $1, v.seq, v.number, v.text FROM unnest($2::bigint[], $3::bigint[], $4::text[]) AS v (seq, number, text)");
        db.run(insert.bind(key).bind(seqs).bind(numbers).bind(texts)).await?;
    }
    let last = i64::try_from(ask.said.len()).unwrap_or(i64::MAX);
    let said = sql("UPDATE all_conversations SET last_seq = $2, branch_seq = $2 WHERE key = $1").bind(key).bind(last);
    db.run(said).await?;
    db.run(sql("UPDATE members SET read_seq = $2 WHERE conversation = $1").bind(key).bind(last)).await?;
    let item = conversations::get(&mut db, &ask.id, &ask.owner).await?;
    let item = item.ok_or_else(|| Fault::Failed("a conversation that was just imported is not there".into()))?;
    db.tell(&Change::Conversation { id: ask.id.clone() })?;
    db.commit().await?;
    Ok(item)
}

#[async_trait]
impl Importing for PostgresStore {
    async fn import_conversation(&self, ask: ImportConversation) -> Result<ConversationItem> {
        self.pg.run(Again::Fine, || import(&self.pg, &ask)).await
    }
}
