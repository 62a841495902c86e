//! Commands and queries of characters.

use crate::words::Sought;
use aim_domain::{Character, CharacterId, UserId};

/// What a search for text looks at.
pub(crate) fn searched(character: &Character) -> String {
    format!("{}\n{}\n{}", character.name, character.description, character.tags.join("\n")).to_lowercase()
}

/// Who made it, as its card says, beside the rest of what the card says: lists of what was found need not read that.
pub(crate) fn creator(character: &Character) -> Option<&str> {
    Some(character.details.creator.as_str()).filter(|creator| !creator.is_empty())
}

#[derive(Clone, Debug, PartialEq)]
pub enum SaveCharacter {
    Saved(Box<Character>),
    IdTaken,
    Stale,
    NotFound,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// The last made first.
    #[default]
    New,
    /// Those with the most conversations first.
    Popular,
    /// Those the viewer talked with, the last first; no others.
    Recent,
    /// By name, without case.
    Name,
}

/// How a list is sorted in SQL: its column, its direction, and where a page of it starts.
pub(crate) struct Order {
    /// In cursors.
    pub name: &'static str,
    pub column: &'static str,
    pub direction: &'static str,
    pub further: &'static str,
}

impl Sort {
    pub(crate) fn order(self) -> Order {
        let (name, column) = match self {
            Self::New => ("new", "ch.created_at"),
            Self::Popular => ("popular", "ch.conversations"),
            Self::Recent => ("recent", "talked.at"),
            Self::Name => ("name", "ch.name_key"),
        };
        match self {
            Self::New | Self::Popular | Self::Recent => Order { name, column, direction: "DESC", further: "<" },
            Self::Name => Order { name, column, direction: "ASC", further: ">" },
        }
    }
}

/// What a list's text asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Text {
    /// All of this one's, whose username it is.
    Of(String),
    /// The index of words is asked, names are looked through, which are short, and it may be somebody's username as well.
    Said { part: String, sought: Option<Sought> },
}

impl Text {
    /// None where it says nothing.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_lowercase();
        match text.strip_prefix('@') {
            _ if text.is_empty() => None,
            Some(owner) => Some(Self::Of(owner.trim_start_matches('@').to_owned())),
            None => Some(Self::Said { sought: Sought::parse(&text), part: text }),
        }
    }
}

/// Lists what `viewer` may see: public characters and his own.
#[derive(Clone, Debug)]
pub struct CharacterQuery {
    pub viewer: UserId,
    /// Words of a name, a description, its tags or who made it, the last one as far as it is typed; or part of a name, without
    /// case; or the username of its owner. With an `@` it is only that.
    pub text: Option<String>,
    pub tag: Option<String>,
    /// Only these.
    pub among: Option<Vec<CharacterId>>,
    pub sort: Sort,
    /// `next_cursor` of the page before, opaque; one that is not ours counts as none.
    pub cursor: Option<String>,
    pub limit: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct CharacterPage {
    pub items: Vec<Character>,
    /// None at the end.
    pub next_cursor: Option<String>,
}
