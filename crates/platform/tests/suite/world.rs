//! A database, a clock, a model, and servers over them, each in a line.

use aim_ai::provider::Remote;
use aim_ai::{LanguageModel, Provider, ProviderSettings};
use aim_backbone::bus::{Origin, RoomNote, Sink, UserNote};
use aim_backbone::cache::{Cache, redis::RedisCache};
use aim_backbone::link::{Link, Settings as LinkSettings};
use aim_backbone::queue::Worker;
use aim_backbone::sessions::redis::RedisSessions;
use aim_backbone::usage::redis::RedisUsage;
use aim_backbone::{Backbone, turns};
use aim_domain::{
    Ambient, Author, Character, CharacterDraft, Code, ConversationId, Incarnation, Kind, ManualClock, Member, Message,
    MessageId, Refusal, ReplyState, RoomEvent, RuleSet, SeededRandom, Timestamp, UserId, Visibility,
};
use aim_media::{Caps, Files};
use aim_platform::{Accepted, Device, Ear, Media, Outgoing, Platform, Registration, Settings, Via};
use aim_store::sqlite::{SqliteOptions, SqliteStore};
use aim_store::{MessageQuery, Store};
use aim_testkit::model_stub::{Behaviour, ModelStub};
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub const LEASE: Duration = Duration::from_millis(900);
pub const PASSWORD: &str = "correct horse";
/// Longer than anything here takes that goes well.
const PATIENCE: Duration = Duration::from_secs(10);

pub struct World {
    pub clock: Arc<ManualClock>,
    pub ambient: Ambient,
    pub model: ModelStub,
    /// Who listens to voice messages.
    pub ear: Option<Arc<dyn Ear>>,
    data: TempDir,
}

/// With rates and usage lifted.
pub fn settings() -> Settings {
    Settings {
        rules: RuleSet { multiplier: 10_000, ..Default::default() },
        usage_multiplier: 10_000,
        server_lease: LEASE,
        ..Default::default()
    }
}

fn backbone_settings(settings: &Settings) -> aim_backbone::Settings {
    aim_backbone::Settings {
        short_cache: false,
        cache_capacity: 10_000,
        turns: turns::Settings { replies_per_character: settings.replies_per_character, ..Default::default() },
        answers: true,
    }
}

impl World {
    pub async fn new() -> Self {
        Self::with(Behaviour::default()).await
    }

    pub async fn with(behaviour: Behaviour) -> Self {
        let clock = ManualClock::at(Timestamp(1_795_408_728_120));
        let ambient = Ambient { clock: clock.clone(), random: SeededRandom::new(11) };
        let model = ModelStub::start_with(behaviour).await.unwrap();
        Self { clock, ambient, model, ear: None, data: tempfile::tempdir().unwrap() }
    }

    pub fn store(&self) -> Arc<dyn Store> {
        let path = self.data.path().join("aim.db");
        SqliteStore::open(&path, SqliteOptions::default(), self.ambient.clone()).unwrap()
    }

    /// Where uploads lie, for all servers.
    pub fn files(&self) -> Files {
        Files::open(self.media_folder().to_str().unwrap()).unwrap()
    }

    pub fn media_folder(&self) -> PathBuf {
        self.data.path().join("media")
    }

    pub fn remote(&self) -> Remote {
        let settings = ProviderSettings {
            provider: Provider::OpenAi,
            base_url: self.model.base_url(),
            model: "stub".into(),
            retries: 0,
            ..Default::default()
        };
        Remote::new(settings, self.ambient.clone()).unwrap()
    }

    /// A server over the same database, with a lease, that does nothing by itself yet.
    pub async fn idle(&self, settings: Settings) -> Server {
        self.made_of(self.store(), Arc::new(self.remote()), settings).await
    }

    pub async fn made_of(&self, store: Arc<dyn Store>, model: Arc<dyn LanguageModel>, settings: Settings) -> Server {
        let backbone = Backbone::local(&backbone_settings(&settings), &self.ambient);
        self.started(store, model, backbone, settings).await
    }

    /// A server that shares its cache, sessions and usage with others, and follows the feed.
    pub async fn sharing(&self, redis: &str) -> Server {
        let link = Link::open("cache", LinkSettings { url: redis.into(), prefix: "aim:".into(), ..Default::default() });
        let link = link.unwrap();
        assert!(link.ready(PATIENCE).await);
        let cache = RedisCache::new(link.client("cache"), &backbone_settings(&settings()), &self.ambient);
        let local = Backbone::local(&backbone_settings(&settings()), &self.ambient);
        let backbone = Backbone {
            cache: Cache::new(Arc::new(cache)),
            sessions: Arc::new(RedisSessions::new(link.client("sessions"), &local.fleet, &self.ambient)),
            usage: Arc::new(RedisUsage::new(link.client("usage"), &self.ambient)),
            ..local
        };
        let mut server = self.started(self.store(), Arc::new(self.remote()), backbone, settings()).await;
        server.follow_changes().await;
        server
    }

    async fn started(
        &self,
        store: Arc<dyn Store>,
        model: Arc<dyn LanguageModel>,
        backbone: Backbone,
        settings: Settings,
    ) -> Server {
        let platform = Platform::new(store, backbone, model, self.ambient.clone(), settings);
        platform.take_media(Media { files: self.files(), caps: Caps::default(), ear: self.ear.clone() });
        platform.take_lease().await.unwrap();
        let heard = Arc::new(Heard::default());
        platform.backbone.bus.listen(heard.clone());
        let stop = CancellationToken::new();
        Server { platform, heard, stop, tasks: JoinSet::new(), workers: Vec::new() }
    }

    /// A server that answers and does all that a running one does.
    pub async fn server(&self) -> Server {
        self.running(settings()).await
    }

    pub async fn running(&self, settings: Settings) -> Server {
        let mut server = self.idle(settings).await;
        server.work().await;
        server.keep_lease();
        server.follow_changes().await;
        server.reconcile();
        server
    }
}

/// Ends what it began when it is dropped.
pub struct Server {
    pub platform: Platform,
    pub heard: Arc<Heard>,
    pub workers: Vec<Arc<dyn Worker>>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

/// What the rooms of one server were told, in order.
#[derive(Default)]
pub struct Heard(Mutex<Vec<RoomEvent>>);

impl Sink for Heard {
    fn room(&self, _: &ConversationId, note: Arc<RoomNote>) {
        self.0.lock().push(note.event.clone());
    }
    fn user(&self, _: &UserId, _: Arc<UserNote>) {}
    fn lost(&self, _: &ConversationId) {}
    fn lost_user(&self, _: &UserId) {}
}

impl Heard {
    pub fn all(&self) -> Vec<RoomEvent> {
        self.0.lock().clone()
    }

    /// The names of events, those that tell of states and typing apart.
    pub fn names(&self) -> Vec<&'static str> {
        let aside = |name: &&str| !matches!(*name, "conversation:state" | "typing");
        self.all().iter().map(RoomEvent::name).filter(aside).collect()
    }

    pub fn count(&self, name: &str) -> usize {
        self.all().iter().filter(|event| event.name() == name).count()
    }

    /// What the last reply said in deltas.
    pub fn streamed(&self) -> String {
        let mut said = String::new();
        for event in self.all() {
            match event {
                RoomEvent::ReplyStart { .. } => said.clear(),
                RoomEvent::ReplyDelta { text, .. } => said.push_str(&text),
                _ => {}
            }
        }
        said
    }
}

impl Server {
    pub async fn work(&mut self) {
        self.workers = self.platform.work().await.unwrap();
    }

    pub fn keep_lease(&mut self) {
        let (platform, stop) = (self.platform.clone(), self.stop.clone());
        self.tasks.spawn(async move { platform.keep_lease(stop).await });
    }

    pub async fn follow_changes(&mut self) {
        let from = self.platform.feed_position().await.unwrap();
        let (platform, stop) = (self.platform.clone(), self.stop.clone());
        self.tasks.spawn(async move { platform.follow_changes(from, stop).await });
    }

    pub fn reconcile(&mut self) {
        let (platform, stop) = (self.platform.clone(), self.stop.clone());
        self.tasks.spawn(async move { platform.reconcile(true, stop).await });
    }

    pub async fn person(&self, name: &str) -> Person {
        let form = Registration {
            email: format!("{name}@example.test"),
            username: name.into(),
            password: PASSWORD.into(),
            display_name: Some(name.to_uppercase()),
        };
        let device = Device { name: "test".into(), address: name.into() };
        let token = self.platform.register(form, &device).await.outcome.unwrap().token;
        Person { who: self.platform.authenticate(&token).await.unwrap(), token }
    }

    pub async fn character(&self, name: &str) -> Character {
        let draft = CharacterDraft {
            name: name.into(),
            greeting: "The lamp is lit, {{user}}.".into(),
            visibility: Visibility::Public,
            ..Default::default()
        };
        self.platform.save_new_character(None, draft).await.unwrap()
    }

    /// A conversation whose events this server hears.
    pub async fn talk(&self, person: &Person, character: &Character) -> ConversationId {
        let (item, _) = self.platform.open_conversation(&person.who, &character.id).await.unwrap();
        self.listen(&item.conversation.id).await;
        item.conversation.id
    }

    /// Another one of the same pair.
    pub async fn talk_anew(&self, person: &Person, character: &Character) -> ConversationId {
        let opened = self.platform.open_conversation_with(&person.who, &character.id, 0, true).await;
        let id = opened.unwrap().0.conversation.id;
        self.listen(&id).await;
        id
    }

    pub async fn listen(&self, id: &ConversationId) {
        self.platform.backbone.bus.subscribe_room(id).await.unwrap();
    }

    pub async fn try_send(&self, person: &Person, id: &ConversationId, text: &str) -> Result<Accepted, Refusal> {
        let client_id: MessageId = self.platform.ambient.id();
        let outgoing = Outgoing {
            conversation: id.clone(),
            client_id: client_id.to_string(),
            kind: Kind::Text,
            text: Some(text.into()),
            upload_id: None,
        };
        let origin = Origin { server: Incarnation::trusted("elsewhere"), socket: "none".into() };
        self.platform.send_message(&person.who, outgoing, Via::Socket { origin }).await.outcome
    }

    pub async fn send(&self, person: &Person, id: &ConversationId, text: &str) -> Message {
        self.try_send(person, id, text).await.unwrap().message
    }

    pub async fn messages(&self, person: &Person, id: &ConversationId) -> Vec<Message> {
        let query = MessageQuery { limit: 200, ..Default::default() };
        self.platform.messages(&person.who, id, query).await.unwrap().items
    }

    /// The message as it is stored.
    pub async fn message(&self, person: &Person, of: &Message) -> Message {
        let all = self.messages(person, &of.conversation_id).await;
        all.into_iter().find(|message| message.id == of.id).unwrap()
    }

    /// Waits until the message has this state.
    pub async fn until(&self, person: &Person, message: &Message, state: ReplyState) {
        let began = Instant::now();
        loop {
            let now = self.message(person, message).await.reply_state;
            if now == Some(state) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{} is {now:?}, not {state:?}", message.text);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub async fn replies_to(&self, person: &Person, message: &Message) -> Vec<Message> {
        let mut all = self.messages(person, &message.conversation_id).await;
        all.retain(|one| one.role == Author::Character && one.in_reply_to.as_ref() == Some(&message.id));
        all
    }

    /// Waits until nothing is under way here, told events included.
    pub async fn quiet(&self) {
        until("the server is quiet", || self.platform.replies_under_way() == 0).await;
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub struct Person {
    pub who: Arc<Member>,
    pub token: String,
}

pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// As `until`, of what has to be asked for.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < PATIENCE, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// As `until`, but within a second, as the promise says.
pub async fn within_a_second<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < Duration::from_secs(1), "not within a second: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub fn code<T>(outcome: Result<T, Refusal>) -> Code {
    outcome.err().expect("it is refused").code
}
