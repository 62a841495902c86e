//! Around a claim: what the model reads, and how a claim ends in the store and in the room.

use crate::Platform;
use crate::faults::hint;
use aim_ai::prompt::{self, CompiledPrompt, HistoryTurn};
use aim_ai::{TokenCount, personality};
use aim_backbone::cache::Cached;
use aim_backbone::keys;
use aim_domain::{Author, Character, MessageId, Personality, Refusal, ReplyState, RoomEvent};
use aim_store::{Claim, CommitReply, Committed, EndReply, Ended, NewReply, StoreError, TokenUse};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Messages in the window at the most; API.md part 1.
const WINDOW: u32 = 100;
/// How often a commit is tried while the store does not answer.
const COMMIT_TRIES: u32 = 5;

/// A compiled prompt as the cache keeps it.
#[derive(Serialize, Deserialize)]
struct CachedPrompt {
    prompt: CompiledPrompt,
    revision: i64,
}

impl Cached for CachedPrompt {
    const SCHEMA: u16 = 1;
    fn version(&self) -> i64 {
        self.revision
    }
}

/// The window of a conversation as it was after the claim with `fence` ended. It holds for the very next claim alone:
/// any other claim raised the fence, and so made it stale.
#[derive(Clone, Serialize, Deserialize)]
struct CachedWindow {
    turns: Vec<HistoryTurn>,
    fence: u64,
}

impl Cached for CachedWindow {
    const SCHEMA: u16 = 1;
    fn version(&self) -> i64 {
        i64::try_from(self.fence).unwrap_or(i64::MAX)
    }
}

#[derive(Serialize, Deserialize)]
struct CachedPersonality(Personality);

impl Cached for CachedPersonality {
    const SCHEMA: u16 = 1;
    fn version(&self) -> i64 {
        0
    }
}

/// A reply that is ready to be stored.
pub(crate) struct Finished {
    pub reply: MessageId,
    pub text: String,
    pub personality: Option<Personality>,
    pub tokens: TokenUse,
}

pub(crate) enum ClaimEnd {
    Stored,
    /// Another holds the conversation by now: nothing was stored, nothing is told.
    Stale,
}

impl Platform {
    /// What the model is given: the compiled prompt, the window, the claimed message.
    pub(crate) async fn prompt_turns(
        &self,
        claim: &Claim,
        character: &Arc<Character>,
    ) -> Result<Vec<aim_ai::Turn>, Refusal> {
        let compile = async {
            let (prompt, revision) = (prompt::compile(character), character.revision);
            Ok::<_, Refusal>(Some(CachedPrompt { prompt, revision }))
        };
        let key = keys::character_prompt::<CachedPrompt>(&character.id);
        let compiled = self.backbone.cache.get_or_load(&key, compile).await?;
        let compiled = compiled.ok_or_else(Refusal::internal)?;
        let mut history = self.window(claim).await?;
        history.push(asked(claim));
        Ok(prompt::assemble(&compiled.prompt, &claim.sender_name, &history, &self.model.budget()))
    }

    async fn window(&self, claim: &Claim) -> Result<Vec<HistoryTurn>, Refusal> {
        let key = keys::context::<CachedWindow>(&claim.conversation);
        if let Some(cached) = self.backbone.cache.peek(&key).await
            && cached.fence + 1 == claim.fence
        {
            return Ok(cached.turns.clone());
        }
        let messages = self.store.context(claim, WINDOW).await.map_err(|error| {
            tracing::error!(%error, "the context could not be read");
            Refusal::unavailable("The database does not answer. Try again in a moment.")
        })?;
        let mut turns = Vec::with_capacity(messages.len() + 2);
        for (author, message) in messages {
            let speaker = match author {
                Author::Character => None,
                Author::User => Some(self.speaker(claim, &message.sender_id).await),
            };
            turns.push(HistoryTurn { author, text: message.text, speaker });
        }
        Ok(turns)
    }

    async fn speaker(&self, claim: &Claim, sender: &str) -> String {
        if sender == claim.message.sender_id {
            return claim.sender_name.clone();
        }
        match sender.parse() {
            Ok(id) => {
                self.profile(&id).await.map_or_else(|_| "Somebody".to_owned(), |found| found.display_name.clone())
            }
            Err(_) => "Somebody".to_owned(),
        }
    }

    /// Keeps the window for the next claim, with this exchange where it was answered.
    async fn keep_window(&self, claim: &Claim, reply: Option<&str>) {
        let key = keys::context::<CachedWindow>(&claim.conversation);
        let Ok(mut turns) = self.window(claim).await else { return };
        if let Some(text) = reply {
            turns.push(asked(claim));
            turns.push(HistoryTurn { author: Author::Character, text: text.to_owned(), speaker: None });
            let excess = turns.len().saturating_sub(WINDOW as usize);
            turns.drain(..excess);
        }
        self.backbone.cache.write(&key, CachedWindow { turns, fence: claim.fence }).await;
    }

    pub(crate) async fn personality(&self, character: &Arc<Character>, raw: String) -> Option<Personality> {
        let hash = personality::reply_hash(character.revision, &raw);
        let key = keys::personality::<CachedPersonality>(&character.id, &hash);
        let analyse =
            async { Ok::<_, std::convert::Infallible>(Some(CachedPersonality(personality::analyse(character, &raw)))) };
        match self.backbone.cache.get_or_load(&key, analyse).await {
            Ok(found) => found.map(|found| found.0.clone()),
            Err(never) => match never {},
        }
    }

    pub(crate) fn token_use(&self, claim: &Claim, count: TokenCount) -> TokenUse {
        let model = self.model.name().to_string();
        metrics::counter!("aim_tokens_total", "kind" => "prompt").increment(count.prompt);
        metrics::counter!("aim_tokens_total", "kind" => "completion").increment(count.completion);
        self.tokens.add(&self.ambient.now().day(), count.total());
        TokenUse {
            user: aim_domain::UserId::trusted(claim.message.sender_id.as_str()),
            character: claim.character.clone(),
            model,
            prompt: count.prompt,
            completion: count.completion,
        }
    }

    /// Stores the reply and tells the room: the reply, its question's new state, the end of the typing.
    pub(crate) async fn commit(&self, claim: &Claim, end: Finished) -> Result<ClaimEnd, String> {
        // Before the commit: after it the next claim may look for the window at once.
        let text = end.text.clone();
        let commit = CommitReply {
            conversation: claim.conversation.clone(),
            fence: claim.fence,
            message: claim.message.id.clone(),
            reply: NewReply { id: end.reply, text: end.text, personality: end.personality },
            tokens: Some(end.tokens),
        };
        self.keep_window(claim, Some(&text)).await;
        let outcome = self.insist(|| self.store.commit_reply(commit.clone())).await;
        self.still(claim).await;
        match outcome.map_err(|error| error.to_string())? {
            Committed::Committed { asked, reply } => {
                metrics::counter!("aim_replies_total", "outcome" => "done").increment(1);
                self.tell_room(&claim.conversation, RoomEvent::MessageNew { message: *reply }).await;
                self.tell_room(&claim.conversation, RoomEvent::MessageUpdated { message: *asked }).await;
                self.tell_typing(claim, false).await;
                Ok(ClaimEnd::Stored)
            }
            Committed::Stale => {
                self.backbone.cache.invalidate(&keys::context::<CachedWindow>(&claim.conversation)).await;
                metrics::counter!("aim_replies_total", "outcome" => "stale").increment(1);
                Ok(ClaimEnd::Stale)
            }
        }
    }

    pub(crate) async fn end_cancelled(
        &self,
        claim: &Claim,
        reply: &MessageId,
        tokens: TokenUse,
    ) -> Result<&'static str, String> {
        self.end(claim, reply, ReplyState::Cancelled, Some(tokens), None).await?;
        Ok("cancelled")
    }

    pub(crate) async fn end_failed(
        &self,
        claim: &Claim,
        reply: &MessageId,
        refusal: Refusal,
        tokens: Option<TokenUse>,
    ) -> Result<&'static str, String> {
        let detail = refusal.detail.clone();
        self.end(claim, reply, ReplyState::Failed, tokens, Some(refusal)).await?;
        Err(detail)
    }

    async fn end(
        &self,
        claim: &Claim,
        reply: &MessageId,
        state: ReplyState,
        tokens: Option<TokenUse>,
        refusal: Option<Refusal>,
    ) -> Result<(), String> {
        let (conversation, message) = (claim.conversation.clone(), claim.message.id.clone());
        let end = EndReply { conversation, fence: claim.fence, message, state, tokens };
        let outcome = self.insist(|| self.store.end_reply(end.clone())).await;
        self.still(claim).await;
        let Ended::Ended(message) = outcome.map_err(|error| error.to_string())? else { return Ok(()) };
        metrics::counter!("aim_replies_total", "outcome" => state.as_str()).increment(1);
        if let Some(refusal) = refusal {
            let event = RoomEvent::ReplyError {
                conversation_id: claim.conversation.clone(),
                message_id: reply.clone(),
                in_reply_to: claim.message.id.clone(),
                error: (&refusal).into(),
            };
            self.tell_room(&claim.conversation, event).await;
        }
        self.tell_room(&claim.conversation, RoomEvent::MessageUpdated { message: *message }).await;
        self.tell_typing(claim, false).await;
        Ok(())
    }

    /// A reply that was paid for is not thrown away because the store was busy for a moment.
    async fn insist<T, F>(&self, command: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut wait = Duration::from_millis(100);
        for _ in 1..COMMIT_TRIES {
            match command().await {
                Err(StoreError::Unavailable(detail)) => {
                    tracing::warn!(detail, "the store did not take a reply: trying again")
                }
                answer => return answer,
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        command().await
    }

    /// Nothing of the reply under way is kept for those who join.
    pub(crate) async fn still(&self, claim: &Claim) {
        hint("end a reply", self.backbone.bus.end_reply(&claim.conversation).await);
    }

    pub(crate) async fn tell_typing(&self, claim: &Claim, typing: bool) {
        let event = RoomEvent::Typing {
            conversation_id: claim.conversation.clone(),
            user_id: None,
            character_id: Some(claim.character.clone()),
            typing,
        };
        self.tell_room(&claim.conversation, event).await;
    }
}

fn asked(claim: &Claim) -> HistoryTurn {
    HistoryTurn { author: Author::User, text: claim.message.text.clone(), speaker: Some(claim.sender_name.clone()) }
}

impl Platform {
    /// A changed character's compiled prompt is stale.
    pub(crate) async fn forget_prompt(&self, id: &aim_domain::CharacterId) {
        self.backbone.cache.invalidate(&keys::character_prompt::<CachedPrompt>(id)).await;
    }
}
