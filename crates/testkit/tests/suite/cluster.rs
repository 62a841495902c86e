//! The cluster is a real one: keys have their masters, masters can be lost and replaced.

use aim_testkit::{RedisCluster, RedisServer};
use std::time::{Duration, Instant};

/// Puts and reads one key a master, by asking each where it belongs.
async fn every_part_serves(cluster: &RedisCluster, value: &str) {
    for key in ["a", "b", "c", "d", "{room}:1", "{room}:2"] {
        let master = cluster.master_of(key).await.unwrap();
        master.command(&["SET", key, value]).await.unwrap();
        assert_eq!(master.command(&["GET", key]).await.unwrap().text(), value);
    }
}

#[tokio::test]
async fn three_masters_with_replicas_form_and_replace_whom_they_lose() {
    let start = Instant::now();
    let cluster = RedisCluster::start(3, 3).await.unwrap();
    let formed = start.elapsed();
    assert_eq!(cluster.nodes().len(), 6);
    assert!(cluster.url().starts_with("redis+cluster://127.0.0.1:"));
    assert_eq!(cluster.url().split(',').count(), 6);
    every_part_serves(&cluster, "1").await;
    let (one, two) = (cluster.master_of("{room}:1").await.unwrap(), cluster.master_of("{room}:2").await.unwrap());
    assert_eq!(one.port(), two.port());

    let keys = ["a", "b", "c", "d", "{room}:1"];
    cluster.settled().await.unwrap();
    let start = Instant::now();
    let lost = cluster.kill_master(0).await.unwrap();
    assert_eq!(lost.port(), cluster.nodes()[0].port());
    cluster.settled().await.unwrap();
    let replaced = start.elapsed();
    assert_eq!(cluster.masters().await.unwrap()[0].port(), cluster.nodes()[3].port());
    for key in keys {
        let master = cluster.master_of(key).await.unwrap();
        assert_eq!(master.command(&["GET", key]).await.unwrap().text(), "1", "a replica has what its master had");
    }
    every_part_serves(&cluster, "2").await;

    lost.restart().await.unwrap();
    cluster.settled().await.unwrap();
    assert!(lost.command(&["ROLE"]).await.unwrap().texts()[0] == "slave");
    cluster.failover(0).await.unwrap();
    assert_eq!(cluster.masters().await.unwrap()[0].port(), lost.port());
    every_part_serves(&cluster, "3").await;
    assert!(formed < Duration::from_secs(15) && replaced < Duration::from_secs(20), "{formed:?} {replaced:?}");
}

#[tokio::test]
async fn a_cluster_may_have_a_password_and_tls() {
    let builder = RedisServer::builder().password("secret").tls();
    let cluster = RedisCluster::start_with(builder, 1, 1).await.unwrap();
    assert!(cluster.url().starts_with("rediss+cluster://:secret@127.0.0.1:"));
    assert!(cluster.certificates().unwrap().ca_file.exists());
    every_part_serves(&cluster, "1").await;
}
