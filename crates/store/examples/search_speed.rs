//! How long a search takes: `cargo run --release -p aim-store --example search_speed [STORE] [MESSAGES] [CHARACTERS]`, where
//! `STORE` is `sqlite`, `postgres` (a server is started for it) or the URL of an empty PostgreSQL database.
//!
//! A million messages of made-up words, some of which are said often and most seldom, in the conversations of a thousand people
//! and of one who has fifty thousand; each question is asked as it is typed, letter by letter. It prints medians and 99th
//! percentiles.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a measurement says what it found, or stops"
)]

use aim_domain::{Ambient, UserId};
use aim_store::postgres::{PostgresOptions, PostgresStore};
use aim_store::sqlite::{SqliteOptions, SqliteStore};
use aim_store::words::{Sought, folded};
use aim_store::{SearchQuery, Store};
use aim_testkit::PostgresServer;
use rusqlite::functions::FunctionFlags;
use rusqlite::params;
use sqlx::Connection;
use std::sync::Arc;
use std::time::{Duration, Instant};

const PEOPLE: u64 = 1_000;
const CONVERSATIONS_EACH: u64 = 10;
/// Of the one who says much: conversations of a thousand messages.
const CONVERSATIONS_OF_ONE: u64 = 50;
const VOCABULARY: u64 = 20_000;
const SYLLABLES: [&str; 24] = [
    "ka", "lo", "mi", "ren", "sta", "ve", "tor", "in", "el", "sha", "qui", "dra", "bel", "on", "ith", "u", "fa", "gri",
    "pel", "no", "ze", "wy", "ch", "or",
];

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most.max(1)
    }

    /// The word of a rank; low ranks are said most, as in any language.
    fn word(&mut self) -> String {
        let exponent = self.below(1_000_000) as f64 / 1_000_000.0;
        spelled((VOCABULARY as f64).powf(exponent) as u64)
    }

    fn text(&mut self, words: u64) -> String {
        (0..words).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }
}

fn spelled(rank: u64) -> String {
    let (mut rest, mut word) = (rank * 7 + 3, String::new());
    while rest > 0 {
        word.push_str(SYLLABLES[(rest % 24) as usize]);
        rest /= 24;
    }
    word
}

struct Message {
    conversation: i64,
    seq: i64,
    text: String,
}

struct World {
    messages: u64,
    characters: u64,
}

impl World {
    fn conversations(&self) -> u64 {
        PEOPLE * CONVERSATIONS_EACH + CONVERSATIONS_OF_ONE
    }

    fn owner(&self, conversation: u64) -> u64 {
        if conversation < PEOPLE * CONVERSATIONS_EACH { conversation / CONVERSATIONS_EACH } else { PEOPLE }
    }

    fn length(&self, conversation: u64) -> u64 {
        let of_one = CONVERSATIONS_OF_ONE * 1_000;
        let each = self.messages.saturating_sub(of_one) / (PEOPLE * CONVERSATIONS_EACH);
        if conversation < PEOPLE * CONVERSATIONS_EACH { each } else { 1_000 }
    }

    fn messages(&self) -> impl Iterator<Item = Message> {
        let mut dice = Dice(7);
        (0..self.conversations()).flat_map(move |conversation| {
            (1..=self.length(conversation))
                .map(|seq| {
                    let words = 8 + dice.below(30);
                    Message { conversation: conversation as i64 + 1, seq: seq as i64, text: dice.text(words) }
                })
                .collect::<Vec<_>>()
        })
    }
}

fn fill_sqlite(path: &std::path::Path, world: &World) {
    let mut db = rusqlite::Connection::open(path).unwrap();
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    db.create_scalar_function("aim_words", 1, flags, |context| {
        Ok(folded(context.get_raw(0).as_str_or_null()?.unwrap_or_default()))
    })
    .unwrap();
    db.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -200000").unwrap();
    let all = db.transaction().unwrap();
    let mut dice = Dice(1);
    for n in 0..=PEOPLE {
        let sql = "INSERT INTO users (id, email, email_key, username, display_name, tier, role, created_at, version)
             VALUES (?1, ?1, ?1, ?1, ?1, 'free', 'user', 0, 1)";
        all.prepare_cached(sql).unwrap().execute([format!("user{n}")]).unwrap();
    }
    for n in 0..world.characters {
        let (name, about, tag) = (dice.text(2), dice.text(40), format!("tag{}", dice.below(300)));
        let sql = "INSERT INTO characters (id, visibility, conversations, revision, created_at, updated_at, name_key, name, tags,
                 search, description, personality, scenario, greeting, example_dialogue, system_prompt)
             VALUES (?1, 'public', ?2, 1, ?3, ?3, ?4, ?4, ?5, ?6, ?6, '', '', '', '', '')";
        let popular = dice.below(1_000) as i64;
        all.prepare_cached(sql)
            .unwrap()
            .execute(params![format!("character{n}"), popular, n as i64, name, format!("[\"{tag}\"]"), about])
            .unwrap();
        let sql = "INSERT INTO character_tags (tag, character) SELECT ?2, key FROM characters WHERE id = ?1";
        all.prepare_cached(sql).unwrap().execute(params![format!("character{n}"), tag]).unwrap();
    }
    for n in 0..world.conversations() {
        let (owner, character) = (format!("user{}", world.owner(n)), format!("character{}", n % world.characters));
        let sql =
            "INSERT INTO all_conversations (key, id, owner, character, title, last_seq, due, created_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, 'x', ?5, 0, ?1, ?1)";
        all.prepare_cached(sql)
            .unwrap()
            .execute(params![n as i64 + 1, format!("c{n}"), owner, character, world.length(n) as i64])
            .unwrap();
        let sql = "INSERT INTO members (conversation, user, joined_at) VALUES (?1, ?2, 0)";
        all.prepare_cached(sql).unwrap().execute(params![n as i64 + 1, owner]).unwrap();
    }
    for Message { conversation, seq, text } in world.messages() {
        let sql = "INSERT INTO messages (conversation, seq, turn, id, role, sender, kind, text, created_at)
             VALUES (?1, ?2, ?2, ?3, 'user', 'x', 'text', ?4, ?2)";
        all.prepare_cached(sql)
            .unwrap()
            .execute(params![conversation, seq, format!("m{conversation}-{seq}"), text])
            .unwrap();
    }
    all.commit().unwrap();
    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
}

async fn fill_postgres(url: &str, world: &World) {
    let mut db = sqlx::postgres::PgConnection::connect(url).await.unwrap();
    let db = &mut db;
    sqlx::raw_sql("SET synchronous_commit = off").execute(&mut *db).await.unwrap();
    sqlx::query(
        "INSERT INTO users (id, email, email_key, username, display_name, tier, role, created_at, version)
         SELECT 'user' || n, 'user' || n, 'user' || n, 'user' || n, 'x', 'free', 'user', 0, 1 FROM generate_series(0, $1) n",
    )
    .bind(PEOPLE as i64)
    .execute(&mut *db)
    .await
    .unwrap();
    let mut dice = Dice(1);
    for n in 0..world.characters {
        let (name, about, tag) = (dice.text(2), dice.text(40), format!("tag{}", dice.below(300)));
        sqlx::query(
            "WITH made AS (INSERT INTO characters (id, visibility, conversations, revision, created_at, updated_at, name_key, name,
                 tags, search, description, personality, scenario, greeting, example_dialogue, system_prompt)
             VALUES ($1, 'public', $2, 1, $3, $3, $4, $4, $5, $6, $6, '', '', '', '', '') RETURNING key)
             INSERT INTO character_tags (tag, character) SELECT $7, key FROM made",
        )
        .bind(format!("character{n}"))
        .bind(dice.below(1_000) as i64)
        .bind(n as i64)
        .bind(name)
        .bind(format!("[\"{tag}\"]"))
        .bind(about)
        .bind(tag)
        .execute(&mut *db)
        .await
        .unwrap();
    }
    for n in 0..world.conversations() {
        sqlx::query(
            "WITH made AS (INSERT INTO all_conversations (key, id, owner_id, character_id, title, last_seq, due, created_at, updated_at)
             OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3, $4, 'x', $5, 0, $1, $1) RETURNING key, owner_id)
             INSERT INTO members (conversation, user_id, joined_at) SELECT key, owner_id, 0 FROM made",
        )
        .bind(n as i64 + 1)
        .bind(format!("c{n}"))
        .bind(format!("user{}", world.owner(n)))
        .bind(format!("character{}", n % world.characters))
        .bind(world.length(n) as i64)
        .execute(&mut *db)
        .await
        .unwrap();
    }
    let (mut conversations, mut seqs, mut texts) = (Vec::new(), Vec::new(), Vec::new());
    let mut messages = world.messages().peekable();
    while let Some(Message { conversation, seq, text }) = messages.next() {
        conversations.push(conversation);
        seqs.push(seq);
        texts.push(text);
        if texts.len() == 5_000 || messages.peek().is_none() {
            sqlx::query(
                "INSERT INTO messages (conversation, seq, turn, id, role, sender, kind, text, created_at)
                 SELECT c, s, s, 'm' || c || '-' || s, 'user', 'x', 'text', t, s
                 FROM unnest($1::bigint[], $2::bigint[], $3::text[]) m (c, s, t)",
            )
            .bind(std::mem::take(&mut conversations))
            .bind(std::mem::take(&mut seqs))
            .bind(std::mem::take(&mut texts))
            .execute(&mut *db)
            .await
            .unwrap();
        }
    }
    sqlx::raw_sql("VACUUM ANALYZE").execute(&mut *db).await.unwrap();
}

/// What is typed: a word or two, from its second letter on.
fn questions(dice: &mut Dice) -> Vec<String> {
    let mut said = String::new();
    if dice.below(2) == 0 {
        said = format!("{} ", dice.word());
    }
    let last = dice.word();
    (2..=last.len().max(2)).filter_map(|end| last.get(..end)).map(|begun| format!("{said}{begun}")).collect()
}

fn tell(what: &str, mut took: Vec<(Duration, String)>, found: usize) {
    took.sort();
    let at = |part: f64| took[((took.len() - 1) as f64 * part) as usize].0.as_secs_f64() * 1e3;
    println!(
        "{what:<44} {:>7.2} ms median {:>7.2} ms p99 {:>7.2} ms at most ({} asked, {:.1} found each)",
        at(0.5),
        at(0.99),
        at(1.0),
        took.len(),
        found as f64 / took.len() as f64
    );
    let slowest = took.iter().rev().take(3).map(|(_, text)| format!("\"{text}\"")).collect::<Vec<_>>();
    println!("{:<44} the slowest: {}", "", slowest.join(", "));
}

async fn measure(what: &str, store: &Arc<dyn Store>, characters: bool, who: impl Fn(u64) -> u64) {
    let mut dice = Dice(99);
    let (mut took, mut found) = (Vec::new(), 0);
    for n in 0..200 {
        let viewer = UserId::parse(&format!("user{}", who(n))).unwrap();
        for text in questions(&mut dice) {
            let Some(sought) = Sought::parse(&text) else { continue };
            let query = SearchQuery { viewer: viewer.clone(), sought, conversation: None, limit: 20 };
            let begun = Instant::now();
            found += match characters {
                true => store.search_characters(&query).await.unwrap().len(),
                false => store.search_messages(&query).await.unwrap().len(),
            };
            took.push((begun.elapsed(), text));
        }
    }
    tell(what, took, found);
}

fn main() {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(run());
}

async fn run() {
    let argument = |n: usize| std::env::args().nth(n);
    let number = |n: usize, or: u64| argument(n).and_then(|text| text.parse().ok()).unwrap_or(or);
    let world = World { messages: number(2, 1_000_000), characters: number(3, 20_000) };
    let wanted = argument(1).unwrap_or_else(|| "sqlite".into());
    let folder = tempfile::tempdir().unwrap();
    let ambient = Ambient::system();
    let begun = Instant::now();
    let mut own = None;
    let store: Arc<dyn Store> = if wanted == "sqlite" {
        let path = folder.path().join("aim.db");
        let store = SqliteStore::open(&path, SqliteOptions::default(), ambient.clone()).unwrap();
        fill_sqlite(&path, &world);
        println!("the file has {} MB", std::fs::metadata(&path).unwrap().len() >> 20);
        store
    } else {
        let url = match wanted.as_str() {
            "postgres" => own.insert(PostgresServer::start().await.unwrap()).url(),
            _ => wanted,
        };
        let store = PostgresStore::open(&url, PostgresOptions::default(), ambient.clone()).await.unwrap();
        fill_postgres(&url, &world).await;
        store
    };
    println!(
        "filled in {:.0} s: {} messages, {} characters",
        begun.elapsed().as_secs_f64(),
        world.messages,
        world.characters
    );
    measure("warming up", &store, false, |n| n % PEOPLE).await;
    measure("messages, of a person with a thousand", &store, false, |n| (n * 37) % PEOPLE).await;
    measure("messages, of one with fifty thousand", &store, false, |_| PEOPLE).await;
    measure("characters", &store, true, |n| n % PEOPLE).await;
    let begun = Instant::now();
    store.character_tags(&UserId::trusted("p1"), 50).await.unwrap();
    println!("tags with their counts: {:.1} ms", begun.elapsed().as_secs_f64() * 1e3);
    store.close().await;
}
