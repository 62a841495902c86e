//! What an operator sees of one queue's jobs and does to them.

use super::{Now, Place, Record, Scheduled, State, run_of};
use crate::queue::board::{
    self, Entry, Metrics, Obliterated, Outcome, Pace, Posted, Reset, Status, Survey, Tally, Timetable,
};
use crate::queue::{KEPT_COMPLETED, KEPT_FAILED, Schedule};
use aim_domain::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

impl Record {
    fn status(&self) -> Status {
        match self.place {
            Place::Waiting(_) if self.job.priority > 0 => Status::Prioritized,
            Place::Waiting(_) => Status::Waiting,
            Place::Delayed(..) => Status::Delayed,
            Place::Active(..) => Status::Active,
            Place::Completed(_) => Status::Completed,
            Place::Failed(_) => Status::Failed,
        }
    }

    fn entry(&self, id: &str, schedule: Option<String>) -> Entry {
        Entry {
            id: id.to_owned(),
            name: self.job.name.to_string(),
            data: self.job.data.clone(),
            options: options(&self.job),
            added_at: self.added_at,
            started_at: self.started_at,
            finished_at: self.finished_at,
            worker: None,
            progress: json!(0),
            attempts_made: self.attempts_made,
            attempts_started: self.attempts_started,
            stalled: self.lost,
            delay: self.job.delay,
            priority: self.job.priority,
            failed_reason: self.failed_reason.clone(),
            traces: Vec::new(),
            returned: self.returned.clone().unwrap_or_default(),
            schedule,
            deduplication: None,
            deferred_failure: None,
        }
    }

    /// By which clean-up reckons its age.
    fn last_seen(&self) -> Timestamp {
        self.finished_at.or(self.started_at).unwrap_or(self.added_at)
    }
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

/// Those that each job of a schedule has.
fn repeated(attempts: u32, backoff: Duration) -> Value {
    let mut options = json!({
        "attempts": attempts,
        "removeOnComplete": { "count": KEPT_COMPLETED },
        "removeOnFail": { "count": KEPT_FAILED },
    });
    if attempts > 1 && !backoff.is_zero() {
        options["backoff"] = json!({ "type": "exponential", "delay": millis(backoff) });
    }
    options
}

/// As BullMQ would write them.
fn options(job: &Posted) -> Value {
    let mut options = repeated(job.attempts, job.backoff);
    options["jobId"] = json!(job.id);
    if !job.delay.is_zero() {
        options["delay"] = json!(millis(job.delay));
    }
    if job.priority > 0 {
        options["priority"] = json!(job.priority);
    }
    options
}

impl State {
    pub fn survey(&self) -> Survey {
        let prioritized = self.waiting.range((1, 0)..).count();
        let count = |status| match status {
            Status::Active => self.active.len(),
            Status::Waiting => self.waiting.len() - prioritized,
            Status::WaitingChildren => 0,
            Status::Prioritized => prioritized,
            Status::Completed => self.completed.len(),
            Status::Failed => self.failed.len(),
            Status::Delayed => self.delayed.len(),
        };
        Survey {
            tally: Tally(Status::ALL.map(|status| count(status) as u64)),
            is_paused: self.paused,
            concurrency: self.most_active.map(|most| most as u64),
            limited_for: Duration::ZERO,
            limits_rate: false,
            schedules: self.schedules.len() as u64,
            workers: 0,
        }
    }

    /// The latest first.
    fn ids(&self, status: Status) -> Box<dyn Iterator<Item = &Arc<str>> + '_> {
        match status {
            Status::Active => Box::new(self.active.values().rev()),
            Status::Waiting => Box::new(self.waiting.range(..(1, 0)).rev().map(|(_, id)| id)),
            Status::WaitingChildren => Box::new(std::iter::empty()),
            Status::Prioritized => Box::new(self.waiting.range((1, 0)..).rev().map(|(_, id)| id)),
            Status::Completed => Box::new(self.completed.values().rev()),
            Status::Failed => Box::new(self.failed.values().rev()),
            Status::Delayed => Box::new(self.delayed.values().rev()),
        }
    }

    pub fn page(&self, statuses: &[Status], skip: usize, limit: usize) -> Vec<Entry> {
        let ids = statuses.iter().flat_map(|status| self.ids(*status).skip(skip).take(limit));
        ids.filter_map(|id| self.entry(id)).map(|(entry, _)| entry).collect()
    }

    pub fn entry(&self, id: &str) -> Option<(Entry, Status)> {
        let record = self.jobs.get(id)?;
        let mut schedules = self.schedules.iter().filter(|(_, scheduled)| scheduled.latest.as_deref() == Some(id));
        let schedule = schedules.next().map(|(name, _)| (*name).to_owned());
        Some((record.entry(id, schedule), record.status()))
    }

    pub fn logs(&self, id: &str) -> Vec<String> {
        self.jobs.get(id).map_or_else(Vec::new, |record| record.logs.iter().cloned().collect())
    }

    pub fn run_again(&mut self, id: &str, now: Now) -> Outcome {
        let Some((id, record)) = self.jobs.get_key_value(id) else { return Outcome::Unknown };
        let (id, status) = (id.clone(), record.status());
        match record.place {
            Place::Completed(place) => drop(self.completed.remove(&place)),
            Place::Failed(place) => drop(self.failed.remove(&place)),
            _ => return Outcome::Refused(status),
        }
        let number = self.number();
        if let Some(record) = self.jobs.get_mut(&id) {
            (record.started_at, record.finished_at) = (None, None);
            match status {
                Status::Failed => record.failed_reason = None,
                _ => record.returned = None,
            }
            record.lost = 0;
            record.ready = now.tick;
        }
        self.put(&id, Place::Waiting(number));
        Outcome::Done
    }

    pub fn run_all_again(&mut self, status: Status, now: Now) -> u64 {
        let mut ids: Vec<Arc<str>> = self.ids(status).cloned().collect();
        // The oldest run first.
        ids.reverse();
        ids.iter().filter(|id| self.run_again(id, now) == Outcome::Done).count() as u64
    }

    /// Takes a delayed job out of its place.
    fn undelayed(&mut self, id: &str) -> Result<(Arc<str>, u64), Outcome> {
        let Some((id, record)) = self.jobs.get_key_value(id) else { return Err(Outcome::Unknown) };
        let Place::Delayed(due, number) = record.place else { return Err(Outcome::Refused(record.status())) };
        self.delayed.remove(&(due, number));
        Ok((id.clone(), number))
    }

    pub fn promote_one(&mut self, id: &str, now: Now) -> Outcome {
        let (id, _) = match self.undelayed(id) {
            Ok(found) => found,
            Err(outcome) => return outcome,
        };
        let number = self.number();
        if let Some(record) = self.jobs.get_mut(&id) {
            record.job.delay = Duration::ZERO;
            record.ready = now.tick;
        }
        self.put(&id, Place::Waiting(number));
        Outcome::Done
    }

    pub fn promote_all(&mut self, now: Now) {
        let ids: Vec<Arc<str>> = self.delayed.values().cloned().collect();
        for id in ids {
            self.promote_one(&id, now);
        }
    }

    pub fn set_delay(&mut self, id: &str, delay: Duration, now: Now) -> Outcome {
        let (id, number) = match self.undelayed(id) {
            Ok(found) => found,
            Err(outcome) => return outcome,
        };
        let delay = delay.min(super::LONGEST_DELAY);
        let ready = now.tick + delay;
        if let Some(record) = self.jobs.get_mut(&id) {
            record.job.delay = delay;
            record.ready = ready;
        }
        self.put(&id, Place::Delayed(ready, number));
        Outcome::Done
    }

    pub fn set_priority(&mut self, id: &str, priority: u32) -> Outcome {
        let Some((id, record)) = self.jobs.get_key_value(id) else { return Outcome::Unknown };
        let (id, place, before) = (id.clone(), record.place, record.job.priority);
        if let Some(record) = self.jobs.get_mut(&id) {
            record.job.priority = priority;
        }
        if let Place::Waiting(number) = place {
            self.waiting.remove(&(before, number));
            let number = self.number();
            self.put(&id, Place::Waiting(number));
        }
        Outcome::Done
    }

    pub fn set_data(&mut self, id: &str, data: Value) -> Outcome {
        let Some(record) = self.jobs.get_mut(id) else { return Outcome::Unknown };
        record.job.data = data;
        Outcome::Done
    }

    pub fn discard(&mut self, id: &str) -> Outcome {
        let Some(record) = self.jobs.get(id) else { return Outcome::Unknown };
        let status = record.status();
        if self.remove(id) { Outcome::Done } else { Outcome::Refused(status) }
    }

    pub fn clean(&mut self, status: Status, before: Timestamp) -> u64 {
        if status == Status::Active {
            // Whoever runs them lives.
            return 0;
        }
        let old = |id: &&Arc<str>| self.jobs.get(*id).is_some_and(|record| record.last_seen() <= before);
        let ids: Vec<Arc<str>> = self.ids(status).filter(old).cloned().collect();
        ids.iter().filter(|id| self.remove(id)).count() as u64
    }

    pub fn drain(&mut self) {
        for id in std::mem::take(&mut self.waiting).into_values() {
            self.jobs.remove(&id);
        }
    }

    pub fn obliterate(&mut self, force: bool) -> Obliterated {
        if !self.paused {
            return Obliterated::NotPaused;
        }
        if !self.active.is_empty() && !force {
            return Obliterated::HasActive;
        }
        // Runs under way end as if they had been given back: their numbers are known no more, and never come again.
        // Schedules are the program's, which would only set them again.
        let schedules = std::mem::take(&mut self.schedules);
        *self = Self { last: self.last, schedules, ..Self::default() };
        Obliterated::Done
    }

    pub fn set_concurrency(&mut self, most: Option<u64>) {
        self.most_active = most.map(|most| usize::try_from(most).unwrap_or(usize::MAX));
    }

    pub fn schedules(&self, now: Now) -> Vec<board::Scheduled> {
        let mut all: Vec<&Scheduled> = self.schedules.values().collect();
        all.sort_by_key(|scheduled| scheduled.next);
        all.into_iter().map(|scheduled| self.scheduled(scheduled, now)).collect()
    }

    fn scheduled(&self, scheduled: &Scheduled, now: Now) -> board::Scheduled {
        let Schedule { name, every, data, .. } = &scheduled.schedule;
        let latest = scheduled.latest.as_deref().and_then(|id| Some((id, self.jobs.get(id)?)));
        let timetable = Timetable { pace: Pace::Every(*every), zone: None, limit: None, until: None };
        board::Scheduled {
            id: (*name).to_owned(),
            name: (*name).to_owned(),
            timetable,
            from: None,
            next: Some(now.at.plus(scheduled.next.saturating_duration_since(now.tick))),
            next_job: None,
            last: latest.map(|(_, record)| record.added_at),
            last_job: latest.map(|(id, _)| id.to_owned()),
            runs: scheduled.runs,
            data: Some(data.clone()),
            options: Some(repeated(scheduled.schedule.attempts, scheduled.schedule.backoff)),
        }
    }

    pub fn set_timetable(&mut self, id: &str, timetable: &Timetable, now: Now) -> Reset {
        let Some(scheduled) = self.schedules.get_mut(id) else { return Reset::Unknown };
        let Timetable { pace: Pace::Every(every), zone: None, limit: None, until: None } = timetable else {
            let rule = "without Redis a schedule runs every so often: it knows no pattern, no limit and no end";
            return Reset::Refused(rule.into());
        };
        let every = (*every).min(super::LONGEST_DELAY);
        scheduled.schedule.every = every;
        scheduled.next = now.tick + every;
        Reset::Done
    }

    /// The job that the schedule would add now.
    pub fn run_of_schedule(&self, id: &str, job: &str) -> Option<Posted> {
        Some(run_of(&self.schedules.get(id)?.schedule, job.to_owned()))
    }

    pub fn metrics(&self) -> [Metrics; 2] {
        [self.ended[0].tell(), self.ended[1].tell()]
    }
}
