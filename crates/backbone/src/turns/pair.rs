//! Turn-taking on Redis while it answers, and in this process else.
//!
//! In an outage the lines of this process hold what is entered during it, and no more: what waits in Redis is due in the
//! store, where the reconciler finds it and enters it here. Two servers that are cut off may grant one turn twice, and a
//! character more replies than it gives at a time: only a claim answers, so the second comes to nothing.
//!
//! What each operation does with a turn of the other side:
//!
//! - A turn that holds a slot here is of this side, whatever Redis says: `renew` prolongs it here. `finish` ends it here
//!   and in Redis as well, where it may stand since before the outage.
//! - A turn that Redis granted and that is renewed or finished in an outage: this process remembers it for as long as its
//!   lease, from the grant that was heard or the last renewal here. While it is remembered, `renew` says that it holds its
//!   slot, and its conversation is `processing` where the lines of this process know nothing of it. `knows` and `granted`
//!   say nothing of it: a claim shows that somebody answers, and without one it has to be entered and run here.
//! - A `finish` that Redis did not hear is told to it by `expire` once it is back, which then tells what came of it. Those
//!   that are older than a lease are dropped: Redis has taken their slots back by itself. So has it those of a server that
//!   died.
//! - `withdraw` is done on both sides; one that Redis did not hear leaves a stale turn there, which finds no claim.
//!
//! On recovery nothing is merged. With the first change that Redis takes, what waits here is dropped, for the reconciler
//! to enter into Redis; what is granted here ends by itself, and is told among the granted until then. Of what Redis says
//! of a conversation and what these lines say, Redis's counts. A turn that waits in Redis since before the outage may have
//! been answered in it: it is granted, finds no claim, and is finished.
//!
//! A process that answers no messages keeps lines in an outage so that it can say how conversations stand. No turn of
//! them ends here: what is granted is dropped with the rest on recovery.
//!
//! A promise that does not hold across a switch: `knows` and the positions of those who wait begin anew on either side.
//! A call that timed out may have been heard: what Redis granted by it is found by `granted`.

use super::local::LocalTurns;
use super::redis::RedisTurns;
use super::{Moved, Turn, Turns};
use crate::Fault;
use crate::pair::Fallback;
use aim_domain::{CharacterId, ConversationId, ConversationState, MessageId, Phase};
use async_trait::async_trait;
use futures::future::join_all;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// Finishes that are kept for Redis. What is beyond is left to the leases there.
const MOST_UNHEARD: usize = 10_000;
/// Finishes told to Redis side by side.
const BATCH: usize = 100;
/// Remembered turns before those that are over are first looked for.
const FEW: usize = 1_024;

pub struct TurnsPair {
    redis: RedisTurns,
    local: LocalTurns,
    fallback: Fallback,
    lease: Duration,
    answers: bool,
    memory: Mutex<Memory>,
}

impl TurnsPair {
    /// Both with the same settings, whose lease this is. `answers`: messages are answered in this process.
    pub fn new(redis: RedisTurns, local: LocalTurns, lease: Duration, answers: bool) -> Self {
        Self { redis, local, fallback: Fallback::new("turns"), lease, answers, memory: Mutex::default() }
    }

    /// Redis took a change: it is back, if it was away.
    fn heard(&self, moved: Moved) -> Moved {
        if self.answers {
            self.local.forget_waiting();
        } else {
            self.local.forget();
        }
        if !moved.granted.is_empty() {
            let until = Instant::now() + self.lease;
            let mut memory = self.memory.lock();
            moved.granted.iter().for_each(|turn| memory.keep(turn, until));
        }
        moved
    }

    /// What these lines say where Redis says nothing.
    async fn local_state(
        &self,
        character: &CharacterId,
        conversation: &ConversationId,
    ) -> Result<ConversationState, Fault> {
        let mut now = self.local.state(character, conversation).await?;
        self.memory.lock().put_right(conversation, &mut now);
        Ok(now)
    }

    /// These lines moved while Redis is away.
    fn alone(&self, mut moved: Moved) -> Moved {
        let memory = self.memory.lock();
        moved.states.iter_mut().for_each(|(conversation, state)| memory.put_right(conversation, state));
        moved
    }

    /// These lines moved, and so did those of Redis, which says how conversations stand.
    async fn joined(&self, character: &CharacterId, here: Moved, there: Moved) -> Moved {
        let mut all = here;
        for (conversation, state) in &mut all.states {
            if let Ok(now) = self.state(character, conversation).await {
                *state = now;
            }
        }
        all.granted.extend(there.granted);
        all.states.extend(there.states);
        all
    }

    /// Tells Redis of the finishes that it did not hear.
    async fn catch_up(&self) -> Moved {
        let mut all = Moved::default();
        loop {
            let turns = self.memory.lock().next_unheard(self.lease);
            let heard = join_all(turns.iter().map(|(turn, _)| self.redis.finish(turn))).await;
            let mut is_away = turns.is_empty();
            for (unheard, heard) in turns.into_iter().zip(heard) {
                match heard {
                    Ok(moved) => {
                        let moved = self.heard(moved);
                        all.granted.extend(moved.granted);
                        all.states.extend(moved.states);
                    }
                    Err(_) => {
                        self.memory.lock().unheard.push_back(unheard);
                        is_away = true;
                    }
                }
            }
            if is_away {
                return all;
            }
        }
    }
}

#[async_trait]
impl Turns for TurnsPair {
    async fn enter(&self, turn: Turn) -> Result<Moved, Fault> {
        if self.local.holds(&turn) {
            return self.local.enter(turn).await;
        }
        match self.redis.enter(turn.clone()).await {
            Ok(moved) => Ok(self.heard(moved)),
            Err(fault) => {
                self.fallback.note(&fault);
                self.local.enter(turn).await
            }
        }
    }

    async fn renew(&self, turn: &Turn) -> Result<bool, Fault> {
        if self.local.renew(turn).await? {
            return Ok(true);
        }
        let answer = self.redis.renew(turn).await;
        let until = Instant::now() + self.lease;
        let mut memory = self.memory.lock();
        match answer {
            Ok(true) => {
                memory.keep(turn, until);
                Ok(true)
            }
            Ok(false) => {
                memory.forget(turn);
                Ok(false)
            }
            Err(fault) => {
                self.fallback.note(&fault);
                let is_granted = memory.has(turn);
                if is_granted {
                    memory.keep(turn, until);
                }
                Ok(is_granted)
            }
        }
    }

    async fn finish(&self, turn: &Turn) -> Result<Moved, Fault> {
        let was_here = self.local.knows(turn).await?;
        let heard = self.redis.finish(turn).await;
        let was_granted = self.memory.lock().forget(turn);
        match heard {
            Ok(moved) => {
                let moved = self.heard(moved);
                if !was_here {
                    return Ok(moved);
                }
                let here = self.local.finish(turn).await?;
                Ok(self.joined(&turn.character, here, moved).await)
            }
            Err(fault) => {
                self.fallback.note(&fault);
                self.memory.lock().note_unheard(turn);
                let mut here = self.local.finish(turn).await?;
                if was_granted && !was_here {
                    let now = self.local.state(&turn.character, &turn.conversation).await?;
                    here.states.push((turn.conversation.clone(), now));
                }
                Ok(self.alone(here))
            }
        }
    }

    async fn withdraw(
        &self,
        character: &CharacterId,
        conversation: &ConversationId,
        messages: &[MessageId],
    ) -> Result<Moved, Fault> {
        let here = self.local.withdraw(character, conversation, messages).await?;
        match self.redis.withdraw(character, conversation, messages).await {
            Ok(moved) => Ok(self.joined(character, here, self.heard(moved)).await),
            Err(fault) => {
                self.fallback.note(&fault);
                Ok(self.alone(here))
            }
        }
    }

    async fn expire(&self) -> Result<Moved, Fault> {
        self.memory.lock().forget_ended();
        let mut all = match self.redis.expire().await {
            Ok(moved) => self.heard(moved),
            Err(fault) => {
                self.fallback.note(&fault);
                return Ok(self.alone(self.local.expire().await?));
            }
        };
        let late = self.catch_up().await;
        all.granted.extend(late.granted);
        all.states.extend(late.states);
        let held = self.local.granted(Duration::ZERO).await?;
        for (conversation, _) in self.local.expire().await?.states {
            if let Some(turn) = held.iter().find(|turn| turn.conversation == conversation) {
                let now = self.state(&turn.character, &conversation).await?;
                all.states.push((conversation, now));
            }
        }
        Ok(all)
    }

    async fn state(&self, character: &CharacterId, conversation: &ConversationId) -> Result<ConversationState, Fault> {
        match self.redis.state(character, conversation).await {
            Ok(now) if now.state == Phase::Idle => self.local.state(character, conversation).await,
            Ok(now) => Ok(now),
            Err(fault) => {
                self.fallback.note(&fault);
                self.local_state(character, conversation).await
            }
        }
    }

    async fn knows(&self, turn: &Turn) -> Result<bool, Fault> {
        match self.redis.knows(turn).await {
            Ok(true) => Ok(true),
            Ok(false) => Ok(self.local.holds(turn)),
            Err(fault) => {
                self.fallback.note(&fault);
                self.local.knows(turn).await
            }
        }
    }

    async fn granted(&self, quiet: Duration) -> Result<Vec<Turn>, Fault> {
        let mut turns = self.local.granted(quiet).await?;
        match self.redis.granted(quiet).await {
            Ok(more) => turns.extend(more),
            Err(fault) => self.fallback.note(&fault),
        }
        Ok(turns)
    }
}

/// Turns that Redis granted, as far as this process heard of it, and what Redis did not hear.
#[derive(Default)]
struct Memory {
    granted: HashMap<ConversationId, Granted>,
    /// How many have to be there before those that are over are looked for.
    full_at: usize,
    unheard: VecDeque<(Turn, Instant)>,
}

struct Granted {
    turn: Turn,
    until: Instant,
}

impl Memory {
    fn keep(&mut self, turn: &Turn, until: Instant) {
        if self.granted.len() >= self.full_at {
            self.forget_ended();
        }
        self.granted.insert(turn.conversation.clone(), Granted { turn: turn.clone(), until });
    }

    fn forget_ended(&mut self) {
        let now = Instant::now();
        self.granted.retain(|_, granted| granted.until > now);
        self.full_at = (self.granted.len() * 2).max(FEW);
    }

    fn has(&self, turn: &Turn) -> bool {
        let is_it = |granted: &Granted| granted.turn.is(turn) && granted.until > Instant::now();
        self.granted.get(&turn.conversation).is_some_and(is_it)
    }

    /// A conversation that these lines know nothing of may have a reply under way all the same.
    fn put_right(&self, conversation: &ConversationId, state: &mut ConversationState) {
        let is_under_way = |granted: &Granted| granted.until > Instant::now();
        if state.state == Phase::Idle && self.granted.get(conversation).is_some_and(is_under_way) {
            state.state = Phase::Processing;
        }
    }

    /// True when it was there.
    fn forget(&mut self, turn: &Turn) -> bool {
        let is_it = self.granted.get(&turn.conversation).is_some_and(|granted| granted.turn.is(turn));
        is_it && self.granted.remove(&turn.conversation).is_some()
    }

    fn note_unheard(&mut self, turn: &Turn) {
        if self.unheard.len() >= MOST_UNHEARD {
            self.unheard.pop_front();
        }
        self.unheard.push_back((turn.clone(), Instant::now()));
    }

    /// Some of them, without those that Redis has forgotten by itself.
    fn next_unheard(&mut self, lease: Duration) -> Vec<(Turn, Instant)> {
        let mut next = Vec::new();
        while next.len() < BATCH
            && let Some((turn, since)) = self.unheard.pop_front()
        {
            if since.elapsed() < lease {
                next.push((turn, since));
            }
        }
        next
    }
}

#[cfg(test)]
mod tests;
