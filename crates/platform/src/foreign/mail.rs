//! A letter that a worker of another program hands over. It is noted as being sent before its job is added, since a worker
//! may have it from then on; what nobody has begun can be taken back for certain.

use crate::Platform;
use crate::jobs::email;
use crate::mail::Post;
use aim_backbone::queue::NewJob;
use aim_backbone::queue::errands::{Errand, Heard};
use aim_mail::{Fault, Mail, Passage};
use aim_store::StoredMail;
use async_trait::async_trait;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

/// What an errand's job is called; a `mail` is a server's own.
pub(crate) const NAME: &str = "send";
/// One run: a second attempt is another job, and the database decides on it.
const ATTEMPTS: u32 = 1;
/// A worker that has a letter for longer than this is not believed to come to an end.
const LONGEST_RUN: Duration = Duration::from_secs(600);
/// A job that cannot be seen to be in the queue for so long may be there all the same.
const LONGEST_AWAY: Duration = Duration::from_secs(600);

/// `{mailId, attempt, kind}`
fn which(mail: &StoredMail) -> Value {
    json!({ "mailId": mail.id, "attempt": mail.attempt, "kind": mail.kind })
}

/// The job of an attempt: `which`, and `{from, to, subject, text, html, headers: {name: value}}`.
fn job(mail: &StoredMail, which: &Value, letter: &Mail, priority: u32) -> NewJob {
    let parts = letter.parts();
    let mut data = which.clone();
    data["from"] = parts.from.as_str().into();
    data["to"] = parts.to.as_str().into();
    data["subject"] = parts.subject.as_str().into();
    data["text"] = parts.text.as_str().into();
    data["html"] = parts.html.as_str().into();
    data["headers"] = parts.headers.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    NewJob {
        queue: email::QUEUE,
        name: NAME,
        id: format!("send-{}-{}", mail.id, mail.attempt),
        data,
        attempts: ATTEMPTS,
        backoff: Duration::from_secs(1),
        delay: Duration::ZERO,
        priority,
    }
}

impl Platform {
    /// The way for a letter to go out at this moment: a worker's, or this process's own.
    pub(crate) async fn open_passage(
        &self,
        post: &Post,
        mail: &StoredMail,
        premium: bool,
        letter: Mail,
    ) -> Result<Box<dyn Passage>, Fault> {
        let errands = self.errands(email::QUEUE).filter(|_| self.settings.foreign.mails);
        let Some(errands) = errands else { return post.carrier.open(letter).await };
        let which = which(mail);
        let priority = email::priority(mail.kind, premium, Duration::ZERO, self.ambient.now());
        let errand = errands.errand(job(mail, &which, &letter, priority), false);
        let errand = errand.ok_or_else(|| Fault::Later("no worker takes mails".to_owned()))?;
        Ok(Box::new(JobPassage { errand, which, ending: self.ending.clone() }))
    }
}

struct JobPassage {
    errand: Errand,
    /// What of its data may stay with it.
    which: Value,
    ending: CancellationToken,
}

#[async_trait]
impl Passage for JobPassage {
    async fn hand_over(mut self: Box<Self>) -> Result<String, Fault> {
        let handed = self.follow().await;
        self.errand.settle(&self.which, None);
        handed
    }
}

impl JobPassage {
    async fn follow(&mut self) -> Result<String, Fault> {
        let doubt = |why: &str| Err(Fault::Doubt(why.to_owned()));
        let (mut begun, mut runs_since, mut away_since) = (false, None::<Instant>, None::<Instant>);
        loop {
            let late = async {
                match runs_since {
                    Some(since) => sleep_until((since + LONGEST_RUN).into()).await,
                    None => std::future::pending().await,
                }
            };
            let heard = tokio::select! {
                biased;
                () = self.ending.cancelled(), if !begun => {
                    if self.errand.withdraw().await {
                        return Err(Fault::Later("the server ended before a worker had begun".to_owned()));
                    }
                    // A worker has it after all, or it cannot be told.
                    begun = true;
                    continue;
                }
                heard = self.errand.next() => heard,
                () = late => return doubt("the worker did not come to an end"),
            };
            if heard != Heard::Away {
                away_since = None;
            }
            match heard {
                Heard::Begun | Heard::Progress(_) => {
                    begun = true;
                    runs_since.get_or_insert_with(Instant::now);
                }
                Heard::Waits => runs_since = None,
                Heard::Completed(answer) => return Ok(answer.as_str().unwrap_or("sent by a worker").to_owned()),
                Heard::Failed(reason) => return Err(fault_of(reason)),
                Heard::Removed { stood_in_line: true } if !begun => {
                    return Err(Fault::Later("somebody removed its job before a worker had begun".to_owned()));
                }
                Heard::Removed { .. } | Heard::Gone => return doubt("its job is gone"),
                Heard::Away => {
                    if away_since.get_or_insert_with(Instant::now).elapsed() > LONGEST_AWAY {
                        return doubt("Redis, and with it the worker, cannot be reached");
                    }
                }
            }
        }
    }
}

/// What a worker's reason says: one that begins like an answer of SMTP is one. Of any other it cannot be told whether the
/// letter went out.
fn fault_of(reason: String) -> Fault {
    let code = reason.get(..3).filter(|code| code.bytes().all(|digit| digit.is_ascii_digit()));
    let ends = reason.get(3..).is_none_or(|rest| !rest.starts_with(|next: char| next.is_ascii_digit()));
    match code.filter(|_| ends).and_then(|code| code.chars().next()) {
        Some('4') => Fault::Later(reason),
        Some('5') => Fault::Never(reason),
        _ => Fault::Doubt(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workers_reason_decides_what_comes_of_a_mail() {
        assert_eq!(fault_of("421 busy".into()), Fault::Later("421 busy".into()));
        assert_eq!(fault_of("550-no such user".into()), Fault::Never("550-no such user".into()));
        assert_eq!(fault_of("5".into()), Fault::Doubt("5".into()));
        assert_eq!(fault_of("5501".into()), Fault::Doubt("5501".into()));
        assert_eq!(
            fault_of("job stalled more than allowable limit".into()),
            Fault::Doubt("job stalled more than allowable limit".into())
        );
        assert_eq!(fault_of(String::new()), Fault::Doubt(String::new()));
        assert_eq!(fault_of("4é".into()), Fault::Doubt("4é".into()));
    }
}
