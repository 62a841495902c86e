//! A PNG as a row of chunks: finding the card among them, and writing a PNG with a card. What is not a card's text is
//! skipped unread; pixels are somebody else's.

use crate::{MAX_JSON, MAX_PICTURE, Unfit};
use flate2::Crc;
use flate2::read::ZlibDecoder;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};

pub(crate) const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";
/// Chunks of a PNG at the most; an encoder that writes 8 KB each needs a tenth for the largest file.
const MAX_CHUNKS: usize = 100_000;
/// Most bytes of a card's text: base64 of the longest JSON, in lines, with its keyword.
const MAX_TEXT: u64 = MAX_JSON / 3 * 4 + MAX_JSON / 24;
/// Longest keyword, with its NUL.
const KEYWORD: usize = 80;

/// The texts of a PNG that hold a card, as they stand there.
#[derive(Default)]
pub(crate) struct Texts {
    pub v3: Option<Found>,
    pub v2: Option<Found>,
    pub files: Chunks,
}

/// Files beside the card, in chunks of their own, by the names that the card calls them.
pub(crate) type Chunks = HashMap<String, Found>;

/// Files in a PNG that are looked at, at the most; one that the card takes its picture from is among them.
const MAX_FILES: usize = 1_000;
/// Most bytes of a file's text.
const MAX_FILE_TEXT: u64 = MAX_PICTURE / 3 * 4 + MAX_PICTURE / 24;

/// The chunks that hold texts: as it is, compressed, and in UTF-8, compressed or not. Programs that write a picture anew change one
/// into another.
const TEXTS: [[u8; 4]; 3] = [*b"tEXt", *b"zTXt", *b"iTXt"];

/// Where a text stands, and whether it is as it was written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    kind: [u8; 4],
    at: u64,
    length: u64,
    crc: u32,
    /// Bytes of the chunk before the text.
    keyword: usize,
}

impl Found {
    /// Bytes of the text.
    pub fn length(&self) -> u64 {
        self.length - self.keyword as u64
    }
}

/// Looks through all chunks, to IEND.
pub(crate) fn texts(source: &mut (impl Read + Seek)) -> Result<Texts, Unfit> {
    let end = source.seek(SeekFrom::End(0))?;
    source.seek(SeekFrom::Start(SIGNATURE.len() as u64))?;
    let mut source = BufReader::new(source);
    let mut at = SIGNATURE.len() as u64;
    let mut found = Texts::default();
    for _ in 0..MAX_CHUNKS {
        let mut head = [0; 8];
        source.read_exact(&mut head).map_err(|_| Unfit::CutOff("picture"))?;
        let [a, b, c, d, kind @ ..] = head;
        let length = u64::from(u32::from_be_bytes([a, b, c, d]));
        let next = at + 12 + length;
        if next > end {
            return Err(Unfit::CutOff("picture"));
        }
        if &kind == b"IEND" {
            return Ok(found);
        }
        let mut read = 0;
        if TEXTS.contains(&kind) {
            let mut word = vec![0; usize::try_from(length).map_or(KEYWORD, |length| length.min(KEYWORD))];
            source.read_exact(&mut word)?;
            read = word.len();
            if let Some((name, keyword)) = name(&word)
                && found.wants(&name)
                && (&kind == b"tEXt" || !matches!(name, Name::File(_)))
            {
                if length > MAX_TEXT && !matches!(name, Name::File(_)) {
                    return Err(Unfit::TextTooLarge);
                }
                source.seek_relative(offset(length - read as u64))?;
                let mut crc = [0; 4];
                source.read_exact(&mut crc)?;
                found.put(name, Found { kind, at: at + 8, length, crc: u32::from_be_bytes(crc), keyword });
                at = next;
                continue;
            }
        }
        source.seek_relative(offset(length + 4 - read as u64))?;
        at = next;
    }
    Err(Unfit::Damaged("picture"))
}

fn offset(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// What a text is.
enum Name {
    V3,
    V2,
    /// A file that the card calls so.
    File(String),
}

/// What a text with this keyword is, and how long the keyword is with its NUL.
fn name(start: &[u8]) -> Option<(Name, usize)> {
    let end = start.iter().position(|byte| *byte == 0)?;
    let name = match &start[..end] {
        word if word.eq_ignore_ascii_case(b"ccv3") => Name::V3,
        word if word.eq_ignore_ascii_case(b"chara") => Name::V2,
        // Older writers have no colon.
        word => {
            let name = word.strip_prefix(b"chara-ext-asset_")?;
            Name::File(String::from_utf8(name.strip_prefix(b":").unwrap_or(name).to_vec()).ok()?)
        }
    };
    Some((name, end + 1))
}

impl Texts {
    /// Whether there is none of this name yet, and room for it.
    fn wants(&self, name: &Name) -> bool {
        match name {
            Name::V3 => self.v3.is_none(),
            Name::V2 => self.v2.is_none(),
            Name::File(name) => self.files.len() < MAX_FILES && !self.files.contains_key(name),
        }
    }

    fn put(&mut self, name: Name, found: Found) {
        match name {
            Name::V3 => self.v3 = Some(found),
            Name::V2 => self.v2 = Some(found),
            Name::File(name) if found.length <= MAX_FILE_TEXT => drop(self.files.insert(name, found)),
            Name::File(_) => {}
        }
    }
}

/// A text, and whether its checksum holds.
pub(crate) fn text(source: &mut (impl Read + Seek), found: Found) -> Result<(Vec<u8>, bool), Unfit> {
    source.seek(SeekFrom::Start(found.at))?;
    let mut text = Vec::new();
    source.take(found.length).read_to_end(&mut text)?;
    if text.len() as u64 != found.length {
        return Err(Unfit::CutOff("text"));
    }
    let mut crc = Crc::new();
    crc.update(&found.kind);
    crc.update(&text);
    text.drain(..found.keyword);
    // A fuzzer does not guess sums.
    Ok((plain(&found.kind, text)?, cfg!(fuzzing) || crc.sum() == found.crc))
}

/// The text of a chunk of this kind, of what stands there after its keyword.
fn plain(kind: &[u8; 4], content: Vec<u8>) -> Result<Vec<u8>, Unfit> {
    let broken = || Unfit::Damaged("text");
    match kind {
        b"zTXt" => inflated(content.get(1..).ok_or_else(broken)?),
        b"iTXt" => {
            // Whether it is compressed, and how; then a language and the keyword in it, each with its NUL.
            let [compressed, _, rest @ ..] = content.as_slice() else { return Err(broken()) };
            let mut parts = rest.splitn(3, |byte| *byte == 0);
            let text = parts.by_ref().nth(2).ok_or_else(broken)?;
            if *compressed == 0 { Ok(text.to_vec()) } else { inflated(text) }
        }
        _ => Ok(content),
    }
}

fn inflated(packed: &[u8]) -> Result<Vec<u8>, Unfit> {
    let mut text = Vec::new();
    ZlibDecoder::new(packed).take(MAX_TEXT + 1).read_to_end(&mut text).map_err(|_| Unfit::Damaged("text"))?;
    if text.len() as u64 > MAX_TEXT { Err(Unfit::TextTooLarge) } else { Ok(text) }
}

/// `picture` with these texts before its end, and without those that it had under the names of cards.
pub(crate) fn with_texts(picture: &[u8], texts: &[(String, String)]) -> Result<Vec<u8>, Unfit> {
    let longer: usize = texts.iter().map(|(keyword, text)| keyword.len() + text.len() + 13).sum();
    let mut out = Vec::with_capacity(picture.len() + longer);
    let mut rest = picture.strip_prefix(&SIGNATURE).ok_or(Unfit::NotACard)?;
    out.extend_from_slice(&SIGNATURE);
    loop {
        let length = rest.first_chunk().map(|length| u32::from_be_bytes(*length)).ok_or(Unfit::CutOff("picture"))?;
        let whole = usize::try_from(length).map_err(|_| Unfit::CutOff("picture"))?.saturating_add(12);
        let chunk = rest.get(..whole).ok_or(Unfit::CutOff("picture"))?;
        rest = &rest[whole..];
        let (kind, content) = (&chunk[4..8], &chunk[8..whole - 4]);
        if kind == b"IEND" {
            for (keyword, text) in texts {
                let mut content = Vec::with_capacity(keyword.len() + 1 + text.len());
                content.extend_from_slice(keyword.as_bytes());
                content.push(0);
                content.extend_from_slice(text.as_bytes());
                push(&mut out, b"tEXt", &content)?;
            }
            out.extend_from_slice(chunk);
            return Ok(out);
        }
        if !TEXTS.iter().any(|text| text == kind) || name(content).is_none() {
            out.extend_from_slice(chunk);
        }
    }
}

fn push(out: &mut Vec<u8>, kind: &[u8; 4], content: &[u8]) -> Result<(), Unfit> {
    let length = u32::try_from(content.len()).map_err(|_| Unfit::TextTooLarge)?;
    let mut crc = Crc::new();
    crc.update(kind);
    crc.update(content);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(kind);
    out.extend_from_slice(content);
    out.extend_from_slice(&crc.sum().to_be_bytes());
    Ok(())
}

/// Whether there is anything to read at all.
pub(crate) fn first_bytes(source: &mut (impl Read + Seek)) -> Result<Vec<u8>, Unfit> {
    source.seek(SeekFrom::Start(0))?;
    let mut reader = BufReader::with_capacity(64, source);
    Ok(reader.fill_buf()?.to_vec())
}
