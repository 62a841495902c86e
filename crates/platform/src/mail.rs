//! Mails: queued in the store for an occasion, hurried along by a job, and sent by `jobs/email.rs`.
//!
//! Without a [`Post`] no mail is queued: one that went out weeks later, when somebody sets it up, would help nobody.

use crate::Platform;
use crate::faults::{OrRefuse, hint};
use crate::jobs::email;
use aim_domain::{MailKind, Refusal, Tier, Timestamp, Undelivered, User, UserId};
use aim_mail::{Carrier, Sender};
use aim_store::{DueMail, NewMail, StoreError};
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How mails go out.
#[derive(Clone)]
pub struct Post {
    pub carrier: Arc<dyn Carrier>,
    pub from: Sender,
    /// What links begin with; without a slash at the end.
    pub public_url: String,
    /// How long somebody is away before a reply is told by mail.
    pub reply_wait: Duration,
    /// Mails sent at a time in this process.
    pub concurrency: usize,
    /// How often one is tried.
    pub attempts: u32,
    /// The wait before the second attempt; each further one waits twice as long, an hour at the most.
    pub backoff: Duration,
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Post({})", self.carrier.place())
    }
}

/// A mail that somebody is to get.
pub(crate) struct Occasion {
    pub kind: MailKind,
    pub user: UserId,
    pub address: String,
    /// There is one mail for each; see [`NewMail::occasion`].
    pub name: String,
    pub data: Value,
    pub wait: Duration,
    pub premium: bool,
}

impl Occasion {
    /// To be sent now.
    pub fn of(kind: MailKind, of: &User, name: String) -> Self {
        let (user, address) = (of.id.clone(), of.email.clone());
        let premium = of.tier == Tier::Premium;
        Self { kind, user, address, name, data: Value::Null, wait: Duration::ZERO, premium }
    }
}

/// What is known of the address of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressStanding {
    pub confirmed: bool,
    /// When the last mail that was to confirm it turned out not to be delivered, and why.
    pub failure: Option<(Timestamp, Undelivered)>,
}

impl Platform {
    /// Whether mails go out at all.
    pub fn sends_mail(&self) -> bool {
        self.settings.post.is_some()
    }

    /// Queues a mail, once for its occasion, and hurries it along.
    pub(crate) async fn queue_mail(&self, occasion: Occasion) -> Result<(), StoreError> {
        if !self.sends_mail() {
            return Ok(());
        }
        let Occasion { kind, user, address, name, data, wait, premium } = occasion;
        if address.is_empty() {
            return Ok(());
        }
        let new = NewMail { id: self.ambient.id(), user, address, kind, occasion: name, data, wait };
        if let Some(due) = self.store.queue_mail(new).await? {
            metrics::counter!("aim_mails_queued_total", "kind" => kind.as_str()).increment(1);
            self.hurry_mail(&due, premium, wait).await;
        }
        Ok(())
    }

    /// As `queue_mail`, where a mail is beside the point of what is done.
    pub(crate) async fn try_mail(&self, occasion: Occasion) {
        let kind = occasion.kind;
        if let Err(error) = self.queue_mail(occasion).await {
            tracing::warn!(%error, kind = kind.as_str(), "a mail was not queued");
        }
    }

    /// Adds the job of a mail. If that is lost, the reconciler finds the mail.
    pub(crate) async fn hurry_mail(&self, due: &DueMail, premium: bool, wait: Duration) {
        let job = email::job(due, premium, wait, self.ambient.now());
        hint("add a mail's job", self.backbone.queue.add(job).await.map(drop));
    }

    /// Whether the address was confirmed.
    pub async fn email_confirmed(&self, user: &UserId) -> Result<bool, Refusal> {
        Ok(self.address_standing(user).await?.confirmed)
    }

    pub async fn address_standing(&self, user: &UserId) -> Result<AddressStanding, Refusal> {
        let standing = self.store.mail_standing(user).await.or_refuse()?;
        let failure = standing.failure.map(|failure| (failure.at, email::undelivered(&failure.reason)));
        Ok(AddressStanding { confirmed: standing.confirmed, failure })
    }
}
