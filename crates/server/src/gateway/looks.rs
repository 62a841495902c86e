//! Who is in a conversation and who is not: rooms that may have other people by now, and people who may be in or out of a
//! conversation, are looked up in the store, and their sockets told; so are those who see a character whose pictures changed. An event that says so is a hint; the store decides.
//!
//! A room or a person is looked at by one at a time, so that what is told last is how it is. What the store does not answer
//! is looked at again a second later.

use super::Gateway;
use super::client::Socket;
use super::room;
use aim_domain::{CharacterId, ConversationId, RoomEvent, UserEvent, UserId};
use futures::{StreamExt, stream};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Rooms, and people, that are looked at side by side.
const AT_ONCE: usize = 16;
/// Before the store is asked again.
const REST: Duration = Duration::from_secs(1);
/// People and conversations of whom it is remembered what they were told: a change is heard of twice where it was made.
const REMEMBERED: usize = 10_000;

type Place = (UserId, ConversationId);

#[derive(Default)]
pub struct Looks {
    rooms: Mutex<HashSet<ConversationId>>,
    people: Mutex<HashSet<Place>>,
    galleries: Mutex<HashSet<CharacterId>>,
    /// Whether they were told that they are in.
    told: Mutex<HashMap<Place, bool>>,
    more: Notify,
}

impl Looks {
    pub fn room(&self, id: &ConversationId) {
        self.rooms.lock().insert(id.clone());
        self.more.notify_one();
    }

    pub fn person(&self, user: &UserId, id: &ConversationId) {
        self.people.lock().insert((user.clone(), id.clone()));
        self.more.notify_one();
    }

    pub fn gallery(&self, id: &CharacterId) {
        self.galleries.lock().insert(id.clone());
        self.more.notify_one();
    }

    /// Changes may have been missed: what was told may not be the last word.
    pub fn forget(&self) {
        self.told.lock().clear();
    }

    fn is_news(&self, place: &Place, is_in: bool) -> bool {
        let mut told = self.told.lock();
        if told.len() >= REMEMBERED {
            told.clear();
        }
        told.insert(place.clone(), is_in) != Some(is_in)
    }
}

impl Gateway {
    /// Without end.
    pub(super) async fn look(self: &Arc<Self>) {
        loop {
            self.looks.more.notified().await;
            let rooms = std::mem::take(&mut *self.looks.rooms.lock());
            stream::iter(rooms).for_each_concurrent(AT_ONCE, async |id| self.look_at_room(&id).await).await;
            let people = std::mem::take(&mut *self.looks.people.lock());
            stream::iter(people).for_each_concurrent(AT_ONCE, async |place| self.look_at_person(place).await).await;
            let galleries = std::mem::take(&mut *self.looks.galleries.lock());
            stream::iter(galleries).for_each_concurrent(AT_ONCE, async |id| self.tell_of_gallery(id).await).await;
        }
    }

    /// Who is no longer in the conversation leaves its room; the others hear what is new of it.
    async fn look_at_room(self: &Arc<Self>, id: &ConversationId) {
        let Some(room) = self.rooms.get(id) else { return };
        let muted = room.muted();
        let Ok(now) = self.platform.room(id).await else {
            self.later(|gateway, id| gateway.looks.room(id), id.clone());
            return;
        };
        let (gone, mut missed, delivery) = room.see(now.as_ref(), &muted);
        self.rooms.lag(&room, delivery);
        for socket in &gone {
            self.let_go(socket, id).await;
            if let Some(identity) = socket.data.identity() {
                self.looks.person(&identity.user, id);
            }
        }
        // They were taken for gone, and heard nothing meanwhile.
        missed.extend(self.back_again(id, gone).await);
        for socket in missed {
            tell(&socket, &RoomEvent::Resync { conversation_id: id.clone() });
        }
        // A reply may have changed on another server, which no `seq` tells.
        if self.platform.backbone.is_cut_off() {
            self.rooms.look_anew(id);
        }
    }

    /// Those that came in between the look and what followed from it.
    async fn back_again(&self, id: &ConversationId, mut gone: Vec<Socket>) -> Vec<Socket> {
        if gone.is_empty() {
            return gone;
        }
        // Where the store does not answer, whoever is in may join once more.
        if let Ok(now) = self.platform.room(id).await {
            gone.retain(|socket| room::is_in(socket, now.as_ref()));
        }
        gone
    }

    /// Tells somebody's sockets whether they are in, unless they know.
    async fn look_at_person(self: &Arc<Self>, place: Place) {
        let (user, id) = &place;
        if self.users.of(user).is_empty() {
            return;
        }
        let Ok(now) = self.platform.room(id).await else {
            self.later(|gateway, (user, id)| gateway.looks.person(user, id), place);
            return;
        };
        let is_in = now.is_some_and(|conversation| conversation.member_ids.contains(user));
        if !self.looks.is_news(&place, is_in) {
            return;
        }
        let conversation_id = id.clone();
        let event = match is_in {
            true => UserEvent::Added { conversation_id },
            false => UserEvent::Removed { conversation_id },
        };
        self.users.of(user).iter().for_each(|socket| tell(socket, &event));
    }

    /// Tells those who talk with a character, and its owner, that its pictures changed.
    async fn tell_of_gallery(self: &Arc<Self>, id: CharacterId) {
        let Ok(owner) = self.platform.owner_of(&id).await else {
            self.later(|gateway, id| gateway.looks.gallery(id), id);
            return;
        };
        let owners = owner.map(|owner| self.users.of(&owner)).unwrap_or_default();
        let mut sockets: HashMap<_, _> = owners.into_iter().map(|socket| (socket.id, socket)).collect();
        sockets.extend(self.rooms.sockets_with(&id).into_iter().map(|socket| (socket.id, socket)));
        let event = UserEvent::Gallery { character_id: id };
        sockets.values().for_each(|socket| tell(socket, &event));
    }

    fn later<T: Send + 'static>(self: &Arc<Self>, again: fn(&Self, &T), what: T) {
        let gateway = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(REST).await;
            again(&gateway, &what);
        });
    }
}

fn tell(socket: &Socket, event: &impl serde::Serialize) {
    if let Some(packet) = room::encode(event) {
        let _ = socket.emit(packet);
    }
}
