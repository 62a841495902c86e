//! Every key name of the platform, as API.md part 1 fixes them. Nobody else formats a key. Cached values
//! are named without the prefix, which their backend puts before it.

use crate::cache::{Cached, Family, Key};
use crate::link::Client;
use aim_domain::{CharacterId, ConversationId, DraftKey, Rule, TokenHash, UploadId, UserId, Username};
use std::borrow::Cow;
use std::sync::Arc;

macro_rules! keys {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),+) -> $family:ident, $format:literal;)+) => { $(
        $(#[$doc])*
        pub fn $name<T: Cached>($($arg: $type),+) -> Key<T> {
            Key::new(Family::$family, format!($format))
        }
    )+ };
}

keys! {
    user_profile(user: &UserId) -> UserProfile, "user:profile:{user}";
    username(username: &Username) -> Username, "user:username:{username}";
    character(id: &CharacterId) -> Character, "character:{id}";
    /// Of the pictures that are shown with a character.
    character_gallery(id: &CharacterId) -> CharacterGallery, "character:gallery:{id}";
    character_prompt(id: &CharacterId) -> CharacterPrompt, "character:prompt:{id}";
    conversation(user: &UserId, character: &CharacterId) -> Conversation, "conversation:{user}:{character}";
    context(conversation: &ConversationId) -> Context, "conversation:context:{conversation}";
    /// `hash` is `aim_ai::personality::reply_hash`.
    personality(character: &CharacterId, hash: &str) -> Personality, "personality:{character}:{hash}";
    /// Of the settings that the store keeps for a user. As with everything here the store has the truth: whoever changes a
    /// row that is kept under one of these three writes a change to the feed in the same commit.
    session_preferences(user: &UserId) -> SessionPreferences, "session:preferences:{user}";
    session_draft(user: &UserId, form: &DraftKey) -> SessionDraft, "session:draft:{user}:{form}";
    session_upload(upload: &UploadId) -> SessionUpload, "session:upload:{upload}";
}

/// The names in Redis of what is no cached value: the prefix, then what API.md part 1 says. In a Cluster the keys that one
/// script touches carry a hash tag around the value that they share.
#[derive(Clone)]
pub(crate) struct Names {
    prefix: Arc<str>,
    in_cluster: bool,
    /// Before what a channel is for: `db3:` where keys are in database 3, nothing in database 0. Channels are outside of
    /// databases, so two fleets in two of them would hear each other.
    database: Arc<str>,
}

/// What a channel is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Channel {
    Room(ConversationId),
    User(UserId),
}

/// What tells this Redis from the one that was here before.
pub(crate) fn epoch(prefix: &str) -> String {
    format!("{prefix}epoch")
}

/// Written by whoever asks whether Redis takes writes.
pub(crate) fn probe(prefix: &str) -> String {
    format!("{prefix}probe")
}

/// Written and read by a look at its health.
pub(crate) fn health(prefix: &str) -> String {
    format!("{prefix}health")
}

/// BullMQ's, beside a job's own: who runs it holds it.
pub(crate) fn job_lock(job: &str) -> String {
    format!("{job}:lock")
}

impl Names {
    pub fn new(prefix: &str, in_cluster: bool) -> Self {
        Self { prefix: prefix.into(), in_cluster, database: "".into() }
    }

    pub fn of(client: &Client) -> Self {
        let database = client.database();
        let database = if database == 0 { "".into() } else { format!("db{database}:").into() };
        Self { database, ..Self::new(client.prefix(), client.is_cluster()) }
    }

    /// A cached value's, by its key's name.
    pub fn cached(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Whoever holds it loads the value of that name. It lies in the value's slot.
    pub fn cache_lease(&self, name: &str) -> String {
        format!("{0}lease:{{{0}{name}}}", self.prefix)
    }

    /// How far in the change feed invalidations have come. The number is raised when the feed gets a kind that a
    /// server of an older release passes over: it has not invalidated what it does not know.
    pub fn cache_record(&self) -> String {
        format!("{}cache:told:5", self.prefix)
    }

    /// What a model, `PROVIDER/MODEL`, cost on a UTC day.
    pub fn tokens(&self, day: &str, model: &str) -> String {
        format!("{}ai:tokens:{day}:{model}", self.prefix)
    }

    pub fn rate_limit(&self, rule: Rule, subject: &str) -> String {
        format!("{}ratelimit:{}:{}", self.prefix, rule.as_str(), self.tagged(subject))
    }

    /// A name that was counted in that window. No subject ends like this.
    pub fn rate_limit_name(&self, rule: Rule, subject: &str, name: &str) -> String {
        format!("{}:once:{name}", self.rate_limit(rule, subject))
    }

    pub fn usage(&self, user: &UserId, character: &CharacterId) -> String {
        format!("{}{character}", self.usage_prefix(user))
    }

    pub fn usages(&self, user: &UserId) -> String {
        format!("{}user:usages:{}", self.prefix, self.tagged(user.as_str()))
    }

    /// That the set of [`Self::usages`] is whole.
    pub fn usages_whole(&self, user: &UserId) -> String {
        format!("{}:whole", self.usages(user))
    }

    /// What the names of all of a user's usage copies begin with; a character's id follows.
    pub fn usage_prefix(&self, user: &UserId) -> String {
        format!("{}user:usage:{}:", self.prefix, self.tagged(user.as_str()))
    }

    pub fn session(&self, token: &TokenHash) -> String {
        format!("{}session:{}", self.prefix, self.tagged(token.as_str()))
    }

    /// The hashes of a user's sessions. A hash holds no colon, so this is no session's name.
    pub fn user_sessions(&self, user: &UserId) -> String {
        format!("{}session:user:{user}", self.prefix)
    }

    /// `part` of one character's turn-taking. The number is raised when the layout of a part changes: while servers of two
    /// releases run side by side each keeps lines of its own, and neither misreads the other's. A turn is a hint, so that
    /// both may grant one; a message that waited in the lines of a release that is gone is entered anew from the store.
    pub fn turn(&self, character: &CharacterId, part: &str) -> String {
        format!("{}turn:2:{}:{part}", self.prefix, self.tagged(character.as_str()))
    }

    /// All characters with a lease of a turn, in the lines of that layout.
    pub fn turn_leases(&self) -> String {
        format!("{}turn:2:leases", self.prefix)
    }

    pub fn channel(&self, channel: &Channel) -> String {
        let (kind, id) = match channel {
            Channel::Room(conversation) => ("room", conversation.as_str()),
            Channel::User(user) => ("user", user.as_str()),
        };
        format!("{}{}{kind}:{}", self.prefix, self.database, self.tagged(id))
    }

    /// What a channel of ours is for, by its name.
    pub fn channel_of(&self, name: &str) -> Option<Channel> {
        let (kind, id) = name.strip_prefix(&*self.prefix)?.strip_prefix(&*self.database)?.split_once(':')?;
        let id = if self.in_cluster { id.strip_prefix('{')?.strip_suffix('}')? } else { id };
        match kind {
            "room" => Some(Channel::Room(ConversationId::trusted(id))),
            "user" => Some(Channel::User(UserId::trusted(id))),
            _ => None,
        }
    }

    /// The reply under way in a conversation, as far as it has come: for those who join its room on another server. It is
    /// no cached reply: it is found under its own conversation alone, and gone when the reply is over.
    pub fn reply(&self, conversation: &ConversationId) -> String {
        format!("{}reply:{}", self.prefix, self.tagged(conversation.as_str()))
    }

    fn tagged<'a>(&self, value: &'a str) -> Cow<'a, str> {
        if self.in_cluster { Cow::Owned(format!("{{{value}}}")) } else { Cow::Borrowed(value) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_known_by_its_name() {
        let (room, user) = (Channel::Room(ConversationId::trusted("c1")), Channel::User(UserId::trusted("u_1")));
        let (one, cluster) = (Names::new("aim:", false), Names::new("aim:", true));
        assert_eq!(one.channel(&room), "aim:room:c1");
        assert_eq!(cluster.channel(&user), "aim:user:{u_1}");
        let third = Names { database: "db3:".into(), ..one.clone() };
        assert_eq!(third.channel(&room), "aim:db3:room:c1");
        for names in [&one, &cluster, &third] {
            for channel in [&room, &user] {
                assert_eq!(names.channel_of(&names.channel(channel)).as_ref(), Some(channel));
            }
        }
        assert_eq!(one.channel_of(&third.channel(&room)), None);
        assert_eq!(one.channel_of("other:room:c1"), None);
    }
}
