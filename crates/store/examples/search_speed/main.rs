//! How long a search takes, and a page of a list: `cargo run --release -p aim-store --example search_speed [STORE] [MESSAGES]
//! [CHARACTERS]`, where `STORE` is `sqlite`, `postgres` (a server is started for it) or the URL of an empty PostgreSQL database.
//!
//! A million messages of made-up words, some of which are said often and most seldom, in the conversations of a thousand people
//! and of one who has fifty thousand; each question is asked as it is typed, letter by letter. It prints medians and 99th
//! percentiles. Without messages (0) only characters are looked for.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a measurement says what it found, or stops"
)]

mod fill;
mod lists;
mod world;

use aim_domain::{Ambient, UserId};
use aim_store::postgres::{PostgresOptions, PostgresStore};
use aim_store::sqlite::{SqliteOptions, SqliteStore};
use aim_store::words::Sought;
use aim_store::{SearchQuery, Store};
use aim_testkit::PostgresServer;
use std::sync::Arc;
use std::time::{Duration, Instant};
use world::{Dice, PEOPLE, World};

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
        fill::sqlite(&path, &world);
        println!("the file has {} MB", std::fs::metadata(&path).unwrap().len() >> 20);
        store
    } else {
        let url = match wanted.as_str() {
            "postgres" => own.insert(PostgresServer::start().await.unwrap()).url(),
            _ => wanted,
        };
        let store = PostgresStore::open(&url, PostgresOptions::default(), ambient.clone()).await.unwrap();
        fill::postgres(&url, &world).await;
        store
    };
    println!(
        "filled in {:.0} s: {} messages, {} characters",
        begun.elapsed().as_secs_f64(),
        world.messages,
        world.characters
    );
    if world.messages > 0 {
        measure("warming up", &store, false, |n| n % PEOPLE).await;
        measure("messages, of a person with a thousand", &store, false, |n| (n * 37) % PEOPLE).await;
        measure("messages, of one with fifty thousand", &store, false, |_| PEOPLE).await;
    }
    measure("characters", &store, true, |n| n % PEOPLE).await;
    lists::run(&store, world.characters).await;
    store.close().await;
}
