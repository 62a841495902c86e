//! The circuit breaker as a small state machine: what may be asked of Redis now, and what an answer changes. No I/O.
//!
//! Two gates. The first is for everything and opens when Redis cannot be reached or does not answer in time; the second
//! is for what writes and opens also when Redis answers but takes nothing (out of memory, read-only). An open gate
//! refuses at once. It closes when a probe went through it, which the keeper sends; nobody else's call is risked.

use std::time::{Duration, Instant};

/// Time-outs in a row, without an answer between them, after which Redis counts as away. Calls that waited side by side are
/// one of them: a single hitch ends hundreds at once, and says no more than the first.
const TIMEOUTS: u32 = 3;

/// What a call needs of Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Reads, and publishing: what works when Redis has no memory left.
    Read,
    /// A read that may be a moment old, and so may go to a replica.
    LaggingRead,
    Write,
}

/// What went wrong with a call, as far as it says something about Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No answer in time.
    Timeout,
    /// The connection broke, or Redis says that it cannot serve (LOADING, CLUSTERDOWN, MASTERDOWN).
    Lost,
    /// Redis answers, and takes no writes (OOM, READONLY, MISCONF, NOREPLICAS).
    WritesRefused,
}

/// The connection that a call went over: raised with each new one, so that late answers of an old one change nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation(pub u64);

/// How far open the way to Redis is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    Open,
    ReadsAlone,
    Closed,
}

#[derive(Debug)]
pub(super) struct Breaker {
    generation: Generation,
    passage: Passage,
    timeouts: u32,
    /// When the last of them was counted.
    last_timeout: Option<Instant>,
    since: Instant,
}

impl Breaker {
    /// Closed to all until the first probe went through.
    pub fn new(now: Instant) -> Self {
        Self { generation: Generation(0), passage: Passage::Closed, timeouts: 0, last_timeout: None, since: now }
    }

    pub fn passage(&self) -> Passage {
        self.passage
    }

    /// How long it has been as it is.
    pub fn lasted(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }

    pub fn admits(&self, need: Need) -> bool {
        match self.passage {
            Passage::Open => true,
            Passage::ReadsAlone => need != Need::Write,
            Passage::Closed => false,
        }
    }

    /// A new connection is there; nothing passes before its probe does.
    pub fn connected(&mut self, now: Instant) -> Generation {
        self.generation.0 += 1;
        self.timeouts = 0;
        self.turn(Passage::Closed, now);
        self.generation
    }

    /// A probe of `generation` went through. Answers whether that changed anything.
    pub fn probed(&mut self, generation: Generation, writes: bool, now: Instant) -> bool {
        if generation != self.generation {
            return false;
        }
        self.timeouts = 0;
        self.turn(if writes { Passage::Open } else { Passage::ReadsAlone }, now)
    }

    /// An answer came, whatever it said.
    pub fn answered(&mut self, generation: Generation) {
        if generation == self.generation {
            self.timeouts = 0;
        }
    }

    /// A call failed that began then. Answers whether that changed anything.
    pub fn failed(&mut self, generation: Generation, failure: Failure, began: Instant, now: Instant) -> bool {
        if generation != self.generation {
            return false;
        }
        match failure {
            Failure::Lost => self.turn(Passage::Closed, now),
            Failure::Timeout if self.last_timeout.is_some_and(|last| began < last) => false,
            Failure::Timeout => {
                (self.timeouts, self.last_timeout) = (self.timeouts + 1, Some(now));
                self.timeouts >= TIMEOUTS && self.turn(Passage::Closed, now)
            }
            Failure::WritesRefused => {
                self.timeouts = 0;
                self.passage == Passage::Open && self.turn(Passage::ReadsAlone, now)
            }
        }
    }

    fn turn(&mut self, passage: Passage, now: Instant) -> bool {
        if self.passage == passage {
            return false;
        }
        (self.passage, self.since) = (passage, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> (Breaker, Generation, Instant) {
        let now = Instant::now();
        let mut breaker = Breaker::new(now);
        let generation = breaker.connected(now);
        assert!(!breaker.admits(Need::Read));
        assert!(breaker.probed(generation, true, now));
        (breaker, generation, now)
    }

    #[test]
    fn it_opens_after_three_timeouts_in_a_row() {
        let (mut breaker, generation, now) = open();
        for _ in 0..10 {
            assert!(!breaker.failed(generation, Failure::Timeout, now, now));
            assert!(!breaker.failed(generation, Failure::Timeout, now, now));
            breaker.answered(generation);
        }
        assert!(breaker.admits(Need::Write));
        breaker.failed(generation, Failure::Timeout, now, now);
        breaker.failed(generation, Failure::Timeout, now, now);
        assert!(breaker.failed(generation, Failure::Timeout, now, now));
        assert!(!breaker.admits(Need::Read));
    }

    #[test]
    fn calls_that_wait_side_by_side_time_out_once() {
        let (mut breaker, generation, now) = open();
        let after = |n: u64| now + Duration::from_millis(n);
        for n in 0..200 {
            assert!(!breaker.failed(generation, Failure::Timeout, after(n % 50), after(100)));
        }
        assert!(breaker.admits(Need::Write), "all of them were there before the first was given up");
        assert!(!breaker.failed(generation, Failure::Timeout, after(101), after(201)));
        assert!(breaker.failed(generation, Failure::Timeout, after(202), after(302)));
    }

    #[test]
    fn a_broken_connection_opens_it_at_once() {
        let (mut breaker, generation, now) = open();
        assert!(breaker.failed(generation, Failure::Lost, now, now));
        assert_eq!(breaker.passage(), Passage::Closed);
    }

    #[test]
    fn refused_writes_leave_reads_alone() {
        let (mut breaker, generation, now) = open();
        assert!(breaker.failed(generation, Failure::WritesRefused, now, now));
        assert!(breaker.admits(Need::Read) && breaker.admits(Need::LaggingRead) && !breaker.admits(Need::Write));
        assert!(!breaker.probed(generation, false, now), "writes are refused still");
        assert!(breaker.probed(generation, true, now));
        assert!(breaker.admits(Need::Write));
    }

    #[test]
    fn a_late_answer_of_an_old_connection_changes_nothing() {
        let (mut breaker, old, now) = open();
        let new = breaker.connected(now);
        assert!(!breaker.probed(old, true, now));
        assert!(!breaker.admits(Need::Read));
        assert!(breaker.probed(new, true, now));
        assert!(!breaker.failed(old, Failure::Lost, now, now));
        assert!(breaker.admits(Need::Write));
    }
}
