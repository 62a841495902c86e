//! Cursors of lists: where a page ended, as the value it was sorted by and the id that breaks a tie. Opaque outside.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// `list` names the list and its order, so that a cursor of another counts as none.
pub(crate) fn make(list: &str, id: &str, sorted_by: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{list}:{id}:{sorted_by}"))
}

/// What it was sorted by, and the id.
pub(crate) fn text(cursor: &str, list: &str) -> Option<(String, String)> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let (id, sorted_by) = text.strip_prefix(list)?.strip_prefix(':')?.split_once(':')?;
    Some((sorted_by.to_owned(), id.to_owned()))
}

pub(crate) fn number(cursor: &str, list: &str) -> Option<(i64, String)> {
    let (sorted_by, id) = text(cursor, list)?;
    Some((sorted_by.parse().ok()?, id))
}
