//! Accounts as operators look them up.

use super::SqliteStore;
use super::db::Db;
use super::rows::{self, Columns, USER};
use crate::roster::{LIST, Looked};
use crate::safety::page;
use crate::{Account, AccountPage, Result, Roster, RosterQuery, cursor};
use async_trait::async_trait;
use rusqlite::params_from_iter;
use rusqlite::types::Value;

fn accounts(db: &Db, query: &RosterQuery) -> Result<AccountPage> {
    let before = query.cursor.as_deref().and_then(|after| cursor::text(after, LIST)).map(|(_, id)| id);
    let mut params: Vec<Value> = vec![before.into(), db.now.0.into(), (i64::from(query.limit) + 1).into()];
    // Each part has an index of its own.
    let found = match query.looked() {
        Some(Looked { from, to, whole }) => {
            params.extend([from.into(), to.into(), whole.to_lowercase().into(), whole.into()]);
            "u.id IN (SELECT id FROM users WHERE username >= ?4 AND username < ?5
                 UNION SELECT id FROM users WHERE email_key = ?6 UNION SELECT id FROM users WHERE id = ?7)"
        }
        None => "TRUE",
    };
    let held = if query.suspended { "u.suspended_until > ?2" } else { "TRUE" };
    let sql = format!(
        "SELECT {USER},
             CASE WHEN u.suspended_until > ?2 THEN u.suspended_until END, u.suspended_for
         FROM users u WHERE (?1 IS NULL OR u.id < ?1) AND {found} AND {held} ORDER BY u.id DESC LIMIT ?3"
    );
    let rows = db.all(&sql, params_from_iter(params), |row| {
        let mut c = Columns::of(row);
        Ok(Account::of(rows::user(&mut c)?, c.maybe_int()?, c.maybe_string()?))
    })?;
    let (items, next_cursor) = page(rows, query.limit, LIST, |account| account.user.id.to_string());
    Ok(AccountPage { items, next_cursor })
}

#[async_trait]
impl Roster for SqliteStore {
    async fn accounts(&self, query: &RosterQuery) -> Result<AccountPage> {
        let query = query.clone();
        self.read(move |db| accounts(db, &query)).await
    }
}
