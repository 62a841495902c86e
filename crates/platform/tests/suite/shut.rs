//! Characters that are shut to new people, and who goes on with them; and what becomes of what somebody waits for who leaves.

use crate::world::{PASSWORD, Person, Server, World, code, until};
use aim_domain::{Character, CharacterDraft, Code, ReplyState, RoomEvent, Visibility};
use aim_platform::Device;
use aim_testkit::model_stub::Behaviour;
use std::time::Duration;

async fn public(server: &Server, owner: &Person, name: &str) -> Character {
    let draft = CharacterDraft { name: name.into(), visibility: Visibility::Public, ..Default::default() };
    server.platform.create_character(&owner.who, draft).await.unwrap()
}

#[tokio::test]
async fn whoever_talks_with_an_unlisted_character_begins_and_branches_off_as_before() {
    let world = World::new().await;
    let server = world.server().await;
    let (ann, bob, eve) = (server.person("ann").await, server.person("bob").await, server.person("eve").await);
    let platform = &server.platform;
    let mara = public(&server, &ann, "Mara").await;
    let talk = server.talk(&bob, &mara).await;
    platform.add_member(&bob.who, &talk, eve.who.user_id()).await.unwrap();
    let asked = server.send(&bob, &talk, "Good evening").await;
    server.until(&bob, &asked, ReplyState::Done).await;
    platform.set_unlisted(None, &mara.id, true, "a copy").await.unwrap();

    assert!(platform.branch_conversation(&bob.who, &talk, &asked.id).await.outcome.is_ok());
    assert!(platform.open_conversation_with(&bob.who, &mara.id, 0, true).await.unwrap().1);
    // A guest has none of their own with it.
    assert_eq!(code(platform.branch_conversation(&eve.who, &talk, &asked.id).await.outcome), Code::Forbidden);
    assert_eq!(code(platform.open_conversation_with(&eve.who, &mara.id, 0, true).await), Code::Forbidden);
}

#[tokio::test]
async fn characters_of_a_closed_account_take_no_new_conversations_until_it_is_had_back() {
    let world = World::new().await;
    let server = world.server().await;
    let (ann, bob, eve) = (server.person("ann").await, server.person("bob").await, server.person("eve").await);
    let platform = &server.platform;
    let mara = public(&server, &ann, "Mara").await;
    let talk = server.talk(&bob, &mara).await;
    platform.character(&eve.who, &mara.id).await.unwrap();
    platform.close_account(&ann.who).await.unwrap();

    assert_eq!(code(platform.character(&eve.who, &mara.id).await), Code::NotFound);
    assert_eq!(code(platform.open_conversation(&eve.who, &mara.id).await), Code::NotFound);
    let asked = server.send(&bob, &talk, "Are you still there?").await;
    server.until(&bob, &asked, ReplyState::Done).await;
    assert!(platform.open_conversation_with(&bob.who, &mara.id, 0, true).await.unwrap().1, "who talks with it goes on");

    let device = Device { name: "test".into(), address: "home".into() };
    platform.login("ann", PASSWORD, true, &device).await.outcome.unwrap();
    assert!(platform.open_conversation(&eve.who, &mara.id).await.unwrap().1);
}

#[tokio::test]
async fn whoever_closes_their_account_is_answered_no_more() {
    let world = World::with(Behaviour { delay: Duration::from_millis(150), ..Default::default() }).await;
    let server = world.server().await;
    let (ann, bob, mara) = (server.person("ann").await, server.person("bob").await, server.character("Mara").await);
    let talk = server.talk(&ann, &mara).await;
    server.platform.add_member(&ann.who, &talk, bob.who.user_id()).await.unwrap();
    let first = server.send(&bob, &talk, "Tell me all").await;
    let waits = server.send(&bob, &talk, "And more").await;
    let others = server.send(&ann, &talk, "And me").await;
    until("something is said", || server.heard.count("reply:delta") > 1).await;
    server.platform.close_account(&bob.who).await.unwrap();
    until("the model is left alone", || world.model.cancelled() == 1).await;
    server.until(&ann, &others, ReplyState::Done).await;
    server.quiet().await;
    let begun = server.replies_to(&ann, &first).await;
    assert!(!begun[0].text.contains("indeed"), "{}", begun[0].text);
    assert_eq!(server.message(&ann, &waits).await.reply_state, Some(ReplyState::Cancelled));
    let told = server.heard.all().into_iter().any(|event| {
        matches!(event, RoomEvent::MessageUpdated { message } if message.id == waits.id
            && message.reply_state == Some(ReplyState::Cancelled))
    });
    assert!(told, "the room hears of it");
}
