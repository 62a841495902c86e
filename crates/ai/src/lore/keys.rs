//! The keys of a lore book: words, and regular expressions.
//!
//! A key that is written `/…/flags`, as JavaScript writes one, is a regular expression in every entry. A bare one is one
//! only where V3's `use_regex` says so, and never in an entry that SillyTavern wrote: it sets the flag in all of them, and
//! takes their plain keys for words nevertheless.

use super::said::Said;
use crate::macros::Macros;
use memchr::memmem::Finder;
use regex::{Regex, RegexBuilder};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// What a regular expression may look through, the last of it; its size as a program; and how deep it may be nested.
const SCANNED_BY_REGEX: usize = 16 << 10;
const REGEX_SIZE: usize = 128 << 10;
const REGEX_NESTING: u32 = 50;
/// Regular expressions of a book, at the most. Others are never found.
const MOST_PATTERNS: usize = 300;
/// Bytes of a compiled one, with what it remembers of its runs, at the most and about.
pub(super) const MOST_OF_A_PATTERN: usize = 2 * REGEX_SIZE;

/// Counts the regular expressions of a book.
#[derive(Default)]
pub(super) struct Patterns(usize);

impl Patterns {
    pub fn count(&self) -> usize {
        self.0.min(MOST_PATTERNS)
    }

    fn has_room(&mut self) -> bool {
        self.0 += 1;
        self.0 <= MOST_PATTERNS
    }
}

/// How the keys of an entry are to be read.
#[derive(Clone, Copy)]
pub(super) struct Reading {
    pub bare_is_regex: bool,
    pub case_sensitive: bool,
    pub whole_words: bool,
}

pub(super) struct Key {
    said: Box<str>,
    kind: Kind,
    case_sensitive: bool,
}

enum Kind {
    Words {
        finder: Box<Finder<'static>>,
        alone: bool,
    },
    Regex(OnceLock<Option<Regex>>),
    /// What it is, is known in each reply anew.
    WithMacros(Reading),
    /// One regular expression too many.
    Never,
}

/// `pattern` and `flags` of a regular expression between slashes; a slash within it has a backslash before it.
fn slashed(key: &str) -> Option<(&str, &str)> {
    let (pattern, flags) = key.strip_prefix('/')?.rsplit_once('/')?;
    let is_one = !pattern.is_empty() && flags.chars().all(|flag| "dgimsuvy".contains(flag));
    let mut signs = pattern.chars();
    while let Some(sign) = signs.next() {
        match sign {
            '\\' => drop(signs.next()),
            '/' => return None,
            _ => {}
        }
    }
    is_one.then_some((pattern, flags))
}

impl Key {
    /// None for an empty one.
    pub fn of(key: &str, reading: Reading, patterns: &mut Patterns) -> Option<Self> {
        let is_regex = reading.bare_is_regex || slashed(key).is_some();
        if key.trim().is_empty() {
            return None;
        }
        let kind = if has_macros(key) {
            Kind::WithMacros(reading)
        } else if !is_regex {
            words(key, reading)
        } else if patterns.has_room() {
            Kind::Regex(OnceLock::new())
        } else {
            Kind::Never
        };
        Some(Self { said: key.into(), kind, case_sensitive: reading.case_sensitive })
    }

    pub fn size(&self) -> usize {
        2 * self.said.len() + size_of::<Self>() + size_of::<Finder<'static>>()
    }

    pub fn is_unusable(&self) -> bool {
        match &self.kind {
            Kind::Regex(compiled) => compiled.get_or_init(|| compile(&self.said, self.case_sensitive)).is_none(),
            Kind::Never => true,
            Kind::Words { .. } | Kind::WithMacros(_) => false,
        }
    }
}

fn words(key: &str, reading: Reading) -> Kind {
    let folded = if reading.case_sensitive { key.to_owned() } else { key.to_lowercase() };
    // Several words stand where they stand.
    let alone = reading.whole_words && !key.trim().contains(char::is_whitespace);
    let needle = if alone { folded.trim() } else { &folded };
    Kind::Words { finder: Box::new(Finder::new(needle).into_owned()), alone }
}

fn has_macros(key: &str) -> bool {
    let named = |name: &str| key.to_ascii_lowercase().contains(name);
    key.contains("{{") || (key.contains('<') && (named("<user>") || named("<bot>")))
}

fn compile(key: &str, case_sensitive: bool) -> Option<Regex> {
    let (pattern, flags) = slashed(key).unwrap_or((key, if case_sensitive { "" } else { "i" }));
    let built = RegexBuilder::new(pattern)
        .case_insensitive(flags.contains('i'))
        .multi_line(flags.contains('m'))
        .dot_matches_new_line(flags.contains('s'))
        .size_limit(REGEX_SIZE)
        .dfa_size_limit(REGEX_SIZE)
        .nest_limit(REGEX_NESTING)
        .build();
    built.ok()
}

/// Whether a word goes on with this sign. Scripts that are written without spaces part no words.
fn goes_on(sign: char) -> bool {
    let unspaced = matches!(sign,
        '\u{0E00}'..='\u{0EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}' | '\u{3040}'..='\u{30FF}'
        | '\u{3400}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7A3}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}');
    sign == '_' || (sign.is_alphanumeric() && !unspaced)
}

fn stands_alone(text: &str, at: usize, length: usize) -> bool {
    let before = text.get(..at).and_then(|before| before.chars().next_back());
    let after = text.get(at + length..).and_then(|after| after.chars().next());
    !before.is_some_and(goes_on) && !after.is_some_and(goes_on)
}

/// What is looked through in one reply.
pub(super) struct Looked<'m> {
    said: Said,
    /// Texts of entries that were told, for a book that looks through them.
    pub found: Said,
    macros: &'m Macros<'m>,
    /// What regular expressions may take, from the first that ran.
    time: Duration,
    until: Option<Instant>,
}

impl<'m> Looked<'m> {
    pub fn new(said: Said, macros: &'m Macros<'m>, time: Duration) -> Self {
        Self { said, found: Said::default(), macros, time, until: None }
    }

    pub fn has(&mut self, key: &Key, depth: u32) -> bool {
        match &key.kind {
            Kind::Words { finder, alone } => {
                let length = finder.needle().len();
                [self.said.last(depth, key.case_sensitive), self.found.all(key.case_sensitive)]
                    .into_iter()
                    .any(|text| finder.find_iter(text.as_bytes()).any(|at| !alone || stands_alone(text, at, length)))
            }
            Kind::Regex(compiled) => {
                let until = *self.until.get_or_insert_with(|| Instant::now() + self.time);
                if Instant::now() >= until {
                    return false;
                }
                let Some(regex) = compiled.get_or_init(|| compile(&key.said, key.case_sensitive)) else { return false };
                [self.said.last(depth, true), self.found.all(true)].into_iter().any(|text| {
                    let from = text.ceil_char_boundary(text.len().saturating_sub(SCANNED_BY_REGEX));
                    Instant::now() < until && regex.is_match(&text[from..])
                })
            }
            Kind::WithMacros(reading) => self.has_with_macros(&key.said, *reading, depth),
            Kind::Never => false,
        }
    }

    fn has_with_macros(&mut self, key: &str, reading: Reading, depth: u32) -> bool {
        let is_regex = reading.bare_is_regex || slashed(key).is_some();
        // A name in a regular expression is that name.
        let plain = |name: &str| if is_regex { regex::escape(name) } else { name.to_owned() };
        let (character, user) = (plain(self.macros.character), plain(self.macros.user));
        let persona = plain(self.macros.persona);
        let macros = Macros { character: &character, user: &user, persona: &persona, ..*self.macros };
        let told = macros.expand(key);
        let kind = if is_regex { Kind::Regex(OnceLock::new()) } else { words(&told, reading) };
        let is_empty = told.trim().is_empty();
        !is_empty && self.has(&Key { said: told.into(), kind, case_sensitive: reading.case_sensitive }, depth)
    }
}
