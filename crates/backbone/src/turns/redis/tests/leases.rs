//! The index of leases: it finds what is over, at next to no cost, and outlives neither its use nor its loss.

use super::*;
use std::time::Instant;

const LEASE: Duration = Duration::from_secs(1);

fn settings() -> Settings {
    Settings { lease: LEASE, ..Settings::default() }
}

#[tokio::test]
async fn a_dead_servers_slots_are_granted_anew_by_another_within_a_second_of_the_leases_end() {
    let world = World::new().await;
    let settings = Settings { lease: LEASE * 2, ..settings() };
    let dead = world.another(settings).await;
    for n in 0..250 {
        dead.enter(turn(&format!("h{n}"), &format!("a{n}"), &format!("a{n}"))).await.unwrap();
        dead.enter(turn(&format!("h{n}"), &format!("b{n}"), &format!("b{n}"))).await.unwrap();
    }
    let ended = Instant::now() + settings.lease;
    drop(dead);
    let (one, other) = (world.turns(settings), world.another(settings).await);
    let mut granted = Vec::new();
    while granted.len() < 250 && Instant::now() < ended + Duration::from_secs(5) {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let (one, other) = tokio::join!(one.expire(), other.expire());
        granted.extend([one.unwrap().granted, other.unwrap().granted].concat());
    }
    assert!(Instant::now() < ended + Duration::from_secs(1), "{:?} late", ended.elapsed());
    let distinct: HashSet<_> = granted.iter().map(|turn| turn.message.clone()).collect();
    assert_eq!((granted.len(), distinct.len()), (250, 250));
    assert!(granted.iter().all(|turn| turn.message.as_str().starts_with('b')));
}

#[tokio::test]
async fn nothing_due_costs_one_command_and_what_is_idle_is_in_no_index() {
    let world = World::new().await;
    let turns = world.turns(Settings::default());
    let held: Vec<_> = (0..300).map(|n| turn(&format!("h{n}"), &format!("c{n}"), &format!("m{n}"))).collect();
    for turn in &held {
        turns.enter(turn.clone()).await.unwrap();
    }
    assert_eq!(world.number(&["ZCARD", "aim:turn:2:leases"]).await, 300);
    assert_eq!(turns.expire().await.unwrap(), Moved::default());
    let before = world.scripts().await.0;
    for _ in 0..10 {
        assert_eq!(turns.expire().await.unwrap(), Moved::default());
    }
    assert_eq!(world.scripts().await.0 - before, 10);
    assert_eq!(turns.granted(Duration::ZERO).await.unwrap().len(), 300);
    for turn in &held {
        turns.finish(turn).await.unwrap();
    }
    assert!(world.keys().await.is_empty());
}

#[tokio::test]
async fn turns_that_somebody_looks_after_are_not_listed() {
    let world = World::new().await;
    let turns = world.turns(Settings { lease: LEASE * 4, ..settings() });
    let (first, second) = (turn("mara", "a", "a1"), turn("otto", "b", "b1"));
    turns.enter(first.clone()).await.unwrap();
    turns.enter(second.clone()).await.unwrap();
    let quiet = LEASE * 2;
    assert_eq!(turns.granted(quiet).await.unwrap(), []);
    tokio::time::sleep(quiet).await;
    assert_eq!(turns.granted(quiet).await.unwrap().len(), 2);
    turns.renew(&first).await.unwrap();
    assert_eq!(turns.granted(quiet).await.unwrap(), std::slice::from_ref(&second));
    assert_eq!(turns.granted(Duration::ZERO).await.unwrap().len(), 2);
}

/// A grant leaves an earlier time in the index, which costs a visit and misleads nobody.
#[tokio::test]
async fn a_turn_granted_after_another_is_listed_and_taken_back_by_its_own_lease() {
    let (world, lease) = (World::new().await, LEASE * 2);
    let turns = world.turns(Settings { lease, ..settings() });
    let (first, second) = (turn("mara", "a", "a1"), turn("mara", "b", "b1"));
    turns.enter(first.clone()).await.unwrap();
    turns.enter(second.clone()).await.unwrap();
    let end = async || world.redis.command(&["ZSCORE", "aim:turn:2:leases", "mara"]).await.unwrap().text();
    let of_first = end().await;
    tokio::time::sleep(lease / 2).await;
    assert_eq!(names(&turns.finish(&first).await.unwrap()), ["b1"]);
    assert_eq!(end().await, of_first);
    assert_eq!(turns.granted(lease / 4).await.unwrap(), []);
    assert!(end().await > of_first, "who looked wrote what it found");
    tokio::time::sleep(lease * 3 / 4).await;
    assert_eq!(turns.expire().await.unwrap(), Moved::default(), "the lease of the first would be over");
    assert!(turns.knows(&second).await.unwrap());
    tokio::time::sleep(lease / 2).await;
    assert_eq!(told(&turns.expire().await.unwrap())["b"].state, Phase::Idle);
    assert!(world.keys().await.is_empty());
}

#[tokio::test]
async fn one_server_visits_a_character_and_another_comes_when_it_did_not() {
    let world = World::new().await;
    let (turns, held) = (world.turns(settings()), turn("mara", "a", "a1"));
    turns.enter(held.clone()).await.unwrap();
    tokio::time::sleep(LEASE).await;
    // A server that finds it, and dies before it comes to it.
    let again = AGAIN * 4;
    let call = DUE.call(&["aim:turn:2:leases"]).arg(millis(again)).arg(BATCH).arg(10_000);
    let (_, _, found) = turns.client.script::<(u64, i64, Vec<String>)>(Need::Write, &call).await.unwrap();
    assert_eq!(found, ["mara"]);
    assert_eq!(turns.expire().await.unwrap(), Moved::default(), "left to the other");
    assert!(turns.knows(&held).await.unwrap());
    tokio::time::sleep(again).await;
    assert_eq!(told(&turns.expire().await.unwrap())["a"].state, Phase::Idle);
    assert!(world.keys().await.is_empty());
}

#[tokio::test]
async fn a_lost_index_is_put_right_by_the_next_renewal() {
    let world = World::new().await;
    let (turns, held) = (world.turns(settings()), turn("mara", "a", "a1"));
    turns.enter(held.clone()).await.unwrap();
    world.number(&["DEL", "aim:turn:2:leases"]).await;
    assert!(turns.renew(&held).await.unwrap());
    tokio::time::sleep(LEASE).await;
    assert_eq!(told(&turns.expire().await.unwrap())["a"].state, Phase::Idle);
}

#[tokio::test]
async fn keys_end_when_nobody_gives_or_renews_a_lease_whoever_waits() {
    let world = World::new().await;
    let turns = world.turns(settings());
    let held = turn("mara", "a", "a1");
    turns.enter(held.clone()).await.unwrap();
    tokio::time::sleep(LEASE).await;
    turns.enter(turn("mara", "b", "b1")).await.unwrap();
    let keys = world.keys().await;
    assert_eq!(keys.len(), 3, "{keys:?}");
    for key in &keys {
        let left = world.number(&["PTTL", key]).await;
        assert!((1..=millis(LEAST_KEEP)).contains(&left), "{key} lasts {left} ms");
    }
    let left = async |part: &str| world.number(&["PTTL", &format!("aim:turn:2:mara:{part}")]).await;
    assert!(left("rooms").await <= millis(LEAST_KEEP - LEASE) && left("places").await <= millis(LEAST_KEEP - LEASE));
    turns.renew(&held).await.unwrap();
    assert!(left("rooms").await > millis(LEAST_KEEP - LEASE) && left("places").await > millis(LEAST_KEEP - LEASE));
}
