//! Usage copies of several servers over one Redis, and over a network that breaks.

use super::*;
use crate::conformance::Bench;
use crate::link::{Link, Settings};
use aim_domain::{Kind, SystemClock};
use aim_testkit::chaos_proxy::ChaosProxy;
use aim_testkit::redis::RedisServer;

const PATIENCE: Duration = Duration::from_secs(10);

async fn server(url: String) -> RedisUsage {
    let link = Link::open("main", Settings { url, prefix: "aim:".into(), ..Settings::default() }).unwrap();
    assert!(link.ready(PATIENCE).await);
    RedisUsage::new(link.client("usage"), &Ambient::system())
}

fn names() -> (UserId, CharacterId) {
    (UserId::trusted("u1"), CharacterId::trusted("mara"))
}

fn row(uses: u64) -> UsageCount {
    (0..uses).fold(UsageCount::default(), |row, _| row.raised(Kind::Text, Ambient::system().now()))
}

mod alone {
    use super::*;

    async fn open() -> Bench<dyn Usage> {
        let redis = RedisServer::start().await.unwrap();
        let usage = server(redis.url()).await;
        // It lives as long as the test.
        tokio::spawn(async move {
            let _redis = redis;
            std::future::pending::<()>().await
        });
        Bench::waiting(Arc::new(usage), Arc::new(SystemClock))
    }

    crate::usage_promises!(open);
}

#[tokio::test]
async fn what_one_server_counted_all_show_and_operators_read() {
    let redis = RedisServer::start().await.unwrap();
    let (one, other) = (server(redis.url()).await, server(redis.url()).await);
    let (user, character) = names();
    one.keep(&user, &character, row(3)).await.unwrap();
    assert_eq!(other.of(&user, &character).await.unwrap().unwrap().text, 3);
    other.keep(&user, &character, row(2)).await.unwrap();
    assert_eq!(one.of(&user, &character).await.unwrap().unwrap().text, 3, "an older row overwrites nothing");
    let text = redis.command(&["HGET", "aim:user:usage:u1:mara", "text"]).await.unwrap();
    assert_eq!(text, aim_testkit::resp::Reply::Bulk(b"3".to_vec()));
    let characters = redis.command(&["SISMEMBER", "aim:user:usages:u1", "mara"]).await.unwrap();
    assert_eq!(characters, aim_testkit::resp::Reply::Number(1));
}

#[tokio::test]
async fn a_copy_that_redis_did_not_hear_of_is_not_read_when_it_is_back() {
    let redis = RedisServer::start().await.unwrap();
    let proxy = ChaosProxy::before(redis.address()).await.unwrap();
    let (cut_off, other) = (server(proxy.url()).await, server(redis.url()).await);
    let (user, character) = names();
    cut_off.keep(&user, &character, row(1)).await.unwrap();
    proxy.cut().await;
    cut_off.keep(&user, &character, row(2)).await.unwrap();
    assert_eq!(cut_off.of(&user, &character).await.unwrap(), None, "the store knows");
    proxy.heal().await;
    tokio::time::timeout(PATIENCE, async {
        while other.of(&user, &character).await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("the old copy is deleted");
    tokio::time::timeout(PATIENCE, async {
        while other.of(&user, &character).await.unwrap().is_none_or(|found| found.text != 3) {
            cut_off.keep(&user, &character, row(3)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("and new ones are shared again");
}
