//! What the index of words finds is what a look through the messages finds, and its words are the program's.

use super::{fresh, world};
use crate::postgres::characters;
use crate::postgres::db::sql;
use crate::postgres::search::{Reach, places};
use crate::words::{Sought, words};
use crate::{CharacterQuery, SearchQuery, Sort, Store};
use aim_domain::UserId;
use std::collections::BTreeSet;

#[tokio::test]
async fn the_index_finds_what_a_look_through_the_messages_finds() {
    let (world, store, _database) = world().await;
    let (tess, mara, talk) = world.pair().await;
    let bo = world.character("Bo").await;
    let other = world.conversation(&tess, &bo).await;
    let ines = world.user("ines").await;
    let theirs = world.conversation(&ines, &mara).await;
    for n in 0..60 {
        world.send(&talk, if n % 3 == 0 { "the harbour lamp" } else { "lamplight over the harbour" }).await;
        world.send(&theirs, "a lamp of hers").await;
    }
    for n in 0..5 {
        world.send(&other, &format!("lamp {n} is lit")).await;
    }
    for (typed, finds) in
        [("lamp", 55), ("lamp ", 25), ("harbour lamp ", 20), ("lamp li", 5), ("lamp lit", 5), ("storm", 0)]
    {
        let sought = Sought::parse(typed).unwrap();
        let query = SearchQuery { viewer: tess.id.clone(), sought, conversation: None, limit: 20 };
        let mut db = store.pg.take().await.unwrap();
        let all = places(&mut db, &query, 1_000).await.unwrap();
        assert_eq!(all.1.len(), finds, "{typed}");
        // Some of them are looked through, then the index is asked; and none.
        for looked_through in [64, 20, 3, 0] {
            assert_eq!(places(&mut db, &query, looked_through).await.unwrap(), all, "{typed} after {looked_through}");
        }
        let within = SearchQuery { conversation: Some(theirs.id.clone()), ..query };
        assert_eq!(places(&mut db, &within, 0).await.unwrap(), (Vec::new(), Vec::new()), "{typed} of somebody else");
    }
    let sought = Sought::parse("lamp").unwrap();
    let query = SearchQuery { viewer: tess.id.clone(), sought, conversation: None, limit: 20 };
    let (_, seqs) = places(&mut store.pg.take().await.unwrap(), &query, 0).await.unwrap();
    assert_eq!(seqs[..7], [5, 4, 3, 2, 1, 60, 59], "the last changed conversation first, its newest first");
    store.close().await;
}

#[test]
fn a_reach_holds_the_newest_messages_of_all() {
    let mine = [(7, 30), (3, 0), (5, 100), (9, 10)];
    let reach = |messages| Reach::over(messages, &mine);
    let part = reach(50);
    assert_eq!((part.conversations, part.after, part.is_all), (vec![7, 3, 5], vec![0, 0, 80], false));
    let all = reach(140);
    assert_eq!((all.conversations, all.after, all.is_all), (vec![7, 3, 5, 9], vec![0, 0, 0, 0], true));
    assert!(!reach(139).is_all && reach(0).conversations.is_empty() && !reach(0).is_all);
    assert!(Reach::over(0, &[]).is_all);
}

#[tokio::test]
async fn the_databases_words_are_the_programs() {
    let database = fresh().await;
    super::open(&database.url()).await.close().await;
    let mut raw = database.connect().await.unwrap();
    let long = format!("{} {} {}", "x".repeat(64), "y".repeat(65), "é".repeat(500));
    for text in [
        "",
        "  …—!  ",
        "One, two;three--four.\n\tOne  ONE\u{a0}two",
        "Él vió l'Été — naïve  CAFÉ_noir 2nd",
        "Ёлка и Άλφα",
        "海の家で会う x",
        "fire🔥 I❤️you 👍🏽ok 👩‍🚀up 🇫🇷fr 🏴\u{e0067}\u{e007f}x 1\u{fe0f} 🅰b ☀️",
        "1️⃣ Get ℹ️nfo ❤️‍🔥x",
        &long,
    ] {
        let said: Vec<String> =
            sqlx::query_scalar("SELECT aim_words($1)").bind(text).fetch_one(&mut raw).await.unwrap();
        let expected: BTreeSet<String> = words(text).map(|word| word.folded).collect();
        assert_eq!(said.into_iter().collect::<BTreeSet<_>>(), expected, "{text}");
    }
}

/// Of 300 characters with texts of 16 KB that do not pack, a list reads those of its page: a look through them all takes some
/// 3,000 pages of the database.
#[tokio::test]
async fn no_list_of_characters_looks_through_the_texts() {
    let database = fresh().await;
    let store = super::open(&database.url()).await;
    let mut raw = database.connect().await.unwrap();
    let fill = "INSERT INTO characters (id, visibility, revision, created_at, updated_at, name_key, name, tags, search, description,
             personality, scenario, greeting, example_dialogue, system_prompt)
         SELECT 'c' || n, 'public', 1, n, n, 'keeper ' || n, 'keeper ' || n, '[]', t.x, t.x, '', '', '', '', ''
         FROM generate_series(1, 300) n, LATERAL (
             SELECT string_agg(md5(n || ' ' || i), ' ') AS x FROM generate_series(1, 250) i) t;
         INSERT INTO character_tags (tag, character) SELECT 'rare', key FROM characters WHERE key % 97 = 0;
         INSERT INTO character_tags (tag, character) SELECT 'sea', key FROM characters;
         VACUUM ANALYZE";
    for fill in fill.split(';') {
        sqlx::raw_sql(fill).execute(&mut raw).await.unwrap();
    }
    for sort in [Sort::New, Sort::Popular, Sort::Recent, Sort::Name] {
        for text in [None, Some("keeper 7"), Some("nowhere to be found"), Some("kee"), Some("@tess")] {
            for tag in [None, Some("sea"), Some("rare")] {
                let query = CharacterQuery {
                    viewer: UserId::trusted("somebody"),
                    text: text.map(str::to_owned),
                    tag: tag.map(str::to_owned),
                    among: None,
                    sort,
                    cursor: None,
                    limit: 10,
                };
                let (text, params) = characters::page(&query, None);
                let explain = sql(format!("EXPLAIN (ANALYZE, BUFFERS) {text}"));
                let mut db = store.pg.take().await.unwrap();
                let plan = db.all(characters::bound(explain, params), |c| c.string()).await.unwrap();
                let pages = plan
                    .iter()
                    .find(|line| line.contains("Buffers: shared"))
                    .map_or(0, |line| line.split(['=', ' ']).filter_map(|word| word.parse::<u64>().ok()).sum::<u64>());
                assert!(pages < 800, "{pages} pages for {query:?}:\n{}", plan.join("\n"));
            }
        }
    }
    store.close().await;
}
