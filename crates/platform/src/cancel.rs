//! Stopping: the reply under way, or, when none is, what waits. A guest stops what is theirs alone.

use crate::Platform;
use crate::faults::{OrRefuse, hint};
use aim_domain::{ConversationId, Member, Refusal, RoomEvent};
use aim_store::{Cancel, Change};

impl Platform {
    /// A reply under way is stored with what it has said, or marks its message cancelled when that is nothing. Works
    /// from any server: the one that gives the reply hears of it by the change feed at the latest. By a guest, it stops the
    /// reply to their own message, or what of theirs waits; what others asked goes on.
    pub async fn cancel(&self, who: &Member, id: &ConversationId) -> Result<(), Refusal> {
        let conversation = self.entered(who, id).await?;
        let cancelled = match conversation.owner_id == *who.user_id() {
            true => self.store.cancel(&conversation).await,
            false => self.store.cancel_own(&conversation, who.user_id()).await,
        };
        match cancelled.or_refuse()? {
            Cancel::Stopping { fence, .. } => {
                self.take_in(Change::Cancel { conversation: id.clone(), fence }).await;
            }
            Cancel::Cancelled(messages) => {
                let ids: Vec<_> = messages.iter().map(|message| message.id.clone()).collect();
                if !ids.is_empty() {
                    // One of them may have been under way on a server that died.
                    self.forget_partial(id, |partial| ids.contains(&partial.in_reply_to)).await;
                }
                for message in messages {
                    self.tell_room(id, RoomEvent::MessageUpdated { message }).await;
                }
                let moved = self.backbone.turns.withdraw(&conversation.character_id, id, &ids).await;
                self.follow(hint("leave the line", moved)).await;
            }
        }
        Ok(())
    }
}
