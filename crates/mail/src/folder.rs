//! A folder of `.eml` files, for development: what would have been sent, to look at.

use crate::{Carrier, Fault, Mail, Passage};
use async_trait::async_trait;
use std::path::{Path, PathBuf};

/// Letters become `{id}.eml`; the ids sort by time.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

fn later(path: &Path, error: &std::io::Error) -> Fault {
    Fault::Later(format!("{} cannot be written: {error}", path.display()))
}

#[async_trait]
impl Carrier for Folder {
    fn place(&self) -> String {
        format!("the folder {}", self.path.display())
    }

    async fn open(&self, mail: Mail) -> Result<Box<dyn Passage>, Fault> {
        self.check().await?;
        Ok(Box::new(File { path: self.path.join(format!("{}.eml", mail.id)), bytes: mail.bytes }))
    }

    async fn check(&self) -> Result<(), Fault> {
        tokio::fs::create_dir_all(&self.path).await.map_err(|error| later(&self.path, &error))
    }
}

struct File {
    path: PathBuf,
    bytes: Vec<u8>,
}

#[async_trait]
impl Passage for File {
    async fn hand_over(self: Box<Self>) -> Result<String, Fault> {
        // Whoever lists the folder never sees half a letter.
        let half = self.path.with_extension("part");
        tokio::fs::write(&half, &self.bytes).await.map_err(|error| later(&half, &error))?;
        tokio::fs::rename(&half, &self.path).await.map_err(|error| later(&self.path, &error))?;
        Ok("written".to_owned())
    }
}
