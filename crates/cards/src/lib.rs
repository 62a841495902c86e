//! Character cards: what a character's author gives to others as a picture (PNG), a text (JSON) or an archive (CHARX).
//!
//! [`read`] takes a card as hostile: how deep and how wide its JSON is, is counted before it is parsed, a compressed entry
//! is unfolded no further than it may be long, and what is not looked at is not read. A [`Card`] keeps every field that it
//! came with, known or not, so that [`export`] gives back what [`read`] took. Knows nothing of users, stores or HTTP, and
//! does no I/O of its own. [`chat`] reads what was said with a character in SillyTavern, and writes it.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod assets;
mod bounds;
mod card;
mod charx;
pub mod chat;
mod fields;
mod files;
mod gallery;
mod lore;
mod payload;
mod png;
mod unfit;
mod world_info;
mod write;

pub use assets::{Asset, AssetKind, MOST_ASSETS};
pub use card::{Card, Picture, Version, parse, read};
pub use gallery::{ExportedAsset, Form};
pub use unfit::Unfit;
pub use write::{Export, export, into_png};

/// Most bytes of a card's file.
pub const MAX_FILE: u64 = 50 << 20;
/// Most bytes of a card's JSON.
pub const MAX_JSON: u64 = 8 << 20;
/// Most bytes of a card's JSON as it is kept; a larger one first loses the files that it holds as text.
pub const MAX_KEPT: usize = 2 << 20;
/// Most bytes of a card's picture.
pub const MAX_PICTURE: u64 = 25 << 20;
