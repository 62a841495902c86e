//! Answering one message under a claim.
//!
//! Claim, prompt, stream, commit. Deltas go out as they come, at a pace; they add up to the reply that is stored. A
//! claim that was lost on the way ends without a word: whoever has it now starts the reply anew.

use crate::claims::ClaimEnd;
use crate::faults::hint;
use crate::{Platform, claims};
use aim_ai::cleanup::Cleaner;
use aim_ai::{ErrorKind, ModelError, Piece, Request, TokenCount, tokens};
use aim_backbone::turns::Turn;
use aim_domain::message::utf16_len;
use aim_domain::{Character, Code, ConversationId, MessageId, Refusal, RoomEvent};
use aim_store::{Claim, ClaimReply, Claimed};
use futures::StreamExt;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How a reply under way is ended from outside.
#[derive(Clone, Default)]
pub(crate) struct Stop {
    /// Somebody pressed stop: what was said so far is kept.
    cancel: CancellationToken,
    /// This process no longer holds the claim: nothing is kept.
    lost: CancellationToken,
}

/// The replies that this process gives, by conversation: there is at most one in each, under its claim's fence.
#[derive(Default)]
pub(crate) struct Running(Mutex<HashMap<ConversationId, (u64, Stop)>>);

impl Running {
    fn begin(&self, claim: &Claim) -> Stop {
        let stop = Stop::default();
        self.0.lock().insert(claim.conversation.clone(), (claim.fence, stop.clone()));
        stop
    }

    fn end(&self, conversation: &ConversationId) {
        self.0.lock().remove(conversation);
    }

    /// Stops the reply that is given here under this fence, keeping what was said. A later reply goes on: a stop may be
    /// heard of twice, and late.
    pub fn stop(&self, conversation: &ConversationId, fence: u64) {
        if let Some((_, stop)) = self.0.lock().get(conversation).filter(|(current, _)| *current == fence) {
            stop.cancel.cancel();
        }
    }

    /// Drops every reply: their claims are lost.
    pub fn lose_all(&self) {
        self.0.lock().values().for_each(|(_, stop)| stop.lost.cancel());
    }

    pub fn count(&self) -> usize {
        self.0.lock().len()
    }
}

/// What generating came to.
enum Generated {
    /// Said to its end, or stopped on the way; `text` may then be empty.
    Said {
        text: String,
        raw: String,
        tokens: TokenCount,
        stopped: bool,
    },
    Failed {
        refusal: Refusal,
        tokens: Option<TokenCount>,
    },
    Lost,
}

impl Platform {
    /// Claims and answers the lowest due message of the turn's conversation. Answers a word on what came of it, or why
    /// the reply failed, in words that may be kept with a job.
    pub(crate) async fn reply(&self, turn: &Turn) -> Result<&'static str, String> {
        let Some(holder) = self.lease.current() else { return Ok("no lease") };
        let ask = ClaimReply {
            conversation: turn.conversation.clone(),
            holder,
            replies_per_character: self.settings.replies_per_character,
        };
        let claim = match self.store.claim_reply(ask).await.map_err(|error| error.to_string())? {
            Claimed::Claimed(claim) => claim,
            Claimed::NothingDue => return Ok("nothing due"),
            Claimed::ConversationBusy | Claimed::CharacterBusy => return Ok("busy elsewhere"),
            Claimed::NoLease => return Ok("no lease"),
            Claimed::Cancelled(message) => {
                self.tell_room(&turn.conversation, RoomEvent::MessageUpdated { message: *message }).await;
                return Ok("cancelled");
            }
        };
        metrics::gauge!("aim_replies_under_way").increment(1.0);
        let stop = self.running.begin(&claim);
        let outcome = self.answer(turn, &claim, &stop).await;
        self.running.end(&claim.conversation);
        metrics::gauge!("aim_replies_under_way").decrement(1.0);
        outcome
    }

    async fn answer(&self, turn: &Turn, claim: &Claim, stop: &Stop) -> Result<&'static str, String> {
        let (reply, began) = (self.ambient.id::<MessageId>(), Instant::now());
        let character = match self.any_character(&claim.character).await {
            Ok(Some(character)) => character,
            Ok(None) => return self.end_failed(claim, &reply, Refusal::not_found("character"), None).await,
            Err(refusal) => return self.end_failed(claim, &reply, refusal, None).await,
        };
        let outcome = tokio::select! {
            outcome = self.generate(turn, claim, &character, &reply, stop) => outcome,
            () = tokio::time::sleep(self.settings.reply_timeout) => Generated::Failed {
                refusal: Refusal::unavailable("The character took too long to answer."),
                tokens: None,
            },
            () = stop.lost.cancelled() => Generated::Lost,
        };
        match outcome {
            Generated::Said { text, raw, tokens, stopped } if !text.trim().is_empty() => {
                metrics::histogram!("aim_reply_seconds").record(began.elapsed().as_secs_f64());
                let personality = self.personality(&character, raw).await;
                let end = claims::Finished { reply, text, personality, tokens: self.token_use(claim, tokens) };
                match self.commit(claim, end).await? {
                    ClaimEnd::Stored if stopped => Ok("stopped"),
                    ClaimEnd::Stored => Ok("done"),
                    ClaimEnd::Stale => Ok("stale"),
                }
            }
            Generated::Said { tokens, stopped: true, .. } => {
                self.end_cancelled(claim, &reply, self.token_use(claim, tokens)).await
            }
            Generated::Said { tokens, .. } => {
                let refusal = Refusal::unavailable("The character had nothing to say. Try again.");
                self.end_failed(claim, &reply, refusal, Some(self.token_use(claim, tokens))).await
            }
            Generated::Failed { refusal, tokens } => {
                let tokens = tokens.map(|count| self.token_use(claim, count));
                self.end_failed(claim, &reply, refusal, tokens).await
            }
            Generated::Lost => {
                self.still(claim).await;
                Ok("lost")
            }
        }
    }

    async fn generate(
        &self,
        turn: &Turn,
        claim: &Claim,
        character: &Arc<Character>,
        reply: &MessageId,
        stop: &Stop,
    ) -> Generated {
        let failed = |refusal| Generated::Failed { refusal, tokens: None };
        if let Err(refusal) = self.check_token_ceiling().await {
            return failed(refusal);
        }
        let turns = match self.prompt_turns(claim, character).await {
            Ok(turns) => turns,
            Err(refusal) => return failed(refusal),
        };
        let prompt_estimate = tokens::estimate_turns(&turns);
        let request = Request {
            messages: turns,
            max_tokens: self.settings.max_reply_tokens,
            temperature: self.settings.temperature,
            stop: Vec::new(),
            seed: None,
        };
        let mut voice = Voice::new(self, claim, reply, Cleaner::new(&character.name, &claim.sender_name));
        voice.start().await;
        let begun = tokio::select! {
            begun = self.model.stream(request) => begun,
            () = stop.cancel.cancelled() => return voice.ended(TokenCount { prompt: prompt_estimate, completion: 0 }, true).await,
        };
        let mut stream = match begun {
            Ok(stream) => stream,
            Err(error) => return failed(model_refusal(&error)),
        };
        let mut renewal = tokio::time::interval(self.turn_renewal());
        renewal.tick().await;
        loop {
            tokio::select! {
                biased;
                () = stop.cancel.cancelled() => {
                    drop(stream);
                    let completion = tokens::estimate(&voice.raw);
                    return voice.ended(TokenCount { prompt: prompt_estimate, completion }, true).await;
                }
                piece = stream.next() => match piece {
                    Some(Ok(Piece::Text(text))) => {
                        voice.hear(&text).await;
                        // The character has said all it has to say; what would follow is not its own.
                        if voice.cleaner.is_over() {
                            drop(stream);
                            let completion = tokens::estimate(&voice.raw);
                            return voice.ended(TokenCount { prompt: prompt_estimate, completion }, false).await;
                        }
                    }
                    Some(Ok(Piece::End { tokens, .. })) => return voice.ended(tokens, false).await,
                    Some(Err(error)) => {
                        let completion = tokens::estimate(&voice.raw);
                        let tokens = (completion > 0).then_some(TokenCount { prompt: prompt_estimate, completion });
                        return Generated::Failed { refusal: model_refusal(&error), tokens };
                    }
                    None => {
                        let completion = tokens::estimate(&voice.raw);
                        return voice.ended(TokenCount { prompt: prompt_estimate, completion }, false).await;
                    }
                },
                () = voice.due(), if voice.is_waiting() => voice.flush().await,
                _ = renewal.tick() => { hint("renew a turn", self.backbone.turns.renew(turn).await); }
            }
        }
    }
}

/// The reply as it is being said: cleans what the model sends and tells the room at a pace.
struct Voice<'a> {
    platform: &'a Platform,
    claim: &'a Claim,
    reply: &'a MessageId,
    cleaner: Cleaner,
    /// What the model sent, as it sent it.
    raw: String,
    /// What the room was told, in all.
    text: String,
    /// UTF-16 code units of `text`.
    offset: u64,
    /// Clean, and not yet told.
    pending: String,
    next: Instant,
}

impl<'a> Voice<'a> {
    fn new(platform: &'a Platform, claim: &'a Claim, reply: &'a MessageId, cleaner: Cleaner) -> Self {
        let (raw, text, pending) = (String::new(), String::new(), String::new());
        Self { platform, claim, reply, cleaner, raw, text, offset: 0, pending, next: Instant::now() }
    }

    async fn start(&self) {
        let conversation_id = self.claim.conversation.clone();
        let in_reply_to = self.claim.message.id.clone();
        let event = RoomEvent::ReplyStart { conversation_id, message_id: self.reply.clone(), in_reply_to };
        hint("begin a reply", self.platform.backbone.bus.publish_reply(&self.claim.conversation, event).await);
        self.platform.tell_typing(self.claim, true).await;
    }

    async fn hear(&mut self, text: &str) {
        self.raw.push_str(text);
        self.pending.push_str(&self.cleaner.push(text));
        if !self.pending.is_empty() && Instant::now() >= self.next {
            self.flush().await;
        }
    }

    fn is_waiting(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Until what waits may be told.
    async fn due(&self) {
        tokio::time::sleep_until(self.next.into()).await;
    }

    async fn flush(&mut self) {
        let text = std::mem::take(&mut self.pending);
        if text.is_empty() {
            return;
        }
        let offset = self.offset;
        self.offset += utf16_len(&text);
        self.text.push_str(&text);
        self.next = Instant::now() + self.platform.settings.delta_pace;
        let (conversation_id, message_id) = (self.claim.conversation.clone(), self.reply.clone());
        let event = RoomEvent::ReplyDelta { conversation_id, message_id, offset, text };
        hint("tell a delta", self.platform.backbone.bus.publish_reply(&self.claim.conversation, event).await);
    }

    async fn ended(mut self, tokens: TokenCount, stopped: bool) -> Generated {
        self.pending.push_str(&self.cleaner.finish());
        self.flush().await;
        Generated::Said { text: self.text, raw: self.raw, tokens, stopped }
    }
}

/// What a person is told of a model's failure.
fn model_refusal(error: &ModelError) -> Refusal {
    tracing::warn!(%error, kind = error.kind.as_str(), "the model failed");
    metrics::counter!("aim_model_errors_total", "kind" => error.kind.as_str()).increment(1);
    let detail = match error.kind {
        ErrorKind::Connect => "The language model cannot be reached. Try again in a moment.",
        ErrorKind::Timeout => "The language model took too long. Try again.",
        ErrorKind::Overloaded => "The language model is busy. Try again in a moment.",
        ErrorKind::Interrupted => "The reply broke off. Try again.",
        _ => "The language model refused to answer.",
    };
    Refusal { retry_after: Some(Duration::from_secs(5)), ..Refusal::new(Code::Unavailable, detail) }
}
