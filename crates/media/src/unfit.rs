//! Why a file cannot be taken. `Display` is the sentence for the person who sent it: it says what to do where something
//! can be done, and quotes nothing of the file.

use std::time::Duration;

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("The file is empty.")]
    Empty,
    #[error(
        "This type of file cannot be taken. Pictures may be PNG, JPEG, WebP or GIF, and sound WebM, Ogg (Opus or Vorbis), M4A, MP3 or WAV."
    )]
    UnknownType,
    /// A type that is known, and known not to be taken.
    #[error("{what} cannot be taken. {instead}")]
    OtherType { what: &'static str, instead: &'static str },
    #[error("The file is too large: it may have {} at most.", bytes(*most))]
    TooLarge { most: u64 },
    #[error("The picture is too large: {width} × {height} pixels, where {most_side} a side and {:.1} million in all are the most.", *most_pixels as f64 / 1e6)]
    TooManyPixels { width: u32, height: u32, most_side: u32, most_pixels: u64 },
    #[error("The sound is too long: {} at most.", length(*most))]
    TooLong { most: Duration },
    /// The end is missing. `what` is the format's name.
    #[error("The {what} file is cut off: its end is missing. Please send it again.")]
    Truncated { what: &'static str },
    #[error("The {what} file is broken and cannot be read.")]
    Broken { what: &'static str },
    #[error("The {what} file holds no sound.")]
    NoSound { what: &'static str },
}

/// Whose fault it is, in the words of status codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 415.
    Unsupported,
    /// 413.
    TooLarge,
    /// 422.
    Bad,
}

impl Unfit {
    pub fn fault(&self) -> Fault {
        match self {
            Self::UnknownType | Self::OtherType { .. } => Fault::Unsupported,
            Self::TooLarge { .. } | Self::TooManyPixels { .. } | Self::TooLong { .. } => Fault::TooLarge,
            Self::Empty | Self::Truncated { .. } | Self::Broken { .. } | Self::NoSound { .. } => Fault::Bad,
        }
    }
}

/// `25 MB`, of 2^20 bytes each, as people count files.
fn bytes(count: u64) -> String {
    match count {
        0..1024 => format!("{count} bytes"),
        1024..1_048_576 => format!("{} kB", count >> 10),
        _ => format!("{} MB", count >> 20),
    }
}

/// `90 s`, or `60 min` from two minutes on.
fn length(length: Duration) -> String {
    match length.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_read_well_and_tell_their_status() {
        let large = Unfit::TooLarge { most: 25 << 20 };
        assert_eq!(large.to_string(), "The file is too large: it may have 25 MB at most.");
        let pixels = Unfit::TooManyPixels { width: 60_000, height: 60_000, most_side: 8192, most_pixels: 33_554_432 };
        assert_eq!(
            pixels.to_string(),
            "The picture is too large: 60000 × 60000 pixels, where 8192 a side and 33.6 million in all are the most."
        );
        let long = Unfit::TooLong { most: Duration::from_secs(3600) };
        assert_eq!(long.to_string(), "The sound is too long: 60 min at most.");
        assert_eq!([large.fault(), pixels.fault(), long.fault()], [Fault::TooLarge; 3]);
        assert_eq!(Unfit::UnknownType.fault(), Fault::Unsupported);
        assert_eq!(Unfit::Truncated { what: "PNG" }.fault(), Fault::Bad);
    }
}
