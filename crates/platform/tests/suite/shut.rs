//! Characters that are shut to new people, and who goes on with them.

use crate::world::{PASSWORD, Person, Server, World, code};
use aim_domain::{Character, CharacterDraft, Code, ReplyState, Visibility};
use aim_platform::Device;

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
