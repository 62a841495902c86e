//! `ai-response`: one reply. Due in the database: a message with `reply_state = due`.
//!
//! A job is added for a granted turn alone, and only hurries the reply along: the claim decides who answers. Whatever
//! comes of it, the turn ends with it, so a job runs once; what is still due gets a new job by the reconciler.

use super::{Ran, Runs};
use crate::reply::BUSY_ELSEWHERE;
use crate::{Platform, foreign};
use aim_backbone::Fault;
use aim_backbone::queue::{self, Failure, NewJob, Run, Worker};
use aim_backbone::turns::Turn;
use futures::FutureExt;
use serde_json::{Value, json};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

pub const QUEUE: &str = queue::AI_RESPONSE;
pub const NAME: &str = "reply";
/// One run: a second attempt is a new turn, in its place in line.
const ATTEMPTS: u32 = 1;

/// Turns that wait in this process for their place, where workers of other programs run the jobs.
const CONDUCTED: usize = 10_000;

/// The job of a turn: `{conversationId, characterId, messageId, attempt, premium}`.
pub fn job(turn: &Turn) -> NewJob {
    NewJob {
        queue: QUEUE,
        name: NAME,
        id: format!("{}-{}", turn.message, turn.attempt),
        data: json!({
            "conversationId": turn.conversation, "characterId": turn.character, "messageId": turn.message,
            "attempt": turn.attempt, "premium": turn.premium,
        }),
        attempts: ATTEMPTS,
        backoff: Duration::from_secs(1),
        delay: Duration::ZERO,
        priority: 0,
    }
}

fn turn_of(data: &Value) -> Option<Turn> {
    let text = |field: &str| data.get(field).and_then(Value::as_str);
    Some(Turn {
        conversation: text("conversationId")?.parse().ok()?,
        character: text("characterId")?.parse().ok()?,
        message: text("messageId")?.parse().ok()?,
        attempt: data.get("attempt").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok())?,
        premium: data.get("premium").and_then(Value::as_bool).unwrap_or_default(),
    })
}

impl Platform {
    /// Begins to answer in this process.
    pub(crate) async fn work_replies(&self) -> Result<Arc<dyn Worker>, Fault> {
        // A reply keeps its own time, so that whoever waits is told and the turn ends.
        let most = self.settings.reply_concurrency;
        let concurrency = if self.settings.foreign.has(QUEUE) { CONDUCTED } else { most };
        let room = Arc::new(Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS)));
        let runs = Runs { queue: QUEUE, concurrency, timeout: None };
        let run = move |platform: Platform, run| {
            let room = room.clone();
            async move { platform.run_reply_job(run, &room).await }.boxed()
        };
        self.work_on(runs, run).await
    }

    async fn run_reply_job(&self, run: Run, room: &Semaphore) -> Ran {
        if run.name == foreign::REPLY {
            return Err(Failure::Final(
                "it is for a worker of another program: AIM_WORKERS__FOREIGN differs here".into(),
            ));
        }
        let Some(turn) = turn_of(&run.data) else {
            return Err(Failure::Final("the job's data name no turn".into()));
        };
        // Where others run the jobs a turn waits here for its place, and nobody else is to take it meanwhile.
        let _place = tokio::select! {
            biased;
            place = room.acquire() => place,
            never = self.keep_turn(&turn) => match never {},
            // The turn is renewed no more, and whoever looks for such turns takes it.
            () = self.ending.cancelled() => return Ok(json!({ "outcome": "left to others" })),
        };
        if self.is_left_to_others(QUEUE) {
            self.finish_turn(&turn).await;
            return Ok(json!({ "outcome": "left to others" }));
        }
        // A panic too must not keep the turn: its line would wait until the turn's lease is over.
        let told = AssertUnwindSafe(self.reply(&turn)).catch_unwind().await;
        let told = told.unwrap_or_else(|_| Err("the reply panicked".into()));
        if told == Ok(BUSY_ELSEWHERE) {
            self.put_turn_off(turn);
        } else {
            self.finish_turn(&turn).await;
        }
        told.map(|outcome| json!({ "outcome": outcome })).map_err(Failure::Final)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_job_names_its_turn() {
        let turn = Turn {
            conversation: "c1".parse().unwrap(),
            character: "mara".parse().unwrap(),
            message: "m1".parse().unwrap(),
            attempt: 2,
            premium: true,
        };
        let job = job(&turn);
        assert_eq!(job.id, "m1-2");
        assert_eq!(turn_of(&job.data), Some(turn));
        assert_eq!(turn_of(&json!({ "conversationId": "c1" })), None);
    }
}
