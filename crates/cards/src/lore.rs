//! A card's book, read into a character's and written from it.

use aim_domain::{LoreEntry, LorePosition, Lorebook};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

const BOOK: [&str; 6] = ["name", "description", "scan_depth", "token_budget", "recursive_scanning", "entries"];
const ENTRY: [&str; 13] = [
    "keys",
    "content",
    "enabled",
    "insertion_order",
    "priority",
    "case_sensitive",
    "use_regex",
    "constant",
    "selective",
    "secondary_keys",
    "position",
    "name",
    "comment",
];

/// Entries with one text that are looked at for the one that was there before.
const ALIKE: usize = 20;

/// The book that some JSON is; none where it is none.
pub(crate) fn book(json: &Value, warnings: &mut Vec<String>) -> Option<Lorebook> {
    let entries = json.get("entries").and_then(Value::as_array);
    let (Some(book), Some(entries)) = (json.as_object(), entries) else {
        warnings.push("The card's lore book is of an unknown form; it was left out.".into());
        return None;
    };
    let read: Vec<LoreEntry> = entries.iter().filter_map(Value::as_object).map(entry).collect();
    if read.len() < entries.len() {
        warnings.push(format!("{} entries of the lore book cannot be read.", entries.len() - read.len()));
    }
    Some(Lorebook {
        name: text(book, "name"),
        description: text(book, "description"),
        scan_depth: count(book, "scan_depth"),
        token_budget: count(book, "token_budget"),
        recursive_scanning: flag(book, "recursive_scanning"),
        entries: read,
        extra: rest(book, &BOOK),
    })
}

fn entry(said: &Map<String, Value>) -> LoreEntry {
    LoreEntry {
        keys: keys(said, "keys"),
        content: text(said, "content"),
        enabled: maybe_flag(said, "enabled").unwrap_or(true),
        insertion_order: number(said, "insertion_order").unwrap_or_default(),
        priority: number(said, "priority"),
        case_sensitive: flag(said, "case_sensitive"),
        use_regex: flag(said, "use_regex"),
        constant: flag(said, "constant"),
        selective: flag(said, "selective"),
        secondary_keys: keys(said, "secondary_keys"),
        position: position(said),
        name: text(said, "name"),
        comment: text(said, "comment"),
        extra: rest(said, &ENTRY),
    }
}

fn text(of: &Map<String, Value>, name: &str) -> String {
    of.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Where there is no word, SillyTavern's number counts: 1 is after the character.
fn position(said: &Map<String, Value>) -> LorePosition {
    let theirs = || said.get("extensions")?.as_object().and_then(|extensions| number(extensions, "position"));
    match said.get("position") {
        Some(Value::String(word)) if word == "after_char" => LorePosition::AfterChar,
        Some(Value::String(_)) => LorePosition::BeforeChar,
        _ if number(said, "position").or_else(theirs) == Some(1) => LorePosition::AfterChar,
        _ => LorePosition::BeforeChar,
    }
}

fn flag(of: &Map<String, Value>, name: &str) -> bool {
    maybe_flag(of, name).unwrap_or_default()
}

/// Some editors write numbers or words.
fn maybe_flag(of: &Map<String, Value>, name: &str) -> Option<bool> {
    match of.get(name)? {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => number.as_f64().map(|number| number != 0.0),
        Value::String(word) => match word.trim().to_ascii_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// Some editors write numbers with a point, or as texts.
pub(crate) fn number(of: &Map<String, Value>, name: &str) -> Option<i64> {
    let value = of.get(name)?;
    let float = || value.as_str().map_or_else(|| value.as_f64(), |text| text.trim().parse().ok());
    #[allow(clippy::cast_possible_truncation, reason = "a cast of a float ends at the ends of the type")]
    value.as_i64().or_else(|| float().map(|float: f64| float as i64))
}

fn count(of: &Map<String, Value>, name: &str) -> Option<u32> {
    number(of, name).and_then(|number| u32::try_from(number).ok())
}

/// A list, or one text with commas.
fn keys(of: &Map<String, Value>, name: &str) -> Vec<String> {
    let keys = match of.get(name) {
        Some(Value::String(text)) => text.split(',').map(|key| key.trim().to_owned()).collect(),
        Some(Value::Array(keys)) => keys.iter().filter_map(key).collect(),
        _ => Vec::new(),
    };
    keys.into_iter().filter(|key| !key.is_empty()).collect()
}

fn key(said: &Value) -> Option<String> {
    match said {
        Value::String(key) => Some(key.clone()),
        Value::Number(year) => Some(year.to_string()),
        _ => None,
    }
}

/// What nobody here knows. Empty `extensions` are the same as none, and are written again in any case.
fn rest(of: &Map<String, Value>, known: &[&str]) -> Map<String, Value> {
    let says = |value: &Value| !value.is_null() && value.as_object().is_none_or(|object| !object.is_empty());
    let unknown = of.iter().filter(|(name, _)| !known.contains(&name.as_str()));
    let unknown = unknown.filter(|(name, value)| name.as_str() != "extensions" || says(value));
    unknown.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The book as V3 writes it. An entry that it had before, and that nobody changed, is written as it came: `was` is the book that
/// was read from `came`.
pub(crate) fn to_json(book: &Lorebook, was: Option<&Lorebook>, came: Option<&Value>) -> Value {
    let mut out = book.extra.clone();
    out.entry("extensions").or_insert_with(|| json!({}));
    put_text(&mut out, "name", &book.name);
    put_text(&mut out, "description", &book.description);
    for (name, count) in [("scan_depth", book.scan_depth), ("token_budget", book.token_budget)] {
        if let Some(count) = count {
            out.insert(name.into(), count.into());
        }
    }
    out.insert("recursive_scanning".into(), book.recursive_scanning.into());
    let came = came.and_then(|came| came.get("entries")?.as_array());
    let came: Vec<&Value> = came.into_iter().flatten().filter(|entry| entry.is_object()).collect();
    let was = was.map_or(&[][..], |was| &was.entries);
    let mut by_content: HashMap<&str, Vec<usize>> = HashMap::new();
    for (n, entry) in was.iter().enumerate() {
        by_content.entry(&entry.content).or_default().push(n);
    }
    let entries = book.entries.iter().enumerate().map(|(n, entry)| {
        let same = |at: &usize| was.get(*at) == Some(entry);
        let alike =
            || by_content.get(entry.content.as_str()).into_iter().flatten().take(ALIKE).copied().find(|at| same(at));
        let as_it_came = Some(n).filter(same).or_else(alike).and_then(|at| came.get(at));
        as_it_came.map_or_else(|| entry_json(entry), |came| (*came).clone())
    });
    out.insert("entries".into(), entries.collect());
    Value::Object(out)
}

fn put_text(out: &mut Map<String, Value>, name: &str, text: &str) {
    if !text.is_empty() {
        out.insert(name.into(), text.into());
    }
}

fn entry_json(entry: &LoreEntry) -> Value {
    let mut out = entry.extra.clone();
    out.entry("extensions").or_insert_with(|| json!({}));
    out.insert("keys".into(), json!(entry.keys));
    out.insert("content".into(), json!(entry.content));
    out.insert("insertion_order".into(), entry.insertion_order.into());
    for (name, flag) in [
        ("enabled", entry.enabled),
        ("case_sensitive", entry.case_sensitive),
        ("use_regex", entry.use_regex),
        ("constant", entry.constant),
        ("selective", entry.selective),
    ] {
        out.insert(name.into(), flag.into());
    }
    if let Some(priority) = entry.priority {
        out.insert("priority".into(), priority.into());
    }
    out.insert("secondary_keys".into(), json!(entry.secondary_keys));
    out.insert("position".into(), json!(entry.position));
    put_text(&mut out, "name", &entry.name);
    put_text(&mut out, "comment", &entry.comment);
    Value::Object(out)
}
