//! Usage copies that a fleet shares: what one server counted, all show at once.
//!
//! A copy that Redis did not take is one that it has too old: its key waits to be deleted, and until then nothing is read.
//! Where Redis cannot say, the store does.

use super::Usage;
use crate::Fault;
use crate::keys::Names;
use crate::link::{Client, Need, Script};
use crate::pair::Fallback;
use aim_domain::usage::USAGE_WINDOW;
use aim_domain::{Ambient, CharacterId, Timestamp, UsageCount, UserId};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

static KEEP: Script = Script::new(include_str!("scripts/keep.lua"));

/// Copies that may wait to be deleted; with more, all of Redis's are disbelieved.
const UNDELIVERED: usize = 10_000;
/// Between two tries to delete them.
const PACE: Duration = Duration::from_millis(500);
/// Copies deleted in one round trip.
const SIDE_BY_SIDE: usize = 100;

pub struct RedisUsage {
    shared: Arc<Shared>,
    fallback: Fallback,
    _deliverer: DropGuard,
}

struct Shared {
    client: Client,
    names: Names,
    ambient: Ambient,
    undelivered: Mutex<Undelivered>,
    waiting: Notify,
}

/// Keys of copies that are older than they should be.
#[derive(Default)]
struct Undelivered {
    keys: HashSet<String>,
    users: HashSet<UserId>,
    everything: bool,
}

impl Undelivered {
    fn is_empty(&self) -> bool {
        !self.everything && self.keys.is_empty() && self.users.is_empty()
    }
}

impl RedisUsage {
    /// Needs a runtime.
    pub fn new(client: Client, ambient: &Ambient) -> Self {
        let shared = Arc::new(Shared {
            names: Names::of(&client),
            client,
            ambient: ambient.clone(),
            undelivered: Mutex::default(),
            waiting: Notify::new(),
        });
        let stop = CancellationToken::new();
        tokio::spawn(shared.clone().deliver(stop.clone()));
        Self { shared, fallback: Fallback::new("usage"), _deliverer: stop.drop_guard() }
    }

    fn missed(&self, fault: &Fault, note: impl FnOnce(&mut Undelivered)) {
        self.fallback.note(fault);
        let mut undelivered = self.shared.undelivered.lock();
        note(&mut undelivered);
        if undelivered.keys.len() + undelivered.users.len() > UNDELIVERED {
            *undelivered = Undelivered { everything: true, ..Undelivered::default() };
        }
        self.shared.waiting.notify_one();
    }
}

#[async_trait]
impl Usage for RedisUsage {
    async fn of(&self, user: &UserId, character: &CharacterId) -> Result<Option<UsageCount>, Fault> {
        match self.shared.read(user, character).await {
            Ok(row) => Ok(row),
            Err(fault) => {
                self.fallback.note(&fault);
                Ok(None)
            }
        }
    }

    async fn keep(&self, user: &UserId, character: &CharacterId, row: UsageCount) -> Result<(), Fault> {
        if let Err(fault) = self.shared.write(user, character, row).await {
            let key = self.shared.names.usage(user, character);
            self.missed(&fault, |undelivered| undelivered.keys.extend([key]));
        }
        Ok(())
    }

    async fn forget(&self, user: &UserId) -> Result<(), Fault> {
        if let Err(fault) = self.shared.forget(user).await {
            self.missed(&fault, |undelivered| undelivered.users.extend([user.clone()]));
        }
        Ok(())
    }
}

impl Shared {
    async fn read(&self, user: &UserId, character: &CharacterId) -> Result<Option<UsageCount>, Fault> {
        let epoch = self.client.link().epoch();
        if epoch == 0 || !self.undelivered.lock().is_empty() {
            return Ok(None);
        }
        let mut get = redis::cmd("HMGET");
        get.arg(self.names.usage(user, character)).arg(&["text", "audio", "image", "since", "version", "epoch"]);
        let fields: Vec<Option<String>> = self.client.query(Need::Read, &get).await?;
        let [Some(text), Some(audio), Some(image), Some(since), Some(version), Some(kept_in)] = fields.as_slice()
        else {
            return Ok(None);
        };
        // A copy that somebody wrote by hand, or that is of an older Redis, counts as none.
        let number = |text: &String| text.parse().ok();
        let row = || {
            Some(UsageCount {
                text: number(text)?,
                audio: number(audio)?,
                image: number(image)?,
                since: if since.is_empty() { None } else { Some(Timestamp(since.parse().ok()?)) },
                version: version.parse().ok()?,
            })
        };
        let now = self.ambient.now();
        let counts = |row: &UsageCount| row.since.is_none_or(|since| now < since.plus(USAGE_WINDOW));
        Ok(row().filter(|row| kept_in.parse() == Ok(epoch) && counts(row)))
    }

    async fn write(&self, user: &UserId, character: &CharacterId, row: UsageCount) -> Result<(), Fault> {
        let millis = |length: Duration| u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        let now = self.ambient.now();
        let left = row.since.map_or(USAGE_WINDOW, |since| since.plus(USAGE_WINDOW).since(now));
        let call = KEEP
            .call(&[self.names.usage(user, character), self.names.usages(user)])
            .arg(character.as_str())
            .arg(millis(left).max(1))
            .arg(millis(USAGE_WINDOW))
            .arg(&[row.text, row.audio, row.image])
            .arg(row.since.map_or_else(String::new, |since| since.0.to_string()))
            .arg(row.version)
            .arg(self.client.link().epoch());
        self.client.script::<u64>(Need::Write, &call).await.map(|_| ())
    }

    async fn forget(&self, user: &UserId) -> Result<(), Fault> {
        let set = self.names.usages(user);
        let characters: Vec<String> = self.client.query(Need::Read, redis::cmd("SMEMBERS").arg(&set)).await?;
        let keys = characters.into_iter().map(|id| self.names.usage(user, &CharacterId::trusted(id)));
        let keys: Vec<String> = keys.chain([set]).collect();
        self.delete(&keys).await
    }

    async fn delete(&self, keys: &[String]) -> Result<(), Fault> {
        for some in keys.chunks(SIDE_BY_SIDE) {
            let deletions = some.iter().map(async |key| {
                let mut delete = redis::cmd("DEL");
                delete.arg(key);
                self.client.query::<()>(Need::Write, &delete).await
            });
            futures::future::try_join_all(deletions).await?;
        }
        Ok(())
    }

    async fn deliver(self: Arc<Self>, stop: CancellationToken) {
        let work = async {
            loop {
                self.waiting.notified().await;
                while !self.undelivered.lock().is_empty() {
                    tokio::time::sleep(PACE).await;
                    if let Err(fault) = self.deliver_once().await {
                        tracing::debug!(%fault, "old usage copies wait for Redis");
                    }
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = work => {}
        }
    }

    async fn deliver_once(&self) -> Result<(), Fault> {
        let (everything, keys, users) = {
            let waiting = self.undelivered.lock();
            (waiting.everything, waiting.keys.clone(), waiting.users.clone())
        };
        if everything {
            self.client.link().begin_epoch().await?;
        }
        let named: Vec<String> = keys.iter().cloned().collect();
        self.delete(&named).await?;
        for user in &users {
            self.forget(user).await?;
        }
        let mut waiting = self.undelivered.lock();
        waiting.everything &= !everything;
        waiting.keys.retain(|key| !keys.contains(key));
        waiting.users.retain(|user| !users.contains(user));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
