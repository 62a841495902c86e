//! How a claim ends, in the store and in the room.

use crate::Platform;
use crate::faults::hint;
use crate::window::Window;
use aim_ai::{TokenCount, personality};
use aim_backbone::cache::{Cached, Key};
use aim_backbone::keys;
use aim_domain::{
    Character, ConversationId, Incarnation, Message, MessageId, Partial, Personality, Refusal, ReplyState, RoomEvent,
};
use aim_store::{Claim, CommitReply, Committed, EndReply, Ended, NewReply, StoreError, TokenUse};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// How often a commit is tried while the store does not answer.
const COMMIT_TRIES: u32 = 5;
/// The longest wait between two tries to give a claim back.
const GIVE_BACK_PACE: Duration = Duration::from_secs(5);
/// Messages among which a reply is looked for that may have been stored; others came while it was said.
const LOOKED_AT: u32 = 500;

#[derive(Serialize, Deserialize)]
pub(crate) struct CachedPersonality(Personality);

impl Cached for CachedPersonality {
    const SCHEMA: u16 = 1;
    fn version(&self) -> i64 {
        0
    }
}

/// What the analysis says of a reply, and where it is to be kept unless it was found there.
pub(crate) struct Analysed {
    pub personality: Personality,
    unkept: Option<Key<CachedPersonality>>,
}

/// A reply that is ready to be stored.
pub(crate) struct Finished {
    pub reply: MessageId,
    pub text: String,
    pub personality: Option<Personality>,
    pub tokens: TokenUse,
    /// What the model read before the message.
    pub window: Arc<Window>,
}

pub(crate) enum ClaimEnd {
    Stored,
    /// Another holds the conversation by now: nothing was stored, nothing is told.
    Stale,
}

impl Platform {
    /// What a reply tells of the character's mood. The same words of the same revision tell the same, whoever hears them,
    /// so what was said here before is not analysed again; what is new is kept with [`Self::keep_analysed`]. Redis is not
    /// asked: an analysis takes less time than that, and the commit waits for it.
    pub(crate) fn analysed(&self, character: &Character, raw: &str) -> Analysed {
        let key = keys::personality(&character.id, &personality::reply_hash(character.revision, raw));
        match self.backbone.cache.near::<CachedPersonality>(&key) {
            Some(found) => Analysed { personality: found.0.clone(), unkept: None },
            None => Analysed { personality: personality::analyse(character, raw), unkept: Some(key) },
        }
    }

    pub(crate) async fn keep_analysed(&self, Analysed { personality, unkept }: Analysed) {
        if let Some(key) = unkept {
            self.backbone.cache.write(&key, CachedPersonality(personality)).await;
        }
    }

    pub(crate) fn token_use(&self, claim: &Claim, count: TokenCount) -> TokenUse {
        self.token_use_of(self.model.name().to_string(), claim, count)
    }

    /// `model`: whose tokens they are, `PROVIDER/MODEL`.
    pub(crate) fn token_use_of(&self, model: String, claim: &Claim, count: TokenCount) -> TokenUse {
        metrics::counter!("aim_tokens_total", "kind" => "prompt", "model" => model.clone()).increment(count.prompt);
        metrics::counter!("aim_tokens_total", "kind" => "completion", "model" => model.clone())
            .increment(count.completion);
        metrics::counter!("aim_model_uses_total", "model" => model.clone()).increment(1);
        self.tokens.add(&self.ambient.now().day(), count.total());
        TokenUse {
            user: aim_domain::UserId::trusted(claim.message.sender_id.as_str()),
            character: claim.character.clone(),
            model,
            prompt: count.prompt,
            completion: count.completion,
        }
    }

    /// Stores the reply and tells the room: the reply, its question's new state, the end of the typing. After an error
    /// the claim may still be held.
    pub(crate) async fn commit(&self, claim: &Claim, end: Finished) -> Result<ClaimEnd, StoreError> {
        let Finished { reply, text, personality, tokens, window } = end;
        // What was streamed as the reply that is there is stored in it; the commit is known by an id of its own.
        let id = if claim.redo.is_some() { self.ambient.id() } else { reply.clone() };
        let commit = CommitReply {
            conversation: claim.conversation.clone(),
            fence: claim.fence,
            message: claim.message.id.clone(),
            reply: NewReply { id, text, personality },
            tokens: Some(tokens),
        };
        // Before the commit: somebody who joins never finds the same reply stored and under way.
        self.still(claim, &reply).await;
        let (outcome, tries) = self.insist(|| self.store.commit_reply(commit.clone())).await;
        let stored = match outcome? {
            Committed::Committed { asked, reply } => Some((*asked, *reply)),
            // The answer to an earlier try may have been lost, not the commit.
            Committed::Stale if tries > 1 => self.stored_before(claim, &commit.reply.id).await,
            Committed::Stale => None,
        };
        self.tokens.stored.notify_one();
        let Some((asked, reply)) = stored else {
            metrics::counter!("aim_replies_total", "outcome" => "stale").increment(1);
            return Ok(ClaimEnd::Stale);
        };
        metrics::counter!("aim_replies_total", "outcome" => "done").increment(1);
        self.keep_window(claim, window, &reply.text).await;
        if claim.redo.is_none() {
            self.notice_reply(aim_domain::UserId::trusted(claim.message.sender_id.as_str()), &reply);
            self.tell_room(&claim.conversation, RoomEvent::MessageNew { message: reply.clone() }).await;
        } else {
            self.tell_room(&claim.conversation, RoomEvent::MessageUpdated { message: reply.clone() }).await;
        }
        self.tell_room(&claim.conversation, RoomEvent::MessageUpdated { message: asked }).await;
        self.tell_typing(claim, false).await;
        let platform = self.clone();
        self.tasks.spawn(async move { platform.tell_said(reply).await });
        Ok(ClaimEnd::Stored)
    }

    /// The message and its reply, if the reply is stored.
    async fn stored_before(&self, claim: &Claim, reply: &MessageId) -> Option<(Message, Message)> {
        let later = self.store.missed(&claim.conversation, claim.last_seq, LOOKED_AT).await.ok()?;
        let reply = later.into_iter().find(|message| message.id == *reply)?;
        Some((self.as_stored(claim).await?, reply))
    }

    /// The claimed message as it is now.
    async fn as_stored(&self, claim: &Claim) -> Option<Message> {
        let seq = claim.message.seq;
        let found = self.store.missed(&claim.conversation, seq.saturating_sub(1), 1).await.ok()?;
        found.into_iter().find(|message| message.seq == seq)
    }

    pub(crate) async fn end_cancelled(
        &self,
        claim: &Claim,
        reply: &MessageId,
        tokens: TokenUse,
    ) -> Result<(), StoreError> {
        self.end(claim, reply, ReplyState::Cancelled, Some(tokens), None).await
    }

    pub(crate) async fn end_failed(
        &self,
        claim: &Claim,
        reply: &MessageId,
        refusal: &Refusal,
        tokens: Option<TokenUse>,
    ) -> Result<(), StoreError> {
        let error = RoomEvent::ReplyError {
            conversation_id: claim.conversation.clone(),
            message_id: reply.clone(),
            in_reply_to: claim.message.id.clone(),
            error: refusal.into(),
        };
        self.end(claim, reply, ReplyState::Failed, tokens, Some(error)).await
    }

    async fn end(
        &self,
        claim: &Claim,
        reply: &MessageId,
        state: ReplyState,
        tokens: Option<TokenUse>,
        error: Option<RoomEvent>,
    ) -> Result<(), StoreError> {
        let (conversation, message) = (claim.conversation.clone(), claim.message.id.clone());
        let end = EndReply { conversation, fence: claim.fence, message, state, tokens };
        self.still(claim, reply).await;
        let (outcome, tries) = self.insist(|| self.store.end_reply(end.clone())).await;
        let ended = match outcome? {
            Ended::Ended(message) => Some(*message),
            Ended::Stale if tries > 1 => {
                let state = if claim.redo.is_some() { ReplyState::Done } else { state };
                self.as_stored(claim).await.filter(|now| now.reply_state == Some(state))
            }
            Ended::Stale => None,
        };
        self.tokens.stored.notify_one();
        let Some(message) = ended else { return Ok(()) };
        metrics::counter!("aim_replies_total", "outcome" => state.as_str()).increment(1);
        if let Some(error) = error {
            self.tell_room(&claim.conversation, error).await;
        }
        self.tell_room(&claim.conversation, RoomEvent::MessageUpdated { message }).await;
        self.tell_typing(claim, false).await;
        Ok(())
    }

    /// Gives back a claim that nobody works for any more: its reply was dropped, or the store took neither reply nor end.
    /// Kept, it would shut its conversation for as long as this process lives. Ends when it is done or `holder` is over.
    pub(crate) async fn give_back(&self, claim: Claim, reply: MessageId, holder: Incarnation) {
        let (conversation, message) = (claim.conversation.clone(), claim.message.id.clone());
        let end = EndReply { conversation, fence: claim.fence, message, state: ReplyState::Due, tokens: None };
        let mut wait = Duration::from_millis(100);
        self.still(&claim, &reply).await;
        while self.lease.is(&holder) {
            match self.store.end_reply(end.clone()).await {
                Ok(Ended::Ended(message)) => {
                    // It was told to stop, and is cancelled rather than due.
                    if message.reply_state != Some(ReplyState::Due) {
                        self.tell_room(&claim.conversation, RoomEvent::MessageUpdated { message: *message }).await;
                    }
                    self.tell_typing(&claim, false).await;
                    return;
                }
                Ok(Ended::Stale) => return,
                Err(error) => tracing::warn!(%error, "a claim could not be given back: trying again"),
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(GIVE_BACK_PACE);
        }
    }

    /// A reply that was paid for is not thrown away because the store was busy for a moment. Answers how many tries it took.
    async fn insist<T, F>(&self, command: impl Fn() -> F) -> (Result<T, StoreError>, u32)
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut wait = Duration::from_millis(100);
        for tries in 1..COMMIT_TRIES {
            match command().await {
                Err(StoreError::Unavailable(detail)) => {
                    tracing::warn!(detail, "the store did not take a reply: trying again")
                }
                answer => return (answer, tries),
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        (command().await, COMMIT_TRIES)
    }

    /// Nothing of this reply is kept for those who join.
    async fn still(&self, claim: &Claim, reply: &MessageId) {
        hint("end a reply", self.backbone.bus.end_reply(&claim.conversation, reply).await);
    }

    /// As `still`, where the reply that is kept may be of another claim.
    pub(crate) async fn forget_partial(&self, conversation: &ConversationId, is_it: impl Fn(&Partial) -> bool + Send) {
        let partial = hint("a reply under way", self.backbone.bus.partial(conversation).await);
        if let Some(partial) = partial.filter(|partial| is_it(partial)) {
            hint("end a reply", self.backbone.bus.end_reply(conversation, &partial.message_id).await);
        }
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
