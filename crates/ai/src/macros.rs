//! The macros that authors of characters write: `{{char}}`, `{{user}}`, `{{persona}}`, `<BOT>`, `<USER>`, those of V3
//! cards that draw, hide and turn round, and SillyTavern's `{{newline}}`, `{{noop}}` and `{{trim}}`. Names are known whatever their case; what is unknown stays as it stands. What a
//! macro stands for is put in as it is: a name that looks like a macro is none.

use aim_domain::Random;
use sha2::{Digest, Sha256};
use std::borrow::Cow;

/// Macros within macros; what is deeper stays as it stands.
const MAX_DEPTH: usize = 8;
/// Bytes of a macro's name at the most, with the spaces around it.
const MAX_NAME: usize = 64;
/// `{{roll:}}` rolls so many dice at the most.
const MAX_DICE: u64 = 100;
const LINE_BREAK: [char; 2] = ['\n', '\r'];

/// What macros stand for, in one reply.
#[derive(Clone, Copy)]
pub struct Macros<'a> {
    pub character: &'a str,
    pub user: &'a str,
    /// Who the user is, by their persona; empty without one.
    pub persona: &'a str,
    /// `{{random:}}` and `{{roll:}}` are drawn from it each time.
    pub random: &'a dyn Random,
    /// `{{pick:}}` chooses the same for the same one of these: the conversation's id.
    pub picks: &'a str,
}

impl Macros<'_> {
    pub fn expand(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        self.expand_into(text, 0, &mut out);
        out
    }

    fn expand_into(&self, text: &str, depth: usize, out: &mut String) {
        let closes = closes(text);
        let mut next_open = 0;
        let mut at = 0;
        while let Some(found) = text[at..].find(['{', '<']) {
            out.push_str(&text[at..at + found]);
            at += found;
            let rest = &text[at..];
            if let Some((name, value)) = [("<bot>", self.character), ("<user>", self.user)]
                .into_iter()
                .find(|(name, _)| rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)))
            {
                out.push_str(value);
                at += name.len();
                continue;
            }
            while closes.get(next_open).is_some_and(|(open, _)| *open < at) {
                next_open += 1;
            }
            let inner = closes.get(next_open).filter(|(open, _)| *open == at).map(|(_, close)| (at + 2, *close));
            if let Some((from, to)) = inner
                && text[from..to].trim().eq_ignore_ascii_case("trim")
            {
                // Takes the line breaks around it away.
                out.truncate(out.trim_end_matches(LINE_BREAK).len());
                at = text.len() - text[to + 2..].trim_start_matches(LINE_BREAK).len();
                continue;
            }
            if let Some((from, to)) = inner
                && self.stands_for(&text[from..to], depth, out)
            {
                at = to + 2;
                continue;
            }
            out.push_str(&rest[..1]);
            at += 1;
        }
        out.push_str(&text[at..]);
    }

    /// Puts in what the macro stands for; false where it is none.
    fn stands_for(&self, inner: &str, depth: usize, out: &mut String) -> bool {
        let plain =
            [("char", self.character), ("user", self.user), ("persona", self.persona), ("newline", "\n"), ("noop", "")];
        if let Some((_, value)) = plain.iter().find(|(name, _)| inner.trim().eq_ignore_ascii_case(name)) {
            out.push_str(value);
            return true;
        }
        if inner.trim_start().starts_with("//") {
            return true;
        }
        // Only so far is a name looked for: one macro may be in another a thousand times.
        let colon = inner.bytes().take(MAX_NAME).position(|byte| byte == b':');
        let Some((name, rest)) = colon.map(|at| (&inner[..at], &inner[at + 1..])) else { return false };
        let name = name.trim().to_ascii_lowercase();
        if matches!(name.as_str(), "hidden_key" | "comment") {
            return true;
        }
        if !matches!(name.as_str(), "random" | "pick" | "roll" | "reverse") || depth >= MAX_DEPTH {
            return false;
        }
        let mut argument = String::new();
        match name.as_str() {
            "random" | "pick" => {
                let choices = choices(rest);
                let n =
                    if name == "random" { self.below(choices.len() as u64) } else { self.pick(rest, choices.len()) };
                if let Some(choice) = usize::try_from(n).ok().and_then(|n| choices.get(n)) {
                    self.expand_into(choice, depth + 1, out);
                }
            }
            "reverse" => {
                self.expand_into(rest, depth + 1, &mut argument);
                out.extend(argument.chars().rev());
            }
            _ => {
                self.expand_into(rest, depth + 1, &mut argument);
                if let Some((dice, sides)) = dice(&argument) {
                    let sum: u64 = (0..dice).map(|_| self.below(sides) + 1).sum();
                    out.push_str(&sum.to_string());
                } else {
                    // As it stands, and done with: whoever looked into it again would look through each level twice.
                    out.extend(["{{", inner, "}}"]);
                }
            }
        }
        true
    }

    /// A number below `end`, drawn.
    pub(crate) fn below(&self, end: u64) -> u64 {
        let mut bytes = [0; 8];
        self.random.fill(&mut bytes);
        u64::from_le_bytes(bytes) % end.max(1)
    }

    fn pick(&self, argument: &str, choices: usize) -> u64 {
        let hash = Sha256::new().chain_update(self.picks).chain_update([0]).chain_update(argument).finalize();
        let first = hash.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        first % (choices as u64).max(1)
    }
}

/// Where each `{{` that has a `}}` of its own is, and that `}}`, in order of the first.
fn closes(text: &str) -> Vec<(usize, usize)> {
    let bytes = text.as_bytes();
    let (mut open, mut found) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            // Of three braces the last two are the macro's.
            b"{{" if bytes.get(at + 2) != Some(&b'{') => {
                open.push(at);
                at += 2;
            }
            b"}}" => {
                found.extend(open.pop().map(|open| (open, at)));
                at += 2;
            }
            _ => at += 1,
        }
    }
    found.sort_unstable();
    found
}

/// `a,b,c`, with `\,` for a comma in one of them; or `:a::b::c`, as others write it.
fn choices(text: &str) -> Vec<Cow<'_, str>> {
    if let Some(parts) = text.strip_prefix(':') {
        return parts.split("::").map(|part| part.trim().into()).collect();
    }
    let (mut parts, mut part, mut depth) = (Vec::new(), String::new(), 0_usize);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' if characters.next_if_eq(&',').is_some() => part.push(','),
            // Commas of a macro in it are its own.
            '{' => {
                depth += 1;
                part.push(character);
            }
            '}' => {
                depth = depth.saturating_sub(1);
                part.push(character);
            }
            ',' if depth == 0 => parts.push(std::mem::take(&mut part)),
            _ => part.push(character),
        }
    }
    parts.push(part);
    parts.into_iter().map(|part| part.trim().to_owned().into()).collect()
}

/// `20`, `d20` or `2d6`: how many dice of how many sides.
fn dice(text: &str) -> Option<(u64, u64)> {
    let text = text.trim().to_ascii_lowercase();
    let (dice, sides) = text.split_once('d').unwrap_or(("", &text));
    let dice = if dice.is_empty() { 1 } else { dice.parse().ok()? };
    let sides = sides.parse().ok().filter(|sides| (1..=1_000_000_000).contains(sides))?;
    (1..=MAX_DICE).contains(&dice).then_some((dice, sides))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use aim_domain::SeededRandom;

    pub(crate) fn macros<'a>(random: &'a dyn Random, picks: &'a str) -> Macros<'a> {
        Macros { character: "Mara", user: "Tom", persona: "", random, picks }
    }

    fn expand(text: &str) -> String {
        macros(&*SeededRandom::new(7), "c1").expand(text)
    }

    #[test]
    fn names_are_put_in_and_the_unknown_stays() {
        assert_eq!(expand("{{CHAR}} <user> {{x}} <b> é{{user}}< { {{"), "Mara Tom {{x}} <b> éTom< { {{");
        assert_eq!(expand("{{{char}}} {{original}} {{get:{{user}}}}"), "{Mara} {{original}} {{get:Tom}}");
    }

    #[test]
    fn what_a_macro_stands_for_is_put_in_as_it_is() {
        let random = SeededRandom::new(7);
        let (user, persona) = ("{{char}}", "Likes {{user}}, <bot> and {{random:a,b}}.");
        let hostile = Macros { user, persona, ..macros(&*random, "c1") };
        assert_eq!(hostile.expand("{{user}}: {{Persona}}"), format!("{user}: {persona}"));
        assert_eq!(hostile.expand("{{pick:<user>}}"), user);
    }

    #[test]
    fn what_is_hidden_is_gone_and_what_is_reversed_is_turned_round() {
        assert_eq!(expand("a{{// note}}b{{hidden_key:reef}}c{{comment: x}}d"), "abcd");
        assert_eq!(expand("{{reverse:{{user}} é}}"), "é moT");
    }

    #[test]
    fn sillytaverns_own_break_lines_and_take_breaks_away() {
        assert_eq!(expand("{{ char }}{{newline}}{{ User}}{{noop}}!"), "Mara\nTom!");
        assert_eq!(expand("a\n\r\n{{trim}}\n\nb{{ TRIM }}c {{trim}}\n"), "abc ");
        assert_eq!(expand("{{trim}}"), "");
        assert_eq!(expand("{{random:x\n{{trim}}}}y"), "xy");
    }

    #[test]
    fn a_choice_is_one_of_those_given() {
        for _ in 0..20 {
            assert!(["a", "b, c", "Tom"].contains(&expand("{{random:a,b\\, c,{{user}}}}").as_str()));
            assert!(["a", "b"].contains(&expand("{{Random::a::b}}").as_str()));
        }
        let random = SeededRandom::new(1);
        let drawn: std::collections::HashSet<_> =
            (0..60).map(|_| macros(&*random, "c1").expand("{{random:a,b,c}}")).collect();
        assert_eq!(drawn.len(), 3);
    }

    #[test]
    fn a_pick_is_the_same_in_its_conversation_and_not_in_all() {
        let random = SeededRandom::new(1);
        let pick = |conversation: &str| macros(&*random, conversation).expand("{{pick:a,b,c,d}}");
        assert!((0..20).all(|_| pick("c1") == pick("c1")));
        let picked: std::collections::HashSet<_> = (0..60).map(|n| pick(&format!("c{n}"))).collect();
        assert_eq!(picked.len(), 4);
    }

    #[test]
    fn dice_have_the_sides_that_they_are_given() {
        let random = SeededRandom::new(1);
        for (text, least, most) in [("{{roll:6}}", 1, 6), ("{{roll:d20}}", 1, 20), ("{{ROLL: 2d6}}", 2, 12)] {
            for _ in 0..50 {
                let rolled: u64 = macros(&*random, "").expand(text).parse().unwrap();
                assert!((least..=most).contains(&rolled), "{text}: {rolled}");
            }
        }
        for strange in ["{{roll:}}", "{{roll:0}}", "{{roll:9999d6}}", "{{roll:x}}", "{{roll:{{user}}}}"] {
            assert_eq!(expand(strange), strange);
        }
    }

    #[test]
    fn hostile_texts_take_their_length_and_no_more() {
        let began = std::time::Instant::now();
        for text in ["{{".repeat(10_000), "{{reverse:".repeat(2_000), "}}".repeat(10_000)] {
            assert_eq!(expand(&text), text);
        }
        let nested = |open: &str| format!("{}x{}", open.repeat(2_000), "}}".repeat(2_000));
        assert!(expand(&nested("{{reverse:")).len() <= nested("{{reverse:").len());
        for open in ["{{roll:", "{{roll:2d", "{{x", "{{x:{{roll:"] {
            assert_eq!(expand(&nested(open)), nested(open));
        }
        assert!(began.elapsed().as_secs() < 5);
    }
}
