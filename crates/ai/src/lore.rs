//! A character's lore book in one reply: which entries the talk has come to, and what of them fits.
//!
//! The last messages are looked through for keys, and who the user is. An entry that is found is told, and, where the book asks for it, looked
//! through itself. What is found takes its budget by priority and stands in the prompt by its order. A [`Book`] is made
//! ready once for each revision of its character ([`Books`]): keys are folded then, and a regular expression is compiled when it is
//! first looked for. The regular expressions of people run in linear time (`regex`), and are bounded in size and number; all keys
//! together are bounded in time, and so is compiling.
//!
//! What SillyTavern writes into an entry's `extensions` is obeyed (`entry`). An entry that is sticky is told on for so many messages after it was found, which
//! the messages themselves tell: nothing is kept of what was told. Of its World Info these are not obeyed: `cooldown`, outlets, scoring within groups, kinds of generation, and names before messages.

mod entry;
mod keys;
mod said;

use crate::Role;
use crate::macros::Macros;
use crate::prompt::HistoryTurn;
use crate::tokens::{TokenBudget, estimate};
use aim_domain::{Author, Character, CharacterId, Lorebook};
use entry::{Entry, Keys, Place};
use keys::{Bounds, Looked, Patterns};
use moka::sync::Cache;
use said::Said;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Messages that are looked through unless the book says, and at the most.
const SCAN_DEPTH: u32 = 4;
const MAX_SCAN_DEPTH: u32 = 100;
/// What a book may take in a reply. Keys that are left are then not found.
const BOUNDS: Bounds = Bounds { looking: Duration::from_millis(150), compiling: Duration::from_millis(100) };
/// What looking for regular expressions that cannot be used may take.
const CHECK_TIME: Duration = Duration::from_secs(2);
/// How often what was found is looked through.
const ROUNDS: usize = 10;
/// What of a prompt the book may take, in percent.
const SHARE: u64 = 25;

/// What a reply is told of the book.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lore {
    pub before_character: String,
    pub after_character: String,
    /// Texts that stand among the messages, those with the fewest messages after them first; of several at one place the last of
    /// these stands first.
    pub among_messages: Vec<Among>,
}

/// A text that stands among the messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Among {
    /// How many messages come after it.
    pub depth: u32,
    /// By whom it is told.
    pub role: Role,
    pub text: String,
}

/// What was said so far.
#[derive(Clone, Copy)]
pub struct Talk<'h> {
    /// The last of it, oldest first.
    pub history: &'h [HistoryTurn],
    /// How many messages there are in all.
    pub messages: u64,
}

/// A lore book, ready to be looked through.
pub struct Book {
    entries: Vec<Entry>,
    scan_depth: u32,
    token_budget: Option<u32>,
    is_recursive: bool,
    /// When entries that wait for others may be found: the numbers they give, the lowest first.
    levels: Vec<u32>,
    patterns: usize,
}

/// At one place the system's come first, the character's last.
fn rank(role: Role) -> u8 {
    match role {
        Role::System => 0,
        Role::User => 1,
        Role::Character => 2,
    }
}

/// What became of an entry in a reply.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    /// In this round.
    Told(usize),
    /// By chance, or because another of its group was told.
    LeftOut,
}

impl Book {
    pub fn of(book: &Lorebook) -> Self {
        let mut patterns = Patterns::default();
        let entries: Vec<Entry> = book.entries.iter().filter_map(|said| Entry::of(said, &mut patterns)).collect();
        let mut levels: Vec<u32> = entries.iter().filter_map(|entry| entry.waits).collect();
        levels.sort_unstable();
        levels.dedup();
        Self {
            entries,
            scan_depth: book.scan_depth.unwrap_or(SCAN_DEPTH).min(MAX_SCAN_DEPTH),
            token_budget: book.token_budget.filter(|own| *own > 0),
            is_recursive: book.recursive_scanning,
            levels,
            patterns: patterns.count(),
        }
    }

    /// Looks through the last of what was said and answers what to tell. Blocks for a third of a second at the worst.
    pub fn look_up(&self, talk: Talk<'_>, macros: &Macros<'_>, budget: &TokenBudget) -> Lore {
        let Talk { history, messages } = talk;
        if self.entries.is_empty() {
            return Lore::default();
        }
        let replies = history.iter().filter(|turn| turn.author == Author::Character).count() as u64;
        let mut look = Looked::new(Said::of(history, MAX_SCAN_DEPTH as usize), macros, BOUNDS);
        // Who the user is goes without saying.
        look.found.add(macros.persona);
        let mut states = vec![State::Waiting; self.entries.len()];
        let mut known = vec![Keys::default(); self.entries.len()];
        let mut open = 0;
        for round in 0..=ROUNDS {
            let mut news = Vec::new();
            for (n, entry) in self.entries.iter().enumerate() {
                let is_its_time = match entry.waits {
                    None => round == 0 || !entry.never_by_others,
                    Some(level) => self.levels[..open].contains(&level),
                };
                if states[n] == State::Waiting
                    && is_its_time
                    && entry.may_be_told(replies, messages)
                    && entry.is_found(self.scan_depth, &mut look, &mut known[n])
                {
                    news.push(n);
                }
            }
            if round == 0 {
                // After all that is found now, so that what was found before takes no time from it.
                self.found_before(history, &mut look, |n, entry| {
                    states[n] == State::Waiting && entry.may_be_told(replies, messages) && !news.contains(&n)
                })
                .into_iter()
                .for_each(|n| news.push(n));
            }
            self.choose_of_groups(&mut news, &mut states, macros);
            // The one of a group that chance leaves out has kept the others out all the same.
            news.retain(|n| {
                let happens = self.entries[*n].happens(macros.random);
                states[*n] = if happens { State::Told(round) } else { State::LeftOut };
                happens
            });
            if !self.is_recursive {
                break;
            }
            let looks_on = news.iter().map(|n| &self.entries[*n]).filter(|entry| !entry.calls_no_others);
            let before = look.found.len();
            look.found.begin();
            looks_on.for_each(|entry| look.found.add(&entry.content));
            if open == 0 {
                open = self.levels.len().min(1);
            } else if look.found.len() == before {
                // Nothing new to look through: those that wait longer have their turn.
                open += 1;
            }
            if open > self.levels.len() || (self.levels.is_empty() && look.found.len() == before) {
                break;
            }
        }
        let told = self.entries.iter().zip(states).filter_map(|(entry, state)| match state {
            State::Told(round) => Some((entry, round)),
            State::Waiting | State::LeftOut => None,
        });
        self.tell(told.collect(), macros, budget)
    }

    /// Those that were found when one of the messages before was answered, and are told on since.
    fn found_before(
        &self,
        history: &[HistoryTurn],
        look: &mut Looked<'_>,
        is_open: impl Fn(usize, &Entry) -> bool,
    ) -> Vec<usize> {
        let sticky = |entry: &Entry| entry.sticky > 0 && entry.waits.is_none();
        if !self.entries.iter().any(sticky) {
            return Vec::new();
        }
        let said = history.iter().rev().zip(0_u32..).skip(1);
        let earlier: Vec<u32> = said.filter(|(turn, _)| turn.author == Author::User).map(|(_, later)| later).collect();
        let entries = self.entries.iter().enumerate();
        let mut found: Vec<usize> = Vec::new();
        for (n, entry) in entries.filter(|(n, entry)| sticky(entry) && is_open(*n, entry)) {
            if look.is_over() {
                break;
            }
            if entry.was_found(self.scan_depth, &earlier, look) {
                found.push(n);
            }
        }
        found
    }

    /// Of entries of one group a single one is told in a reply: one that must come first, the highest of these, or one by weight.
    fn choose_of_groups(&self, news: &mut Vec<usize>, states: &mut [State], macros: &Macros<'_>) {
        let mut groups: Vec<&str> = news.iter().flat_map(|n| self.entries[*n].groups()).collect();
        groups.sort_unstable();
        groups.dedup();
        for group in groups {
            let is_of = |n: usize| self.entries[n].groups().any(|one| one == group);
            let members: Vec<usize> = news.iter().copied().filter(|n| is_of(*n)).collect();
            let has_one = states.iter().enumerate().any(|(n, state)| matches!(state, State::Told(_)) && is_of(n));
            let chosen = if has_one { None } else { self.one_of(&members, macros) };
            for n in members.into_iter().filter(|n| Some(*n) != chosen) {
                states[n] = State::LeftOut;
            }
            news.retain(|n| states[*n] != State::LeftOut);
        }
    }

    fn one_of(&self, members: &[usize], macros: &Macros<'_>) -> Option<usize> {
        let first = members.iter().copied().filter(|n| self.entries[*n].comes_first);
        if let Some(first) = first.max_by_key(|n| self.entries[*n].order) {
            return Some(first);
        }
        let weight = |n: &usize| u64::from(self.entries[*n].weight);
        let all: u64 = members.iter().map(weight).sum();
        if members.len() < 2 || all == 0 {
            return members.first().copied();
        }
        let mut drawn = macros.below(all);
        members.iter().copied().find(|n| {
            let (own, is_past) = (weight(n), drawn < weight(n));
            drawn = drawn.saturating_sub(own);
            is_past
        })
    }

    /// By priority within the budget, then by order.
    fn tell(&self, mut told: Vec<(&Entry, usize)>, macros: &Macros<'_>, budget: &TokenBudget) -> Lore {
        let mut left_of_prompt = budget.prompt() * SHARE / 100;
        let mut left = self.token_budget.map_or(left_of_prompt, |own| left_of_prompt.min(own.into()));
        // A stable sort: of equals, the one that stands first in the book.
        told.sort_by_key(|(entry, round)| {
            let spec = (false, 0, entry.order);
            // SillyTavern has no priority: what is always told comes first, then what was said itself, then the higher order.
            let theirs = (!entry.always, *round, entry.order.saturating_neg());
            (Reverse(entry.priority), if entry.is_of_sillytavern { theirs } else { spec })
        });
        let mut kept: Vec<(&Entry, String)> = Vec::new();
        for (entry, _) in told {
            let text = macros.expand(&entry.content).trim().to_owned();
            let cost = estimate(&text) + 1;
            let fits = cost <= left_of_prompt && (cost <= left || entry.ignores_budget);
            if !text.is_empty() && fits {
                left_of_prompt -= cost;
                left = left.saturating_sub(if entry.ignores_budget { 0 } else { cost }).min(left_of_prompt);
                kept.push((entry, text));
            }
        }
        kept.sort_by_key(|(entry, _)| entry.order);
        let mut lore = Lore::default();
        let mut among: BTreeMap<(u32, Reverse<u8>), Among> = BTreeMap::new();
        for (entry, text) in kept {
            let place = match entry.place {
                Place::BeforeCharacter => &mut lore.before_character,
                Place::AfterCharacter => &mut lore.after_character,
                Place::AmongMessages(depth, role) => {
                    let at = (depth, Reverse(rank(role)));
                    &mut among.entry(at).or_insert_with(|| Among { depth, role, text: String::new() }).text
                }
            };
            if !place.is_empty() {
                place.push('\n');
            }
            place.push_str(&text);
        }
        lore.among_messages = among.into_values().collect();
        lore
    }

    /// How many of its regular expressions cannot be used: they are too large or too many, or look around themselves. Blocks for
    /// some seconds at the worst, and then counts no further.
    pub fn unusable_keys(&self) -> usize {
        let until = Instant::now() + CHECK_TIME;
        let keys = self.entries.iter().flat_map(Entry::all_keys);
        keys.take_while(|_| Instant::now() < until).filter(|key| key.is_unusable()).count()
    }

    /// Bytes, about, and more rather than less.
    fn weight(&self) -> u32 {
        let texts: usize = self.entries.iter().map(Entry::size).sum();
        u32::try_from(texts + self.patterns * keys::MOST_OF_A_PATTERN).unwrap_or(u32::MAX)
    }
}

/// Books that were looked through lately, each as its character's revision has it. One that is too large is made ready for each reply.
pub struct Books(Cache<CharacterId, (i64, Arc<Book>)>);

/// Bytes of all books that are kept, and how long one is kept that nobody talks of.
const BOOKS: u64 = 192 << 20;
const KEPT: Duration = Duration::from_mins(10);

impl Default for Books {
    fn default() -> Self {
        let cache = Cache::builder().max_capacity(BOOKS).time_to_idle(KEPT);
        Self(cache.weigher(|_, (_, book): &(i64, Arc<Book>)| book.weight()).build())
    }
}

impl Books {
    /// None for a character without one. Making a large one ready takes some milliseconds.
    pub fn of(&self, character: &Character) -> Option<Arc<Book>> {
        let said = character.details.lorebook.as_ref()?;
        if let Some((revision, book)) = self.0.get(&character.id)
            && revision == character.revision
        {
            return Some(book);
        }
        let book = Arc::new(Book::of(said));
        self.0.insert(character.id.clone(), (character.revision, book.clone()));
        Some(book)
    }
}

#[cfg(test)]
mod tests;
