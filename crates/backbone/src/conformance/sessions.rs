//! What every backend of sessions promises.

use super::Bench;
use crate::sessions::Sessions;
use aim_domain::{Member, Role, Session, SessionId, Tier, TokenHash, UserId};
use std::sync::Arc;
use std::time::Duration;

#[macro_export]
macro_rules! sessions_promises {
    ($open:expr) => {
        $crate::promises!(
            sessions,
            $open,
            a_kept_session_is_found_until_it_is_over,
            a_dropped_session_is_gone,
            dropping_a_user_drops_all_of_its_sessions,
            a_load_that_a_drop_overtakes_is_not_kept,
            a_load_that_the_drop_of_its_user_overtakes_is_not_kept,
            under_any_interleaving_a_dropped_session_stays_dropped,
        );
    };
}

type Open = Bench<dyn Sessions>;

const LIFE: Duration = Duration::from_secs(2);

impl Open {
    fn member(&self, user: &str, token: &str, life: Duration) -> Arc<Member> {
        let session = Session {
            id: SessionId::trusted(token),
            user_id: UserId::trusted(user),
            token_hash: TokenHash::of(token),
            device: "a device".into(),
            created_at: self.now(),
            last_used_at: self.now(),
            expires_at: self.now().plus(life),
        };
        let (username, display_name) = (user.to_owned(), user.to_owned());
        Arc::new(Member { session, username, display_name, tier: Tier::Free, role: Role::User })
    }

    async fn keep(&self, member: &Arc<Member>) -> bool {
        let mark = self.backend.begin_load(&member.session.token_hash).await.unwrap();
        self.backend.keep(mark, member.clone()).await.unwrap()
    }

    async fn has(&self, token: &str) -> bool {
        self.backend.get(&TokenHash::of(token)).await.unwrap().is_some()
    }
}

pub async fn a_kept_session_is_found_until_it_is_over(bench: Open) {
    let member = bench.member("u1", "t1", LIFE);
    assert!(!bench.has("t1").await);
    assert!(bench.keep(&member).await);
    assert_eq!(bench.backend.get(&TokenHash::of("t1")).await.unwrap(), Some(member));
    assert!(!bench.has("t2").await);
    bench.advance(LIFE).await;
    assert!(!bench.has("t1").await);
}

pub async fn a_dropped_session_is_gone(bench: Open) {
    for token in ["t1", "t2"] {
        assert!(bench.keep(&bench.member("u1", token, LIFE * 100)).await);
    }
    bench.backend.drop_session(&TokenHash::of("t1")).await.unwrap();
    assert!(!bench.has("t1").await);
    assert!(bench.has("t2").await);
    assert!(bench.keep(&bench.member("u1", "t1", LIFE * 100)).await, "what is read after the drop is kept");
    assert!(bench.has("t1").await);
}

pub async fn dropping_a_user_drops_all_of_its_sessions(bench: Open) {
    for token in ["t1", "t2", "t3"] {
        assert!(bench.keep(&bench.member("u1", token, LIFE * 100)).await);
    }
    bench.backend.drop_user(&UserId::trusted("u1")).await.unwrap();
    for token in ["t1", "t2", "t3"] {
        assert!(!bench.has(token).await, "{token}");
    }
    assert!(bench.keep(&bench.member("u1", "t1", LIFE * 100)).await);
    assert!(bench.has("t1").await);
}

pub async fn a_load_that_a_drop_overtakes_is_not_kept(bench: Open) {
    let member = bench.member("u1", "t1", LIFE * 100);
    let token = &member.session.token_hash;
    let mark = bench.backend.begin_load(token).await.unwrap();
    bench.backend.drop_session(token).await.unwrap();
    assert!(!bench.backend.keep(mark, member.clone()).await.unwrap());
    assert!(!bench.has("t1").await);
}

pub async fn a_load_that_the_drop_of_its_user_overtakes_is_not_kept(bench: Open) {
    let member = bench.member("u1", "t1", LIFE * 100);
    let mark = bench.backend.begin_load(&member.session.token_hash).await.unwrap();
    bench.backend.drop_user(member.user_id()).await.unwrap();
    assert!(!bench.backend.keep(mark, member.clone()).await.unwrap());
    assert!(!bench.has("t1").await);
}

/// Loaders read a store of one bit while another task revokes: after the revocation nobody finds the session.
pub async fn under_any_interleaving_a_dropped_session_stays_dropped(bench: Open) {
    use std::sync::atomic::{AtomicBool, Ordering};
    for round in 0..50 {
        let token = format!("t{round}");
        let member = bench.member("u1", &token, LIFE * 100);
        let valid = Arc::new(AtomicBool::new(true));
        let mut tasks = Vec::new();
        for _ in 0..4 {
            let (sessions, member, valid) = (bench.backend.clone(), member.clone(), valid.clone());
            tasks.push(tokio::spawn(async move {
                for _ in 0..5 {
                    let mark = sessions.begin_load(&member.session.token_hash).await.unwrap();
                    tokio::task::yield_now().await;
                    let is_there = valid.load(Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    if is_there {
                        sessions.keep(mark, member.clone()).await.unwrap();
                    }
                }
            }));
        }
        for _ in 0..round % 7 {
            tokio::task::yield_now().await;
        }
        valid.store(false, Ordering::SeqCst);
        if round % 2 == 0 {
            bench.backend.drop_session(&member.session.token_hash).await.unwrap();
        } else {
            bench.backend.drop_user(member.user_id()).await.unwrap();
        }
        assert!(!bench.has(&token).await);
        futures::future::join_all(tasks).await.into_iter().for_each(|task| task.unwrap());
        assert!(!bench.has(&token).await, "round {round}");
    }
}
