//! Changing what was said last: variants of a reply, going on, asking in other words.

use crate::world::{Person, Server, World, code, eventually, until};
use aim_domain::{
    CharacterDraft, Code, ConversationId, LoreEntry, Lorebook, Message, MessageId, Refusal, ReplyState, RoomEvent,
    Variants,
};
use aim_store::{MAX_VARIANTS, Redo};
use aim_testkit::model_stub::Behaviour;
use std::time::Duration;

async fn redo(
    server: &Server,
    person: &Person,
    talk: &ConversationId,
    of: &MessageId,
    how: Redo,
) -> Result<Message, Refusal> {
    server.platform.redo_reply(&person.who, talk, of, how).await.outcome
}

/// What the model says from here on, whatever it is asked.
fn says(world: &World, text: &str) {
    world.model.set(|behaviour| (behaviour.opening, behaviour.pieces) = (false, vec![text.into()]));
}

async fn answered(server: &Server, person: &Person, talk: &ConversationId, text: &str) -> (Message, Message) {
    let asked = server.send(person, talk, text).await;
    server.until(person, &asked, ReplyState::Done).await;
    server.quiet().await;
    let reply = server.replies_to(person, &asked).await.remove(0);
    (asked, reply)
}

#[tokio::test]
async fn a_reply_is_answered_anew_in_its_place_and_the_room_hears_it() {
    let world = World::new().await;
    let server = world.server().await;
    let (ann, mara) = (server.person("ann").await, server.character("Mara").await);
    let talk = server.talk(&ann, &mara).await;
    let (asked, reply) = answered(&server, &ann, &talk, "Is the storm near? lg#1-1").await;
    let before = server.heard.all().len();
    let due = redo(&server, &ann, &talk, &reply.id, Redo::Variant).await.unwrap();
    assert_eq!((&due.id, due.reply_state), (&asked.id, Some(ReplyState::Due)));
    server.until(&ann, &asked, ReplyState::Done).await;
    server.quiet().await;

    let heard = server.heard.all().split_off(before);
    let mut names: Vec<_> =
        heard.iter().map(RoomEvent::name).filter(|name| !matches!(*name, "typing" | "conversation:state")).collect();
    names.dedup();
    assert_eq!(names, ["message:updated", "reply:start", "reply:delta", "message:updated"]);
    let start = heard.iter().find_map(|event| match event {
        RoomEvent::ReplyStart { message_id, in_reply_to, .. } => Some((message_id.clone(), in_reply_to.clone())),
        _ => None,
    });
    assert_eq!(start, Some((reply.id.clone(), asked.id.clone())), "it streams as the reply that it is to be");
    let anew = server.message(&ann, &reply).await;
    assert_eq!((anew.seq, anew.variants), (reply.seq, Some(Variants { count: 2, selected: 1 })));
    assert_eq!(server.heard.streamed(), anew.text);
    // The model was asked the same, without the reply that is replaced.
    let calls = world.model.asked();
    assert_eq!(calls[0].messages, calls[1].messages);
    assert_eq!(server.messages(&ann, &talk).await.len(), 3);
}

#[tokio::test]
async fn the_chosen_variant_is_what_the_model_reads() {
    let world = World::new().await;
    let server = world.server().await;
    let (ann, mara) = (server.person("ann").await, server.character("Mara").await);
    let talk = server.talk(&ann, &mara).await;
    let (asked, reply) = answered(&server, &ann, &talk, "First lg#1-1").await;
    says(&world, "Quite another thing.");
    redo(&server, &ann, &talk, &asked.id, Redo::Variant).await.unwrap();
    server.until(&ann, &asked, ReplyState::Done).await;
    server.quiet().await;
    server.platform.select_variant(&ann.who, &talk, &reply.id, 0).await.unwrap();
    server.platform.select_variant(&ann.who, &talk, &reply.id, 1).await.unwrap();
    let chosen = server.platform.select_variant(&ann.who, &talk, &reply.id, 0).await.unwrap();
    assert_eq!(
        (chosen.text.as_str(), chosen.variants),
        (reply.text.as_str(), Some(Variants { count: 2, selected: 0 }))
    );
    assert_eq!(code(server.platform.select_variant(&ann.who, &talk, &reply.id, 2).await), Code::Validation);
    answered(&server, &ann, &talk, "Next").await;
    let given = world.model.asked().pop().unwrap().messages;
    let said = |text: &str| given.iter().any(|message| message.content.contains(text));
    assert!(said(&reply.text) && !said("Quite another"), "{given:?}");
    // Something was said in its light by now.
    assert_eq!(code(server.platform.select_variant(&ann.who, &talk, &reply.id, 1).await), Code::Conflict);
    assert_eq!(code(redo(&server, &ann, &talk, &reply.id, Redo::Variant).await), Code::Conflict);
}

#[tokio::test]
async fn an_answer_anew_that_is_stopped_is_a_variant_with_the_text_so_far_or_none() {
    let world = World::with(Behaviour { delay: Duration::from_millis(100), ..Default::default() }).await;
    let server = world.server().await;
    let (ann, mara) = (server.person("ann").await, server.character("Mara").await);
    let talk = server.talk(&ann, &mara).await;
    let (asked, reply) = answered(&server, &ann, &talk, "Tell me all").await;
    let deltas = server.heard.count("reply:delta");
    redo(&server, &ann, &talk, &reply.id, Redo::Variant).await.unwrap();
    until("something is said", || server.heard.count("reply:delta") > deltas + 1).await;
    server.platform.cancel(&ann.who, &talk).await.unwrap();
    server.until(&ann, &asked, ReplyState::Done).await;
    server.quiet().await;
    let stopped = server.message(&ann, &reply).await;
    assert_eq!(stopped.variants, Some(Variants { count: 2, selected: 1 }));
    assert!(stopped.text.len() < reply.text.len() && reply.text.starts_with(&stopped.text), "{}", stopped.text);

    world.model.set(|behaviour| behaviour.first_delay = Duration::from_secs(30));
    redo(&server, &ann, &talk, &reply.id, Redo::Variant).await.unwrap();
    until("the model is asked", || world.model.under_way() == 1).await;
    server.platform.cancel(&ann.who, &talk).await.unwrap();
    server.until(&ann, &asked, ReplyState::Done).await;
    server.quiet().await;
    assert_eq!(server.message(&ann, &reply).await, stopped);
}

#[tokio::test]
async fn an_answer_anew_that_fails_leaves_the_reply() {
    let world = World::new().await;
    let server = world.server().await;
    let (ann, mara) = (server.person("ann").await, server.character("Mara").await);
    let talk = server.talk(&ann, &mara).await;
    let (asked, reply) = answered(&server, &ann, &talk, "Tell me all").await;
    world.model.refuse_next(1, 400);
    redo(&server, &ann, &talk, &reply.id, Redo::Variant).await.unwrap();
    until("it fails", || server.heard.count("reply:error") == 1).await;
    server.until(&ann, &asked, ReplyState::Done).await;
    assert_eq!(server.message(&ann, &reply).await, reply);
}

#[tokio::test]
async fn a_reply_goes_on_and_its_deltas_add_up_to_all_of_it() {
    let world = World::new().await;
    let server = world.server().await;
    let (ann, mara) = (server.person("ann").await, server.character("Mara").await);
    let talk = server.talk(&ann, &mara).await;
    let (asked, reply) = answered(&server, &ann, &talk, "Tell me all").await;
    says(&world, "And one thing more.");
    redo(&server, &ann, &talk, &reply.id, Redo::Continue).await.unwrap();
    server.until(&ann, &asked, ReplyState::Done).await;
    server.quiet().await;
    let longer = server.message(&ann, &reply).await;
    assert_eq!((longer.text.as_str(), longer.variants), (format!("{} And one thing more.", reply.text).as_str(), None));
    assert_eq!(server.heard.streamed(), longer.text);
    let given = world.model.asked().pop().unwrap().messages;
    let [.., question, so_far, nudge] = given.as_slice() else { panic!("{given:?}") };
    assert_eq!((question.content.as_str(), so_far.content.as_str()), ("Tell me all", reply.text.as_str()));
    assert!(nudge.content.contains("Continue"), "{}", nudge.content);
}

#[tokio::test]
async fn what_tells_a_reply_to_go_on_is_no_key_of_a_lore_book() {
    let world = World::new().await;
    let server = world.server().await;
    let ann = server.person("ann").await;
    let entry = |key: &str| LoreEntry { keys: vec![key.into()], content: format!("Of {key}."), ..Default::default() };
    let entries = vec![entry("tide"), entry("repeating")];
    let lorebook = Some(Lorebook { entries, ..Default::default() });
    let draft = CharacterDraft { name: "Mara".into(), lorebook, ..Default::default() };
    let mara = server.platform.create_character(&ann.who, draft).await.unwrap();
    let talk = server.talk(&ann, &mara).await;
    let (asked, reply) = answered(&server, &ann, &talk, "When is the tide?").await;
    redo(&server, &ann, &talk, &reply.id, Redo::Continue).await.unwrap();
    server.until(&ann, &asked, ReplyState::Done).await;
    let given = world.model.asked().pop().unwrap().messages;
    assert!(given.last().unwrap().content.contains("repeating"), "{given:?}");
    assert!(given[0].content.contains("Of tide.") && !given[0].content.contains("Of repeating."), "{given:?}");
}

#[tokio::test]
async fn a_message_is_asked_again_in_other_words() {
    let world = World::new().await;
    let server = world.server().await;
    let (ann, ben, mara) = (server.person("ann").await, server.person("ben").await, server.character("Mara").await);
    let talk = server.talk(&ann, &mara).await;
    let (asked, reply) = answered(&server, &ann, &talk, "First lg#1-1").await;
    let edit = |who, text: &'static str| server.platform.edit_message(who, &talk, &asked.id, text, None);
    assert_eq!(code(edit(&ben.who, "No").await.outcome), Code::NotFound);
    assert_eq!(code(edit(&ann.who, "  ").await.outcome), Code::Validation);
    let due = edit(&ann.who, "Other words lg#2-2").await.outcome.unwrap();
    assert_eq!((&due.id, due.seq, due.text.as_str()), (&asked.id, asked.seq, "Other words lg#2-2"));
    server.until(&ann, &asked, ReplyState::Done).await;
    server.quiet().await;
    let anew = server.message(&ann, &reply).await;
    assert!(anew.text.contains("lg#2-2") && anew.variants == Some(Variants { count: 2, selected: 1 }), "{anew:?}");
    assert_eq!(server.messages(&ann, &talk).await.len(), 3);
}

#[tokio::test]
async fn an_edit_of_what_has_twenty_variants_makes_room_and_the_room_hears_it() {
    let world = World::new().await;
    let server = world.server().await;
    let (ann, mara) = (server.person("ann").await, server.character("Mara").await);
    let talk = server.talk(&ann, &mara).await;
    let (asked, reply) = answered(&server, &ann, &talk, "First lg#1-1").await;
    for _ in 1..MAX_VARIANTS {
        redo(&server, &ann, &talk, &reply.id, Redo::Variant).await.unwrap();
        server.until(&ann, &asked, ReplyState::Done).await;
        server.quiet().await;
    }
    let before = server.heard.all().len();
    let edited = server.platform.edit_message(&ann.who, &talk, &asked.id, "Other words", None).await.outcome;
    assert_eq!(edited.unwrap().reply_state, Some(ReplyState::Due));
    let heard = server.heard.all().split_off(before);
    let [RoomEvent::MessageUpdated { message: left }, RoomEvent::MessageUpdated { message: due }, ..] = &heard[..]
    else {
        panic!("{heard:?}")
    };
    assert_eq!((&left.id, left.variants.map(|all| all.count)), (&reply.id, Some(MAX_VARIANTS - 1)));
    assert_eq!(due.text, "Other words");
    server.until(&ann, &asked, ReplyState::Done).await;
    server.quiet().await;
    assert_eq!(server.message(&ann, &reply).await.variants.map(|all| all.count), Some(MAX_VARIANTS));
}

#[tokio::test]
async fn a_reply_is_put_in_other_words_and_the_model_reads_them() {
    let world = World::new().await;
    let server = world.server().await;
    let (ann, ben, mara) = (server.person("ann").await, server.person("ben").await, server.character("Mara").await);
    let talk = server.talk(&ann, &mara).await;
    let (asked, reply) = answered(&server, &ann, &talk, "First lg#1-1").await;
    let edit = |who, of: &MessageId, text: &str| {
        let (server, talk, of, text) = (&server, &talk, of.clone(), text.to_owned());
        async move { server.platform.edit_message(who, talk, &of, &text, None).await }
    };
    assert_eq!(code(edit(&ben.who, &reply.id, "No").await.outcome), Code::NotFound);
    assert_eq!(code(edit(&ann.who, &reply.id, " ").await.outcome), Code::Validation);
    assert_eq!(code(edit(&ann.who, &reply.id, &"x".repeat(8_001)).await.outcome), Code::Validation);
    let (before, calls) = (server.heard.all().len(), world.model.asked().len());
    let report = edit(&ann.who, &reply.id, "I am so happy, I love this!").await;
    assert!(report.verdict.is_none(), "nothing is asked of a model");
    let revised = report.outcome.unwrap();
    assert_eq!((&revised.id, revised.seq, &revised.variants), (&reply.id, reply.seq, &None));
    assert_ne!(revised.personality, reply.personality, "the mood is that of the new words");
    assert_eq!(server.message(&ann, &reply).await, revised);
    assert_eq!(server.message(&ann, &asked).await.reply_state, Some(ReplyState::Done));
    let heard = server.heard.all().split_off(before);
    assert_eq!(heard, [RoomEvent::MessageUpdated { message: revised }]);
    assert_eq!(world.model.asked().len(), calls);
    answered(&server, &ann, &talk, "Next").await;
    let given = world.model.asked().pop().unwrap().messages;
    let said = |text: &str| given.iter().any(|message| message.content.contains(text));
    assert!(said("I am so happy") && !said(&reply.text), "{given:?}");
    assert_eq!(code(edit(&ann.who, &reply.id, "Late").await.outcome), Code::Conflict);
}

#[tokio::test]
async fn what_was_changed_meanwhile_is_not_written_over() {
    let world = World::new().await;
    let server = world.server().await;
    let (ann, mara) = (server.person("ann").await, server.character("Mara").await);
    let talk = server.talk(&ann, &mara).await;
    let (asked, reply) = answered(&server, &ann, &talk, "First lg#1-1").await;
    let edit = async |of: &MessageId, text: &str, was: &str| {
        server.platform.edit_message(&ann.who, &talk, of, text, Some(was)).await.outcome
    };
    assert_eq!(edit(&reply.id, "one", &reply.text).await.unwrap().text, "one");
    assert_eq!(code(edit(&reply.id, "two", &reply.text).await), Code::Conflict);
    assert_eq!(server.message(&ann, &reply).await.text, "one");
    assert_eq!(code(edit(&asked.id, "Other words", "Never said").await), Code::Conflict);
    assert_eq!(server.message(&ann, &asked).await.text, asked.text);
    assert_eq!(edit(&asked.id, "Other words", &asked.text).await.unwrap().text, "Other words");
}

#[tokio::test]
async fn nothing_is_asked_of_a_character_that_was_deleted() {
    let world = World::new().await;
    let server = world.server().await;
    let (ann, mara) = (server.person("ann").await, server.character("Mara").await);
    let (talk, other) = (server.talk(&ann, &mara).await, server.talk_anew(&ann, &mara).await);
    let (asked, reply) = answered(&server, &ann, &talk, "First lg#1-1").await;
    world.model.refuse_next(1, 400);
    let failed = server.send(&ann, &other, "Second lg#2-2").await;
    server.until(&ann, &failed, ReplyState::Failed).await;
    server.quiet().await;
    assert!(server.platform.store.delete_character(&mara.id).await.unwrap());
    eventually("it is taken in", || async { server.platform.character(&ann.who, &mara.id).await.is_err() }).await;
    let (before, calls) = (server.heard.all().len(), world.model.asked().len());
    for of in [&asked.id, &reply.id] {
        for how in [Redo::Variant, Redo::Continue] {
            assert_eq!(code(redo(&server, &ann, &talk, of, how).await), Code::NotFound);
        }
    }
    let edited = server.platform.edit_message(&ann.who, &talk, &asked.id, "Other words", None).await.outcome;
    assert_eq!(code(edited), Code::NotFound);
    assert_eq!(code(server.platform.retry(&ann.who, &other, &failed.id).await), Code::NotFound);
    server.quiet().await;
    assert_eq!(server.message(&ann, &asked).await.text, asked.text);
    assert_eq!(server.message(&ann, &asked).await.reply_state, Some(ReplyState::Done));
    assert_eq!(server.message(&ann, &failed).await.reply_state, Some(ReplyState::Failed));
    assert_eq!((server.heard.all().len(), world.model.asked().len()), (before, calls));
    // What was said is one's own to choose and to change as long as nobody has to answer.
    let revised = server.platform.edit_message(&ann.who, &talk, &reply.id, "In my words", None).await.outcome;
    assert_eq!(revised.unwrap().text, "In my words");
}
