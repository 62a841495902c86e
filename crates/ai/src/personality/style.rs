//! How somebody speaks, as figures: how long the sentences are, how lively the punctuation, how plain the words. Two
//! styles are as alike as their figures.

use super::{Token, tokens};
use crate::prompt;
use aim_domain::Character;
use std::collections::HashSet;

/// Most of a character's texts that is looked at, in bytes: more makes the figures no better.
const SAMPLE: usize = 4_000;

/// Fewer words than this show no style.
const WORDS_LEAST: usize = 12;

/// A reply in which this share of the longer words is also the character's keeps to its vocabulary fully.
const SHARED_WORDS: f64 = 0.3;

/// What a figure weighs, a part and its whole, and how far apart two must be to have nothing in common.
type Figure = (f64, fn(&Style) -> (usize, usize), f64);

#[derive(Debug, Default)]
pub(super) struct Style {
    words: usize,
    letters: usize,
    sentences: usize,
    exclamations: usize,
    questions: usize,
    actions: usize,
    contractions: usize,
    emoji: usize,
    /// The longer words in lower case, by which vocabularies are compared.
    vocabulary: HashSet<String>,
}

impl Style {
    /// How a character speaks by its example dialogue and greeting; none when there is too little to tell.
    pub(super) fn of_character(character: &Character) -> Option<Self> {
        let examples = &character.example_dialogue;
        let sample = &examples[..examples.floor_char_boundary(SAMPLE)];
        let mut own = Self::default();
        own.read(&character.greeting[..character.greeting.floor_char_boundary(SAMPLE)]);
        for line in prompt::lines_of_character(sample, &character.name) {
            own.read(line);
        }
        if own.words < WORDS_LEAST {
            return None;
        }
        // What it is said to be is not how it speaks, but it is what it speaks of.
        for text in [&character.personality, &character.description] {
            own.read_vocabulary(&text[..text.floor_char_boundary(SAMPLE)]);
        }
        Some(own)
    }

    pub(super) fn of_text(text: &str) -> Self {
        let mut style = Self::default();
        style.read(text);
        style
    }

    fn read(&mut self, text: &str) {
        let mut stars = 0;
        let mut open = false;
        for token in tokens(text) {
            match token {
                Token::Word(word) => {
                    self.words += 1;
                    self.letters += word.chars().count();
                    self.contractions += usize::from(word.contains(['\'', '’']));
                    open = true;
                    self.learn(word);
                    continue;
                }
                Token::Exclamation => self.exclamations += 1,
                Token::Question => self.questions += 1,
                Token::Star => stars += 1,
                Token::Other(c) => self.emoji += usize::from(u32::from(c) >= 0x1_F000),
                Token::Stop => {}
            }
            if matches!(token, Token::Exclamation | Token::Question | Token::Stop) {
                self.sentences += usize::from(open);
                open = false;
            }
        }
        self.sentences += usize::from(open);
        self.actions += stars / 2;
    }

    fn read_vocabulary(&mut self, text: &str) {
        for token in tokens(text) {
            if let Token::Word(word) = token {
                self.learn(word);
            }
        }
    }

    fn learn(&mut self, word: &str) {
        if word.len() > 4 {
            self.vocabulary.insert(word.to_lowercase());
        }
    }

    /// How alike the reply's style is to this one, 0 to 1.
    pub(super) fn likeness(&self, reply: &Self) -> f64 {
        if reply.words == 0 {
            return 0.0;
        }
        let per = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
        let figures: [Figure; 7] = [
            (2.0, |style| (style.words, style.sentences), 12.0),
            (1.5, |style| (style.letters, style.words), 1.5),
            (1.5, |style| (style.exclamations, style.sentences), 0.5),
            (0.5, |style| (style.questions, style.sentences), 0.6),
            (1.5, |style| (style.actions, style.sentences), 0.4),
            (1.0, |style| (style.contractions, style.words), 0.12),
            (1.0, |style| (style.emoji, style.sentences), 0.3),
        ];
        let (mut like, mut weight) = (0.0, 0.0);
        for (counts, figure, apart) in figures {
            let ((a, a_of), (b, b_of)) = (figure(self), figure(reply));
            like += counts * (1.0 - (per(a, a_of) - per(b, b_of)).abs() / apart).max(0.0);
            weight += counts;
        }
        if !reply.vocabulary.is_empty() {
            let shared = reply.vocabulary.iter().filter(|word| self.vocabulary.contains(*word)).count();
            like += 2.0 * (per(shared, reply.vocabulary.len()) / SHARED_WORDS).min(1.0);
            weight += 2.0;
        }
        like / weight
    }
}
