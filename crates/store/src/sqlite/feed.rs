//! The change feed, and sweeping out what is old.

use super::db::Db;
use super::rows::{Columns, json};
use crate::{Change, Result};
use rusqlite::params;
use std::time::Duration;

/// Rows of a kind that one command sweeps, so that no one waits long behind it.
const SWEPT_AT_ONCE: i64 = 1_000;

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

/// One portion; answers how many rows went, and whether there is more.
pub(super) fn sweep(db: &Db, keep: Duration) -> Result<(u64, bool)> {
    let before = db.now.0.saturating_sub(i64::try_from(keep.as_millis()).unwrap_or(i64::MAX));
    let limits = params![before, SWEPT_AT_ONCE];
    let changes =
        db.run("DELETE FROM changes WHERE id IN (SELECT id FROM changes WHERE at < ?1 ORDER BY at LIMIT ?2)", limits)?;
    let sessions = db.run(
        "DELETE FROM sessions WHERE token_hash IN (SELECT token_hash FROM sessions WHERE expires_at < ?1 LIMIT ?2)",
        limits,
    )?;
    let servers = db.run("DELETE FROM servers WHERE lease_until < ?1", [before])?;
    let attempts = db.run(
        "DELETE FROM sign_in_attempts WHERE (subject, seq) IN (SELECT subject, seq FROM sign_in_attempts WHERE at < ?1 ORDER BY at LIMIT ?2)",
        limits,
    )?;
    let blocks = db.run("DELETE FROM sign_in_blocks WHERE blocked_until < ?1", [before])?;
    let full = SWEPT_AT_ONCE as usize;
    let swept = changes + sessions + servers + attempts + blocks;
    Ok((swept as u64, [changes, sessions, attempts].contains(&full)))
}
