//! Characters, and lists of those that someone may see.

use super::db::{Db, Postgres, Tried, sql};
use super::gallery;
use super::pool::Query;
use super::rows::{self, CHARACTER, WHOLE_CHARACTER, json, maybe_json};
use super::{safety, search};
use crate::character::{Order, Text, creator, searched};
use crate::text::{plain, plain_character};
use crate::{Change, CharacterPage, CharacterQuery, SaveCharacter, Sort, cursor};
use aim_domain::{Character, CharacterId};

/// `card`: the card it came from, as JSON.
pub(super) async fn create(pg: &Postgres, character: &Character, card: Option<&str>) -> Tried<SaveCharacter> {
    let character = plain_character(character.clone());
    let mut db = pg.begin().await?;
    let insert = sql("INSERT INTO characters (id, visibility, revision, updated_at, name_key, name, avatar_url, tags,
             search, description, personality, scenario, greeting, example_dialogue, system_prompt, details, creator, owner_id, created_at, card)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20) ON CONFLICT (id) DO NOTHING");
    let insert = bind(insert, &character)?
        .bind(character.owner_id.as_ref().map(|owner| owner.as_str()))
        .bind(character.created_at.0)
        .bind(card);
    if db.run(insert).await? == 0 {
        return Ok(SaveCharacter::IdTaken);
    }
    store_tags(&mut db, &character).await?;
    // Another server may keep the id as one that there is not.
    db.tell(&Change::Character { id: character.id.clone() })?;
    db.commit().await?;
    Ok(SaveCharacter::Saved(Box::new(character)))
}

/// `$1` to `$17`.
fn bind<'q>(query: Query<'q>, character: &Character) -> Tried<Query<'q>> {
    Ok(query
        .bind(character.id.as_str().to_owned())
        .bind(character.visibility.as_str())
        .bind(character.revision)
        .bind(character.updated_at.0)
        .bind(character.name.to_lowercase())
        .bind(character.name.clone())
        .bind(character.avatar_url.clone())
        .bind(json(&character.tags)?)
        .bind(searched(character))
        .bind(character.description.clone())
        .bind(character.personality.clone())
        .bind(character.scenario.clone())
        .bind(character.greeting.clone())
        .bind(character.example_dialogue.clone())
        .bind(character.system_prompt.clone())
        .bind(maybe_json(Some(&character.details).filter(|details| !details.is_empty()))?)
        .bind(creator(character).map(str::to_owned)))
}

async fn store_tags(db: &mut Db, character: &Character) -> Tried<()> {
    let id = character.id.as_str();
    let tags: Vec<String> = character.tags.iter().map(|tag| tag.to_lowercase()).collect();
    forget_tags(db, &character.id).await?;
    let insert = sql("INSERT INTO character_tags (tag, character)
         SELECT DISTINCT t.tag, ch.key FROM unnest($2) t (tag), characters ch WHERE ch.id = $1")
    .bind(id)
    .bind(tags);
    db.run(insert).await.map(drop)
}

async fn forget_tags(db: &mut Db, id: &CharacterId) -> Tried<()> {
    let delete = sql("DELETE FROM character_tags WHERE character = (SELECT key FROM characters WHERE id = $1)");
    db.run(delete.bind(id.as_str())).await.map(drop)
}

pub(super) async fn get(db: &mut Db, id: &CharacterId) -> Tried<Option<Character>> {
    let text = format!("SELECT {WHOLE_CHARACTER} FROM characters ch WHERE ch.id = $1 AND ch.deleted_at IS NULL");
    db.one(sql(text).bind(id.as_str()), rows::whole_character).await
}

pub(super) async fn card(db: &mut Db, id: &CharacterId) -> Tried<Option<String>> {
    let read = sql("SELECT card FROM characters WHERE id = $1 AND deleted_at IS NULL").bind(id.as_str());
    Ok(db.one(read, |c| c.maybe_string()).await?.flatten())
}

/// Its owner and the time it was made stay as they are.
pub(super) async fn update(pg: &Postgres, character: &Character) -> Tried<SaveCharacter> {
    let character = plain_character(character.clone());
    let id = character.id.as_str();
    let mut db = pg.begin().await?;
    let lock = sql("SELECT revision FROM characters WHERE id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE").bind(id);
    let Some(revision) = db.one(lock, |c| c.int()).await? else { return Ok(SaveCharacter::NotFound) };
    if revision + 1 != character.revision {
        return Ok(SaveCharacter::Stale);
    }
    let update = sql(format!(
        "UPDATE characters ch SET visibility = $2, revision = $3, updated_at = $4, name_key = $5, name = $6, avatar_url = $7,
             tags = $8, search = $9, description = $10, personality = $11, scenario = $12, greeting = $13,
             example_dialogue = $14, system_prompt = $15, details = $16, creator = $17
         WHERE ch.id = $1 RETURNING {WHOLE_CHARACTER}"
    ));
    let saved = db.one(bind(update, &character)?, rows::whole_character).await?;
    store_tags(&mut db, &character).await?;
    db.tell(&Change::Character { id: character.id.clone() })?;
    db.commit().await?;
    Ok(saved.map_or(SaveCharacter::NotFound, |saved| SaveCharacter::Saved(Box::new(saved))))
}

pub(super) async fn delete(pg: &Postgres, id: &CharacterId) -> Tried<bool> {
    let mut db = pg.begin().await?;
    let update = sql("UPDATE characters SET deleted_at = aim_now($2), revision = revision + 1
         WHERE id = $1 AND deleted_at IS NULL")
    .bind(id.as_str())
    .bind(db.now);
    if db.run(update).await? == 0 {
        return Ok(false);
    }
    forget_tags(&mut db, id).await?;
    gallery::clear(&mut db, id).await?;
    db.tell(&Change::Character { id: id.clone() })?;
    db.commit().await?;
    Ok(true)
}

/// A parameter of a list.
pub(super) enum Value {
    /// See `Postgres::now`.
    Now(Option<i64>),
    Text(String),
    Number(i64),
}

/// Public ones from the index of their order, one's own private ones beside them, and the first of both. What narrows a list is a
/// set of keys. Of a tag or an owner, its characters are put in order; of what is typed, which may be half of all, the order is
/// walked through and each is looked for in the set, as are one's own. Those talked with are few, and each is asked whether it
/// belongs to it. What is read first is not left to an estimate, which knows nothing of beginnings of words, nor that one owner
/// has thousands.
pub(super) async fn list(db: &mut Db, query: &CharacterQuery) -> Tried<CharacterPage> {
    let (text, params) = page(query, db.now);
    let mut found = db
        .all(bound(sql(text), params), |c| {
            let sorted_by = c.string()?;
            c.skip(1);
            Ok((sorted_by, rows::character(c)?))
        })
        .await?;
    let (limit, name) = (query.limit as usize, query.sort.order().name);
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| more);
    let next_cursor = last.map(|(sorted_by, last)| cursor::make(name, last.id.as_str(), sorted_by));
    Ok(CharacterPage { items: found.into_iter().map(|(_, character)| character).collect(), next_cursor })
}

pub(super) fn bound(query: Query<'_>, params: Vec<Value>) -> Query<'_> {
    params.into_iter().fold(query, |query, value| match value {
        Value::Now(now) => query.bind(now),
        Value::Text(text) => query.bind(text),
        Value::Number(number) => query.bind(number),
    })
}

/// The statement of a list, and its parameters.
pub(super) fn page(query: &CharacterQuery, now: Option<i64>) -> (String, Vec<Value>) {
    let Order { name, column, direction, further } = query.sort.order();
    let mut params =
        vec![Value::Text(query.viewer.as_str().to_owned()), Value::Number(i64::from(query.limit) + 1), Value::Now(now)];
    let mut param = |value: Value| {
        params.push(value);
        params.len()
    };
    let mut wanted = String::new();
    let start = query.cursor.as_deref().and_then(|cursor| match query.sort {
        Sort::Name => cursor::text(cursor, name).map(|(key, id)| (Value::Text(plain(&key).into_owned()), id)),
        Sort::New | Sort::Popular | Sort::Recent => {
            cursor::number(cursor, name).map(|(key, id)| (Value::Number(key), id))
        }
    });
    if let Some((key, id)) = start {
        let (key, id) = (param(key), param(Value::Text(plain(&id).into_owned())));
        wanted += &format!(" AND {column} {further}= ${key} AND ({column} {further} ${key} OR ch.id {further} ${id})");
    }
    if let Some(among) = &query.among {
        // No id holds a comma.
        let among = param(Value::Text(among.iter().map(CharacterId::as_str).collect::<Vec<_>>().join(",")));
        wanted += &format!(" AND ch.id = ANY (string_to_array(${among}, ','))");
    }
    // What narrows the list: each as a set of keys, and as a question to one character.
    let (mut sets, mut questions, mut is_wide) = (Vec::new(), Vec::new(), false);
    if let Some(tag) = &query.tag {
        let tag = param(Value::Text(plain(tag.trim()).to_lowercase()));
        let tagged = format!("SELECT t.character FROM character_tags t WHERE t.tag = ${tag}");
        questions.push(format!("EXISTS ({tagged} AND t.character = ch.key)"));
        sets.push(tagged);
    }
    if let Some(text) = query.text.as_deref().and_then(|text| Text::parse(&plain(text))) {
        let mut owner = |name: String| {
            let name = param(Value::Text(name));
            format!("(SELECT u.id FROM users u WHERE u.username = ${name} AND u.erase_at IS NULL)")
        };
        let owned = |owner: &str| format!("SELECT o.key FROM characters o WHERE o.owner_id = {owner}");
        sets.push(match text {
            Text::Of(name) => {
                let owner = owner(name);
                questions.push(format!("ch.owner_id = {owner}"));
                owned(&owner)
            }
            Text::Said { part, sought } => {
                is_wide = true;
                let owner = owner(part.clone());
                let (mut either, mut any) = (vec![owned(&owner)], vec![format!("ch.owner_id = {owner}")]);
                if let Some(sought) = sought {
                    let words = param(Value::Text(search::expression(&sought, "")));
                    either.push(format!(
                        "SELECT w.character FROM character_words w WHERE w.words @@ ${words}::text::tsquery"
                    ));
                    // As a function it is asked of the one row, and never by the index.
                    any.push(format!(
                        "EXISTS (SELECT FROM character_words w
                             WHERE w.character = ch.key AND ts_match_vq(w.words, ${words}::text::tsquery))"
                    ));
                }
                let part = param(Value::Text(part));
                any.push(format!("strpos(ch.name_key, ${part}) > 0"));
                questions.push(format!("({})", any.join(" OR ")));
                either.push(format!(
                    "SELECT n.key FROM characters n WHERE n.visibility = 'public' AND n.deleted_at IS NULL
                         AND strpos(n.name_key, ${part}) > 0"
                ));
                either.push(format!(
                    "SELECT n.key FROM characters n WHERE n.owner_id = $1 AND n.visibility = 'private' AND n.deleted_at IS NULL
                         AND strpos(n.name_key, ${part}) > 0"
                ));
                either.join(" UNION ALL ")
            }
        });
    }
    if query.sort == Sort::Recent {
        sets.clear();
        wanted.extend(questions.iter().map(|question| format!(" AND {question}")));
    }
    let sets = sets.iter().map(|set| format!("({set})")).collect::<Vec<_>>().join(" INTERSECT ");
    let asked = if sets.is_empty() { sets } else { format!("WITH asked (key) AS MATERIALIZED ({sets})") };
    let from = match query.sort {
        Sort::Recent => {
            "(SELECT c.character_id, max(c.updated_at) AS at FROM members me
             JOIN conversations c ON c.key = me.conversation WHERE me.user_id = $1 GROUP BY c.character_id) talked
             JOIN characters ch ON ch.id = talked.character_id"
        }
        Sort::New | Sort::Popular | Sort::Name => "characters ch",
    };
    let part = |seen: &str, listed: &str, is_walked: bool| {
        let (from, within) = match (asked.is_empty(), is_walked) {
            (true, _) => (from.to_owned(), ""),
            // As an expression it is a set that is looked into, and no join.
            (false, true) => (from.to_owned(), " AND (ch.key IN (SELECT asked.key FROM asked)) IS TRUE"),
            (false, false) => {
                let set = "SELECT ch.* FROM asked JOIN characters ch ON ch.key = asked.key";
                (format!("({set} WHERE {seen} OFFSET 0) ch"), "")
            }
        };
        format!(
            "(SELECT {column}::text AS said, {column} AS sorted_by, ch.id, ch.key FROM {from}
             WHERE {seen} AND {listed} AND ch.deleted_at IS NULL{within}{wanted}
             ORDER BY {column} {direction}, ch.id {direction} LIMIT $2)"
        )
    };
    // The texts of what is passed over are not carried along.
    let text = format!(
        "{asked} SELECT found.said, found.sorted_by, {CHARACTER} FROM (
             {} UNION ALL {} ORDER BY sorted_by {direction}, id {direction} LIMIT $2) found
         JOIN characters ch ON ch.key = found.key ORDER BY found.sorted_by {direction}, found.id {direction}",
        part("ch.visibility = 'public'", &safety::listed(1, 3), is_wide),
        part("ch.visibility = 'private' AND ch.owner_id = $1", "true", true),
    );
    (text, params)
}
