//! The models against real counterparts: servers that misbehave, and the built-in model's own file.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod hosted;
#[cfg(feature = "local-model")]
mod local;
mod provider;
mod transcription;
