//! What operators read of the past, and rows that are over.

use super::SqliteStore;
use super::db::Db;
use super::rows::{Columns, json};
use crate::report::since;
use crate::{Activity, ModelTokens, Period, Report, Reports, Result, Sample, Stale, StoreError, Stretch};
use aim_domain::{Figures, Timestamp};
use async_trait::async_trait;
use rusqlite::params;
use std::time::Duration;

/// Rows that one command sweeps, so that no one waits long behind it.
const SWEPT_AT_ONCE: i64 = 1_000;

fn read_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| StoreError::Failed(format!("a row cannot be read: {error}")))
}

fn add_sample(db: &Db, sample: &Sample) -> Result<()> {
    db.run(
        "INSERT INTO samples (at, server, body) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        params![sample.at.0, sample.server.as_str(), json(&sample.figures)?],
    )?;
    Ok(())
}

fn measured(db: &Db, stretch: Stretch) -> Result<Figures> {
    let bodies =
        db.all("SELECT body FROM samples WHERE at >= ?1 AND at < ?2", params![stretch.from.0, stretch.to.0], |row| {
            Columns::of(row).string()
        })?;
    let mut sum = Figures::default();
    for body in bodies {
        sum.add(&read_json(&body)?);
    }
    Ok(sum)
}

fn first_sample(db: &Db, since: Timestamp) -> Result<Option<Timestamp>> {
    db.one("SELECT at FROM samples WHERE at >= ?1 ORDER BY at LIMIT 1", [since.0], |row| {
        Ok(Timestamp(Columns::of(row).int()?))
    })
}

/// What a branch copied was said once.
const NO_COPY: &str = "NOT EXISTS (SELECT 1 FROM all_conversations c
     WHERE c.key = messages.conversation AND c.branch_seq >= messages.seq)";

/// Ids of messages begin with the time at which they were made.
fn activity(db: &Db, stretch: Stretch) -> Result<Activity> {
    let ids = params![since(stretch.from), since(stretch.to)];
    let times = params![stretch.from.0, stretch.to.0];
    let said = format!(
        "SELECT count(DISTINCT sender), coalesce(sum(kind = 'text'), 0), coalesce(sum(kind = 'audio'), 0),
             coalesce(sum(kind = 'image'), 0), coalesce(sum(reply_state = 'failed'), 0),
             coalesce(sum(reply_state = 'cancelled'), 0)
         FROM messages WHERE id >= ?1 AND id < ?2 AND role = 'user' AND {NO_COPY}"
    );
    let people = db.one(&said, ids, |row| {
        let mut c = Columns::of(row);
        Ok(Activity {
            active_users: c.count()?,
            text_messages: c.count()?,
            audio_messages: c.count()?,
            image_messages: c.count()?,
            failed_replies: c.count()?,
            cancelled_replies: c.count()?,
            ..Default::default()
        })
    })?;
    let replies = format!(
        "SELECT count(*) FROM messages
         WHERE id >= ?1 AND id < ?2 AND role = 'character' AND in_reply_to IS NOT NULL AND {NO_COPY}"
    );
    let replies = db.number(&replies, ids)?;
    let new_users = db.number("SELECT count(*) FROM users WHERE created_at >= ?1 AND created_at < ?2", times)?;
    let to = |tier: &str| {
        let sql = "SELECT count(*) FROM tier_changes WHERE at >= ?1 AND at < ?2 AND tier = ?3";
        Ok::<_, StoreError>(db.number(sql, params![stretch.from.0, stretch.to.0, tier])?.unsigned_abs())
    };
    Ok(Activity {
        replies: replies.unsigned_abs(),
        new_users: new_users.unsigned_abs(),
        upgrades: to("premium")?,
        downgrades: to("free")?,
        ..people.unwrap_or_default()
    })
}

fn tokens_between(db: &Db, first_day: &str, last_day: &str) -> Result<Vec<ModelTokens>> {
    let sql = "SELECT model, sum(prompt), sum(completion), sum(requests) FROM token_days
         WHERE day >= ?1 AND day <= ?2 GROUP BY model ORDER BY model";
    db.all(sql, [first_day, last_day], |row| {
        let mut c = Columns::of(row);
        Ok(ModelTokens { model: c.string()?, prompt: c.count()?, completion: c.count()?, requests: c.count()? })
    })
}

fn save(db: &Db, report: &Report) -> Result<()> {
    db.run(
        "INSERT INTO reports (period, start, body) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET body = excluded.body",
        params![report.period.as_str(), report.start.0, json(&report.body)?],
    )?;
    Ok(())
}

fn list(db: &Db, period: Period, stretch: Stretch, limit: u32) -> Result<Vec<Report>> {
    let rows = db.all(
        "SELECT start, body FROM reports WHERE period = ?1 AND start >= ?2 AND start < ?3 ORDER BY start LIMIT ?4",
        params![period.as_str(), stretch.from.0, stretch.to.0, limit],
        |row| {
            let mut c = Columns::of(row);
            Ok((Timestamp(c.int()?), c.string()?))
        },
    )?;
    rows.into_iter().map(|(start, body)| Ok(Report { period, start, body: read_json(&body)? })).collect()
}

/// The table, its key, and which of its rows are over at `?1`.
fn over(what: Stale) -> &'static [(&'static str, &'static str, &'static str)] {
    match what {
        Stale::Changes => &[("changes", "id", "at < ?1")],
        Stale::Sessions => &[("sessions", "token_hash", "expires_at < ?1")],
        Stale::SignIns => {
            &[("sign_in_attempts", "subject, seq", "at < ?1"), ("sign_in_blocks", "subject", "blocked_until < ?1")]
        }
        Stale::Servers => &[("servers", "id", "lease_until < ?1")],
        Stale::Mails => &[("mails", "id", "ended_at IS NOT NULL AND ended_at < ?1")],
        Stale::Tokens => &[("one_time_tokens", "hash", "expires_at < ?1")],
        Stale::Samples => &[("samples", "at, server", "at < ?1")],
        Stale::HourReports => &[("reports", "period, start", "period = 'hour' AND start < ?1")],
        Stale::Drafts => &[("drafts", "user, key", "expires_at < ?1")],
        Stale::Invites => &[("invites", "id", "expires_at < ?1")],
        Stale::Cases => &[("cases", "id", "closed_at < ?1")],
    }
}

fn before(db: &Db, keep: Duration) -> i64 {
    db.now.0.saturating_sub(i64::try_from(keep.as_millis()).unwrap_or(i64::MAX))
}

fn count_stale(db: &Db, what: Stale, keep: Duration) -> Result<u64> {
    let mut count = 0;
    for (table, _, is_over) in over(what) {
        count +=
            db.number(&format!("SELECT count(*) FROM {table} WHERE {is_over}"), [before(db, keep)])?.unsigned_abs();
    }
    Ok(count)
}

/// One portion; answers how many rows went, and whether there may be more.
fn sweep(db: &Db, what: Stale, keep: Duration) -> Result<(u64, bool)> {
    let (mut swept, mut more) = (0, false);
    for (table, key, is_over) in over(what) {
        let sql = format!("DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE {is_over} LIMIT ?2)");
        let rows = db.run(&sql, params![before(db, keep), SWEPT_AT_ONCE])?;
        swept += rows as u64;
        more |= rows == SWEPT_AT_ONCE as usize;
    }
    Ok((swept, more))
}

#[async_trait]
impl Reports for SqliteStore {
    async fn add_sample(&self, sample: Sample) -> Result<()> {
        self.write(move |db| add_sample(db, &sample)).await
    }

    async fn measured(&self, stretch: Stretch) -> Result<Figures> {
        self.read(move |db| measured(db, stretch)).await
    }

    async fn first_sample(&self, since: Timestamp) -> Result<Option<Timestamp>> {
        self.read(move |db| first_sample(db, since)).await
    }

    async fn activity(&self, stretch: Stretch) -> Result<Activity> {
        self.read(move |db| activity(db, stretch)).await
    }

    async fn tokens_between(&self, first_day: &str, last_day: &str) -> Result<Vec<ModelTokens>> {
        let (first_day, last_day) = (first_day.to_owned(), last_day.to_owned());
        self.read(move |db| tokens_between(db, &first_day, &last_day)).await
    }

    async fn save_report(&self, report: Report) -> Result<()> {
        self.write(move |db| save(db, &report)).await
    }

    async fn reports(&self, period: Period, stretch: Stretch, limit: u32) -> Result<Vec<Report>> {
        self.read(move |db| list(db, period, stretch, limit)).await
    }

    async fn count_stale(&self, what: Stale, keep: Duration) -> Result<u64> {
        self.read(move |db| count_stale(db, what, keep)).await
    }

    async fn sweep(&self, what: Stale, keep: Duration) -> Result<u64> {
        let mut swept = 0;
        loop {
            let (rows, more) = self.write(move |db| sweep(db, what, keep)).await?;
            swept += rows;
            if !more {
                return Ok(swept);
            }
        }
    }
}
