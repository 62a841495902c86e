//! What a command or a read works on: one connection, at one time of the store's clock. Every statement is prepared
//! once per connection. Commands see nothing of transactions; [`super::writer`] opens and commits them.

use crate::{Result, StoreError};
use aim_domain::Timestamp;
use rusqlite::{Connection, Error, ErrorCode, Params, Row};

pub(super) struct Db<'c> {
    connection: &'c Connection,
    pub now: Timestamp,
}

impl<'c> Db<'c> {
    pub fn new(connection: &'c Connection, now: Timestamp) -> Self {
        Self { connection, now }
    }

    /// Runs a statement; answers how many rows it changed.
    pub fn run(&self, sql: &str, params: impl Params) -> Result<usize> {
        Ok(self.connection.prepare_cached(sql)?.execute(params)?)
    }

    pub fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        Ok(rows.next()?.map(read).transpose()?)
    }

    pub fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map(params, read)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Reads rows until `read` answers false.
    pub fn each(
        &self,
        sql: &str,
        params: impl Params,
        mut read: impl FnMut(&Row) -> rusqlite::Result<bool>,
    ) -> Result<()> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        while let Some(row) = rows.next()? {
            if !read(row)? {
                break;
            }
        }
        Ok(())
    }

    /// The first column of the first row; 0 when there is none or it is null.
    pub fn number(&self, sql: &str, params: impl Params) -> Result<i64> {
        Ok(self.one(sql, params, |row| row.get::<_, Option<i64>>(0))?.flatten().unwrap_or(0))
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        let later = matches!(
            error.sqlite_error_code(),
            Some(
                ErrorCode::DatabaseBusy
                    | ErrorCode::DatabaseLocked
                    | ErrorCode::DiskFull
                    | ErrorCode::SystemIoFailure
                    | ErrorCode::CannotOpen
                    | ErrorCode::ReadOnly
                    | ErrorCode::OutOfMemory
            )
        );
        // Without the statement and its values: an error is logged, and a message's text has no place in a log.
        let text = match error {
            Error::SqliteFailure(code, text) => text.unwrap_or_else(|| code.to_string()),
            other => other.to_string(),
        };
        if later { Self::Unavailable(text) } else { Self::Failed(text) }
    }
}
