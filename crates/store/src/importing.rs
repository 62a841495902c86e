//! A conversation that was held elsewhere, taken in whole.

use crate::{ConversationItem, OpenConversation, Result};
use aim_domain::{CharacterId, ConversationId, Message, UserId};
use async_trait::async_trait;

/// A message, and where it is a reply all that it might have said: its `variants` say how many, and which is chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportedMessage {
    pub message: Message,
    pub variants: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct ImportConversation {
    pub id: ConversationId,
    pub owner: UserId,
    pub character: CharacterId,
    pub title: String,
    /// In order of `seq`, which counts from 1. None is due; a reply follows what it answers. None has a `client_id`.
    pub said: Vec<ImportedMessage>,
}

impl ImportConversation {
    /// The conversation, with nothing said in it.
    pub(crate) fn opening(&self) -> OpenConversation {
        OpenConversation {
            id: self.id.clone(),
            owner: self.owner.clone(),
            character: self.character.clone(),
            title: self.title.clone(),
            greeting: None,
            anew: true,
        }
    }
}

impl ImportedMessage {
    /// The `seq` of what a reply answers, its own for all others.
    pub(crate) fn turn(&self) -> u64 {
        self.message.seq - u64::from(self.message.in_reply_to.is_some())
    }
}

#[async_trait]
pub trait Importing: Send + Sync {
    /// Makes a conversation of its own, which is the pair's from now on; the one before goes on beside it. All of it is stored,
    /// or nothing, and no usage is counted. The same id again answers what is there. Writes
    /// `Change::Conversation`.
    async fn import_conversation(&self, import: ImportConversation) -> Result<ConversationItem>;
}
