//! What the model reads: the character's compiled prompt, the window of answered messages, the message to answer.
//!
//! Both are cached, and neither is trusted blindly: a prompt counts for its own revision alone, a window for the very
//! next claim alone.

use crate::Platform;
use aim_ai::prompt::{self, CompiledPrompt, HistoryTurn};
use aim_backbone::cache::{Cached, Reach, weight_of};
use aim_backbone::keys;
use aim_domain::{Author, Character, CharacterId, ConversationId, Refusal};
use aim_store::Claim;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Messages in the window at the most; API.md part 1.
const WINDOW: u32 = 100;

/// A compiled prompt as the cache keeps it; it knows its revision.
#[derive(Serialize, Deserialize)]
struct CachedPrompt(CompiledPrompt);

impl Cached for CachedPrompt {
    const SCHEMA: u16 = 1;
    fn version(&self) -> i64 {
        self.0.revision
    }
}

/// The answered messages of a conversation as they were after the claim with `fence` ended. They hold for the very next
/// claim alone: any other raised the fence.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Window {
    said: Vec<Said>,
    /// The highest `seq` of the messages that were answered: an older one that is answered later belongs before it.
    newest: u64,
    fence: u64,
}

/// Names are put in when it is read, since people change them.
#[derive(Clone, Serialize, Deserialize)]
struct Said {
    author: Author,
    /// Shared with the window of the next claim, and with what the model is given.
    text: Arc<str>,
    sender: Arc<str>,
}

impl Cached for Window {
    const SCHEMA: u16 = 2;
    fn version(&self) -> i64 {
        i64::try_from(self.fence).unwrap_or(i64::MAX)
    }

    fn weight(&self) -> u32 {
        weight_of(self.said.iter().map(|said| said.text.len()).sum())
    }
}

impl Platform {
    /// What the model is given, and the window that is in it.
    pub(crate) async fn prompt_turns(
        &self,
        claim: &Claim,
        character: &Arc<Character>,
    ) -> Result<(Vec<aim_ai::Turn>, Arc<Window>), Refusal> {
        let compiled = self.compiled(character).await;
        let window = self.window(claim).await?;
        let asker: Arc<str> = claim.sender_name.as_str().into();
        let mut history = Vec::with_capacity(window.said.len() + 1);
        for said in &window.said {
            let speaker = match said.author {
                Author::Character => None,
                Author::User => Some(self.speaker(claim, &asker, &said.sender).await),
            };
            history.push(HistoryTurn { author: said.author, text: said.text.clone(), speaker });
        }
        let (text, speaker) = (claim.message.text.as_str().into(), Some(asker));
        history.push(HistoryTurn { author: Author::User, text, speaker });
        Ok((prompt::assemble(&compiled.0, &claim.sender_name, &history, &self.model.budget()), window))
    }

    async fn compiled(&self, character: &Arc<Character>) -> Arc<CachedPrompt> {
        let key = keys::character_prompt::<CachedPrompt>(&character.id);
        let compile = async { Ok::<_, std::convert::Infallible>(Some(CachedPrompt(prompt::compile(character)))) };
        let Ok(found) = self.backbone.cache.get_or_load(&key, compile).await;
        match found {
            Some(found) if found.0.revision == character.revision => found,
            // Somebody compiled another revision at the time of the change.
            _ => {
                self.backbone.cache.write(&key, CachedPrompt(prompt::compile(character))).await;
                Arc::new(CachedPrompt(prompt::compile(character)))
            }
        }
    }

    async fn window(&self, claim: &Claim) -> Result<Arc<Window>, Refusal> {
        let key = keys::context::<Window>(&claim.conversation);
        // The reply before this one may have been given by another server.
        if let Some(cached) = self.backbone.cache.peek_if(&key, |window| window.fence + 1 == claim.fence).await {
            return Ok(cached);
        }
        let messages = self.store.context(claim, WINDOW).await.map_err(|error| {
            tracing::error!(%error, "the context could not be read");
            Refusal::unavailable("The database does not answer. Try again in a moment.")
        })?;
        let asked = messages.iter().filter(|(_, message)| message.in_reply_to.is_none());
        let newest = asked.map(|(_, message)| message.seq).max().unwrap_or_default();
        let said = messages.into_iter().map(|(author, message)| Said {
            author,
            text: message.text.into(),
            sender: message.sender_id.into(),
        });
        Ok(Arc::new(Window { said: said.collect(), newest, fence: claim.fence.saturating_sub(1) }))
    }

    async fn speaker(&self, claim: &Claim, asker: &Arc<str>, sender: &str) -> Arc<str> {
        if sender == claim.message.sender_id {
            return asker.clone();
        }
        match sender.parse() {
            Ok(id) => {
                self.profile(&id).await.map_or_else(|_| "Somebody".into(), |found| found.display_name.as_str().into())
            }
            Err(_) => "Somebody".into(),
        }
    }

    /// Keeps the window for the next claim, with this exchange. Call it once the reply is stored.
    pub(crate) async fn keep_window(&self, claim: &Claim, before: Arc<Window>, reply: &str) {
        if claim.message.seq < before.newest {
            // A message that was asked again: its exchange belongs further up.
            return;
        }
        let mut window = Arc::unwrap_or_clone(before);
        let (text, sender) = (claim.message.text.as_str().into(), claim.message.sender_id.as_str().into());
        window.said.push(Said { author: Author::User, text, sender });
        let sender = claim.character.as_str().into();
        window.said.push(Said { author: Author::Character, text: reply.into(), sender });
        let excess = window.said.len().saturating_sub(WINDOW as usize);
        window.said.drain(..excess);
        (window.newest, window.fence) = (claim.message.seq, claim.fence);
        self.backbone.cache.write(&keys::context::<Window>(&claim.conversation), window).await;
    }

    /// A changed character's compiled prompt is stale.
    pub(crate) async fn forget_prompt(&self, id: &CharacterId, reach: Reach) {
        self.backbone.cache.invalidate(&keys::character_prompt::<CachedPrompt>(id), reach).await;
    }

    /// What was said in a conversation that is gone is kept nowhere.
    pub(crate) async fn forget_window(&self, id: &ConversationId, reach: Reach) {
        self.backbone.cache.invalidate(&keys::context::<Window>(id), reach).await;
    }
}
