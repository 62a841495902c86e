//! Errands over BullMQ: a job is added as every other, one listener a queue hears what its workers tell (`events`), and
//! hands it to whoever sent the job.

mod events;

use super::RedisQueue;
use crate::link::{Client, Need, Passage, Script};
use crate::queue::board::Board;
use crate::queue::errands::Heard;
use crate::queue::{Added, JobState, NewJob, Queue};
use crate::{Fault, keys};
use aim_domain::Ambient;
use bullmq::{Error, QueueKeys};
use events::Line;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};

static SETTLE: Script = Script::new(include_str!("../scripts/settle.lua"));

/// What may be heard of one job before whoever sent it has listened. What does not fit is lost: an end is found by a look.
const UNHEARD: usize = 256;
/// A job that is silent for so long is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Between two tries to add a job.
const POST_PACE: Duration = Duration::from_millis(250);
/// How long a listener may be deaf before that counts: it connects anew in less.
const DEAF: Duration = Duration::from_secs(2);
/// Looks in a row that do not find a job, after which it is gone: its end may be on its way.
const MISSING: u32 = 2;

/// The queues whose jobs others run; cheap to clone.
#[derive(Clone)]
pub struct Errands {
    inner: Arc<Inner>,
}

struct Inner {
    queue: Arc<RedisQueue>,
    client: Client,
    prefix: Arc<str>,
    lines: HashMap<&'static str, Arc<Line>>,
    ambient: Ambient,
    _listening: DropGuard,
}

impl Errands {
    /// Begins to listen. Needs a runtime.
    pub(crate) fn new(
        queue: Arc<RedisQueue>,
        client: Client,
        prefix: &str,
        queues: &[&'static str],
        ambient: &Ambient,
    ) -> Self {
        let stop = CancellationToken::new();
        let lines: HashMap<_, _> = queues.iter().map(|name| (*name, Arc::new(Line::new(name, prefix)))).collect();
        for line in lines.values() {
            tokio::spawn(stop.clone().run_until_cancelled_owned(line.clone().listen(client.clone())));
        }
        let (prefix, ambient) = (prefix.into(), ambient.clone());
        Self { inner: Arc::new(Inner { queue, client, prefix, lines, ambient, _listening: stop.drop_guard() }) }
    }

    /// Whether a job of this queue can be added and heard of; a moment of deafness is none.
    pub fn are_open(&self, queue: &str) -> bool {
        let heard = self.inner.lines.get(queue).is_some_and(|line| line.deaf_for() < DEAF);
        heard && self.inner.client.link().passage() == Passage::Open
    }

    /// Begins to listen for a job that is not added yet; None where the queue is not taken over. With `recall` it is taken
    /// away from whoever has it when the errand is dropped before its end.
    pub fn errand(&self, job: NewJob, recall: bool) -> Option<Errand> {
        let line = self.inner.lines.get(job.queue)?.clone();
        let events = line.watch(&job.id, UNHEARD);
        let look_at = Instant::now() + LOOK_EVERY;
        let (errands, tried, posted) = (self.clone(), false, false);
        Some(Errand {
            errands,
            line,
            job,
            events,
            look_at,
            tried,
            posted,
            runs: false,
            missing: 0,
            over: false,
            recall,
        })
    }

    /// Takes a job back. One that a worker runs is left alone, unless it is taken by `force`: what that worker tells of it
    /// from then on fails, which is how it learns. False where it was not taken.
    pub async fn recall(&self, queue: &'static str, id: &str, force: bool) -> Result<bool, Fault> {
        let take = async |queue: &bullmq::Queue| {
            if force {
                // BullMQ removes no job that is locked.
                let mut wire = queue.connection().connection();
                let lock = keys::job_lock(&queue.keys().job_key(id));
                redis::cmd("DEL").arg(lock).query_async::<()>(&mut wire).await?;
            }
            match queue.remove(id).await {
                Err(Error::Redis(error)) => Err(error.into()),
                removed => Ok(removed.unwrap_or_default()),
            }
        };
        self.inner.queue.connection.ask(Need::Write, queue, take).await
    }

    /// Workers of a queue that are connected.
    pub async fn workers(&self, queue: &'static str) -> Result<usize, Fault> {
        Ok(self.inner.queue.workers(queue).await?.len())
    }

    /// Forgets what workers told longer ago than this: their progress holds what was said.
    pub async fn forget_events(&self, age: Duration) {
        let before = self.inner.ambient.now().0.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
        for line in self.inner.lines.values() {
            let mut trim = redis::cmd("XTRIM");
            trim.arg(&line.key).arg("MINID").arg(before.max(0));
            if let Err(fault) = self.inner.client.query::<u64>(Need::Write, &trim).await {
                tracing::debug!(%fault, queue = line.queue, "old events of a queue were not removed");
            }
        }
    }
}

/// One job, from before it is added to its end.
pub struct Errand {
    errands: Errands,
    line: Arc<Line>,
    job: NewJob,
    events: mpsc::Receiver<Heard>,
    look_at: Instant,
    /// It may be in the queue, and it is.
    tried: bool,
    posted: bool,
    /// A worker has it, as far as was heard.
    runs: bool,
    missing: u32,
    over: bool,
    recall: bool,
}

impl Errand {
    pub fn id(&self) -> &str {
        &self.job.id
    }

    /// Whether it was added.
    pub fn is_posted(&self) -> bool {
        self.posted
    }

    /// What is heard next, and adds the job first. Dropping the call loses nothing.
    pub async fn next(&mut self) -> Heard {
        loop {
            if !self.posted {
                if self.post().await.is_err() {
                    sleep(POST_PACE).await;
                    return Heard::Away;
                }
                self.posted = true;
                self.look_at = Instant::now() + LOOK_EVERY;
            }
            let heard = tokio::select! {
                biased;
                Some(heard) = self.events.recv() => Some(heard),
                () = sleep_until(self.look_at) => self.look().await,
            };
            self.look_at = Instant::now() + LOOK_EVERY;
            let Some(heard) = heard else { continue };
            match &heard {
                Heard::Begun => self.runs = true,
                Heard::Waits if !self.runs => continue,
                Heard::Waits => self.runs = false,
                Heard::Completed(_) | Heard::Failed(_) | Heard::Removed { .. } | Heard::Gone => self.over = true,
                Heard::Progress(_) | Heard::Away => {}
            }
            return heard;
        }
    }

    /// Adds the job anew once it is gone.
    pub fn again(&mut self) {
        (self.posted, self.runs, self.over, self.missing) = (false, false, false, 0);
    }

    /// The same id twice is one job, so a try whose answer did not come is repeated.
    async fn post(&mut self) -> Result<Added, Fault> {
        if self.line.deaf_for() > Duration::ZERO {
            return Err(Fault::new("queue", "nobody would hear of the job"));
        }
        self.tried = true;
        self.errands.inner.queue.add(self.job.clone()).await
    }

    /// What is new, if anything.
    async fn look(&mut self) -> Option<Heard> {
        match self.errands.inner.queue.job(self.job.queue, &self.job.id).await {
            Err(_) => Some(Heard::Away),
            Ok(None) => {
                self.missing += 1;
                (self.missing >= MISSING).then_some(Heard::Gone)
            }
            Ok(Some(job)) => {
                self.missing = 0;
                match job.state {
                    JobState::Completed => Some(Heard::Completed(job.returned.unwrap_or_default())),
                    JobState::Failed => Some(Heard::Failed(job.failed_reason.unwrap_or_default())),
                    JobState::Active => (!self.runs).then_some(Heard::Begun),
                    JobState::Waiting | JobState::Delayed => self.runs.then_some(Heard::Waits),
                }
            }
        }
    }

    /// As [`Errands::recall`]; true where the job is certain to have been taken by nobody, ever. What was heard of its end
    /// until then tells the rest.
    pub async fn withdraw(&mut self) -> bool {
        if !self.tried {
            self.over = true;
            return true;
        }
        if !matches!(self.errands.recall(self.job.queue, &self.job.id, false).await, Ok(true)) {
            return false;
        }
        // Where it stood when it was removed is told by the event alone.
        let told = async {
            while let Some(heard) = self.events.recv().await {
                match heard {
                    Heard::Begun => self.runs = true,
                    Heard::Removed { stood_in_line } => return stood_in_line && !self.runs,
                    _ => {}
                }
            }
            false
        };
        tokio::time::timeout(LOOK_EVERY, told).await.unwrap_or_default()
    }

    /// Leaves these data with a finished job in place of what it was about, and this answer where one is given. Nobody waits
    /// for it.
    pub fn settle(&self, data: &Value, returned: Option<&Value>) {
        let (inner, queue) = (self.errands.inner.clone(), self.job.queue);
        let key = QueueKeys::new(queue, Some(&inner.prefix)).job_key(&self.job.id);
        let returned = returned.map(Value::to_string).unwrap_or_default();
        let settle = SETTLE.call(&[key]).arg(data.to_string()).arg(returned);
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                if let Err(fault) = inner.client.script::<u64>(Need::Write, &settle).await {
                    tracing::warn!(%fault, queue, "a finished job was not emptied: it goes with its age");
                }
            });
        }
    }
}

impl Drop for Errand {
    fn drop(&mut self) {
        self.line.forget(&self.job.id);
        if !self.recall || self.over || !self.tried {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            let (errands, queue, id) = (self.errands.clone(), self.job.queue, std::mem::take(&mut self.job.id));
            runtime.spawn(async move {
                if let Err(fault) = errands.recall(queue, &id, true).await {
                    tracing::debug!(%fault, queue, job = id, "a job that nobody waits for was not taken back");
                }
            });
        }
    }
}

#[cfg(test)]
mod tests;
