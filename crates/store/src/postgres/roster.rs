//! Accounts as operators look them up.

use super::PostgresStore;
use super::ask;
use super::db::{Again, Db, Tried, sql};
use super::rows::{self, USER};
use crate::roster::{LIST, Looked};
use crate::safety::page;
use crate::text::plain;
use crate::{Account, AccountPage, Result, Roster, RosterQuery, cursor};
use async_trait::async_trait;

async fn accounts(db: &mut Db, query: &RosterQuery) -> Tried<AccountPage> {
    let before = query.cursor.as_deref().and_then(|after| cursor::text(after, LIST));
    let before = before.map(|(_, id)| plain(&id).into_owned());
    let looked = query.looked();
    // Each part has an index of its own.
    let found = match &looked {
        Some(_) => {
            "u.id IN (SELECT a.id FROM users a WHERE a.username >= $4 AND a.username < $5
                 UNION SELECT b.id FROM users b WHERE b.email_key = $6 UNION SELECT c.id FROM users c WHERE c.id = $7)"
        }
        None => "TRUE",
    };
    let held = if query.suspended { "u.suspended_until > (SELECT aim_now($2))" } else { "TRUE" };
    let read = sql(format!(
        "SELECT {USER},
             CASE WHEN u.suspended_until > (SELECT aim_now($2)) THEN u.suspended_until END, u.suspended_for
         FROM users u WHERE ($1::text IS NULL OR u.id < $1) AND {found} AND {held} ORDER BY u.id DESC LIMIT $3"
    ))
    .bind(before)
    .bind(db.now)
    .bind(i64::from(query.limit) + 1);
    let read = match looked {
        Some(Looked { from, to, whole }) => read
            .bind(plain(&from).into_owned())
            .bind(plain(&to).into_owned())
            .bind(plain(&whole.to_lowercase()).into_owned())
            .bind(plain(&whole).into_owned()),
        None => read,
    };
    let rows = db.all(read, |c| Ok(Account::of(rows::user(c)?, c.maybe_int()?, c.maybe_string()?))).await?;
    let (items, next_cursor) = page(rows, query.limit, LIST, |account| account.user.id.to_string());
    Ok(AccountPage { items, next_cursor })
}

#[async_trait]
impl Roster for PostgresStore {
    async fn accounts(&self, query: &RosterQuery) -> Result<AccountPage> {
        ask!(self, accounts, query)
    }
}
