//! The part of a file that is sound, as a source of its own.

use std::io::{self, Read, Seek, SeekFrom};
use symphonia::core::io::MediaSource;

/// Tags before the sound that are stepped over; taggers that know no better put a second one before the first.
const TAGS_MOST: usize = 4;

/// Where the sound of an MP3 begins. What ID3 tags hold is of no use here, and may be a picture of many megabytes.
pub(super) fn after_id3(source: &mut (impl Read + Seek)) -> io::Result<u64> {
    let mut at = 0;
    for _ in 0..TAGS_MOST {
        source.seek(SeekFrom::Start(at))?;
        let mut head = Vec::with_capacity(10);
        source.by_ref().take(10).read_to_end(&mut head)?;
        let [b'I', b'D', b'3', _, _, flags, sizes @ ..] = &head[..] else { break };
        // Seven bits a byte. A footer is a second head.
        let size = sizes.iter().fold(0, |size, byte| size << 7 | u64::from(byte & 0x7f));
        at += 10 + size + if flags & 0x10 == 0 { 0 } else { 10 };
    }
    Ok(at)
}

/// The bytes of a source between two places.
pub(super) struct Part<S> {
    source: S,
    start: u64,
    length: u64,
    at: u64,
}

impl<S: Seek> Part<S> {
    pub(super) fn new(mut source: S, start: u64, end: u64) -> io::Result<Self> {
        let start = start.min(end);
        source.seek(SeekFrom::Start(start))?;
        Ok(Self { source, start, length: end - start, at: 0 })
    }
}

impl<S: Read> Read for Part<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.length.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let most = buffer.len().min(left);
        let read = self.source.read(&mut buffer[..most])?;
        self.at += read as u64;
        Ok(read)
    }
}

impl<S: Seek> Seek for Part<S> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(to) => Some(to),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        let place = to.and_then(|to| Some((to, self.start.checked_add(to)?)));
        let (to, place) = place.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        self.source.seek(SeekFrom::Start(place))?;
        self.at = to;
        Ok(to)
    }
}

impl<S: Read + Seek + Send + Sync> MediaSource for Part<S> {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.length)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::io::Cursor;

    #[test]
    fn a_part_is_all_there_is() {
        let mut part = Part::new(Cursor::new(b"0123456789".to_vec()), 2, 8).unwrap();
        let mut all = String::new();
        part.read_to_string(&mut all).unwrap();
        assert_eq!((all.as_str(), part.byte_len()), ("234567", Some(6)));
        assert_eq!(part.seek(SeekFrom::End(-2)).unwrap(), 4);
        assert_eq!(part.read(&mut [0; 9]).unwrap(), 2);
        assert!(part.seek(SeekFrom::Current(-7)).is_err());
        assert_eq!((part.seek(SeekFrom::Start(u64::MAX - 9)).is_ok(), part.read(&mut [0; 9]).unwrap()), (true, 0));
    }

    #[test]
    fn tags_are_stepped_over_however_long_they_claim_to_be() {
        let after = |bytes: &[u8]| after_id3(&mut Cursor::new(bytes)).unwrap();
        assert_eq!(after(b"ID3\x04\0\0\0\0\x01\x02"), 10 + 130);
        assert_eq!(after(b"ID3\x04\0\x10\0\0\0\0"), 20, "a footer");
        assert_eq!(after(b"ID3\x04\0\0\0\0\0\0ID3\x04\0\0\0\0\0\x05"), 25);
        assert_eq!(after(b"ID3\x04\0\0\x7f\x7f\x7f\x7f"), 10 + (1 << 28) - 1);
        assert_eq!((after(b"\xff\xfb\x90\0"), after(b"ID3"), after(b"")), (0, 0, 0));
    }
}
