//! Pictures and sounds made here, as people and their opponents send them. Those that take an encoder come from ffmpeg,
//! without which these tests fail.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod forge;
mod hostile;
mod pictures;
mod places;
mod sounds;
