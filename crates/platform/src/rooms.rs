//! Conversations of several people: who is in, how others come in by a link, and who decides on what.
//!
//! The owner names the conversation, invites, takes people out and deletes it. Everyone in it reads and writes. A reply is
//! the business of whoever asked for it: the sender of the message that it answers, and the owner, may stop it, ask for it
//! again, have it answered anew, let it go on, and choose among its variants; the sender alone edits the message.
//!
//! Who leaves, or is taken out, hears nothing more of the room, at once. What they said stays, and what of it waits is still
//! answered, since others may have read it: the owner can stop it like any other.

use crate::Platform;
use crate::faults::OrRefuse;
use aim_domain::error::Checks;
use aim_domain::room::{MAX_INVITES, MAX_MEMBERS};
use aim_domain::{
    Author, Conversation, ConversationId, Invite, InviteId, Member, MessageId, Participant, PersonSummary, Refusal,
    RoomEvent, Timestamp, TokenHash, UserId,
};
use aim_store::{AddMember, Admitted, Change, CharacterSummary, ConversationItem, NewInvite};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;
const LONGEST_TOKEN: usize = 100;

#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InviteForm {
    /// Seconds: an hour to 30 days; 7 days unless said.
    #[schema(minimum = 3600, maximum = 2592000)]
    pub expires_in: Option<u64>,
    /// How many people may come in by it; without end unless said.
    #[schema(minimum = 1, maximum = 100)]
    pub max_uses: Option<u64>,
}

/// A new link. Its token is shown this once.
#[derive(Clone, Debug)]
pub struct MadeInvite {
    pub invite: Invite,
    pub token: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PreviewedConversation {
    pub id: ConversationId,
    pub title: String,
}

/// What somebody who holds a link sees before they join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InvitePreview {
    pub conversation: PreviewedConversation,
    pub character: CharacterSummary,
    pub invited_by: PersonSummary,
    /// People who are in.
    pub members: u64,
    pub expires_at: Timestamp,
    pub is_member: bool,
}

impl Platform {
    /// Who is in, the owner first.
    pub async fn members(&self, who: &Member, id: &ConversationId) -> Result<Vec<Participant>, Refusal> {
        let members = self.store.members(id, who.user_id()).await.or_refuse()?;
        members.ok_or_else(|| Refusal::not_found("conversation"))
    }

    pub async fn add_member(
        &self,
        who: &Member,
        id: &ConversationId,
        user: &UserId,
    ) -> Result<ConversationItem, Refusal> {
        let conversation = self.entered(who, id).await?;
        self.owner_only(conversation.owner_id == *who.user_id())?;
        match self.store.add_member(id, who.user_id(), user).await.or_refuse()? {
            AddMember::Added => {}
            AddMember::NotFound => return Err(Refusal::not_found("user")),
            AddMember::Full => return Err(full()),
        }
        self.moved(id, user).await;
        self.conversation(who, id).await
    }

    /// By the owner, or by a member who leaves.
    pub async fn remove_member(&self, who: &Member, id: &ConversationId, user: &UserId) -> Result<(), Refusal> {
        let conversation = self.entered(who, id).await?;
        let owner = &conversation.owner_id;
        if user == owner && who.user_id() == owner {
            return Err(Refusal::conflict("Its owner cannot leave a conversation. Delete it instead."));
        }
        self.owner_only(who.user_id() == owner || who.user_id() == user)?;
        if !self.store.remove_member(id, who.user_id(), user).await.or_refuse()? {
            return Err(Refusal::not_found("member"));
        }
        self.moved(id, user).await;
        Ok(())
    }

    /// Makes a link that lets people in.
    pub async fn create_invite(
        &self,
        who: &Member,
        id: &ConversationId,
        form: InviteForm,
    ) -> Result<MadeInvite, Refusal> {
        let expires_in = form.expires_in.unwrap_or(7 * DAY);
        let mut checks = Checks::default();
        let fits = (HOUR..=30 * DAY).contains(&expires_in);
        checks.require(fits, "expiresIn", "must be 3600 to 2592000 seconds, an hour to 30 days");
        checks.require(form.max_uses.is_none_or(|most| (1..=100).contains(&most)), "maxUses", "must be 1 to 100");
        checks.finish()?;
        let conversation = self.entered(who, id).await?;
        self.owner_only(conversation.owner_id == *who.user_id())?;
        let token = self.ambient.token();
        let new = NewInvite {
            id: self.ambient.id(),
            conversation: id.clone(),
            owner: who.user_id().clone(),
            token: TokenHash::of(&token),
            lives: Duration::from_secs(expires_in),
            max_uses: form.max_uses,
        };
        match self.store.create_invite(new).await.or_refuse()? {
            aim_store::MadeInvite::Made(invite) => Ok(MadeInvite { invite, token }),
            aim_store::MadeInvite::NotFound => Err(Refusal::not_found("conversation")),
            aim_store::MadeInvite::Full => Err(Refusal::conflict(format!(
                "A conversation has at most {MAX_INVITES} links that are open. Withdraw one first."
            ))),
        }
    }

    /// Links that let somebody in still, without their tokens.
    pub async fn invites(&self, who: &Member, id: &ConversationId) -> Result<Vec<Invite>, Refusal> {
        let conversation = self.entered(who, id).await?;
        self.owner_only(conversation.owner_id == *who.user_id())?;
        let invites = self.store.invites(id, who.user_id()).await.or_refuse()?;
        invites.ok_or_else(|| Refusal::not_found("conversation"))
    }

    pub async fn revoke_invite(&self, who: &Member, id: &ConversationId, invite: &InviteId) -> Result<(), Refusal> {
        let conversation = self.entered(who, id).await?;
        self.owner_only(conversation.owner_id == *who.user_id())?;
        match self.store.revoke_invite(id, who.user_id(), invite).await.or_refuse()? {
            true => Ok(()),
            false => Err(Refusal::not_found("invite")),
        }
    }

    /// What a link leads to.
    pub async fn preview_invite(&self, who: &Member, token: &str) -> Result<InvitePreview, Refusal> {
        let found = self.store.invite(&hash(token)?, who.user_id()).await.or_refuse()?.ok_or_else(run_out)?;
        let Conversation { id, title, character_id, member_ids, .. } = found.conversation;
        // Whoever may come in sees whom they would talk with, be it somebody's private character.
        let character = self.any_character(&character_id).await?;
        let character = CharacterSummary {
            name: character.as_ref().map_or_else(|| title.clone(), |character| character.name.clone()),
            avatar_url: character.and_then(|character| character.avatar_url.clone()),
            id: character_id,
        };
        Ok(InvitePreview {
            conversation: PreviewedConversation { id, title },
            character,
            invited_by: found.invited_by,
            members: member_ids.len() as u64,
            expires_at: found.expires_at,
            is_member: found.is_member,
        })
    }

    /// Comes in by a link. Who is in already stays so.
    pub async fn accept_invite(&self, who: &Member, token: &str) -> Result<ConversationItem, Refusal> {
        let id = match self.store.accept_invite(&hash(token)?, who.user_id()).await.or_refuse()? {
            Admitted::Joined(id) => {
                self.moved(&id, who.user_id()).await;
                id
            }
            Admitted::Already(id) => id,
            Admitted::Full => return Err(full()),
            Admitted::NotFound => return Err(run_out()),
        };
        self.conversation(who, &id).await
    }

    /// For rooms: a conversation as it is now, whose people are the ones who may stay.
    pub async fn room(&self, id: &ConversationId) -> Result<Option<Conversation>, Refusal> {
        self.store.room(id).await.or_refuse()
    }

    /// Tells of somebody who came or left: first the room, on whichever servers it is, so that who left hears no more. Each
    /// of them looks in the store; whom this does not reach, the change feed does.
    async fn moved(&self, id: &ConversationId, user: &UserId) {
        match self.store.room(id).await {
            Ok(Some(conversation)) => self.tell_room(id, RoomEvent::Updated { conversation }).await,
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "a room was not told of its people"),
        }
        self.take_in(Change::Conversation { id: id.clone() }).await;
        self.take_in(Change::Member { conversation: id.clone(), user: user.clone() }).await;
    }

    /// Refuses who does not decide on a message's reply; `message` is either of the two. One that is not here passes: the
    /// store says so.
    pub(crate) async fn decides_on(
        &self,
        who: &Member,
        conversation: &Conversation,
        message: &MessageId,
    ) -> Result<(), Refusal> {
        if conversation.owner_id == *who.user_id() {
            return Ok(());
        }
        let mut found = self.store.message(conversation, message).await.or_refuse()?;
        if let Some(asked) = found.as_ref().filter(|one| one.role == Author::Character).map(|one| &one.in_reply_to) {
            let Some(asked) = asked else { return Err(not_theirs()) };
            found = self.store.message(conversation, asked).await.or_refuse()?;
        }
        match found {
            Some(asked) if asked.sender_id != who.user_id().as_str() => Err(not_theirs()),
            _ => Ok(()),
        }
    }
}

fn not_theirs() -> Refusal {
    Refusal::forbidden("Only who asked, and the owner of the conversation, may decide on this reply.")
}

fn full() -> Refusal {
    Refusal::conflict(format!("This conversation has {MAX_MEMBERS} people, which is as many as there may be."))
}

fn run_out() -> Refusal {
    Refusal::new(
        aim_domain::Code::NotFound,
        "This link leads nowhere. It may have run out, been used up, or been withdrawn: ask for a new one.",
    )
}

/// A text of any length is nothing to hash.
fn hash(token: &str) -> Result<TokenHash, Refusal> {
    if token.len() > LONGEST_TOKEN { Err(run_out()) } else { Ok(TokenHash::of(token)) }
}
