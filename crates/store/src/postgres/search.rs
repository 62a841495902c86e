//! Full text. Who has said little is searched message by message, newest first. For others the index of words finds what holds
//! them; words that stand everywhere are looked for newest first again, which ends soon.

use super::PostgresStore;
use super::db::{Again, Db, Tried, sql};
use super::rows::{self, CHARACTER, MESSAGE};
use super::{ask, safety};
use crate::conversation::CharacterSummary;
use crate::search::{CANDIDATES, CANDIDATES_EACH, CONVERSATIONS, best_characters, best_messages};
use crate::words::Sought;
use crate::{FoundMessage, Result, Search, SearchQuery, TagCount};
use aim_domain::{Character, CharacterId, ConversationId, UserId};
use async_trait::async_trait;

/// Messages that are looked through without the index.
const FEW: i64 = 3_000;
/// Words that more messages than this hold stand everywhere.
const RARE: i64 = 1_000;

/// A question as `tsquery`. Words hold letters and digits alone; `mark` stands before each.
fn expression(sought: &Sought, mark: &str) -> String {
    let word = |(n, word): (usize, &String)| {
        let star = if sought.open && n + 1 == sought.words.len() { ":*" } else { "" };
        format!("'{mark}{word}'{star}")
    };
    sought.words.iter().enumerate().map(word).collect::<Vec<_>>().join(" & ")
}

/// Conversations and messages of a person's that hold the words.
async fn places(db: &mut Db, query: &SearchQuery) -> Tried<(Vec<i64>, Vec<i64>)> {
    let mine = sql("SELECT c.key, c.last_seq FROM members me JOIN conversations c ON c.key = me.conversation
         WHERE me.user_id = $1 AND ($2::text IS NULL OR c.id = $2) ORDER BY c.updated_at DESC LIMIT $3")
    .bind(query.viewer.as_str())
    .bind(query.conversation.as_ref().map(|id| id.as_str()))
    .bind(i64::from(CONVERSATIONS));
    let mine = db.all(mine, |c| Ok((c.int()?, c.int()?))).await?;
    let keys: Vec<i64> = mine.iter().map(|(key, _)| *key).collect();
    let sought = expression(&query.sought, "");
    if !mine.is_empty() && mine.iter().map(|(_, messages)| messages).sum::<i64>() > FEW {
        let scope = keys.iter().map(|key| format!("'#{key}'")).collect::<Vec<_>>().join(" | ");
        let rare = sql("SELECT w.conversation, w.seq FROM message_words w WHERE w.words @@ $1::text::tsquery LIMIT $2")
            .bind(format!("({scope}) & {sought}"))
            .bind(RARE);
        let found = db.all(rare, |c| Ok((c.int()?, c.int()?))).await?;
        if found.len() < RARE as usize {
            return Ok(found.into_iter().unzip());
        }
    }
    // As a function the match is asked of each row, and the rows come in their order.
    let newest = sql("SELECT found.conversation, found.seq FROM unnest($1::bigint[]) WITH ORDINALITY mine (key, place)
         CROSS JOIN LATERAL (SELECT w.conversation, w.seq FROM message_words w
             WHERE w.conversation = mine.key AND ts_match_vq(w.words, $2::text::tsquery) ORDER BY w.seq DESC LIMIT $3) found
         LIMIT $4")
    .bind(keys)
    .bind(sought)
    .bind(CANDIDATES_EACH as i64)
    .bind(CANDIDATES as i64);
    Ok(db.all(newest, |c| Ok((c.int()?, c.int()?))).await?.into_iter().unzip())
}

/// The member gate stands in the statement that reads the texts.
async fn messages(db: &mut Db, query: &SearchQuery) -> Tried<Vec<FoundMessage>> {
    let (conversations, seqs) = places(db, query).await?;
    if seqs.is_empty() {
        return Ok(Vec::new());
    }
    let read = sql(format!(
        "SELECT c.id, c.title, ch.id, ch.name, ch.avatar_url, {MESSAGE}
         FROM unnest($1::bigint[], $2::bigint[]) found (conversation, seq)
         JOIN messages m ON m.conversation = found.conversation AND m.seq = found.seq
         JOIN members me ON me.conversation = m.conversation AND me.user_id = $3
         JOIN conversations c ON c.key = m.conversation JOIN characters ch ON ch.id = c.character_id
         ORDER BY m.created_at DESC LIMIT $4"
    ))
    .bind(conversations)
    .bind(seqs)
    .bind(query.viewer.as_str())
    .bind(CANDIDATES as i64);
    let found = db.all(read, |c| {
        let (conversation, title) = (ConversationId::trusted(c.text()?), c.string()?);
        let character =
            CharacterSummary { id: CharacterId::trusted(c.text()?), name: c.string()?, avatar_url: c.maybe_string()? };
        Ok(FoundMessage { message: rows::message(c, &conversation)?, title, character })
    });
    Ok(best_messages(found.await?, query))
}

async fn characters(db: &mut Db, query: &SearchQuery) -> Tried<Vec<Character>> {
    let text = format!(
        "SELECT {CHARACTER} FROM (
             SELECT ch.key, ch.conversations FROM character_words w JOIN characters ch ON ch.key = w.character
             WHERE w.words @@ $1::text::tsquery AND (ch.visibility = 'public' OR ch.owner_id = $2) AND ch.deleted_at IS NULL
                 AND {}
             ORDER BY ch.conversations DESC, ch.key DESC LIMIT $3) found
         JOIN characters ch ON ch.key = found.key ORDER BY found.conversations DESC, found.key DESC",
        safety::listed(2, 4)
    );
    let now = db.now;
    let ask = |mark: &str| {
        let expression = expression(&query.sought, mark);
        sql(text.clone()).bind(expression).bind(query.viewer.as_str()).bind(CANDIDATES_EACH as i64).bind(now)
    };
    let mut found = db.all(ask("="), rows::character).await?;
    if found.len() < query.limit as usize {
        found = db.all(ask(""), rows::character).await?;
    }
    Ok(best_characters(found, query))
}

async fn tags(db: &mut Db, viewer: &UserId, limit: u32) -> Tried<Vec<TagCount>> {
    let read = sql(format!(
        "SELECT t.tag, count(*) AS uses FROM character_tags t JOIN characters ch ON ch.key = t.character
         WHERE ch.visibility = 'public' AND ch.deleted_at IS NULL AND {}
         GROUP BY t.tag ORDER BY uses DESC, t.tag LIMIT $2",
        safety::listed(1, 3)
    ))
    .bind(viewer.as_str())
    .bind(i64::from(limit))
    .bind(db.now);
    db.all(read, |c| Ok(TagCount { tag: c.string()?, count: c.count()? })).await
}

#[async_trait]
impl Search for PostgresStore {
    async fn search_messages(&self, query: &SearchQuery) -> Result<Vec<FoundMessage>> {
        ask!(self, messages, query)
    }

    async fn search_characters(&self, query: &SearchQuery) -> Result<Vec<Character>> {
        ask!(self, characters, query)
    }

    async fn character_tags(&self, viewer: &UserId, limit: u32) -> Result<Vec<TagCount>> {
        ask!(self, tags, viewer, limit)
    }

    /// The words of a deleted message go with their row; the database's own vacuum takes them out of its pages.
    async fn tidy_search(&self) -> Result<bool> {
        Ok(false)
    }
}
