//! Commands and queries of characters.

use aim_domain::{Character, UserId};

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
    /// By name, without case.
    Name,
}

/// Lists what `viewer` may see: public characters and his own.
#[derive(Clone, Debug)]
pub struct CharacterQuery {
    pub viewer: UserId,
    /// Part of a name, a description or a tag, without case.
    pub text: Option<String>,
    pub tag: Option<String>,
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
