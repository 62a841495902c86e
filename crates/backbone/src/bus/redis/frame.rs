//! What travels on a channel, and what is kept of a reply under way.
//!
//! A message on a channel is three lines: which bus sent it, the socket that caused it (or nothing), and the event, both as
//! JSON, which has no line feeds of its own. Without an event it says that events may have been lost.
//!
//! A reply under way is a list: first whose it is, then its deltas, each with the reply's id and its offset. Whoever reads
//! it adds them up as those did who heard them.

use crate::bus::Origin;
use crate::bus::local::PARTIAL_CAP;
use aim_domain::message::utf16_len;
use aim_domain::{Ambient, Incarnation, MessageId, Partial};
use serde::Serialize;

/// Which bus sent a message: its own are delivered before they travel, and known by this when they come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance(String);

impl Instance {
    pub fn new(ambient: &Ambient) -> Self {
        Self(ambient.id::<Incarnation>().to_string())
    }

    /// None where an event does not turn into JSON, which none of ours does.
    pub fn event<E: Serialize>(&self, origin: Option<&Origin>, event: &E) -> Option<Vec<u8>> {
        let mut frame = Vec::with_capacity(256);
        frame.extend_from_slice(self.0.as_bytes());
        frame.push(b'\n');
        if let Some(origin) = origin {
            serde_json::to_writer(&mut frame, origin).ok()?;
        }
        frame.push(b'\n');
        serde_json::to_writer(&mut frame, event).ok()?;
        Some(frame)
    }

    pub fn lost(&self) -> Vec<u8> {
        [self.0.as_bytes(), b"\n\n"].concat()
    }

    pub fn sent(&self, frame: &[u8]) -> bool {
        frame.strip_prefix(self.0.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'\n'))
    }
}

#[derive(Debug, PartialEq)]
pub enum Frame<'a> {
    Event { origin: Option<Origin>, event: &'a [u8] },
    Lost,
}

/// None for what no bus of ours has sent.
pub fn read(frame: &[u8]) -> Option<Frame<'_>> {
    let mut lines = frame.splitn(3, |byte| *byte == b'\n');
    let (_, origin, event) = (lines.next()?, lines.next()?, lines.next()?);
    if event.is_empty() {
        return Some(Frame::Lost);
    }
    let origin = if origin.is_empty() { None } else { Some(serde_json::from_slice(origin).ok()?) };
    Some(Frame::Event { origin, event })
}

pub fn head(message: &MessageId, in_reply_to: &MessageId) -> String {
    format!("{message}\n{in_reply_to}")
}

pub fn delta(message: &MessageId, offset: u64, text: &str) -> String {
    format!("{message}\n{offset}\n{text}")
}

/// The reply that a list keeps; none where the list has a hole. What is in it twice counts once.
pub fn reply(list: &[String]) -> Option<Partial> {
    let (head, deltas) = list.split_first()?;
    let (message, in_reply_to) = head.split_once('\n')?;
    let (mut text, mut length) = (String::new(), 0);
    for delta in deltas {
        let (of, rest) = delta.split_once('\n')?;
        if of != message {
            continue;
        }
        let (offset, more) = rest.split_once('\n')?;
        let offset: u64 = offset.parse().ok()?;
        if offset > length {
            return None;
        }
        if offset == length {
            text.push_str(more);
            length += utf16_len(more);
        }
    }
    let (message_id, in_reply_to) = (MessageId::parse(message).ok()?, MessageId::parse(in_reply_to).ok()?);
    (text.len() <= PARTIAL_CAP).then_some(Partial { message_id, in_reply_to, text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use aim_domain::{ConversationId, RoomEvent};

    fn id(text: &str) -> MessageId {
        MessageId::trusted(text)
    }

    fn list(deltas: &[(&str, u64, &str)]) -> Vec<String> {
        let deltas = deltas.iter().map(|(message, offset, text)| delta(&id(message), *offset, text));
        std::iter::once(head(&id("r1"), &id("m1"))).chain(deltas).collect()
    }

    #[test]
    fn a_frame_says_who_sent_it_and_what() {
        let (ours, other) = (Instance("ours".into()), Instance("our".into()));
        let origin = Origin { server: Incarnation::trusted("s1"), socket: "k1".into() };
        let conversation_id = ConversationId::trusted("c1");
        let event = RoomEvent::ReplyDelta { conversation_id, message_id: id("r1"), offset: 3, text: "a\n\nb".into() };
        let frame = ours.event(Some(&origin), &event).unwrap();
        assert!(ours.sent(&frame) && !other.sent(&frame));
        let Some(Frame::Event { origin: from, event: json }) = read(&frame) else { panic!("an event") };
        assert_eq!((from, serde_json::from_slice::<RoomEvent>(json).unwrap()), (Some(origin), event.clone()));
        let frame = ours.event(None, &event).unwrap();
        assert!(matches!(read(&frame), Some(Frame::Event { origin: None, .. })));
        assert_eq!(read(&ours.lost()), Some(Frame::Lost));
        assert_eq!(read(b"something else"), None);
    }

    #[test]
    fn deltas_add_up_to_the_reply() {
        let text = |deltas: &[_]| reply(&list(deltas)).map(|reply| reply.text);
        assert_eq!(text(&[]).as_deref(), Some(""));
        assert_eq!(text(&[("r1", 0, "🌊\n"), ("r1", 3, "é"), ("r1", 4, ".")]).as_deref(), Some("🌊\né."));
        assert_eq!(
            text(&[("r1", 0, "One"), ("r0", 9, "no"), ("r1", 0, "One"), ("r1", 3, "!")]).as_deref(),
            Some("One!")
        );
        assert_eq!(text(&[("r1", 0, "One"), ("r1", 4, "!")]), None, "it has a hole");
        assert_eq!(reply(&[]), None);
    }
}
