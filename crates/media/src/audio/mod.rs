//! Sound: whether it is one, how long, and how loud when. It is decoded to its end, a packet at a time, since neither
//! the length that a file claims nor its being playable can be believed; nothing of what was decoded is kept.

mod decoder;
mod source;
mod vorbis;
mod waveform;

use crate::sniff::Format;
use crate::{Caps, Kind, SNIFFED_BYTES, Unfit, decoding, sniff};
use decoder::Decoder;
use source::Part;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek};
use std::path::Path;
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::{Hint, Probe};
use symphonia::core::formats::{FormatReader, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::default::formats::{IsoMp4Reader, MkvReader, MpaReader, OggReader, WavReader};
use waveform::Waveform;

/// What is told of a sound. Its bytes are kept as they were sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audio {
    /// As decoded, whatever the file says of itself.
    pub length_ms: u64,
    /// 100 peaks over the whole length, 0 (silence) to 255 (full scale).
    pub waveform: Vec<u8>,
}

/// Packets that cannot be decoded, beyond which a file is broken: so many, and one for each four good ones.
const BAD_PACKETS: u64 = 16;

/// Decodes a sound to its end. Blocks for some seconds an hour of sound. Where a format has no end of its own, one that
/// was cut off is as long as what came: recorders that are stopped leave such files, and lengths that are wrong.
pub fn audio(bytes: &[u8], caps: &Caps) -> Result<Audio, Unfit> {
    measured(Cursor::new(bytes), bytes.len() as u64, caps).unwrap_or(Err(Unfit::Empty))
}

/// The same of a file of this machine, which is never whole in memory. The outer error is that of reading it.
pub fn audio_file(path: &Path, caps: &Caps) -> io::Result<Result<Audio, Unfit>> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    measured(file, length, caps)
}

fn measured<S: Read + Seek + Send + Sync>(mut source: S, length: u64, caps: &Caps) -> io::Result<Result<Audio, Unfit>> {
    let mut head = Vec::with_capacity(SNIFFED_BYTES);
    source.by_ref().take(SNIFFED_BYTES as u64).read_to_end(&mut head)?;
    let format = match sniff(&head) {
        Ok(sniffed) if sniffed.kind == Kind::Audio => sniffed.format,
        Ok(_) => return Ok(Err(Unfit::OtherType { what: "A picture", instead: "Please send sound." })),
        Err(unfit) => return Ok(Err(unfit)),
    };
    if length > caps.audio_bytes {
        return Ok(Err(Unfit::TooLarge { most: caps.audio_bytes }));
    }
    let start = if format == Format::Mp3 { source::after_id3(&mut source)? } else { 0 };
    let part = Part::new(source, start, length)?;
    Ok(decoding(format.name(), || decoded(part, format, caps)))
}

fn decoded<'s, S: Read + Seek + Send + Sync + 's>(part: Part<S>, format: Format, caps: &Caps) -> Result<Audio, Unfit> {
    let what = format.name();
    let mut reader = reader(part, format).map_err(|error| unfit(what, &error))?;
    let mut waveform = Waveform::default();
    let (mut good, mut bad) = (0_u64, 0_u64);
    // An Ogg file may hold one stream after another, each with a decoder of its own.
    'streams: loop {
        if reader.tracks().iter().any(|track| track.track_type() == Some(TrackType::Video)) {
            return Err(Unfit::OtherType { what: "Video", instead: "Please send its sound alone." });
        }
        let Some(track) = reader.default_track(TrackType::Audio) else { return Err(Unfit::NoSound { what }) };
        let (id, mut decoder) = (track.id, Decoder::of(track, what)?);
        loop {
            let packet = match reader.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => break 'streams,
                Err(Error::ResetRequired) => continue 'streams,
                Err(Error::IoError(error)) if error.kind() == io::ErrorKind::UnexpectedEof && good > 0 => {
                    break 'streams;
                }
                Err(error) => return Err(unfit(what, &error)),
            };
            if packet.track_id != id {
                continue;
            }
            match decoder.decode(&packet, &mut waveform) {
                Ok(()) => good += 1,
                Err(_) => bad += 1,
            }
            if bad > BAD_PACKETS + good / 4 {
                return Err(Unfit::Broken { what });
            }
            if waveform.length() > caps.audio_length {
                return Err(Unfit::TooLong { most: caps.audio_length });
            }
        }
    }
    let length_ms = u64::try_from(waveform.length().as_millis()).unwrap_or(u64::MAX);
    let waveform = waveform.finish().ok_or(if bad > 0 { Unfit::Broken { what } } else { Unfit::NoSound { what } })?;
    Ok(Audio { length_ms, waveform })
}

/// The reader of this format and of no other, so that a file cannot be one thing here and another elsewhere.
fn reader<'s, S: Read + Seek + Send + Sync + 's>(
    part: Part<S>,
    format: Format,
) -> Result<Box<dyn FormatReader + 's>, Error> {
    let mut probe = Probe::new();
    match format {
        Format::WebM => probe.register_format::<MkvReader<'_>>(),
        Format::Ogg => probe.register_format::<OggReader<'_>>(),
        Format::M4a => probe.register_format::<IsoMp4Reader<'_>>(),
        Format::Mp3 => probe.register_format::<MpaReader<'_>>(),
        Format::Wav => probe.register_format::<WavReader<'_>>(),
        Format::Png | Format::Jpeg | Format::WebP | Format::Gif => {}
    }
    let stream = MediaSourceStream::new(Box::new(part), Default::default());
    probe.probe(&Hint::new(), stream, Default::default(), Default::default())
}

fn unfit(what: &'static str, error: &Error) -> Unfit {
    match error {
        Error::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => Unfit::Truncated { what },
        _ => Unfit::Broken { what },
    }
}
