//! A reply that a worker of another program generates, as a stream of pieces like any model's.
//!
//! The claim is this server's, and so is the job: it is added for the claim's fence, heard until its end, added again when
//! it is gone, and taken away when nobody waits for it any more. A worker that had it learns of that by its next call.

use super::telling::{self, More, Telling};
use crate::Platform;
use crate::jobs::ai_response;
use aim_ai::{ErrorKind, ModelError, Piece, ReplyStream, Request, Role, TokenCount};
use aim_backbone::queue::NewJob;
use aim_backbone::queue::errands::{Errand, Heard};
use aim_store::Claim;
use futures::StreamExt;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

/// What an errand's job is called; a `reply` is a server's own.
pub(crate) const NAME: &str = "generate";
/// The first wait before a run after one that failed.
const BACKOFF: Duration = Duration::from_millis(500);
/// A Redis that is away for so long will not be back in a moment: this process's own model answers, where it has one.
const AWAY: Duration = Duration::from_secs(3);
/// How often a job that is gone is added again.
const ADDED_AGAIN: u32 = 5;
/// A reply longer than this many bytes per allowed token comes from a worker that ignores `maxTokens`.
const BYTES_PER_TOKEN_MOST: usize = 64;
/// What did the work is not known.
const UNNAMED: &str = "worker/unnamed";

/// What is said next.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Said {
    Text(String),
    /// What was said before counts for nothing: the reply begins anew.
    Anew,
    /// Of the tokens: as they were counted, where they were.
    End(Option<TokenCount>),
}

/// Why nothing more is said.
#[derive(Debug)]
pub(crate) enum Broken {
    Failed(ModelError),
    /// This process can do nothing for the reply: its claim is to be given back.
    GivenUp,
}

/// A reply as it comes, whoever gives it.
pub(crate) enum Speech {
    Own(ReplyStream),
    Job(Box<JobReply>),
}

impl Speech {
    pub async fn next(&mut self) -> Result<Said, Broken> {
        match self {
            Self::Own(stream) => match stream.next().await {
                Some(Ok(Piece::Text(text))) => Ok(Said::Text(text)),
                Some(Ok(Piece::End { tokens, .. })) => Ok(Said::End(Some(tokens))),
                Some(Err(error)) => Err(Broken::Failed(error)),
                None => Ok(Said::End(None)),
            },
            Self::Job(job) => job.next().await,
        }
    }

    /// The name of the model as far as it is known; none where it is this process's own.
    pub fn model(&self) -> Option<&str> {
        match self {
            Self::Own(_) => None,
            Self::Job(job) => Some(job.model()),
        }
    }
}

/// A job that is the model.
pub(crate) struct JobReply {
    errand: Errand,
    /// What of its data may stay with it.
    whose: Value,
    telling: Telling,
    ready: VecDeque<Said>,
    model: Option<String>,
    /// When the present run began.
    runs_since: Option<Instant>,
    away_since: Option<Instant>,
    added_again: u32,
    longest: usize,
    timeout: Duration,
    has_own: bool,
    ending: CancellationToken,
}

/// `{conversationId, characterId, messageId, attempt, premium}`
fn whose(claim: &Claim, premium: bool) -> Value {
    json!({
        "conversationId": claim.conversation, "characterId": claim.character, "messageId": claim.message.id,
        "attempt": claim.attempt, "premium": premium,
    })
}

/// The job of a claim: `whose`, and `{messages: [{role, content}], maxTokens, temperature, timeout}`, the last in ms.
fn job(claim: &Claim, whose: &Value, request: &Request, attempts: u32, timeout: Duration) -> NewJob {
    let role = |role: Role| match role {
        Role::System => "system",
        Role::User => "user",
        Role::Character => "assistant",
    };
    let messages = request.messages.iter().map(|turn| json!({ "role": role(turn.role), "content": turn.text }));
    let mut data = whose.clone();
    data["messages"] = messages.collect();
    data["maxTokens"] = request.max_tokens.into();
    // As a person wrote it, not as the nearest number of another width.
    data["temperature"] = json!(request.temperature.to_string().parse::<f64>().unwrap_or_default());
    data["timeout"] = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX).into();
    NewJob {
        queue: ai_response::QUEUE,
        name: NAME,
        id: job_id(claim, claim.fence),
        data,
        attempts,
        backoff: BACKOFF,
        delay: Duration::ZERO,
        priority: 0,
    }
}

fn job_id(claim: &Claim, fence: u64) -> String {
    format!("reply-{}-{fence}", claim.message.id)
}

impl Platform {
    /// Whether a reply that begins now is a worker's of another program.
    pub(crate) fn replies_by_job(&self) -> bool {
        let Some(foreign) = &self.settings.foreign.replies else { return false };
        !foreign.has_own || self.errands(ai_response::QUEUE).is_some()
    }

    /// The errand for a claim; nothing is added before it is listened to.
    pub(crate) fn job_reply(&self, claim: &Claim, premium: bool, request: &Request) -> Option<JobReply> {
        let (foreign, errands) = (self.settings.foreign.replies.as_ref()?, self.backbone.errands.as_ref()?);
        let whose = whose(claim, premium);
        let timeout = self.settings.reply_timeout;
        let errand = errands.errand(job(claim, &whose, request, foreign.attempts, timeout), true)?;
        // The claim before this one was perhaps of a server that died: nobody waits for what it added.
        let before = job_id(claim, claim.fence.saturating_sub(1));
        let errands = errands.clone();
        self.tasks.spawn(async move {
            if matches!(errands.recall(ai_response::QUEUE, &before, true).await, Ok(true)) {
                tracing::debug!(job = before, "the job of a claim that is over was taken back");
            }
        });
        Some(JobReply {
            errand,
            whose,
            telling: Telling::default(),
            ready: VecDeque::new(),
            model: None,
            runs_since: None,
            away_since: None,
            added_again: 0,
            longest: request.max_tokens as usize * BYTES_PER_TOKEN_MOST + 1_024,
            timeout,
            has_own: foreign.has_own,
            ending: self.ending.clone(),
        })
    }
}

fn failed<T>(kind: ErrorKind, detail: &str) -> Result<T, Broken> {
    Err(Broken::Failed(ModelError::new(kind, detail)))
}

impl JobReply {
    /// As far as it was told.
    pub fn model(&self) -> &str {
        self.model.as_deref().unwrap_or(UNNAMED)
    }

    /// Adds the job and waits until a worker has it, however long it stands in line.
    pub async fn taken(&mut self) -> Result<(), Broken> {
        while self.runs_since.is_none() && self.ready.is_empty() {
            self.hear().await?;
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<Said, Broken> {
        loop {
            if let Some(said) = self.ready.pop_front() {
                return Ok(said);
            }
            self.hear().await?;
        }
    }

    /// Takes in one thing that was heard of the job. Dropping the call loses nothing: once something was heard it does not wait.
    async fn hear(&mut self) -> Result<(), Broken> {
        let over = self.runs_since.map(|since| since + self.timeout);
        let late = async {
            match over {
                Some(over) => sleep_until(over.into()).await,
                None => std::future::pending().await,
            }
        };
        let heard = tokio::select! {
            biased;
            // What no worker has begun is begun elsewhere sooner than here.
            () = self.ending.cancelled(), if self.runs_since.is_none() => return Err(Broken::GivenUp),
            heard = self.errand.next() => heard,
            () = late => return failed(ErrorKind::Timeout, "the worker did not come to an end in time"),
        };
        if heard != Heard::Away {
            self.away_since = None;
        }
        match heard {
            Heard::Begun => self.begin(),
            Heard::Waits => self.runs_since = None,
            Heard::Progress(told) => {
                self.runs_since.get_or_insert_with(Instant::now);
                self.model = telling::model_of(&told).or(self.model.take());
                let more = self.telling.progress(&told);
                self.pass_on(more);
                if self.telling.length() > self.longest {
                    self.ready.push_back(Said::End(None));
                }
            }
            Heard::Completed(value) => return self.complete(&value),
            Heard::Failed(_) => {
                // The reason stays with the job: it may hold anything.
                self.errand.settle(&self.whose, None);
                return failed(ErrorKind::Interrupted, "the worker failed; its job says why");
            }
            Heard::Removed { .. } | Heard::Gone => {
                self.added_again += 1;
                if self.added_again > ADDED_AGAIN {
                    return failed(ErrorKind::Interrupted, "the job was removed again and again");
                }
                tracing::warn!(job = self.errand.id(), "the job of a reply is gone: it is added again");
                self.runs_since = None;
                self.errand.again();
            }
            Heard::Away => {
                let away = self.away_since.get_or_insert_with(Instant::now).elapsed();
                if away > AWAY && self.has_own {
                    return Err(Broken::GivenUp);
                }
                if away > self.timeout {
                    return failed(ErrorKind::Connect, "Redis, and with it the workers, cannot be reached");
                }
            }
        }
        Ok(())
    }

    fn begin(&mut self) {
        self.runs_since = Some(Instant::now());
        self.telling.begin();
    }

    fn complete(&mut self, value: &Value) -> Result<(), Broken> {
        let returned = telling::returned(value);
        self.errand.settle(&self.whose, Some(&json!({ "outcome": "done" })));
        let Some(returned) = returned else {
            return failed(ErrorKind::Bad, "the worker returned neither a text nor {text}: see docs/queues.md");
        };
        metrics::counter!("aim_model_replies_total", "provider" => "worker", "outcome" => "finished").increment(1);
        self.model = returned.model.or(self.model.take());
        let more = self.telling.end(&returned.text);
        self.pass_on(more);
        self.ready.push_back(Said::End(returned.tokens));
        Ok(())
    }

    fn pass_on(&mut self, more: More) {
        if more.anew {
            self.ready.push_back(Said::Anew);
        }
        if !more.text.is_empty() {
            self.ready.push_back(Said::Text(more.text));
        }
    }
}
