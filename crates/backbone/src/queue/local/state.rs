//! One queue's jobs as a value: what each operation does to them, at a time that the caller says. Who runs them is
//! `worker`'s business, and what operators do to them is in `board`.

mod board;
mod minutes;

use crate::Fault;
use crate::queue::board::Posted;
use crate::queue::told;
use crate::queue::{Added, Counts, Failure, Job, JobState, KEPT_COMPLETED, KEPT_FAILED, Run, Schedule};
use aim_domain::Timestamp;
use minutes::Minutes;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Jobs of one queue that are not finished; more are refused.
pub const MOST_JOBS: usize = 1_000_000;

/// Lines that are kept of a job.
const MOST_LOGS: usize = 100;
const DAY: u64 = 24 * 60 * 60;
const LONGEST_BACKOFF: Duration = Duration::from_secs(DAY);
/// Ten years: a longer delay is taken for this one, so that no time overflows.
const LONGEST_DELAY: Duration = Duration::from_secs(3_650 * DAY);

/// Both clocks: points in time that people see, and lengths of time that timers measure.
#[derive(Clone, Copy)]
pub(super) struct Now {
    pub at: Timestamp,
    pub tick: Instant,
}

#[derive(Default)]
pub(super) struct State {
    jobs: HashMap<Arc<str>, Record>,
    /// By priority, then in order of arrival.
    waiting: BTreeMap<(u32, u64), Arc<str>>,
    delayed: BTreeMap<(Instant, u64), Arc<str>>,
    /// By the number of the run.
    active: BTreeMap<u64, Arc<str>>,
    completed: BTreeMap<u64, Arc<str>>,
    failed: BTreeMap<u64, Arc<str>>,
    schedules: HashMap<&'static str, Scheduled>,
    /// Numbers arrivals, runs and ends.
    last: u64,
    pub paused: bool,
    /// Runs at a time, whatever the crews have room for.
    most_active: Option<usize>,
    /// Jobs that completed, and that failed for good.
    ended: [Minutes; 2],
}

struct Record {
    job: Posted,
    place: Place,
    attempts_made: u32,
    attempts_started: u32,
    /// Runs that were lost with their task.
    lost: u32,
    /// A line for each run that failed, the last ones.
    logs: VecDeque<String>,
    added_at: Timestamp,
    ready: Instant,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    failed_reason: Option<String>,
    returned: Option<Value>,
}

/// Where a job stands, with its key there.
#[derive(Clone, Copy)]
enum Place {
    Waiting(u64),
    Delayed(Instant, u64),
    /// The run's number, and the place in line to go back to.
    Active(u64, u64),
    Completed(u64),
    Failed(u64),
}

impl Place {
    fn state(self) -> JobState {
        match self {
            Self::Waiting(_) => JobState::Waiting,
            Self::Delayed(..) => JobState::Delayed,
            Self::Active(..) => JobState::Active,
            Self::Completed(_) => JobState::Completed,
            Self::Failed(_) => JobState::Failed,
        }
    }
}

impl Record {
    fn log(&mut self, line: String) {
        if self.logs.len() >= MOST_LOGS {
            self.logs.pop_front();
        }
        self.logs.push_back(line);
    }
}

struct Scheduled {
    schedule: Schedule,
    next: Instant,
    /// The job of the latest slot.
    latest: Option<Arc<str>>,
    /// Slots so far.
    runs: u64,
}

/// A job that was taken to be run.
pub(super) struct Taken {
    pub id: Arc<str>,
    /// Names this run: an end that comes with another number is of a run that was given back.
    pub number: u64,
    pub run: Run,
    pub waited: Duration,
}

/// How a run ended for its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Completed,
    Retried,
    Failed,
    /// The job is no longer in this run's hands.
    NotOurs,
}

impl State {
    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub fn add(&mut self, job: Posted, now: Now) -> Result<Added, Fault> {
        let id: Arc<str> = job.id.as_str().into();
        if self.jobs.contains_key(&id) {
            return Ok(Added::Known);
        }
        if self.waiting.len() + self.delayed.len() + self.active.len() >= MOST_JOBS {
            return Err(Fault::new("queue", format!("{} holds {MOST_JOBS} jobs that are not finished", job.queue)));
        }
        let number = self.number();
        let ready = now.tick + job.delay.min(LONGEST_DELAY);
        let is_delayed = !job.delay.is_zero();
        let place = if is_delayed { Place::Delayed(ready, number) } else { Place::Waiting(number) };
        let record = Record {
            place,
            attempts_made: 0,
            attempts_started: 0,
            lost: 0,
            logs: VecDeque::new(),
            added_at: now.at,
            ready,
            started_at: None,
            finished_at: None,
            failed_reason: None,
            returned: None,
            job,
        };
        self.jobs.insert(id.clone(), record);
        self.put(&id, place);
        Ok(Added::New)
    }

    /// Moves what is due into line.
    pub fn promote(&mut self, now: Now) {
        while let Some((&(due, number), _)) = self.delayed.first_key_value()
            && due <= now.tick
        {
            if let Some(id) = self.delayed.remove(&(due, number)) {
                self.put(&id, Place::Waiting(number));
            }
        }
        if self.schedules.values().any(|scheduled| scheduled.next <= now.tick) {
            self.start_schedules(now);
        }
    }

    fn start_schedules(&mut self, now: Now) {
        let due: Vec<&'static str> =
            self.schedules.iter().filter(|(_, scheduled)| scheduled.next <= now.tick).map(|(name, _)| *name).collect();
        for name in due {
            let id = format!("{name}-{}", self.number());
            let Some(scheduled) = self.schedules.get_mut(name) else { continue };
            let every = scheduled.schedule.every;
            let missed = now.tick.duration_since(scheduled.next).as_nanos() / every.as_nanos().max(1);
            scheduled.next += every.saturating_mul(u32::try_from(missed).unwrap_or(u32::MAX - 1) + 1);
            let waits = scheduled.latest.as_ref().and_then(|id| self.jobs.get(id));
            if waits.is_some_and(|record| matches!(record.place, Place::Waiting(_) | Place::Delayed(..))) {
                continue;
            }
            scheduled.latest = Some(id.as_str().into());
            scheduled.runs += 1;
            let job = run_of(&scheduled.schedule, id);
            if let Err(fault) = self.add(job, now) {
                tracing::warn!(%fault, name, "a scheduled job was left out");
            }
        }
    }

    /// When something will be due, if nothing is added.
    pub fn next_due(&self) -> Option<Instant> {
        let delayed = self.delayed.first_key_value().map(|((due, _), _)| *due);
        self.schedules.values().map(|scheduled| scheduled.next).chain(delayed).min()
    }

    pub fn take(&mut self, now: Now) -> Option<Taken> {
        if self.paused || self.most_active.is_some_and(|most| self.active.len() >= most) {
            return None;
        }
        let ((_, arrival), id) = self.waiting.pop_first()?;
        let number = self.number();
        let record = self.jobs.get_mut(&id)?;
        record.place = Place::Active(number, arrival);
        record.started_at = Some(now.at);
        record.attempts_started += 1;
        let run = Run {
            id: id.to_string(),
            name: record.job.name.to_string(),
            data: record.job.data.clone(),
            attempt: record.attempts_made + 1,
        };
        let waited = now.tick.saturating_duration_since(record.ready);
        self.active.insert(number, id.clone());
        Some(Taken { id, number, run, waited })
    }

    /// `jitter`: a number in `0.0..1.0`; a wait is shortened by up to a quarter of it.
    pub fn end(&mut self, id: &Arc<str>, run: u64, outcome: Result<Value, Failure>, now: Now, jitter: f64) -> Ended {
        if self.active.remove(&run).is_none() {
            return Ended::NotOurs;
        }
        let number = self.number();
        let Some(record) = self.jobs.get_mut(id) else { return Ended::NotOurs };
        record.attempts_made += 1;
        if let Err(Failure::Retry(reason) | Failure::Final(reason)) = &outcome {
            record.log(told(now.at, record.attempts_made, record.job.attempts, reason));
        }
        let (place, ended) = match outcome {
            Ok(returned) => {
                record.returned = Some(returned);
                record.failed_reason = None;
                (Place::Completed(number), Ended::Completed)
            }
            Err(Failure::Retry(reason)) if record.attempts_made < record.job.attempts => {
                record.failed_reason = Some(reason);
                let wait = backoff(record.job.backoff, record.attempts_made).mul_f64(1.0 - 0.25 * jitter);
                record.ready = now.tick + wait;
                let place = if wait.is_zero() { Place::Waiting(number) } else { Place::Delayed(record.ready, number) };
                (place, Ended::Retried)
            }
            Err(Failure::Retry(reason) | Failure::Final(reason)) => {
                record.failed_reason = Some(reason);
                (Place::Failed(number), Ended::Failed)
            }
        };
        match ended {
            Ended::Completed => self.ended[0].count(now.at),
            Ended::Failed => self.ended[1].count(now.at),
            Ended::Retried | Ended::NotOurs => {}
        }
        if ended != Ended::Retried {
            record.finished_at = Some(now.at);
        }
        self.put(id, place);
        ended
    }

    /// Puts a job whose run did not end back where it stood in line; its attempts stay.
    pub fn give_back(&mut self, run: u64) {
        let Some(id) = self.active.remove(&run) else { return };
        if let Some(Place::Active(_, arrival)) = self.jobs.get(&id).map(|record| record.place) {
            self.put(&id, Place::Waiting(arrival));
        }
    }

    /// A run's task is gone without a word. The job runs again, once; a second time fails it.
    pub fn lose(&mut self, run: u64, now: Now) {
        let Some(id) = self.active.get(&run).cloned() else { return };
        let lost = self.jobs.get_mut(&id).map_or(0, |record| {
            record.lost += 1;
            record.lost
        });
        if lost > 1 {
            self.end(&id, run, Err(Failure::Final("the run was lost twice".into())), now, 0.0);
        } else {
            self.give_back(run);
        }
    }

    fn put(&mut self, id: &Arc<str>, place: Place) {
        let Some(record) = self.jobs.get_mut(id) else { return };
        record.place = place;
        match place {
            Place::Waiting(number) => drop(self.waiting.insert((record.job.priority, number), id.clone())),
            Place::Delayed(due, number) => drop(self.delayed.insert((due, number), id.clone())),
            Place::Active(number, _) => drop(self.active.insert(number, id.clone())),
            Place::Completed(number) => {
                self.completed.insert(number, id.clone());
                trim(&mut self.completed, &mut self.jobs, KEPT_COMPLETED);
            }
            Place::Failed(number) => {
                self.failed.insert(number, id.clone());
                trim(&mut self.failed, &mut self.jobs, KEPT_FAILED);
            }
        }
    }

    pub fn schedule(&mut self, mut schedule: Schedule, now: Now) {
        schedule.every = schedule.every.min(LONGEST_DELAY);
        let known = self.schedules.remove(schedule.name);
        // A new schedule runs at once; one that is set again keeps its next run, or has it earlier.
        let next = known.as_ref().map_or(now.tick, |known| known.next.min(now.tick + schedule.every));
        let runs = known.as_ref().map_or(0, |known| known.runs);
        let latest = known.and_then(|known| known.latest);
        self.schedules.insert(schedule.name, Scheduled { schedule, next, latest, runs });
    }

    pub fn unschedule(&mut self, name: &str) -> bool {
        let Some(known) = self.schedules.remove(name) else { return false };
        if let Some(id) = known.latest
            && self.jobs.get(&id).is_some_and(|record| matches!(record.place, Place::Waiting(_) | Place::Delayed(..)))
        {
            self.remove(&id);
        }
        true
    }

    pub fn unschedule_all(&mut self) {
        let names: Vec<&'static str> = self.schedules.keys().copied().collect();
        for name in names {
            self.unschedule(name);
        }
    }

    pub fn counts(&self) -> Counts {
        let count = |len: usize| len as u64;
        Counts {
            waiting: count(self.waiting.len()),
            delayed: count(self.delayed.len()),
            active: count(self.active.len()),
            completed: count(self.completed.len()),
            failed: count(self.failed.len()),
        }
    }

    pub fn job(&self, id: &str) -> Option<Job> {
        let (id, record) = self.jobs.get_key_value(id)?;
        Some(Job {
            id: id.to_string(),
            name: record.job.name.to_string(),
            data: record.job.data.clone(),
            state: record.place.state(),
            attempts: record.job.attempts,
            attempts_made: record.attempts_made,
            priority: record.job.priority,
            added_at: record.added_at,
            started_at: record.started_at,
            finished_at: record.finished_at,
            failed_reason: record.failed_reason.clone(),
            returned: record.returned.clone(),
        })
    }

    pub fn jobs(&self, state: JobState, skip: usize, limit: usize) -> Vec<Job> {
        let ids: Box<dyn Iterator<Item = &Arc<str>>> = match state {
            JobState::Waiting => Box::new(self.waiting.values()),
            JobState::Delayed => Box::new(self.delayed.values()),
            JobState::Active => Box::new(self.active.values()),
            JobState::Completed => Box::new(self.completed.values().rev()),
            JobState::Failed => Box::new(self.failed.values().rev()),
        };
        ids.skip(skip).take(limit).filter_map(|id| self.job(id)).collect()
    }

    pub fn awaits(&self, id: &str) -> bool {
        let place = self.jobs.get(id).map(|record| record.place);
        place.is_some_and(|place| !matches!(place, Place::Completed(_) | Place::Failed(_)))
    }

    /// Those that wait, for their time or their turn, as if they were added now; they are no longer here.
    pub fn take_out(&mut self, now: Now) -> Vec<Posted> {
        let waiting = std::mem::take(&mut self.waiting).into_values();
        let all = waiting.chain(std::mem::take(&mut self.delayed).into_values()).collect::<Vec<_>>();
        let mut jobs = Vec::with_capacity(all.len());
        for id in all {
            if let Some(record) = self.jobs.remove(&id) {
                jobs.push(Posted { delay: record.ready.saturating_duration_since(now.tick), ..record.job });
            }
        }
        jobs
    }

    pub fn retry(&mut self, id: &str, now: Now) -> bool {
        let Some((id, record)) = self.jobs.get_key_value(id) else { return false };
        let (id, Place::Failed(place)) = (id.clone(), record.place) else { return false };
        self.failed.remove(&place);
        let number = self.number();
        if let Some(record) = self.jobs.get_mut(&id) {
            record.finished_at = None;
            record.lost = 0;
            record.ready = now.tick;
        }
        self.put(&id, Place::Waiting(number));
        true
    }

    pub fn remove(&mut self, id: &str) -> bool {
        let Some(record) = self.jobs.get(id) else { return false };
        match record.place {
            Place::Active(..) => return false,
            Place::Waiting(number) => drop(self.waiting.remove(&(record.job.priority, number))),
            Place::Delayed(due, number) => drop(self.delayed.remove(&(due, number))),
            Place::Completed(number) => drop(self.completed.remove(&number)),
            Place::Failed(number) => drop(self.failed.remove(&number)),
        }
        self.jobs.remove(id).is_some()
    }
}

/// A job as a schedule makes it.
fn run_of(schedule: &Schedule, id: String) -> Posted {
    let Schedule { queue, name, data, attempts, backoff, .. } = schedule.clone();
    Posted { queue, name: name.into(), id, data, attempts, backoff, delay: Duration::ZERO, priority: 0 }
}

/// The oldest go first.
fn trim(finished: &mut BTreeMap<u64, Arc<str>>, jobs: &mut HashMap<Arc<str>, Record>, most: usize) {
    while finished.len() > most
        && let Some((_, id)) = finished.pop_first()
    {
        jobs.remove(&id);
    }
}

/// `first` after one failed run, twice as long after each further one.
fn backoff(first: Duration, failed_runs: u32) -> Duration {
    let doubled = 2u32.saturating_pow(failed_runs.saturating_sub(1).min(31));
    first.saturating_mul(doubled).min(LONGEST_BACKOFF)
}
