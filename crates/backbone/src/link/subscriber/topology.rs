//! Which line a channel belongs to: the one there is, or in a Cluster that of the master which serves its slot.
//!
//! A Cluster is asked when something did not fit what is known of it, and now and then in any case. Channels of a slot that
//! moved go to its new master's line, and are told as missed when they are heard there.

use super::{LineId, Shared, State};
use crate::link::wire::{CONNECT_TIMEOUT, Wire};
use redis::aio::ConnectionLike;
use redis::{FromRedisValue, Value};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

const SLOTS: u16 = 16_384;
/// Between two looks when nobody misses anything.
const PACE: Duration = Duration::from_secs(10);
/// Between two looks at the least.
const REST: Duration = Duration::from_millis(200);
/// How long one node may take to say what it knows.
const PATIENCE: Duration = Duration::from_millis(500);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Node {
    pub host: String,
    pub port: u16,
}

/// From slots to lines.
#[derive(Default)]
pub(super) enum Slots {
    #[default]
    Unknown,
    /// Everything is one line's.
    All(LineId),
    /// First and last slot.
    Ranges(Vec<(u16, u16, LineId)>),
}

impl Slots {
    pub fn line_of(&self, channel: &str) -> Option<LineId> {
        match self {
            Self::Unknown => None,
            Self::All(line) => Some(*line),
            Self::Ranges(ranges) => {
                let slot = slot_of(channel.as_bytes());
                ranges.iter().find(|(first, last, _)| (*first..=*last).contains(&slot)).map(|(_, _, line)| *line)
            }
        }
    }
}

/// Looks after the topology of a Cluster until the subscriber ends.
pub(super) async fn follow(shared: Arc<Shared>) {
    let work = async {
        loop {
            match ask(&shared).await {
                Some(ranges) => shared.deal(ranges),
                None => tracing::debug!("no node of the Redis Cluster says how it is laid out"),
            }
            tokio::time::sleep(REST).await;
            let _ = tokio::time::timeout(PACE, shared.stale.notified()).await;
        }
    };
    tokio::select! {
        () = shared.stop.cancelled() => {}
        () = work => {}
    }
}

/// Asks those who are connected, who said that something changed before the others; nobody is: those whom the settings name.
async fn ask(shared: &Shared) -> Option<Vec<(u16, u16, Node)>> {
    let connected: Vec<(Wire, Node)> = {
        let mut state = shared.state.lock();
        let witness = state.witness.take();
        let mut lines: Vec<_> = state.lines.iter().collect();
        lines.sort_by_key(|(id, _)| Some(**id) != witness);
        lines.into_iter().filter_map(|(_, line)| Some((line.wire.clone()?, line.node.clone()?))).collect()
    };
    for (wire, node) in connected {
        if let Some(ranges) = ask_node(wire, &node).await {
            return Some(ranges);
        }
    }
    let dialer = &shared.link.inner.dialer;
    for (host, port) in dialer.seeds() {
        let node = Node { host: host.clone(), port: *port };
        let wire = tokio::time::timeout(CONNECT_TIMEOUT, dialer.dial_node(host, *port, None)).await;
        if let Ok(Ok(wire)) = wire
            && let Some(ranges) = ask_node(wire, &node).await
        {
            return Some(ranges);
        }
    }
    None
}

async fn ask_node(mut wire: Wire, node: &Node) -> Option<Vec<(u16, u16, Node)>> {
    let mut slots = redis::cmd("CLUSTER");
    slots.arg("SLOTS");
    let answer = tokio::time::timeout(PATIENCE, wire.req_packed_command(&slots)).await.ok()?.ok()?;
    let Value::Array(ranges) = answer else { return None };
    let ranges: Vec<_> = ranges.into_iter().filter_map(|range| master_of(range, node)).collect();
    (!ranges.is_empty()).then_some(ranges)
}

/// First and last slot, and the master: the first of those that follow.
fn master_of(range: Value, asked: &Node) -> Option<(u16, u16, Node)> {
    let Value::Array(range) = range else { return None };
    let [Value::Int(first), Value::Int(last), Value::Array(master), ..] = range.as_slice() else { return None };
    let [host, Value::Int(port), ..] = master.as_slice() else { return None };
    // A node that does not know its own name means the one under which it was asked.
    let host = String::from_redis_value_ref(host).ok().filter(|host| !host.is_empty() && host != "?");
    let node = Node { host: host.unwrap_or_else(|| asked.host.clone()), port: u16::try_from(*port).ok()? };
    Some((u16::try_from(*first).ok()?, u16::try_from(*last).ok()?, node))
}

impl Shared {
    /// Gives every channel to the line of its slot's master.
    fn deal(self: &Arc<Self>, ranges: Vec<(u16, u16, Node)>) {
        let mut state = self.state.lock();
        let known = state.lines.iter().filter_map(|(id, line)| Some((line.node.clone()?, *id)));
        let mut lines: HashMap<Node, LineId> = known.collect();
        let mut dealt = Vec::with_capacity(ranges.len());
        for (first, last, node) in ranges {
            let line = *lines.entry(node).or_insert_with_key(|node| self.add_line(&mut state, Some(node.clone())));
            dealt.push((first, last, line));
        }
        state.slots = Slots::Ranges(dealt);
        state.deal_channels();
        state.end_idle_lines();
    }
}

impl State {
    fn deal_channels(&mut self) {
        let State { channels, lines, slots, .. } = self;
        for (name, channel) in channels.iter_mut() {
            let line = slots.line_of(name);
            if channel.line != line {
                if channel.asked
                    && let Some(before) = channel.line.and_then(|before| lines.get_mut(&before))
                {
                    before.stray(name.clone());
                }
                channel.unsettle();
                channel.line = line;
            }
            // Also what was refused where it is: the node may serve the slot by now.
            if channel.wanted
                && !channel.asked
                && !channel.listed
                && let Some(line) = line.and_then(|line| lines.get_mut(&line)).filter(|line| line.generation.is_some())
            {
                channel.listed = true;
                line.list(name.clone());
            }
        }
        channels.retain(|_, channel| channel.wanted || channel.asked || channel.unconfirmed > 0);
    }

    fn end_idle_lines(&mut self) {
        let State { lines, slots, .. } = self;
        let Slots::Ranges(ranges) = slots else { return };
        lines.retain(|id, line| {
            let serves = ranges.iter().any(|(_, _, line)| line == id);
            if !serves {
                line.end();
            }
            serves
        });
    }
}

/// CRC-16/XMODEM of the key, or of the part of it that a hash tag marks: `{…}`, the first one, unless it is empty.
fn slot_of(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = key.get(open + 1..)?;
        let close = rest.iter().position(|byte| *byte == b'}')?;
        rest.get(..close).filter(|tag| !tag.is_empty())
    });
    let mut crc: u16 = 0;
    for byte in tag.unwrap_or(key) {
        crc ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
        }
    }
    crc % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis::cluster_routing::Slot;

    #[test]
    fn a_channels_slot_is_that_of_its_hash_tag() {
        for key in ["", "aim:room:c1", "aim:room:{c1}", "{c1}", "a{}b", "a{b", "a{{b}}c", "{ä}", "aim:user:{u}:{v}"] {
            assert_eq!(Slot::new(slot_of(key.as_bytes())), Some(Slot::for_key(key)), "{key}");
        }
        assert_eq!(slot_of(b"aim:room:{c1}"), slot_of(b"c1"));
    }
}
