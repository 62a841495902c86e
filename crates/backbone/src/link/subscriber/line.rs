//! One connection for subscriptions: opened, watched, and opened anew when it broke or hangs.

use super::topology::Node;
use super::{Generation, LineId, Shared, State};
use crate::link::keeper::{FIRST_WAIT, LONGEST_WAIT, jitter};
use crate::link::wire::{OnPush, Role, Wire};
use metrics::Gauge;
use redis::aio::ConnectionLike;
use redis::{Pipeline, PushInfo, PushKind, Value};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Between two looks at a connection on which nothing is to be done: without them a peer that is gone without a word, and
/// one that hangs, would look like one that has nothing to say.
const PACE: Duration = Duration::from_secs(1);
/// A connection that answers no sooner is given up. With the pace it is noticed within 2 s.
const PATIENCE: Duration = Duration::from_millis(900);
/// Commands that are sent in one go.
const BATCH: usize = 500;

/// What others see of a connection's keeper.
pub(super) struct Line {
    pub node: Option<Node>,
    /// Of its connection; none while there is none.
    pub generation: Option<Generation>,
    pub wire: Option<Wire>,
    /// Channels to look at.
    listed: VecDeque<Arc<str>>,
    /// Channels that are subscribed on it and belong to another line.
    strays: Vec<Arc<str>>,
    work: Arc<Notify>,
    stop: CancellationToken,
}

impl Line {
    pub fn list(&mut self, name: Arc<str>) {
        self.listed.push_back(name);
        self.work.notify_one();
    }

    pub fn stray(&mut self, name: Arc<str>) {
        if self.generation.is_some() {
            self.strays.push(name);
            self.work.notify_one();
        }
    }

    pub fn forget(&mut self) {
        (self.generation, self.wire) = (None, None);
        self.listed.clear();
        self.strays.clear();
    }

    pub fn end(&self) {
        self.stop.cancel();
    }
}

/// Commands of one go, in the order in which they are sent.
struct Batch {
    pipeline: Pipeline,
    /// For each command the channel, and whether it subscribes it.
    channels: Vec<(Arc<str>, bool)>,
}

impl Shared {
    pub(super) fn add_line(self: &Arc<Self>, state: &mut State, node: Option<Node>) -> LineId {
        state.last_line += 1;
        let id = LineId(state.last_line);
        let (work, stop) = (Arc::new(Notify::new()), self.stop.child_token());
        let keeper = Keeper { shared: self.clone(), id, node: node.clone(), work: work.clone() };
        tokio::spawn(keeper.keep(stop.clone()));
        let (listed, strays) = (VecDeque::new(), Vec::new());
        state.lines.insert(id, Line { node, generation: None, wire: None, listed, strays, work, stop });
        id
    }
}

/// Counts a connection that stands.
struct Up<'a>(&'a Gauge);

impl<'a> Up<'a> {
    fn new(gauge: &'a Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Up<'_> {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

struct Keeper {
    shared: Arc<Shared>,
    id: LineId,
    node: Option<Node>,
    work: Arc<Notify>,
}

impl Keeper {
    async fn keep(self, stop: CancellationToken) {
        let work = async {
            let mut wait = FIRST_WAIT;
            loop {
                let broke = Arc::new(Notify::new());
                if let Some(wire) = self.connect(&broke).await {
                    let began = Instant::now();
                    let up = Up::new(&self.shared.up);
                    self.serve(wire, &broke).await;
                    drop(up);
                    self.shared.losses.increment(1);
                    self.shared.state.lock().disconnected(self.id);
                    tracing::info!(redis = self.shared.link.name(), "the connection for subscriptions is gone");
                    // One that breaks as soon as it stands is not tried again at once.
                    if began.elapsed() > LONGEST_WAIT {
                        wait = FIRST_WAIT;
                    }
                }
                self.shared.stale.notify_one();
                tokio::time::sleep(wait.mul_f64(jitter())).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = work => {}
        }
        self.shared.state.lock().disconnected(self.id);
    }

    async fn connect(&self, broke: &Arc<Notify>) -> Option<Wire> {
        let generation = self.shared.state.lock().next_generation();
        let (dialer, on_push) = (&self.shared.link.inner.dialer, self.on_push(generation, broke.clone()));
        let dialled = async {
            match &self.node {
                Some(node) => dialer.dial_node(&node.host, node.port, Some(on_push)).await,
                None => dialer.dial(Role::Primary, Some(on_push)).await,
            }
        };
        match dialled.await {
            Ok(wire) => {
                self.shared.state.lock().connected(self.id, generation, &wire);
                Some(wire)
            }
            Err(error) => {
                tracing::debug!(error = error.category(), "no connection for subscriptions");
                None
            }
        }
    }

    fn on_push(&self, generation: Generation, broke: Arc<Notify>) -> OnPush {
        let (shared, id) = (Arc::downgrade(&self.shared), self.id);
        Arc::new(move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                broke.notify_one();
            } else if let Some(shared) = shared.upgrade() {
                shared.on_push(id, generation, push);
            }
        })
    }

    /// Until the connection has to be made anew.
    async fn serve(&self, mut wire: Wire, broke: &Notify) {
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut refused = Vec::new();
        loop {
            tokio::select! {
                biased;
                () = broke.notified() => return,
                () = self.work.notified() => {}
                _ = pace.tick() => {
                    let ping = redis::cmd("PING");
                    match tokio::time::timeout(PATIENCE, wire.req_packed_command(&ping)).await {
                        Ok(Ok(_)) => {}
                        _ => return,
                    }
                    let mut state = self.shared.state.lock();
                    refused.drain(..).for_each(|name: Arc<str>| state.list(&name));
                }
            }
            loop {
                let Some(batch) = self.shared.state.lock().batch(self.id, self.shared.link.is_cluster()) else { break };
                if !self.send(&mut wire, batch, &mut refused).await {
                    return;
                }
            }
        }
    }

    /// False when the connection is of no more use.
    async fn send(&self, wire: &mut Wire, batch: Batch, refused: &mut Vec<Arc<str>>) -> bool {
        let Batch { pipeline, channels } = batch;
        let count = channels.len();
        let answers = wire.req_packed_commands(&pipeline, 0, count);
        let Ok(Ok(answers)) = tokio::time::timeout(PATIENCE, answers).await else { return false };
        for ((name, subscribes), answer) in channels.iter().zip(&answers) {
            if let (true, Value::ServerError(error)) = (subscribes, answer) {
                if !matches!(error.code(), "MOVED" | "CLUSTERDOWN" | "TRYAGAIN" | "ASK") {
                    tracing::warn!(code = error.code(), "Redis refused a subscription: it is tried again");
                }
                self.shared.refused(name, self.id);
                refused.push(name.clone());
            }
        }
        // Confirmations come before the answer that they add up to. One that is missing means that what the library
        // takes for its answers are not the answers: it counts an unasked `sunsubscribe` as one.
        let state = self.shared.state.lock();
        answers.len() == count && channels.iter().all(|(name, _)| state.is_settled(name, self.id))
    }
}

impl State {
    /// What has to be sent on a line next.
    fn batch(&mut self, id: LineId, sharded: bool) -> Option<Batch> {
        let (subscribe, unsubscribe) =
            if sharded { ("SSUBSCRIBE", "SUNSUBSCRIBE") } else { ("SUBSCRIBE", "UNSUBSCRIBE") };
        let line = self.lines.get_mut(&id)?;
        let mut batch = Batch { pipeline: Pipeline::new(), channels: Vec::new() };
        // One command a channel: in a Cluster channels of several slots fit in none, and each has its own outcome.
        let mut add = |name: Arc<str>, subscribes: bool| {
            batch.pipeline.cmd(if subscribes { subscribe } else { unsubscribe }).arg(&*name);
            batch.channels.push((name, subscribes));
            batch.channels.len() < BATCH
        };
        let mut room = true;
        while room && let Some(name) = line.strays.pop() {
            // It may have come back.
            if self.channels.get(&name).is_none_or(|channel| channel.line != Some(id)) {
                room = add(name, false);
            }
        }
        while room && let Some(name) = line.listed.pop_front() {
            let Some(channel) = self.channels.get_mut(&name).filter(|channel| channel.line == Some(id)) else {
                continue;
            };
            channel.listed = false;
            if channel.wanted != channel.asked {
                channel.asked = channel.wanted;
                channel.unconfirmed += 1;
                room = add(name, channel.wanted);
            } else if !channel.wanted && channel.unconfirmed == 0 {
                self.channels.remove(&name);
            }
        }
        (!batch.channels.is_empty()).then_some(batch)
    }

    /// Nothing that was sent on this line for the channel is unanswered.
    fn is_settled(&self, name: &str, id: LineId) -> bool {
        self.channels.get(name).is_none_or(|channel| channel.line != Some(id) || channel.unconfirmed == 0)
    }
}
