//! What every handler can reach; cheap to clone.

use super::meters::Meters;
use super::origin::Origins;
use crate::config::Config;
use aim_platform::Platform;
use bytes::Bytes;
use std::ops::Deref;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

#[derive(Clone)]
pub(crate) struct Site(Arc<Parts>);

pub(crate) struct Parts {
    pub platform: Platform,
    pub config: Arc<Config>,
    pub origins: Origins,
    pub meters: Meters,
    /// The OpenAPI document.
    pub openapi: Bytes,
    /// Cancelled when the server begins to stop.
    pub stopping: CancellationToken,
}

impl Site {
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for Site {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
