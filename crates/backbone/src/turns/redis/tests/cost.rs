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
