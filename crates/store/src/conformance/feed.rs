//! The change feed.

use super::World;
use super::world::LEASE;
use crate::{AccountChange, Change, Stale, Store};
use std::sync::Arc;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// All kinds; what goes is what was counted before.
async fn sweep(store: &Arc<dyn Store>, keep: Duration) -> u64 {
    let mut swept = 0;
    for what in Stale::ALL {
        let counted = store.count_stale(what, keep).await.unwrap();
        assert_eq!(store.sweep(what, keep).await.unwrap(), counted, "{what:?}");
        swept += counted;
    }
    swept
}

pub async fn changes_come_in_order_after_a_cursor(world: World) {
    let store = &world.store;
    assert_eq!(store.last_change().await.unwrap(), 0);
    assert!(store.changes(0, 10).await.unwrap().is_empty());
    let user = world.user("tess").await;
    for n in 0..4 {
        let change = AccountChange { display_name: Some(format!("Tess {n}")), ..Default::default() };
        store.change_user(&user.id, change).await.unwrap();
    }
    let all = store.changes(0, 10).await.unwrap();
    assert_eq!(all.len(), 5);
    assert!(all.is_sorted_by_key(|(cursor, _)| *cursor));
    assert_eq!(all.last().map(|(cursor, _)| *cursor), Some(store.last_change().await.unwrap()));
    assert_eq!(store.changes(all[1].0, 2).await.unwrap(), all[2..4]);
    assert!(store.changes(all[4].0, 10).await.unwrap().is_empty());
}

pub async fn what_is_cached_elsewhere_is_told(world: World) {
    let store = &world.store;
    let (user, _, conversation) = world.pair().await;
    let made = store.last_change().await.unwrap();
    world.send(&conversation, "hello").await;
    assert_eq!(store.last_change().await.unwrap(), made, "messages go another way");
    store.change_user(&user.id, AccountChange::default()).await.unwrap();
    store.rename_conversation(&conversation.id, &user.id, "Another").await.unwrap();
    let told: Vec<Change> = store.changes(0, 10).await.unwrap().into_iter().map(|(_, change)| change).collect();
    let user_changed = Change::User { id: user.id, username: "tess".into() };
    let character_made = Change::Character { id: conversation.character_id };
    assert!(told.contains(&character_made), "it may be kept as one that there is not");
    assert_eq!(told.first(), Some(&user_changed), "the name may be kept as one that nobody has");
    assert_eq!(told[made as usize..], [user_changed, Change::Conversation { id: conversation.id }]);
}

pub async fn another_store_sees_the_change(world: World) {
    let user = world.user("tess").await;
    let session = world.session(&user, "secret").await;
    let another = world.another().await;
    assert!(another.member(&session.token_hash).await.unwrap().is_some());
    let cursor = another.last_change().await.unwrap();
    world.store.revoke_session(&user.id, &session.id).await.unwrap();
    assert_eq!(another.changes(cursor, 10).await.unwrap().len(), 1);
    assert!(another.member(&session.token_hash).await.unwrap().is_none());
}

pub async fn a_sweep_takes_what_is_old_and_keeps_the_cursor(world: World) {
    let store = &world.store;
    let user = world.user("tess").await;
    world.session(&user, "secret").await;
    world.server().await;
    for _ in 0..3 {
        store.change_user(&user.id, AccountChange::default()).await.unwrap();
    }
    let last = store.last_change().await.unwrap();
    world.clock.advance(DAY);
    assert_eq!(sweep(store, DAY * 2).await, 0);
    store.change_user(&user.id, AccountChange::default()).await.unwrap();
    world.clock.advance(DAY / 2);
    let live = world.server().await;
    assert_eq!(sweep(store, DAY).await, 5, "the account, three changes and a lease");
    assert_eq!(store.changes(0, 10).await.unwrap().len(), 1);
    world.clock.advance(DAY * 60);
    assert_eq!(sweep(store, DAY).await, 3, "a change, a session, a lease");
    assert!(store.changes(0, 10).await.unwrap().is_empty());
    assert_eq!(store.last_change().await.unwrap(), last + 1, "the cursor does not go back");
    store.change_user(&user.id, AccountChange::default()).await.unwrap();
    assert_eq!(store.changes(last + 1, 10).await.unwrap().len(), 1);
    assert!(store.renew_lease(&live, LEASE, true).await.is_ok());
}
