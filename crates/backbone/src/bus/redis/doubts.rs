//! What other servers may not have been told, or Redis may keep wrongly, because a call went wrong: it is made good when
//! Redis answers again.

use crate::keys::Channel;
use aim_domain::MessageId;
use std::collections::HashMap;

/// Channels in doubt; more are not remembered.
const MOST: usize = 100_000;
/// Replies of one conversation that ended and may be kept still; more are left to their time to live.
const ENDED: usize = 16;

#[derive(Default)]
pub struct Doubts {
    channels: HashMap<Channel, Doubt>,
    pub forgotten: u64,
}

/// What is in doubt of one channel. Whatever it is, a reply that is under way there is kept anew.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Doubt {
    /// Events may have been lost.
    pub untold: bool,
    /// Replies that are over and may be kept still.
    pub ended: Vec<MessageId>,
}

impl Doubts {
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty()
    }

    pub fn has(&self, channel: &Channel) -> bool {
        self.channels.contains_key(channel)
    }

    pub fn add(&mut self, channel: &Channel, untold: bool, ended: &[MessageId]) {
        if self.channels.len() >= MOST && !self.channels.contains_key(channel) {
            self.forgotten += 1;
            return;
        }
        let doubt = self.channels.entry(channel.clone()).or_default();
        doubt.untold |= untold;
        for message in ended {
            if !doubt.ended.contains(message) {
                doubt.ended.push(message.clone());
            }
        }
        let surplus = doubt.ended.len().saturating_sub(ENDED);
        doubt.ended.drain(..surplus);
    }

    /// Some of them, which are in doubt no more.
    pub fn take(&mut self, most: usize) -> Vec<(Channel, Doubt)> {
        let some: Vec<_> = self.channels.keys().take(most).cloned().collect();
        some.into_iter().filter_map(|channel| self.channels.remove_entry(&channel)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aim_domain::ConversationId;

    #[test]
    fn doubts_add_up_and_are_bounded() {
        let room = |n: usize| Channel::Room(ConversationId::trusted(format!("c{n}")));
        let mut doubts = Doubts::default();
        doubts.add(&room(0), false, &[MessageId::trusted("r1")]);
        doubts.add(&room(0), true, &[]);
        assert!(doubts.has(&room(0)) && !doubts.has(&room(1)));
        for n in 0..40 {
            doubts.add(&room(0), false, &[MessageId::trusted(format!("s{n}"))]);
        }
        let taken = doubts.take(10);
        assert_eq!((taken.len(), doubts.is_empty()), (1, true));
        assert!(taken[0].1.untold && taken[0].1.ended.len() == ENDED);
        for n in 0..MOST + 5 {
            doubts.add(&room(n), true, &[]);
        }
        assert_eq!((doubts.channels.len(), doubts.forgotten), (MOST, 5));
    }
}
