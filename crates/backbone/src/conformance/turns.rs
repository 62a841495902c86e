//! What every backend of turns promises. `open` takes the settings.

use super::Bench;
use crate::turns::{Moved, Settings, Turn, Turns};
use aim_domain::{CharacterId, ConversationId, ConversationState, MessageId, Phase, Random, SeededRandom};
use futures::future::join_all;
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

#[macro_export]
macro_rules! turns_promises {
    ($open:expr) => {
        $crate::turns_promises!(@ $open,
            a_free_turn_is_granted_at_once,
            a_character_gives_one_reply_at_a_time_and_others_know_their_position,
            a_conversation_is_answered_in_order_one_message_at_a_time,
            conversations_of_one_character_take_turns,
            premium_goes_first_within_its_bound,
            more_slots_serve_more_at_once,
            entering_twice_is_entering_once,
            a_renewed_lease_lasts_and_one_that_is_not_frees_its_slot,
            a_withdrawn_message_is_never_granted,
            finishing_what_holds_no_slot_frees_none,
            positions_are_told_from_the_front_alone,
            a_position_is_the_number_of_replies_before,
            whatever_happens_the_lines_keep_their_promises,
        );
    };
    (@ $open:expr, $($promise:ident),+ $(,)?) => { $(
        #[tokio::test]
        async fn $promise() {
            use $crate::conformance::turns as suite;
            suite::$promise($open(suite::settings::$promise()).await).await;
        }
    )+ };
}

type Open = Bench<dyn Turns>;

const LEASE: Duration = Duration::from_secs(2);
/// For the suite that lets leases end again and again.
const SHORT_LEASE: Duration = Duration::from_secs(1);

/// The settings that each promise is tested under.
pub mod settings {
    use super::*;

    macro_rules! settings {
        ($($promise:ident { $($field:ident: $value:expr),* })+) => { $(
            pub fn $promise() -> Settings {
                Settings { $($field: $value,)* ..Settings::default() }
            }
        )+ };
    }

    settings! {
        a_free_turn_is_granted_at_once {}
        a_character_gives_one_reply_at_a_time_and_others_know_their_position {}
        a_conversation_is_answered_in_order_one_message_at_a_time {}
        conversations_of_one_character_take_turns {}
        premium_goes_first_within_its_bound { premium_run: 2 }
        more_slots_serve_more_at_once { replies_per_character: 3 }
        entering_twice_is_entering_once {}
        a_renewed_lease_lasts_and_one_that_is_not_frees_its_slot { lease: LEASE }
        a_withdrawn_message_is_never_granted {}
        finishing_what_holds_no_slot_frees_none {}
        positions_are_told_from_the_front_alone { told_positions: 3 }
        a_position_is_the_number_of_replies_before { premium_run: 2 }
        whatever_happens_the_lines_keep_their_promises { replies_per_character: 2, lease: SHORT_LEASE }
    }
}

/// A turn of conversation `c` with the character "mara", named by its message.
fn turn(conversation: &str, message: &str) -> Turn {
    Turn {
        conversation: ConversationId::trusted(conversation),
        character: CharacterId::trusted("mara"),
        message: MessageId::trusted(message),
        attempt: 1,
        premium: false,
    }
}

fn premium(conversation: &str, message: &str) -> Turn {
    Turn { premium: true, ..turn(conversation, message) }
}

fn names(moved: &Moved) -> Vec<&str> {
    moved.granted.iter().map(|turn| turn.message.as_str()).collect()
}

fn state(state: Phase, pending: u64, position: Option<u64>) -> ConversationState {
    ConversationState { state, pending, position }
}

fn told(moved: &Moved, conversation: &str) -> Option<ConversationState> {
    moved.states.iter().rev().find(|(of, _)| of.as_str() == conversation).map(|(_, state)| *state)
}

const PROCESSING: ConversationState = ConversationState { state: Phase::Processing, pending: 0, position: None };
const IDLE: ConversationState = ConversationState { state: Phase::Idle, pending: 0, position: None };

impl Open {
    async fn enter(&self, turn: Turn) -> Moved {
        self.backend.enter(turn).await.unwrap()
    }

    async fn finish(&self, turn: &Turn) -> Moved {
        self.backend.finish(turn).await.unwrap()
    }

    async fn state(&self, conversation: &str) -> ConversationState {
        self.backend.state(&CharacterId::trusted("mara"), &ConversationId::trusted(conversation)).await.unwrap()
    }

    /// Finishes what is granted until nothing is, and names the messages in the order of their turns.
    async fn drain(&self) -> Vec<String> {
        let mut order = Vec::new();
        let mut granted: VecDeque<Turn> = self.backend.granted(Duration::ZERO).await.unwrap().into();
        while let Some(turn) = granted.pop_front() {
            order.push(turn.message.to_string());
            granted.extend(self.finish(&turn).await.granted);
        }
        order
    }
}

pub async fn a_free_turn_is_granted_at_once(bench: Open) {
    assert_eq!(bench.state("a").await, IDLE);
    let turn = turn("a", "a1");
    assert!(!bench.backend.knows(&turn).await.unwrap());
    let moved = bench.enter(turn.clone()).await;
    assert_eq!(moved, Moved { granted: vec![turn.clone()], states: vec![(turn.conversation.clone(), PROCESSING)] });
    assert!(bench.backend.knows(&turn).await.unwrap());
    assert_eq!(bench.backend.granted(Duration::ZERO).await.unwrap(), vec![turn.clone()]);
    let moved = bench.finish(&turn).await;
    assert_eq!(moved, Moved { granted: vec![], states: vec![(turn.conversation.clone(), IDLE)] });
    assert!(!bench.backend.knows(&turn).await.unwrap());
    assert!(bench.backend.granted(Duration::ZERO).await.unwrap().is_empty());
}

pub async fn a_character_gives_one_reply_at_a_time_and_others_know_their_position(bench: Open) {
    bench.enter(turn("a", "a1")).await;
    let moved = bench.enter(turn("b", "b1")).await;
    assert!(moved.granted.is_empty());
    assert_eq!(told(&moved, "b"), Some(state(Phase::Queued, 1, Some(1))));
    assert_eq!(told(&bench.enter(turn("c", "c1")).await, "c"), Some(state(Phase::Queued, 1, Some(2))));
    let other = Turn { character: CharacterId::trusted("otto"), ..turn("d", "d1") };
    assert_eq!(names(&bench.enter(other).await), ["d1"], "another character is free");
    let moved = bench.finish(&turn("a", "a1")).await;
    assert_eq!(names(&moved), ["b1"]);
    assert_eq!(told(&moved, "a"), Some(IDLE));
    assert_eq!(told(&moved, "b"), Some(PROCESSING));
    assert_eq!(told(&moved, "c"), Some(state(Phase::Queued, 1, Some(1))));
    assert_eq!(moved.states.len(), 3, "nobody is told what has not changed");
}

pub async fn a_conversation_is_answered_in_order_one_message_at_a_time(bench: Open) {
    bench.enter(turn("a", "a1")).await;
    for n in 2..=6 {
        let moved = bench.enter(turn("a", &format!("a{n}"))).await;
        assert!(moved.granted.is_empty());
        assert_eq!(told(&moved, "a"), Some(state(Phase::Queued, n - 1, Some(1))), "it waits for its own reply");
    }
    let moved = bench.finish(&turn("a", "a1")).await;
    assert_eq!((names(&moved), told(&moved, "a")), (vec!["a2"], Some(state(Phase::Queued, 4, Some(1)))));
    assert_eq!(bench.drain().await, ["a2", "a3", "a4", "a5", "a6"]);
    assert_eq!(bench.state("a").await, IDLE);
}

pub async fn conversations_of_one_character_take_turns(bench: Open) {
    for (conversation, message) in [("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1"), ("b", "b2"), ("c", "c1")] {
        bench.enter(turn(conversation, message)).await;
    }
    assert_eq!(bench.state("a").await, state(Phase::Queued, 2, Some(3)), "its own, then b's and c's");
    assert_eq!(bench.drain().await, ["a1", "b1", "c1", "a2", "b2", "a3"]);
}

pub async fn premium_goes_first_within_its_bound(bench: Open) {
    bench.enter(turn("x", "x1")).await;
    for n in 0..3 {
        bench.enter(turn(&format!("s{n}"), &format!("s{n}"))).await;
    }
    for n in 0..5 {
        bench.enter(premium(&format!("p{n}"), &format!("p{n}"))).await;
    }
    assert_eq!(bench.drain().await, ["x1", "p0", "p1", "s0", "p2", "p3", "s1", "p4", "s2"]);
}

pub async fn more_slots_serve_more_at_once(bench: Open) {
    for n in 0..5 {
        let moved = bench.enter(turn(&format!("c{n}"), &format!("m{n}"))).await;
        assert_eq!(moved.granted.len(), usize::from(n < 3));
    }
    assert_eq!(bench.backend.granted(Duration::ZERO).await.unwrap().len(), 3);
    assert_eq!(bench.state("c4").await.position, Some(2), "two replies end before it");
    assert_eq!(names(&bench.finish(&turn("c1", "m1")).await), ["m3"]);
    assert_eq!(bench.enter(turn("c0", "m5")).await.granted, vec![], "a conversation has one reply at a time");
}

pub async fn entering_twice_is_entering_once(bench: Open) {
    let granted = turn("a", "a1");
    bench.enter(granted.clone()).await;
    let waiting = turn("b", "b1");
    bench.enter(waiting.clone()).await;
    let again = bench.enter(granted).await;
    assert_eq!((names(&again), told(&again, "a")), (vec![], Some(PROCESSING)));
    let again = bench.enter(waiting.clone()).await;
    assert_eq!((names(&again), told(&again, "b")), (vec![], Some(state(Phase::Queued, 1, Some(1)))));
    let attempt = Turn { attempt: 2, ..waiting };
    assert_eq!(told(&bench.enter(attempt).await, "b"), Some(state(Phase::Queued, 2, Some(1))), "an attempt of its own");
    assert_eq!(bench.drain().await, ["a1", "b1", "b1"]);
}

pub async fn a_renewed_lease_lasts_and_one_that_is_not_frees_its_slot(bench: Open) {
    let (held, next) = (turn("a", "a1"), turn("b", "b1"));
    bench.enter(held.clone()).await;
    bench.enter(next.clone()).await;
    bench.enter(turn("a", "a2")).await;
    for _ in 0..3 {
        bench.advance(LEASE * 3 / 4).await;
        assert!(bench.backend.renew(&held).await.unwrap());
        assert_eq!(bench.backend.expire().await.unwrap(), Moved::default());
    }
    assert!(!bench.backend.renew(&next).await.unwrap(), "what waits has no lease");
    bench.advance(LEASE).await;
    let moved = bench.backend.expire().await.unwrap();
    assert_eq!(names(&moved), ["b1"]);
    assert_eq!(told(&moved, "a"), Some(state(Phase::Queued, 1, Some(1))));
    assert!(!bench.backend.renew(&held).await.unwrap());
    assert!(!bench.backend.knows(&held).await.unwrap(), "who lost the slot is gone");
    assert_eq!(bench.finish(&held).await, Moved::default(), "and frees no other's");
    assert_eq!(bench.drain().await, ["b1", "a2"]);
}

pub async fn a_withdrawn_message_is_never_granted(bench: Open) {
    for (conversation, message) in [("x", "x1"), ("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1")] {
        bench.enter(turn(conversation, message)).await;
    }
    let messages = |names: &[&str]| names.iter().map(|name| MessageId::trusted(*name)).collect::<Vec<_>>();
    let withdraw = async |of: &str, names: &[&str]| {
        let of = ConversationId::trusted(of);
        bench.backend.withdraw(&CharacterId::trusted("mara"), &of, &messages(names)).await.unwrap()
    };
    let moved = withdraw("a", &["a1", "a3", "other"]).await;
    assert_eq!(told(&moved, "a"), Some(state(Phase::Queued, 1, Some(1))));
    assert!(!bench.backend.knows(&turn("a", "a1")).await.unwrap());
    let moved = withdraw("a", &["a2"]).await;
    assert_eq!(told(&moved, "a"), Some(IDLE));
    assert_eq!(told(&moved, "b"), Some(state(Phase::Queued, 1, Some(1))));
    let moved = withdraw("x", &["x1"]).await;
    assert_eq!(moved, Moved::default(), "a granted one keeps its slot");
    assert_eq!(withdraw("nowhere", &["a1"]).await, Moved::default());
    assert_eq!(bench.drain().await, ["x1", "b1"]);
}

pub async fn finishing_what_holds_no_slot_frees_none(bench: Open) {
    bench.enter(turn("a", "a1")).await;
    bench.enter(turn("b", "b1")).await;
    bench.enter(turn("c", "c1")).await;
    assert_eq!(bench.finish(&turn("z", "z1")).await, Moved::default());
    assert_eq!(bench.finish(&Turn { attempt: 2, ..turn("a", "a1") }).await, Moved::default());
    let moved = bench.finish(&turn("b", "b1")).await;
    assert!(moved.granted.is_empty(), "what waits leaves the line alone");
    assert_eq!((told(&moved, "b"), told(&moved, "c")), (Some(IDLE), Some(state(Phase::Queued, 1, Some(1)))));
    assert_eq!(bench.drain().await, ["a1", "c1"]);
}

pub async fn positions_are_told_from_the_front_alone(bench: Open) {
    bench.enter(turn("x", "x1")).await;
    for n in 1..=6 {
        let name = format!("c{n}");
        assert_eq!(told(&bench.enter(turn(&name, &name)).await, &name), Some(state(Phase::Queued, 1, Some(n))));
    }
    let moved = bench.finish(&turn("x", "x1")).await;
    let mut told: Vec<&str> = moved.states.iter().map(|(of, _)| of.as_str()).collect();
    told.sort_unstable();
    assert_eq!(told, ["c1", "c2", "c3", "c4", "x"]);
    assert_eq!(bench.state("c6").await.position, Some(5), "who asks is told all the same");
}

pub async fn a_position_is_the_number_of_replies_before(bench: Open) {
    let random = SeededRandom::new(7);
    bench.enter(turn("x", "x1")).await;
    let mut expected = HashMap::new();
    for n in 0..60 {
        let (name, mut byte) = (format!("c{n}"), [0]);
        random.fill(&mut byte);
        let premium = byte[0] % 3 > 0;
        bench.enter(Turn { premium, ..turn(&name, &name) }).await;
    }
    for n in (0..60).step_by(7) {
        let name = format!("c{n}");
        let (of, message) = (ConversationId::trusted(&*name), MessageId::trusted(&*name));
        bench.backend.withdraw(&CharacterId::trusted("mara"), &of, &[message]).await.unwrap();
    }
    for n in (0..60).filter(|n| n % 7 != 0) {
        let name = format!("c{n}");
        let position = bench.state(&name).await.position.unwrap();
        expected.insert(name, position as usize);
    }
    let order = bench.drain().await;
    assert_eq!(order.len(), expected.len() + 1);
    for (before, name) in order.iter().enumerate().skip(1) {
        assert_eq!(expected[name], before, "{name}");
    }
}

/// Random operations on some conversations of two characters, against what the contract says of them.
pub async fn whatever_happens_the_lines_keep_their_promises(bench: Open) {
    let random = SeededRandom::new(11);
    let draw = |below: usize| {
        let mut bytes = [0; 4];
        random.fill(&mut bytes);
        u32::from_le_bytes(bytes) as usize % below
    };
    let mut seen = Model::default();
    let mut entered: Vec<Turn> = Vec::new();
    for step in 0..2_000 {
        let moved = match draw(100) {
            0..45 => {
                let n = draw(12);
                let conversation = format!("{}{n}", if n % 3 == 0 { "otto" } else { "mara" });
                let turn = Turn { premium: n % 4 == 0, ..turn(&conversation, &format!("m{step}")) };
                let turn = Turn { character: character_of(&turn.conversation), ..turn };
                entered.push(turn.clone());
                seen.waits(&turn);
                bench.enter(turn).await
            }
            45..50 if !entered.is_empty() => {
                let again = entered[draw(entered.len())].clone();
                if !bench.backend.knows(&again).await.unwrap() {
                    seen.waits(&again);
                }
                bench.enter(again).await
            }
            50..90 if !seen.held.is_empty() => {
                let turn = seen.held.values().nth(draw(seen.held.len())).unwrap().clone();
                seen.held.remove(&turn.conversation);
                bench.finish(&turn).await
            }
            90..95 if !entered.is_empty() => {
                let turn = entered[draw(entered.len())].clone();
                if let Some(line) = seen.waiting.get_mut(&turn.conversation) {
                    line.retain(|other| other.message != turn.message);
                }
                let message = std::slice::from_ref(&turn.message);
                bench.backend.withdraw(&turn.character, &turn.conversation, message).await.unwrap()
            }
            95..98 => {
                for turn in seen.held.values() {
                    assert!(bench.backend.renew(turn).await.unwrap());
                }
                continue;
            }
            98 if step % 5 == 0 => {
                bench.advance(SHORT_LEASE).await;
                seen.held.clear();
                bench.backend.expire().await.unwrap()
            }
            _ => continue,
        };
        seen.apply(&moved);
        seen.check(&bench).await;
    }
    // Nobody starves, and nothing is granted twice.
    while let Some(turn) = seen.held.values().next().cloned() {
        seen.held.remove(&turn.conversation);
        let moved = bench.finish(&turn).await;
        seen.apply(&moved);
    }
    assert!(seen.waiting.values().all(VecDeque::is_empty));
}

/// Whose conversation this is, of the random ones.
fn character_of(conversation: &ConversationId) -> CharacterId {
    CharacterId::trusted(conversation.as_str().trim_end_matches(|c: char| c.is_ascii_digit()))
}

/// What an observer knows from what it did and was answered.
#[derive(Default)]
struct Model {
    waiting: HashMap<ConversationId, VecDeque<Turn>>,
    held: HashMap<ConversationId, Turn>,
    told: HashMap<ConversationId, ConversationState>,
}

impl Model {
    fn waits(&mut self, turn: &Turn) {
        self.waiting.entry(turn.conversation.clone()).or_default().push_back(turn.clone());
    }

    fn apply(&mut self, moved: &Moved) {
        for turn in &moved.granted {
            let line = self.waiting.get_mut(&turn.conversation).expect("only what waits is granted");
            assert_eq!(line.pop_front().as_ref(), Some(turn), "a conversation is answered in order");
            assert!(self.held.insert(turn.conversation.clone(), turn.clone()).is_none(), "one reply at a time");
        }
        self.told.extend(moved.states.iter().cloned());
    }

    async fn check(&self, bench: &Open) {
        for character in ["mara", "otto"] {
            let held = self.held.values().filter(|turn| turn.character.as_str() == character).count();
            let is_ready = |(of, line): (&ConversationId, &VecDeque<Turn>)| {
                !self.held.contains_key(of) && line.front().is_some_and(|turn| turn.character.as_str() == character)
            };
            let ready = self.waiting.iter().filter(|(of, line)| is_ready((of, line))).count();
            assert!(held <= 2 && (held == 2 || ready == 0), "{character}: {held} under way while {ready} could be");
        }
        let granted: HashSet<_> =
            bench.backend.granted(Duration::ZERO).await.unwrap().into_iter().map(|turn| turn.message).collect();
        assert_eq!(granted, self.held.values().map(|turn| turn.message.clone()).collect());
        let now = async |of: &ConversationId| bench.backend.state(&character_of(of), of).await.unwrap();
        let states = join_all(self.waiting.keys().map(now)).await;
        for ((conversation, line), now) in self.waiting.iter().zip(states) {
            assert_eq!(now.pending, line.len() as u64);
            let phase = match (line.is_empty(), self.held.contains_key(conversation)) {
                (false, _) => Phase::Queued,
                (true, true) => Phase::Processing,
                (true, false) => Phase::Idle,
            };
            assert_eq!((now.state, now.position.is_some()), (phase, phase == Phase::Queued));
            assert_eq!(self.told.get(conversation), Some(&now), "what was told adds up to the state of {conversation}");
        }
    }
}
