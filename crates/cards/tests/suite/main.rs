//! Cards of every version: read, written again, and taken as hostile.
#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod assets;
mod forge;
mod hostile;
mod lossless;
mod reading;
