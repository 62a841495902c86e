//! A Cluster, and replicas that may be read.

use super::*;
use crate::conformance::guarded::RedisCluster;
use aim_testkit::RedisSentinel;

#[tokio::test]
async fn servers_of_one_cluster_share_their_values() {
    let cluster = RedisCluster::start(3, 0).await.unwrap();
    let (one, other) = (joined(cluster.url()).await, joined(cluster.url()).await);
    for n in 0..50 {
        let key: Key<Sheet> = crate::keys::character(&aim_domain::CharacterId::trusted(format!("c{n}")));
        let load = async { Ok::<_, Infallible>(Some(sheet(1))) };
        let Ok(found) = with_budget(PATIENCE, one.get_or_load(&key, load)).await;
        assert_eq!(found.as_deref(), Some(&sheet(1)));
        let unasked = async { panic!("the other has loaded it") };
        let Ok::<_, Infallible>(found) = with_budget(PATIENCE, other.get_or_load(&key, unasked)).await;
        assert_eq!(found.as_deref(), Some(&sheet(1)));
        other.write(&key, sheet(2)).await;
        other.invalidate(&key, Reach::Here).await;
        assert_eq!(other.peek(&key).await.as_deref(), Some(&sheet(2)));
        one.invalidate(&key, Reach::Everywhere).await;
        other.invalidate(&key, Reach::Here).await;
        assert!(other.peek(&key).await.is_none());
    }
}

#[tokio::test]
async fn a_replica_is_believed_while_it_hears_what_its_master_is_told() {
    let sentinel = RedisSentinel::start().await.unwrap();
    let settings =
        LinkSettings { url: sentinel.url(), prefix: "aim:".into(), read_from_replicas: true, ..Default::default() };
    let link = Link::open("cache", settings).unwrap();
    assert!(link.ready(PATIENCE).await);
    let backend = Arc::new(RedisCache::new(link.client("cache"), &super::settings(), &Ambient::system()));
    let cache = Cache::new(backend.clone());
    told(&cache, 1).await;
    let loaded = async |version| {
        let load = async { Ok::<_, Infallible>(Some(sheet(version))) };
        let Ok(found) = with_budget(PATIENCE, cache.get_or_load(&key(), load)).await;
        found.unwrap().version
    };
    assert_eq!(loaded(1).await, 1);
    let lagging = async || {
        let key: Key<Sheet> = key();
        backend.near.forget(&key.name);
        let (era, mark) = (backend.standing.era().unwrap(), backend.near.mark(&key.name));
        Some(with_budget(PATIENCE, backend.read_lagging(key.slot(), era, mark)).await?.entry.version)
    };
    until("the replica has it", async || lagging().await == Some(1)).await;
    assert_eq!(loaded(2).await, 1);

    // It hears nothing any more, and says what it knew.
    let master = sentinel.master().await.unwrap().port();
    let replica = sentinel.servers().iter().find(|server| server.port() != master).unwrap();
    replica.command(&["REPLICAOF", "NO", "ONE"]).await.unwrap();
    cache.invalidate(&key(), Reach::Everywhere).await;
    told(&cache, 2).await;
    assert!(replica.command(&["GET", "aim:character:c1"]).await.unwrap().text().starts_with("aim1 "));
    assert_eq!(lagging().await, None);
    assert_eq!(loaded(2).await, 2);
}

async fn joined(url: String) -> Cache {
    let link = link(url).await;
    let cache = Cache::new(Arc::new(RedisCache::new(link.client("cache"), &settings(), &Ambient::system())));
    told(&cache, 1).await;
    cache
}

async fn told(cache: &Cache, cursor: i64) {
    with_budget(PATIENCE, async {
        assert!(cache.told(cursor).await.is_some());
        cache.heard(cursor).await;
    })
    .await;
}
