//! Commands of the claim protocol: who answers a message, and what comes of it.

use crate::Redoing;
use aim_domain::{
    CharacterId, ConversationId, Incarnation, Message, MessageId, Personality, ReplyState, Speaker, UserId,
};
use serde::Serialize;
use utoipa::ToSchema;

/// Asks for the lowest due message of a conversation.
#[derive(Clone, Debug)]
pub struct ClaimReply {
    pub conversation: ConversationId,
    pub holder: Incarnation,
    /// Replies at a time for one character, over all conversations.
    pub replies_per_character: u64,
}

/// The right to answer one message. It ends with a commit or an end; once its holder's lease is over it keeps nobody
/// else away, and ends with the next claim.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    pub conversation: ConversationId,
    pub character: CharacterId,
    /// The message to answer.
    pub message: Message,
    /// Whose message it is, and how they go by there; one who has left plays no persona.
    pub sender: Speaker,
    /// 1 for the first; one more for each retry of a person's.
    pub attempt: u32,
    /// Only a commit with the conversation's current fence counts.
    pub fence: u64,
    /// The conversation's highest `seq` at the claim; a cached context of another is stale.
    pub last_seq: u64,
    /// The message has its reply, which is answered anew.
    pub redo: Option<Redoing>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Claimed {
    Claimed(Box<Claim>),
    /// No message is due here.
    NothingDue,
    /// A living server answers in this conversation already.
    ConversationBusy,
    /// The character gives as many replies as it may.
    CharacterBusy,
    /// The asking server's own lease is over, or never was: it renews it, or takes a new incarnation.
    NoLease,
    /// The due message had been told to stop when its server died: it is cancelled now.
    Cancelled(Box<Message>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct NewReply {
    /// Fresh; a reply that is answered anew keeps its own.
    pub id: MessageId,
    /// All that it says, also of one that went on.
    pub text: String,
    pub personality: Option<Personality>,
}

/// Tokens that one call took; stored in the commit of the reply.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenUse {
    pub user: UserId,
    pub character: CharacterId,
    /// `PROVIDER/MODEL`.
    pub model: String,
    pub prompt: u64,
    pub completion: u64,
}

#[derive(Clone, Debug)]
pub struct CommitReply {
    pub conversation: ConversationId,
    pub fence: u64,
    pub message: MessageId,
    pub reply: NewReply,
    pub tokens: Option<TokenUse>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Committed {
    /// The message, now `done`, and its reply: with the next `seq`, or the one that was there, as it is now.
    Committed { asked: Box<Message>, reply: Box<Message> },
    /// Another holds the conversation by now, or the message is gone: nothing was stored.
    Stale,
}

#[derive(Clone, Debug)]
pub struct EndReply {
    pub conversation: ConversationId,
    pub fence: u64,
    pub message: MessageId,
    /// `Failed`, `Cancelled`, or `Due` to give it back.
    pub state: ReplyState,
    pub tokens: Option<TokenUse>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Ended {
    Ended(Box<Message>),
    Stale,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Cancel {
    /// A living server holds this reply and was told.
    Stopping { message: MessageId, holder: Incarnation, fence: u64 },
    /// None was under way; these waited and are cancelled now.
    Cancelled(Vec<Message>),
}

/// Work that is due, for the reconciler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    pub conversation: ConversationId,
    pub character: CharacterId,
    pub message: MessageId,
    pub attempt: u32,
    pub premium: bool,
}

/// One model's day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelTokens {
    pub model: String,
    pub prompt: u64,
    pub completion: u64,
    pub requests: u64,
}
