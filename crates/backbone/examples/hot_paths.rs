//! What the ways that every request goes cost on the local backends, in nanoseconds on one thread:
//! `cargo run --release -p aim-backbone --example hot_paths`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement that cannot run says so and ends")]

use aim_backbone::cache::Cached;
use aim_backbone::limits::Ask;
use aim_backbone::queue::{ANALYTICS, NewJob, WorkerSettings};
use aim_backbone::turns::Turn;
use aim_backbone::{Backbone, Settings, keys, turns};
use aim_domain::limits::Quota;
use aim_domain::{
    Ambient, CharacterId, ConversationId, Member, MessageId, Role, Rule, Session, SessionId, Tier, TokenHash,
    UsageCount, UserId,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

#[derive(Serialize, Deserialize)]
struct Sheet(String);

impl Cached for Sheet {
    const SCHEMA: u16 = 1;
    fn version(&self) -> i64 {
        1
    }
}

const MANY: usize = 10_000;

fn report(what: &str, operations: usize, took: Duration) {
    println!("{what:<44}{:>9.0} ns", took.as_nanos() as f64 / operations as f64);
}

/// The quickest of twenty batches: a machine that does other things too slows some of them.
async fn measure<F: Future<Output = ()>>(what: &str, operations: usize, mut operation: impl FnMut(usize) -> F) {
    let batch = operations / 20;
    let mut quickest = Duration::MAX;
    for first in (0..operations).step_by(batch) {
        let start = Instant::now();
        for n in first..first + batch {
            operation(n).await;
        }
        quickest = quickest.min(start.elapsed());
    }
    report(what, batch, quickest);
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let ambient = Ambient::system();
    let settings =
        Settings { short_cache: false, cache_capacity: 100_000, turns: turns::Settings::default(), answers: true };
    let backbone = Backbone::local(&settings, &ambient);
    cache(&backbone).await;
    sessions(&backbone, &ambient).await;
    usage(&backbone).await;
    limits(&backbone).await;
    turns(&backbone).await;
    queue(&backbone).await;
}

async fn cache(backbone: &Backbone) {
    let keys: Vec<_> = (0..MANY).map(|n| keys::character::<Sheet>(&CharacterId::trusted(format!("c{n}")))).collect();
    for key in &keys {
        backbone.cache.write(key, Sheet("Mara".into())).await;
    }
    let (cache, keys) = (&backbone.cache, &keys);
    measure("cache hit, of 10,000 keys", 1_000_000, async |n| {
        let load = async { Ok::<_, Infallible>(Some(Sheet("Mara".into()))) };
        let Ok(found) = cache.get_or_load(&keys[n % MANY], load).await;
        assert!(found.is_some());
    })
    .await;
    measure("cache miss, load and keep", 100_000, async |n| {
        let key = keys::context::<Sheet>(&ConversationId::trusted(format!("x{n}")));
        let load = async { Ok::<_, Infallible>(Some(Sheet("Mara".into()))) };
        let Ok(found) = cache.get_or_load(&key, load).await;
        assert!(found.is_some());
    })
    .await;
}

async fn sessions(backbone: &Backbone, ambient: &Ambient) {
    let mut tokens = Vec::new();
    for n in 0..MANY {
        let session = Session {
            id: SessionId::trusted(format!("s{n}")),
            user_id: UserId::trusted(format!("u{n}")),
            token_hash: TokenHash::of(&format!("t{n}")),
            device: "bench".into(),
            created_at: ambient.now(),
            last_used_at: ambient.now(),
            expires_at: ambient.now().plus(Duration::from_secs(3_600)),
        };
        tokens.push(session.token_hash.clone());
        let (username, display_name) = (format!("u{n}"), format!("u{n}"));
        let member = Member { session, username, display_name, tier: Tier::Free, role: Role::User };
        let mark = backbone.sessions.begin_load(&tokens[n]).await.unwrap();
        backbone.sessions.keep(mark, Arc::new(member)).await.unwrap();
    }
    let (sessions, tokens) = (&backbone.sessions, &tokens);
    measure("session hit, of 10,000", 1_000_000, async |n| {
        assert!(sessions.get(&tokens[n % MANY]).await.unwrap().is_some());
    })
    .await;
}

async fn usage(backbone: &Backbone) {
    let users: Vec<_> = (0..MANY).map(|n| UserId::trusted(format!("u{n}"))).collect();
    let character = CharacterId::trusted("c1");
    let (usage, users, character) = (&backbone.usage, &users, &character);
    measure("usage keep and read", 200_000, async |n| {
        let row = UsageCount { version: n as i64, ..UsageCount::default() };
        usage.keep(&users[n % MANY], character, row).await.unwrap();
        assert!(usage.of(&users[n % MANY], character).await.unwrap().is_some());
    })
    .await;
}

async fn limits(backbone: &Backbone) {
    let quota = Quota { limit: 100_000_000, window: Duration::from_secs(900), block: Duration::ZERO };
    let ask = |rule, n: usize| Ask { rule, subject: format!("u{}", n % MANY), quota, once: None };
    let limits = &backbone.limits;
    measure("limits.admit, one rule, 10,000 users", 500_000, async |n| {
        assert!(limits.admit(&[ask(Rule::Api, n)]).await.unwrap().is_admitted());
    })
    .await;
    measure("limits.admit, two rules", 500_000, async |n| {
        let asks = [ask(Rule::Api, n), ask(Rule::Messaging, n)];
        assert!(limits.admit(&asks).await.unwrap().is_admitted());
    })
    .await;
    let full = Quota { limit: 1, ..quota };
    measure("limits.admit, refused", 500_000, async |_| {
        let ask = Ask { rule: Rule::Ai, subject: "u1".into(), quota: full, once: None };
        limits.admit(&[ask]).await.unwrap();
    })
    .await;
}

fn turn(character: String, n: usize) -> Turn {
    Turn {
        conversation: ConversationId::trusted(format!("c{n}")),
        character: CharacterId::trusted(character),
        message: MessageId::trusted(format!("m{n}")),
        attempt: 1,
        premium: false,
    }
}

async fn turns(backbone: &Backbone) {
    let turns = &backbone.turns;
    measure("turns enter and finish, free characters", 200_000, async |n| {
        let turn = turn(format!("a{}", n % 100), n);
        assert_eq!(turns.enter(turn.clone()).await.unwrap().granted.len(), 1);
        turns.finish(&turn).await.unwrap();
    })
    .await;
    let start = Instant::now();
    for n in 0..MANY {
        turns.enter(turn("mara".into(), n)).await.unwrap();
    }
    report("turns enter, up to 10,000 before", MANY, start.elapsed());
    let start = Instant::now();
    let mut granted = turns.granted(Duration::ZERO).await.unwrap();
    while let Some(turn) = granted.pop() {
        granted.extend(turns.finish(&turn).await.unwrap().granted);
    }
    report("turns finish, telling the first 100", MANY, start.elapsed());
}

async fn queue(backbone: &Backbone) {
    let (done, count) = (Arc::new(Notify::new()), Arc::new(AtomicU64::new(0)));
    let (notify, counter) = (done.clone(), count.clone());
    let settings = WorkerSettings { concurrency: 20, stalled_after: Duration::from_secs(30) };
    let handler = Arc::new(move |_| -> futures::future::BoxFuture<'static, _> {
        counter.fetch_add(1, Ordering::SeqCst);
        notify.notify_one();
        Box::pin(async { Ok(Value::Null) })
    });
    let worker = backbone.queue.work(ANALYTICS, settings, handler).await.unwrap();
    let job = |id: String| NewJob {
        queue: ANALYTICS,
        name: "count",
        id,
        data: Value::Null,
        attempts: 1,
        backoff: Duration::ZERO,
        delay: Duration::ZERO,
        priority: 0,
    };
    let (queue, done) = (&backbone.queue, &done);
    measure("queue add until its handler has run", 20_000, async |n| {
        queue.add(job(format!("one-{n}-{}", count.load(Ordering::SeqCst)))).await.unwrap();
        done.notified().await;
    })
    .await;
    let (start, before) = (Instant::now(), count.load(Ordering::SeqCst));
    for n in 0..200_000 {
        queue.add(job(format!("many-{n}"))).await.unwrap();
    }
    while count.load(Ordering::SeqCst) < before + 200_000 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    report("queue, a job of 200,000 added and run", 200_000, start.elapsed());
    assert!(worker.stop(Duration::from_secs(5)).await);
}
