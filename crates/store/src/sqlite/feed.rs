//! The change feed.

use super::db::Db;
use super::rows::{Columns, json};
use crate::{Change, Result};
use rusqlite::params;

pub(super) fn write(db: &Db, change: &Change) -> Result<()> {
    db.run("INSERT INTO changes (at, body) VALUES (?1, ?2)", params![db.now.0, json(change)?])?;
    Ok(())
}

/// A change that this version does not know is passed over: a newer server beside this one may write it, and the feed
/// goes on behind it.
pub(super) fn after(db: &Db, cursor: i64, limit: u32) -> Result<Vec<(i64, Change)>> {
    let rows =
        db.all("SELECT id, body FROM changes WHERE id > ?1 ORDER BY id LIMIT ?2", params![cursor, limit], |row| {
            let mut c = Columns::of(row);
            Ok((c.int()?, c.string()?))
        })?;
    let parse = |(id, body): (i64, String)| match serde_json::from_str(&body) {
        Ok(change) => Some((id, change)),
        Err(error) => {
            tracing::error!(%error, id, "a change cannot be read: what it made stale stays cached until its time is over");
            None
        }
    };
    Ok(rows.into_iter().filter_map(parse).collect())
}

/// AUTOINCREMENT remembers the newest id also when its row was swept.
pub(super) fn last(db: &Db) -> Result<i64> {
    db.number("SELECT seq FROM sqlite_sequence WHERE name = 'changes'", [])
}
