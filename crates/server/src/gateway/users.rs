//! The sockets of each user on this server; a user's channel of the bus is heard while there is one.

use super::client::Socket;
use aim_domain::{SessionId, UserId};
use aim_platform::Platform;
use parking_lot::Mutex;
use std::collections::HashMap;

pub struct Users {
    platform: Platform,
    sockets: Mutex<HashMap<UserId, Vec<Socket>>>,
    /// Held while a user's channel opens or closes, so that the two do not cross.
    turning: tokio::sync::Mutex<()>,
}

impl Users {
    pub fn new(platform: Platform) -> Self {
        Self { platform, sockets: Mutex::default(), turning: tokio::sync::Mutex::default() }
    }

    pub async fn enter(&self, user: &UserId, socket: &Socket) {
        let first = {
            let mut sockets = self.sockets.lock();
            let mine = sockets.entry(user.clone()).or_default();
            mine.push(socket.clone());
            mine.len() == 1
        };
        if first {
            self.turn(user).await;
        }
    }

    pub async fn leave(&self, user: &UserId, socket: &Socket) {
        let last = {
            let mut sockets = self.sockets.lock();
            let Some(mine) = sockets.get_mut(user) else { return };
            mine.retain(|one| one.id != socket.id);
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
        let _turning = self.turning.lock().await;
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
