//! Blocks, reports, and what operators do about them.

use super::db::{Again, Db, Postgres, Tried, sql};
use super::faults::Fault;
use super::rows::{self, Columns, MESSAGE, int, json};
use super::sessions::{self, millis};
use super::{PostgresStore, again, ask, characters};
use crate::personal::ERASED;
use crate::safety::{FOREVER, OWN_CASES, kind_of, page, suspension};
use crate::text::plain;
use crate::{
    AuditPage, AuditTarget, Audited, Block, Blocked, Case, CasePage, Change, Deed, Filed, NewCase, Party, Result,
    Safety, Suspended, Withdrawn, cursor,
};
use aim_domain::{
    Action, CaseId, CaseState, Character, CharacterId, ConversationId, DeedId, Suspension, Timestamp, UserId,
};
use async_trait::async_trait;
use std::time::Duration;

/// Owners whose characters are in no list: those whom the viewer blocked, those who are suspended, and those whose accounts are
/// closed.
fn hidden_owners(viewer: usize, now: usize) -> String {
    format!(
        "SELECT b.blocked FROM blocks b WHERE b.blocker = ${viewer}
         UNION ALL SELECT s.id FROM users s WHERE s.suspended_until > (SELECT aim_now(${now}::bigint))
         UNION ALL SELECT e.id FROM users e WHERE e.erase_at IS NOT NULL"
    )
}

/// Whether a public character `ch` stands in lists of the viewer `$1`, at the time `${now}`: it is not unlisted, and its owner
/// is neither blocked by the viewer nor suspended nor about to be erased. These sets are small, and read once a statement.
pub(super) fn listed(viewer: usize, now: usize) -> String {
    format!(
        "(ch.owner_id = ${viewer} OR (ch.key NOT IN (SELECT x.character FROM unlisted_characters x)
             AND (ch.owner_id IS NULL OR ch.owner_id NOT IN ({}))))",
        hidden_owners(viewer, now)
    )
}

/// Keys of public characters that are not [`listed`], for what counts all but these. Two questions, for one about both sets looks
/// every key up again to learn who its owner is.
pub(super) fn unlisted(viewer: usize, now: usize) -> String {
    format!(
        "SELECT x.key FROM unlisted_characters u JOIN characters x ON x.key = u.character
             WHERE x.owner_id IS DISTINCT FROM ${viewer}
         UNION ALL SELECT y.key FROM characters y
             WHERE y.visibility = 'public' AND y.deleted_at IS NULL AND y.owner_id <> ${viewer} AND y.owner_id IN ({})",
        hidden_owners(viewer, now)
    )
}

const PARTY: &str = "u.id, u.username, u.display_name, u.avatar_url";

fn party(c: &mut Columns) -> Tried<Party> {
    Ok(Party {
        id: UserId::trusted(c.text()?),
        username: c.string()?,
        display_name: c.string()?,
        avatar_url: c.maybe_string()?,
    })
}

/// Of a row of an outer join.
fn maybe_party(c: &mut Columns) -> Tried<Option<Party>> {
    let id = c.maybe_text()?.map(UserId::trusted);
    let (username, display_name, avatar_url) = (c.maybe_string()?, c.maybe_string()?, c.maybe_string()?);
    Ok(id.map(|id| Party {
        id,
        username: username.unwrap_or_default(),
        display_name: display_name.unwrap_or_default(),
        avatar_url,
    }))
}

async fn block(pg: &Postgres, blocker: &UserId, blocked: &UserId, most: u32) -> Tried<Blocked> {
    let mut db = pg.begin().await?;
    // Those of one user come one after the other, so that they are counted.
    let lock = sql("SELECT aim_now($2) FROM users WHERE id = $1 FOR NO KEY UPDATE").bind(blocker.as_str()).bind(db.now);
    let Some(now) = db.one(lock, |c| c.int()).await? else { return Ok(Blocked::NoUser) };
    let there = sql("SELECT 1::bigint FROM users WHERE id = $1 FOR KEY SHARE").bind(blocked.as_str());
    if db.one(there, |c| c.int()).await?.is_none() {
        return Ok(Blocked::NoUser);
    }
    let others = sql("SELECT count(*) FROM blocks WHERE blocker = $1 AND blocked <> $2");
    if db.number(others.bind(blocker.as_str()).bind(blocked.as_str())).await? >= i64::from(most) {
        return Ok(Blocked::TooMany);
    }
    let insert = sql("INSERT INTO blocks (blocker, blocked, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING");
    db.run(insert.bind(blocker.as_str()).bind(blocked.as_str()).bind(now)).await?;
    db.commit().await?;
    Ok(Blocked::Done)
}

async fn unblock(db: &mut Db, blocker: &UserId, blocked: &UserId) -> Tried<()> {
    let delete = sql("DELETE FROM blocks WHERE blocker = $1 AND blocked = $2");
    db.run(delete.bind(blocker.as_str()).bind(blocked.as_str())).await.map(drop)
}

async fn blocks(db: &mut Db, blocker: &UserId) -> Tried<Vec<Block>> {
    let read = sql(format!(
        "SELECT {PARTY}, b.created_at FROM blocks b JOIN users u ON u.id = b.blocked WHERE b.blocker = $1
         ORDER BY b.created_at DESC, u.id DESC"
    ));
    db.all(read.bind(blocker.as_str()), |c| Ok(Block { user: party(c)?, created_at: c.time()? })).await
}

async fn talks_with(db: &mut Db, user: &UserId, character: &CharacterId, or_guest: bool) -> Tried<bool> {
    let read = sql("SELECT EXISTS (SELECT 1 FROM conversations WHERE owner_id = $1 AND character_id = $2)
         OR ($3 AND EXISTS (SELECT 1 FROM members me JOIN conversations c ON c.key = me.conversation
             WHERE me.user_id = $1 AND c.character_id = $2))")
    .bind(user.as_str())
    .bind(character.as_str())
    .bind(or_guest);
    Ok(db.one(read, |c| c.flag()).await?.unwrap_or(false))
}

async fn note(db: &mut Db, deed: &Deed, action: Action, target: &str, until: Option<Timestamp>) -> Tried<()> {
    let insert = sql("INSERT INTO deeds (id, at, operator, action, target_kind, target, reason, until)
         VALUES ($2, aim_now($1), $3, $4, $5, $6, $7, $8)")
    .bind(db.now)
    .bind(deed.id.as_str())
    .bind(deed.operator.as_ref().map(UserId::as_str))
    .bind(action.as_str())
    .bind(kind_of(action))
    .bind(target)
    .bind(plain(&deed.reason))
    .bind(until.map(|until| until.0));
    db.run(insert).await.map(drop)
}

async fn set_unlisted(pg: &Postgres, id: &CharacterId, unlist: bool, deed: &Deed) -> Tried<Option<Character>> {
    let mut db = pg.begin().await?;
    // What is cached under an older revision never replaces it.
    let touch = sql("UPDATE characters SET revision = revision + 1 WHERE id = $1 AND deleted_at IS NULL
         RETURNING key, aim_now($2)")
    .bind(id.as_str())
    .bind(db.now);
    let Some((key, now)) = db.one(touch, |c| Ok((c.int()?, c.int()?))).await? else { return Ok(None) };
    if unlist {
        let insert = sql("INSERT INTO unlisted_characters (character, at, reason) VALUES ($1, $2, $3)
             ON CONFLICT (character) DO UPDATE SET at = excluded.at, reason = excluded.reason");
        db.run(insert.bind(key).bind(now).bind(plain(&deed.reason))).await?;
    } else {
        db.run(sql("DELETE FROM unlisted_characters WHERE character = $1").bind(key)).await?;
    }
    let action = if unlist { Action::UnlistCharacter } else { Action::ListCharacter };
    note(&mut db, deed, action, id.as_str(), None).await?;
    db.tell(&Change::Character { id: id.clone() })?;
    let character = characters::get(&mut db, id).await?;
    db.commit().await?;
    Ok(character)
}

async fn suspend(pg: &Postgres, id: &UserId, until: Option<Timestamp>, deed: &Deed) -> Tried<Suspended> {
    let mut db = pg.begin().await?;
    // Two admins who shut each other out at once: the second one finds what the first one did.
    let admins = sql("SELECT id, erase_at IS NULL AND (suspended_until IS NULL OR suspended_until <= aim_now($1))
         FROM users WHERE role = 'admin' ORDER BY id FOR NO KEY UPDATE");
    let now = db.now;
    let admins = db.all(admins.bind(now), |c| Ok((c.string()?, c.flag()?))).await?;
    let is_admin = admins.iter().any(|(admin, _)| admin == id.as_str());
    if is_admin && !admins.iter().any(|(admin, acts)| *acts && admin != id.as_str()) {
        return Ok(Suspended::LastAdmin);
    }
    let update = sql("UPDATE users SET suspended_until = $2, suspended_for = $3, version = version + 1 WHERE id = $1
         RETURNING username, aim_now($4)")
    .bind(id.as_str())
    .bind(until.map_or(FOREVER, |until| until.0))
    .bind(plain(&deed.reason))
    .bind(db.now);
    let Some((username, now)) = db.one(update, |c| Ok((c.string()?, c.int()?))).await? else {
        return Ok(Suspended::NoUser);
    };
    note(&mut db, deed, Action::SuspendUser, id.as_str(), until).await?;
    let mut changes = sessions::revoke_each(&mut db, id, None).await?;
    let mut told = vec![Change::User { id: id.clone(), username }];
    let withdrawn = withdraw(&mut db, id, now, &mut told).await?;
    told.iter().try_for_each(|change| db.tell(change))?;
    changes.append(&mut told);
    db.commit().await?;
    Ok(Suspended::Done { changes, withdrawn })
}

/// Cancels what somebody waits for; a reply to him that is under way is told to stop.
pub(super) async fn withdraw(db: &mut Db, user: &UserId, now: i64, changes: &mut Vec<Change>) -> Tried<Vec<Withdrawn>> {
    let waiting = sql("SELECT c.key, c.id, c.character_id FROM conversations c WHERE c.key IN (
             SELECT m.conversation FROM messages m WHERE m.reply_state = 'due' AND m.sender = $1)
         ORDER BY c.id FOR NO KEY UPDATE")
    .bind(user.as_str());
    let waiting = db
        .all(waiting, |c| Ok((c.int()?, ConversationId::trusted(c.text()?), CharacterId::trusted(c.text()?))))
        .await?;
    let mut withdrawn = Vec::new();
    for (key, conversation, character) in waiting {
        let stop = sql("UPDATE claims cl SET stopping = true FROM servers s, messages m
             WHERE cl.conversation = $1 AND s.id = cl.holder AND s.lease_until > $2
                 AND m.conversation = cl.conversation AND m.seq = cl.seq AND m.sender = $3 AND m.reply_state = 'due'
             RETURNING cl.seq, cl.fence")
        .bind(key)
        .bind(now)
        .bind(user.as_str());
        let stopping = db.one(stop, |c| Ok((c.int()?, c.count()?))).await?;
        if let Some((_, fence)) = stopping {
            changes.push(Change::Cancel { conversation: conversation.clone(), fence });
        }
        let cancel = sql(format!(
            "UPDATE messages m SET reply_state = CASE WHEN m.redo IS NULL THEN 'cancelled' ELSE 'done' END, redo = NULL,
                 redo_fence = NULL
             WHERE m.conversation = $1 AND m.reply_state = 'due' AND m.sender = $2 AND m.seq IS DISTINCT FROM $3
             RETURNING {MESSAGE}"
        ))
        .bind(key)
        .bind(user.as_str())
        .bind(stopping.map(|(seq, _)| seq));
        let mut messages = db.all(cancel, |c| rows::message(c, &conversation)).await?;
        messages.sort_by_key(|message| message.seq);
        // A claim of what was cancelled is a dead holder's, who must not commit when he wakes.
        let cancelled: Vec<i64> = messages.iter().map(|message| int(message.seq)).collect();
        db.run(sql("DELETE FROM claims WHERE conversation = $1 AND seq = ANY($2)").bind(key).bind(cancelled)).await?;
        let count = sql("UPDATE conversations SET due = greatest(0, due - $2) WHERE key = $1");
        db.run(count.bind(key).bind(messages.len() as i64)).await?;
        if !messages.is_empty() {
            changes.push(Change::Withdrawn { conversation: conversation.clone() });
        }
        withdrawn.push(Withdrawn { conversation, character, messages });
    }
    Ok(withdrawn)
}

async fn end_suspension(pg: &Postgres, id: &UserId, deed: &Deed) -> Tried<bool> {
    let mut db = pg.begin().await?;
    let update = sql("UPDATE users SET suspended_until = NULL, suspended_for = NULL, version = version + 1
         WHERE id = $1 RETURNING username");
    let Some(username) = db.one(update.bind(id.as_str()), |c| c.string()).await? else { return Ok(false) };
    note(&mut db, deed, Action::RestoreUser, id.as_str(), None).await?;
    db.tell(&Change::User { id: id.clone(), username })?;
    db.commit().await?;
    Ok(true)
}

async fn suspended(db: &mut Db, id: &UserId) -> Tried<Option<Suspension>> {
    let read = sql("SELECT suspended_until, coalesce(suspended_for, '') FROM users
         WHERE id = $1 AND suspended_until > aim_now($2)")
    .bind(id.as_str())
    .bind(db.now);
    db.one(read, |c| Ok(suspension(c.int()?, c.string()?))).await
}

/// `$2` is the time.
const CASE: &str = "k.id, k.kind, k.target, k.conversation, k.character, k.wrong, k.note, k.snapshot, k.state, k.resolution, k.created_at, k.closed_at,
     r.id, r.username, r.display_name, r.avatar_url, a.id, a.username, a.display_name, a.avatar_url,
     EXISTS (SELECT 1 FROM unlisted_characters x JOIN characters ch ON ch.key = x.character WHERE ch.id = k.character),
     coalesce(a.suspended_until > aim_now($2), false)";
const CASE_TABLES: &str = "cases k LEFT JOIN users r ON r.id = k.reporter LEFT JOIN users a ON a.id = k.author";

fn read_case(c: &mut Columns) -> Tried<Case> {
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

async fn case(db: &mut Db, id: &str) -> Tried<Option<Case>> {
    let now = db.now;
    let read = sql(format!("SELECT {CASE} FROM {CASE_TABLES} WHERE k.id = $1")).bind(id.to_owned()).bind(now);
    db.one(read, read_case).await
}

async fn one_case(db: &mut Db, id: &CaseId) -> Tried<Option<Case>> {
    case(db, id.as_str()).await
}

async fn file_case(pg: &Postgres, new: &NewCase, most: u32, within: Duration) -> Tried<Filed> {
    let mut db = pg.begin().await?;
    let reporter = new.reporter.as_str();
    // Those of one reporter come one after the other, so that they are counted.
    let lock = sql("SELECT aim_now($2) FROM users WHERE id = $1 FOR NO KEY UPDATE").bind(reporter).bind(db.now);
    let gone = || Fault::Failed("a report that was just filed is not there".into());
    let Some(now) = db.one(lock, |c| c.time()).await? else { return Err(gone()) };
    let known = sql("SELECT id FROM cases WHERE reporter = $1 AND kind = $2 AND target = $3 AND state = 'open'")
        .bind(reporter)
        .bind(new.kind.as_str())
        .bind(&new.target);
    if let Some(known) = db.one(known, |c| c.string()).await? {
        let known = case(&mut db, &known).await?.ok_or_else(gone)?;
        // Its own, where an answer was lost on the way.
        return Ok(if known.id == new.id { Filed::New(Box::new(known)) } else { Filed::Known(Box::new(known)) });
    }
    // The one whose end makes room again.
    let full = sql("SELECT created_at FROM cases WHERE reporter = $1 AND created_at > $2
         ORDER BY created_at DESC LIMIT 1 OFFSET $3")
    .bind(reporter)
    .bind(now.0.saturating_sub(millis(within)))
    .bind(i64::from(most) - 1);
    if let Some(first) = db.one(full, |c| c.time()).await? {
        return Ok(Filed::TooMany(first.plus(within).since(now)));
    }
    let insert = sql(
        "INSERT INTO cases (id, reporter, kind, target, conversation, author, wrong, note, snapshot, state, created_at,
             character)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'open', $10, $11)",
    )
    .bind(new.id.as_str())
    .bind(reporter)
    .bind(new.kind.as_str())
    .bind(&new.target)
    .bind(new.conversation.as_ref().map(ConversationId::as_str))
    .bind(new.author.as_ref().map(UserId::as_str))
    .bind(new.wrong.as_str())
    .bind(plain(&new.note))
    .bind(json(&new.snapshot)?)
    .bind(now.0)
    .bind(new.character.as_ref().map(CharacterId::as_str));
    db.run(insert).await?;
    let filed = case(&mut db, new.id.as_str()).await?.ok_or_else(gone)?;
    db.commit().await?;
    Ok(Filed::New(Box::new(filed)))
}

async fn cases(db: &mut Db, state: CaseState, after: Option<&str>, limit: u32) -> Tried<CasePage> {
    let before = after.and_then(|after| cursor::text(after, "cases")).map_or("~".to_owned(), |(_, id)| id);
    let read =
        sql(format!("SELECT {CASE} FROM {CASE_TABLES} WHERE k.state = $1 AND k.id < $3 ORDER BY k.id DESC LIMIT $4"))
            .bind(state.as_str())
            .bind(db.now)
            .bind(plain(&before).into_owned())
            .bind(i64::from(limit) + 1);
    let (items, next_cursor) = page(db.all(read, read_case).await?, limit, "cases", |case| case.id.to_string());
    Ok(CasePage { items, next_cursor })
}

async fn own_cases(db: &mut Db, reporter: &UserId) -> Tried<Vec<Case>> {
    let text =
        format!("SELECT {CASE} FROM {CASE_TABLES} WHERE k.reporter = $1 ORDER BY k.created_at DESC LIMIT {OWN_CASES}");
    let now = db.now;
    db.all(sql(text).bind(reporter.as_str()).bind(now), read_case).await
}

async fn decide_case(pg: &Postgres, id: &CaseId, state: CaseState, deed: &Deed) -> Tried<Option<Case>> {
    let mut db = pg.begin().await?;
    // Another open one of the same thing stays the one.
    let update = sql("UPDATE cases k SET state = $2, resolution = $3,
             closed_at = CASE WHEN $2 = 'closed' THEN aim_now($4) END
         WHERE k.id = $1 AND ($2 = 'closed' OR NOT EXISTS (
             SELECT 1 FROM cases o WHERE o.reporter = k.reporter AND o.kind = k.kind AND o.target = k.target
                 AND o.state = 'open' AND o.id <> k.id))")
    .bind(id.as_str())
    .bind(state.as_str())
    .bind(plain(&deed.reason))
    .bind(db.now);
    if db.run(update).await? == 0 {
        return Ok(None);
    }
    let action = if state == CaseState::Closed { Action::CloseReport } else { Action::ReopenReport };
    note(&mut db, deed, action, id.as_str(), None).await?;
    let case = case(&mut db, id.as_str()).await?;
    db.commit().await?;
    Ok(case)
}

async fn open_cases(db: &mut Db) -> Tried<u64> {
    Ok(db.number(sql("SELECT count(*) FROM cases WHERE state = 'open'")).await?.unsigned_abs())
}

async fn deeds(db: &mut Db, after: Option<&str>, limit: u32) -> Tried<AuditPage> {
    let before = after.and_then(|after| cursor::text(after, "deeds")).map_or("~".to_owned(), |(_, id)| id);
    let read = sql(format!(
        "SELECT d.id, d.at, {PARTY}, d.action, d.target_kind, d.target,
             CASE d.target_kind WHEN 'user' THEN (SELECT t.username FROM users t WHERE t.id = d.target)
                 WHEN 'character' THEN (SELECT ch.name FROM characters ch WHERE ch.id = d.target) END, d.reason, d.until
         FROM deeds d LEFT JOIN users u ON u.id = d.operator WHERE d.id < $1 ORDER BY d.id DESC LIMIT $2"
    ))
    .bind(plain(&before).into_owned())
    .bind(i64::from(limit) + 1);
    let found = db.all(read, |c| {
        Ok(Audited {
            id: DeedId::trusted(c.text()?),
            at: c.time()?,
            operator: maybe_party(c)?,
            action: c.word()?,
            target: AuditTarget { kind: c.string()?, id: c.string()?, name: c.maybe_string()? },
            reason: c.string()?,
            until: c.maybe_int()?.map(Timestamp),
        })
    });
    let (items, next_cursor) = page(found.await?, limit, "deeds", |deed| deed.id.to_string());
    Ok(AuditPage { items, next_cursor })
}

/// Before an account and its conversations go: reports of its words go with it, and of what it was told. Of its other reports its name and its notes go, and what they are of
/// stays for operators to see. The audit keeps what was done, and forgets whom it was done to.
pub(super) async fn forget(db: &mut Db, user: &UserId) -> Tried<()> {
    let me = user.as_str();
    let words = sql("DELETE FROM cases WHERE author = $1 OR (kind = 'reply'
         AND (reporter = $1 OR conversation IN (SELECT id FROM all_conversations WHERE owner_id = $1)
             OR EXISTS (SELECT 1 FROM messages r JOIN messages q ON q.conversation = r.conversation AND q.seq = r.turn
                 WHERE r.id = cases.target AND q.sender = $1)))");
    db.run(words.bind(me)).await?;
    db.run(sql("UPDATE cases SET reporter = NULL, note = '' WHERE reporter = $1").bind(me)).await?;
    db.run(sql("UPDATE deeds SET operator = $2 WHERE operator = $1").bind(me).bind(ERASED)).await?;
    let target = sql("UPDATE deeds SET target = $2, reason = '' WHERE target_kind = 'user' AND target = $1");
    db.run(target.bind(me).bind(ERASED)).await?;
    let theirs = sql("UPDATE deeds SET reason = '' WHERE target_kind = 'character'
         AND target IN (SELECT id FROM characters WHERE owner_id = $1)");
    db.run(theirs.bind(me)).await?;
    let unlisted = sql("UPDATE unlisted_characters SET reason = ''
         WHERE character IN (SELECT key FROM characters WHERE owner_id = $1)");
    db.run(unlisted.bind(me)).await.map(drop)
}

#[async_trait]
impl Safety for PostgresStore {
    async fn block(&self, blocker: &UserId, blocked: &UserId, most: u32) -> Result<Blocked> {
        again!(self, block, blocker, blocked, most)
    }

    async fn unblock(&self, blocker: &UserId, blocked: &UserId) -> Result<()> {
        ask!(self, unblock, blocker, blocked)
    }

    async fn blocks(&self, blocker: &UserId) -> Result<Vec<Block>> {
        ask!(self, blocks, blocker)
    }

    async fn talks_with(&self, user: &UserId, character: &CharacterId, or_guest: bool) -> Result<bool> {
        ask!(self, talks_with, user, character, or_guest)
    }

    async fn set_unlisted(&self, id: &CharacterId, unlist: bool, deed: &Deed) -> Result<Option<Character>> {
        self.pg.run(Again::Never, || set_unlisted(&self.pg, id, unlist, deed)).await
    }

    async fn suspend(&self, id: &UserId, until: Option<Timestamp>, deed: &Deed) -> Result<Suspended> {
        // Asked again after a lost answer it would not know what it ended.
        self.pg.run(Again::Never, || suspend(&self.pg, id, until, deed)).await
    }

    async fn end_suspension(&self, id: &UserId, deed: &Deed) -> Result<bool> {
        self.pg.run(Again::Never, || end_suspension(&self.pg, id, deed)).await
    }

    async fn suspension(&self, id: &UserId) -> Result<Option<Suspension>> {
        ask!(self, suspended, id)
    }

    async fn file_case(&self, new: NewCase, most: u32, within: Duration) -> Result<Filed> {
        let new = &new;
        again!(self, file_case, new, most, within)
    }

    async fn case(&self, id: &CaseId) -> Result<Option<Case>> {
        ask!(self, one_case, id)
    }

    async fn own_cases(&self, reporter: &UserId) -> Result<Vec<Case>> {
        ask!(self, own_cases, reporter)
    }

    async fn cases(&self, state: CaseState, cursor: Option<&str>, limit: u32) -> Result<CasePage> {
        ask!(self, cases, state, cursor, limit)
    }

    async fn decide_case(&self, id: &CaseId, state: CaseState, deed: &Deed) -> Result<Option<Case>> {
        self.pg.run(Again::Never, || decide_case(&self.pg, id, state, deed)).await
    }

    async fn open_cases(&self) -> Result<u64> {
        ask!(self, open_cases)
    }

    async fn deeds(&self, cursor: Option<&str>, limit: u32) -> Result<AuditPage> {
        ask!(self, deeds, cursor, limit)
    }
}
