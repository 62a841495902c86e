//! Several people with one character: how they come in, what each may do, and what becomes of what they said.

use crate::world::{Person, Server, World, code, until};
use aim_domain::{
    CharacterDraft, Code, ConversationId, Message, MessageId, ReplyState, RoomEvent, RoomRole, Visibility,
};
use aim_platform::InviteForm;
use aim_store::{Redo, Stale};
use aim_testkit::model_stub::Behaviour;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// A private character of Ann's, her conversation with it, and Bob, who came in by a link.
async fn room(server: &Server) -> (Person, Person, ConversationId) {
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    let draft = CharacterDraft { name: "Mara".into(), avatar_url: Some("/media/m.webp".into()), ..Default::default() };
    let mara = server.platform.create_character(&ann.who, draft).await.unwrap();
    assert_eq!(mara.visibility, Visibility::Private);
    let talk = server.talk(&ann, &mara).await;
    let link = server.platform.create_invite(&ann.who, &talk, InviteForm::default()).await.unwrap();
    server.platform.accept_invite(&bob.who, &link.token).await.unwrap();
    (ann, bob, talk)
}

async fn answered(server: &Server, who: &Person, talk: &ConversationId, text: &str) -> (Message, Message) {
    let asked = server.send(who, talk, text).await;
    server.until(who, &asked, ReplyState::Done).await;
    server.quiet().await;
    let reply = server.replies_to(who, &asked).await.remove(0);
    (asked, reply)
}

#[tokio::test]
async fn a_link_leads_into_a_conversation_with_somebodys_private_character() {
    let world = World::new().await;
    let server = world.server().await;
    let (ann, bob, talk) = room(&server).await;
    let platform = &server.platform;
    let form = InviteForm { expires_in: Some(3_600), max_uses: Some(2) };
    let link = platform.create_invite(&ann.who, &talk, form).await.unwrap();
    assert_eq!(link.token.len(), 43, "32 bytes in base64url");
    let eve = server.person("eve").await;
    let seen = platform.preview_invite(&eve.who, &link.token).await.unwrap();
    assert_eq!((seen.character.name.as_str(), seen.character.avatar_url.as_deref()), ("Mara", Some("/media/m.webp")));
    assert_eq!((seen.invited_by.username.as_str(), seen.members, seen.is_member), ("ann", 2, false));
    assert_eq!((&seen.conversation.id, seen.conversation.title.as_str()), (&talk, "Mara"));
    assert_eq!(seen.expires_at, link.invite.expires_at);

    // In the conversation, and nowhere else.
    world.clock.advance(Duration::from_millis(1));
    let item = platform.accept_invite(&eve.who, &link.token).await.unwrap();
    assert_eq!((item.conversation.id.clone(), item.character.name.as_str()), (talk.clone(), "Mara"));
    let mara = item.conversation.character_id;
    assert_eq!(code(platform.character(&eve.who, &mara).await), Code::NotFound);
    assert_eq!(code(platform.open_conversation(&eve.who, &mara).await), Code::NotFound);
    answered(&server, &eve, &talk, "Good evening").await;

    let listed = platform.members(&eve.who, &talk).await.unwrap();
    let roles: Vec<_> = listed.iter().map(|one| (one.user.username.as_str(), one.role)).collect();
    assert_eq!(roles, [("ann", RoomRole::Owner), ("bob", RoomRole::Guest), ("eve", RoomRole::Guest)]);

    assert_eq!(code(platform.create_invite(&bob.who, &talk, form).await), Code::Forbidden);
    assert_eq!(code(platform.invites(&bob.who, &talk).await), Code::Forbidden);
    assert_eq!(code(platform.revoke_invite(&bob.who, &talk, &link.invite.id).await), Code::Forbidden);
    assert_eq!(platform.invites(&ann.who, &talk).await.unwrap().len(), 2);
    platform.revoke_invite(&ann.who, &talk, &link.invite.id).await.unwrap();
    let dan = server.person("dan").await;
    for token in [link.token.as_str(), "unknown", "", &"x".repeat(10_000)] {
        assert_eq!(code(platform.preview_invite(&dan.who, token).await), Code::NotFound);
        assert_eq!(code(platform.accept_invite(&dan.who, token).await), Code::NotFound);
    }
    for (expires_in, max_uses) in [(Some(3_599), None), (Some(2_592_001), None), (None, Some(0)), (None, Some(101))] {
        let form = InviteForm { expires_in, max_uses };
        assert_eq!(code(platform.create_invite(&ann.who, &talk, form).await), Code::Validation);
    }
    assert_eq!(code(platform.create_invite(&dan.who, &talk, form).await), Code::NotFound);
}

#[tokio::test]
async fn links_that_are_over_are_cleaned_up() {
    let world = World::new().await;
    let server = world.idle(crate::world::settings()).await;
    let (ann, _, talk) = room(&server).await;
    let platform = &server.platform;
    assert_eq!(platform.invites(&ann.who, &talk).await.unwrap().len(), 1);
    world.clock.advance(7 * DAY + Duration::from_secs(1));
    assert_eq!(platform.invites(&ann.who, &talk).await.unwrap().len(), 0);
    assert_eq!(platform.store.count_stale(Stale::Invites, Duration::ZERO).await.unwrap(), 1);
    let cleaned = platform.clean_up(false).await.unwrap();
    assert_eq!(cleaned.iter().find(|one| one.what == "invites").unwrap().count, Some(1));
}

#[tokio::test]
async fn a_reply_is_the_business_of_who_asked_and_of_the_owner() {
    let world = World::new().await;
    let server = world.server().await;
    let (ann, bob, talk) = room(&server).await;
    let eve = server.person("eve").await;
    let platform = &server.platform;
    platform.add_member(&ann.who, &talk, eve.who.user_id()).await.unwrap();
    let (asked, reply) = answered(&server, &bob, &talk, "Is the storm near?").await;
    let redo = async |who: &Person, of: &MessageId, how| platform.redo_reply(&who.who, &talk, of, how).await.outcome;

    for of in [&asked.id, &reply.id] {
        assert_eq!(code(redo(&eve, of, Redo::Variant).await), Code::Forbidden);
        assert_eq!(code(redo(&eve, of, Redo::Continue).await), Code::Forbidden);
        assert_eq!(code(platform.retry(&eve.who, &talk, of).await), Code::Forbidden);
    }
    assert_eq!(code(platform.select_variant(&eve.who, &talk, &reply.id, 0).await), Code::Forbidden);
    for who in [&bob, &ann] {
        redo(who, &reply.id, Redo::Variant).await.unwrap();
        server.until(&ann, &asked, ReplyState::Done).await;
        server.quiet().await;
        platform.select_variant(&who.who, &talk, &reply.id, 0).await.unwrap();
    }
    assert_eq!(code(redo(&eve, &MessageId::trusted("none"), Redo::Variant).await), Code::NotFound);

    // The owner's word does not go so far as to change what others say.
    for who in [&ann, &eve] {
        let edited = platform.edit_message(&who.who, &talk, &asked.id, "No storm", None).await.outcome;
        assert_eq!(code(edited), Code::Conflict);
    }
    for rename in [&bob, &eve] {
        assert_eq!(code(platform.rename_conversation(&rename.who, &talk, "Mine").await), Code::Forbidden);
        assert_eq!(code(platform.delete_conversation(&rename.who, &talk).await), Code::Forbidden);
        assert_eq!(code(platform.add_member(&rename.who, &talk, eve.who.user_id()).await), Code::Forbidden);
        assert_eq!(code(platform.remove_member(&rename.who, &talk, ann.who.user_id()).await), Code::Forbidden);
    }
    assert_eq!(code(platform.remove_member(&bob.who, &talk, eve.who.user_id()).await), Code::Forbidden);
    assert_eq!(code(platform.remove_member(&ann.who, &talk, ann.who.user_id()).await), Code::Conflict);
}

#[tokio::test]
async fn a_guest_stops_replies_to_their_own_messages_alone() {
    let world = World::with(Behaviour { delay: Duration::from_millis(150), ..Default::default() }).await;
    let server = world.server().await;
    let (ann, bob, talk) = room(&server).await;
    let platform = &server.platform;
    let anns = server.send(&ann, &talk, "Tell me all").await;
    let bobs = server.send(&bob, &talk, "Me too").await;
    until("something is said", || server.heard.count("reply:delta") > 1).await;
    platform.cancel(&bob.who, &talk).await.unwrap();
    server.until(&ann, &bobs, ReplyState::Cancelled).await;
    server.until(&ann, &anns, ReplyState::Done).await;
    server.quiet().await;
    let replies = server.replies_to(&ann, &anns).await;
    assert!(replies[0].text.contains("indeed"), "it was said to its end: {}", replies[0].text);

    let again = platform.retry(&bob.who, &talk, &bobs.id).await.unwrap();
    assert_eq!(again.reply_state, Some(ReplyState::Due));
    let deltas = server.heard.count("reply:delta");
    until("something is said", || server.heard.count("reply:delta") > deltas + 1).await;
    platform.cancel(&bob.who, &talk).await.unwrap();
    until("the model is left alone", || world.model.cancelled() == 1).await;
    server.until(&ann, &bobs, ReplyState::Done).await;
}

#[tokio::test]
async fn what_somebody_said_who_left_stays_and_is_answered() {
    let world = World::with(Behaviour { delay: Duration::from_millis(50), ..Default::default() }).await;
    let server = world.server().await;
    let (ann, bob, talk) = room(&server).await;
    let platform = &server.platform;
    let first = server.send(&ann, &talk, "Tell me all").await;
    let waits = server.send(&bob, &talk, "And of the parrot").await;
    until("something is said", || server.heard.count("reply:delta") > 0).await;
    platform.remove_member(&bob.who, &talk, bob.who.user_id()).await.unwrap();

    assert_eq!(code(platform.conversation(&bob.who, &talk).await), Code::NotFound);
    assert_eq!(code(platform.members(&bob.who, &talk).await), Code::NotFound);
    assert_eq!(code(platform.cancel(&bob.who, &talk).await), Code::NotFound);
    assert_eq!(code(platform.retry(&bob.who, &talk, &waits.id).await), Code::NotFound);
    assert_eq!(code(server.try_send(&bob, &talk, "Still here?").await), Code::NotFound);
    for asked in [&first, &waits] {
        server.until(&ann, asked, ReplyState::Done).await;
    }
    server.quiet().await;
    assert_eq!(server.replies_to(&ann, &waits).await.len(), 1);
    assert_eq!(server.message(&ann, &waits).await.sender_id, bob.who.user_id().as_str());
}

#[tokio::test]
async fn a_room_hears_who_comes_and_goes_and_how_it_is_called() {
    let world = World::new().await;
    let server = world.server().await;
    let (ann, bob, talk) = room(&server).await;
    let platform = &server.platform;
    platform.rename_conversation(&ann.who, &talk, "At night").await.unwrap();
    platform.remove_member(&ann.who, &talk, bob.who.user_id()).await.unwrap();
    platform.add_member(&ann.who, &talk, bob.who.user_id()).await.unwrap();
    let told: Vec<_> = server
        .heard
        .all()
        .into_iter()
        .filter_map(|event| match event {
            RoomEvent::Updated { conversation } => Some((conversation.title, conversation.member_ids.len())),
            _ => None,
        })
        .collect();
    let told: Vec<_> = told.iter().map(|(title, members)| (title.as_str(), *members)).collect();
    assert_eq!(told, [("Mara", 2), ("At night", 2), ("At night", 1), ("At night", 2)]);
    let now = platform.conversation(&bob.who, &talk).await.unwrap().conversation;
    let last = server.heard.all().into_iter().rev().find_map(|event| match event {
        RoomEvent::Updated { conversation } => Some(conversation),
        _ => None,
    });
    assert_eq!(last, Some(now), "as a fresh look");
}

#[tokio::test]
async fn a_title_is_one_line() {
    let world = World::new().await;
    let server = world.idle(crate::world::settings()).await;
    let (ann, _, talk) = room(&server).await;
    let rename = async |title: &str| server.platform.rename_conversation(&ann.who, &talk, title).await;
    for bad in ["At\nnight", "At\u{2028}night", "At\tnight", " \n ", &"x".repeat(101)] {
        assert_eq!(code(rename(bad).await), Code::Validation, "{bad:?}");
    }
    assert_eq!(rename(" At night\n").await.unwrap().conversation.title, "At night");
    assert_eq!(rename(&"é".repeat(100)).await.unwrap().conversation.title, "é".repeat(100));
}
