//! Sessions shared by a fleet: copies near, in this process, over copies in Redis.
//!
//! A copy says from where in the change feed the store was read. It counts only if that is not before the last drop that
//! this server knows of, nor before this server began to follow the feed: it knows of no drop before that. So a copy that
//! outlives its session is told from a true one, whether Redis did not hear of the drop, another server wrote it too late,
//! or all servers were started anew since. Redis is told of drops so that it does not keep in vain what nobody believes; a
//! mark stays for a while, so that such a copy is not even written. A Redis of another epoch is not believed at all.

use super::local::LocalSessions;
use super::{LoadMark, Sessions};
use crate::keys::Names;
use crate::link::{Client, Need, Script};
use crate::pair::Fallback;
use crate::{Fault, Fleet};
use aim_domain::{Ambient, Member, TokenHash, UserId};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

static KEEP: Script = Script::new(include_str!("scripts/keep.lua"));

/// Longer than any load of a session takes: what began before a drop has ended by then.
const MARK: Duration = Duration::from_secs(60);
/// Sessions dropped in one round trip.
const SIDE_BY_SIDE: usize = 100;

pub struct RedisSessions {
    near: LocalSessions,
    client: Client,
    names: Names,
    ambient: Ambient,
    fleet: Fleet,
    fallback: Fallback,
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
    pub fn new(client: Client, fleet: &Fleet, ambient: &Ambient) -> Self {
        Self {
            near: LocalSessions::new(ambient, fleet),
            names: Names::of(&client),
            client,
            ambient: ambient.clone(),
            fleet: fleet.clone(),
            fallback: Fallback::new("sessions"),
        }
    }

    /// Nothing while this server does not follow the feed.
    async fn copy(&self, token: &TokenHash) -> Result<Option<Copy>, Fault> {
        let Some(since) = self.fleet.since() else { return Ok(None) };
        let copy = self.read(token).await?;
        let needed = |copy: &Copy| self.near.position_needed(token, copy.member.user_id()).max(since);
        Ok(copy.filter(|copy| needed(copy) <= copy.position))
    }

    async fn read(&self, token: &TokenHash) -> Result<Option<Copy>, Fault> {
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
}

#[async_trait]
impl Sessions for RedisSessions {
    async fn get(&self, token: &TokenHash) -> Result<Option<Arc<Member>>, Fault> {
        if let Some(member) = self.near.get(token).await? {
            return Ok(Some(member));
        }
        // Before Redis is asked: a drop that overtakes its answer is seen.
        let mark = self.near.begin_load(token).await?;
        let copy = match self.copy(token).await {
            Ok(copy) => copy,
            Err(fault) => {
                self.fallback.note(&fault);
                return Ok(None);
            }
        };
        let Some(copy) = copy else { return Ok(None) };
        let member = Arc::new(copy.member);
        let is_over = member.session.expires_at <= self.ambient.now();
        Ok((!is_over && self.near.keep(mark, member.clone()).await?).then_some(member))
    }

    async fn begin_load(&self, token: &TokenHash) -> Result<LoadMark, Fault> {
        self.near.begin_load(token).await
    }

    async fn keep(&self, mark: LoadMark, member: Arc<Member>) -> Result<bool, Fault> {
        if !self.near.keep(mark, member.clone()).await? {
            return Ok(false);
        }
        if let Err(fault) = self.write(mark, &member).await {
            self.fallback.note(&fault);
        }
        Ok(true)
    }

    async fn drop_session(&self, token: &TokenHash) -> Result<(), Fault> {
        self.near.drop_session(token).await?;
        if let Err(fault) = self.mark_dropped(std::slice::from_ref(token)).await {
            self.fallback.note(&fault);
        }
        Ok(())
    }

    async fn drop_user(&self, user: &UserId) -> Result<(), Fault> {
        self.near.drop_user(user).await?;
        if let Err(fault) = self.drop_sessions_of(user).await {
            self.fallback.note(&fault);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
