//! One subject's window: when it was admitted, and until when it is blocked.

use aim_domain::limits::Quota;
use aim_domain::{Millis, Timestamp};
use std::collections::hash_map::DefaultHasher;
use std::collections::{HashSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::time::Duration;

/// An admission at `t` counts for as long as the clock is below `t` + the window's length.
///
/// The clock may be set back. Then the whole window moves back with it, as if no time had passed since its last
/// admission: ages are kept, and nothing is admitted too early.
pub(super) struct Window {
    /// The time that offsets count from.
    base: Millis,
    /// Milliseconds after `base`, ascending, with how many were admitted in each. Not more pairs than the limit, and
    /// not more than the window has milliseconds.
    admissions: VecDeque<(u32, u32)>,
    /// The sum of the counts.
    counted: u64,
    blocked_until: Millis,
    /// The window's length in milliseconds.
    span: u32,
    names: Option<Box<Names>>,
}

/// The names that were counted in this window, by their hash.
#[derive(Default)]
struct Names {
    known: HashSet<u64>,
    order: VecDeque<(u32, u64)>,
}

/// A longer window, of 24 days, is none: offsets from `base` stay within 32 bits.
const LONGEST: u32 = u32::MAX / 2;

fn millis(length: Duration) -> u32 {
    u32::try_from(length.as_millis()).unwrap_or(LONGEST).clamp(1, LONGEST)
}

fn length(millis: Millis) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

impl Window {
    pub fn new(now: Timestamp, quota: Quota) -> Self {
        let span = millis(quota.window);
        Self { base: now.0, admissions: VecDeque::new(), counted: 0, blocked_until: 0, span, names: None }
    }

    /// Pairs of numbers that it keeps.
    #[cfg(test)]
    pub fn size(&self) -> usize {
        self.admissions.len()
    }

    fn end(&self, offset: u32) -> Millis {
        self.base + Millis::from(offset) + Millis::from(self.span)
    }

    /// Drops what has left the window. Comes before every other question at a new `now`.
    pub fn settle(&mut self, now: Timestamp, quota: Quota) {
        self.span = millis(quota.window);
        if let Some(&(last, _)) = self.admissions.back() {
            let ahead = (self.base + Millis::from(last) - now.0).max(0);
            self.base -= ahead;
            self.blocked_until -= ahead;
        }
        self.blocked_until = self.blocked_until.min(now.plus(quota.block).0);
        while let Some(&(offset, count)) = self.admissions.front()
            && self.end(offset) <= now.0
        {
            self.admissions.pop_front();
            self.counted -= u64::from(count);
        }
        self.forget_names(now);
        match self.admissions.front() {
            None => self.base = now.0,
            Some(&(first, _)) if now.0 - self.base > Millis::from(LONGEST) => self.rebase(first),
            Some(_) => {}
        }
    }

    fn forget_names(&mut self, now: Timestamp) {
        let (base, span) = (self.base, Millis::from(self.span));
        let Some(names) = &mut self.names else { return };
        while let Some(&(offset, name)) = names.order.front()
            && base + Millis::from(offset) + span <= now.0
        {
            names.order.pop_front();
            names.known.remove(&name);
        }
        if names.order.is_empty() {
            self.names = None;
        }
    }

    fn rebase(&mut self, by: u32) {
        self.base += Millis::from(by);
        self.admissions.iter_mut().for_each(|(offset, _)| *offset -= by);
        if let Some(names) = &mut self.names {
            names.order.iter_mut().for_each(|(offset, _)| *offset -= by);
        }
    }

    /// How long until it would admit; None: it does now. Starts the block where the quota has one and it is full.
    pub fn wait(&mut self, now: Timestamp, quota: Quota, before: u64) -> Option<Duration> {
        if now.0 < self.blocked_until {
            return Some(length(self.blocked_until - now.0));
        }
        let too_many = (self.counted + before + 1).saturating_sub(quota.limit);
        if too_many == 0 {
            return None;
        }
        let mut leaving = 0;
        let room = self.admissions.iter().find(|(_, count)| {
            leaving += u64::from(*count);
            leaving >= too_many
        });
        let mut wait = room.map_or(quota.window, |(offset, _)| length(self.end(*offset) - now.0));
        if !quota.block.is_zero() {
            self.blocked_until = now.plus(quota.block).0;
            wait = wait.max(quota.block);
        }
        Some(wait)
    }

    pub fn is_blocked(&self, now: Timestamp) -> bool {
        now.0 < self.blocked_until
    }

    /// Whether this name was counted in the window.
    pub fn knows(&self, name: &str) -> bool {
        self.names.as_ref().is_some_and(|names| names.known.contains(&hash(name)))
    }

    /// Counts one admission.
    pub fn admit(&mut self, now: Timestamp, name: Option<&str>) {
        let offset = u32::try_from(now.0 - self.base).unwrap_or(0);
        match self.admissions.back_mut() {
            Some((last, count)) if *last == offset && *count < u32::MAX => *count += 1,
            _ => self.admissions.push_back((offset, 1)),
        }
        self.counted += 1;
        if let Some(name) = name {
            let names = self.names.get_or_insert_default();
            let name = hash(name);
            if names.known.insert(name) {
                names.order.push_back((offset, name));
            }
        }
    }

    /// What remains, and how long until the block ends or the oldest admission leaves.
    pub fn standing(&self, now: Timestamp, limit: u64) -> (u64, Duration) {
        if self.is_blocked(now) {
            return (0, length(self.blocked_until - now.0));
        }
        let reset = self.admissions.front().map_or(Duration::ZERO, |(offset, _)| length(self.end(*offset) - now.0));
        (limit.saturating_sub(self.counted), reset)
    }

    /// Nothing in it counts any more.
    pub fn is_over(&self, now: Timestamp) -> bool {
        !self.is_blocked(now) && self.admissions.back().is_none_or(|(last, _)| self.end(*last) <= now.0)
    }
}

/// Within one subject's window two names that share a hash of 64 bits are not to be expected.
fn hash(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}
