//! Sending: the next `seq`, once for each `client_id`, and never more than the limit.

use super::World;
use crate::{Sent, Store};
use aim_domain::usage::USAGE_WINDOW;
use aim_domain::{Author, Kind, Media, ReplyState, UploadId};
use futures::future::join_all;
use std::sync::Arc;
use std::time::Duration;

pub async fn a_message_has_the_next_seq_and_is_due(world: World) {
    let store = &world.store;
    let (user, character, conversation) = world.pair().await;
    let mut send = world.message(&conversation, &user.id, "hello");
    send.kind = Kind::Image;
    send.media = Some(Media {
        upload_id: UploadId::parse("upload-1").unwrap(),
        url: "/media/upload-1.webp".into(),
        mime_type: "image/webp".into(),
        width: Some(640),
        height: Some(480),
        blur_hash: Some("LEHV6nWB2yk8pyo0adR*.7kCMdnj".into()),
        length_ms: None,
        waveform: None,
        transcript: None,
    });
    let Sent::Accepted { message, usage, due, character: of } = store.send_message(send.clone()).await.unwrap() else {
        panic!("not accepted")
    };
    assert_eq!((message.seq, due, of), (1, 1, character.id.clone()));
    assert_eq!((message.role, message.reply_state), (Author::User, Some(ReplyState::Due)));
    assert_eq!((message.sender_id.as_str(), message.created_at), (user.id.as_str(), world.now()));
    assert_eq!((message.id.clone(), message.media.clone()), (send.message, send.media));
    assert_eq!((usage.image, usage.text, usage.since), (1, 0, Some(world.now())));
    assert_eq!(world.stored(&conversation, &message.id).await, message, "what was answered is what is stored");
    assert_eq!(store.usage(&user.id, &character.id).await.unwrap(), usage);
    assert_eq!(store.usages(&user.id).await.unwrap(), [(character.id, usage)]);
    let second = world.send(&conversation, "and more").await;
    assert_eq!((second.seq, store.last_seq(&conversation.id).await.unwrap()), (2, 2));
}

pub async fn a_client_id_sends_once(world: World) {
    let store = &world.store;
    let (user, character, conversation) = world.pair().await;
    let first = world.message(&conversation, &user.id, "hello");
    let Sent::Accepted { message, usage, .. } = store.send_message(first.clone()).await.unwrap() else {
        panic!("not accepted")
    };
    let mut again = world.message(&conversation, &user.id, "another text");
    again.client_id = first.client_id.clone();
    // Repeated also when nothing new would be let in.
    (again.usage_limit, again.max_due) = (Some(1), 0);
    assert_eq!(store.send_message(again.clone()).await.unwrap(), Sent::Repeated { message, usage });
    assert_eq!(store.usage(&user.id, &character.id).await.unwrap().text, 1);

    // Another sender, or another conversation, may use the same.
    let ines = world.user("ines").await;
    store.add_member(&conversation.id, &user.id, &ines.id).await.unwrap();
    let mut hers = world.message(&conversation, &ines.id, "mine");
    hers.client_id = first.client_id.clone();
    assert!(matches!(store.send_message(hers).await.unwrap(), Sent::Accepted { .. }));
    let elsewhere = world.conversation(&user, &world.character("Bo").await).await;
    let mut there = world.message(&elsewhere, &user.id, "there");
    there.client_id = first.client_id;
    assert!(matches!(store.send_message(there).await.unwrap(), Sent::Accepted { .. }));
}

/// Two stores, by turns: one is this server's, the other another's.
async fn both(world: &World) -> [Arc<dyn Store>; 2] {
    [world.store.clone(), world.another().await]
}

pub async fn two_hundred_sends_of_one_client_id_at_once_make_one_message(world: World) {
    let (user, character, conversation) = world.pair().await;
    let stores = both(&world).await;
    let sends = (0..200).map(|n| {
        let mut send = world.message(&conversation, &user.id, "hello");
        (send.client_id, send.usage_limit) = ("the same".into(), Some(30));
        stores[n % 2].send_message(send)
    });
    let mut accepted = 0;
    let mut ids = std::collections::HashSet::new();
    for sent in join_all(sends).await {
        match sent.unwrap() {
            Sent::Accepted { message, .. } => {
                accepted += 1;
                ids.insert(message.id);
            }
            Sent::Repeated { message, .. } => {
                ids.insert(message.id);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((accepted, ids.len()), (1, 1));
    assert_eq!(world.all_messages(&conversation).await.len(), 1);
    assert_eq!(world.store.usage(&user.id, &character.id).await.unwrap().text, 1);
}

pub async fn five_hundred_sends_at_once_admit_exactly_the_limit(world: World) {
    let (user, character, conversation) = world.pair().await;
    let stores = both(&world).await;
    let sends = (0..500).map(|n| {
        let mut send = world.message(&conversation, &user.id, "hello");
        (send.usage_limit, send.max_due) = (Some(30), 1_000);
        stores[n % 2].send_message(send)
    });
    let (mut accepted, mut full) = (0, 0);
    for sent in join_all(sends).await {
        match sent.unwrap() {
            Sent::Accepted { .. } => accepted += 1,
            Sent::UsageFull { usage } => {
                assert_eq!(usage.text, 30);
                full += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((accepted, full), (30, 470));
    assert_eq!(world.all_messages(&conversation).await.len(), 30);
    assert_eq!(world.store.usage(&user.id, &character.id).await.unwrap().text, 30);
    world.assert_seq_without_a_gap(&conversation).await;
}

pub async fn kinds_are_counted_apart(world: World) {
    let store = &world.store;
    let (user, character, conversation) = world.pair().await;
    let of = |kind| {
        let mut send = world.message(&conversation, &user.id, "hello");
        (send.kind, send.usage_limit) = (kind, Some(1));
        send
    };
    for kind in Kind::ALL {
        assert!(matches!(store.send_message(of(kind)).await.unwrap(), Sent::Accepted { .. }), "{kind:?}");
        assert!(matches!(store.send_message(of(kind)).await.unwrap(), Sent::UsageFull { .. }), "{kind:?}");
    }
    let usage = store.usage(&user.id, &character.id).await.unwrap();
    assert_eq!((usage.text, usage.audio, usage.image, usage.version), (1, 1, 1, 3));
    // Another character is another count.
    let elsewhere = world.conversation(&user, &world.character("Bo").await).await;
    let mut there = world.message(&elsewhere, &user.id, "hello");
    there.usage_limit = Some(1);
    assert!(matches!(store.send_message(there).await.unwrap(), Sent::Accepted { .. }));
    assert_eq!(store.usages(&user.id).await.unwrap().len(), 2);
}

pub async fn usage_starts_anew_a_day_after_the_first_use(world: World) {
    let store = &world.store;
    let (user, character, conversation) = world.pair().await;
    let limited = || {
        let mut send = world.message(&conversation, &user.id, "hello");
        send.usage_limit = Some(2);
        send
    };
    let sent = limited();
    store.send_message(sent.clone()).await.unwrap();
    let first = world.now();
    world.clock.advance(Duration::from_secs(12 * 3_600));
    store.send_message(limited()).await.unwrap();
    assert!(matches!(store.send_message(limited()).await.unwrap(), Sent::UsageFull { .. }));
    let rest = first.plus(USAGE_WINDOW).since(world.now());
    world.clock.advance(rest - Duration::from_millis(2));
    assert!(matches!(store.send_message(limited()).await.unwrap(), Sent::UsageFull { .. }), "a moment before");
    world.clock.advance(Duration::from_millis(1));
    let over = store.usage(&user.id, &character.id).await.unwrap();
    assert_eq!((over.text, over.since, over.version), (0, None, 2));
    assert!(store.usages(&user.id).await.unwrap().is_empty());
    let Sent::Repeated { usage, .. } = store.send_message(sent).await.unwrap() else { panic!("not repeated") };
    assert_eq!(usage, over, "a repeat tells what counts now");
    let Sent::Accepted { usage, .. } = store.send_message(limited()).await.unwrap() else { panic!("not accepted") };
    assert_eq!((usage.text, usage.since, usage.version), (1, Some(world.now()), 3));
}

pub async fn a_full_line_refuses_and_counts_nothing(world: World) {
    let store = &world.store;
    let (user, character, conversation) = world.pair().await;
    let send = || {
        let mut send = world.message(&conversation, &user.id, "hello");
        send.max_due = 5;
        send
    };
    let sent = join_all((0..40).map(|_| store.send_message(send()))).await;
    let accepted = sent.iter().filter(|sent| matches!(sent, Ok(Sent::Accepted { .. }))).count();
    let refused = sent.iter().filter(|sent| matches!(sent, Ok(Sent::LineFull))).count();
    assert_eq!((accepted, refused), (5, 35));
    assert_eq!(store.usage(&user.id, &character.id).await.unwrap().text, 5);
    assert_eq!(store.last_seq(&conversation.id).await.unwrap(), 5);
    let asked = [aim_domain::ConversationId::trusted("nowhere"), conversation.id.clone()];
    assert_eq!(store.last_seqs(&asked).await.unwrap(), [(conversation.id.clone(), 5)]);
}

pub async fn the_message_being_answered_does_not_wait(world: World) {
    let store = &world.store;
    let (user, _, conversation) = world.pair().await;
    let send = |max_due| {
        let mut send = world.message(&conversation, &user.id, "hello");
        send.max_due = max_due;
        store.send_message(send)
    };
    world.send(&conversation, "first").await;
    assert_eq!(send(1).await.unwrap(), Sent::LineFull);
    let server = world.server().await;
    world.claimed(&conversation, &server).await;
    assert!(matches!(send(1).await.unwrap(), Sent::Accepted { due: 2, .. }));
    assert_eq!(send(1).await.unwrap(), Sent::LineFull);
    // Its holder died: it waits again.
    world.clock.advance(super::world::LEASE);
    assert_eq!(send(2).await.unwrap(), Sent::LineFull);
}

/// One's own conversation with a character, and others' to which one was added.
pub async fn a_users_conversations_share_what_he_may_send_to_a_character(world: World) {
    let (user, character, own) = world.pair().await;
    let mut conversations = vec![own];
    for name in ["ines", "ona"] {
        let theirs = world.conversation(&world.user(name).await, &character).await;
        world.store.add_member(&theirs.id, &theirs.owner_id, &user.id).await.unwrap();
        conversations.push(theirs);
    }
    let stores = both(&world).await;
    let sends = (0..150).map(|n| {
        let mut send = world.message(&conversations[n % 3], &user.id, "hello");
        send.usage_limit = Some(20);
        stores[n % 2].send_message(send)
    });
    let sent: Vec<Sent> = join_all(sends).await.into_iter().map(Result::unwrap).collect();
    let accepted = sent.iter().filter(|sent| matches!(sent, Sent::Accepted { .. })).count();
    let full = sent.iter().filter(|sent| matches!(sent, Sent::UsageFull { .. })).count();
    assert_eq!((accepted, full), (20, 130));
    assert_eq!(world.store.usage(&user.id, &character.id).await.unwrap().text, 20);
    for conversation in &conversations {
        world.assert_seq_without_a_gap(conversation).await;
    }
}

/// But for a NUL, which not every database can store: what people write has none, and a model's is replaced.
pub async fn a_text_of_any_characters_is_stored_as_it_is_answered(world: World) {
    let store = &world.store;
    let (user, _, conversation) = world.pair().await;
    let server = world.server().await;
    for text in
        ["a\u{0}b", "\u{FFFF}\u{7F}\r\n\t", "👩‍🚀 Ångström ﷽", "' \" \\ % _ $1 {1,2} NULL", &"long ".repeat(20_000)]
    {
        let kept = text.replace('\0', "\u{FFFD}");
        let mut send = world.message(&conversation, &user.id, text);
        send.client_id = format!("\u{0}{}", send.message);
        let Sent::Accepted { message, .. } = store.send_message(send.clone()).await.unwrap() else {
            panic!("not accepted")
        };
        assert_eq!(message.text, kept);
        assert_eq!(world.stored(&conversation, &message.id).await, message);
        assert!(matches!(store.send_message(send).await.unwrap(), Sent::Repeated { .. }));
        let reply = world.answer(&conversation, &server, text).await;
        assert_eq!(reply.text, kept);
        assert_eq!(world.stored(&conversation, &reply.id).await, reply);
    }
    let mut character = world.new_character("Odd", None);
    character.description = "a \u{0} b".into();
    character.tags = vec!["x\u{0}".into()];
    let saved = world.save(character).await;
    assert_eq!((saved.description.as_str(), saved.tags[0].as_str()), ("a \u{FFFD} b", "x\u{FFFD}"));
    assert_eq!(store.character(&saved.id).await.unwrap(), Some(saved));
    assert!(store.credentials("a\u{0}b").await.unwrap().is_none());
    assert!(store.rename_conversation(&conversation.id, &user.id, "a \u{0} b").await.unwrap());
    let renamed = store.conversation(&conversation.id, &user.id).await.unwrap().unwrap();
    assert_eq!(renamed.conversation.title, "a \u{FFFD} b");
}

pub async fn strangers_and_deleted_characters_get_no_message(world: World) {
    let store = &world.store;
    let (user, character, conversation) = world.pair().await;
    let stranger = world.user("ines").await;
    assert_eq!(store.send_message(world.message(&conversation, &stranger.id, "hello")).await.unwrap(), Sent::NotFound);
    let mut nowhere = world.message(&conversation, &user.id, "hello");
    nowhere.conversation = world.ambient.id();
    assert_eq!(store.send_message(nowhere).await.unwrap(), Sent::NotFound);
    store.delete_character(&character.id).await.unwrap();
    assert_eq!(store.send_message(world.message(&conversation, &user.id, "hello")).await.unwrap(), Sent::NotFound);
    assert_eq!(store.usage(&user.id, &character.id).await.unwrap().text, 0);
    assert_eq!(store.last_seq(&conversation.id).await.unwrap(), 0);
}

pub async fn seq_has_no_gap_when_sends_and_replies_meet(world: World) {
    let (user, _, conversation) = world.pair().await;
    let stores = both(&world).await;
    let server = world.server().await;
    let sends = join_all((0..60).map(|n| stores[n % 2].send_message(world.message(&conversation, &user.id, "hello"))));
    let replies = async {
        let mut answered = 0;
        while answered < 60 {
            let Ok(crate::Claimed::Claimed(claim)) =
                stores[answered % 2].claim_reply(world.asking(&conversation, &server)).await
            else {
                tokio::task::yield_now().await;
                continue;
            };
            let committed = stores[(answered + 1) % 2].commit_reply(world.reply(&claim, "yes")).await.unwrap();
            assert!(matches!(committed, crate::Committed::Committed { .. }));
            answered += 1;
        }
    };
    let (sent, ()) = tokio::join!(sends, replies);
    assert!(sent.iter().all(|sent| matches!(sent, Ok(Sent::Accepted { .. }))));
    assert_eq!(world.all_messages(&conversation).await.len(), 120);
    world.assert_seq_without_a_gap(&conversation).await;
}
