//! Many arrivals on three servers, whose clocks are five minutes apart, against an exact log.

use super::*;
use crate::Fleet;
use crate::limits::pair::LimitsPair;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};

/// Unless `AIM_TEST_ARRIVALS` says how many: a million take some minutes.
const ARRIVALS: u32 = 100_000;
/// Under way at once on each server.
const CALLERS: u64 = 32;
const WINDOW: u64 = 700;
const API: u64 = 400;
const MESSAGING: u64 = 150;

/// What was asked, and what came of it, as far as it says when and in which order.
struct Arrival {
    subject: u32,
    /// With a message, of this name.
    message: Option<Option<String>>,
    verdict: Verdict,
    at: Millis,
}

impl Arrival {
    fn asks(&self) -> Vec<Ask> {
        let subject = format!("s{}", self.subject);
        let api = ask(Rule::Api, &subject, API, WINDOW, 0);
        let message = self.message.as_ref().map(|once| {
            let once = once.clone();
            Ask { once, ..ask(Rule::Messaging, &subject, MESSAGING, WINDOW / 2, 0) }
        });
        std::iter::once(api).chain(message).collect()
    }
}

/// All that was ever admitted to one subject.
#[derive(Default)]
struct Log {
    api: Vec<Millis>,
    messages: Vec<(Millis, Option<String>)>,
}

impl Log {
    /// Whether it is admitted, and what then remains of `api`.
    fn judge(&mut self, arrival: &Arrival) -> (bool, u64) {
        let now = arrival.at;
        self.api.retain(|at| at + WINDOW as Millis > now);
        self.messages.retain(|(at, _)| at + WINDOW as Millis / 2 > now);
        let repeats = |once: &Option<String>| once.is_some() && self.messages.iter().any(|(_, known)| known == once);
        let counts = arrival.message.clone().filter(|once| !repeats(once));
        let full = counts.is_some() && self.messages.len() as u64 >= MESSAGING;
        let admitted = (self.api.len() as u64) < API && !full;
        if admitted {
            self.api.push(now);
            self.messages.extend(counts.map(|once| (now, once)));
        }
        (admitted, API - self.api.len() as u64)
    }
}

/// A server whose clock is so many minutes ahead.
async fn server(site: &Site, minutes: i64) -> LimitsPair {
    let clock = ManualClock::at(Timestamp(SystemClock.now().0 + minutes * 60_000));
    let ambient = Ambient { clock, random: SeededRandom::new(1) };
    let redis = RedisLimits::new(site.straight().await.client("limits"));
    LimitsPair::new(redis, LocalLimits::new(&ambient), Fleet::default())
}

/// One caller of a server.
async fn arrive(limits: Arc<LimitsPair>, seed: u64, left: Arc<AtomicU32>) -> Vec<Arrival> {
    let random = SeededRandom::new(seed);
    let draw = |below: u32| {
        let mut bytes = [0; 4];
        random.fill(&mut bytes);
        u32::from_le_bytes(bytes) % below
    };
    let mut arrivals = Vec::new();
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
        let message = (draw(3) == 0).then(|| (draw(2) == 0).then(|| format!("m{}", draw(500))));
        let verdict = Verdict { standings: Vec::new(), refused: None };
        let mut arrival = Arrival { subject: draw(4), message, verdict, at: 0 };
        let judgement = with_budget(PATIENCE, limits.judge(&arrival.asks())).await.unwrap();
        (arrival.at, arrival.verdict) = (judgement.answers[0].at, judgement.verdict);
        arrivals.push(arrival);
    }
    arrivals
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn random_arrivals_on_servers_with_other_clocks_agree_with_an_exact_log() {
    let site = Site::open().await;
    let asked = std::env::var("AIM_TEST_ARRIVALS").map_or(ARRIVALS, |text| text.parse().unwrap());
    let left = Arc::new(AtomicU32::new(asked));
    let mut tasks = Vec::new();
    for (n, minutes) in [-5, 0, 5].into_iter().enumerate() {
        let limits = Arc::new(server(&site, minutes).await);
        let seeds = n as u64 * CALLERS..(n as u64 + 1) * CALLERS;
        tasks.extend(seeds.map(|seed| tokio::spawn(arrive(limits.clone(), seed, left.clone()))));
    }
    let mut arrivals: Vec<Arrival> = Vec::new();
    for task in tasks {
        arrivals.extend(task.await.unwrap());
    }
    assert_eq!(arrivals.len(), asked as usize);
    // The order in which Redis judged: by time, and within a millisecond by what it had counted; what it refused came
    // after what it had counted.
    let refused = |arrival: &Arrival| !arrival.verdict.is_admitted();
    arrivals.sort_by_key(|arrival| {
        (arrival.at, arrival.subject, std::cmp::Reverse(arrival.verdict.standings[0].remaining), refused(arrival))
    });
    let mut logs: HashMap<u32, Log> = HashMap::new();
    let (mut differences, mut refusals) = (0, 0);
    for arrival in &arrivals {
        let (admitted, remaining) = logs.entry(arrival.subject).or_default().judge(arrival);
        differences += u32::from(admitted == refused(arrival) || remaining != arrival.verdict.standings[0].remaining);
        refusals += u32::from(refused(arrival));
    }
    assert_eq!(differences, 0);
    assert!(refusals > asked / 100 && refusals < asked / 100 * 99, "{refusals} refusals tell little");
}
