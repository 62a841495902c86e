//! What the tests of other crates rely on: servers that are really there, and a network that breaks just as it is told.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod chaos_proxy;
mod cluster;
mod postgres;
mod redis;
mod sentinel;
mod tls;
