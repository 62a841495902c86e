//! A character's lore book in one reply: which entries the talk has come to, and what of them fits.
//!
//! The last messages are looked through for keys, and who the user is. An entry that is found is told, and, where the book asks for it, looked
//! through itself. What is found takes its budget by priority and stands in the prompt by its order. The regular
//! expressions of people run in linear time (`regex`), are bounded in size, and all of them together in time.

use crate::macros::Macros;
use crate::prompt::HistoryTurn;
use crate::tokens::{TokenBudget, estimate};
use aim_domain::{Author, LoreEntry, LorePosition, Lorebook};
use regex::{Regex, RegexBuilder};
use std::time::{Duration, Instant};

/// Messages that are looked through unless the book says, and at the most.
const SCAN_DEPTH: u32 = 4;
const MAX_SCAN_DEPTH: u32 = 100;
/// Bytes that are looked through: of what was said, the last; of what was found, the first.
const SCANNED: usize = 64 << 10;
/// What a regular expression may look through, the last of it; its size as a program; and how deep it may be nested.
const SCANNED_BY_REGEX: usize = 16 << 10;
const REGEX_SIZE: usize = 128 << 10;
const REGEX_NESTING: u32 = 50;
/// What all regular expressions of a book may take in a reply. Those that are left are then not found.
const REGEX_TIME: Duration = Duration::from_millis(100);
/// How often what was found is looked through.
const ROUNDS: usize = 10;
/// What of a prompt the book may take, in percent.
const SHARE: u64 = 25;

/// What a reply is told of the book.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lore {
    pub before_character: String,
    pub after_character: String,
}

/// Looks through the last of `history` (oldest first) and answers what to tell. Blocks for a fifth of a second at the worst.
pub fn look_up(book: &Lorebook, history: &[HistoryTurn], macros: &Macros<'_>, budget: &TokenBudget) -> Lore {
    let entries: Vec<Entry<'_>> = book.entries.iter().filter_map(Entry::of).collect();
    if entries.is_empty() {
        return Lore::default();
    }
    let replies = history.iter().filter(|turn| turn.author == Author::Character).count() as u64;
    let depth = book.scan_depth.unwrap_or(SCAN_DEPTH).min(MAX_SCAN_DEPTH);
    let mut look = Look { said: Said::of(history), found: Said::default(), regex_until: None };
    // Who the user is goes without saying.
    look.found.add(macros.persona);
    let mut told = vec![false; entries.len()];
    for round in 0..=ROUNDS {
        let mut news = Vec::new();
        for (n, entry) in entries.iter().enumerate() {
            if !told[n] && entry.may_be_told(replies) && entry.is_found(depth, &mut look) {
                news.push(n);
            }
        }
        news.iter().for_each(|n| told[*n] = true);
        if news.is_empty() || !book.recursive_scanning || round == ROUNDS {
            break;
        }
        news.iter().for_each(|n| look.found.add(entries[*n].content));
    }
    let chosen = entries.iter().zip(told).filter(|(_, told)| *told).map(|(entry, _)| entry);
    tell(chosen.collect(), book, macros, budget)
}

/// By priority within the budget, then by order.
fn tell(mut chosen: Vec<&Entry<'_>>, book: &Lorebook, macros: &Macros<'_>, budget: &TokenBudget) -> Lore {
    let share = budget.prompt() * SHARE / 100;
    let mut left = book.token_budget.filter(|own| *own > 0).map_or(share, |own| share.min(own.into()));
    // A stable sort: of equals, the one that stands first in the book.
    chosen.sort_by_key(|entry| (std::cmp::Reverse(entry.of.priority.unwrap_or_default()), entry.of.insertion_order));
    let mut kept: Vec<(&Entry<'_>, String)> = Vec::new();
    for entry in chosen {
        let text = macros.expand(entry.content).trim().to_owned();
        let cost = estimate(&text) + 1;
        if !text.is_empty() && cost <= left {
            left -= cost;
            kept.push((entry, text));
        }
    }
    kept.sort_by_key(|(entry, _)| entry.of.insertion_order);
    let at = |position| {
        let texts = kept.iter().filter(|(entry, _)| entry.of.position == position).map(|(_, text)| text.as_str());
        texts.collect::<Vec<_>>().join("\n")
    };
    Lore { before_character: at(LorePosition::BeforeChar), after_character: at(LorePosition::AfterChar) }
}

/// An entry as its decorators change it: lines at its start that begin with `@@`. Those that are unknown are passed over.
struct Entry<'b> {
    of: &'b LoreEntry,
    content: &'b str,
    always: bool,
    never: bool,
    scan_depth: Option<u32>,
    only_after: u64,
    only_every: u64,
    more_keys: Vec<&'b str>,
    no_keys: Vec<&'b str>,
}

impl<'b> Entry<'b> {
    /// None for one that is switched off or has nothing to tell.
    fn of(of: &'b LoreEntry) -> Option<Self> {
        let mut entry = Self {
            of,
            content: &of.content,
            always: of.constant,
            never: false,
            scan_depth: None,
            only_after: 0,
            only_every: 1,
            more_keys: Vec::new(),
            no_keys: Vec::new(),
        };
        while let Some(line) = entry.content.strip_prefix("@@") {
            let (line, rest) = line.split_once('\n').unwrap_or((line, ""));
            entry.content = rest;
            let (name, value) = line.trim().split_once(char::is_whitespace).unwrap_or((line.trim(), ""));
            let value = value.trim();
            let list = || value.split(',').map(str::trim).filter(|key| !key.is_empty());
            match name {
                "activate" => entry.always = true,
                "dont_activate" => entry.never = true,
                "scan_depth" => entry.scan_depth = value.parse().ok(),
                "activate_only_after" => entry.only_after = value.parse().unwrap_or_default(),
                "activate_only_every" => entry.only_every = value.parse().unwrap_or(1).max(1),
                "additional_keys" => entry.more_keys.extend(list()),
                "exclude_keys" => entry.no_keys.extend(list()),
                _ => {}
            }
        }
        (of.enabled && !entry.never && !entry.content.trim().is_empty()).then_some(entry)
    }

    fn may_be_told(&self, replies: u64) -> bool {
        replies >= self.only_after && replies.is_multiple_of(self.only_every)
    }

    fn is_found(&self, depth: u32, look: &mut Look) -> bool {
        if self.always {
            return true;
        }
        let depth = self.scan_depth.unwrap_or(depth);
        let LoreEntry { keys, secondary_keys, selective, use_regex, case_sensitive, .. } = self.of;
        let mut has = |key: &str, regex: bool| look.has(key, depth, regex, *case_sensitive);
        (keys.iter().any(|key| has(key, *use_regex)) || self.more_keys.iter().any(|key| has(key, false)))
            && (!selective || secondary_keys.is_empty() || secondary_keys.iter().any(|key| has(key, *use_regex)))
            && !self.no_keys.iter().any(|key| has(key, false))
    }
}

/// What is looked through, as it is and in small letters.
#[derive(Default)]
struct Said {
    text: String,
    lower: String,
    /// Where the last message begins in both, the last two, and so on.
    starts: Vec<(usize, usize)>,
}

impl Said {
    fn of(history: &[HistoryTurn]) -> Self {
        let mut last = history.len();
        let mut length = 0;
        while last > 0 && history.len() - last < MAX_SCAN_DEPTH as usize && length < SCANNED {
            last -= 1;
            length += history[last].text.len() + 1;
        }
        let mut said = Self::default();
        for turn in &history[last..] {
            said.starts.push((said.text.len(), said.lower.len()));
            let text = &turn.text[turn.text.ceil_char_boundary(turn.text.len().saturating_sub(SCANNED))..];
            said.push(text);
        }
        said.starts.reverse();
        said
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
        self.lower.push_str(&text.to_lowercase());
        self.lower.push('\n');
    }

    fn add(&mut self, text: &str) {
        if !text.is_empty() && self.text.len() + text.len() < SCANNED {
            self.push(text);
        }
    }

    fn last(&self, depth: u32, case_sensitive: bool) -> &str {
        let messages = self.starts.len().min(depth as usize);
        let Some((text, lower)) = messages.checked_sub(1).and_then(|last| self.starts.get(last)) else { return "" };
        if case_sensitive { &self.text[*text..] } else { &self.lower[*lower..] }
    }
}

struct Look {
    said: Said,
    /// Texts of entries that were told, for a book that looks through them.
    found: Said,
    /// Since the first regular expression ran.
    regex_until: Option<Instant>,
}

impl Look {
    fn has(&mut self, key: &str, depth: u32, regex: bool, case_sensitive: bool) -> bool {
        if key.is_empty() {
            return false;
        }
        if regex {
            let until = *self.regex_until.get_or_insert_with(|| Instant::now() + REGEX_TIME);
            if Instant::now() >= until {
                return false;
            }
            let Ok(regex) = compiled(key, case_sensitive) else { return false };
            return [self.said.last(depth, true), &self.found.text].into_iter().any(|text| {
                let from = text.ceil_char_boundary(text.len().saturating_sub(SCANNED_BY_REGEX));
                Instant::now() < until && regex.is_match(&text[from..])
            });
        }
        let folded = if case_sensitive { key.to_owned() } else { key.to_lowercase() };
        let found = if case_sensitive { &self.found.text } else { &self.found.lower };
        let finder = memchr::memmem::Finder::new(&folded);
        [self.said.last(depth, case_sensitive), found].into_iter().any(|text| finder.find(text.as_bytes()).is_some())
    }
}

/// `/pattern/flags`, as JavaScript writes it, or the bare pattern.
fn compiled(key: &str, case_sensitive: bool) -> Result<Regex, Box<regex::Error>> {
    let slashed = key.strip_prefix('/').and_then(|rest| rest.rsplit_once('/'));
    let slashed = slashed.filter(|(_, flags)| flags.chars().all(|flag| "dgimsuvy".contains(flag)));
    let (pattern, flags) = slashed.unwrap_or((key, if case_sensitive { "" } else { "i" }));
    RegexBuilder::new(pattern)
        .case_insensitive(flags.contains('i'))
        .multi_line(flags.contains('m'))
        .dot_matches_new_line(flags.contains('s'))
        .size_limit(REGEX_SIZE)
        .dfa_size_limit(REGEX_SIZE)
        .nest_limit(REGEX_NESTING)
        .build()
        .map_err(Box::new)
}

/// How many of a book's regular expressions cannot be used: they are too large, or look around themselves.
pub fn unusable_keys(book: &Lorebook) -> usize {
    let entries = book.entries.iter().filter(|entry| entry.use_regex);
    let keys = entries.flat_map(|entry| entry.keys.iter().chain(&entry.secondary_keys).map(move |key| (key, entry)));
    keys.filter(|(key, entry)| compiled(key, entry.case_sensitive).is_err()).count()
}

#[cfg(test)]
mod tests;
