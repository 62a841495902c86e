//! Files on their way in: streamed to a file of this machine, a piece at a time, and refused as soon as they are found unfit.

use super::Site;
use super::problem::Problem;
use crate::config::Config;
use aim_domain::{Code, Refusal, Timestamp};
use aim_media::{SNIFFED_BYTES, Sniffed};
use aim_platform::unfit;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};
use tempfile::TempPath;
use tokio::io::AsyncWriteExt;

/// Longest that a sender may be silent in the middle of a file.
const SILENCE: Duration = Duration::from_secs(30);

/// A file that came, or what came of it; the file goes when this does.
pub(super) struct Incoming {
    pub path: TempPath,
    pub size: u64,
    /// The first bytes, as many as tell what it is.
    pub head: Vec<u8>,
    /// The sender was cut off.
    pub broken: bool,
}

impl Incoming {
    pub fn sniffed(&self) -> Result<Sniffed, Problem> {
        aim_platform::sniff(&self.head).map_err(Problem)
    }
}

fn disk(error: &std::io::Error) -> Problem {
    tracing::error!(%error, "an upload could not be written");
    Problem(Refusal::unavailable("The server's disk failed. Try again in a moment."))
}

/// The folder of files on their way in.
fn room(config: &Config) -> PathBuf {
    config.data.dir.join("incoming")
}

/// Removes what a server left there that was killed, and answers how many files. What another server beside this one is
/// receiving stays: nothing takes longer to come than the time-out, and then to be stored.
pub fn sweep(config: &Config, now: Timestamp) -> std::io::Result<u64> {
    let now = UNIX_EPOCH + Duration::from_millis(u64::try_from(now.0).unwrap_or_default());
    let older_than = now.checked_sub(config.media.upload_timeout.saturating_mul(2)).unwrap_or(UNIX_EPOCH);
    let entries = match std::fs::read_dir(room(config)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut swept = 0;
    for entry in entries {
        let entry = entry?;
        // One that is gone was another server's to remove.
        let Ok(file) = entry.metadata() else { continue };
        if file.is_file() && file.modified()? < older_than {
            match std::fs::remove_file(entry.path()) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                removed => removed?,
            }
            swept += 1;
        }
    }
    Ok(swept)
}

/// A file in that folder, with nothing in it yet.
pub(super) async fn empty_file(site: &Site) -> Result<TempPath, Problem> {
    let room = room(&site.config);
    tokio::fs::create_dir_all(&room).await.map_err(|error| disk(&error))?;
    let made = tokio::task::spawn_blocking(move || tempfile::NamedTempFile::new_in(room)).await;
    let file = made.map_err(|_| Problem(Refusal::internal()))?.map_err(|error| disk(&error))?;
    Ok(file.into_temp_path())
}

/// How much may come.
#[derive(Clone, Copy)]
pub(super) enum Most {
    /// Of a whole file: what its type may have, once its first bytes tell.
    OfKind,
    Bytes(u64),
}

impl Most {
    fn check(self, site: &Site, incoming: &Incoming) -> Result<(), Problem> {
        let (most, kind_is_known) = match self {
            Self::Bytes(most) => (most, true),
            Self::OfKind if incoming.head.len() < SNIFFED_BYTES => (0, false),
            Self::OfKind => (site.platform.media()?.caps.bytes(incoming.sniffed()?.kind), true),
        };
        if kind_is_known && incoming.size > most {
            return Err(Problem(unfit(&aim_media::Unfit::TooLarge { most })));
        }
        Ok(())
    }
}

/// Writes what comes to a file, until it ends, breaks off, or is more than there may be.
pub(super) async fn receive<E>(
    site: &Site,
    most: Most,
    mut pieces: impl Stream<Item = Result<Bytes, E>> + Send + Unpin,
) -> Result<Incoming, Problem> {
    let path = empty_file(site).await?;
    let mut file = tokio::fs::File::create(&path).await.map_err(|error| disk(&error))?;
    let mut incoming = Incoming { path, size: 0, head: Vec::with_capacity(SNIFFED_BYTES), broken: false };
    loop {
        let piece = match tokio::time::timeout(SILENCE, pieces.next()).await {
            Ok(Some(Ok(piece))) => piece,
            Ok(None) => break,
            Ok(Some(Err(_))) | Err(_) => {
                incoming.broken = true;
                break;
            }
        };
        let wanted = (SNIFFED_BYTES - incoming.head.len()).min(piece.len());
        incoming.head.extend_from_slice(&piece[..wanted]);
        incoming.size += piece.len() as u64;
        most.check(site, &incoming)?;
        file.write_all(&piece).await.map_err(|error| disk(&error))?;
    }
    file.flush().await.map_err(|error| disk(&error))?;
    Ok(incoming)
}

pub(super) fn broke_off() -> Problem {
    Problem(Refusal::new(Code::Validation, "The file broke off on its way. Send it again."))
}
