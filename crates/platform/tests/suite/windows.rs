//! The cached window: a model is given what a fresh read of the store says, whatever happened before.

use crate::world::{Person, Server, World, settings, until};
use aim_ai::lore::Lore;
use aim_ai::macros::Macros;
use aim_ai::people::{self, People};
use aim_ai::prompt::{self, HistoryTurn};
use aim_ai::{LanguageModel, Role};
use aim_domain::{Ambient, Author, Character, ConversationId, Message, ReplyState, SeededRandom, Speaker, SystemClock};
use aim_platform::ProfilePatch;
use aim_store::Claim;
use aim_testkit::model_stub::AskedMessage;
use std::sync::Arc;
use std::time::Duration;

/// What the model must be given for this message, by what the store says now.
async fn expected(
    world: &World,
    server: &Server,
    person: &Person,
    character: &Character,
    asked: &Message,
) -> Vec<AskedMessage> {
    let me = server.platform.me(&person.who).await.unwrap().display_name;
    let claim = Claim {
        conversation: asked.conversation_id.clone(),
        character: character.id.clone(),
        message: asked.clone(),
        sender: Speaker { user: asked.sender_id.parse().unwrap(), display_name: me.clone(), persona: None },
        attempt: 1,
        fence: 0,
        last_seq: 0,
        redo: None,
    };
    let read = server.platform.store.context(&claim, 100).await.unwrap();
    let turn = |author, text: String| {
        let speaker = (author == Author::User).then(|| me.as_str().into());
        HistoryTurn { author, text: text.into(), speaker }
    };
    let mut history: Vec<_> = read.into_iter().map(|(author, message)| turn(author, message.text)).collect();
    history.push(turn(Author::User, asked.text.clone()));
    let random = SeededRandom::new(1);
    let picks = asked.conversation_id.as_str();
    let macros = Macros { character: character.called(), user: &me, persona: "", random: &*random, picks };
    let (id, name) = (asked.sender_id.as_str().into(), me.as_str().into());
    let people = People::alone(character.called(), people::Person { id, name, about: "".into(), present: true });
    let (compiled, lore) = (prompt::compile(character), Lore::default());
    let turns = prompt::assemble(&compiled, &macros, &lore, &people, &history, &world.remote().budget());
    let role = |role| match role {
        Role::System => "system",
        Role::User => "user",
        Role::Character => "assistant",
    };
    turns
        .into_iter()
        .map(|turn| AskedMessage { role: role(turn.role).into(), content: turn.text, pictures: Vec::new() })
        .collect()
}

struct Story<'a> {
    world: &'a World,
    person: &'a Person,
    character: &'a Character,
    talk: &'a ConversationId,
    /// Those that may be asked again.
    open: Vec<Message>,
}

impl Story<'_> {
    async fn check(&self, server: &Server, asked: &Message, expected: &[AskedMessage]) {
        until("the model is asked", || {
            self.world.model.asked().last().is_some_and(|call| call.messages.last() == expected.last())
        })
        .await;
        let given = self.world.model.asked().pop().unwrap().messages;
        assert_eq!(given, expected, "for {:?} at seq {}", asked.text, asked.seq);
        server.quiet().await;
    }

    async fn expected(&self, server: &Server, asked: &Message) -> Vec<AskedMessage> {
        expected(self.world, server, self.person, self.character, asked).await
    }

    /// Sends, and lets it be answered, fail, or be stopped before it says anything.
    async fn send(&mut self, server: &Server, text: &str, outcome: ReplyState) {
        let model = &self.world.model;
        match outcome {
            ReplyState::Failed => model.refuse_next(1, 400),
            ReplyState::Cancelled => model.set(|behaviour| behaviour.first_delay = Duration::from_secs(30)),
            _ => {}
        }
        // Nothing else is under way: what is in the store now is what the reply is to begin with.
        let stand_in = Message { text: text.into(), ..self.any(server).await };
        let expected = self.expected(server, &stand_in).await;
        let asked = server.send(self.person, self.talk, text).await;
        if outcome == ReplyState::Cancelled {
            until("the model is asked", || model.under_way() == 1).await;
            server.platform.cancel(&self.person.who, self.talk).await.unwrap();
            model.set(|behaviour| behaviour.first_delay = Duration::ZERO);
        }
        server.until(self.person, &asked, outcome).await;
        self.check(server, &asked, &expected).await;
        if outcome != ReplyState::Done {
            self.open.push(asked);
        }
    }

    async fn retry(&mut self, server: &Server, at: usize) {
        let asked = self.open.remove(at);
        let expected = self.expected(server, &asked).await;
        server.platform.retry(&self.person.who, self.talk, &asked.id).await.unwrap();
        server.until(self.person, &asked, ReplyState::Done).await;
        self.check(server, &asked, &expected).await;
    }

    async fn any(&self, server: &Server) -> Message {
        server.messages(self.person, self.talk).await.pop().unwrap()
    }
}

async fn tell(seed: u64, steps: usize) {
    let world = World::new().await;
    let mut servers = [world.idle(settings()).await, world.idle(settings()).await];
    for server in &mut servers {
        server.work().await;
        server.keep_lease();
    }
    let (ann, mara) = (servers[0].person("ann").await, servers[0].character("Mara").await);
    let talk = servers[0].talk(&ann, &mara).await;
    let mut story = Story { world: &world, person: &ann, character: &mara, talk: &talk, open: Vec::new() };
    let dice = Ambient { clock: Arc::new(SystemClock), random: SeededRandom::new(seed) };
    let throw = |sides: usize| (dice.fraction() * sides as f64) as usize;
    for step in 0..steps {
        // Mostly the same server, whose cache is warm; now and then another one answers.
        let server = &servers[usize::from(throw(6) == 0)];
        let text = format!("lg#{seed}-{step}");
        match throw(10) {
            0 | 1 => story.send(server, &text, ReplyState::Failed).await,
            2 => story.send(server, &text, ReplyState::Cancelled).await,
            3 | 4 if !story.open.is_empty() => story.retry(server, throw(story.open.len())).await,
            _ => story.send(server, &text, ReplyState::Done).await,
        }
    }
}

#[tokio::test]
async fn the_prompt_is_that_of_a_fresh_read_after_any_sequence_of_steps() {
    for seed in 1..=3 {
        tell(seed, 40).await;
    }
}

#[tokio::test]
async fn an_exchange_that_was_retried_is_put_where_its_message_was_sent() {
    let world = World::new().await;
    let server = world.server().await;
    let (ann, mara) = (server.person("ann").await, server.character("Mara").await);
    let talk = server.talk(&ann, &mara).await;
    let mut story = Story { world: &world, person: &ann, character: &mara, talk: &talk, open: Vec::new() };
    story.send(&server, "First lg#1-1", ReplyState::Failed).await;
    story.send(&server, "Second lg#2-2", ReplyState::Done).await;
    story.retry(&server, 0).await;
    story.send(&server, "Third lg#3-3", ReplyState::Done).await;
    let given = world.model.asked().pop().unwrap().messages;
    let at = |text: &str| given.iter().position(|message| message.content.contains(text)).unwrap();
    assert!(at("First") < at("Second") && at("Second") < at("Third"));
}

#[tokio::test]
async fn a_long_conversation_keeps_the_newest_hundred() {
    let world = World::new().await;
    let server = world.server().await;
    let (ann, mara) = (server.person("ann").await, server.character("Mara").await);
    let talk = server.talk(&ann, &mara).await;
    let mut story = Story { world: &world, person: &ann, character: &mara, talk: &talk, open: Vec::new() };
    for n in 0..56 {
        let asked = server.send(&ann, &talk, &format!("lg#{n}-9")).await;
        server.until(&ann, &asked, ReplyState::Done).await;
    }
    server.quiet().await;
    story.send(&server, "And now?", ReplyState::Done).await;
}

#[tokio::test]
async fn a_changed_name_and_a_changed_character_count_from_the_next_reply() {
    let world = World::new().await;
    let server = world.server().await;
    let ann = server.person("ann").await;
    let draft = aim_domain::CharacterDraft { name: "Mara".into(), greeting: "Hm.".into(), ..Default::default() };
    let mut mara = server.platform.create_character(&ann.who, draft).await.unwrap();
    let talk = server.talk(&ann, &mara).await;
    for round in 0..2 {
        let mut story = Story { world: &world, person: &ann, character: &mara, talk: &talk, open: Vec::new() };
        story.send(&server, &format!("lg#{round}-1"), ReplyState::Done).await;
        let patch = ProfilePatch { display_name: Some("Anna".into()), ..Default::default() };
        server.platform.update_profile(&ann.who, patch).await.unwrap();
        let patch = aim_domain::CharacterPatch { scenario: Some(format!("Storm {round}")), ..Default::default() };
        mara = server.platform.update_character(&ann.who, &mara.id, patch).await.unwrap();
    }
    let mut story = Story { world: &world, person: &ann, character: &mara, talk: &talk, open: Vec::new() };
    story.send(&server, "lg#9-1", ReplyState::Done).await;
    let given = world.model.asked().pop().unwrap().messages;
    assert!(given[0].content.contains("Storm 1") && given[0].content.contains("Anna"), "{}", given[0].content);
}
