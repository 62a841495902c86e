//! Sessions: who is signed in, and until when.

use super::db::Db;
use super::feed;
use super::rows::{self, Columns, SESSION};
use crate::{Change, Result};
use aim_domain::{Member, Session, SessionId, TokenHash, UserId};
use rusqlite::params;
use std::time::Duration;

pub(super) fn create(db: &Db, session: &Session) -> Result<()> {
    db.run(
        "INSERT INTO sessions (id, user, token_hash, device, created_at, last_used_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id) DO NOTHING",
        params![
            session.id.as_str(),
            session.user_id.as_str(),
            session.token_hash.as_str(),
            session.device,
            session.created_at.0,
            session.last_used_at.0,
            session.expires_at.0
        ],
    )?;
    Ok(())
}

pub(super) fn member(db: &Db, token: &TokenHash) -> Result<Option<Member>> {
    let sql = format!(
        "SELECT {SESSION}, u.username, u.display_name, u.tier, u.role FROM sessions s JOIN users u ON u.id = s.user
         WHERE s.token_hash = ?1 AND s.expires_at > ?2 AND u.erase_at IS NULL
             AND (u.suspended_until IS NULL OR u.suspended_until <= ?2)"
    );
    db.one(&sql, params![token.as_str(), db.now.0], |row| {
        let mut c = Columns::of(row);
        Ok(Member {
            session: rows::session(&mut c)?,
            username: c.string()?,
            display_name: c.string()?,
            tier: c.word()?,
            role: c.word()?,
        })
    })
}

pub(super) fn touch(db: &Db, token: &TokenHash, ttl: Duration) -> Result<()> {
    db.run(
        "UPDATE sessions SET last_used_at = ?2, expires_at = ?3 WHERE token_hash = ?1 AND expires_at > ?2",
        params![token.as_str(), db.now.0, db.now.plus(ttl).0],
    )?;
    Ok(())
}

pub(super) fn of_user(db: &Db, user: &UserId) -> Result<Vec<Session>> {
    let sql = format!(
        "SELECT {SESSION} FROM sessions s WHERE s.user = ?1 AND s.expires_at > ?2 ORDER BY s.created_at DESC, s.id DESC"
    );
    db.all(&sql, params![user.as_str(), db.now.0], |row| rows::session(&mut Columns::of(row)))
}

pub(super) fn revoke(db: &Db, user: &UserId, session: &SessionId) -> Result<bool> {
    let token = db.one(
        "DELETE FROM sessions WHERE user = ?1 AND id = ?2 RETURNING token_hash",
        [user.as_str(), session.as_str()],
        |row| Ok(TokenHash::trusted(Columns::of(row).text()?)),
    )?;
    let Some(token) = token else { return Ok(false) };
    feed::write(db, &Change::Session { token, id: session.clone(), user: user.clone() })?;
    Ok(true)
}

pub(super) fn revoke_all(db: &Db, user: &UserId, except: Option<&SessionId>) -> Result<u64> {
    Ok(revoke_each(db, user, except)?.len() as u64)
}

/// As `revoke_all`; the changes that it wrote.
pub(super) fn revoke_each(db: &Db, user: &UserId, except: Option<&SessionId>) -> Result<Vec<Change>> {
    let revoked = db.all(
        "DELETE FROM sessions WHERE user = ?1 AND id IS NOT ?2 RETURNING id, token_hash",
        params![user.as_str(), except.map(SessionId::as_str)],
        |row| {
            let mut c = Columns::of(row);
            let (id, token) = (SessionId::trusted(c.text()?), TokenHash::trusted(c.text()?));
            Ok(Change::Session { token, id, user: user.clone() })
        },
    )?;
    revoked.iter().try_for_each(|change| feed::write(db, change))?;
    Ok(revoked)
}
