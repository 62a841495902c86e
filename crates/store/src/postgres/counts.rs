//! What was used: a user's allowance with a character, and the models' tokens.

use super::db::{Db, Tried, sql};
use super::rows::{self, USAGE, int};
use crate::TokenUse;
use crate::text::plain;
use aim_domain::usage::USAGE_WINDOW;
use aim_domain::{CharacterId, Timestamp, UsageCount, UserId};

pub(super) async fn usage(db: &mut Db, user: &UserId, character: &CharacterId) -> Tried<UsageCount> {
    let text = format!("SELECT aim_now($3), {USAGE} FROM usage u WHERE u.user_id = $1 AND u.character_id = $2");
    let now = db.now;
    let row = sql(text).bind(user.as_str()).bind(character.as_str()).bind(now);
    let found = db.one(row, |c| Ok((c.time()?, rows::usage(c)?))).await?;
    Ok(found.map_or_else(UsageCount::default, |(now, row)| row.at(now)))
}

pub(super) async fn usages(db: &mut Db, user: &UserId) -> Tried<Vec<(CharacterId, UsageCount)>> {
    let text =
        format!("SELECT u.character_id, aim_now($2), {USAGE} FROM usage u WHERE u.user_id = $1 ORDER BY u.since");
    let now = db.now;
    let rows = db
        .all(sql(text).bind(user.as_str()).bind(now), |c| {
            Ok((CharacterId::trusted(c.text()?), c.time()?, rows::usage(c)?))
        })
        .await?;
    let counts = |now: Timestamp, row: &UsageCount| row.since.is_some_and(|since| now < since.plus(USAGE_WINDOW));
    Ok(rows.into_iter().filter(|(_, now, row)| counts(*now, row)).map(|(character, _, row)| (character, row)).collect())
}

pub(super) async fn add_tokens(db: &mut Db, tokens: Option<&TokenUse>) -> Tried<()> {
    let Some(tokens) = tokens else { return Ok(()) };
    let add = sql("SELECT aim_add_tokens(aim_now($1), $2, $3, $4, $5, $6)")
        .bind(db.now)
        .bind(tokens.user.as_str())
        .bind(tokens.character.as_str())
        .bind(plain(&tokens.model))
        .bind(int(tokens.prompt))
        .bind(int(tokens.completion));
    db.run(add).await.map(drop)
}
