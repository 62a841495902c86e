//! What a file is, by its first bytes and never by its name or by what the sender says.

use crate::Unfit;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Picture,
    Audio,
}

/// A type that can be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sniffed {
    pub kind: Kind,
    /// For the header that the bytes are served with.
    pub mime: &'static str,
    /// Without a dot.
    pub extension: &'static str,
    pub(crate) format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Png,
    Jpeg,
    WebP,
    Gif,
    WebM,
    Ogg,
    M4a,
    Mp3,
    Wav,
}

impl Format {
    /// As people know it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::WebP => "WebP",
            Self::Gif => "GIF",
            Self::WebM => "WebM",
            Self::Ogg => "Ogg",
            Self::M4a => "M4A",
            Self::Mp3 => "MP3",
            Self::Wav => "WAV",
        }
    }

    fn sniffed(self) -> Sniffed {
        let (kind, mime, extension) = match self {
            Self::Png => (Kind::Picture, "image/png", "png"),
            Self::Jpeg => (Kind::Picture, "image/jpeg", "jpg"),
            Self::WebP => (Kind::Picture, "image/webp", "webp"),
            Self::Gif => (Kind::Picture, "image/gif", "gif"),
            Self::WebM => (Kind::Audio, "audio/webm", "webm"),
            Self::Ogg => (Kind::Audio, "audio/ogg", "ogg"),
            Self::M4a => (Kind::Audio, "audio/mp4", "m4a"),
            Self::Mp3 => (Kind::Audio, "audio/mpeg", "mp3"),
            Self::Wav => (Kind::Audio, "audio/wav", "wav"),
        };
        Sniffed { kind, mime, extension, format: self }
    }
}

/// As many first bytes as `sniff` looks at; give it fewer only when the file has no more.
pub const SNIFFED_BYTES: usize = 512;

const OTHER_PICTURES: &str = "Please send a PNG, JPEG, WebP or GIF.";
const OTHER_SOUNDS: &str = "Please send WebM, Ogg (Opus or Vorbis), M4A, MP3 or WAV.";

/// The type of a file that starts with `head`. That it is whole, and sound, is for `picture` and `audio` to say.
pub fn sniff(head: &[u8]) -> Result<Sniffed, Unfit> {
    let head = &head[..head.len().min(SNIFFED_BYTES)];
    let at = |from: usize, bytes: &[u8]| head.get(from..).is_some_and(|rest| rest.starts_with(bytes));
    let format = match head {
        [] => return Err(Unfit::Empty),
        _ if at(0, b"\x89PNG\r\n\x1a\n") => Format::Png,
        _ if at(0, b"\xff\xd8\xff") => Format::Jpeg,
        _ if at(0, b"RIFF") && at(8, b"WEBP") => Format::WebP,
        _ if at(0, b"GIF87a") || at(0, b"GIF89a") => Format::Gif,
        _ if at(0, b"RIFF") && at(8, b"WAVE") => Format::Wav,
        _ if at(0, b"\x1a\x45\xdf\xa3") => matroska(head)?,
        _ if at(0, b"OggS") => ogg(head)?,
        _ if at(4, b"ftyp") => mp4(head)?,
        _ if at(0, b"ID3") || mpeg_layer_3(head) => Format::Mp3,
        _ if at(0, b"fLaC") => return other("FLAC", OTHER_SOUNDS),
        _ if at(0, b"FORM") && (at(8, b"AIFF") || at(8, b"AIFC")) => return other("AIFF", OTHER_SOUNDS),
        _ if at(0, b"BM") && at(14, b"\x28\0\0\0") => return other("BMP", OTHER_PICTURES),
        _ if at(0, b"II*\0") || at(0, b"MM\0*") => return other("TIFF", OTHER_PICTURES),
        _ if at(0, b"%PDF") => return other("PDF", OTHER_PICTURES),
        _ if markup(head, b"<svg") => return other("SVG", OTHER_PICTURES),
        _ => return Err(Unfit::UnknownType),
    };
    Ok(format.sniffed())
}

fn other<T>(what: &'static str, instead: &'static str) -> Result<T, Unfit> {
    Err(Unfit::OtherType { what, instead })
}

fn holds(head: &[u8], bytes: &[u8]) -> bool {
    head.windows(bytes.len()).any(|window| window == bytes)
}

/// Text that starts as markup does, with this tag somewhere in it.
fn markup(head: &[u8], tag: &[u8]) -> bool {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    text.starts_with(b"<") && holds(head, tag)
}

/// The type of document stands in the header: element 0x4282, its length, the word.
fn matroska(head: &[u8]) -> Result<Format, Unfit> {
    match () {
        () if holds(head, b"\x42\x82\x84webm") => Ok(Format::WebM),
        () if holds(head, b"\x42\x82\x88matroska") => other("Matroska", OTHER_SOUNDS),
        () => Err(Unfit::UnknownType),
    }
}

/// The first page holds one packet, which names the codec. A page's head is 27 bytes and one for each segment.
fn ogg(head: &[u8]) -> Result<Format, Unfit> {
    let packet = head.get(26).and_then(|&segments| head.get(27 + usize::from(segments)..)).unwrap_or_default();
    match packet {
        _ if packet.starts_with(b"OpusHead") || packet.starts_with(b"\x01vorbis") => Ok(Format::Ogg),
        _ if packet.starts_with(b"\x80theora") => other("Video", OTHER_SOUNDS),
        _ => other("Ogg with anything but Opus or Vorbis", OTHER_SOUNDS),
    }
}

/// The brand tells films and sounds from the pictures that share their container. Many writers of sound call it a
/// film, so the tracks decide later.
fn mp4(head: &[u8]) -> Result<Format, Unfit> {
    match head.get(8..12).unwrap_or_default() {
        b"heic" | b"heix" | b"hevc" | b"heim" | b"heis" | b"mif1" | b"msf1" => other("HEIC", OTHER_PICTURES),
        b"avif" | b"avis" => other("AVIF", OTHER_PICTURES),
        b"qt  " => other("QuickTime", OTHER_SOUNDS),
        _ => Ok(Format::M4a),
    }
}

/// The head of an MPEG audio frame, of layer III: eleven bits set, a version, a bit rate and a sample rate that exist.
fn mpeg_layer_3(head: &[u8]) -> bool {
    let &[0xff, second, third, ..] = head else { return false };
    let (version, layer, bit_rate, sample_rate) = (second >> 3 & 3, second >> 1 & 3, third >> 4, third >> 2 & 3);
    second & 0xe0 == 0xe0 && version != 1 && layer == 1 && !matches!(bit_rate, 0 | 15) && sample_rate != 3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(head: &[u8]) -> Option<&'static str> {
        sniff(head).ok().map(|sniffed| sniffed.extension)
    }

    #[test]
    fn the_content_decides() {
        assert_eq!(name(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), Some("png"));
        assert_eq!(name(b"\xff\xd8\xff\xe0"), Some("jpg"));
        assert_eq!(name(b"RIFF\x10\0\0\0WEBPVP8 "), Some("webp"));
        assert_eq!(name(b"RIFF\x10\0\0\0WAVEfmt "), Some("wav"));
        assert_eq!(name(b"GIF89a"), Some("gif"));
        assert_eq!(name(b"ID3\x04\0\0"), Some("mp3"));
        assert_eq!(name(b"\xff\xfb\x90\0"), Some("mp3"));
        assert_eq!(name(b"\0\0\0\x1cftypM4A \0\0\0\0"), Some("m4a"));
    }

    #[test]
    fn what_only_resembles_a_type_is_not_it() {
        // ADTS, which has no container; a layer that is not III; a rate that does not exist.
        for head in [&b"\xff\xf1\x50\x80"[..], b"\xff\xfd\x90\0", b"\xff\xfb\xf0\0", b"\xff\xfb", b"\x89PNG", b"R"] {
            assert_eq!(sniff(head), Err(Unfit::UnknownType), "{head:?}");
        }
        assert_eq!(sniff(b""), Err(Unfit::Empty));
    }

    #[test]
    fn known_types_that_are_not_taken_are_called_by_their_name() {
        let told = |head: &[u8]| sniff(head).unwrap_err().to_string();
        assert!(told(b"\0\0\0\x18ftypheic\0\0\0\0").starts_with("HEIC cannot be taken. Please send a PNG"));
        assert!(told(b"%PDF-1.7").starts_with("PDF cannot"));
        assert!(told(b"\xef\xbb\xbf\n<?xml version='1.0'?><svg onload=x>").starts_with("SVG cannot"));
        assert!(told(b"fLaC\0\0\0\x22").starts_with("FLAC cannot"));
    }
}
