//! Full text, by FTS5. A message's row in the index is its conversation's number and its own, so that a conversation is one
//! stretch of it, read from its end. Triggers note what is to be indexed, and the writer indexes it before each commit.

use super::db::Db;
use super::rows::{self, CHARACTER, Columns, MESSAGE};
use super::{SqliteStore, safety};
use crate::conversation::CharacterSummary;
use crate::search::{CANDIDATES, CANDIDATES_EACH, CONVERSATIONS, best_characters, best_messages};
use crate::words::{Sought, folded};
use crate::{FoundCharacter, FoundMessage, Result, Search, SearchQuery, TagCount};
use aim_domain::{CharacterId, ConversationId, UserId};
use async_trait::async_trait;
use rusqlite::functions::FunctionFlags;
use rusqlite::{Connection, params};
use std::collections::HashSet;

/// The longest beginning of a word that has an index of its own; see `prefix` in the schema. For a longer one FTS5 first
/// puts together the rows of all words that begin so.
const INDEXED_BEGINNING: usize = 4;
/// Messages with a word that begins like the one asked for, of a conversation and of all, that are looked at.
const LIKELY_EACH: usize = 150;
const LIKELY: usize = 600;
/// Pages of the index that are merged in one commit.
const MERGED_AT_ONCE: i64 = 200;

/// The function that triggers fill the index with.
pub(super) fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("aim_words", 1, flags, |context| {
        Ok(folded(context.get_raw(0).as_str_or_null()?.unwrap_or_default()))
    })
}

/// A question in FTS5's language. Words hold letters and digits alone.
pub(super) fn expression(sought: &Sought) -> String {
    let mut all = String::new();
    for (n, word) in sought.words.iter().enumerate() {
        let star = if sought.open && n + 1 == sought.words.len() { "*" } else { "" };
        all.push_str(&format!("\"{word}\"{star} "));
    }
    all
}

/// The question with its last word cut to what has an index; none where there is nothing to cut.
fn cut(sought: &Sought) -> Option<Sought> {
    let last = sought.words.last().filter(|last| sought.open && last.chars().count() > INDEXED_BEGINNING)?;
    let mut cut = sought.clone();
    let begun = last.chars().take(INDEXED_BEGINNING).collect();
    cut.words.pop();
    cut.words.push(begun);
    Some(cut)
}

/// The stretch of the index from one conversation to another.
fn stretch(first: i64, last: i64) -> (i64, i64) {
    (first << 32, (last << 32) | i64::from(u32::MAX))
}

const IN_STRETCH: &str =
    "SELECT rowid FROM message_search WHERE message_search MATCH ?1 AND rowid >= ?2 AND rowid <= ?3
     ORDER BY rowid DESC";

/// Rows of the index, the newest of each conversation; and whether these are all.
fn of_each(db: &Db, conversations: &[i64], sought: &Sought, each: usize, most: usize) -> Result<(Vec<i64>, bool)> {
    let (sought, sql) = (expression(sought), format!("{IN_STRETCH} LIMIT {each}"));
    let (mut found, mut all) = (Vec::new(), true);
    for key in conversations {
        let (from, to) = stretch(*key, *key);
        let rows = db.all(&sql, params![sought, from, to], |row| row.get::<_, i64>(0))?;
        all &= rows.len() < each;
        found.extend(rows);
        if found.len() >= most {
            return Ok((found, false));
        }
    }
    Ok((found, all))
}

/// Once through all, rather than putting the words that begin so together for each conversation.
fn throughout(db: &Db, conversations: &[i64], sought: &Sought) -> Result<Vec<i64>> {
    let (Some(first), Some(last)) = (conversations.iter().min(), conversations.iter().max()) else {
        return Ok(Vec::new());
    };
    let (from, to) = stretch(*first, *last);
    let mine: HashSet<i64> = conversations.iter().copied().collect();
    let mut found = Vec::new();
    db.each(IN_STRETCH, params![expression(sought), from, to], |row| {
        let at: i64 = row.get(0)?;
        if mine.contains(&(at >> 32)) {
            found.push(at);
        }
        Ok(found.len() < CANDIDATES)
    })?;
    Ok(found)
}

/// The member gate stands in the statement that reads the texts.
fn read(db: &Db, query: &SearchQuery, rows: &[i64]) -> Result<Vec<FoundMessage>> {
    let sql = format!(
        "SELECT c.id, c.title, ch.id, ch.name, ch.avatar_url, {MESSAGE}
         FROM json_each(?1) found CROSS JOIN messages m ON m.conversation = found.value >> 32 AND m.seq = found.value & 4294967295
         CROSS JOIN members me ON me.conversation = m.conversation AND me.user = ?2
         CROSS JOIN conversations c ON c.key = m.conversation CROSS JOIN characters ch ON ch.id = c.character"
    );
    db.all(&sql, params![rows::json(&rows)?, query.viewer.as_str()], |row| {
        let mut c = Columns::of(row);
        let (conversation, title) = (ConversationId::trusted(c.text()?), c.string()?);
        let character =
            CharacterSummary { id: CharacterId::trusted(c.text()?), name: c.string()?, avatar_url: c.maybe_string()? };
        Ok(FoundMessage { message: rows::message(&mut c, &conversation)?, title, character })
    })
}

fn messages(db: &Db, query: &SearchQuery) -> Result<Vec<FoundMessage>> {
    let conversations = db.all(
        "SELECT c.key FROM members me JOIN conversations c ON c.key = me.conversation
         WHERE me.user = ?1 AND (?2 IS NULL OR c.id = ?2) ORDER BY c.updated_at DESC LIMIT ?3",
        params![query.viewer.as_str(), query.conversation.as_ref().map(|id| id.as_str()), CONVERSATIONS],
        |row| row.get::<_, i64>(0),
    )?;
    let Some(cut) = cut(&query.sought) else {
        let (rows, _) = of_each(db, &conversations, &query.sought, CANDIDATES_EACH, CANDIDATES)?;
        return Ok(best_messages(read(db, query, &rows)?, query));
    };
    // What begins alike is found by the index; whether it goes on as asked shows in the text.
    let (rows, all) = of_each(db, &conversations, &cut, LIKELY_EACH, LIKELY)?;
    let mut found = read(db, query, &rows)?;
    found.retain(|found| query.sought.fits(&found.message.text));
    if !all && found.len() < query.limit as usize {
        found = read(db, query, &throughout(db, &conversations, &query.sought)?)?;
    }
    Ok(best_messages(found, query))
}

/// The most popular of those that fit: the index of that order is walked through beside the set of them, as in a list.
fn characters(db: &Db, query: &SearchQuery) -> Result<Vec<FoundCharacter>> {
    let part = |index: &str, seen: &str| {
        format!(
            "SELECT * FROM (SELECT ch.key AS key, ch.conversations AS conversations FROM characters ch INDEXED BY {index}
             WHERE ch.deleted_at IS NULL AND +ch.key IN (SELECT key FROM asked) AND {seen}
             ORDER BY ch.conversations DESC, ch.id DESC LIMIT ?3)"
        )
    };
    let sql = format!(
        "WITH asked (key) AS MATERIALIZED (SELECT rowid FROM character_search WHERE character_search MATCH ?4)
         SELECT {CHARACTER}, ch.creator, (SELECT username FROM users WHERE id = ch.owner AND erase_at IS NULL) FROM (
             {} UNION ALL {} ORDER BY conversations DESC, key DESC LIMIT ?3) found
         CROSS JOIN characters ch ON ch.key = found.key ORDER BY found.conversations DESC, found.key DESC",
        part("characters_popular", &format!("ch.visibility = 'public' AND {}", safety::listed(2))),
        part("characters_own", "ch.visibility = 'private' AND ch.owner = ?1")
    );
    let sought = expression(&query.sought);
    let ask = |sought: &str| {
        db.all(&sql, params![query.viewer.as_str(), db.now.0, CANDIDATES_EACH as i64, sought], |row| {
            let mut c = Columns::of(row);
            let character = rows::character(&mut c)?;
            Ok(FoundCharacter {
                character,
                creators: [c.maybe_string()?, c.maybe_string()?].into_iter().flatten().collect(),
            })
        })
    };
    let mut found = ask(&format!("{{name}} : ({sought})"))?;
    if found.len() < query.limit as usize {
        found = ask(&sought)?;
    }
    Ok(best_characters(found, query))
}

/// Public ones are counted together, and those that the viewer does not see taken off; one's own private ones are few.
fn tags(db: &Db, viewer: &UserId, limit: u32) -> Result<Vec<TagCount>> {
    let sql = format!(
        "SELECT tag, sum(uses) AS uses FROM (
             SELECT tag, count(*) AS uses FROM public_tags GROUP BY tag
             UNION ALL SELECT p.tag, -count(*) FROM public_tags p WHERE p.character IN ({}) GROUP BY p.tag
             UNION ALL SELECT t.tag, count(*) FROM characters ch INDEXED BY characters_own
                 CROSS JOIN character_tags t ON t.character = ch.key
                 WHERE ch.visibility = 'private' AND ch.deleted_at IS NULL AND ch.owner = ?1 GROUP BY t.tag)
         GROUP BY tag HAVING sum(uses) > 0 ORDER BY uses DESC, tag LIMIT ?3",
        safety::unlisted(2)
    );
    db.all(&sql, params![viewer.as_str(), db.now.0, limit], |row| {
        let mut c = Columns::of(row);
        Ok(TagCount { tag: c.string()?, count: c.count()? })
    })
}

/// Puts what this transaction said into the index; at its end, so that FTS5 writes out once what belongs to one commit.
pub(super) fn index(db: &Db) -> Result<()> {
    if db.one("SELECT 1 FROM message_search_due LIMIT 1", [], |_| Ok(()))?.is_none() {
        return Ok(());
    }
    db.run(
        "INSERT OR REPLACE INTO message_search (rowid, words)
         SELECT due.place, aim_words(m.text) FROM message_search_due due
         CROSS JOIN messages m ON m.conversation = due.place >> 32 AND m.seq = due.place & 4294967295
         WHERE m.text <> '' ORDER BY due.place",
        [],
    )?;
    db.run("DELETE FROM message_search_due", [])?;
    Ok(())
}

/// A deleted row is marked, and its words go when what they stand in is merged. A negative number merges all there is, as
/// "optimize" does, portion by portion; nothing was done when no row changed.
fn tidy(db: &Db) -> Result<bool> {
    let mut more = false;
    for table in ["message_search", "character_search"] {
        let before = db.number("SELECT total_changes()", [])?;
        db.run(&format!("INSERT INTO {table} ({table}, rank) VALUES ('merge', ?1)"), [-MERGED_AT_ONCE])?;
        more |= db.number("SELECT total_changes()", [])? - before >= 2;
    }
    Ok(more)
}

#[async_trait]
impl Search for SqliteStore {
    async fn search_messages(&self, query: &SearchQuery) -> Result<Vec<FoundMessage>> {
        let query = query.clone();
        self.read(move |db| messages(db, &query)).await
    }

    async fn search_characters(&self, query: &SearchQuery) -> Result<Vec<FoundCharacter>> {
        let query = query.clone();
        self.read(move |db| characters(db, &query)).await
    }

    async fn character_tags(&self, viewer: &UserId, limit: u32) -> Result<Vec<TagCount>> {
        let viewer = viewer.clone();
        self.read(move |db| tags(db, &viewer, limit)).await
    }

    async fn tidy_search(&self) -> Result<bool> {
        self.write(tidy).await
    }
}
