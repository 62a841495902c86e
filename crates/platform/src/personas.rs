//! The roles that people play in front of characters: one's own personas, and which of them is played where.
//!
//! In a conversation a member plays the persona chosen there, or else the default one, or else speaks as themselves. Names
//! are read when a prompt is made: whoever changes persona goes by the new name in what was said before, too.

use crate::Platform;
use crate::faults::OrRefuse;
use aim_domain::persona::{self, MAX_PERSONAS};
use aim_domain::{ConversationId, Member, Persona, PersonaId, Refusal, UploadId, UserId};
use aim_store::{NewPersona, PersonaChange, PersonaChoice, SavePersona};
use serde::Serialize;
use utoipa::ToSchema;

/// What somebody says of a persona of theirs; what is none stays as it is.
#[derive(Clone, Debug, Default)]
pub struct PersonaForm {
    pub name: Option<String>,
    pub description: Option<String>,
    /// `/media/{uploadId}/…`; `Some(None)` takes the picture away.
    pub avatar_url: Option<Option<String>>,
    pub is_default: Option<bool>,
}

/// How a member of a conversation goes by there, as the others see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Played {
    pub user_id: UserId,
    pub name: String,
    pub avatar_url: Option<String>,
}

fn not_ones_own() -> Refusal {
    Refusal::invalid("avatarUrl", "must be a picture that you have uploaded: /media/{uploadId}/thumb")
}

/// The upload that an address names.
fn picture(url: &str) -> Result<UploadId, Refusal> {
    let id = url.strip_prefix("/media/").and_then(|rest| rest.split_once('/')).map(|(id, _)| id);
    id.and_then(|id| id.parse().ok()).ok_or_else(not_ones_own)
}

fn saved(outcome: SavePersona) -> Result<Persona, Refusal> {
    match outcome {
        SavePersona::Saved(persona) => Ok(persona),
        SavePersona::TooMany => {
            Err(Refusal::conflict(format!("There are {MAX_PERSONAS} personas already. Delete one first.")))
        }
        SavePersona::NoPicture => Err(not_ones_own()),
        SavePersona::NotFound => Err(Refusal::not_found("persona")),
    }
}

impl Platform {
    /// One's own, in the order in which they were made.
    pub async fn personas(&self, who: &Member) -> Result<Vec<Persona>, Refusal> {
        self.store.personas(who.user_id()).await.or_refuse()
    }

    /// Whom a conversation begins with.
    pub(crate) async fn default_persona(&self, who: &Member) -> Result<Option<Persona>, Refusal> {
        Ok(self.personas(who).await?.into_iter().find(|persona| persona.is_default))
    }

    pub async fn create_persona(&self, who: &Member, form: PersonaForm) -> Result<Persona, Refusal> {
        let (name, description) = (form.name.unwrap_or_default(), form.description.unwrap_or_default());
        persona::check(Some(&name), Some(&description))?;
        let new = NewPersona {
            id: self.ambient.id(),
            name: name.trim().to_owned(),
            description: description.trim().to_owned(),
            picture: form.avatar_url.flatten().as_deref().map(picture).transpose()?,
            is_default: form.is_default.unwrap_or_default(),
        };
        saved(self.store.create_persona(who.user_id(), new, MAX_PERSONAS).await.or_refuse()?)
    }

    pub async fn change_persona(&self, who: &Member, id: &PersonaId, form: PersonaForm) -> Result<Persona, Refusal> {
        persona::check(form.name.as_deref(), form.description.as_deref())?;
        let change = PersonaChange {
            name: form.name.map(|name| name.trim().to_owned()),
            description: form.description.map(|text| text.trim().to_owned()),
            picture: form.avatar_url.map(|url| url.as_deref().map(picture).transpose()).transpose()?,
            is_default: form.is_default,
        };
        saved(self.store.change_persona(who.user_id(), id, change).await.or_refuse()?)
    }

    /// Where it was played, the default one is from now on.
    pub async fn delete_persona(&self, who: &Member, id: &PersonaId) -> Result<(), Refusal> {
        let done = self.store.delete_persona(who.user_id(), id).await.or_refuse()?;
        if done { Ok(()) } else { Err(Refusal::not_found("persona")) }
    }

    /// Which persona one plays in a conversation.
    pub async fn persona_in(&self, who: &Member, id: &ConversationId) -> Result<PersonaChoice, Refusal> {
        let choice = self.store.persona_choice(id, who.user_id()).await.or_refuse()?;
        choice.ok_or_else(|| Refusal::not_found("conversation"))
    }

    /// None: the default one, whichever that is.
    pub async fn choose_persona(
        &self,
        who: &Member,
        id: &ConversationId,
        persona: Option<&PersonaId>,
    ) -> Result<PersonaChoice, Refusal> {
        self.persona_in(who, id).await?;
        if !self.store.choose_persona(id, who.user_id(), persona).await.or_refuse()? {
            return Err(Refusal::not_found("persona"));
        }
        self.persona_in(who, id).await
    }

    /// Those in a conversation who play a persona there.
    pub async fn personas_in(&self, who: &Member, id: &ConversationId) -> Result<Vec<Played>, Refusal> {
        self.persona_in(who, id).await?;
        let speakers = self.store.speakers(id).await.or_refuse()?;
        let played = speakers.into_iter().filter_map(|one| {
            let persona = one.persona?;
            Some(Played { user_id: one.user, name: persona.name, avatar_url: persona.avatar_url })
        });
        Ok(played.collect())
    }
}
