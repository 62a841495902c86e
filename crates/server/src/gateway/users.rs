//! The sockets of each user on this server; a user's channel of the bus is heard while there is one.

use super::client::Socket;
use aim_domain::{SessionId, UserId};
use aim_platform::Platform;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

pub struct Users {
    platform: Platform,
    sockets: Mutex<HashMap<UserId, Vec<Socket>>>,
    /// Held while a user's channel opens or closes, so that the two do not cross; one for some of the users each, so that
    /// many who come back at once do not wait in one line.
    turning: [tokio::sync::Mutex<()>; 64],
    hasher: RandomState,
}

impl Users {
    pub fn new(platform: Platform) -> Self {
        let turning = std::array::from_fn(|_| tokio::sync::Mutex::default());
        Self { platform, sockets: Mutex::default(), turning, hasher: RandomState::new() }
    }

    pub async fn enter(&self, user: &UserId, socket: &Socket) {
        let first = {
            let mut sockets = self.sockets.lock();
            let mine = sockets.entry(user.clone()).or_default();
            mine.push(socket.clone());
            mine.len() == 1
        };
        self.platform.enters(user);
        if first {
            self.turn(user).await;
        }
        // Closed while it came in: then it left before it was here.
        if socket.data.is_closed() {
            self.leave(user, socket).await;
        }
    }

    pub async fn leave(&self, user: &UserId, socket: &Socket) {
        let last = {
            let mut sockets = self.sockets.lock();
            let Some(mine) = sockets.get_mut(user) else { return };
            let before = mine.len();
            mine.retain(|one| one.id != socket.id);
            for _ in mine.len()..before {
                self.platform.leaves(user);
            }
            let last = mine.is_empty();
            if last {
                sockets.remove(user);
            }
            last
        };
        if last {
            self.turn(user).await;
        }
    }

    /// Hears the user's channel if there is a socket to tell now, and not otherwise.
    async fn turn(&self, user: &UserId) {
        let stripe = self.hasher.hash_one(user) % self.turning.len() as u64;
        let _turning = self.turning[stripe as usize].lock().await;
        let wanted = self.sockets.lock().contains_key(user);
        let bus = &self.platform.backbone.bus;
        let turned = if wanted { bus.subscribe_user(user).await } else { bus.unsubscribe_user(user).await };
        if let Err(fault) = turned {
            tracing::warn!(%fault, "a user's channel was not turned");
        }
    }

    pub fn of(&self, user: &UserId) -> Vec<Socket> {
        self.sockets.lock().get(user).cloned().unwrap_or_default()
    }

    pub fn of_session(&self, user: &UserId, session: &SessionId) -> Vec<Socket> {
        let mut mine = self.of(user);
        mine.retain(|socket| socket.data.identity().is_some_and(|identity| identity.session == *session));
        mine
    }

    pub fn all(&self) -> Vec<Socket> {
        self.sockets.lock().values().flatten().cloned().collect()
    }
}
