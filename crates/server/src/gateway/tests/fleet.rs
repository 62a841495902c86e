//! Rooms of two servers on one Redis and one store.

use super::*;
use aim_backbone::bus::pair::BusPair;
use aim_backbone::bus::redis::RedisBus;
use aim_backbone::link::{Link, Settings as RedisSettings};
use aim_testkit::{ChaosProxy, RedisServer};
use serde_json::Value;

struct Fleet {
    redis: RedisServer,
    /// Before the Redis of the second server.
    proxy: ChaosProxy,
    one: World,
    other: World,
}

impl Fleet {
    async fn start() -> Self {
        let redis = RedisServer::start().await.unwrap();
        let proxy = ChaosProxy::before(redis.address()).await.unwrap();
        let data = Arc::new(tempfile::tempdir().unwrap());
        let (one, other) = (server(data.clone(), redis.url()).await, server(data, proxy.url()).await);
        for world in [&one, &other] {
            tokio::spawn(world.gateway.clone().run(CancellationToken::new()));
        }
        Self { redis, proxy, one, other }
    }
}

async fn server(data: Arc<TempDir>, url: String) -> World {
    let link = Link::open("bus", RedisSettings { url, prefix: "aim:".into(), ..Default::default() }).unwrap();
    assert!(link.ready(Duration::from_secs(5)).await);
    let bus = RedisBus::new(link.client("bus"), &Ambient::system());
    let probe = ConversationId::trusted("probe");
    while bus.subscribe_room(&probe).await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    bus.unsubscribe_room(&probe).await.unwrap();
    World::on(data, |_| Arc::new(BusPair::new(bus))).await
}

/// What a socket was sent: the names of events and their payloads, and `ack` for what answers a call.
pub(super) async fn packets(socket: &Polling<'_>) -> Vec<(String, Value)> {
    let polled = tokio::time::timeout(Duration::from_secs(5), socket.poll()).await.expect("something comes");
    let packets = polled.split('\u{1e}').filter_map(|packet| {
        let json = packet.strip_prefix('4')?.trim_start_matches(|c: char| c.is_ascii_digit());
        let Value::Array(parts) = serde_json::from_str(json).ok()? else { return None };
        Some(match parts.as_slice() {
            [Value::String(name), payload] => (name.clone(), payload.clone()),
            [answer] => ("ack".into(), answer.clone()),
            _ => return None,
        })
    });
    packets.collect()
}

/// Polls until `done` holds of what came.
pub(super) async fn hear_until(socket: &Polling<'_>, mut done: impl FnMut(&str, &Value) -> bool) {
    let hearing = async { while !packets(socket).await.iter().any(|(name, payload)| done(name, payload)) {} };
    tokio::time::timeout(Duration::from_secs(10), hearing).await.expect("it is heard");
}

fn start(talk: &ConversationId) -> RoomEvent {
    let (message_id, in_reply_to) = (MessageId::trusted("r1"), MessageId::trusted("m1"));
    RoomEvent::ReplyStart { conversation_id: talk.clone(), message_id, in_reply_to }
}

fn delta(talk: &ConversationId, offset: u64, text: &str) -> RoomEvent {
    let message_id = MessageId::trusted("r1");
    RoomEvent::ReplyDelta { conversation_id: talk.clone(), message_id, offset, text: text.into() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_joins_here_while_a_reply_streams_elsewhere_gets_all_of_it_once() {
    let fleet = Fleet::start().await;
    let ann = fleet.one.person("ann").await;
    let talk = fleet.one.talk(&ann).await;
    let bus = fleet.one.gateway.platform.backbone.bus.clone();
    let (speaking, streamed) = (talk.clone(), 600_u64);
    tokio::spawn(async move {
        bus.publish_reply(&speaking, start(&speaking)).await.unwrap();
        for n in 0..streamed {
            bus.publish_reply(&speaking, delta(&speaking, n, "x")).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    // One after the other, on the way: the first opens the room, the others find it open.
    for _ in 0..3 {
        let socket = fleet.other.connect(&ann).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        socket.join(&talk).await;
        let mut length = None;
        hear_until(&socket, |name, payload| {
            match (name, length) {
                ("ack", None) => length = payload["partial"]["text"].as_str().map(|text| text.len() as u64),
                ("reply:delta", Some(known)) => {
                    assert_eq!(payload["offset"].as_u64(), Some(known), "neither a gap nor a double");
                    length = Some(known + 1);
                }
                ("reply:delta" | "conversation:resync", _) => panic!("{name} before the answer or after a gap"),
                _ => {}
            }
            length.is_some_and(|length| length > 100)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_two_servers_arrive_on_both_in_order_of_seq() {
    let fleet = Fleet::start().await;
    let ann = fleet.one.person("ann").await;
    let talk = fleet.one.talk(&ann).await;
    let (here, there) = (fleet.one.connect(&ann).await, fleet.other.connect(&ann).await);
    for socket in [&here, &there] {
        socket.join(&talk).await;
        hear_until(socket, |name, payload| name == "ack" && payload["ok"] == true).await;
    }
    let first = fleet.one.send(&ann, &talk).await;
    let sending = async {
        for _ in 0..20 {
            tokio::join!(fleet.one.send(&ann, &talk), fleet.other.send(&ann, &talk));
        }
    };
    let hearing = async |socket| {
        let mut next = first;
        hear_until(socket, |name, payload| {
            if name == "message:new" {
                assert_eq!(payload["message"]["seq"].as_u64(), Some(next));
                next += 1;
            }
            next == first + 41
        })
        .await;
    };
    tokio::join!(sending, hearing(&here), hearing(&there));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn typing_reaches_all_sockets_of_all_servers_but_the_one_that_types() {
    let fleet = Fleet::start().await;
    let ann = fleet.one.person("ann").await;
    let talk = fleet.one.talk(&ann).await;
    let (types, beside, there) =
        (fleet.one.connect(&ann).await, fleet.one.connect(&ann).await, fleet.other.connect(&ann).await);
    for socket in [&types, &beside, &there] {
        socket.join(&talk).await;
        hear_until(socket, |name, payload| name == "ack" && payload["ok"] == true).await;
    }
    types.post(&format!(r#"42["typing",{{"conversationId":"{talk}","typing":true}}]"#)).await;
    for socket in [&beside, &there] {
        hear_until(socket, |name, _| name == "typing").await;
    }
    fleet.other.send(&ann, &talk).await;
    hear_until(&types, |name, _| {
        assert_ne!(name, "typing");
        name == "message:new"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_outage_swallowed_is_made_good_after_it() {
    let fleet = Fleet::start().await;
    let ann = fleet.one.person("ann").await;
    let (talk, busy) = (fleet.one.talk(&ann).await, fleet.one.talk(&ann).await);
    let socket = fleet.other.connect(&ann).await;
    for talk in [&talk, &busy] {
        socket.join(talk).await;
        hear_until(&socket, |name, payload| name == "ack" && payload["ok"] == true).await;
    }
    let bus = fleet.one.gateway.platform.backbone.bus.clone();
    bus.publish_reply(&busy, start(&busy)).await.unwrap();
    bus.publish_reply(&busy, delta(&busy, 0, "The sea")).await.unwrap();
    hear_until(&socket, |name, _| name == "reply:delta").await;
    fleet.proxy.cut().await;
    let seq = fleet.one.send(&ann, &talk).await;
    bus.publish_reply(&busy, delta(&busy, 7, " is calm")).await.unwrap();
    fleet.proxy.heal().await;
    let (mut message, mut usage, mut resync) = (false, false, false);
    hear_until(&socket, |name, payload| {
        message |= name == "message:new" && payload["message"]["seq"] == seq;
        usage |= name == "usage:updated" && payload["text"]["used"] == 1;
        resync |= name == "conversation:resync" && payload["conversationId"] == busy.as_str();
        message && usage && resync
    })
    .await;
    socket.join(&busy).await;
    hear_until(&socket, |name, payload| name == "ack" && payload["partial"]["text"] == "The sea is calm").await;
    bus.publish_reply(&busy, delta(&busy, 15, ".")).await.unwrap();
    hear_until(&socket, |name, payload| name == "reply:delta" && payload["offset"] == 15).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_the_bus_forgot_to_forget_is_not_under_way() {
    let fleet = Fleet::start().await;
    let ann = fleet.one.person("ann").await;
    let talk = fleet.one.talk(&ann).await;
    fleet.one.send(&ann, &talk).await;
    let asked = fleet.one.gateway.platform.missed(&talk, 0, 10).await.unwrap().pop().unwrap();
    fleet.one.gateway.platform.cancel(&ann.who, &talk).await.unwrap();
    // As an old snapshot of Redis would bring it back.
    let key = format!("aim:reply:{talk}");
    let head = format!("r1\n{}", asked.id);
    fleet.redis.command(&["RPUSH", &key, &head, "r1\n0\nThe sea"]).await.unwrap();
    let socket = fleet.other.connect(&ann).await;
    socket.join(&talk).await;
    hear_until(&socket, |name, payload| {
        assert!(payload["partial"].is_null(), "{payload}");
        name == "ack" && payload["ok"] == true
    })
    .await;
}

/// Takes the last message back, which nobody has answered.
async fn take_back(world: &World, who: &Person, talk: &ConversationId) {
    let platform = &world.gateway.platform;
    platform.cancel(&who.who, talk).await.unwrap();
    let last = platform.missed(talk, 0, 200).await.unwrap().pop().unwrap();
    platform.remove_exchange(&who.who, talk, &last.id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_after_a_removal_arrives_on_both_servers() {
    let fleet = Fleet::start().await;
    let ann = fleet.one.person("ann").await;
    let talk = fleet.one.talk(&ann).await;
    let (here, there) = (fleet.one.connect(&ann).await, fleet.other.connect(&ann).await);
    for socket in [&here, &there] {
        socket.join(&talk).await;
        hear_until(socket, |name, payload| name == "ack" && payload["removals"] == 0).await;
    }
    let first = fleet.one.send(&ann, &talk).await;
    let rounds = 5;
    let sending = async {
        for n in 0..rounds {
            let (by, after) = if n % 2 == 0 { (&fleet.one, &fleet.other) } else { (&fleet.other, &fleet.one) };
            take_back(by, &ann, &talk).await;
            assert_eq!(after.send(&ann, &talk).await, first, "seq goes on without a gap");
        }
    };
    // In the order of events, whoever told them: one stands there, is removed, and another takes its place.
    let hearing = async |socket| {
        let (mut stands, mut removals) = (false, 0);
        hear_until(socket, |name, payload| {
            match name {
                "message:new" => {
                    assert_eq!(payload["message"]["seq"].as_u64(), Some(first));
                    assert!(!stands, "two in one place");
                    stands = true;
                }
                "message:removed" => {
                    assert_eq!(payload["fromSeq"].as_u64(), Some(first));
                    removals += 1;
                    assert_eq!(payload["removals"].as_u64(), Some(removals));
                    stands = false;
                }
                "conversation:resync" => panic!("nothing was lost"),
                _ => {}
            }
            stands && removals == rounds
        })
        .await;
    };
    tokio::join!(sending, hearing(&here), hearing(&there));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_that_an_outage_swallowed_is_made_good_after_it() {
    let fleet = Fleet::start().await;
    let ann = fleet.one.person("ann").await;
    let talk = fleet.one.talk(&ann).await;
    let socket = fleet.other.connect(&ann).await;
    socket.join(&talk).await;
    hear_until(&socket, |name, payload| name == "ack" && payload["ok"] == true).await;
    let first = fleet.one.send(&ann, &talk).await;
    hear_until(&socket, |name, _| name == "message:new").await;
    fleet.proxy.cut().await;
    take_back(&fleet.one, &ann, &talk).await;
    assert_eq!(fleet.one.send(&ann, &talk).await, first);
    fleet.proxy.heal().await;
    hear_until(&socket, |name, payload| name == "conversation:resync" && payload["conversationId"] == talk.as_str())
        .await;
    socket.join(&talk).await;
    hear_until(&socket, |name, payload| name == "ack" && payload["removals"] == 1).await;
    take_back(&fleet.one, &ann, &talk).await;
    hear_until(&socket, |name, payload| name == "message:removed" && payload["removals"] == 2).await;
}
