//! Blocks, reports, and what operators do about them.

use super::db::Db;
use super::messages::HOLDER_LIVES;
use super::rows::{self, Columns, MESSAGE, json};
use super::{SqliteStore, characters, feed, sessions};
use crate::personal::ERASED;
use crate::safety::{FOREVER, OWN_CASES, kind_of, page, suspension};
use crate::text::plain;
use crate::{
    AuditPage, AuditTarget, Audited, Block, Blocked, Case, CasePage, Change, Deed, Filed, NewCase, Party, Result,
    Safety, StoreError, Suspended, Withdrawn, cursor,
};
use aim_domain::{
    Action, CaseId, CaseState, Character, CharacterId, ConversationId, DeedId, Message, ReplyState, Suspension,
    Timestamp, UserId,
};
use async_trait::async_trait;
use rusqlite::params;
use std::time::Duration;

/// Owners whose characters are in no list: those whom the viewer `?1` blocked, those who are suspended at `?{now}`, and those
/// whose accounts are closed.
fn hidden_owners(now: usize) -> String {
    format!(
        "SELECT blocked FROM blocks WHERE blocker = ?1 UNION ALL SELECT id FROM users WHERE suspended_until > ?{now}
         UNION ALL SELECT id FROM users WHERE erase_at IS NOT NULL"
    )
}

/// Whether a public character `ch` stands in lists of the viewer `?1`; these sets are small, and read once a statement.
pub(super) fn listed(now: usize) -> String {
    format!(
        "(ch.owner = ?1 OR (ch.key NOT IN (SELECT character FROM unlisted_characters)
             AND (ch.owner IS NULL OR ch.owner NOT IN ({}))))",
        hidden_owners(now)
    )
}

/// Keys of those that are not [`listed`] for the viewer `?1`, for what counts all and takes these off.
pub(super) fn unlisted(now: usize) -> String {
    format!(
        "SELECT x.key FROM characters x
         WHERE (x.key IN (SELECT character FROM unlisted_characters) OR x.owner IN ({})) AND x.owner IS NOT ?1",
        hidden_owners(now)
    )
}

const PARTY: &str = "u.id, u.username, u.display_name, u.avatar_url";

fn party(c: &mut Columns) -> rusqlite::Result<Party> {
    Ok(Party {
        id: UserId::trusted(c.text()?),
        username: c.string()?,
        display_name: c.string()?,
        avatar_url: c.maybe_string()?,
    })
}

/// Of a row of an outer join.
fn maybe_party(c: &mut Columns) -> rusqlite::Result<Option<Party>> {
    let id = c.maybe_text()?.map(UserId::trusted);
    let (username, display_name, avatar_url) = (c.maybe_string()?, c.maybe_string()?, c.maybe_string()?);
    Ok(id.map(|id| Party {
        id,
        username: username.unwrap_or_default(),
        display_name: display_name.unwrap_or_default(),
        avatar_url,
    }))
}

fn block(db: &Db, blocker: &UserId, blocked: &UserId, most: u32) -> Result<Blocked> {
    let pair = [blocker.as_str(), blocked.as_str()];
    if db.one("SELECT 1 FROM users WHERE id = ?1", [blocked.as_str()], |_| Ok(()))?.is_none() {
        return Ok(Blocked::NoUser);
    }
    let others = db.number("SELECT count(*) FROM blocks WHERE blocker = ?1 AND blocked <> ?2", pair)?;
    if others >= i64::from(most) {
        return Ok(Blocked::TooMany);
    }
    db.run(
        "INSERT INTO blocks (blocker, blocked, created_at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        params![blocker.as_str(), blocked.as_str(), db.now.0],
    )?;
    Ok(Blocked::Done)
}

fn unblock(db: &Db, blocker: &UserId, blocked: &UserId) -> Result<()> {
    db.run("DELETE FROM blocks WHERE blocker = ?1 AND blocked = ?2", [blocker.as_str(), blocked.as_str()])?;
    Ok(())
}

fn blocks(db: &Db, blocker: &UserId) -> Result<Vec<Block>> {
    let sql = format!(
        "SELECT {PARTY}, b.created_at FROM blocks b JOIN users u ON u.id = b.blocked WHERE b.blocker = ?1
         ORDER BY b.created_at DESC, u.id DESC"
    );
    db.all(&sql, [blocker.as_str()], |row| {
        let mut c = Columns::of(row);
        Ok(Block { user: party(&mut c)?, created_at: c.time()? })
    })
}

fn talks_with(db: &Db, user: &UserId, character: &CharacterId, or_guest: bool) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM conversations WHERE owner = ?1 AND character = ?2)
         OR (?3 AND EXISTS (SELECT 1 FROM members me JOIN conversations c ON c.key = me.conversation
             WHERE me.user = ?1 AND c.character = ?2))";
    Ok(db.number(sql, params![user.as_str(), character.as_str(), or_guest])? != 0)
}

fn note(db: &Db, deed: &Deed, action: Action, target: &str, until: Option<Timestamp>) -> Result<()> {
    db.run(
        "INSERT INTO deeds (id, at, operator, action, target_kind, target, reason, until)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            deed.id.as_str(),
            db.now.0,
            deed.operator.as_ref().map(UserId::as_str),
            action.as_str(),
            kind_of(action),
            target,
            plain(&deed.reason),
            until.map(|until| until.0)
        ],
    )?;
    Ok(())
}

fn set_unlisted(db: &Db, id: &CharacterId, unlist: bool, deed: &Deed) -> Result<Option<Character>> {
    let key = "SELECT key FROM characters WHERE id = ?1 AND deleted_at IS NULL";
    let Some(key) = db.one(key, [id.as_str()], |row| row.get::<_, i64>(0))? else { return Ok(None) };
    if unlist {
        db.run(
            "INSERT INTO unlisted_characters (character, at, reason) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET at = excluded.at, reason = excluded.reason",
            params![key, db.now.0, plain(&deed.reason)],
        )?;
    } else {
        db.run("DELETE FROM unlisted_characters WHERE character = ?1", [key])?;
    }
    // What is cached under an older revision never replaces it.
    db.run("UPDATE characters SET revision = revision + 1 WHERE key = ?1", [key])?;
    let action = if unlist { Action::UnlistCharacter } else { Action::ListCharacter };
    note(db, deed, action, id.as_str(), None)?;
    feed::write(db, &Change::Character { id: id.clone() })?;
    characters::get(db, id)
}

fn suspend(db: &Db, id: &UserId, until: Option<Timestamp>, deed: &Deed) -> Result<Suspended> {
    let found = db.one("SELECT username, role = 'admin' FROM users WHERE id = ?1", [id.as_str()], |row| {
        let mut c = Columns::of(row);
        Ok((c.string()?, c.flag()?))
    })?;
    let Some((username, is_admin)) = found else { return Ok(Suspended::NoUser) };
    let others = "SELECT count(*) FROM users WHERE role = 'admin' AND id <> ?1 AND erase_at IS NULL
         AND (suspended_until IS NULL OR suspended_until <= ?2)";
    if is_admin && db.number(others, params![id.as_str(), db.now.0])? == 0 {
        return Ok(Suspended::LastAdmin);
    }
    db.run(
        "UPDATE users SET suspended_until = ?2, suspended_for = ?3, version = version + 1 WHERE id = ?1",
        params![id.as_str(), until.map_or(FOREVER, |until| until.0), plain(&deed.reason)],
    )?;
    note(db, deed, Action::SuspendUser, id.as_str(), until)?;
    let mut changes = sessions::revoke_each(db, id, None)?;
    let mut told = vec![Change::User { id: id.clone(), username }];
    let withdrawn = withdraw(db, id, &mut told)?;
    told.iter().try_for_each(|change| feed::write(db, change))?;
    changes.append(&mut told);
    Ok(Suspended::Done { changes, withdrawn })
}

/// Cancels what somebody waits for; a reply to him that is under way is told to stop.
pub(super) fn withdraw(db: &Db, user: &UserId, changes: &mut Vec<Change>) -> Result<Vec<Withdrawn>> {
    let sql = format!(
        "SELECT DISTINCT c.key, c.id, c.character, c.fence, iif({HOLDER_LIVES}, c.claimed, NULL), c.claimed
         FROM messages m INDEXED BY messages_due_by_id JOIN conversations c ON c.key = m.conversation
         WHERE m.reply_state = 'due' AND m.sender = ?1"
    );
    let waiting = db.all(&sql, params![user.as_str(), db.now.0], |row| {
        let mut c = Columns::of(row);
        let (key, id, character) = (c.int()?, ConversationId::trusted(c.text()?), CharacterId::trusted(c.text()?));
        Ok((key, id, character, c.count()?, c.maybe_int()?, c.maybe_int()?))
    })?;
    let mut withdrawn = Vec::new();
    for (key, conversation, character, fence, claimed, held) in waiting {
        let sql = format!(
            "SELECT m.redo, {MESSAGE} FROM messages m INDEXED BY messages_due
             WHERE m.conversation = ?1 AND m.reply_state = 'due' AND m.sender = ?2 ORDER BY m.seq"
        );
        let mine = db.all(&sql, params![key, user.as_str()], |row| {
            let mut c = Columns::of(row);
            let redo = c.maybe_redo()?;
            let state = if redo.is_some() { ReplyState::Done } else { ReplyState::Cancelled };
            Ok(Message { reply_state: Some(state), ..rows::message(&mut c, &conversation)? })
        })?;
        let under_way = |message: &Message| claimed.is_some_and(|claimed| claimed.unsigned_abs() == message.seq);
        let (stopping, messages): (Vec<_>, Vec<_>) = mine.into_iter().partition(under_way);
        if !stopping.is_empty() {
            db.run("UPDATE all_conversations SET stop_fence = fence WHERE key = ?1", [key])?;
            changes.push(Change::Cancel { conversation: conversation.clone(), fence });
        }
        let cancelled = db.run(
            "UPDATE messages SET reply_state = CASE WHEN redo IS NULL THEN 'cancelled' ELSE 'done' END, redo = NULL,
                     redo_fence = NULL
             WHERE conversation = ?1 AND reply_state = 'due' AND sender = ?2 AND seq IS NOT ?3",
            params![key, user.as_str(), claimed],
        )?;
        // A claim of what was cancelled is a dead holder's, who must not commit when he wakes.
        let frees = messages.iter().any(|message| held.is_some_and(|held| held.unsigned_abs() == message.seq));
        db.run(
            "UPDATE all_conversations SET due = max(0, due - ?2), holder = iif(?3, NULL, holder),
                 claimed = iif(?3, NULL, claimed) WHERE key = ?1",
            params![key, cancelled as i64, frees],
        )?;
        if !messages.is_empty() {
            changes.push(Change::Withdrawn { conversation: conversation.clone() });
        }
        withdrawn.push(Withdrawn { conversation, character, messages });
    }
    Ok(withdrawn)
}

fn end_suspension(db: &Db, id: &UserId, deed: &Deed) -> Result<bool> {
    let username = db.one(
        "UPDATE users SET suspended_until = NULL, suspended_for = NULL, version = version + 1 WHERE id = ?1
         RETURNING username",
        [id.as_str()],
        |row| Columns::of(row).string(),
    )?;
    let Some(username) = username else { return Ok(false) };
    note(db, deed, Action::RestoreUser, id.as_str(), None)?;
    feed::write(db, &Change::User { id: id.clone(), username })?;
    Ok(true)
}

fn suspended(db: &Db, id: &UserId) -> Result<Option<Suspension>> {
    let sql = "SELECT suspended_until, coalesce(suspended_for, '') FROM users WHERE id = ?1 AND suspended_until > ?2";
    db.one(sql, params![id.as_str(), db.now.0], |row| {
        let mut c = Columns::of(row);
        Ok(suspension(c.int()?, c.string()?))
    })
}

/// `?2` is the time.
const CASE: &str = "k.id, k.kind, k.target, k.conversation, k.character, k.wrong, k.note, k.snapshot, k.state, k.resolution, k.created_at, k.closed_at,
     r.id, r.username, r.display_name, r.avatar_url, a.id, a.username, a.display_name, a.avatar_url,
     EXISTS (SELECT 1 FROM unlisted_characters x JOIN characters ch ON ch.key = x.character WHERE ch.id = k.character),
     coalesce(a.suspended_until > ?2, 0)";
const CASE_TABLES: &str = "cases k LEFT JOIN users r ON r.id = k.reporter LEFT JOIN users a ON a.id = k.author";

fn read_case(c: &mut Columns) -> rusqlite::Result<Case> {
    Ok(Case {
        id: CaseId::trusted(c.text()?),
        kind: c.word()?,
        target_id: c.string()?,
        conversation_id: c.maybe_text()?.map(ConversationId::trusted),
        character_id: c.maybe_text()?.map(CharacterId::trusted),
        reason: c.word()?,
        note: c.string()?,
        snapshot: c.maybe_json()?.unwrap_or_default(),
        state: c.word()?,
        resolution: c.maybe_string()?,
        created_at: c.time()?,
        closed_at: c.maybe_int()?.map(Timestamp),
        reporter: maybe_party(c)?,
        author: maybe_party(c)?,
        unlisted: c.flag()?,
        suspended: c.flag()?,
    })
}

fn case(db: &Db, id: &str) -> Result<Option<Case>> {
    let sql = format!("SELECT {CASE} FROM {CASE_TABLES} WHERE k.id = ?1");
    db.one(&sql, params![id, db.now.0], |row| read_case(&mut Columns::of(row)))
}

fn file_case(db: &Db, new: &NewCase, most: u32, within: Duration) -> Result<Filed> {
    let reporter = new.reporter.as_str();
    let known = "SELECT id FROM cases WHERE reporter = ?1 AND kind = ?2 AND target = ?3 AND state = 'open'";
    let known = db.one(known, [reporter, new.kind.as_str(), new.target.as_str()], |row| Columns::of(row).string())?;
    let gone = || StoreError::Failed("a report that was just filed is not there".into());
    if let Some(known) = known {
        return Ok(Filed::Known(Box::new(case(db, &known)?.ok_or_else(gone)?)));
    }
    let since = db.now.0.saturating_sub(i64::try_from(within.as_millis()).unwrap_or(i64::MAX));
    // The one whose end makes room again.
    let full = "SELECT created_at FROM cases WHERE reporter = ?1 AND created_at > ?2
         ORDER BY created_at DESC LIMIT 1 OFFSET ?3";
    let full = db.one(full, params![reporter, since, i64::from(most) - 1], |row| Columns::of(row).time())?;
    if let Some(first) = full {
        return Ok(Filed::TooMany(first.plus(within).since(db.now)));
    }
    db.run(
        "INSERT INTO cases (id, reporter, kind, target, conversation, author, wrong, note, snapshot, state, created_at,
             character)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 'open', ?10, ?11)",
        params![
            new.id.as_str(),
            reporter,
            new.kind.as_str(),
            new.target,
            new.conversation.as_ref().map(ConversationId::as_str),
            new.author.as_ref().map(UserId::as_str),
            new.wrong.as_str(),
            plain(&new.note),
            json(&new.snapshot)?,
            db.now.0,
            new.character.as_ref().map(CharacterId::as_str)
        ],
    )?;
    Ok(Filed::New(Box::new(case(db, new.id.as_str())?.ok_or_else(gone)?)))
}

fn cases(db: &Db, state: CaseState, after: Option<&str>, limit: u32) -> Result<CasePage> {
    let before = after.and_then(|after| cursor::text(after, "cases")).map_or("~".to_owned(), |(_, id)| id);
    let sql = format!("SELECT {CASE} FROM {CASE_TABLES} WHERE k.state = ?1 AND k.id < ?3 ORDER BY k.id DESC LIMIT ?4");
    let found = db.all(&sql, params![state.as_str(), db.now.0, before, i64::from(limit) + 1], |row| {
        read_case(&mut Columns::of(row))
    })?;
    let (items, next_cursor) = page(found, limit, "cases", |case| case.id.to_string());
    Ok(CasePage { items, next_cursor })
}

fn own_cases(db: &Db, reporter: &UserId) -> Result<Vec<Case>> {
    let sql =
        format!("SELECT {CASE} FROM {CASE_TABLES} WHERE k.reporter = ?1 ORDER BY k.created_at DESC LIMIT {OWN_CASES}");
    db.all(&sql, params![reporter.as_str(), db.now.0], |row| read_case(&mut Columns::of(row)))
}

fn decide_case(db: &Db, id: &CaseId, state: CaseState, deed: &Deed) -> Result<Option<Case>> {
    let closed = (state == CaseState::Closed).then_some(db.now.0);
    // OR IGNORE: another open one of the same thing stays the one.
    let decided = db.run(
        "UPDATE OR IGNORE cases SET state = ?2, resolution = ?3, closed_at = ?4 WHERE id = ?1",
        params![id.as_str(), state.as_str(), plain(&deed.reason), closed],
    )?;
    if decided == 0 {
        return Ok(None);
    }
    let action = if state == CaseState::Closed { Action::CloseReport } else { Action::ReopenReport };
    note(db, deed, action, id.as_str(), None)?;
    case(db, id.as_str())
}

fn deeds(db: &Db, after: Option<&str>, limit: u32) -> Result<AuditPage> {
    let before = after.and_then(|after| cursor::text(after, "deeds")).map_or("~".to_owned(), |(_, id)| id);
    let sql = format!(
        "SELECT d.id, d.at, {PARTY}, d.action, d.target_kind, d.target,
             CASE d.target_kind WHEN 'user' THEN (SELECT t.username FROM users t WHERE t.id = d.target)
                 WHEN 'character' THEN (SELECT ch.name FROM characters ch WHERE ch.id = d.target) END, d.reason, d.until
         FROM deeds d LEFT JOIN users u ON u.id = d.operator WHERE d.id < ?1 ORDER BY d.id DESC LIMIT ?2"
    );
    let found = db.all(&sql, params![before, i64::from(limit) + 1], |row| {
        let mut c = Columns::of(row);
        Ok(Audited {
            id: DeedId::trusted(c.text()?),
            at: c.time()?,
            operator: maybe_party(&mut c)?,
            action: c.word()?,
            target: AuditTarget { kind: c.string()?, id: c.string()?, name: c.maybe_string()? },
            reason: c.string()?,
            until: c.maybe_int()?.map(Timestamp),
        })
    })?;
    let (items, next_cursor) = page(found, limit, "deeds", |deed| deed.id.to_string());
    Ok(AuditPage { items, next_cursor })
}

/// Before an account and its conversations go: reports of its words go with it, and of what it was told. Of its other reports its name and its notes go, and what they are of
/// stays for operators to see. The audit keeps what was done, and forgets whom it was done to.
pub(super) fn forget(db: &Db, user: &UserId) -> Result<()> {
    let me = [user.as_str()];
    db.run(
        "DELETE FROM cases WHERE author = ?1 OR (kind = 'reply'
             AND (reporter = ?1 OR conversation IN (SELECT id FROM all_conversations WHERE owner = ?1)
                 OR EXISTS (SELECT 1 FROM messages r JOIN messages q ON q.conversation = r.conversation AND q.seq = r.turn
                     WHERE r.id = cases.target AND q.sender = ?1)))",
        me,
    )?;
    db.run("UPDATE cases SET reporter = NULL, note = '' WHERE reporter = ?1", me)?;
    db.run("UPDATE deeds SET operator = ?2 WHERE operator = ?1", [user.as_str(), ERASED])?;
    db.run(
        "UPDATE deeds SET target = ?2, reason = '' WHERE target_kind = 'user' AND target = ?1",
        [user.as_str(), ERASED],
    )?;
    db.run(
        "UPDATE deeds SET reason = '' WHERE target_kind = 'character'
             AND target IN (SELECT id FROM characters WHERE owner = ?1)",
        me,
    )?;
    db.run(
        "UPDATE unlisted_characters SET reason = '' WHERE character IN (SELECT key FROM characters WHERE owner = ?1)",
        me,
    )?;
    Ok(())
}

#[async_trait]
impl Safety for SqliteStore {
    async fn block(&self, blocker: &UserId, blocked: &UserId, most: u32) -> Result<Blocked> {
        let (blocker, blocked) = (blocker.clone(), blocked.clone());
        self.write(move |db| block(db, &blocker, &blocked, most)).await
    }

    async fn unblock(&self, blocker: &UserId, blocked: &UserId) -> Result<()> {
        let (blocker, blocked) = (blocker.clone(), blocked.clone());
        self.write(move |db| unblock(db, &blocker, &blocked)).await
    }

    async fn blocks(&self, blocker: &UserId) -> Result<Vec<Block>> {
        let blocker = blocker.clone();
        self.read(move |db| blocks(db, &blocker)).await
    }

    async fn talks_with(&self, user: &UserId, character: &CharacterId, or_guest: bool) -> Result<bool> {
        let (user, character) = (user.clone(), character.clone());
        self.read(move |db| talks_with(db, &user, &character, or_guest)).await
    }

    async fn set_unlisted(&self, id: &CharacterId, unlist: bool, deed: &Deed) -> Result<Option<Character>> {
        let (id, deed) = (id.clone(), deed.clone());
        self.write(move |db| set_unlisted(db, &id, unlist, &deed)).await
    }

    async fn suspend(&self, id: &UserId, until: Option<Timestamp>, deed: &Deed) -> Result<Suspended> {
        let (id, deed) = (id.clone(), deed.clone());
        self.write(move |db| suspend(db, &id, until, &deed)).await
    }

    async fn end_suspension(&self, id: &UserId, deed: &Deed) -> Result<bool> {
        let (id, deed) = (id.clone(), deed.clone());
        self.write(move |db| end_suspension(db, &id, &deed)).await
    }

    async fn suspension(&self, id: &UserId) -> Result<Option<Suspension>> {
        let id = id.clone();
        self.read(move |db| suspended(db, &id)).await
    }

    async fn file_case(&self, new: NewCase, most: u32, within: Duration) -> Result<Filed> {
        self.write(move |db| file_case(db, &new, most, within)).await
    }

    async fn case(&self, id: &CaseId) -> Result<Option<Case>> {
        let id = id.clone();
        self.read(move |db| case(db, id.as_str())).await
    }

    async fn own_cases(&self, reporter: &UserId) -> Result<Vec<Case>> {
        let reporter = reporter.clone();
        self.read(move |db| own_cases(db, &reporter)).await
    }

    async fn cases(&self, state: CaseState, cursor: Option<&str>, limit: u32) -> Result<CasePage> {
        let cursor = cursor.map(str::to_owned);
        self.read(move |db| cases(db, state, cursor.as_deref(), limit)).await
    }

    async fn decide_case(&self, id: &CaseId, state: CaseState, deed: &Deed) -> Result<Option<Case>> {
        let (id, deed) = (id.clone(), deed.clone());
        self.write(move |db| decide_case(db, &id, state, &deed)).await
    }

    async fn open_cases(&self) -> Result<u64> {
        let count = "SELECT count(*) FROM cases WHERE state = 'open'";
        self.read(move |db| Ok(db.number(count, [])?.unsigned_abs())).await
    }

    async fn deeds(&self, cursor: Option<&str>, limit: u32) -> Result<AuditPage> {
        let cursor = cursor.map(str::to_owned);
        self.read(move |db| deeds(db, cursor.as_deref(), limit)).await
    }
}
