//! A reply as it is being said.

use crate::Platform;
use crate::faults::hint;
use crate::reply::Generated;
use aim_ai::TokenCount;
use aim_ai::cleanup::Cleaner;
use aim_domain::message::utf16_len;
use aim_domain::{MessageId, RoomEvent};
use aim_store::Claim;
use std::time::Instant;

/// The reply as it is being said: cleans what the model sends and tells the room at a pace.
pub(crate) struct Voice<'a> {
    platform: &'a Platform,
    claim: &'a Claim,
    reply: MessageId,
    pub cleaner: Cleaner,
    /// What the model sent, as it sent it.
    pub raw: String,
    /// What the room was told, in all.
    text: String,
    /// UTF-16 code units of `text`.
    offset: u64,
    /// Clean, and not yet told.
    pending: String,
    /// What a reply that goes on said before, until something follows it.
    before: &'a str,
    next: Instant,
}

impl<'a> Voice<'a> {
    pub fn new(platform: &'a Platform, claim: &'a Claim, reply: MessageId, cleaner: Cleaner) -> Self {
        let (raw, text, pending) = (String::new(), String::new(), String::new());
        let before = so_far(claim);
        Self { platform, claim, reply, cleaner, raw, text, offset: 0, pending, before, next: Instant::now() }
    }

    /// A reply that goes on begins with what it has said: its deltas add up to all of it.
    pub async fn start(&mut self) {
        let conversation_id = self.claim.conversation.clone();
        let in_reply_to = self.claim.message.id.clone();
        let event = RoomEvent::ReplyStart { conversation_id, message_id: self.reply.clone(), in_reply_to };
        hint("begin a reply", self.platform.backbone.bus.publish_reply(&self.claim.conversation, event).await);
        self.platform.tell_typing(self.claim, true).await;
        self.pending.push_str(self.before);
        self.flush().await;
    }

    fn add(&mut self, text: &str) {
        let before = if text.is_empty() { "" } else { std::mem::take(&mut self.before) };
        if needs_space(before, text) {
            self.pending.push(' ');
        }
        self.pending.push_str(text);
    }

    pub async fn hear(&mut self, text: &str) {
        self.raw.push_str(text);
        let clean = self.cleaner.push(text);
        self.add(&clean);
        if !self.pending.is_empty() && Instant::now() >= self.next {
            self.flush().await;
        }
    }

    pub fn is_waiting(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Until what waits may be told.
    pub async fn due(&self) {
        tokio::time::sleep_until(self.next.into()).await;
    }

    pub async fn flush(&mut self) {
        let text = std::mem::take(&mut self.pending);
        if text.is_empty() {
            return;
        }
        let offset = self.offset;
        self.offset += utf16_len(&text);
        self.text.push_str(&text);
        self.next = Instant::now() + self.platform.settings.delta_pace;
        let (conversation_id, message_id) = (self.claim.conversation.clone(), self.reply.clone());
        let event = RoomEvent::ReplyDelta { conversation_id, message_id, offset, text };
        hint("tell a delta", self.platform.backbone.bus.publish_reply(&self.claim.conversation, event).await);
    }

    pub async fn ended(mut self, tokens: TokenCount, stopped: bool) -> Generated {
        let rest = self.cleaner.finish();
        self.add(&rest);
        self.flush().await;
        Generated::Said { text: self.text, raw: self.raw, tokens, stopped }
    }
}

/// What the reply said before, where it is to go on.
pub(crate) fn so_far(claim: &Claim) -> &str {
    claim.redo.as_ref().map_or("", |redo| redo.text.as_str())
}

/// Models begin anew without the space that belongs between two sentences.
fn needs_space(before: &str, after: &str) -> bool {
    let ends = before.chars().next_back().is_some_and(|c| !c.is_whitespace());
    ends && after
        .chars()
        .next()
        .is_some_and(|c| !c.is_whitespace() && !matches!(c, ',' | '.' | ';' | ':' | '!' | '?' | '…'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_that_goes_on_is_joined_with_a_space_where_one_belongs() {
        for (before, after, expected) in [
            ("Yes.", "And more", true),
            ("Yes. ", "And", false),
            ("Yes", ", and", false),
            ("", "And", false),
            ("Yes", "\nAnd", false),
        ] {
            assert_eq!(needs_space(before, after), expected, "{before:?} {after:?}");
        }
    }
}
