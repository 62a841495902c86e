//! Who runs a queue's jobs: a run starts on the thread that makes it possible (adds a job, ends the run before, …), so
//! nothing polls and nothing is handed over. One timer a queue waits for what is delayed.

use super::state::{Ended, Now, State, Taken};
use crate::Fault;
use crate::queue::board::{Posted, Seen};
use crate::queue::meters::Meters;
use crate::queue::{Failure, Handler, Worker, WorkerSettings};
use aim_domain::{Ambient, Timestamp};
use async_trait::async_trait;
use futures::FutureExt;
use parking_lot::{Mutex, MutexGuard};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::Instant;

/// One queue of this process.
pub(super) struct Line {
    inner: Mutex<Inner>,
    ambient: Ambient,
    /// Something may be due earlier than the timer waits for, or the queue is gone.
    sooner: Arc<Notify>,
    meters: Meters,
}

#[derive(Default)]
struct Inner {
    state: State,
    crews: BTreeMap<u64, Crew>,
    last_crew: u64,
    /// Runs by their number.
    runs: HashMap<u64, Running>,
    timer: Option<JoinHandle<()>>,
    /// What the timer waits for, at the latest.
    awaited: Option<Instant>,
}

/// One call of `work`.
struct Crew {
    handler: Handler,
    runtime: Handle,
    concurrency: usize,
    since: Timestamp,
    running: usize,
    stopping: bool,
    /// A run has ended.
    ended: Arc<Notify>,
}

#[derive(Clone)]
struct Running {
    crew: u64,
    /// The task that runs it; empty for the moment between its start and its spawning.
    task: Arc<OnceLock<AbortHandle>>,
}

/// A run that is to be spawned.
struct Start {
    taken: Taken,
    running: Running,
    handler: Handler,
    runtime: Handle,
}

impl Inner {
    fn take(&mut self, crew: u64, now: Now, task: Option<Arc<OnceLock<AbortHandle>>>) -> Option<(Taken, Running)> {
        let member = self.crews.get_mut(&crew).filter(|member| member.has_room())?;
        let taken = self.state.take(now)?;
        member.running += 1;
        let running = Running { crew, task: task.unwrap_or_default() };
        self.runs.insert(taken.number, running.clone());
        Some((taken, running))
    }

    /// Takes as much as the crews have room for.
    fn fill(&mut self, now: Now) -> Vec<Start> {
        let mut starts = Vec::new();
        while let Some((&id, crew)) = self.crews.iter().find(|(_, crew)| crew.has_room()) {
            let (handler, runtime) = (crew.handler.clone(), crew.runtime.clone());
            let Some((taken, running)) = self.take(id, now, None) else { break };
            starts.push(Start { taken, running, handler, runtime });
        }
        starts
    }

    /// Takes a run off its crew; None when it was given back already.
    fn close(&mut self, number: u64) -> Option<Running> {
        let running = self.runs.remove(&number)?;
        if let Some(crew) = self.crews.get_mut(&running.crew) {
            crew.running -= 1;
            crew.ended.notify_waiters();
        }
        Some(running)
    }
}

impl Crew {
    fn has_room(&self) -> bool {
        !self.stopping && self.running < self.concurrency
    }
}

impl Line {
    pub fn new(queue: &'static str, ambient: &Ambient) -> Arc<Self> {
        let (inner, sooner, meters) = (Mutex::default(), Arc::default(), Meters::of(queue));
        Arc::new(Self { inner, ambient: ambient.clone(), sooner, meters })
    }

    fn now(&self) -> Now {
        Now { at: self.ambient.now(), tick: Instant::now() }
    }

    /// Reads or changes the jobs, after what is due was moved into line; what can run by then is started.
    pub fn with<T>(self: &Arc<Self>, action: impl FnOnce(&mut State, Now) -> T) -> T {
        let mut inner = self.inner.lock();
        let now = self.now();
        inner.state.promote(now);
        let answer = action(&mut inner.state, now);
        self.proceed(inner, now);
        answer
    }

    /// Takes out what waits, unless a crew is here.
    pub fn unworked(self: &Arc<Self>) -> Vec<Posted> {
        let mut inner = self.inner.lock();
        if !inner.crews.is_empty() {
            return Vec::new();
        }
        let now = self.now();
        let jobs = inner.state.take_out(now);
        self.proceed(inner, now);
        jobs
    }

    /// The crews that take jobs.
    pub fn crews(&self) -> Vec<Seen> {
        let now = self.ambient.now();
        let inner = self.inner.lock();
        let at_work = inner.crews.iter().filter(|(_, crew)| !crew.stopping);
        let seen = |(number, crew): (&u64, &Crew)| Seen {
            id: number.to_string(),
            name: None,
            address: "this process".into(),
            age: now.since(crew.since),
        };
        at_work.map(seen).collect()
    }

    fn proceed(self: &Arc<Self>, mut inner: MutexGuard<'_, Inner>, now: Now) {
        let starts = inner.fill(now);
        let due = inner.state.next_due();
        if due.is_some_and(|due| inner.awaited.is_none_or(|awaited| due < awaited)) {
            inner.awaited = due;
            self.sooner.notify_one();
        }
        let counts = inner.state.counts();
        self.meters.tell(&counts);
        // Not under the lock: a runtime that is going down drops a task where it is spawned, and the task's end asks
        // for the lock.
        drop(inner);
        for Start { taken, running, handler, runtime } in starts {
            let task = running.task;
            let run = Held { line: self.clone(), taken: Some(taken) };
            let spawned = runtime.spawn(work_off(run, handler));
            let _ = task.set(spawned.abort_handle());
        }
    }

    pub fn work(self: &Arc<Self>, settings: WorkerSettings, handler: Handler) -> Result<LocalWorker, Fault> {
        let runtime = Handle::try_current().map_err(|error| Fault::new("queue", error.to_string()))?;
        let ended = Arc::new(Notify::new());
        let crew = Crew {
            handler,
            runtime: runtime.clone(),
            concurrency: settings.concurrency.max(1),
            since: self.ambient.now(),
            running: 0,
            stopping: false,
            ended: ended.clone(),
        };
        let mut inner = self.inner.lock();
        inner.last_crew += 1;
        let id = inner.last_crew;
        inner.crews.insert(id, crew);
        if inner.timer.as_ref().is_none_or(JoinHandle::is_finished) {
            inner.timer = Some(runtime.spawn(keep_time(Arc::downgrade(self), self.sooner.clone())));
        }
        let now = self.now();
        inner.state.promote(now);
        self.proceed(inner, now);
        Ok(LocalWorker { line: self.clone(), crew: id, ended })
    }

    /// Ends a run and takes the next one for the same task.
    fn end(self: &Arc<Self>, taken: &Taken, outcome: Result<Value, Failure>) -> Option<Taken> {
        let jitter = if outcome.is_err() { self.ambient.fraction() } else { 0.0 };
        let mut inner = self.inner.lock();
        let now = self.now();
        let running = inner.close(taken.number)?;
        match inner.state.end(&taken.id, taken.number, outcome, now, jitter) {
            Ended::Completed => self.meters.completed.increment(1),
            Ended::Retried => self.meters.retried.increment(1),
            Ended::Failed => self.meters.failed.increment(1),
            Ended::NotOurs => {}
        }
        inner.state.promote(now);
        let next = inner.take(running.crew, now, Some(running.task));
        self.proceed(inner, now);
        next.map(|(taken, _)| taken)
    }

    /// A run's task was dropped before its end, by other than `stop`: its runtime ends, and nothing more can run there,
    /// or what the handler left behind panicked as it was dropped.
    fn lose(self: &Arc<Self>, number: u64, panicked: bool) {
        let mut inner = self.inner.lock();
        let Some(running) = inner.close(number) else { return };
        let now = self.now();
        inner.state.lose(number, now);
        self.meters.lost.increment(1);
        if panicked {
            self.proceed(inner, now);
            return;
        }
        if let Some(crew) = inner.crews.get_mut(&running.crew) {
            crew.stopping = true;
        }
        // Another crew's timer, or the next call, goes on.
        inner.awaited = None;
        self.sooner.notify_one();
    }

    fn is_idle(&self, crew: u64) -> bool {
        self.inner.lock().crews.get(&crew).is_none_or(|crew| crew.running == 0)
    }

    /// Gives back what the crew still runs, and dismisses it.
    fn dismiss(self: &Arc<Self>, crew: u64) {
        let mut inner = self.inner.lock();
        let left: Vec<u64> = inner.runs.iter().filter(|(_, run)| run.crew == crew).map(|(number, _)| *number).collect();
        let mut tasks = Vec::with_capacity(left.len());
        for number in left {
            tasks.extend(inner.close(number).map(|run| run.task));
            inner.state.give_back(number);
        }
        inner.crews.remove(&crew);
        let now = self.now();
        self.proceed(inner, now);
        tasks.iter().filter_map(|task| task.get()).for_each(AbortHandle::abort);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.sooner.notify_one();
    }
}

/// Runs jobs, one after the other, for as long as there are any for this task.
async fn work_off(mut held: Held, handler: Handler) {
    while let Some(taken) = &held.taken {
        // Handlers that never wait still let others have the thread.
        tokio::task::coop::consume_budget().await;
        held.line.meters.waited.record(taken.waited.as_secs_f64());
        let (started, run) = (Instant::now(), taken.run.clone());
        // The call itself may panic, not only the future that it makes.
        let outcome = AssertUnwindSafe(async { handler(run).await }).catch_unwind().await;
        held.line.meters.ran.record(started.elapsed().as_secs_f64());
        held.end(outcome.unwrap_or_else(|_| Err(Failure::Retry("the handler panicked".into()))));
    }
}

/// A run in the hands of its task. Dropped before its end, it tells the queue.
struct Held {
    line: Arc<Line>,
    taken: Option<Taken>,
}

impl Held {
    fn end(&mut self, outcome: Result<Value, Failure>) {
        if let Some(taken) = self.taken.take() {
            self.taken = self.line.end(&taken, outcome);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(taken) = &self.taken {
            self.line.lose(taken.number, std::thread::panicking());
        }
    }
}

async fn keep_time(line: Weak<Line>, sooner: Arc<Notify>) {
    loop {
        let Some(line) = line.upgrade() else { return };
        line.with(|_, _| ());
        let due = {
            let mut inner = line.inner.lock();
            inner.awaited = inner.state.next_due();
            inner.awaited
        };
        drop(line);
        match due {
            Some(due) => drop(tokio::time::timeout_at(due, sooner.notified()).await),
            None => sooner.notified().await,
        }
    }
}

/// What [`Queue::work`](crate::queue::Queue::work) answers. Dropping it changes nothing: the crew works until it is
/// stopped.
pub(super) struct LocalWorker {
    line: Arc<Line>,
    crew: u64,
    ended: Arc<Notify>,
}

#[async_trait]
impl Worker for LocalWorker {
    async fn stop(&self, grace: Duration) -> bool {
        if let Some(crew) = self.line.inner.lock().crews.get_mut(&self.crew) {
            crew.stopping = true;
        }
        let idle = async {
            loop {
                let mut ended = std::pin::pin!(self.ended.notified());
                ended.as_mut().enable();
                if self.line.is_idle(self.crew) {
                    return;
                }
                ended.await;
            }
        };
        let in_time = tokio::time::timeout(grace, idle).await.is_ok();
        self.line.dismiss(self.crew);
        in_time
    }
}
