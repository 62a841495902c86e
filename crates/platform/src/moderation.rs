//! What operators do about people and characters. Each deed is noted for the audit in the commit that does it, and reaches
//! every server by the change feed.

use crate::Platform;
use crate::faults::{OrRefuse, hint};
use aim_domain::safety::checked_reason;
use aim_domain::{Character, CharacterId, Member, Profile, Refusal, RoomEvent, Suspension, Timestamp, User, UserId};
use aim_store::{AccountPage, AuditPage, Change, Deed, RosterQuery, Suspended, Withdrawn};

impl Platform {
    /// `operator`: none at a terminal.
    fn deed(&self, operator: Option<&Member>, reason: &str) -> Result<Deed, Refusal> {
        let operator = operator.map(|operator| operator.user_id().clone());
        Ok(Deed { id: self.ambient.id(), operator, reason: checked_reason(reason)? })
    }

    /// Accounts, as an operator looks them up.
    pub async fn accounts(&self, query: RosterQuery) -> Result<AccountPage, Refusal> {
        self.store.accounts(&query).await.or_refuse()
    }

    /// Takes a character out of lists, tags and search, and closes it to new conversations of others than its owner; or puts it
    /// back. Conversations with it go on.
    pub async fn set_unlisted(
        &self,
        operator: Option<&Member>,
        id: &CharacterId,
        unlist: bool,
        reason: &str,
    ) -> Result<Character, Refusal> {
        let deed = self.deed(operator, reason)?;
        let missing = || Refusal::not_found("character");
        let before = self.store.character(id).await.or_refuse()?.ok_or_else(missing)?;
        let character = self.store.set_unlisted(id, unlist, &deed).await.or_refuse()?.ok_or_else(missing)?;
        self.take_in(Change::Character { id: id.clone() }).await;
        self.notice_listing(&before.listing, &character, &deed.reason).await;
        Ok(character)
    }

    /// Shuts somebody out until then, or until it is undone: signed out everywhere within a second, and answered no more.
    pub async fn suspend(
        &self,
        operator: Option<&Member>,
        id: &UserId,
        until: Option<Timestamp>,
        reason: &str,
    ) -> Result<(Profile, Option<Suspension>), Refusal> {
        let deed = self.deed(operator, reason)?;
        if until.is_some_and(|until| until <= self.ambient.now()) {
            return Err(Refusal::invalid("until", "must be in the future"));
        }
        if operator.is_some_and(|operator| operator.user_id() == id) {
            return Err(Refusal::conflict("You cannot suspend yourself. Ask another administrator."));
        }
        let before = self.store.suspension(id).await.or_refuse()?;
        match self.store.suspend(id, until, &deed).await.or_refuse()? {
            Suspended::Done { changes, withdrawn } => {
                for change in changes {
                    self.take_in(change).await;
                }
                for one in withdrawn {
                    self.tell_withdrawn(one).await;
                }
                let (profile, suspension) = self.standing_of(id).await?;
                if let Some(now) = &suspension {
                    self.notice_suspension(before.as_ref(), id, now).await;
                }
                Ok((profile, suspension))
            }
            Suspended::LastAdmin => {
                Err(Refusal::conflict("This is the last administrator: nobody could undo it. Make another one first."))
            }
            Suspended::NoUser => Err(Refusal::not_found("user")),
        }
    }

    /// Lets somebody in again.
    pub async fn end_suspension(
        &self,
        operator: Option<&Member>,
        id: &UserId,
        reason: &str,
    ) -> Result<(Profile, Option<Suspension>), Refusal> {
        let deed = self.deed(operator, reason)?;
        if !self.store.end_suspension(id, &deed).await.or_refuse()? {
            return Err(Refusal::not_found("user"));
        }
        let standing = self.standing_of(id).await?;
        self.take_in(Change::User { id: id.clone(), username: standing.0.username.clone() }).await;
        Ok(standing)
    }

    async fn standing_of(&self, id: &UserId) -> Result<(Profile, Option<Suspension>), Refusal> {
        let (user, suspension) = tokio::join!(self.store.user(id), self.store.suspension(id));
        let user = user.or_refuse()?.ok_or_else(|| Refusal::not_found("user"))?;
        Ok((user.profile(), suspension.or_refuse()?))
    }

    /// Of what nobody answers any more.
    pub(crate) async fn tell_withdrawn(&self, withdrawn: Withdrawn) {
        let Withdrawn { conversation, character, messages } = withdrawn;
        let ids: Vec<_> = messages.iter().map(|message| message.id.clone()).collect();
        if ids.is_empty() {
            return;
        }
        // One of them may have been under way on a server that died.
        self.forget_partial(&conversation, |partial| ids.contains(&partial.in_reply_to)).await;
        for message in messages {
            self.tell_room(&conversation, RoomEvent::MessageUpdated { message }).await;
        }
        let moved = self.backbone.turns.withdraw(&character, &conversation, &ids).await;
        self.follow(hint("leave the line", moved)).await;
    }

    /// For the command line: an account, by email or username.
    pub async fn account(&self, login: &str) -> Result<User, Refusal> {
        let found = self.store.credentials(login.trim()).await.or_refuse()?;
        found.map(|found| found.user).ok_or_else(|| Refusal::not_found("user"))
    }

    /// What operators did, the last first.
    pub async fn audit(&self, cursor: Option<&str>, limit: u32) -> Result<AuditPage, Refusal> {
        self.store.deeds(cursor, limit).await.or_refuse()
    }
}
