//! Every form of Redis that an address can name, for real: TLS, users, sockets, Sentinel, Cluster.

use super::*;
use crate::conformance::guarded::{self, RedisCluster, RedisSentinel};
use aim_testkit::{Certificates, RedisServer};

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
    reaches(Settings { tls: files(redis.certificates()), ..settings(redis.url()) }).await;
    does_not_reach(settings(redis.url()), "an unknown authority is not believed").await;
}

fn files(certificates: Option<&Certificates>) -> TlsFiles {
    let files = certificates.unwrap();
    TlsFiles {
        ca: Some(files.ca_file.clone()),
        certificate: Some(files.client_cert.clone()),
        key: Some(files.client_key.clone()),
    }
}

async fn does_not_reach(settings: Settings, why: &str) {
    let link = Link::open("main", settings).unwrap();
    assert!(!link.ready(Duration::from_millis(700)).await, "{why}");
}

fn login(username: &str, password: &str) -> Login {
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    Login { username: given(username), password: given(password) }
}

/// Both sides speak TLS alone and ask for a certificate, and each has a password of its own.
#[tokio::test]
async fn sentinels_and_their_servers_with_tls_and_a_password_each_are_reached() {
    let redis =
        RedisSentinel::with(|server| server.mutual_tls(), |sentinel| sentinel.password("sentry")).await.unwrap();
    let settings = Settings { tls: files(redis.certificates()), ..settings(redis.url()) };
    assert!(settings.url.starts_with("rediss+sentinel://aim:"), "{}", settings.url);
    reaches(Settings { sentinel: login("", "sentry"), read_from_replicas: true, ..settings.clone() }).await;
    does_not_reach(settings.clone(), "sentinels ask for a password").await;
    does_not_reach(Settings { sentinel: login("", "p@ss:word"), ..settings.clone() }, "for theirs").await;
    let sentinel = login("", "sentry");
    does_not_reach(Settings { tls: TlsFiles::default(), sentinel, ..settings }, "an unknown authority").await;
}

/// The user of Sentinel may ask who is the master, and nothing else; it is asked again after each failover.
#[tokio::test]
async fn a_user_of_sentinels_own_leads_over_tls_to_the_next_master() {
    let guard = |sentinel: aim_testkit::redis::RedisBuilder| sentinel.user("eve", "sentry", guarded::sentinel_rules());
    let redis = RedisSentinel::with(|server| server.tls(), guard).await.unwrap();
    let tls = TlsFiles { ca: files(redis.certificates()).ca, ..TlsFiles::default() };
    let settings = Settings { tls, sentinel: login("eve", "sentry"), ..settings(redis.url()) };
    let client = reaches(settings.clone()).await;
    does_not_reach(Settings { sentinel: login("", "sentry"), ..settings }, "that is the default user's").await;
    redis.kill_master().await.unwrap();
    works_again(&client, "aim:a").await;
}

#[tokio::test]
async fn a_cluster_with_tls_is_reached_whole() {
    let redis = RedisCluster::with(|node| node.mutual_tls(), 3, 0).await.unwrap();
    let settings = Settings { tls: files(redis.certificates()), ..settings(redis.url()) };
    assert!(settings.url.starts_with("rediss+cluster://aim:"), "{}", settings.url);
    let client = reaches(settings.clone()).await;
    for n in 0..30 {
        assert_eq!(set_and_get(&client, &format!("aim:{n}")).await.unwrap(), 7);
    }
    does_not_reach(Settings { tls: TlsFiles::default(), ..settings }, "an unknown authority is not believed").await;
}

#[tokio::test]
async fn a_sentinel_leads_to_the_master_and_to_the_next_one() {
    let redis = RedisSentinel::with(|server| server, |sentinel| sentinel).await.unwrap();
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
