//! Accounts as operators look them up.

use super::World;
use crate::{AccountPage, Deed, RosterQuery};
use aim_domain::User;
use std::time::Duration;

/// The last made has the last id.
async fn user(world: &World, name: &str) -> User {
    world.tick();
    world.user(name).await
}

async fn looked(world: &World, query: RosterQuery) -> AccountPage {
    world.store.accounts(&RosterQuery { limit: 10, ..query }).await.unwrap()
}

async fn names(world: &World, text: &str) -> Vec<String> {
    let query = RosterQuery { text: Some(text.into()), ..Default::default() };
    looked(world, query).await.items.into_iter().map(|account| account.user.username).collect()
}

pub async fn accounts_are_found_by_what_names_them(world: World) {
    let (tess, tessa) = (user(&world, "tess").await, user(&world, "tessa_2").await);
    user(&world, "ines").await;
    assert_eq!(names(&world, "tess").await, ["tessa_2", "tess"], "the last made first");
    assert_eq!(names(&world, " @TESSA").await, ["tessa_2"]);
    assert_eq!(names(&world, "Tess@Example.test").await, ["tess"]);
    assert_eq!(names(&world, tessa.id.as_str()).await, ["tessa_2"]);
    for nothing in ["nobody", "ess", "%", "' OR 1=1 --", "\u{0}\u{10ffff}", "@example.test"] {
        assert_eq!(names(&world, nothing).await, Vec::<String>::new(), "{nothing}");
    }
    assert_eq!(names(&world, "  ").await.len(), 3, "nothing is looked for");
    let all = looked(&world, RosterQuery::default()).await;
    assert_eq!((all.items.len(), all.next_cursor), (3, None));
    let account = all.items.iter().find(|account| account.user.id == tess.id).unwrap();
    assert_eq!(
        (account.user.email.as_str(), account.user.tier, account.user.role),
        ("tess@example.test", tess.tier, tess.role)
    );
    assert_eq!((account.erase_at, &account.suspension), (None, &None));
    assert_eq!(account.user.created_at, tess.created_at);
}

pub async fn accounts_come_in_pages(world: World) {
    for n in 0..7 {
        user(&world, &format!("user_{n}")).await;
    }
    for text in [None, Some("user".to_owned())] {
        let (mut found, mut cursor) = (Vec::new(), None);
        loop {
            let query = RosterQuery { text: text.clone(), cursor, limit: 3, ..Default::default() };
            let page = world.store.accounts(&query).await.unwrap();
            found.extend(page.items.into_iter().map(|account| account.user.username));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(found, (0..7).rev().map(|n| format!("user_{n}")).collect::<Vec<_>>());
    }
    let strange = RosterQuery { cursor: Some("strange".into()), limit: 3, ..Default::default() };
    assert_eq!(world.store.accounts(&strange).await.unwrap().items[0].user.username, "user_6");
}

pub async fn suspended_accounts_are_told_apart(world: World) {
    let (tess, ines) = (user(&world, "tess").await, user(&world, "ines").await);
    user(&world, "nora").await;
    let deed = |reason: &str| Deed { id: world.ambient.id(), operator: None, reason: reason.into() };
    let until = world.now().plus(Duration::from_secs(60));
    world.store.suspend(&tess.id, Some(until), &deed("spam")).await.unwrap();
    world.store.suspend(&ines.id, None, &deed("threats")).await.unwrap();
    let suspended = async || {
        let found = looked(&world, RosterQuery { suspended: true, ..Default::default() }).await.items;
        found.into_iter().map(|account| (account.user.username, account.suspension.unwrap())).collect::<Vec<_>>()
    };
    let found = suspended().await;
    assert_eq!(found.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["ines", "tess"]);
    assert_eq!((found[0].1.until, found[0].1.reason.as_str()), (None, "threats"));
    assert_eq!((found[1].1.until, found[1].1.reason.as_str()), (Some(until), "spam"));
    world.clock.advance(Duration::from_secs(61));
    assert_eq!(suspended().await.len(), 1);
    let tess = looked(&world, RosterQuery { text: Some("tess".into()), ..Default::default() }).await.items.remove(0);
    assert_eq!(tess.suspension, None, "it is over");
}
