//! Answering one message under a claim.
//!
//! Claim, prompt, stream, commit. Deltas go out as they come, at a pace; they add up to the reply that is stored. A
//! claim that was lost on the way ends without a word: whoever has it now starts the reply anew.

use crate::Platform;
use crate::claims::{ClaimEnd, Finished};
use crate::faults::hint;
use crate::foreign::{Broken, Said, Speech};
use crate::running::Stop;
use crate::voice::{Voice, so_far};
use crate::window::{Given, Window};
use aim_ai::cleanup::Cleaner;
use aim_ai::people::People;
use aim_ai::{ErrorKind, ModelError, Request, TokenCount, tokens};
use aim_backbone::turns::Turn;
use aim_domain::{Character, Code, Incarnation, MessageId, Refusal, RoomEvent};
use aim_store::{Claim, ClaimReply, Claimed, StoreError, TokenUse};
use parking_lot::Mutex;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// A reply under way. However it ends, dropped or in a panic too, it is no longer counted as running, and a claim that
/// was not settled is given back.
struct UnderWay {
    platform: Platform,
    claim: Claim,
    holder: Incarnation,
    voice: Mutex<Voiced>,
    premium: bool,
    stop: Stop,
    settled: bool,
}

/// What changes while a reply is given.
struct Voiced {
    /// As which message it will be stored; another one once it begins anew.
    reply: MessageId,
    /// `PROVIDER/MODEL`; none: this process's own.
    model: Option<String>,
}

impl UnderWay {
    fn begin(platform: &Platform, claim: Claim, holder: Incarnation, premium: bool) -> Self {
        metrics::gauge!("aim_replies_under_way").increment(1.0);
        let stop = platform.running.begin(&claim);
        // What answers anew streams as the reply that it is to be. Begun once more it needs an id of its own: what is still
        // heard of the first beginning is not its.
        let redo = claim.redo.as_ref().filter(|redo| redo.first);
        let reply = redo.map_or_else(|| platform.ambient.id(), |redo| redo.reply.clone());
        let voice = Mutex::new(Voiced { reply, model: None });
        Self { platform: platform.clone(), claim, holder, voice, premium, stop, settled: false }
    }

    fn reply(&self) -> MessageId {
        self.voice.lock().reply.clone()
    }

    fn token_use(&self, count: TokenCount) -> TokenUse {
        let model = self.voice.lock().model.clone();
        match model {
            Some(model) => self.platform.token_use_of(model, &self.claim, count),
            None => self.platform.token_use(&self.claim, count),
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        metrics::gauge!("aim_replies_under_way").decrement(1.0);
        self.platform.running.end(&self.claim);
        if self.settled {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            let (platform, claim) = (self.platform.clone(), self.claim.clone());
            let (reply, holder) = (self.reply(), self.holder.clone());
            runtime.spawn(async move { platform.give_back(claim, reply, holder).await });
        }
    }
}

/// What generating came to.
pub(crate) enum Generated {
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
    /// Nothing can be done here: the message is to be due again.
    GivenUp,
}

impl Generated {
    /// Stopped before a word, and before a model was asked.
    fn stopped_unsaid() -> Self {
        Self::Said { text: String::new(), raw: String::new(), tokens: TokenCount::default(), stopped: true }
    }
}

/// What a reply begins with.
struct Prepared {
    character: Arc<Character>,
    turns: Vec<aim_ai::Turn>,
    window: Arc<Window>,
    people: People,
    /// A worker of another program is to generate it.
    by_job: bool,
}

/// Told of a turn whose conversation or character has its reply given by another server.
pub(crate) const BUSY_ELSEWHERE: &str = "busy elsewhere";

/// What came of a reply whose claim is settled: a word on it, or why it failed, in words that may be kept with a job.
type Told = Result<&'static str, String>;

impl Platform {
    /// Claims and answers the lowest due message of the turn's conversation.
    pub(crate) async fn reply(&self, turn: &Turn) -> Told {
        let (claim, holder) = loop {
            let Some(holder) = self.lease.current() else { return Ok("no lease") };
            let ask = ClaimReply {
                conversation: turn.conversation.clone(),
                holder: holder.clone(),
                replies_per_character: self.settings.replies_per_character,
            };
            match self.store.claim_reply(ask).await.map_err(|error| error.to_string())? {
                Claimed::Claimed(claim) => break (*claim, holder),
                Claimed::NothingDue => return Ok("nothing due"),
                Claimed::ConversationBusy | Claimed::CharacterBusy => return Ok(BUSY_ELSEWHERE),
                Claimed::NoLease => return Ok("no lease"),
                // Told to stop before its server died. What waits behind it has its turn now.
                Claimed::Cancelled(message) => {
                    self.forget_partial(&turn.conversation, |partial| partial.in_reply_to == message.id).await;
                    self.tell_room(&turn.conversation, RoomEvent::MessageUpdated { message: *message }).await;
                }
            }
        };
        let mut under_way = UnderWay::begin(self, claim, holder, turn.premium);
        let answered = tokio::select! {
            answered = self.answer(&under_way) => answered,
            never = self.keep_turn(turn) => match never {},
        };
        match answered {
            Ok(Some(told)) => {
                under_way.settled = true;
                told
            }
            Ok(None) => Ok("lost"),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Renews a granted turn for as long as its reply takes, from the claim to the commit.
    pub(crate) async fn keep_turn(&self, turn: &Turn) -> Infallible {
        let mut renewal = tokio::time::interval(self.turn_renewal());
        renewal.tick().await;
        loop {
            renewal.tick().await;
            hint("renew a turn", self.backbone.turns.renew(turn).await);
        }
    }

    /// None: the claim was lost on the way. After an error of the store it may be there still.
    async fn answer(&self, under_way: &UnderWay) -> Result<Option<Told>, StoreError> {
        let UnderWay { claim, stop, .. } = under_way;
        let began = Instant::now();
        let deadline = began + self.settings.reply_timeout;
        let prepared = tokio::select! {
            prepared = self.prepare(claim) => prepared,
            () = tokio::time::sleep_until(deadline.into()) => Err(took_too_long()),
            () = stop.lost.cancelled() => return Ok(None),
        };
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(refusal) => {
                self.end_failed(claim, &under_way.reply(), &refusal, None).await?;
                return Ok(Some(Err(refusal.detail)));
            }
        };
        metrics::histogram!("aim_reply_preparation_seconds").record(began.elapsed().as_secs_f64());
        let Prepared { character, turns, window, people, by_job } = prepared;
        let generated = tokio::select! {
            generated = self.generate(under_way, &character, turns, &people, deadline, by_job) => generated,
            () = stop.lost.cancelled() => return Ok(None),
        };
        let reply = &under_way.reply();
        let told = match generated {
            Generated::Said { text, raw, tokens, stopped }
                if text.len() > so_far(claim).len() && !text.trim().is_empty() =>
            {
                metrics::histogram!("aim_reply_seconds").record(began.elapsed().as_secs_f64());
                let raw = if so_far(claim).is_empty() { raw } else { text.clone() };
                let (found, tokens) = (self.analysed(&character, &raw), under_way.token_use(tokens));
                let personality = Some(found.personality.clone());
                let end = Finished { reply: reply.clone(), text, personality, tokens, window };
                let ((), ended) = tokio::join!(self.keep_analysed(found), self.commit(claim, end));
                Ok(match ended? {
                    ClaimEnd::Stored if stopped => "stopped",
                    ClaimEnd::Stored => "done",
                    ClaimEnd::Stale => "stale",
                })
            }
            Generated::Said { tokens, stopped: true, .. } => {
                self.end_cancelled(claim, reply, under_way.token_use(tokens)).await?;
                Ok("cancelled")
            }
            Generated::Said { tokens, .. } => {
                let refusal = Refusal::unavailable("The character had nothing to say. Try again.");
                self.end_failed(claim, reply, &refusal, Some(under_way.token_use(tokens))).await?;
                Err(refusal.detail)
            }
            Generated::Failed { refusal, tokens } => {
                let tokens = tokens.map(|count| under_way.token_use(count));
                self.end_failed(claim, reply, &refusal, tokens).await?;
                Err(refusal.detail)
            }
            Generated::GivenUp => return Ok(None),
        };
        Ok(Some(told))
    }

    async fn prepare(&self, claim: &Claim) -> Result<Prepared, Refusal> {
        let character = self.any_character(&claim.character).await?;
        let character = character.ok_or_else(|| Refusal::not_found("character"))?;
        self.check_token_ceiling().await?;
        let by_job = self.replies_by_job();
        let Given { turns, window, people } = self.prompt_turns(claim, &character, by_job).await?;
        Ok(Prepared { character, turns, window, people, by_job })
    }

    async fn generate(
        &self,
        under_way: &UnderWay,
        character: &Character,
        turns: Vec<aim_ai::Turn>,
        people: &People,
        deadline: Instant,
        by_job: bool,
    ) -> Generated {
        let UnderWay { claim, stop, .. } = under_way;
        if stop.cancel.is_cancelled() {
            return Generated::stopped_unsaid();
        }
        let prompt = tokens::estimate_turns(&turns);
        let request = Request {
            messages: turns,
            max_tokens: self.settings.max_reply_tokens,
            temperature: self.settings.temperature,
            stop: Vec::new(),
            seed: None,
        };
        let over = tokio::time::sleep_until(deadline.into());
        tokio::pin!(over);
        let others = people.others().iter().map(|person| &*person.name);
        let cleaner = || Cleaner::new(character.called(), &people.asker().name).among(others.clone());
        let mut job = if by_job { self.job_reply(claim, under_way.premium, &request) } else { None };
        if let Some(job) = &mut job {
            under_way.voice.lock().model = Some(job.model().to_owned());
            // It stands in line for as long as it takes, and nobody types meanwhile.
            let taken = tokio::select! {
                biased;
                () = stop.cancel.cancelled() => return Generated::stopped_unsaid(),
                taken = job.taken() => taken,
            };
            if let Err(broken) = taken {
                return ended_by(broken, None);
            }
        }
        let mut voice = Voice::new(self, claim, under_way.reply(), cleaner());
        voice.start().await;
        let begun = match job {
            // It keeps its own time, run by run.
            Some(job) => Ok(Speech::Job(Box::new(job))),
            None => tokio::select! {
                biased;
                () = stop.cancel.cancelled() => return voice.ended(TokenCount { prompt, completion: 0 }, true).await,
                begun = self.model.stream(request) => begun.map(Speech::Own),
                () = &mut over => return Generated::Failed { refusal: took_too_long(), tokens: None },
            },
        };
        let mut stream = match begun {
            Ok(stream) => stream,
            Err(error) => return Generated::Failed { refusal: model_refusal(&error), tokens: None },
        };
        // As far as can be told of a reply that the provider did not count.
        let spent = |voice: &Voice<'_>| TokenCount { prompt, completion: tokens::estimate(&voice.raw) };
        loop {
            under_way.voice.lock().model = stream.model().map(str::to_owned);
            tokio::select! {
                biased;
                () = stop.cancel.cancelled() => {
                    drop(stream);
                    let tokens = spent(&voice);
                    return voice.ended(tokens, true).await;
                }
                () = &mut over, if matches!(stream, Speech::Own(_)) => {
                    return Generated::Failed { refusal: took_too_long(), tokens: Some(spent(&voice)) };
                }
                // Before the stream: a model that is always ready must not hold back what waits.
                () = voice.due(), if voice.is_waiting() => voice.flush().await,
                said = stream.next() => match said {
                    Ok(Said::Text(text)) => {
                        voice.hear(&text).await;
                        // The character has said all it has to say; what would follow is not its own.
                        if voice.cleaner.is_over() {
                            drop(stream);
                            let tokens = spent(&voice);
                            return voice.ended(tokens, false).await;
                        }
                    }
                    Ok(Said::Anew) => {
                        let reply: MessageId = self.ambient.id();
                        under_way.voice.lock().reply = reply.clone();
                        voice = Voice::new(self, claim, reply, cleaner());
                        voice.start().await;
                    }
                    Ok(Said::End(tokens)) => {
                        under_way.voice.lock().model = stream.model().map(str::to_owned);
                        let tokens = tokens.unwrap_or_else(|| spent(&voice));
                        return voice.ended(tokens, false).await;
                    }
                    Err(broken) => {
                        let tokens = (!voice.raw.is_empty()).then(|| spent(&voice));
                        return ended_by(broken, tokens);
                    }
                },
            }
        }
    }
}

fn ended_by(broken: Broken, tokens: Option<TokenCount>) -> Generated {
    match broken {
        Broken::Failed(error) => Generated::Failed { refusal: model_refusal(&error), tokens },
        Broken::GivenUp => Generated::GivenUp,
    }
}

fn took_too_long() -> Refusal {
    Refusal::unavailable("The character took too long to answer.")
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
