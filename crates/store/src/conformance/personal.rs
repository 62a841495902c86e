//! Settings, drafts, and accounts that are closed.

use super::World;
use super::world::MONTH;
use crate::{
    Change, MessagePage, OtherVariant, Preferences, Redo, RedoReply, SaveDraft, SavePreferences, Sent, Stale, Store,
};
use aim_domain::{Conversation, DraftKey, ReplyState, User, UserId};
use futures::future::join_all;
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

fn saved(outcome: SavePreferences) -> Preferences {
    match outcome {
        SavePreferences::Saved(preferences) => preferences,
        other => panic!("{other:?}"),
    }
}

pub async fn preferences_are_replaced_whole_and_told(world: World) {
    let (store, tess) = (&world.store, world.user("tess").await);
    assert_eq!(store.preferences(&tess.id).await.unwrap(), None);
    let cursor = store.last_change().await.unwrap();
    let first = object(json!({ "theme": "dark", "favourites": ["mara"], "odd": "a\u{0}b é" }));
    let now = saved(store.save_preferences(&tess.id, &first, None).await.unwrap());
    assert_eq!((&now.body, now.version), (&first, 1));
    let second = object(json!({ "theme": "light" }));
    let now = saved(store.save_preferences(&tess.id, &second, None).await.unwrap());
    assert_eq!((&now.body, now.version), (&second, 2));
    assert_eq!(world.another().await.preferences(&tess.id).await.unwrap(), Some(now));
    let change = Change::Preferences { user: tess.id.clone() };
    assert_eq!(told(&**store, cursor).await, vec![change.clone(), change]);
    assert_eq!(store.save_preferences(&world.ambient.id(), &second, None).await.unwrap(), SavePreferences::NoUser);
}

pub async fn preferences_of_a_version_are_replaced_once(world: World) {
    let (store, tess) = (&world.store, world.user("tess").await);
    let body = |n: i64| object(json!({ "n": n }));
    let save = async |n, version| store.save_preferences(&tess.id, &body(n), Some(version)).await.unwrap();
    assert_eq!(save(1, 1).await, SavePreferences::Stale, "there is none yet");
    assert_eq!(saved(save(1, 0).await).version, 1);
    assert_eq!(save(2, 0).await, SavePreferences::Stale);
    assert_eq!(saved(save(2, 1).await).version, 2);
    let nobody = store.save_preferences(&world.ambient.id(), &body(3), Some(0)).await.unwrap();
    assert_eq!(nobody, SavePreferences::NoUser);
    let cursor = store.last_change().await.unwrap();
    // Of all who knew the same, on two servers, one is taken.
    let other = world.another().await;
    let saves = (0..20).map(|n| {
        let (store, body, tess) = (if n % 2 == 0 { store } else { &other }, body(100 + n), tess.id.clone());
        async move { store.save_preferences(&tess, &body, Some(2)).await.unwrap() }
    });
    let outcomes = join_all(saves).await;
    let taken: Vec<_> = outcomes.into_iter().filter(|outcome| *outcome != SavePreferences::Stale).map(saved).collect();
    assert_eq!((taken.len(), taken[0].version), (1, 3));
    assert_eq!(store.preferences(&tess.id).await.unwrap(), Some(taken[0].clone()));
    assert_eq!(told(&**store, cursor).await, [Change::Preferences { user: tess.id.clone() }]);
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

pub async fn what_a_closed_account_waits_for_is_cancelled(world: World) {
    let (owner, mara, conversation) = world.pair().await;
    let guest = world.user("guest").await;
    world.store.add_member(&conversation.id, &owner.id, &guest.id).await.unwrap();
    let say = async |user: &User, text: &str| {
        let sent = world.store.send_message(world.message(&conversation, &user.id, text)).await.unwrap();
        let Sent::Accepted { message, .. } = sent else { panic!("{sent:?}") };
        message
    };
    let first = say(&guest, "under way").await;
    let theirs = say(&owner, "stays").await;
    let waits = say(&guest, "waits").await;
    let server = world.server().await;
    let claim = world.claimed(&conversation, &server).await;
    assert_eq!(claim.message.id, first.id);
    let cursor = world.store.last_change().await.unwrap();
    let closed = world.store.close_account(&guest.id, 7 * DAY).await.unwrap().unwrap();
    let cancel = Change::Cancel { conversation: conversation.id.clone(), fence: claim.fence };
    let gone = Change::Withdrawn { conversation: conversation.id.clone() };
    assert!(closed.changes.contains(&cancel) && closed.changes.contains(&gone), "{:?}", closed.changes);
    assert_eq!(told(&*world.store, cursor).await, closed.changes);
    let [one] = closed.withdrawn.as_slice() else { panic!("{:?}", closed.withdrawn) };
    assert_eq!((&one.conversation, &one.character), (&conversation.id, &mara.id));
    let cancelled: Vec<_> = one.messages.iter().map(|message| (&message.id, message.reply_state)).collect();
    assert_eq!(cancelled, [(&waits.id, Some(ReplyState::Cancelled))]);
    world.end(&claim, ReplyState::Cancelled).await;
    assert_eq!(world.claimed(&conversation, &server).await.message.id, theirs.id, "others are answered");
}

pub async fn an_account_is_erased_when_its_grace_is_over(world: World) {
    let (store, tess) = (&world.store, world.user("tess").await);
    store.save_preferences(&tess.id, &object(json!({ "a": 1 })), None).await.unwrap();
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

pub async fn what_is_taken_along_has_every_answer_and_what_was_deleted(world: World) {
    let (store, server) = (&world.store, world.server().await);
    let (tess, _, talk) = world.pair().await;
    let (ines, zoe) = (world.user("ines").await, world.user("zoe").await);
    store.add_member(&talk.id, &tess.id, &ines.id).await.unwrap();
    world.send(&talk, "first").await;
    world.answer(&talk, &server, "one").await;
    let asked = world.message(&talk, &ines.id, "second");
    let Sent::Accepted { .. } = store.send_message(asked).await.unwrap() else { panic!() };
    let reply = world.answer(&talk, &server, "two").await;
    for text in ["two again", "two at last"] {
        let redo = RedoReply { conversation: talk.id.clone(), message: reply.id.clone(), how: Redo::Variant };
        store.redo_reply(redo).await.unwrap().unwrap();
        world.answer(&talk, &server, text).await;
    }
    store.select_variant(&talk, &reply.id, 1).await.unwrap().unwrap();
    let page = async |who: &User, after, limit| -> Option<MessagePage> {
        store.own_messages(&talk.id, &who.id, MONTH, after, limit).await.unwrap()
    };
    let others = async |who: &User, talk: &Conversation, seq| -> Vec<OtherVariant> {
        store.other_variants(&talk.id, &who.id, MONTH, seq).await.unwrap()
    };
    let all = world.all_messages(&talk).await;
    let whole = page(&tess, 0, 10).await.unwrap();
    assert_eq!((&whole.items, whole.has_more), (&all, false));
    let first = page(&ines, 0, 3).await.unwrap();
    assert_eq!((&first.items[..], first.has_more), (&all[..3], true));
    let rest = page(&ines, 3, 3).await.unwrap();
    assert_eq!((&rest.items[..], rest.has_more), (&all[3..], false));
    assert_eq!(page(&ines, 4, 3).await, Some(MessagePage { items: vec![], has_more: false }));
    assert_eq!(page(&zoe, 0, 10).await, None);
    for who in [&tess, &ines] {
        let told = others(who, &talk, 4).await;
        let told: Vec<_> = told.iter().map(|other| (other.number, other.text.as_str())).collect();
        assert_eq!(told, [(0, "two"), (2, "two at last")], "but for the chosen one");
    }
    assert_eq!((others(&zoe, &talk, 4).await, others(&tess, &talk, 2).await), (vec![], vec![]));

    // What was answered to the owner is no guest's to choose among.
    let third = world.send(&talk, "third").await;
    world.answer(&talk, &server, "three").await;
    let redo = RedoReply { conversation: talk.id.clone(), message: third.id, how: Redo::Variant };
    store.redo_reply(redo).await.unwrap().unwrap();
    world.answer(&talk, &server, "three again").await;
    assert_eq!((others(&tess, &talk, 6).await.len(), others(&ines, &talk, 6).await.len()), (1, 0));

    let all = world.all_messages(&talk).await;
    assert!(store.delete_conversation(&talk.id, &tess.id).await.unwrap());
    assert_eq!(page(&tess, 0, 10).await.unwrap().items, all);
    assert_eq!(others(&tess, &talk, 4).await.len(), 2);
    assert_eq!((page(&ines, 0, 10).await, others(&ines, &talk, 4).await), (None, vec![]), "it is its owner's alone");
    world.clock.advance(MONTH);
    assert_eq!((page(&tess, 0, 10).await, others(&tess, &talk, 4).await), (None, vec![]), "it is lost");
}
