//! Sessions: who is signed in, and until when.

use super::db::{Db, Postgres, Tried, sql};
use super::rows::{self, Columns, SESSION, int};
use crate::Change;
use crate::text::plain;
use aim_domain::{Member, Session, SessionId, TokenHash, UserId};
use std::time::Duration;

pub(super) async fn create(pg: &Postgres, session: &Session) -> Tried<()> {
    let insert = sql("INSERT INTO sessions (id, user_id, token_hash, device, created_at, last_used_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING")
    .bind(session.id.as_str())
    .bind(session.user_id.as_str())
    .bind(session.token_hash.as_str())
    .bind(plain(&session.device))
    .bind(session.created_at.0)
    .bind(session.last_used_at.0)
    .bind(session.expires_at.0);
    pg.take().await?.run(insert).await.map(drop)
}

pub(super) async fn member(db: &mut Db, token: &TokenHash) -> Tried<Option<Member>> {
    let text = format!(
        "SELECT {SESSION}, u.username, u.display_name, u.tier, u.role FROM sessions s JOIN users u ON u.id = s.user_id
         WHERE s.token_hash = $1 AND s.expires_at > aim_now($2) AND u.erase_at IS NULL
             AND (u.suspended_until IS NULL OR u.suspended_until <= aim_now($2))"
    );
    let now = db.now;
    db.one(sql(text).bind(token.as_str()).bind(now), |c| {
        Ok(Member {
            session: rows::session(c)?,
            username: c.string()?,
            display_name: c.string()?,
            tier: c.word()?,
            role: c.word()?,
        })
    })
    .await
}

pub(super) async fn touch(db: &mut Db, token: &TokenHash, ttl: Duration) -> Tried<()> {
    let update = sql("UPDATE sessions s SET last_used_at = clock.now, expires_at = clock.now + $3
         FROM (SELECT aim_now($2) AS now) clock WHERE s.token_hash = $1 AND s.expires_at > clock.now")
    .bind(token.as_str())
    .bind(db.now)
    .bind(millis(ttl));
    db.run(update).await.map(drop)
}

pub(super) fn millis(length: Duration) -> i64 {
    int(u64::try_from(length.as_millis()).unwrap_or(u64::MAX))
}

pub(super) async fn of_user(db: &mut Db, user: &UserId) -> Tried<Vec<Session>> {
    let text = format!(
        "SELECT {SESSION} FROM sessions s WHERE s.user_id = $1 AND s.expires_at > aim_now($2)
         ORDER BY s.created_at DESC, s.id DESC"
    );
    let now = db.now;
    db.all(sql(text).bind(user.as_str()).bind(now), rows::session).await
}

fn revoked(c: &mut Columns) -> Tried<(SessionId, TokenHash)> {
    Ok((SessionId::trusted(c.text()?), TokenHash::trusted(c.text()?)))
}

pub(super) async fn revoke(pg: &Postgres, user: &UserId, session: &SessionId) -> Tried<bool> {
    let delete = sql("DELETE FROM sessions WHERE user_id = $1 AND id = $2 RETURNING id, token_hash")
        .bind(user.as_str())
        .bind(session.as_str());
    let mut db = pg.begin().await?;
    let Some((id, token)) = db.one(delete, revoked).await? else { return Ok(false) };
    db.tell(&Change::Session { token, id, user: user.clone() })?;
    db.commit().await?;
    Ok(true)
}

pub(super) async fn revoke_all(pg: &Postgres, user: &UserId, except: Option<&SessionId>) -> Tried<u64> {
    let mut db = pg.begin().await?;
    let ended = revoke_each(&mut db, user, except).await?;
    db.commit().await?;
    Ok(ended.len() as u64)
}

/// Within a transaction; the changes that its commit tells.
pub(super) async fn revoke_each(db: &mut Db, user: &UserId, except: Option<&SessionId>) -> Tried<Vec<Change>> {
    let delete = sql("DELETE FROM sessions WHERE user_id = $1 AND id IS DISTINCT FROM $2 RETURNING id, token_hash")
        .bind(user.as_str())
        .bind(except.map(SessionId::as_str));
    let ended = db.all(delete, revoked).await?.into_iter();
    let ended: Vec<Change> = ended.map(|(id, token)| Change::Session { token, id, user: user.clone() }).collect();
    ended.iter().try_for_each(|change| db.tell(change))?;
    Ok(ended)
}
