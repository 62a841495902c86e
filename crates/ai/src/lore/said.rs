//! What a lore book is looked for in: the last messages, and the texts that were found.

use crate::prompt::HistoryTurn;

/// Bytes that are looked through: of what was said, the last; of what was found, the first.
const SCANNED: usize = 64 << 10;

/// A text as it is and in small letters.
#[derive(Default)]
pub(super) struct Said {
    text: String,
    lower: String,
    /// Where the last message begins in both, the last two, and so on.
    starts: Vec<(usize, usize)>,
}

impl Said {
    /// The last messages of `history`, so many of them at the most.
    pub fn of(history: &[HistoryTurn], most: usize) -> Self {
        let mut last = history.len();
        let mut length = 0;
        while last > 0 && history.len() - last < most && length < SCANNED {
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

    /// What does not fit any more is passed over.
    pub fn add(&mut self, text: &str) {
        if !text.is_empty() && self.text.len() + text.len() < SCANNED {
            self.push(text);
        }
    }

    /// What is added from now on is the last message.
    pub fn begin(&mut self) {
        self.starts.clear();
        self.starts.push((self.text.len(), self.lower.len()));
    }

    pub fn len(&self) -> usize {
        self.text.len()
    }

    pub fn all(&self, as_it_is: bool) -> &str {
        if as_it_is { &self.text } else { &self.lower }
    }

    /// The last messages, `depth` of them at the most.
    pub fn last(&self, depth: u32, as_it_is: bool) -> &str {
        self.before(0, depth, as_it_is)
    }

    /// What were the last messages when `later` of them were not said yet.
    pub fn before(&self, later: u32, depth: u32, as_it_is: bool) -> &str {
        let text = self.all(as_it_is);
        let start = |messages: usize| {
            let (whole, lower) = *self.starts.get(messages.checked_sub(1)?)?;
            Some(if as_it_is { whole } else { lower })
        };
        let (later, messages) = (later as usize, self.starts.len().min(later.saturating_add(depth) as usize));
        let end = start(later).unwrap_or(text.len());
        match start(messages) {
            Some(begin) if messages > later => &text[begin..end],
            _ => "",
        }
    }
}
