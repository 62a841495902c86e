//! The board over the queues of this process.

use super::LocalQueue;
use crate::Fault;
use crate::queue::Added;
use crate::queue::board::{
    Board, Entry, Metrics, Obliterated, Outcome, Posted, Rate, Reset, Scheduled, Seen, Server, Status, Survey,
    Timetable,
};
use async_trait::async_trait;
use serde_json::Value;
use std::time::Duration;

#[async_trait]
impl Board for LocalQueue {
    async fn survey(&self, queue: &'static str) -> Result<Survey, Fault> {
        let line = self.line(queue);
        let workers = line.crews().len() as u64;
        Ok(Survey { workers, ..line.with(|state, _| state.survey()) })
    }

    async fn page(
        &self,
        queue: &'static str,
        statuses: &[Status],
        skip: usize,
        limit: usize,
    ) -> Result<Vec<Entry>, Fault> {
        Ok(self.line(queue).with(|state, _| state.page(statuses, skip, limit)))
    }

    async fn entry(&self, queue: &'static str, id: &str) -> Result<Option<(Entry, Status)>, Fault> {
        Ok(self.line(queue).with(|state, _| state.entry(id)))
    }

    async fn logs(&self, queue: &'static str, id: &str) -> Result<Vec<String>, Fault> {
        Ok(self.line(queue).with(|state, _| state.logs(id)))
    }

    async fn post(&self, job: Posted) -> Result<Added, Fault> {
        self.put(job)
    }

    async fn run_again(&self, queue: &'static str, id: &str) -> Result<Outcome, Fault> {
        Ok(self.line(queue).with(|state, now| state.run_again(id, now)))
    }

    async fn promote(&self, queue: &'static str, id: &str) -> Result<Outcome, Fault> {
        Ok(self.line(queue).with(|state, now| state.promote_one(id, now)))
    }

    async fn discard(&self, queue: &'static str, id: &str) -> Result<Outcome, Fault> {
        Ok(self.line(queue).with(|state, _| state.discard(id)))
    }

    async fn set_data(&self, queue: &'static str, id: &str, data: Value) -> Result<Outcome, Fault> {
        Ok(self.line(queue).with(|state, _| state.set_data(id, data)))
    }

    async fn set_delay(&self, queue: &'static str, id: &str, delay: Duration) -> Result<Outcome, Fault> {
        Ok(self.line(queue).with(|state, now| state.set_delay(id, delay, now)))
    }

    async fn set_priority(&self, queue: &'static str, id: &str, priority: u32) -> Result<Outcome, Fault> {
        Ok(self.line(queue).with(|state, _| state.set_priority(id, priority)))
    }

    async fn run_all_again(&self, queue: &'static str, status: Status) -> Result<u64, Fault> {
        Ok(self.line(queue).with(|state, now| state.run_all_again(status, now)))
    }

    async fn promote_all(&self, queue: &'static str) -> Result<(), Fault> {
        self.line(queue).with(|state, now| state.promote_all(now));
        Ok(())
    }

    async fn clean(&self, queue: &'static str, status: Status, older_than: Duration) -> Result<u64, Fault> {
        let millis = i64::try_from(older_than.as_millis()).unwrap_or(i64::MAX);
        Ok(self.line(queue).with(|state, now| {
            let before = aim_domain::Timestamp(now.at.0.saturating_sub(millis));
            state.clean(status, before)
        }))
    }

    async fn drain(&self, queue: &'static str) -> Result<(), Fault> {
        self.line(queue).with(|state, _| state.drain());
        Ok(())
    }

    async fn obliterate(&self, queue: &'static str, force: bool) -> Result<Obliterated, Fault> {
        Ok(self.line(queue).with(|state, _| state.obliterate(force)))
    }

    async fn set_concurrency(&self, queue: &'static str, most: Option<u64>) -> Result<(), Fault> {
        self.line(queue).with(|state, _| state.set_concurrency(most));
        Ok(())
    }

    async fn rate(&self, _: &'static str) -> Result<Option<Rate>, Fault> {
        Ok(None)
    }

    async fn set_rate(&self, _: &'static str, _: Option<Rate>) -> Result<bool, Fault> {
        Ok(false)
    }

    async fn release_rate(&self, _: &'static str) -> Result<(), Fault> {
        Ok(())
    }

    async fn schedules(&self, queue: &'static str) -> Result<Vec<Scheduled>, Fault> {
        Ok(self.line(queue).with(|state, now| state.schedules(now)))
    }

    async fn set_timetable(&self, queue: &'static str, id: &str, timetable: Timetable) -> Result<Reset, Fault> {
        Ok(self.line(queue).with(|state, now| state.set_timetable(id, &timetable, now)))
    }

    async fn run_schedule(&self, queue: &'static str, id: &str, job: &str) -> Result<bool, Fault> {
        let run = self.line(queue).with(|state, _| state.run_of_schedule(id, job));
        run.map_or(Ok(false), |run| self.put(run).map(|_| true))
    }

    async fn drop_schedule(&self, queue: &'static str, id: &str) -> Result<bool, Fault> {
        Ok(self.line(queue).with(|state, _| state.unschedule(id)))
    }

    async fn metrics(&self, queue: &'static str) -> Result<[Metrics; 2], Fault> {
        Ok(self.line(queue).with(|state, _| state.metrics()))
    }

    async fn workers(&self, queue: &'static str) -> Result<Vec<Seen>, Fault> {
        Ok(self.line(queue).crews())
    }

    async fn server(&self) -> Result<Option<Server>, Fault> {
        Ok(None)
    }
}
