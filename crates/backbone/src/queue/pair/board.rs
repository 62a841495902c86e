//! The board over both: Redis's queues while it answers, else this process's. A job that Redis does not know may be one
//! that was added here while Redis was away.

use super::QueuePair;
use crate::Fault;
use crate::queue::Added;
use crate::queue::board::{
    Board, Entry, Metrics, Obliterated, Outcome, Posted, Rate, Reset, Scheduled, Seen, Server, Status, Survey,
    Timetable,
};
use async_trait::async_trait;
use serde_json::Value;
use std::time::Duration;

/// An order on one job: where Redis does not know it, this process may.
macro_rules! of_one {
    ($self:ident.$order:ident($($given:expr),+)) => {{
        let outcome = $self.fallback.or($self.redis.$order($($given.clone()),+), $self.local.$order($($given.clone()),+));
        match outcome.await? {
            Outcome::Unknown => $self.local.$order($($given),+).await,
            outcome => Ok(outcome),
        }
    }};
}

/// Whatever concerns a whole queue.
macro_rules! of_all {
    ($self:ident.$order:ident($($given:expr),*)) => {
        $self.fallback.or($self.redis.$order($($given.clone()),*), $self.local.$order($($given.clone()),*)).await
    };
}

#[async_trait]
impl Board for QueuePair {
    async fn survey(&self, queue: &'static str) -> Result<Survey, Fault> {
        of_all!(self.survey(queue))
    }

    async fn page(
        &self,
        queue: &'static str,
        statuses: &[Status],
        skip: usize,
        limit: usize,
    ) -> Result<Vec<Entry>, Fault> {
        of_all!(self.page(queue, statuses, skip, limit))
    }

    async fn entry(&self, queue: &'static str, id: &str) -> Result<Option<(Entry, Status)>, Fault> {
        match of_all!(self.entry(queue, id))? {
            Some(found) => Ok(Some(found)),
            None => self.local.entry(queue, id).await,
        }
    }

    async fn logs(&self, queue: &'static str, id: &str) -> Result<Vec<String>, Fault> {
        let logs = of_all!(self.logs(queue, id))?;
        if logs.is_empty() { self.local.logs(queue, id).await } else { Ok(logs) }
    }

    async fn post(&self, job: Posted) -> Result<Added, Fault> {
        self.put(job).await
    }

    async fn run_again(&self, queue: &'static str, id: &str) -> Result<Outcome, Fault> {
        of_one!(self.run_again(queue, id))
    }

    async fn promote(&self, queue: &'static str, id: &str) -> Result<Outcome, Fault> {
        of_one!(self.promote(queue, id))
    }

    async fn discard(&self, queue: &'static str, id: &str) -> Result<Outcome, Fault> {
        of_one!(self.discard(queue, id))
    }

    async fn set_data(&self, queue: &'static str, id: &str, data: Value) -> Result<Outcome, Fault> {
        of_one!(self.set_data(queue, id, data))
    }

    async fn set_delay(&self, queue: &'static str, id: &str, delay: Duration) -> Result<Outcome, Fault> {
        of_one!(self.set_delay(queue, id, delay))
    }

    async fn set_priority(&self, queue: &'static str, id: &str, priority: u32) -> Result<Outcome, Fault> {
        of_one!(self.set_priority(queue, id, priority))
    }

    async fn run_all_again(&self, queue: &'static str, status: Status) -> Result<u64, Fault> {
        of_all!(self.run_all_again(queue, status))
    }

    async fn promote_all(&self, queue: &'static str) -> Result<(), Fault> {
        of_all!(self.promote_all(queue))
    }

    async fn clean(&self, queue: &'static str, status: Status, older_than: Duration) -> Result<u64, Fault> {
        of_all!(self.clean(queue, status, older_than))
    }

    async fn drain(&self, queue: &'static str) -> Result<(), Fault> {
        of_all!(self.drain(queue))
    }

    async fn obliterate(&self, queue: &'static str, force: bool) -> Result<Obliterated, Fault> {
        of_all!(self.obliterate(queue, force))
    }

    async fn set_concurrency(&self, queue: &'static str, most: Option<u64>) -> Result<(), Fault> {
        of_all!(self.set_concurrency(queue, most))
    }

    async fn rate(&self, queue: &'static str) -> Result<Option<Rate>, Fault> {
        of_all!(self.rate(queue))
    }

    async fn set_rate(&self, queue: &'static str, rate: Option<Rate>) -> Result<bool, Fault> {
        of_all!(self.set_rate(queue, rate))
    }

    async fn release_rate(&self, queue: &'static str) -> Result<(), Fault> {
        of_all!(self.release_rate(queue))
    }

    async fn schedules(&self, queue: &'static str) -> Result<Vec<Scheduled>, Fault> {
        of_all!(self.schedules(queue))
    }

    async fn set_timetable(&self, queue: &'static str, id: &str, timetable: Timetable) -> Result<Reset, Fault> {
        of_all!(self.set_timetable(queue, id, timetable))
    }

    async fn run_schedule(&self, queue: &'static str, id: &str, job: &str) -> Result<bool, Fault> {
        of_all!(self.run_schedule(queue, id, job))
    }

    async fn drop_schedule(&self, queue: &'static str, id: &str) -> Result<bool, Fault> {
        of_all!(self.drop_schedule(queue, id))
    }

    async fn metrics(&self, queue: &'static str) -> Result<[Metrics; 2], Fault> {
        of_all!(self.metrics(queue))
    }

    async fn workers(&self, queue: &'static str) -> Result<Vec<Seen>, Fault> {
        of_all!(self.workers(queue))
    }

    async fn server(&self) -> Result<Option<Server>, Fault> {
        of_all!(self.server())
    }
}
