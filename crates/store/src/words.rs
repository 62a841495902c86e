//! Texts as words to search by: without case and accents, one form for what is stored and for what is looked for.
//!
//! Latin, Greek and Cyrillic letters lose their accents. Chinese and Japanese, which put no spaces between words, are searched
//! by single characters. PostgreSQL does the same by a function of its schema (`aim_words`).

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Characters of a word that count; the rest of a longer one is passed over.
const LONGEST_WORD: usize = 64;
/// Words of a question that count.
const MOST_WORDS: usize = 8;
/// Of a text, this many bytes at most are searched.
const SEARCHED: usize = 100_000;

/// A word of a text, and where it stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    pub folded: String,
    /// In bytes.
    pub from: usize,
    pub to: usize,
}

fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{2ffff}')
}

/// Of its accents, which stand after a letter that was taken apart; and what asks for a letter's look as a picture.
fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{fe00}'..='\u{fe0f}')
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c)
}

/// The words of a text in its order.
pub fn words(text: &str) -> Words<'_> {
    let mut end = text.len().min(SEARCHED);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Words { text: &text[..end], at: 0 }
}

pub struct Words<'t> {
    text: &'t str,
    at: usize,
}

impl Iterator for Words<'_> {
    type Item = Word;

    fn next(&mut self) -> Option<Word> {
        let rest = &self.text[self.at..];
        let from = self.at + rest.find(|c: char| c.is_alphanumeric())?;
        let mut word = Word { folded: String::new(), from, to: self.text.len() };
        let mut length = 0;
        for (at, c) in self.text[from..].char_indices() {
            // An ideograph is a word of its own, with the marks that follow it.
            let alone = is_ideograph(c) || word.folded.chars().next().is_some_and(is_ideograph);
            if !is_of_word(c) || (at > 0 && alone && !is_combining_mark(c)) {
                word.to = from + at;
                break;
            }
            if c.is_ascii() {
                word.folded.push(c.to_ascii_lowercase());
                length += 1;
            } else {
                for part in c.to_lowercase().nfd().filter(|c| !is_accent(*c)) {
                    word.folded.push(part);
                    length += 1;
                }
            }
            if length > LONGEST_WORD {
                word.folded = word.folded.chars().take(LONGEST_WORD).collect();
            }
        }
        self.at = word.to;
        Some(word)
    }
}

/// A text's words with a space between them, as it is indexed.
pub fn folded(text: &str) -> String {
    let mut all = String::with_capacity(text.len().min(SEARCHED));
    for word in words(text) {
        if !all.is_empty() {
            all.push(' ');
        }
        all.push_str(&word.folded);
    }
    all
}

/// What somebody looks for: all of these words, the last one as it is typed so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sought {
    pub words: Vec<String>,
    /// The last word may go on.
    pub open: bool,
}

impl Sought {
    /// None when there is nothing to look for.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim_start();
        let words: Vec<String> = words(text).map(|word| word.folded).take(MOST_WORDS).collect();
        // A single letter begins too many words.
        let open = text.ends_with(is_of_word) && words.last().is_some_and(|word| word.chars().nth(1).is_some());
        (!words.is_empty()).then_some(Self { words, open })
    }

    /// Whether a word of a text is one that is looked for; true where it is the whole word.
    pub fn hit(&self, word: &str) -> Option<bool> {
        if self.words.iter().any(|sought| sought == word) {
            return Some(true);
        }
        let begins = self.open && self.words.last().is_some_and(|last| word.starts_with(last.as_str()));
        begins.then_some(false)
    }

    /// Whether a text holds all that is looked for.
    pub fn fits(&self, text: &str) -> bool {
        let mut missing: Vec<usize> = (0..self.words.len()).collect();
        for word in words(text) {
            missing.retain(|n| !self.is(*n, &word.folded));
            if missing.is_empty() {
                return true;
            }
        }
        missing.is_empty()
    }

    fn is(&self, n: usize, word: &str) -> bool {
        let is_open = self.open && n + 1 == self.words.len();
        self.words.get(n).is_some_and(|sought| sought == word || (is_open && word.starts_with(sought.as_str())))
    }

    /// How well a text fits: whole words count more than beginnings, words in the order in which they were asked for more than
    /// those that are strewn.
    pub fn score(&self, text: &str) -> u32 {
        let (mut score, mut best, mut run) = (0_u32, 0_usize, 0_usize);
        let mut whole = vec![false; self.words.len()];
        for word in words(text) {
            let fits = |n: usize| self.is(n, &word.folded);
            run = if fits(run) { run + 1 } else { usize::from(fits(0)) };
            best = best.max(run);
            for (sought, whole) in self.words.iter().zip(&mut whole) {
                *whole |= *sought == word.folded;
            }
        }
        score += whole.iter().filter(|whole| **whole).count() as u32;
        score + 2 * best as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lose_case_and_accents_and_keep_their_places() {
        assert_eq!(folded("Él vió l'Été — naïve  CAFÉ_noir 2nd"), "el vio l ete naive cafe noir 2nd");
        assert_eq!(folded("Ёлка и Άλφα"), "елка и αλφα");
        assert_eq!(folded("海の家 x"), "海 の 家 x");
        assert_eq!(folded("fire🔥 I❤️you 🏴\u{e0067}\u{e007f}x 👍🏽ok 1\u{fe0f}"), "fire i you x ok 1");
        let text = "Ho, CAFE\u{301}!";
        let found: Vec<_> = words(text).map(|word| &text[word.from..word.to]).collect();
        assert_eq!(found, ["Ho", "CAFE\u{301}"]);
        assert_eq!(words(&"x".repeat(500)).next().unwrap().folded.len(), LONGEST_WORD);
        assert_eq!(folded("  …—!  "), "");
    }

    #[test]
    fn the_last_word_goes_on_while_it_is_typed() {
        let typed = |text: &str| Sought::parse(text);
        let sought = typed("the lig").unwrap();
        assert_eq!(
            (sought.hit("the"), sought.hit("lighthouse"), sought.hit("light-")),
            (Some(true), Some(false), Some(false))
        );
        assert_eq!((sought.hit("then"), sought.hit("alight")), (None, None));
        assert!(!typed("the lig ").unwrap().open && !typed("a").unwrap().open && typed("海の").is_some());
        assert_eq!((typed(""), typed(" ?! ")), (None, None));
        assert!(sought.fits("Lighten the load") && !sought.fits("then the alight"));
        assert!(sought.score("the lighthouse") > sought.score("lighthouse of the sea"));
        assert!(typed("sea").unwrap().score("the sea") > typed("sea").unwrap().score("the seagull"));
    }
}
