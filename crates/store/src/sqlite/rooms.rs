//! Who is in a conversation, and the links by which others come in.

use super::SqliteStore;
use super::conversations::{changed, join, owned};
use super::db::Db;
use super::feed;
use super::replies;
use super::rows::{self, CONVERSATION, Columns, int};
use crate::{AddMember, Admitted, Cancel, Change, MadeInvite, NewInvite, OpenInvite, Result, Rooms};
use aim_domain::room::{MAX_INVITES, MAX_MEMBERS};
use aim_domain::{
    Conversation, ConversationId, Invite, InviteId, Participant, PersonSummary, RoomRole, TokenHash, UserId,
};
use async_trait::async_trait;
use rusqlite::params;

const INVITE: &str = "i.id, i.created_at, i.expires_at, i.uses, i.max_uses";
/// Whether link `i` is neither over nor used up, with the time as `?2`.
const IS_OPEN: &str = "(i.expires_at > ?2 AND (i.max_uses IS NULL OR i.uses < i.max_uses))";
const PERSON: &str = "u.id, u.username, u.display_name, u.avatar_url";

fn invite(c: &mut Columns) -> rusqlite::Result<Invite> {
    Ok(Invite {
        id: InviteId::trusted(c.text()?),
        created_at: c.time()?,
        expires_at: c.time()?,
        uses: c.count()?,
        max_uses: c.maybe_int()?.map(i64::unsigned_abs),
    })
}

fn person(c: &mut Columns) -> rusqlite::Result<PersonSummary> {
    let id = UserId::trusted(c.text()?);
    Ok(PersonSummary { id, username: c.string()?, display_name: c.string()?, avatar_url: c.maybe_string()? })
}

/// What servers do about somebody who came or left.
fn moved(db: &Db, key: i64, id: &ConversationId, user: &UserId) -> Result<()> {
    changed(db, key, id)?;
    feed::write(db, &Change::Member { conversation: id.clone(), user: user.clone() })
}

fn is_in(db: &Db, key: i64, user: &UserId) -> Result<bool> {
    let sql = "SELECT count(*) FROM members WHERE conversation = ?1 AND user = ?2";
    Ok(db.number(sql, params![key, user.as_str()])? > 0)
}

fn is_full(db: &Db, key: i64) -> Result<bool> {
    Ok(db.number("SELECT count(*) FROM members WHERE conversation = ?1", [key])?.unsigned_abs() >= MAX_MEMBERS)
}

fn is_there(db: &Db, user: &UserId) -> Result<bool> {
    Ok(db.number("SELECT count(*) FROM users WHERE id = ?1 AND erase_at IS NULL", [user.as_str()])? > 0)
}

fn has_blocked(db: &Db, user: &UserId, other: &UserId) -> Result<bool> {
    let look = "SELECT count(*) FROM blocks WHERE blocker = ?1 AND blocked = ?2";
    Ok(db.number(look, [user.as_str(), other.as_str()])? > 0)
}

fn add(db: &Db, id: &ConversationId, owner: &UserId, user: &UserId) -> Result<AddMember> {
    let Some(key) = owned(db, id, owner)? else { return Ok(AddMember::NotFound) };
    // For whom somebody blocked, they do not exist.
    if !is_there(db, user)? || has_blocked(db, user, owner)? {
        return Ok(AddMember::NotFound);
    }
    if is_in(db, key, user)? {
        return Ok(AddMember::Added);
    }
    if is_full(db, key)? {
        return Ok(AddMember::Full);
    }
    join(db, key, user)?;
    db.run("DELETE FROM removals WHERE conversation = ?1 AND user = ?2", params![key, user.as_str()])?;
    moved(db, key, id, user)?;
    Ok(AddMember::Added)
}

fn remove(db: &Db, id: &ConversationId, by: &UserId, user: &UserId) -> Result<bool> {
    let key = db.one(
        "SELECT key FROM conversations WHERE id = ?1 AND owner <> ?3 AND (owner = ?2 OR ?2 = ?3)",
        [id.as_str(), by.as_str(), user.as_str()],
        |row| row.get::<_, i64>(0),
    )?;
    let Some(key) = key else { return Ok(false) };
    if db.run("DELETE FROM members WHERE conversation = ?1 AND user = ?2", params![key, user.as_str()])? == 0 {
        return Ok(false);
    }
    if by != user {
        db.run(
            "INSERT INTO removals (conversation, user, at) VALUES (?1, ?2, ?3)
             ON CONFLICT (conversation, user) DO UPDATE SET at = excluded.at",
            params![key, user.as_str(), db.now.0],
        )?;
    }
    moved(db, key, id, user)?;
    Ok(true)
}

fn members(db: &Db, id: &ConversationId, member: &UserId) -> Result<Option<Vec<Participant>>> {
    let sql = format!(
        "SELECT {PERSON}, u.id = c.owner, me.joined_at FROM conversations c
         JOIN members me ON me.conversation = c.key JOIN users u ON u.id = me.user AND u.erase_at IS NULL
         WHERE c.id = ?1 ORDER BY u.id <> c.owner, me.joined_at, u.id"
    );
    let all = db.all(&sql, [id.as_str()], |row| {
        let mut c = Columns::of(row);
        let user = person(&mut c)?;
        let role = if c.flag()? { RoomRole::Owner } else { RoomRole::Guest };
        Ok(Participant { user, role, joined_at: c.time()? })
    })?;
    Ok(all.iter().any(|one| one.user.id == *member).then_some(all))
}

fn room(db: &Db, id: &ConversationId) -> Result<Option<Conversation>> {
    db.one(&format!("SELECT {CONVERSATION} FROM conversations c WHERE c.id = ?1"), [id.as_str()], |row| {
        rows::conversation(&mut Columns::of(row))
    })
}

fn create(db: &Db, new: &NewInvite) -> Result<MadeInvite> {
    let Some(key) = owned(db, &new.conversation, &new.owner)? else { return Ok(MadeInvite::NotFound) };
    let open = format!("SELECT count(*) FROM invites i WHERE i.conversation = ?1 AND {IS_OPEN}");
    if db.number(&open, params![key, db.now.0])?.unsigned_abs() >= MAX_INVITES {
        return Ok(MadeInvite::Full);
    }
    let made = Invite {
        id: new.id.clone(),
        created_at: db.now,
        expires_at: db.now.plus(new.lives),
        uses: 0,
        max_uses: new.max_uses,
    };
    db.run(
        "INSERT INTO invites (id, token_hash, conversation, created_at, expires_at, max_uses)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            made.id.as_str(),
            new.token.as_str(),
            key,
            made.created_at.0,
            made.expires_at.0,
            made.max_uses.map(int)
        ],
    )?;
    Ok(MadeInvite::Made(made))
}

fn list(db: &Db, id: &ConversationId, owner: &UserId) -> Result<Option<Vec<Invite>>> {
    let Some(key) = owned(db, id, owner)? else { return Ok(None) };
    let sql = format!(
        "SELECT {INVITE} FROM invites i WHERE i.conversation = ?1 AND {IS_OPEN} ORDER BY i.created_at DESC, i.id DESC"
    );
    db.all(&sql, params![key, db.now.0], |row| invite(&mut Columns::of(row))).map(Some)
}

fn revoke(db: &Db, id: &ConversationId, owner: &UserId, invite: &InviteId) -> Result<bool> {
    let Some(key) = owned(db, id, owner)? else { return Ok(false) };
    Ok(db.run("DELETE FROM invites WHERE id = ?1 AND conversation = ?2", params![invite.as_str(), key])? == 1)
}

/// Whether `?3` was taken out of conversation `c` since link `i` was made.
const WAS_TAKEN_OUT: &str =
    "EXISTS (SELECT 1 FROM removals r WHERE r.conversation = c.key AND r.user = ?3 AND r.at >= i.created_at)";
const IS_MEMBER: &str = "EXISTS (SELECT 1 FROM members me WHERE me.conversation = c.key AND me.user = ?3)";

/// Whether link `i` to conversation `c` of owner `u` lets `?3` in. Blocks count both ways, as for those who are added.
fn lets_in() -> String {
    format!(
        "({IS_OPEN} AND NOT {WAS_TAKEN_OUT} AND coalesce(u.suspended_until <= ?2, 1)
          AND NOT EXISTS (SELECT 1 FROM blocks b WHERE b.blocker = u.id AND b.blocked = ?3)
          AND NOT EXISTS (SELECT 1 FROM blocks b WHERE b.blocker = ?3 AND b.blocked = u.id))"
    )
}

fn look(db: &Db, token: &TokenHash, viewer: &UserId) -> Result<Option<OpenInvite>> {
    let lets_in = lets_in();
    let sql = format!(
        "SELECT {CONVERSATION}, {PERSON}, i.expires_at, {IS_MEMBER} FROM invites i
         JOIN conversations c ON c.key = i.conversation JOIN users u ON u.id = c.owner AND u.erase_at IS NULL
         WHERE i.token_hash = ?1 AND ({IS_MEMBER} OR {lets_in})"
    );
    db.one(&sql, params![token.as_str(), db.now.0, viewer.as_str()], |row| {
        let mut c = Columns::of(row);
        let (conversation, invited_by) = (rows::conversation(&mut c)?, person(&mut c)?);
        Ok(OpenInvite { conversation, invited_by, expires_at: c.time()?, is_member: c.flag()? })
    })
}

fn accept(db: &Db, token: &TokenHash, user: &UserId) -> Result<Admitted> {
    let lets_in = lets_in();
    let sql = format!(
        "SELECT c.key, c.id, i.id, {IS_MEMBER}, {lets_in} FROM invites i
         JOIN conversations c ON c.key = i.conversation JOIN users u ON u.id = c.owner AND u.erase_at IS NULL
         WHERE i.token_hash = ?1"
    );
    let found = db.one(&sql, params![token.as_str(), db.now.0, user.as_str()], |row| {
        let mut c = Columns::of(row);
        Ok((c.int()?, ConversationId::trusted(c.text()?), InviteId::trusted(c.text()?), c.flag()?, c.flag()?))
    })?;
    let Some((key, id, invite, is_member, lets_in)) = found else { return Ok(Admitted::NotFound) };
    if is_member {
        return Ok(Admitted::Already(id));
    }
    if !lets_in || !is_there(db, user)? {
        return Ok(Admitted::NotFound);
    }
    if is_full(db, key)? {
        return Ok(Admitted::Full);
    }
    let used = "INSERT INTO invite_uses (invite, user) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    if db.run(used, [invite.as_str(), user.as_str()])? == 1 {
        db.run("UPDATE invites SET uses = uses + 1 WHERE id = ?1", [invite.as_str()])?;
    }
    join(db, key, user)?;
    moved(db, key, &id, user)?;
    Ok(Admitted::Joined(id))
}

#[async_trait]
impl Rooms for SqliteStore {
    async fn add_member(&self, id: &ConversationId, owner: &UserId, user: &UserId) -> Result<AddMember> {
        let (id, owner, user) = (id.clone(), owner.clone(), user.clone());
        self.write(move |db| add(db, &id, &owner, &user)).await
    }

    async fn remove_member(&self, id: &ConversationId, by: &UserId, user: &UserId) -> Result<bool> {
        let (id, by, user) = (id.clone(), by.clone(), user.clone());
        self.write(move |db| remove(db, &id, &by, &user)).await
    }

    async fn members(&self, id: &ConversationId, member: &UserId) -> Result<Option<Vec<Participant>>> {
        let (id, member) = (id.clone(), member.clone());
        self.read(move |db| members(db, &id, &member)).await
    }

    async fn cancel_own(&self, conversation: &Conversation, sender: &UserId) -> Result<Cancel> {
        let (id, sender) = (conversation.id.clone(), sender.clone());
        self.write(move |db| replies::cancel(db, &id, Some(&sender))).await
    }

    async fn room(&self, id: &ConversationId) -> Result<Option<Conversation>> {
        let id = id.clone();
        self.read(move |db| room(db, &id)).await
    }

    async fn create_invite(&self, new: NewInvite) -> Result<MadeInvite> {
        self.write(move |db| create(db, &new)).await
    }

    async fn invites(&self, id: &ConversationId, owner: &UserId) -> Result<Option<Vec<Invite>>> {
        let (id, owner) = (id.clone(), owner.clone());
        self.read(move |db| list(db, &id, &owner)).await
    }

    async fn revoke_invite(&self, id: &ConversationId, owner: &UserId, invite: &InviteId) -> Result<bool> {
        let (id, owner, invite) = (id.clone(), owner.clone(), invite.clone());
        self.write(move |db| revoke(db, &id, &owner, &invite)).await
    }

    async fn invite(&self, token: &TokenHash, viewer: &UserId) -> Result<Option<OpenInvite>> {
        let (token, viewer) = (token.clone(), viewer.clone());
        self.read(move |db| look(db, &token, &viewer)).await
    }

    async fn accept_invite(&self, token: &TokenHash, user: &UserId) -> Result<Admitted> {
        let (token, user) = (token.clone(), user.clone());
        self.write(move |db| accept(db, &token, &user)).await
    }
}
