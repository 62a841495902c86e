//! What a store does in a second, and what it costs:
//! `cargo run --release -p aim-store --example writes [SECONDS] [STORE] [PART]`, where `STORE` is `sqlite`, `postgres` (a server
//! is started for it) or the URL of an empty PostgreSQL database, and `PART` picks the measurements whose names hold it.
//!
//! 64 clients, each with a conversation of its own, on a fresh database that waits for the disk. CPU is the whole process's, the
//! clients' and the runtime's share included; a PostgreSQL's own is not.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a measurement says what it found, or stops"
)]

use aim_domain::{
    Ambient, Character, CharacterDetails, CharacterId, Conversation, Incarnation, Kind, MessageId, Role, Session, Tier,
    TokenHash, User, Username, Visibility,
};
use aim_store::postgres::{PostgresOptions, PostgresStore};
use aim_store::sqlite::{SqliteOptions, SqliteStore};
use aim_store::{
    ClaimReply, Claimed, CommitReply, Committed, CreateUser, MessageQuery, NewReply, NewUser, OpenConversation,
    SendMessage, Sent, Store,
};
use aim_testkit::PostgresServer;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const CLIENTS: usize = 64;
const LONG: Duration = Duration::from_secs(3_600);

#[derive(Clone)]
struct Client {
    store: Arc<dyn Store>,
    ambient: Ambient,
    server: Incarnation,
    user: User,
    token: TokenHash,
    conversation: Conversation,
}

impl Client {
    async fn new(store: &Arc<dyn Store>, ambient: &Ambient, server: &Incarnation, n: usize) -> Self {
        let new = NewUser {
            id: ambient.id(),
            email: format!("user{n}@example.test"),
            username: Username::parse(&format!("user_{n}")).unwrap(),
            display_name: format!("User {n}"),
            password_hash: None,
            tier: Tier::Premium,
            role: Role::User,
        };
        let CreateUser::Created(user) = store.create_user(new).await.unwrap() else {
            panic!("the database is not fresh")
        };
        let now = ambient.now();
        let token = TokenHash::of(&format!("token {n}"));
        let session = Session {
            id: ambient.id(),
            user_id: user.id.clone(),
            token_hash: token.clone(),
            device: "bench".into(),
            created_at: now,
            last_used_at: now,
            expires_at: now.plus(LONG),
        };
        store.create_session(session).await.unwrap();
        let character: CharacterId = ambient.id();
        store.create_character(character_of(&character, ambient)).await.unwrap();
        let open = OpenConversation {
            id: ambient.id(),
            owner: user.id.clone(),
            character,
            title: "Mara".into(),
            greeting: None,
            anew: false,
        };
        let conversation = store.open_conversation(open).await.unwrap().0.conversation;
        Self { store: store.clone(), ambient: ambient.clone(), server: server.clone(), user, token, conversation }
    }

    async fn send(&self, conversation: &Conversation) {
        let message: MessageId = self.ambient.id();
        let send = SendMessage {
            conversation: conversation.id.clone(),
            sender: self.user.id.clone(),
            client_id: message.to_string(),
            message,
            kind: Kind::Text,
            text: "Tell me of the storm last night, and of the light that went out at the end of it. ".repeat(2),
            media: None,
            usage_limit: None,
            max_due: u64::MAX,
        };
        let sent = self.store.send_message(send).await.unwrap();
        assert!(matches!(sent, Sent::Accepted { .. }), "{sent:?}");
    }

    async fn send_and_answer(&self) {
        self.send(&self.conversation).await;
        let ask = ClaimReply {
            conversation: self.conversation.id.clone(),
            holder: self.server.clone(),
            replies_per_character: 1,
        };
        let Claimed::Claimed(claim) = self.store.claim_reply(ask).await.unwrap() else { panic!("not claimed") };
        let commit = CommitReply {
            conversation: claim.conversation,
            fence: claim.fence,
            message: claim.message.id,
            reply: NewReply {
                id: self.ambient.id(),
                text: "It blew from the west until the lamp gave in. ".repeat(5),
                personality: None,
            },
            tokens: None,
        };
        let committed = self.store.commit_reply(commit).await.unwrap();
        assert!(matches!(committed, Committed::Committed { .. }));
    }
}

fn character_of(id: &CharacterId, ambient: &Ambient) -> Character {
    let long = "A patient keeper of a lighthouse. ".repeat(60);
    Character {
        id: id.clone(),
        name: "Mara".into(),
        description: long.clone(),
        personality: long.clone(),
        scenario: long.clone(),
        greeting: String::new(),
        example_dialogue: long,
        system_prompt: String::new(),
        tags: vec!["sea".into()],
        visibility: Visibility::Public,
        avatar_url: None,
        owner_id: None,
        revision: 1,
        created_at: ambient.now(),
        updated_at: ambient.now(),
        listing: aim_domain::Listing::default(),
        details: CharacterDetails::default(),
    }
}

/// CPU time of this process so far, in seconds (Linux; its clock ticks 100 times a second).
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
    (ticks(11) + ticks(12)) / 100.0
}

async fn measure<F, A>(what: &str, clients: &[Client], seconds: u64, act: A)
where
    A: Fn(Client) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send,
{
    if std::env::args().nth(3).is_some_and(|part| !what.contains(&part)) {
        return;
    }
    let (done, slowest) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (started, cpu_before) = (Instant::now(), cpu());
    let until = started + Duration::from_secs(seconds);
    let tasks: Vec<_> = clients
        .iter()
        .map(|client| {
            let (client, act, done, slowest) = (client.clone(), act.clone(), done.clone(), slowest.clone());
            tokio::spawn(async move {
                while Instant::now() < until {
                    let begun = Instant::now();
                    act(client.clone()).await;
                    slowest.fetch_max(begun.elapsed().as_micros() as u64, Ordering::Relaxed);
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let (elapsed, cpu) = (started.elapsed().as_secs_f64(), cpu() - cpu_before);
    let done = done.load(Ordering::Relaxed) as f64;
    println!(
        "{what:<44} {:>8.0}/s {:>7.1} µs CPU each {:>8.0} µs wait {:>8.1} ms at most",
        done / elapsed,
        cpu * 1e6 / done,
        elapsed * 1e6 * clients.len() as f64 / done,
        slowest.load(Ordering::Relaxed) as f64 / 1e3,
    );
}

fn main() {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(run());
}

async fn run() {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(5);
    let folder = tempfile::tempdir().unwrap();
    let ambient = Ambient::system();
    let wanted = std::env::args().nth(2).unwrap_or_else(|| "sqlite".into());
    let mut own = None;
    let store: Arc<dyn Store> = if wanted == "sqlite" {
        SqliteStore::open(folder.path().join("aim.db"), SqliteOptions::default(), ambient.clone()).unwrap()
    } else {
        let url = match wanted.as_str() {
            "postgres" => own.insert(PostgresServer::start().await.unwrap()).url(),
            _ => wanted,
        };
        PostgresStore::open(&url, PostgresOptions::default(), ambient.clone()).await.unwrap()
    };
    let server: Incarnation = ambient.id();
    store.renew_lease(&server, LONG, true).await.unwrap();
    let mut clients = Vec::new();
    for n in 0..CLIENTS {
        clients.push(Client::new(&store, &ambient, &server, n).await);
    }

    measure("send, claim and commit", &clients, seconds, |client| async move { client.send_and_answer().await }).await;
    measure("send", &clients, seconds, |client| async move { client.send(&client.conversation).await }).await;
    let behind: u64 = store.last_seq(&clients[0].conversation.id).await.unwrap();
    println!("  (the first conversation has {behind} messages by now)");
    measure("send, one client alone", &clients[..1], seconds, |client| async move {
        client.send(&client.conversation).await;
    })
    .await;
    measure("read: member of a session", &clients, seconds, |client| async move {
        client.store.member(&client.token).await.unwrap().unwrap();
    })
    .await;
    measure("read: member of a session, one alone", &clients[..1], seconds, |client| async move {
        client.store.member(&client.token).await.unwrap().unwrap();
    })
    .await;
    measure("read: conversation through its member", &clients, seconds, |client| async move {
        client.store.conversation(&client.conversation.id, &client.user.id).await.unwrap().unwrap();
    })
    .await;
    measure("read: the newest 50 messages", &clients, seconds, |client| async move {
        let newest = MessageQuery { limit: 50, ..Default::default() };
        assert_eq!(
            client
                .store
                .messages(&client.conversation.id, &client.conversation.owner_id, newest)
                .await
                .unwrap()
                .unwrap()
                .items
                .len(),
            50
        );
    })
    .await;
    measure("read: 200 due messages of all", &clients, seconds, |client| async move {
        assert_eq!(client.store.due_replies(None, 200).await.unwrap().len(), 200);
    })
    .await;
    store.close().await;
    if let Ok(file) = std::fs::metadata(folder.path().join("aim.db")) {
        println!("the file has {} MB", file.len() >> 20);
    }
}
