//! CHARX: a zip with `card.json` at its root and the card's files beside it.
//!
//! A reader of its own, for one reason: a directory of half a million entries is as small a file as a picture, and readers of
//! zip build it in memory. This one counts before it reads, keeps the few names that it needs, and unfolds an entry no
//! further than the entry may be long, whatever it says of itself.

use crate::{MAX_JSON, Unfit};
use flate2::Crc;
use flate2::read::DeflateDecoder;
use std::io::{Read, Seek, SeekFrom};

pub(crate) const SIGNATURE: [u8; 4] = *b"PK\x03\x04";
/// Files in an archive, and bytes of its directory, at the most.
const MAX_FILES: usize = 10_000;
const MAX_DIRECTORY: u64 = 4 << 20;
const MAX_COMMENT: u64 = 65_535;
const CARD: &str = "card.json";

/// An archive's directory.
pub(crate) struct Archive {
    entries: Vec<Entry>,
}

struct Entry {
    name: String,
    file: File,
}

/// Where a file of an archive lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct File {
    method: u16,
    crc: u32,
    packed: u64,
    /// Bytes once it is unfolded, by the directory.
    size: u64,
    at: u64,
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|two| u16::from_le_bytes(*two))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|four| u32::from_le_bytes(*four))
}

const DIRECTORY: Unfit = Unfit::Damaged("directory");

impl Archive {
    pub fn open(source: &mut (impl Read + Seek)) -> Result<Self, Unfit> {
        let length = source.seek(SeekFrom::End(0))?;
        let start = length.saturating_sub(MAX_COMMENT + 22);
        source.seek(SeekFrom::Start(start))?;
        let mut tail = Vec::new();
        source.take(MAX_COMMENT + 22).read_to_end(&mut tail)?;
        let ends_here = |at: usize| {
            tail[at..].starts_with(b"PK\x05\x06")
                && u16_at(&tail, at + 20).is_some_and(|comment| at + 22 + usize::from(comment) == tail.len())
        };
        let end = (0..tail.len()).rev().find(|at| ends_here(*at)).ok_or(Unfit::CutOff("directory"))?;
        let field = |at| u16_at(&tail, end + at).ok_or(DIRECTORY);
        let (disk, first_disk, here, count) = (field(4)?, field(6)?, field(8)?, field(10)?);
        let size = u64::from(u32_at(&tail, end + 12).ok_or(DIRECTORY)?);
        let offset = u64::from(u32_at(&tail, end + 16).ok_or(DIRECTORY)?);
        if disk != 0 || first_disk != 0 || here != count {
            return Err(Unfit::Packed("it is one of several parts"));
        }
        if count == u16::MAX || size == u64::from(u32::MAX) || offset == u64::from(u32::MAX) {
            return Err(Unfit::Packed("it is of the large form (Zip64)"));
        }
        if usize::from(count) > MAX_FILES || size > MAX_DIRECTORY {
            return Err(Unfit::TooManyFiles { most: MAX_FILES });
        }
        let before = (start + end as u64).checked_sub(size + offset).ok_or(DIRECTORY)?;
        source.seek(SeekFrom::Start(before + offset))?;
        let mut directory = Vec::new();
        source.take(size).read_to_end(&mut directory)?;
        // What stands before the archive, as the picture of one that is a picture as well.
        Ok(Self { entries: entries(&directory, usize::from(count), before)? })
    }

    pub fn file(&self, name: &str) -> Option<File> {
        self.entries.iter().find(|entry| entry.name == name).map(|entry| entry.file)
    }

    /// Every file but the card's text.
    pub fn files(&self) -> impl Iterator<Item = (&str, File)> {
        let files = self.entries.iter().filter(|entry| entry.name != CARD && !entry.name.ends_with('/'));
        files.map(|entry| (entry.name.as_str(), entry.file))
    }

    /// Where in the file its first entry stands: what is before it is not of the archive.
    pub fn start(&self) -> u64 {
        self.entries.iter().map(|entry| entry.file.at).min().unwrap_or_default()
    }

    pub fn card(&self, source: &mut (impl Read + Seek)) -> Result<Vec<u8>, Unfit> {
        let card = self.read(source, CARD, MAX_JSON, "card.json")?;
        card.ok_or(Unfit::NoCardInArchive)
    }

    /// An entry of `most` bytes at the most; none where there is no entry of this name.
    pub fn read(
        &self,
        source: &mut (impl Read + Seek),
        name: &str,
        most: u64,
        what: &'static str,
    ) -> Result<Option<Vec<u8>>, Unfit> {
        self.file(name).map(|file| file.read(source, most, what)).transpose()
    }
}

impl File {
    /// Bytes once it is unfolded, by the directory; it is unfolded no further.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Its bytes, `most` at the most.
    pub fn read(&self, source: &mut (impl Read + Seek), most: u64, what: &'static str) -> Result<Vec<u8>, Unfit> {
        // One that says so is not begun, and one that unfolds to more than it says goes no further than that.
        if self.size > most {
            return Err(Unfit::Unfolds(what));
        }
        source.seek(SeekFrom::Start(self.at))?;
        let mut head = [0; 30];
        source.read_exact(&mut head).map_err(|_| Unfit::CutOff("files"))?;
        if !head.starts_with(&SIGNATURE) {
            return Err(Unfit::Damaged("files"));
        }
        let skipped = [26, 28].into_iter().filter_map(|at| u16_at(&head, at)).map(i64::from).sum();
        source.seek(SeekFrom::Current(skipped))?;
        let packed = source.take(self.packed);
        let mut bytes = Vec::new();
        let read = match self.method {
            0 => packed.take(self.size + 1).read_to_end(&mut bytes),
            8 => DeflateDecoder::new(packed).take(self.size + 1).read_to_end(&mut bytes),
            _ => return Err(Unfit::Packed("its files are packed by another method than deflate")),
        };
        read.map_err(|_| Unfit::Damaged("files"))?;
        if bytes.len() as u64 > self.size {
            return Err(Unfit::Unfolds(what));
        }
        let mut crc = Crc::new();
        crc.update(&bytes);
        // A fuzzer does not guess sums.
        let is_whole = cfg!(fuzzing) || crc.sum() == self.crc;
        if is_whole { Ok(bytes) } else { Err(Unfit::Damaged("files")) }
    }
}

fn entries(mut directory: &[u8], count: usize, before: u64) -> Result<Vec<Entry>, Unfit> {
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        if !directory.starts_with(b"PK\x01\x02") {
            return Err(DIRECTORY);
        }
        let short = |at| u16_at(directory, at).ok_or(DIRECTORY);
        let long = |at| u32_at(directory, at).ok_or(DIRECTORY);
        let (flags, method, crc) = (short(8)?, short(10)?, long(16)?);
        let (packed, size, at) = (long(20)?, long(24)?, long(42)?);
        let (name, extra, comment) = (short(28)?, short(30)?, short(32)?);
        if flags & 1 != 0 {
            return Err(Unfit::EncryptedArchive);
        }
        let name = directory.get(46..46 + usize::from(name)).ok_or(DIRECTORY)?;
        let whole = 46 + name.len() + usize::from(extra) + usize::from(comment);
        let name = String::from_utf8_lossy(name).into_owned();
        if leads_outside(&name) {
            return Err(Unfit::PathOutside);
        }
        let at = before.saturating_add(at.into());
        entries.push(Entry { name, file: File { method, crc, packed: packed.into(), size: size.into(), at } });
        directory = directory.get(whole..).ok_or(DIRECTORY)?;
    }
    Ok(entries)
}

pub(crate) fn leads_outside(name: &str) -> bool {
    let parts = || name.split(['/', '\\']);
    parts().any(|part| part == "..") || parts().next() == Some("") || name.as_bytes().get(1) == Some(&b':')
}
