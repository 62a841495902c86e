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

/// What a regular expression may look through, the last of it; its size as a program, what it remembers of its runs, and how
/// deep it may be nested.
const SCANNED_BY_REGEX: usize = 16 << 10;
const REGEX_SIZE: usize = 128 << 10;
const REGEX_MEMORY: usize = 64 << 10;
const REGEX_NESTING: u32 = 50;
/// Regular expressions of a book, at the most. Others are never found.
const MOST_PATTERNS: usize = 300;
/// Bytes of a compiled one, at the most and about.
pub(super) const MOST_OF_A_PATTERN: usize = REGEX_SIZE + REGEX_MEMORY;
/// Bytes that a text of its own takes besides.
const ALLOCATED: usize = 16;

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

/// Small, since a book may have some hundred thousand of them.
pub(super) struct Key {
    kind: Kind,
    case_sensitive: bool,
}

enum Kind {
    /// In small letters, unless case counts; `alone`: not within a word.
    Words {
        needle: Box<str>,
        alone: bool,
    },
    Regex(Box<Pattern>),
    /// What it is, is known in each reply anew.
    WithMacros(Box<str>, Reading),
    /// One regular expression too many.
    Never,
}

/// A regular expression, compiled when it is first looked for.
struct Pattern {
    said: Box<str>,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    fn of(said: &str) -> Box<Self> {
        Box::new(Self { said: said.into(), compiled: OnceLock::new() })
    }
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
        let key = key.trim();
        if key.is_empty() {
            return None;
        }
        let is_regex = reading.bare_is_regex || slashed(key).is_some();
        let kind = if has_macros(key) {
            Kind::WithMacros(key.into(), reading)
        } else if !is_regex {
            words(key, reading)
        } else if patterns.has_room() {
            Kind::Regex(Pattern::of(key))
        } else {
            Kind::Never
        };
        Some(Self { kind, case_sensitive: reading.case_sensitive })
    }

    /// Bytes, about; without a compiled regular expression.
    pub fn size(&self) -> usize {
        let own = match &self.kind {
            Kind::Words { needle: text, .. } | Kind::WithMacros(text, _) => text.len(),
            Kind::Regex(pattern) => size_of::<Pattern>() + pattern.said.len(),
            Kind::Never => 0,
        };
        size_of::<Self>() + ALLOCATED + own
    }

    pub fn is_unusable(&self) -> bool {
        match &self.kind {
            Kind::Regex(pattern) => {
                pattern.compiled.get_or_init(|| compile(&pattern.said, self.case_sensitive)).is_none()
            }
            Kind::Never => true,
            Kind::Words { .. } | Kind::WithMacros(..) => false,
        }
    }
}

fn words(key: &str, reading: Reading) -> Kind {
    let needle = if reading.case_sensitive { key.to_owned() } else { key.to_lowercase() };
    // Several words stand where they stand.
    let alone = reading.whole_words && !key.contains(char::is_whitespace);
    Kind::Words { needle: needle.into(), alone }
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
        .dfa_size_limit(REGEX_MEMORY)
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

/// What looking through a book may take in a reply, and what compiling its regular expressions may besides.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub looking: Duration,
    pub compiling: Duration,
}

/// What of the texts a key is looked for in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    All,
    /// What the last round found: in the rest it is not.
    New,
}

/// What is looked through in one reply.
pub(super) struct Looked<'m> {
    said: Said,
    /// Texts of entries that were told, for a book that looks through them; those of the last round are its last message.
    pub found: Said,
    /// So many of the last messages are not looked at: as if they were not said yet.
    pub later: u32,
    /// Whether a key was passed over, because there was no more time for it.
    pub passed_over: bool,
    macros: &'m Macros<'m>,
    until: Instant,
    /// What is left for compiling.
    compiling: Duration,
}

impl<'m> Looked<'m> {
    pub fn new(said: Said, macros: &'m Macros<'m>, bounds: Bounds) -> Self {
        let until = Instant::now() + bounds.looking;
        let (found, compiling) = (Said::default(), bounds.compiling);
        Self { said, found, later: 0, passed_over: false, macros, until, compiling }
    }

    pub fn has(&mut self, key: &Key, depth: u32, scope: Scope) -> bool {
        if self.is_over() {
            return false;
        }
        match &key.kind {
            Kind::Words { needle, alone } => {
                let finder = Finder::new(needle.as_bytes());
                self.texts(depth, key.case_sensitive, scope).into_iter().any(|text| {
                    finder.find_iter(text.as_bytes()).any(|at| !alone || stands_alone(text, at, needle.len()))
                })
            }
            Kind::Regex(pattern) => {
                let Some(regex) = self.compiled(pattern, key.case_sensitive) else { return false };
                let texts = self.texts(depth, true, scope).map(|text| {
                    let from = text.ceil_char_boundary(text.len().saturating_sub(SCANNED_BY_REGEX));
                    &text[from..]
                });
                regex.is_match(texts[0]) || (Instant::now() < self.until && regex.is_match(texts[1]))
            }
            Kind::WithMacros(said, reading) => self.has_with_macros(said, *reading, depth, scope),
            Kind::Never => false,
        }
    }

    /// Whether the time for all looks is over.
    pub fn is_over(&mut self) -> bool {
        let is_over = Instant::now() >= self.until;
        self.passed_over |= is_over;
        is_over
    }

    fn texts(&self, depth: u32, as_it_is: bool, scope: Scope) -> [&str; 2] {
        match scope {
            Scope::All => [self.said.before(self.later, depth, as_it_is), self.found.all(as_it_is)],
            Scope::New => ["", self.found.last(1, as_it_is)],
        }
    }

    /// None for one that cannot be used, or not yet: what is left is compiled in the next replies.
    fn compiled<'p>(&mut self, pattern: &'p Pattern, case_sensitive: bool) -> Option<&'p Regex> {
        if pattern.compiled.get().is_none() {
            if self.compiling.is_zero() {
                self.passed_over = true;
                return None;
            }
            let began = Instant::now();
            pattern.compiled.get_or_init(|| compile(&pattern.said, case_sensitive));
            let spent = began.elapsed();
            self.compiling = self.compiling.saturating_sub(spent);
            self.until += spent;
        }
        pattern.compiled.get()?.as_ref()
    }

    fn has_with_macros(&mut self, key: &str, reading: Reading, depth: u32, scope: Scope) -> bool {
        let is_regex = reading.bare_is_regex || slashed(key).is_some();
        // A name in a regular expression is that name.
        let plain = |name: &str| if is_regex { regex::escape(name) } else { name.to_owned() };
        let (character, user) = (plain(self.macros.character), plain(self.macros.user));
        let persona = plain(self.macros.persona);
        let macros = Macros { character: &character, user: &user, persona: &persona, ..*self.macros };
        let told = macros.expand(key);
        let told = told.trim();
        let kind = if is_regex { Kind::Regex(Pattern::of(told)) } else { words(told, reading) };
        !told.is_empty() && self.has(&Key { kind, case_sensitive: reading.case_sensitive }, depth, scope)
    }
}
