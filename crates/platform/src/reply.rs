//! Answering one message under a claim.
//!
//! Claim, prompt, stream, commit. Deltas go out as they come, at a pace; they add up to the reply that is stored. A
//! claim that was lost on the way ends without a word: whoever has it now starts the reply anew.

use crate::Platform;
use crate::claims::{ClaimEnd, Finished};
use crate::faults::hint;
use crate::foreign::{Broken, Said, Speech};
use crate::window::Window;
use aim_ai::cleanup::Cleaner;
use aim_ai::{ErrorKind, ModelError, Request, TokenCount, personality, tokens};
use aim_backbone::turns::Turn;
use aim_domain::message::utf16_len;
use aim_domain::{Character, Code, ConversationId, Incarnation, MessageId, Refusal, RoomEvent};
use aim_store::{Claim, ClaimReply, Claimed, StoreError, TokenUse};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// How a reply under way is ended from outside.
#[derive(Clone, Default)]
pub(crate) struct Stop {
    /// Somebody pressed stop: what was said so far is kept.
    cancel: CancellationToken,
    /// This process no longer holds the claim: nothing is kept.
    lost: CancellationToken,
}

/// Stops that found no reply and are remembered for one that is about to begin.
const UNHEARD: usize = 256;

/// The replies that this process gives, by conversation: there is at most one in each, under its claim's fence.
#[derive(Default)]
pub(crate) struct Running(Mutex<State>);

#[derive(Default)]
struct State {
    replies: HashMap<ConversationId, (u64, Stop)>,
    /// The newest stops that nobody heard: between a claim's commit and its reply's beginning there is a moment in which
    /// it can be told to stop already.
    unheard: VecDeque<(ConversationId, u64)>,
}

impl Running {
    fn begin(&self, claim: &Claim) -> Stop {
        let (stop, mut state) = (Stop::default(), self.0.lock());
        let ours = (claim.conversation.clone(), claim.fence);
        if state.unheard.contains(&ours) {
            stop.cancel.cancel();
        }
        if let Some((_, before)) = state.replies.insert(ours.0, (ours.1, stop.clone())) {
            // A newer claim is there: the one before it was lost.
            before.lost.cancel();
        }
        stop
    }

    fn end(&self, claim: &Claim) {
        let mut state = self.0.lock();
        if state.replies.get(&claim.conversation).is_some_and(|(fence, _)| *fence == claim.fence) {
            state.replies.remove(&claim.conversation);
        }
    }

    /// Stops the reply that is given here under this fence, keeping what was said. A later reply goes on: a stop may be
    /// heard of twice, and late.
    pub fn stop(&self, conversation: &ConversationId, fence: u64) {
        let mut state = self.0.lock();
        match state.replies.get(conversation) {
            Some((current, stop)) if *current == fence => stop.cancel.cancel(),
            Some((current, _)) if *current > fence => {}
            _ => {
                state.unheard.truncate(UNHEARD - 1);
                state.unheard.push_front((conversation.clone(), fence));
            }
        }
    }

    /// Drops every reply: their claims are lost.
    pub fn lose_all(&self) {
        self.0.lock().replies.values().for_each(|(_, stop)| stop.lost.cancel());
    }

    pub fn count(&self) -> usize {
        self.0.lock().replies.len()
    }
}

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
    /// Nothing can be done here: the message is to be due again.
    GivenUp,
}

/// What a reply begins with.
struct Prepared {
    character: Arc<Character>,
    turns: Vec<aim_ai::Turn>,
    window: Arc<Window>,
    /// A worker of another program is to generate it.
    by_job: bool,
}

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
                Claimed::ConversationBusy | Claimed::CharacterBusy => return Ok("busy elsewhere"),
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
        let Prepared { character, turns, window, by_job } = prepared;
        let generated = tokio::select! {
            generated = self.generate(under_way, &character, turns, deadline, by_job) => generated,
            () = stop.lost.cancelled() => return Ok(None),
        };
        let reply = &under_way.reply();
        let told = match generated {
            Generated::Said { text, raw, tokens, stopped }
                if text.len() > so_far(claim).len() && !text.trim().is_empty() =>
            {
                metrics::histogram!("aim_reply_seconds").record(began.elapsed().as_secs_f64());
                let raw = if so_far(claim).is_empty() { raw } else { text.clone() };
                let (found, tokens) = (personality::analyse(&character, &raw), under_way.token_use(tokens));
                let keep = self.keep_personality(&character, &raw, found.clone());
                let end = Finished { reply: reply.clone(), text, personality: Some(found), tokens, window };
                let ((), ended) = tokio::join!(keep, self.commit(claim, end));
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
        let (turns, window) = self.prompt_turns(claim, &character, by_job).await?;
        Ok(Prepared { character, turns, window, by_job })
    }

    async fn generate(
        &self,
        under_way: &UnderWay,
        character: &Character,
        turns: Vec<aim_ai::Turn>,
        deadline: Instant,
        by_job: bool,
    ) -> Generated {
        let UnderWay { claim, stop, .. } = under_way;
        if stop.cancel.is_cancelled() {
            let (text, raw, tokens) = (String::new(), String::new(), TokenCount::default());
            return Generated::Said { text, raw, tokens, stopped: true };
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
        let cleaner = || Cleaner::new(character.called(), &claim.sender_name);
        let mut job = if by_job { self.job_reply(claim, under_way.premium, &request) } else { None };
        if let Some(job) = &mut job {
            under_way.voice.lock().model = Some(job.model().to_owned());
            // It stands in line for as long as it takes, and nobody types meanwhile.
            let taken = tokio::select! {
                biased;
                () = stop.cancel.cancelled() => {
                    let (text, raw, tokens) = (String::new(), String::new(), TokenCount::default());
                    return Generated::Said { text, raw, tokens, stopped: true };
                }
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

/// The reply as it is being said: cleans what the model sends and tells the room at a pace.
struct Voice<'a> {
    platform: &'a Platform,
    claim: &'a Claim,
    reply: MessageId,
    cleaner: Cleaner,
    /// What the model sent, as it sent it.
    raw: String,
    /// What the room was told, in all.
    text: String,
    /// UTF-16 code units of `text`.
    offset: u64,
    /// Clean, and not yet told.
    pending: String,
    /// What a reply that goes on said before, until something follows it.
    before: &'a str,
    next: Instant,
}

impl<'a> Voice<'a> {
    fn new(platform: &'a Platform, claim: &'a Claim, reply: MessageId, cleaner: Cleaner) -> Self {
        let (raw, text, pending) = (String::new(), String::new(), String::new());
        let before = so_far(claim);
        Self { platform, claim, reply, cleaner, raw, text, offset: 0, pending, before, next: Instant::now() }
    }

    /// A reply that goes on begins with what it has said: its deltas add up to all of it.
    async fn start(&mut self) {
        let conversation_id = self.claim.conversation.clone();
        let in_reply_to = self.claim.message.id.clone();
        let event = RoomEvent::ReplyStart { conversation_id, message_id: self.reply.clone(), in_reply_to };
        hint("begin a reply", self.platform.backbone.bus.publish_reply(&self.claim.conversation, event).await);
        self.platform.tell_typing(self.claim, true).await;
        self.pending.push_str(self.before);
        self.flush().await;
    }

    fn add(&mut self, text: &str) {
        let before = if text.is_empty() { "" } else { std::mem::take(&mut self.before) };
        if needs_space(before, text) {
            self.pending.push(' ');
        }
        self.pending.push_str(text);
    }

    async fn hear(&mut self, text: &str) {
        self.raw.push_str(text);
        let clean = self.cleaner.push(text);
        self.add(&clean);
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
        let rest = self.cleaner.finish();
        self.add(&rest);
        self.flush().await;
        Generated::Said { text: self.text, raw: self.raw, tokens, stopped }
    }
}

fn ended_by(broken: Broken, tokens: Option<TokenCount>) -> Generated {
    match broken {
        Broken::Failed(error) => Generated::Failed { refusal: model_refusal(&error), tokens },
        Broken::GivenUp => Generated::GivenUp,
    }
}

/// What the reply said before, where it is to go on.
fn so_far(claim: &Claim) -> &str {
    claim.redo.as_ref().map_or("", |redo| redo.text.as_str())
}

/// Models begin anew without the space that belongs between two sentences.
fn needs_space(before: &str, after: &str) -> bool {
    let ends = before.chars().next_back().is_some_and(|c| !c.is_whitespace());
    ends && after
        .chars()
        .next()
        .is_some_and(|c| !c.is_whitespace() && !matches!(c, ',' | '.' | ';' | ':' | '!' | '?' | '…'))
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use aim_domain::{Author, Kind, Message, Timestamp};

    fn claim(conversation: &str, fence: u64) -> Claim {
        let conversation: ConversationId = conversation.parse().unwrap();
        let message = Message {
            id: "m1".parse().unwrap(),
            conversation_id: conversation.clone(),
            seq: 1,
            role: Author::User,
            sender_id: "u1".into(),
            kind: Kind::Text,
            text: "Ahoy".into(),
            media: None,
            in_reply_to: None,
            client_id: None,
            created_at: Timestamp(0),
            reply_state: None,
            variants: None,
            personality: None,
        };
        let (character, sender_name) = ("mara".parse().unwrap(), "Ann".into());
        Claim { conversation, character, message, sender_name, attempt: 1, fence, last_seq: 1, redo: None }
    }

    #[test]
    fn a_stop_that_comes_before_its_reply_begins_is_heard() {
        let running = Running::default();
        running.stop(&claim("c1", 3).conversation, 3);
        assert!(running.begin(&claim("c1", 3)).cancel.is_cancelled());
        assert!(!running.begin(&claim("c2", 3)).cancel.is_cancelled());
        assert!(!running.begin(&claim("c1", 4)).cancel.is_cancelled());
    }

    #[test]
    fn a_reply_that_goes_on_is_joined_with_a_space_where_one_belongs() {
        for (before, after, expected) in [
            ("Yes.", "And more", true),
            ("Yes. ", "And", false),
            ("Yes", ", and", false),
            ("", "And", false),
            ("Yes", "\nAnd", false),
        ] {
            assert_eq!(needs_space(before, after), expected, "{before:?} {after:?}");
        }
    }

    #[test]
    fn stops_that_nobody_hears_are_bounded() {
        let running = Running::default();
        for fence in 0..10 * UNHEARD as u64 {
            running.stop(&claim("c1", 1).conversation, fence);
        }
        assert_eq!(running.0.lock().unheard.len(), UNHEARD);
        assert!(running.begin(&claim("c1", 10 * UNHEARD as u64 - 1)).cancel.is_cancelled());
    }

    #[test]
    fn a_reply_that_ends_late_leaves_the_newer_one_alone() {
        let running = Running::default();
        let (old, new) = (claim("c1", 1), claim("c1", 2));
        let lost = running.begin(&old).lost;
        let stop = running.begin(&new);
        assert!(lost.is_cancelled(), "its claim is another's");
        running.end(&old);
        assert_eq!(running.count(), 1);
        running.stop(&old.conversation, 1);
        assert!(!stop.cancel.is_cancelled());
        running.stop(&old.conversation, 2);
        assert!(stop.cancel.is_cancelled());
        running.end(&new);
        assert_eq!(running.count(), 0);
    }
}
