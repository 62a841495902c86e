//! The change feed.
//!
//! Whoever writes changes takes their numbers from the one row of `feed` and so locks it until its commit. Numbers are
//! therefore seen in order and without a gap: a reader that has read up to one has missed none, however long a
//! transaction that began before it takes. Sends, claims and replies write no changes and do not come by here. A commit
//! with changes also notifies, see [`super::listen`].

use super::db::{Db, Tried, sql};
use crate::Change;

/// A change that this version does not know is passed over: a newer server beside this one may write it, and the feed
/// goes on behind it.
pub(super) async fn after(db: &mut Db, cursor: i64, limit: u32) -> Tried<Vec<(i64, Change)>> {
    let next =
        sql("SELECT id, body FROM changes WHERE id > $1 ORDER BY id LIMIT $2").bind(cursor).bind(i64::from(limit));
    let read = db
        .all(next, |c| {
            let (id, body) = (c.int()?, c.text()?);
            Ok(match serde_json::from_str(body) {
                Ok(change) => Some((id, change)),
                Err(error) => {
                    tracing::error!(%error, id, "a change cannot be read: what it made stale stays cached until its time is over");
                    None
                }
            })
        })
        .await?;
    Ok(read.into_iter().flatten().collect())
}

/// The newest number also when its row was swept.
pub(super) async fn last(db: &mut Db) -> Tried<i64> {
    db.number(sql("SELECT last FROM feed")).await
}
