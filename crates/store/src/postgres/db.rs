//! What a command works on: a connection, at times of the store's clock, in a transaction or without one.
//!
//! Every statement is prepared once per connection. A command that is one statement is its own commit; one of several opens a
//! transaction with [`Postgres::begin`], and whatever it tells the change feed is written as the last thing before its
//! commit. What is dropped without a commit is rolled back.

use super::faults::Fault;
use super::pool::{Lent, Pool, Query};
use super::rows::{Columns, json};
use crate::{Change, Result, StoreError};
use aim_domain::Ambient;
use sqlx::AssertSqlSafe;
use std::borrow::Cow;
use std::time::Duration;

/// Tries of a command that is rolled back for others' sake.
const TRIES: u32 = 6;
/// Tries of a command whose connection was lost, where it does no harm twice.
const CONNECTIONS: u32 = 2;

pub(super) type Tried<T> = std::result::Result<T, Fault>;

/// Whether a command may be tried again when nobody knows if it was done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// A read, or a command that is done at most once however often it is asked.
    Fine,
    Never,
}

#[derive(Clone)]
pub(super) struct Postgres {
    pub pool: Pool,
    pub ambient: Ambient,
}

impl Postgres {
    /// The time to hand to a statement as the store's clock: none for the database's own.
    pub fn now(&self) -> Option<i64> {
        match self.pool.options().clock {
            super::Clock::Database => None,
            super::Clock::Ambient => Some(self.ambient.now().0),
        }
    }

    pub async fn take(&self) -> Tried<Db> {
        Ok(Db { lent: self.pool.take().await?, now: self.now(), changes: Vec::new() })
    }

    pub async fn begin(&self) -> Tried<Db> {
        let mut tries = 1;
        loop {
            let mut db = self.take().await?;
            // Set first: a future that is dropped here may have begun it.
            db.lent.in_transaction = true;
            match db.lent.say("BEGIN").await {
                Ok(()) => return Ok(db),
                // Nothing was asked yet.
                Err(Fault::Lost(_)) if tries < CONNECTIONS => tries += 1,
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Carries out a command, again where that helps.
    pub async fn run<T, F: Future<Output = Tried<T>>>(&self, again: Again, act: impl Fn() -> F) -> Result<T> {
        let (mut conflicts, mut lost) = (1, 1);
        loop {
            match act().await {
                Ok(done) => return Ok(done),
                Err(Fault::Conflict(_)) if conflicts < TRIES => {
                    conflicts += 1;
                    let wait = f64::from(10 * conflicts) * (0.5 + self.ambient.fraction());
                    tokio::time::sleep(Duration::from_millis(wait as u64)).await;
                }
                Err(Fault::Lost(_)) if again == Again::Fine && lost < CONNECTIONS => lost += 1,
                Err(fault) => return Err(StoreError::from(fault)),
            }
        }
    }
}

pub(super) struct Db {
    lent: Lent,
    /// See [`Postgres::now`]; the same for all statements of a command.
    pub now: Option<i64>,
    changes: Vec<String>,
}

impl Db {
    /// Runs a statement; answers how many rows it changed.
    pub async fn run(&mut self, query: Query<'_>) -> Tried<u64> {
        self.lent.execute(query).await
    }

    pub async fn one<T>(&mut self, query: Query<'_>, read: impl FnOnce(&mut Columns) -> Tried<T>) -> Tried<Option<T>> {
        let rows = self.lent.fetch(query).await?;
        rows.first().map(|row| read(&mut Columns::of(row))).transpose()
    }

    pub async fn all<T>(&mut self, query: Query<'_>, mut read: impl FnMut(&mut Columns) -> Tried<T>) -> Tried<Vec<T>> {
        let rows = self.lent.fetch(query).await?;
        rows.iter().map(|row| read(&mut Columns::of(row))).collect()
    }

    /// The first column of the first row; 0 when there is none or it is null.
    pub async fn number(&mut self, query: Query<'_>) -> Tried<i64> {
        Ok(self.one(query, |c| c.maybe_int()).await?.flatten().unwrap_or(0))
    }

    /// Tells the change feed with this command's commit.
    pub fn tell(&mut self, change: &Change) -> Tried<()> {
        self.changes.push(json(change)?);
        Ok(())
    }

    pub async fn commit(mut self) -> Tried<()> {
        if !self.changes.is_empty() {
            let (now, changes) = (self.now, std::mem::take(&mut self.changes));
            self.run(sql("SELECT aim_tell($1, $2)").bind(now).bind(changes)).await?;
        }
        self.lent.say("COMMIT").await?;
        self.lent.in_transaction = false;
        Ok(())
    }
}

/// A statement of ours.
pub(super) fn sql<'q>(text: impl Into<Cow<'static, str>>) -> Query<'q> {
    match text.into() {
        Cow::Borrowed(text) => sqlx::query(text),
        Cow::Owned(text) => sqlx::query(AssertSqlSafe(text)),
    }
}
