//! Conversations and their history. Every read says who asks.

use crate::Platform;
use crate::faults::OrRefuse;
use aim_ai::macros::Macros;
use aim_backbone::cache::{Cached, Reach};
use aim_backbone::keys;
use aim_domain::error::Checks;
use aim_domain::{
    Character, CharacterId, Code, Conversation, ConversationId, ConversationState, Member, Message, Refusal, RoomEvent,
};
use aim_store::{
    Change, CharacterSummary, ConversationHead, ConversationItem, ConversationPage, MessagePage, MessageQuery,
    OpenConversation,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Messages on a page at the most; API.md part 3.
pub const MAX_PAGE: u32 = 100;
/// Characters of a title.
pub(crate) const MAX_TITLE: usize = 100;

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
        self.open_conversation_with(who, character, 0, false).await
    }

    /// As `open_conversation`, with the greeting of this number: 0 is the character's first, the others are its alternates.
    /// `anew` makes another one, which is the pair's from now on; the one before goes on beside it.
    pub async fn open_conversation_with(
        &self,
        who: &Member,
        character: &CharacterId,
        greeting: usize,
        anew: bool,
    ) -> Result<(ConversationItem, bool), Refusal> {
        let character = match self.character_to_talk_with(who, character).await {
            // It was made private or deleted; what there is of the pair stays.
            Err(refusal) if !anew && refusal.code == Code::NotFound => {
                let item = self.store.conversation_of_pair(who.user_id(), character).await.or_refuse()?;
                return item.map(|item| (item, false)).ok_or(refusal);
            }
            found => found?,
        };
        let Some(greeting) = character.greeting_at(greeting) else {
            return Err(Refusal::invalid("greeting", "is no greeting of this character"));
        };
        let key = keys::conversation::<CachedConversation>(who.user_id(), &character.id);
        if !anew
            && let Some(known) = self.backbone.cache.peek(&key).await
            && let Some(head) = self.store.conversation_head(&known.id, who.user_id()).await.or_refuse()?
            && head.is_main
        {
            return Ok((item(head, &character), false));
        }
        let id: ConversationId = self.ambient.id();
        let persona = self.default_persona(who).await?;
        let user = persona.as_ref().map_or(&who.display_name, |persona| &persona.name);
        let about = persona.as_ref().map_or("", |persona| &persona.description);
        let about = aim_ai::prompt::expand(about, character.called(), user);
        let macros = Macros {
            character: character.called(),
            user,
            persona: &about,
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
            anew,
        };
        let (item, is_new) = self.store.open_conversation(open).await.or_refuse()?;
        self.note_pair(who, &item).await;
        Ok((item, is_new))
    }

    /// A character with which `who` may begin a conversation.
    pub(crate) async fn character_to_talk_with(
        &self,
        who: &Member,
        id: &CharacterId,
    ) -> Result<Arc<Character>, Refusal> {
        let character = self.character(who, id).await?;
        self.takes_new_conversations(who, &character).await?;
        Ok(character)
    }

    /// Refuses where a character that `who` may see is closed to them; to whom it talks with already it is not.
    pub(crate) async fn takes_new_conversations(&self, who: &Member, character: &Character) -> Result<(), Refusal> {
        if character.is_owned_by(who.user_id())
            || self.is_listed(character).await?
            || self.store.talks_with(who.user_id(), &character.id, false).await.or_refuse()?
        {
            return Ok(());
        }
        Err(closed_to_new())
    }

    /// Of this pair it is the conversation from now on, as far as caches know.
    pub(crate) async fn note_pair(&self, who: &Member, item: &ConversationItem) {
        let key = keys::conversation::<CachedConversation>(who.user_id(), &item.conversation.character_id);
        self.backbone.cache.write(&key, CachedConversation { id: item.conversation.id.clone() }).await;
    }

    pub async fn conversation(&self, who: &Member, id: &ConversationId) -> Result<ConversationItem, Refusal> {
        let head = self.head(who, id).await?;
        if let Some(character) = self.any_character(&head.conversation.character_id).await? {
            return Ok(item(head, &character));
        }
        // One that was deleted has no sheet any more, but its conversations name it.
        let found = self.store.conversation(id, who.user_id()).await.or_refuse()?;
        found.ok_or_else(|| Refusal::not_found("conversation"))
    }

    /// A conversation that `who` is in, for those who do something with it.
    pub async fn entered(&self, who: &Member, id: &ConversationId) -> Result<Conversation, Refusal> {
        Ok(self.head(who, id).await?.conversation)
    }

    async fn head(&self, who: &Member, id: &ConversationId) -> Result<ConversationHead, Refusal> {
        let found = self.store.conversation_head(id, who.user_id()).await.or_refuse()?;
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
        checks.length("title", title.trim(), 1, MAX_TITLE);
        checks.one_line("title", title.trim());
        checks.finish()?;
        self.entered(who, id).await?;
        let done = self.store.rename_conversation(id, who.user_id(), title.trim()).await.or_refuse()?;
        self.owner_only(done)?;
        self.take_in(Change::Conversation { id: id.clone() }).await;
        let item = self.conversation(who, id).await?;
        self.tell_room(id, RoomEvent::Updated { conversation: item.conversation.clone() }).await;
        Ok(item)
    }

    pub async fn delete_conversation(&self, who: &Member, id: &ConversationId) -> Result<(), Refusal> {
        let conversation = self.entered(who, id).await?;
        self.owner_only(conversation.owner_id == *who.user_id())?;
        self.cancel(who, id).await?;
        let done = self.store.delete_conversation(id, who.user_id()).await.or_refuse()?;
        self.owner_only(done)?;
        self.forget_pair(who, &conversation).await;
        self.take_in(Change::Conversation { id: id.clone() }).await;
        for user in conversation.member_ids {
            self.take_in(Change::Member { conversation: id.clone(), user }).await;
        }
        Ok(())
    }

    /// Another conversation may be the pair's by now.
    pub(crate) async fn forget_pair(&self, who: &Member, conversation: &Conversation) {
        let pair = keys::conversation::<CachedConversation>(who.user_id(), &conversation.character_id);
        self.backbone.cache.invalidate(&pair, Reach::Everywhere).await;
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
        let conversation = self.entered(who, id).await?;
        self.room_state(&conversation.character_id, id).await
    }

    /// For rooms, whose members were checked when they joined.
    pub async fn room_state(&self, character: &CharacterId, id: &ConversationId) -> Result<ConversationState, Refusal> {
        self.backbone.turns.state(character, id).await.or_refuse()
    }

    /// For rooms: the highest `seq` stored.
    pub async fn last_seq(&self, id: &ConversationId) -> Result<u64, Refusal> {
        self.store.last_seq(id).await.or_refuse()
    }

    /// The same of many, for rooms that may have missed something; those that are gone are left out.
    pub async fn last_seqs(&self, ids: &[ConversationId]) -> Result<Vec<(ConversationId, u64)>, Refusal> {
        self.store.last_seqs(ids).await.or_refuse()
    }

    /// For rooms: messages that did not arrive.
    pub async fn missed(&self, id: &ConversationId, after: u64, limit: u32) -> Result<Vec<Message>, Refusal> {
        self.store.missed(id, after, limit).await.or_refuse()
    }

    pub(crate) fn owner_only(&self, done: bool) -> Result<(), Refusal> {
        if done { Ok(()) } else { Err(Refusal::forbidden("Only the owner of the conversation may do this.")) }
    }
}

pub(crate) fn closed_to_new() -> Refusal {
    Refusal::forbidden("This character takes no new conversations.")
}

fn item(head: ConversationHead, character: &Character) -> ConversationItem {
    let ConversationHead { conversation, last_message, unread, .. } = head;
    let Character { id, name, avatar_url, .. } = character;
    let character = CharacterSummary { id: id.clone(), name: name.clone(), avatar_url: avatar_url.clone() };
    ConversationItem { conversation, character, last_message, unread }
}
