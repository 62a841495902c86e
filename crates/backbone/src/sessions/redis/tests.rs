//! Sessions of several servers over one Redis, and over a network that breaks.

use super::*;
use crate::conformance::guarded::RedisServer;
use crate::conformance::outage::{Outage, in_every_outage};
use crate::conformance::storm::Site;
use crate::conformance::{Bench, eventually, unhurried};
use crate::link::{Link, Passage, Settings};
use aim_domain::{Role, Session, SessionId, SystemClock, Tier};
use aim_testkit::chaos_proxy::ChaosProxy;

const PATIENCE: Duration = Duration::from_secs(10);

/// One that follows the feed from its beginning.
async fn server(url: String) -> (RedisSessions, Fleet) {
    started_at(0, url).await
}

fn member(user: &str, token: &str, tier: Tier) -> Arc<Member> {
    let now = Ambient::system().now();
    let session = Session {
        id: SessionId::trusted(token),
        user_id: UserId::trusted(user),
        token_hash: TokenHash::of(token),
        device: "a device".into(),
        created_at: now,
        last_used_at: now,
        expires_at: now.plus(Duration::from_secs(3_600)),
    };
    Arc::new(Member { session, username: user.into(), display_name: user.into(), tier, role: Role::User })
}

impl RedisSessions {
    async fn load(&self, member: &Arc<Member>) -> bool {
        let mark = self.begin_load(&member.session.token_hash).await.unwrap();
        self.keep(mark, member.clone()).await.unwrap()
    }

    async fn has(&self, token: &str) -> bool {
        self.get(&TokenHash::of(token)).await.unwrap().is_some()
    }

    /// Whether Redis has it, whatever is near.
    async fn redis_has(&self, token: &str) -> bool {
        self.read(&TokenHash::of(token)).await.unwrap().is_some()
    }
}

mod alone {
    use super::*;

    async fn open() -> Bench<dyn Sessions> {
        let redis = RedisServer::start().await.unwrap();
        let (sessions, _) = server(redis.url()).await;
        // It lives as long as the test.
        tokio::spawn(async move {
            let _redis = redis;
            std::future::pending::<()>().await
        });
        Bench::waiting(Arc::new(sessions), Arc::new(SystemClock))
    }

    crate::sessions_promises!(open);
}

/// The promises that this process sees hold whatever the network does.
mod in_a_storm {
    use super::*;

    async fn open() -> Bench<dyn Sessions> {
        let redis = RedisServer::start().await.unwrap();
        let proxy = ChaosProxy::before(redis.address()).await.unwrap();
        let (sessions, _) = server(redis.url_at(proxy.address())).await;
        tokio::spawn(async move {
            let _redis = redis;
            for n in 0.. {
                tokio::time::sleep(Duration::from_millis(60)).await;
                match n % 3 {
                    0 => proxy.cut().await,
                    1 => proxy.black_hole(),
                    _ => proxy.delay(Duration::from_secs(2)),
                }
                tokio::time::sleep(Duration::from_millis(140)).await;
                proxy.heal().await;
            }
        });
        Bench::waiting(Arc::new(sessions), Arc::new(SystemClock))
    }

    crate::sessions_promises!(open);
}

/// From the first call on, before the breaker knows of it.
mod in_an_outage {
    use super::*;

    async fn open<O: Outage>() -> Bench<dyn Sessions> {
        let site = Site::open().await;
        let (sessions, _) = server(site.url()).await;
        O::begin(&site.proxy).await;
        let sessions: Arc<dyn Sessions> = Arc::new(sessions);
        Bench::waiting(sessions, Arc::new(SystemClock)).keeping(site).hurried()
    }

    in_every_outage!(sessions_promises);
}

#[tokio::test]
async fn a_session_that_one_server_read_is_known_to_all() {
    unhurried(async {
        let redis = RedisServer::start().await.unwrap();
        let ((one, _), (other, _)) = (server(redis.url()).await, server(redis.url()).await);
        assert!(one.load(&member("u1", "t1", Tier::Free)).await);
        let found = other.get(&TokenHash::of("t1")).await.unwrap().unwrap();
        assert_eq!((found.user_id().as_str(), found.tier), ("u1", Tier::Free));
        other.drop_user(&UserId::trusted("u1")).await.unwrap();
        assert!(!one.redis_has("t1").await, "a user's sessions are dropped by whoever hears of it");
    })
    .await;
}

#[tokio::test]
async fn a_copy_that_was_read_before_a_change_counts_nowhere_once_the_change_is_known() {
    unhurried(async {
        let redis = RedisServer::start().await.unwrap();
        let ((slow, _), (quick, fleet)) = (server(redis.url()).await, server(redis.url()).await);
        // The slow one read the store before the tier changed; the other hears of the change, number 1 of the feed.
        let (old, token) = (member("u1", "t1", Tier::Free), TokenHash::of("t1"));
        let mark = slow.begin_load(&token).await.unwrap();
        quick.drop_user(&UserId::trusted("u1")).await.unwrap();
        fleet.advance(1);
        assert!(slow.keep(mark, old).await.unwrap());
        assert!(slow.redis_has("t1").await, "nobody told Redis of a session it did not know");
        assert!(!quick.has("t1").await, "it is older than the change");
        assert!(quick.load(&member("u1", "t1", Tier::Premium)).await);
        assert_eq!(quick.get(&token).await.unwrap().unwrap().tier, Tier::Premium);
    })
    .await;
}

#[tokio::test]
async fn a_revoked_session_is_not_written_by_who_read_it_before() {
    unhurried(async {
        let redis = RedisServer::start().await.unwrap();
        let ((slow, _), (quick, _), (late, _)) =
            (server(redis.url()).await, server(redis.url()).await, server(redis.url()).await);
        let mark = slow.begin_load(&TokenHash::of("t1")).await.unwrap();
        quick.drop_session(&TokenHash::of("t1")).await.unwrap();
        slow.keep(mark, member("u1", "t1", Tier::Free)).await.unwrap();
        assert!(!late.has("t1").await);
    })
    .await;
}

/// One that was started when the feed stood at `position`.
async fn started_at(position: i64, url: String) -> (RedisSessions, Fleet) {
    let link = Link::open("main", Settings { url, prefix: "aim:".into(), ..Settings::default() }).unwrap();
    assert!(link.ready(PATIENCE).await);
    let fleet = Fleet::default();
    fleet.advance(position);
    (RedisSessions::new(link.client("sessions"), &fleet, &Ambient::system()), fleet)
}

/// Three sessions of two users, of which one session and all of one user's are dropped while Redis is away: changes 1 and 2
/// of the feed. Redis holds all three still.
async fn dropped_while_redis_is_away(redis: &RedisServer) -> (ChaosProxy, RedisSessions, Fleet) {
    let proxy = ChaosProxy::before(redis.address()).await.unwrap();
    let (sessions, fleet) = server(redis.url_at(proxy.address())).await;
    for (user, token) in [("u1", "t1"), ("u1", "t2"), ("u3", "t3")] {
        assert!(sessions.load(&member(user, token, Tier::Free)).await);
    }
    proxy.cut().await;
    sessions.drop_session(&TokenHash::of("t1")).await.unwrap();
    fleet.advance(1);
    sessions.drop_user(&UserId::trusted("u3")).await.unwrap();
    fleet.advance(2);
    for token in ["t1", "t2", "t3"] {
        assert_eq!(held(redis, token).await, 1, "{token}");
    }
    (proxy, sessions, fleet)
}

async fn held(redis: &RedisServer, token: &str) -> i64 {
    let key = format!("aim:session:{}", TokenHash::of(token).as_str());
    redis.command(&["EXISTS", &key]).await.unwrap().number().unwrap()
}

async fn connected(sessions: &RedisSessions) {
    let open = async || sessions.client.link().passage() == Passage::Open;
    eventually("Redis is back", open).await;
}

#[tokio::test]
async fn what_was_revoked_while_redis_was_away_stays_revoked_when_it_is_back() {
    unhurried(async {
        let redis = RedisServer::start().await.unwrap();
        let (proxy, sessions, _) = dropped_while_redis_is_away(&redis).await;
        assert!(!sessions.has("t1").await && sessions.has("t2").await && !sessions.has("t3").await);
        proxy.heal().await;
        connected(&sessions).await;
        assert!(!sessions.has("t1").await && sessions.has("t2").await && !sessions.has("t3").await);
        // Another one that heard of the changes by the feed alone, and is connected all the while.
        let (other, fleet) = server(redis.url()).await;
        other.near.drop_session(&TokenHash::of("t1")).await.unwrap();
        fleet.advance(1);
        other.near.drop_user(&UserId::trusted("u3")).await.unwrap();
        fleet.advance(2);
        assert!(!other.has("t1").await && other.has("t2").await && !other.has("t3").await);
        assert!(other.load(&member("u3", "t3", Tier::Premium)).await);
        assert_eq!(sessions.get(&TokenHash::of("t3")).await.unwrap().unwrap().tier, Tier::Premium);
    })
    .await;
}

#[tokio::test]
async fn what_was_revoked_stays_revoked_though_nobody_lives_who_knew() {
    unhurried(async {
        let redis = RedisServer::start().await.unwrap();
        let gone = dropped_while_redis_is_away(&redis).await;
        drop(gone);
        let ((one, _), (other, _)) = (started_at(2, redis.url()).await, started_at(2, redis.url()).await);
        for token in ["t1", "t2", "t3"] {
            assert_eq!(held(&redis, token).await, 1, "it is the same Redis, with what it held");
            assert!(!one.has(token).await, "{token}");
        }
        assert!(one.load(&member("u1", "t2", Tier::Free)).await);
        assert!(other.has("t2").await, "what was read since is shared");
        assert!(!other.has("t1").await && !other.has("t3").await);
    })
    .await;
}

#[tokio::test]
async fn the_snapshot_of_a_redis_that_did_not_hear_of_a_revocation_brings_nothing_back() {
    unhurried(async {
        let redis = RedisServer::start().await.unwrap();
        let (proxy, sessions, _) = dropped_while_redis_is_away(&redis).await;
        redis.command(&["SAVE"]).await.unwrap();
        redis.kill();
        redis.restart().await.unwrap();
        proxy.heal().await;
        assert_eq!(held(&redis, "t1").await, 1, "the snapshot holds it");
        connected(&sessions).await;
        let (fresh, _) = started_at(2, redis.url()).await;
        for server in [&sessions, &fresh] {
            assert!(!server.has("t1").await && !server.has("t3").await);
        }
        // Not even where Redis looks like the one it was.
        let epoch = fresh.client.link().epoch();
        for (before, user, token) in [(0, "u1", "t1"), (1, "u3", "t3")] {
            let member = member(user, token, Tier::Free);
            let copy = format!("{epoch} {before} {}", serde_json::to_string(&member).unwrap());
            let key = format!("aim:session:{}", TokenHash::of(token).as_str());
            redis.command(&["SET", &key, &copy]).await.unwrap();
            for server in [&sessions, &fresh] {
                assert!(!server.has(token).await, "{token}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_copy_that_a_slow_server_writes_is_not_believed_by_one_that_was_started_since() {
    unhurried(async {
        let redis = RedisServer::start().await.unwrap();
        let ((slow, fleet), (started, _)) = (server(redis.url()).await, started_at(1, redis.url()).await);
        // Read before the tier changed, and written after: it has not heard yet.
        assert!(slow.load(&member("u1", "t1", Tier::Free)).await);
        assert!(started.redis_has("t1").await && !started.has("t1").await);
        slow.drop_user(&UserId::trusted("u1")).await.unwrap();
        fleet.advance(1);
        assert!(!started.redis_has("t1").await, "once it hears it takes its own copy back");
    })
    .await;
}

#[tokio::test]
async fn nothing_is_believed_before_the_feed_is_followed() {
    unhurried(async {
        let redis = RedisServer::start().await.unwrap();
        let (one, _) = server(redis.url()).await;
        assert!(one.load(&member("u1", "t1", Tier::Free)).await);
        let starting = RedisSessions::new(one.client.clone(), &Fleet::default(), &Ambient::system());
        assert!(!starting.has("t1").await);
        assert!(starting.load(&member("u1", "t1", Tier::Free)).await && starting.has("t1").await, "it has its own");
    })
    .await;
}

#[tokio::test]
async fn an_old_snapshot_brings_no_session_back() {
    let redis = RedisServer::start().await.unwrap();
    let (sessions, _) = server(redis.url()).await;
    assert!(sessions.load(&member("u1", "t1", Tier::Free)).await);
    redis.command(&["SAVE"]).await.unwrap();
    sessions.drop_session(&TokenHash::of("t1")).await.unwrap();
    redis.kill();
    redis.restart().await.unwrap();
    assert_eq!(
        redis.command(&["EXISTS", &format!("aim:session:{}", TokenHash::of("t1").as_str())]).await.unwrap(),
        aim_testkit::resp::Reply::Number(1),
        "the snapshot holds it"
    );
    let (fresh, _) = server(redis.url()).await;
    assert!(!fresh.has("t1").await, "nothing that was kept before a restart is believed");
    tokio::time::timeout(PATIENCE, async {
        while sessions.client.link().passage() != Passage::Open {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
    assert!(!sessions.has("t1").await);
}
