//! Rows into values. A reader takes the columns of a row from left to right, in the order of the column list beside it.

use super::db::Tried;
use super::faults::Fault;
use crate::Redo;
use crate::conversation::{CharacterSummary, ConversationHead, ConversationItem};
use aim_domain::{
    BranchPoint, Character, CharacterDetails, CharacterId, Conversation, ConversationId, Listing, Message, MessageId,
    Session, SessionId, Timestamp, TokenHash, UsageCount, User, UserId, Variants,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::postgres::PgRow;
use sqlx::{Decode, Postgres, Row, Type};
use std::str::FromStr;

/// A row, read from left to right.
pub(super) struct Columns<'r> {
    row: &'r PgRow,
    next: usize,
}

impl<'r> Columns<'r> {
    pub fn of(row: &'r PgRow) -> Self {
        Self { row, next: 0 }
    }

    fn take<T: Decode<'r, Postgres> + Type<Postgres>>(&mut self) -> Tried<T> {
        self.next += 1;
        Ok(self.row.try_get(self.next - 1)?)
    }

    pub fn skip(&mut self, columns: usize) {
        self.next += columns;
    }

    /// Without the value, which is no business of a log.
    fn strange(&self, what: impl std::fmt::Display) -> Fault {
        Fault::Failed(format!("column {} cannot be read: {what}", self.next))
    }

    pub fn text(&mut self) -> Tried<&'r str> {
        self.take()
    }

    pub fn maybe_text(&mut self) -> Tried<Option<&'r str>> {
        self.take()
    }

    pub fn string(&mut self) -> Tried<String> {
        self.take()
    }

    pub fn maybe_string(&mut self) -> Tried<Option<String>> {
        self.take()
    }

    pub fn strings(&mut self) -> Tried<Vec<String>> {
        self.take()
    }

    pub fn int(&mut self) -> Tried<i64> {
        self.take()
    }

    pub fn maybe_int(&mut self) -> Tried<Option<i64>> {
        self.take()
    }

    pub fn flag(&mut self) -> Tried<bool> {
        self.take()
    }

    pub fn maybe_flag(&mut self) -> Tried<Option<bool>> {
        self.take()
    }

    pub fn count(&mut self) -> Tried<u64> {
        u64::try_from(self.int()?).map_err(|_| self.strange("a count below zero"))
    }

    pub fn small(&mut self) -> Tried<u32> {
        Ok(u32::try_from(self.int()?).unwrap_or(u32::MAX))
    }

    pub fn time(&mut self) -> Tried<Timestamp> {
        self.int().map(Timestamp)
    }

    pub fn word<T: FromStr<Err = String>>(&mut self) -> Tried<T> {
        self.text()?.parse().map_err(|error| self.strange(error))
    }

    pub fn maybe_word<T: FromStr<Err = String>>(&mut self) -> Tried<Option<T>> {
        self.maybe_text()?.map(str::parse).transpose().map_err(|error| self.strange(error))
    }

    pub fn maybe_redo(&mut self) -> Tried<Option<Redo>> {
        self.maybe_text()?.map(Redo::parse).transpose().map_err(|error| self.strange(error))
    }

    pub fn maybe_json<T: DeserializeOwned>(&mut self) -> Tried<Option<T>> {
        self.maybe_text()?.map(serde_json::from_str).transpose().map_err(|error| self.strange(error))
    }
}

/// A count as PostgreSQL keeps it; none of ours comes near the end.
pub(super) fn int(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(super) fn json<T: Serialize>(value: &T) -> Tried<String> {
    serde_json::to_string(value).map_err(|error| Fault::Failed(format!("a value has no JSON: {error}")))
}

pub(super) fn maybe_json<T: Serialize>(value: Option<&T>) -> Tried<Option<String>> {
    value.map(json).transpose()
}

pub(super) const USER: &str =
    "u.id, u.username, u.display_name, u.avatar_url, u.email, u.tier, u.role, u.created_at, u.version, u.erase_at";

pub(super) fn user(c: &mut Columns) -> Tried<User> {
    Ok(User {
        id: UserId::trusted(c.text()?),
        username: c.string()?,
        display_name: c.string()?,
        avatar_url: c.maybe_string()?,
        email: c.string()?,
        tier: c.word()?,
        role: c.word()?,
        created_at: c.time()?,
        version: c.int()?,
        erase_at: c.maybe_int()?.map(Timestamp),
    })
}

pub(super) const SESSION: &str = "s.id, s.user_id, s.token_hash, s.device, s.created_at, s.last_used_at, s.expires_at";

pub(super) fn session(c: &mut Columns) -> Tried<Session> {
    Ok(Session {
        id: SessionId::trusted(c.text()?),
        user_id: UserId::trusted(c.text()?),
        token_hash: TokenHash::trusted(c.text()?),
        device: c.string()?,
        created_at: c.time()?,
        last_used_at: c.time()?,
        expires_at: c.time()?,
    })
}

/// A character `ch` as lists show it.
macro_rules! character_columns {
    () => {
        "ch.id, ch.name, ch.description, ch.personality, ch.scenario, ch.greeting, ch.example_dialogue, \
     ch.system_prompt, ch.tags, ch.visibility, ch.avatar_url, ch.owner_id, ch.revision, ch.created_at, ch.updated_at, \
     (SELECT x.reason FROM unlisted_characters x WHERE x.character = ch.key) AS unlisted"
    };
}

pub(super) const CHARACTER: &str = character_columns!();

pub(super) fn character(c: &mut Columns) -> Tried<Character> {
    Ok(Character {
        id: CharacterId::trusted(c.text()?),
        name: c.string()?,
        description: c.string()?,
        personality: c.string()?,
        scenario: c.string()?,
        greeting: c.string()?,
        example_dialogue: c.string()?,
        system_prompt: c.string()?,
        tags: c.maybe_json()?.unwrap_or_default(),
        visibility: c.word()?,
        avatar_url: c.maybe_string()?,
        owner_id: c.maybe_text()?.map(UserId::trusted),
        revision: c.int()?,
        created_at: c.time()?,
        updated_at: c.time()?,
        listing: Listing::of(c.maybe_string()?),
        details: CharacterDetails::default(),
    })
}

/// As [`CHARACTER`], with what lists do without.
pub(super) const WHOLE_CHARACTER: &str = concat!(character_columns!(), ", ch.details");

pub(super) fn whole_character(c: &mut Columns) -> Tried<Character> {
    let character = character(c)?;
    Ok(Character { details: c.maybe_json()?.unwrap_or_default(), ..character })
}

/// A conversation `c` with its members, the owner first, in one column.
pub(super) const CONVERSATION: &str = "c.id, c.owner_id, c.character_id, c.title, \
     ARRAY(SELECT mb.user_id FROM members mb WHERE mb.conversation = c.key \
         ORDER BY mb.user_id <> c.owner_id, mb.joined_at, mb.user_id), \
     c.last_seq, c.removals, c.branch_of, c.branch_seq, c.created_at, c.updated_at, c.deleted_at";

pub(super) fn conversation(c: &mut Columns) -> Tried<Conversation> {
    let (id, owner_id) = (ConversationId::trusted(c.text()?), UserId::trusted(c.text()?));
    let (character_id, title) = (CharacterId::trusted(c.text()?), c.string()?);
    let member_ids = c.strings()?.into_iter().map(UserId::trusted).collect();
    let (last_seq, removals, (branch_of, imported_seq)) = (c.count()?, c.count()?, origin(c)?);
    Ok(Conversation {
        id,
        owner_id,
        character_id,
        title,
        member_ids,
        last_seq,
        removals,
        branch_of,
        imported_seq,
        created_at: c.time()?,
        updated_at: c.time()?,
        deleted_at: c.maybe_int()?.map(Timestamp),
    })
}

/// Where it was branched off; what was copied of no conversation here was taken in.
fn origin(c: &mut Columns) -> Tried<(Option<BranchPoint>, Option<u64>)> {
    let (id, seq) = (c.maybe_text()?.map(ConversationId::trusted), c.maybe_int()?.map(i64::unsigned_abs));
    Ok(match id {
        Some(conversation_id) => (seq.map(|seq| BranchPoint { conversation_id, seq }), None),
        None => (None, seq.filter(|seq| *seq > 0)),
    })
}

/// The columns of [`item_columns`], from [`ITEM_TABLES`].
pub(super) fn item(c: &mut Columns) -> Tried<ConversationItem> {
    let conversation = conversation(c)?;
    let character =
        CharacterSummary { id: conversation.character_id.clone(), name: c.string()?, avatar_url: c.maybe_string()? };
    let unread = c.count()?;
    let last_message = if c.flag()? { Some(message(c, &conversation.id)?) } else { None };
    Ok(ConversationItem { conversation, character, last_message, unread })
}

/// The columns of [`head_columns`], from [`HEAD_TABLES`].
pub(super) fn head(c: &mut Columns) -> Tried<ConversationHead> {
    let conversation = conversation(c)?;
    let (is_main, unread) = (c.flag()?, c.count()?);
    let last_message = if c.flag()? { Some(message(c, &conversation.id)?) } else { None };
    Ok(ConversationHead { conversation, last_message, unread, is_main })
}

/// As [`ITEM_TABLES`], without the character.
pub(super) const HEAD_TABLES: &str = "conversations c JOIN members me ON me.conversation = c.key \
     LEFT JOIN messages m ON m.conversation = c.key AND m.seq = c.last_seq";

pub(super) fn head_columns() -> String {
    format!("{CONVERSATION}, c.main, {UNREAD}, m.seq IS NOT NULL, {MESSAGE}")
}

/// As `me` sees it, who is a member; what is asked says which.
pub(super) const ITEM_TABLES: &str = "conversations c JOIN members me ON me.conversation = c.key \
     JOIN characters ch ON ch.id = c.character_id LEFT JOIN messages m ON m.conversation = c.key AND m.seq = c.last_seq";

/// Counted no further than is told, and not at all by who has read everything.
pub(super) const UNREAD: &str = "CASE WHEN me.read_seq >= c.last_seq THEN 0 ELSE (SELECT count(*) FROM (\
     SELECT 1 FROM messages u WHERE u.conversation = c.key AND u.seq > me.read_seq AND u.sender <> me.user_id LIMIT 100) n) END";

pub(super) fn item_columns() -> String {
    format!("{CONVERSATION}, ch.name, ch.avatar_url, {UNREAD}, m.seq IS NOT NULL, {MESSAGE}")
}

/// Up to `personality`, the order in which the functions of the schema answer a person's message, too.
pub(super) const MESSAGE: &str = "m.id, m.seq, m.role, m.sender, m.kind, m.text, m.media, m.in_reply_to, m.client_id, m.created_at, \
     m.reply_state, m.personality, m.variants, m.selected";

pub(super) fn message(c: &mut Columns, conversation: &ConversationId) -> Tried<Message> {
    let message = asked(c, conversation)?;
    Ok(Message { variants: variants(c)?, ..message })
}

/// A person's message, which has no variants.
pub(super) fn asked(c: &mut Columns, conversation: &ConversationId) -> Tried<Message> {
    Ok(Message {
        id: MessageId::trusted(c.text()?),
        conversation_id: conversation.clone(),
        seq: c.count()?,
        role: c.word()?,
        sender_id: c.string()?,
        kind: c.word()?,
        text: c.string()?,
        media: c.maybe_json()?,
        in_reply_to: c.maybe_text()?.map(MessageId::trusted),
        client_id: c.maybe_string()?,
        created_at: c.time()?,
        reply_state: c.maybe_word()?,
        personality: c.maybe_json()?,
        variants: None,
    })
}

/// `variants, selected` of a reply.
pub(super) fn variants(c: &mut Columns) -> Tried<Option<Variants>> {
    let (count, selected) = (c.maybe_int()?, c.maybe_int()?);
    let small = |count: i64| u32::try_from(count).unwrap_or(0);
    Ok(count.map(|count| Variants { count: small(count), selected: selected.map_or(0, small) }))
}

pub(super) const USAGE: &str = "u.text, u.audio, u.image, u.since, u.version";

/// Where there is no row, the columns are null: nothing was used.
pub(super) fn usage(c: &mut Columns) -> Tried<UsageCount> {
    let mut count = || Ok::<_, Fault>(c.maybe_int()?.unwrap_or(0));
    let [text, audio, image] = [count()?, count()?, count()?].map(i64::unsigned_abs);
    Ok(UsageCount { text, audio, image, since: c.maybe_int()?.map(Timestamp), version: c.maybe_int()?.unwrap_or(0) })
}
