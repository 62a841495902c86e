//! Personas, and who plays which of them where.

use super::SqliteStore;
use super::db::Db;
use super::rows::Columns;
use crate::persona::MAX_SPEAKERS;
use crate::text::plain;
use crate::{NewPersona, PersonaChange, PersonaChoice, Personas, Result, SavePersona};
use aim_domain::upload::media_url;
use aim_domain::{ConversationId, Persona, PersonaId, Speaker, UploadId, UserId};
use async_trait::async_trait;
use rusqlite::params;

const PERSONA: &str = "p.id, p.name, p.description, p.picture, p.is_default, p.revision, p.created_at, p.updated_at";

/// Which variant of an upload a persona is shown with.
const SHOWN: &str = "thumb";

/// None where the row has none.
fn maybe_persona(c: &mut Columns) -> rusqlite::Result<Option<Persona>> {
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

fn of_user(db: &Db, user: &UserId) -> Result<Vec<Persona>> {
    let sql = format!("SELECT {PERSONA} FROM personas p WHERE p.user = ?1 ORDER BY p.id");
    let all = db.all(&sql, [user.as_str()], |row| maybe_persona(&mut Columns::of(row)))?;
    Ok(all.into_iter().flatten().collect())
}

fn one(db: &Db, user: &UserId, id: &PersonaId) -> Result<Option<Persona>> {
    let sql = format!("SELECT {PERSONA} FROM personas p WHERE p.user = ?1 AND p.id = ?2");
    Ok(db.one(&sql, [user.as_str(), id.as_str()], |row| maybe_persona(&mut Columns::of(row)))?.flatten())
}

/// Whether it is a picture of this user's that can be shown, or is about to be.
fn is_picture(db: &Db, user: &UserId, picture: Option<&UploadId>) -> Result<bool> {
    let Some(picture) = picture else { return Ok(true) };
    let sql =
        "SELECT 1 FROM uploads WHERE id = ?1 AND owner = ?2 AND kind = 'image' AND status IN ('processing', 'ready')";
    Ok(db.one(sql, [picture.as_str(), user.as_str()], |_| Ok(()))?.is_some())
}

/// Makes room for another default one.
fn step_back(db: &Db, user: &UserId, but: &PersonaId) -> Result<()> {
    db.run(
        "UPDATE personas SET is_default = 0, revision = revision + 1, updated_at = ?3
         WHERE user = ?1 AND is_default = 1 AND id <> ?2",
        params![user.as_str(), but.as_str(), db.now.0],
    )
    .map(drop)
}

fn create(db: &Db, user: &UserId, new: &NewPersona, most: u32) -> Result<SavePersona> {
    if db.one("SELECT 1 FROM users WHERE id = ?1", [user.as_str()], |_| Ok(()))?.is_none() {
        return Ok(SavePersona::NotFound);
    }
    if db.number("SELECT count(*) FROM personas WHERE user = ?1", [user.as_str()])? >= i64::from(most) {
        return Ok(SavePersona::TooMany);
    }
    if !is_picture(db, user, new.picture.as_ref())? {
        return Ok(SavePersona::NoPicture);
    }
    if new.is_default {
        step_back(db, user, &new.id)?;
    }
    db.run(
        "INSERT INTO personas (id, user, name, description, picture, is_default, revision, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?7)",
        params![
            new.id.as_str(),
            user.as_str(),
            new.name,
            new.description,
            new.picture.as_ref().map(UploadId::as_str),
            new.is_default,
            db.now.0
        ],
    )?;
    Ok(one(db, user, &new.id)?.map_or(SavePersona::NotFound, SavePersona::Saved))
}

fn change(db: &Db, user: &UserId, id: &PersonaId, change: &PersonaChange) -> Result<SavePersona> {
    if one(db, user, id)?.is_none() {
        return Ok(SavePersona::NotFound);
    }
    let picture = change.picture.as_ref().map(Option::as_ref);
    if !is_picture(db, user, picture.flatten())? {
        return Ok(SavePersona::NoPicture);
    }
    if change.is_default == Some(true) {
        step_back(db, user, id)?;
    }
    db.run(
        "UPDATE personas SET name = coalesce(?3, name), description = coalesce(?4, description),
             picture = iif(?5, ?6, picture), is_default = coalesce(?7, is_default), revision = revision + 1,
             updated_at = ?8
         WHERE user = ?1 AND id = ?2",
        params![
            user.as_str(),
            id.as_str(),
            change.name,
            change.description,
            picture.is_some(),
            picture.flatten().map(UploadId::as_str),
            change.is_default,
            db.now.0
        ],
    )?;
    Ok(one(db, user, id)?.map_or(SavePersona::NotFound, SavePersona::Saved))
}

/// The key of a conversation, if `member` is in it.
fn within(db: &Db, conversation: &ConversationId, member: &UserId) -> Result<Option<i64>> {
    let sql =
        "SELECT c.key FROM conversations c JOIN members me ON me.conversation = c.key AND me.user = ?2 WHERE c.id = ?1";
    db.one(sql, [conversation.as_str(), member.as_str()], |row| row.get(0))
}

fn choice(db: &Db, conversation: &ConversationId, member: &UserId) -> Result<Option<PersonaChoice>> {
    let Some(key) = within(db, conversation, member)? else { return Ok(None) };
    let sql = format!(
        "SELECT {PERSONA} FROM persona_choices pc JOIN personas p ON p.id = pc.persona
         WHERE pc.conversation = ?1 AND pc.user = ?2"
    );
    let read = |row: &rusqlite::Row| maybe_persona(&mut Columns::of(row));
    let chosen = db.one(&sql, params![key, member.as_str()], read)?.flatten();
    if chosen.is_some() {
        return Ok(Some(PersonaChoice { speaks_as: chosen.clone(), chosen }));
    }
    let sql = format!("SELECT {PERSONA} FROM personas p WHERE p.user = ?1 AND p.is_default = 1");
    let speaks_as = db.one(&sql, [member.as_str()], read)?.flatten();
    Ok(Some(PersonaChoice { chosen: None, speaks_as }))
}

fn choose(db: &Db, conversation: &ConversationId, member: &UserId, persona: Option<&PersonaId>) -> Result<bool> {
    let Some(key) = within(db, conversation, member)? else { return Ok(false) };
    let Some(persona) = persona else {
        let back = "DELETE FROM persona_choices WHERE conversation = ?1 AND user = ?2";
        db.run(back, params![key, member.as_str()])?;
        return Ok(true);
    };
    let chosen = db.run(
        "INSERT INTO persona_choices (conversation, user, persona)
         SELECT ?1, user, id FROM personas WHERE id = ?3 AND user = ?2
         ON CONFLICT (conversation, user) DO UPDATE SET persona = excluded.persona",
        params![key, member.as_str(), persona.as_str()],
    )?;
    Ok(chosen == 1)
}

/// The persona that a member plays in a conversation, if any; none of one who has left.
pub(super) fn played(db: &Db, conversation: i64, user: &UserId) -> Result<Option<Persona>> {
    let sql = format!(
        "SELECT {PERSONA} FROM members me
         LEFT JOIN persona_choices pc ON pc.conversation = me.conversation AND pc.user = me.user
         JOIN personas p ON p.user = me.user AND p.id = coalesce(
             pc.persona, (SELECT d.id FROM personas d WHERE d.user = me.user AND d.is_default = 1))
         WHERE me.conversation = ?1 AND me.user = ?2"
    );
    let persona = db.one(&sql, params![conversation, user.as_str()], |row| maybe_persona(&mut Columns::of(row)))?;
    Ok(persona.flatten())
}

fn speakers(db: &Db, conversation: &ConversationId) -> Result<Vec<Speaker>> {
    let sql = format!(
        "SELECT me.user, u.display_name, {PERSONA}
         FROM members me JOIN users u ON u.id = me.user
         LEFT JOIN persona_choices pc ON pc.conversation = me.conversation AND pc.user = me.user
         LEFT JOIN personas p ON p.user = me.user AND p.id = coalesce(
             pc.persona, (SELECT d.id FROM personas d WHERE d.user = me.user AND d.is_default = 1))
         WHERE me.conversation = (SELECT key FROM conversations WHERE id = ?1)
         ORDER BY me.joined_at, me.user LIMIT ?2"
    );
    db.all(&sql, params![conversation.as_str(), MAX_SPEAKERS], |row| {
        let mut c = Columns::of(row);
        let (user, display_name) = (UserId::trusted(c.text()?), c.string()?);
        Ok(Speaker { user, display_name, persona: maybe_persona(&mut c)? })
    })
}

#[async_trait]
impl Personas for SqliteStore {
    async fn personas(&self, user: &UserId) -> Result<Vec<Persona>> {
        let user = user.clone();
        self.read(move |db| of_user(db, &user)).await
    }

    async fn create_persona(&self, user: &UserId, mut new: NewPersona, most: u32) -> Result<SavePersona> {
        let user = user.clone();
        (new.name, new.description) = (plain(&new.name).into_owned(), plain(&new.description).into_owned());
        self.write(move |db| create(db, &user, &new, most)).await
    }

    async fn change_persona(&self, user: &UserId, id: &PersonaId, mut with: PersonaChange) -> Result<SavePersona> {
        let (user, id) = (user.clone(), id.clone());
        with.name = with.name.map(|name| plain(&name).into_owned());
        with.description = with.description.map(|text| plain(&text).into_owned());
        self.write(move |db| change(db, &user, &id, &with)).await
    }

    async fn delete_persona(&self, user: &UserId, id: &PersonaId) -> Result<bool> {
        let (user, id) = (user.clone(), id.clone());
        let sql = "DELETE FROM personas WHERE user = ?1 AND id = ?2";
        self.write(move |db| Ok(db.run(sql, [user.as_str(), id.as_str()])? == 1)).await
    }

    async fn persona_choice(&self, conversation: &ConversationId, member: &UserId) -> Result<Option<PersonaChoice>> {
        let (conversation, member) = (conversation.clone(), member.clone());
        self.read(move |db| choice(db, &conversation, &member)).await
    }

    async fn choose_persona(
        &self,
        conversation: &ConversationId,
        member: &UserId,
        persona: Option<&PersonaId>,
    ) -> Result<bool> {
        let (conversation, member, persona) = (conversation.clone(), member.clone(), persona.cloned());
        self.write(move |db| choose(db, &conversation, &member, persona.as_ref())).await
    }

    async fn speakers(&self, conversation: &ConversationId) -> Result<Vec<Speaker>> {
        let conversation = conversation.clone();
        self.read(move |db| speakers(db, &conversation)).await
    }
}
