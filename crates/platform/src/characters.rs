//! Characters: making, reading, changing and listing them.

use crate::Platform;
use crate::faults::OrRefuse;
use aim_backbone::cache::{Cached, weight_of};
use aim_backbone::keys;
use aim_domain::{Character, CharacterDraft, CharacterId, CharacterPatch, Member, Refusal, UserId};
use aim_store::{Change, CharacterPage, CharacterQuery, SaveCharacter, StoreError};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A character as the cache keeps it.
#[derive(Serialize, Deserialize)]
pub(crate) struct CachedCharacter(pub Arc<Character>);

impl Cached for CachedCharacter {
    const SCHEMA: u16 = 3;
    fn version(&self) -> i64 {
        self.0.revision
    }

    fn weight(&self) -> u32 {
        let Character { description, example_dialogue, details, .. } = &*self.0;
        let book = details.lorebook.iter().flat_map(|book| &book.entries).map(|entry| 256 + entry.content.len());
        let greetings = details.alternate_greetings.iter().map(String::len);
        let texts = [description.len(), example_dialogue.len(), details.creator_notes.len()];
        weight_of(book.chain(greetings).chain(texts).sum())
    }
}

impl Platform {
    pub async fn create_character(&self, who: &Member, draft: CharacterDraft) -> Result<Character, Refusal> {
        self.save_new_character(Some(who.user_id().clone()), draft).await
    }

    /// For the command line and the demo: a character without an owner where `owner` is none.
    pub async fn save_new_character(&self, owner: Option<UserId>, draft: CharacterDraft) -> Result<Character, Refusal> {
        self.save_character(owner, draft, None).await
    }

    /// `card`: the card it came from.
    pub(crate) async fn save_character(
        &self,
        owner: Option<UserId>,
        draft: CharacterDraft,
        card: Option<String>,
    ) -> Result<Character, Refusal> {
        let draft = draft.checked()?;
        let id = draft.id.clone().unwrap_or_else(|| self.ambient.id());
        let now = self.ambient.now();
        let character = draft.into_character(id, owner, now);
        let saved = match card {
            Some(card) => self.store.import_character(character, card).await,
            None => self.store.create_character(character).await,
        };
        match saved.or_refuse()? {
            SaveCharacter::Saved(character) => {
                self.take_in(Change::Character { id: character.id.clone() }).await;
                Ok(*character)
            }
            SaveCharacter::IdTaken => Err(Refusal::conflict("A character has this id already.")),
            SaveCharacter::Stale | SaveCharacter::NotFound => Err(Refusal::internal()),
        }
    }

    /// A character that `who` may see.
    pub async fn character(&self, who: &Member, id: &CharacterId) -> Result<Arc<Character>, Refusal> {
        let missing = || Refusal::not_found("character");
        let character = self.any_character(id).await?.ok_or_else(missing)?;
        if character.is_owned_by(who.user_id()) {
            return Ok(character);
        }
        if !character.is_visible_to(who.user_id()) {
            return Err(missing());
        }
        // Whoever talks with it already goes on, and operators look at what they took out of the lists.
        if !self.is_listed(&character).await?
            && !who.is_admin()
            && !self.store.talks_with(who.user_id(), id, true).await.or_refuse()?
        {
            return Err(missing());
        }
        Ok(match (character.listing.unlisted, who.is_admin()) {
            (true, false) => {
                let listing = character.listing.without_reason();
                Arc::new(Character { listing, ..(*character).clone() })
            }
            _ => character,
        })
    }

    /// Whether operators, and its owner, leave a public character to everyone.
    pub(crate) async fn is_listed(&self, character: &Character) -> Result<bool, Refusal> {
        Ok(match &character.owner_id {
            _ if character.listing.unlisted => false,
            Some(owner) => !self.is_away(owner).await?,
            None => true,
        })
    }

    /// Whoever asks: for replies, whose conversation was entered through its own gate.
    pub(crate) async fn any_character(&self, id: &CharacterId) -> Result<Option<Arc<Character>>, Refusal> {
        let load = async {
            Ok::<_, StoreError>(self.store.character(id).await?.map(|found| CachedCharacter(Arc::new(found))))
        };
        let found = self.backbone.cache.get_or_load(&keys::character::<CachedCharacter>(id), load).await.or_refuse()?;
        Ok(found.map(|found| found.0.clone()))
    }

    pub async fn update_character(
        &self,
        who: &Member,
        id: &CharacterId,
        patch: CharacterPatch,
    ) -> Result<Character, Refusal> {
        let stored = self.owned_character(who, id).await?;
        let mut draft = CharacterDraft::from(&stored);
        patch.apply(&mut draft);
        let draft = draft.checked()?;
        let changed = draft.into_character(stored.id, stored.owner_id, self.ambient.now());
        let character = Character { revision: stored.revision + 1, created_at: stored.created_at, ..changed };
        match self.store.update_character(character).await.or_refuse()? {
            SaveCharacter::Saved(character) => {
                self.take_in(Change::Character { id: id.clone() }).await;
                Ok(*character)
            }
            SaveCharacter::Stale => Err(Refusal::conflict("Somebody changed this character just now. Load it again.")),
            SaveCharacter::IdTaken | SaveCharacter::NotFound => Err(Refusal::not_found("character")),
        }
    }

    pub async fn delete_character(&self, who: &Member, id: &CharacterId) -> Result<(), Refusal> {
        self.owned_character(who, id).await?;
        if !self.store.delete_character(id).await.or_refuse()? {
            return Err(Refusal::not_found("character"));
        }
        self.take_in(Change::Character { id: id.clone() }).await;
        Ok(())
    }

    /// What is public and what is `who`'s own.
    pub async fn characters(&self, who: &Member, mut query: CharacterQuery) -> Result<CharacterPage, Refusal> {
        query.viewer = who.user_id().clone();
        query.limit = query.limit.clamp(1, 100);
        self.store.characters(query).await.or_refuse()
    }

    /// From the store itself, so that a change is made to what is there now. What is another person's is not found.
    pub(crate) async fn owned_character(&self, who: &Member, id: &CharacterId) -> Result<Character, Refusal> {
        match self.store.character(id).await.or_refuse()? {
            Some(character) if character.is_owned_by(who.user_id()) => Ok(character),
            Some(character) if who.is_admin() && character.owner_id.is_none() => Ok(character),
            _ => Err(Refusal::not_found("character")),
        }
    }
}
