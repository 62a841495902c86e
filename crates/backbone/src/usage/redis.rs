//! Usage copies that a fleet shares: what one server counted, all show at once.
//!
//! A row that Redis did not take waits here to be delivered, and until then nothing is read from it: what it has is too
//! old. It is delivered, rather than the old copy deleted, so that an older one that is still under way comes too late.
//! Where Redis cannot say, the store does.

use super::{LoadMark, Usage, WHOLE};
use crate::Fault;
use crate::keys::Names;
use crate::link::{Client, Need, Script};
use crate::pair::Fallback;
use aim_domain::usage::USAGE_WINDOW;
use aim_domain::{Ambient, CharacterId, Timestamp, UsageCount, UserId};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

static KEEP: Script = Script::new(include_str!("scripts/keep.lua"));
static ALL: Script = Script::new(include_str!("scripts/all.lua"));

type Rows = [(CharacterId, UsageCount)];

/// Rows that are kept as all of a user's in one go; somebody with more has them read from the store.
const MOST: usize = 500;
/// Rows that may wait for Redis; with more, all of its copies are disbelieved.
const UNDELIVERED: usize = 10_000;
/// Between two tries to deliver them.
const PACE: Duration = Duration::from_millis(500);
/// Rows delivered, or copies deleted, in one round trip.
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

/// What Redis did not hear.
#[derive(Clone, Default)]
struct Undelivered {
    /// The newest of each.
    rows: HashMap<(UserId, CharacterId), UsageCount>,
    /// Those to forget, before any row is delivered, and how often that was asked: once more while it is delivered is not
    /// delivered yet.
    users: HashMap<UserId, u64>,
    /// How often there was more than may wait.
    overflows: u64,
}

impl Undelivered {
    fn is_empty(&self) -> bool {
        self.overflows == 0 && self.rows.is_empty() && self.users.is_empty()
    }

    fn keep(&mut self, user: &UserId, character: &CharacterId, row: UsageCount) {
        let newest = self.rows.entry((user.clone(), character.clone())).or_insert(row);
        if newest.version < row.version {
            *newest = row;
        }
    }

    fn forget(&mut self, user: &UserId) {
        self.rows.retain(|(of, _), _| of != user);
        *self.users.entry(user.clone()).or_default() += 1;
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
        if undelivered.rows.len() + undelivered.users.len() > UNDELIVERED {
            *undelivered = Undelivered { overflows: undelivered.overflows + 1, ..Undelivered::default() };
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
        if let Err(fault) = self.shared.write(user, &[(character.clone(), row)], false).await {
            self.missed(&fault, |undelivered| undelivered.keep(user, character, row));
        }
        Ok(())
    }

    async fn all_of(&self, user: &UserId) -> Result<Option<Vec<(CharacterId, UsageCount)>>, Fault> {
        match self.shared.read_all(user).await {
            Ok(rows) => Ok(rows),
            Err(fault) => {
                self.fallback.note(&fault);
                Ok(None)
            }
        }
    }

    /// Redis evicts nothing that it was told in between: it needs no mark.
    async fn begin_load(&self, _user: &UserId) -> Result<LoadMark, Fault> {
        Ok(LoadMark(0))
    }

    async fn keep_all(&self, _mark: LoadMark, user: &UserId, rows: &Rows) -> Result<(), Fault> {
        let mut rows = rows.to_vec();
        rows.retain(|row| self.shared.is_used(row));
        if rows.len() > MOST {
            return Ok(());
        }
        if let Err(fault) = self.shared.write(user, &rows, true).await {
            self.fallback.note(&fault);
        }
        Ok(())
    }

    async fn forget(&self, user: &UserId) -> Result<(), Fault> {
        if let Err(fault) = self.shared.forget(user).await {
            self.missed(&fault, |undelivered| undelivered.forget(user));
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
        let Some((Some(kept_in), fields)) = fields.split_last() else { return Ok(None) };
        Ok(row(fields).filter(|row| kept_in.parse() == Ok(epoch) && self.counts(row)))
    }

    async fn read_all(&self, user: &UserId) -> Result<Option<Vec<(CharacterId, UsageCount)>>, Fault> {
        let epoch = self.client.link().epoch();
        if epoch == 0 || !self.undelivered.lock().is_empty() {
            return Ok(None);
        }
        let call = ALL.call(&[self.names.usages(user), self.names.usages_whole(user)]);
        let call = call.arg(epoch).arg(self.names.usage_prefix(user));
        let found: Option<Vec<Vec<Option<String>>>> = self.client.script(Need::Read, &call).await?;
        let rows = found.and_then(|found| {
            let row = |fields: &Vec<Option<String>>| match fields.split_last() {
                Some((Some(character), fields)) => Some((CharacterId::parse(character).ok()?, row(fields)?)),
                _ => None,
            };
            found.iter().map(row).collect::<Option<Vec<_>>>()
        });
        Ok(rows.map(|rows| rows.into_iter().filter(|row| self.is_used(row)).collect()))
    }

    fn is_used(&self, (_, row): &(CharacterId, UsageCount)) -> bool {
        row.since.is_some() && self.counts(row)
    }

    fn counts(&self, row: &UsageCount) -> bool {
        let now = self.ambient.now();
        row.since.is_none_or(|since| now < since.plus(USAGE_WINDOW))
    }

    /// `all`: the user has no others.
    async fn write(&self, user: &UserId, rows: &Rows, all: bool) -> Result<(), Fault> {
        let millis = |length: Duration| u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        let now = self.ambient.now();
        let mut keys = vec![self.names.usages(user), self.names.usages_whole(user)];
        keys.extend(rows.iter().map(|(character, _)| self.names.usage(user, character)));
        let prefix = if all { self.names.usage_prefix(user) } else { String::new() };
        let mut call =
            KEEP.call(&keys).arg(self.client.link().epoch()).arg(millis(USAGE_WINDOW)).arg(millis(WHOLE)).arg(prefix);
        for (character, row) in rows {
            let left = row.since.map_or(USAGE_WINDOW, |since| since.plus(USAGE_WINDOW).since(now));
            call = call
                .arg(character.as_str())
                .arg(millis(left).max(1))
                .arg(&[row.text, row.audio, row.image])
                .arg(row.since.map_or_else(String::new, |since| since.0.to_string()))
                .arg(row.version);
        }
        self.client.script::<u64>(Need::Write, &call).await.map(|_| ())
    }

    async fn forget(&self, user: &UserId) -> Result<(), Fault> {
        let set = self.names.usages(user);
        let characters: Vec<String> = self.client.query(Need::Read, redis::cmd("SMEMBERS").arg(&set)).await?;
        let keys = characters.into_iter().map(|id| self.names.usage(user, &CharacterId::trusted(id)));
        let keys: Vec<String> = keys.chain([set, self.names.usages_whole(user)]).collect();
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
                        tracing::debug!(%fault, "usage rows wait for Redis");
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
        let waiting = self.undelivered.lock().clone();
        if waiting.overflows > 0 {
            self.client.link().begin_epoch().await?;
        }
        for user in waiting.users.keys() {
            self.forget(user).await?;
        }
        let rows: Vec<_> = waiting.rows.iter().collect();
        for some in rows.chunks(SIDE_BY_SIDE) {
            let rows = some
                .iter()
                .map(async |((user, character), row)| self.write(user, &[(character.clone(), **row)], false).await);
            futures::future::try_join_all(rows).await?;
        }
        let mut still = self.undelivered.lock();
        if still.overflows == waiting.overflows {
            still.overflows = 0;
        }
        still.users.retain(|user, times| waiting.users.get(user) != Some(times));
        still.rows.retain(|of, row| waiting.rows.get(of) != Some(row));
        Ok(())
    }
}

/// From text, audio, image, since and version. What somebody wrote by hand, or is of an older release, is none.
fn row(fields: &[Option<String>]) -> Option<UsageCount> {
    let [Some(text), Some(audio), Some(image), Some(since), Some(version)] = fields else { return None };
    Some(UsageCount {
        text: text.parse().ok()?,
        audio: audio.parse().ok()?,
        image: image.parse().ok()?,
        since: if since.is_empty() { None } else { Some(Timestamp(since.parse().ok()?)) },
        version: version.parse().ok()?,
    })
}

#[cfg(test)]
mod tests;
