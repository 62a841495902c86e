//! Turn-taking: who may be answered now.
//!
//! A message enters its conversation's line. A conversation is *ready* when its line is not empty and no reply of it is
//! under way. A character serves its ready conversations in round robin, premium first within a bound, at most
//! `replies_per_character` at once. Whoever gets a slot holds it under a lease.
//!
//! A conversation's *state* is `idle` when nothing of it waits or is under way, `queued` when anything waits, and else
//! `processing`. Whoever is queued has a *position*: how many replies of its character end before its next one may begin,
//! if nobody else enters. With one slot and a reply under way the first that waits has position 1, the next 2. A
//! conversation that waits for its own reply under way counts that one, and all that would be served before it if it
//! joined the line now.
//!
//! In an outage: the lines are kept in this process, rebuilt from the store's due rows. On recovery nothing is merged:
//! what waited here is dropped and entered anew, and stale lines lose their claims in the store (`pair`). A turn is a
//! hint: only a claim may answer.
//!
//! In a `Moved` a conversation may come twice: the later state holds.

pub mod local;
pub mod pair;
#[cfg(test)]
mod patient;
pub mod redis;

use crate::Fault;
use aim_domain::{CharacterId, ConversationId, ConversationState, MessageId};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Replies at a time for one character, over all conversations; at least 1.
    pub replies_per_character: u64,
    /// How long a granted turn lasts without a renewal.
    pub lease: Duration,
    /// Premium conversations served in a row while others wait; 0: premium is nothing special.
    pub premium_run: u32,
    /// How many waiting conversations are told of a new position at each change, from the front.
    pub told_positions: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { replies_per_character: 1, lease: Duration::from_secs(30), premium_run: 3, told_positions: 100 }
    }
}

/// A message that awaits its reply. Its identity is (message, attempt).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    pub conversation: ConversationId,
    pub character: CharacterId,
    pub message: MessageId,
    pub attempt: u32,
    pub premium: bool,
}

impl Turn {
    /// Whether both are the same attempt at the same message's reply.
    fn is(&self, other: &Self) -> bool {
        self.message == other.message && self.attempt == other.attempt
    }
}

/// What a change of the lines brought about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moved {
    /// Turns that are free now: each needs its job.
    pub granted: Vec<Turn>,
    /// Conversations whose state or position changed, with what it is now.
    pub states: Vec<(ConversationId, ConversationState)>,
}

#[async_trait]
pub trait Turns: Send + Sync + 'static {
    /// Puts a turn at the end of its conversation's line and grants what is free. A turn that stands in the line or
    /// holds a slot already changes nothing. `states` holds this conversation's at least.
    async fn enter(&self, turn: Turn) -> Result<Moved, Fault>;
    /// Extends the lease of a granted turn. False when it is not granted (any more).
    async fn renew(&self, turn: &Turn) -> Result<bool, Fault>;
    /// Gives the slot back and grants the next. A turn that holds none leaves the line it stands in.
    async fn finish(&self, turn: &Turn) -> Result<Moved, Fault>;
    /// Takes the named messages out of their conversation's line; a granted one keeps its slot. `character` is the
    /// conversation's.
    async fn withdraw(
        &self,
        character: &CharacterId,
        conversation: &ConversationId,
        messages: &[MessageId],
    ) -> Result<Moved, Fault>;
    /// Takes back slots whose lease is over and grants them anew. The turn that lost its slot is gone: the reconciler
    /// enters it again if its message is still due.
    async fn expire(&self) -> Result<Moved, Fault>;
    /// Idle for a conversation that is unknown. `character` is the conversation's.
    async fn state(&self, character: &CharacterId, conversation: &ConversationId) -> Result<ConversationState, Fault>;
    /// Whether this turn stands in a line or holds a slot.
    async fn knows(&self, turn: &Turn) -> Result<bool, Fault>;
    /// Turns that hold a slot now, for the reconciler to compare with jobs. A backend that many servers share leaves out
    /// those whose lease was given or renewed within `quiet`: somebody looks after them.
    async fn granted(&self, quiet: Duration) -> Result<Vec<Turn>, Fault>;
}
