//! Mails, their tokens, and who is there.
//!
//! A mail's row is locked by the statement that decides on it, and a token's by the one that uses it up; each decides under
//! that lock, by the row as it is then.

use super::PostgresStore;
use super::db::{Again, Db, Postgres, Tried, sql};
use super::rows::{self, Columns, USER, json};
use super::sessions::{self, millis};
use crate::mail::IN_DOUBT;
use crate::text::plain;
use crate::{
    Change, DueMail, MailEnd, MailFailure, MailStanding, Mails, NewMail, NewToken, PasswordReset, Presence, Result,
    StoredMail, TokenOwner,
};
use aim_domain::{Incarnation, MailId, MailState, Notice, Purpose, Timestamp, TokenHash, UserId};
use async_trait::async_trait;
use std::time::Duration;

/// A command of which nobody could tell whether it was done before.
macro_rules! once {
    ($self:ident, $what:ident $(, $with:expr)*) => { $self.pg.run(Again::Never, || $what(&$self.pg $(, $with)*)).await };
}

/// A command that changes nothing, or answers the same, when it is asked a second time.
macro_rules! again {
    ($self:ident, $what:ident $(, $with:expr)*) => { $self.pg.run(Again::Fine, || $what(&$self.pg $(, $with)*)).await };
}

#[async_trait]
impl Mails for PostgresStore {
    async fn queue_mail(&self, mail: NewMail) -> Result<Option<DueMail>> {
        // Asked again it is known: then the reconciler finds it due.
        again!(self, queue, &mail)
    }

    async fn mail(&self, id: &MailId) -> Result<Option<StoredMail>> {
        again!(self, get, id)
    }

    async fn due_mails(&self, after: Option<&MailId>, limit: u32) -> Result<Vec<DueMail>> {
        again!(self, due, after, limit)
    }

    async fn claim_mail(&self, id: &MailId, attempt: u32, holder: &Incarnation) -> Result<Option<StoredMail>> {
        once!(self, claim, id, attempt, holder)
    }

    async fn begin_sending(&self, id: &MailId, holder: &Incarnation, tokens: Vec<NewToken>) -> Result<bool> {
        once!(self, begin, id, holder, &tokens)
    }

    async fn end_mail(&self, id: &MailId, holder: &Incarnation, end: MailEnd) -> Result<bool> {
        once!(self, settle, id, holder, &end)
    }

    async fn doubt_mails(&self) -> Result<u64> {
        again!(self, doubt)
    }

    async fn token(&self, purpose: Purpose, token: &TokenHash) -> Result<Option<TokenOwner>> {
        again!(self, owner, purpose, token)
    }

    async fn confirm_address(&self, token: &TokenHash) -> Result<Option<UserId>> {
        once!(self, confirm, token)
    }

    async fn use_reset(&self, token: &TokenHash, password_hash: &str) -> Result<Option<PasswordReset>> {
        once!(self, reset, token, password_hash)
    }

    async fn mail_standing(&self, user: &UserId) -> Result<MailStanding> {
        again!(self, standing, user)
    }

    async fn want_notice(&self, user: &UserId, notice: Notice, wanted: bool) -> Result<bool> {
        again!(self, want, user, notice, wanted)
    }

    async fn note_presence(&self, seen: Vec<(UserId, bool)>, open: Duration) -> Result<()> {
        again!(self, note, &seen, open)
    }

    async fn presence(&self, user: &UserId) -> Result<Option<Presence>> {
        again!(self, presence, user)
    }
}

async fn queue(pg: &Postgres, mail: &NewMail) -> Tried<Option<DueMail>> {
    let NewMail { id, user, address, kind, occasion, data, wait } = mail;
    let mut db = pg.take().await?;
    // An account that goes meanwhile takes its mails with it.
    let insert = sql("INSERT INTO mails AS m (id, occasion, user_id, address, kind, data, state, attempt, not_before, created_at)
         SELECT $1, $2, u.id, $4, $5, $6, 'due', 1, clock.now + $7, clock.now
             FROM users u, (SELECT aim_now($8) AS now) clock WHERE u.id = $3
         ON CONFLICT (occasion) DO UPDATE SET state = 'due', attempt = m.attempt + 1, data = excluded.data, holder = NULL,
             not_before = excluded.not_before, ended_at = NULL, reason = NULL WHERE m.state = 'dropped'
         RETURNING m.id, m.kind, m.attempt")
    .bind(id.as_str())
    .bind(plain(occasion))
    .bind(user.as_str())
    .bind(plain(address))
    .bind(kind.as_str())
    .bind(json(data)?)
    .bind(millis(*wait))
    .bind(db.now);
    db.one(insert, due_mail).await
}

fn due_mail(c: &mut Columns) -> Tried<DueMail> {
    Ok(DueMail { id: MailId::trusted(c.text()?), kind: c.word()?, attempt: c.small()? })
}

const MAIL: &str =
    "m.id, m.user_id, m.address, m.kind, m.data, m.state, m.attempt, m.holder, m.not_before, m.created_at, m.reason";

fn stored(c: &mut Columns) -> Tried<StoredMail> {
    Ok(StoredMail {
        id: MailId::trusted(c.text()?),
        user: UserId::trusted(c.text()?),
        address: c.string()?,
        kind: c.word()?,
        data: c.maybe_json()?.unwrap_or_default(),
        state: c.word()?,
        attempt: c.small()?,
        holder: c.maybe_text()?.map(Incarnation::trusted),
        not_before: c.time()?,
        created_at: c.time()?,
        reason: c.maybe_string()?,
    })
}

async fn get(pg: &Postgres, id: &MailId) -> Tried<Option<StoredMail>> {
    let get = sql(format!("SELECT {MAIL} FROM mails m WHERE m.id = $1")).bind(id.as_str());
    pg.take().await?.one(get, stored).await
}

/// Nobody who lives holds `m`; `$1` is the clock's.
const FREE: &str = "NOT EXISTS (SELECT 1 FROM servers s WHERE s.id = m.holder AND s.lease_until > aim_now($1))";

/// The holder `$2` lives; `$1` is the clock's.
const LIVES: &str = "EXISTS (SELECT 1 FROM servers s WHERE s.id = $2 AND s.lease_until > aim_now($1))";

async fn due(pg: &Postgres, after: Option<&MailId>, limit: u32) -> Tried<Vec<DueMail>> {
    let mut db = pg.take().await?;
    let due = sql(format!(
        "SELECT m.id, m.kind, m.attempt FROM mails m
         WHERE m.state = 'due' AND m.id > $2 AND m.not_before <= aim_now($1) AND {FREE} ORDER BY m.id LIMIT $3"
    ))
    .bind(db.now)
    .bind(after.map_or("", MailId::as_str))
    .bind(i64::from(limit));
    db.all(due, due_mail).await
}

async fn claim(pg: &Postgres, id: &MailId, attempt: u32, holder: &Incarnation) -> Tried<Option<StoredMail>> {
    let mut db = pg.take().await?;
    let claim = sql(format!(
        "UPDATE mails m SET holder = $2 WHERE m.id = $3 AND m.attempt = $4 AND m.state = 'due'
             AND m.not_before <= aim_now($1) AND {FREE} AND {LIVES} RETURNING {MAIL}"
    ))
    .bind(db.now)
    .bind(holder.as_str())
    .bind(id.as_str())
    .bind(i64::from(attempt));
    db.one(claim, stored).await
}

async fn begin(pg: &Postgres, id: &MailId, holder: &Incarnation, tokens: &[NewToken]) -> Tried<bool> {
    let mut db = pg.begin().await?;
    let begin = sql(format!(
        "UPDATE mails m SET state = 'sending' WHERE m.id = $3 AND m.state = 'due' AND m.holder = $2 AND {LIVES}
         RETURNING m.user_id, m.address"
    ))
    .bind(db.now)
    .bind(holder.as_str())
    .bind(id.as_str());
    let Some((user, address)) = db.one(begin, |c| Ok((c.string()?, c.string()?))).await? else { return Ok(false) };
    for NewToken { hash, purpose, lives } in tokens {
        let insert = sql("INSERT INTO one_time_tokens (hash, user_id, address, purpose, expires_at)
             VALUES ($1, $2, $3, $4, aim_now($6) + $5)")
        .bind(hash.as_str())
        .bind(user.as_str())
        .bind(address.as_str())
        .bind(purpose.as_str())
        .bind(millis(*lives))
        .bind(db.now);
        db.run(insert).await?;
    }
    db.commit().await?;
    Ok(true)
}

async fn settle(pg: &Postgres, id: &MailId, holder: &Incarnation, end: &MailEnd) -> Tried<bool> {
    let mut db = pg.take().await?;
    let (state, reason) = match end {
        MailEnd::Later { reason, wait } => {
            let later = sql("UPDATE mails m SET state = 'due', holder = NULL, attempt = m.attempt + 1,
                     not_before = aim_now($3) + $4, reason = $5
                 WHERE m.id = $1 AND m.holder = $2 AND m.state IN ('due', 'sending')")
            .bind(id.as_str())
            .bind(holder.as_str())
            .bind(db.now)
            .bind(millis(*wait))
            .bind(plain(reason));
            return Ok(db.run(later).await? == 1);
        }
        MailEnd::Sent => (MailState::Sent, None),
        MailEnd::Failed { reason } => (MailState::Failed, Some(plain(reason))),
        MailEnd::Dropped { reason } => (MailState::Dropped, Some(plain(reason))),
    };
    let end = sql("UPDATE mails m SET state = $4, reason = $5, ended_at = aim_now($3)
         WHERE m.id = $1 AND m.holder = $2
             AND (m.state IN ('due', 'sending') OR ($4 = 'sent' AND m.state = 'failed' AND m.reason = $6))")
    .bind(id.as_str())
    .bind(holder.as_str())
    .bind(db.now)
    .bind(state.as_str())
    .bind(reason)
    .bind(IN_DOUBT);
    Ok(db.run(end).await? == 1)
}

async fn doubt(pg: &Postgres) -> Tried<u64> {
    let mut db = pg.take().await?;
    let doubt = sql(format!(
        "UPDATE mails m SET state = 'failed', reason = $2, ended_at = aim_now($1) WHERE m.state = 'sending' AND {FREE}"
    ))
    .bind(db.now)
    .bind(IN_DOUBT);
    db.run(doubt).await
}

fn token_owner(c: &mut Columns) -> Tried<TokenOwner> {
    Ok(TokenOwner { user: UserId::trusted(c.text()?), address: c.string()? })
}

async fn owner(pg: &Postgres, purpose: Purpose, token: &TokenHash) -> Tried<Option<TokenOwner>> {
    let mut db = pg.take().await?;
    let owner = sql("SELECT t.user_id, t.address FROM one_time_tokens t
         WHERE t.hash = $1 AND t.purpose = $2 AND t.used_at IS NULL AND t.expires_at > aim_now($3)")
    .bind(token.as_str())
    .bind(purpose.as_str())
    .bind(db.now);
    db.one(owner, token_owner).await
}

/// Uses a token up, if it is the account's address still that its mail went to.
async fn spend(db: &mut Db, purpose: Purpose, token: &TokenHash) -> Tried<Option<TokenOwner>> {
    let now = db.now;
    let spend = sql("UPDATE one_time_tokens t SET used_at = aim_now($3)
         WHERE t.hash = $1 AND t.purpose = $2 AND t.used_at IS NULL AND t.expires_at > aim_now($3)
         RETURNING t.user_id, t.address")
    .bind(token.as_str())
    .bind(purpose.as_str())
    .bind(now);
    let Some(owner) = db.one(spend, token_owner).await? else { return Ok(None) };
    let confirm = sql("INSERT INTO confirmed_addresses (user_id, email_key, confirmed_at)
         SELECT u.id, u.email_key, aim_now($3) FROM users u WHERE u.id = $1 AND u.email_key = $2
         ON CONFLICT (user_id) DO UPDATE SET email_key = excluded.email_key, confirmed_at = excluded.confirmed_at")
    .bind(owner.user.as_str())
    .bind(owner.address.to_lowercase())
    .bind(now);
    let is_theirs = db.run(confirm).await? == 1;
    Ok(is_theirs.then_some(owner))
}

async fn confirm(pg: &Postgres, token: &TokenHash) -> Tried<Option<UserId>> {
    let mut db = pg.begin().await?;
    let owner = spend(&mut db, Purpose::Confirm, token).await?;
    db.commit().await?;
    Ok(owner.map(|owner| owner.user))
}

async fn reset(pg: &Postgres, token: &TokenHash, password_hash: &str) -> Tried<Option<PasswordReset>> {
    let mut db = pg.begin().await?;
    let Some(TokenOwner { user, .. }) = spend(&mut db, Purpose::Reset, token).await? else {
        db.commit().await?;
        return Ok(None);
    };
    let now = db.now;
    let others = sql("UPDATE one_time_tokens t SET used_at = aim_now($3)
         WHERE t.user_id = $1 AND t.purpose = $2 AND t.used_at IS NULL")
    .bind(user.as_str())
    .bind(Purpose::Reset.as_str())
    .bind(now);
    db.run(others).await?;
    let set =
        sql(format!("UPDATE users u SET password_hash = $2, version = u.version + 1 WHERE u.id = $1 RETURNING {USER}"))
            .bind(user.as_str())
            .bind(password_hash);
    let Some(changed) = db.one(set, rows::user).await? else { return Ok(None) };
    let mut changes = sessions::revoke_each(&mut db, &user, None).await?;
    let change = Change::User { id: user.clone(), username: changed.username };
    db.tell(&change)?;
    changes.push(change);
    db.commit().await?;
    Ok(Some(PasswordReset { user, changes }))
}

async fn standing(pg: &Postgres, user: &UserId) -> Tried<MailStanding> {
    let mut db = pg.take().await?;
    let confirmed = sql("SELECT count(*) FROM confirmed_addresses c
         JOIN users u ON u.id = c.user_id AND u.email_key = c.email_key WHERE c.user_id = $1")
    .bind(user.as_str());
    let confirmed = db.number(confirmed).await? > 0;
    let unwanted = sql("SELECT notice FROM unwanted_notices WHERE user_id = $1").bind(user.as_str());
    let unwanted = db.all(unwanted, |c| c.word()).await?;
    // A later one that is on its way makes good for it.
    let last = sql(
        "SELECT m.state, m.ended_at, m.reason FROM mails m JOIN users u ON u.id = m.user_id AND u.email = m.address
         WHERE m.user_id = $1 AND m.kind IN ('welcome', 'confirm') ORDER BY m.id DESC LIMIT 1",
    )
    .bind(user.as_str());
    let last = db.one(last, |c| Ok((c.word::<MailState>()?, c.maybe_int()?, c.maybe_string()?))).await?;
    let failed = last.filter(|(state, ..)| *state == MailState::Failed && !confirmed);
    let failure = failed.map(|(_, at, reason)| MailFailure {
        at: Timestamp(at.unwrap_or_default()),
        reason: reason.unwrap_or_default(),
    });
    Ok(MailStanding { confirmed, failure, unwanted })
}

async fn want(pg: &Postgres, user: &UserId, notice: Notice, wanted: bool) -> Tried<bool> {
    let mut db = pg.take().await?;
    let want = if wanted {
        sql("DELETE FROM unwanted_notices WHERE user_id = $1 AND notice = $2")
    } else {
        sql("INSERT INTO unwanted_notices (user_id, notice) SELECT u.id, $2 FROM users u WHERE u.id = $1
             ON CONFLICT (user_id, notice) DO NOTHING")
    };
    db.run(want.bind(user.as_str()).bind(notice.as_str())).await?;
    Ok(db.number(sql("SELECT count(*) FROM users WHERE id = $1").bind(user.as_str())).await? == 1)
}

async fn note(pg: &Postgres, seen: &[(UserId, bool)], open: Duration) -> Tried<()> {
    // In one order, so that two servers do not wait for each other.
    let mut seen: Vec<(&str, bool)> = seen.iter().map(|(user, is_here)| (user.as_str(), *is_here)).collect();
    seen.sort_unstable();
    seen.dedup_by_key(|(user, _)| *user);
    let (users, here): (Vec<&str>, Vec<bool>) = seen.into_iter().unzip();
    let mut db = pg.take().await?;
    let note = sql("INSERT INTO presence (user_id, seen_at, open_until)
         SELECT u.id, clock.now, clock.now + CASE WHEN s.here THEN $3 ELSE 0 END
         FROM unnest($1::text[], $2::boolean[]) AS s (id, here) JOIN users u ON u.id = s.id,
             (SELECT aim_now($4) AS now) clock
         ORDER BY u.id
         ON CONFLICT (user_id) DO UPDATE SET seen_at = excluded.seen_at, open_until = excluded.open_until")
    .bind(users)
    .bind(here)
    .bind(millis(open))
    .bind(db.now);
    db.run(note).await.map(drop)
}

async fn presence(pg: &Postgres, user: &UserId) -> Tried<Option<Presence>> {
    let mut db = pg.take().await?;
    let presence = sql("SELECT p.seen_at, p.open_until > aim_now($2) FROM presence p WHERE p.user_id = $1")
        .bind(user.as_str())
        .bind(db.now);
    db.one(presence, |c| Ok(Presence { seen_at: c.time()?, is_here: c.flag()? })).await
}
