//! Cleans a reply while it streams, so that the deltas add up to the cleaned reply whatever way it was cut into
//! pieces. Removed are role prefixes, remarks out of character, a model's thoughts and its protests of being a model;
//! the reply ends where the model begins to speak for the user, or for somebody else in the conversation; macros become names.
//!
//! Every decision looks at the text from one place on and is yes, no, or not known yet, and never changes once known.
//! Only what is not known yet is held back: at most about the length of a name, and the white space at the end.

mod rules;

use rules::{Match, Rule, is_closer, is_ender, is_opener, names, opening, prefix, remark, starts, template};
use std::sync::LazyLock;

/// Bytes at which a plain run of text ends: they begin something, end a sentence or a line, or lead a character (`…`,
/// `”`) that may.
static SPECIAL: LazyLock<[bool; 256]> = LazyLock::new(|| {
    let mut special = [false; 256];
    for byte in *b"<{([\n.!?\xE2\xE3\xEF" {
        special[usize::from(byte)] = true;
    }
    special
});

/// What begins a sentence in which the model speaks of itself as one, in lower case.
const PROTESTS: [&str; 16] = [
    "as an ai language model",
    "as an ai model",
    "as an ai assistant",
    "as an artificial intelligence language model",
    "as a language model",
    "as a large language model",
    "i am an ai language model",
    "i am an ai model",
    "i am a language model",
    "i am a large language model",
    "i'm an ai language model",
    "i'm an ai model",
    "i'm a language model",
    "i'm a large language model",
    "i’m an ai language model",
    "i'm just an ai language model",
];

/// What ends a reply, beside the tokens of chat templates, which are known by their bars.
const CUTS: [&str; 6] = ["</s>", "<end_of_turn>", "<start_of_turn>", "[inst]", "[/inst]", "<<sys>>"];

/// The same at the start of a line only.
const LINE_CUTS: [&str; 4] = ["### instruction:", "### user:", "### human:", "### input:"];

const THOUGHT: (&str, &str) = ("<think>", "</think>");

#[derive(Debug, Default)]
enum State {
    #[default]
    Text,
    /// Dropping until a line ends.
    Line,
    /// Dropping until this bracket closes, or a line ends.
    Remark { open: char, close: char, depth: u32 },
    /// Dropping until a sentence or line ends.
    Sentence { ended: bool },
    /// Dropping until `</think>`.
    Thought,
    /// The rest is not the character's.
    Over,
}

/// Cleans one reply; see the module.
#[derive(Debug)]
pub struct Cleaner {
    character: String,
    user: String,
    /// Whose `Name:` at the start of a line is taken away, and whose ends the reply; in lower case.
    own_names: Vec<String>,
    user_names: Vec<String>,
    state: State,
    /// Text that no decision was made of yet.
    held: String,
    /// White space that is given out before the next text, and dropped at the end.
    gap: String,
    /// The gap before something that was taken away: of the two around it, one remains.
    gap_before: Option<String>,
    /// Whether any text was given out.
    begun: bool,
    line_start: bool,
    sentence_start: bool,
    /// The last character, but for closing ones, ends a sentence.
    sentence_ended: bool,
}

impl Cleaner {
    /// For a reply of `character` to `user`, by the names that they go by in the conversation.
    pub fn new(character: &str, user: &str) -> Self {
        let own = ["character", "assistant", "{{char}}", "<bot>"];
        let theirs = ["user", "human", "{{user}}", "<user>"];
        Self {
            own_names: names(character, own),
            user_names: names(user, theirs),
            character: character.to_owned(),
            user: user.to_owned(),
            state: State::Text,
            held: String::new(),
            gap: String::new(),
            gap_before: None,
            begun: false,
            line_start: true,
            sentence_start: true,
            sentence_ended: false,
        }
    }

    /// In a conversation with these people too: nor does the model speak for them.
    pub fn among<'n>(mut self, others: impl IntoIterator<Item = &'n str>) -> Self {
        for other in others {
            for name in names(other, []) {
                if !self.user_names.contains(&name) {
                    self.user_names.push(name);
                }
            }
        }
        self
    }

    /// Takes some more of the reply, and gives what of it is certain now; often all, sometimes nothing.
    pub fn push(&mut self, piece: &str) -> String {
        let mut out = String::with_capacity(self.gap.len() + self.held.len() + piece.len());
        if self.held.is_empty() {
            let used = self.run(piece, false, &mut out);
            self.held.push_str(&piece[used..]);
        } else {
            let mut text = std::mem::take(&mut self.held);
            text.push_str(piece);
            let used = self.run(&text, false, &mut out);
            text.drain(..used);
            self.held = text;
        }
        out
    }

    /// The last delta: what was held back and turned out to be text.
    pub fn finish(&mut self) -> String {
        let mut out = String::new();
        let text = std::mem::take(&mut self.held);
        self.run(&text, true, &mut out);
        self.state = State::Over;
        out
    }

    /// Whether the reply is over although the model may go on: it speaks for the user. The model can be stopped.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Works through `text` as far as it can be decided, and says how many bytes that is.
    fn run(&mut self, text: &str, end: bool, out: &mut String) -> usize {
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            let may_wait = matches!(self.state, State::Text | State::Thought);
            let used = match self.state {
                State::Text => self.text(rest, end, out),
                State::Over => rest.len(),
                State::Line => self.drop_line(rest),
                State::Remark { .. } => self.drop_remark(rest),
                State::Sentence { .. } => self.drop_sentence(rest),
                State::Thought => self.drop_thought(rest, end),
            };
            if used == 0 && may_wait {
                return at;
            }
            at += used;
        }
        at
    }

    /// One step through text: its bytes, or 0 when more must come first.
    fn text(&mut self, text: &str, end: bool, out: &mut String) -> usize {
        let Some(first) = text.chars().next() else { return 0 };
        if first.is_whitespace() {
            self.space(first);
            return first.len_utf8();
        }
        let rule = self.rule(text, first);
        match rule {
            Rule::More | Rule::MoreOrDrop(_) if !end => 0,
            Rule::Plain | Rule::More => self.plain(text, first, out),
            Rule::Drop(bytes) | Rule::MoreOrDrop(bytes) => {
                self.taken_away();
                bytes
            }
            Rule::Skip(bytes, state) => {
                self.taken_away();
                self.state = state;
                bytes
            }
            Rule::Name(bytes, of_user) => {
                let name = std::mem::take(if of_user { &mut self.user } else { &mut self.character });
                self.give(&name, out);
                *(if of_user { &mut self.user } else { &mut self.character }) = name;
                self.marks(false, false, false);
                bytes
            }
            Rule::Cut => {
                self.state = State::Over;
                text.len()
            }
        }
    }

    /// What applies at `text`, which starts with `first`, no white space.
    fn rule(&self, text: &str, first: char) -> Rule {
        if self.line_start {
            let rule = self.line_rule(text);
            if !matches!(rule, Rule::Plain) {
                return rule;
            }
        }
        match first {
            '<' | '[' | '{' | '(' => self.bracket_rule(text, first),
            'a' | 'A' | 'i' | 'I' if self.sentence_start => {
                let found = PROTESTS.iter().fold(Match::No, |found, protest| found.or(|| starts(text, protest)));
                Rule::of(found, |bytes| Rule::Skip(bytes, State::Sentence { ended: false }))
            }
            _ => Rule::Plain,
        }
    }

    fn line_rule(&self, text: &str) -> Rule {
        let any = |names: &[String]| names.iter().fold(Match::No, |found, name| found.or(|| prefix(text, name)));
        match any(&self.own_names) {
            Match::More => return Rule::More,
            Match::Yes(bytes) => return Rule::Drop(bytes),
            Match::No => {}
        }
        match any(&self.user_names) {
            Match::More => return Rule::More,
            Match::Yes(_) if self.begun => return Rule::Cut,
            // A model that repeats the question first has not answered yet.
            Match::Yes(bytes) => return Rule::Skip(bytes, State::Line),
            Match::No => {}
        }
        match LINE_CUTS.iter().fold(Match::No, |found, cut| found.or(|| starts(text, cut))) {
            Match::More => return Rule::More,
            Match::Yes(_) => return Rule::Cut,
            Match::No => {}
        }
        Rule::of(starts(text, "ooc:"), |bytes| Rule::Skip(bytes, State::Line))
    }

    fn bracket_rule(&self, text: &str, first: char) -> Rule {
        let cut =
            || match template(text).or(|| CUTS.iter().fold(Match::No, |found, cut| found.or(|| starts(text, cut)))) {
                // A reply that starts with its own template's tokens has not begun.
                Match::Yes(bytes) if !self.begun => opening(text, bytes),
                found => Rule::of(found, |_| Rule::Cut),
            };
        let thought = || match starts(text, THOUGHT.0) {
            found if !self.begun => Rule::of(found, |bytes| Rule::Skip(bytes, State::Thought)),
            _ => Rule::Plain,
        };
        match first {
            '{' => Rule::of(starts(text, "{{user}}"), |bytes| Rule::Name(bytes, true))
                .or(|| Rule::of(starts(text, "{{char}}"), |bytes| Rule::Name(bytes, false))),
            '<' => Rule::of(starts(text, "<user>"), |bytes| Rule::Name(bytes, true))
                .or(|| Rule::of(starts(text, "<bot>"), |bytes| Rule::Name(bytes, false)))
                .or(thought)
                .or(cut),
            '[' => remark(text, '[', ']').or(cut),
            _ => remark(text, '(', ')'),
        }
    }

    /// Gives out a run of plain text, and says how long it is.
    fn plain(&mut self, text: &str, first: char, out: &mut String) -> usize {
        let special = &*SPECIAL;
        let one = first.len_utf8();
        // Each of these matters for what may follow, so it goes alone.
        if is_ender(first) || (self.sentence_ended && is_closer(first)) || (self.sentence_start && is_opener(first)) {
            self.give(&text[..one], out);
            let opens = self.sentence_start && is_opener(first) && !is_ender(first);
            self.marks(false, opens, is_ender(first) || (self.sentence_ended && is_closer(first)));
            return one;
        }
        let bytes = text.as_bytes();
        let run = bytes[one..].iter().position(|&byte| special[usize::from(byte)]).map_or(bytes.len(), |n| one + n);
        let solid = text[..run].trim_end();
        self.give(solid, out);
        self.gap.push_str(&text[solid.len()..run]);
        self.marks(false, false, false);
        run
    }

    fn give(&mut self, text: &str, out: &mut String) {
        if let Some(before) = self.gap_before.take() {
            let lines = |gap: &str| gap.bytes().filter(|&b| b == b'\n').count();
            if !before.is_empty() && lines(&before) >= lines(&self.gap) {
                self.gap = before;
            }
        }
        if self.begun {
            out.push_str(&self.gap);
        }
        self.gap.clear();
        out.push_str(text);
        self.begun |= !text.is_empty();
    }

    fn marks(&mut self, line_start: bool, sentence_start: bool, sentence_ended: bool) {
        (self.line_start, self.sentence_start, self.sentence_ended) = (line_start, sentence_start, sentence_ended);
    }

    /// White space waits for text after it. More than one empty line in a row is one.
    fn space(&mut self, space: char) {
        if space == '\n' {
            self.line_start = true;
            self.sentence_start = true;
            if self.gap.contains('\n') {
                self.gap.truncate(self.gap.trim_end_matches([' ', '\t', '\r']).len());
            }
            if self.gap.ends_with("\n\n") {
                return;
            }
        } else if self.sentence_ended {
            self.sentence_start = true;
        }
        self.sentence_ended = false;
        self.gap.push(space);
    }

    /// Something before the current place was dropped: the white space on both its sides becomes one.
    fn taken_away(&mut self) {
        let gap = std::mem::take(&mut self.gap);
        match &mut self.gap_before {
            Some(before) if before.matches('\n').count() >= gap.matches('\n').count() && !before.is_empty() => {}
            before => *before = Some(gap),
        }
    }

    fn drop_line(&mut self, text: &str) -> usize {
        text.find('\n').map_or(text.len(), |at| {
            self.state = State::Text;
            at
        })
    }

    fn drop_remark(&mut self, text: &str) -> usize {
        let State::Remark { open, close, depth } = &mut self.state else { return 0 };
        for (at, c) in text.char_indices() {
            if c == *open {
                *depth += 1;
            } else if c == *close {
                *depth -= 1;
            }
            if *depth == 0 || c == '\n' {
                self.state = State::Text;
                return if c == '\n' { at } else { at + c.len_utf8() };
            }
        }
        text.len()
    }

    fn drop_sentence(&mut self, text: &str) -> usize {
        let State::Sentence { ended } = &mut self.state else { return 0 };
        for (at, c) in text.char_indices() {
            if c == '\n' || (*ended && c.is_whitespace()) {
                self.state = State::Text;
                self.sentence_start = true;
                return at;
            }
            *ended = is_ender(c) || (*ended && is_closer(c));
        }
        text.len()
    }

    fn drop_thought(&mut self, text: &str, end: bool) -> usize {
        if let Some(at) = text.find(THOUGHT.1) {
            self.state = State::Text;
            return at + THOUGHT.1.len();
        }
        if end {
            return text.len();
        }
        // What might be the start of its end stays.
        let kept = (1..THOUGHT.1.len()).rev().find(|&n| text.ends_with(&THOUGHT.1[..n])).unwrap_or(0);
        text.len() - kept
    }
}

#[cfg(test)]
mod tests;
