//! Full text. The newest messages of a person are looked through one by one, from the end of each conversation, which costs what
//! they have said, however much others have; only who has said more than that is searched by the index of words, when the newest
//! do not do.

use super::PostgresStore;
use super::db::{Again, Db, Tried, sql};
use super::rows::{self, CHARACTER, MESSAGE};
use super::{ask, safety};
use crate::conversation::CharacterSummary;
use crate::search::{CANDIDATES, CANDIDATES_EACH, CONVERSATIONS, best_characters, best_messages};
use crate::words::Sought;
use crate::{FoundCharacter, FoundMessage, Result, Search, SearchQuery, TagCount};
use aim_domain::{CharacterId, ConversationId, UserId};
use async_trait::async_trait;

/// Messages of a person's that are looked through without the index, the newest: some 25 ms.
const LOOKED_THROUGH: i64 = 50_000;

/// A question as `tsquery`. Words hold letters and digits alone; `mark` stands before each.
pub(super) fn expression(sought: &Sought, mark: &str) -> String {
    let word = |(n, word): (usize, &String)| {
        let star = if sought.open && n + 1 == sought.words.len() { ":*" } else { "" };
        format!("'{mark}{word}'{star}")
    };
    sought.words.iter().enumerate().map(word).collect::<Vec<_>>().join(" & ")
}

/// Messages of all people that the index is asked for at the most.
const SAID_MOST: i64 = 100_000;

/// Where messages stand: their conversations, and their numbers there.
pub(super) type Places = (Vec<i64>, Vec<i64>);

/// Conversations, the last changed first, each with the number after which its messages are looked through.
pub(super) struct Reach {
    pub conversations: Vec<i64>,
    pub after: Vec<i64>,
    /// There is nothing beyond it.
    pub is_all: bool,
}

impl Reach {
    /// Over so many messages; of each conversation its key and how many it has.
    pub fn over(mut messages: i64, conversations: &[(i64, i64)]) -> Self {
        let mut reach = Self { conversations: Vec::new(), after: Vec::new(), is_all: true };
        for (key, last) in conversations {
            reach.is_all &= *last <= messages;
            if messages > 0 {
                reach.conversations.push(*key);
                reach.after.push((last - messages).max(0));
            }
            messages = (messages - last).max(0);
        }
        reach
    }
}

/// Those that hold the words: the newest of each conversation, the last changed conversations first. Both ways find the same.
pub(super) async fn places(db: &mut Db, query: &SearchQuery, looked_through: i64) -> Tried<Places> {
    let mine = sql("SELECT c.key, c.last_seq FROM members me JOIN conversations c ON c.key = me.conversation
         WHERE me.user_id = $1 AND ($2::text IS NULL OR c.id = $2) ORDER BY c.updated_at DESC LIMIT $3")
    .bind(query.viewer.as_str())
    .bind(query.conversation.as_ref().map(|id| id.as_str()))
    .bind(i64::from(CONVERSATIONS));
    let mine = db.all(mine, |c| Ok((c.int()?, c.int()?))).await?;
    let sought = expression(&query.sought, "");
    let reach = Reach::over(looked_through, &mine);
    let is_all = reach.is_all;
    let found = newest(db, reach, &sought).await?;
    if is_all || found.1.len() >= CANDIDATES {
        return Ok(found);
    }
    let everywhere = indexed(db, mine.into_iter().map(|(key, _)| key).collect(), &sought).await?;
    Ok(everywhere.unwrap_or(found))
}

/// As a function the match is asked of each row, and the rows come in their order. A question in a subquery is read once, not
/// for each row, which takes half of the time.
async fn newest(db: &mut Db, reach: Reach, sought: &str) -> Tried<Places> {
    let newest = sql("SELECT found.conversation, found.seq
         FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY mine (key, after, place)
         CROSS JOIN LATERAL (SELECT w.conversation, w.seq FROM message_words w
             WHERE w.conversation = mine.key AND w.seq > mine.after AND ts_match_vq(w.words, (SELECT $3::text::tsquery))
             ORDER BY w.seq DESC LIMIT $4) found
         ORDER BY mine.place LIMIT $5")
    .bind(reach.conversations)
    .bind(reach.after)
    .bind(sought)
    .bind(CANDIDATES_EACH as i64)
    .bind(CANDIDATES as i64);
    Ok(db.all(newest, |c| Ok((c.int()?, c.int()?))).await?.into_iter().unzip())
}

/// What the newest hold seldom is seldom said. So the index is asked for the words alone: to ask it for hundreds of conversations
/// as well takes longer than to pass over what others said. None where too many messages hold them, after all.
async fn indexed(db: &mut Db, conversations: Vec<i64>, sought: &str) -> Tried<Option<Places>> {
    let indexed = sql("WITH said AS MATERIALIZED (
             SELECT w.conversation, w.seq FROM message_words w WHERE w.words @@ $2::text::tsquery LIMIT $5)
         SELECT cut.is_cut, found.conversation, found.seq
         FROM (SELECT count(*) = $5 AS is_cut FROM said) cut LEFT JOIN (
             SELECT mine.place, said.conversation, said.seq,
                 row_number() OVER (PARTITION BY said.conversation ORDER BY said.seq DESC) AS n
             FROM said JOIN unnest($1::bigint[]) WITH ORDINALITY mine (key, place) ON mine.key = said.conversation) found
             ON found.n <= $3 AND NOT cut.is_cut
         ORDER BY found.place, found.seq DESC LIMIT $4")
    .bind(conversations)
    .bind(sought)
    .bind(CANDIDATES_EACH as i64)
    .bind(CANDIDATES as i64)
    .bind(SAID_MOST);
    let found = db.all(indexed, |c| Ok((c.flag()?, c.maybe_int()?.zip(c.maybe_int()?)))).await?;
    let is_cut = found.first().is_some_and(|(is_cut, _)| *is_cut);
    Ok((!is_cut).then(|| found.into_iter().filter_map(|(_, place)| place).unzip()))
}

/// The member gate stands in the statement that reads the texts.
async fn messages(db: &mut Db, query: &SearchQuery) -> Tried<Vec<FoundMessage>> {
    let (conversations, seqs) = places(db, query, LOOKED_THROUGH).await?;
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

async fn characters(db: &mut Db, query: &SearchQuery) -> Tried<Vec<FoundCharacter>> {
    // Who is listed is asked of what was found alone: OFFSET keeps the planner from asking it of all characters first.
    let text = format!(
        "SELECT {CHARACTER}, ch.creator,
             (SELECT u.username FROM users u WHERE u.id = ch.owner_id AND u.erase_at IS NULL) FROM (
             SELECT ch.key, ch.conversations FROM (
                 SELECT ch.key, ch.conversations, ch.owner_id FROM character_words w JOIN characters ch ON ch.key = w.character
                 WHERE w.words @@ $1::text::tsquery AND (ch.visibility = 'public' OR ch.owner_id = $2)
                     AND ch.deleted_at IS NULL OFFSET 0) ch
             WHERE {}
             ORDER BY ch.conversations DESC, ch.key DESC LIMIT $3) found
         JOIN characters ch ON ch.key = found.key ORDER BY found.conversations DESC, found.key DESC",
        safety::listed(2, 4)
    );
    let now = db.now;
    let ask = |mark: &str| {
        let expression = expression(&query.sought, mark);
        sql(text.clone()).bind(expression).bind(query.viewer.as_str()).bind(CANDIDATES_EACH as i64).bind(now)
    };
    let read = |c: &mut rows::Columns| {
        let character = rows::character(c)?;
        Ok(FoundCharacter {
            character,
            creators: [c.maybe_string()?, c.maybe_string()?].into_iter().flatten().collect(),
        })
    };
    let mut found = db.all(ask("="), read).await?;
    if found.len() < query.limit as usize {
        found = db.all(ask(""), read).await?;
    }
    Ok(best_characters(found, query))
}

/// Put together first, those left out are few and hashed; the planner would sort all tags to compare them. One's own private
/// characters are few as well, and found by their index.
async fn tags(db: &mut Db, viewer: &UserId, limit: u32) -> Tried<Vec<TagCount>> {
    let read = sql(format!(
        "WITH hidden (character) AS MATERIALIZED ({})
         SELECT a.tag, sum(a.uses)::bigint AS uses FROM (
             SELECT p.tag, count(*) AS uses FROM public_tags p
                 WHERE NOT EXISTS (SELECT 1 FROM hidden h WHERE h.character = p.character) GROUP BY p.tag
             UNION ALL SELECT t.tag, count(*) FROM characters ch JOIN character_tags t ON t.character = ch.key
                 WHERE ch.owner_id = $1 AND ch.visibility = 'private' AND ch.deleted_at IS NULL GROUP BY t.tag) a
         GROUP BY a.tag ORDER BY uses DESC, a.tag LIMIT $2",
        safety::unlisted(1, 3)
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

    async fn search_characters(&self, query: &SearchQuery) -> Result<Vec<FoundCharacter>> {
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
