//! Settings, drafts, and accounts that are closed.

use super::World;
use super::world::MONTH;
use crate::{Change, SaveDraft, Stale, Store};
use aim_domain::{DraftKey, UserId};
use serde_json::{Map, Value, json};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3_600);

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn key(text: &str) -> DraftKey {
    DraftKey::parse(text).unwrap()
}

async fn told(store: &dyn Store, cursor: i64) -> Vec<Change> {
    store.changes(cursor, 100).await.unwrap().into_iter().map(|(_, change)| change).collect()
}

pub async fn preferences_are_replaced_whole_and_told(world: World) {
    let (store, tess) = (&world.store, world.user("tess").await);
    assert_eq!(store.preferences(&tess.id).await.unwrap(), None);
    let cursor = store.last_change().await.unwrap();
    let first = object(json!({ "theme": "dark", "favourites": ["mara"], "odd": "a\u{0}b é" }));
    let saved = store.save_preferences(&tess.id, &first).await.unwrap().unwrap();
    assert_eq!((&saved.body, saved.version), (&first, 1));
    let second = object(json!({ "theme": "light" }));
    let saved = store.save_preferences(&tess.id, &second).await.unwrap().unwrap();
    assert_eq!((&saved.body, saved.version), (&second, 2));
    assert_eq!(world.another().await.preferences(&tess.id).await.unwrap(), Some(saved));
    let change = Change::Preferences { user: tess.id.clone() };
    assert_eq!(told(&**store, cursor).await, vec![change.clone(), change]);
    assert_eq!(store.save_preferences(&world.ambient.id(), &second).await.unwrap(), None);
}

async fn save(world: &World, user: &UserId, name: &str, n: i64) -> SaveDraft {
    let body = object(json!({ "step": n }));
    world.store.save_draft(user, &key(name), &body, DAY, 3).await.unwrap()
}

pub async fn a_draft_lives_from_its_last_save(world: World) {
    let (store, tess) = (&world.store, world.user("tess").await);
    let cursor = store.last_change().await.unwrap();
    let SaveDraft::Saved(first) = save(&world, &tess.id, "form", 1).await else { panic!() };
    assert_eq!((first.saved_at, first.expires_at), (world.now(), world.now().plus(DAY)));
    world.clock.advance(DAY - Duration::from_secs(1));
    let SaveDraft::Saved(second) = save(&world, &tess.id, "form", 2).await else { panic!() };
    assert!(second.version > first.version);
    world.clock.advance(DAY - Duration::from_secs(1));
    assert_eq!(store.sweep(Stale::Drafts, Duration::ZERO).await.unwrap(), 0);
    assert_eq!(store.draft(&tess.id, &key("form")).await.unwrap(), Some(second));
    assert_eq!(store.draft(&world.user("ines").await.id, &key("form")).await.unwrap(), None, "it is nobody else's");
    world.clock.advance(Duration::from_secs(2));
    assert_eq!(store.draft(&tess.id, &key("form")).await.unwrap(), None);
    assert_eq!(store.count_stale(Stale::Drafts, Duration::ZERO).await.unwrap(), 1);
    assert_eq!(store.sweep(Stale::Drafts, Duration::ZERO).await.unwrap(), 1);
    let change = Change::Draft { user: tess.id.clone(), key: key("form") };
    assert_eq!(told(&**store, cursor).await.iter().filter(|told| **told == change).count(), 2);
    assert_eq!(save(&world, &world.ambient.id(), "form", 1).await, SaveDraft::NoUser);
}

pub async fn a_user_has_so_many_drafts(world: World) {
    let tess = world.user("tess").await;
    for name in ["a", "b", "c"] {
        assert!(matches!(save(&world, &tess.id, name, 1).await, SaveDraft::Saved(_)));
    }
    assert_eq!(save(&world, &tess.id, "d", 1).await, SaveDraft::TooMany);
    assert!(matches!(save(&world, &tess.id, "a", 2).await, SaveDraft::Saved(_)), "one of them may be saved anew");
    world.clock.advance(DAY);
    assert!(matches!(save(&world, &tess.id, "d", 1).await, SaveDraft::Saved(_)), "those that are over do not count");
}

pub async fn a_draft_that_was_deleted_comes_back_newer(world: World) {
    let (store, tess) = (&world.store, world.user("tess").await);
    for n in 0..3 {
        save(&world, &tess.id, "form", n).await;
    }
    let old = store.draft(&tess.id, &key("form")).await.unwrap().unwrap();
    assert!(store.delete_draft(&tess.id, &key("form")).await.unwrap());
    assert!(!store.delete_draft(&tess.id, &key("form")).await.unwrap());
    assert_eq!(store.draft(&tess.id, &key("form")).await.unwrap(), None);
    world.clock.advance(Duration::from_millis(3));
    let SaveDraft::Saved(anew) = save(&world, &tess.id, "form", 4).await else { panic!() };
    assert!(anew.version > old.version, "no copy of the one before counts as newer");
}

pub async fn a_closed_account_is_signed_out_and_may_come_back(world: World) {
    let (store, tess) = (&world.store, world.user("tess").await);
    let (phone, desk) = (world.session(&tess, "phone").await, world.session(&tess, "desk").await);
    let cursor = store.last_change().await.unwrap();
    let closed = store.close_account(&tess.id, 7 * DAY).await.unwrap().unwrap();
    assert_eq!(closed.erase_at, world.now().plus(7 * DAY));
    for session in [&phone, &desk] {
        assert!(store.member(&session.token_hash).await.unwrap().is_none());
        let change =
            Change::Session { token: session.token_hash.clone(), id: session.id.clone(), user: tess.id.clone() };
        assert!(closed.changes.contains(&change) && told(&**store, cursor).await.contains(&change));
    }
    let user = Change::User { id: tess.id.clone(), username: "tess".into() };
    assert!(told(&**store, cursor).await.contains(&user));
    // A sign-in that was under way gets nowhere.
    let late = world.session(&tess, "late").await;
    assert!(store.member(&late.token_hash).await.unwrap().is_none());
    assert_eq!(store.credentials("tess").await.unwrap().unwrap().user.erase_at, Some(closed.erase_at));
    world.clock.advance(DAY);
    let again = store.close_account(&tess.id, 7 * DAY).await.unwrap().unwrap();
    assert_eq!(again.erase_at, closed.erase_at, "its day does not move");

    assert!(store.restore_account(&tess.id).await.unwrap());
    assert!(!store.restore_account(&tess.id).await.unwrap());
    assert_eq!(store.user(&tess.id).await.unwrap().unwrap().erase_at, None);
    world.clock.advance(MONTH);
    assert!(store.accounts_to_erase(10).await.unwrap().is_empty());
    assert!(store.close_account(&world.ambient.id(), DAY).await.unwrap().is_none());
}

pub async fn an_account_is_erased_when_its_grace_is_over(world: World) {
    let (store, tess) = (&world.store, world.user("tess").await);
    store.save_preferences(&tess.id, &object(json!({ "a": 1 }))).await.unwrap();
    save(&world, &tess.id, "form", 1).await;
    store.close_account(&tess.id, 7 * DAY).await.unwrap().unwrap();
    world.clock.advance(7 * DAY - Duration::from_millis(1));
    assert!(store.accounts_to_erase(10).await.unwrap().is_empty());
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(store.accounts_to_erase(10).await.unwrap(), std::slice::from_ref(&tess.id));
    assert!(!store.restore_account(&tess.id).await.unwrap(), "its time is over");
    let cursor = store.last_change().await.unwrap();
    assert!(store.delete_user(&tess.id).await.unwrap());
    assert_eq!(store.preferences(&tess.id).await.unwrap(), None);
    assert_eq!(store.draft(&tess.id, &key("form")).await.unwrap(), None);
    let told = told(&**store, cursor).await;
    assert!(told.contains(&Change::Preferences { user: tess.id.clone() }), "{told:?}");
    assert!(told.contains(&Change::Draft { user: tess.id.clone(), key: key("form") }), "{told:?}");
    assert!(store.accounts_to_erase(10).await.unwrap().is_empty());
}
