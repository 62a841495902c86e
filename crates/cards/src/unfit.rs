//! Why a file is no card that can be taken, in sentences for the person who sent it.

use crate::{MAX_FILE, MAX_JSON, MAX_KEPT};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("This is no character card: send a PNG, JSON or CHARX file.")]
    NotACard,
    #[error("This PNG holds no character card. Pictures lose it when they are converted or sent through a messenger.")]
    NoCardInPng,
    #[error("This JPEG holds no character card: there is no whole archive behind the picture, as RisuAI writes one.")]
    NoCardInJpeg,
    #[error("This archive is no character card: there is no card.json in it.")]
    NoCardInArchive,
    #[error("The file is cut off: it ends in the middle of its {0}.")]
    CutOff(&'static str),
    #[error("The file is damaged: its {0} cannot be read.")]
    Damaged(&'static str),
    #[error("The card is encrypted for RisuAI alone. Export it there as a V2 or V3 card.")]
    Encrypted,
    #[error("The archive is encrypted. Send it without a password.")]
    EncryptedArchive,
    #[error("The card's text is not base64, as the text of a card in a PNG must be.")]
    NotBase64,
    #[error("The card's text is not UTF-8.")]
    NotUtf8,
    #[error("The card's text is not valid JSON: line {line}, column {column}.")]
    NotJson { line: usize, column: usize },
    #[error("The card's JSON is nested more than {most} levels deep.")]
    TooDeep { most: usize },
    #[error("The card's JSON has more than {most} values.")]
    TooMany { most: usize },
    #[error("The file has more than {} MB.", MAX_FILE >> 20)]
    FileTooLarge,
    #[error("The card's text has more than {} MB.", MAX_JSON >> 20)]
    TextTooLarge,
    #[error("The card's fields come to more than {} MB.", MAX_KEPT >> 20)]
    FieldsTooLarge,
    #[error("The archive has more than {most} files in it.")]
    TooManyFiles { most: usize },
    #[error("The archive unfolds to more than its files say: {0} is larger than it may be.")]
    Unfolds(&'static str),
    #[error("The archive names a file outside of itself (a path with .. or from the root).")]
    PathOutside,
    #[error("The archive is packed in a way that cards are not: {0}.")]
    Packed(&'static str),
    #[error("The JSON is no character card: it has neither a `spec` of a card nor a `name`.")]
    NotACardsJson,
    #[error("This is a lore book without a character. A card that holds it as its `character_book` can be taken.")]
    LoreBook,
    #[error("The card has no `data`, in which its fields should stand.")]
    NoData,
    #[error("The card has no name.")]
    NoName,
    #[error("The file could not be read.")]
    Unreadable,
}

impl From<std::io::Error> for Unfit {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof => Self::CutOff("content"),
            _ => Self::Unreadable,
        }
    }
}
