//! One cache for all servers: the near cache of each over Redis. Where Redis does not answer, or is not believed, the near
//! cache and the caller's load do.
//!
//! A near hit takes no round trip, a hit in Redis one, a miss two: the look that gives the lease of the load, and the
//! keeping. Where replicas may be read they are asked first, and a miss takes three. One that lost its master tells what was
//! deleted long ago, so it has to show that it heard of every change that this server knows to be told; in a Cluster,
//! where that would stand on another node, replicas are not asked.
//!
//! What makes a copy stale always reaches it. In Redis an invalidation deletes the value and the lease of its load, so that
//! a load that began before it is refused. In each process it is marked before and after: a load, or an answer of Redis,
//! that was asked for before the second mark is not kept near. One that Redis did not hear is made up for before Redis is
//! believed again ([`standing`]).

pub(super) mod lease;
mod standing;
mod value;

use super::loads::{Loads, Turn};
use super::local::ttl;
use super::near::{Life, Near, ahead};
use super::{Begun, CacheBackend, Entry, Family, Found, Level, Load, Reach, Slot};
use crate::keys::Names;
use crate::link::{Client, Need, Passage, Script, refunded};
use crate::pair::Fallback;
use crate::{Fault, Settings};
use aim_domain::Ambient;
use async_trait::async_trait;
use lease::Lease;
use standing::{Era, Standing};
use std::time::{Duration, Instant};

static LOOK: Script = Script::new(include_str!("scripts/look.lua"));
static KEEP: Script = Script::new(include_str!("scripts/keep.lua"));

/// Between two looks for a value that another server loads: the first pause, and the longest; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// A value from a replica is kept near no longer: the replica may not have heard of what changed since the feed was last
/// read, half a second before, and together they stay within the second that a change takes to reach everyone.
const LAGGING: Duration = Duration::from_millis(400);
/// An era that ended may have been over for so long when that was noticed: the link looks once a second, the feed twice.
const DOUBTFUL: Duration = Duration::from_secs(3);

pub struct RedisCache {
    near: Near,
    loads: Loads,
    client: Client,
    names: Names,
    standing: Standing,
    fallback: Fallback,
    ambient: Ambient,
    short: bool,
}

/// The era and the cursor of a replica's record.
type Heard = (Option<Era>, Option<i64>);

/// What Redis says to one who asks for a key.
enum Answer {
    Found(Found),
    /// The caller loads it for all; what is kept still may come with it.
    Lease(Lease, Option<Entry>),
    /// Another server loads it; its lease lives so long.
    Wait(Duration),
    /// Redis is away, or not believed.
    Alone,
}

impl RedisCache {
    pub fn new(client: Client, settings: &Settings, ambient: &Ambient) -> Self {
        let names = Names::of(&client);
        Self {
            near: Near::new(settings.cache_capacity, ambient),
            loads: Loads::new(),
            standing: Standing::new(&client, &names, ambient),
            fallback: Fallback::new("cache"),
            ambient: ambient.clone(),
            short: settings.short_cache,
            client,
            names,
        }
    }

    fn ttl(&self, family: Family) -> Duration {
        ttl(family, self.short)
    }

    /// One look. What it finds is kept near, unless the key was invalidated here since `mark`.
    async fn ask(&self, slot: Slot<'_>, mark: u64) -> Answer {
        let Some(era) = self.standing.era() else { return Answer::Alone };
        if self.client.link().passage() == Passage::ReadsAlone {
            // A lease would be refused, as would the value be.
            return self.read(slot, era, mark).await.map_or(Answer::Alone, Answer::Found);
        }
        if self.client.reads_from_replicas()
            && let Some(found) = self.read_lagging(slot, era, mark).await
        {
            return Answer::Found(found);
        }
        match self.look(slot, era, mark).await {
            Ok(answer) => answer,
            Err(fault) => {
                self.fallback.note(&fault);
                Answer::Alone
            }
        }
    }

    async fn look(&self, slot: Slot<'_>, era: Era, mark: u64) -> Result<Answer, Fault> {
        let (name, lease) = (self.names.cached(slot.name), self.names.cache_lease(slot.name));
        let (ttl, token, asked) = (self.ttl(slot.family), self.ambient.token(), Instant::now());
        let call = LOOK.call(&[&name, &lease]).arg(slot.codec.schema).arg(era).arg(&token);
        let call = call.arg(millis(lease::LENGTH)).arg(millis(ahead(ttl)));
        let (sealed, left, is_given, taken): (Option<Vec<u8>>, i64, bool, i64) =
            self.client.script(Need::Write, &call).await?;
        let entry = sealed.as_deref().and_then(|sealed| value::open(sealed, slot.codec, era));
        if self.standing.era() != Some(era) {
            // Looked after only to be given back.
            drop(is_given.then(|| Lease::hold(&self.client, lease, token, era)));
            return Ok(Answer::Alone);
        }
        if let Some(entry) = &entry {
            self.near.keep(slot.name, mark, entry.clone(), Life::heard(ttl, length(left), asked));
        }
        Ok(match (entry, is_given) {
            (before, true) => Answer::Lease(Lease::hold(&self.client, lease, token, era), before),
            (Some(entry), false) => Answer::Found(found(entry)),
            (None, false) => {
                if sealed.is_some() {
                    tracing::warn!(key = &**slot.name, "a cached value cannot be read: it is loaded anew");
                    self.delete(slot.name).await?;
                }
                Answer::Wait(length(taken))
            }
        })
    }

    /// Reads without a lease, and where Redis takes no writes. What is found is kept near.
    async fn read(&self, slot: Slot<'_>, era: Era, mark: u64) -> Option<Found> {
        let name = self.names.cached(slot.name);
        let mut both = redis::pipe();
        both.get(&name).pttl(&name);
        let asked = Instant::now();
        let answer = self.client.pipeline::<(Option<Vec<u8>>, i64)>(Need::Read, &both).await;
        let (sealed, left) = answer.inspect_err(|fault| self.fallback.note(fault)).ok()?;
        let entry = value::open(&sealed?, slot.codec, era).filter(|_| self.standing.era() == Some(era))?;
        self.near.keep(slot.name, mark, entry.clone(), Life::heard(self.ttl(slot.family), length(left), asked));
        Some(found(entry))
    }

    /// Reads from a replica; nothing where that may be behind, or the value is to be loaded anew.
    async fn read_lagging(&self, slot: Slot<'_>, era: Era, mark: u64) -> Option<Found> {
        let (name, known) = (self.names.cached(slot.name), self.standing.known());
        let mut all = redis::pipe();
        all.cmd("HMGET").arg(&self.standing.record).arg("era").arg("cursor").get(&name).pttl(&name);
        let asked = Instant::now();
        let answer = self.client.pipeline(Need::LaggingRead, &all).await;
        let (heard, sealed, left): (Heard, Option<Vec<u8>>, i64) = answer.ok()?;
        let ttl = self.ttl(slot.family);
        if heard.0 != Some(era) || heard.1 < Some(known) || length(left) <= ahead(ttl) {
            return None;
        }
        let entry = value::open(&sealed?, slot.codec, era).filter(|_| self.standing.era() == Some(era))?;
        self.near.keep(slot.name, mark, entry.clone(), Life::heard(ttl, length(left).min(LAGGING), asked));
        Some(found(entry))
    }

    /// Keeps a value in Redis. `token` is that of its load's lease; none for a write.
    async fn keep(&self, slot: Slot<'_>, token: Option<&str>, entry: &Entry, era: Era) -> Result<bool, Fault> {
        let Some(sealed) = value::seal(entry, slot.codec, era) else {
            return self.delete(slot.name).await.map(|()| true);
        };
        let keys = [self.names.cached(slot.name), self.names.cache_lease(slot.name)];
        let call = KEEP.call(&keys).arg(token.unwrap_or_default()).arg(sealed).arg(millis(self.ttl(slot.family)));
        let call = call.arg(slot.codec.schema).arg(entry.version).arg(era);
        self.client.script(Need::Write, &call).await
    }

    /// The value, and the lease of whoever loads it.
    async fn delete(&self, name: &str) -> Result<(), Fault> {
        let mut delete = redis::cmd("DEL");
        delete.arg(self.names.cached(name)).arg(self.names.cache_lease(name));
        // Works when Redis has no memory left, so it is asked as a read is.
        self.client.query(Need::Read, &delete).await
    }

    fn load(&self, mark: u64, turn: Turn, lease: Option<Lease>, before: Option<Entry>) -> Begun {
        Begun::Load(Load { mark, _turn: turn, lease, before })
    }
}

fn found(entry: Entry) -> Found {
    Found { entry, level: Level::Redis, is_aging: false }
}

fn millis(length: Duration) -> String {
    length.as_millis().to_string()
}

/// Milliseconds as Redis tells them; what has no end, or is no more, has none left.
fn length(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

#[async_trait]
impl CacheBackend for RedisCache {
    fn near(&self, name: &str) -> Option<Found> {
        self.near.find(name)
    }

    async fn get(&self, slot: Slot<'_>) -> Result<Option<Found>, Fault> {
        let mark = self.near.mark(slot.name);
        if let Some(era) = self.standing.era()
            && let Some(found) = self.read(slot, era, mark).await
        {
            return Ok(Some(found));
        }
        Ok(self.near.look(slot.name, slot.codec))
    }

    async fn begin(&self, slot: Slot<'_>) -> Result<Begun, Fault> {
        let turn = self.loads.begin(slot.name).await;
        let (began, mut pause, mut is_waiting) = (Instant::now(), FIRST_PAUSE, false);
        loop {
            let mark = self.near.mark(slot.name);
            if let Some(found) = self.near.look(slot.name, slot.codec) {
                return Ok(Begun::Found(found));
            }
            let answer = match is_waiting {
                false => self.ask(slot, mark).await,
                // It waits for the database: many looks at a long load would use up what the request has for Redis, and who
                // has nothing left loads by itself.
                true => refunded(self.ask(slot, mark), |answer| !matches!(answer, Answer::Alone)).await,
            };
            match answer {
                Answer::Found(found) => return Ok(Begun::Found(found)),
                Answer::Lease(lease, before) => return Ok(self.load(mark, turn, Some(lease), before)),
                Answer::Wait(left) if began.elapsed() < lease::LONGEST => {
                    tokio::time::sleep(pause.min(left + Duration::from_millis(1))).await;
                    (pause, is_waiting) = ((pause * 2).min(LONGEST_PAUSE), true);
                }
                Answer::Wait(_) | Answer::Alone => return Ok(self.load(mark, turn, None, None)),
            }
        }
    }

    async fn begin_ahead(&self, slot: Slot<'_>) -> Result<Option<Begun>, Fault> {
        let Some(turn) = self.loads.try_begin(slot.name) else { return Ok(None) };
        let mark = self.near.mark(slot.name);
        Ok(match self.ask(slot, mark).await {
            Answer::Found(found) => Some(Begun::Found(found)),
            Answer::Lease(lease, before) => Some(self.load(mark, turn, Some(lease), before)),
            Answer::Wait(_) => None,
            Answer::Alone => Some(self.load(mark, turn, None, None)),
        })
    }

    async fn put(&self, slot: Slot<'_>, load: Load, entry: Entry) -> Result<bool, Fault> {
        let life = Life::with_redis(self.ttl(slot.family));
        if let Some(lease) = load.lease
            && self.standing.era() == Some(lease.era)
        {
            match self.keep(slot, Some(&lease.token), &entry, lease.era).await {
                Ok(is_kept) => {
                    lease.settle();
                    if !is_kept {
                        return Ok(false);
                    }
                }
                Err(fault) => self.fallback.note(&fault),
            }
        }
        Ok(self.near.keep(slot.name, load.mark, entry, life))
    }

    async fn write(&self, slot: Slot<'_>, entry: Entry) -> Result<bool, Fault> {
        let life = Life::with_redis(self.ttl(slot.family));
        // What is read from now on until Redis has it is older.
        self.near.overtake(slot.name);
        let outcome = match self.standing.era() {
            Some(era) => self.keep(slot, None, &entry, era).await,
            None => self.delete(slot.name).await.map(|()| true),
        };
        match outcome {
            Ok(false) => {
                self.near.forget(slot.name);
                return Ok(false);
            }
            Ok(true) => {}
            Err(fault) => self.fallback.note(&fault),
        }
        Ok(self.near.write(slot.name, entry, life))
    }

    async fn invalidate(&self, name: &str, reach: Reach) -> Result<(), Fault> {
        self.near.forget(name);
        if reach == Reach::Everywhere {
            if let Err(fault) = self.delete(name).await {
                self.standing.miss();
                self.fallback.note(&fault);
            }
            // Who asked Redis meanwhile may have been told what was there before.
            self.near.forget(name);
        }
        Ok(())
    }

    async fn told(&self, here: i64) -> Result<i64, Fault> {
        let record = self.standing.told(here).await?;
        if record.is_new_era {
            tracing::info!("what other servers cached until now is not believed any more");
            if let Some(since) = Instant::now().checked_sub(DOUBTFUL) {
                self.near.forget_heard_since(since);
            }
        }
        Ok(record.cursor)
    }

    async fn heard(&self, to: i64) -> Result<(), Fault> {
        self.standing.heard(to).await
    }

    fn len(&self) -> u64 {
        self.near.len()
    }
}

#[cfg(test)]
mod tests;
