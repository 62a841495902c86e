//! Accounts.

use super::db::Db;
use super::rows::{self, Columns, USER};
use super::{conversations, feed, gallery, personal, safety, uploads};
use crate::personal::{ERASED, ERASED_TEXT};
use crate::{AccountChange, Change, CreateUser, Credentials, NewUser, Result};
use aim_domain::{CharacterId, ConversationId, SessionId, TokenHash, User, UserId, Username};
use rusqlite::params;

pub(super) fn create(db: &Db, new: &NewUser) -> Result<CreateUser> {
    let email_key = new.email.to_lowercase();
    if db.one("SELECT 1 FROM users WHERE id = ?1", [new.id.as_str()], |_| Ok(()))?.is_some() {
        return Ok(CreateUser::IdTaken);
    }
    if db.one("SELECT 1 FROM users WHERE email_key = ?1", [&email_key], |_| Ok(()))?.is_some() {
        return Ok(CreateUser::EmailTaken);
    }
    if db.one("SELECT 1 FROM users WHERE username = ?1", [new.username.as_str()], |_| Ok(()))?.is_some() {
        return Ok(CreateUser::UsernameTaken);
    }
    db.run(
        "INSERT INTO users (id, email, email_key, username, display_name, tier, role, password_hash, created_at, version)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 1)",
        params![
            new.id.as_str(),
            new.email,
            email_key,
            new.username.as_str(),
            new.display_name,
            new.tier.as_str(),
            new.role.as_str(),
            new.password_hash,
            db.now.0
        ],
    )?;
    // Another server may keep the name as one that nobody has.
    feed::write(db, &Change::User { id: new.id.clone(), username: new.username.to_string() })?;
    Ok(CreateUser::Created(User {
        id: new.id.clone(),
        username: new.username.to_string(),
        display_name: new.display_name.clone(),
        avatar_url: None,
        email: new.email.clone(),
        tier: new.tier,
        role: new.role,
        created_at: db.now,
        version: 1,
        erase_at: None,
    }))
}

pub(super) fn user(db: &Db, id: &UserId) -> Result<Option<User>> {
    db.one(&format!("SELECT {USER} FROM users u WHERE u.id = ?1"), [id.as_str()], |row| {
        rows::user(&mut Columns::of(row))
    })
}

pub(super) fn by_username(db: &Db, username: &Username) -> Result<Option<User>> {
    let sql = format!("SELECT {USER} FROM users u WHERE u.username = ?1");
    db.one(&sql, [username.as_str()], |row| rows::user(&mut Columns::of(row)))
}

/// An email has an `@` and a username none, so at most one account answers to a login.
pub(super) fn credentials(db: &Db, login: &str) -> Result<Option<Credentials>> {
    let sql = format!("SELECT {USER}, u.password_hash FROM users u WHERE u.email_key = ?1 OR u.username = ?1");
    db.one(&sql, [login.trim().to_lowercase()], |row| {
        let mut columns = Columns::of(row);
        Ok(Credentials { user: rows::user(&mut columns)?, password_hash: columns.maybe_string()? })
    })
}

pub(super) fn change(db: &Db, id: &UserId, change: &AccountChange) -> Result<Option<User>> {
    let (new_picture, picture) = match &change.avatar_url {
        Some(picture) => (true, picture.as_deref()),
        None => (false, None),
    };
    if let Some(tier) = change.tier {
        db.run(
            "INSERT INTO tier_changes (at, tier) SELECT ?2, ?3 FROM users WHERE id = ?1 AND tier <> ?3",
            params![id.as_str(), db.now.0, tier.as_str()],
        )?;
    }
    let changed = db.run(
        "UPDATE users SET display_name = coalesce(?2, display_name), avatar_url = iif(?3, ?4, avatar_url),
             tier = coalesce(?5, tier), role = coalesce(?6, role), password_hash = coalesce(?7, password_hash),
             version = version + 1
         WHERE id = ?1",
        params![
            id.as_str(),
            change.display_name,
            new_picture,
            picture,
            change.tier.map(|tier| tier.as_str()),
            change.role.map(|role| role.as_str()),
            change.password_hash
        ],
    )?;
    if changed == 0 {
        return Ok(None);
    }
    let user = user(db, id)?;
    if let Some(user) = &user {
        feed::write(db, &Change::User { id: id.clone(), username: user.username.clone() })?;
    }
    Ok(user)
}

pub(super) fn delete(db: &Db, id: &UserId) -> Result<bool> {
    let Some(user) = user(db, id)? else { return Ok(false) };
    let me = [id.as_str()];
    safety::forget(db, id)?;
    for (session, token) in db.all("SELECT id, token_hash FROM sessions WHERE user = ?1", me, |row| {
        let mut columns = Columns::of(row);
        Ok((SessionId::trusted(columns.text()?), TokenHash::trusted(columns.text()?)))
    })? {
        feed::write(db, &Change::Session { token, id: session, user: id.clone() })?;
    }
    personal::tell_all(db, id)?;
    for (key, conversation, owned) in within(db, id)? {
        if owned {
            conversations::remove(db, key, &conversation)?;
        } else {
            db.run("DELETE FROM members WHERE conversation = ?1 AND user = ?2", params![key, id.as_str()])?;
            // What was answered to it repeats it, in every variant.
            db.run(
                "DELETE FROM variants WHERE conversation = ?1 AND seq IN (
                     SELECT r.seq FROM messages r WHERE r.conversation = ?1 AND r.role = 'character'
                         AND r.turn IN (SELECT seq FROM messages WHERE conversation = ?1 AND sender = ?2))",
                params![key, id.as_str()],
            )?;
            db.run(
                "UPDATE messages SET text = ?3, personality = NULL, variants = NULL, selected = NULL
                 WHERE conversation = ?1 AND role = 'character'
                     AND turn IN (SELECT seq FROM messages WHERE conversation = ?1 AND sender = ?2)",
                params![key, id.as_str(), ERASED_TEXT],
            )?;
            db.run(
                "UPDATE messages SET sender = ?3, text = ?4, kind = 'text', media = NULL, client_id = NULL
                 WHERE conversation = ?1 AND sender = ?2",
                params![key, id.as_str(), ERASED, ERASED_TEXT],
            )?;
            feed::write(db, &Change::Conversation { id: conversation })?;
        }
    }
    for character in db.all("SELECT id FROM characters WHERE owner = ?1", me, |row| {
        Ok(CharacterId::trusted(Columns::of(row).text()?))
    })? {
        feed::write(db, &Change::Character { id: character })?;
    }
    gallery::clear_of(db, id)?;
    remove_characters(db, id)?;
    uploads::delete_all(db, id)?;
    db.run("DELETE FROM token_uses WHERE user = ?1", me)?;
    // Sessions and usage go with it.
    db.run("DELETE FROM users WHERE id = ?1", me)?;
    feed::write(db, &Change::User { id: id.clone(), username: user.username })?;
    Ok(true)
}

/// Conversations with a trace of somebody, deleted ones among them, and whether they are the owner: those they are in, and those they once said
/// something in. A message of a person has a `client_id`, by which the index finds it.
fn within(db: &Db, user: &UserId) -> Result<Vec<(i64, ConversationId, bool)>> {
    let sql = "SELECT c.key, c.id, c.owner = ?1 FROM all_conversations c
         WHERE EXISTS (SELECT 1 FROM members WHERE conversation = c.key AND user = ?1)
             OR EXISTS (SELECT 1 FROM messages m WHERE m.conversation = c.key AND m.sender = ?1 AND m.client_id IS NOT NULL)";
    db.all(sql, [user.as_str()], |row| {
        let mut columns = Columns::of(row);
        Ok((columns.int()?, ConversationId::trusted(columns.text()?), columns.flag()?))
    })
}

/// Those that nobody else talks with go. Public ones lose their owner. Of a private or deleted one that somebody else's
/// conversation names, its name and picture stay so that the conversation can be read.
fn remove_characters(db: &Db, owner: &UserId) -> Result<()> {
    let me = params![owner.as_str(), db.now.0];
    db.run(
        "DELETE FROM characters WHERE owner = ?1
             AND NOT EXISTS (SELECT 1 FROM all_conversations c WHERE c.character = characters.id)",
        [owner.as_str()],
    )?;
    db.run(
        "DELETE FROM character_tags WHERE character IN (
             SELECT key FROM characters WHERE owner = ?1 AND (visibility = 'private' OR deleted_at IS NOT NULL))",
        [owner.as_str()],
    )?;
    db.run(
        "UPDATE characters SET owner = NULL, deleted_at = coalesce(deleted_at, ?2), updated_at = ?2, revision = revision + 1,
             tags = '[]', search = '', description = '', personality = '', scenario = '', greeting = '',
             example_dialogue = '', system_prompt = '', details = NULL, card = NULL, creator = NULL
         WHERE owner = ?1 AND (visibility = 'private' OR deleted_at IS NOT NULL)",
        me,
    )?;
    db.run("UPDATE characters SET owner = NULL, updated_at = ?2, revision = revision + 1 WHERE owner = ?1", me)?;
    Ok(())
}
