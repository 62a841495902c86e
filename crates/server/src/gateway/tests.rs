//! What sockets leave behind, with real ones: they speak Engine.IO by polling, which needs nothing but HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use aim_backbone::bus::{Bus, Origin};
use aim_backbone::{Backbone, Fault, Settings as BackboneSettings, turns};
use aim_domain::{Ambient, CharacterDraft, CharacterId, Kind, MessageId, Partial, RoomEvent, RuleSet};
use aim_platform::{Device, Outgoing, Registration, Settings, Via};
use aim_store::sqlite::{SqliteOptions, SqliteStore};
use std::future::IntoFuture;
use tempfile::TempDir;

mod fleet;
mod people;

struct World {
    gateway: Arc<Gateway>,
    url: String,
    client: reqwest::Client,
    _data: Arc<TempDir>,
}

/// Channels that take their time to open and close, as those of a bus between servers do.
struct Slow(Arc<dyn Bus>);

const SLOW: Duration = Duration::from_millis(2);

#[async_trait::async_trait]
impl Bus for Slow {
    fn listen(&self, sink: Arc<dyn Sink>) {
        self.0.listen(sink);
    }
    async fn publish_room(&self, conversation: &ConversationId, note: RoomNote) -> Result<(), Fault> {
        self.0.publish_room(conversation, note).await
    }
    async fn publish_user(&self, user: &UserId, note: UserNote) -> Result<(), Fault> {
        self.0.publish_user(user, note).await
    }
    async fn subscribe_room(&self, conversation: &ConversationId) -> Result<(), Fault> {
        tokio::time::sleep(SLOW).await;
        self.0.subscribe_room(conversation).await
    }
    async fn unsubscribe_room(&self, conversation: &ConversationId) -> Result<(), Fault> {
        tokio::time::sleep(2 * SLOW).await;
        self.0.unsubscribe_room(conversation).await
    }
    async fn subscribe_user(&self, user: &UserId) -> Result<(), Fault> {
        tokio::time::sleep(SLOW).await;
        self.0.subscribe_user(user).await
    }
    async fn unsubscribe_user(&self, user: &UserId) -> Result<(), Fault> {
        tokio::time::sleep(SLOW).await;
        self.0.unsubscribe_user(user).await
    }
    async fn publish_reply(&self, conversation: &ConversationId, event: RoomEvent) -> Result<(), Fault> {
        self.0.publish_reply(conversation, event).await
    }
    async fn end_reply(&self, conversation: &ConversationId, message: &MessageId) -> Result<(), Fault> {
        self.0.end_reply(conversation, message).await
    }
    async fn partial(&self, conversation: &ConversationId) -> Result<Option<Partial>, Fault> {
        self.0.partial(conversation).await
    }
}

struct Person {
    who: Arc<Member>,
    token: String,
}

struct Polling<'a> {
    world: &'a World,
    sid: String,
}

impl World {
    async fn new() -> Self {
        Self::on(Arc::new(tempfile::tempdir().unwrap()), |bus| Arc::new(Slow(bus))).await
    }

    /// A server on the store in this folder, with the bus that `bus` makes of the one within this server.
    async fn on(data: Arc<TempDir>, bus: impl FnOnce(Arc<dyn Bus>) -> Arc<dyn Bus>) -> Self {
        let ambient = Ambient::system();
        let store = SqliteStore::open(data.path().join("aim.db"), SqliteOptions::default(), ambient.clone()).unwrap();
        let settings = BackboneSettings {
            short_cache: false,
            cache_capacity: 1_000,
            turns: turns::Settings::default(),
            answers: true,
        };
        let mut backbone = Backbone::local(&settings, &ambient);
        backbone.bus = bus(backbone.bus);
        // Nothing is answered here, so it is never asked.
        let remote = aim_ai::ProviderSettings {
            base_url: "http://127.0.0.1:9/v1".into(),
            model: "none".into(),
            ..Default::default()
        };
        let model = Arc::new(aim_ai::provider::Remote::new(remote, ambient.clone()).unwrap());
        let rules = RuleSet { multiplier: 10_000, ..Default::default() };
        let settings = Settings { rules, usage_multiplier: 10_000, ..Default::default() };
        let platform = Platform::new(store, backbone, model, ambient, settings);
        let cookie: CookieSignIn = Arc::new(|_| async { Err(Refusal::unauthenticated("No cookie.")) }.boxed());
        let gateway = Gateway::new(platform, cookie);
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/socket.io/?EIO=4&transport=polling", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, gateway.router()).into_future());
        Self { gateway, url, client: reqwest::Client::builder().no_proxy().build().unwrap(), _data: data }
    }

    async fn person(&self, name: &str) -> Person {
        let form = Registration {
            email: format!("{name}@example.test"),
            username: name.into(),
            password: "correct horse".into(),
            display_name: None,
        };
        let device = Device { name: String::new(), address: name.into() };
        let token = self.gateway.platform.register(form, &device).await.outcome.unwrap().token;
        Person { who: self.gateway.platform.authenticate(&token).await.unwrap(), token }
    }

    async fn talk(&self, person: &Person) -> ConversationId {
        let draft = CharacterDraft { name: "Mara".into(), ..Default::default() };
        let mara = self.gateway.platform.create_character(&person.who, draft).await.unwrap();
        self.gateway.platform.open_conversation(&person.who, &mara.id).await.unwrap().0.conversation.id
    }

    /// The `seq` of a message that was sent.
    async fn send(&self, person: &Person, talk: &ConversationId) -> u64 {
        let platform = &self.gateway.platform;
        let outgoing = Outgoing {
            conversation: talk.clone(),
            client_id: platform.ambient.id::<MessageId>().to_string(),
            kind: Kind::Text,
            text: Some("Ahoy".into()),
            upload_id: None,
        };
        let origin = Origin { server: platform.incarnation(), socket: "none".into() };
        platform.send_message(&person.who, outgoing, Via::Socket { origin }).await.outcome.unwrap().message.seq
    }

    /// A socket of this person, signed in.
    async fn connect(&self, person: &Person) -> Polling<'_> {
        let open = self.client.get(&self.url).send().await.unwrap().text().await.unwrap();
        let open: serde_json::Value = serde_json::from_str(open.strip_prefix('0').unwrap()).unwrap();
        let socket = Polling { world: self, sid: open["sid"].as_str().unwrap().to_owned() };
        socket.post(&format!("40{}", serde_json::json!({ "token": person.token }))).await;
        socket.hear("40{").await;
        socket
    }

    fn is_empty(&self) -> bool {
        let rooms = self.gateway.rooms.all();
        rooms.is_empty() && self.gateway.users.all().is_empty()
    }
}

impl Polling<'_> {
    fn url(&self) -> String {
        format!("{}&sid={}", self.world.url, self.sid)
    }

    async fn post(&self, packets: &str) {
        let _ = self.world.client.post(self.url()).body(packets.to_owned()).send().await;
    }

    async fn poll(&self) -> String {
        self.world.client.get(self.url()).send().await.unwrap().text().await.unwrap()
    }

    async fn join(&self, talk: &ConversationId) {
        self.post(&format!(r#"421["conversation:join",{{"conversationId":"{talk}"}}]"#)).await;
    }

    async fn leave(&self, talk: &ConversationId) {
        self.post(&format!(r#"422["conversation:leave",{{"conversationId":"{talk}"}}]"#)).await;
    }

    async fn close(&self) {
        self.post("1").await;
    }

    /// Polls until something like this was heard.
    async fn hear(&self, text: &str) {
        let heard = async { while !self.poll().await.contains(text) {} };
        tokio::time::timeout(Duration::from_secs(5), heard).await.expect(text);
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(5), "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_closes_while_it_joins_leaves_nothing_behind() {
    let world = World::new().await;
    let ann = world.person("ann").await;
    let talk = world.talk(&ann).await;
    for n in 0..60 {
        let socket = world.connect(&ann).await;
        let late = async {
            tokio::time::sleep(Duration::from_micros(100 * n)).await;
            socket.close().await;
        };
        tokio::join!(socket.join(&talk), late);
    }
    until("all is as before", || world.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_opens_while_it_closes_is_not_deaf() {
    let world = World::new().await;
    let ann = world.person("ann").await;
    let talk = world.talk(&ann).await;
    let (mut inside, mut outside) = (world.connect(&ann).await, world.connect(&ann).await);
    inside.join(&talk).await;
    inside.hear("431[").await;
    for _ in 0..60 {
        tokio::join!(inside.leave(&talk), outside.join(&talk));
        outside.hear("431[").await;
        inside.hear("432[").await;
        let seq = world.send(&ann, &talk).await;
        until("the room heard it", || world.gateway.rooms.get(&talk).is_some_and(|room| room.last_seq() == seq)).await;
        (inside, outside) = (outside, inside);
    }
    tokio::join!(inside.close(), outside.close());
    until("all is as before", || world.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_removed_from_a_conversation_leaves_its_room() {
    let world = World::new().await;
    tokio::spawn(world.gateway.clone().run(CancellationToken::new()));
    let (ann, bob) = (world.person("ann").await, world.person("bob").await);
    let talk = world.talk(&ann).await;
    let platform = &world.gateway.platform;
    platform.add_member(&ann.who, &talk, bob.who.user_id()).await.unwrap();
    let (one, other) = (world.connect(&ann).await, world.connect(&bob).await);
    tokio::join!(one.join(&talk), other.join(&talk));
    let inside = || world.gateway.rooms.get(&talk).map_or(0, |room| room.sockets().len());
    until("both are in", || inside() == 2).await;
    platform.remove_member(&ann.who, &talk, bob.who.user_id()).await.unwrap();
    until("one is left", || inside() == 1).await;
    one.join(&talk).await;
    assert_eq!(inside(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_ends_while_a_socket_signs_in_keeps_no_socket() {
    let world = World::new().await;
    tokio::spawn(world.gateway.clone().run(CancellationToken::new()));
    for n in 0..20_u64 {
        let ann = world.person(&format!("ann{n}")).await;
        let open = world.client.get(&world.url).send().await.unwrap().text().await.unwrap();
        let open: serde_json::Value = serde_json::from_str(open.strip_prefix('0').unwrap()).unwrap();
        let socket = Polling { world: &world, sid: open["sid"].as_str().unwrap().to_owned() };
        let sign_in = format!("40{}", serde_json::json!({ "token": ann.token }));
        let revoke = async {
            tokio::time::sleep(Duration::from_micros(100 * n)).await;
            world.gateway.platform.logout(&ann.who).await.unwrap();
        };
        tokio::join!(socket.post(&sign_in), revoke);
    }
    until("no socket is left", || world.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_cannot_be_opened_does_not_stay() {
    let world = World::new().await;
    let ann = world.person("ann").await;
    let talk = world.talk(&ann).await;
    world.gateway.platform.store.close().await;
    assert!(world.gateway.rooms.open(&talk, &CharacterId::trusted("mara")).await.is_err());
    assert!(world.gateway.rooms.get(&talk).is_none());
}
