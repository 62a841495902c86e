//! The windows in Redis: the promises of the contract, the same answers as this process gives, and what is seen of them
//! from outside.

mod arrivals;
mod cluster;

use super::*;
use crate::conformance::Bench;
use crate::conformance::storm::{PATIENCE, Patient, Site};
use crate::limits::local::LocalLimits;
use crate::link::{Settings, with_budget};
use aim_domain::limits::Quota;
use aim_domain::{Ambient, Clock, ManualClock, Random, SeededRandom, SystemClock, Timestamp};
use std::sync::Arc;

mod promises {
    use super::*;

    async fn open() -> Bench<dyn Limits> {
        let site = Site::open().await;
        let limits: Arc<dyn Limits> = Arc::new(Patient(Arc::new(RedisLimits::new(site.link.client("limits")))));
        Bench::waiting(limits, Arc::new(SystemClock)).keeping(site)
    }

    crate::limits_promises!(open);
}

async fn open() -> (Site, RedisLimits) {
    let site = Site::open().await;
    let limits = RedisLimits::new(site.link.client("limits"));
    (site, limits)
}

fn ask(rule: Rule, subject: &str, limit: u64, window: u64, block: u64) -> Ask {
    let quota = Quota { limit, window: Duration::from_millis(window), block: Duration::from_millis(block) };
    Ask { rule, subject: subject.into(), quota, once: None }
}

impl Site {
    async fn number(&self, words: &[&str]) -> i64 {
        self.redis.command(words).await.unwrap().number().unwrap()
    }

    /// How often scripts were called.
    async fn scripts(&self) -> u64 {
        let stats = self.redis.info("cmdstat_evalsha").await.unwrap();
        stats.split(',').find_map(|field| field.strip_prefix("calls=")).unwrap().parse().unwrap()
    }
}

#[tokio::test]
async fn it_judges_as_this_process_does() {
    let (_site, limits) = open().await;
    let clock = ManualClock::at(Timestamp(0));
    let local = LocalLimits::new(&Ambient { clock: clock.clone(), random: SeededRandom::new(1) });
    let random = SeededRandom::new(7);
    let draw = |below: u32| {
        let mut bytes = [0; 4];
        random.fill(&mut bytes);
        u32::from_le_bytes(bytes) % below
    };
    let mut refused = 0;
    for arrival in 0..3_000 {
        if draw(6) == 0 {
            tokio::time::sleep(Duration::from_millis(u64::from(draw(6)))).await;
        }
        let subject = |n: u32| format!("s{}", draw(n));
        // The limits change at times, as with a user's tier.
        let times = if draw(50) == 0 { 5 } else { 1 };
        let mut asks = vec![ask(Rule::Api, &subject(3), 15 * times, 200, 0)];
        match draw(4) {
            0 => {
                let mut ask = ask(Rule::Messaging, &subject(3), 3 * times, 150, 0);
                ask.once = (draw(2) == 0).then(|| format!("m{}", draw(12)));
                asks.push(ask);
            }
            1 => asks = vec![ask(Rule::Auth, &subject(2), 5, 300, 150), ask(Rule::Auth, "name", 9, 250, 80)],
            _ => {}
        }
        let judgement = with_budget(PATIENCE, limits.judge(&asks)).await.unwrap();
        let at = judgement.answers[0].at;
        clock.advance(Timestamp(at).since(clock.now()));
        let expected = local.admit(&asks).await.unwrap();
        assert_eq!(judgement.verdict, expected, "arrival {arrival}: {asks:?}");
        refused += u32::from(!expected.is_admitted());
    }
    assert!((100..2_900).contains(&refused), "{refused} refusals tell little");
}

#[tokio::test]
async fn a_call_is_one_command_whatever_it_asks() {
    let (site, limits) = open().await;
    let asks = [
        ask(Rule::Api, "u1", 10, 60_000, 0),
        Ask { once: Some("talk/1".into()), ..ask(Rule::Messaging, "u1", 10, 60_000, 0) },
        ask(Rule::Api, "198.51.100.7", 10, 60_000, 0),
    ];
    limits.admit(&asks).await.unwrap();
    let (before, exchanges) = (site.scripts().await, site.proxy.exchanges());
    assert!(limits.admit(&asks).await.unwrap().is_admitted());
    assert_eq!((site.scripts().await - before, site.proxy.exchanges() - exchanges), (1, 1));
    assert!(limits.admit(&[]).await.unwrap().is_admitted());
    assert_eq!(site.proxy.exchanges() - exchanges, 1, "to ask nothing costs nothing");
}

#[tokio::test]
async fn a_key_lives_as_long_as_its_window_and_its_block() {
    let (site, limits) = open().await;
    let ask = ask(Rule::Auth, "mara", 2, 60_000, 900_000);
    let ttl = async || site.number(&["TTL", "aim:ratelimit:auth:mara"]).await;
    for _ in 0..2 {
        assert!(limits.admit(std::slice::from_ref(&ask)).await.unwrap().is_admitted());
        assert!((58..=60).contains(&ttl().await), "{}", ttl().await);
    }
    assert!(!limits.admit(std::slice::from_ref(&ask)).await.unwrap().is_admitted());
    assert!((898..=900).contains(&ttl().await), "{}", ttl().await);
    limits.clear(Rule::Auth, "mara").await.unwrap();
    assert_eq!(site.number(&["EXISTS", "aim:ratelimit:auth:mara"]).await, 0);
    let named = Ask { once: Some("talk/1".into()), ..self::ask(Rule::Messaging, "u1", 2, 60_000, 0) };
    limits.admit(&[named]).await.unwrap();
    let keys = site.redis.command(&["KEYS", "aim:ratelimit:messaging:u1:once:*"]).await.unwrap().texts();
    assert_eq!(keys.len(), 1);
    assert!((58..=60).contains(&site.number(&["TTL", &keys[0]]).await));
}

#[tokio::test]
async fn a_cleared_window_has_forgotten_its_names() {
    let (_site, limits) = open().await;
    let named = Ask { once: Some("talk/1".into()), ..ask(Rule::Messaging, "u1", 2, 60_000, 0) };
    let remaining = async || limits.admit(std::slice::from_ref(&named)).await.unwrap().standings[0].remaining;
    assert_eq!((remaining().await, remaining().await), (1, 1));
    tokio::time::sleep(Duration::from_millis(2)).await;
    limits.clear(Rule::Messaging, "u1").await.unwrap();
    assert_eq!((remaining().await, remaining().await), (1, 1), "it was counted anew, once");
}

#[tokio::test]
async fn what_another_system_kept_under_the_name_is_replaced() {
    let (site, limits) = open().await;
    site.redis.command(&["RPUSH", "aim:ratelimit:api:u1", "1795534529876"]).await.unwrap();
    let ask = ask(Rule::Api, "u1", 2, 60_000, 0);
    for remaining in [1, 0] {
        let verdict = limits.admit(std::slice::from_ref(&ask)).await.unwrap();
        assert_eq!(verdict.standings[0].remaining, remaining);
    }
}

/// What a clock that was set back looks like: admissions of the future.
const INTO_THE_FUTURE: &str = "
    local text = redis.call('GET', KEYS[1])
    local ahead, log = tonumber(ARGV[1]), ''
    local shift, born, blocked, till, first, counted, head, size = struct.unpack('<I6I6I6I6I6I6I4I4', text, #text - 43)
    for from = 1, size, 10 do
      local at, count = struct.unpack('<I6I4', text, from)
      log = log .. struct.pack('<I6I4', at + ahead, count)
    end
    local state = struct.pack('<I6I6I6I6I6I6I4I4', shift, born, blocked, till, first + ahead, counted, head, size)
    return redis.call('SET', KEYS[1], log .. state, 'KEEPTTL')";

#[tokio::test]
async fn a_clock_that_is_set_back_admits_nothing_early() {
    let (site, limits) = open().await;
    let ask = ask(Rule::Messaging, "u1", 2, 1_000, 0);
    for _ in 0..2 {
        assert!(limits.admit(std::slice::from_ref(&ask)).await.unwrap().is_admitted());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let key = "aim:ratelimit:messaging:u1";
    let set = site.redis.command(&["EVAL", INTO_THE_FUTURE, "1", key, "50000"]).await.unwrap();
    assert_eq!(set.text(), "OK");
    let (_, wait) = limits.admit(std::slice::from_ref(&ask)).await.unwrap().refused.unwrap();
    // No time has passed since the second; the first is as much older as it was.
    assert!(wait > Duration::from_millis(900) && wait < Duration::from_millis(981), "{wait:?}");
    tokio::time::sleep(wait / 2).await;
    let (_, left) = limits.admit(std::slice::from_ref(&ask)).await.unwrap().refused.unwrap();
    assert!(left <= wait / 2 + Duration::from_millis(1), "time goes on: {left:?}");
    tokio::time::sleep(left).await;
    assert!(limits.admit(&[ask]).await.unwrap().is_admitted(), "nor does it lock anybody out");
}

#[tokio::test]
async fn a_full_redis_counts_nothing_by_halves() {
    let (site, limits) = open().await;
    let asks = [ask(Rule::Api, "u1", 5, 60_000, 0), ask(Rule::Messaging, "u1", 5, 60_000, 0)];
    limits.admit(&asks).await.unwrap();
    site.redis.command(&["CONFIG", "SET", "maxmemory", "1"]).await.unwrap();
    limits.admit(&asks).await.unwrap_err();
    site.redis.command(&["CONFIG", "SET", "maxmemory", "0"]).await.unwrap();
    site.until(crate::link::Passage::Open).await;
    let verdict = limits.admit(&asks).await.unwrap();
    assert_eq!(verdict.standings.iter().map(|standing| standing.remaining).collect::<Vec<_>>(), [3, 3]);
}

#[tokio::test]
async fn a_withdrawal_leaves_what_was_counted_beside_it() {
    let (_site, limits) = open().await;
    let named = Ask { once: Some("talk/1".into()), ..ask(Rule::Messaging, "u1", 9, 60_000, 0) };
    let mut first = limits.judge(std::slice::from_ref(&named)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(3)).await;
    let other = Ask { once: None, ..named.clone() };
    limits.admit(std::slice::from_ref(&other)).await.unwrap();
    limits.withdraw(std::slice::from_ref(&named), &mut first).await;
    assert_eq!(first.verdict.standings[0].remaining, 9);
    assert_eq!(limits.admit(&[other]).await.unwrap().standings[0].remaining, 7);
    let again = limits.admit(&[named]).await.unwrap();
    assert_eq!(again.standings[0].remaining, 6, "its name is forgotten");
}
