//! Sessions of several servers over one Redis, and over a network that breaks.

use super::*;
use crate::conformance::Bench;
use crate::link::{Link, Passage, Settings};
use aim_domain::{Role, Session, SessionId, SystemClock, Tier};
use aim_testkit::chaos_proxy::ChaosProxy;
use aim_testkit::redis::RedisServer;

const PATIENCE: Duration = Duration::from_secs(10);

async fn server(url: String) -> (RedisSessions, Fleet) {
    let link = Link::open("main", Settings { url, prefix: "aim:".into(), ..Settings::default() }).unwrap();
    assert!(link.ready(PATIENCE).await);
    let fleet = Fleet::default();
    (RedisSessions::new(link.client("sessions"), &fleet, &Ambient::system()), fleet)
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
        self.shared.read(&TokenHash::of(token)).await.unwrap().is_some()
    }

    async fn delivered(&self) {
        tokio::time::timeout(PATIENCE, async {
            while !self.shared.undelivered.lock().is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
        .expect("it is delivered once Redis is back");
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
        let (sessions, _) = server(proxy.url()).await;
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

#[tokio::test]
async fn a_session_that_one_server_read_is_known_to_all() {
    let redis = RedisServer::start().await.unwrap();
    let ((one, _), (other, _)) = (server(redis.url()).await, server(redis.url()).await);
    assert!(one.load(&member("u1", "t1", Tier::Free)).await);
    let found = other.get(&TokenHash::of("t1")).await.unwrap().unwrap();
    assert_eq!((found.user_id().as_str(), found.tier), ("u1", Tier::Free));
    other.drop_user(&UserId::trusted("u1")).await.unwrap();
    assert!(!one.redis_has("t1").await, "a user's sessions are dropped by whoever hears of it");
}

#[tokio::test]
async fn a_copy_that_was_read_before_a_change_counts_nowhere_once_the_change_is_known() {
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
}

#[tokio::test]
async fn a_revoked_session_is_not_written_by_who_read_it_before() {
    let redis = RedisServer::start().await.unwrap();
    let ((slow, _), (quick, _), (late, _)) =
        (server(redis.url()).await, server(redis.url()).await, server(redis.url()).await);
    let mark = slow.begin_load(&TokenHash::of("t1")).await.unwrap();
    quick.drop_session(&TokenHash::of("t1")).await.unwrap();
    slow.keep(mark, member("u1", "t1", Tier::Free)).await.unwrap();
    assert!(!late.has("t1").await);
}

#[tokio::test]
async fn what_was_revoked_while_redis_was_away_is_revoked_there_too() {
    let redis = RedisServer::start().await.unwrap();
    let proxy = ChaosProxy::before(redis.address()).await.unwrap();
    let (sessions, _) = server(proxy.url()).await;
    for token in ["t1", "t2", "t3"] {
        assert!(sessions.load(&member(if token == "t3" { "u3" } else { "u1" }, token, Tier::Free)).await);
    }
    proxy.cut().await;
    sessions.drop_session(&TokenHash::of("t1")).await.unwrap();
    sessions.drop_user(&UserId::trusted("u3")).await.unwrap();
    assert!(!sessions.has("t1").await && sessions.has("t2").await && !sessions.has("t3").await);
    proxy.heal().await;
    sessions.delivered().await;
    let (fresh, _) = server(redis.url()).await;
    assert!(!fresh.has("t1").await, "a server that starts later does not find it either");
    assert!(fresh.has("t2").await && !fresh.has("t3").await);
}

#[tokio::test]
async fn an_old_snapshot_brings_no_session_back() {
    let redis = RedisServer::builder().start().await.unwrap();
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
        while sessions.shared.client.link().passage() != Passage::Open {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
    assert!(!sessions.has("t1").await);
}
