//! Notices by mail: a reply waits, the day's allowance is used up, the tier changed, something happened to an account that its
//! owner is to know of. Each is beside the point of what it
//! tells of: it goes on behind the answer, and failing to queue one fails nothing.

use crate::Platform;
use crate::letters::{NewTier, Relisted, UsedUp, Waiting};
use crate::mail::Occasion;
use aim_domain::{
    Character, ConversationId, Kind, Listing, MailId, MailKind, Member, Message, Suspension, Tier, Timestamp, Usage,
    User, UserId,
};
use aim_store::StoreError;
use parking_lot::Mutex;
use serde_json::json;
use std::collections::HashSet;
use std::time::Duration;

/// Occasions remembered, so that what is refused a hundred times asks the store once.
const REMEMBERED: usize = 10_000;

#[derive(Default)]
pub(crate) struct Noticed(Mutex<HashSet<String>>);

impl Noticed {
    fn is_new(&self, occasion: &str) -> bool {
        let mut known = self.0.lock();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(occasion.to_owned())
    }
}

impl Platform {
    /// A reply was stored. If its reader has no open socket anywhere, a mail is to tell of it in a while, once a day and
    /// conversation; it is dropped when the reader comes before that.
    pub(crate) fn notice_reply(&self, reader: UserId, reply: &Message) {
        if !self.sends_mail() || self.is_present(&reader) {
            return;
        }
        let (platform, conversation) = (self.clone(), reply.conversation_id.clone());
        let data = json!(Waiting { conversation_id: conversation.clone(), since: reply.created_at });
        self.tasks.spawn(async move {
            if let Err(error) = platform.queue_reply_notice(reader, conversation, data).await {
                tracing::warn!(%error, "a notice of a reply was not queued");
            }
        });
    }

    async fn queue_reply_notice(
        &self,
        reader: UserId,
        conversation: ConversationId,
        data: serde_json::Value,
    ) -> Result<(), StoreError> {
        let Some(post) = &self.settings.post else { return Ok(()) };
        if self.store.presence(&reader).await?.is_some_and(|presence| presence.is_here) {
            return Ok(());
        }
        // Closing an account drops what waits for it, and nothing comes after.
        let Some(user) = self.store.user(&reader).await?.filter(|user| user.erase_at.is_none()) else { return Ok(()) };
        let name = format!("reply:{conversation}:{reader}:{}", self.ambient.now().day());
        let occasion = Occasion::of(MailKind::ReplyWaiting, &user, name);
        self.queue_mail(Occasion { data, wait: post.reply_wait, ..occasion }).await
    }

    /// A message was refused because the allowance is used up; told once a day.
    pub(crate) fn notice_usage(&self, who: &Member, kind: Kind, limit: u64, usage: &Usage) {
        let name = format!("usage:{}:{}", who.user_id(), self.ambient.now().day());
        if !self.sends_mail() || who.is_premium() || !self.noticed.is_new(&name) {
            return;
        }
        let data = json!(UsedUp { kind: kind.as_str().to_owned(), limit, resets_at: usage.resets_at });
        let (platform, user) = (self.clone(), who.user_id().clone());
        self.tasks.spawn(async move {
            match platform.store.user(&user).await {
                Ok(Some(user)) => {
                    let occasion = Occasion::of(MailKind::Usage, &user, name);
                    platform.try_mail(Occasion { data, ..occasion }).await;
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "a notice of usage was not queued"),
            }
        });
    }

    /// The tier is another than it was.
    pub(crate) async fn notice_tier(&self, before: Tier, user: &User) {
        if before == user.tier {
            return;
        }
        let name = format!("tier:{}:{}", user.id, user.version);
        let occasion = Occasion::of(MailKind::Tier, user, name);
        self.try_mail(Occasion { data: json!(NewTier { tier: user.tier }), wait: Duration::ZERO, ..occasion }).await;
    }

    /// Tells the address that an account had until now; `user` as it is since.
    pub(crate) async fn warn_of_address(&self, before: &str, user: &User) {
        if before.to_lowercase() == user.email.to_lowercase() {
            return;
        }
        let name = format!("address:{}:{}", user.id, user.version);
        let occasion = Occasion::of(MailKind::AddressChanged, user, name);
        self.try_mail(Occasion { address: before.to_owned(), ..occasion }).await;
    }

    /// `user` as it is since.
    pub(crate) async fn warn_of_password(&self, user: &User) {
        let name = format!("password:{}:{}", user.id, user.version);
        self.try_mail(Occasion::of(MailKind::PasswordChanged, user, name)).await;
    }

    /// Once for each time that it was closed: an account keeps the day of its erasure.
    pub(crate) async fn notice_closing(&self, id: &UserId, erase_at: Timestamp) {
        let name = format!("closed:{id}:{}", erase_at.0);
        self.mail_to(id, |user| Occasion::of(MailKind::Closed, user, name)).await;
    }

    /// What an operator did about a character, to its owner; `before` is how it stood. Nothing where that is as it was.
    pub(crate) async fn notice_listing(&self, before: &Listing, character: &Character, reason: &str) {
        let Some(owner) = &character.owner_id else { return };
        let unlisted = character.listing.unlisted;
        if !unlisted && !before.unlisted || *before == character.listing {
            return;
        }
        let name = format!("listing:{}:{}", character.id, character.revision);
        let data = json!(Relisted { character_id: character.id.clone(), unlisted, reason: reason.to_owned() });
        self.mail_to(owner, |user| Occasion { data, ..Occasion::of(MailKind::Listing, user, name) }).await;
    }

    /// Somebody was shut out; `before` is how they stood. Nothing where that is as it was.
    pub(crate) async fn notice_suspension(&self, before: Option<&Suspension>, id: &UserId, now: &Suspension) {
        if before == Some(now) {
            return;
        }
        let (deed, data): (MailId, _) = (self.ambient.id(), json!(now));
        let name = format!("suspended:{deed}");
        self.mail_to(id, |user| Occasion { data, ..Occasion::of(MailKind::Suspended, user, name) }).await;
    }

    /// Queues a mail for whom only the id is at hand.
    async fn mail_to(&self, id: &UserId, occasion: impl FnOnce(&User) -> Occasion) {
        if !self.sends_mail() {
            return;
        }
        match self.store.user(id).await {
            Ok(Some(user)) => self.try_mail(occasion(&user)).await,
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "a mail was not queued"),
        }
    }
}
