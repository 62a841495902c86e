//! What the promises are tested in: a store, a clock, and people, characters and servers made in a line each.

use crate::{
    Claim, ClaimReply, Claimed, CommitReply, Committed, CreateUser, EndReply, Ended, MessageQuery, NewReply,
    NewSession, NewUser, OpenConversation, SaveCharacter, SendMessage, Sent, Store,
};
use aim_domain::{
    Ambient, Character, CharacterDetails, CharacterId, Conversation, Incarnation, Kind, ManualClock, Message,
    MessageId, ReplyState, SeededRandom, Session, Tier, Timestamp, TokenHash, User, UserId, Username, Visibility,
};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

pub const LEASE: Duration = Duration::from_secs(10);
pub const MONTH: Duration = Duration::from_secs(30 * 24 * 3_600);

/// The data of one test.
#[async_trait]
pub trait Fixture: Send + Sync + 'static {
    /// Opens it as a server would; each time another store over the same data.
    async fn open(&self, ambient: Ambient) -> Arc<dyn Store>;
}

pub struct World {
    pub store: Arc<dyn Store>,
    pub clock: Arc<ManualClock>,
    pub ambient: Ambient,
    fixture: Box<dyn Fixture>,
}

impl World {
    pub async fn new(fixture: impl Fixture) -> Self {
        let clock = ManualClock::at(Timestamp(1_795_408_728_120));
        let ambient = Ambient { clock: clock.clone(), random: SeededRandom::new(7) };
        let store = fixture.open(ambient.clone()).await;
        Self { store, clock, ambient, fixture: Box::new(fixture) }
    }

    /// Another server's store over the same data.
    pub async fn another(&self) -> Arc<dyn Store> {
        self.fixture.open(self.ambient.clone()).await
    }

    pub fn now(&self) -> Timestamp {
        self.ambient.now()
    }

    /// Lets a millisecond go by, so that what follows is later than what was.
    pub fn tick(&self) {
        self.clock.advance(Duration::from_millis(1));
    }

    pub fn new_user(&self, name: &str) -> NewUser {
        NewUser {
            id: self.ambient.id(),
            email: format!("{name}@example.test"),
            username: Username::parse(name).unwrap(),
            display_name: format!("{name} the First"),
            password_hash: Some("$argon2id$hash".into()),
            tier: Tier::Free,
            role: aim_domain::Role::User,
        }
    }

    pub async fn user(&self, name: &str) -> User {
        match self.store.create_user(self.new_user(name)).await.unwrap() {
            CreateUser::Created(user) => user,
            other => panic!("{other:?}"),
        }
    }

    pub async fn session(&self, user: &User, token: &str) -> Session {
        self.tick();
        let now = self.now();
        let session = NewSession {
            id: self.ambient.id(),
            user_id: user.id.clone(),
            token_hash: TokenHash::of(token),
            device: "a browser".into(),
            created_at: now,
            last_used_at: now,
            expires_at: now.plus(MONTH),
        };
        self.store.create_session(session.clone()).await.unwrap();
        session
    }

    pub fn new_character(&self, name: &str, owner: Option<&User>) -> Character {
        self.tick();
        Character {
            id: CharacterId::parse(&name.to_lowercase().replace(' ', "-")).unwrap(),
            name: name.into(),
            description: format!("{name} keeps a lighthouse."),
            personality: "patient".into(),
            scenario: "a storm".into(),
            greeting: "Come in.".into(),
            example_dialogue: "<START>\n{{user}}: Hello\n{{char}}: Hello.".into(),
            system_prompt: "Stay in character.".into(),
            tags: vec!["sea".into(), "storms".into()],
            visibility: Visibility::Public,
            avatar_url: Some("/media/mara.webp".into()),
            owner_id: owner.map(|owner| owner.id.clone()),
            revision: 1,
            created_at: self.now(),
            updated_at: self.now(),
            listing: aim_domain::Listing::default(),
            details: CharacterDetails::default(),
        }
    }

    pub async fn save(&self, character: Character) -> Character {
        match self.store.create_character(character).await.unwrap() {
            SaveCharacter::Saved(character) => *character,
            other => panic!("{other:?}"),
        }
    }

    pub async fn character(&self, name: &str) -> Character {
        self.save(self.new_character(name, None)).await
    }

    pub fn opening(&self, owner: &User, character: &Character) -> OpenConversation {
        OpenConversation {
            id: self.ambient.id(),
            owner: owner.id.clone(),
            character: character.id.clone(),
            title: character.name.clone(),
            greeting: None,
            anew: false,
        }
    }

    /// Without a greeting.
    pub async fn conversation(&self, owner: &User, character: &Character) -> Conversation {
        self.tick();
        self.store.open_conversation(self.opening(owner, character)).await.unwrap().0.conversation
    }

    /// A user and a character of their own names, and their conversation.
    pub async fn pair(&self) -> (User, Character, Conversation) {
        let (user, character) = (self.user("tess").await, self.character("Mara").await);
        let conversation = self.conversation(&user, &character).await;
        (user, character, conversation)
    }

    pub fn message(&self, conversation: &Conversation, sender: &UserId, text: &str) -> SendMessage {
        self.tick();
        let message: MessageId = self.ambient.id();
        SendMessage {
            conversation: conversation.id.clone(),
            sender: sender.clone(),
            client_id: format!("client-{message}"),
            message,
            kind: Kind::Text,
            text: text.into(),
            media: None,
            usage_limit: None,
            max_due: 100,
        }
    }

    pub async fn send(&self, conversation: &Conversation, text: &str) -> Message {
        match self.store.send_message(self.message(conversation, &conversation.owner_id, text)).await.unwrap() {
            Sent::Accepted { message, .. } => message,
            other => panic!("{other:?}"),
        }
    }

    /// A server with a lease of its own.
    pub async fn server(&self) -> Incarnation {
        let server: Incarnation = self.ambient.id();
        assert!(self.store.renew_lease(&server, LEASE, true).await.unwrap());
        server
    }

    pub fn asking(&self, conversation: &Conversation, holder: &Incarnation) -> ClaimReply {
        ClaimReply { conversation: conversation.id.clone(), holder: holder.clone(), replies_per_character: 1 }
    }

    pub async fn claim(&self, conversation: &Conversation, holder: &Incarnation) -> Claimed {
        self.store.claim_reply(self.asking(conversation, holder)).await.unwrap()
    }

    pub async fn claimed(&self, conversation: &Conversation, holder: &Incarnation) -> Claim {
        match self.claim(conversation, holder).await {
            Claimed::Claimed(claim) => *claim,
            other => panic!("{other:?}"),
        }
    }

    pub fn reply(&self, claim: &Claim, text: &str) -> CommitReply {
        CommitReply {
            conversation: claim.conversation.clone(),
            fence: claim.fence,
            message: claim.message.id.clone(),
            reply: NewReply { id: self.ambient.id(), text: text.into(), personality: None },
            tokens: None,
        }
    }

    pub async fn commit(&self, claim: &Claim, text: &str) -> Committed {
        self.tick();
        self.store.commit_reply(self.reply(claim, text)).await.unwrap()
    }

    pub async fn end(&self, claim: &Claim, state: ReplyState) -> Ended {
        let end = EndReply {
            conversation: claim.conversation.clone(),
            fence: claim.fence,
            message: claim.message.id.clone(),
            state,
            tokens: None,
        };
        self.store.end_reply(end).await.unwrap()
    }

    /// Claims, answers and commits the next message; the reply.
    pub async fn answer(&self, conversation: &Conversation, holder: &Incarnation, text: &str) -> Message {
        let claim = self.claimed(conversation, holder).await;
        match self.commit(&claim, text).await {
            Committed::Committed { reply, .. } => *reply,
            Committed::Stale => panic!("stale"),
        }
    }

    pub async fn all_messages(&self, conversation: &Conversation) -> Vec<Message> {
        let all = MessageQuery { limit: 10_000, ..Default::default() };
        let page = self.store.messages(&conversation.id, &conversation.owner_id, all).await.unwrap().unwrap();
        assert!(!page.has_more);
        page.items
    }

    pub async fn stored(&self, conversation: &Conversation, id: &MessageId) -> Message {
        self.store.message(conversation, id).await.unwrap().unwrap()
    }

    pub async fn assert_seq_without_a_gap(&self, conversation: &Conversation) {
        let messages = self.all_messages(conversation).await;
        let seqs: Vec<u64> = messages.iter().map(|message| message.seq).collect();
        assert_eq!(seqs, (1..=messages.len() as u64).collect::<Vec<_>>());
        assert_eq!(self.store.last_seq(&conversation.id).await.unwrap(), messages.len() as u64);
    }
}
