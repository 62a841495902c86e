//! Personas, and who plays which of them where.

use super::db::{Again, Db, Postgres, Tried, sql};
use super::rows::Columns;
use super::{PostgresStore, again, ask, once};
use crate::persona::MAX_SPEAKERS;
use crate::text::plain;
use crate::{NewPersona, PersonaChange, PersonaChoice, Personas, Result, SavePersona};
use aim_domain::upload::media_url;
use aim_domain::{ConversationId, Persona, PersonaId, Speaker, UploadId, UserId};
use async_trait::async_trait;

pub(super) const PERSONA: &str =
    "p.id, p.name, p.description, p.picture, p.is_default, p.revision, p.created_at, p.updated_at";

/// Which variant of an upload a persona is shown with.
const SHOWN: &str = "thumb";

/// None where the row has none.
pub(super) fn maybe_persona(c: &mut Columns) -> Tried<Option<Persona>> {
    let Some(id) = c.maybe_text()? else { return Ok(None) };
    Ok(Some(Persona {
        id: PersonaId::trusted(id),
        name: c.string()?,
        description: c.string()?,
        avatar_url: c.maybe_text()?.map(|picture| media_url(&UploadId::trusted(picture), SHOWN)),
        is_default: c.flag()?,
        revision: c.int()?,
        created_at: c.time()?,
        updated_at: c.time()?,
    }))
}

async fn of_user(db: &mut Db, user: &UserId) -> Tried<Vec<Persona>> {
    let read = sql(format!("SELECT {PERSONA} FROM personas p WHERE p.user_id = $1 ORDER BY p.id")).bind(user.as_str());
    Ok(db.all(read, maybe_persona).await?.into_iter().flatten().collect())
}

/// Those of one user change one after the other, so that they are counted and one is the default; the time. None: no such user.
async fn lock(db: &mut Db, user: &UserId) -> Tried<Option<i64>> {
    let lock = sql("SELECT aim_now($2) FROM users WHERE id = $1 FOR NO KEY UPDATE").bind(user.as_str()).bind(db.now);
    db.one(lock, |c| c.int()).await
}

/// Whether it is a picture of this user's that can be shown, or is about to be. It stays until the commit.
async fn is_picture(db: &mut Db, user: &UserId, picture: Option<&UploadId>) -> Tried<bool> {
    let Some(picture) = picture else { return Ok(true) };
    let read = sql("SELECT id FROM uploads WHERE id = $1 AND owner_id = $2 AND kind = 'image'
         AND status IN ('processing', 'ready') FOR NO KEY UPDATE")
    .bind(picture.as_str())
    .bind(user.as_str());
    Ok(db.one(read, |c| c.text().map(drop)).await?.is_some())
}

/// Makes room for another default one.
async fn step_back(db: &mut Db, user: &UserId, but: &PersonaId, now: i64) -> Tried<()> {
    let back = sql("UPDATE personas SET is_default = false, revision = revision + 1, updated_at = $3
         WHERE user_id = $1 AND is_default AND id <> $2")
    .bind(user.as_str())
    .bind(but.as_str())
    .bind(now);
    db.run(back).await.map(drop)
}

async fn create(pg: &Postgres, user: &UserId, new: &NewPersona, most: u32) -> Tried<SavePersona> {
    let mut db = pg.begin().await?;
    let Some(now) = lock(&mut db, user).await? else { return Ok(SavePersona::NotFound) };
    let count = sql("SELECT count(*) FROM personas WHERE user_id = $1").bind(user.as_str());
    if db.number(count).await? >= i64::from(most) {
        return Ok(SavePersona::TooMany);
    }
    if !is_picture(&mut db, user, new.picture.as_ref()).await? {
        return Ok(SavePersona::NoPicture);
    }
    if new.is_default {
        step_back(&mut db, user, &new.id, now).await?;
    }
    let insert = sql(format!(
        "INSERT INTO personas AS p (id, user_id, name, description, picture, is_default, revision, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $7) RETURNING {PERSONA}"
    ))
    .bind(new.id.as_str())
    .bind(user.as_str())
    .bind(plain(&new.name))
    .bind(plain(&new.description))
    .bind(new.picture.as_ref().map(UploadId::as_str))
    .bind(new.is_default)
    .bind(now);
    let made = db.one(insert, maybe_persona).await?.flatten();
    db.commit().await?;
    Ok(made.map_or(SavePersona::NotFound, SavePersona::Saved))
}

async fn change(pg: &Postgres, user: &UserId, id: &PersonaId, change: &PersonaChange) -> Tried<SavePersona> {
    let mut db = pg.begin().await?;
    let Some(now) = lock(&mut db, user).await? else { return Ok(SavePersona::NotFound) };
    let there = sql("SELECT id FROM personas WHERE user_id = $1 AND id = $2").bind(user.as_str()).bind(id.as_str());
    if db.one(there, |c| c.text().map(drop)).await?.is_none() {
        return Ok(SavePersona::NotFound);
    }
    let picture = change.picture.as_ref().map(Option::as_ref);
    if !is_picture(&mut db, user, picture.flatten()).await? {
        return Ok(SavePersona::NoPicture);
    }
    if change.is_default == Some(true) {
        step_back(&mut db, user, id, now).await?;
    }
    let update = sql(format!(
        "UPDATE personas p SET name = coalesce($3, p.name), description = coalesce($4, p.description),
             picture = CASE WHEN $5 THEN $6 ELSE p.picture END, is_default = coalesce($7, p.is_default),
             revision = p.revision + 1, updated_at = $8
         WHERE p.user_id = $1 AND p.id = $2 RETURNING {PERSONA}"
    ))
    .bind(user.as_str())
    .bind(id.as_str())
    .bind(change.name.as_deref().map(plain))
    .bind(change.description.as_deref().map(plain))
    .bind(picture.is_some())
    .bind(picture.flatten().map(UploadId::as_str))
    .bind(change.is_default)
    .bind(now);
    let changed = db.one(update, maybe_persona).await?.flatten();
    db.commit().await?;
    Ok(changed.map_or(SavePersona::NotFound, SavePersona::Saved))
}

async fn delete(pg: &Postgres, user: &UserId, id: &PersonaId) -> Tried<bool> {
    let delete = sql("DELETE FROM personas WHERE user_id = $1 AND id = $2").bind(user.as_str()).bind(id.as_str());
    Ok(pg.take().await?.run(delete).await? == 1)
}

async fn choice(db: &mut Db, conversation: &ConversationId, member: &UserId) -> Tried<Option<PersonaChoice>> {
    let read = sql(format!(
        "SELECT pc.persona IS NOT NULL, {PERSONA}
         FROM conversations c JOIN members me ON me.conversation = c.key AND me.user_id = $2
         LEFT JOIN persona_choices pc ON pc.conversation = c.key AND pc.user_id = $2
         LEFT JOIN personas p ON p.user_id = $2 AND CASE WHEN pc.persona IS NULL THEN p.is_default ELSE p.id = pc.persona END
         WHERE c.id = $1"
    ))
    .bind(conversation.as_str())
    .bind(member.as_str());
    let found = db.one(read, |c| Ok((c.flag()?, maybe_persona(c)?))).await?;
    Ok(found.map(|(chosen, speaks_as)| PersonaChoice { chosen: speaks_as.clone().filter(|_| chosen), speaks_as }))
}

async fn choose(
    pg: &Postgres,
    conversation: &ConversationId,
    member: &UserId,
    persona: Option<&PersonaId>,
) -> Tried<bool> {
    let mut db = pg.begin().await?;
    // Who leaves meanwhile waits, or has left.
    let within = sql("SELECT c.key FROM conversations c JOIN members me ON me.conversation = c.key AND me.user_id = $2
         WHERE c.id = $1 FOR SHARE OF me")
    .bind(conversation.as_str())
    .bind(member.as_str());
    let Some(key) = db.one(within, |c| c.int()).await? else { return Ok(false) };
    let chosen = match persona {
        None => {
            let back = sql("DELETE FROM persona_choices WHERE conversation = $1 AND user_id = $2");
            db.run(back.bind(key).bind(member.as_str())).await?;
            true
        }
        Some(persona) => {
            let choose = sql("INSERT INTO persona_choices (conversation, user_id, persona)
                 SELECT $1, user_id, id FROM personas WHERE id = $3 AND user_id = $2 FOR KEY SHARE
                 ON CONFLICT (conversation, user_id) DO UPDATE SET persona = excluded.persona");
            db.run(choose.bind(key).bind(member.as_str()).bind(persona.as_str())).await? == 1
        }
    };
    db.commit().await?;
    Ok(chosen)
}

async fn speakers(db: &mut Db, conversation: &ConversationId) -> Tried<Vec<Speaker>> {
    let read = sql(format!(
        "SELECT me.user_id, u.display_name, {PERSONA}
         FROM members me JOIN users u ON u.id = me.user_id
         LEFT JOIN persona_choices pc ON pc.conversation = me.conversation AND pc.user_id = me.user_id
         LEFT JOIN personas p ON p.user_id = me.user_id
             AND CASE WHEN pc.persona IS NULL THEN p.is_default ELSE p.id = pc.persona END
         WHERE me.conversation = (SELECT key FROM conversations WHERE id = $1)
         ORDER BY me.joined_at, me.user_id LIMIT $2"
    ))
    .bind(conversation.as_str())
    .bind(i64::from(MAX_SPEAKERS));
    db.all(read, |c| {
        let (user, display_name) = (UserId::trusted(c.text()?), c.string()?);
        Ok(Speaker { user, display_name, persona: maybe_persona(c)? })
    })
    .await
}

#[async_trait]
impl Personas for PostgresStore {
    async fn personas(&self, user: &UserId) -> Result<Vec<Persona>> {
        ask!(self, of_user, user)
    }

    async fn create_persona(&self, user: &UserId, new: NewPersona, most: u32) -> Result<SavePersona> {
        once!(self, create, user, &new, most)
    }

    async fn change_persona(&self, user: &UserId, id: &PersonaId, with: PersonaChange) -> Result<SavePersona> {
        once!(self, change, user, id, &with)
    }

    async fn delete_persona(&self, user: &UserId, id: &PersonaId) -> Result<bool> {
        once!(self, delete, user, id)
    }

    async fn persona_choice(&self, conversation: &ConversationId, member: &UserId) -> Result<Option<PersonaChoice>> {
        ask!(self, choice, conversation, member)
    }

    async fn choose_persona(
        &self,
        conversation: &ConversationId,
        member: &UserId,
        persona: Option<&PersonaId>,
    ) -> Result<bool> {
        again!(self, choose, conversation, member, persona)
    }

    async fn speakers(&self, conversation: &ConversationId) -> Result<Vec<Speaker>> {
        ask!(self, speakers, conversation)
    }
}
