//! Blocking: whom somebody does not want to hear of. The store applies it where it reads lists and lets people in.

use crate::Platform;
use crate::faults::OrRefuse;
use aim_domain::{Member, Refusal, UserId};
use aim_store::{Block, Blocked};

/// People that one person may block.
const MOST_BLOCKS: u32 = 1_000;

impl Platform {
    pub async fn blocks(&self, who: &Member) -> Result<Vec<Block>, Refusal> {
        self.store.blocks(who.user_id()).await.or_refuse()
    }

    /// Blocking twice is fine.
    pub async fn block(&self, who: &Member, user: &UserId) -> Result<(), Refusal> {
        if user == who.user_id() {
            return Err(Refusal::invalid("userId", "is your own"));
        }
        self.profile(user).await?;
        match self.store.block(who.user_id(), user, MOST_BLOCKS).await.or_refuse()? {
            Blocked::Done => Ok(()),
            Blocked::TooMany => {
                Err(Refusal::conflict(format!("You may block {MOST_BLOCKS} people. Unblock somebody first.")))
            }
            Blocked::NoUser => Err(Refusal::not_found("user")),
        }
    }

    /// Whoever is not blocked stays so.
    pub async fn unblock(&self, who: &Member, user: &UserId) -> Result<(), Refusal> {
        self.store.unblock(who.user_id(), user).await.or_refuse()
    }
}
