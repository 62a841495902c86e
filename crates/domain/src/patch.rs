//! Changes of some fields of a thing, as JSON tells them.

use serde::{Deserialize, Deserializer};

/// What is there, null included; what is absent is none: `#[serde(default, deserialize_with = "given")]`.
///
/// # Errors
/// What is there and neither null nor a `T`.
pub fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(value: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(value).map(Some)
}
