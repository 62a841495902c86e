//! Who is in a conversation, and the links by which others come in. Who comes or goes is decided while the conversation is
//! locked.

use super::PostgresStore;
use super::conversations::{changed, join, owned};
use super::db::{Again, Db, Postgres, Tried, sql};
use super::replies;
use super::rows::{self, CONVERSATION, Columns, int};
use super::sessions::millis;
use super::{again, ask, once};
use crate::{AddMember, Admitted, Cancel, Change, MadeInvite, NewInvite, OpenInvite, Result, Rooms};
use aim_domain::room::{MAX_INVITES, MAX_MEMBERS};
use aim_domain::{
    Conversation, ConversationId, Invite, InviteId, Participant, PersonSummary, RoomRole, TokenHash, UserId,
};
use async_trait::async_trait;

const INVITE: &str = "i.id, i.created_at, i.expires_at, i.uses, i.max_uses";
/// Whether link `i` is neither over nor used up, with the store's clock as `$2`.
const IS_OPEN: &str = "(i.expires_at > aim_now($2) AND (i.max_uses IS NULL OR i.uses < i.max_uses))";
const PERSON: &str = "u.id, u.username, u.display_name, u.avatar_url";

fn invite(c: &mut Columns) -> Tried<Invite> {
    Ok(Invite {
        id: InviteId::trusted(c.text()?),
        created_at: c.time()?,
        expires_at: c.time()?,
        uses: c.count()?,
        max_uses: c.maybe_int()?.map(i64::unsigned_abs),
    })
}

fn person(c: &mut Columns) -> Tried<PersonSummary> {
    let id = UserId::trusted(c.text()?);
    Ok(PersonSummary { id, username: c.string()?, display_name: c.string()?, avatar_url: c.maybe_string()? })
}

/// What servers do about somebody who came or left.
async fn moved(db: &mut Db, key: i64, id: &ConversationId, user: &UserId, now: i64) -> Tried<()> {
    changed(db, key, id, now).await?;
    db.tell(&Change::Member { conversation: id.clone(), user: user.clone() })
}

async fn is_in(db: &mut Db, key: i64, user: &UserId) -> Tried<bool> {
    let look = sql("SELECT 1::bigint FROM members WHERE conversation = $1 AND user_id = $2");
    Ok(db.one(look.bind(key).bind(user.as_str()), |c| c.int()).await?.is_some())
}

async fn is_full(db: &mut Db, key: i64) -> Tried<bool> {
    let count = sql("SELECT count(*) FROM members WHERE conversation = $1").bind(key);
    Ok(db.number(count).await?.unsigned_abs() >= MAX_MEMBERS)
}

/// And stays until the commit.
async fn is_there(db: &mut Db, user: &UserId) -> Tried<bool> {
    let look = sql("SELECT 1::bigint FROM users WHERE id = $1 AND erase_at IS NULL FOR KEY SHARE");
    Ok(db.one(look.bind(user.as_str()), |c| c.int()).await?.is_some())
}

async fn has_blocked(db: &mut Db, user: &UserId, other: &UserId) -> Tried<bool> {
    let look = sql("SELECT 1::bigint FROM blocks WHERE blocker = $1 AND blocked = $2");
    Ok(db.one(look.bind(user.as_str()).bind(other.as_str()), |c| c.int()).await?.is_some())
}

async fn add(pg: &Postgres, id: &ConversationId, owner: &UserId, user: &UserId) -> Tried<AddMember> {
    let mut db = pg.begin().await?;
    let Some((key, now)) = owned(&mut db, id, owner).await? else { return Ok(AddMember::NotFound) };
    // For whom somebody blocked, they do not exist.
    if !is_there(&mut db, user).await? || has_blocked(&mut db, user, owner).await? {
        return Ok(AddMember::NotFound);
    }
    if is_in(&mut db, key, user).await? {
        return Ok(AddMember::Added);
    }
    if is_full(&mut db, key).await? {
        return Ok(AddMember::Full);
    }
    join(&mut db, key, user, now).await?;
    let forgive = sql("DELETE FROM removals WHERE conversation = $1 AND user_id = $2");
    db.run(forgive.bind(key).bind(user.as_str())).await?;
    moved(&mut db, key, id, user, now).await?;
    db.commit().await?;
    Ok(AddMember::Added)
}

async fn remove(pg: &Postgres, id: &ConversationId, by: &UserId, user: &UserId) -> Tried<bool> {
    let mut db = pg.begin().await?;
    let lock = sql("SELECT c.key, aim_now($4) FROM conversations c
         WHERE c.id = $1 AND c.owner_id <> $3 AND (c.owner_id = $2 OR $2 = $3) FOR NO KEY UPDATE")
    .bind(id.as_str())
    .bind(by.as_str())
    .bind(user.as_str())
    .bind(db.now);
    let Some((key, now)) = db.one(lock, |c| Ok((c.int()?, c.int()?))).await? else { return Ok(false) };
    let leave = sql("DELETE FROM members WHERE conversation = $1 AND user_id = $2").bind(key).bind(user.as_str());
    if db.run(leave).await? == 0 {
        return Ok(false);
    }
    if by != user {
        let note = sql("INSERT INTO removals (conversation, user_id, at) VALUES ($1, $2, $3)
             ON CONFLICT (conversation, user_id) DO UPDATE SET at = excluded.at");
        db.run(note.bind(key).bind(user.as_str()).bind(now)).await?;
    }
    moved(&mut db, key, id, user, now).await?;
    db.commit().await?;
    Ok(true)
}

async fn members(db: &mut Db, id: &ConversationId, member: &UserId) -> Tried<Option<Vec<Participant>>> {
    let text = format!(
        "SELECT {PERSON}, u.id = c.owner_id, me.joined_at FROM conversations c
         JOIN members me ON me.conversation = c.key JOIN users u ON u.id = me.user_id AND u.erase_at IS NULL
         WHERE c.id = $1 ORDER BY u.id <> c.owner_id, me.joined_at, u.id"
    );
    let all = db.all(sql(text).bind(id.as_str()), |c| {
        let user = person(c)?;
        let role = if c.flag()? { RoomRole::Owner } else { RoomRole::Guest };
        Ok(Participant { user, role, joined_at: c.time()? })
    });
    let all = all.await?;
    Ok(all.iter().any(|one| one.user.id == *member).then_some(all))
}

async fn room(db: &mut Db, id: &ConversationId) -> Tried<Option<Conversation>> {
    let text = format!("SELECT {CONVERSATION} FROM conversations c WHERE c.id = $1");
    db.one(sql(text).bind(id.as_str()), rows::conversation).await
}

async fn create(pg: &Postgres, new: &NewInvite) -> Tried<MadeInvite> {
    let mut db = pg.begin().await?;
    let Some((key, _)) = owned(&mut db, &new.conversation, &new.owner).await? else { return Ok(MadeInvite::NotFound) };
    let clock = db.now;
    let open = format!("SELECT count(*) FROM invites i WHERE i.conversation = $1 AND {IS_OPEN}");
    if db.number(sql(open).bind(key).bind(clock)).await?.unsigned_abs() >= MAX_INVITES {
        return Ok(MadeInvite::Full);
    }
    let insert = sql(format!(
        "INSERT INTO invites AS i (id, token_hash, conversation, created_at, expires_at, max_uses)
         SELECT $1, $3, $4, clock.now, clock.now + $5, $6 FROM (SELECT aim_now($2) AS now) clock RETURNING {INVITE}"
    ))
    .bind(new.id.as_str())
    .bind(clock)
    .bind(new.token.as_str())
    .bind(key)
    .bind(millis(new.lives))
    .bind(new.max_uses.map(int));
    let made = db.one(insert, invite).await?;
    db.commit().await?;
    Ok(made.map_or(MadeInvite::NotFound, MadeInvite::Made))
}

async fn list(db: &mut Db, id: &ConversationId, owner: &UserId) -> Tried<Option<Vec<Invite>>> {
    let clock = db.now;
    let look = sql("SELECT key FROM conversations WHERE id = $1 AND owner_id = $2");
    let Some(key) = db.one(look.bind(id.as_str()).bind(owner.as_str()), |c| c.int()).await? else { return Ok(None) };
    let text = format!(
        "SELECT {INVITE} FROM invites i WHERE i.conversation = $1 AND {IS_OPEN} ORDER BY i.created_at DESC, i.id DESC"
    );
    db.all(sql(text).bind(key).bind(clock), invite).await.map(Some)
}

async fn revoke(pg: &Postgres, id: &ConversationId, owner: &UserId, invite: &InviteId) -> Tried<bool> {
    let mut db = pg.begin().await?;
    let Some((key, _)) = owned(&mut db, id, owner).await? else { return Ok(false) };
    let gone = sql("DELETE FROM invites WHERE id = $1 AND conversation = $2").bind(invite.as_str()).bind(key);
    let gone = db.run(gone).await?;
    db.commit().await?;
    Ok(gone == 1)
}

/// Whether `$3` was taken out of conversation `c` since link `i` was made.
const WAS_TAKEN_OUT: &str =
    "EXISTS (SELECT 1 FROM removals r WHERE r.conversation = c.key AND r.user_id = $3 AND r.at >= i.created_at)";
const IS_MEMBER: &str = "EXISTS (SELECT 1 FROM members me WHERE me.conversation = c.key AND me.user_id = $3)";

/// Whether link `i` to conversation `c` of owner `u` lets `$3` in. Blocks count both ways, as for those who are added.
fn lets_in() -> String {
    format!(
        "({IS_OPEN} AND NOT {WAS_TAKEN_OUT} AND coalesce(u.suspended_until <= aim_now($2), true)
          AND NOT EXISTS (SELECT 1 FROM blocks b WHERE b.blocker = u.id AND b.blocked = $3)
          AND NOT EXISTS (SELECT 1 FROM blocks b WHERE b.blocker = $3 AND b.blocked = u.id))"
    )
}

async fn look(db: &mut Db, token: &TokenHash, viewer: &UserId) -> Tried<Option<OpenInvite>> {
    let (clock, lets_in) = (db.now, lets_in());
    let text = format!(
        "SELECT {CONVERSATION}, {PERSON}, i.expires_at, {IS_MEMBER} FROM invites i
         JOIN conversations c ON c.key = i.conversation JOIN users u ON u.id = c.owner_id AND u.erase_at IS NULL
         WHERE i.token_hash = $1 AND ({IS_MEMBER} OR {lets_in})"
    );
    db.one(sql(text).bind(token.as_str()).bind(clock).bind(viewer.as_str()), |c| {
        let (conversation, invited_by) = (rows::conversation(c)?, person(c)?);
        Ok(OpenInvite { conversation, invited_by, expires_at: c.time()?, is_member: c.flag()? })
    })
    .await
}

async fn accept(pg: &Postgres, token: &TokenHash, user: &UserId) -> Tried<Admitted> {
    let mut db = pg.begin().await?;
    let (clock, lets_in) = (db.now, lets_in());
    let lock = sql("SELECT c.key, aim_now($2) FROM conversations c
         WHERE c.key = (SELECT i.conversation FROM invites i WHERE i.token_hash = $1) FOR NO KEY UPDATE")
    .bind(token.as_str())
    .bind(clock);
    let Some((key, now)) = db.one(lock, |c| Ok((c.int()?, c.int()?))).await? else { return Ok(Admitted::NotFound) };
    // Read once nobody else changes it.
    let read = sql(format!(
        "SELECT c.id, i.id, {IS_MEMBER}, {lets_in} FROM invites i
         JOIN conversations c ON c.key = i.conversation JOIN users u ON u.id = c.owner_id AND u.erase_at IS NULL
         WHERE i.token_hash = $1"
    ))
    .bind(token.as_str())
    .bind(clock)
    .bind(user.as_str());
    let found =
        db.one(read, |c| Ok((ConversationId::trusted(c.text()?), InviteId::trusted(c.text()?), c.flag()?, c.flag()?)));
    let Some((id, invite, is_member, lets_in)) = found.await? else { return Ok(Admitted::NotFound) };
    if is_member {
        return Ok(Admitted::Already(id));
    }
    if !lets_in || !is_there(&mut db, user).await? {
        return Ok(Admitted::NotFound);
    }
    if is_full(&mut db, key).await? {
        return Ok(Admitted::Full);
    }
    let used = sql("INSERT INTO invite_uses (invite, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING");
    if db.run(used.bind(invite.as_str()).bind(user.as_str())).await? == 1 {
        db.run(sql("UPDATE invites SET uses = uses + 1 WHERE id = $1").bind(invite.as_str())).await?;
    }
    join(&mut db, key, user, now).await?;
    moved(&mut db, key, &id, user, now).await?;
    db.commit().await?;
    Ok(Admitted::Joined(id))
}

#[async_trait]
impl Rooms for PostgresStore {
    async fn add_member(&self, id: &ConversationId, owner: &UserId, user: &UserId) -> Result<AddMember> {
        again!(self, add, id, owner, user)
    }

    async fn remove_member(&self, id: &ConversationId, by: &UserId, user: &UserId) -> Result<bool> {
        once!(self, remove, id, by, user)
    }

    async fn members(&self, id: &ConversationId, member: &UserId) -> Result<Option<Vec<Participant>>> {
        ask!(self, members, id, member)
    }

    async fn cancel_own(&self, conversation: &Conversation, sender: &UserId) -> Result<Cancel> {
        once!(self, replies::cancel, &conversation.id, Some(sender))
    }

    async fn room(&self, id: &ConversationId) -> Result<Option<Conversation>> {
        ask!(self, room, id)
    }

    async fn create_invite(&self, new: NewInvite) -> Result<MadeInvite> {
        once!(self, create, &new)
    }

    async fn invites(&self, id: &ConversationId, owner: &UserId) -> Result<Option<Vec<Invite>>> {
        ask!(self, list, id, owner)
    }

    async fn revoke_invite(&self, id: &ConversationId, owner: &UserId, invite: &InviteId) -> Result<bool> {
        once!(self, revoke, id, owner, invite)
    }

    async fn invite(&self, token: &TokenHash, viewer: &UserId) -> Result<Option<OpenInvite>> {
        ask!(self, look, token, viewer)
    }

    async fn accept_invite(&self, token: &TokenHash, user: &UserId) -> Result<Admitted> {
        again!(self, accept, token, user)
    }
}
