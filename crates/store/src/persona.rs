//! Personas, and which of them a member plays in a conversation. Nothing of them is cached: a reply reads them as they are.

use crate::Result;
use aim_domain::{ConversationId, Persona, PersonaId, Speaker, UploadId, UserId};
use async_trait::async_trait;

/// Members of a conversation that a reply is told of at the most.
pub const MAX_SPEAKERS: u32 = 200;

#[derive(Clone, Debug)]
pub struct NewPersona {
    pub id: PersonaId,
    pub name: String,
    pub description: String,
    /// A picture of the owner's.
    pub picture: Option<UploadId>,
    pub is_default: bool,
}

/// What is none stays.
#[derive(Clone, Debug, Default)]
pub struct PersonaChange {
    pub name: Option<String>,
    pub description: Option<String>,
    /// `Some(None)` takes the picture away.
    pub picture: Option<Option<UploadId>>,
    pub is_default: Option<bool>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum SavePersona {
    Saved(Persona),
    /// The user has as many as allowed.
    TooMany,
    /// The picture is no picture of the user's, or could not be processed.
    NoPicture,
    /// There is no such persona of the user's, or no such user.
    NotFound,
}

/// Which persona a member plays in a conversation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PersonaChoice {
    /// None: the default one, whichever that is.
    pub chosen: Option<Persona>,
    /// What comes of it; none: nobody but oneself.
    pub speaks_as: Option<Persona>,
}

#[async_trait]
pub trait Personas: Send + Sync + 'static {
    /// In the order in which they were made.
    async fn personas(&self, user: &UserId) -> Result<Vec<Persona>>;
    /// A user has `most` at a time. One that is to be the default takes the place of the one before.
    async fn create_persona(&self, user: &UserId, new: NewPersona, most: u32) -> Result<SavePersona>;
    /// As `create_persona` where it becomes the default.
    async fn change_persona(&self, user: &UserId, id: &PersonaId, change: PersonaChange) -> Result<SavePersona>;
    /// Where it was chosen the default one is played from now on. False when there was none.
    async fn delete_persona(&self, user: &UserId, id: &PersonaId) -> Result<bool>;

    /// None unless `member` is in the conversation.
    async fn persona_choice(&self, conversation: &ConversationId, member: &UserId) -> Result<Option<PersonaChoice>>;
    /// None: the default one. False unless `member` is in the conversation and the persona is theirs.
    async fn choose_persona(
        &self,
        conversation: &ConversationId,
        member: &UserId,
        persona: Option<&PersonaId>,
    ) -> Result<bool>;
    /// How everybody in a conversation goes by there, in the order in which they joined, [`MAX_SPEAKERS`] at the most. For
    /// replies, and for whoever has passed the member gate.
    async fn speakers(&self, conversation: &ConversationId) -> Result<Vec<Speaker>>;
}
