//! A conversation that was held elsewhere. As of a branch, its row says how far it was copied, so that reports count none of it.

use super::SqliteStore;
use super::db::Db;
use super::rows::int;
use super::{conversations, feed, messages};
use crate::{Change, ConversationItem, ImportConversation, Importing, Result, StoreError};
use async_trait::async_trait;
use rusqlite::params;

fn import(db: &Db, ask: &ImportConversation) -> Result<ConversationItem> {
    if let Some(item) = conversations::get(db, &ask.id, &ask.owner)? {
        return Ok(item);
    }
    let key = conversations::create(db, &ask.opening())?;
    for one in &ask.said {
        let message = &one.message;
        if !messages::insert(db, key, one.turn(), message)? {
            return Err(StoreError::Failed("an imported message was not stored".into()));
        }
        let Some(variants) = message.variants else { continue };
        db.run(
            "UPDATE messages SET variants = ?3, selected = ?4 WHERE conversation = ?1 AND seq = ?2",
            params![key, int(message.seq), variants.count, variants.selected],
        )?;
        for (number, text) in (0_u32..).zip(&one.variants) {
            db.run(
                "INSERT INTO variants (conversation, seq, number, text) VALUES (?1, ?2, ?3, ?4)",
                params![key, int(message.seq), number, text],
            )?;
        }
    }
    let last = i64::try_from(ask.said.len()).unwrap_or(i64::MAX);
    db.run("UPDATE all_conversations SET last_seq = ?2, branch_seq = ?2 WHERE key = ?1", [key, last])?;
    db.run("UPDATE members SET read_seq = ?2 WHERE conversation = ?1", [key, last])?;
    feed::write(db, &Change::Conversation { id: ask.id.clone() })?;
    let item = conversations::get(db, &ask.id, &ask.owner)?;
    item.ok_or_else(|| StoreError::Failed("a conversation that was just imported is not there".into()))
}

#[async_trait]
impl Importing for SqliteStore {
    async fn import_conversation(&self, ask: ImportConversation) -> Result<ConversationItem> {
        self.write(move |db| import(db, &ask)).await
    }
}
