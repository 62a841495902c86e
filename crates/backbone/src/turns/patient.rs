//! A backend for tests that waits longer for Redis than a request would: what is promised of the lines does not hang on
//! how busy the machine is.

use super::{Moved, Turn, Turns};
use crate::Fault;
use crate::link::with_budget;
use aim_domain::{CharacterId, ConversationId, ConversationState, MessageId};
use async_trait::async_trait;
use std::ops::Deref;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Patient<T>(pub T);

impl<T> Deref for Patient<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

#[async_trait]
impl<T: Turns> Turns for Patient<T> {
    async fn enter(&self, turn: Turn) -> Result<Moved, Fault> {
        with_budget(PATIENCE, self.0.enter(turn)).await
    }

    async fn renew(&self, turn: &Turn) -> Result<bool, Fault> {
        with_budget(PATIENCE, self.0.renew(turn)).await
    }

    async fn finish(&self, turn: &Turn) -> Result<Moved, Fault> {
        with_budget(PATIENCE, self.0.finish(turn)).await
    }

    async fn withdraw(
        &self,
        character: &CharacterId,
        conversation: &ConversationId,
        messages: &[MessageId],
    ) -> Result<Moved, Fault> {
        with_budget(PATIENCE, self.0.withdraw(character, conversation, messages)).await
    }

    async fn expire(&self) -> Result<Moved, Fault> {
        with_budget(PATIENCE, self.0.expire()).await
    }

    async fn state(&self, character: &CharacterId, conversation: &ConversationId) -> Result<ConversationState, Fault> {
        with_budget(PATIENCE, self.0.state(character, conversation)).await
    }

    async fn knows(&self, turn: &Turn) -> Result<bool, Fault> {
        with_budget(PATIENCE, self.0.knows(turn)).await
    }

    async fn granted(&self, quiet: Duration) -> Result<Vec<Turn>, Fault> {
        with_budget(PATIENCE, self.0.granted(quiet)).await
    }
}
