//! Who goes first in a queue whose jobs differ: premium users' before others', within a bound.
//!
//! BullMQ serves the lowest priority first and equal ones as they came, and knows no ageing. So a priority is a point in time,
//! the minute by which a job is to be begun: a free user's is two minutes later than a premium user's who comes at the same
//! time. A premium job passes free ones that came up to two minutes before it, and none that waits for longer, however many come.
//!
//! Minutes are counted modulo half of BullMQ's priorities, two years: where that begins anew, every other year, those that
//! stand in line wait until it is empty once.

use aim_domain::Timestamp;
use std::time::Duration;

/// How much earlier a premium user's job counts, in minutes.
const AHEAD: u64 = 2;
/// Each class has this many priorities; BullMQ's last one is 2^21 - 1.
const MINUTES: u64 = 1 << 20;

/// All of the first class go before the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Somebody sits and waits.
    Awaited,
    Ordinary,
}

/// The priority of a job that may begin after `wait`.
pub(crate) fn priority(now: Timestamp, wait: Duration, class: Class, premium: bool) -> u32 {
    let minute = u64::try_from(now.0).unwrap_or_default() / 60_000 + wait.as_secs() / 60;
    let by = (minute + if premium { 0 } else { AHEAD }) % (MINUTES - 1) + 1;
    let class = match class {
        Class::Awaited => 0,
        Class::Ordinary => MINUTES - 1,
    };
    u32::try_from(class + by).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_795_608_000_000;

    fn at(minutes: i64, premium: bool) -> u32 {
        priority(Timestamp(NOON + minutes * 60_000), Duration::ZERO, Class::Ordinary, premium)
    }

    #[test]
    fn a_premium_job_passes_free_ones_of_the_last_two_minutes_and_no_older_one() {
        assert!(at(0, true) < at(0, false), "they came together");
        assert!(at(1, true) < at(0, false));
        // Equal ones are served as they came.
        assert!(at(2, true) >= at(0, false), "no premium job that comes now passes it any more");
        assert!(at(1_000, true) > at(0, false));
        assert!(at(0, false) < at(1, false), "free ones among themselves");
    }

    #[test]
    fn what_somebody_waits_for_goes_before_all_else() {
        let reset = priority(Timestamp(NOON + 86_400_000), Duration::ZERO, Class::Awaited, false);
        assert!(reset < at(0, true));
        let delayed = priority(Timestamp(NOON), Duration::from_secs(600), Class::Ordinary, false);
        assert_eq!(delayed, at(10, false), "one that is to wait counts from then");
    }

    #[test]
    fn every_priority_is_one_that_bullmq_knows() {
        for day in 0..2_000 {
            let now = Timestamp(NOON + day * 86_400_000);
            for class in [Class::Awaited, Class::Ordinary] {
                assert!((1..1 << 21).contains(&priority(now, Duration::ZERO, class, false)));
            }
        }
    }
}
