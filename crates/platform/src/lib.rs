//! What people and jobs can do: one file an action. Transports parse, authorise and answer; everything that decides is here.
//!
//! `Refusal` (of `domain`) is the one error type. Whoever asks is a `&Member`; whatever belongs to someone else is not found.

mod accounts;
mod blocks;
mod cancel;
mod card_pictures;
mod cards;
mod characters;
mod chats;
mod claims;
mod closing;
mod conversations;
mod credentials;
mod demo;
mod export;
mod faults;
mod feed;
pub mod foreign;
mod gallery;
mod gate;
mod health;
pub mod jobs;
mod lease;
mod letters;
mod mail;
mod media;
mod moderation;
mod notices;
mod passwords;
mod people;
mod personal;
mod personas;
mod presence;
mod reconciler;
mod recovery;
mod reply;
mod reporting;
pub mod reports;
mod resumable;
mod retry;
mod revisions;
mod rooms;
mod running;
mod search;
mod send_message;
mod settings;
mod sign_in;
mod signed;
mod strays;
mod threads;
mod token_ceiling;
mod token_copies;
mod turns;
mod uploads;
mod usage;
mod voice;
mod window;

pub use accounts::{ProfilePatch, Registration};
pub use aim_cards::chat::MAX_CHAT as LARGEST_CHAT;
pub use cards::{CardFile, CardPreview, ExportedCard, ImportedCharacter};
pub use chats::ImportedChat;
pub use demo::DemoCharacter;
pub use gallery::{NewGalleryItem, PicturePatch};
pub use gate::Via;
pub use health::{Check, HealthReport, Level};
pub use mail::{AddressStanding, Post};
pub use media::{Ear, Media, Recording, Unheard, unfit};
pub use passwords::hash_password;
pub use personal::{LARGEST_DRAFT, LARGEST_PREFERENCES};
pub use personas::{PersonaForm, Played};
pub use recovery::NoticeChoices;
pub use reporting::ReportForm;
pub use resumable::Standing;
pub use revisions::RevisionReport;
pub use rooms::{InviteForm, InvitePreview, MadeInvite, PreviewedConversation};
pub use search::{MessageHit, Part, SearchAnswer};
pub use send_message::{Accepted, Outgoing, SendReport};
pub use settings::Settings;
pub use sign_in::{AttemptReport, Device, SignInReport, SignedIn};
pub use uploads::{Received, Served, sniff};
pub use usage::UsageReport;

use aim_ai::LanguageModel;
use aim_backbone::Backbone;
use aim_domain::Ambient;
use aim_store::{Change, Store};
use std::ops::Deref;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use tokio::sync::{OnceCell, Semaphore, broadcast};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Changes that a slow receiver may be behind by.
const CHANGES_KEPT: usize = 1_024;

/// One server's platform; cheap to clone.
#[derive(Clone)]
pub struct Platform(Arc<Inner>);

/// What all actions share.
pub struct Inner {
    pub store: Arc<dyn Store>,
    pub backbone: Backbone,
    pub model: Arc<dyn LanguageModel>,
    pub ambient: Ambient,
    pub settings: Settings,
    lease: lease::Lease,
    passwords: passwords::Passwords,
    noticed: notices::Noticed,
    audience: threads::Audience,
    presence: presence::PresenceBook,
    /// Replies that this process gives right now.
    running: running::Running,
    put_off: turns::PutOff,
    tokens: token_ceiling::DailyTokens,
    media: OnceLock<Media>,
    /// Whether jobs are run in this process.
    works: AtomicBool,
    /// What others have not begun is given up.
    ending: CancellationToken,
    /// Lore books, ready to be looked through.
    books: aim_ai::lore::Books,
    /// Cards that are read or written at a time: each may take some hundred MB.
    cards: Semaphore,
    /// Archives of cards that are written at a time.
    archives: Semaphore,
    /// Chats that are taken in at a time: each keeps the database busy for as long as it is stored.
    chats: Semaphore,
    /// What addresses of media are signed with, once it was asked for.
    media_key: OnceCell<String>,
    /// Places for exports that are being made.
    exports: Arc<Semaphore>,
    /// What goes on after somebody was answered.
    tasks: TaskTracker,
    changed: broadcast::Sender<Change>,
}

impl Deref for Platform {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Platform {
    pub fn new(
        store: Arc<dyn Store>,
        backbone: Backbone,
        model: Arc<dyn LanguageModel>,
        ambient: Ambient,
        settings: Settings,
    ) -> Self {
        Self(Arc::new(Inner {
            lease: lease::Lease::new(ambient.id()),
            passwords: passwords::Passwords::new(settings.hashes_at_a_time),
            noticed: notices::Noticed::default(),
            audience: threads::Audience::default(),
            presence: presence::PresenceBook::default(),
            running: running::Running::default(),
            put_off: turns::PutOff::default(),
            tokens: token_ceiling::DailyTokens::default(),
            media: OnceLock::new(),
            works: AtomicBool::new(false),
            ending: CancellationToken::new(),
            books: aim_ai::lore::Books::default(),
            cards: Semaphore::new(cards::AT_A_TIME),
            archives: Semaphore::new(cards::AT_A_TIME),
            chats: Semaphore::new(1),
            media_key: OnceCell::new(),
            exports: Arc::new(Semaphore::new(export::AT_A_TIME)),
            tasks: TaskTracker::new(),
            changed: broadcast::channel(CHANGES_KEPT).0,
            store,
            backbone,
            model,
            ambient,
            settings,
        }))
    }

    /// Waits for what goes on after answers were given; nothing new may come in meanwhile.
    pub async fn settle(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}
