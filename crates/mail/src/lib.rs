//! Letters, and the ways they go out: an SMTP server, or a folder of `.eml` files where one develops.
//!
//! A letter goes out in two steps, so that whoever sends it can write down that it is about to be handed over. Before
//! [`Passage::hand_over`] it certainly was not; what fails in it says whether the other side may have it ([`Fault`]).
//! What is due, and what has been sent, is not known here.

mod folder;
mod letter;
mod smtp;
#[cfg(test)]
mod tests;

pub use folder::Folder;
pub use letter::{Letter, Mail, Parts, Sender, Unsubscribe};
pub use smtp::{Smtp, SmtpSettings, check_url};

use async_trait::async_trait;

/// Why a letter did not go out. The texts hold what the other side said, never what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It was not handed over; trying later may help: no connection, a server that is busy (4xx).
    #[error("{0}")]
    Later(String),
    /// It was not handed over and never will be: refused (5xx).
    #[error("{0}")]
    Never(String),
    /// It was on its way when the connection broke: nobody knows.
    #[error("{0}")]
    Doubt(String),
}

/// A way for letters to go out.
#[async_trait]
pub trait Carrier: Send + Sync + 'static {
    /// Where letters go, as a person knows it; without a password.
    fn place(&self) -> String;
    /// Goes as far as the other side goes without having the letter: it takes sender and receiver. Never fails with
    /// [`Fault::Doubt`].
    async fn open(&self, mail: Mail) -> Result<Box<dyn Passage>, Fault>;
    /// Whether letters could go out now.
    async fn check(&self) -> Result<(), Fault>;
}

/// A letter at the door.
#[async_trait]
pub trait Passage: Send {
    /// Hands the letter over; answers what the other side said.
    async fn hand_over(self: Box<Self>) -> Result<String, Fault>;
}
