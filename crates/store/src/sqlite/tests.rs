//! SQLite keeps every store's promises, and a few of its own.

use super::{SqliteOptions, SqliteStore};
use crate::Store;
use crate::conformance::Fixture;
use aim_domain::Ambient;
use async_trait::async_trait;
use std::sync::Arc;
use tempfile::TempDir;

struct File(TempDir);

impl File {
    fn fresh() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

#[async_trait]
impl Fixture for File {
    async fn open(&self, ambient: Ambient) -> Arc<dyn Store> {
        SqliteStore::open(self.0.path().join("data/aim.db"), SqliteOptions::default(), ambient).unwrap()
    }
}

mod conformance {
    use super::File;
    crate::store_conformance!(File::fresh());
}
