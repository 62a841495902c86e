//! The sentinels are real: they name the master, and replace it when it is lost.

use aim_testkit::{RedisSentinel, RedisServer};
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_lost_master_is_replaced_and_comes_back_as_a_replica() {
    let start = Instant::now();
    let redis = RedisSentinel::start().await.unwrap();
    let formed = start.elapsed();
    let sentinels: Vec<_> = redis.sentinels().iter().map(|one| one.address().to_string()).collect();
    assert_eq!(redis.url(), format!("redis+sentinel://{}/mymaster", sentinels.join(",")));
    let first = redis.master().await.unwrap();
    assert_eq!(first.port(), redis.servers()[0].port());
    first.command(&["SET", "a", "1"]).await.unwrap();
    redis.settled().await.unwrap();

    let start = Instant::now();
    let lost = redis.kill_master().await.unwrap();
    redis.settled().await.unwrap();
    let replaced = start.elapsed();
    let second = redis.master().await.unwrap();
    assert_ne!(second.port(), lost.port());
    assert_eq!(second.command(&["GET", "a"]).await.unwrap().text(), "1");
    second.command(&["SET", "a", "2"]).await.unwrap();

    let start = Instant::now();
    lost.restart().await.unwrap();
    redis.settled().await.unwrap();
    let returned = start.elapsed();
    assert_eq!(lost.command(&["GET", "a"]).await.unwrap().text(), "2");
    let took = [formed, replaced, returned];
    assert!(took.iter().all(|took| *took < Duration::from_secs(15)), "{took:?}");
}

#[tokio::test]
async fn a_master_hands_over_when_asked() {
    let redis = RedisSentinel::start().await.unwrap();
    let first = redis.master().await.unwrap();
    redis.failover().await.unwrap();
    assert_ne!(redis.master().await.unwrap().port(), first.port());
    assert_eq!(first.command(&["ROLE"]).await.unwrap().texts()[0], "slave");
}

#[tokio::test]
async fn its_servers_may_have_a_user_and_tls() {
    let redis = RedisSentinel::start_with(RedisServer::builder().user("aim", "secret", "~* &* +@all").tls());
    let redis = redis.await.unwrap();
    assert!(redis.url().starts_with("rediss+sentinel://aim:secret@127.0.0.1:"));
    redis.kill_master().await.unwrap();
    redis.settled().await.unwrap();
}
