//! Mails, their tokens, and who is there.

use super::db::Db;
use super::rows::{Columns, json};
use super::{SqliteStore, accounts, feed, leases, sessions};
use crate::mail::IN_DOUBT;
use crate::text::plain;
use crate::{
    Change, DueMail, MailEnd, MailFailure, MailStanding, Mails, NewMail, NewToken, PasswordReset, Presence, Result,
    StoredMail, TokenOwner,
};
use aim_domain::{Incarnation, MailId, MailState, Notice, Purpose, Timestamp, TokenHash, UserId};
use async_trait::async_trait;
use rusqlite::params;
use std::time::Duration;

#[async_trait]
impl Mails for SqliteStore {
    async fn queue_mail(&self, mail: NewMail) -> Result<Option<DueMail>> {
        self.write(move |db| queue(db, &mail)).await
    }

    async fn mail(&self, id: &MailId) -> Result<Option<StoredMail>> {
        let id = id.clone();
        self.read(move |db| get(db, &id)).await
    }

    async fn due_mails(&self, after: Option<&MailId>, limit: u32) -> Result<Vec<DueMail>> {
        let after = after.cloned();
        self.read(move |db| due(db, after.as_ref(), limit)).await
    }

    async fn claim_mail(&self, id: &MailId, attempt: u32, holder: &Incarnation) -> Result<Option<StoredMail>> {
        let (id, holder) = (id.clone(), holder.clone());
        self.write(move |db| claim(db, &id, attempt, &holder)).await
    }

    async fn begin_sending(&self, id: &MailId, holder: &Incarnation, tokens: Vec<NewToken>) -> Result<bool> {
        let (id, holder) = (id.clone(), holder.clone());
        self.write(move |db| begin(db, &id, &holder, &tokens)).await
    }

    async fn end_mail(&self, id: &MailId, holder: &Incarnation, end: MailEnd) -> Result<bool> {
        let (id, holder) = (id.clone(), holder.clone());
        self.write(move |db| settle(db, &id, &holder, &end)).await
    }

    async fn doubt_mails(&self) -> Result<u64> {
        self.write(doubt).await
    }

    async fn token(&self, purpose: Purpose, token: &TokenHash) -> Result<Option<TokenOwner>> {
        let token = token.clone();
        self.read(move |db| owner(db, purpose, &token)).await
    }

    async fn confirm_address(&self, token: &TokenHash) -> Result<Option<UserId>> {
        let token = token.clone();
        self.write(move |db| confirm(db, &token)).await
    }

    async fn use_reset(&self, token: &TokenHash, password_hash: &str) -> Result<Option<PasswordReset>> {
        let (token, password_hash) = (token.clone(), password_hash.to_owned());
        self.write(move |db| reset(db, &token, &password_hash)).await
    }

    async fn mail_standing(&self, user: &UserId) -> Result<MailStanding> {
        let user = user.clone();
        self.read(move |db| standing(db, &user)).await
    }

    async fn want_notice(&self, user: &UserId, notice: Notice, wanted: bool) -> Result<bool> {
        let user = user.clone();
        self.write(move |db| want(db, &user, notice, wanted)).await
    }

    async fn note_presence(&self, seen: Vec<(UserId, bool)>, open: Duration) -> Result<()> {
        self.write(move |db| note(db, &seen, open)).await
    }

    async fn presence(&self, user: &UserId) -> Result<Option<Presence>> {
        let user = user.clone();
        self.read(move |db| presence(db, &user)).await
    }
}

fn queue(db: &Db, mail: &NewMail) -> Result<Option<DueMail>> {
    let NewMail { id, user, address, kind, occasion, data, wait } = mail;
    // An account that goes meanwhile takes its mails with it.
    db.one(
        "INSERT INTO mails (id, occasion, user, address, kind, data, state, attempt, not_before, created_at)
         SELECT ?1, ?2, id, ?4, ?5, ?6, 'due', 1, ?7, ?8 FROM users WHERE id = ?3
         ON CONFLICT (occasion) DO UPDATE SET state = 'due', attempt = attempt + 1, data = excluded.data, holder = NULL,
             not_before = excluded.not_before, ended_at = NULL, reason = NULL WHERE state = 'dropped'
         RETURNING id, kind, attempt",
        params![
            id.as_str(),
            plain(occasion),
            user.as_str(),
            plain(address),
            kind.as_str(),
            json(data)?,
            db.now.plus(*wait).0,
            db.now.0
        ],
        |row| due_mail(&mut Columns::of(row)),
    )
}

fn due_mail(c: &mut Columns) -> rusqlite::Result<DueMail> {
    Ok(DueMail { id: MailId::trusted(c.text()?), kind: c.word()?, attempt: attempt(c)? })
}

fn attempt(c: &mut Columns) -> rusqlite::Result<u32> {
    Ok(u32::try_from(c.int()?).unwrap_or(u32::MAX))
}

const MAIL: &str =
    "m.id, m.user, m.address, m.kind, m.data, m.state, m.attempt, m.holder, m.not_before, m.created_at, m.reason";

fn stored(c: &mut Columns) -> rusqlite::Result<StoredMail> {
    Ok(StoredMail {
        id: MailId::trusted(c.text()?),
        user: UserId::trusted(c.text()?),
        address: c.string()?,
        kind: c.word()?,
        data: c.maybe_json()?.unwrap_or_default(),
        state: c.word()?,
        attempt: attempt(c)?,
        holder: c.maybe_text()?.map(Incarnation::trusted),
        not_before: c.time()?,
        created_at: c.time()?,
        reason: c.maybe_string()?,
    })
}

fn get(db: &Db, id: &MailId) -> Result<Option<StoredMail>> {
    db.one(&format!("SELECT {MAIL} FROM mails m WHERE m.id = ?1"), [id.as_str()], |row| stored(&mut Columns::of(row)))
}

/// Nobody who lives holds `m`; `?1` is now.
const FREE: &str = "NOT EXISTS (SELECT 1 FROM servers s WHERE s.id = m.holder AND s.lease_until > ?1)";

fn due(db: &Db, after: Option<&MailId>, limit: u32) -> Result<Vec<DueMail>> {
    let sql = format!(
        "SELECT m.id, m.kind, m.attempt FROM mails m WHERE m.state = 'due' AND m.id > ?2 AND m.not_before <= ?1 AND {FREE}
         ORDER BY m.id LIMIT ?3"
    );
    let after = after.map_or("", MailId::as_str);
    db.all(&sql, params![db.now.0, after, limit], |row| due_mail(&mut Columns::of(row)))
}

fn claim(db: &Db, id: &MailId, attempt: u32, holder: &Incarnation) -> Result<Option<StoredMail>> {
    if !leases::lives(db, holder)? {
        return Ok(None);
    }
    let sql = format!(
        "UPDATE mails AS m SET holder = ?4
         WHERE m.id = ?2 AND m.attempt = ?3 AND m.state = 'due' AND m.not_before <= ?1 AND {FREE}"
    );
    if db.run(&sql, params![db.now.0, id.as_str(), attempt, holder.as_str()])? == 0 {
        return Ok(None);
    }
    get(db, id)
}

fn begin(db: &Db, id: &MailId, holder: &Incarnation, tokens: &[NewToken]) -> Result<bool> {
    if !leases::lives(db, holder)? {
        return Ok(false);
    }
    let begun = db.one(
        "UPDATE mails SET state = 'sending' WHERE id = ?1 AND state = 'due' AND holder = ?2 RETURNING user, address",
        [id.as_str(), holder.as_str()],
        |row| {
            let mut c = Columns::of(row);
            Ok((c.string()?, c.string()?))
        },
    )?;
    let Some((user, address)) = begun else { return Ok(false) };
    for NewToken { hash, purpose, lives } in tokens {
        db.run(
            "INSERT INTO one_time_tokens (hash, user, address, purpose, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![hash.as_str(), user, address, purpose.as_str(), db.now.plus(*lives).0],
        )?;
    }
    Ok(true)
}

fn settle(db: &Db, id: &MailId, holder: &Incarnation, end: &MailEnd) -> Result<bool> {
    let held = [id.as_str(), holder.as_str()];
    let ended = |state: MailState, reason: Option<&str>| {
        db.run(
            "UPDATE mails SET state = ?3, reason = ?4, ended_at = ?5
             WHERE id = ?1 AND holder = ?2 AND (state IN ('due', 'sending') OR (?3 = 'sent' AND state = 'failed' AND reason = ?6))",
            params![held[0], held[1], state.as_str(), reason, db.now.0, IN_DOUBT],
        )
    };
    let rows = match end {
        MailEnd::Sent => ended(MailState::Sent, None)?,
        MailEnd::Failed { reason } => ended(MailState::Failed, Some(&plain(reason)))?,
        MailEnd::Dropped { reason } => ended(MailState::Dropped, Some(&plain(reason)))?,
        MailEnd::Later { reason, wait } => db.run(
            "UPDATE mails SET state = 'due', holder = NULL, attempt = attempt + 1, not_before = ?3, reason = ?4
             WHERE id = ?1 AND holder = ?2 AND state IN ('due', 'sending')",
            params![held[0], held[1], db.now.plus(*wait).0, plain(reason)],
        )?,
    };
    Ok(rows == 1)
}

fn doubt(db: &Db) -> Result<u64> {
    let sql = format!(
        "UPDATE mails AS m SET state = 'failed', reason = ?2, ended_at = ?1 WHERE m.state = 'sending' AND {FREE}"
    );
    Ok(db.run(&sql, params![db.now.0, IN_DOUBT])? as u64)
}

fn owner(db: &Db, purpose: Purpose, token: &TokenHash) -> Result<Option<TokenOwner>> {
    db.one(
        "SELECT user, address FROM one_time_tokens
         WHERE hash = ?1 AND purpose = ?2 AND used_at IS NULL AND expires_at > ?3",
        params![token.as_str(), purpose.as_str(), db.now.0],
        |row| {
            let mut c = Columns::of(row);
            Ok(TokenOwner { user: UserId::trusted(c.text()?), address: c.string()? })
        },
    )
}

/// Uses a token up, if it is the account's address still that its mail went to.
fn spend(db: &Db, purpose: Purpose, token: &TokenHash) -> Result<Option<TokenOwner>> {
    let Some(owner) = owner(db, purpose, token)? else { return Ok(None) };
    let email_key = owner.address.to_lowercase();
    let is_theirs =
        db.number("SELECT count(*) FROM users WHERE id = ?1 AND email_key = ?2", [owner.user.as_str(), &email_key])?;
    db.run("UPDATE one_time_tokens SET used_at = ?2 WHERE hash = ?1", params![token.as_str(), db.now.0])?;
    if is_theirs == 0 {
        return Ok(None);
    }
    db.run(
        "INSERT INTO confirmed_addresses (user, email_key, confirmed_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (user) DO UPDATE SET email_key = excluded.email_key, confirmed_at = excluded.confirmed_at",
        params![owner.user.as_str(), email_key, db.now.0],
    )?;
    Ok(Some(owner))
}

fn confirm(db: &Db, token: &TokenHash) -> Result<Option<UserId>> {
    Ok(spend(db, Purpose::Confirm, token)?.map(|owner| owner.user))
}

fn reset(db: &Db, token: &TokenHash, password_hash: &str) -> Result<Option<PasswordReset>> {
    let Some(TokenOwner { user, .. }) = spend(db, Purpose::Reset, token)? else { return Ok(None) };
    db.run(
        "UPDATE one_time_tokens SET used_at = ?3 WHERE user = ?1 AND purpose = ?2 AND used_at IS NULL",
        params![user.as_str(), Purpose::Reset.as_str(), db.now.0],
    )?;
    let set = "UPDATE users SET password_hash = ?2, version = version + 1 WHERE id = ?1";
    db.run(set, [user.as_str(), password_hash])?;
    let Some(changed) = accounts::user(db, &user)? else { return Ok(None) };
    let mut changes = sessions::revoke_each(db, &user, None)?;
    let change = Change::User { id: user.clone(), username: changed.username };
    feed::write(db, &change)?;
    changes.push(change);
    Ok(Some(PasswordReset { user, changes }))
}

fn standing(db: &Db, user: &UserId) -> Result<MailStanding> {
    let confirmed = db.number(
        "SELECT count(*) FROM confirmed_addresses c JOIN users u ON u.id = c.user AND u.email_key = c.email_key
         WHERE c.user = ?1",
        [user.as_str()],
    )?;
    let unwanted =
        db.all("SELECT notice FROM unwanted_notices WHERE user = ?1", [user.as_str()], |row| Columns::of(row).word())?;
    // A later one that is on its way makes good for it.
    let last = db.one(
        "SELECT m.state, m.ended_at, m.reason FROM mails m JOIN users u ON u.id = m.user AND u.email = m.address
         WHERE m.user = ?1 AND m.kind IN ('welcome', 'confirm') ORDER BY m.id DESC LIMIT 1",
        [user.as_str()],
        |row| {
            let mut c = Columns::of(row);
            Ok((c.word::<MailState>()?, c.maybe_int()?, c.maybe_string()?))
        },
    )?;
    let failed = last.filter(|(state, ..)| *state == MailState::Failed && confirmed == 0);
    let failure = failed.map(|(_, at, reason)| MailFailure {
        at: Timestamp(at.unwrap_or_default()),
        reason: reason.unwrap_or_default(),
    });
    Ok(MailStanding { confirmed: confirmed > 0, failure, unwanted })
}

fn want(db: &Db, user: &UserId, notice: Notice, wanted: bool) -> Result<bool> {
    let row = [user.as_str(), notice.as_str()];
    if wanted {
        db.run("DELETE FROM unwanted_notices WHERE user = ?1 AND notice = ?2", row)?;
    } else {
        let sql = "INSERT INTO unwanted_notices (user, notice) SELECT id, ?2 FROM users WHERE id = ?1
             ON CONFLICT (user, notice) DO NOTHING";
        db.run(sql, row)?;
    }
    Ok(db.number("SELECT count(*) FROM users WHERE id = ?1", [user.as_str()])? == 1)
}

fn note(db: &Db, seen: &[(UserId, bool)], open: Duration) -> Result<()> {
    for (user, is_here) in seen {
        let until = if *is_here { db.now.plus(open) } else { db.now };
        db.run(
            "INSERT INTO presence (user, seen_at, open_until) SELECT id, ?2, ?3 FROM users WHERE id = ?1
             ON CONFLICT (user) DO UPDATE SET seen_at = excluded.seen_at, open_until = excluded.open_until",
            params![user.as_str(), db.now.0, until.0],
        )?;
    }
    Ok(())
}

fn presence(db: &Db, user: &UserId) -> Result<Option<Presence>> {
    db.one("SELECT seen_at, open_until > ?2 FROM presence WHERE user = ?1", params![user.as_str(), db.now.0], |row| {
        let mut c = Columns::of(row);
        Ok(Presence { seen_at: c.time()?, is_here: c.flag()? })
    })
}
