//! What operators read of the past, and rows that are over.

use super::PostgresStore;
use super::db::{Again, Db, Postgres, Tried, sql};
use super::faults::Fault;
use super::rows::json;
use super::sessions::millis;
use crate::report::since;
use crate::text::plain;
use crate::{Activity, ModelTokens, Period, Report, Reports, Result, Sample, Stale, Stretch};
use aim_domain::{Figures, Timestamp};
use async_trait::async_trait;
use std::time::Duration;

/// Rows that one statement sweeps, so that no one waits long behind it.
const SWEPT_AT_ONCE: i64 = 1_000;

fn read_json<T: serde::de::DeserializeOwned>(text: &str) -> Tried<T> {
    serde_json::from_str(text).map_err(|error| Fault::Failed(format!("a row cannot be read: {error}")))
}

async fn add_sample(db: &mut Db, sample: &Sample) -> Tried<()> {
    let add = sql("INSERT INTO samples (at, server, body) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
        .bind(sample.at.0)
        .bind(sample.server.as_str())
        .bind(json(&sample.figures)?);
    db.run(add).await.map(drop)
}

async fn measured(db: &mut Db, stretch: Stretch) -> Tried<Figures> {
    let bodies = sql("SELECT body FROM samples WHERE at >= $1 AND at < $2").bind(stretch.from.0).bind(stretch.to.0);
    let mut sum = Figures::default();
    for figures in db.all(bodies, |c| read_json::<Figures>(c.text()?)).await? {
        sum.add(&figures);
    }
    Ok(sum)
}

async fn first_sample(db: &mut Db, since: Timestamp) -> Tried<Option<Timestamp>> {
    let first = sql("SELECT at FROM samples WHERE at >= $1 ORDER BY at LIMIT 1").bind(since.0);
    db.one(first, |c| Ok(Timestamp(c.int()?))).await
}

/// Ids of messages begin with the time at which they were made.
async fn activity(db: &mut Db, stretch: Stretch) -> Tried<Activity> {
    let count = sql(
        "SELECT count(DISTINCT m.sender) FILTER (WHERE m.role = 'user'),
             count(*) FILTER (WHERE m.role = 'user' AND m.kind = 'text'),
             count(*) FILTER (WHERE m.role = 'user' AND m.kind = 'audio'),
             count(*) FILTER (WHERE m.role = 'user' AND m.kind = 'image'),
             count(*) FILTER (WHERE m.role = 'character' AND m.in_reply_to IS NOT NULL),
             count(*) FILTER (WHERE m.reply_state = 'failed'),
             count(*) FILTER (WHERE m.reply_state = 'cancelled'),
             (SELECT count(*) FROM users u WHERE u.created_at >= $3 AND u.created_at < $4),
             (SELECT count(*) FROM tier_changes t WHERE t.at >= $3 AND t.at < $4 AND t.tier = 'premium'),
             (SELECT count(*) FROM tier_changes t WHERE t.at >= $3 AND t.at < $4 AND t.tier = 'free')
         FROM messages m WHERE m.id >= $1 AND m.id < $2
             -- What a branch copied was said once.
             AND NOT EXISTS (SELECT 1 FROM all_conversations c WHERE c.key = m.conversation AND c.branch_seq >= m.seq)",
    )
    .bind(since(stretch.from))
    .bind(since(stretch.to))
    .bind(stretch.from.0)
    .bind(stretch.to.0);
    let counted = db.one(count, |c| {
        Ok(Activity {
            active_users: c.count()?,
            text_messages: c.count()?,
            audio_messages: c.count()?,
            image_messages: c.count()?,
            replies: c.count()?,
            failed_replies: c.count()?,
            cancelled_replies: c.count()?,
            new_users: c.count()?,
            upgrades: c.count()?,
            downgrades: c.count()?,
        })
    });
    Ok(counted.await?.unwrap_or_default())
}

async fn tokens_between(db: &mut Db, first_day: &str, last_day: &str) -> Tried<Vec<ModelTokens>> {
    let sums = sql("SELECT model, sum(prompt)::bigint, sum(completion)::bigint, sum(requests)::bigint
         FROM token_days WHERE day >= $1 AND day <= $2 GROUP BY model ORDER BY model")
    .bind(plain(first_day))
    .bind(plain(last_day));
    db.all(sums, |c| {
        Ok(ModelTokens { model: c.string()?, prompt: c.count()?, completion: c.count()?, requests: c.count()? })
    })
    .await
}

async fn save(db: &mut Db, report: &Report) -> Tried<()> {
    let save = sql("INSERT INTO reports (period, start, body) VALUES ($1, $2, $3)
         ON CONFLICT (period, start) DO UPDATE SET body = excluded.body")
    .bind(report.period.as_str())
    .bind(report.start.0)
    .bind(json(&report.body)?);
    db.run(save).await.map(drop)
}

async fn list(db: &mut Db, period: Period, stretch: Stretch, limit: u32) -> Tried<Vec<Report>> {
    let rows = sql("SELECT start, body FROM reports WHERE period = $1 AND start >= $2 AND start < $3
         ORDER BY start LIMIT $4")
    .bind(period.as_str())
    .bind(stretch.from.0)
    .bind(stretch.to.0)
    .bind(i64::from(limit));
    db.all(rows, |c| Ok(Report { period, start: Timestamp(c.int()?), body: read_json(c.text()?)? })).await
}

/// The table, its key, its time, and what else is asked of the rows that are over.
fn over(what: Stale) -> &'static [(&'static str, &'static str, &'static str, &'static str)] {
    match what {
        Stale::Changes => &[("changes", "id", "at", "true")],
        Stale::Sessions => &[("sessions", "token_hash", "expires_at", "true")],
        Stale::SignIns => &[
            ("sign_in_attempts", "subject, seq", "at", "true"),
            ("sign_in_blocks", "subject", "blocked_until", "true"),
        ],
        Stale::Servers => &[("servers", "id", "lease_until", "true")],
        Stale::Mails => &[("mails", "id", "ended_at", "ended_at IS NOT NULL")],
        Stale::Tokens => &[("one_time_tokens", "hash", "expires_at", "true")],
        Stale::Samples => &[("samples", "at, server", "at", "true")],
        Stale::HourReports => &[("reports", "period, start", "start", "period = 'hour'")],
        Stale::Drafts => &[("drafts", "user_id, key", "expires_at", "true")],
        Stale::Invites => &[("invites", "id", "expires_at", "true")],
        Stale::Cases => &[("cases", "id", "closed_at", "closed_at IS NOT NULL")],
    }
}

async fn count_stale(db: &mut Db, what: Stale, keep: Duration) -> Tried<u64> {
    let (now, keep) = (db.now, millis(keep));
    let mut count = 0;
    for (table, _, time, is) in over(what) {
        let text = format!("SELECT count(*) FROM {table} WHERE {is} AND {time} < (SELECT aim_now($1) - $2)");
        count += db.number(sql(text).bind(now).bind(keep)).await?.unsigned_abs();
    }
    Ok(count)
}

/// One portion; answers how many rows went, and whether there may be more.
async fn sweep(db: &mut Db, what: Stale, keep: Duration) -> Tried<(u64, bool)> {
    let (now, keep) = (db.now, millis(keep));
    let (mut swept, mut more) = (0, false);
    for (table, key, time, is) in over(what) {
        let delete = sql(format!(
            "DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE {is} AND {time} < (SELECT aim_now($1) - $2)
                 ORDER BY {time} LIMIT $3 FOR UPDATE SKIP LOCKED)"
        ));
        let rows = db.run(delete.bind(now).bind(keep).bind(SWEPT_AT_ONCE)).await?;
        swept += rows;
        more |= rows == SWEPT_AT_ONCE as u64;
    }
    Ok((swept, more))
}

/// Every command here answers the same when it is asked a second time.
async fn ask<T, F: Future<Output = Tried<T>>>(pg: &Postgres, act: impl Fn() -> F) -> Result<T> {
    pg.run(Again::Fine, act).await
}

#[async_trait]
impl Reports for PostgresStore {
    async fn add_sample(&self, sample: Sample) -> Result<()> {
        ask(&self.pg, async || add_sample(&mut self.pg.take().await?, &sample).await).await
    }

    async fn measured(&self, stretch: Stretch) -> Result<Figures> {
        ask(&self.pg, async || measured(&mut self.pg.take().await?, stretch).await).await
    }

    async fn first_sample(&self, since: Timestamp) -> Result<Option<Timestamp>> {
        ask(&self.pg, async || first_sample(&mut self.pg.take().await?, since).await).await
    }

    async fn activity(&self, stretch: Stretch) -> Result<Activity> {
        ask(&self.pg, async || activity(&mut self.pg.take().await?, stretch).await).await
    }

    async fn tokens_between(&self, first_day: &str, last_day: &str) -> Result<Vec<ModelTokens>> {
        ask(&self.pg, async || tokens_between(&mut self.pg.take().await?, first_day, last_day).await).await
    }

    async fn save_report(&self, report: Report) -> Result<()> {
        ask(&self.pg, async || save(&mut self.pg.take().await?, &report).await).await
    }

    async fn reports(&self, period: Period, stretch: Stretch, limit: u32) -> Result<Vec<Report>> {
        ask(&self.pg, async || list(&mut self.pg.take().await?, period, stretch, limit).await).await
    }

    async fn count_stale(&self, what: Stale, keep: Duration) -> Result<u64> {
        ask(&self.pg, async || count_stale(&mut self.pg.take().await?, what, keep).await).await
    }

    async fn sweep(&self, what: Stale, keep: Duration) -> Result<u64> {
        let mut swept = 0;
        loop {
            let (rows, more) = ask(&self.pg, async || sweep(&mut self.pg.take().await?, what, keep).await).await?;
            swept += rows;
            if !more {
                return Ok(swept);
            }
        }
    }
}
