//! Conversations and their history. Every read says who asks.

use crate::Platform;
use crate::faults::OrRefuse;
use aim_ai::macros::Macros;
use aim_backbone::cache::{Cached, Reach};
use aim_backbone::keys;
use aim_domain::error::Checks;
use aim_domain::{CharacterId, ConversationId, ConversationState, Member, Message, Refusal, UserId};
use aim_store::{Change, ConversationItem, ConversationPage, MessagePage, MessageQuery, OpenConversation};
use serde::{Deserialize, Serialize};

/// Messages on a page at the most; API.md part 3.
pub const MAX_PAGE: u32 = 100;

/// Which conversation a pair has, as the cache keeps it: one that is there is read, and not written to be found. Whoever
/// follows it looks, so it does no harm when it is gone.
#[derive(Serialize, Deserialize)]
struct CachedConversation {
    id: ConversationId,
}

impl Cached for CachedConversation {
    const SCHEMA: u16 = 1;
    fn version(&self) -> i64 {
        0
    }
}

impl Platform {
    /// The conversation of this pair; true when it is new, and then begins with the character's greeting.
    pub async fn open_conversation(
        &self,
        who: &Member,
        character: &CharacterId,
    ) -> Result<(ConversationItem, bool), Refusal> {
        self.open_conversation_with(who, character, 0).await
    }

    /// As `open_conversation`, with the greeting of this number: 0 is the character's first, the others are its alternates.
    pub async fn open_conversation_with(
        &self,
        who: &Member,
        character: &CharacterId,
        greeting: usize,
    ) -> Result<(ConversationItem, bool), Refusal> {
        let character = self.character(who, character).await?;
        if !character.is_owned_by(who.user_id())
            && !self.is_listed(&character).await?
            && !self.store.talks_with(who.user_id(), &character.id, false).await.or_refuse()?
        {
            return Err(Refusal::forbidden("This character takes no new conversations."));
        }
        let Some(greeting) = character.greeting_at(greeting) else {
            return Err(Refusal::invalid("greeting", "is no greeting of this character"));
        };
        let key = keys::conversation::<CachedConversation>(who.user_id(), &character.id);
        if let Some(known) = self.backbone.cache.peek(&key).await
            && let Some(item) = self.store.conversation(&known.id, who.user_id()).await.or_refuse()?
        {
            return Ok((item, false));
        }
        let id: ConversationId = self.ambient.id();
        let macros = Macros {
            character: character.called(),
            user: &who.display_name,
            random: &*self.ambient.random,
            picks: id.as_str(),
        };
        let greeting = Some(macros.expand(greeting).trim().to_owned()).filter(|text| !text.is_empty());
        let open = OpenConversation {
            id,
            owner: who.user_id().clone(),
            character: character.id.clone(),
            title: character.name.clone(),
            greeting: greeting.map(|text| (self.ambient.id(), text)),
        };
        let (item, is_new) = self.store.open_conversation(open).await.or_refuse()?;
        self.backbone.cache.write(&key, CachedConversation { id: item.conversation.id.clone() }).await;
        Ok((item, is_new))
    }

    pub async fn conversation(&self, who: &Member, id: &ConversationId) -> Result<ConversationItem, Refusal> {
        let found = self.store.conversation(id, who.user_id()).await.or_refuse()?;
        found.ok_or_else(|| Refusal::not_found("conversation"))
    }

    pub async fn conversations(
        &self,
        who: &Member,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<ConversationPage, Refusal> {
        self.store.conversations(who.user_id(), cursor, limit.clamp(1, MAX_PAGE)).await.or_refuse()
    }

    pub async fn rename_conversation(
        &self,
        who: &Member,
        id: &ConversationId,
        title: &str,
    ) -> Result<ConversationItem, Refusal> {
        let mut checks = Checks::default();
        checks.length("title", title.trim(), 1, 100);
        checks.finish()?;
        self.conversation(who, id).await?;
        let done = self.store.rename_conversation(id, who.user_id(), title.trim()).await.or_refuse()?;
        self.owner_only(done)?;
        self.take_in(Change::Conversation { id: id.clone() }).await;
        self.conversation(who, id).await
    }

    pub async fn delete_conversation(&self, who: &Member, id: &ConversationId) -> Result<(), Refusal> {
        let item = self.conversation(who, id).await?;
        self.owner_only(item.conversation.owner_id == *who.user_id())?;
        self.cancel(who, id).await?;
        let done = self.store.delete_conversation(id, who.user_id()).await.or_refuse()?;
        self.owner_only(done)?;
        let pair = keys::conversation::<CachedConversation>(who.user_id(), &item.conversation.character_id);
        self.backbone.cache.invalidate(&pair, Reach::Everywhere).await;
        self.take_in(Change::Conversation { id: id.clone() }).await;
        Ok(())
    }

    pub async fn add_member(
        &self,
        who: &Member,
        id: &ConversationId,
        user: &UserId,
    ) -> Result<ConversationItem, Refusal> {
        let item = self.conversation(who, id).await?;
        self.owner_only(item.conversation.owner_id == *who.user_id())?;
        if !self.store.add_member(id, who.user_id(), user).await.or_refuse()? {
            return Err(Refusal::not_found("user"));
        }
        self.take_in(Change::Conversation { id: id.clone() }).await;
        self.conversation(who, id).await
    }

    /// By the owner, or by a member who leaves.
    pub async fn remove_member(&self, who: &Member, id: &ConversationId, user: &UserId) -> Result<(), Refusal> {
        self.conversation(who, id).await?;
        if !self.store.remove_member(id, who.user_id(), user).await.or_refuse()? {
            return Err(Refusal::not_found("member"));
        }
        self.take_in(Change::Conversation { id: id.clone() }).await;
        Ok(())
    }

    pub async fn messages(
        &self,
        who: &Member,
        id: &ConversationId,
        mut query: MessageQuery,
    ) -> Result<MessagePage, Refusal> {
        query.limit = query.limit.clamp(1, 200);
        self.looked(who.user_id());
        let page = self.store.messages(id, who.user_id(), query).await.or_refuse()?;
        page.ok_or_else(|| Refusal::not_found("conversation"))
    }

    pub async fn conversation_state(&self, who: &Member, id: &ConversationId) -> Result<ConversationState, Refusal> {
        let item = self.conversation(who, id).await?;
        self.room_state(&item.conversation.character_id, id).await
    }

    /// For rooms, whose members were checked when they joined.
    pub async fn room_state(&self, character: &CharacterId, id: &ConversationId) -> Result<ConversationState, Refusal> {
        self.backbone.turns.state(character, id).await.or_refuse()
    }

    /// For rooms: the highest `seq` stored.
    pub async fn last_seq(&self, id: &ConversationId) -> Result<u64, Refusal> {
        self.store.last_seq(id).await.or_refuse()
    }

    /// For rooms: messages that did not arrive.
    pub async fn missed(&self, id: &ConversationId, after: u64, limit: u32) -> Result<Vec<Message>, Refusal> {
        self.store.missed(id, after, limit).await.or_refuse()
    }

    fn owner_only(&self, done: bool) -> Result<(), Refusal> {
        if done { Ok(()) } else { Err(Refusal::forbidden("Only the owner of the conversation may do this.")) }
    }
}
