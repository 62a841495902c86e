//! How a value stands in Redis: a line that says what it is, then JSON, in zstd where that is shorter.
//!
//! `aim1 SCHEMA VERSION ERA FORM`, a line feed, and the body. The form is `json`, `zstd:BYTES` (of the JSON) or `none` (the
//! store does not have it). Scripts read the line too. What is anything else counts as absent.

use super::standing::Era;
use crate::cache::{Codec, Entry};
use std::cell::RefCell;
use zstd::bulk::{Compressor, Decompressor};

/// Longer bodies are compressed.
const COMPRESS_ABOVE: usize = 1024;
/// The quickest that is worth it: three times the speed of the default for a tenth more bytes.
const LEVEL: i32 = 1;
/// A body that says to be longer is none of ours.
const LONGEST: usize = 16 * 1024 * 1024;
/// The longest that the first line can be.
const LINE: usize = 128;

thread_local! {
    // Making one costs more than what it does for a value.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = RefCell::new(Compressor::new(LEVEL).ok());
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = RefCell::new(Decompressor::new().ok());
}

/// None for what cannot be written, or is too long.
pub fn seal(entry: &Entry, codec: Codec, era: Era) -> Option<Vec<u8>> {
    let line = |form: &str| format!("aim1 {} {} {era} {form}\n", codec.schema, entry.version).into_bytes();
    let Some(value) = &entry.value else { return Some(line("none")) };
    let body = (codec.encode)(&**value).filter(|body| body.len() <= LONGEST)?;
    let compressed = if body.len() > COMPRESS_ABOVE { compress(&body) } else { None };
    let (mut sealed, body) = match compressed.filter(|short| short.len() < body.len()) {
        Some(short) => (line(&format!("zstd:{}", body.len())), short),
        None => (line("json"), body),
    };
    sealed.extend_from_slice(&body);
    Some(sealed)
}

/// None for what is no value of this type and era.
pub fn open(sealed: &[u8], codec: Codec, era: Era) -> Option<Entry> {
    let end = sealed.iter().take(LINE).position(|byte| *byte == b'\n')?;
    let line = std::str::from_utf8(&sealed[..end]).ok()?;
    let body = &sealed[end + 1..];
    let mut words = line.split(' ');
    let mut word = || words.next();
    if word()? != "aim1" || word()?.parse::<u16>().ok()? != codec.schema {
        return None;
    }
    let version = word()?.parse().ok()?;
    if word()?.parse::<Era>().ok()? != era {
        return None;
    }
    let value = match (word()?, word()) {
        ("none", None) if body.is_empty() => None,
        ("json", None) => Some((codec.decode)(body)?),
        (form, None) => {
            let length = form.strip_prefix("zstd:")?.parse().ok().filter(|length| *length <= LONGEST)?;
            Some((codec.decode)(&decompress(body, length)?)?)
        }
        _ => return None,
    };
    let weight = value.as_deref().map_or(1, codec.weigh);
    Some(Entry { value, version, weight })
}

fn compress(body: &[u8]) -> Option<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|compressor| compressor.as_mut()?.compress(body).ok())
}

fn decompress(body: &[u8], length: usize) -> Option<Vec<u8>> {
    let body = DECOMPRESSOR.with_borrow_mut(|decompressor| decompressor.as_mut()?.decompress(body, length).ok())?;
    (body.len() == length).then_some(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Cached;
    use serde::{Deserialize, Serialize};
    use std::sync::Arc;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Text(String);

    impl Cached for Text {
        const SCHEMA: u16 = 3;
        fn version(&self) -> i64 {
            7
        }
    }

    const ERA: Era = 5;

    fn codec() -> Codec {
        Codec::of::<Text>()
    }

    fn sealed(text: &str) -> Vec<u8> {
        let entry = Entry { value: Some(Arc::new(Text(text.into()))), version: 7, weight: 1 };
        seal(&entry, codec(), ERA).unwrap()
    }

    fn opened(sealed: &[u8]) -> Option<String> {
        let entry = open(sealed, codec(), ERA)?;
        assert_eq!(entry.version, 7);
        Some(entry.value?.downcast_ref::<Text>()?.0.clone())
    }

    #[test]
    fn a_value_comes_back_as_it_was() {
        let long = "a long story, told again and again, ".repeat(1_000);
        for text in ["", "short", &"x".repeat(1_022), &"x".repeat(1_023), &long] {
            assert_eq!(opened(&sealed(text)).as_deref(), Some(text));
        }
        assert!(sealed(&long).len() * 20 < long.len());
        assert_eq!(sealed("short"), b"aim1 3 7 5 json\n\"short\"", "an operator can read it");
    }

    #[test]
    fn that_there_is_nothing_comes_back_too() {
        let nothing = seal(&Entry::nothing(), codec(), ERA).unwrap();
        assert!(open(&nothing, codec(), ERA).unwrap().value.is_none());
    }

    #[test]
    fn another_schema_and_another_era_count_as_absent() {
        let value = sealed("text");
        assert!(open(&value, Codec { schema: 4, ..codec() }, ERA).is_none());
        assert!(open(&value, codec(), ERA + 1).is_none());
    }

    #[test]
    fn what_is_corrupt_or_foreign_counts_as_absent() {
        let value = sealed(&"a long story, told again and again, ".repeat(100));
        assert!(opened(&value).is_some());
        for cut in 0..value.len() {
            assert!(opened(&value[..cut]).is_none(), "cut at {cut}");
        }
        let beginnings: [&[u8]; 8] = [
            b"",
            b"\n",
            b"{\"name\":\"Mara\"}",
            b"aim1 3 7 5 json\n{",
            b"aim1 3 7 5 json",
            b"aim2 3 7 5 json\n\"a\"",
            b"aim1 3 7 5 zstd:99999999999\n\"a\"",
            b"aim1 3 7 5 none\n\"a\"",
        ];
        for foreign in beginnings {
            assert!(open(foreign, codec(), ERA).is_none(), "{foreign:?}");
        }
        for at in 0..value.len() {
            let mut flipped = value.clone();
            flipped[at] ^= 0xff;
            // Whatever comes of it, nothing breaks.
            let _ = open(&flipped, codec(), ERA);
        }
    }
}
