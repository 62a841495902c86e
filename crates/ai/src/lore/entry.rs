//! An entry of a lore book as it is obeyed: what the card's specification says of it, what its decorators change (lines at
//! its start that begin with `@@`; those that are unknown are passed over), and what SillyTavern says in its `extensions`.

use super::keys::{Key, Looked, Patterns, Reading, Scope};
use crate::Role;
use aim_domain::{LoreEntry, LorePosition, Random};
use serde_json::{Map, Value};

/// How deep among the messages an entry stands that does not say, and at the most.
const DEPTH: u32 = 4;
const MAX_DEPTH: u32 = 100;
/// Messages that an entry is told on, at the most: no more are looked through.
const MAX_STICKY: u32 = 100;
/// The weight of an entry in its group, unless it says.
const WEIGHT: u32 = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    BeforeCharacter,
    AfterCharacter,
    /// So many messages come after it, and it is told as if by this one.
    AmongMessages(u32, Role),
}

/// What the secondary keys of a selective entry must be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Logic {
    AndAny,
    NotAll,
    NotAny,
    AndAll,
}

/// What is known of an entry's keys in a reply.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Keys {
    #[default]
    NotSought,
    /// In none of what there was in the last round.
    Missed,
    Found,
}

pub(super) struct Entry {
    /// Without its decorators.
    pub content: String,
    pub order: i64,
    pub priority: i64,
    pub place: Place,
    /// Told whatever is found.
    pub always: bool,
    pub is_of_sillytavern: bool,
    pub ignores_budget: bool,
    /// Not found in the texts of others, and its own text calls for none.
    pub never_by_others: bool,
    pub calls_no_others: bool,
    /// Found only once others were, and those with higher numbers later.
    pub waits: Option<u32>,
    /// Preferred in its groups, which are parted by commas; else drawn by weight.
    pub comes_first: bool,
    pub weight: u32,
    groups: String,
    keys: Vec<Key>,
    /// Empty where the entry is not selective.
    secondary: Vec<Key>,
    logic: Logic,
    no_keys: Vec<Key>,
    scan_depth: Option<u32>,
    only_after: u64,
    only_every: u64,
    /// Messages that there must be.
    delay: u64,
    /// So many messages after it was found it is told still.
    pub sticky: u32,
    /// In percent.
    chance: u64,
}

/// What other programs say of an entry.
struct Extensions<'e>(Option<&'e Map<String, Value>>);

impl Extensions<'_> {
    fn value(&self, name: &str) -> Option<&Value> {
        self.0?.get(name)
    }

    fn flag(&self, name: &str) -> Option<bool> {
        self.value(name)?.as_bool()
    }

    /// Not below zero. Some editors write numbers with a point.
    fn number(&self, name: &str) -> Option<u64> {
        let value = self.value(name)?;
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a cast ends at the ends of the type"
        )]
        value.as_u64().or_else(|| value.as_f64().map(|float| float as u64))
    }

    fn small(&self, name: &str) -> Option<u32> {
        self.number(name).map(|number| u32::try_from(number).unwrap_or(u32::MAX))
    }

    /// SillyTavern writes one of them at least into every entry, and neither others nor the editor here do.
    fn are_of_sillytavern(&self) -> bool {
        self.value("display_index").is_some_and(Value::is_number) || self.flag("vectorized").is_some()
    }
}

impl Entry {
    /// None for one that is switched off, has nothing to tell, or waits to be called by a name that no prompt of ours has (an outlet).
    pub fn of(of: &LoreEntry, patterns: &mut Patterns) -> Option<Self> {
        let says = Extensions(of.extra.get("extensions").and_then(Value::as_object));
        let is_of_sillytavern = says.are_of_sillytavern();
        let reading = Reading {
            bare_is_regex: of.use_regex && !is_of_sillytavern,
            case_sensitive: says.flag("case_sensitive").unwrap_or(of.case_sensitive),
            whole_words: says.flag("match_whole_words").unwrap_or(false),
        };
        let decorated = Decorated::of(&of.content);
        let place = place(of, &says, &decorated)?;
        if !of.enabled || decorated.never || decorated.content.trim().is_empty() {
            return None;
        }
        let plain = Reading { bare_is_regex: false, ..reading };
        let secondary: &[String] = if of.selective { &of.secondary_keys } else { &[] };
        let mut list = |keys: &[&str], reading| -> Vec<Key> {
            keys.iter().filter_map(|key| Key::of(key, reading, patterns)).collect()
        };
        let mut keys = list(&refs(&of.keys), reading);
        keys.extend(list(&decorated.more_keys, plain));
        Some(Self {
            content: decorated.content.to_owned(),
            order: of.insertion_order,
            priority: of.priority.unwrap_or_default(),
            place,
            always: of.constant || decorated.always,
            is_of_sillytavern,
            ignores_budget: says.flag("ignore_budget").unwrap_or(false),
            never_by_others: says.flag("exclude_recursion").unwrap_or(false),
            calls_no_others: says.flag("prevent_recursion").unwrap_or(false),
            waits: match says.value("delay_until_recursion") {
                Some(Value::Bool(true)) => Some(1),
                Some(Value::Number(_)) => says.small("delay_until_recursion").filter(|level| *level > 0),
                _ => None,
            },
            comes_first: says.flag("group_override").unwrap_or(false),
            weight: says.small("group_weight").unwrap_or(WEIGHT),
            groups: says.value("group").and_then(Value::as_str).unwrap_or_default().to_owned(),
            keys,
            secondary: list(&refs(secondary), reading),
            logic: match says.number("selectiveLogic") {
                Some(1) => Logic::NotAll,
                Some(2) => Logic::NotAny,
                Some(3) => Logic::AndAll,
                _ => Logic::AndAny,
            },
            no_keys: list(&decorated.no_keys, plain),
            scan_depth: decorated.scan_depth.or_else(|| says.small("scan_depth")),
            only_after: decorated.only_after,
            only_every: decorated.only_every,
            delay: says.number("delay").unwrap_or_default(),
            sticky: says.small("sticky").unwrap_or_default().min(MAX_STICKY),
            chance: match says.flag("useProbability") {
                Some(false) => 100,
                _ => says.number("probability").unwrap_or(100).min(100),
            },
        })
    }

    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.groups.split(',').map(str::trim).filter(|group| !group.is_empty())
    }

    /// Whether it may be told after so many replies and messages.
    pub fn may_be_told(&self, replies: u64, messages: u64) -> bool {
        replies >= self.only_after && replies.is_multiple_of(self.only_every) && messages >= self.delay
    }

    /// Whether it was found when one of the messages was answered that came before: `earlier` says how many came after each
    /// of these, the fewest first.
    pub fn was_found(&self, depth: u32, earlier: &[u32], look: &mut Looked<'_>) -> bool {
        for later in earlier.iter().take_while(|later| **later <= self.sticky) {
            if look.is_over() {
                break;
            }
            look.later = *later;
            let found = self.is_found(depth, look, &mut Keys::default());
            look.later = 0;
            if found {
                return true;
            }
        }
        false
    }

    /// `known` is what the round before found out; from the first that looks for this entry, every round must.
    pub fn is_found(&self, depth: u32, look: &mut Looked<'_>, known: &mut Keys) -> bool {
        if self.always {
            return true;
        }
        let depth = self.scan_depth.unwrap_or(depth);
        if *known != Keys::Found {
            let scope = if *known == Keys::Missed { Scope::New } else { Scope::All };
            let has_one = self.keys.iter().any(|key| look.has(key, depth, scope));
            *known = if has_one { Keys::Found } else { Keys::Missed };
        }
        if *known == Keys::Missed {
            return false;
        }
        look.passed_over = false;
        let mut has = |key: &Key| look.has(key, depth, Scope::All);
        let others = self.secondary.is_empty()
            || match self.logic {
                Logic::AndAny => self.secondary.iter().any(&mut has),
                Logic::NotAll => !self.secondary.iter().all(&mut has),
                Logic::NotAny => !self.secondary.iter().any(&mut has),
                Logic::AndAll => self.secondary.iter().all(&mut has),
            };
        let is_excluded = self.no_keys.iter().any(&mut has);
        // What was passed over may be there.
        others && !is_excluded && !look.passed_over
    }

    /// Draws, where it is told now and then only.
    pub fn happens(&self, random: &dyn Random) -> bool {
        if self.chance >= 100 {
            return true;
        }
        let mut bytes = [0; 4];
        random.fill(&mut bytes);
        u64::from(u32::from_le_bytes(bytes)) * 100 < self.chance << 32
    }

    pub fn all_keys(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter().chain(&self.secondary).chain(&self.no_keys)
    }

    /// Bytes, about.
    pub fn size(&self) -> usize {
        size_of::<Self>() + self.content.len() + self.groups.len() + self.all_keys().map(Key::size).sum::<usize>()
    }
}

fn refs(keys: &[String]) -> Vec<&str> {
    keys.iter().map(String::as_str).collect()
}

/// None for an outlet. What stands around an author's note in SillyTavern stands where that note does; what stands around
/// the examples, before them.
fn place(of: &LoreEntry, says: &Extensions<'_>, decorated: &Decorated<'_>) -> Option<Place> {
    let of_card = match of.position {
        LorePosition::BeforeChar => Place::BeforeCharacter,
        LorePosition::AfterChar => Place::AfterCharacter,
    };
    if let Some(depth) = decorated.depth {
        return Some(Place::AmongMessages(depth.min(MAX_DEPTH), decorated.role));
    }
    if decorated.place.is_some() {
        return decorated.place;
    }
    let role = match says.number("role") {
        Some(1) => Role::User,
        Some(2) => Role::Character,
        _ => Role::System,
    };
    match says.number("position") {
        Some(2 | 3) => Some(Place::AmongMessages(DEPTH, Role::System)),
        Some(4) => Some(Place::AmongMessages(says.small("depth").unwrap_or(DEPTH).min(MAX_DEPTH), role)),
        Some(7) => None,
        _ => Some(of_card),
    }
}

/// What an entry's text says of itself.
struct Decorated<'c> {
    content: &'c str,
    always: bool,
    never: bool,
    scan_depth: Option<u32>,
    depth: Option<u32>,
    /// Of one with a depth.
    role: Role,
    place: Option<Place>,
    only_after: u64,
    only_every: u64,
    more_keys: Vec<&'c str>,
    no_keys: Vec<&'c str>,
}

impl<'c> Decorated<'c> {
    fn of(content: &'c str) -> Self {
        let mut said = Self {
            content,
            always: false,
            never: false,
            scan_depth: None,
            depth: None,
            role: Role::System,
            place: None,
            only_after: 0,
            only_every: 1,
            more_keys: Vec::new(),
            no_keys: Vec::new(),
        };
        let mut obeyed = true;
        while let Some(line) = said.content.trim_start().strip_prefix("@@") {
            let (line, rest) = line.split_once('\n').unwrap_or((line, ""));
            said.content = rest;
            let (name, value) = line.trim().split_once(char::is_whitespace).unwrap_or((line.trim(), ""));
            obeyed = match name.strip_prefix('@') {
                // Stands in for the one before, where that is unknown.
                Some(instead) if !obeyed => said.obey(instead, value.trim()),
                Some(_) => true,
                None => said.obey(name, value.trim()),
            };
        }
        said
    }

    /// Whether it is one that is known here.
    fn obey(&mut self, name: &str, value: &'c str) -> bool {
        let list = || value.split(',').map(str::trim).filter(|key| !key.is_empty());
        match name.to_ascii_lowercase().as_str() {
            "activate" => self.always = true,
            "dont_activate" => self.never = true,
            "scan_depth" => self.scan_depth = value.parse().ok(),
            "depth" => self.depth = value.parse().ok(),
            "role" => {
                self.role = match value.to_ascii_lowercase().as_str() {
                    "user" => Role::User,
                    "assistant" => Role::Character,
                    _ => Role::System,
                }
            }
            "position" => {
                let is_before = value.eq_ignore_ascii_case("before_desc");
                self.place = Some(if is_before { Place::BeforeCharacter } else { Place::AfterCharacter });
            }
            "activate_only_after" => self.only_after = value.parse().unwrap_or_default(),
            "activate_only_every" => self.only_every = value.parse().unwrap_or(1).max(1),
            "additional_keys" => self.more_keys.extend(list()),
            "exclude_keys" => self.no_keys.extend(list()),
            _ => return false,
        }
        true
    }
}
