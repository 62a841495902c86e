//! What the model reads: the character's compiled prompt, the window of answered messages, the message to answer.
//!
//! Both are cached, and neither is trusted blindly: a prompt counts for its own revision alone, a window for the very
//! next claim alone.

use crate::Platform;
use crate::media::key_of;
use aim_ai::lore::{Lore, Talk};
use aim_ai::macros::Macros;
use aim_ai::people::People;
use aim_ai::prompt::{self, CompiledPrompt, HistoryTurn};
use aim_ai::{Picture, Role, TokenBudget};
use aim_backbone::cache::{Cached, Reach, weight_of};
use aim_backbone::keys;
use aim_domain::{Author, Character, CharacterId, ConversationId, Kind, MediaKind, Message, Refusal, UploadId};
use aim_store::{Claim, Redo};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Messages in the window at the most; API.md part 1.
const WINDOW: u32 = 100;

/// A compiled prompt as the cache keeps it, before any user's name and any draw; it knows its revision.
#[derive(Serialize, Deserialize)]
struct CachedPrompt(CompiledPrompt);

impl Cached for CachedPrompt {
    const SCHEMA: u16 = 3;
    fn version(&self) -> i64 {
        self.0.revision
    }
}

/// The answered messages of a conversation as they were after the claim with `fence` ended. They hold for the very next
/// claim alone: any other raised the fence.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Window {
    pub said: Vec<Said>,
    /// The highest `seq` of the messages that were answered: an older one that is answered later belongs before it.
    newest: u64,
    fence: u64,
}

/// Names are put in when it is read, since people change them.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Said {
    pub author: Author,
    /// Shared with the window of the next claim, and with what the model is given.
    text: Arc<str>,
    pub sender: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    picture: Option<UploadId>,
}

impl Cached for Window {
    const SCHEMA: u16 = 3;
    fn version(&self) -> i64 {
        i64::try_from(self.fence).unwrap_or(i64::MAX)
    }

    fn weight(&self) -> u32 {
        weight_of(self.said.iter().map(|said| said.text.len()).sum())
    }
}

/// Pictures that a model is shown at the most, among how many of the last messages, how large each may be, and how many tokens
/// it takes, about.
const PICTURES: usize = 2;
const LOOKED_BACK: usize = 12;
const PICTURE_BYTES: u64 = 4 << 20;
const PICTURE_TOKENS: u64 = 1_000;

/// What a picture is in words, for a model that sees none.
const PICTURE: &str = "[picture attached]";
const NO_TRANSCRIPT: &str = "[voice message without a transcript]";

/// What a model is told after a reply that is to go on.
const GO_ON: &str = "[Continue your last message from where it ends, without repeating any of it.]";

/// What a message says to the model: a voice message is what was said in it.
pub(crate) fn words(message: &Message) -> Arc<str> {
    let stands_for = match (message.kind, &message.media) {
        (Kind::Image, _) => PICTURE,
        (Kind::Audio, Some(media)) => media.transcript.as_deref().unwrap_or(NO_TRANSCRIPT),
        (Kind::Audio, None) => NO_TRANSCRIPT,
        (Kind::Text, _) => return message.text.as_str().into(),
    };
    if message.text.trim().is_empty() { stands_for.into() } else { format!("{stands_for}\n{}", message.text).into() }
}

fn picture_of(message: &Message) -> Option<UploadId> {
    let media = message.media.as_ref().filter(|_| message.kind == Kind::Image);
    media.map(|media| media.upload_id.clone())
}

/// Puts pictures to the turns that they belong to, counted from the last; one whose turn did not fit is left out.
fn show(turns: &mut [aim_ai::Turn], pictures: Vec<(usize, Picture)>) {
    for (back, picture) in pictures {
        // What the character's author says among and after the messages is none of them.
        let turn = turns.iter_mut().rev().filter(|turn| turn.role != Role::System).nth(back);
        if let Some(turn) = turn.filter(|turn| turn.role == Role::User && turn.text.contains(PICTURE)) {
            turn.pictures.push(picture);
        }
    }
}

/// What a model is given for one reply.
pub(crate) struct Given {
    pub turns: Vec<aim_ai::Turn>,
    /// What of it was said before.
    pub window: Arc<Window>,
    /// Those whom it is told of.
    pub people: People,
}

impl Platform {
    /// What the model is given; `by_job`: the model is a worker of another program.
    pub(crate) async fn prompt_turns(
        &self,
        claim: &Claim,
        character: &Arc<Character>,
        by_job: bool,
    ) -> Result<Given, Refusal> {
        let compiled = self.compiled(character).await;
        let window = self.window(claim).await?;
        let people = self.people(claim, &window, character.called()).await?;
        let mut history = Vec::with_capacity(window.said.len() + 1);
        for said in &window.said {
            let speaker = match said.author {
                Author::Character => None,
                Author::User => Some(people.name_of(&said.sender)),
            };
            history.push(HistoryTurn { author: said.author, text: said.text.clone(), speaker });
        }
        let (text, speaker) = (words(&claim.message), Some(people.asker().name.clone()));
        history.push(HistoryTurn { author: Author::User, text, speaker });
        let asked = history.len();
        let go_on = claim.redo.as_ref().filter(|redo| redo.how == Redo::Continue);
        if let Some(redo) = go_on {
            history.push(HistoryTurn { author: Author::Character, text: redo.text.as_str().into(), speaker: None });
        }
        let mut shown = self.pictures(claim, &window).await;
        let foreign = self.settings.foreign.replies.as_ref().filter(|_| by_job);
        let mut budget = foreign.map_or_else(|| self.model.budget(), |foreign| foreign.budget);
        budget.window = budget.window.saturating_sub(shown.len() as u64 * PICTURE_TOKENS).max(budget.window / 2);
        let macros = Macros {
            character: character.called(),
            user: &people.asker().name,
            persona: &people.asker().about,
            random: &*self.ambient.random,
            picks: claim.conversation.as_str(),
        };
        // Without a gap: its `seq` says how many there are.
        let messages = claim.message.seq + u64::from(go_on.is_some());
        let lore = self.lore(character, &history, messages, &macros, budget).await;
        let lore = compiled.0.with_note(lore, &macros, &budget);
        if go_on.is_some() {
            // Nobody said it: it has no keys of a book.
            history.push(HistoryTurn { author: Author::User, text: GO_ON.into(), speaker: None });
        }
        // Counted from the message, with what stands behind it here, of the book too.
        let told = |back: usize| {
            let among = lore.among_messages.iter().filter(|among| among.role != Role::System);
            among.filter(|among| among.depth as usize <= back).count()
        };
        shown.iter_mut().for_each(|(back, _)| {
            *back += history.len() - asked;
            *back += told(*back);
        });
        let mut turns = prompt::assemble(&compiled.0, &macros, &lore, &people, &history, &budget);
        show(&mut turns, shown);
        Ok(Given { turns, window, people })
    }

    /// What this reply is told of the character's book: never cached, since it is of what was said.
    async fn lore(
        &self,
        character: &Arc<Character>,
        history: &[HistoryTurn],
        messages: u64,
        macros: &Macros<'_>,
        budget: TokenBudget,
    ) -> Lore {
        if character.details.lorebook.is_none() {
            return Lore::default();
        }
        let (platform, character, history) = (self.clone(), character.clone(), history.to_vec());
        let (user, picks) = (macros.user.to_owned(), macros.picks.to_owned());
        let persona = macros.persona.to_owned();
        // Off the threads that serve: a large book with regular expressions takes its time.
        let looked = tokio::task::spawn_blocking(move || {
            let (called, random) = (character.called(), &*platform.ambient.random);
            let macros = Macros { character: called, user: &user, persona: &persona, random, picks: &picks };
            let book = platform.books.of(&character);
            book.map(|book| book.look_up(Talk { history: &history, messages }, &macros, &budget)).unwrap_or_default()
        });
        looked.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a lore book could not be looked through");
            Lore::default()
        })
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
            text: words(&message),
            picture: picture_of(&message),
            sender: message.sender_id.into(),
        });
        Ok(Arc::new(Window { said: said.collect(), newest, fence: claim.fence.saturating_sub(1) }))
    }

    /// The newest pictures for a model that sees, each with how many messages come after it. One that cannot be read is left
    /// out: the words say that there was one.
    async fn pictures(&self, claim: &Claim, window: &Window) -> Vec<(usize, Picture)> {
        let (true, Ok(media)) = (self.settings.model_sees, self.media()) else { return Vec::new() };
        let said = window.said.iter().rev().map(|said| said.picture.clone());
        let newest = std::iter::once(picture_of(&claim.message)).chain(said).enumerate();
        let wanted: Vec<_> =
            newest.take(LOOKED_BACK).filter_map(|(back, id)| Some((back, id?))).take(PICTURES).collect();
        let mut pictures = Vec::with_capacity(wanted.len());
        for (back, id) in wanted {
            match media.read_all(&key_of(&id, MediaKind::Image.shown()), PICTURE_BYTES).await {
                Ok(bytes) => pictures.push((back, Picture { mime_type: "image/webp".into(), bytes: bytes.into() })),
                Err(error) => tracing::warn!(%error, "a picture was not shown to the model"),
            }
        }
        pictures
    }

    /// Keeps the window for the next claim, with this exchange. Call it once the reply is stored. A reply that was answered anew
    /// was not in the window that it was given with.
    pub(crate) async fn keep_window(&self, claim: &Claim, before: Arc<Window>, reply: &str) {
        if claim.message.seq < before.newest {
            // A message that was asked again: its exchange belongs further up.
            return;
        }
        let mut window = Arc::unwrap_or_clone(before);
        let (text, sender) = (words(&claim.message), claim.message.sender_id.as_str().into());
        window.said.push(Said { author: Author::User, text, sender, picture: picture_of(&claim.message) });
        let sender = claim.character.as_str().into();
        window.said.push(Said { author: Author::Character, text: reply.into(), sender, picture: None });
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
