//! From a URL to a database in this binary's form: the settings of a connection, and the migrations.
//!
//! `aim_migrations` has a row for each migration that a database has had, and which servers it leaves at work. Each runs in one
//! transaction under an advisory lock, so that many servers may start at once, and a crash in the middle leaves what was before.
//! Servers of the version before go on working meanwhile and afterwards, and may be started again. So a migration only adds: tables,
//! indexes, columns with a default or null, functions. What a server of the version before reads, writes or calls keeps its
//! name, its columns and its meaning; a function that changes gets a new name, and the old one goes a version later. A
//! migration waits for no lock for long: it gives up and comes again. Whatever has many rows is filled
//! in parts by the servers, and not by a migration. Of those up to 0022, which stem from before the first release, not all keep to this.
//!
//! The statements of a released version stand in `migrations/postgres/statements`; a test plans each of them in the newest form.

use super::PostgresOptions;
use super::faults::Fault;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};
use std::str::FromStr;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

/// A form of the database, and the way to it.
pub(super) struct Schema<'a> {
    /// In order; one that was released never changes. Its version is how many there are.
    pub migrations: &'a [&'static str],
    /// The oldest version whose servers work in this form as well. A migration that takes away what they use raises it to its own.
    pub serves: usize,
}

pub(super) const NEWEST: Schema<'static> = Schema { migrations: MIGRATIONS, serves: 18 };

const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/postgres/0001_initial.sql"),
    include_str!("../../migrations/postgres/0002_workers.sql"),
    include_str!("../../migrations/postgres/0003_reports.sql"),
    include_str!("../../migrations/postgres/0004_mails.sql"),
    include_str!("../../migrations/postgres/0005_uploads.sql"),
    include_str!("../../migrations/postgres/0006_cards.sql"),
    include_str!("../../migrations/postgres/0007_lists.sql"),
    include_str!("../../migrations/postgres/0008_lists_fill.sql"),
    include_str!("../../migrations/postgres/0009_replies.sql"),
    include_str!("../../migrations/postgres/0010_rooms.sql"),
    include_str!("../../migrations/postgres/0011_personas.sql"),
    include_str!("../../migrations/postgres/0012_gallery.sql"),
    include_str!("../../migrations/postgres/0013_threads.sql"),
    include_str!("../../migrations/postgres/0014_safety.sql"),
    include_str!("../../migrations/postgres/0015_sending.sql"),
    include_str!("../../migrations/postgres/0016_search.sql"),
    include_str!("../../migrations/postgres/0017_creators.sql"),
    include_str!("../../migrations/postgres/0018_creators_fill.sql"),
    include_str!("../../migrations/postgres/0019_libraries.sql"),
    include_str!("../../migrations/postgres/0020_libraries_fill.sql"),
    include_str!("../../migrations/postgres/0021_revised.sql"),
    include_str!("../../migrations/postgres/0022_emoji.sql"),
];

/// Which advisory lock the migrations take; those of characters have one number, this has two.
const MIGRATING: &str = "SELECT pg_advisory_xact_lock(1634299246, 1)";

/// Prepared statements that a connection keeps; more than there are.
const STATEMENTS: usize = 240;

/// A migration waits half a second at most for a table (`lock_timeout`), because everyone else waits behind it; then they go first,
/// and it comes again: for a minute, after which whatever holds the table is somebody's to look into.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_secs(1);

/// Where a database starts beside the server, it is waited for this long.
const STARTING: Duration = Duration::from_secs(10);

/// What a URL says. It is not repeated in errors: it may hold a password.
pub(super) fn address(url: &str) -> Result<PgConnectOptions, Fault> {
    let options = PgConnectOptions::from_str(url).map_err(|error| {
        Fault::Failed(match error {
            sqlx::Error::Configuration(error) => format!("the database's URL cannot be read: {error}"),
            _ => "the database's URL cannot be read".to_owned(),
        })
    })?;
    let name = options.get_application_name().unwrap_or("aim").to_owned();
    Ok(options.application_name(&name).statement_cache_capacity(STATEMENTS))
}

/// The settings of a connection. Plans stay what they are, and use the indexes from the first row on: a server that started on an
/// empty database would otherwise go on reading tables from end to end.
pub(super) async fn prepare(connection: &mut PgConnection, options: &PostgresOptions) -> Result<(), sqlx::Error> {
    let settings = format!(
        "SET statement_timeout = {0}; SET idle_in_transaction_session_timeout = {0};
         SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan; SET jit = off; SET client_min_messages = error",
        options.statement_timeout.as_millis()
    );
    sqlx::raw_sql(AssertSqlSafe(settings)).execute(connection).await?;
    Ok(())
}

/// Brings the schema up to date, once the database is there.
pub(super) async fn migrate(address: &PgConnectOptions, options: &PostgresOptions) -> Result<(), Fault> {
    let begun = Instant::now();
    let mut connection = loop {
        let fault = match timeout(options.connect_timeout, address.clone().disable_statement_logging().connect()).await
        {
            Ok(Ok(connection)) => break connection,
            Ok(Err(sqlx::Error::Io(error))) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                Fault::Unavailable(error.to_string())
            }
            Ok(Err(error)) => match Fault::from(error) {
                fault @ Fault::Unavailable(_) => fault,
                other => return Err(other),
            },
            Err(_) => return Err(Fault::silent("connecting", options.connect_timeout)),
        };
        if begun.elapsed() > STARTING {
            return Err(fault);
        }
        sleep(Duration::from_millis(250)).await;
    };
    bring(&mut connection, &NEWEST).await?;
    // Who came for this alone has it; a connection that is not closed well is closed by the other side.
    let _ = connection.close().await;
    Ok(())
}

/// All migrations that are left.
pub(super) async fn bring(connection: &mut PgConnection, schema: &Schema<'_>) -> Result<(), Fault> {
    let mut tries = 1;
    loop {
        match step(connection, schema).await {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(Fault::Unavailable(why)) if tries == TRIES => {
                return Err(Fault::Unavailable(format!("the database could not be migrated in {TRIES} tries: {why}")));
            }
            Err(Fault::Unavailable(why)) => {
                tracing::info!(why, "a migration waits for its turn");
                tries += 1;
                sleep(PAUSE).await;
            }
            Err(fault) => return Err(fault),
        }
    }
}

/// One migration; false when there is none left to do.
async fn step(connection: &mut PgConnection, schema: &Schema<'_>) -> Result<bool, Fault> {
    // Without a lock, and without the right to change the schema, which a server in service need not have.
    if next(connection, schema).await?.is_none() {
        return Ok(false);
    }
    let mut transaction = connection.begin().await?;
    // Another server's migrations, and this one's work, may take their time.
    sqlx::raw_sql("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0").execute(&mut *transaction).await?;
    sqlx::raw_sql(MIGRATING).execute(&mut *transaction).await?;
    let Some((version, migration)) = next(&mut transaction, schema).await? else { return Ok(false) };
    change(&mut transaction, migration).await.map_err(of_rights)?;
    let number = |version: usize| i32::try_from(version).unwrap_or(i32::MAX);
    sqlx::query("INSERT INTO aim_migrations (version, done_at, serves) VALUES ($1, now(), $2)")
        .bind(number(version))
        .bind(number(schema.serves.min(version)))
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    tracing::info!(version, "the database was migrated");
    Ok(true)
}

/// The migration that comes next, with its version; none where the database has this form, or a newer one that serves this
/// program too.
async fn next(connection: &mut PgConnection, schema: &Schema<'_>) -> Result<Option<(usize, &'static str)>, Fault> {
    let (known, done) = (schema.migrations.len(), done(connection).await?);
    if done > known && serves(connection).await? > known {
        return Err(Fault::Failed(format!(
            "the database is of a newer version ({done}), which has no place for servers of this one ({known}): start the newer program"
        )));
    }
    Ok(schema.migrations.get(done).map(|migration| (done + 1, *migration)))
}

async fn change(connection: &mut PgConnection, migration: &'static str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(
        "SET LOCAL lock_timeout = '500ms';
         CREATE TABLE IF NOT EXISTS aim_migrations (version integer PRIMARY KEY, done_at timestamptz NOT NULL)",
    )
    .execute(&mut *connection)
    .await?;
    // Only where it is missing: until this commits, whoever starts would have to wait for a look at the table.
    let look = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'aim_migrations'::regclass AND attname = 'serves'";
    if sqlx::query(look).fetch_one(&mut *connection).await?.try_get::<i64, _>(0)? == 0 {
        sqlx::raw_sql("ALTER TABLE aim_migrations ADD COLUMN serves integer").execute(&mut *connection).await?;
    }
    sqlx::raw_sql(migration).execute(connection).await.map(drop)
}

/// "insufficient privilege" says what is missing; this says what to do about it.
fn of_rights(error: sqlx::Error) -> Fault {
    match error.as_database_error().filter(|told| told.code().as_deref() == Some("42501")) {
        Some(told) => Fault::Failed(format!(
            "this role may not change the database's schema, which is not in this version's form ({}): run `aim migrate` as its owner",
            told.message()
        )),
        None => Fault::from(error),
    }
}

async fn done(connection: &mut PgConnection) -> Result<usize, Fault> {
    // A look at the catalogue itself: within a transaction `to_regclass` may answer from before the lock.
    let look = "SELECT EXISTS (SELECT 1 FROM pg_class WHERE relname = 'aim_migrations' AND pg_table_is_visible(oid))";
    let there = sqlx::query(look).fetch_one(&mut *connection).await?;
    if !there.try_get::<bool, _>(0)? {
        return Ok(0);
    }
    let newest = sqlx::query("SELECT coalesce(max(version), 0) FROM aim_migrations").fetch_one(connection).await?;
    Ok(usize::try_from(newest.try_get::<i32, _>(0)?).unwrap_or(usize::MAX))
}

/// The oldest version whose servers work with this database, which a newer program has left.
async fn serves(connection: &mut PgConnection) -> Result<usize, Fault> {
    let newest = "SELECT serves FROM aim_migrations ORDER BY version DESC LIMIT 1";
    let serves: Option<i32> = sqlx::query(newest).fetch_one(connection).await?.try_get(0)?;
    Ok(serves.and_then(|version| usize::try_from(version).ok()).unwrap_or(usize::MAX))
}
