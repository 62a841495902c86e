//! What it costs Redis, in calls and in time.

use super::*;

#[tokio::test]
async fn entering_renewing_and_finishing_are_one_call_each() {
    let world = World::new().await;
    let turns = world.turns(Settings::default());
    let go = async |held: Turn, waiting: Turn| {
        turns.enter(held.clone()).await.unwrap();
        turns.enter(waiting.clone()).await.unwrap();
        turns.renew(&held).await.unwrap();
        turns.finish(&held).await.unwrap();
        turns.finish(&waiting).await.unwrap();
    };
    // The scripts are sent along the first time.
    go(turn("otto", "a", "a1"), turn("otto", "b", "b1")).await;
    let before = world.scripts().await.0;
    go(turn("mara", "a", "a1"), turn("mara", "b", "b1")).await;
    assert_eq!(world.scripts().await.0 - before, 5);
}

/// Redis's own time for one who enters and one who finishes, with so many before; printed, and asserted with a wide
/// margin.
#[tokio::test]
async fn ten_thousand_that_wait_cost_redis_little() {
    const TIMES: u64 = 500;
    let world = World::new().await;
    let turns = world.turns(Settings::default());
    let mut under_way = turn("mara", "first", "first");
    turns.enter(under_way.clone()).await.unwrap();
    let mut waiting = 0;
    for target in [0, 1, 100, 10_000] {
        while waiting < target {
            let name = format!("0192f0c1-7e2a-7d53-b0a4-{waiting:012}");
            turns.enter(Turn { premium: waiting % 5 == 0, ..turn("mara", &name, &name) }).await.unwrap();
            waiting += 1;
        }
        for premium in [false, true] {
            let before = world.scripts().await.1;
            for n in 0..TIMES {
                let name = format!("0192f0c1-7e2a-7d53-b{}a5-{target:06}{n:06}", u8::from(premium));
                turns.enter(Turn { premium, ..turn("mara", &name, &name) }).await.unwrap();
                under_way = turns.finish(&under_way).await.unwrap().granted.remove(0);
            }
            let both = (world.scripts().await.1 - before) / TIMES;
            println!("{target:>6} waiting, premium {premium:>5}: enter and finish {both:>4} µs");
            assert!(both < 5_000);
        }
    }
}

/// Redis's own time for one operation, by what else there is of the character; printed, and asserted with a wide margin.
#[tokio::test]
async fn what_else_waits_or_is_under_way_costs_redis_little() {
    const TIMES: usize = 1_000;
    let world = World::new().await;
    let many = world.turns(Settings { replies_per_character: 1_000, ..Settings::default() });
    let one = world.turns(Settings::default());
    let id = |of: usize, n: usize| format!("0192f0c1-7e2a-7d53-{of:04}-{n:012}");
    let report = async |what: &str, before: (u64, u64)| {
        let after = world.scripts().await;
        let each = (after.1 - before.1) as f64 / (after.0 - before.0) as f64;
        println!("{what:<60}{each:>7.1} µs");
        assert!(each < 1_000.0, "{what}");
        after
    };
    // Scripts are sent along the first time.
    one.enter(turn("otto", "a", "a1")).await.unwrap();
    one.finish(&turn("otto", "a", "a1")).await.unwrap();

    let mut done = world.scripts().await;
    for n in 0..TIMES {
        one.enter(turn("otto", "a", &id(0, n))).await.unwrap();
        one.finish(&turn("otto", "a", &id(0, n))).await.unwrap();
    }
    done = report("an idle character, enter or finish", done).await;
    for n in 0..TIMES {
        one.enter(turn("mara", "a", &id(1, n))).await.unwrap();
    }
    done = report("many wait in one conversation, enter", done).await;
    for n in 0..TIMES {
        one.finish(&turn("mara", "a", &id(1, n))).await.unwrap();
    }
    done = report("many wait in one conversation, finish", done).await;
    for n in 0..50 {
        many.enter(turn("nina", &id(2, n), &id(2, n))).await.unwrap();
    }
    done = report("conversations get under way, enter", done).await;
    for n in 0..TIMES {
        many.enter(turn("nina", &id(3, n), &id(3, n))).await.unwrap();
        many.finish(&turn("nina", &id(3, n), &id(3, n))).await.unwrap();
    }
    done = report("50 conversations under way, enter or finish of another", done).await;
    let mut held = turn("lena", &id(4, 0), &id(4, 0));
    for n in 0..50 {
        one.enter(turn("lena", &id(4, n), &id(4, n))).await.unwrap();
    }
    done = report("conversations join a line, enter", done).await;
    for n in 50..50 + TIMES {
        let next = one.finish(&held).await.unwrap().granted.remove(0);
        one.enter(turn("lena", held.conversation.as_str(), &id(4, n))).await.unwrap();
        held = next;
    }
    done = report("50 conversations in turn, finish and tell all, or enter", done).await;
    for _ in 0..TIMES {
        assert!(one.renew(&held).await.unwrap());
    }
    report("renew", done).await;
}
