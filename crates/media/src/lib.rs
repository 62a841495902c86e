//! Pictures and sound that people send, taken as hostile: what they are by their content (`sniff`), whether they are
//! fit (`Unfit` says why not), what is shown of them (`picture`, `audio`), and where the bytes lie (`Files`). Knows
//! nothing of users, uploads or HTTP. The limits hold before anything is decoded, decoders that panic are caught, and
//! what is shown of a picture is always encoded anew, so that nothing hidden in a file is handed on.

mod audio;
mod files;
mod picture;
mod sniff;
mod unfit;

pub use audio::{Audio, audio, audio_file};
pub use files::{Entry, Files, FilesError, Found};
pub use picture::{Picture, Variant, picture, plain_png, png};
pub use sniff::{Kind, SNIFFED_BYTES, Sniffed, sniff};
pub use unfit::{Fault, Unfit};

use std::time::Duration;

/// What one file may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Most bytes of a picture as it was sent.
    pub picture_bytes: u64,
    /// Most bytes of a sound as it was sent.
    pub audio_bytes: u64,
    /// Most pixels of a picture's longer side.
    pub side: u32,
    /// Most bytes of a picture's pixels once decoded, three or four a pixel. A decoder's own buffers come to as much
    /// again and twice that for some progressive JPEG, so let few decode at a time.
    pub decode_bytes: u64,
    /// Longest sound.
    pub audio_length: Duration,
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            picture_bytes: 25 << 20,
            audio_bytes: 50 << 20,
            side: 8192,
            decode_bytes: 128 << 20,
            audio_length: Duration::from_secs(3600),
        }
    }
}

impl Caps {
    /// Most bytes of a file of this kind, as it is sent: refuse more while they come.
    pub fn bytes(&self, kind: Kind) -> u64 {
        match kind {
            Kind::Picture => self.picture_bytes,
            Kind::Audio => self.audio_bytes,
        }
    }
}

/// Runs a decoder of others: a panic in it is a broken file, and no more than that.
fn decoding<T>(what: &'static str, decode: impl FnOnce() -> Result<T, Unfit>) -> Result<T, Unfit> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(decode)).unwrap_or_else(|_| {
        tracing::warn!(what, "a decoder panicked");
        Err(Unfit::Broken { what })
    })
}
