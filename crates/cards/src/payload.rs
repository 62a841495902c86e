//! A card's text: from base64, where it stood in a PNG, to JSON within its bounds.

use crate::{MAX_JSON, Unfit, bounds};
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// How RisuAI's own encoding begins.
const RISU: &[u8] = b"rcc||";

/// The bytes of base64, broken into lines or not.
pub(crate) fn unbase64(mut text: Vec<u8>) -> Result<Vec<u8>, Unfit> {
    text.retain(|byte| !byte.is_ascii_whitespace());
    LENIENT.decode(text).map_err(|_| Unfit::NotBase64)
}

/// The card in a PNG's text.
pub(crate) fn of_png(text: Vec<u8>) -> Result<Map<String, Value>, Unfit> {
    if text.starts_with(RISU) {
        return Err(Unfit::Encrypted);
    }
    json(&unbase64(text)?)
}

/// An object of JSON.
pub(crate) fn json(text: &[u8]) -> Result<Map<String, Value>, Unfit> {
    if text.len() as u64 > MAX_JSON {
        return Err(Unfit::TextTooLarge);
    }
    if text.starts_with(RISU) {
        return Err(Unfit::Encrypted);
    }
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    if std::str::from_utf8(text).is_err() {
        return Err(Unfit::NotUtf8);
    }
    bounds::check(text)?;
    match serde_json::from_slice(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Unfit::NotACardsJson),
        Err(error) => Err(Unfit::NotJson { line: error.line(), column: error.column() }),
    }
}
