//! What a room knows after events arrived in any order. What sockets receive of it is tested over the wire.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::order::MAX_HELD;
use super::*;
use aim_domain::{Author, Kind, Phase, Timestamp};

fn id(text: &str) -> ConversationId {
    text.parse().unwrap()
}

fn message(seq: u64, in_reply_to: Option<&str>) -> Message {
    Message {
        id: format!("m{seq}").parse().unwrap(),
        conversation_id: id("c1"),
        seq,
        role: if in_reply_to.is_some() { Author::Character } else { Author::User },
        sender_id: "u1".into(),
        kind: Kind::Text,
        text: "Ahoy".into(),
        media: None,
        in_reply_to: in_reply_to.map(|id| id.parse().unwrap()),
        client_id: None,
        created_at: Timestamp(0),
        reply_state: None,
        variants: None,
        personality: None,
    }
}

fn new(seq: u64) -> Arc<RoomNote> {
    Arc::new(RoomEvent::MessageNew { message: message(seq, None) }.into())
}

fn start(reply: &str, asked: &str) -> Arc<RoomNote> {
    let (message_id, in_reply_to) = (reply.parse().unwrap(), asked.parse().unwrap());
    Arc::new(RoomEvent::ReplyStart { conversation_id: id("c1"), message_id, in_reply_to }.into())
}

fn delta(reply: &str, offset: u64, text: &str) -> Arc<RoomNote> {
    let message_id = reply.parse().unwrap();
    Arc::new(RoomEvent::ReplyDelta { conversation_id: id("c1"), message_id, offset, text: text.into() }.into())
}

fn at(last_seq: u64) -> RoomStanding {
    RoomStanding { last_seq, removals: 0 }
}

fn removed(from_seq: u64, removals: u64, messages: &[&str]) -> Arc<RoomNote> {
    let message_ids = messages.iter().map(|id| id.parse().unwrap()).collect();
    Arc::new(RoomEvent::MessageRemoved { conversation_id: id("c1"), from_seq, removals, message_ids }.into())
}

/// Another message in a place that was there before.
fn anew(seq: u64) -> Arc<RoomNote> {
    let message = Message { id: format!("n{seq}").parse().unwrap(), ..message(seq, None) };
    Arc::new(RoomEvent::MessageNew { message }.into())
}

fn open_room(last_seq: u64) -> Room {
    let room = Room::new(id("c1"), CharacterId::trusted("mara"));
    room.open(at(last_seq), None, true, ConversationState::default());
    room
}

fn said(room: &Room) -> Option<String> {
    room.state.lock().reply.as_ref().map(|reply| reply.partial.text.clone())
}

#[test]
fn messages_go_out_by_seq_whatever_order_they_come_in() {
    let room = open_room(0);
    assert!(room.deliver(new(3)).gap);
    assert!(!room.deliver(new(2)).gap, "somebody looks for what is missing already");
    assert_eq!((room.last_seq(), room.has_gap()), (0, true));
    assert!(!room.deliver(new(1)).gap);
    assert_eq!((room.last_seq(), room.has_gap()), (3, false));
}

#[test]
fn what_became_of_a_message_is_not_undone_by_the_message_that_comes_late() {
    let cancelled = |seq| {
        let message = Message { reply_state: Some(ReplyState::Cancelled), ..message(seq, None) };
        Arc::new(RoomEvent::MessageUpdated { message }.into())
    };
    let room = open_room(1);
    assert!(!room.deliver(cancelled(2)).gap);
    assert_eq!(room.last_seq(), 2, "told as a new one");
    room.deliver(new(2));
    assert_eq!((room.last_seq(), room.has_gap()), (2, false));
    // Before others that are missing it waits, as a new one does.
    assert!(room.deliver(cancelled(4)).gap);
    room.deliver(new(3));
    assert_eq!((room.last_seq(), room.has_gap()), (4, false));
    // Of one that was removed nothing is told.
    room.deliver(removed(4, 1, &["m4"]));
    room.deliver(cancelled(4));
    assert_eq!((room.last_seq(), room.has_gap()), (3, false));
}

#[test]
fn a_message_that_went_out_does_not_again() {
    let room = open_room(4);
    room.deliver(new(4));
    room.deliver(new(2));
    assert_eq!((room.last_seq(), room.has_gap()), (4, false));
}

#[test]
fn a_gap_is_filled_from_the_store() {
    let room = open_room(1);
    assert!(room.deliver(new(4)).gap);
    assert!(!room.fill(vec![message(2, None), message(3, None)]).gap);
    assert_eq!(room.last_seq(), 4);
}

#[test]
fn a_reply_waits_for_the_message_that_it_answers() {
    let room = open_room(1);
    room.deliver(new(3));
    room.deliver(start("r1", "m3"));
    room.deliver(delta("r1", 0, "Aye"));
    assert_eq!(said(&room), None);
    room.deliver(new(2));
    assert_eq!((room.last_seq(), said(&room).as_deref()), (3, Some("Aye")));
}

#[test]
fn deltas_that_are_known_already_change_nothing() {
    let room = Room::new(id("c1"), CharacterId::trusted("mara"));
    room.deliver(delta("r1", 4, " there"));
    room.deliver(delta("r1", 10, "!"));
    let partial =
        Partial { message_id: "r1".parse().unwrap(), in_reply_to: "m1".parse().unwrap(), text: "Ahoy there".into() };
    room.open(at(1), Some(partial), true, ConversationState::default());
    assert_eq!(said(&room).as_deref(), Some("Ahoy there!"));
}

#[test]
fn offsets_count_utf16_code_units() {
    let room = open_room(1);
    room.deliver(start("r1", "m1"));
    room.deliver(delta("r1", 0, "🌊"));
    room.deliver(delta("r1", 2, "é"));
    room.deliver(delta("r1", 3, "."));
    assert_eq!(said(&room).as_deref(), Some("🌊é."));
}

#[test]
fn a_reply_that_starts_anew_replaces_what_was_said() {
    let room = open_room(1);
    room.deliver(start("r1", "m1"));
    room.deliver(delta("r1", 0, "One"));
    room.deliver(start("r2", "m1"));
    room.deliver(delta("r1", 3, " more"));
    assert_eq!(said(&room).as_deref(), Some(""));
    room.deliver(delta("r2", 0, "Two"));
    assert_eq!(said(&room).as_deref(), Some("Two"));
}

#[test]
fn a_reply_is_over_when_its_message_comes() {
    let room = open_room(1);
    room.deliver(start("r1", "m1"));
    room.deliver(delta("r1", 0, "Aye"));
    room.deliver(Arc::new(RoomEvent::MessageNew { message: message(2, Some("m1")) }.into()));
    assert_eq!(said(&room), None);
}

#[test]
fn a_flood_behind_a_gap_is_bounded() {
    let room = open_room(0);
    room.deliver(new(2));
    for n in 0..MAX_HELD as u64 + 10 {
        room.deliver(start(&format!("r{n}"), "m1"));
    }
    assert!(room.state.lock().held.len() <= MAX_HELD);
}

#[test]
fn a_room_that_waits_is_compared_with_the_store() {
    let room = open_room(1);
    assert!(!room.awaits_reply());
    let state = ConversationState { state: Phase::Queued, pending: 1, position: Some(1) };
    room.deliver(Arc::new(RoomEvent::State { conversation_id: id("c1"), state }.into()));
    assert!(room.awaits_reply());
}

#[test]
fn a_packet_has_the_events_name_and_its_payload() {
    let state = ConversationState { state: Phase::Idle, pending: 0, position: None };
    let packet = encode(&RoomEvent::State { conversation_id: id("c1"), state }).unwrap();
    assert_eq!(packet.as_str(), r#"2["conversation:state",{"conversationId":"c1","state":"idle","pending":0}]"#);
}

fn partial(reply: &str, asked: &str, text: &str) -> Partial {
    Partial { message_id: reply.parse().unwrap(), in_reply_to: asked.parse().unwrap(), text: text.into() }
}

#[test]
fn a_reply_with_a_hole_is_read_from_the_bus_and_goes_on() {
    let room = open_room(1);
    room.deliver(start("r1", "m1"));
    room.deliver(delta("r1", 0, "One"));
    room.deliver(delta("r1", 7, " three"));
    assert_eq!((said(&room), room.asks_bus()), (None, true));
    room.mend(Some(partial("r1", "m1", "One two three")));
    room.deliver(delta("r1", 13, " four"));
    assert_eq!((said(&room).as_deref(), room.asks_bus()), (Some("One two three four"), false));
}

#[test]
fn a_reply_that_the_bus_does_not_keep_asks_nobody_to_join_again_and_again() {
    let room = open_room(1);
    let resyncs = |room: &Room| room.state.lock().ask_bus;
    room.deliver(delta("r1", 7, " three"));
    assert!(resyncs(&room));
    room.mend(None);
    room.deliver(delta("r1", 13, " four"));
    assert!(!resyncs(&room));
    room.deliver(delta("r2", 4, "other"));
    assert!(resyncs(&room));
}

#[test]
fn what_was_heard_while_the_bus_was_read_counts() {
    let room = open_room(1);
    room.deliver(start("r1", "m1"));
    room.deliver(delta("r1", 0, "One two"));
    room.mend(Some(partial("r1", "m1", "One")));
    assert_eq!(said(&room).as_deref(), Some("One two"));
}

#[test]
fn a_reply_that_is_stored_already_is_not_under_way() {
    let room = Room::new(id("c1"), CharacterId::trusted("mara"));
    room.deliver(Arc::new(RoomEvent::MessageNew { message: message(2, Some("m1")) }.into()));
    room.open(at(2), Some(partial("r1", "m1", "Aye")), true, ConversationState::default());
    assert_eq!((said(&room), room.last_seq()), (None, 2));
}

#[test]
fn a_turn_that_was_read_never_undoes_what_was_heard_since() {
    let (waits, is_over) =
        (ConversationState { state: Phase::Queued, pending: 1, position: Some(1) }, Default::default());
    let told = |state| Arc::new(RoomNote::from(RoomEvent::State { conversation_id: id("c1"), state }));
    let room = open_room(1);
    let heard = room.turns_heard();
    room.deliver(told(waits));
    room.correct_turn(heard, is_over);
    assert!(room.awaits_reply());
    room.correct_turn(room.turns_heard(), is_over);
    assert!(!room.awaits_reply());
}

#[test]
fn a_room_that_gives_up_a_gap_goes_on_behind_it() {
    let room = open_room(1);
    room.deliver(start("r1", "m1"));
    room.deliver(new(300));
    room.deliver(new(302));
    room.give_up(300);
    assert_eq!((room.last_seq(), room.has_gap(), said(&room), room.asks_bus()), (300, true, None, true));
    room.deliver(new(301));
    assert_eq!((room.last_seq(), room.has_gap()), (302, false));
}

#[test]
fn what_is_said_after_a_removal_takes_its_place() {
    let room = open_room(4);
    let delivery = room.deliver(removed(3, 1, &["m3", "m4"]));
    assert!(delivery.fell, "what was said since may have come before it");
    assert_eq!(room.last_seq(), 2);
    room.deliver(new(3));
    assert_eq!(room.last_seq(), 2, "what was removed comes late, and is not there any more");
    room.deliver(anew(3));
    room.deliver(anew(4));
    assert_eq!(room.last_seq(), 4);
    room.deliver(removed(3, 1, &["m3", "m4"]));
    assert_eq!(room.last_seq(), 4, "a removal counts once");
}

#[test]
fn what_crossed_a_removal_is_read_from_the_store() {
    let room = open_room(4);
    room.deliver(anew(3));
    room.deliver(anew(5));
    assert_eq!(room.last_seq(), 5);
    assert!(room.deliver(removed(3, 1, &["m3", "m4"])).fell);
    let stored = [3, 4, 5].map(|seq| Message { id: format!("n{seq}").parse().unwrap(), ..message(seq, None) });
    room.fill(stored.into());
    assert_eq!((room.last_seq(), room.has_gap()), (5, false));
}

#[test]
fn a_removal_takes_what_waits_for_a_gap_with_it() {
    let room = open_room(1);
    room.deliver(new(3));
    room.deliver(start("r1", "m3"));
    assert!(room.has_gap());
    room.deliver(removed(3, 1, &["m3"]));
    assert_eq!((room.last_seq(), room.has_gap()), (1, false));
    room.deliver(new(2));
    assert_eq!(room.last_seq(), 2);
}

#[test]
fn a_removal_that_was_not_heard_of_is_made_good_by_the_store() {
    let room = open_room(6);
    room.deliver(removed(3, 2, &["m3"]));
    assert_eq!(room.last_seq(), 6, "one before it is missing");
    room.correct(RoomStanding { last_seq: 3, removals: 2 });
    assert_eq!(room.last_seq(), 3);
    room.correct(RoomStanding { last_seq: 2, removals: 1 });
    assert_eq!(room.last_seq(), 3, "a look from before changes nothing");
    room.deliver(removed(3, 2, &["m3"]));
    assert_eq!(room.last_seq(), 3);
}
