//! The end of an account: closed at once, to be had back for some days, then erased for good by `cleanup`.

use crate::Platform;
use crate::faults::OrRefuse;
use crate::letters::minute;
use aim_domain::{Code, FieldError, Member, Refusal, Timestamp, User};
use aim_store::{Change, StoreError};

/// Accounts that are erased in a round.
const ERASED_AT_ONCE: u32 = 50;

impl Platform {
    /// Signs one's account out everywhere and closes it, and has nothing more answered to it; tells when it is erased. Until then its
    /// owner may have it back.
    pub async fn close_account(&self, who: &Member) -> Result<Timestamp, Refusal> {
        let closed = self.store.close_account(who.user_id(), self.settings.erasure_grace).await.or_refuse()?;
        let closed = closed.ok_or_else(|| Refusal::not_found("user"))?;
        for change in closed.changes {
            self.take_in(change).await;
        }
        for one in closed.withdrawn {
            self.tell_withdrawn(one).await;
        }
        self.notice_closing(who.user_id(), closed.erase_at).await;
        Ok(closed.erase_at)
    }

    /// The account of somebody who proved to be its owner: as it is, or opened again where they want that.
    pub(crate) async fn opened(&self, mut user: User, restore: bool) -> Result<User, Refusal> {
        let Some(erase_at) = user.erase_at else { return Ok(user) };
        if !restore {
            let at = minute(erase_at);
            let detail = format!("This account was deleted, and is erased for good at {at} (UTC). You may restore it.");
            let message = "must be true to have the account back".to_owned();
            let errors = vec![FieldError { field: "restore".to_owned(), message }];
            return Err(Refusal { errors, ..Refusal::new(Code::Conflict, detail) });
        }
        // Another device may have done so just now.
        let restored = self.store.restore_account(&user.id).await.or_refuse()?;
        let now = self.store.user(&user.id).await.or_refuse()?.filter(|user| user.erase_at.is_none());
        if restored {
            self.take_in(Change::User { id: user.id.clone(), username: user.username.clone() }).await;
        }
        user = now.ok_or_else(|| Refusal::unauthenticated("This account is erased."))?;
        Ok(user)
    }

    /// Erases accounts whose time is over, where `really`; answers how many there were. Their files go right after; what
    /// that does not reach goes with other deleted uploads.
    pub(crate) async fn erase_closed(&self, really: bool) -> Result<u64, StoreError> {
        if !really {
            return Ok(self.store.accounts_to_erase(u32::MAX).await?.len() as u64);
        }
        let mut erased = 0;
        loop {
            let over = self.store.accounts_to_erase(ERASED_AT_ONCE).await?;
            for user in &over {
                let username = self.store.user(user).await?.map(|user| user.username).unwrap_or_default();
                if self.store.delete_user(user).await? {
                    erased += 1;
                    self.take_in(Change::User { id: user.clone(), username }).await;
                }
            }
            if !over.is_empty() {
                let _ = self.sweep_uploads().await?;
            }
            if over.len() < ERASED_AT_ONCE as usize {
                return Ok(erased);
            }
        }
    }
}
