//! Several servers on one Redis.

use super::*;
use crate::bus::Origin;
use aim_domain::{CharacterId, Incarnation, Tier, Timestamp, Usage, UsageCount, UserEvent};
use parking_lot::Mutex;
use tokio::sync::mpsc;

#[derive(Debug, PartialEq)]
pub enum Heard {
    Room(RoomNote),
    User(UserNote),
    Lost(ConversationId),
    LostUser(UserId),
}

struct Ear {
    heard: mpsc::UnboundedSender<Heard>,
    /// How long the sink holds up whoever tells it.
    slow: Arc<Mutex<Duration>>,
}

impl Ear {
    fn hear(&self, heard: Heard) {
        let slow = *self.slow.lock();
        if !slow.is_zero() {
            std::thread::sleep(slow);
        }
        let _ = self.heard.send(heard);
    }
}

impl Sink for Ear {
    fn room(&self, _: &ConversationId, note: Arc<RoomNote>) {
        self.hear(Heard::Room((*note).clone()));
    }
    fn user(&self, _: &UserId, note: Arc<UserNote>) {
        self.hear(Heard::User((*note).clone()));
    }
    fn lost(&self, conversation: &ConversationId) {
        self.hear(Heard::Lost(conversation.clone()));
    }
    fn lost_user(&self, user: &UserId) {
        self.hear(Heard::LostUser(user.clone()));
    }
}

pub struct Server {
    pub bus: BusPair,
    pub heard: mpsc::UnboundedReceiver<Heard>,
    pub slow: Arc<Mutex<Duration>>,
}

pub fn room() -> ConversationId {
    ConversationId::trusted("c1")
}

pub fn reply() -> MessageId {
    MessageId::trusted("r1")
}

pub fn start() -> RoomEvent {
    RoomEvent::ReplyStart { conversation_id: room(), message_id: reply(), in_reply_to: MessageId::trusted("m1") }
}

pub fn delta(offset: u64, text: &str) -> RoomEvent {
    RoomEvent::ReplyDelta { conversation_id: room(), message_id: reply(), offset, text: text.into() }
}

impl Server {
    pub async fn start(url: String) -> Self {
        Self::on(connected(url).await)
    }

    pub fn on(bus: RedisBus) -> Self {
        let (sender, heard) = mpsc::unbounded_channel();
        let slow = Arc::<Mutex<Duration>>::default();
        bus.listen(Arc::new(Ear { heard: sender, slow: slow.clone() }));
        Self { bus: BusPair::new(bus), heard, slow }
    }

    pub async fn next(&mut self) -> Heard {
        tokio::time::timeout(PATIENCE, self.heard.recv()).await.expect("something is heard").unwrap()
    }

    pub async fn event(&mut self) -> RoomEvent {
        match self.next().await {
            Heard::Room(note) => note.event,
            other => panic!("{other:?} is no event of a room"),
        }
    }

    pub async fn say(&self, event: RoomEvent) {
        self.bus.publish_room(&room(), event.into()).await.unwrap();
    }

    pub async fn said(&self, text: &str) {
        self.bus.publish_reply(&room(), delta(0, text)).await.unwrap();
    }

    pub async fn kept(&self) -> Option<String> {
        self.bus.partial(&room()).await.ok().flatten().map(|partial| partial.text)
    }

    /// Waits until what was published is with Redis.
    pub async fn carried(&self) {
        let (none, nothing) = (ConversationId::trusted("none"), MessageId::trusted("none"));
        self.bus.end_reply(&none, &nothing).await.unwrap();
    }

    pub fn hears_nothing_more(&mut self) {
        assert_eq!(self.heard.try_recv().ok(), None);
    }
}

pub fn typing(user: &str) -> RoomEvent {
    let user_id = Some(UserId::trusted(user));
    RoomEvent::Typing { conversation_id: room(), user_id, character_id: None, typing: true }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_servers_hear_each_other_once_and_in_order() {
    let redis = RedisServer::start().await.unwrap();
    let mut servers = Vec::new();
    for _ in 0..3 {
        let server = Server::start(redis.url()).await;
        server.bus.subscribe_room(&room()).await.unwrap();
        servers.push(server);
    }
    for n in 0..50 {
        for (i, server) in servers.iter().enumerate() {
            server.say(typing(&format!("{i}-{n}"))).await;
        }
    }
    for server in &mut servers {
        let mut next = [0; 3];
        for _ in 0..150 {
            let RoomEvent::Typing { user_id: Some(user), .. } = server.event().await else { panic!("typing") };
            let (from, n) = user.as_str().split_once('-').unwrap();
            let (from, n): (usize, u32) = (from.parse().unwrap(), n.parse().unwrap());
            assert_eq!(n, next[from], "each publisher's come in its order");
            next[from] += 1;
        }
        server.hears_nothing_more();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_caused_an_event_is_known_on_every_server() {
    let redis = RedisServer::start().await.unwrap();
    let (one, mut other) = (Server::start(redis.url()).await, Server::start(redis.url()).await);
    let user = UserId::trusted("u1");
    other.bus.subscribe_room(&room()).await.unwrap();
    other.bus.subscribe_user(&user).await.unwrap();
    let origin = Some(Origin { server: Incarnation::trusted("s1"), socket: "k1".into() });
    let note = RoomNote { event: typing("u1"), origin: origin.clone() };
    one.bus.publish_room(&room(), note.clone()).await.unwrap();
    assert_eq!(other.next().await, Heard::Room(note));
    let usage = Usage::of(UsageCount::default(), Tier::Free, 1, Timestamp(0));
    let note = UserNote { event: UserEvent::Usage { character_id: CharacterId::trusted("c1"), usage }, origin };
    one.bus.publish_user(&user, note.clone()).await.unwrap();
    assert_eq!(other.next().await, Heard::User(note));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_joins_elsewhere_while_a_reply_streams_gets_all_of_it_without_a_gap() {
    let redis = RedisServer::start().await.unwrap();
    let (one, mut other) = (Server::start(redis.url()).await, Server::start(redis.url()).await);
    one.bus.publish_reply(&room(), start()).await.unwrap();
    let speaking = async {
        for n in 0..400 {
            one.bus.publish_reply(&room(), delta(n, "x")).await.unwrap();
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
    };
    let joining = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        other.bus.subscribe_room(&room()).await.unwrap();
        other.kept().await.unwrap()
    };
    let ((), so_far) = tokio::join!(speaking, joining);
    assert!(!so_far.is_empty() && so_far.len() < 400, "it joined on the way: {}", so_far.len());
    let mut length = so_far.len() as u64;
    while length < 400 {
        let RoomEvent::ReplyDelta { offset, .. } = other.event().await else { panic!("a delta") };
        assert!(offset <= length, "a gap at {length}");
        length = length.max(offset + 1);
    }
    one.bus.end_reply(&room(), &reply()).await.unwrap();
    assert_eq!(other.kept().await, None, "it is over everywhere once that was answered");
    let left = redis.command(&["KEYS", "aim:reply:*"]).await.unwrap();
    assert!(left.list().is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_whose_server_died_is_not_kept_for_ever() {
    let redis = RedisServer::start().await.unwrap();
    let one = Server::start(redis.url()).await;
    one.bus.publish_reply(&room(), start()).await.unwrap();
    one.said("The sea").await;
    one.carried().await;
    drop(one);
    let left = redis.command(&["TTL", "aim:reply:c1"]).await.unwrap().number().unwrap();
    assert!((1..=600).contains(&left), "{left}");
    let other = Server::start(redis.url()).await;
    assert_eq!(other.kept().await.as_deref(), Some("The sea"));
    other.bus.end_reply(&room(), &reply()).await.unwrap();
    assert_eq!(other.kept().await, None, "another server may end it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_lost_its_claim_does_not_touch_the_new_reply() {
    let redis = RedisServer::start().await.unwrap();
    let (asleep, awake) = (Server::start(redis.url()).await, Server::start(redis.url()).await);
    asleep.bus.publish_reply(&room(), start()).await.unwrap();
    asleep.said("Old").await;
    asleep.carried().await;
    let (message_id, in_reply_to) = (MessageId::trusted("r2"), MessageId::trusted("m1"));
    let anew = RoomEvent::ReplyStart { conversation_id: room(), message_id: message_id.clone(), in_reply_to };
    awake.bus.publish_reply(&room(), anew).await.unwrap();
    let new = RoomEvent::ReplyDelta { conversation_id: room(), message_id, offset: 0, text: "New".into() };
    awake.bus.publish_reply(&room(), new).await.unwrap();
    awake.carried().await;
    asleep.bus.publish_reply(&room(), delta(3, " and more")).await.unwrap();
    asleep.carried().await;
    assert_eq!(awake.kept().await.as_deref(), Some("New"));
    assert_eq!(asleep.kept().await.as_deref(), Some("New"), "what Redis keeps is newer than its own");
    asleep.bus.end_reply(&room(), &reply()).await.unwrap();
    assert_eq!(awake.kept().await.as_deref(), Some("New"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_slow_sink_blocks_nobody_but_itself() {
    let redis = RedisServer::start().await.unwrap();
    let proxy = ChaosProxy::before(redis.address()).await.unwrap();
    let (mut slow, one) = (Server::start(redis.url_at(proxy.address())).await, Server::start(redis.url()).await);
    slow.bus.subscribe_room(&room()).await.unwrap();
    *slow.slow.lock() = Duration::from_millis(20);
    let connections = proxy.connections();
    for n in 0..30_000 {
        one.say(typing(&n.to_string())).await;
        if n % 1_000 == 0 {
            one.carried().await;
        }
    }
    one.carried().await;
    let began = Instant::now();
    slow.bus.subscribe_room(&ConversationId::trusted("c2")).await.unwrap();
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(proxy.connections(), connections, "the connection lives on");
    *slow.slow.lock() = Duration::ZERO;
    let mut heard = 0;
    while let Heard::Room(_) = slow.next().await {
        heard += 1;
    }
    assert!(heard < 30_000, "and it is told that something was lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_server_of_this_version_says_counts_as_a_loss() {
    let redis = RedisServer::start().await.unwrap();
    let mut server = Server::start(redis.url()).await;
    server.bus.subscribe_room(&room()).await.unwrap();
    for alien in ["", "x", "a\n\n{\"event\":\"new:one\",\"payload\":{}}", "a\nb\nc"] {
        redis.command(&["PUBLISH", "aim:room:c1", alien]).await.unwrap();
        assert_eq!(server.next().await, Heard::Lost(room()), "{alien:?}");
    }
}
