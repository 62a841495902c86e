//! Who is taken out of a conversation, and what their sockets hear of it, on one server and on two that cannot hear each
//! other.

use super::fleet::{hear_until, packets};
use super::*;
use serde_json::Value;

/// What a socket was sent until `last` came.
async fn heard_until(socket: &Polling<'_>, last: &str) -> Vec<(String, Value)> {
    let mut heard = Vec::new();
    let hearing = async {
        while !heard.iter().any(|(name, _): &(String, Value)| name == last) {
            heard.extend(packets(socket).await);
        }
    };
    tokio::time::timeout(Duration::from_secs(10), hearing).await.expect(last);
    heard
}

async fn joined<'a>(world: &'a World, who: &Person, talk: &ConversationId) -> Polling<'a> {
    let socket = world.connect(who).await;
    socket.join(talk).await;
    hear_until(&socket, |name, payload| name == "ack" && payload["ok"] == true).await;
    socket
}

/// Two servers on one store whose buses do not meet; each follows the feed.
async fn apart() -> (World, World) {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let (one, other) = (World::on(data.clone(), |bus| bus).await, World::on(data, |bus| bus).await);
    for world in [&one, &other] {
        tokio::spawn(world.gateway.clone().run(CancellationToken::new()));
        let platform = world.gateway.platform.clone();
        let from = platform.feed_position().await.unwrap();
        tokio::spawn(async move { platform.follow_changes(from, CancellationToken::new()).await });
    }
    (one, other)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_taken_out_is_told_and_hears_nothing_more_within_a_second() {
    let (one, other) = apart().await;
    let (ann, bob) = (one.person("ann").await, one.person("bob").await);
    let talk = one.talk(&ann).await;
    let platform = &one.gateway.platform;
    let beside = other.connect(&bob).await;
    platform.add_member(&ann.who, &talk, bob.who.user_id()).await.unwrap();
    hear_until(&beside, |name, payload| name == "conversation:added" && payload["conversationId"] == talk.as_str())
        .await;
    let (anns, bobs, bobs_there) =
        (joined(&one, &ann, &talk).await, joined(&one, &bob, &talk).await, joined(&other, &bob, &talk).await);

    let began = Instant::now();
    platform.remove_member(&ann.who, &talk, bob.who.user_id()).await.unwrap();
    for n in 0..3_u64 {
        one.send(&ann, &talk).await;
        tokio::time::sleep(Duration::from_millis(20 * n)).await;
    }
    let here = heard_until(&bobs, "conversation:removed").await;
    let names: Vec<&str> = here.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["conversation:removed"], "nothing of the room came after");
    for socket in [&bobs_there, &beside] {
        heard_until(socket, "conversation:removed").await;
    }
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    // The owner hears who is left, and what is said.
    let mut members = None;
    hear_until(&anns, |name, payload| {
        if name == "conversation:updated" {
            members = Some(payload["conversation"]["memberIds"].clone());
        }
        name == "message:new" && payload["message"]["seq"] == 3
    })
    .await;
    assert_eq!(members, Some(serde_json::json!([ann.who.user_id()])));

    bobs.join(&talk).await;
    hear_until(&bobs, |name, payload| name == "ack" && payload["error"]["code"] == "not_found").await;
    platform.add_member(&ann.who, &talk, bob.who.user_id()).await.unwrap();
    for socket in [&bobs, &bobs_there] {
        heard_until(socket, "conversation:added").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_said_to_be_gone_and_is_not_joins_again() {
    let world = World::new().await;
    tokio::spawn(world.gateway.clone().run(CancellationToken::new()));
    let ann = world.person("ann").await;
    let talk = world.talk(&ann).await;
    let socket = joined(&world, &ann, &talk).await;
    // As an old event says that comes late.
    let platform = &world.gateway.platform;
    let mut conversation = platform.room(&talk).await.unwrap().unwrap();
    conversation.member_ids.clear();
    let event = RoomEvent::Updated { conversation };
    platform.backbone.bus.publish_room(&talk, event.into()).await.unwrap();
    hear_until(&socket, |name, payload| {
        assert_ne!(name, "conversation:removed");
        name == "conversation:resync" && payload["conversationId"] == talk.as_str()
    })
    .await;
    world.send(&ann, &talk).await;
    hear_until(&socket, |name, _| name == "message:new").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_conversation_is_gone_for_all_its_people() {
    let (one, other) = apart().await;
    let (ann, bob) = (one.person("ann").await, one.person("bob").await);
    let talk = one.talk(&ann).await;
    let platform = &one.gateway.platform;
    platform.add_member(&ann.who, &talk, bob.who.user_id()).await.unwrap();
    let (anns, bobs) = (one.connect(&ann).await, joined(&other, &bob, &talk).await);
    platform.delete_conversation(&ann.who, &talk).await.unwrap();
    for socket in [&anns, &bobs] {
        heard_until(socket, "conversation:removed").await;
    }
    until("the room is closed", || other.gateway.rooms.get(&talk).is_none()).await;
}

/// Nobody tells of what is said on another server, and the room awaits nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_on_a_server_that_is_not_heard_is_found_within_a_second() {
    let (one, other) = apart().await;
    other.gateway.platform.backbone.fleet.set_servers(2);
    let ann = one.person("ann").await;
    let talk = one.talk(&ann).await;
    let socket = joined(&other, &ann, &talk).await;
    let began = Instant::now();
    for _ in 0..2 {
        let seq = one.send(&ann, &talk).await;
        hear_until(&socket, |name, payload| name == "message:new" && payload["message"]["seq"] == seq).await;
    }
    // Two rounds, at five times what is promised.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_goes_while_they_type_types_no_more() {
    let world = World::new().await;
    let ann = world.person("ann").await;
    let talk = world.talk(&ann).await;
    let watches = joined(&world, &ann, &talk).await;
    for leaves in [true, false] {
        let types = joined(&world, &ann, &talk).await;
        types.post(&format!("42[\"typing\",{{\"conversationId\":\"{talk}\",\"typing\":true}}]")).await;
        hear_until(&watches, |name, payload| name == "typing" && payload["typing"] == true).await;
        if leaves {
            types.leave(&talk).await;
        } else {
            types.close().await;
        }
        hear_until(&watches, |name, payload| name == "typing" && payload["typing"] == false).await;
    }
}
