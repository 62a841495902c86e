//! Every form of Redis that an address can name, for real: TLS, users, sockets, Sentinel, Cluster.

use super::*;
use aim_testkit::cluster::RedisCluster;
use aim_testkit::redis::RedisServer;
use aim_testkit::sentinel::RedisSentinel;

/// What a failover takes here, detection included, and the way back.
const FAILOVER: Duration = Duration::from_secs(20);

async fn set_and_get(client: &Client, key: &str) -> Result<u64, Fault> {
    client.query::<()>(Need::Write, redis::cmd("SET").arg(key).arg(7)).await?;
    client.query(Need::Read, redis::cmd("GET").arg(key)).await
}

async fn reaches(settings: Settings) -> Client {
    let link = Link::open("main", settings).unwrap();
    assert!(link.ready(PATIENCE).await);
    let client = link.client("test");
    assert_eq!(set_and_get(&client, "aim:a").await.unwrap(), 7);
    client
}

/// Sets and gets until it works again.
async fn works_again(client: &Client, key: &str) {
    tokio::time::timeout(FAILOVER, async {
        while set_and_get(client, key).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("it works again after a failover");
}

#[tokio::test]
async fn a_socket_and_a_user_with_a_password_are_reached() {
    let redis = RedisServer::builder().unix_socket().user("ada", "p@ss:word", "~* &* +@all").start().await.unwrap();
    reaches(settings(redis.url())).await;
    let redis = RedisServer::builder().user("ada", "p@ss:word", "~* &* +@all").start().await.unwrap();
    reaches(settings(redis.url())).await;
    let nobody = Link::open("main", settings(format!("redis://ada:wrong@{}", redis.address()))).unwrap();
    assert!(!nobody.ready(Duration::from_millis(500)).await, "a wrong password opens nothing");
}

#[tokio::test]
async fn tls_is_checked_against_its_own_authority_and_shows_its_certificate() {
    let redis = RedisServer::builder().mutual_tls().start().await.unwrap();
    let files = redis.certificates().unwrap();
    let tls = TlsFiles {
        ca: Some(files.ca_file.clone()),
        certificate: Some(files.client_cert.clone()),
        key: Some(files.client_key.clone()),
    };
    reaches(Settings { tls, ..settings(redis.url()) }).await;
    let stranger = Link::open("main", settings(redis.url())).unwrap();
    assert!(!stranger.ready(Duration::from_millis(500)).await, "an unknown authority is not believed");
}

#[tokio::test]
async fn a_sentinel_leads_to_the_master_and_to_the_next_one() {
    let redis = RedisSentinel::start().await.unwrap();
    let client = reaches(Settings { read_from_replicas: true, ..settings(redis.url()) }).await;
    let get = redis::cmd("GET").arg("aim:a").to_owned();
    tokio::time::timeout(PATIENCE, async {
        while client.query::<Option<u64>>(Need::LaggingRead, &get).await.unwrap() != Some(7) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    let before = client.link().epoch();
    redis.kill_master().await.unwrap();
    works_again(&client, "aim:a").await;
    assert_ne!(client.link().epoch(), before, "a failover may have lost something");
}

#[tokio::test]
async fn a_cluster_is_reached_whole_and_survives_a_failover() {
    let redis = RedisCluster::start(3, 3).await.unwrap();
    let client = reaches(settings(redis.url())).await;
    // Keys of all masters; those of one slot in a pipeline.
    for n in 0..30 {
        assert_eq!(set_and_get(&client, &format!("aim:{n}")).await.unwrap(), 7);
    }
    assert_eq!(client.script::<u64>(Need::Write, &SUM.call(&["aim:turn:{mara}:n"]).arg(2)).await.unwrap(), 2);
    let mut pipeline = redis::pipe();
    pipeline.cmd("SET").arg("aim:{a}:1").arg(1).cmd("GET").arg("aim:{a}:1");
    let (_, one): (redis::Value, u64) = client.pipeline(Need::Write, &pipeline).await.unwrap();
    assert_eq!(one, 1);
    assert!(client.link().health().await.memory.unwrap().used > 0);
    redis.kill_master(0).await.unwrap();
    for n in 0..30 {
        works_again(&client, &format!("aim:{n}")).await;
    }
}
