//! Makes a reply, token by token. It goes out as it is made and still ends with a sentence: past three fifths of its
//! tokens the first end of a sentence ends it, so nothing that was seen has to be taken back.

use super::weights::Weights;
use crate::model::{ErrorKind, ModelError, Piece, Request, Role, StopReason, TokenCount, Turn};
use candle_core::{Device, Tensor};
use candle_transformers::generation::{LogitsProcessor, Sampling};
use candle_transformers::models::quantized_llama::ModelWeights;
use candle_transformers::utils::apply_repeat_penalty;
use minijinja::{Environment, context};
use std::collections::VecDeque;

/// Sampling that suits a model this small.
/// A model this small loses the thread when it is sampled any warmer; larger ones bear the default of 0.8.
const WARMEST: f64 = 0.4;
const TOP_K: usize = 40;
const TOP_P: f64 = 0.9;
const REPEAT_PENALTY: f32 = 1.1;
const REPEAT_WINDOW: usize = 64;

/// Tokens of a prompt that are read between two looks at whether anybody still wants the reply.
const PROMPT_STEP: usize = 64;

/// Prompts whose reading is remembered; each costs about 46 kB a token.
const REMEMBERED: usize = 4;

pub(super) struct Generator {
    weights: Weights,
    templates: Environment<'static>,
    window: usize,
    /// The newest last.
    remembered: VecDeque<Reading>,
}

/// What the model has read: tokens, and its state after them.
#[derive(Clone)]
struct Reading {
    tokens: Vec<u32>,
    model: ModelWeights,
}

fn failed(error: impl std::fmt::Display) -> ModelError {
    ModelError::new(ErrorKind::Interrupted, format!("the built-in model failed: {error}"))
}

impl Generator {
    pub(super) fn new(weights: Weights, window: usize) -> Self {
        let mut templates = Environment::new();
        templates.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        Self { weights, templates, window, remembered: VecDeque::new() }
    }

    /// Answers `request`; `give` hands a piece on and says whether it was taken, `unwanted` whether to stop.
    pub(super) fn answer(
        &mut self,
        request: &Request,
        seed: u64,
        mut give: impl FnMut(Piece) -> bool,
        unwanted: impl Fn() -> bool,
    ) -> Result<(), ModelError> {
        let most = request.max_tokens.max(1) as usize;
        let (prompt, system) = self.prompt(&request.messages, most)?;
        let Some((mut reading, mut logits)) = self.read(&prompt, system, &unwanted).map_err(failed)? else {
            return Ok(());
        };

        let temperature = f64::from(request.temperature).min(WARMEST);
        let sampling = match temperature {
            t if t < 1e-3 => Sampling::ArgMax,
            temperature => Sampling::TopKThenTopP { k: TOP_K, p: TOP_P, temperature },
        };
        let mut sampler = LogitsProcessor::from_sampling(seed, sampling);
        let mut said = Said::new(&request.stop, most * 3 / 5);
        let mut stop = StopReason::Length;
        for _ in 0..most {
            if unwanted() {
                return Ok(());
            }
            let recent = &reading.tokens[reading.tokens.len().saturating_sub(REPEAT_WINDOW)..];
            let token = apply_repeat_penalty(&logits, REPEAT_PENALTY, recent)
                .and_then(|logits| sampler.sample(&logits))
                .map_err(failed)?;
            if self.weights.ends.contains(&token) {
                stop = StopReason::Finished;
                break;
            }
            said.tokens.push(token);
            let text = self.weights.tokenizer.decode(&said.tokens, true).map_err(failed)?;
            let (delta, ended) = said.next(text);
            if !delta.is_empty() && !give(Piece::Text(delta)) {
                return Ok(());
            }
            if ended {
                stop = StopReason::Finished;
                break;
            }
            logits = reading.step(&[token]).map_err(failed)?;
        }
        let rest = said.finish(stop);
        if !rest.is_empty() {
            give(Piece::Text(rest));
        }
        let tokens = TokenCount { prompt: prompt.len() as u64, completion: said.tokens.len() as u64 };
        give(Piece::End { tokens, stop });
        Ok(())
    }

    /// The prompt's tokens, and how many of them are the system turn's. Older turns are left out when the estimate was
    /// too low and it would not fit.
    fn prompt(&self, turns: &[Turn], reply: usize) -> Result<(Vec<u32>, usize), ModelError> {
        let room = self.window.saturating_sub(reply);
        let mut turns: Vec<&Turn> = turns.iter().collect();
        let has_system = turns.first().is_some_and(|turn| turn.role == Role::System);
        loop {
            let tokens = self.tokens(&turns, true)?;
            if tokens.len() <= room {
                let system = if has_system { self.tokens(&turns[..1], false)? } else { Vec::new() };
                let shared = if tokens.starts_with(&system) { system.len() } else { 0 };
                return Ok((tokens, shared));
            }
            let oldest = usize::from(has_system);
            // What is told after the talk belongs to the message before it.
            let closing = turns.last().is_some_and(|turn| turn.role == Role::System);
            if turns.len() <= oldest + 1 + usize::from(closing) {
                return Err(ModelError::bad("the prompt is longer than the built-in model can read"));
            }
            turns.remove(oldest);
        }
    }

    fn tokens(&self, turns: &[&Turn], reply_follows: bool) -> Result<Vec<u32>, ModelError> {
        let messages: Vec<_> = turns
            .iter()
            .map(|turn| {
                let role = match turn.role {
                    Role::System => "system",
                    Role::User => "user",
                    Role::Character => "assistant",
                };
                // A person's text must not read as the template's own tokens.
                context! { role, content => turn.text.replace("<|", "< |") }
            })
            .collect();
        let text = self
            .templates
            .render_str(&self.weights.template, context! { messages, add_generation_prompt => reply_follows })
            .map_err(|error| ModelError::bad(format!("the model's chat template failed: {:?}", error.kind())))?;
        let encoding = self.weights.tokenizer.encode(text, false).map_err(failed)?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Reads the prompt, from where an earlier reading of the same beginning left off. None when nobody waits any more.
    fn read(
        &mut self,
        prompt: &[u32],
        system: usize,
        unwanted: &impl Fn() -> bool,
    ) -> candle_core::Result<Option<(Reading, Tensor)>> {
        let usable = |reading: &&Reading| reading.tokens.len() < prompt.len() && prompt.starts_with(&reading.tokens);
        let known = self.remembered.iter().filter(usable).max_by_key(|reading| reading.tokens.len());
        let mut reading =
            known.cloned().unwrap_or_else(|| Reading { tokens: Vec::new(), model: self.weights.model.clone() });
        loop {
            let from = reading.tokens.len();
            let mut to = prompt.len().min(from + PROMPT_STEP);
            // What all conversations with a character share is worth a stop of its own.
            if from < system && system < to {
                to = system;
            }
            let logits = reading.step(&prompt[from..to])?;
            if to == system || to == prompt.len() {
                self.remember(&reading);
            }
            if to == prompt.len() {
                return Ok(Some((reading, logits)));
            }
            if unwanted() {
                return Ok(None);
            }
        }
    }

    fn remember(&mut self, reading: &Reading) {
        self.remembered.retain(|known| known.tokens != reading.tokens);
        if self.remembered.len() == REMEMBERED {
            self.remembered.pop_front();
        }
        self.remembered.push_back(reading.clone());
    }
}

impl Reading {
    /// Reads on, and gives the likelihood of each token that may follow.
    fn step(&mut self, tokens: &[u32]) -> candle_core::Result<Tensor> {
        let input = Tensor::new(tokens, &Device::Cpu)?.unsqueeze(0)?;
        let logits = self.model.forward(&input, self.tokens.len())?.squeeze(0)?;
        self.tokens.extend_from_slice(tokens);
        Ok(logits)
    }
}

/// The reply so far, and how much of it has been given.
struct Said<'a> {
    tokens: Vec<u32>,
    text: String,
    given: usize,
    stops: &'a [String],
    /// Tokens after which the next end of a sentence is the reply's.
    enough: usize,
}

impl<'a> Said<'a> {
    fn new(stops: &'a [String], enough: usize) -> Self {
        Self { tokens: Vec::new(), text: String::new(), given: 0, stops, enough }
    }

    /// Takes the text of all tokens so far; gives what is new of it and certain, and whether the reply is over.
    fn next(&mut self, text: String) -> (String, bool) {
        // Half a character: its other bytes are in the next token.
        if text.ends_with('\u{fffd}') {
            return (String::new(), false);
        }
        self.text = text;
        let fresh = &self.text[self.given..];
        let stops = self.stops.iter().filter(|stop| !stop.is_empty());
        if let Some(at) = stops.clone().filter_map(|stop| fresh.find(stop.as_str())).min() {
            let delta = fresh[..at].to_owned();
            self.given = self.text.len();
            return (delta, true);
        }
        let kept = stops.map(|stop| overlap(fresh, stop)).max().unwrap_or(0);
        let delta = fresh[..fresh.len() - kept].to_owned();
        self.given += delta.len();
        (delta, self.tokens.len() >= self.enough && kept == 0 && ends_a_sentence(&self.text))
    }

    /// What was held back; a reply that was cut off in a sentence says so.
    fn finish(&mut self, stop: StopReason) -> String {
        let mut rest = self.text[self.given..].to_owned();
        self.given = self.text.len();
        if stop == StopReason::Length && !ends_a_sentence(&self.text) {
            rest.push('…');
        }
        rest
    }
}

/// How many bytes at the end of `text` may be the start of `stop`.
fn overlap(text: &str, stop: &str) -> usize {
    let starts = stop.char_indices().map(|(at, _)| at).skip(1).filter(|&at| at <= text.len());
    starts.filter(|&at| text.ends_with(&stop[..at])).max().unwrap_or(0)
}

/// Whether nothing is left open: the sentence has ended, as have its quotation and its action.
fn ends_a_sentence(text: &str) -> bool {
    let text = text.trim_end();
    let solid = text.trim_end_matches(['"', '”', '’', '*', ')']);
    let open = |mark: char| text.matches(mark).count() % 2 == 1;
    solid.ends_with(['.', '!', '?', '…']) && !open('*') && !open('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(texts: &[&str], stops: &[&str], enough: usize) -> (String, bool) {
        let stops: Vec<String> = stops.iter().map(|&stop| stop.to_owned()).collect();
        let mut said = Said::new(&stops, enough);
        let mut out = String::new();
        for text in texts {
            said.tokens.push(0);
            let (delta, ended) = said.next((*text).to_owned());
            out.push_str(&delta);
            if ended {
                return (out, true);
            }
        }
        out.push_str(&said.finish(StopReason::Length));
        (out, false)
    }

    #[test]
    fn a_reply_ends_with_its_sentence_once_it_is_long_enough() {
        let texts = ["One.", "One. Two", "One. Two.", "One. Two. Three"];
        assert_eq!(stream(&texts, &[], 2), ("One. Two.".into(), true));
        assert_eq!(stream(&["One", "One and"], &[], 9), ("One and…".into(), false));
        assert_eq!(stream(&["*nods.", "*nods.*"], &[], 1), ("*nods.*".into(), true));
    }

    #[test]
    fn a_stop_text_ends_the_reply_even_when_it_comes_in_parts() {
        assert_eq!(stream(&["Hi\n", "Hi\nUs", "Hi\nUser: x"], &["\nUser:"], 9), ("Hi".into(), true));
        assert_eq!(stream(&["Hi\n", "Hi\nUs", "Hi\nUs two."], &["\nUser:"], 9), ("Hi\nUs two.".into(), false));
    }

    #[test]
    fn half_a_character_waits_for_its_other_half() {
        assert_eq!(stream(&["a\u{fffd}", "a🌊", "a🌊."], &[], 3), ("a🌊.".into(), true));
    }
}
