//! The one thread that writes. It takes what waits as a batch into one transaction (group commit), and answers each
//! command after the commit: one wait for the disk serves them all.
//!
//! A command checks first and writes after; one that fails before its first write stays in its batch without harm. One
//! that fails after a write, or panics, undoes the batch, whose commands then run again, each in a transaction of its
//! own: commands have no effect but the transaction's, and an error rolls back only who made it. This is rare, and
//! spares all others a savepoint each.

use super::db::Db;
use super::search;
use crate::{Result, StoreError};
use aim_domain::Ambient;
use metrics::{counter, histogram};
use parking_lot::Mutex;
use rusqlite::Connection;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// How long a batch that is smaller than the last one waits to grow; a fraction of what a commit takes.
const GATHERING: Duration = Duration::from_micros(100);

pub(super) struct Writer {
    work: mpsc::Sender<Work>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

enum Work {
    Command(Box<dyn Job>),
    Stop,
}

/// A command on its way, without the type of its answer.
trait Job: Send {
    /// Runs in the open transaction and keeps the outcome; false when it failed.
    fn run(&mut self, db: &Db) -> bool;
    fn answer(self: Box<Self>, committed: &Result<()>);
}

struct Command<F, T> {
    act: F,
    outcome: Option<Result<T>>,
    answer: oneshot::Sender<Result<T>>,
}

impl<F, T> Job for Command<F, T>
where
    F: Fn(&Db) -> Result<T> + Send,
    T: Send,
{
    fn run(&mut self, db: &Db) -> bool {
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.act)(db)))
            .unwrap_or_else(|_| Err(StoreError::Failed("a command panicked".into())));
        let fine = outcome.is_ok();
        self.outcome = Some(outcome);
        fine
    }

    fn answer(self: Box<Self>, committed: &Result<()>) {
        let outcome = match (committed, self.outcome) {
            (Err(error), _) => Err(error.clone()),
            (Ok(()), Some(outcome)) => outcome,
            (Ok(()), None) => Err(StoreError::Failed("a command did not run".into())),
        };
        // Nobody waits any more: the command is done all the same.
        let _ = self.answer.send(outcome);
    }
}

impl Writer {
    /// `waiting` commands at most wait for the thread, `batch` at most share a commit.
    pub fn start(connection: Connection, ambient: Ambient, waiting: usize, batch: usize) -> std::io::Result<Self> {
        let (work, inbox) = mpsc::channel(waiting.max(1));
        let thread = Thread { connection, ambient, inbox, batch: batch.max(1), last: 0 };
        let thread = std::thread::Builder::new().name("store-writer".into()).spawn(move || thread.serve())?;
        Ok(Self { work, thread: Mutex::new(Some(thread)) })
    }

    /// Runs `act` in a transaction and answers once it is committed. `act` may run more than once, the last one counts.
    pub async fn run<T, F>(&self, act: F) -> Result<T>
    where
        F: Fn(&Db) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let command = Work::Command(Box::new(Command { act, outcome: None, answer }));
        self.work.send(command).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }

    /// Finishes what waits; nothing is taken any more.
    pub async fn stop(&self) -> Option<JoinHandle<()>> {
        let _ = self.work.send(Work::Stop).await;
        self.thread.lock().take()
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed".into())
}

struct Thread {
    connection: Connection,
    ambient: Ambient,
    inbox: mpsc::Receiver<Work>,
    batch: usize,
    /// How many commands shared the last commit.
    last: usize,
}

impl Thread {
    fn serve(mut self) {
        let mut batch = Vec::with_capacity(self.batch);
        while let Some(work) = self.inbox.blocking_recv() {
            self.take(work, &mut batch);
            self.gather(&mut batch);
            // Those whom the last commit answered are about to come back: worth a moment, since every commit waits for
            // the disk. Who writes alone never waits here.
            if batch.len() < self.last {
                std::thread::sleep(GATHERING);
                self.gather(&mut batch);
            }
            self.last = batch.len();
            if !batch.is_empty() {
                self.commit(&mut batch);
            }
        }
        if let Err(error) = self.connection.execute_batch("PRAGMA optimize") {
            tracing::debug!(%error, "the statistics were not refreshed");
        }
    }

    fn gather(&mut self, batch: &mut Vec<Box<dyn Job>>) {
        while batch.len() < self.batch {
            let Ok(work) = self.inbox.try_recv() else { return };
            self.take(work, batch);
        }
    }

    fn take(&mut self, work: Work, batch: &mut Vec<Box<dyn Job>>) {
        match work {
            Work::Command(job) => batch.push(job),
            Work::Stop => self.inbox.close(),
        }
    }

    fn commit(&self, batch: &mut Vec<Box<dyn Job>>) {
        let started = Instant::now();
        histogram!("aim_store_batch_commands").record(batch.len() as f64);
        match self.attempt(batch) {
            Attempt::Committed => answer(batch, &Ok(())),
            Attempt::Refused(error) => {
                tracing::error!(%error, commands = batch.len(), "a transaction failed");
                counter!("aim_store_failed_commits_total").increment(1);
                answer(batch, &Err(error));
            }
            // The outcome of the one that failed is its own error; the transaction held nothing else.
            Attempt::Undone if batch.len() == 1 => answer(batch, &Ok(())),
            Attempt::Undone => {
                for job in std::mem::take(batch) {
                    self.commit(&mut vec![job]);
                }
            }
        }
        histogram!("aim_store_commit_seconds").record(started.elapsed().as_secs_f64());
    }

    fn attempt(&self, batch: &mut [Box<dyn Job>]) -> Attempt {
        if let Err(error) = self.statement("BEGIN IMMEDIATE") {
            return Attempt::Refused(error);
        }
        for job in &mut *batch {
            let changes = self.connection.total_changes();
            let fine = job.run(&Db::new(&self.connection, self.ambient.now()));
            // A full disk or a lack of memory may have ended the transaction already.
            let ended = self.connection.is_autocommit();
            if ended && fine {
                return Attempt::Refused(StoreError::Unavailable("the transaction ended before its commit".into()));
            }
            if !fine && (ended || self.connection.total_changes() != changes) {
                self.roll_back();
                return Attempt::Undone;
            }
        }
        if let Err(error) = search::index(&Db::new(&self.connection, self.ambient.now())) {
            self.roll_back();
            // One of several is alone to blame: each runs by itself then.
            return if batch.len() > 1 { Attempt::Undone } else { Attempt::Refused(error) };
        }
        match self.statement("COMMIT") {
            Ok(()) => Attempt::Committed,
            Err(error) => {
                self.roll_back();
                Attempt::Refused(error)
            }
        }
    }

    fn roll_back(&self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.statement("ROLLBACK")
        {
            tracing::error!(%error, "a transaction could not be rolled back");
        }
    }

    fn statement(&self, sql: &str) -> Result<()> {
        self.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }
}

enum Attempt {
    Committed,
    /// The transaction could not begin or not commit.
    Refused(StoreError),
    /// A command failed after a write.
    Undone,
}

fn answer(batch: &mut Vec<Box<dyn Job>>, committed: &Result<()>) {
    for job in batch.drain(..) {
        job.answer(committed);
    }
}
