//! The made-up people, characters and messages that are searched: the same in every run.

use std::collections::BTreeSet;

pub const PEOPLE: u64 = 1_000;
const CONVERSATIONS_EACH: u64 = 10;
/// Of the one who says much: conversations of a thousand messages.
const CONVERSATIONS_OF_ONE: u64 = 50;
const VOCABULARY: u64 = 20_000;
/// Different tags, some on many characters and most on few.
pub const TAGS: u64 = 400;
/// A tenth of all characters are the one's who says much, and as many private ones besides.
const ONE_OF: u64 = 10;
const SYLLABLES: [&str; 24] = [
    "ka", "lo", "mi", "ren", "sta", "ve", "tor", "in", "el", "sha", "qui", "dra", "bel", "on", "ith", "u", "fa", "gri",
    "pel", "no", "ze", "wy", "ch", "or",
];

/// Numbers that are the same in every run.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most.max(1)
    }

    /// Low ranks come most, as in any language.
    fn rank(&mut self, most: u64) -> u64 {
        let exponent = self.below(1_000_000) as f64 / 1_000_000.0;
        (most as f64).powf(exponent) as u64
    }

    pub fn word(&mut self) -> String {
        spelled(self.rank(VOCABULARY))
    }

    pub fn text(&mut self, words: u64) -> String {
        (0..words).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }

    pub fn tag(&mut self) -> String {
        format!("tag{}", self.rank(TAGS))
    }
}

fn spelled(rank: u64) -> String {
    let (mut rest, mut word) = (rank * 7 + 3, String::new());
    while rest > 0 {
        word.push_str(SYLLABLES[(rest % 24) as usize]);
        rest /= 24;
    }
    word
}

pub struct Message {
    pub conversation: i64,
    pub seq: i64,
    pub text: String,
}

/// A character of some 5 KB, as cards have them.
pub struct Sheet {
    pub id: String,
    pub visibility: &'static str,
    pub owner: String,
    pub conversations: i64,
    pub at: i64,
    pub name: String,
    pub tags: BTreeSet<String>,
    pub about: String,
    pub scenario: String,
    pub greeting: String,
    pub dialogue: String,
}

impl Sheet {
    pub fn tags(&self) -> String {
        format!("[\"{}\"]", self.tags.iter().cloned().collect::<Vec<_>>().join("\",\""))
    }

    /// As the store makes it.
    pub fn search(&self) -> String {
        let tags = self.tags.iter().cloned().collect::<Vec<_>>().join("\n");
        format!("{}\n{}\n{tags}", self.name, self.about)
    }
}

pub struct World {
    pub messages: u64,
    /// Public ones.
    pub characters: u64,
}

impl World {
    pub fn conversations(&self) -> u64 {
        PEOPLE * CONVERSATIONS_EACH + CONVERSATIONS_OF_ONE
    }

    pub fn owner(&self, conversation: u64) -> u64 {
        if conversation < PEOPLE * CONVERSATIONS_EACH { conversation / CONVERSATIONS_EACH } else { PEOPLE }
    }

    pub fn length(&self, conversation: u64) -> u64 {
        let of_one = CONVERSATIONS_OF_ONE * 1_000;
        let each = self.messages.saturating_sub(of_one) / (PEOPLE * CONVERSATIONS_EACH);
        if conversation < PEOPLE * CONVERSATIONS_EACH { each } else { self.messages.min(of_one) / CONVERSATIONS_OF_ONE }
    }

    pub fn messages(&self) -> impl Iterator<Item = Message> {
        let mut dice = Dice(7);
        (0..self.conversations()).flat_map(move |conversation| {
            (1..=self.length(conversation))
                .map(|seq| {
                    let words = 8 + dice.below(30);
                    Message { conversation: conversation as i64 + 1, seq: seq as i64, text: dice.text(words) }
                })
                .collect::<Vec<_>>()
        })
    }

    pub fn sheets(&self) -> impl Iterator<Item = Sheet> {
        let (mut dice, public) = (Dice(1), self.characters);
        (0..public + public / ONE_OF).map(move |n| {
            let tags = 3 + dice.below(4);
            let about = 40 + dice.below(300);
            let of_one = n >= public || n % ONE_OF == 0;
            Sheet {
                id: format!("character{n}"),
                visibility: if n < public { "public" } else { "private" },
                owner: format!("user{}", if of_one { PEOPLE } else { dice.below(PEOPLE) }),
                conversations: dice.below(1_000) as i64,
                at: n as i64,
                name: dice.text(2),
                tags: (0..tags).map(|_| dice.tag()).collect(),
                about: dice.text(about),
                scenario: dice.text(40),
                greeting: dice.text(120),
                dialogue: dice.text(150),
            }
        })
    }
}
