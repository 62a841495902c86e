//! Accounts.

use super::db::{Db, Postgres, Tried, sql};
use super::rows::{self, USER};
use super::{conversations, gallery, personal, safety, uploads};
use crate::personal::{ERASED, ERASED_TEXT};
use crate::text::plain;
use crate::{AccountChange, Change, CreateUser, Credentials, NewUser};
use aim_domain::{CharacterId, ConversationId, SessionId, Timestamp, TokenHash, User, UserId, Username};

pub(super) async fn create(pg: &Postgres, new: &NewUser) -> Tried<CreateUser> {
    let (email, display_name) = (plain(&new.email), plain(&new.display_name));
    let email_key = email.to_lowercase();
    let mut db = pg.begin().await?;
    let insert = sql("INSERT INTO users (id, email, email_key, username, display_name, tier, role, password_hash, created_at, version)
         VALUES ($2, $3, $4, $5, $6, $7, $8, $9, aim_now($1), 1) ON CONFLICT DO NOTHING RETURNING created_at")
    .bind(db.now)
    .bind(new.id.as_str())
    .bind(&*email)
    .bind(&email_key)
    .bind(new.username.as_str())
    .bind(&*display_name)
    .bind(new.tier.as_str())
    .bind(new.role.as_str())
    .bind(new.password_hash.as_deref());
    let Some(created_at) = db.one(insert, |c| c.time()).await? else {
        return taken(&mut db, new, &email_key).await;
    };
    // Another server may keep the name as one that nobody has.
    db.tell(&Change::User { id: new.id.clone(), username: new.username.to_string() })?;
    db.commit().await?;
    Ok(CreateUser::Created(User {
        id: new.id.clone(),
        username: new.username.to_string(),
        display_name: display_name.into_owned(),
        avatar_url: None,
        email: email.into_owned(),
        tier: new.tier,
        role: new.role,
        created_at,
        version: 1,
        erase_at: None,
    }))
}

async fn taken(db: &mut Db, new: &NewUser, email_key: &str) -> Tried<CreateUser> {
    let look =
        sql("SELECT EXISTS (SELECT 1 FROM users WHERE id = $1), EXISTS (SELECT 1 FROM users WHERE email_key = $2)")
            .bind(new.id.as_str())
            .bind(email_key);
    let found = db.one(look, |c| Ok((c.flag()?, c.flag()?))).await?;
    Ok(match found {
        Some((true, _)) => CreateUser::IdTaken,
        Some((_, true)) => CreateUser::EmailTaken,
        // What was in the way may be gone meanwhile; who tries again finds out.
        _ => CreateUser::UsernameTaken,
    })
}

pub(super) async fn user(db: &mut Db, id: &UserId) -> Tried<Option<User>> {
    db.one(sql(format!("SELECT {USER} FROM users u WHERE u.id = $1")).bind(id.as_str()), rows::user).await
}

pub(super) async fn by_username(db: &mut Db, username: &Username) -> Tried<Option<User>> {
    db.one(sql(format!("SELECT {USER} FROM users u WHERE u.username = $1")).bind(username.as_str()), rows::user).await
}

/// An email has an `@` and a username none, so at most one account answers to a login.
pub(super) async fn credentials(db: &mut Db, login: &str) -> Tried<Option<Credentials>> {
    let text = format!("SELECT {USER}, u.password_hash FROM users u WHERE u.email_key = $1 OR u.username = $1");
    let login = plain(login.trim()).to_lowercase();
    db.one(sql(text).bind(login), |c| Ok(Credentials { user: rows::user(c)?, password_hash: c.maybe_string()? })).await
}

pub(super) async fn change(pg: &Postgres, id: &UserId, change: &AccountChange) -> Tried<Option<User>> {
    let picture = change.avatar_url.as_ref().map(|picture| picture.as_deref().map(plain));
    let mut db = pg.begin().await?;
    if let Some(tier) = change.tier {
        let note = sql("INSERT INTO tier_changes (at, tier) SELECT aim_now($2), $3
             FROM (SELECT 1 FROM users WHERE id = $1 AND tier <> $3 FOR UPDATE) changed")
        .bind(id.as_str())
        .bind(db.now)
        .bind(tier.as_str());
        db.run(note).await?;
    }
    let update = sql(format!(
        "UPDATE users u SET display_name = coalesce($2, u.display_name),
             avatar_url = CASE WHEN $3 THEN $4 ELSE u.avatar_url END, tier = coalesce($5, u.tier),
             role = coalesce($6, u.role), password_hash = coalesce($7, u.password_hash), version = u.version + 1
         WHERE u.id = $1 RETURNING {USER}"
    ))
    .bind(id.as_str())
    .bind(change.display_name.as_deref().map(plain))
    .bind(picture.is_some())
    .bind(picture.flatten())
    .bind(change.tier.map(|tier| tier.as_str()))
    .bind(change.role.map(|role| role.as_str()))
    .bind(change.password_hash.as_deref());
    let Some(user) = db.one(update, rows::user).await? else { return Ok(None) };
    db.tell(&Change::User { id: id.clone(), username: user.username.clone() })?;
    db.commit().await?;
    Ok(Some(user))
}

pub(super) async fn delete(pg: &Postgres, id: &UserId) -> Tried<bool> {
    let mut db = pg.begin().await?;
    let me = id.as_str();
    // Nothing new is tied to the account while it goes.
    let lock = sql("SELECT username, aim_now($2) FROM users WHERE id = $1 FOR UPDATE").bind(me).bind(db.now);
    let Some((username, now)) = db.one(lock, |c| Ok((c.string()?, c.time()?))).await? else { return Ok(false) };

    // In the order in which they are locked, those of others too: messages under way come to their end first. Besides those
    // they are in, deleted ones among them, those they once said something in: a message of a person has a `client_id`, by which the index finds it.
    let lock = sql("SELECT c.key, c.id, c.owner_id = $1 FROM all_conversations c
         WHERE EXISTS (SELECT 1 FROM members me WHERE me.conversation = c.key AND me.user_id = $1)
             OR EXISTS (SELECT 1 FROM messages m WHERE m.conversation = c.key AND m.sender = $1 AND m.client_id IS NOT NULL)
         ORDER BY c.id FOR NO KEY UPDATE")
    .bind(me);
    let within = db.all(lock, |c| Ok((c.int()?, ConversationId::trusted(c.text()?), c.flag()?))).await?;

    safety::forget(&mut db, id).await?;
    let ended = sql("DELETE FROM sessions WHERE user_id = $1 RETURNING id, token_hash").bind(me);
    for (session, token) in
        db.all(ended, |c| Ok((SessionId::trusted(c.text()?), TokenHash::trusted(c.text()?)))).await?
    {
        db.tell(&Change::Session { token, id: session, user: id.clone() })?;
    }
    for (key, conversation, owned) in within {
        if owned {
            conversations::remove(&mut db, key, &conversation).await?;
        } else {
            let leave = sql("DELETE FROM members WHERE conversation = $1 AND user_id = $2").bind(key).bind(me);
            db.run(leave).await?;
            // What was answered to it repeats it, in every variant.
            let variants = sql("DELETE FROM variants WHERE conversation = $1 AND seq IN (
                     SELECT r.seq FROM messages r WHERE r.conversation = $1 AND r.role = 'character'
                         AND r.turn IN (SELECT m.seq FROM messages m WHERE m.conversation = $1 AND m.sender = $2))");
            db.run(variants.bind(key).bind(me)).await?;
            let answers = sql("UPDATE messages SET text = $3, personality = NULL, variants = NULL, selected = NULL
                 WHERE conversation = $1 AND role = 'character'
                 AND turn IN (SELECT m.seq FROM messages m WHERE m.conversation = $1 AND m.sender = $2)")
            .bind(key)
            .bind(me)
            .bind(ERASED_TEXT);
            db.run(answers).await?;
            let erase = sql("UPDATE messages SET sender = $3, text = $4, kind = 'text', media = NULL, client_id = NULL
                 WHERE conversation = $1 AND sender = $2")
            .bind(key)
            .bind(me)
            .bind(ERASED)
            .bind(ERASED_TEXT);
            db.run(erase).await?;
            db.tell(&Change::Conversation { id: conversation })?;
        }
    }
    personal::tell_all(&mut db, id).await?;
    let theirs = sql("SELECT id FROM characters WHERE owner_id = $1").bind(me);
    for character in db.all(theirs, |c| c.text().map(CharacterId::trusted)).await? {
        db.tell(&Change::Character { id: character })?;
    }
    gallery::clear_of(&mut db, id).await?;
    remove_characters(&mut db, id, now).await?;
    uploads::delete_all(&mut db, id).await?;
    db.run(sql("DELETE FROM usage WHERE user_id = $1").bind(me)).await?;
    db.run(sql("DELETE FROM token_uses WHERE user_id = $1").bind(me)).await?;
    db.run(sql("DELETE FROM users WHERE id = $1").bind(me)).await?;
    db.tell(&Change::User { id: id.clone(), username })?;
    db.commit().await?;
    Ok(true)
}

/// Those that nobody else talks with go. Public ones lose their owner. Of a private or deleted one that somebody else's
/// conversation names, its name and picture stay so that the conversation can be read.
async fn remove_characters(db: &mut Db, owner: &UserId, now: Timestamp) -> Tried<()> {
    let me = owner.as_str();
    db.run(
        sql("DELETE FROM characters ch WHERE ch.owner_id = $1
             AND NOT EXISTS (SELECT 1 FROM all_conversations c WHERE c.character_id = ch.id)")
        .bind(me),
    )
    .await?;
    db.run(
        sql("DELETE FROM character_tags WHERE character IN (
                 SELECT key FROM characters WHERE owner_id = $1 AND (visibility = 'private' OR deleted_at IS NOT NULL))")
        .bind(me),
    )
    .await?;
    db.run(
        sql("UPDATE characters SET owner_id = NULL, deleted_at = coalesce(deleted_at, $2), updated_at = $2,
                 revision = revision + 1, tags = '[]', search = '', description = '', personality = '', scenario = '',
                 greeting = '', example_dialogue = '', system_prompt = '', details = NULL, card = NULL, creator = NULL
             WHERE owner_id = $1 AND (visibility = 'private' OR deleted_at IS NOT NULL)")
        .bind(me)
        .bind(now.0),
    )
    .await?;
    db.run(
        sql("UPDATE characters SET owner_id = NULL, updated_at = $2, revision = revision + 1 WHERE owner_id = $1")
            .bind(me)
            .bind(now.0),
    )
    .await?;
    Ok(())
}
