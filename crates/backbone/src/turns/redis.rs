//! Turn-taking on Redis: the lines of all servers are one. Whatever changes a line is one script, on Redis's clock, under
//! the rules of the backend of this process.
//!
//! # Keys
//!
//! Each character has three, in one slot (`scripts/given.lua`): `rooms`, what each conversation has, `places`, where it
//! stands, and `turns`, what waits behind the first turn of a conversation; most often that is nothing, and the key is
//! not there. However many wait, an operation reads and writes what it changes, and those that it tells.
//!
//! They hold ids and numbers, nothing of a message's text, and last twice the lease, ten seconds at least, from about when
//! a lease was last given or renewed: a grant prolongs them only when a quarter of a lease has passed. The counts in
//! `rooms` say how much each of them has. Where they do not add up, or something in them cannot be read, the script that
//! notices drops them all: the lines are rebuilt from the store's due rows.
//!
//! # The index of leases
//!
//! `leases` has each character with a reply under way by the earliest end of a lease, so that nobody has to look
//! at all characters: `expire` is one command where nothing is due, and visits those that are. Whoever finds one due
//! puts it off by [`AGAIN`] for the others, and visits it; should that server die meanwhile, another finds it then.
//!
//! - Outside of a Cluster the scripts write it themselves: an idle character is not in it, and any other no later than
//!   the earliest end. A renewal and a visit write that end; a grant only sees to it that the character is there, so that
//!   one that is always busy is visited once a lease.
//! - In a Cluster it has a slot of its own. `enter` covers the character beside its script, in the same round trip: the
//!   index has it, no later than the end of the lease that may be given. A visit moves it to the earliest end that it
//!   found, or drops it where nothing is held, unless it was covered meanwhile. While a reply is under way every visit
//!   leaves it there, so `finish` and `renew` need not write: the leases that they give end after the next visit.
//!
//! An index write that is lost delays and no more: the next `enter` (in a Cluster), grant or renewal (elsewhere) puts it
//! right; should the holder die before, the keys end, because what merely waits does not prolong them, and what is due
//! is entered anew.
//!
//! A character whose keys ended by themselves is dropped from the index when it is visited; the index itself lasts as long
//! as the keys.

use super::{Moved, Settings, Turn, Turns};
use crate::Fault;
use crate::keys::Names;
use crate::link::{Call, Client, Need, Script};
use aim_domain::{CharacterId, ConversationId, ConversationState, MessageId, Phase};
use async_trait::async_trait;
use futures::future::join_all;
use metrics::{Counter, Gauge, counter, gauge};
use std::time::Duration;

/// How long others leave a character alone that one server is about to visit.
const AGAIN: Duration = Duration::from_millis(500);
/// Characters visited side by side, and how often in a row `expire` goes on while there are as many.
const BATCH: usize = 100;
const BATCHES: usize = 20;
/// Characters whose turns one call of `granted` lists, the most urgent first.
const LISTED: usize = 2_000;
/// Turns of one of them.
const LISTED_TURNS: usize = 1_000;
/// The most that a script tells of their position, whatever the settings say.
const MOST_TOLD: usize = 1_000;
/// Keys last no shorter than this after a lease was given.
const LEAST_KEEP: Duration = Duration::from_secs(10);

macro_rules! scripts {
    ($($name:ident($($part:literal),+) $header:literal;)+) => { $(
        static $name: Script = Script::new(concat!($header, "\n", $(include_str!(concat!("scripts/", $part, ".lua"))),+));
    )+ };
}

scripts! {
    ENTER("given", "lease", "one", "enter_idle", "line", "change", "enter") "#!lua";
    FINISH("given", "lease", "one", "finish_last", "line", "change", "finish") "#!lua";
    WITHDRAW("given", "lease", "one", "line", "change", "withdraw") "#!lua";
    EXPIRE("given", "lease", "line", "change", "expire") "#!lua";
    RENEW("given", "lease", "renew") "#!lua";
    STATE("given", "one", "line", "state") "#!lua flags=no-writes";
    KNOWS("given", "knows") "#!lua flags=no-writes";
    HELD("given", "lease", "held") "#!lua flags=no-writes";
    DUE("due") "#!lua";
    SOON("soon") "#!lua flags=no-writes";
    COVER("cover") "#!lua";
    LOOKED("looked") "#!lua";
}

pub struct RedisTurns {
    client: Client,
    names: Names,
    leases: String,
    settings: Settings,
    expired: Counter,
    /// How many have a reply under way.
    busy: Gauge,
}

impl RedisTurns {
    pub fn new(client: Client, settings: Settings) -> Self {
        let names = Names::of(&client);
        Self {
            leases: names.turn_leases(),
            names,
            client,
            settings,
            expired: counter!("aim_turns_expired_total"),
            busy: gauge!("aim_turns_characters"),
        }
    }

    /// A call of a script on one character's line.
    fn line(&self, script: &'static Script, character: &CharacterId) -> Result<Call, Fault> {
        self.check(character.as_str())?;
        let [rooms, places, turns] = ["rooms", "places", "turns"].map(|part| self.names.turn(character, part));
        let call = match self.client.is_cluster() {
            true => script.call(&[rooms, places, turns]),
            false => script.call(&[rooms, places, turns, self.leases.clone()]),
        };
        let settings = &self.settings;
        Ok(call
            .arg(millis(settings.lease))
            .arg(millis(self.keep()))
            .arg(settings.replies_per_character.clamp(1, 1_000_000))
            .arg(settings.premium_run)
            .arg(settings.told_positions.min(MOST_TOLD))
            .arg(character.as_str()))
    }

    fn keep(&self) -> Duration {
        self.settings.lease.saturating_mul(2).max(LEAST_KEEP)
    }

    /// An id with a character that separates would be read as two.
    fn check(&self, id: &str) -> Result<(), Fault> {
        let fits = id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if fits && !id.is_empty() { Ok(()) } else { Err(fault("an id that is none")) }
    }

    fn identity(&self, turn: &Turn) -> Result<String, Fault> {
        self.check(turn.conversation.as_str())?;
        self.check(turn.message.as_str())?;
        Ok(identity(turn))
    }

    async fn change(&self, character: &CharacterId, call: Call) -> Result<Moved, Fault> {
        let (granted, states) = self.client.script::<(String, String)>(Need::Write, &call).await?;
        moved(character, &granted, &states)
    }

    /// In a Cluster: sees to it that a lease of this character will be looked at. A failure delays, and no more.
    async fn cover(&self, character: &CharacterId) {
        if self.client.is_cluster() {
            let call = COVER.call(&[&self.leases]).arg(millis(self.settings.lease)).arg(millis(self.keep()));
            if let Err(fault) = self.client.script::<()>(Need::Write, &call.arg(character.as_str())).await {
                tracing::debug!(%fault, %character, "a character is not in the index of leases");
            }
        }
    }

    /// Notes in the index what visits found.
    async fn note_looked(&self, looked: &[Looked]) -> Result<(), Fault> {
        if looked.is_empty() {
            return Ok(());
        }
        let call = LOOKED.call(&[&self.leases]);
        let call = looked
            .iter()
            .fold(call, |call, (character, seen, ends)| call.arg(character.as_str()).arg(seen.as_str()).arg(*ends));
        self.client.script(Need::Write, &call).await
    }

    /// Those of the index, and out of it what is none: another hand wrote it.
    async fn characters(&self, names: Vec<String>) -> Result<Vec<CharacterId>, Fault> {
        let (characters, others): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| self.check(name).is_ok());
        if !others.is_empty() {
            let mut cmd = redis::cmd("ZREM");
            cmd.arg(&self.leases).arg(others);
            self.client.query::<()>(Need::Write, &cmd).await?;
        }
        Ok(characters.into_iter().map(CharacterId::trusted).collect())
    }

    async fn visit(&self, character: &CharacterId) -> Result<(Moved, u64, i64), Fault> {
        let call = self.line(&EXPIRE, character)?;
        let (granted, states, lost, ends) =
            self.client.script::<(String, String, u64, i64)>(Need::Write, &call).await?;
        Ok((moved(character, &granted, &states)?, lost, ends))
    }

    async fn held(&self, character: &CharacterId, soon: i64) -> Result<(Vec<Turn>, i64), Fault> {
        let call = self.line(&HELD, character)?.arg(soon).arg(LISTED_TURNS);
        let (turns, ends) = self.client.script::<(String, i64)>(Need::Write, &call).await?;
        Ok((turns_of(character, &turns)?, ends))
    }
}

/// A character, its time in the index, and the earliest end of a lease that it has, 0 without one.
type Looked = (CharacterId, String, i64);

/// Every call needs that Redis takes writes, those that read as well: where it takes none the lines in it stand still,
/// and their state is none.
#[async_trait]
impl Turns for RedisTurns {
    async fn enter(&self, turn: Turn) -> Result<Moved, Fault> {
        let call = self.line(&ENTER, &turn.character)?;
        let identity = self.identity(&turn)?;
        let call = call.arg(turn.conversation.as_str()).arg(identity).arg(u8::from(turn.premium));
        let (moved, ()) = tokio::join!(self.change(&turn.character, call), self.cover(&turn.character));
        moved
    }

    async fn renew(&self, turn: &Turn) -> Result<bool, Fault> {
        let call = self.line(&RENEW, &turn.character)?.arg(turn.conversation.as_str()).arg(self.identity(turn)?);
        self.client.script(Need::Write, &call).await
    }

    async fn finish(&self, turn: &Turn) -> Result<Moved, Fault> {
        let call = self.line(&FINISH, &turn.character)?.arg(turn.conversation.as_str()).arg(self.identity(turn)?);
        self.change(&turn.character, call).await
    }

    async fn withdraw(
        &self,
        character: &CharacterId,
        conversation: &ConversationId,
        messages: &[MessageId],
    ) -> Result<Moved, Fault> {
        self.check(conversation.as_str())?;
        let mut call = self.line(&WITHDRAW, character)?.arg(conversation.as_str());
        for message in messages {
            self.check(message.as_str())?;
            call = call.arg(message.as_str());
        }
        self.change(character, call).await
    }

    async fn expire(&self) -> Result<Moved, Fault> {
        let mut all = Moved::default();
        for _ in 0..BATCHES {
            let call = DUE.call(&[&self.leases]).arg(millis(AGAIN)).arg(BATCH).arg(millis(self.keep()));
            let (busy, again, due) = self.client.script::<(u64, i64, Vec<String>)>(Need::Write, &call).await?;
            self.busy.set(busy as f64);
            let is_full = due.len() == BATCH;
            let due = self.characters(due).await?;
            let found = join_all(due.iter().map(|character| self.visit(character))).await;
            let mut looked = Vec::with_capacity(due.len());
            // One that could not be visited is due again soon.
            for (character, found) in due.iter().zip(found) {
                match found {
                    Ok((moved, lost, ends)) => {
                        all.granted.extend(moved.granted);
                        all.states.extend(moved.states);
                        self.expired.increment(lost);
                        // Elsewhere the visit itself wrote it.
                        if self.client.is_cluster() {
                            looked.push((character.clone(), again.to_string(), ends));
                        }
                    }
                    Err(fault) => tracing::warn!(%fault, %character, "leases that are over were not taken back"),
                }
            }
            if let Err(fault) = self.note_looked(&looked).await {
                tracing::debug!(%fault, "what was looked at is looked at again");
            }
            if !is_full {
                break;
            }
        }
        Ok(all)
    }

    async fn state(&self, character: &CharacterId, conversation: &ConversationId) -> Result<ConversationState, Fault> {
        self.check(conversation.as_str())?;
        let call = self.line(&STATE, character)?.arg(conversation.as_str());
        state_of(&self.client.script::<String>(Need::Write, &call).await?)
    }

    async fn knows(&self, turn: &Turn) -> Result<bool, Fault> {
        let call = self.line(&KNOWS, &turn.character)?.arg(turn.conversation.as_str()).arg(self.identity(turn)?);
        self.client.script(Need::Write, &call).await
    }

    async fn granted(&self, quiet: Duration) -> Result<Vec<Turn>, Fault> {
        // A lease that was given or renewed before that ends so soon.
        let soon = if quiet.is_zero() { i64::from(u32::MAX) } else { millis(self.settings.lease) - millis(quiet) };
        let call = SOON.call(&[&self.leases]).arg(soon).arg(LISTED);
        let characters: Vec<(String, String)> = self.client.script(Need::Write, &call).await?;
        let mut turns = Vec::new();
        for characters in characters.chunks(BATCH) {
            let characters: Vec<_> = characters
                .iter()
                .filter(|(name, _)| self.check(name).is_ok())
                .map(|(name, seen)| (CharacterId::trusted(name.as_str()), seen))
                .collect();
            let found = join_all(characters.iter().map(|(character, _)| self.held(character, soon))).await;
            let mut looked = Vec::new();
            for ((character, seen), found) in characters.into_iter().zip(found) {
                let (held, ends) = found?;
                turns.extend(held);
                // One that is idle is dropped when it is due, no earlier: it may be about to get a lease.
                if ends > seen.parse().unwrap_or(i64::MAX) {
                    looked.push((character, seen.clone(), ends));
                }
            }
            self.note_looked(&looked).await?;
        }
        Ok(turns)
    }
}

fn millis(length: Duration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}

fn identity(turn: &Turn) -> String {
    format!("{}:{}", turn.message, turn.attempt)
}

fn fault(detail: &str) -> Fault {
    Fault::new("turns", detail)
}

fn unreadable() -> Fault {
    fault("an answer that cannot be read")
}

fn moved(character: &CharacterId, granted: &str, states: &str) -> Result<Moved, Fault> {
    let states = items(states).map(|item| {
        let (conversation, state) = item.split_once(':').ok_or_else(unreadable)?;
        Ok((ConversationId::trusted(conversation), state_of(state)?))
    });
    Ok(Moved { granted: turns_of(character, granted)?, states: states.collect::<Result<_, Fault>>()? })
}

/// `conversation:message:attempt:premium,…`
fn turns_of(character: &CharacterId, text: &str) -> Result<Vec<Turn>, Fault> {
    let turn = |item: &str| {
        let mut fields = item.split(':');
        let turn = Turn {
            character: character.clone(),
            conversation: ConversationId::trusted(fields.next()?),
            message: MessageId::trusted(fields.next()?),
            attempt: fields.next()?.parse().ok()?,
            premium: fields.next()? == "1",
        };
        Some(turn)
    };
    items(text).map(|item| turn(item).ok_or_else(unreadable)).collect()
}

/// `i`, `p` or `q<pending>.<position>`
fn state_of(text: &str) -> Result<ConversationState, Fault> {
    let plain = |state| ConversationState { state, pending: 0, position: None };
    match text {
        "i" => Ok(plain(Phase::Idle)),
        "p" => Ok(plain(Phase::Processing)),
        _ => {
            let queued = || {
                let (pending, position) = text.strip_prefix('q')?.split_once('.')?;
                let (pending, position) = (pending.parse().ok()?, position.parse().ok()?);
                Some(ConversationState { state: Phase::Queued, pending, position: Some(position) })
            };
            queued().ok_or_else(unreadable)
        }
    }
}

fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests;
