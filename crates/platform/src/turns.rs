//! Entering and leaving the lines, and what follows: a granted turn gets its job, a changed state is told to its room.

use crate::Platform;
use crate::faults::hint;
use crate::jobs::ai_response;
use aim_backbone::queue::{Added, JobState};
use aim_backbone::turns::{Moved, Turn};
use aim_domain::{ConversationId, MessageId, RoomEvent};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::time::Duration;

/// How long a character that is busy elsewhere is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// Turns that wait out such a pause, by message and attempt: each once, however often it is granted meanwhile.
#[derive(Default)]
pub(crate) struct PutOff(Mutex<HashSet<(MessageId, u32)>>);

impl PutOff {
    /// False where it waits already.
    fn begin(&self, turn: &Turn) -> bool {
        self.0.lock().insert((turn.message.clone(), turn.attempt))
    }

    fn end(&self, turn: &Turn) {
        self.0.lock().remove(&(turn.message.clone(), turn.attempt));
    }

    pub fn has(&self, turn: &Turn) -> bool {
        self.0.lock().contains(&(turn.message.clone(), turn.attempt))
    }
}

impl Platform {
    /// Puts a turn in line; true when it was granted at once.
    pub(crate) async fn enter_turn(&self, turn: Turn) -> bool {
        let moved = hint("enter a turn", self.backbone.turns.enter(turn.clone()).await);
        let granted = moved.granted.contains(&turn);
        self.follow(moved).await;
        granted
    }

    /// Gives the slot back, whatever came of the turn, and grants the next.
    pub(crate) async fn finish_turn(&self, turn: &Turn) {
        let moved = hint("finish a turn", self.backbone.turns.finish(turn).await);
        self.follow(moved).await;
    }

    /// The same after a while, for a turn that found its character busy elsewhere; it goes to the end of its line. Servers that do not
    /// hear each other each grant a character's turns, and one has the claim: without a pause the others would ask the store
    /// for all that waits, one after the other and again with every look of the reconciler.
    pub(crate) fn put_turn_off(&self, turn: Turn) {
        if !self.put_off.begin(&turn) {
            return;
        }
        let platform = self.clone();
        self.tasks.spawn(async move {
            let ends = tokio::select! {
                () = tokio::time::sleep(PAUSE) => false,
                () = platform.ending.cancelled() => true,
            };
            platform.put_off.end(&turn);
            platform.finish_turn(&turn).await;
            if !ends {
                platform.enter_turn(turn).await;
            }
        });
    }

    /// Tells rooms of their new state, then adds the jobs of granted turns.
    pub(crate) async fn follow(&self, moved: Moved) {
        for (conversation_id, state) in moved.states {
            let event = RoomEvent::State { conversation_id: conversation_id.clone(), state };
            self.tell_room(&conversation_id, event).await;
        }
        for turn in moved.granted {
            self.add_reply_job(&turn).await;
        }
    }

    /// A queue ignores an id that it still knows. One that is finished while its turn is granted anew (its claim was
    /// lost, its server died) makes room for the new job.
    pub(crate) async fn add_reply_job(&self, turn: &Turn) {
        let queue = &self.backbone.queue;
        let job = ai_response::job(turn);
        let id = job.id.clone();
        if let Ok(Added::Known) = queue.add(job.clone()).await {
            let known = hint("look up a job", queue.job(ai_response::QUEUE, &id).await);
            if known.is_some_and(|known| matches!(known.state, JobState::Completed | JobState::Failed)) {
                hint("remove a finished job", queue.remove(ai_response::QUEUE, &id).await);
                hint("add a job", queue.add(job).await.map(|_| ()));
            }
        }
    }

    pub(crate) async fn tell_room(&self, conversation: &ConversationId, event: RoomEvent) {
        hint("tell a room", self.backbone.bus.publish_room(conversation, event.into()).await);
    }
}
