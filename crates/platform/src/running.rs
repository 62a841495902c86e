//! The replies that this process gives, and how they are stopped.

use aim_domain::ConversationId;
use aim_store::Claim;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use tokio_util::sync::CancellationToken;

/// How a reply under way is ended from outside.
#[derive(Clone, Default)]
pub(crate) struct Stop {
    /// Somebody pressed stop: what was said so far is kept.
    pub cancel: CancellationToken,
    /// This process no longer holds the claim: nothing is kept.
    pub lost: CancellationToken,
}

/// Stops that found no reply and are remembered for one that is about to begin.
const UNHEARD: usize = 256;

/// The replies that this process gives, by conversation: there is at most one in each, under its claim's fence.
#[derive(Default)]
pub(crate) struct Running(Mutex<State>);

#[derive(Default)]
struct State {
    replies: HashMap<ConversationId, (u64, Stop)>,
    /// The newest stops that nobody heard: between a claim's commit and its reply's beginning there is a moment in which
    /// it can be told to stop already.
    unheard: VecDeque<(ConversationId, u64)>,
}

impl Running {
    pub fn begin(&self, claim: &Claim) -> Stop {
        let (stop, mut state) = (Stop::default(), self.0.lock());
        let ours = (claim.conversation.clone(), claim.fence);
        if state.unheard.contains(&ours) {
            stop.cancel.cancel();
        }
        if let Some((_, before)) = state.replies.insert(ours.0, (ours.1, stop.clone())) {
            // A newer claim is there: the one before it was lost.
            before.lost.cancel();
        }
        stop
    }

    pub fn end(&self, claim: &Claim) {
        let mut state = self.0.lock();
        if state.replies.get(&claim.conversation).is_some_and(|(fence, _)| *fence == claim.fence) {
            state.replies.remove(&claim.conversation);
        }
    }

    /// Stops the reply that is given here under this fence, keeping what was said. A later reply goes on: a stop may be
    /// heard of twice, and late.
    pub fn stop(&self, conversation: &ConversationId, fence: u64) {
        let mut state = self.0.lock();
        match state.replies.get(conversation) {
            Some((current, stop)) if *current == fence => stop.cancel.cancel(),
            Some((current, _)) if *current > fence => {}
            _ => {
                state.unheard.truncate(UNHEARD - 1);
                state.unheard.push_front((conversation.clone(), fence));
            }
        }
    }

    /// Drops every reply: their claims are lost.
    pub fn lose_all(&self) {
        self.0.lock().replies.values().for_each(|(_, stop)| stop.lost.cancel());
    }

    pub fn count(&self) -> usize {
        self.0.lock().replies.len()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use aim_domain::{Author, Kind, Message, Speaker, Timestamp};

    fn claim(conversation: &str, fence: u64) -> Claim {
        let conversation: ConversationId = conversation.parse().unwrap();
        let message = Message {
            id: "m1".parse().unwrap(),
            conversation_id: conversation.clone(),
            seq: 1,
            role: Author::User,
            sender_id: "u1".into(),
            kind: Kind::Text,
            text: "Ahoy".into(),
            media: None,
            in_reply_to: None,
            client_id: None,
            created_at: Timestamp(0),
            reply_state: None,
            variants: None,
            personality: None,
        };
        let character = "mara".parse().unwrap();
        let sender = Speaker { user: "u1".parse().unwrap(), display_name: "Ann".into(), persona: None };
        Claim { conversation, character, message, sender, attempt: 1, fence, last_seq: 1, redo: None }
    }

    #[test]
    fn a_stop_that_comes_before_its_reply_begins_is_heard() {
        let running = Running::default();
        running.stop(&claim("c1", 3).conversation, 3);
        assert!(running.begin(&claim("c1", 3)).cancel.is_cancelled());
        assert!(!running.begin(&claim("c2", 3)).cancel.is_cancelled());
        assert!(!running.begin(&claim("c1", 4)).cancel.is_cancelled());
    }

    #[test]
    fn stops_that_nobody_hears_are_bounded() {
        let running = Running::default();
        for fence in 0..10 * UNHEARD as u64 {
            running.stop(&claim("c1", 1).conversation, fence);
        }
        assert_eq!(running.0.lock().unheard.len(), UNHEARD);
        assert!(running.begin(&claim("c1", 10 * UNHEARD as u64 - 1)).cancel.is_cancelled());
    }

    #[test]
    fn a_reply_that_ends_late_leaves_the_newer_one_alone() {
        let running = Running::default();
        let (old, new) = (claim("c1", 1), claim("c1", 2));
        let lost = running.begin(&old).lost;
        let stop = running.begin(&new);
        assert!(lost.is_cancelled(), "its claim is another's");
        running.end(&old);
        assert_eq!(running.count(), 1);
        running.stop(&old.conversation, 1);
        assert!(!stop.cancel.is_cancelled());
        running.stop(&old.conversation, 2);
        assert!(stop.cancel.is_cancelled());
        running.end(&new);
        assert_eq!(running.count(), 0);
    }
}
