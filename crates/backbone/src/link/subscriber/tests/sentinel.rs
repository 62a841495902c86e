//! Subscriptions of a master that Sentinel replaces.

use super::*;
use aim_testkit::RedisSentinel;

/// A failover takes the sentinels some seconds, and recovery 5 s after it.
const FAILOVER: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriptions_follow_the_master() {
    let redis = RedisSentinel::start().await.unwrap();
    let (subscriber, mut heard) = subscriber(redis.url());
    until("it is subscribed", RECOVERY, async || subscriber.want("a").await.is_ok()).await;
    while heard.try_recv().is_ok() {}
    for killed in [true, false] {
        if killed {
            redis.kill_master().await.unwrap().restart().await.unwrap();
        } else {
            redis.failover().await.unwrap();
        }
        redis.settled().await.unwrap();
        let told = async {
            loop {
                redis.master().await.unwrap().command(&["PUBLISH", "a", "1"]).await.unwrap();
                while let Ok(one) = heard.try_recv() {
                    if one == message("a", "1") {
                        return;
                    }
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(FAILOVER, told).await.expect("it is heard from the new master");
    }
}
