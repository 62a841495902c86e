//! Asking again for a reply that failed or was cancelled. Counts neither usage nor `messaging`: the message was counted when it was sent.

use crate::Platform;
use crate::faults::OrRefuse;
use crate::revisions::said_here;
use aim_backbone::turns::Turn;
use aim_domain::{ConversationId, Member, Message, MessageId, Refusal, RoomEvent};

impl Platform {
    pub async fn retry(&self, who: &Member, id: &ConversationId, message: &MessageId) -> Result<Message, Refusal> {
        let conversation = self.entered(who, id).await?;
        let stored = self.store.message(&conversation, message).await.or_refuse()?;
        let stored = stored.ok_or_else(|| Refusal::not_found("message"))?;
        said_here(&conversation, stored.seq)?;
        self.decides_on(who, &conversation, message).await?;
        self.someone_answers(&conversation).await?;
        let Some((message, attempt)) = self.store.retry(&conversation, message).await.or_refuse()? else {
            return Err(Refusal::conflict("This message has its reply, or is waiting for it."));
        };
        self.tell_room(id, RoomEvent::MessageUpdated { message: message.clone() }).await;
        let turn = Turn {
            conversation: id.clone(),
            character: conversation.character_id,
            message: message.id.clone(),
            attempt,
            premium: who.is_premium(),
        };
        self.enter_turn(turn).await;
        Ok(message)
    }
}
