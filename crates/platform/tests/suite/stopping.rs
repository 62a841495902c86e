//! Pressing stop: what is kept, what is told, and what must not be stopped.

use crate::world::{World, settings, until};
use aim_domain::ReplyState;
use aim_testkit::model_stub::Behaviour;
use std::time::{Duration, Instant};

fn slow() -> Behaviour {
    Behaviour { delay: Duration::from_millis(150), ..Default::default() }
}

#[tokio::test]
async fn a_reply_that_was_stopped_is_stored_with_what_it_said() {
    let world = World::with(slow()).await;
    let server = world.server().await;
    let (ann, mara) = (server.person("ann").await, server.character("Mara").await);
    let talk = server.talk(&ann, &mara).await;
    let asked = server.send(&ann, &talk, "Tell me all").await;
    until("something is said", || server.heard.count("reply:delta") > 1).await;
    server.platform.cancel(&ann.who, &talk).await.unwrap();
    let began = Instant::now();
    until("the model is left alone", || world.model.cancelled() == 1).await;
    assert!(began.elapsed() < Duration::from_secs(1));
    server.until(&ann, &asked, ReplyState::Done).await;
    server.quiet().await;
    let replies = server.replies_to(&ann, &asked).await;
    assert!(replies[0].text.starts_with("About") && !replies[0].text.contains("indeed"), "{}", replies[0].text);
    assert_eq!(server.heard.streamed(), replies[0].text);
    let day = server.platform.tokens_on(&world.ambient.now().day()).await.unwrap();
    assert!(day[0].prompt > 0 && day[0].completion > 0, "{day:?}");
}

#[tokio::test]
async fn a_reply_that_was_stopped_before_it_said_anything_is_cancelled() {
    let world = World::with(Behaviour { first_delay: Duration::from_secs(30), ..Default::default() }).await;
    let server = world.server().await;
    let (ann, mara) = (server.person("ann").await, server.character("Mara").await);
    let talk = server.talk(&ann, &mara).await;
    let asked = server.send(&ann, &talk, "Tell me all").await;
    until("the model is asked", || world.model.calls() == 1).await;
    server.platform.cancel(&ann.who, &talk).await.unwrap();
    server.until(&ann, &asked, ReplyState::Cancelled).await;
    server.quiet().await;
    assert_eq!(server.replies_to(&ann, &asked).await.len(), 0);
    assert_eq!(server.heard.names(), ["message:new", "reply:start", "message:updated"]);
    until("the model is left alone", || world.model.cancelled() == 1).await;
}

#[tokio::test]
async fn a_stop_that_is_heard_late_does_not_stop_the_next_reply() {
    let world = World::with(slow()).await;
    let server = world.server().await;
    let (ann, mara) = (server.person("ann").await, server.character("Mara").await);
    let talk = server.talk(&ann, &mara).await;
    let first = server.send(&ann, &talk, "One").await;
    let second = server.send(&ann, &talk, "Two").await;
    until("something is said", || server.heard.count("reply:delta") > 1).await;
    // Taken in here at once, and heard again by the change feed while the second reply is under way.
    server.platform.cancel(&ann.who, &talk).await.unwrap();
    server.until(&ann, &first, ReplyState::Done).await;
    server.until(&ann, &second, ReplyState::Done).await;
    assert!(server.replies_to(&ann, &second).await[0].text.ends_with("indeed."));
    assert_eq!((world.model.cancelled(), world.model.finished()), (1, 1));
}

#[tokio::test]
async fn a_stop_from_another_server_reaches_the_reply_within_a_second() {
    let world = World::with(Behaviour { delay: Duration::from_millis(400), ..Default::default() }).await;
    let (here, there) = (world.server().await, world.idle(settings()).await);
    let (ann, mara) = (here.person("ann").await, here.character("Mara").await);
    let talk = here.talk(&ann, &mara).await;
    let asked = here.send(&ann, &talk, "Tell me all").await;
    until("something is said", || here.heard.count("reply:delta") > 0).await;
    there.platform.cancel(&ann.who, &talk).await.unwrap();
    let began = Instant::now();
    until("the model is left alone", || world.model.cancelled() == 1).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    here.until(&ann, &asked, ReplyState::Done).await;
}

#[tokio::test]
async fn what_waits_is_cancelled_where_nothing_is_under_way() {
    let world = World::new().await;
    let server = world.idle(settings()).await;
    let (ann, mara) = (server.person("ann").await, server.character("Mara").await);
    let talk = server.talk(&ann, &mara).await;
    let asked = [server.send(&ann, &talk, "One").await, server.send(&ann, &talk, "Two").await];
    server.platform.cancel(&ann.who, &talk).await.unwrap();
    for message in &asked {
        assert_eq!(server.message(&ann, message).await.reply_state, Some(ReplyState::Cancelled));
    }
    assert_eq!(server.heard.count("message:updated"), 2);
}
