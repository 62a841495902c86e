//! Errands: jobs of a queue that workers of other programs have taken over, and what is heard of them while they run.
//!
//! Whoever adds such a job hears its progress and its end by the events that BullMQ writes beside each queue. Events may
//! come late, and be lost where a stream of them was cut short, so a job that is silent is looked at as well: its end is
//! never missed, its progress may be.
//!
//! In an outage: nothing can be added, and what is under way is silent. On recovery: the events go on where they were
//! heard last; a job that Redis lost is told to be gone.

pub use super::redis::errands::{Errand, Errands};

use serde_json::Value;

/// What becomes of a job.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// A worker runs it from its beginning: for the first time, or once more after a run that failed or was lost.
    Begun,
    /// The run is over without an end; another is to begin.
    Waits,
    Progress(Value),
    Completed(Value),
    /// For good, with the worker's reason.
    Failed(String),
    /// Somebody removed it; whether it stood in line then.
    Removed {
        stood_in_line: bool,
    },
    /// Redis does not know it.
    Gone,
    /// Redis does not answer.
    Away,
}
