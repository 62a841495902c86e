//! `email`: one mail. Due in the database: a row of `mails` whose time has come.
//!
//! A job hurries a mail along; the claim decides who sends it. A job runs once: what the other side did not take becomes
//! due again with one more attempt, and that gets a job of its own, which waits. The row says `sending` before the first byte
//! of the letter goes out, so a worker that dies from there on leaves it in doubt, and it is not sent again.

use super::order::{self, Class};
use super::{Ran, Runs};
use crate::faults::hint;
use crate::mail::Post;
use crate::{Platform, foreign};
use aim_backbone::Fault;
use aim_backbone::queue::{self, Failure, NewJob, Run, Worker};
use aim_domain::{Incarnation, MailId, MailKind, Timestamp, Undelivered};
use aim_mail::Fault as MailFault;
use aim_store::mail::IN_DOUBT;
use aim_store::{DueMail, MailEnd, StoreError, StoredMail};
use futures::FutureExt;
use serde_json::{Value, json};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

pub const QUEUE: &str = queue::EMAIL;
pub const NAME: &str = "mail";
/// One run: a second attempt is a job of its own.
const ATTEMPTS: u32 = 1;
/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);
/// The longest wait between two tries to note how a mail ended.
const NOTING_PACE: Duration = Duration::from_secs(5);
/// How the reason of a mail begins that was tried often enough.
const GIVEN_UP: &str = "given up after";
const PANICKED: &str = "sending it panicked";
/// Clocks differ: a job that comes too early finds its mail not due yet.
const SLACK: Duration = Duration::from_millis(50);

/// The job of a mail's attempt: `{mailId, attempt, kind, premium}`. What people wait for goes before notices; of either,
/// premium users' first, within a bound.
pub fn job(mail: &DueMail, premium: bool, wait: Duration, now: Timestamp) -> NewJob {
    let delay = if wait.is_zero() { wait } else { wait + SLACK };
    NewJob {
        queue: QUEUE,
        name: NAME,
        id: job_id(mail),
        data: json!({ "mailId": mail.id, "attempt": mail.attempt, "kind": mail.kind, "premium": premium }),
        attempts: ATTEMPTS,
        backoff: Duration::from_secs(1),
        delay,
        priority: priority(mail.kind, premium, wait, now),
    }
}

fn job_id(mail: &DueMail) -> String {
    format!("mail-{}-{}", mail.id, mail.attempt)
}

pub(crate) fn priority(kind: MailKind, premium: bool, wait: Duration, now: Timestamp) -> u32 {
    let class = if kind.notice().is_some() { Class::Ordinary } else { Class::Awaited };
    order::priority(now, wait, class, premium)
}

fn mail_of(data: &Value) -> Option<DueMail> {
    let text = |field: &str| data.get(field).and_then(Value::as_str);
    Some(DueMail {
        id: text("mailId")?.parse().ok()?,
        kind: text("kind")?.parse().ok()?,
        attempt: data.get("attempt").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok())?,
    })
}

/// What a failed mail's reason means for its reader: what a mail server said is for operators.
pub(crate) fn undelivered(reason: &str) -> Undelivered {
    if reason.starts_with(IN_DOUBT) {
        Undelivered::InDoubt
    } else if reason.starts_with(GIVEN_UP) || reason == PANICKED {
        Undelivered::GivenUp
    } else {
        Undelivered::Refused
    }
}

/// How sending came out; none when the claim was lost.
type Outcome = Option<MailEnd>;

impl Platform {
    /// Begins to send mails in this process, if they go out at all.
    pub(crate) async fn work_mails(&self) -> Result<Option<Arc<dyn Worker>>, Fault> {
        let Some(post) = &self.settings.post else { return Ok(None) };
        // Every step of sending has its own time; one that is cut off from outside would stay in doubt.
        let runs = Runs { queue: QUEUE, concurrency: post.concurrency, timeout: None };
        let worker = self.work_on(runs, |platform, run| async move { platform.run_mail_job(run).await }.boxed());
        worker.await.map(Some)
    }

    async fn run_mail_job(&self, run: Run) -> Ran {
        if run.name == foreign::MAIL {
            return Err(Failure::Final(
                "it is for a worker of another program: AIM_WORKERS__FOREIGN differs here".into(),
            ));
        }
        if self.is_left_to_others(QUEUE) {
            return Ok(json!({ "outcome": "left to others" }));
        }
        let Some(due) = mail_of(&run.data) else {
            return Err(Failure::Final("the job's data name no mail".into()));
        };
        let premium = run.data.get("premium").and_then(Value::as_bool).unwrap_or_default();
        let Some(post) = &self.settings.post else {
            return Err(Failure::Final("mail is not set up in this process".into()));
        };
        let Some(holder) = self.lease.current() else {
            return Err(Failure::Final("this process's lease is over; the mail is still due".into()));
        };
        let mail = match self.store.claim_mail(&due.id, due.attempt, &holder).await {
            Ok(Some(mail)) => mail,
            Ok(None) => return Ok(json!({ "outcome": "nothing to do" })),
            Err(error) => {
                // It may be claimed all the same, and would be held for as long as this process lives.
                let back = MailEnd::Later { reason: error.to_string(), wait: post.backoff };
                self.note_end(&due.id, &holder, &back).await;
                return Err(Failure::Final(error.to_string()));
            }
        };
        let sent = AssertUnwindSafe(self.send_mail(post, &mail, premium, &holder)).catch_unwind().await;
        let outcome = sent.unwrap_or_else(|_| {
            tracing::error!(mail = %mail.id, "sending a mail panicked");
            Some(MailEnd::Failed { reason: PANICKED.into() })
        });
        let Some(end) = outcome else { return Ok(json!({ "outcome": "lost" })) };
        self.note_end(&mail.id, &holder, &end).await;
        self.tell_end(mail.kind, &mail.id, &end);
        match end {
            MailEnd::Sent => Ok(json!({ "outcome": "sent" })),
            MailEnd::Dropped { reason } => Ok(json!({ "outcome": "dropped", "reason": reason })),
            MailEnd::Failed { reason } => Err(Failure::Final(reason)),
            MailEnd::Later { reason, wait } => {
                let next = DueMail { attempt: due.attempt.saturating_add(1), ..due };
                self.hurry_mail(&next, premium, wait).await;
                Ok(json!({ "outcome": "later", "reason": reason, "wait": wait.as_secs_f64() }))
            }
        }
    }

    async fn send_mail(&self, post: &Post, mail: &StoredMail, premium: bool, holder: &Incarnation) -> Outcome {
        let composed = match self.compose(post, mail).await {
            Ok(Ok(composed)) => composed,
            Ok(Err(needless)) => return Some(MailEnd::Dropped { reason: needless.to_owned() }),
            Err(error) => return Some(self.again(post, mail, error.to_string())),
        };
        let (letter, tokens) = composed;
        let message = letter.mail(mail.id.as_str(), &post.from, self.ambient.now());
        let passage = match message {
            Ok(message) => self.open_passage(post, mail, premium, message).await,
            Err(fault) => Err(fault),
        };
        let passage = match passage {
            Ok(passage) => passage,
            Err(fault) => return Some(self.end_of(post, mail, fault)),
        };
        match self.store.begin_sending(&mail.id, holder, tokens).await {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => return Some(self.again(post, mail, error.to_string())),
        }
        Some(match passage.hand_over().await {
            Ok(answer) => {
                tracing::debug!(mail = %mail.id, answer, "a mail was taken");
                MailEnd::Sent
            }
            Err(fault) => self.end_of(post, mail, fault),
        })
    }

    fn end_of(&self, post: &Post, mail: &StoredMail, fault: MailFault) -> MailEnd {
        match fault {
            MailFault::Later(reason) => self.again(post, mail, reason),
            MailFault::Never(reason) => MailEnd::Failed { reason },
            MailFault::Doubt(reason) => MailEnd::Failed { reason: format!("{IN_DOUBT}: {reason}") },
        }
    }

    /// Another attempt, unless this was the last.
    fn again(&self, post: &Post, mail: &StoredMail, reason: String) -> MailEnd {
        if mail.attempt >= post.attempts {
            return MailEnd::Failed { reason: format!("{GIVEN_UP} {} attempts: {reason}", mail.attempt) };
        }
        let times = 2_u32.saturating_pow(mail.attempt.saturating_sub(1));
        let wait = post.backoff.saturating_mul(times).min(LONGEST_WAIT);
        MailEnd::Later { reason, wait: wait.mul_f64(1.0 - self.ambient.fraction() / 4.0) }
    }

    /// Notes how a mail ended, for as long as this process holds it: nobody else can know.
    async fn note_end(&self, mail: &MailId, holder: &Incarnation, end: &MailEnd) {
        let mut wait = Duration::from_millis(100);
        while self.lease.is(holder) {
            match self.store.end_mail(mail, holder, end.clone()).await {
                Ok(_) => return,
                Err(StoreError::Failed(detail)) => {
                    tracing::error!(detail, %mail, "how a mail ended could not be noted");
                    return;
                }
                Err(error) => tracing::warn!(%error, %mail, "how a mail ended was not noted: trying again"),
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(NOTING_PACE);
        }
    }

    fn tell_end(&self, kind: MailKind, mail: &MailId, end: &MailEnd) {
        let kind = kind.as_str();
        let outcome = match end {
            MailEnd::Sent => "sent",
            MailEnd::Later { reason, .. } => {
                tracing::warn!(%mail, kind, reason, "a mail was not taken: it is tried again");
                "later"
            }
            MailEnd::Failed { reason } => {
                tracing::error!(%mail, kind, reason, "a mail failed");
                "failed"
            }
            MailEnd::Dropped { reason } => {
                tracing::debug!(%mail, kind, reason, "a mail was dropped");
                "dropped"
            }
        };
        metrics::counter!("aim_mails_total", "kind" => kind, "outcome" => outcome).increment(1);
    }

    /// Due mails that nobody hurries get a job; what dead servers were handing over is ended. Answers where the next look
    /// begins.
    pub(crate) async fn add_missing_mails(&self, after: Option<MailId>) -> Result<Option<MailId>, StoreError> {
        const BATCH: u32 = 200;
        if !self.sends_mail() {
            return Ok(None);
        }
        let doubtful = self.store.doubt_mails().await?;
        if doubtful > 0 {
            tracing::error!(doubtful, "mails failed in doubt: their sender died while it handed them over");
        }
        let due = self.store.due_mails(after.as_ref(), BATCH).await?;
        for mail in &due {
            let id = job_id(mail);
            let known = hint("look up a job", self.backbone.queue.job(QUEUE, &id).await);
            match known {
                Some(job) if job.finished_at.is_none() => continue,
                // It ran, and the mail is due all the same: its id is to be free again.
                Some(_) => drop(hint("remove a job", self.backbone.queue.remove(QUEUE, &id).await)),
                None => {}
            }
            metrics::counter!("aim_reconciled_total", "what" => "mail").increment(1);
            // Whose it is was with its job, which is gone.
            self.hurry_mail(mail, false, Duration::ZERO).await;
        }
        Ok(if due.len() < BATCH as usize { None } else { due.last().map(|last| last.id.clone()) })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_job_names_its_mail() {
        let mail = DueMail { id: "m1".parse().unwrap(), kind: MailKind::Reset, attempt: 2 };
        let job = job(&mail, true, Duration::ZERO, Timestamp(0));
        assert_eq!((job.id.as_str(), &job.data["premium"]), ("mail-m1-2", &json!(true)));
        assert_eq!(mail_of(&job.data), Some(mail));
        assert_eq!(mail_of(&json!({ "mailId": "m1" })), None);
    }
}
