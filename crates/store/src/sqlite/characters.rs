//! Characters, and lists of those that someone may see.

use super::db::Db;
use super::rows::{self, CHARACTER, Columns, WHOLE_CHARACTER, json, maybe_json};
use super::{feed, gallery, safety, search};
use crate::character::{Order, Text, creator, searched};
use crate::{Change, CharacterPage, CharacterQuery, Result, SaveCharacter, Sort, cursor};
use aim_domain::{Character, CharacterId, Timestamp};
use rusqlite::types::Value;
use rusqlite::{params, params_from_iter};

/// `card`: the card it came from, as JSON.
pub(super) fn create(db: &Db, character: &Character, card: Option<&str>) -> Result<SaveCharacter> {
    let id = character.id.as_str();
    if db.one("SELECT 1 FROM characters WHERE id = ?1", [id], |_| Ok(()))?.is_some() {
        return Ok(SaveCharacter::IdTaken);
    }
    db.run(
        "INSERT INTO characters (id, visibility, owner, revision, created_at, updated_at, name_key, name, avatar_url, tags,
             search, description, personality, scenario, greeting, example_dialogue, system_prompt, details, card, creator)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)",
        params![
            id,
            character.visibility.as_str(),
            character.owner_id.as_ref().map(|owner| owner.as_str()),
            character.revision,
            character.created_at.0,
            character.updated_at.0,
            character.name.to_lowercase(),
            character.name,
            character.avatar_url,
            json(&character.tags)?,
            searched(character),
            character.description,
            character.personality,
            character.scenario,
            character.greeting,
            character.example_dialogue,
            character.system_prompt,
            details(character)?,
            card,
            creator(character)
        ],
    )?;
    store_tags(db, character)?;
    // Another server may keep the id as one that there is not.
    feed::write(db, &Change::Character { id: character.id.clone() })?;
    Ok(SaveCharacter::Saved(Box::new(character.clone())))
}

fn store_tags(db: &Db, character: &Character) -> Result<()> {
    let id = character.id.as_str();
    db.run("DELETE FROM character_tags WHERE character = (SELECT key FROM characters WHERE id = ?1)", [id])?;
    for tag in &character.tags {
        db.run(
            "INSERT INTO character_tags (tag, character) SELECT ?2, key FROM characters WHERE id = ?1 ON CONFLICT DO NOTHING",
            params![id, tag.to_lowercase()],
        )?;
    }
    Ok(())
}

pub(super) fn get(db: &Db, id: &CharacterId) -> Result<Option<Character>> {
    let sql = format!("SELECT {WHOLE_CHARACTER} FROM characters ch WHERE ch.id = ?1 AND ch.deleted_at IS NULL");
    db.one(&sql, [id.as_str()], |row| rows::whole_character(&mut Columns::of(row)))
}

pub(super) fn card(db: &Db, id: &CharacterId) -> Result<Option<String>> {
    let sql = "SELECT card FROM characters WHERE id = ?1 AND deleted_at IS NULL";
    Ok(db.one(sql, [id.as_str()], |row| Columns::of(row).maybe_string())?.flatten())
}

fn details(character: &Character) -> Result<Option<String>> {
    maybe_json(Some(&character.details).filter(|details| !details.is_empty()))
}

/// Its owner and the time it was made stay as they are.
pub(super) fn update(db: &Db, character: &Character) -> Result<SaveCharacter> {
    let id = character.id.as_str();
    let revision = db.one("SELECT revision FROM characters WHERE id = ?1 AND deleted_at IS NULL", [id], |row| {
        row.get::<_, i64>(0)
    })?;
    let Some(revision) = revision else { return Ok(SaveCharacter::NotFound) };
    if revision + 1 != character.revision {
        return Ok(SaveCharacter::Stale);
    }
    db.run(
        "UPDATE characters SET visibility = ?2, revision = ?3, updated_at = ?4, name_key = ?5, name = ?6, avatar_url = ?7,
             tags = ?8, search = ?9, description = ?10, personality = ?11, scenario = ?12, greeting = ?13,
             example_dialogue = ?14, system_prompt = ?15, details = ?16, creator = ?17
         WHERE id = ?1",
        params![
            id,
            character.visibility.as_str(),
            character.revision,
            character.updated_at.0,
            character.name.to_lowercase(),
            character.name,
            character.avatar_url,
            json(&character.tags)?,
            searched(character),
            character.description,
            character.personality,
            character.scenario,
            character.greeting,
            character.example_dialogue,
            character.system_prompt,
            details(character)?,
            creator(character)
        ],
    )?;
    store_tags(db, character)?;
    feed::write(db, &Change::Character { id: character.id.clone() })?;
    Ok(get(db, &character.id)?.map_or(SaveCharacter::NotFound, |saved| SaveCharacter::Saved(Box::new(saved))))
}

pub(super) fn delete(db: &Db, id: &CharacterId) -> Result<bool> {
    let deleted = db.run(
        "UPDATE characters SET deleted_at = ?2, revision = revision + 1 WHERE id = ?1 AND deleted_at IS NULL",
        params![id.as_str(), db.now.0],
    )?;
    if deleted == 0 {
        return Ok(false);
    }
    db.run("DELETE FROM character_tags WHERE character = (SELECT key FROM characters WHERE id = ?1)", [id.as_str()])?;
    gallery::clear(db, id)?;
    feed::write(db, &Change::Character { id: id.clone() })?;
    Ok(true)
}

/// Public ones from the index of their order, one's own private ones beside them, and the first of both. What narrows a list is a
/// set of keys, made once; the index is walked through beside it, and only characters of the set are read.
pub(super) fn list(db: &Db, query: &CharacterQuery) -> Result<CharacterPage> {
    let (sql, params) = page(query, db.now)?;
    let mut found = db.all(&sql, params_from_iter(params), |row| {
        let mut c = Columns::of(row);
        let sorted_by = match row.get_ref(0)? {
            rusqlite::types::ValueRef::Integer(number) => number.to_string(),
            other => other.as_str()?.to_owned(),
        };
        c.skip(1);
        Ok((sorted_by, rows::character(&mut c)?))
    })?;
    let (limit, name) = (query.limit as usize, query.sort.order().name);
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| more);
    let next_cursor = last.map(|(sorted_by, last)| cursor::make(name, last.id.as_str(), sorted_by));
    Ok(CharacterPage { items: found.into_iter().map(|(_, character)| character).collect(), next_cursor })
}

/// The statement of a list, and its parameters.
pub(super) fn page(query: &CharacterQuery, now: Timestamp) -> Result<(String, Vec<Value>)> {
    let Order { name, column, direction, further } = query.sort.order();
    let mut params: Vec<Value> =
        vec![query.viewer.as_str().to_owned().into(), (i64::from(query.limit) + 1).into(), now.0.into()];
    let mut param = |value: Value| {
        params.push(value);
        params.len()
    };
    let (mut wanted, mut public, mut private) = (String::new(), String::new(), String::new());
    let start = query.cursor.as_deref().and_then(|cursor| match query.sort {
        Sort::Name => cursor::text(cursor, name).map(|(key, id)| (Value::Text(key), id)),
        Sort::New | Sort::Popular | Sort::Recent => {
            cursor::number(cursor, name).map(|(key, id)| (Value::Integer(key), id))
        }
    });
    if let Some((key, id)) = start {
        let (key, id) = (param(key), param(id.into()));
        wanted += &format!(" AND {column} {further}= ?{key} AND ({column} {further} ?{key} OR ch.id {further} ?{id})");
    }
    // With a plus it is not where the search begins: the order is.
    if let Some(tag) = &query.tag {
        let tag = param(tag.trim().to_lowercase().into());
        wanted += &format!(" AND +ch.key IN (SELECT character FROM character_tags WHERE tag = ?{tag})");
    }
    let mut asked = String::new();
    let text = query.text.as_deref().and_then(Text::parse);
    if let Some(text) = &text {
        let mut sets = Vec::new();
        let mut owned = |name: &str| {
            let name = param(name.to_owned().into());
            format!(
                "SELECT key FROM characters
                 WHERE owner = (SELECT id FROM users WHERE username = ?{name} AND erase_at IS NULL)"
            )
        };
        match text {
            Text::Of(owner) => sets.push(owned(owner)),
            Text::Said { part, sought } => {
                sets.push(owned(part));
                if let Some(sought) = sought {
                    let words = param(search::expression(sought).into());
                    sets.push(format!("SELECT rowid FROM character_search WHERE character_search MATCH ?{words}"));
                }
                let part = param(part.clone().into());
                sets.push(format!(
                    "SELECT key FROM characters INDEXED BY characters_names
                     WHERE visibility = 'public' AND deleted_at IS NULL AND instr(name_key, ?{part}) > 0"
                ));
                private = format!(" OR instr(ch.name_key, ?{part}) > 0");
            }
        }
        asked = format!("WITH asked (key) AS MATERIALIZED ({})", sets.join(" UNION ALL "));
        public = " AND +ch.key IN (SELECT key FROM asked)".into();
        private = format!(" AND (+ch.key IN (SELECT key FROM asked){private})");
    }
    if let Some(among) = &query.among {
        let among = param(json(among)?.into());
        wanted += &format!(" AND ch.id IN (SELECT value FROM json_each(?{among}))");
    }
    let talked =
        "(SELECT c.character, max(c.updated_at) AS at FROM members me JOIN conversations c ON c.key = me.conversation
         WHERE me.user = ?1 GROUP BY c.character) talked CROSS JOIN characters ch ON ch.id = talked.character";
    let from = |index: &str| match query.sort {
        Sort::Recent => talked.to_owned(),
        Sort::New | Sort::Popular | Sort::Name if query.among.is_some() => "characters ch".to_owned(),
        Sort::New | Sort::Popular | Sort::Name => format!("characters ch INDEXED BY {index}"),
    };
    let part = |from: String, seen: &str| {
        format!(
            "SELECT * FROM (SELECT {column} AS sorted_by, ch.id AS id, ch.key AS key FROM {from}
             WHERE ch.deleted_at IS NULL{wanted} AND {seen}
             ORDER BY {column} {direction}, ch.id {direction} LIMIT ?2)"
        )
    };
    let listed = safety::listed(3);
    // The texts of what is passed over are not carried along.
    let sql = format!(
        "{asked} SELECT found.sorted_by, {CHARACTER} FROM (
             {} UNION ALL {} ORDER BY sorted_by {direction}, id {direction} LIMIT ?2) found
         CROSS JOIN characters ch ON ch.key = found.key ORDER BY found.sorted_by {direction}, found.id {direction}",
        part(from(index(query.sort)), &format!("ch.visibility = 'public'{public} AND {listed}")),
        part(from("characters_own"), &format!("ch.visibility = 'private' AND ch.owner = ?1{private}"))
    );
    Ok((sql, params))
}

/// In which public characters stand as they are sorted.
fn index(sort: Sort) -> &'static str {
    match sort {
        Sort::New | Sort::Recent => "characters_new",
        Sort::Popular => "characters_popular",
        Sort::Name => "characters_by_name",
    }
}
