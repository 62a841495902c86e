//! The world put into a store's tables, past the store: as many commands would take an hour.

use crate::world::{Message, PEOPLE, Sheet, World};
use aim_store::words::folded;
use rusqlite::functions::FunctionFlags;
use rusqlite::params;
use sqlx::Connection;

/// Blocked by one person, taken out of lists, and suspended: so that nobody's list is everything.
const SET_ASIDE: &str = "
    INSERT INTO blocks (blocker, blocked, created_at) SELECT 'user3', id, 0 FROM users ORDER BY id LIMIT 100;
    INSERT INTO unlisted_characters (character, at, reason) SELECT key, 0, '' FROM characters WHERE key % 199 = 0;
    UPDATE users SET suspended_until = 9223372036854775807 WHERE username LIKE 'user99_'";

pub fn sqlite(path: &std::path::Path, world: &World) {
    let mut db = rusqlite::Connection::open(path).unwrap();
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    db.create_scalar_function("aim_words", 1, flags, |context| {
        Ok(folded(context.get_raw(0).as_str_or_null()?.unwrap_or_default()))
    })
    .unwrap();
    db.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -200000").unwrap();
    let all = db.transaction().unwrap();
    for n in 0..=PEOPLE {
        let sql = "INSERT INTO users (id, email, email_key, username, display_name, tier, role, created_at, version)
             VALUES (?1, ?1, ?1, ?1, ?1, 'free', 'user', 0, 1)";
        all.prepare_cached(sql).unwrap().execute([format!("user{n}")]).unwrap();
    }
    for sheet in world.sheets() {
        let sql = "INSERT INTO characters (id, visibility, owner, conversations, revision, created_at, updated_at, name_key, name,
                 tags, search, description, personality, scenario, greeting, example_dialogue, system_prompt)
             VALUES (?1, ?2, ?3, ?4, 1, ?5, ?5, ?6, ?6, ?7, ?8, ?9, ?10, ?10, ?11, ?12, '')";
        let Sheet { id, visibility, owner, conversations, at, name, about, scenario, greeting, dialogue, .. } = &sheet;
        let (tags, search) = (sheet.tags(), sheet.search());
        all.prepare_cached(sql)
            .unwrap()
            .execute(params![
                id,
                visibility,
                owner,
                conversations,
                at,
                name,
                tags,
                search,
                about,
                scenario,
                greeting,
                dialogue
            ])
            .unwrap();
        for tag in &sheet.tags {
            let sql = "INSERT INTO character_tags (tag, character) SELECT ?2, key FROM characters WHERE id = ?1";
            all.prepare_cached(sql).unwrap().execute(params![id, tag]).unwrap();
        }
    }
    all.execute_batch(SET_ASIDE).unwrap();
    for n in 0..world.conversations() {
        let (owner, character) = (format!("user{}", world.owner(n)), format!("character{}", n % world.characters));
        let sql =
            "INSERT INTO all_conversations (key, id, owner, character, title, last_seq, due, created_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, 'x', ?5, 0, ?1, ?1)";
        all.prepare_cached(sql)
            .unwrap()
            .execute(params![n as i64 + 1, format!("c{n}"), owner, character, world.length(n) as i64])
            .unwrap();
        let sql = "INSERT INTO members (conversation, user, joined_at) VALUES (?1, ?2, 0)";
        all.prepare_cached(sql).unwrap().execute(params![n as i64 + 1, owner]).unwrap();
    }
    for Message { conversation, seq, text } in world.messages() {
        let sql = "INSERT INTO messages (conversation, seq, turn, id, role, sender, kind, text, created_at)
             VALUES (?1, ?2, ?2, ?3, 'user', 'x', 'text', ?4, ?2)";
        all.prepare_cached(sql)
            .unwrap()
            .execute(params![conversation, seq, format!("m{conversation}-{seq}"), text])
            .unwrap();
    }
    // What triggers noted; the store's own writer would do the same before its next commit.
    all.execute_batch(
        "INSERT INTO message_search (rowid, words) SELECT due.place, aim_words(m.text) FROM message_search_due due
             CROSS JOIN messages m ON m.conversation = due.place >> 32 AND m.seq = due.place & 4294967295
             ORDER BY due.place;
         DELETE FROM message_search_due;",
    )
    .unwrap();
    all.commit().unwrap();
    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
}

pub async fn postgres(url: &str, world: &World) {
    let mut db = sqlx::postgres::PgConnection::connect(url).await.unwrap();
    let db = &mut db;
    sqlx::raw_sql("SET synchronous_commit = off").execute(&mut *db).await.unwrap();
    sqlx::query(
        "INSERT INTO users (id, email, email_key, username, display_name, tier, role, created_at, version)
         SELECT 'user' || n, 'user' || n, 'user' || n, 'user' || n, 'x', 'free', 'user', 0, 1 FROM generate_series(0, $1) n",
    )
    .bind(PEOPLE as i64)
    .execute(&mut *db)
    .await
    .unwrap();
    for sheet in world.sheets() {
        let (tags, search) = (sheet.tags(), sheet.search());
        sqlx::query(
            "WITH made AS (INSERT INTO characters (id, visibility, owner_id, conversations, revision, created_at, updated_at,
                 name_key, name, tags, search, description, personality, scenario, greeting, example_dialogue, system_prompt)
             VALUES ($1, $2, $3, $4, 1, $5, $5, $6, $6, $7, $8, $9, $10, $10, $11, $12, '') RETURNING key)
             INSERT INTO character_tags (tag, character) SELECT t.tag, key FROM made, unnest($13::text[]) t (tag)",
        )
        .bind(sheet.id)
        .bind(sheet.visibility)
        .bind(sheet.owner)
        .bind(sheet.conversations)
        .bind(sheet.at)
        .bind(sheet.name)
        .bind(tags)
        .bind(search)
        .bind(sheet.about)
        .bind(sheet.scenario)
        .bind(sheet.greeting)
        .bind(sheet.dialogue)
        .bind(sheet.tags.into_iter().collect::<Vec<_>>())
        .execute(&mut *db)
        .await
        .unwrap();
    }
    sqlx::raw_sql(SET_ASIDE).execute(&mut *db).await.unwrap();
    for n in 0..world.conversations() {
        sqlx::query(
            "WITH made AS (INSERT INTO all_conversations (key, id, owner_id, character_id, title, last_seq, due, created_at, updated_at)
             OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3, $4, 'x', $5, 0, $1, $1) RETURNING key, owner_id)
             INSERT INTO members (conversation, user_id, joined_at) SELECT key, owner_id, 0 FROM made",
        )
        .bind(n as i64 + 1)
        .bind(format!("c{n}"))
        .bind(format!("user{}", world.owner(n)))
        .bind(format!("character{}", n % world.characters))
        .bind(world.length(n) as i64)
        .execute(&mut *db)
        .await
        .unwrap();
    }
    let (mut conversations, mut seqs, mut texts) = (Vec::new(), Vec::new(), Vec::new());
    let mut messages = world.messages().peekable();
    while let Some(Message { conversation, seq, text }) = messages.next() {
        conversations.push(conversation);
        seqs.push(seq);
        texts.push(text);
        if texts.len() == 5_000 || messages.peek().is_none() {
            sqlx::query(
                "INSERT INTO messages (conversation, seq, turn, id, role, sender, kind, text, created_at)
                 SELECT c, s, s, 'm' || c || '-' || s, 'user', 'x', 'text', t, s
                 FROM unnest($1::bigint[], $2::bigint[], $3::text[]) m (c, s, t)",
            )
            .bind(std::mem::take(&mut conversations))
            .bind(std::mem::take(&mut seqs))
            .bind(std::mem::take(&mut texts))
            .execute(&mut *db)
            .await
            .unwrap();
        }
    }
    sqlx::raw_sql("VACUUM ANALYZE").execute(&mut *db).await.unwrap();
}
