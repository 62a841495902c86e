//! Which servers live, by the store's clock. Whatever a server holds is free once its lease is over.

use super::db::Db;
use crate::Result;
use aim_domain::Incarnation;
use rusqlite::params;
use std::time::Duration;

pub(super) fn renew(db: &Db, server: &Incarnation, lease: Duration, serves: bool) -> Result<bool> {
    let until = db.now.plus(lease).0;
    let renewed = db.run(
        "INSERT INTO servers (id, lease_until, serves) VALUES (?1, ?2, ?4)
         ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until WHERE lease_until > ?3",
        params![server.as_str(), until, db.now.0, serves],
    )?;
    Ok(renewed == 1)
}

/// What it was told to stop stays with it: the next claim there finds that out, cancels it and says so.
pub(super) fn end(db: &Db, server: &Incarnation) -> Result<()> {
    db.run(
        "UPDATE servers SET lease_until = ?2 WHERE id = ?1 AND lease_until > ?2",
        params![server.as_str(), db.now.0],
    )?;
    db.run(
        "UPDATE all_conversations INDEXED BY conversations_held SET holder = NULL, claimed = NULL
         WHERE holder IS NOT NULL AND holder = ?1 AND stop_fence <> fence",
        [server.as_str()],
    )?;
    Ok(())
}

pub(super) fn lives(db: &Db, server: &Incarnation) -> Result<bool> {
    let sql = "SELECT 1 FROM servers WHERE id = ?1 AND lease_until > ?2";
    Ok(db.one(sql, params![server.as_str(), db.now.0], |_| Ok(()))?.is_some())
}

pub(super) fn living(db: &Db) -> Result<u64> {
    Ok(db.number("SELECT count(*) FROM servers WHERE serves AND lease_until > ?1", [db.now.0])?.unsigned_abs())
}

pub(super) fn leads(db: &Db, server: &Incarnation) -> Result<bool> {
    let first = db
        .one("SELECT min(id) FROM servers WHERE lease_until > ?1", [db.now.0], |row| row.get::<_, Option<String>>(0))?;
    Ok(first.flatten().as_deref() == Some(server.as_str()))
}
