//! Whether what Redis holds can be believed: it can while it was told of every change that this server has taken in.
//!
//! Redis keeps a record of how far in the store's change feed invalidations have come that it was told of, by whichever
//! server. A server that finds it behind tells it what is missing, from the store, before it believes a value: after an
//! outage, in which nobody could, and after a start, since those who could not may be gone. An *era* is a stretch in which
//! nothing is missing: each value names its own, and one of another era counts as absent. One ends when Redis may have
//! lost something (another epoch), when the record is gone, or when it is too old for the feed to know what followed.

use crate::Fault;
use crate::keys::Names;
use crate::link::{Client, Need, Script};
use aim_domain::Ambient;
use parking_lot::Mutex;
use std::time::Duration;

static TOLD: Script = Script::new(include_str!("../scripts/told.lua"));
static HEARD: Script = Script::new(include_str!("../scripts/heard.lua"));

/// Less than the store keeps its changes (an hour): what the record lacks can be read there.
const RECORD: Duration = Duration::from_secs(30 * 60);

pub type Era = u64;

pub struct Standing {
    client: Client,
    /// The name of the record.
    pub record: String,
    ambient: Ambient,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// None: Redis is not believed.
    joined: Option<Joined>,
    /// What the record said last, and how far it was; until this server has made up for what it lacked.
    offered: Option<(Joined, i64)>,
    /// How far Redis was told, as far as this server knows.
    known: i64,
    /// An invalidation did not get through since the record was read.
    missed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Joined {
    epoch: u64,
    era: Era,
}

/// What the record says.
pub struct Record {
    pub cursor: i64,
    /// The era that was believed is over.
    pub is_new_era: bool,
}

impl Standing {
    pub fn new(client: &Client, names: &Names, ambient: &Ambient) -> Self {
        Self {
            client: client.clone(),
            record: names.cache_record(),
            ambient: ambient.clone(),
            state: Mutex::new(State::default()),
        }
    }

    /// The era whose values are believed now; an answer that came when it was another one is not.
    pub fn era(&self) -> Option<Era> {
        let joined = self.state.lock().joined?;
        (joined.epoch == self.client.link().epoch()).then_some(joined.era)
    }

    /// What a replica must have heard to be believed: everything up to here in this era.
    pub fn known(&self) -> i64 {
        self.state.lock().known
    }

    /// An invalidation did not get through: nothing is believed until the record was read and made up for.
    pub fn miss(&self) {
        let mut state = self.state.lock();
        state.missed = true;
        state.joined = None;
    }

    pub async fn told(&self, here: i64) -> Result<Record, Fault> {
        let epoch = self.client.link().epoch();
        let joined = {
            let mut state = self.state.lock();
            // Before the question: what is missed from now on is after the answer.
            (state.missed, state.offered) = (false, None);
            state.joined.filter(|joined| joined.epoch == epoch)
        };
        if epoch == 0 {
            return Err(self.fault("nothing is known of Redis"));
        }
        // Who has told Redis everything may vouch for its era when the record was wiped.
        let era = joined.map_or_else(|| self.fresh(), |joined| joined.era);
        let call = TOLD.call(&[&self.record]).arg(epoch).arg(era).arg(here).arg(millis(RECORD));
        // Works when Redis has no memory left, so it is asked as a read is.
        let (era, cursor): (Era, i64) = self.client.script(Need::Read, &call).await?;
        let offered = Joined { epoch, era };
        let mut state = self.state.lock();
        let is_new_era = state.joined.is_some_and(|joined| joined != offered);
        if is_new_era {
            state.joined = None;
        }
        (state.offered, state.known) = (Some((offered, cursor)), cursor);
        Ok(Record { cursor, is_new_era })
    }

    pub async fn heard(&self, to: i64) -> Result<(), Fault> {
        let offered = self.state.lock().offered.take();
        let Some((mut offered, cursor)) = offered else { return Err(self.fault("the record was not read")) };
        if to < cursor {
            // The feed went back: a database that was restored. What was told until now was of another one.
            offered.era = self.fresh();
            self.begin(offered, to).await?;
        } else if cursor < to && !self.state.lock().missed {
            let call = HEARD.call(&[&self.record]).arg(offered.era).arg(to).arg(millis(RECORD));
            if self.client.script::<u8>(Need::Read, &call).await? == 0 {
                return Err(self.fault("another era has begun"));
            }
        }
        let mut state = self.state.lock();
        if state.missed {
            return Err(self.fault("an invalidation is missing"));
        }
        (state.joined, state.known) = (Some(offered), to);
        Ok(())
    }

    async fn begin(&self, Joined { epoch, era }: Joined, cursor: i64) -> Result<(), Fault> {
        let mut record = redis::cmd("HSET");
        record.arg(&self.record).arg("epoch").arg(epoch).arg("era").arg(era).arg("cursor").arg(cursor);
        self.client.query(Need::Read, &record).await
    }

    fn fresh(&self) -> Era {
        let mut bytes = [0; 8];
        self.ambient.random.fill(&mut bytes);
        Era::from_le_bytes(bytes)
    }

    fn fault(&self, detail: &'static str) -> Fault {
        Fault::new("cache", detail)
    }
}

fn millis(length: Duration) -> String {
    length.as_millis().to_string()
}
