//! What is measured of a queue, wherever it lies.

use super::Counts;
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

pub(super) struct Meters {
    pub completed: Counter,
    pub retried: Counter,
    pub failed: Counter,
    /// Its worker was gone without an end of the run.
    pub lost: Counter,
    waiting: Gauge,
    delayed: Gauge,
    active: Gauge,
    pub waited: Histogram,
    pub ran: Histogram,
}

impl Meters {
    pub fn of(queue: &'static str) -> Self {
        let runs = |result: &'static str| counter!("aim_queue_runs_total", "queue" => queue, "result" => result);
        let jobs = |state: &'static str| gauge!("aim_queue_jobs", "queue" => queue, "state" => state);
        Self {
            completed: runs("completed"),
            retried: runs("retried"),
            failed: runs("failed"),
            lost: runs("lost"),
            waiting: jobs("waiting"),
            delayed: jobs("delayed"),
            active: jobs("active"),
            waited: histogram!("aim_queue_wait_seconds", "queue" => queue),
            ran: histogram!("aim_queue_run_seconds", "queue" => queue),
        }
    }

    pub fn tell(&self, counts: &Counts) {
        self.waiting.set(counts.waiting as f64);
        self.delayed.set(counts.delayed as f64);
        self.active.set(counts.active as f64);
    }
}
