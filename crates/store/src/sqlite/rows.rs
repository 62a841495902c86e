//! Rows into values. A reader takes the columns of a row from left to right, in the order of the column list beside it.

use crate::conversation::{CharacterSummary, ConversationHead, ConversationItem};
use crate::{Redo, Result, StoreError};
use aim_domain::{
    BranchPoint, Character, CharacterDetails, CharacterId, Conversation, ConversationId, Listing, Message, MessageId,
    Session, SessionId, Timestamp, TokenHash, UsageCount, User, UserId, Variants,
};
use rusqlite::types::Type;
use rusqlite::{Error, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::str::FromStr;

/// A row, read from left to right.
pub(super) struct Columns<'r> {
    row: &'r Row<'r>,
    next: usize,
}

impl<'r> Columns<'r> {
    pub fn of(row: &'r Row<'r>) -> Self {
        Self { row, next: 0 }
    }

    fn at(&mut self) -> usize {
        self.next += 1;
        self.next - 1
    }

    pub fn skip(&mut self, columns: usize) {
        self.next += columns;
    }

    pub fn text(&mut self) -> rusqlite::Result<&'r str> {
        let at = self.at();
        Ok(self.row.get_ref(at)?.as_str()?)
    }

    pub fn maybe_text(&mut self) -> rusqlite::Result<Option<&'r str>> {
        let at = self.at();
        Ok(self.row.get_ref(at)?.as_str_or_null()?)
    }

    pub fn string(&mut self) -> rusqlite::Result<String> {
        self.text().map(str::to_owned)
    }

    pub fn maybe_string(&mut self) -> rusqlite::Result<Option<String>> {
        Ok(self.maybe_text()?.map(str::to_owned))
    }

    pub fn int(&mut self) -> rusqlite::Result<i64> {
        let at = self.at();
        self.row.get(at)
    }

    pub fn maybe_int(&mut self) -> rusqlite::Result<Option<i64>> {
        let at = self.at();
        self.row.get(at)
    }

    pub fn flag(&mut self) -> rusqlite::Result<bool> {
        Ok(self.int()? != 0)
    }

    pub fn count(&mut self) -> rusqlite::Result<u64> {
        let at = self.at();
        let value: i64 = self.row.get(at)?;
        u64::try_from(value).map_err(|_| Error::IntegralValueOutOfRange(at, value))
    }

    pub fn time(&mut self) -> rusqlite::Result<Timestamp> {
        self.int().map(Timestamp)
    }

    pub fn word<T: FromStr<Err = String>>(&mut self) -> rusqlite::Result<T> {
        let at = self.next;
        self.text()?.parse().map_err(|error: String| Error::FromSqlConversionFailure(at, Type::Text, error.into()))
    }

    pub fn maybe_word<T: FromStr<Err = String>>(&mut self) -> rusqlite::Result<Option<T>> {
        let at = self.next;
        let word = self.maybe_text()?;
        word.map(str::parse)
            .transpose()
            .map_err(|error: String| Error::FromSqlConversionFailure(at, Type::Text, error.into()))
    }

    pub fn maybe_redo(&mut self) -> rusqlite::Result<Option<Redo>> {
        let at = self.next;
        let redo = self.maybe_text()?.map(Redo::parse).transpose();
        redo.map_err(|error| Error::FromSqlConversionFailure(at, Type::Text, error.into()))
    }

    pub fn maybe_json<T: DeserializeOwned>(&mut self) -> rusqlite::Result<Option<T>> {
        let at = self.next;
        let text = self.maybe_text()?;
        text.map(serde_json::from_str)
            .transpose()
            .map_err(|error| Error::FromSqlConversionFailure(at, Type::Text, error.into()))
    }
}

/// A count as SQLite keeps it; none of ours comes near the end.
pub(super) fn int(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(super) fn json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| StoreError::Failed(format!("a value has no JSON: {error}")))
}

pub(super) fn maybe_json<T: Serialize>(value: Option<&T>) -> Result<Option<String>> {
    value.map(json).transpose()
}

pub(super) const USER: &str =
    "u.id, u.username, u.display_name, u.avatar_url, u.email, u.tier, u.role, u.created_at, u.version, u.erase_at";

pub(super) fn user(c: &mut Columns) -> rusqlite::Result<User> {
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

pub(super) const SESSION: &str = "s.id, s.user, s.token_hash, s.device, s.created_at, s.last_used_at, s.expires_at";

pub(super) fn session(c: &mut Columns) -> rusqlite::Result<Session> {
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
     ch.system_prompt, ch.tags, ch.visibility, ch.avatar_url, ch.owner, ch.revision, ch.created_at, ch.updated_at, \
     (SELECT x.reason FROM unlisted_characters x WHERE x.character = ch.key) AS unlisted"
    };
}

pub(super) const CHARACTER: &str = character_columns!();

pub(super) fn character(c: &mut Columns) -> rusqlite::Result<Character> {
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

pub(super) fn whole_character(c: &mut Columns) -> rusqlite::Result<Character> {
    let character = character(c)?;
    Ok(Character { details: c.maybe_json()?.unwrap_or_default(), ..character })
}

/// A conversation `c` with its members, the owner first, in one column.
pub(super) const CONVERSATION: &str = "c.id, c.owner, c.character, c.title, \
     (SELECT group_concat(user, ',' ORDER BY user <> c.owner, joined_at, user) FROM members WHERE conversation = c.key), \
     c.last_seq, c.removals, c.branch_of, c.branch_seq, c.created_at, c.updated_at, c.deleted_at";

pub(super) fn conversation(c: &mut Columns) -> rusqlite::Result<Conversation> {
    let (id, owner_id) = (ConversationId::trusted(c.text()?), UserId::trusted(c.text()?));
    let (character_id, title) = (CharacterId::trusted(c.text()?), c.string()?);
    // No id holds a comma.
    let member_ids = c.maybe_text()?.unwrap_or_default().split_terminator(',').map(UserId::trusted).collect();
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
fn origin(c: &mut Columns) -> rusqlite::Result<(Option<BranchPoint>, Option<u64>)> {
    let (id, seq) = (c.maybe_text()?.map(ConversationId::trusted), c.maybe_int()?.map(i64::unsigned_abs));
    Ok(match id {
        Some(conversation_id) => (seq.map(|seq| BranchPoint { conversation_id, seq }), None),
        None => (None, seq.filter(|seq| *seq > 0)),
    })
}

/// The columns of [`item_columns`], from [`ITEM_TABLES`].
pub(super) fn item(c: &mut Columns) -> rusqlite::Result<ConversationItem> {
    let conversation = conversation(c)?;
    let character =
        CharacterSummary { id: conversation.character_id.clone(), name: c.string()?, avatar_url: c.maybe_string()? };
    let unread = c.count()?;
    let last_message = if c.flag()? { Some(message(c, &conversation.id)?) } else { None };
    Ok(ConversationItem { conversation, character, last_message, unread })
}

/// The columns of [`head_columns`], from [`HEAD_TABLES`].
pub(super) fn head(c: &mut Columns) -> rusqlite::Result<ConversationHead> {
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
     JOIN characters ch ON ch.id = c.character LEFT JOIN messages m ON m.conversation = c.key AND m.seq = c.last_seq";

/// Counted no further than is told, and not at all by who has read everything.
pub(super) const UNREAD: &str = "CASE WHEN me.read_seq >= c.last_seq THEN 0 ELSE (SELECT count(*) FROM (\
     SELECT 1 FROM messages u WHERE u.conversation = c.key AND u.seq > me.read_seq AND u.sender <> me.user LIMIT 100)) END";

pub(super) fn item_columns() -> String {
    format!("{CONVERSATION}, ch.name, ch.avatar_url, {UNREAD}, m.seq IS NOT NULL, {MESSAGE}")
}

pub(super) const MESSAGE: &str = "m.id, m.seq, m.role, m.sender, m.kind, m.text, m.media, m.in_reply_to, m.client_id, m.created_at, \
     m.reply_state, m.personality, m.variants, m.selected";

pub(super) fn message(c: &mut Columns, conversation: &ConversationId) -> rusqlite::Result<Message> {
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
        variants: variants(c)?,
    })
}

/// `variants, selected` of a reply.
pub(super) fn variants(c: &mut Columns) -> rusqlite::Result<Option<Variants>> {
    let (count, selected) = (c.maybe_int()?, c.maybe_int()?);
    let small = |count: i64| u32::try_from(count).unwrap_or(0);
    Ok(count.map(|count| Variants { count: small(count), selected: selected.map_or(0, small) }))
}

pub(super) const USAGE: &str = "u.text, u.audio, u.image, u.since, u.version";

pub(super) fn usage(c: &mut Columns) -> rusqlite::Result<UsageCount> {
    Ok(UsageCount {
        text: c.count()?,
        audio: c.count()?,
        image: c.count()?,
        since: c.maybe_int()?.map(Timestamp),
        version: c.int()?,
    })
}
