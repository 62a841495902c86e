//! Which servers live, by the database's clock. Whatever a server holds is free once its lease is over.

use super::db::{Db, Postgres, Tried, sql};
use super::sessions::millis;
use aim_domain::Incarnation;
use std::time::Duration;

pub(super) async fn renew(db: &mut Db, server: &Incarnation, lease: Duration, serves: bool) -> Tried<bool> {
    let renew = sql("INSERT INTO servers AS s (id, lease_until, serves) SELECT $1, clock.now + $3, $4 FROM (SELECT aim_now($2) AS now) clock
         ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until WHERE s.lease_until > excluded.lease_until - $3")
    .bind(server.as_str())
    .bind(db.now)
    .bind(millis(lease))
    .bind(serves);
    Ok(db.run(renew).await? == 1)
}

/// What it was told to stop stays with it: the next claim there finds that out, cancels it and says so.
pub(super) async fn end(pg: &Postgres, server: &Incarnation) -> Tried<()> {
    let mut db = pg.begin().await?;
    let end = sql("UPDATE servers s SET lease_until = clock.now FROM (SELECT aim_now($2) AS now) clock
         WHERE s.id = $1 AND s.lease_until > clock.now")
    .bind(server.as_str())
    .bind(db.now);
    db.run(end).await?;
    db.run(sql("DELETE FROM claims WHERE holder = $1 AND NOT stopping").bind(server.as_str())).await?;
    db.commit().await
}

pub(super) async fn living(db: &mut Db) -> Tried<u64> {
    let now = db.now;
    let count = sql(
        "SELECT count(*) FROM servers s, (SELECT aim_now($1) AS now) clock WHERE s.serves AND s.lease_until > clock.now",
    );
    Ok(db.number(count.bind(now)).await?.unsigned_abs())
}

pub(super) async fn leads(db: &mut Db, server: &Incarnation) -> Tried<bool> {
    let now = db.now;
    let first =
        sql("SELECT min(s.id) = $2 FROM servers s, (SELECT aim_now($1) AS now) clock WHERE s.lease_until > clock.now");
    Ok(db.one(first.bind(now).bind(server.as_str()), |c| c.maybe_flag()).await?.flatten().unwrap_or(false))
}
