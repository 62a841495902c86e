//! What a reply is looked through for at each place, and what is done about it.

use super::State;

/// Longest name that is looked for, in characters; a longer one is no one's prefix.
const NAME_MOST: usize = 128;

/// A chat template's token, `<|im_end|>`, has at most this many characters between the bars.
const TEMPLATE_MOST: usize = 32;

const REMARKS: [&str; 2] = ["ooc", "out of character"];

/// Whether a rule applies at a place: `More` may become either of the others with more text, those never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    No,
    More,
    /// So many bytes.
    Yes(usize),
}

impl Match {
    /// This, or else the other; an undecided first comes before a decided second.
    pub fn or(self, other: impl FnOnce() -> Self) -> Self {
        if self == Self::No { other() } else { self }
    }
}

/// Whether `text` begins with `pattern`, which is in lower case, without regard to case.
pub(super) fn starts(text: &str, pattern: &str) -> Match {
    let mut rest = text.chars();
    for expected in pattern.chars() {
        match rest.next() {
            None => return Match::More,
            Some(c) if c == expected || lower(c) == expected => {}
            Some(_) => return Match::No,
        }
    }
    Match::Yes(text.len() - rest.as_str().len())
}

pub(super) fn lower(c: char) -> char {
    if c.is_ascii() { c.to_ascii_lowercase() } else { c.to_lowercase().next().unwrap_or(c) }
}

pub(super) fn is_ender(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '…' | '。' | '！' | '？')
}

/// What may stand between a sentence's end and the white space after it.
pub(super) fn is_closer(c: char) -> bool {
    matches!(c, '"' | '\'' | '*' | '_' | ')' | ']' | '”' | '’' | '»')
}

/// What may stand before a sentence's first word.
pub(super) fn is_opener(c: char) -> bool {
    matches!(c, '"' | '\'' | '*' | '_' | '“' | '‘' | '«')
}

#[derive(Debug)]
pub(super) enum Rule {
    Plain,
    More,
    /// Undecided how much, but when nothing more comes it is so many bytes.
    MoreOrDrop(usize),
    Drop(usize),
    Skip(usize, State),
    /// A macro: the user's name, or the character's.
    Name(usize, bool),
    Cut,
}

impl Rule {
    pub fn of(found: Match, then: impl FnOnce(usize) -> Self) -> Self {
        match found {
            Match::No => Self::Plain,
            Match::More => Self::More,
            Match::Yes(bytes) => then(bytes),
        }
    }

    pub fn or(self, other: impl FnOnce() -> Self) -> Self {
        if matches!(self, Self::Plain) { other() } else { self }
    }
}

/// The names that a line of `name`'s may start with: the whole, its first word, and what templates call that part.
pub(super) fn names<const N: usize>(name: &str, generic: [&str; N]) -> Vec<String> {
    let name: String = name.trim().chars().map(lower).collect();
    let first = name.split_whitespace().next().filter(|word| word.chars().all(char::is_alphabetic)).map(str::to_owned);
    let mut names: Vec<String> = std::iter::once(name).chain(first).chain(generic.map(str::to_owned)).collect();
    names.retain(|name| !name.is_empty() && !name.contains([':', '\n']) && name.chars().count() <= NAME_MOST);
    names.dedup();
    names
}

/// `Name:`, `Name :`, `**Name:**`, `**Name**:`.
pub(super) fn prefix(text: &str, name: &str) -> Match {
    let opened = text.bytes().take(2).take_while(|&b| b == b'*').count();
    if opened == text.len() {
        return Match::More;
    }
    let named = match starts(&text[opened..], name) {
        Match::Yes(bytes) => opened + bytes,
        undecided => return undecided,
    };
    let mut at = named;
    let mut closed = 0;
    let mut spaces = 0;
    loop {
        match text.as_bytes().get(at) {
            None => return Match::More,
            Some(b'*') if closed < opened && spaces == 0 => closed += 1,
            Some(b' ') if spaces == 0 => spaces += 1,
            Some(b':') => break,
            Some(_) => return Match::No,
        }
        at += 1;
    }
    at += 1;
    while closed < opened {
        match text.as_bytes().get(at) {
            None => return Match::More,
            Some(b'*') => closed += 1,
            Some(_) => return Match::No,
        }
        at += 1;
    }
    Match::Yes(at)
}

/// `<|im_end|>` and its like.
pub(super) fn template(text: &str) -> Match {
    let inner = match starts(text, "<|") {
        Match::Yes(bytes) => &text[bytes..],
        undecided => return undecided,
    };
    let word = inner.bytes().take_while(|&b| b.is_ascii_alphanumeric() || b == b'_').count();
    if word == 0 && !inner.is_empty() || word > TEMPLATE_MOST {
        return Match::No;
    }
    match starts(&inner[word..], "|>") {
        Match::Yes(bytes) => Match::Yes(2 + word + bytes),
        undecided => undecided,
    }
}

/// A template's token at the reply's start, with the role that it announces.
pub(super) fn opening(text: &str, token: usize) -> Rule {
    let rest = &text[token..];
    for role in ["assistant\n", "model\n", "user\n"] {
        match starts(rest, role) {
            Match::No => {}
            Match::More => return Rule::MoreOrDrop(token),
            Match::Yes(_) if role == "user\n" => return Rule::Cut,
            Match::Yes(bytes) => return Rule::Drop(token + bytes),
        }
    }
    Rule::Drop(token)
}

/// `(OOC: …)`, up to the point from which on it is dropped.
pub(super) fn remark(text: &str, open: char, close: char) -> Rule {
    let inner = text[1..].trim_start_matches([' ', open]);
    let lead = text.len() - inner.len();
    // `((OOC` at most, so that what is held back stays short.
    if lead > 3 {
        return Rule::Plain;
    }
    let depth = u32::try_from(text[..lead].matches(open).count()).unwrap_or(1);
    let found = REMARKS.iter().fold(Match::No, |found, word| {
        found.or(|| match starts(inner, word) {
            Match::Yes(bytes) => match inner[bytes..].chars().next() {
                None => Match::More,
                Some(after) if after.is_alphanumeric() => Match::No,
                Some(_) => Match::Yes(lead + bytes),
            },
            undecided => undecided,
        })
    });
    Rule::of(found, |bytes| Rule::Skip(bytes, State::Remark { open, close, depth }))
}
