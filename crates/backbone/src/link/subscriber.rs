//! What this server hears: one connection for all its subscriptions, and in a Cluster one to each master that serves a
//! channel of them (sharded pub/sub, so a Cluster is of Redis 7 or later).
//!
//! A channel that is wanted is subscribed for as long as it is wanted, whatever happens to connections, slots and masters;
//! what was wanted and unwanted meanwhile is not sent at all. This file keeps what is wanted and what Redis has confirmed,
//! `line` keeps one connection, `topology` says which line a channel belongs to. Nobody waits for Redis here but those who
//! ask whether a subscription stands, and they within their request's budget.

mod line;
mod topology;

use super::wire::Wire;
use super::{Link, budget};
use crate::Fault;
use line::Line;
use metrics::{Counter, Gauge, counter, gauge};
use parking_lot::Mutex;
use redis::{PushInfo, PushKind, Value};
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};
use topology::Slots;

/// Who hears. Called on a connection's own task: it must neither block nor wait.
pub trait Hearing: Send + Sync + 'static {
    fn message(&self, channel: &Arc<str>, payload: Vec<u8>);
    /// The channel is heard again, or at last, after messages on it may have been lost.
    fn missed(&self, channel: &Arc<str>);
}

/// All subscriptions of one server; its connections end when it is dropped.
pub struct Subscriber {
    shared: Arc<Shared>,
    _stop: DropGuard,
}

struct Shared {
    link: Link,
    hearing: Arc<dyn Hearing>,
    state: Mutex<State>,
    /// Wakes whoever looks after the topology of a Cluster: somebody found it wrong.
    stale: Notify,
    stop: CancellationToken,
    up: Gauge,
    losses: Counter,
}

#[derive(Default)]
struct State {
    channels: HashMap<Arc<str>, Channel>,
    lines: HashMap<LineId, Line>,
    slots: Slots,
    last_line: u64,
    last_generation: u64,
    /// Whoever knows best of the topology: it said that it changed.
    witness: Option<LineId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct LineId(u64);

/// One connection of a line; what an older one still says is not listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Generation(u64);

#[derive(Default)]
struct Channel {
    wanted: bool,
    /// Where it is subscribed, or is to be; none while nobody serves its slot.
    line: Option<LineId>,
    /// The last command that was sent on this connection of the line subscribed it.
    asked: bool,
    /// Commands sent and not yet confirmed.
    unconfirmed: u32,
    /// It waits for its line to look at it.
    listed: bool,
    /// Since it is wanted, there was a time in which it was not heard.
    missed: bool,
    waiting: Vec<oneshot::Sender<()>>,
}

impl Channel {
    fn heard(&self) -> bool {
        self.asked && self.unconfirmed == 0
    }

    /// Nothing more is known of it: its connection is gone, or another line's.
    fn unsettle(&mut self) {
        self.missed |= self.asked || !self.waiting.is_empty();
        (self.asked, self.unconfirmed, self.listed) = (false, 0, false);
        self.waiting.clear();
    }
}

impl Subscriber {
    /// Begins to connect. Needs a runtime.
    pub fn open(link: &Link, hearing: Arc<dyn Hearing>) -> Self {
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            link: link.clone(),
            hearing,
            state: Mutex::default(),
            stale: Notify::new(),
            stop: stop.clone(),
            up: gauge!("aim_redis_subscribers", "use" => link.name()),
            losses: counter!("aim_redis_subscriber_losses_total", "use" => link.name()),
        });
        if link.is_cluster() {
            tokio::spawn(topology::follow(shared.clone()));
        } else {
            let mut state = shared.state.lock();
            let line = shared.add_line(&mut state, None);
            state.slots = Slots::All(line);
        }
        Self { shared, _stop: stop.drop_guard() }
    }

    /// Wants a channel from this call on. The answer comes when Redis has confirmed it: whatever is published from then on
    /// is heard. After a fault it is still wanted, and `missed` says when it is heard.
    pub fn want(&self, channel: &str) -> impl Future<Output = Result<(), Fault>> + Send + use<> {
        let shared = self.shared.clone();
        let wanted = shared.want(channel);
        let channel = channel.to_owned();
        async move {
            match wanted {
                Wanted::Heard => Ok(()),
                Wanted::Away => Err(Fault::new("bus", "not asked: there is no connection to subscribe on")),
                Wanted::Waits(confirmed) => shared.confirmed_in_time(&channel, confirmed).await,
            }
        }
    }

    /// Nobody wants it from this call on.
    pub fn unwant(&self, channel: &str) {
        let mut state = self.shared.state.lock();
        let Some(found) = state.channels.get_mut(channel) else { return };
        (found.wanted, found.missed) = (false, false);
        found.waiting.clear();
        if found.asked || found.unconfirmed > 0 {
            state.list(channel);
        } else {
            state.channels.remove(channel);
        }
    }

    /// Channels that are wanted, and those of them that Redis has confirmed.
    pub fn counts(&self) -> (usize, usize) {
        let state = self.shared.state.lock();
        let wanted = state.channels.values().filter(|channel| channel.wanted);
        wanted.fold((0, 0), |(all, heard), channel| (all + 1, heard + usize::from(channel.heard())))
    }
}

enum Wanted {
    Heard,
    /// It will be heard when there is a connection again.
    Away,
    Waits(oneshot::Receiver<()>),
}

impl Shared {
    fn want(&self, name: &str) -> Wanted {
        let mut state = self.state.lock();
        if !state.channels.contains_key(name) {
            let line = state.slots.line_of(name);
            state.channels.insert(name.into(), Channel { line, ..Channel::default() });
        }
        let Some(channel) = state.channels.get_mut(name) else { return Wanted::Away };
        if !channel.wanted {
            (channel.wanted, channel.missed) = (true, false);
        }
        if channel.heard() {
            return Wanted::Heard;
        }
        let line = channel.line;
        let is_up = line.and_then(|line| state.lines.get(&line)).is_some_and(|line| line.generation.is_some());
        let Some(channel) = state.channels.get_mut(name) else { return Wanted::Away };
        if !is_up {
            channel.missed = true;
            return Wanted::Away;
        }
        let (confirm, confirmed) = oneshot::channel();
        channel.waiting.push(confirm);
        state.list(name);
        Wanted::Waits(confirmed)
    }

    async fn confirmed_in_time(&self, name: &str, confirmed: oneshot::Receiver<()>) -> Result<(), Fault> {
        let (patience, began) = (budget::left(), Instant::now());
        let answer = tokio::time::timeout(patience, confirmed).await;
        budget::charge(began.elapsed());
        if let Ok(Ok(())) = answer {
            return Ok(());
        }
        let mut state = self.state.lock();
        match state.channels.get_mut(name) {
            Some(channel) if channel.wanted && channel.heard() => return Ok(()),
            Some(channel) => {
                channel.missed |= channel.wanted;
                channel.waiting.retain(|one| !one.is_closed());
            }
            None => {}
        }
        Err(Fault::new("bus", "a subscription was not confirmed in time"))
    }

    /// What a line's connection pushes.
    fn on_push(&self, line: LineId, generation: Generation, push: PushInfo) {
        let mut data = push.data.into_iter();
        let (Some(Value::BulkString(name)), second) = (data.next(), data.next()) else { return };
        let Ok(name) = std::str::from_utf8(&name) else { return };
        match push.kind {
            PushKind::Message | PushKind::SMessage => {
                let Some(Value::BulkString(payload)) = second else { return };
                let channel = self.state.lock().listened_to(name, line, generation);
                if let Some(channel) = channel {
                    self.hearing.message(&channel, payload);
                }
            }
            PushKind::Subscribe | PushKind::SSubscribe => {
                let missed = self.state.lock().confirmed(name, line, generation, true);
                if let Confirmed::Missed(channel) = missed {
                    self.hearing.missed(&channel);
                }
            }
            PushKind::Unsubscribe | PushKind::SUnsubscribe => {
                let confirmed = self.state.lock().confirmed(name, line, generation, false);
                if let Confirmed::Moved = confirmed {
                    self.stale.notify_one();
                }
            }
            _ => {}
        }
    }

    /// Redis refused to subscribe it: its slot is elsewhere, or it may not be read. Its line asks again.
    fn refused(&self, name: &Arc<str>, line: LineId) {
        let mut state = self.state.lock();
        state.witness = Some(line);
        if let Some(channel) = state.channels.get_mut(name).filter(|channel| channel.line == Some(line)) {
            (channel.asked, channel.unconfirmed) = (false, 0);
            channel.missed = true;
            if !channel.wanted {
                state.channels.remove(name);
            }
        }
        drop(state);
        self.stale.notify_one();
    }
}

enum Confirmed {
    Nothing,
    Missed(Arc<str>),
    /// Nobody asked for it: the slot went to another node.
    Moved,
}

impl State {
    /// Gives a channel to its line to look at.
    fn list(&mut self, name: &str) {
        let Some((name, _)) = self.channels.get_key_value(name) else { return };
        let name = name.clone();
        let Some(channel) = self.channels.get_mut(&name) else { return };
        if let Some(line) = channel.line.and_then(|line| self.lines.get_mut(&line))
            && !std::mem::replace(&mut channel.listed, true)
        {
            line.list(name);
        }
    }

    fn is_current(&self, line: LineId, generation: Generation) -> bool {
        self.lines.get(&line).is_some_and(|line| line.generation == Some(generation))
    }

    fn listened_to(&self, name: &str, line: LineId, generation: Generation) -> Option<Arc<str>> {
        let (name, channel) = self.channels.get_key_value(name)?;
        let listens = channel.wanted && channel.line == Some(line) && self.is_current(line, generation);
        listens.then(|| name.clone())
    }

    fn confirmed(&mut self, name: &str, line: LineId, generation: Generation, subscribed: bool) -> Confirmed {
        if !self.is_current(line, generation) {
            return Confirmed::Nothing;
        }
        let Some((name, channel)) = self.channels.get_key_value(name) else { return Confirmed::Nothing };
        if channel.line != Some(line) {
            return Confirmed::Nothing;
        }
        let name = name.clone();
        let Some(channel) = self.channels.get_mut(&name) else { return Confirmed::Nothing };
        if channel.unconfirmed == 0 {
            if subscribed || !channel.asked {
                return Confirmed::Nothing;
            }
            (channel.asked, channel.missed) = (false, true);
            self.witness = Some(line);
            return Confirmed::Moved;
        }
        channel.unconfirmed -= 1;
        if channel.unconfirmed > 0 {
            return Confirmed::Nothing;
        }
        if !channel.asked {
            if !channel.wanted {
                self.channels.remove(&name);
            }
            return Confirmed::Nothing;
        }
        // Somebody who no longer waits was told that it is not heard yet.
        let mut unheard = false;
        for one in std::mem::take(&mut channel.waiting) {
            unheard |= one.send(()).is_err();
        }
        let missed = std::mem::take(&mut channel.missed) || unheard;
        if missed && channel.wanted { Confirmed::Missed(name) } else { Confirmed::Nothing }
    }

    fn next_generation(&mut self) -> Generation {
        self.last_generation += 1;
        Generation(self.last_generation)
    }

    /// A line's connection stands: all that is wanted there is to be subscribed on it.
    fn connected(&mut self, id: LineId, generation: Generation, wire: &Wire) {
        let Some(line) = self.lines.get_mut(&id) else { return };
        (line.generation, line.wire) = (Some(generation), Some(wire.clone()));
        for (name, channel) in &mut self.channels {
            if channel.line == Some(id) && channel.wanted {
                channel.listed = true;
                line.list(name.clone());
            }
        }
    }

    /// A line's connection is gone, and with it all that was subscribed on it.
    fn disconnected(&mut self, id: LineId) {
        if let Some(line) = self.lines.get_mut(&id) {
            line.forget();
        }
        self.channels.retain(|_, channel| {
            if channel.line == Some(id) {
                channel.unsettle();
            }
            channel.wanted || channel.line != Some(id)
        });
    }
}

#[cfg(test)]
mod tests;
