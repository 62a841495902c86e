//! Opening a database file: its settings, and the migrations that bring its schema to this binary's.
//!
//! `user_version` counts the migrations that a file has had. Each runs in one transaction together with the new count,
//! so that two processes may start at once, and a crash in the middle leaves what was before.

use super::{SqliteOptions, Synchronous};
use crate::{Result, StoreError};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use std::path::Path;
use std::time::Duration;

/// In order; one that was released never changes.
const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/sqlite/0001_initial.sql"),
    include_str!("../../migrations/sqlite/0002_sign_in_attempts.sql"),
    include_str!("../../migrations/sqlite/0003_workers.sql"),
    include_str!("../../migrations/sqlite/0004_reports.sql"),
    include_str!("../../migrations/sqlite/0005_mails.sql"),
    include_str!("../../migrations/sqlite/0006_uploads.sql"),
    include_str!("../../migrations/sqlite/0007_cards.sql"),
    include_str!("../../migrations/sqlite/0008_lists.sql"),
    include_str!("../../migrations/sqlite/0009_replies.sql"),
    include_str!("../../migrations/sqlite/0010_rooms.sql"),
    include_str!("../../migrations/sqlite/0011_personas.sql"),
    include_str!("../../migrations/sqlite/0012_gallery.sql"),
    include_str!("../../migrations/sqlite/0013_threads.sql"),
    include_str!("../../migrations/sqlite/0014_safety.sql"),
    include_str!("../../migrations/sqlite/0015_creators.sql"),
    include_str!("../../migrations/sqlite/0016_libraries.sql"),
    include_str!("../../migrations/sqlite/0017_search_at_commit.sql"),
    include_str!("../../migrations/sqlite/0018_revised.sql"),
];

/// Prepared statements that a connection keeps; more than there are.
const STATEMENTS: usize = 200;

/// Opens the file to write, and makes it where it is missing, with its folder.
pub(super) fn writer(path: &Path, options: &SqliteOptions) -> Result<Connection> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|error| {
            StoreError::Unavailable(format!("cannot make the folder {}: {error}", folder.display()))
        })?;
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    prepare(&mut connection, options.writer_cache_kib)?;
    let synchronous = match options.synchronous {
        Synchronous::Full => "FULL",
        Synchronous::Normal => "NORMAL",
    };
    keep_a_write_ahead_log(&connection)?;
    // Or a table that is made anew would take with it what belongs to its rows.
    connection.execute_batch("PRAGMA foreign_keys = OFF")?;
    migrate(&mut connection, MIGRATIONS)?;
    // A log of some 8 MB is copied back at a time; after a burst its file shrinks to 64 MB.
    connection.execute_batch(&format!(
        "PRAGMA synchronous = {synchronous}; PRAGMA foreign_keys = ON;
         PRAGMA wal_autocheckpoint = 2000; PRAGMA journal_size_limit = 67108864;"
    ))?;
    Ok(connection)
}

pub(super) fn reader(path: &Path, options: &SqliteOptions) -> Result<Connection> {
    let mut connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    prepare(&mut connection, options.reader_cache_kib)?;
    Ok(connection)
}

fn prepare(connection: &mut Connection, cache_kib: u32) -> Result<()> {
    connection.busy_handler(Some(wait_for_the_other))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    super::search::prepare(connection)?;
    // A plan stays what it is. Without this SQLite asks of each new value whether it makes a partial index fit, by compiling
    // the statement anew: half of the time that a message takes.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.execute_batch(&format!("PRAGMA cache_size = -{cache_kib}; PRAGMA temp_store = MEMORY;"))?;
    Ok(())
}

/// Another process has the file. SQLite's own waiting grows to 100 ms, in which a busy neighbour takes every turn;
/// this tries again every few milliseconds, for ten seconds.
fn wait_for_the_other(tries: i32) -> bool {
    if tries > 2_000 {
        return false;
    }
    std::thread::sleep(Duration::from_micros(if tries < 20 { 500 } else { 5_000 }));
    true
}

/// Two who turn to the log at once would wait for each other: SQLite tells one that it is busy without asking the busy
/// handler, so that one tries again here.
fn keep_a_write_ahead_log(connection: &Connection) -> Result<()> {
    let mut tries = 0;
    loop {
        match connection.execute_batch("PRAGMA journal_mode = WAL") {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && wait_for_the_other(tries) => {
                tries += 1;
            }
            answer => return Ok(answer?),
        }
    }
}

fn migrate(connection: &mut Connection, migrations: &[&str]) -> Result<()> {
    loop {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let done = usize::try_from(version).unwrap_or(usize::MAX);
        if done > migrations.len() {
            return Err(StoreError::Failed(format!(
                "the database is of a newer version ({version}) than this program knows ({}): start the newer program",
                migrations.len()
            )));
        }
        let Some(migration) = migrations.get(done) else { return Ok(()) };
        transaction.execute_batch(migration)?;
        transaction.execute_batch(&format!("PRAGMA user_version = {}", done + 1))?;
        transaction.commit()?;
        tracing::info!(version = done + 1, "the database was migrated");
    }
}
