//! What was used: a user's allowance with a character, and the models' tokens.

use super::db::Db;
use super::rows::{self, Columns, USAGE, int};
use crate::{Result, TokenUse};
use aim_domain::usage::USAGE_WINDOW;
use aim_domain::{CharacterId, UsageCount, UserId};
use rusqlite::params;

/// The row as it stands, its window over or not; empty where there is none.
pub(super) fn stored(db: &Db, user: &UserId, character: &CharacterId) -> Result<UsageCount> {
    let sql = format!("SELECT {USAGE} FROM usage u WHERE u.user = ?1 AND u.character = ?2");
    let row = db.one(&sql, [user.as_str(), character.as_str()], |row| rows::usage(&mut Columns::of(row)))?;
    Ok(row.unwrap_or_default())
}

pub(super) fn usage(db: &Db, user: &UserId, character: &CharacterId) -> Result<UsageCount> {
    Ok(stored(db, user, character)?.at(db.now))
}

pub(super) fn usages(db: &Db, user: &UserId) -> Result<Vec<(CharacterId, UsageCount)>> {
    let sql = format!("SELECT u.character, {USAGE} FROM usage u WHERE u.user = ?1 ORDER BY u.since");
    let rows = db.all(&sql, [user.as_str()], |row| {
        let mut c = Columns::of(row);
        Ok((CharacterId::trusted(c.text()?), rows::usage(&mut c)?))
    })?;
    let counts = |row: &UsageCount| row.since.is_some_and(|since| db.now < since.plus(USAGE_WINDOW));
    Ok(rows.into_iter().filter(|(_, row)| counts(row)).collect())
}

pub(super) fn store(db: &Db, user: &UserId, character: &CharacterId, row: &UsageCount) -> Result<()> {
    let since = row.since.unwrap_or(db.now).0;
    db.run(
        "INSERT INTO usage (user, character, text, audio, image, since, version) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (user, character) DO UPDATE SET text = excluded.text, audio = excluded.audio, image = excluded.image,
             since = excluded.since, version = excluded.version",
        params![user.as_str(), character.as_str(), int(row.text), int(row.audio), int(row.image), since, row.version],
    )?;
    Ok(())
}

pub(super) fn add_tokens(db: &Db, tokens: Option<&TokenUse>) -> Result<()> {
    let Some(tokens) = tokens else { return Ok(()) };
    let (day, prompt, completion) = (db.now.day(), int(tokens.prompt), int(tokens.completion));
    db.run(
        "INSERT INTO token_uses (user, day, character, model, prompt, completion, requests) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1)
         ON CONFLICT DO UPDATE SET prompt = prompt + excluded.prompt, completion = completion + excluded.completion,
             requests = requests + 1",
        params![tokens.user.as_str(), day, tokens.character.as_str(), tokens.model, prompt, completion],
    )?;
    db.run(
        "INSERT INTO token_days (day, model, prompt, completion, requests) VALUES (?1, ?2, ?3, ?4, 1)
         ON CONFLICT DO UPDATE SET prompt = prompt + excluded.prompt, completion = completion + excluded.completion,
             requests = requests + 1",
        params![day, tokens.model, prompt, completion],
    )?;
    Ok(())
}
