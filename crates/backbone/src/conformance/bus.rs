//! What every bus promises.

use super::Bench;
use crate::bus::{Bus, Origin, RoomNote, Sink, UserNote};
use aim_domain::{
    CharacterId, ConversationId, Incarnation, MessageId, RoomEvent, Tier, Usage, UsageCount, UserEvent, UserId,
};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

#[macro_export]
macro_rules! bus_promises {
    ($open:expr) => {
        $crate::promises!(
            bus,
            $open,
            events_reach_those_who_subscribed_in_order,
            unsubscribed_channels_are_silent,
            events_of_a_user_reach_its_channel,
            the_sink_that_listens_last_hears,
            a_reply_under_way_is_kept_as_far_as_it_has_come,
            a_reply_that_ended_leaves_another_one_alone,
            offsets_count_utf16_units,
            a_reply_that_starts_anew_replaces_what_was_kept,
            a_delta_that_does_not_fit_is_heard_and_drops_what_was_kept,
            a_reply_too_long_to_keep_is_heard_to_its_end,
            only_a_reply_under_way_is_published_as_one,
            who_subscribes_before_reading_the_partial_misses_nothing,
        );
    };
}

type Open = Bench<dyn Bus>;

#[derive(Debug, PartialEq)]
enum Heard {
    Room(ConversationId, RoomNote),
    User(UserId, UserEvent),
}

struct Ear(Mutex<mpsc::UnboundedSender<Heard>>);

impl Sink for Ear {
    fn room(&self, conversation: &ConversationId, note: Arc<RoomNote>) {
        let _ = self.0.lock().send(Heard::Room(conversation.clone(), (*note).clone()));
    }

    fn user(&self, user: &UserId, note: Arc<UserNote>) {
        let event = &note.event;
        let _ = self.0.lock().send(Heard::User(user.clone(), (*event).clone()));
    }

    fn lost(&self, conversation: &ConversationId) {
        panic!("{conversation} lost events without an outage");
    }

    fn lost_user(&self, user: &UserId) {
        panic!("{user} lost events without an outage");
    }
}

struct Listener(mpsc::UnboundedReceiver<Heard>);

impl Listener {
    fn on(bench: &Open) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        bench.backend.listen(Arc::new(Ear(Mutex::new(sender))));
        Self(receiver)
    }

    async fn next(&mut self) -> Heard {
        tokio::time::timeout(Duration::from_secs(5), self.0.recv()).await.expect("an event comes").expect("it listens")
    }

    async fn event(&mut self) -> RoomEvent {
        match self.next().await {
            Heard::Room(_, note) => note.event,
            other => panic!("{other:?} is no event of a room"),
        }
    }

    /// Publishes a mark and asserts that nothing came before it.
    async fn hears_nothing(&mut self, bench: &Open) {
        let mark = conversation("mark");
        bench.backend.subscribe_room(&mark).await.unwrap();
        bench.backend.publish_room(&mark, typing("mark", true).into()).await.unwrap();
        assert_eq!(self.next().await, Heard::Room(mark, typing("mark", true).into()));
    }
}

fn conversation(id: &str) -> ConversationId {
    ConversationId::trusted(id)
}

fn message(id: &str) -> MessageId {
    MessageId::trusted(id)
}

fn typing(id: &str, typing: bool) -> RoomEvent {
    RoomEvent::Typing { conversation_id: conversation(id), user_id: None, character_id: None, typing }
}

fn start(reply: &str) -> RoomEvent {
    let (message_id, in_reply_to) = (message(reply), message("m1"));
    RoomEvent::ReplyStart { conversation_id: conversation("c1"), message_id, in_reply_to }
}

fn delta(reply: &str, offset: u64, text: &str) -> RoomEvent {
    let (conversation_id, message_id) = (conversation("c1"), message(reply));
    RoomEvent::ReplyDelta { conversation_id, message_id, offset, text: text.into() }
}

impl Open {
    async fn reply(&self, event: RoomEvent) {
        self.backend.publish_reply(&conversation("c1"), event).await.unwrap();
    }

    /// A bus that cannot know of other servers' replies has none, and says so.
    async fn kept(&self) -> Option<(String, String)> {
        let partial = self.backend.partial(&conversation("c1")).await.ok().flatten()?;
        assert_eq!(partial.in_reply_to, message("m1"));
        Some((partial.message_id.to_string(), partial.text))
    }
}

fn some(reply: &str, text: &str) -> Option<(String, String)> {
    Some((reply.into(), text.into()))
}

pub async fn events_reach_those_who_subscribed_in_order(bench: Open) {
    let (mut listener, room) = (Listener::on(&bench), conversation("c1"));
    bench.backend.subscribe_room(&room).await.unwrap();
    bench.backend.subscribe_room(&room).await.unwrap();
    let origin = Origin { server: Incarnation::trusted("s1"), socket: "k1".into() };
    for n in 0..100 {
        let note = RoomNote { event: typing("c1", n % 3 == 0), origin: (n % 2 == 0).then(|| origin.clone()) };
        bench.backend.publish_room(&room, note).await.unwrap();
    }
    for n in 0..100 {
        let note = RoomNote { event: typing("c1", n % 3 == 0), origin: (n % 2 == 0).then(|| origin.clone()) };
        assert_eq!(listener.next().await, Heard::Room(room.clone(), note), "event {n}");
    }
    listener.hears_nothing(&bench).await;
}

pub async fn unsubscribed_channels_are_silent(bench: Open) {
    let (mut listener, room) = (Listener::on(&bench), conversation("c1"));
    bench.backend.publish_room(&room, typing("c1", true).into()).await.unwrap();
    // Whoever publishes does not wait: it has gone out when what was published after it is heard.
    listener.hears_nothing(&bench).await;
    bench.backend.subscribe_room(&room).await.unwrap();
    bench.backend.unsubscribe_room(&room).await.unwrap();
    bench.backend.publish_room(&room, typing("c1", true).into()).await.unwrap();
    bench.backend.unsubscribe_room(&conversation("never")).await.unwrap();
    listener.hears_nothing(&bench).await;
}

pub async fn events_of_a_user_reach_its_channel(bench: Open) {
    let (mut listener, user) = (Listener::on(&bench), UserId::trusted("u1"));
    let event = UserEvent::Usage {
        character_id: CharacterId::trusted("c1"),
        usage: Usage::of(UsageCount::default(), Tier::Free, 1, bench.now()),
    };
    bench.backend.subscribe_user(&user).await.unwrap();
    bench.backend.publish_user(&user, event.clone().into()).await.unwrap();
    bench.backend.publish_user(&UserId::trusted("u2"), event.clone().into()).await.unwrap();
    assert_eq!(listener.next().await, Heard::User(user.clone(), event.clone()));
    bench.backend.unsubscribe_user(&user).await.unwrap();
    bench.backend.publish_user(&user, event.into()).await.unwrap();
    listener.hears_nothing(&bench).await;
}

pub async fn the_sink_that_listens_last_hears(bench: Open) {
    let (mut first, room) = (Listener::on(&bench), conversation("c1"));
    bench.backend.subscribe_room(&room).await.unwrap();
    let mut second = Listener::on(&bench);
    bench.backend.publish_room(&room, typing("c1", true).into()).await.unwrap();
    assert_eq!(second.event().await, typing("c1", true));
    assert!(first.0.try_recv().is_err());
}

pub async fn a_reply_under_way_is_kept_as_far_as_it_has_come(bench: Open) {
    let mut listener = Listener::on(&bench);
    bench.backend.subscribe_room(&conversation("c1")).await.unwrap();
    assert_eq!(bench.kept().await, None);
    for event in [start("r1"), delta("r1", 0, "The sea"), delta("r1", 7, " is calm.")] {
        bench.reply(event.clone()).await;
        assert_eq!(listener.event().await, event);
    }
    assert_eq!(bench.kept().await, some("r1", "The sea is calm."));
    assert!(bench.backend.partial(&conversation("c2")).await.ok().flatten().is_none());
    bench.backend.end_reply(&conversation("c1"), &message("r1")).await.unwrap();
    assert_eq!(bench.kept().await, None);
    bench.backend.end_reply(&conversation("c1"), &message("r1")).await.unwrap();
}

pub async fn a_reply_that_ended_leaves_another_one_alone(bench: Open) {
    bench.reply(start("r2")).await;
    bench.reply(delta("r2", 0, "A")).await;
    bench.backend.end_reply(&conversation("c1"), &message("r1")).await.unwrap();
    bench.backend.end_reply(&conversation("c1"), &message("r")).await.unwrap();
    assert_eq!(bench.kept().await, some("r2", "A"));
}

pub async fn offsets_count_utf16_units(bench: Open) {
    bench.reply(start("r1")).await;
    bench.reply(delta("r1", 0, "Größe 🌊")).await;
    bench.reply(delta("r1", 8, "!")).await;
    assert_eq!(bench.kept().await, some("r1", "Größe 🌊!"));
}

pub async fn a_reply_that_starts_anew_replaces_what_was_kept(bench: Open) {
    bench.reply(start("r1")).await;
    bench.reply(delta("r1", 0, "The sea")).await;
    bench.reply(start("r2")).await;
    assert_eq!(bench.kept().await, some("r2", ""));
    bench.reply(delta("r2", 0, "A")).await;
    bench.reply(delta("r1", 7, " is calm.")).await;
    assert_eq!(bench.kept().await, some("r2", "A"), "the one that was replaced adds nothing");
}

pub async fn a_delta_that_does_not_fit_is_heard_and_drops_what_was_kept(bench: Open) {
    let mut listener = Listener::on(&bench);
    bench.backend.subscribe_room(&conversation("c1")).await.unwrap();
    for event in [start("r1"), delta("r1", 0, "The sea"), delta("r1", 9, "is calm."), delta("r1", 17, " Now.")] {
        bench.reply(event.clone()).await;
        assert_eq!(listener.event().await, event);
    }
    assert_eq!(bench.kept().await, None, "what is kept is the reply's text or nothing");
}

pub async fn a_reply_too_long_to_keep_is_heard_to_its_end(bench: Open) {
    let mut listener = Listener::on(&bench);
    bench.backend.subscribe_room(&conversation("c1")).await.unwrap();
    bench.reply(start("r1")).await;
    listener.event().await;
    let text = "x".repeat(50_000);
    for n in 0..6 {
        bench.reply(delta("r1", n * 50_000, &text)).await;
        assert_eq!(listener.event().await, delta("r1", n * 50_000, &text));
    }
    assert_eq!(bench.kept().await, None);
}

pub async fn only_a_reply_under_way_is_published_as_one(bench: Open) {
    assert!(bench.backend.publish_reply(&conversation("c1"), typing("c1", true)).await.is_err());
}

pub async fn who_subscribes_before_reading_the_partial_misses_nothing(bench: Open) {
    let mut listener = Listener::on(&bench);
    let (bus, room) = (bench.backend.clone(), conversation("c1"));
    bench.reply(start("r1")).await;
    let publisher = tokio::spawn(async move {
        for n in 0..200 {
            bus.publish_reply(&conversation("c1"), delta("r1", n, "x")).await.unwrap();
            tokio::task::yield_now().await;
        }
    });
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    bench.backend.subscribe_room(&room).await.unwrap();
    let mut length = bench.kept().await.map_or(0, |(_, text)| text.len() as u64);
    publisher.await.unwrap();
    while length < 200 {
        let RoomEvent::ReplyDelta { offset, .. } = listener.event().await else { continue };
        assert!(offset <= length, "a gap at {length}");
        length = length.max(offset + 1);
    }
}
