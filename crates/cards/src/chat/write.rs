//! A chat as SillyTavern writes it, one line at a time.

use aim_domain::Timestamp;
use serde_json::json;

/// What was said, once.
#[derive(Clone, Copy, Debug)]
pub struct ChatLine<'a> {
    pub name: &'a str,
    pub by_user: bool,
    pub at: Timestamp,
    pub text: &'a str,
    /// All that a reply might have said, `text` at `selected` among them; empty where there is only one.
    pub swipes: &'a [&'a str],
    /// Counted from 0.
    pub selected: usize,
}

/// The first line: whose chat it is.
pub fn write_header(user: &str, character: &str, began: Timestamp) -> String {
    let header = json!({ "user_name": user, "character_name": character, "create_date": began, "chat_metadata": {} });
    format!("{header}\n")
}

/// Any other line.
pub fn write_line(line: &ChatLine<'_>) -> String {
    let mut said = json!({
        "name": line.name, "is_user": line.by_user, "is_system": false, "send_date": line.at, "mes": line.text, "extra": {},
    });
    if let (false, Some(object)) = (line.swipes.is_empty(), said.as_object_mut()) {
        object.insert("swipes".into(), json!(line.swipes));
        object.insert("swipe_id".into(), json!(line.selected));
    }
    format!("{said}\n")
}
