//! The lines in a Redis Cluster, where the index of leases has a slot of its own.

use super::*;
use crate::conformance::guarded::RedisCluster;
use crate::conformance::turns as suite;
use std::time::Instant;

const LEASE: Duration = Duration::from_secs(2);

async fn turns_of(cluster: &RedisCluster, prefix: &str, settings: Settings) -> Patient<RedisTurns> {
    Patient(RedisTurns::new(link(cluster.url(), prefix).await.client("turns"), settings))
}

async fn indexed(turns: &RedisTurns) -> u64 {
    let mut cmd = redis::cmd("ZCARD");
    cmd.arg(turns.names.turn_leases());
    turns.client.query(Need::Read, &cmd).await.unwrap()
}

macro_rules! keeps {
    ($cluster:expr, $($promise:ident),+ $(,)?) => { $(
        let turns: Arc<dyn Turns> =
            Arc::new(turns_of($cluster, concat!("aim:", stringify!($promise), ":"), suite::settings::$promise()).await);
        suite::$promise(Bench::waiting(turns, Arc::new(SystemClock))).await;
    )+ };
}

#[tokio::test]
async fn a_cluster_keeps_every_promise() {
    let cluster = RedisCluster::start(3, 0).await.unwrap();
    keeps!(
        &cluster,
        a_free_turn_is_granted_at_once,
        a_character_gives_one_reply_at_a_time_and_others_know_their_position,
        a_conversation_is_answered_in_order_one_message_at_a_time,
        conversations_of_one_character_take_turns,
        premium_goes_first_within_its_bound,
        more_slots_serve_more_at_once,
        entering_twice_is_entering_once,
        a_renewed_lease_lasts_and_one_that_is_not_frees_its_slot,
        a_withdrawn_message_is_never_granted,
        finishing_what_holds_no_slot_frees_none,
        positions_are_told_from_the_front_alone,
        a_position_is_the_number_of_replies_before,
    );
}

/// Characters in every slot; the second turn of each was granted by a finish, which covers nobody.
#[tokio::test]
async fn in_a_cluster_a_dead_servers_slots_are_granted_anew_and_the_index_shrinks_again() {
    let cluster = RedisCluster::start(3, 0).await.unwrap();
    let settings = Settings { lease: LEASE, ..Settings::default() };
    let dead = turns_of(&cluster, "aim:", settings).await;
    let character = |n: usize| format!("h{n}");
    for n in 0..60 {
        for message in ["a", "b", "c"] {
            dead.enter(turn(&character(n), &format!("{message}{n}"), &format!("{message}{n}"))).await.unwrap();
        }
    }
    assert_eq!(indexed(&dead).await, 60);
    // Leases are renewed past the index's first times, visited, and given on by a finish.
    let until = Instant::now() + LEASE * 2;
    while Instant::now() < until {
        for n in 0..60 {
            assert!(dead.renew(&turn(&character(n), &format!("a{n}"), &format!("a{n}"))).await.unwrap());
        }
        assert_eq!(dead.expire().await.unwrap(), Moved::default());
        tokio::time::sleep(LEASE / 5).await;
    }
    for n in 0..60 {
        let moved = dead.finish(&turn(&character(n), &format!("a{n}"), &format!("a{n}"))).await.unwrap();
        assert_eq!(moved.granted.len(), 1);
    }
    let ended = Instant::now() + LEASE;
    drop(dead);
    let other = turns_of(&cluster, "aim:", settings).await;
    let mut granted = Vec::new();
    while granted.len() < 60 && Instant::now() < ended + Duration::from_secs(5) {
        tokio::time::sleep(Duration::from_millis(200)).await;
        granted.extend(other.expire().await.unwrap().granted);
    }
    assert!(Instant::now() < ended + Duration::from_secs(1), "{:?} late", ended.elapsed());
    assert!(granted.iter().all(|turn| turn.message.as_str().starts_with('c')));
    assert_eq!(other.granted(Duration::ZERO).await.unwrap().len(), 60);
    for turn in &granted {
        other.finish(turn).await.unwrap();
    }
    // What is idle is found so when it is due.
    tokio::time::sleep(LEASE).await;
    assert_eq!(other.expire().await.unwrap(), Moved::default());
    assert_eq!(indexed(&other).await, 0);
}

#[tokio::test]
async fn in_a_cluster_turns_that_somebody_looks_after_are_not_listed_nor_visited_again() {
    let cluster = RedisCluster::start(3, 0).await.unwrap();
    let turns = turns_of(&cluster, "aim:", Settings { lease: LEASE * 3, ..Settings::default() }).await;
    let held: Vec<_> = (0..20).map(|n| turn(&format!("h{n}"), &format!("c{n}"), &format!("m{n}"))).collect();
    for turn in &held {
        turns.enter(turn.clone()).await.unwrap();
    }
    let quiet = LEASE;
    tokio::time::sleep(quiet).await;
    assert_eq!(turns.granted(quiet).await.unwrap().len(), 20);
    for turn in &held {
        turns.renew(turn).await.unwrap();
    }
    let soon = async || {
        let call = SOON.call(&[turns.leases.as_str()]).arg(millis(LEASE * 3) - millis(quiet)).arg(LISTED);
        turns.client.script::<Vec<(String, String)>>(Need::Write, &call).await.unwrap().len()
    };
    assert_eq!(soon().await, 20, "the renewals did not write the index");
    assert_eq!(turns.granted(quiet).await.unwrap(), []);
    assert_eq!(soon().await, 0, "the visit did");
}
