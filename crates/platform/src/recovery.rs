//! What the links in mails are for: confirming an address, a forgotten password, having no more notices.

use crate::Platform;
use crate::faults::OrRefuse;
use crate::mail::Occasion;
use crate::sign_in::{AttemptReport, Device};
use aim_domain::error::Checks;
use aim_domain::{MailId, MailKind, Member, Notice, Purpose, Refusal, TokenHash};
use aim_store::CountAttempt;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// Mails of a kind that one account can ask for in an hour, whoever asks.
const ASKED_AN_HOUR: u64 = 3;
const HOUR: Duration = Duration::from_secs(3_600);

/// Which notices somebody gets by mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NoticeChoices {
    /// "A reply is waiting", after some minutes away; once a day and conversation at the most.
    pub reply_waiting: bool,
    /// The day's allowance is used up; once a day at the most.
    pub usage: bool,
}

fn used_up() -> Refusal {
    Refusal::invalid("token", "is not valid any more: it was used, or its time is over. Ask for a new link.")
}

impl Platform {
    /// Sends a link for a new password, if there is such an account. Counts for the address. What is answered, and when, tells
    /// nothing of whether there is one.
    pub async fn forgot_password(&self, login: &str, device: &Device) -> AttemptReport<()> {
        let mut checks = Checks::default();
        checks.length("login", login.trim(), 1, 254);
        if let Err(refusal) = checks.finish() {
            return refusal.into();
        }
        self.attempt(&[self.auth_address_ask(&device.address)], async {
            let (platform, login) = (self.clone(), login.trim().to_owned());
            self.tasks.spawn(async move {
                if let Err(error) = platform.send_reset(&login).await {
                    tracing::warn!(%error, "a mail for a new password was not queued");
                }
            });
            Ok(())
        })
        .await
    }

    async fn send_reset(&self, login: &str) -> Result<(), aim_store::StoreError> {
        if !self.sends_mail() {
            tracing::warn!("somebody forgot a password, and no mail is set up: see AIM_MAIL__URL");
            return Ok(());
        }
        let Some(found) = self.store.credentials(login).await? else { return Ok(()) };
        // An account without a password signs in elsewhere.
        if found.password_hash.is_none() || !self.may_ask("reset", found.user.id.as_str()).await? {
            return Ok(());
        }
        let asked: MailId = self.ambient.id();
        self.queue_mail(Occasion::of(MailKind::Reset, &found.user, format!("reset:{asked}"))).await
    }

    async fn may_ask(&self, what: &str, of: &str) -> Result<bool, aim_store::StoreError> {
        let subject = format!("mail-{what}-{of}");
        let attempt = CountAttempt { subject, limit: ASKED_AN_HOUR, window: HOUR, block: Duration::ZERO };
        Ok(self.store.count_attempt(attempt).await?.admitted)
    }

    /// A new password, by the token of a mail; ends all sessions. Counts for the address.
    pub async fn set_password(&self, token: &str, password: String, device: &Device) -> AttemptReport<()> {
        let mut checks = Checks::default();
        checks.length("password", &password, 8, 256);
        checks.length("token", token, 1, 256);
        if let Err(refusal) = checks.finish() {
            return refusal.into();
        }
        self.attempt(&[self.auth_address_ask(&device.address)], async {
            let token = TokenHash::of(token);
            // Before a password is hashed for nobody.
            self.store.token(Purpose::Reset, &token).await.or_refuse()?.ok_or_else(used_up)?;
            let hash = self.passwords.hash(password, &self.ambient).await?;
            let reset = self.store.use_reset(&token, &hash).await.or_refuse()?.ok_or_else(used_up)?;
            for change in reset.changes {
                self.take_in(change).await;
            }
            if let Ok(Some(user)) = self.store.user(&reset.user).await {
                self.forget_attempts(&user.email).await;
                self.forget_attempts(&user.username).await;
                self.warn_of_password(&user).await;
            }
            Ok(())
        })
        .await
    }

    pub async fn confirm_email(&self, token: &str) -> Result<(), Refusal> {
        let confirmed = self.store.confirm_address(&TokenHash::of(token)).await.or_refuse()?;
        confirmed.map(drop).ok_or_else(used_up)
    }

    /// Another link that confirms the address; three an hour.
    pub async fn resend_confirmation(&self, who: &Member) -> Result<(), Refusal> {
        if !self.sends_mail() {
            return Err(Refusal::unavailable("This server sends no mail. Ask its operator."));
        }
        let user = self.me(who).await?;
        if self.email_confirmed(&user.id).await? {
            return Err(Refusal::conflict("This address is confirmed already."));
        }
        if !self.may_ask("confirm", user.id.as_str()).await.or_refuse()? {
            let refusal = Refusal::new(
                aim_domain::Code::RateLimited,
                "Some mails are on their way already. Look for them first.",
            );
            return Err(refusal.retry_after(HOUR));
        }
        let asked: MailId = self.ambient.id();
        self.queue_mail(Occasion::of(MailKind::Confirm, &user, format!("confirm:{asked}"))).await.or_refuse()
    }

    /// No more notices of the kind that this token is from; as often as one likes.
    pub async fn unsubscribe(&self, token: &str) -> Result<Notice, Refusal> {
        let hash = TokenHash::of(token);
        for purpose in [Purpose::NoReplyWaiting, Purpose::NoUsage] {
            let Some(owner) = self.store.token(purpose, &hash).await.or_refuse()? else { continue };
            let Some(notice) = purpose.ends() else { continue };
            self.store.want_notice(&owner.user, notice, false).await.or_refuse()?;
            return Ok(notice);
        }
        Err(used_up())
    }

    pub async fn notice_choices(&self, who: &Member) -> Result<NoticeChoices, Refusal> {
        let standing = self.store.mail_standing(who.user_id()).await.or_refuse()?;
        Ok(NoticeChoices { reply_waiting: standing.wants(Notice::ReplyWaiting), usage: standing.wants(Notice::Usage) })
    }

    pub async fn choose_notices(&self, who: &Member, choices: NoticeChoices) -> Result<(), Refusal> {
        for (notice, wanted) in [(Notice::ReplyWaiting, choices.reply_waiting), (Notice::Usage, choices.usage)] {
            self.store.want_notice(who.user_id(), notice, wanted).await.or_refuse()?;
        }
        Ok(())
    }
}
