//! Where the bytes lie: a folder, or a bucket of S3 or Google Cloud Storage. A key is a path of plain words, as
//! `ab/018f…/thumb.webp`; what it means is the caller's business.
//!
//! Buckets take their credentials and endpoints from the environment, by the names that their vendors gave them
//! (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT`, `GOOGLE_SERVICE_ACCOUNT`, …).

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, WriteMultipart};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use tokio::io::AsyncReadExt;

/// Bytes of a part of a streamed upload, and how many are under way at a time. S3 takes no less than 5 MiB.
const PART_BYTES: usize = 5 << 20;
const PARTS_AT_A_TIME: usize = 2;
/// What is read of a file at a time.
const READ_BYTES: usize = 64 << 10;
/// Longest key.
const KEY_MOST: usize = 512;

/// What can go wrong with stored bytes. Holds no credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilesError {
    /// The place cannot be used; the text says what to do.
    #[error("{0}")]
    Place(String),
    /// Not letters, digits, `.`, `_`, `-` between single slashes; or a part that begins with a dot; or too long.
    #[error("a key that cannot be")]
    Key,
    #[error("no such file")]
    Missing,
    /// The storage did not do it; it may later.
    #[error("the file storage failed: {0}")]
    Storage(String),
}

impl From<object_store::Error> for FilesError {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { .. } => Self::Missing,
            error => Self::Storage(error.to_string()),
        }
    }
}

/// What is known of stored bytes without reading them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub size: u64,
    /// Changes with the bytes; quoted where the storage quotes it.
    pub etag: Option<String>,
    pub modified: SystemTime,
}

/// One of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub key: String,
    pub size: u64,
    pub modified: SystemTime,
}

/// A place for bytes. Clones are the same place.
#[derive(Clone)]
pub struct Files {
    store: Arc<dyn ObjectStore>,
    name: String,
    /// Where it is a folder of this machine.
    folder: Option<PathBuf>,
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Files").field(&self.name).finish()
    }
}

impl fmt::Display for Files {
    /// Where it is, without credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Files {
    /// A folder, which is made where it is missing, or `s3://BUCKET/PREFIX`, or `gs://BUCKET/PREFIX`. Buckets are
    /// not reached for yet.
    pub fn open(url_or_folder: &str) -> Result<Self, FilesError> {
        let path = match url_or_folder.split_once("://") {
            None => Some(url_or_folder),
            Some(("file", path)) => Some(path),
            Some(_) => None,
        };
        let store: Arc<dyn ObjectStore> = match url_or_folder.split_once("://") {
            None | Some(("file", _)) => folder(path.unwrap_or_default())?,
            Some(("s3", rest)) => in_bucket(rest, s3)?,
            Some(("gs", rest)) => in_bucket(rest, gcs)?,
            Some((scheme, _)) => {
                return Err(FilesError::Place(format!(
                    "{scheme}:// is no place for files: use a folder, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX"
                )));
            }
        };
        Ok(Self { store, name: url_or_folder.to_owned(), folder: path.map(PathBuf::from) })
    }

    /// Stores the bytes, over what was there. All of them or none: a reader never sees half.
    pub async fn put(&self, key: &str, bytes: Bytes) -> Result<(), FilesError> {
        self.store.put(&checked(key)?, bytes.into()).await?;
        Ok(())
    }

    /// Stores a file of this machine, in parts, a few in memory at a time. All of it or none.
    pub async fn put_file(&self, key: &str, path: &Path) -> Result<(), FilesError> {
        let key = checked(key)?;
        let unreadable = |error: std::io::Error| FilesError::Storage(format!("reading what is to be stored: {error}"));
        let mut file = tokio::fs::File::open(path).await.map_err(unreadable)?;
        let mut upload = WriteMultipart::new_with_chunk_size(self.store.put_multipart(&key).await?, PART_BYTES);
        let sent = async {
            loop {
                let mut piece = bytes::BytesMut::with_capacity(READ_BYTES);
                if file.read_buf(&mut piece).await.map_err(unreadable)? == 0 {
                    return Ok(());
                }
                upload.wait_for_capacity(PARTS_AT_A_TIME).await?;
                upload.put(piece.freeze());
            }
        };
        match sent.await {
            Ok(()) => {
                upload.finish().await?;
                Ok(())
            }
            Err(error) => {
                if let Err(error) = upload.abort().await {
                    tracing::warn!(%error, "an upload that failed could not be taken back; its parts may remain");
                }
                Err(error)
            }
        }
    }

    /// What is there under the key, if anything.
    pub async fn get(&self, key: &str) -> Result<Option<Found>, FilesError> {
        match self.store.head(&checked(key)?).await {
            Ok(ObjectMeta { size, e_tag, last_modified, .. }) => {
                Ok(Some(Found { size, etag: e_tag, modified: last_modified.into() }))
            }
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The bytes of a range, as they come, without the whole in memory. A range that reaches over the end is cut
    /// there; one that starts at the end or behind it fails.
    pub async fn read(
        &self,
        key: &str,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, FilesError>>, FilesError> {
        let key = checked(key)?;
        if range.is_empty() {
            return Ok(futures::stream::empty().boxed());
        }
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..Default::default() };
        let found = self.store.get_opts(&key, options).await?;
        Ok(found.into_stream().map_err(FilesError::from).boxed())
    }

    /// Removes what is there; nothing to remove is as good.
    pub async fn delete(&self, key: &str) -> Result<(), FilesError> {
        match self.store.delete(&checked(key)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// All that is stored below a prefix of whole parts (`ab` has `ab/c` and not `abc`); empty for everything.
    pub fn list(&self, prefix: &str) -> BoxStream<'static, Result<Entry, FilesError>> {
        let prefix = match prefix.trim_end_matches('/') {
            "" => None,
            prefix => match checked(prefix) {
                Ok(prefix) => Some(prefix),
                Err(error) => return futures::stream::iter([Err(error)]).boxed(),
            },
        };
        let entry = |meta: ObjectMeta| Entry {
            key: meta.location.to_string(),
            size: meta.size,
            modified: meta.last_modified.into(),
        };
        self.store.list(prefix.as_ref()).map_ok(entry).map_err(FilesError::from).boxed()
    }

    /// Removes what lies below a prefix of files whose storing was cut off before that time, and answers how many;
    /// without `act` only counts them. No listing shows these. A bucket has none: what was cut off there is its own to forget.
    pub async fn remove_unfinished(&self, prefix: &str, before: SystemTime, act: bool) -> Result<u64, FilesError> {
        let prefix = checked(prefix.trim_end_matches('/'))?;
        let Some(folder) = self.folder.as_ref().map(|folder| folder.join(prefix.as_ref())) else { return Ok(0) };
        let walked = tokio::task::spawn_blocking(move || remove_unfinished(folder, before, act)).await;
        let walked = walked.map_err(|_| FilesError::Storage("a walk through its folders ended badly".into()))?;
        walked.map_err(|error| FilesError::Storage(error.to_string()))
    }
}

/// A key that no storage reads as another, nor as a way out of its folder.
fn checked(key: &str) -> Result<Key, FilesError> {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    if key.len() > KEY_MOST || !key.split('/').all(part) {
        return Err(FilesError::Key);
    }
    Key::parse(key).map_err(|_| FilesError::Key)
}

fn folder(path: &str) -> Result<Arc<dyn ObjectStore>, FilesError> {
    let unusable = |error: &dyn fmt::Display| FilesError::Place(format!("the folder {path:?} cannot be used: {error}"));
    if path.is_empty() {
        return Err(FilesError::Place("no folder for files is named".into()));
    }
    std::fs::create_dir_all(path).map_err(|error| unusable(&error))?;
    let store = LocalFileSystem::new_with_prefix(path).map_err(|error| unusable(&error))?;
    // What was said to be stored is, after a power cut as well.
    Ok(Arc::new(store.with_fsync(true)))
}

/// While a file is stored in a folder it lies beside its place, under its name and `#1`, which no key can be.
fn is_unfinished(name: &std::ffi::OsStr) -> bool {
    let number = name.to_str().and_then(|name| name.rsplit_once('#'));
    number.is_some_and(|(_, number)| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

fn remove_unfinished(folder: PathBuf, before: SystemTime, act: bool) -> std::io::Result<u64> {
    let (mut folders, mut count) = (vec![folder], 0);
    while let Some(folder) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            // Nothing was ever stored there, or it went meanwhile.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() && is_unfinished(&entry.file_name()) {
                let Ok(modified) = entry.metadata().and_then(|file| file.modified()) else { continue };
                if modified < before {
                    match if act { std::fs::remove_file(entry.path()) } else { Ok(()) } {
                        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                        removed => {
                            removed?;
                            count += 1;
                        }
                    }
                }
            }
        }
    }
    Ok(count)
}

type Bucket = Arc<dyn ObjectStore>;

fn in_bucket(rest: &str, open: fn(&str) -> Result<Bucket, FilesError>) -> Result<Bucket, FilesError> {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(FilesError::Place("the bucket's name is missing".into()));
    }
    let store = open(bucket)?;
    match prefix.trim_end_matches('/') {
        "" => Ok(store),
        prefix => {
            let prefix = checked(prefix)
                .map_err(|_| FilesError::Place(format!("{prefix:?} cannot stand before keys: use plain words")))?;
            Ok(Arc::new(object_store::prefix::PrefixStore::new(store, prefix)))
        }
    }
}

#[cfg(feature = "s3")]
fn s3(bucket: &str) -> Result<Bucket, FilesError> {
    let store = object_store::aws::AmazonS3Builder::from_env().with_bucket_name(bucket).build();
    Ok(Arc::new(store.map_err(|error| FilesError::Place(format!("s3://{bucket} cannot be used: {error}")))?))
}

#[cfg(feature = "gcs")]
fn gcs(bucket: &str) -> Result<Bucket, FilesError> {
    let store = object_store::gcp::GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket).build();
    Ok(Arc::new(store.map_err(|error| FilesError::Place(format!("gs://{bucket} cannot be used: {error}")))?))
}

#[cfg(not(feature = "s3"))]
fn s3(_: &str) -> Result<Bucket, FilesError> {
    Err(FilesError::Place("this build cannot reach s3://: build it with `--features s3`, or use a folder".into()))
}

#[cfg(not(feature = "gcs"))]
fn gcs(_: &str) -> Result<Bucket, FilesError> {
    Err(FilesError::Place("this build cannot reach gs://: build it with `--features gcs`, or use a folder".into()))
}
