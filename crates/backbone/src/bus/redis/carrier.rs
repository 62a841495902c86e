//! Carries what this server publishes to Redis: one task, so that nobody who publishes waits for Redis, the order is kept,
//! and what came while Redis answered goes out in one piece.
//!
//! What Redis did not take for certain is in doubt: once it answers, the channels concerned are told that events may have
//! been lost, and the replies under way are kept anew.

use super::doubts::{Doubt, Doubts};
use super::frame::{self, Instance};
use crate::Fault;
use crate::bus::local::LocalBus;
use crate::keys::{Channel, Names};
use crate::link::{BUDGET, Client, Need, Passage};
use aim_domain::{MessageId, Partial};
use futures::future::join_all;
use metrics::{Counter, counter};
use parking_lot::Mutex;
use redis::Pipeline;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

/// What may wait to be carried.
const WAITING: usize = 16_384;
const WAITING_BYTES: usize = 32 << 20;
/// What goes out in one piece.
const AT_ONCE: usize = 1_024;
const BYTES_AT_ONCE: usize = 1 << 20;
/// Between two tries to make good what is in doubt, and the channels of one try.
const MENDING: Duration = Duration::from_millis(500);
const MENDED_AT_ONCE: usize = 256;
/// Seconds that a reply under way is kept whose server died: longer than any reply takes.
const KEPT: u64 = 600;
const END_REPLY: &str = include_str!("../scripts/end_reply.lua");

/// One thing to carry: first what is kept changes, then the event goes out.
pub struct Load {
    pub channel: Channel,
    pub keep: Option<Keep>,
    pub frame: Option<Vec<u8>>,
    /// Told when Redis has done it.
    pub done: Option<oneshot::Sender<()>>,
}

/// A change of what is kept of a reply under way, as `frame` writes it.
pub enum Keep {
    Start {
        head: String,
    },
    Delta {
        delta: String,
    },
    /// The whole reply so far, in the place of whatever was kept.
    Whole {
        head: String,
        text: String,
    },
    End {
        message: MessageId,
    },
}

impl Keep {
    fn whole(reply: &Partial) -> Self {
        let head = frame::head(&reply.message_id, &reply.in_reply_to);
        Self::Whole { head, text: frame::delta(&reply.message_id, 0, &reply.text) }
    }

    fn len(&self) -> usize {
        match self {
            Self::Start { head } => head.len(),
            Self::Delta { delta } => delta.len(),
            Self::Whole { head, text } => head.len() + text.len(),
            Self::End { message } => message.as_str().len(),
        }
    }
}

impl Load {
    fn len(&self) -> usize {
        self.keep.as_ref().map_or(0, Keep::len) + self.frame.as_ref().map_or(0, Vec::len)
    }

    fn ended(&self) -> &[MessageId] {
        match &self.keep {
            Some(Keep::End { message }) => std::slice::from_ref(message),
            _ => &[],
        }
    }
}

pub struct Carrier {
    shared: Arc<Shared>,
    _stop: DropGuard,
}

struct Shared {
    client: Client,
    names: Names,
    instance: Instance,
    local: Arc<LocalBus>,
    queue: Mutex<Queue>,
    work: Notify,
    carried: Counter,
    doubted: Counter,
}

#[derive(Default)]
struct Queue {
    loads: VecDeque<Load>,
    bytes: usize,
    doubts: Doubts,
}

impl Carrier {
    /// Carries until it is dropped. Needs a runtime.
    pub fn new(client: Client, names: Names, instance: Instance, local: Arc<LocalBus>) -> Self {
        let shared = Arc::new(Shared {
            client,
            names,
            instance,
            local,
            queue: Mutex::default(),
            work: Notify::new(),
            carried: counter!("aim_bus_events_total", "backend" => "redis"),
            doubted: counter!("aim_bus_doubts_total"),
        });
        let stop = CancellationToken::new();
        let (carrying, stopped) = (shared.clone(), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                () = carrying.carry() => {}
            }
        });
        Self { shared, _stop: stop.drop_guard() }
    }

    /// Whether it is of use to make a load: while Redis is away what happens is only remembered as doubtful.
    pub fn is_open(&self) -> bool {
        self.shared.client.link().passage() != Passage::Closed
    }

    /// Puts in line what `load` makes; what it does is done before anything else comes into the line.
    pub fn carry(&self, load: impl FnOnce() -> Load) -> Result<(), Fault> {
        let mut queue = self.shared.queue.lock();
        let load = load();
        // All but the end of a reply tell something.
        let tells = load.done.is_none();
        let is_open = self.is_open() && load.frame.is_some() == tells;
        let has_room = queue.loads.len() < WAITING && queue.bytes + load.len() <= WAITING_BYTES;
        if !(is_open && has_room) {
            queue.doubts.add(&load.channel, tells, load.ended());
            self.shared.doubted.increment(1);
            let why = if has_room { "not carried: Redis is away" } else { "not carried: too much waits to be" };
            return Err(Fault::new("bus", why));
        }
        queue.bytes += load.len();
        queue.loads.push_back(load);
        drop(queue);
        self.shared.work.notify_one();
        Ok(())
    }

    /// As `carry`, and waits until Redis has done it.
    pub async fn carried(&self, load: impl FnOnce(oneshot::Sender<()>) -> Load) -> Result<(), Fault> {
        let (done, when_done) = oneshot::channel();
        self.carry(|| load(done))?;
        match tokio::time::timeout(BUDGET, when_done).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Fault::new("bus", "not carried in time")),
        }
    }

    pub fn doubts(&self, channel: &Channel) -> bool {
        self.shared.queue.lock().doubts.has(channel)
    }
}

impl Shared {
    async fn carry(&self) {
        let mut recoveries = self.client.link().recoveries();
        let mut mending = tokio::time::interval(MENDING);
        mending.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.work.notified() => {}
                recovered = recoveries.changed() => {
                    if recovered.is_err() {
                        return;
                    }
                    // It may have forgotten everything.
                    for conversation in self.local.replying() {
                        self.queue.lock().doubts.add(&Channel::Room(conversation), false, &[]);
                    }
                    self.mend().await;
                }
                _ = mending.tick() => self.mend().await,
            }
            loop {
                let loads = self.queue.lock().next();
                if loads.is_empty() {
                    break;
                }
                self.carry_all(loads).await;
            }
        }
    }

    /// Makes good what is in doubt, as far as Redis takes it.
    async fn mend(&self) {
        while self.client.link().passage() != Passage::Closed {
            let loads = {
                let mut queue = self.queue.lock();
                let doubts = queue.doubts.take(MENDED_AT_ONCE);
                if let forgotten @ 1.. = std::mem::take(&mut queue.doubts.forgotten) {
                    tracing::warn!(forgotten, "other servers were not told of events, and will not be");
                }
                // With the line's lock: deltas that come later are in line behind this.
                doubts.into_iter().flat_map(|(channel, doubt)| self.amends(&channel, doubt)).collect::<Vec<_>>()
            };
            if loads.is_empty() || !self.carry_all(loads).await {
                return;
            }
        }
    }

    fn amends(&self, channel: &Channel, doubt: Doubt) -> Vec<Load> {
        let load = |keep, frame| Load { channel: channel.clone(), keep, frame, done: None };
        let mut loads: Vec<_> =
            doubt.ended.into_iter().map(|message| load(Some(Keep::End { message }), None)).collect();
        let under_way = match channel {
            Channel::Room(conversation) => self.local.kept(conversation),
            Channel::User(_) => None,
        };
        let (whole, lost) = (under_way.as_ref().map(Keep::whole), doubt.untold.then(|| self.instance.lost()));
        if whole.is_some() || lost.is_some() {
            loads.push(load(whole, lost));
        }
        loads
    }

    /// False when some of it is in doubt.
    async fn carry_all(&self, loads: Vec<Load>) -> bool {
        if !self.client.is_cluster() {
            return self.carry_piece(loads).await;
        }
        // What is told on one channel stays in order; channels are of different slots.
        let mut pieces: HashMap<Channel, Vec<Load>> = HashMap::new();
        for load in loads {
            pieces.entry(load.channel.clone()).or_default().push(load);
        }
        join_all(pieces.into_values().map(|piece| self.carry_piece(piece))).await.into_iter().all(|done| done)
    }

    async fn carry_piece(&self, loads: Vec<Load>) -> bool {
        // Redis tells of events also when it has no memory left to keep anything.
        let writes = self.client.link().passage() == Passage::Open;
        let (mut pipeline, mut sizes) = (Pipeline::with_capacity(2 * loads.len()), Vec::with_capacity(loads.len()));
        for load in &loads {
            let before = pipeline.len();
            if let (true, Some(keep)) = (writes, &load.keep) {
                self.keep(&mut pipeline, &load.channel, keep);
            }
            let kept = pipeline.len() - before;
            if let Some(frame) = &load.frame {
                let publish = if self.client.is_cluster() { "SPUBLISH" } else { "PUBLISH" };
                pipeline.cmd(publish).arg(self.names.channel(&load.channel)).arg(frame.as_slice());
            }
            sizes.push((kept, pipeline.len() - before - kept));
        }
        if pipeline.is_empty() {
            self.doubt(loads.iter().map(|load| (load, false)));
            return false;
        }
        let Ok(answers) = self.client.each(Need::Read, &pipeline).await else {
            self.doubt(loads.iter().map(|load| (load, load.frame.is_some())));
            return false;
        };
        self.carried.increment(loads.len() as u64);
        let (mut answers, mut doubtful) = (answers.into_iter(), Vec::new());
        for (load, (kept, told)) in loads.into_iter().zip(sizes) {
            // All of them are taken from the answers, also after one that failed.
            let is_kept = answers.by_ref().take(kept).filter(Result::is_err).count() == 0;
            let is_told = answers.by_ref().take(told).filter(Result::is_err).count() == 0;
            let was_left_out = !writes && load.keep.is_some();
            if !is_kept || !is_told || was_left_out {
                doubtful.push((load, !is_told));
            } else if let Some(done) = load.done {
                let _ = done.send(());
            }
        }
        self.doubt(doubtful.iter().map(|(load, untold)| (load, *untold)));
        doubtful.is_empty()
    }

    fn keep(&self, pipeline: &mut Pipeline, channel: &Channel, keep: &Keep) {
        let Channel::Room(conversation) = channel else { return };
        let key = self.names.reply(conversation);
        match keep {
            Keep::Start { head } => {
                pipeline.cmd("DEL").arg(&key).cmd("RPUSH").arg(&key).arg(head);
                pipeline.cmd("EXPIRE").arg(&key).arg(KEPT);
            }
            // Only to a list that is there: one that Redis lost would begin in the middle.
            Keep::Delta { delta } => {
                pipeline.cmd("RPUSHX").arg(&key).arg(delta);
            }
            Keep::Whole { head, text } => {
                pipeline.cmd("DEL").arg(&key).cmd("RPUSH").arg(&key).arg(head).arg(text);
                pipeline.cmd("EXPIRE").arg(&key).arg(KEPT);
            }
            Keep::End { message } => {
                pipeline.cmd("EVAL").arg(END_REPLY).arg(1).arg(&key).arg(format!("{message}\n"));
            }
        }
    }

    fn doubt<'a>(&self, loads: impl Iterator<Item = (&'a Load, bool)>) {
        let mut queue = self.queue.lock();
        for (load, untold) in loads {
            self.doubted.increment(1);
            queue.doubts.add(&load.channel, untold, load.ended());
        }
    }
}

impl Queue {
    /// What goes out next in one piece.
    fn next(&mut self) -> Vec<Load> {
        let (mut loads, mut bytes) = (Vec::new(), 0);
        while loads.len() < AT_ONCE
            && bytes < BYTES_AT_ONCE
            && let Some(load) = self.loads.pop_front()
        {
            bytes += load.len();
            loads.push(load);
        }
        self.bytes -= bytes;
        loads
    }
}
