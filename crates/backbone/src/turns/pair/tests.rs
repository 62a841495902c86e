//! The pair over a real Redis and a network that breaks.

use super::*;
use crate::conformance::Bench;
use crate::conformance::guarded::RedisServer;
use crate::conformance::outage::{Outage, in_every_outage};
use crate::link::{Link, Passage, Settings as LinkSettings};
use crate::turns::Settings;
use crate::turns::patient::Patient;
use aim_domain::{Ambient, Random, SeededRandom, SystemClock};
use aim_testkit::ChaosProxy;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

const PATIENCE: Duration = Duration::from_secs(5);
/// Five times what is promised.
const WITHIN_BUDGET: Duration = Duration::from_millis(500);
const AT_ONCE: Duration = Duration::from_millis(25);

struct World {
    redis: RedisServer,
    proxy: ChaosProxy,
    link: Link,
}

impl World {
    async fn new() -> Self {
        let redis = RedisServer::start().await.unwrap();
        let proxy = ChaosProxy::before(redis.address()).await.unwrap();
        let link = link(redis.url_at(proxy.address())).await;
        Self { redis, proxy, link }
    }

    fn pair(&self, settings: Settings) -> TurnsPair {
        pair(&self.link, settings)
    }

    async fn cut(&self) {
        self.proxy.cut().await;
        self.becomes(Passage::Closed).await;
    }

    async fn heal(&self) {
        self.proxy.heal().await;
        assert!(self.link.ready(PATIENCE).await, "it is back within 5 s");
        self.becomes(Passage::Open).await;
    }

    async fn becomes(&self, passage: Passage) {
        crate::conformance::eventually("the breaker turns", async || self.link.passage() == passage).await;
    }

    async fn keys(&self) -> Vec<String> {
        self.redis.command(&["KEYS", "aim:turn:*"]).await.unwrap().texts()
    }
}

async fn link(url: String) -> Link {
    let link = Link::open("main", LinkSettings { url, prefix: "aim:".into(), ..Default::default() }).unwrap();
    assert!(link.ready(PATIENCE).await);
    link
}

fn pair(link: &Link, settings: Settings) -> TurnsPair {
    let redis = RedisTurns::new(link.client("turns"), settings);
    TurnsPair::new(redis, LocalTurns::new(settings, &Ambient::system()), settings.lease, true)
}

fn turn(conversation: &str, message: &str) -> Turn {
    Turn {
        conversation: ConversationId::trusted(conversation),
        character: CharacterId::trusted("mara"),
        message: MessageId::trusted(message),
        attempt: 1,
        premium: false,
    }
}

fn names(moved: &Moved) -> Vec<&str> {
    moved.granted.iter().map(|turn| turn.message.as_str()).collect()
}

fn told(moved: &Moved) -> BTreeMap<&str, ConversationState> {
    moved.states.iter().map(|(conversation, state)| (conversation.as_str(), *state)).collect()
}

impl TurnsPair {
    async fn phase(&self, conversation: &str) -> Phase {
        self.state(&CharacterId::trusted("mara"), &ConversationId::trusted(conversation)).await.unwrap().state
    }
}

mod promises {
    use super::*;

    async fn open(settings: Settings) -> Bench<dyn Turns> {
        let redis = RedisServer::start().await.unwrap();
        let pair: Arc<dyn Turns> = Arc::new(Patient(pair(&link(redis.url()).await, settings)));
        Bench::waiting(pair, Arc::new(SystemClock)).keeping(redis)
    }

    crate::turns_promises!(open);
}

/// In the outage from the first call on, before the breaker knows of it.
mod promises_in_an_outage {
    use super::*;

    async fn open<O: Outage>(settings: Settings) -> Bench<dyn Turns> {
        let world = World::new().await;
        let pair = world.pair(settings);
        // Something stands in Redis, which nobody hears of.
        let patient = Patient(pair);
        patient.enter(turn("z", "z0")).await.unwrap();
        patient.enter(turn("z", "z1")).await.unwrap();
        O::begin(&world.proxy).await;
        let pair: Arc<dyn Turns> = Arc::new(patient.0);
        Bench::waiting(pair, Arc::new(SystemClock)).keeping(world)
    }

    in_every_outage!(turns_promises);
}

#[tokio::test]
async fn what_redis_granted_is_finished_in_an_outage_and_redis_hears_of_it_later() {
    let world = World::new().await;
    let pair = world.pair(Settings::default());
    let (held, waiting) = (turn("a", "a1"), turn("b", "b1"));
    pair.enter(held.clone()).await.unwrap();
    pair.enter(waiting.clone()).await.unwrap();
    world.cut().await;
    assert!(pair.renew(&held).await.unwrap());
    assert_eq!(pair.phase("a").await, Phase::Processing);
    assert!(!pair.knows(&held).await.unwrap(), "without a claim somebody has to run it here");
    assert_eq!(pair.granted(Duration::ZERO).await.unwrap(), []);
    assert_eq!(pair.expire().await.unwrap(), Moved::default());
    let began = Instant::now();
    let moved = pair.finish(&held).await.unwrap();
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    assert_eq!((names(&moved), told(&moved)["a"].state), (vec![], Phase::Idle));
    assert_eq!(pair.phase("a").await, Phase::Idle);
    assert!(!pair.renew(&held).await.unwrap());
    world.heal().await;
    // Long before the lease is over.
    let moved = pair.expire().await.unwrap();
    assert_eq!((names(&moved), told(&moved)["b"].state), (vec!["b1"], Phase::Processing));
    assert_eq!(pair.expire().await.unwrap(), Moved::default(), "once");
    pair.finish(&waiting).await.unwrap();
    assert!(world.keys().await.is_empty());
}

#[tokio::test]
async fn what_was_granted_in_an_outage_ends_by_itself_after_it_and_what_waited_is_dropped() {
    let world = World::new().await;
    let pair = world.pair(Settings::default());
    world.cut().await;
    let (held, waiting) = (turn("a", "a1"), turn("b", "b1"));
    assert_eq!(names(&pair.enter(held.clone()).await.unwrap()), ["a1"]);
    assert_eq!(names(&pair.enter(waiting.clone()).await.unwrap()), Vec::<&str>::new());
    assert!(pair.knows(&held).await.unwrap() && pair.knows(&waiting).await.unwrap());
    world.heal().await;
    assert_eq!(pair.expire().await.unwrap(), Moved::default());
    assert!(pair.knows(&held).await.unwrap() && pair.renew(&held).await.unwrap());
    assert_eq!(pair.granted(Duration::ZERO).await.unwrap(), std::slice::from_ref(&held));
    assert!(!pair.knows(&waiting).await.unwrap(), "the reconciler enters it anew");
    assert_eq!((pair.phase("a").await, pair.phase("b").await), (Phase::Processing, Phase::Idle));
    assert_eq!(pair.enter(held.clone()).await.unwrap().granted, [], "entering twice is entering once");
    assert_eq!(names(&pair.enter(waiting.clone()).await.unwrap()), ["b1"], "Redis knows nothing of the other");
    let moved = pair.finish(&held).await.unwrap();
    assert_eq!((names(&moved), told(&moved)["a"].state), (vec![], Phase::Idle));
    assert!(!pair.knows(&held).await.unwrap());
    pair.finish(&waiting).await.unwrap();
    assert!(world.keys().await.is_empty());
}

#[tokio::test]
async fn a_process_that_answers_nothing_keeps_no_turn_of_an_outage() {
    let world = World::new().await;
    let settings = Settings::default();
    let redis = RedisTurns::new(world.link.client("turns"), settings);
    let pair = TurnsPair::new(redis, LocalTurns::new(settings, &Ambient::system()), settings.lease, false);
    world.cut().await;
    let (first, second) = (turn("a", "a1"), turn("a", "a2"));
    assert_eq!(names(&pair.enter(first.clone()).await.unwrap()), ["a1"]);
    pair.enter(second.clone()).await.unwrap();
    assert_eq!(pair.phase("a").await, Phase::Queued, "it can say how the conversation stands");
    world.heal().await;
    pair.expire().await.unwrap();
    assert!(!pair.knows(&first).await.unwrap() && !pair.knows(&second).await.unwrap(), "both are entered anew");
    assert_eq!(names(&pair.enter(first).await.unwrap()), ["a1"], "by Redis");
    assert_eq!(world.keys().await.len(), 3, "the lines of the character and the index");
}

#[tokio::test]
async fn what_is_granted_on_both_sides_ends_on_both() {
    let world = World::new().await;
    let pair = world.pair(Settings::default());
    let (held, waiting) = (turn("a", "a1"), turn("b", "b1"));
    pair.enter(held.clone()).await.unwrap();
    pair.enter(waiting.clone()).await.unwrap();
    world.cut().await;
    // Due, and nobody answers it: the reconciler enters it here, and it is answered beyond the outage.
    assert_eq!(names(&pair.enter(waiting.clone()).await.unwrap()), ["b1"]);
    world.heal().await;
    assert_eq!(names(&pair.finish(&held).await.unwrap()), ["b1"], "granted by Redis as well");
    let moved = pair.finish(&waiting).await.unwrap();
    assert_eq!(told(&moved)["b"].state, Phase::Idle);
    assert!(!pair.knows(&waiting).await.unwrap());
    assert!(world.keys().await.is_empty());
}

#[tokio::test]
async fn a_withdrawal_reaches_both_sides() {
    let world = World::new().await;
    let pair = world.pair(Settings::default());
    let (held, waiting) = (turn("a", "a1"), turn("b", "b1"));
    pair.enter(held.clone()).await.unwrap();
    pair.enter(waiting.clone()).await.unwrap();
    let withdraw = async || {
        let message = std::slice::from_ref(&waiting.message);
        pair.withdraw(&waiting.character, &waiting.conversation, message).await.unwrap()
    };
    assert_eq!(told(&withdraw().await)["b"].state, Phase::Idle);
    assert!(!pair.knows(&waiting).await.unwrap());
    world.cut().await;
    pair.enter(held.clone()).await.unwrap();
    pair.enter(waiting.clone()).await.unwrap();
    assert_eq!(told(&withdraw().await)["b"].state, Phase::Idle);
    assert!(!pair.knows(&waiting).await.unwrap());
}

/// A Redis that answers and takes nothing: its lines stand still, so they count for nothing.
#[tokio::test]
async fn a_redis_that_takes_no_writes_is_left_alone() {
    let world = World::new().await;
    let pair = world.pair(Settings::default());
    let held = turn("a", "a1");
    pair.enter(held.clone()).await.unwrap();
    let limit = async |bytes: &str| world.redis.command(&["CONFIG", "SET", "maxmemory", bytes]).await.unwrap();
    limit("1").await;
    assert_eq!(names(&pair.enter(turn("b", "b1")).await.unwrap()), ["b1"]);
    assert_eq!(world.link.passage(), Passage::ReadsAlone);
    assert_eq!((pair.phase("a").await, pair.phase("b").await), (Phase::Processing, Phase::Processing));
    assert!(pair.knows(&turn("b", "b1")).await.unwrap());
    pair.finish(&held).await.unwrap();
    pair.finish(&turn("b", "b1")).await.unwrap();
    limit("0").await;
    world.becomes(Passage::Open).await;
    pair.expire().await.unwrap();
    assert_eq!(pair.phase("a").await, Phase::Idle);
    assert!(world.keys().await.is_empty());
}

/// What a call that timed out did in Redis all the same.
#[tokio::test]
async fn a_grant_that_nobody_heard_is_found_and_ends_with_its_turn() {
    let world = World::new().await;
    let pair = world.pair(Settings::default());
    let held = turn("a", "a1");
    // Redis knows the script.
    pair.enter(held.clone()).await.unwrap();
    pair.finish(&held).await.unwrap();
    world.proxy.hold_replies();
    let began = Instant::now();
    assert_eq!(names(&pair.enter(held.clone()).await.unwrap()), ["a1"], "this process grants it");
    assert!(began.elapsed() < WITHIN_BUDGET, "{:?}", began.elapsed());
    world.proxy.release_replies();
    crate::conformance::eventually("both grants are found", async || {
        let granted = pair.granted(Duration::ZERO).await.unwrap();
        granted.len() == 2 && granted.iter().all(|turn| *turn == held)
    })
    .await;
    pair.finish(&held).await.unwrap();
    assert_eq!(pair.granted(Duration::ZERO).await.unwrap(), []);
    assert!(world.keys().await.is_empty());
}

/// Messages of many conversations, a store that knows what is due and lets each be claimed once, and what the platform
/// does of it: enter, run what is granted, reconcile.
struct Platform {
    pair: TurnsPair,
    due: BTreeMap<String, Turn>,
    answered: HashSet<String>,
    running: Vec<Turn>,
    told: BTreeMap<String, ConversationState>,
}

impl Platform {
    async fn timed<T>(&self, what: &str, call: impl Future<Output = Result<T, Fault>>) -> T {
        let began = Instant::now();
        let answer = call.await.unwrap();
        assert!(began.elapsed() < WITHIN_BUDGET * 2, "{what} took {:?}", began.elapsed());
        answer
    }

    fn follow(&mut self, moved: Moved) {
        self.told.extend(moved.states.into_iter().map(|(conversation, state)| (conversation.to_string(), state)));
        self.running.extend(moved.granted);
    }

    async fn enter(&mut self, turn: Turn) {
        let moved = self.timed("enter", self.pair.enter(turn)).await;
        self.follow(moved);
    }

    /// Ends one of the replies under way. A turn whose message is answered already ends at once.
    async fn end_one(&mut self, at: usize) {
        let turn = self.running.swap_remove(at % self.running.len());
        if self.due.remove(turn.message.as_str()).is_some() {
            assert!(self.answered.insert(turn.message.to_string()));
        }
        let moved = self.timed("finish", self.pair.finish(&turn)).await;
        self.follow(moved);
    }

    async fn reconcile(&mut self) {
        let began = Instant::now();
        let moved = self.pair.expire().await.unwrap();
        assert!(began.elapsed() < WITHIN_BUDGET * 4, "expire took {:?}", began.elapsed());
        self.follow(moved);
        for turn in self.due.values().cloned().collect::<Vec<_>>() {
            let is_run = self.running.iter().any(|other| other.is(&turn));
            if !is_run && !self.timed("knows", self.pair.knows(&turn)).await {
                self.enter(turn).await;
            }
        }
        for turn in self.pair.granted(Duration::ZERO).await.unwrap() {
            if !self.running.iter().any(|other| other.is(&turn)) {
                self.running.push(turn);
            }
        }
    }
}

async fn broken_in_the_middle(breaks: impl AsyncFn(&World)) {
    let world = World::new().await;
    let settings = Settings { lease: Duration::from_secs(20), replies_per_character: 2, ..Settings::default() };
    let pair = world.pair(settings);
    let mut platform =
        Platform { pair, due: BTreeMap::new(), answered: HashSet::new(), running: Vec::new(), told: BTreeMap::new() };
    let random = SeededRandom::new(3);
    let draw = |below: usize| {
        let mut bytes = [0; 4];
        random.fill(&mut bytes);
        u32::from_le_bytes(bytes) as usize % below
    };
    let mut healed = None;
    for step in 0..300 {
        match step {
            100 => breaks(&world).await,
            200 => {
                world.heal().await;
                healed = Some(Instant::now());
            }
            _ => {}
        }
        match draw(10) {
            0..5 => {
                let entered = turn(&format!("c{}", draw(10)), &format!("m{step:03}"));
                platform.due.insert(entered.message.to_string(), entered.clone());
                platform.enter(entered).await;
            }
            5..9 if !platform.running.is_empty() => platform.end_one(draw(100)).await,
            _ if step % 4 == 0 => platform.reconcile().await,
            _ => {}
        }
    }
    // What is left is answered without waiting for any lease.
    while !platform.due.is_empty() || !platform.running.is_empty() {
        assert!(healed.unwrap().elapsed() < PATIENCE * 2, "{:?} is due still", platform.due.keys());
        platform.reconcile().await;
        while !platform.running.is_empty() {
            platform.end_one(0).await;
        }
    }
    platform.reconcile().await;
    assert_eq!(world.keys().await, Vec::<String>::new());
    assert!(platform.told.values().all(|state| state.state == Phase::Idle), "{:?}", platform.told);
    for conversation in platform.told.keys() {
        assert_eq!(platform.pair.phase(conversation).await, Phase::Idle);
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_loses_no_turn() {
    broken_in_the_middle(async |world: &World| world.proxy.cut().await).await;
}

#[tokio::test]
async fn a_black_hole_loses_no_turn() {
    broken_in_the_middle(async |world: &World| world.proxy.black_hole()).await;
}

#[tokio::test]
async fn two_seconds_of_latency_lose_no_turn() {
    broken_in_the_middle(async |world: &World| world.proxy.delay(Duration::from_secs(2))).await;
}

#[tokio::test]
async fn a_flapping_network_loses_no_turn() {
    let flapping = (Duration::from_millis(150), Duration::from_millis(150));
    broken_in_the_middle(async |world: &World| world.proxy.flapping(flapping.0, flapping.1)).await;
}

#[tokio::test]
async fn a_redis_that_comes_back_empty_loses_no_turn() {
    broken_in_the_middle(async |world: &World| world.redis.restart_empty().await.unwrap()).await;
}

#[tokio::test]
async fn a_flushed_redis_loses_no_turn() {
    broken_in_the_middle(async |world: &World| world.redis.flush().await.unwrap()).await;
}
