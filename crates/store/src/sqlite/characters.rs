//! Characters, and lists of those that someone may see.

use super::db::Db;
use super::rows::{self, CHARACTER, Columns, WHOLE_CHARACTER, json, maybe_json};
use super::{feed, gallery, safety};
use crate::character::{Order, creator, searched};
use crate::{Change, CharacterPage, CharacterQuery, Result, SaveCharacter, Sort, cursor};
use aim_domain::{Character, CharacterId};
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

/// Public ones from the index of their order, one's own private ones beside them, and the first of both. A text is
/// looked for in every character on the way; full-text search is for large libraries.
pub(super) fn list(db: &Db, query: &CharacterQuery) -> Result<CharacterPage> {
    let Order { name, column, direction, further } = query.sort.order();
    let mut params: Vec<Value> =
        vec![query.viewer.as_str().to_owned().into(), (i64::from(query.limit) + 1).into(), db.now.0.into()];
    let mut wanted = String::new();
    let mut want = |clause: &dyn Fn(usize) -> String, value: Value| {
        params.push(value);
        wanted.push_str(&format!(" AND {}", clause(params.len())));
    };
    let start = query.cursor.as_deref().and_then(|cursor| match query.sort {
        Sort::Name => cursor::text(cursor, name).map(|(key, id)| (Value::Text(key), id)),
        Sort::New | Sort::Popular | Sort::Recent => {
            cursor::number(cursor, name).map(|(key, id)| (Value::Integer(key), id))
        }
    });
    if let Some((key, id)) = start {
        want(&|n| format!("{column} {further}= ?{n}"), key.clone());
        want(&|n| format!("({column} {further} ?{} OR ch.id {further} ?{n})", n - 1), id.into());
    }
    if let Some(tag) = &query.tag {
        let tag = tag.trim().to_lowercase();
        want(&|n| format!("ch.key IN (SELECT character FROM character_tags WHERE tag = ?{n})"), tag.into());
    }
    if let Some(text) = query.text.as_ref().map(|text| text.trim().to_lowercase()).filter(|text| !text.is_empty()) {
        let owner = "(SELECT id FROM users WHERE username = ltrim(?";
        want(
            &|n| format!("(instr(ch.search, ?{n}) > 0 OR ch.owner = {owner}{n}, '@') AND erase_at IS NULL))"),
            text.into(),
        );
    }
    if let Some(among) = &query.among {
        want(&|n| format!("ch.id IN (SELECT value FROM json_each(?{n}))"), json(among)?.into());
    }
    let talked =
        "(SELECT c.character, max(c.updated_at) AS at FROM members me JOIN conversations c ON c.key = me.conversation
         WHERE me.user = ?1 GROUP BY c.character) talked CROSS JOIN characters ch ON ch.id = talked.character";
    let from = if query.sort == Sort::Recent { talked } else { "characters ch" };
    let part = |seen: &str| {
        format!(
            "SELECT * FROM (SELECT {column} AS sorted_by, {CHARACTER} FROM {from}
             WHERE {seen} AND ch.deleted_at IS NULL{wanted}
             ORDER BY {column} {direction}, ch.id {direction} LIMIT ?2)"
        )
    };
    let sql = format!(
        "{} UNION ALL {} ORDER BY sorted_by {direction}, id {direction} LIMIT ?2",
        part(&format!("ch.visibility = 'public' AND {}", safety::listed(3))),
        part("ch.owner = ?1 AND ch.visibility = 'private'")
    );
    let mut found = db.all(&sql, params_from_iter(params), |row| {
        let mut c = Columns::of(row);
        let sorted_by = match row.get_ref(0)? {
            rusqlite::types::ValueRef::Integer(number) => number.to_string(),
            other => other.as_str()?.to_owned(),
        };
        c.skip(1);
        Ok((sorted_by, rows::character(&mut c)?))
    })?;
    let limit = query.limit as usize;
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| more);
    let next_cursor = last.map(|(sorted_by, last)| cursor::make(name, last.id.as_str(), sorted_by));
    Ok(CharacterPage { items: found.into_iter().map(|(_, character)| character).collect(), next_cursor })
}
