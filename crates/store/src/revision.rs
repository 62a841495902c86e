//! Changing what was said last: answering anew, going on, choosing among variants, editing and taking back.
//!
//! Only the end of a conversation can be changed, since all that comes after a message was said in its light, and only while
//! nothing of the conversation is due: what is being answered must not change under who answers it. Each of these
//! commands raises the conversation's fence, so a window of what was said before counts no more.

use crate::Result;
use aim_domain::{Conversation, ConversationId, Message, MessageId, Personality, Timestamp, UserId};
use async_trait::async_trait;

/// Variants that a reply has at the most.
pub const MAX_VARIANTS: u32 = 20;

/// Why an answered message is due again. The work is claimed, committed and ended like a first reply; however it ends, the
/// message is `done` after it, since it has its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redo {
    /// For another variant of its reply.
    Variant,
    /// For the reply it has to go on.
    Continue,
}

impl Redo {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Variant => "variant",
            Self::Continue => "continue",
        }
    }

    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "variant" => Ok(Self::Variant),
            "continue" => Ok(Self::Continue),
            other => Err(format!("{other:?} is no way to answer anew")),
        }
    }
}

/// What a claim says of a message that has its reply already.
#[derive(Clone, Debug, PartialEq)]
pub struct Redoing {
    pub how: Redo,
    /// The reply that it has, and keeps.
    pub reply: MessageId,
    /// What that says, where it is to go on; else empty.
    pub text: String,
    /// The first claim of this work: nobody has heard anything of it yet.
    pub first: bool,
}

#[derive(Clone, Debug)]
pub struct RedoReply {
    pub conversation: ConversationId,
    /// The last reply, or the message that it answers.
    pub message: MessageId,
    pub how: Redo,
}

#[derive(Clone, Debug)]
pub struct EditMessage {
    pub conversation: ConversationId,
    pub message: MessageId,
    pub by: UserId,
    pub text: String,
    /// What it said when it was edited, as far as that was told.
    pub was: Option<String>,
}

/// What a reply says from now on, in somebody's words.
#[derive(Clone, Debug)]
pub struct ReviseReply {
    pub conversation: ConversationId,
    pub reply: MessageId,
    pub text: String,
    /// What the reply said when it was edited, as far as that was told.
    pub was: Option<String>,
    pub personality: Option<Personality>,
}

/// Why the end of a conversation was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// There is no such message here, or no such variant of it.
    NotFound,
    /// Something of the conversation waits for its reply, or is being answered.
    Busy,
    /// Something was said after it.
    NotLast,
    /// It has no reply, or answers nothing.
    Unanswered,
    /// It has as many variants as a reply may have, or is as long as one may be.
    Full,
    /// It is somebody else's, or no text.
    NotTheirs,
    /// It says something else by now than when it was edited.
    Changed,
}

pub type Revised<T> = std::result::Result<T, Unfit>;

/// A message that is due again, with the attempt that is to be answered.
pub type DueAgain = (Message, u32);

/// A message that was edited.
#[derive(Clone, Debug, PartialEq)]
pub struct Edited {
    pub due: DueAgain,
    /// Its reply, where one of its variants had to make room.
    pub reply: Option<Message>,
}

/// The caller has let the asker in through the conversation's member gate.
#[async_trait]
pub trait Revisions: Send + Sync {
    /// The last reply is due anew. Answers the message that it answers.
    async fn redo_reply(&self, redo: RedoReply) -> Result<Revised<DueAgain>>;
    /// Chooses a variant of the last reply, counted from 0; answers the reply. Writes `Change::Conversation`.
    async fn select_variant(
        &self,
        conversation: &Conversation,
        reply: &MessageId,
        selected: u32,
    ) -> Result<Revised<Message>>;
    /// Changes the text of the last message, if it is a text of `by`'s; it is due again, for another variant where it has a
    /// reply, for its first one where that failed or was cancelled. Of a reply with as many variants as it may have, the oldest goes
    /// that is not chosen. Writes `Change::Conversation`.
    async fn edit_message(&self, edit: EditMessage) -> Result<Revised<Edited>>;
    /// Changes what the chosen variant of the last reply says; nothing is due for it. Answers the reply. Writes
    /// `Change::Conversation`.
    async fn revise_reply(&self, revise: ReviseReply) -> Result<Revised<Message>>;
    /// When a reply, or one of its variants, was last put in other words; none where it says what it was told to by a model.
    async fn revised_at(&self, conversation: &Conversation, message: &MessageId) -> Result<Option<Timestamp>>;
}
