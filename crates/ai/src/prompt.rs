//! What a model is given: a character's prompt, compiled once for everyone who talks with it, and joined with one
//! conversation's messages for each reply, within the model's window.

use crate::lore::{Among, Lore};
use crate::macros::Macros;
use crate::model::{Role, Turn};
use crate::people::People;
use crate::tokens::{TokenBudget, estimate};
use aim_domain::{Author, Character, PromptRole};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Most messages of a conversation that a model is given.
const HISTORY_MOST: usize = 100;

/// What of the prompt's budget the system text may take, in percent; the rest is for what was said.
const SYSTEM_SHARE: u64 = 60;

/// What of the prompt's budget may say who talks with the character.
const PEOPLE_SHARE: u64 = 10;

/// What of it the text after the messages may take, and the author's text among them.
const CLOSING_SHARE: u64 = 10;
const NOTE_SHARE: u64 = 10;

/// Where messages must be left out, so many at a time are: the prompt then begins alike for some messages on end, and
/// a model that remembers how it read a beginning need not read it again.
const LEFT_OUT_STEP: usize = 8;

/// Who the user is in cards that are older than macros.
const YOU: &str = "You";

/// Stands for the user until a reply is asked for.
const USER: &str = "{{user}}";

/// A character's prompt before any user's name is put in. The same for everyone, so it may be cached for everyone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompiledPrompt {
    /// Of the character that it was compiled from.
    pub revision: i64,
    /// How to speak.
    pub system: String,
    /// Whom the model plays; lore stands before and after it.
    pub sheet: String,
    /// Told after what was said; mostly empty.
    pub closing: String,
    /// What its author has to say among the messages.
    pub note: Option<Among>,
    /// Example dialogues, each a few turns.
    pub examples: Vec<Vec<Turn>>,
}

impl CompiledPrompt {
    /// The lore of a reply, with what the author says among the messages; of texts at one place that stands nearest to what is said next.
    pub fn with_note(&self, mut lore: Lore, macros: &Macros<'_>, budget: &TokenBudget) -> Lore {
        let Some(Among { depth, role, text }) = &self.note else { return lore };
        let mut text = macros.expand(text).trim().to_owned();
        cut_end(&mut text, budget.prompt() * NOTE_SHARE / 100);
        if !text.is_empty() {
            let at = lore.among_messages.partition_point(|among| among.depth < *depth);
            lore.among_messages.insert(at, Among { depth: *depth, role: *role, text });
        }
        lore
    }
}

/// A message of the conversation, as the prompt needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryTurn {
    pub author: Author,
    pub text: Arc<str>,
    /// The user's name; used where several people talk with the character.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speaker: Option<Arc<str>>,
}

/// Puts names in for the macros `{{char}}`, `{{user}}`, `<BOT>` and `<USER>`, whatever their case.
pub fn expand(text: &str, character: &str, user: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['{', '<']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let known = [("{{char}}", character), ("<bot>", character), ("{{user}}", user), ("<user>", user)];
        let found = known
            .into_iter()
            .find(|(name, _)| rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)));
        let taken = match found {
            Some((name, value)) => {
                out.push_str(value);
                name.len()
            }
            None => {
                out.push_str(&rest[..1]);
                1
            }
        };
        rest = &rest[taken..];
    }
    out.push_str(rest);
    out
}

/// Compiles what a character's author wrote. A `system_prompt` of its own takes the place of ours; `{{original}}` in
/// it stands for ours.
pub fn compile(character: &Character) -> CompiledPrompt {
    let name = character.called();
    let ours = format!(
        "You are {name}, talking with {USER}. Stay in character. Reply as {name} alone, in {name}'s own voice, in one to \
         three short paragraphs. Never speak or act for {USER}, and never say that you are a language model."
    );
    let system = match character.system_prompt.trim() {
        "" => ours,
        theirs => replace_ignoring_case(theirs, "{{original}}", &ours),
    };
    // We say nothing of our own after what was said.
    let closing = replace_ignoring_case(character.details.post_history_instructions.trim(), "{{original}}", "");
    let mut sheet: Vec<String> = Vec::new();
    let sections =
        [("About", &character.description), ("Personality", &character.personality), ("Scenario", &character.scenario)];
    for (title, text) in sections {
        let text = text.trim();
        if !text.is_empty() {
            let title = if title == "About" { format!("About {name}") } else { title.to_owned() };
            sheet.push(format!("{title}: {text}"));
        }
    }
    CompiledPrompt {
        revision: character.revision,
        system: expand(&system, name, USER),
        sheet: expand(&sheet.join("\n\n"), name, USER),
        closing: expand(closing.trim(), name, USER),
        note: character.details.depth_prompt.as_ref().map(|note| Among {
            depth: note.depth,
            role: match note.role {
                PromptRole::System => Role::System,
                PromptRole::User => Role::User,
                PromptRole::Assistant => Role::Character,
            },
            text: expand(note.prompt.trim(), name, USER),
        }),
        examples: examples(&character.example_dialogue, name),
    }
}

/// The example dialogues: parts that `<START>` divides, in each of which `{{char}}:` and `{{user}}:`, or the character's
/// name, begin a turn, and `You:` one of the user's, as Pygmalion's cards have it; other lines go on with the turn before them.
fn examples(text: &str, name: &str) -> Vec<Vec<Turn>> {
    let mut parts: Vec<Vec<Turn>> = vec![Vec::new()];
    for line in expand(text, name, USER).lines() {
        let line = line.trim();
        if line.eq_ignore_ascii_case("<start>") {
            parts.push(Vec::new());
            continue;
        }
        let Some(turns) = parts.last_mut() else { continue };
        let begun =
            [(USER, Role::User), (name, Role::Character), (YOU, Role::User)].into_iter().find_map(|(speaker, role)| {
                let said = line.strip_prefix(speaker)?.trim_start().strip_prefix(':')?;
                Some(Turn::new(role, said.trim()))
            });
        match (begun, turns.last_mut()) {
            (Some(turn), Some(last)) if last.role == turn.role => append(last, &turn.text),
            (Some(turn), _) => turns.push(turn),
            (None, Some(last)) => append(last, line),
            // Before the first speaker it is no dialogue.
            (None, None) => {}
        }
    }
    for turns in &mut parts {
        turns.iter_mut().for_each(|turn| turn.text.truncate(turn.text.trim_end().len()));
        turns.retain(|turn| !turn.text.is_empty());
    }
    // Examples show how the character speaks; a part in which it does not speak shows nothing.
    parts.retain(|turns| turns.iter().any(|turn| turn.role == Role::Character));
    parts
}

/// The lines of an example dialogue that the character says.
pub(crate) fn lines_of_character<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    let said = |line: &'a str, speaker: &str| {
        let start = line.get(..speaker.len()).filter(|start| start.eq_ignore_ascii_case(speaker))?;
        line[start.len()..].trim_start().strip_prefix(':')
    };
    let mut speaks = false;
    text.lines().map(str::trim).filter_map(move |line| {
        if let Some(own) = said(line, "{{char}}").or_else(|| said(line, "<bot>")).or_else(|| said(line, name)) {
            speaks = true;
            return Some(own);
        }
        let users = || [USER, "<user>", YOU].into_iter().any(|speaker| said(line, speaker).is_some());
        if line.eq_ignore_ascii_case("<start>") || users() {
            speaks = false;
        }
        speaks.then_some(line)
    })
}

fn append(turn: &mut Turn, line: &str) {
    if !turn.text.is_empty() {
        turn.text.push('\n');
    }
    turn.text.push_str(line);
}

/// `text` with `value` wherever `name`, which is in small letters, stands.
fn replace_ignoring_case(text: &str, name: &str, value: &str) -> String {
    let mut out = String::with_capacity(text.len() + value.len());
    let mut rest = 0;
    for (at, _) in text.to_ascii_lowercase().match_indices(name) {
        out.push_str(&text[rest..at]);
        out.push_str(value);
        rest = at + name.len();
    }
    out.push_str(&text[rest..]);
    out
}

/// The prompt for one reply: the system text with `lore` and `people`, examples, the newest messages of `history` (oldest first, the one
/// to answer last), and what the character's author has to say after them, with `macros` put in.
///
/// The budget is spent in this order: the system text, cut when it alone takes most of it; the message to answer, cut
/// likewise; older messages, the newest first and 100 at most; examples. The whole counts by estimate.
pub fn assemble(
    prompt: &CompiledPrompt,
    macros: &Macros<'_>,
    lore: &Lore,
    people: &People,
    history: &[HistoryTurn],
    budget: &TokenBudget,
) -> Vec<Turn> {
    let whole = budget.prompt();
    let told = people.told(macros.character, whole * PEOPLE_SHARE / 100);
    let system = system_text(prompt, macros, lore, told, whole * SYSTEM_SHARE / 100);
    let mut left = whole.saturating_sub(TokenBudget::cost(&system));
    let mut closing = macros.expand(&prompt.closing);
    cut_end(&mut closing, whole * CLOSING_SHARE / 100);
    if !closing.is_empty() {
        left = left.saturating_sub(TokenBudget::cost(&closing));
    }
    let among: u64 = lore.among_messages.iter().map(|among| TokenBudget::cost(&among.text)).sum();
    left = left.saturating_sub(among);

    let mut said: Vec<Turn> = Vec::new();
    for turn in history.iter().rev().take(HISTORY_MOST) {
        let name = spoken_by(turn, people);
        let mut text = turn.text.to_string();
        if said.is_empty() {
            cut_start(&mut text, left.saturating_sub(TokenBudget::cost(&name)));
        }
        let turn = Turn::new(if turn.author == Author::User { Role::User } else { Role::Character }, name + &text);
        let cost = TokenBudget::cost(&turn.text);
        if cost > left && !said.is_empty() {
            break;
        }
        left = left.saturating_sub(cost);
        said.push(turn);
    }
    let left_out = history.len() - said.len();
    let rounded = left_out.next_multiple_of(LEFT_OUT_STEP) - left_out;
    if left_out > 0 && rounded * 2 < said.len() {
        said.truncate(said.len() - rounded);
    }
    said.reverse();

    let mut turns = vec![Turn::new(Role::System, system)];
    // A history that did not fit has shown the voice better than any example.
    if left_out == 0 {
        for example in &prompt.examples {
            let example: Vec<Turn> =
                example.iter().map(|turn| Turn::new(turn.role, macros.expand(&turn.text))).collect();
            let cost: u64 = example.iter().map(|turn| TokenBudget::cost(&turn.text)).sum();
            if cost > left || turns.len() + example.len() + said.len() > HISTORY_MOST {
                break;
            }
            left -= cost;
            turns.extend(example);
        }
    }
    let messages = said.len();
    // The fewest messages after it first: what is put in further up moves nothing that is there already.
    for Among { depth, role, text } in &lore.among_messages {
        let at = messages.saturating_sub(*depth as usize);
        said.insert(at, Turn::new(*role, text.clone()));
    }
    turns.append(&mut said);
    if !closing.is_empty() {
        turns.push(Turn::new(Role::System, closing));
    }
    turns
}

/// How to speak, then lore, whom to play, lore again, and with whom. Lore and people have budgets of their own; of the others
/// the end is cut.
fn system_text(prompt: &CompiledPrompt, macros: &Macros<'_>, lore: &Lore, people: String, most: u64) -> String {
    let Lore { before_character, after_character, .. } = lore;
    let beside = estimate(before_character) + estimate(after_character) + estimate(&people);
    let mut left = most.saturating_sub(beside);
    let mut fit = |text: &str| {
        let mut text = macros.expand(text);
        cut_end(&mut text, left);
        left -= estimate(&text).min(left);
        text
    };
    let (system, sheet) = (fit(&prompt.system), fit(&prompt.sheet));
    let parts = [system.as_str(), before_character, &sheet, after_character, &people];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// What a message begins with: its speaker's name where several people talk, so that the model can tell them apart.
fn spoken_by(turn: &HistoryTurn, people: &People) -> String {
    let name = turn.speaker.as_ref().filter(|_| turn.author == Author::User && people.are_several());
    name.map(|name| format!("{name}: ")).unwrap_or_default()
}

/// Cuts `text` to about `tokens`, keeping its start.
pub(crate) fn cut_end(text: &mut String, tokens: u64) {
    if estimate(text) > tokens {
        text.truncate(text.floor_char_boundary(bytes_of(tokens)));
    }
}

/// Cuts `text` to about `tokens`, keeping its end, where a message's question mostly is.
fn cut_start(text: &mut String, tokens: u64) {
    if estimate(text) > tokens {
        let from = text.ceil_char_boundary(text.len().saturating_sub(bytes_of(tokens)));
        text.drain(..from);
    }
}

fn bytes_of(tokens: u64) -> usize {
    usize::try_from(tokens.saturating_mul(4)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
