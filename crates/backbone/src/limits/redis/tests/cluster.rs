//! In a Cluster, where questions about different subjects are in different slots.

use super::*;
use crate::conformance::guarded::RedisCluster;
use crate::conformance::limits as promises;

async fn link(cluster: &RedisCluster, prefix: &str) -> Link {
    let link =
        Link::open("main", Settings { url: cluster.url(), prefix: prefix.into(), ..Settings::default() }).unwrap();
    assert!(link.ready(PATIENCE).await);
    link
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cluster_keeps_the_promises_and_takes_back_what_another_slot_refuses() {
    let cluster = RedisCluster::start(3, 0).await.unwrap();
    let open = async |prefix: &str| -> Bench<dyn Limits> {
        let limits = RedisLimits::new(link(&cluster, prefix).await.client("limits"));
        let limits: Arc<dyn Limits> = Arc::new(Patient(Arc::new(limits)));
        Bench::waiting(limits, Arc::new(SystemClock))
    };
    promises::exactly_the_limit_is_admitted_in_a_window(open("aim:a:").await).await;
    promises::several_rules_admit_together_or_none_counts(open("aim:b:").await).await;
    promises::one_question_twice_in_a_call_counts_twice(open("aim:c:").await).await;
    promises::a_repeated_name_is_admitted_and_not_counted(open("aim:d:").await).await;
    promises::a_cleared_window_is_empty(open("aim:e:").await).await;
    promises::asked_at_once_the_limit_is_exact(open("aim:f:").await).await;
    promises::asked_crosswise_nobody_waits_for_ever(open("aim:g:").await).await;

    let limits = RedisLimits::new(link(&cluster, "aim:h:").await.client("limits"));
    let wide = |n: u32| ask(Rule::Api, &format!("u{n}"), 10, 60_000, 0);
    let mut asks: Vec<Ask> = (0..8).map(wide).collect();
    asks.push(Ask { once: Some("talk/1".into()), ..ask(Rule::Messaging, "u0", 10, 60_000, 0) });
    assert!(limits.admit(&asks).await.unwrap().is_admitted());
    asks.push(ask(Rule::Ai, "u9", 0, 60_000, 0));
    asks[8].once = Some("talk/2".into());
    for _ in 0..3 {
        let verdict = limits.admit(&asks).await.unwrap();
        assert_eq!(verdict.refused, Some((9, Duration::from_secs(60))));
        assert!(verdict.standings[..9].iter().all(|standing| standing.remaining == 9), "{:?}", verdict.standings);
    }
    asks.pop();
    let verdict = limits.admit(&asks).await.unwrap();
    assert!(verdict.is_admitted() && verdict.standings.iter().all(|standing| standing.remaining == 8));
}
