//! Sessions shared by a fleet: copies near, in this process, over copies in Redis.
//!
//! A copy says from where in the change feed the store was read. It counts only if that is not before the last drop that
//! this server knows of, so a copy that another server wrote too late is told from a true one; a mark stays for a while
//! where a session was dropped, so that it is not even written. Drops that Redis did not hear are delivered as soon as it
//! does, and until then nothing is read from it. A Redis of another epoch is not believed at all.

use super::local::LocalSessions;
use super::{LoadMark, Sessions};
use crate::keys::Names;
use crate::link::{Client, Need, Script};
use crate::pair::Fallback;
use crate::{Fault, Fleet};
use aim_domain::{Ambient, Member, TokenHash, UserId};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

static KEEP: Script = Script::new(include_str!("scripts/keep.lua"));

/// Longer than any load of a session takes: what began before a drop has ended by then.
const MARK: Duration = Duration::from_secs(60);
/// Drops that may wait for Redis; with more, every session in Redis is dropped.
const UNDELIVERED: usize = 10_000;
/// Between two tries to deliver.
const PACE: Duration = Duration::from_millis(500);
/// Sessions dropped in one round trip.
const SIDE_BY_SIDE: usize = 100;

pub struct RedisSessions {
    shared: Arc<Shared>,
    fallback: Fallback,
    _deliverer: DropGuard,
}

struct Shared {
    near: LocalSessions,
    client: Client,
    names: Names,
    ambient: Ambient,
    undelivered: Mutex<Undelivered>,
    waiting: Notify,
}

#[derive(Default)]
struct Undelivered {
    tokens: HashSet<TokenHash>,
    users: HashSet<UserId>,
    everything: bool,
}

impl Undelivered {
    fn is_empty(&self) -> bool {
        !self.everything && self.tokens.is_empty() && self.users.is_empty()
    }

    fn bound(&mut self) {
        if self.tokens.len() + self.users.len() > UNDELIVERED {
            *self = Self { everything: true, ..Self::default() };
        }
    }
}

/// A copy as Redis has it: `EPOCH POSITION JSON`.
struct Copy {
    epoch: u64,
    position: i64,
    member: Member,
}

impl Copy {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ' ');
        let (epoch, position) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Self { epoch, position, member: serde_json::from_str(parts.next()?).ok()? })
    }
}

impl RedisSessions {
    /// Needs a runtime.
    pub fn new(client: Client, fleet: &Fleet, ambient: &Ambient) -> Self {
        let shared = Arc::new(Shared {
            near: LocalSessions::new(ambient, fleet),
            names: Names::of(&client),
            client,
            ambient: ambient.clone(),
            undelivered: Mutex::default(),
            waiting: Notify::new(),
        });
        let stop = CancellationToken::new();
        tokio::spawn(shared.clone().deliver(stop.clone()));
        Self { shared, fallback: Fallback::new("sessions"), _deliverer: stop.drop_guard() }
    }

    fn missed(&self, fault: &Fault, note: impl FnOnce(&mut Undelivered)) {
        self.fallback.note(fault);
        let mut undelivered = self.shared.undelivered.lock();
        note(&mut undelivered);
        undelivered.bound();
        self.shared.waiting.notify_one();
    }
}

#[async_trait]
impl Sessions for RedisSessions {
    async fn get(&self, token: &TokenHash) -> Result<Option<Arc<Member>>, Fault> {
        if let Some(member) = self.shared.near.get(token).await? {
            return Ok(Some(member));
        }
        // Before Redis is asked: a drop that overtakes its answer is seen.
        let mark = self.shared.near.begin_load(token).await?;
        let copy = match self.shared.read(token).await {
            Ok(copy) => copy,
            Err(fault) => {
                self.fallback.note(&fault);
                return Ok(None);
            }
        };
        let Some(copy) = copy else { return Ok(None) };
        let member = Arc::new(copy.member);
        if copy.position < self.shared.near.position_needed(token, member.user_id()) {
            return Ok(None);
        }
        let is_over = member.session.expires_at <= self.shared.ambient.now();
        Ok((!is_over && self.shared.near.keep(mark, member.clone()).await?).then_some(member))
    }

    async fn begin_load(&self, token: &TokenHash) -> Result<LoadMark, Fault> {
        self.shared.near.begin_load(token).await
    }

    async fn keep(&self, mark: LoadMark, member: Arc<Member>) -> Result<bool, Fault> {
        if !self.shared.near.keep(mark, member.clone()).await? {
            return Ok(false);
        }
        if let Err(fault) = self.shared.write(mark, &member).await {
            self.fallback.note(&fault);
        }
        Ok(true)
    }

    async fn drop_session(&self, token: &TokenHash) -> Result<(), Fault> {
        self.shared.near.drop_session(token).await?;
        if let Err(fault) = self.shared.mark_dropped(std::slice::from_ref(token)).await {
            self.missed(&fault, |undelivered| undelivered.tokens.extend([token.clone()]));
        }
        Ok(())
    }

    async fn drop_user(&self, user: &UserId) -> Result<(), Fault> {
        self.shared.near.drop_user(user).await?;
        if let Err(fault) = self.shared.drop_sessions_of(user).await {
            self.missed(&fault, |undelivered| undelivered.users.extend([user.clone()]));
        }
        Ok(())
    }
}

impl Shared {
    async fn read(&self, token: &TokenHash) -> Result<Option<Copy>, Fault> {
        if !self.undelivered.lock().is_empty() {
            return Ok(None);
        }
        let epoch = self.client.link().epoch();
        let key = self.names.session(token);
        let text: Option<String> = self.client.query(Need::Read, redis::cmd("GET").arg(key)).await?;
        let copy = text.as_deref().and_then(Copy::parse);
        Ok(copy.filter(|copy| copy.epoch == epoch && epoch != 0 && copy.member.session.token_hash == *token))
    }

    async fn write(&self, mark: LoadMark, member: &Member) -> Result<(), Fault> {
        let (session, epoch) = (&member.session, self.client.link().epoch());
        let life = session.expires_at.since(self.ambient.now());
        let json = serde_json::to_string(member).map_err(|error| Fault::new("sessions", error.to_string()))?;
        if epoch == 0 || life.is_zero() {
            return Ok(());
        }
        let life = u64::try_from(life.as_millis()).unwrap_or(u64::MAX);
        let copy = format!("{epoch} {} {json}", mark.position);
        let keep =
            KEEP.call(&[self.names.session(&session.token_hash)]).arg(copy).arg(epoch).arg(mark.position).arg(life);
        // Which sessions a user has, to drop them all; it lives as long as the longest of them.
        let index = self.names.user_sessions(&session.user_id);
        let (mut add, mut expire) = (redis::cmd("SADD"), redis::cmd("PEXPIRE"));
        add.arg(&index).arg(session.token_hash.as_str());
        expire.arg(&index).arg(life).arg("GT");
        let mut expire_new = redis::cmd("PEXPIRE");
        expire_new.arg(&index).arg(life).arg("NX");
        let (added, first, longer, kept) = tokio::join!(
            self.client.query::<()>(Need::Write, &add),
            self.client.query::<()>(Need::Write, &expire_new),
            self.client.query::<()>(Need::Write, &expire),
            self.client.script::<u64>(Need::Write, &keep),
        );
        added.and(first).and(longer).and(kept.map(|_| ()))
    }

    async fn mark_dropped(&self, tokens: &[TokenHash]) -> Result<(), Fault> {
        for some in tokens.chunks(SIDE_BY_SIDE) {
            let marks = some.iter().map(async |token| {
                let mut set = redis::cmd("SET");
                set.arg(self.names.session(token)).arg("-").arg("PX").arg(MARK.as_millis() as u64);
                self.client.query::<()>(Need::Write, &set).await
            });
            futures::future::try_join_all(marks).await?;
        }
        Ok(())
    }

    async fn drop_sessions_of(&self, user: &UserId) -> Result<(), Fault> {
        let index = self.names.user_sessions(user);
        let tokens: Vec<String> = self.client.query(Need::Read, redis::cmd("SMEMBERS").arg(&index)).await?;
        let tokens: Vec<TokenHash> = tokens.into_iter().map(TokenHash::trusted).collect();
        self.mark_dropped(&tokens).await
    }

    /// Delivers what Redis did not hear, until `stop`.
    async fn deliver(self: Arc<Self>, stop: CancellationToken) {
        let work = async {
            loop {
                self.waiting.notified().await;
                while !self.undelivered.lock().is_empty() {
                    tokio::time::sleep(PACE).await;
                    if let Err(fault) = self.deliver_once().await {
                        tracing::debug!(%fault, "dropped sessions wait for Redis");
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
        let (everything, tokens, users) = {
            let waiting = self.undelivered.lock();
            (waiting.everything, waiting.tokens.clone(), waiting.users.clone())
        };
        if everything {
            // Too many to name: another epoch makes every copy one that nobody believes.
            self.client.link().begin_epoch().await?;
        }
        let named: Vec<TokenHash> = tokens.iter().cloned().collect();
        self.mark_dropped(&named).await?;
        for user in &users {
            self.drop_sessions_of(user).await?;
        }
        let mut waiting = self.undelivered.lock();
        waiting.everything &= !everything;
        waiting.tokens.retain(|token| !tokens.contains(token));
        waiting.users.retain(|user| !users.contains(user));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
