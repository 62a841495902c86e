//! What becomes of a conversation besides being talked in: its last exchange is removed, it is branched off, deleted for a while
//! or for good, and read.

use crate::conversations::{MAX_PAGE, MAX_TITLE, closed_to_new};
use crate::faults::{OrRefuse, hint};
use crate::{Platform, RevisionReport};
use aim_backbone::bus::{Origin, UserNote};
use aim_domain::{ConversationId, Member, Message, MessageId, Refusal, RoomEvent, Rule, UserEvent, UserId};
use aim_store::{
    BranchConversation, Branched, Change, ConversationItem, ConversationPage, MAX_BRANCH, ReadMark, RemoveExchange,
    RoomStanding, StoreError, Unfit,
};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// Conversations whose members are known here without a look.
const KNOWN: usize = 20_000;
/// Members who are told of what was said while they look elsewhere.
const TOLD: usize = 256;
const BRANCH: &str = " (branch)";

/// Who is in the conversations that were talked in of late: told after every message, and read once. The change feed makes it
/// forget, as it makes rooms look again.
#[derive(Default)]
pub(crate) struct Audience(Mutex<Known>);

#[derive(Default)]
struct Known {
    members: HashMap<ConversationId, Arc<[UserId]>>,
    /// How often something was forgotten: what was read before may be stale.
    forgotten: u64,
}

impl Audience {
    pub fn forget(&self, id: &ConversationId) {
        let mut known = self.0.lock();
        known.forgotten += 1;
        known.members.remove(id);
    }

    fn get(&self, id: &ConversationId) -> (Option<Arc<[UserId]>>, u64) {
        let known = self.0.lock();
        (known.members.get(id).cloned(), known.forgotten)
    }

    /// `since`: what was forgotten by then.
    fn keep(&self, id: &ConversationId, members: Arc<[UserId]>, since: u64) {
        let mut known = self.0.lock();
        if known.forgotten != since {
            return;
        }
        if known.members.len() >= KNOWN {
            known.members.clear();
        }
        known.members.insert(id.clone(), members);
    }
}

impl Platform {
    /// Removes the last person's message with all that came after it; its sender may, and the owner. Nothing is given back of what
    /// it took.
    pub async fn remove_exchange(&self, who: &Member, id: &ConversationId, message: &MessageId) -> Result<(), Refusal> {
        self.entered(who, id).await?;
        let remove = RemoveExchange { conversation: id.clone(), message: message.clone(), by: who.user_id().clone() };
        let removed = self.store.remove_exchange(remove).await.or_refuse()?.map_err(refusal)?;
        let last_seq = removed.from_seq - 1;
        let event = RoomEvent::MessageRemoved {
            conversation_id: id.clone(),
            from_seq: removed.from_seq,
            removals: removed.removals,
            message_ids: removed.messages,
        };
        // Before the change is taken in: a room that was told need not look.
        self.tell_room(id, event).await;
        for message in removed.cancelled {
            self.tell_room(id, RoomEvent::MessageUpdated { message }).await;
        }
        self.take_in(Change::Conversation { id: id.clone() }).await;
        self.tell_members(id, removed.last, last_seq).await;
        Ok(())
    }

    /// A conversation of one's own that begins with what was said up to a message. Counts `ai`: it copies much.
    pub async fn branch_conversation(
        &self,
        who: &Member,
        id: &ConversationId,
        message: &MessageId,
    ) -> RevisionReport<ConversationItem> {
        self.with_limits(who, &[Rule::Ai], self.make_branch(who, id, message)).await
    }

    async fn make_branch(
        &self,
        who: &Member,
        id: &ConversationId,
        message: &MessageId,
    ) -> Result<ConversationItem, Refusal> {
        let from = self.entered(who, id).await?;
        // It is another conversation with the character, which not everyone who is in this one may begin.
        let character = self.any_character(&from.character_id).await?;
        let character = character.ok_or_else(|| Refusal::not_found("character"))?;
        if !character.is_visible_to(who.user_id()) {
            return Err(closed_to_new());
        }
        self.takes_new_conversations(who, &character).await?;
        let kept = from.title.chars().take(MAX_TITLE - BRANCH.chars().count());
        let branch = BranchConversation {
            id: self.ambient.id(),
            from: id.clone(),
            message: message.clone(),
            by: who.user_id().clone(),
            title: kept.chain(BRANCH.chars()).collect(),
        };
        match self.store.branch_conversation(branch).await.or_refuse()? {
            Branched::Made(item) => Ok(*item),
            Branched::NotFound => Err(Refusal::not_found("message")),
            Branched::TooLong => Err(Refusal::conflict(format!(
                "A branch begins with at most {MAX_BRANCH} messages. Choose an earlier one."
            ))),
        }
    }

    /// Has a deleted conversation back, with all that was said in it.
    pub async fn restore_conversation(&self, who: &Member, id: &ConversationId) -> Result<ConversationItem, Refusal> {
        let keep = self.settings.keep_deleted_conversations;
        let item = self.store.restore_conversation(id, who.user_id(), keep).await.or_refuse()?;
        let item = item.ok_or_else(|| Refusal::not_found("deleted conversation"))?;
        self.forget_pair(who, &item.conversation).await;
        self.take_in(Change::Conversation { id: id.clone() }).await;
        for user in &item.conversation.member_ids {
            self.take_in(Change::Member { conversation: id.clone(), user: user.clone() }).await;
        }
        Ok(item)
    }

    /// One's own conversations that can be had back, the last deleted first.
    pub async fn deleted_conversations(
        &self,
        who: &Member,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<ConversationPage, Refusal> {
        let keep = self.settings.keep_deleted_conversations;
        self.store.deleted_conversations(who.user_id(), keep, cursor, limit.clamp(1, MAX_PAGE)).await.or_refuse()
    }

    /// Removes those for good that can no longer be had back; in a dry run counts them. One at a time: each may be long.
    pub(crate) async fn purge_conversations(&self, remove: bool) -> Result<u64, StoreError> {
        let keep = self.settings.keep_deleted_conversations;
        if !remove {
            return self.store.count_purgeable(keep).await;
        }
        let mut count = 0;
        while self.store.purge_conversation(keep).await? {
            count += 1;
            tokio::task::yield_now().await;
        }
        Ok(count)
    }

    /// Notes how far somebody has read, and tells their other sockets where that is new.
    pub async fn mark_read(
        &self,
        who: &Member,
        id: &ConversationId,
        seq: u64,
        origin: Option<Origin>,
    ) -> Result<ReadMark, Refusal> {
        let mark = self.store.mark_read(id, who.user_id(), seq).await.or_refuse()?;
        let mark = mark.ok_or_else(|| Refusal::not_found("conversation"))?;
        if mark.moved {
            let event = UserEvent::Read { conversation_id: id.clone(), seq: mark.seq, unread: mark.unread };
            let told = self.backbone.bus.publish_user(who.user_id(), UserNote { event, origin }).await;
            hint("tell of what was read", told);
        }
        Ok(mark)
    }

    /// For rooms: where the conversation stands in the store; none when it is gone.
    pub async fn room_standing(&self, id: &ConversationId) -> Result<Option<RoomStanding>, Refusal> {
        self.store.room_standing(id).await.or_refuse()
    }

    /// Tells members, wherever they look, what was said last. Rooms are told by themselves; nobody waits for this.
    pub(crate) async fn tell_members(&self, id: &ConversationId, last_message: Option<Message>, last_seq: u64) {
        let members = match self.members_of(id).await {
            Ok(members) => members,
            Err(error) => {
                tracing::warn!(%error, "members were not told of a message");
                return;
            }
        };
        self.tell_these(&members, id, last_message, last_seq).await;
    }

    async fn tell_these(&self, members: &[UserId], id: &ConversationId, last_message: Option<Message>, last_seq: u64) {
        for member in members.iter().take(TOLD) {
            let event =
                UserEvent::Activity { conversation_id: id.clone(), last_message: last_message.clone(), last_seq };
            hint("tell a member", self.backbone.bus.publish_user(member, event.into()).await);
        }
    }

    /// As `tell_members`, of a message that was just stored, or changed where it stands.
    pub(crate) async fn tell_said(&self, message: Message) {
        let (id, seq) = (message.conversation_id.clone(), message.seq);
        self.tell_members(&id, Some(message), seq).await;
    }

    /// Others may be in a conversation by now than were told of the message before.
    pub fn forget_audience(&self, id: &ConversationId) {
        self.audience.forget(id);
    }

    async fn members_of(&self, id: &ConversationId) -> Result<Arc<[UserId]>, StoreError> {
        let (known, since) = self.audience.get(id);
        if let Some(known) = known {
            return Ok(known);
        }
        let members: Arc<[UserId]> = self.store.member_ids(id).await?.into();
        self.audience.keep(id, members.clone(), since);
        Ok(members)
    }
}

fn refusal(unfit: Unfit) -> Refusal {
    match unfit {
        Unfit::NotFound | Unfit::Full | Unfit::Changed => Refusal::not_found("message"),
        Unfit::Busy => Refusal::conflict("A message here waits for its reply. Wait for it, or stop it first."),
        Unfit::NotLast => Refusal::conflict("Only the last message of a person can be removed, with its reply."),
        Unfit::Unanswered => {
            Refusal::conflict("A reply is removed with the message that it answers, and a greeting stays.")
        }
        Unfit::NotTheirs => {
            Refusal::forbidden("Only who sent the message, and the owner of the conversation, may do this.")
        }
    }
}
