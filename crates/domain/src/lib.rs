//! The platform's values: ids, accounts, characters, conversations, messages, limits and events.
//!
//! Nothing here does I/O. Types that a client sees serialise exactly as the wire contract says (camelCase, times
//! as RFC 3339 UTC); types that only servers see say so.

pub mod account;
pub mod ambient;
pub mod character;
pub mod conversation;
pub mod error;
pub mod event;
pub mod figures;
pub mod gallery;
pub mod id;
pub mod limits;
pub mod lorebook;
pub mod mail;
pub mod message;
mod patch;
pub mod persona;
pub mod room;
pub mod safety;
pub mod time;
pub mod upload;
pub mod usage;

pub use account::{Member, Profile, Role, Session, Tier, User, Username};
pub use ambient::{Ambient, Clock, ManualClock, Random, SeededRandom, SystemClock, SystemRandom};
pub use character::{Character, CharacterDetails, CharacterDraft, CharacterPatch, DepthPrompt, PromptRole, Visibility};
pub use conversation::{BranchPoint, Conversation, ConversationState, Phase};
pub use error::{Code, FieldError, Refusal};
pub use event::{Partial, RoomEvent, UserEvent};
pub use figures::{Figures, Times};
pub use gallery::{GalleryItem, MOST_PICTURES, PictureWords};
pub use id::{
    CaseId, CharacterId, ConversationId, DeedId, DraftKey, IdError, Incarnation, InviteId, MailId, MessageId,
    PersonaId, SessionId, TokenHash, UploadId, UserId,
};
pub use limits::{Rule, RuleSet};
pub use lorebook::{LoreEntry, LorePosition, Lorebook};
pub use mail::{MailKind, MailState, Notice, Purpose, Undelivered};
pub use message::{Author, Kind, Media, Message, Personality, ReplyState, Variants};
pub use patch::given;
pub use persona::{Persona, Speaker};
pub use room::{Invite, Participant, PersonSummary, RoomRole};
pub use safety::{Action, CaseState, Listing, Reported, Suspension, Wrong};
pub use time::{Millis, Timestamp};
pub use upload::{MediaKind, Upload, UploadDetails, UploadStatus, UploadVariant, UploadView, VariantView};
pub use usage::{Allowance, Usage, UsageCount};
