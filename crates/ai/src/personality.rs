//! What can be told of a finished reply without a model: its mood, the face that goes with it, and how far it keeps to
//! the character's own way of speaking. Pure and quick (some ten microseconds), and the result holds no text.
//!
//! The mood comes from a small English lexicon, emoji and punctuation; a reply in another language is told by its emoji,
//! or is neutral.

mod lexicon;
mod style;

use aim_domain::{Character, Personality};
use lexicon::{MOODS, Mood, emoji, lookup};
use sha2::{Digest, Sha256};
use style::Style;

/// A mood below this is none: about one plain word of feeling.
const FELT: f64 = 1.0;

/// What an `*action*` and an emphasised word count more than others.
const ACTION: f64 = 1.5;
const EMPHASIS: f64 = 1.5;

/// Words back from a word of feeling that may negate or emphasise it.
const REACH: usize = 3;

/// How far a reply that steps out of character can keep to it at the most.
const OUT_OF_CHARACTER: f64 = 0.3;

/// The mood, the expression and the adherence of one reply as the model gave it.
pub fn analyse(character: &Character, raw_reply: &str) -> Personality {
    let mood = mood(raw_reply);
    let adherence = match Style::of_character(character) {
        Some(own) => own.likeness(&Style::of_text(raw_reply)),
        None => 0.5,
    };
    let adherence = if steps_out(raw_reply) { adherence.min(OUT_OF_CHARACTER) } else { adherence };
    Personality {
        mood: mood.map_or("neutral", Mood::name).to_owned(),
        expression: mood.map_or("calm", Mood::expression).to_owned(),
        adherence: (adherence * 100.0).round() / 100.0,
    }
}

/// The key of a reply's analysis: SHA-256, in hex, of the character's revision and the raw reply.
pub fn reply_hash(revision: i64, raw_reply: &str) -> String {
    use std::fmt::Write;
    let digest = Sha256::new().chain_update(revision.to_be_bytes()).chain_update(raw_reply.as_bytes()).finalize();
    digest.iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Whether the model speaks of itself.
fn steps_out(reply: &str) -> bool {
    let lower = reply.to_ascii_lowercase();
    ["language model", "as an ai ", "as an ai,", "(ooc"].iter().any(|sign| lower.contains(sign))
}

/// The strongest mood of a text; none when nothing is felt.
fn mood(text: &str) -> Option<Mood> {
    let mut felt = [0.0; MOODS];
    let mut in_action = false;
    let mut exclaimed = 0.0_f64;
    let mut asked = 0.0_f64;
    // What the words just before do to the next: newest last.
    let mut before: [Effect; REACH] = [Effect::None; REACH];
    let mut lower = String::new();
    for token in tokens(text) {
        match token {
            Token::Word(word) => {
                lower.clear();
                lower.extend(word.chars().map(|c| if c == '’' { '\'' } else { c.to_ascii_lowercase() }));
                let effect = Effect::of(&lower);
                if let Some((mood, weight)) = lookup(&lower) {
                    let shouted = word.len() > 2 && word.chars().all(|c| c.is_uppercase());
                    let emphasised = shouted || before.contains(&Effect::Emphasis);
                    let weight =
                        weight * if emphasised { EMPHASIS } else { 1.0 } * if in_action { ACTION } else { 1.0 };
                    if !before.contains(&Effect::Negation) {
                        felt[mood as usize] += weight;
                    } else if matches!(mood, Mood::Joy | Mood::Affection) {
                        felt[Mood::Sadness as usize] += weight * 0.75;
                    }
                }
                before.rotate_left(1);
                before[REACH - 1] = effect;
            }
            Token::Star => in_action = !in_action,
            Token::Exclamation => {
                exclaimed += 1.0;
                before = [Effect::None; REACH];
            }
            Token::Question => {
                asked += 1.0;
                before = [Effect::None; REACH];
            }
            Token::Stop => before = [Effect::None; REACH],
            Token::Other(c) => {
                if let Some(mood) = emoji(c) {
                    felt[mood as usize] += EMPHASIS;
                }
            }
        }
    }
    // Punctuation strengthens what is there, and alone makes little.
    let loud = 1.0 + exclaimed.min(3.0) * 0.15;
    for mood in [Mood::Joy, Mood::Anger, Mood::Surprise, Mood::Fear] {
        felt[mood as usize] *= loud;
    }
    felt[Mood::Curiosity as usize] += asked.min(3.0) * 0.5;
    let (mood, most) = Mood::ALL
        .into_iter()
        .map(|mood| (mood, felt[mood as usize]))
        .fold((Mood::Joy, 0.0), |best, next| if next.1 > best.1 { next } else { best });
    (most >= FELT).then_some(mood)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    None,
    Emphasis,
    Negation,
}

impl Effect {
    fn of(word: &str) -> Self {
        match word {
            "not" | "no" | "never" | "without" | "hardly" | "nothing" | "neither" | "nor" | "cannot" => Self::Negation,
            word if word.ends_with("n't") => Self::Negation,
            "very" | "so" | "really" | "truly" | "absolutely" | "utterly" | "deeply" | "completely" | "such" => {
                Self::Emphasis
            }
            _ => Self::None,
        }
    }
}

/// What a text is made of, as far as mood and style care.
enum Token<'a> {
    Word(&'a str),
    Exclamation,
    Question,
    /// A full stop, comma, line end: what is before does not reach over it.
    Stop,
    Star,
    Other(char),
}

fn tokens(text: &str) -> impl Iterator<Item = Token<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let in_word = |c: char| c.is_alphanumeric() || c == '\'' || c == '’';
        rest = rest.trim_start_matches([' ', '\t']);
        let first = rest.chars().next()?;
        if first.is_alphanumeric() {
            let end = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
            let word = &rest[..end];
            rest = &rest[end..];
            return Some(Token::Word(word.trim_end_matches(['\'', '’'])));
        }
        rest = &rest[first.len_utf8()..];
        Some(match first {
            '!' => Token::Exclamation,
            '?' => Token::Question,
            '.' | ',' | ';' | ':' | '\n' | '…' | '—' => Token::Stop,
            '*' => Token::Star,
            other => Token::Other(other),
        })
    })
}

#[cfg(test)]
mod tests;
