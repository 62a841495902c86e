//! What a worker tells of a reply, put together to the pieces of one stream.
//!
//! Each run of a job has a text of its own, which grows by deltas or is told whole. As long as it and what was passed on
//! begin the same, only what is new goes on; where they part, the reply begins anew. So a run that repeats what the one before
//! it said goes on without a seam, what is told twice is heard once, and what was lost on the way is made good by what a
//! worker returns, which is the truth.

use aim_ai::TokenCount;
use serde_json::Value;

/// What is to be passed on of something that was told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct More {
    /// What was passed on before counts for nothing.
    pub anew: bool,
    pub text: String,
}

#[derive(Default)]
pub(super) struct Telling {
    /// What was passed on.
    said: String,
    /// What the present run has told.
    run: String,
}

/// What a run returned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Returned {
    pub text: String,
    pub tokens: Option<TokenCount>,
    pub model: Option<String>,
}

impl Telling {
    /// A run begins.
    pub fn begin(&mut self) {
        self.run.clear();
    }

    pub fn length(&self) -> usize {
        self.said.len().max(self.run.len())
    }

    /// Of `{delta, offset?}` and of `{text}`; anything else is a sign of life.
    pub fn progress(&mut self, told: &Value) -> More {
        let text = |name: &str| told.get(name).and_then(Value::as_str);
        if let Some(whole) = text("text") {
            whole.clone_into(&mut self.run);
        } else if let Some(delta) = text("delta") {
            let offset = told.get("offset").and_then(Value::as_u64);
            let Some(end) = offset.map_or(Some(self.run.len()), |offset| byte_of(&self.run, offset)) else {
                // Something before it was lost; what is told whole makes it good.
                return More::default();
            };
            self.run.truncate(end);
            self.run.push_str(delta);
        }
        self.go_on()
    }

    /// The run has ended with this text.
    pub fn end(&mut self, text: &str) -> More {
        text.clone_into(&mut self.run);
        if self.said.len() > text.len() {
            return self.anew();
        }
        self.go_on()
    }

    fn go_on(&mut self) -> More {
        if let Some(rest) = self.run.strip_prefix(self.said.as_str()) {
            let more = More { anew: false, text: rest.to_owned() };
            self.said.push_str(&more.text);
            return more;
        }
        // It still catches up with the run before it.
        if self.said.starts_with(self.run.as_str()) { More::default() } else { self.anew() }
    }

    fn anew(&mut self) -> More {
        self.said.clone_from(&self.run);
        More { anew: true, text: self.run.clone() }
    }
}

/// Where so many UTF-16 code units end; None beyond the text, and within a character.
fn byte_of(text: &str, units: u64) -> Option<usize> {
    let mut left = units;
    for (at, letter) in text.char_indices() {
        if left == 0 {
            return Some(at);
        }
        left = left.checked_sub(letter.len_utf16() as u64)?;
    }
    (left == 0).then_some(text.len())
}

/// A text, or `{text, usage?: {prompt, completion}, model?}`; None for anything else.
pub(super) fn returned(value: &Value) -> Option<Returned> {
    if let Some(text) = value.as_str() {
        return Some(Returned { text: text.to_owned(), ..Default::default() });
    }
    let text = value.get("text")?.as_str()?.to_owned();
    let count = |name: &str| value.get("usage")?.get(name)?.as_u64();
    let tokens = count("prompt").zip(count("completion"));
    let tokens = tokens.map(|(prompt, completion)| TokenCount { prompt, completion });
    Some(Returned { text, tokens, model: model_of(value) })
}

/// The model's name as reports may show it: `PROVIDER/MODEL`.
pub(super) fn model_of(value: &Value) -> Option<String> {
    const LONGEST: usize = 100;
    let name = value.get("model")?.as_str()?;
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "._:/@-".contains(letter);
    if name.is_empty() || name.len() > LONGEST || !name.chars().all(is_plain) {
        return None;
    }
    Some(if name.contains('/') { name.to_owned() } else { format!("worker/{name}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn more(text: &str) -> More {
        More { anew: false, text: text.into() }
    }

    fn anew(text: &str) -> More {
        More { anew: true, text: text.into() }
    }

    fn delta(text: &str, offset: u64) -> Value {
        json!({ "delta": text, "offset": offset })
    }

    #[test]
    fn deltas_add_up_and_what_is_told_twice_is_heard_once() {
        let mut telling = Telling::default();
        assert_eq!(telling.progress(&delta("Ahoy 🌊", 0)), more("Ahoy 🌊"));
        assert_eq!(telling.progress(&delta("Ahoy 🌊", 0)), more(""));
        assert_eq!(telling.progress(&delta(" there", 7)), more(" there"), "a wave is two code units");
        assert_eq!(telling.progress(&json!({ "delta": "!" })), more("!"));
        assert_eq!(telling.progress(&json!({ "text": "Ahoy 🌊 there! All" })), more(" All"));
        assert_eq!(telling.progress(&json!({ "text": "Ahoy" })), more(""), "an older word");
        assert_eq!(telling.progress(&json!(42)), more(""));
        assert_eq!(telling.end("Ahoy 🌊 there! All is well."), more(" is well."));
    }

    #[test]
    fn what_was_lost_is_made_good_by_the_end() {
        let mut telling = Telling::default();
        assert_eq!(telling.progress(&delta("The tide ", 0)), more("The tide "));
        assert_eq!(telling.progress(&delta("slowly ", 15)), more(""), "there is a gap before it");
        assert_eq!(telling.progress(&json!({ "delta": "x", "offset": 1_000_000 })), more(""));
        assert_eq!(telling.end("The tide turns slowly."), more("turns slowly."));
    }

    #[test]
    fn a_run_that_says_the_same_goes_on_without_a_seam() {
        let mut telling = Telling::default();
        telling.progress(&delta("The tide turns", 0));
        telling.begin();
        assert_eq!(telling.progress(&delta("The ", 0)), more(""));
        assert_eq!(telling.progress(&delta("tide turns slowly", 4)), more(" slowly"));
    }

    #[test]
    fn a_run_that_says_something_else_begins_the_reply_anew() {
        let mut telling = Telling::default();
        telling.progress(&delta("The tide turns", 0));
        telling.begin();
        assert_eq!(telling.progress(&delta("The ", 0)), more(""));
        assert_eq!(telling.progress(&delta("wind", 4)), anew("The wind"));
        assert_eq!(telling.progress(&delta(" rises", 8)), more(" rises"));
        assert_eq!(telling.end("Nothing."), anew("Nothing."));
        assert_eq!(telling.end("Noth"), anew("Noth"), "what is returned is the truth");
    }

    #[test]
    fn an_offset_within_a_character_is_none() {
        let mut telling = Telling::default();
        telling.progress(&json!({ "delta": "🌊" }));
        assert_eq!(telling.progress(&delta("x", 1)), more(""));
        assert_eq!(telling.progress(&delta("x", 2)), more("x"));
    }

    #[test]
    fn a_return_value_is_a_text_or_says_more() {
        assert_eq!(returned(&json!("Ahoy")).map(|said| said.text), Some("Ahoy".into()));
        let said = returned(&json!({ "text": "Ahoy", "usage": { "prompt": 3, "completion": 1 }, "model": "gpt-4o" }));
        let tokens = Some(TokenCount { prompt: 3, completion: 1 });
        assert_eq!(said, Some(Returned { text: "Ahoy".into(), tokens, model: Some("worker/gpt-4o".into()) }));
        assert_eq!(returned(&json!({ "outcome": "done" })), None);
        assert_eq!(returned(&Value::Null), None);
    }

    #[test]
    fn a_models_name_is_plain_or_none() {
        let named = |name: &str| model_of(&json!({ "model": name }));
        assert_eq!(named("openai/gpt-4o"), Some("openai/gpt-4o".into()));
        assert_eq!(named("llama3:8b"), Some("worker/llama3:8b".into()));
        assert_eq!(named("a b"), None);
        assert_eq!(named(&"x".repeat(101)), None);
    }
}
