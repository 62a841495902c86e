//! Search as one types: characters, and what one said and was told.

use crate::Platform;
use crate::faults::OrRefuse;
use aim_domain::error::Checks;
use aim_domain::{Character, CharacterId, ConversationId, Member, Message, Refusal};
use aim_store::conversation::CharacterSummary;
use aim_store::words::{Sought, Word, words};
use aim_store::{FoundCharacter, FoundMessage, SearchQuery, TagCount};
use serde::Serialize;
use utoipa::ToSchema;

/// Characters of a question at most.
const LONGEST: usize = 200;
/// Characters beside messages, at most.
const CHARACTERS: u32 = 10;
/// Bytes of a message that are shown around what was found, before and after.
const BEFORE: usize = 60;
const AFTER: usize = 140;
/// Places of a message that are compared, so that one word said a thousand times takes no longer.
const WINDOWS: usize = 64;

/// A piece of a text, in order; what fits what was asked for is marked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Part {
    pub text: String,
    pub hit: bool,
}

/// Where a message was found.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FoundIn {
    pub id: ConversationId,
    pub title: String,
    pub character_id: CharacterId,
    pub character: CharacterSummary,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MessageHit {
    pub message: Message,
    pub conversation: FoundIn,
    /// The place in its text that fits, as pieces of plain text.
    pub snippet: Vec<Part>,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CharacterHit {
    #[serde(flatten)]
    pub character: Character,
    /// The place that fits, of its description, its tags or who made it; where its name alone fits, its description begins.
    pub snippet: Vec<Part>,
}

#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct SearchAnswer {
    /// Public ones and one's own; none where a conversation is searched.
    pub characters: Vec<CharacterHit>,
    /// Of conversations that one is in.
    pub messages: Vec<MessageHit>,
}

impl Platform {
    /// All words of `text` must fit, the last one as far as it is typed. What fits best comes first.
    pub async fn search(
        &self,
        who: &Member,
        text: &str,
        conversation: Option<ConversationId>,
        limit: u32,
    ) -> Result<SearchAnswer, Refusal> {
        let mut checks = Checks::default();
        checks.length("q", text.trim(), 0, LONGEST);
        checks.finish()?;
        if let Some(id) = &conversation {
            self.entered(who, id).await?;
        }
        let Some(sought) = Sought::parse(text) else { return Ok(SearchAnswer::default()) };
        let query = SearchQuery { viewer: who.user_id().clone(), sought, conversation, limit };
        let of_characters = SearchQuery { limit: limit.min(CHARACTERS), ..query.clone() };
        let characters = async {
            match &query.conversation {
                Some(_) => Ok(Vec::new()),
                None => self.store.search_characters(&of_characters).await,
            }
        };
        let (characters, messages) = tokio::join!(characters, self.store.search_messages(&query));
        let hit = |found: FoundMessage| MessageHit {
            snippet: snippet(&found.message.text, &query.sought),
            conversation: FoundIn {
                id: found.message.conversation_id.clone(),
                title: found.title,
                character_id: found.character.id.clone(),
                character: found.character,
            },
            message: found.message,
        };
        let messages = messages.or_refuse()?.into_iter().map(hit).collect();
        let hit =
            |found: FoundCharacter| CharacterHit { snippet: place(&found, &query.sought), character: found.character };
        let characters = characters.or_refuse()?.into_iter().map(hit).collect();
        Ok(SearchAnswer { characters, messages })
    }

    pub async fn character_tags(&self, who: &Member, limit: u32) -> Result<Vec<TagCount>, Refusal> {
        self.store.character_tags(who.user_id(), limit).await.or_refuse()
    }
}

/// Where a character fits: the text of it with the most different words of those asked for, the first of equals.
fn place(FoundCharacter { character, creators }: &FoundCharacter, sought: &Sought) -> Vec<Part> {
    let made_by = creators.iter().map(|creator| format!("by {creator}")).collect::<Vec<_>>().join(", ");
    let texts = [character.description.clone(), character.tags.join(", "), made_by];
    let parts = texts.into_iter().map(|text| snippet(&text, sought)).rev();
    parts.max_by_key(|parts| parts.iter().filter(|part| part.hit).count()).unwrap_or_default()
}

/// The stretch of a text with most of what was asked for, cut between words, its hits marked.
fn snippet(text: &str, sought: &Sought) -> Vec<Part> {
    let all: Vec<Word> = words(text).collect();
    let hits: Vec<&Word> = all.iter().filter(|word| sought.hit(&word.folded).is_some()).collect();
    // Of the windows that begin with a hit, the first of those that hold the most different words.
    let worth = |first: usize| {
        let from = hits.get(first).map_or(0, |hit| hit.from);
        let within = hits.iter().skip(first).take_while(|hit| hit.to <= from + AFTER);
        let mut found: Vec<&str> = within.map(|hit| hit.folded.as_str()).collect();
        found.sort_unstable();
        found.dedup();
        found.len()
    };
    let best = (0..hits.len().min(WINDOWS)).rev().max_by_key(|first| worth(*first));
    let best = best.and_then(|first| hits.get(first)).map_or(0, |hit| hit.from);
    let from = match best <= BEFORE {
        true => 0,
        false => all.iter().map(|word| word.from).find(|at| *at + BEFORE >= best).unwrap_or(best),
    };
    let to = match text.len() <= best + AFTER {
        true => text.len(),
        false => all.iter().map(|word| word.to).take_while(|at| *at <= best + AFTER).last().unwrap_or(best).max(from),
    };
    // One word alone may be longer than what is shown.
    let to = if to > from { to } else { ceiling(text, from + AFTER) };
    let mut parts = Vec::new();
    let mut push = |text: &str, hit: bool| {
        if !text.is_empty() {
            parts.push(Part { text: text.to_owned(), hit });
        }
    };
    let mut at = from;
    if from > 0 {
        push("…", false);
    }
    for hit in hits.iter().filter(|hit| hit.from >= from && hit.to <= to) {
        push(&text[at..hit.from], false);
        push(&text[hit.from..hit.to], true);
        at = hit.to;
    }
    push(&text[at..to], false);
    if to < text.len() {
        push("…", false);
    }
    parts
}

fn ceiling(text: &str, at: usize) -> usize {
    (at.min(text.len())..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(text: &str, asked: &str) -> String {
        let sought = Sought::parse(asked).unwrap();
        let part = |part: Part| if part.hit { format!("[{}]", part.text) } else { part.text };
        snippet(text, &sought).into_iter().map(part).collect()
    }

    #[test]
    fn a_snippet_shows_the_place_and_marks_it() {
        assert_eq!(marked("The LIGHTHOUSE, été.", "lighth"), "The [LIGHTHOUSE], été.");
        assert_eq!(marked("L'Été à <b>Cafe\u{301}</b>", "cafe ete "), "L'[Été] à <b>[Cafe\u{301}]</b>");
        let long = format!("{} the keeper lit the lamp at night. {}", "alpha ".repeat(60), "omega ".repeat(60));
        let shown = marked(&long, "keeper lamp");
        assert!(shown.starts_with("…alpha") && shown.ends_with("omega…"), "{shown}");
        assert!(shown.contains("the [keeper] lit the [lamp] at night."), "{shown}");
        assert!(shown.len() < 260, "{}", shown.len());
        let one_word = "x".repeat(4_000);
        assert!(marked(&one_word, "xxx").len() < 4_100);
        assert_eq!(marked("海の家で会う", "海"), "[海]の家で会う");
        for end in 0..long.len() {
            if let (true, Some(_)) = (long.is_char_boundary(end), Sought::parse("lamp")) {
                let _ = marked(&long[..end], "lamp");
            }
        }
    }
}
