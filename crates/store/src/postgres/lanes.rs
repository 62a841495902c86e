//! Messages on their way, several to a commit.
//!
//! A commit costs a message more than all the rest: a wait for the disk, a trip, and the turns of processes on both sides. So a few
//! lanes take what waits as a batch into one transaction. Who sends while nobody else does waits for nobody. A message
//! whose conversation is just being written elsewhere does not hold up its batch: it is sent by itself, as are all of a batch
//! that failed.

use super::db::{Again, Postgres};
use super::messages;
use crate::text::plain_message;
use crate::{Result, SendMessage, Sent, StoreError};
use metrics::histogram;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// The most messages in a commit.
const BATCH: usize = 64;

/// Messages that may wait for a lane; who comes later waits to be let in.
const WAITING: usize = 4_096;

#[derive(Clone)]
pub(super) struct Lanes(Arc<Shared>);

struct Shared {
    pg: Postgres,
    room: Arc<Semaphore>,
    queue: Mutex<VecDeque<Work>>,
    lanes: Arc<Semaphore>,
    count: u32,
}

struct Work {
    send: SendMessage,
    answer: oneshot::Sender<Result<Sent>>,
    _room: OwnedSemaphorePermit,
}

fn closed<E>(_: E) -> StoreError {
    StoreError::Unavailable("the store is closed".into())
}

impl Lanes {
    pub fn new(pg: Postgres, count: u32) -> Self {
        let (room, lanes) = (Arc::new(Semaphore::new(WAITING)), Arc::new(Semaphore::new(count as usize)));
        Self(Arc::new(Shared { pg, room, queue: Mutex::default(), lanes, count }))
    }

    /// The message is sent even when the returned future is dropped.
    pub async fn send(&self, send: SendMessage) -> Result<Sent> {
        let room = self.0.room.clone().acquire_owned().await.map_err(closed)?;
        let (answer, answered) = oneshot::channel();
        let work = Work { send: plain_message(send), answer, _room: room };
        self.0.queue.lock().push_back(work);
        self.serve();
        answered.await.map_err(closed)?
    }

    /// Lets a free lane, if there is one, take what waits.
    fn serve(&self) {
        let Ok(lane) = self.0.lanes.clone().try_acquire_owned() else { return };
        let this = self.clone();
        tokio::spawn(async move {
            loop {
                let batch = this.next();
                if batch.is_empty() {
                    break;
                }
                this.carry(batch).await;
            }
            drop(lane);
            // What came between the last look and here found no lane.
            if !this.0.queue.lock().is_empty() {
                this.serve();
            }
        });
    }

    fn next(&self) -> Vec<Work> {
        let mut queue = self.0.queue.lock();
        let count = queue.len().min(BATCH);
        queue.drain(..count).collect()
    }

    async fn carry(&self, mut batch: Vec<Work>) {
        histogram!("aim_store_batch_commands").record(batch.len() as f64);
        if batch.len() == 1 {
            if let Some(work) = batch.pop() {
                alone(&self.0.pg, work, false).await;
            }
            return;
        }
        let sends: Vec<&SendMessage> = batch.iter().map(|work| &work.send).collect();
        let (sent, again) = match messages::send_many(&self.0.pg, &sends).await {
            Ok(sent) => (sent, false),
            Err(fault) => {
                tracing::debug!(?fault, messages = batch.len(), "a batch was not sent: each goes by itself");
                (batch.iter().map(|_| None).collect(), true)
            }
        };
        for (work, sent) in batch.into_iter().zip(sent) {
            match sent {
                Some(sent) => {
                    // Nobody waits any more: it is sent all the same.
                    let _ = work.answer.send(Ok(sent));
                }
                None => {
                    let pg = self.0.pg.clone();
                    tokio::spawn(async move { alone(&pg, work, again).await });
                }
            }
        }
    }

    /// Waits for what is on its way; nothing is taken any more.
    pub async fn close(&self) {
        let all = u32::try_from(WAITING).unwrap_or(u32::MAX);
        let _ = self.0.room.acquire_many(all).await;
        self.0.room.close();
        let _ = self.0.lanes.acquire_many(self.0.count).await;
    }
}

/// `again`: it may be sent already, with a batch of which nobody knows.
async fn alone(pg: &Postgres, work: Work, again: bool) {
    let tried = AtomicBool::new(again);
    let send = || messages::send(pg, &work.send, tried.swap(true, Ordering::Relaxed));
    let sent = pg.run(Again::Fine, send).await;
    let _ = work.answer.send(sent);
}
