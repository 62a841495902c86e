//! SillyTavern's chats: a file of lines (JSONL), each a JSON object. The first says whose chat it is, each of the others is
//! something that was said.
//!
//! A file is taken as hostile: a line is read no further than it may be long, its depth and number of values are counted before it
//! is parsed, and one line at a time is held as JSON. What is wrong is told with the number of its line. What a line says of
//! models, tokens and pictures is passed over.

mod date;
mod write;

pub use write::{ChatLine, write_header, write_line};

use crate::bounds;
use aim_domain::Timestamp;
use aim_domain::message::MAX_TEXT;
use serde_json::{Map, Value};
use std::io::{BufRead, Read};

/// Most bytes of a chat's file.
pub const MAX_CHAT: u64 = 16 << 20;
/// Most messages of a chat.
pub const MAX_SAID: usize = 10_000;
/// Most bytes of a line: twenty swipes with all that is noted of each.
const MAX_LINE: u64 = 4 << 20;
/// Swipes of a reply that are taken, at the most; others are left out, the chosen one never.
pub const MAX_SWIPES: usize = 20;

/// Why a file is no chat that can be taken, in sentences for the person who sent it. Lines are counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnfitChat {
    #[error("This is no chat of SillyTavern: its first line has neither a message nor the names of a chat.")]
    NotAChat,
    #[error("There is no message in this chat.")]
    Empty,
    #[error("The file has more than {} MB.", MAX_CHAT >> 20)]
    FileTooLarge,
    #[error("The chat has more than {MAX_SAID} messages: line {line}.")]
    TooLong { line: usize },
    #[error("Line {line} is not valid JSON: column {column}.")]
    NotJson { line: usize, column: usize },
    #[error("Line {line} is not a JSON object.")]
    NotAnObject { line: usize },
    #[error("Line {line} is not UTF-8.")]
    NotUtf8 { line: usize },
    #[error("Line {line} has more than {} MB.", MAX_LINE >> 20)]
    LineTooLarge { line: usize },
    #[error("Line {line} is nested too deep, or has too many values.")]
    TooMuch { line: usize },
    #[error("Line {line} is no message: its `mes` is no text.")]
    NoText { line: usize },
    #[error("Line {line} has more than {MAX_TEXT} characters.")]
    TextTooLong { line: usize },
    #[error("Line {line} has a character that cannot be stored: U+0000.")]
    Unstorable { line: usize },
    #[error("The file could not be read.")]
    Unreadable,
}

/// What was said, once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// It is the person's, else the character's.
    pub by_user: bool,
    pub at: Option<Timestamp>,
    /// 1 to 8,000 characters.
    pub text: String,
    /// All that a reply might have said, `text` at [`Self::selected`] among them; empty where there is only one.
    pub swipes: Vec<String>,
    /// Counted from 0.
    pub selected: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chat {
    /// When it was begun.
    pub began: Option<Timestamp>,
    /// In order, at least one.
    pub said: Vec<Said>,
    /// Lines that say nothing here: SillyTavern's own notes, and empty messages.
    pub left_out: usize,
}

/// Reads a chat to its end.
pub fn read(file: &mut impl BufRead) -> Result<Chat, UnfitChat> {
    let mut file = file.take(MAX_CHAT + 1);
    let mut chat = Chat::default();
    let (mut user, mut is_first) = (None, true);
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        let read = file.by_ref().take(MAX_LINE + 1).read_until(b'\n', &mut bytes).map_err(|_| UnfitChat::Unreadable)?;
        if file.limit() == 0 {
            return Err(UnfitChat::FileTooLarge);
        }
        if bytes.len() as u64 > MAX_LINE {
            return Err(UnfitChat::LineTooLarge { line });
        }
        if read == 0 {
            break;
        }
        let Some(object) = parse(&bytes, line)? else { continue };
        if std::mem::take(&mut is_first) && !object.contains_key("mes") {
            if !["user_name", "character_name", "chat_metadata"].iter().any(|name| object.contains_key(*name)) {
                return Err(UnfitChat::NotAChat);
            }
            chat.began = object.get("create_date").and_then(date::read);
            user = object.get("user_name").and_then(Value::as_str).map(str::to_owned);
            continue;
        }
        match said(object, line, user.as_deref())? {
            Some(_) if chat.said.len() == MAX_SAID => return Err(UnfitChat::TooLong { line }),
            Some(said) => chat.said.push(said),
            None => chat.left_out += 1,
        }
    }
    if chat.said.is_empty() { Err(UnfitChat::Empty) } else { Ok(chat) }
}

/// The object of a line; none for an empty one.
fn parse(bytes: &[u8], line: usize) -> Result<Option<Map<String, Value>>, UnfitChat> {
    let bytes = if line == 1 { bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes) } else { bytes };
    let bytes = bytes.trim_ascii();
    if bytes.is_empty() {
        return Ok(None);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| UnfitChat::NotUtf8 { line })?;
    bounds::check(bytes).map_err(|_| UnfitChat::TooMuch { line })?;
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(Some(object)),
        Ok(_) => Err(UnfitChat::NotAnObject { line }),
        Err(error) => Err(UnfitChat::NotJson { line, column: error.column() }),
    }
}

fn said(mut object: Map<String, Value>, line: usize, user: Option<&str>) -> Result<Option<Said>, UnfitChat> {
    let Some(Value::String(text)) = object.remove("mes") else { return Err(UnfitChat::NoText { line }) };
    if is_note(&object) || text.trim().is_empty() {
        return Ok(None);
    }
    check(&text, line)?;
    let by_user = match object.get("is_user").and_then(Value::as_bool) {
        Some(by_user) => by_user,
        None => user.is_some() && object.get("name").and_then(Value::as_str) == user,
    };
    let at = object.get("send_date").and_then(date::read);
    let mut said = Said { by_user, at, text, ..Said::default() };
    if let (false, Some(Value::Array(swipes))) = (by_user, object.remove("swipes")) {
        let chosen = object.get("swipe_id").and_then(Value::as_u64).and_then(|id| usize::try_from(id).ok());
        swipe(&mut said, swipes, chosen.unwrap_or(0), line)?;
    }
    Ok(Some(said))
}

/// What SillyTavern itself wrote into the chat: a welcome, a comment, a word of help. Something that was said and hidden from the
/// model is shown there all the same, and has no type.
fn is_note(object: &Map<String, Value>) -> bool {
    let kind = object.get("extra").and_then(|extra| extra.get("type"));
    object.get("is_system").and_then(Value::as_bool) == Some(true) && kind.is_some_and(Value::is_string)
}

fn check(text: &str, line: usize) -> Result<(), UnfitChat> {
    if text.contains('\0') {
        return Err(UnfitChat::Unstorable { line });
    }
    // Bytes are counted first: most texts are short.
    match text.len() > MAX_TEXT && text.chars().count() > MAX_TEXT {
        true => Err(UnfitChat::TextTooLong { line }),
        false => Ok(()),
    }
}

/// Puts the swipes in. What is shown is what `mes` says, whatever stands in its place among them.
fn swipe(said: &mut Said, swipes: Vec<Value>, chosen: usize, line: usize) -> Result<(), UnfitChat> {
    let mut kept: Vec<String> = Vec::new();
    let mut selected = None;
    for (number, swipe) in swipes.into_iter().enumerate() {
        if number == chosen {
            selected = Some(kept.len());
            kept.push(said.text.clone());
            continue;
        }
        let Value::String(text) = swipe else { continue };
        if !text.trim().is_empty() {
            check(&text, line)?;
            kept.push(text);
        }
    }
    let mut selected = selected.unwrap_or_else(|| {
        kept.push(said.text.clone());
        kept.len() - 1
    });
    if selected >= MAX_SWIPES {
        kept.swap(MAX_SWIPES - 1, selected);
        selected = MAX_SWIPES - 1;
    }
    kept.truncate(MAX_SWIPES);
    if kept.len() > 1 {
        (said.swipes, said.selected) = (kept, selected);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
