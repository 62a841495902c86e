//! A database takes a newer form while servers are at work, and serves those of the version before.

use super::{fresh, lease, open, refused, world};
use crate::conformance::World;
use crate::postgres::connect::{self, Schema};
use crate::{ClaimReply, Claimed, Committed, MessageQuery, Sent, Store, StoreError};
use aim_domain::Conversation;
use aim_testkit::Database;
use futures::future::join_all;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fresh_database_opened_by_many_at_once_is_migrated_once() {
    let database = fresh().await;
    let url = database.url();
    for store in join_all((0..8).map(|_| open(&url))).await {
        store.ping().await.unwrap();
    }
    let mut raw = database.connect().await.unwrap();
    let done = sqlx::query("SELECT version FROM aim_migrations ORDER BY version").fetch_all(&mut raw).await.unwrap();
    let all: Vec<i32> = (1..=connect::NEWEST.migrations.len() as i32).collect();
    assert_eq!(done.iter().map(|row| row.get::<i32, _>(0)).collect::<Vec<_>>(), all);
}

/// What the next version may do: it adds.
const ADDED: &str = "
    ALTER TABLE users ADD COLUMN pronouns text;
    ALTER TABLE messages ADD COLUMN stars bigint NOT NULL DEFAULT 0;
    ALTER TABLE members ADD COLUMN muted boolean NOT NULL DEFAULT false;
    ALTER TABLE all_conversations ADD COLUMN colour text;
    CREATE INDEX messages_by_stars ON messages (stars) WHERE stars > 0;
    CREATE TABLE bookmarks (user_id text COLLATE \"C\" REFERENCES users (id) ON DELETE CASCADE, message text COLLATE \"C\")";

/// The next version, whose one migration more is given, and the oldest that it leaves at work.
async fn migrate(database: &Database, migration: &'static str, serves: usize) {
    let migrations = [connect::NEWEST.migrations, &[migration]].concat();
    let mut raw = database.connect().await.unwrap();
    connect::bring(&mut raw, &Schema { migrations: &migrations, serves }).await.unwrap();
}

#[tokio::test]
async fn a_newer_form_is_opened_by_those_whom_it_serves() {
    let this = connect::NEWEST.migrations.len();
    for (serves, opened) in [(this, true), (this + 1, false)] {
        let database = fresh().await;
        open(&database.url()).await.close().await;
        migrate(&database, ADDED, serves).await;
        if opened {
            open(&database.url()).await.ping().await.unwrap();
        } else {
            let StoreError::Failed(why) = refused(&database.url()).await else { panic!("unavailable") };
            assert!(why.contains("newer version (") && why.contains("start the newer program"), "{why}");
        }
    }
}

#[tokio::test]
async fn a_newer_form_that_says_nothing_of_others_is_refused_and_left_alone() {
    let database = fresh().await;
    open(&database.url()).await.close().await;
    let mut raw = database.connect().await.unwrap();
    sqlx::query("INSERT INTO aim_migrations (version, done_at) VALUES (99, now())").execute(&mut raw).await.unwrap();
    let StoreError::Failed(why) = refused(&database.url()).await else { panic!("unavailable") };
    assert!(why.contains("newer") && why.contains("99"), "{why}");
}

/// Says something and answers it, again and again. Nothing of it fails; the longest that a round took.
async fn at_work(world: &World, database: &Database, talk: Conversation, over: &AtomicBool) -> Duration {
    let store = open(&database.url()).await;
    let holder = lease(world, &store, Duration::from_secs(60)).await;
    let page = MessageQuery { limit: 10, ..Default::default() };
    let mut longest = Duration::ZERO;
    while !over.load(Ordering::Relaxed) {
        let began = Instant::now();
        let sent = store.send_message(world.message(&talk, &talk.owner_id, "hello")).await.unwrap();
        assert!(matches!(sent, Sent::Accepted { .. }), "{sent:?}");
        let asking = ClaimReply { replies_per_character: 9, ..world.asking(&talk, &holder) };
        let claimed = store.claim_reply(asking).await.unwrap();
        let Claimed::Claimed(claim) = claimed else { panic!("{claimed:?}") };
        let committed = store.commit_reply(world.reply(&claim, "yes")).await.unwrap();
        assert!(matches!(committed, Committed::Committed { .. }), "{committed:?}");
        assert!(store.user(&talk.owner_id).await.unwrap().is_some());
        assert!(store.conversation(&talk.id, &talk.owner_id).await.unwrap().is_some());
        assert!(!store.messages(&talk.id, &talk.owner_id, page).await.unwrap().unwrap().items.is_empty());
        assert!(store.conversations(&talk.owner_id, None, 10).await.unwrap().items.len() == 1);
        longest = longest.max(began.elapsed());
    }
    store.close().await;
    longest
}

/// Two servers go on while the database is brought into the next form, which has to wait for somebody's long look at a table. They
/// find what they knew, and one that starts afterwards as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_are_at_work_while_the_next_version_migrates() {
    let (world, _, database) = world().await;
    let mara = world.character("Mara").await;
    let mut talks = Vec::new();
    for name in ["ann", "ben"] {
        talks.push(world.conversation(&world.user(name).await, &mara).await);
    }
    let over = AtomicBool::new(false);
    let next = async {
        let mut long = database.connect().await.unwrap();
        let mut look = long.begin().await.unwrap();
        sqlx::query("SELECT count(*) FROM messages").fetch_one(&mut *look).await.unwrap();
        let looking = async {
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            look.rollback().await.unwrap();
        };
        tokio::join!(looking, migrate(&database, ADDED, connect::NEWEST.serves));
        tokio::time::sleep(Duration::from_millis(500)).await;
        over.store(true, Ordering::Relaxed);
    };
    let work = join_all(talks.iter().map(|talk| at_work(&world, &database, talk.clone(), &over)));
    let (longest, ()) = tokio::join!(work, next);
    // Half a second, each of whose statements may meet a try of the migration.
    assert!(longest.iter().all(|took| *took < Duration::from_secs(4)), "{longest:?}");
    let store = open(&database.url()).await;
    for talk in &talks {
        world.assert_seq_without_a_gap(talk).await;
        assert!(store.last_seq(&talk.id).await.unwrap() >= 4);
    }
}

/// Plans what a server asks; an error says what of it is missing. False where the types of its parameters cannot be told from the
/// statement alone: the driver names them, and they were not written down.
async fn plan(raw: &mut PgConnection, statement: &str) -> Result<bool, sqlx::Error> {
    match sqlx::raw_sql(AssertSqlSafe(format!("PREPARE asked AS {statement}"))).execute(&mut *raw).await {
        // Ambiguous function, indeterminate type, wrong type; a function that is not there is another thing than an operator.
        Err(sqlx::Error::Database(told))
            if matches!(told.code().as_deref(), Some("42725" | "42P18" | "42804"))
                || told.message().starts_with("operator does not exist") =>
        {
            return Ok(false);
        }
        other => {
            other?;
        }
    }
    let parameters =
        "SELECT coalesce(cardinality(parameter_types), 0) FROM pg_prepared_statements WHERE name = 'asked'";
    let parameters: i32 = sqlx::query(parameters).fetch_one(&mut *raw).await?.get(0);
    let given = match parameters {
        0 => String::new(),
        n => format!("({})", vec!["NULL"; n as usize].join(", ")),
    };
    let planned = sqlx::raw_sql(AssertSqlSafe(format!("EXPLAIN EXECUTE asked{given}"))).execute(&mut *raw).await;
    sqlx::raw_sql("DEALLOCATE asked").execute(raw).await?;
    planned.map(|_| true)
}

/// `scripts/statements.sh` writes them when a version is released.
const STATEMENTS: &[(usize, &str)] = &[(18, include_str!("../../../migrations/postgres/statements/0018.sql"))];

fn statements(of: &str) -> Vec<&str> {
    of.split("\n;\n").map(str::trim).filter(|statement| !statement.is_empty()).collect()
}

#[tokio::test]
async fn what_a_version_at_work_asks_is_there_in_the_newest_form() {
    let database = fresh().await;
    open(&database.url()).await.close().await;
    let mut raw = database.connect().await.unwrap();
    sqlx::raw_sql("SET plan_cache_mode = force_generic_plan").execute(&mut raw).await.unwrap();
    for (version, asked) in STATEMENTS.iter().filter(|(version, _)| *version >= connect::NEWEST.serves) {
        let asked = statements(asked);
        let (mut planned, all) = (0, asked.len());
        for statement in asked {
            let plan = plan(&mut raw, statement).await;
            planned += usize::from(plan.unwrap_or_else(|error| panic!("version {version} asks {statement}: {error}")));
        }
        assert!(planned > 200 && planned * 10 > all * 9, "only {planned} of {all} statements of version {version}");
    }
}

#[tokio::test]
async fn what_a_migration_takes_away_is_missed() {
    for taken in [
        "ALTER TABLE users DROP COLUMN display_name",
        "ALTER TABLE all_conversations RENAME COLUMN due TO waiting",
        "DROP INDEX conversations_main",
        "ALTER FUNCTION aim_send RENAME TO aim_send_again",
    ] {
        let database = fresh().await;
        open(&database.url()).await.close().await;
        let mut raw = database.connect().await.unwrap();
        sqlx::raw_sql(taken).execute(&mut raw).await.unwrap();
        let mut missed = 0;
        for statement in statements(STATEMENTS[0].1) {
            missed += usize::from(plan(&mut raw, statement).await.is_err());
        }
        assert!(missed > 0, "nothing misses what this takes away: {taken}");
    }
}
