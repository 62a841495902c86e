//! Leases, by the store's clock.

use super::World;
use super::world::LEASE;
use crate::{Claimed, Committed};
use aim_domain::{Incarnation, ReplyState};
use std::time::Duration;

pub async fn a_lease_lives_while_it_is_renewed(world: World) {
    let store = &world.store;
    assert_eq!(store.live_servers().await.unwrap(), 0);
    let (server, other) = (world.server().await, world.server().await);
    assert_eq!(store.live_servers().await.unwrap(), 2);
    for _ in 0..5 {
        world.clock.advance(LEASE - Duration::from_millis(1));
        assert!(store.renew_lease(&server, LEASE, true).await.unwrap());
    }
    assert_eq!(store.live_servers().await.unwrap(), 1);
    assert!(!store.renew_lease(&other, LEASE, true).await.unwrap());
}

pub async fn a_lapsed_lease_is_not_renewed(world: World) {
    let store = &world.store;
    let server = world.server().await;
    world.clock.advance(LEASE);
    assert!(!store.renew_lease(&server, LEASE, true).await.unwrap());
    assert!(!store.renew_lease(&server, LEASE, true).await.unwrap(), "nor at a second try");
    assert_eq!(store.live_servers().await.unwrap(), 0);
    let next: Incarnation = world.ambient.id();
    assert!(store.renew_lease(&next, LEASE, true).await.unwrap());
}

pub async fn who_only_works_is_not_counted_among_those_who_serve(world: World) {
    let store = &world.store;
    let worker: Incarnation = world.ambient.id();
    assert!(store.renew_lease(&worker, LEASE, false).await.unwrap());
    assert_eq!(store.live_servers().await.unwrap(), 0);
    world.tick();
    world.server().await;
    assert_eq!(store.live_servers().await.unwrap(), 1);
    assert!(store.leads(&worker).await.unwrap(), "it was there first");
}

pub async fn the_oldest_living_server_leads(world: World) {
    let store = &world.store;
    let old = world.server().await;
    world.tick();
    let young = world.server().await;
    assert!(store.leads(&old).await.unwrap() && !store.leads(&young).await.unwrap());
    world.clock.advance(LEASE / 2);
    assert!(store.renew_lease(&young, LEASE, true).await.unwrap());
    world.clock.advance(LEASE / 2);
    assert!(!store.leads(&old).await.unwrap(), "its lease is over");
    assert!(store.leads(&young).await.unwrap());
    store.end_lease(&young).await.unwrap();
    assert!(!store.leads(&young).await.unwrap());
}

pub async fn nobody_claims_without_a_lease(world: World) {
    let (_, _, conversation) = world.pair().await;
    world.send(&conversation, "hello").await;
    let unknown: Incarnation = world.ambient.id();
    assert_eq!(world.claim(&conversation, &unknown).await, Claimed::NoLease);
    let lapsed = world.server().await;
    world.clock.advance(LEASE);
    assert_eq!(world.claim(&conversation, &lapsed).await, Claimed::NoLease);
    let ended = world.server().await;
    world.store.end_lease(&ended).await.unwrap();
    assert_eq!(world.claim(&conversation, &ended).await, Claimed::NoLease);
}

pub async fn a_dead_holders_claim_is_free(world: World) {
    let store = &world.store;
    let (_, character, conversation) = world.pair().await;
    let ines = world.user("ines").await;
    let second = world.conversation(&ines, &character).await;
    world.send(&conversation, "hello").await;
    world.send(&second, "hello").await;
    let dead = world.server().await;
    let claim = world.claimed(&conversation, &dead).await;
    world.clock.advance(LEASE / 2);
    let server = world.server().await;
    assert_eq!(world.claim(&conversation, &server).await, Claimed::ConversationBusy);
    assert_eq!(world.claim(&second, &server).await, Claimed::CharacterBusy);
    world.clock.advance(LEASE / 2);
    // The dead one's place with the character is free too, and then its message, one at a time.
    let elsewhere = world.claimed(&second, &server).await;
    assert_eq!(world.claim(&conversation, &server).await, Claimed::CharacterBusy);
    world.commit(&elsewhere, "yes").await;
    let again = world.claimed(&conversation, &server).await;
    assert_eq!((again.message, again.attempt), (claim.message.clone(), 1));
    assert!(again.fence > claim.fence);
    assert_eq!(store.live_servers().await.unwrap(), 1);
}

pub async fn an_ended_lease_gives_back_what_it_holds(world: World) {
    let store = &world.store;
    let (_, _, conversation) = world.pair().await;
    world.send(&conversation, "hello").await;
    let (server, other) = (world.server().await, world.server().await);
    let claim = world.claimed(&conversation, &server).await;
    store.end_lease(&server).await.unwrap();
    assert_eq!(store.live_servers().await.unwrap(), 1);
    assert_eq!(store.due_replies(None, 10).await.unwrap().len(), 1);
    assert_eq!(world.commit(&claim, "late").await, Committed::Stale);
    assert!(!store.renew_lease(&server, LEASE, true).await.unwrap());
    let again = world.claimed(&conversation, &other).await;
    assert_eq!(again.message, claim.message);
    store.end_lease(&world.ambient.id()).await.unwrap();
}

pub async fn an_ended_lease_keeps_what_was_told_to_stop_from_being_answered(world: World) {
    let store = &world.store;
    let (_, _, conversation) = world.pair().await;
    let message = world.send(&conversation, "hello").await;
    let (server, other) = (world.server().await, world.server().await);
    world.claimed(&conversation, &server).await;
    store.cancel(&conversation).await.unwrap();
    store.end_lease(&server).await.unwrap();
    assert_eq!(store.due_replies(None, 10).await.unwrap().len(), 1, "so that somebody looks at it");
    let Claimed::Cancelled(cancelled) = world.claim(&conversation, &other).await else { panic!("not cancelled") };
    assert_eq!((cancelled.id, cancelled.reply_state), (message.id, Some(ReplyState::Cancelled)));
    assert_eq!(world.claim(&conversation, &other).await, Claimed::NothingDue);
}
