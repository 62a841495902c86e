//! Changing what was said last: another variant of the reply, going on with it, choosing among its variants, putting it in
//! other words, and asking again in other words. What asks the model counts `ai`, and no usage: the message was counted when it
//! was sent.
//!
//! An answer anew is due work like any other. It waits in its conversation's line, is claimed and committed under a fence,
//! survives its server, and can be stopped; whatever comes of it, the reply that was there stays.

use crate::faults::OrRefuse;
use crate::{Platform, gate};
use aim_ai::personality;
use aim_backbone::limits::Verdict;
use aim_backbone::turns::Turn;
use aim_domain::error::Checks;
use aim_domain::message::MAX_TEXT;
use aim_domain::{Author, Conversation, ConversationId, Member, Message, MessageId, Refusal, RoomEvent, Rule};
use aim_store::{Change, DueAgain, EditMessage, Edited, MAX_VARIANTS, Redo, RedoReply, ReviseReply, Unfit};

/// What came of it, with what the limiter said, for the headers.
#[derive(Debug)]
pub struct RevisionReport<T = Message> {
    pub verdict: Option<Verdict>,
    /// The message that is answered anew, due again; or what else was made or changed.
    pub outcome: Result<T, Refusal>,
}

impl Platform {
    /// Asks for another variant of the last reply, or for it to go on. `message` is the reply, or the message that it answers.
    pub async fn redo_reply(
        &self,
        who: &Member,
        id: &ConversationId,
        message: &MessageId,
        how: Redo,
    ) -> RevisionReport {
        self.with_limits(who, &[Rule::Ai], async {
            let conversation = self.entered(who, id).await?;
            self.decides_on(who, &conversation, message).await?;
            said_here(&conversation, conversation.last_seq)?;
            self.someone_answers(&conversation).await?;
            let redo = RedoReply { conversation: id.clone(), message: message.clone(), how };
            let due = self.store.redo_reply(redo).await.or_refuse()?.map_err(refusal)?;
            self.answer_anew(who, conversation, due).await
        })
        .await
    }

    /// Changes the text of what was said last, which must be what it `was` where that is told. One's own message is asked
    /// again; the reply says what it is told to, and no model is asked.
    pub async fn edit_message(
        &self,
        who: &Member,
        id: &ConversationId,
        message: &MessageId,
        text: &str,
        was: Option<&str>,
    ) -> RevisionReport {
        let refused = |refusal| RevisionReport { verdict: None, outcome: Err(refusal) };
        let (conversation, role) = match self.author_of(who, id, message).await {
            Ok(found) => found,
            Err(refusal) => return refused(refusal),
        };
        match role {
            Author::User => self.ask_again(who, conversation, message, text, was).await,
            Author::Character => {
                let outcome = self.revise_reply(who, conversation, message, text, was).await;
                RevisionReport { verdict: None, outcome }
            }
        }
    }

    async fn author_of(
        &self,
        who: &Member,
        id: &ConversationId,
        message: &MessageId,
    ) -> Result<(Conversation, Author), Refusal> {
        let conversation = self.entered(who, id).await?;
        let found = self.store.message(&conversation, message).await.or_refuse()?;
        let found = found.ok_or_else(|| refusal(Unfit::NotFound))?;
        Ok((conversation, found.role))
    }

    /// Asks again in other words: the last message, one's own, has another text, and its reply another variant, for which the
    /// oldest one makes room that is not chosen.
    async fn ask_again(
        &self,
        who: &Member,
        conversation: Conversation,
        message: &MessageId,
        text: &str,
        was: Option<&str>,
    ) -> RevisionReport {
        self.with_limits(who, &[Rule::Messaging, Rule::Ai], async {
            check_text(text)?;
            said_here(&conversation, conversation.last_seq)?;
            self.someone_answers(&conversation).await?;
            let id = conversation.id.clone();
            let (message, by) = (message.clone(), who.user_id().clone());
            let (text, was) = (text.to_owned(), was.map(str::to_owned));
            let edit = EditMessage { conversation: id.clone(), message, by, text, was };
            let Edited { due, reply } = self.store.edit_message(edit).await.or_refuse()?.map_err(refusal)?;
            self.take_in(Change::Conversation { id: id.clone() }).await;
            if let Some(message) = reply {
                self.tell_room(&id, RoomEvent::MessageUpdated { message }).await;
            }
            self.answer_anew(who, conversation, due).await
        })
        .await
    }

    /// Puts the chosen variant of the last reply in other words, which the model reads from now on.
    async fn revise_reply(
        &self,
        who: &Member,
        conversation: Conversation,
        reply: &MessageId,
        text: &str,
        was: Option<&str>,
    ) -> Result<Message, Refusal> {
        check_text(text)?;
        self.decides_on(who, &conversation, reply).await?;
        // The mood is that of the new words; who was deleted has none.
        let character = self.any_character(&conversation.character_id).await?;
        let personality = character.map(|character| personality::analyse(&character, text));
        let (conversation, reply) = (conversation.id, reply.clone());
        let (text, was) = (text.to_owned(), was.map(str::to_owned));
        let revise = ReviseReply { conversation, reply, text, was, personality };
        let message = self.store.revise_reply(revise).await.or_refuse()?.map_err(refusal)?;
        self.tell_changed(&message).await;
        Ok(message)
    }

    /// Shows another variant of the last reply, counted from 0. It is what the model reads from now on.
    pub async fn select_variant(
        &self,
        who: &Member,
        id: &ConversationId,
        reply: &MessageId,
        selected: u32,
    ) -> Result<Message, Refusal> {
        let conversation = self.entered(who, id).await?;
        self.decides_on(who, &conversation, reply).await?;
        let chosen = self.store.select_variant(&conversation, reply, selected).await.or_refuse()?;
        let message = match chosen {
            Err(Unfit::NotFound) if self.store.message(&conversation, reply).await.or_refuse()?.is_some() => {
                let mut checks = Checks::default();
                checks.require(false, "selected", "must be one of the reply's variants, counted from 0");
                checks.finish()?;
                return Err(refusal(Unfit::NotFound));
            }
            chosen => chosen.map_err(refusal)?,
        };
        self.tell_changed(&message).await;
        Ok(message)
    }

    /// A reply says something else than before, by now.
    async fn tell_changed(&self, reply: &Message) {
        let id = &reply.conversation_id;
        self.take_in(Change::Conversation { id: id.clone() }).await;
        self.tell_room(id, RoomEvent::MessageUpdated { message: reply.clone() }).await;
        self.tell_said(reply.clone()).await;
    }

    /// As a send: what nobody is there to answer is not made due.
    pub(crate) async fn someone_answers(&self, conversation: &Conversation) -> Result<(), Refusal> {
        let character = self.any_character(&conversation.character_id).await?;
        character.map(drop).ok_or_else(|| Refusal::not_found("character"))
    }

    pub(crate) async fn with_limits<T>(
        &self,
        who: &Member,
        rules: &[Rule],
        act: impl Future<Output = Result<T, Refusal>>,
    ) -> RevisionReport<T> {
        let asks: Vec<_> = rules.iter().map(|rule| self.user_ask(*rule, who)).collect();
        let verdict = match self.admit(&asks).await {
            Ok(verdict) => verdict,
            Err(refusal) => return RevisionReport { verdict: None, outcome: Err(refusal) },
        };
        let outcome = match gate::refusal(&verdict) {
            Some(refusal) => Err(refusal),
            None => act.await,
        };
        RevisionReport { verdict: Some(verdict), outcome }
    }

    /// Tells the room that the message is due again, and puts it in line.
    async fn answer_anew(
        &self,
        who: &Member,
        conversation: Conversation,
        (message, attempt): DueAgain,
    ) -> Result<Message, Refusal> {
        let id = conversation.id;
        self.tell_room(&id, RoomEvent::MessageUpdated { message: message.clone() }).await;
        let turn = Turn {
            conversation: id,
            character: conversation.character_id,
            message: message.id.clone(),
            attempt,
            premium: who.is_premium(),
        };
        self.enter_turn(turn).await;
        Ok(message)
    }
}

/// Only what was said here was counted when it was sent; what was taken in is answered anew by no model.
pub(crate) fn said_here(conversation: &Conversation, seq: u64) -> Result<(), Refusal> {
    if conversation.imported_seq.is_some_and(|last| seq <= last) {
        return Err(Refusal::conflict("This was said elsewhere and taken in. Say something here first."));
    }
    Ok(())
}

fn check_text(text: &str) -> Result<(), Refusal> {
    let mut checks = Checks::default();
    checks.storable("text", text);
    checks.require(text.chars().count() <= MAX_TEXT, "text", "must have at most 8000 characters");
    checks.require(!text.trim().is_empty(), "text", "must not be empty");
    checks.finish()
}

fn refusal(unfit: Unfit) -> Refusal {
    match unfit {
        Unfit::NotFound => Refusal::not_found("message"),
        Unfit::Busy => Refusal::conflict("A message here waits for its reply. Wait for it, or stop it first."),
        Unfit::NotLast => Refusal::conflict("Only what was said last can be changed."),
        Unfit::Unanswered => Refusal::conflict("This is no reply to a message, or has none."),
        Unfit::Full => {
            Refusal::conflict(format!("A reply has at most {MAX_VARIANTS} variants, and is not continued without end."))
        }
        Unfit::NotTheirs => Refusal::conflict("Only a text message of your own can be changed."),
        Unfit::Changed => {
            Refusal::conflict("This was changed meanwhile. Look at what it says now, then change it again.")
        }
    }
}
