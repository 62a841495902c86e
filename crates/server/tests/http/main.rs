//! The HTTP contract (API.md parts 2 and 3) against whole servers in this process, over real connections, with a model
//! stub behind them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod accounts;
mod app;
mod board;
mod cards;
mod characters;
mod commands;
mod conversations;
mod documents;
mod doors;
mod gallery;
mod leaving;
mod limits;
mod media;
mod personal;
mod personas;
mod problems;
mod reports;
mod resumable;
mod rooms;
mod safety;
mod search;
mod threads;
