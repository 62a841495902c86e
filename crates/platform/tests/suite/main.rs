//! What the platform promises, over a real database, the backbone of one process or of several, and a model behind HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod accounts;
mod analytics;
mod answering;
mod caching;
mod cleaning;
mod faults;
mod fleet;
mod letters;
mod mails;
mod notices;
mod personas;
mod post_office;
mod revising;
mod rooms;
mod shut;
mod stopping;
mod uploads;
mod windows;
mod world;
