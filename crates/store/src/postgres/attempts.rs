//! Attempts to sign in. How they are counted stands in `aim_count_attempt` of the schema.

use super::db::{Db, Postgres, Tried, sql};
use super::faults::Fault;
use super::rows::int;
use super::sessions::millis;
use crate::text::plain;
use crate::{Attempts, CountAttempt};
use std::time::Duration;

pub(super) async fn count(pg: &Postgres, attempt: &CountAttempt) -> Tried<Attempts> {
    let mut db = pg.take().await?;
    let count = sql("SELECT r_admitted, r_remaining, r_wait FROM aim_count_attempt($1, $2, $3, $4, $5)")
        .bind(db.now)
        .bind(plain(&attempt.subject))
        .bind(int(attempt.limit))
        .bind(millis(attempt.window))
        .bind(millis(attempt.block));
    let counted = db
        .one(count, |c| {
            let (admitted, remaining) = (c.flag()?, c.count()?);
            Ok(Attempts { admitted, remaining, wait: Duration::from_millis(c.count()?) })
        })
        .await?;
    counted.ok_or_else(|| Fault::Failed("an attempt was counted without an answer".into()))
}

pub(super) async fn clear(db: &mut Db, subject: &str) -> Tried<()> {
    let clear = sql("WITH blocks AS (DELETE FROM sign_in_blocks WHERE subject = $1)
         DELETE FROM sign_in_attempts WHERE subject = $1");
    db.run(clear.bind(plain(subject))).await.map(drop)
}
