//! One message, one reply, whatever is lost or doubled on the way.

use crate::world::{World, settings, until};
use aim_backbone::turns::Turn;
use aim_domain::{Kind, MessageId, ReplyState, RoomEvent};
use aim_platform::Settings;
use aim_platform::jobs::ai_response;
use aim_store::{SendMessage, Sent};
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_message_is_answered_and_the_room_hears_it_in_order() {
    let world = World::new().await;
    let server = world.server().await;
    let (ann, mara) = (server.person("ann").await, server.character("Mara").await);
    let talk = server.talk(&ann, &mara).await;
    let asked = server.send(&ann, &talk, "Is the storm near? lg#1-1").await;
    server.until(&ann, &asked, ReplyState::Done).await;
    server.quiet().await;

    let mut heard = server.heard.names();
    heard.dedup();
    assert_eq!(heard, ["message:new", "reply:start", "reply:delta", "message:new", "message:updated"]);
    let replies = server.replies_to(&ann, &asked).await;
    assert_eq!(replies.len(), 1);
    assert!(replies[0].text.starts_with("About lg#1-1: the tide"), "{}", replies[0].text);
    assert_eq!(server.heard.streamed(), replies[0].text);
    let seqs: Vec<u64> = server.messages(&ann, &talk).await.iter().map(|message| message.seq).collect();
    assert_eq!(seqs, [1, 2, 3]);
}

#[tokio::test]
async fn a_message_is_answered_once_though_its_job_is_added_twice() {
    let world = World::new().await;
    let mut server = world.idle(settings()).await;
    let (ann, mara) = (server.person("ann").await, server.character("Mara").await);
    let talk = server.talk(&ann, &mara).await;
    let asked = server.send(&ann, &talk, "Once").await;
    let turn = Turn { conversation: talk, character: mara.id, message: asked.id.clone(), attempt: 1, premium: false };
    for n in 0..3 {
        let job = aim_backbone::queue::NewJob { id: format!("again-{n}"), ..ai_response::job(&turn) };
        server.platform.backbone.queue.add(job).await.unwrap();
    }
    server.work().await;
    server.until(&ann, &asked, ReplyState::Done).await;
    let queue = &server.platform.backbone.queue;
    let began = Instant::now();
    while queue.counts(ai_response::QUEUE).await.unwrap().completed < 4 {
        assert!(began.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!((world.model.calls(), server.replies_to(&ann, &asked).await.len()), (1, 1));
}

#[tokio::test]
async fn a_message_whose_hints_were_lost_is_found_by_the_reconciler() {
    let world = World::new().await;
    let server = world.server().await;
    let (ann, mara) = (server.person("ann").await, server.character("Mara").await);
    let talk = server.talk(&ann, &mara).await;
    let send = SendMessage {
        conversation: talk,
        sender: ann.who.user_id().clone(),
        message: world.ambient.id(),
        client_id: "lost".into(),
        kind: Kind::Text,
        text: "Does anybody hear?".into(),
        media: None,
        usage_limit: None,
        max_due: 10,
    };
    let Sent::Accepted { message, .. } = server.platform.store.send_message(send).await.unwrap() else { panic!() };
    server.until(&ann, &message, ReplyState::Done).await;
    assert_eq!(world.model.calls(), 1);
}

#[tokio::test]
async fn a_turn_whose_job_was_lost_gets_another() {
    let world = World::new().await;
    let mut server = world.idle(settings()).await;
    let (ann, mara) = (server.person("ann").await, server.character("Mara").await);
    let talk = server.talk(&ann, &mara).await;
    let asked = server.send(&ann, &talk, "Anybody?").await;
    let (queue, job) = (&server.platform.backbone.queue, format!("{}-1", asked.id));
    // It is added once the sender has been answered.
    while !queue.remove(ai_response::QUEUE, &job).await.unwrap() {
        tokio::task::yield_now().await;
    }
    server.work().await;
    server.reconcile();
    server.until(&ann, &asked, ReplyState::Done).await;
    assert_eq!(world.model.calls(), 1);
}

#[tokio::test]
async fn messages_are_answered_one_at_a_time_in_their_order() {
    let world = World::new().await;
    let server = world.server().await;
    let (ann, mara) = (server.person("ann").await, server.character("Mara").await);
    let talk = server.talk(&ann, &mara).await;
    let mut asked = Vec::new();
    for n in 0..6 {
        asked.push(server.send(&ann, &talk, &format!("lg#{n}-0")).await);
    }
    for message in &asked {
        server.until(&ann, message, ReplyState::Done).await;
    }
    let all = server.messages(&ann, &talk).await;
    let answered: Vec<&MessageId> = all.iter().filter_map(|message| message.in_reply_to.as_ref()).collect();
    assert_eq!(answered, asked.iter().map(|message| &message.id).collect::<Vec<_>>());
    assert_eq!(world.model.most_under_way(), 1);
    // What waits is not in the context of what is before it.
    let calls = world.model.asked();
    assert!(calls[0].messages.iter().all(|message| !message.content.contains("lg#1-0")));
}

#[tokio::test]
async fn a_model_that_fails_ends_as_failed_and_can_be_asked_again() {
    let world = World::new().await;
    let server = world.server().await;
    let (ann, mara) = (server.person("ann").await, server.character("Mara").await);
    let talk = server.talk(&ann, &mara).await;
    world.model.refuse_next(1, 400);
    let asked = server.send(&ann, &talk, "Hello?").await;
    server.until(&ann, &asked, ReplyState::Failed).await;
    server.quiet().await;
    assert_eq!(server.heard.names(), ["message:new", "reply:start", "reply:error", "message:updated"]);
    assert_eq!(server.platform.backbone.bus.partial(&talk).await.unwrap(), None);

    server.platform.retry(&ann.who, &talk, &asked.id).await.unwrap();
    server.until(&ann, &asked, ReplyState::Done).await;
    assert_eq!(server.replies_to(&ann, &asked).await.len(), 1);
    assert!(server.platform.retry(&ann.who, &talk, &asked.id).await.is_err());
}

#[tokio::test]
async fn a_stream_that_breaks_ends_as_failed_and_what_it_took_is_counted() {
    let world = World::new().await;
    let server = world.server().await;
    let (ann, mara) = (server.person("ann").await, server.character("Mara").await);
    let talk = server.talk(&ann, &mara).await;
    world.model.set(|behaviour| behaviour.break_after = Some(3));
    let asked = server.send(&ann, &talk, "Hello?").await;
    server.until(&ann, &asked, ReplyState::Failed).await;
    server.quiet().await;
    assert!(server.heard.streamed().starts_with("About"));
    assert_eq!(server.heard.names().last(), Some(&"message:updated"));
    assert_eq!(server.replies_to(&ann, &asked).await.len(), 0);
    let day = server.platform.tokens_on(&world.ambient.now().day()).await.unwrap();
    assert!(day[0].prompt > 0 && day[0].completion > 0, "{day:?}");

    world.model.set(|behaviour| behaviour.break_after = None);
    server.platform.retry(&ann.who, &talk, &asked.id).await.unwrap();
    server.until(&ann, &asked, ReplyState::Done).await;
    let replies = server.replies_to(&ann, &asked).await;
    assert_eq!(server.heard.streamed(), replies[0].text);
}

#[tokio::test]
async fn a_reply_that_takes_too_long_fails_and_what_it_took_is_counted() {
    let world = World::new().await;
    let server = world.running(Settings { reply_timeout: Duration::from_millis(400), ..settings() }).await;
    let (ann, mara) = (server.person("ann").await, server.character("Mara").await);
    let talk = server.talk(&ann, &mara).await;
    world.model.set(|behaviour| behaviour.hang_after = Some(3));
    let asked = server.send(&ann, &talk, "Hello?").await;
    server.until(&ann, &asked, ReplyState::Failed).await;
    server.quiet().await;
    assert_eq!(server.heard.count("reply:error"), 1);
    assert_eq!(server.platform.backbone.bus.partial(&talk).await.unwrap(), None);
    let day = server.platform.tokens_on(&world.ambient.now().day()).await.unwrap();
    assert!(day[0].completion > 0, "{day:?}");
    until("the model is left alone", || world.model.cancelled() == 1).await;
}

#[tokio::test]
async fn a_day_has_so_many_tokens_and_no_more() {
    let world = World::new().await;
    let server = world.running(Settings { daily_tokens: 18, ..settings() }).await;
    let (ann, mara) = (server.person("ann").await, server.character("Mara").await);
    let talk = server.talk(&ann, &mara).await;
    let first = server.send(&ann, &talk, "One").await;
    server.until(&ann, &first, ReplyState::Done).await;
    let second = server.send(&ann, &talk, "Two").await;
    server.until(&ann, &second, ReplyState::Failed).await;
    assert_eq!(world.model.calls(), 1);
    server.quiet().await;
    let told = server.heard.all().into_iter().find_map(|event| match event {
        RoomEvent::ReplyError { error, .. } => Some(error.detail),
        _ => None,
    });
    assert!(told.unwrap().contains("tokens of today"));

    world.clock.advance(Duration::from_secs(24 * 3600));
    server.platform.retry(&ann.who, &talk, &second.id).await.unwrap();
    server.until(&ann, &second, ReplyState::Done).await;
}

#[tokio::test]
async fn usage_is_told_the_same_from_copies_as_from_the_store() {
    let world = World::new().await;
    let (server, fresh) = (world.idle(settings()).await, world.idle(settings()).await);
    let (ann, mara) = (server.person("ann").await, server.character("Mara").await);
    let talk = server.talk(&ann, &mara).await;
    assert!(server.platform.usage(&ann.who).await.unwrap().characters.is_empty());
    for sent in 1..=2 {
        server.send(&ann, &talk, "Hello?").await;
        let report = server.platform.usage(&ann.who).await.unwrap();
        assert_eq!(report.characters[mara.id.as_str()].text.used, sent);
    }
    let report = server.platform.usage(&ann.who).await.unwrap();
    assert_eq!(report, fresh.platform.usage(&ann.who).await.unwrap());
    world.clock.advance(aim_domain::usage::USAGE_WINDOW);
    assert!(server.platform.usage(&ann.who).await.unwrap().characters.is_empty());
}
