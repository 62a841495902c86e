//! Files in a folder; buckets are the same code behind another door.

use aim_media::{Files, FilesError};
use bytes::Bytes;
use futures::TryStreamExt;
use std::ops::Range;

async fn read(files: &Files, key: &str, range: Range<u64>) -> Result<Vec<u8>, FilesError> {
    let pieces: Vec<Bytes> = files.read(key, range).await?.try_collect().await?;
    Ok(pieces.concat())
}

fn open(folder: &tempfile::TempDir) -> Files {
    // A folder that is missing is made.
    Files::open(folder.path().join("a/b").to_str().unwrap()).unwrap()
}

#[tokio::test]
async fn what_was_put_is_read_listed_and_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(&folder);
    assert_eq!(files.get("ab/one.webp").await.unwrap(), None);
    assert_eq!(read(&files, "ab/one.webp", 0..1).await, Err(FilesError::Missing));
    files.put("ab/one.webp", Bytes::from_static(b"0123456789")).await.unwrap();
    files.put("abc", Bytes::new()).await.unwrap();
    let found = files.get("ab/one.webp").await.unwrap().unwrap();
    assert_eq!(found.size, 10);
    assert!(found.etag.is_some() && found.modified.elapsed().unwrap().as_secs() < 60);
    for (range, part) in [(0..10, "0123456789"), (3..5, "34"), (8..99, "89"), (4..4, "")] {
        assert_eq!(read(&files, "ab/one.webp", range).await.unwrap(), part.as_bytes());
    }
    assert!(read(&files, "ab/one.webp", 10..20).await.is_err(), "a range behind the end");

    let list = |prefix: &'static str| {
        let files = files.clone();
        async move {
            let entries: Vec<_> =
                files.list(prefix).map_ok(|entry| (entry.key, entry.size)).try_collect().await.unwrap();
            entries
        }
    };
    assert_eq!(list("ab").await, [("ab/one.webp".to_owned(), 10)]);
    assert_eq!((list("").await.len(), list("none").await.len()), (2, 0));

    files.put("ab/one.webp", Bytes::from_static(b"new")).await.unwrap();
    assert_eq!(read(&files, "ab/one.webp", 0..99).await.unwrap(), b"new");
    assert_ne!(files.get("ab/one.webp").await.unwrap().unwrap().etag, found.etag, "other bytes, another tag");
    files.delete("ab/one.webp").await.unwrap();
    files.delete("ab/one.webp").await.unwrap();
    assert_eq!(files.get("ab/one.webp").await.unwrap(), None);
}

#[tokio::test]
async fn a_file_is_stored_in_parts() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(&folder);
    let source = folder.path().join("source");
    let bytes: Vec<u8> = (0..12_345_678_u32).map(|at| (at % 251) as u8).collect();
    std::fs::write(&source, &bytes).unwrap();
    files.put_file("big.bin", &source).await.unwrap();
    assert!(read(&files, "big.bin", 0..u64::MAX).await.unwrap() == bytes, "the same bytes");
    assert_eq!(read(&files, "big.bin", 9_999_999..10_000_009).await.unwrap(), bytes[9_999_999..10_000_009]);

    std::fs::write(&source, b"").unwrap();
    files.put_file("empty", &source).await.unwrap();
    assert_eq!(files.get("empty").await.unwrap().unwrap().size, 0);
    assert!(files.put_file("none", &folder.path().join("missing")).await.is_err());
    assert_eq!(files.get("none").await.unwrap(), None);
    // Nothing of an unfinished upload lies about.
    let entries: Vec<_> = files.list("").try_collect().await.unwrap();
    assert_eq!(entries.len(), 2, "{entries:?}");
}

#[tokio::test]
async fn no_key_leads_out_of_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(&folder);
    std::fs::write(folder.path().join("a/secret"), b"secret").unwrap();
    let long = "x".repeat(600);
    for key in [
        "",
        "/",
        "../secret",
        "a/../../secret",
        "/etc/passwd",
        "a//b",
        "a/",
        ".hidden",
        "a b",
        "a\\b",
        "a%2fb",
        "ü",
        "a\0",
        &long,
    ] {
        assert_eq!(files.put(key, Bytes::new()).await, Err(FilesError::Key), "{key:?}");
        assert_eq!(files.get(key).await, Err(FilesError::Key), "{key:?}");
        assert_eq!(read(&files, key, 0..9).await, Err(FilesError::Key), "{key:?}");
        assert_eq!(files.delete(key).await, Err(FilesError::Key), "{key:?}");
    }
    let listed: Result<Vec<_>, _> = files.list("../").try_collect().await;
    assert_eq!(listed, Err(FilesError::Key));
}

#[tokio::test]
async fn a_place_that_cannot_be_says_what_to_do() {
    let told = |place: &str| Files::open(place).unwrap_err().to_string();
    assert!(told("ftp://host/files").contains("use a folder, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX"));
    assert!(told("s3:///prefix").contains("bucket's name"));
    assert!(told("").contains("no folder"));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), b"").unwrap();
    assert!(told(folder.path().join("file/below").to_str().unwrap()).contains("cannot be used"));
    if cfg!(not(feature = "s3")) {
        assert!(told("s3://bucket/prefix").contains("--features s3"));
    }
    if cfg!(not(feature = "gcs")) {
        assert!(told("gs://bucket/prefix").contains("--features gcs"));
    }
}
