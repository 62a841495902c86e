//! Lists of characters: each order and each way to narrow it, the first pages and those deep in.

use crate::world::{Dice, PEOPLE, TAGS};
use crate::{questions, tell};
use aim_domain::{CharacterId, UserId};
use aim_store::{CharacterQuery, Sort, Store};
use std::sync::Arc;
use std::time::Instant;

const SORTS: [(&str, Sort); 4] =
    [("new", Sort::New), ("popular", Sort::Popular), ("recent", Sort::Recent), ("name", Sort::Name)];
const ASKED: u64 = 100;

/// Some of everybody, the one with two thousand characters of his own, and who blocked a hundred people.
fn viewer(n: u64) -> UserId {
    let who = match n % 4 {
        0 => PEOPLE,
        1 => 3,
        _ => (n * 37) % PEOPLE,
    };
    UserId::trusted(format!("user{who}"))
}

fn query(n: u64, sort: Sort) -> CharacterQuery {
    CharacterQuery { viewer: viewer(n), text: None, tag: None, among: None, sort, cursor: None, limit: 50 }
}

async fn measure(store: &Arc<dyn Store>, what: &str, asked: impl IntoIterator<Item = (String, CharacterQuery)>) {
    let (mut took, mut found) = (Vec::new(), 0);
    for (text, query) in asked {
        let begun = Instant::now();
        found += store.characters(query).await.unwrap().items.len();
        took.push((begun.elapsed(), text));
    }
    tell(what, took, found);
}

/// Each page that there is, from the first to the last.
async fn throughout(store: &Arc<dyn Store>, what: &str, mut query: CharacterQuery) {
    let (mut took, mut found) = (Vec::new(), 0);
    loop {
        let begun = Instant::now();
        let page = store.characters(query.clone()).await.unwrap();
        took.push((begun.elapsed(), format!("page {}", took.len() + 1)));
        found += page.items.len();
        if page.next_cursor.is_none() {
            break;
        }
        query.cursor = page.next_cursor;
    }
    tell(what, took, found);
}

pub async fn run(store: &Arc<dyn Store>, characters: u64) {
    let favourites: Vec<CharacterId> =
        (0..300).map(|n| CharacterId::trusted(format!("character{}", n * 61 % characters))).collect();
    for (name, sort) in SORTS {
        measure(store, &format!("{name}, first page"), (0..ASKED).map(|n| (String::new(), query(n, sort)))).await;
        throughout(store, &format!("{name}, all pages of the one"), query(0, sort)).await;
        let tagged = |n: u64| {
            let tag = format!("tag{}", (n * n / 20 + 1) % TAGS);
            (tag.clone(), CharacterQuery { tag: Some(tag), ..query(n, sort) })
        };
        measure(store, &format!("{name}, of a tag"), (0..ASKED).map(tagged)).await;
        let of_tag = CharacterQuery { tag: Some("tag2".into()), ..query(0, sort) };
        throughout(store, &format!("{name}, all pages of a tag"), of_tag).await;
        let mut dice = Dice(99);
        let typed: Vec<_> = (0..ASKED)
            .flat_map(|n| questions(&mut dice).into_iter().map(move |text| (n, text)))
            .map(|(n, text)| (text.clone(), CharacterQuery { text: Some(text), ..query(n, sort) }))
            .collect();
        measure(store, &format!("{name}, as it is typed"), typed.clone()).await;
        let narrowed =
            typed.into_iter().map(|(text, query)| (text, CharacterQuery { tag: Some("tag1".into()), ..query }));
        measure(store, &format!("{name}, as it is typed, of a tag"), narrowed).await;
        let owners = (0..ASKED).map(|n| format!("@user{}", if n % 10 == 0 { PEOPLE } else { n }));
        let of_owner =
            |(n, text): (usize, String)| (text.clone(), CharacterQuery { text: Some(text), ..query(n as u64, sort) });
        measure(store, &format!("{name}, of an owner"), owners.enumerate().map(of_owner)).await;
        let own = CharacterQuery { text: Some(format!("@user{PEOPLE}")), ..query(0, sort) };
        throughout(store, &format!("{name}, all pages of one's own"), own).await;
        let liked = |n| (String::new(), CharacterQuery { among: Some(favourites.clone()), ..query(n, sort) });
        measure(store, &format!("{name}, favourites"), (0..ASKED).map(liked)).await;
    }
    let mut took = Vec::new();
    for n in 0..ASKED {
        let begun = Instant::now();
        store.character_tags(&viewer(n), 50).await.unwrap();
        took.push((begun.elapsed(), viewer(n).to_string()));
    }
    tell("tags with their counts", took, 0);
}
