//! What servers measure of themselves: counts, and times in buckets. Figures of many minutes and many servers add up, so
//! that the quantiles of a day are those of its requests, not means of means.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// The upper ends of the buckets of a time, in seconds; what took longer than the last is in a bucket of its own.
pub const BOUNDS: [f64; 17] =
    [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

/// Counts and times by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    #[serde(default)]
    pub counts: BTreeMap<String, u64>,
    #[serde(default)]
    pub times: BTreeMap<String, Times>,
}

/// How many took how long: one number a bucket of [`BOUNDS`], and one for what took longer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Times(Vec<u64>);

impl Times {
    /// From numbers that belong to the buckets in order; what is beyond them is left out.
    pub fn of(buckets: impl IntoIterator<Item = u64>) -> Self {
        Self(buckets.into_iter().take(BOUNDS.len() + 1).collect())
    }

    pub fn count(&self) -> u64 {
        self.0.iter().fold(0, |sum, more| sum.saturating_add(*more))
    }

    pub fn add(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len().min(BOUNDS.len() + 1), 0);
        }
        for (sum, more) in self.0.iter_mut().zip(&other.0) {
            *sum = sum.saturating_add(*more);
        }
    }

    /// The time that the share `of` (0 to 1) stayed under, as exact as the buckets are: in a straight line between the ends of
    /// its bucket. None where nothing was measured. What took longer than the last bound counts as the bound.
    pub fn quantile(&self, of: f64) -> Option<Duration> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = of.clamp(0.0, 1.0) * count as f64;
        let mut before = 0.0;
        let mut low = 0.0;
        for (bucket, high) in self.0.iter().zip(BOUNDS) {
            let within = *bucket as f64;
            if within > 0.0 && before + within >= rank {
                let seconds = low + (high - low) * ((rank - before) / within).clamp(0.0, 1.0);
                return Some(Duration::from_secs_f64(seconds));
            }
            before += within;
            low = high;
        }
        Some(Duration::from_secs_f64(low))
    }
}

impl Figures {
    pub fn add(&mut self, other: &Self) {
        for (name, more) in &other.counts {
            let sum = self.counts.entry(name.clone()).or_default();
            *sum = sum.saturating_add(*more);
        }
        for (name, more) in &other.times {
            self.times.entry(name.clone()).or_default().add(more);
        }
    }

    /// A count; 0 where nothing was counted.
    pub fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or(0)
    }

    pub fn is_empty(&self) -> bool {
        self.counts.is_empty() && self.times.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(times: &Times, of: f64) -> Option<f64> {
        times.quantile(of).map(|time| (time.as_secs_f64() * 1e6).round() / 1e3)
    }

    #[test]
    fn quantiles_lie_within_the_bucket_of_their_rank() {
        let mut times = Times::default();
        assert_eq!(millis(&times, 0.5), None);
        // 50 between 5 and 10 ms, 50 between 100 and 250 ms.
        times.add(&Times::of([0, 0, 0, 0, 50, 0, 0, 0, 50]));
        assert_eq!(millis(&times, 0.25), Some(7.5));
        assert_eq!(millis(&times, 0.5), Some(10.0));
        assert_eq!(millis(&times, 0.99), Some(247.0));
        assert_eq!(millis(&times, 1.0), Some(250.0));
    }

    #[test]
    fn what_took_longer_than_the_last_bound_counts_as_the_bound() {
        let mut buckets = vec![0; BOUNDS.len()];
        buckets.push(3);
        assert_eq!(millis(&Times::of(buckets), 0.5), Some(300_000.0));
    }

    #[test]
    fn figures_add_up_by_name() {
        let mut sum = Figures::default();
        let one = Figures {
            counts: [("asked".to_owned(), 3)].into(),
            times: [("reply".to_owned(), Times::of([1, 2]))].into(),
        };
        let other = Figures {
            counts: [("asked".to_owned(), 4), ("hits".to_owned(), u64::MAX)].into(),
            times: [("reply".to_owned(), Times::of([0, 1, 5]))].into(),
        };
        sum.add(&one);
        sum.add(&other);
        sum.add(&other);
        assert_eq!(sum.count("asked"), 11);
        assert_eq!(sum.count("hits"), u64::MAX, "it stays where it is");
        assert_eq!(sum.times["reply"], Times::of([1, 4, 10]));
    }
}
