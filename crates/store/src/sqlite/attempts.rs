//! Attempts to sign in: an exact sliding window for each subject, in a few look-ups whatever the limit.

use super::db::Db;
use crate::{Attempts, CountAttempt, Result};
use aim_domain::{Millis, Timestamp};
use rusqlite::params;
use std::time::Duration;

pub(super) fn count(db: &Db, attempt: &CountAttempt) -> Result<Attempts> {
    let CountAttempt { subject, limit, window, block } = attempt;
    let until = db.number("SELECT blocked_until FROM sign_in_blocks WHERE subject = ?1", [subject])?;
    if db.now.0 < until {
        return Ok(refused(length(until - db.now.0)));
    }
    let last = db.one(
        "SELECT seq, at FROM sign_in_attempts WHERE subject = ?1 ORDER BY seq DESC LIMIT 1",
        [subject],
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Millis>(1)?)),
    )?;
    // A clock that was set back shortens no window: attempts stay in order.
    let (last_seq, now) = last.map_or((0, db.now.0), |(seq, at)| (seq, db.now.0.max(at)));
    let limit = i64::try_from(*limit).unwrap_or(i64::MAX);
    let too_recent = db.one(
        "SELECT at FROM sign_in_attempts WHERE subject = ?1 AND seq = ?2",
        params![subject, last_seq.saturating_sub(limit) + 1],
        |row| row.get::<_, Millis>(0),
    )?;
    let leaves = too_recent.map(|at| Timestamp(at).plus(*window).0).filter(|leaves| now < *leaves);
    if limit == 0 || leaves.is_some() {
        let wait = leaves.map_or(*window, |leaves| length(leaves - now));
        if block.is_zero() {
            return Ok(refused(wait));
        }
        db.run(
            "INSERT INTO sign_in_blocks (subject, blocked_until) VALUES (?1, ?2)
             ON CONFLICT (subject) DO UPDATE SET blocked_until = excluded.blocked_until",
            params![subject, Timestamp(db.now.0).plus(*block).0],
        )?;
        return Ok(refused(wait.max(*block)));
    }
    db.run("INSERT INTO sign_in_attempts (subject, seq, at) VALUES (?1, ?2, ?3)", params![subject, last_seq + 1, now])?;
    let span = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
    let oldest = db.one(
        "SELECT seq, at FROM sign_in_attempts WHERE subject = ?1 AND at > ?2 ORDER BY at, seq LIMIT 1",
        params![subject, now.saturating_sub(span)],
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Millis>(1)?)),
    )?;
    let (first, oldest) = oldest.unwrap_or((last_seq + 1, now));
    let counted = last_seq + 2 - first;
    Ok(Attempts {
        admitted: true,
        remaining: limit.saturating_sub(counted).unsigned_abs(),
        wait: length(Timestamp(oldest).plus(*window).0 - now),
    })
}

pub(super) fn clear(db: &Db, subject: &str) -> Result<()> {
    db.run("DELETE FROM sign_in_attempts WHERE subject = ?1", [subject])?;
    db.run("DELETE FROM sign_in_blocks WHERE subject = ?1", [subject])?;
    Ok(())
}

fn refused(wait: Duration) -> Attempts {
    Attempts { admitted: false, remaining: 0, wait }
}

fn length(millis: Millis) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}
