//! Threads that read, each on a connection of its own that cannot write. In WAL mode they wait for no writer.

use super::db::Db;
use crate::{Result, StoreError};
use aim_domain::Ambient;
use parking_lot::Mutex;
use rusqlite::Connection;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

type Read = Box<dyn FnOnce(&Db) + Send>;

enum Work {
    Read(Read),
    Stop,
}

pub(super) struct Readers {
    work: mpsc::Sender<Work>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Readers {
    /// One thread for each connection; `waiting` reads at most wait for them.
    pub fn start(connections: Vec<Connection>, ambient: &Ambient, waiting: usize) -> std::io::Result<Self> {
        let (work, inbox) = mpsc::channel(waiting.max(1));
        let inbox = Arc::new(Mutex::new(inbox));
        let mut threads = Vec::new();
        for connection in connections {
            let (ambient, inbox) = (ambient.clone(), inbox.clone());
            threads.push(std::thread::Builder::new().name("store-reader".into()).spawn(move || {
                serve(&connection, &ambient, &inbox);
            })?);
        }
        Ok(Self { work, threads: Mutex::new(threads) })
    }

    pub async fn run<T, F>(&self, read: F) -> Result<T>
    where
        F: FnOnce(&Db) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let read: Read = Box::new(move |db| {
            // Who asked has left: a disconnected client's reads cost nothing.
            if !answer.is_closed() {
                let outcome = catch_unwind(AssertUnwindSafe(|| read(db)))
                    .unwrap_or_else(|_| Err(StoreError::Failed("a read panicked".into())));
                let _ = answer.send(outcome);
            }
        });
        let closed = || StoreError::Unavailable("the store is closed".into());
        self.work.send(Work::Read(read)).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }

    /// Finishes what waits; nothing is taken any more.
    pub async fn stop(&self) -> Vec<JoinHandle<()>> {
        let _ = self.work.send(Work::Stop).await;
        std::mem::take(&mut *self.threads.lock())
    }
}

fn serve(connection: &Connection, ambient: &Ambient, inbox: &Mutex<mpsc::Receiver<Work>>) {
    loop {
        // The lock is held while waiting: one thread sleeps on the channel, the others on the lock, none spins.
        let work = {
            let mut inbox = inbox.lock();
            match inbox.blocking_recv() {
                Some(Work::Stop) => {
                    inbox.close();
                    continue;
                }
                work => work,
            }
        };
        match work {
            Some(Work::Read(read)) => read(&Db::new(connection, ambient.now())),
            Some(Work::Stop) => {}
            None => return,
        }
    }
}
