//! What this server did not hear of: rooms and users of whom the bus may have lost events are compared with the store,
//! some at a time, since after an outage it is all of them at once.

use super::Gateway;
use super::room;
use aim_domain::{CharacterId, ConversationId, UserEvent, UserId};
use futures::{StreamExt, stream};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Rooms, and users, that are looked at side by side.
const AT_ONCE: usize = 16;

/// Between two rounds.
const REST: Duration = Duration::from_millis(200);

#[derive(Default)]
pub struct Lost {
    rooms: Mutex<HashSet<ConversationId>>,
    users: Mutex<HashSet<UserId>>,
    more: Notify,
}

impl Lost {
    pub fn room(&self, id: &ConversationId) {
        self.rooms.lock().insert(id.clone());
        self.more.notify_one();
    }

    pub fn user(&self, id: &UserId) {
        self.users.lock().insert(id.clone());
        self.more.notify_one();
    }
}

impl Gateway {
    /// Without end.
    pub(super) async fn make_good(self: &Arc<Self>) {
        loop {
            self.lost.more.notified().await;
            let rooms = std::mem::take(&mut *self.lost.rooms.lock());
            let rooms = stream::iter(rooms).for_each_concurrent(AT_ONCE, async |id| {
                if let Some(room) = self.rooms.get(&id)
                    && !self.rooms.make_good(&room).await
                {
                    self.lost.room(&id);
                }
            });
            rooms.await;
            let users = std::mem::take(&mut *self.lost.users.lock());
            stream::iter(users).for_each_concurrent(AT_ONCE, async |id| self.tell_usage(&id).await).await;
            // What could not be made good yet, and what is lost over and over, is not looked at all the time.
            tokio::time::sleep(REST).await;
        }
    }

    /// Tells a user's sockets what is used, as the store has it.
    async fn tell_usage(&self, user: &UserId) {
        let sockets = self.users.of(user);
        let Some(identity) = sockets.first().and_then(|socket| socket.data.identity()) else { return };
        let Ok(who) = self.platform.authenticate_hash(&identity.token).await else { return };
        let Ok(report) = self.platform.usage(&who).await else { return };
        for (character, usage) in report.characters {
            let event = UserEvent::Usage { character_id: CharacterId::trusted(character), usage };
            let Some(packet) = room::encode(&event) else { continue };
            for socket in &sockets {
                let _ = socket.emit(packet.clone());
            }
        }
    }
}
