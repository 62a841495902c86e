//! The lines in Redis: the promises of the contract, the same answers as the lines of this process, and what a Redis that
//! forgets, or is shared by several servers, must not break.

mod cluster;
mod cost;
mod faults;
mod leases;

use super::*;
use crate::conformance::Bench;
use crate::conformance::guarded::RedisServer;
use crate::link::{Link, Settings as LinkSettings};
use crate::turns::local::LocalTurns;
use crate::turns::patient::Patient;
use aim_domain::{Ambient, ManualClock, Random, SeededRandom, SystemClock, Timestamp};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

const PATIENCE: Duration = Duration::from_secs(10);

/// A Redis, and the way of one server to it.
struct World {
    redis: RedisServer,
    link: Link,
}

impl World {
    async fn new() -> Self {
        let redis = RedisServer::start().await.unwrap();
        let link = link(redis.url(), "aim:").await;
        Self { redis, link }
    }

    fn turns(&self, settings: Settings) -> Patient<RedisTurns> {
        Patient(RedisTurns::new(self.link.client("turns"), settings))
    }

    /// Another server's.
    async fn another(&self, settings: Settings) -> Patient<RedisTurns> {
        Patient(RedisTurns::new(link(self.redis.url(), "aim:").await.client("turns"), settings))
    }

    async fn number(&self, words: &[&str]) -> i64 {
        self.redis.command(words).await.unwrap().number().unwrap()
    }

    async fn keys(&self) -> Vec<String> {
        self.redis.command(&["KEYS", "aim:turn:*"]).await.unwrap().texts()
    }

    /// Asserts that the counts that are kept of Mara's lines are those of what is there, and that her keys end together.
    async fn adds_up(&self) {
        let key = |part: &str| format!("aim:turn:2:mara:{part}");
        let of_all = self.redis.command(&["HVALS", &key("rooms")]).await.unwrap().texts();
        let (mut kept, mut counted) = ([0; 5], [0; 5]);
        for record in of_all {
            let fields: Vec<&str> = record.split('|').collect();
            let number = |at: usize| fields[at].parse::<i64>().unwrap();
            if let [_, _, _, _, _, _, _, _] = fields[..] {
                kept = std::array::from_fn(number);
                continue;
            }
            let (pending, is_held) = (number(1), !fields[2].is_empty());
            counted[0] += i64::from(!is_held);
            counted[2] += i64::from(is_held);
            counted[3] += (pending - 1).max(0);
            counted[4] += i64::from(is_held && pending > 0);
        }
        counted[1] = self.number(&["ZCOUNT", &key("places"), "-inf", "(0"]).await;
        assert_eq!(kept, counted);
        assert_eq!(self.number(&["ZCARD", &key("turns")]).await, kept[3]);
        assert_eq!(self.number(&["ZCARD", &key("places")]).await, kept[0] + kept[2]);
        let mut ends = Vec::new();
        for part in ["rooms", "places", "turns"] {
            ends.extend(Some(self.number(&["PEXPIRETIME", &key(part)]).await).filter(|end| *end != -2));
        }
        assert!(ends.iter().all(|end| *end > 0 && (end - ends[0]).abs() <= 1), "{ends:?}");
    }

    /// How often scripts were called, and the microseconds that they took.
    async fn scripts(&self) -> (u64, u64) {
        let stats = self.redis.info("cmdstat_evalsha").await.unwrap();
        let field = |name: &str| {
            stats.split(',').find_map(|field| field.strip_prefix(name)).and_then(|n| n.parse().ok()).unwrap()
        };
        (field("calls="), field("usec="))
    }
}

async fn link(url: String, prefix: &str) -> Link {
    let link = Link::open("main", LinkSettings { url, prefix: prefix.into(), ..Default::default() }).unwrap();
    assert!(link.ready(PATIENCE).await);
    link
}

fn turn(character: &str, conversation: &str, message: &str) -> Turn {
    Turn {
        conversation: ConversationId::trusted(conversation),
        character: CharacterId::trusted(character),
        message: MessageId::trusted(message),
        attempt: 1,
        premium: false,
    }
}

fn names(moved: &Moved) -> Vec<&str> {
    moved.granted.iter().map(|turn| turn.message.as_str()).collect()
}

/// Whose the conversations of random operations are.
fn character_of(conversation: &str) -> &'static str {
    ["mara", "otto"][usize::from(conversation.bytes().last().is_some_and(|digit| digit % 2 == 1))]
}

fn draw(random: &SeededRandom, below: usize) -> usize {
    let mut bytes = [0; 4];
    random.fill(&mut bytes);
    u32::from_le_bytes(bytes) as usize % below
}

mod promises {
    use super::*;

    async fn open(settings: Settings) -> Bench<dyn Turns> {
        let world = World::new().await;
        let turns: Arc<dyn Turns> = Arc::new(world.turns(settings));
        Bench::waiting(turns, Arc::new(SystemClock)).keeping(world)
    }

    crate::turns_promises!(open);
}

/// What was told of whom, the last word on each.
fn told(moved: &Moved) -> BTreeMap<&str, ConversationState> {
    moved.states.iter().map(|(conversation, state)| (conversation.as_str(), *state)).collect()
}

/// A hundred random operations under each of some settings, on both backends; leases are longer than the test.
#[tokio::test]
async fn random_operations_are_answered_as_by_the_lines_of_this_process() {
    let world = World::new().await;
    for seed in 0..25 {
        let random = SeededRandom::new(seed);
        let settings = Settings {
            replies_per_character: 1 + draw(&random, 3) as u64,
            premium_run: draw(&random, 4) as u32,
            // Which of more are told is not said.
            told_positions: 3 + draw(&random, 6),
            lease: Duration::from_secs(600),
        };
        world.redis.flush().await.unwrap();
        let (there, here) = (world.turns(settings), LocalTurns::new(settings, &Ambient::system()));
        let (mut known, mut held, mut again) = (Vec::<Turn>::new(), Vec::<Turn>::new(), 0);
        for step in 0..150 {
            let choice = draw(&random, 100);
            let (redis, local) = if choice < 50 || known.is_empty() {
                let conversation = draw(&random, 10);
                let turn = Turn {
                    premium: draw(&random, 3) == 0,
                    attempt: 1 + draw(&random, 2) as u32,
                    ..turn(character_of(&format!("c{conversation}")), &format!("c{conversation}"), &format!("m{step}"))
                };
                let repeats = draw(&random, 10) == 0 && !known.is_empty();
                let turn = if repeats { known[draw(&random, known.len())].clone() } else { turn };
                known.push(turn.clone());
                (there.enter(turn.clone()).await.unwrap(), here.enter(turn).await.unwrap())
            } else if choice < 80 && !held.is_empty() {
                let turn = held.swap_remove(draw(&random, held.len()));
                (there.finish(&turn).await.unwrap(), here.finish(&turn).await.unwrap())
            } else if choice < 85 {
                let turn = &known[draw(&random, known.len())];
                held.retain(|other| !other.is(turn));
                (there.finish(turn).await.unwrap(), here.finish(turn).await.unwrap())
            } else if choice < 93 {
                let of = known[draw(&random, known.len())].clone();
                let messages: Vec<_> = known
                    .iter()
                    .filter(|turn| turn.conversation == of.conversation && turn.message.as_str() <= of.message.as_str())
                    .map(|turn| turn.message.clone())
                    .collect();
                (
                    there.withdraw(&of.character, &of.conversation, &messages).await.unwrap(),
                    here.withdraw(&of.character, &of.conversation, &messages).await.unwrap(),
                )
            } else {
                let turn = &known[draw(&random, known.len())];
                assert_eq!(there.renew(turn).await.unwrap(), here.renew(turn).await.unwrap());
                (there.expire().await.unwrap(), here.expire().await.unwrap())
            };
            assert_eq!(redis.granted, local.granted, "seed {seed}, step {step}");
            // Who stands beyond those that are told may be told once more when it comes among them.
            let (of_redis, of_local) = (told(&redis), told(&local));
            for (conversation, state) in &of_redis {
                let character = CharacterId::trusted(character_of(conversation));
                let now = here.state(&character, &ConversationId::trusted(*conversation)).await.unwrap();
                assert_eq!(of_local.get(conversation).unwrap_or(&now), state, "seed {seed}, step {step}");
            }
            assert!(of_local.keys().all(|told| of_redis.contains_key(told)), "seed {seed}, step {step}");
            again += of_redis.len() - of_local.len();
            held.extend(local.granted);
            for turn in known.iter().rev().take(5) {
                assert_eq!(there.knows(turn).await.unwrap(), here.knows(turn).await.unwrap());
                let state = here.state(&turn.character, &turn.conversation).await.unwrap();
                assert_eq!(there.state(&turn.character, &turn.conversation).await.unwrap(), state);
            }
            let ids = |turns: Vec<Turn>| turns.into_iter().map(|turn| turn.message).collect::<HashSet<_>>();
            let (of_redis, of_local) = (there.granted(Duration::ZERO).await, here.granted(Duration::ZERO).await);
            assert_eq!(ids(of_redis.unwrap()), ids(of_local.unwrap()));
            world.adds_up().await;
        }
        assert!(again < 10, "{again} were told again what they knew");
    }
}

/// The same with leases that end, all at once: both clocks are moved past them.
#[tokio::test]
async fn ended_leases_are_granted_anew_as_by_the_lines_of_this_process() {
    let world = World::new().await;
    let settings = Settings { lease: Duration::from_millis(300), ..Settings::default() };
    let clock = ManualClock::at(Timestamp(1_795_408_728_120));
    let ambient = Ambient { clock: clock.clone(), random: SeededRandom::new(1) };
    let (there, here) = (world.turns(settings), LocalTurns::new(settings, &ambient));
    let random = SeededRandom::new(5);
    for step in 0..20 {
        for n in 0..draw(&random, 12) {
            let conversation = draw(&random, 8);
            let turn = Turn {
                premium: draw(&random, 3) == 0,
                ..turn(character_of(&format!("c{conversation}")), &format!("c{conversation}"), &format!("m{step}-{n}"))
            };
            there.enter(turn.clone()).await.unwrap();
            here.enter(turn).await.unwrap();
        }
        tokio::time::sleep(settings.lease).await;
        clock.advance(settings.lease);
        let (redis, local) = (there.expire().await.unwrap(), here.expire().await.unwrap());
        let sorted = |mut granted: Vec<Turn>| {
            granted.sort_by_key(|turn| turn.character.clone());
            granted
        };
        assert_eq!(told(&redis), told(&local), "step {step}");
        assert_eq!(sorted(redis.granted), sorted(local.granted), "step {step}");
    }
}

/// Two servers, at once: every turn is granted once, in the order of its conversation, and none is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_servers_grant_every_turn_exactly_once() {
    const EACH: usize = 500;
    let world = World::new().await;
    let settings = Settings { replies_per_character: 2, ..Settings::default() };
    let mut servers = Vec::new();
    for name in ["x", "y"] {
        let turns = world.another(settings).await;
        servers.push(tokio::spawn(async move {
            let random = SeededRandom::new(name.len() as u64);
            let (mut granted, mut open) = (Vec::new(), Vec::new());
            for n in 0..EACH {
                let conversation = draw(&random, 20);
                let entered = turn("mara", &format!("c{conversation}"), &format!("{name}{n:04}"));
                open.extend(turns.enter(entered).await.unwrap().granted);
                if draw(&random, 2) == 0 && !open.is_empty() {
                    let done: Turn = open.swap_remove(draw(&random, open.len()));
                    open.extend(turns.finish(&done).await.unwrap().granted);
                    granted.push(done);
                }
            }
            (turns, granted, open)
        }));
    }
    let mut granted: Vec<Turn> = Vec::new();
    let mut rest = Vec::new();
    for server in servers {
        let (turns, done, open) = server.await.unwrap();
        granted.extend(done);
        rest.push((turns, open));
    }
    // Whatever is open on either is finished by the other.
    let (turns, _) = &rest[0];
    let mut open: Vec<Turn> = rest.iter().flat_map(|(_, open)| open.clone()).collect();
    while let Some(turn) = open.pop() {
        open.extend(turns.finish(&turn).await.unwrap().granted);
        granted.push(turn);
    }
    let distinct: HashSet<_> = granted.iter().map(|turn| turn.message.clone()).collect();
    assert_eq!((granted.len(), distinct.len()), (2 * EACH, 2 * EACH));
    assert_eq!(world.keys().await, Vec::<String>::new(), "nothing is left of conversations that are done");
}

#[tokio::test]
async fn what_is_no_id_never_gets_into_a_key() {
    let world = World::new().await;
    let turns = world.turns(Settings::default());
    for wrong in ["", "a,b", "a|b", "a:b", "a}b", "a b"] {
        for turn in [turn(wrong, "c", "m"), turn("mara", wrong, "m"), turn("mara", "c", wrong)] {
            turns.enter(turn.clone()).await.unwrap_err();
            turns.finish(&turn).await.unwrap_err();
        }
    }
    assert!(world.keys().await.is_empty());
}
