//! What one signs in with: another password, another address.

use crate::Platform;
use crate::accounts::{check_email, taken};
use crate::faults::OrRefuse;
use crate::mail::Occasion;
use crate::sign_in::{AttemptReport, Device};
use aim_domain::error::Checks;
use aim_domain::{MailId, MailKind, Member, Refusal, User};
use aim_store::{AccountChange, Change, ChangeEmail};

impl Platform {
    /// Another password, which signs out all other devices. Counts for the address and for the account's name.
    pub async fn change_password(
        &self,
        who: &Member,
        current: String,
        new: String,
        device: &Device,
    ) -> AttemptReport<()> {
        let mut checks = Checks::default();
        checks.length("new", &new, 8, 256);
        checks.length("current", &current, 1, 256);
        if let Err(refusal) = checks.finish() {
            return refusal.into();
        }
        let asks = [self.auth_address_ask(&device.address), self.auth_login_ask(&who.username)];
        self.attempt(&asks, async {
            self.prove(who, current, "current").await?;
            let hash = self.passwords.hash(new, &self.ambient).await?;
            let change = AccountChange { password_hash: Some(hash), ..Default::default() };
            let changed = self.store.change_user(who.user_id(), change).await.or_refuse()?;
            let user = changed.ok_or_else(|| Refusal::not_found("user"))?;
            let others = self.store.sessions(who.user_id()).await.or_refuse()?;
            self.store.revoke_sessions(who.user_id(), Some(&who.session.id)).await.or_refuse()?;
            self.take_in(Change::User { id: user.id.clone(), username: user.username.clone() }).await;
            self.warn_of_password(&user).await;
            for session in others.into_iter().filter(|session| session.id != who.session.id) {
                let change = Change::Session { token: session.token_hash, id: session.id, user: session.user_id };
                self.take_in(change).await;
            }
            Ok(())
        })
        .await
    }

    /// Another address. It counts as not confirmed until a link that is sent there was followed. Counts as `change_password`.
    pub async fn change_email(
        &self,
        who: &Member,
        email: &str,
        password: String,
        device: &Device,
    ) -> AttemptReport<User> {
        let email = email.trim();
        let mut checks = Checks::default();
        check_email(&mut checks, email);
        checks.length("password", &password, 1, 256);
        if let Err(refusal) = checks.finish() {
            return refusal.into();
        }
        let asks = [self.auth_address_ask(&device.address), self.auth_login_ask(&who.username)];
        self.attempt(&asks, async {
            let before = self.prove(who, password, "password").await?;
            let user = match self.store.change_email(who.user_id(), email).await.or_refuse()? {
                ChangeEmail::Changed(user) => user,
                ChangeEmail::Taken => return Err(taken("email", "is already registered")),
                ChangeEmail::NoUser => return Err(Refusal::not_found("user")),
            };
            self.take_in(Change::User { id: user.id.clone(), username: user.username.clone() }).await;
            self.warn_of_address(&before.email, &user).await;
            let asked: MailId = self.ambient.id();
            self.try_mail(Occasion::of(MailKind::Confirm, &user, format!("confirm:{asked}"))).await;
            Ok(user)
        })
        .await
    }

    /// That whoever asks knows the account's password; a success clears the account's name. Answers the account.
    async fn prove(&self, who: &Member, password: String, field: &str) -> Result<User, Refusal> {
        let found = self.store.credentials(&who.username).await.or_refuse()?;
        let found = found.filter(|found| found.user.id == *who.user_id());
        let (user, hash) = found.map(|found| (found.user, found.password_hash)).unzip();
        let hash = hash.flatten();
        if !self.passwords.verify(password, hash).await? {
            return Err(Refusal::invalid(field, "is not the account's password"));
        }
        self.forget_attempts(&who.username).await;
        user.ok_or_else(|| Refusal::not_found("user"))
    }
}
