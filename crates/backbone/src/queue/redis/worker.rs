//! Keeps a BullMQ worker for as long as it takes: opens one in the background, and another in its place when the
//! link's connection had to be made anew or when it seems broken. The one before takes nothing more and ends when its runs have; its jobs' locks are
//! renewed until then. What a worker leaves unfinished is moved back to the head of its line or, where Redis is away,
//! found by the check for stalled jobs.

use super::connection::{OPENING, PACE, fault, reachable, where_to};
use super::crew::{Crew, Shift};
use crate::Fault;
use crate::link::{Client, Passage};
use crate::queue::board::METRIC_MINUTES;
use crate::queue::{Worker, WorkerSettings};
use async_trait::async_trait;
use bullmq::options::MetricsOptions;
use bullmq::worker::WorkerEvent;
use bullmq::{WorkerOptions, worker};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

/// An idle worker looks for jobs this often even when nobody wakes it; the least that BullMQ takes.
const DRAIN_DELAY: Duration = Duration::from_secs(1);
/// The wait after jobs could not be fetched.
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// Errors in a row, after which a worker seems broken.
const ERRORS: u32 = 2;
/// How long jobs may take to be given back once their runs were dropped.
const GIVE_BACK: Duration = Duration::from_secs(1);
/// Between two looks whether all runs have ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What a worker that has nothing to run gets to see that it is over: it may be fetching.
const LAST_FETCH: Duration = Duration::from_millis(250);
/// How often a job whose worker is gone runs again; once more fails it.
const STALLED: u32 = 1;

/// What [`Queue::work`](crate::queue::Queue::work) answers.
pub(super) struct RedisWorker {
    orders: Arc<watch::Sender<Option<Instant>>>,
    ended: watch::Receiver<Option<bool>>,
}

/// Begins to work; the worker goes on when what this answers is dropped.
pub(super) fn start(client: Client, prefix: Arc<str>, settings: WorkerSettings, crew: Crew) -> RedisWorker {
    let orders = Arc::new(watch::Sender::new(None));
    let (tell, ended) = watch::channel(None);
    let keeper = Keeper { client, prefix, settings, crew: Arc::new(crew), orders: orders.clone() };
    tokio::spawn(async move { tell.send(Some(keeper.keep().await)) });
    RedisWorker { orders, ended }
}

#[async_trait]
impl Worker for RedisWorker {
    async fn stop(&self, grace: Duration) -> bool {
        let by = Instant::now() + grace.min(Duration::from_secs(24 * 60 * 60));
        self.orders.send_modify(|order| *order = Some(order.map_or(by, |before| before.min(by))));
        let mut ended = self.ended.clone();
        let ended = ended.wait_for(Option::is_some).await;
        ended.is_ok_and(|ended| *ended == Some(true))
    }
}

struct Keeper {
    client: Client,
    prefix: Arc<str>,
    settings: WorkerSettings,
    crew: Arc<Crew>,
    /// By when all is to be over; none: it goes on.
    orders: Arc<watch::Sender<Option<Instant>>>,
}

/// One of BullMQ's workers.
struct Hand {
    worker: Arc<worker::Worker>,
    shift: Shift,
    broken: Arc<Notify>,
    _listening: DropGuard,
}

async fn ordered(orders: &mut watch::Receiver<Option<Instant>>) {
    let _ = orders.wait_for(Option::is_some).await;
}

impl Keeper {
    /// Until it is told to stop; true when no run had to be dropped.
    async fn keep(self) -> bool {
        let mut connections = self.client.link().connections();
        let mut orders = self.orders.subscribe();
        let mut leaving = JoinSet::new();
        loop {
            let opened = async {
                reachable(self.client.link(), &mut connections).await;
                self.open(&mut connections).await
            };
            let opened = tokio::select! {
                () = ordered(&mut orders) => break,
                opened = opened => opened,
            };
            let stop = match opened {
                Ok(hand) => {
                    let stop = tokio::select! {
                        () = ordered(&mut orders) => true,
                        _ = connections.changed() => false,
                        () = hand.broken.notified() => false,
                    };
                    leaving.spawn(leave(hand, self.client.clone(), self.crew.clone(), self.orders.subscribe()));
                    stop
                }
                Err(fault) => {
                    tracing::debug!(%fault, queue = self.crew.queue, "BullMQ has no worker");
                    false
                }
            };
            if stop {
                break;
            }
            while leaving.try_join_next().is_some() {}
            tokio::select! {
                () = ordered(&mut orders) => break,
                () = sleep(PACE) => {}
            }
        }
        leaving.join_all().await.into_iter().all(|ended| ended)
    }

    /// What is being opened since before the link's connection was another may wait for what is gone, and is given up.
    async fn open(&self, connections: &mut watch::Receiver<u64>) -> Result<Hand, Fault> {
        let stalled_after = self.settings.stalled_after.max(Duration::from_millis(100));
        let options = WorkerOptions::new()
            .prefix(&*self.prefix)
            .concurrency(self.settings.concurrency.max(1))
            .lock_duration(stalled_after)
            .stalled_interval(stalled_after / 2)
            .max_stalled_count(STALLED)
            .drain_delay(DRAIN_DELAY)
            .run_retry_delay(RETRY_DELAY)
            .metrics(MetricsOptions { max_data_points: METRIC_MINUTES })
            .manual_start();
        let shift = Shift::default();
        let (crew, of) = (self.crew.clone(), shift.clone());
        let run = move |job, _| {
            let (crew, of) = (crew.clone(), of.clone());
            async move { crew.run(job, of).await }
        };
        let open = async {
            let options = options.connection(where_to(self.client.link()).await?);
            worker::Worker::with_options(self.crew.queue, run, options).await
        };
        let opened = tokio::select! {
            opened = timeout(OPENING, open) => opened.ok(),
            _ = connections.changed() => None,
        };
        let worker = opened.ok_or_else(|| Fault::new("queue", "no worker in time"))?;
        let worker = Arc::new(worker.map_err(|error| fault(&error))?);
        let (broken, listening) = (Arc::new(Notify::new()), CancellationToken::new());
        let listen = listen(worker.clone(), self.crew.clone(), broken.clone());
        tokio::spawn(listening.clone().run_until_cancelled_owned(listen));
        worker.run().await.map_err(|error| fault(&error))?;
        Ok(Hand { worker, shift, broken, _listening: listening.drop_guard() })
    }
}

/// Hears all that BullMQ's worker says, since it keeps what nobody hears.
async fn listen(worker: Arc<worker::Worker>, crew: Arc<Crew>, broken: Arc<Notify>) {
    let mut errors = 0;
    while let Some(event) = worker.next_event().await {
        match event {
            WorkerEvent::Error(_) => {
                errors += 1;
                if errors >= ERRORS {
                    broken.notify_one();
                }
            }
            WorkerEvent::Stalled { job_id } => {
                tracing::info!(queue = crew.queue, job = job_id, "a job whose worker is gone runs again");
                crew.meters.lost.increment(1);
            }
            WorkerEvent::Active { .. } | WorkerEvent::Completed { .. } | WorkerEvent::Drained => errors = 0,
            _ => {}
        }
    }
}

/// Ends one of BullMQ's workers when its runs have ended, or by the time that was ordered.
async fn leave(hand: Hand, client: Client, crew: Arc<Crew>, orders: watch::Receiver<Option<Instant>>) -> bool {
    hand.shift.over.cancel();
    hand.worker.pause();
    let mut in_time = true;
    while !hand.is_done(&client).await {
        let by = *orders.borrow();
        if by.is_some_and(|by| Instant::now() >= by) {
            in_time = hand.shift.is_idle();
            crew.give_up.cancel();
            let _ = timeout(GIVE_BACK, async {
                while !hand.is_done(&client).await {
                    sleep(LOOK_EVERY).await;
                }
            })
            .await;
            break;
        }
        sleep(LOOK_EVERY).await;
    }
    let last_fetch = u64::try_from(LAST_FETCH.as_millis()).unwrap_or(u64::MAX);
    if let Err(error) = hand.worker.close(last_fetch).await {
        tracing::debug!(fault = %fault(&error), queue = crew.queue, "BullMQ's worker was not closed");
    }
    in_time
}

impl Hand {
    /// Whether no run is under way, and none has yet to be told to Redis, as far as Redis can be told.
    async fn is_done(&self, client: &Client) -> bool {
        if !self.shift.is_idle() {
            return false;
        }
        // BullMQ may hold its list of jobs for as long as Redis does not answer.
        let told = matches!(timeout(LOOK_EVERY, self.worker.active_count()).await, Ok(0));
        told || client.link().passage() == Passage::Closed
    }
}
