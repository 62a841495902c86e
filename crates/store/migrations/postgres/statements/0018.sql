DELETE FROM all_conversations WHERE key = $1
;
DELETE FROM blocks WHERE blocker = $1 AND blocked = $2
;
DELETE FROM cases WHERE (id) IN (SELECT id FROM cases WHERE closed_at IS NOT NULL AND closed_at < (SELECT aim_now($1) - $2)
                 ORDER BY closed_at LIMIT $3 FOR UPDATE SKIP LOCKED)
;
DELETE FROM cases WHERE author = $1 OR (kind = $2
         AND (reporter = $1 OR conversation IN (SELECT id FROM all_conversations WHERE owner_id = $1)
             OR EXISTS (SELECT $3 FROM messages r JOIN messages q ON q.conversation = r.conversation AND q.seq = r.turn
                 WHERE r.id = cases.target AND q.sender = $1)))
;
DELETE FROM changes WHERE (id) IN (SELECT id FROM changes WHERE $4 AND at < (SELECT aim_now($1) - $2)
                 ORDER BY at LIMIT $3 FOR UPDATE SKIP LOCKED)
;
DELETE FROM character_tags WHERE character = (SELECT key FROM characters WHERE id = $1)
;
DELETE FROM character_tags WHERE character IN (
                 SELECT key FROM characters WHERE owner_id = $1 AND (visibility = $2 OR deleted_at IS NOT NULL))
;
DELETE FROM characters ch WHERE ch.owner_id = $1
             AND NOT EXISTS (SELECT $2 FROM all_conversations c WHERE c.character_id = ch.id)
;
DELETE FROM claims WHERE conversation = $1 AND seq = ANY($2)
;
DELETE FROM claims WHERE conversation = $1 RETURNING fence
;
DELETE FROM claims WHERE holder = $1 AND NOT stopping
;
DELETE FROM claims cl USING messages m
         WHERE cl.conversation = $1 AND cl.fence = $2 AND m.conversation = $1 AND m.seq = cl.seq AND m.id = $3
         RETURNING cl.seq, cl.stopping
;
DELETE FROM claims cl WHERE cl.conversation = $1 AND ($2::text IS NULL OR EXISTS (
             SELECT $3 FROM messages m WHERE m.conversation = $1 AND m.seq = cl.seq AND m.sender = $2))
;
DELETE FROM confirmed_addresses WHERE user_id = $1
;
DELETE FROM drafts WHERE (user_id, key) IN (SELECT user_id, key FROM drafts WHERE $4 AND expires_at < (SELECT aim_now($1) - $2)
                 ORDER BY expires_at LIMIT $3 FOR UPDATE SKIP LOCKED)
;
DELETE FROM drafts WHERE user_id = $1 AND key = $2
;
DELETE FROM gallery WHERE character = $1 AND upload = $2
;
DELETE FROM gallery WHERE character = (SELECT key FROM characters WHERE id = $1)
;
DELETE FROM gallery WHERE upload = $1
;
DELETE FROM invites WHERE (id) IN (SELECT id FROM invites WHERE $4 AND expires_at < (SELECT aim_now($1) - $2)
                 ORDER BY expires_at LIMIT $3 FOR UPDATE SKIP LOCKED)
;
DELETE FROM invites WHERE id = $1 AND conversation = $2
;
DELETE FROM mails WHERE (id) IN (SELECT id FROM mails WHERE ended_at IS NOT NULL AND ended_at < (SELECT aim_now($1) - $2)
                 ORDER BY ended_at LIMIT $3 FOR UPDATE SKIP LOCKED)
;
DELETE FROM mails WHERE user_id = $1 AND state = $2 AND kind NOT IN ($3, $4)
;
DELETE FROM members WHERE conversation = $1 AND user_id = $2
;
DELETE FROM messages WHERE conversation = $1
;
DELETE FROM messages WHERE conversation = $1 AND seq >= $2 RETURNING id
;
DELETE FROM one_time_tokens WHERE (hash) IN (SELECT hash FROM one_time_tokens WHERE $4 AND expires_at < (SELECT aim_now($1) - $2)
                 ORDER BY expires_at LIMIT $3 FOR UPDATE SKIP LOCKED)
;
DELETE FROM one_time_tokens WHERE user_id = $1
;
DELETE FROM persona_choices WHERE conversation = $1 AND user_id = $2
;
DELETE FROM personas WHERE user_id = $1 AND id = $2
;
DELETE FROM removals WHERE conversation = $1 AND user_id = $2
;
DELETE FROM reports WHERE (period, start) IN (SELECT period, start FROM reports WHERE period = $4 AND start < (SELECT aim_now($1) - $2)
                 ORDER BY start LIMIT $3 FOR UPDATE SKIP LOCKED)
;
DELETE FROM resumables WHERE id = $1
;
DELETE FROM resumables WHERE id = $1 RETURNING owner_id
;
DELETE FROM samples WHERE (at, server) IN (SELECT at, server FROM samples WHERE $4 AND at < (SELECT aim_now($1) - $2)
                 ORDER BY at LIMIT $3 FOR UPDATE SKIP LOCKED)
;
DELETE FROM servers WHERE (id) IN (SELECT id FROM servers WHERE $4 AND lease_until < (SELECT aim_now($1) - $2)
                 ORDER BY lease_until LIMIT $3 FOR UPDATE SKIP LOCKED)
;
DELETE FROM sessions WHERE (token_hash) IN (SELECT token_hash FROM sessions WHERE $4 AND expires_at < (SELECT aim_now($1) - $2)
                 ORDER BY expires_at LIMIT $3 FOR UPDATE SKIP LOCKED)
;
DELETE FROM sessions WHERE user_id = $1 AND id = $2 RETURNING id, token_hash
;
DELETE FROM sessions WHERE user_id = $1 AND id IS DISTINCT FROM $2 RETURNING id, token_hash
;
DELETE FROM sessions WHERE user_id = $1 RETURNING id, token_hash
;
DELETE FROM sign_in_attempts WHERE (subject, seq) IN (SELECT subject, seq FROM sign_in_attempts WHERE $4 AND at < (SELECT aim_now($1) - $2)
                 ORDER BY at LIMIT $3 FOR UPDATE SKIP LOCKED)
;
DELETE FROM sign_in_blocks WHERE (subject) IN (SELECT subject FROM sign_in_blocks WHERE $4 AND blocked_until < (SELECT aim_now($1) - $2)
                 ORDER BY blocked_until LIMIT $3 FOR UPDATE SKIP LOCKED)
;
DELETE FROM token_uses WHERE user_id = $1
;
DELETE FROM unlisted_characters WHERE character = $1
;
DELETE FROM unwanted_notices WHERE user_id = $1 AND notice = $2
;
DELETE FROM usage WHERE user_id = $1
;
DELETE FROM users WHERE id = $1
;
DELETE FROM variants WHERE conversation = $1
;
DELETE FROM variants WHERE conversation = $1 AND seq >= $2
;
DELETE FROM variants WHERE conversation = $1 AND seq IN (
                     SELECT r.seq FROM messages r WHERE r.conversation = $1 AND r.role = $3
                         AND r.turn IN (SELECT m.seq FROM messages m WHERE m.conversation = $1 AND m.sender = $2))
;
INSERT INTO all_conversations (id, owner_id, character_id, title, last_seq, due, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $7, $6, $6) 
         ON CONFLICT (owner_id, character_id) WHERE main AND deleted_at IS NULL DO NOTHING RETURNING key
;
INSERT INTO all_conversations (id, owner_id, character_id, title, last_seq, due, created_at, updated_at,
             main, branch_of, branch_seq) VALUES ($1, $2, $3, $4, $5, $8, $6, $6, $9, $7, $5) RETURNING key
;
INSERT INTO blocks (blocker, blocked, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
;
INSERT INTO cases (id, reporter, kind, target, conversation, author, wrong, note, snapshot, state, created_at,
             character)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $12, $10, $11)
;
INSERT INTO character_tags (tag, character)
         SELECT DISTINCT t.tag, ch.key FROM unnest($2) t (tag), characters ch WHERE ch.id = $1
;
INSERT INTO character_words (character, words)
    SELECT ch.key, aim_character_words(ch.name, ch.tags || $1 || ch.description) FROM characters ch
    ON CONFLICT DO NOTHING
;
INSERT INTO characters (id, visibility, revision, updated_at, name_key, name, avatar_url, tags,
             search, description, personality, scenario, greeting, example_dialogue, system_prompt, details, creator, owner_id, created_at, card)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20) ON CONFLICT (id) DO NOTHING
;
INSERT INTO confirmed_addresses (user_id, email_key, confirmed_at)
         SELECT u.id, u.email_key, aim_now($3) FROM users u WHERE u.id = $1 AND u.email_key = $2
         ON CONFLICT (user_id) DO UPDATE SET email_key = excluded.email_key, confirmed_at = excluded.confirmed_at
;
INSERT INTO deeds (id, at, operator, action, target_kind, target, reason, until)
         VALUES ($2, aim_now($1), $3, $4, $5, $6, $7, $8)
;
INSERT INTO drafts AS d (user_id, key, body, saved_at, expires_at, version) VALUES ($1, $2, $3, $4, $5, $4)
         ON CONFLICT (user_id, key) DO UPDATE SET body = excluded.body, saved_at = excluded.saved_at,
             expires_at = excluded.expires_at, version = greatest(d.version + $6, excluded.version)
         RETURNING saved_at, expires_at, version
;
INSERT INTO feed VALUES ($1)
;
INSERT INTO gallery (character, upload, position, caption, expression, created_at)
         SELECT $1, $3, coalesce(max(position), $6) + $7, $4, $5, aim_now($2) FROM gallery WHERE character = $1
         ON CONFLICT DO NOTHING
;
INSERT INTO invite_uses (invite, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING
;
INSERT INTO invites AS i (id, token_hash, conversation, created_at, expires_at, max_uses)
         SELECT $1, $3, $4, clock.now, clock.now + $5, $6 FROM (SELECT aim_now($2) AS now) clock RETURNING i.id, i.created_at, i.expires_at, i.uses, i.max_uses
;
INSERT INTO mails AS m (id, occasion, user_id, address, kind, data, state, attempt, not_before, created_at)
         SELECT $1, $2, u.id, $4, $5, $6, $9, $10, clock.now + $7, clock.now
             FROM users u, (SELECT aim_now($8) AS now) clock WHERE u.id = $3
         ON CONFLICT (occasion) DO UPDATE SET state = $11, attempt = m.attempt + $12, data = excluded.data, holder = $13,
             not_before = excluded.not_before, ended_at = $14, reason = $15 WHERE m.state = $16
         RETURNING m.id, m.kind, m.attempt
;
INSERT INTO members (conversation, user_id, joined_at, read_seq)
         SELECT key, $2, $3, last_seq FROM all_conversations WHERE key = $1 ON CONFLICT DO NOTHING
;
INSERT INTO messages (conversation, seq, turn, id, role, sender, kind, text, created_at)
             VALUES ($1, $6, $7, $2, $8, $3, $9, $4, $5)
;
INSERT INTO messages (conversation, seq, turn, id, role, sender, kind, text, media, in_reply_to, client_id, created_at,
             reply_state, personality)
         SELECT $1, m.seq, m.turn, substr(m.id, $5, $6) || lpad(to_hex(m.seq / $7), $8, $9) || $10 || lpad(to_hex(m.seq % $11), $12, $13) || $14 || substr($2, $15, $16), m.role, m.sender, m.kind, m.text, m.media,
             CASE WHEN m.in_reply_to IS NOT NULL THEN substr(q.id, $17, $18) || lpad(to_hex(q.seq / $19), $20, $21) || $22 || lpad(to_hex(q.seq % $23), $24, $25) || $26 || substr($2, $27, $28) END, m.client_id, m.created_at,
             CASE WHEN m.reply_state NOT IN ($29, $30) THEN m.reply_state
                 WHEN EXISTS (SELECT $31 FROM messages r WHERE r.conversation = m.conversation AND r.turn = m.seq
                     AND r.seq > m.seq AND r.seq <= $4 AND r.reply_state IS NULL) THEN $32
                 WHEN m.reply_state IS NOT NULL THEN $33 END,
             m.personality
         FROM messages m LEFT JOIN messages q ON q.conversation = m.conversation AND q.seq = m.turn
         WHERE m.conversation = $3 AND m.seq <= $4 ORDER BY m.seq
;
INSERT INTO one_time_tokens (hash, user_id, address, purpose, expires_at)
             VALUES ($1, $2, $3, $4, aim_now($6) + $5)
;
INSERT INTO persona_choices (conversation, user_id, persona)
                 SELECT $1, user_id, id FROM personas WHERE id = $3 AND user_id = $2 FOR KEY SHARE
                 ON CONFLICT (conversation, user_id) DO UPDATE SET persona = excluded.persona
;
INSERT INTO personas AS p (id, user_id, name, description, picture, is_default, revision, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $8, $7, $7) RETURNING p.id, p.name, p.description, p.picture, p.is_default, p.revision, p.created_at, p.updated_at
;
INSERT INTO preferences (user_id, body, version) SELECT id, $2, $3 FROM users WHERE id = $1
         ON CONFLICT (user_id) DO UPDATE SET body = excluded.body, version = preferences.version + $4
         RETURNING version
;
INSERT INTO presence (user_id, seen_at, open_until)
         SELECT u.id, clock.now, clock.now + CASE WHEN s.here THEN $3 ELSE $5 END
         FROM unnest($1::text[], $2::boolean[]) AS s (id, here) JOIN users u ON u.id = s.id,
             (SELECT aim_now($4) AS now) clock
         ORDER BY u.id
         ON CONFLICT (user_id) DO UPDATE SET seen_at = excluded.seen_at, open_until = excluded.open_until
;
INSERT INTO removals (conversation, user_id, at) VALUES ($1, $2, $3)
             ON CONFLICT (conversation, user_id) DO UPDATE SET at = excluded.at
;
INSERT INTO reports (period, start, body) VALUES ($1, $2, $3)
         ON CONFLICT (period, start) DO UPDATE SET body = excluded.body
;
INSERT INTO resumables (id, owner_id, length, created_at)
         SELECT $1, $3, $4, aim_now($2) WHERE (SELECT count(*) FROM resumables WHERE owner_id = $3) < $5
         ON CONFLICT (id) DO NOTHING
;
INSERT INTO samples (at, server, body) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
;
INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING
;
INSERT INTO servers AS s (id, lease_until, serves) SELECT $1, clock.now + $3, $4 FROM (SELECT aim_now($2) AS now) clock
         ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until WHERE s.lease_until > excluded.lease_until - $3
;
INSERT INTO sessions (id, user_id, token_hash, device, created_at, last_used_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING
;
INSERT INTO tier_changes (at, tier) SELECT aim_now($2), $3
             FROM (SELECT $4 FROM users WHERE id = $1 AND tier <> $3 FOR UPDATE) changed
;
INSERT INTO unlisted_characters (character, at, reason) VALUES ($1, $2, $3)
             ON CONFLICT (character) DO UPDATE SET at = excluded.at, reason = excluded.reason
;
INSERT INTO unwanted_notices (user_id, notice) SELECT u.id, $2 FROM users u WHERE u.id = $1
             ON CONFLICT (user_id, notice) DO NOTHING
;
INSERT INTO uploads (id, owner_id, kind, status, mime_type, size, created_at)
         VALUES ($1, $3, $4, $7, $5, $6, aim_now($2)) ON CONFLICT (id) DO NOTHING
;
INSERT INTO users (id, email, email_key, username, display_name, tier, role, password_hash, created_at, version)
         VALUES ($2, $3, $4, $5, $6, $7, $8, $9, aim_now($1), $10) ON CONFLICT DO NOTHING RETURNING created_at
;
SELECT $2::bigint FROM users WHERE id = $1 AND erase_at IS NULL FOR KEY SHARE
;
SELECT $2::bigint FROM users WHERE id = $1 FOR KEY SHARE
;
SELECT $2::bigint FROM users WHERE id = $1 FOR NO KEY UPDATE
;
SELECT $3 FROM uploads
         WHERE id = $1 AND owner_id = $2 AND kind = $4 AND status IN ($5, $6) FOR SHARE
;
SELECT $3::bigint FROM blocks WHERE blocker = $1 AND blocked = $2
;
SELECT $3::bigint FROM members WHERE conversation = $1 AND user_id = $2
;
SELECT (SELECT count(*) FROM uploads WHERE status = $3),
             (SELECT count(*) FROM resumables r WHERE r.created_at < (SELECT aim_now($1) - $2) OR r.owner_id = $4)
;
SELECT * FROM aim_commit_reply($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
;
SELECT EXISTS (SELECT $1 FROM pg_class WHERE relname = $2 AND pg_table_is_visible(oid))
;
SELECT EXISTS (SELECT $3 FROM servers s WHERE s.id = $1 AND s.lease_until > aim_now($2))
;
SELECT EXISTS (SELECT $3 FROM users WHERE id = $1), EXISTS (SELECT $4 FROM users WHERE email_key = $2)
;
SELECT EXISTS (SELECT $4 FROM conversations WHERE owner_id = $1 AND character_id = $2)
         OR ($3 AND EXISTS (SELECT $5 FROM members me JOIN conversations c ON c.key = me.conversation
             WHERE me.user_id = $1 AND c.character_id = $2))
;
SELECT aim_add_tokens(aim_now($1), $2, $3, $4, $5, $6)
;
SELECT aim_now($2) FROM users WHERE id = $1 FOR NO KEY UPDATE
;
SELECT aim_now($3), u.text, u.audio, u.image, u.since, u.version FROM usage u WHERE u.user_id = $1 AND u.character_id = $2
;
SELECT aim_tell($1, $2)
;
SELECT asked.id FROM unnest($1::text[]) asked(id)
         WHERE $2 AND NOT EXISTS (SELECT $3 FROM resumables WHERE id = asked.id)
;
SELECT asked.id FROM unnest($1::text[]) asked(id)
         WHERE NOT EXISTS (SELECT $2 FROM uploads WHERE id = asked.id) AND NOT EXISTS (SELECT $3 FROM resumables WHERE id = asked.id)
;
SELECT at FROM samples WHERE at >= $1 ORDER BY at LIMIT $2
;
SELECT body FROM samples WHERE at >= $1 AND at < $2
;
SELECT body, saved_at, expires_at, version FROM drafts
         WHERE user_id = $1 AND key = $2 AND expires_at > aim_now($3)
;
SELECT body, version FROM preferences WHERE user_id = $1
;
SELECT c.id, c.character_id, m.id, m.attempt, coalesce(u.tier, $4)
         FROM messages m JOIN conversations c ON c.key = m.conversation LEFT JOIN users u ON u.id = m.sender
         WHERE m.reply_state = $5 AND m.id > $3 AND NOT EXISTS (
             SELECT $6 FROM claims cl JOIN servers s ON s.id = cl.holder
             WHERE cl.conversation = m.conversation AND cl.seq = m.seq AND s.lease_until > aim_now($2))
         ORDER BY m.id LIMIT $1
;
SELECT c.id, c.owner_id, c.character_id, c.title, ARRAY(SELECT mb.user_id FROM members mb WHERE mb.conversation = c.key ORDER BY mb.user_id <> c.owner_id, mb.joined_at, mb.user_id), c.last_seq, c.removals, c.branch_of, c.branch_seq, c.created_at, c.updated_at, c.deleted_at FROM conversations c WHERE c.id = $1
;
SELECT c.id, c.owner_id, c.character_id, c.title, ARRAY(SELECT mb.user_id FROM members mb WHERE mb.conversation = c.key ORDER BY mb.user_id <> c.owner_id, mb.joined_at, mb.user_id), c.last_seq, c.removals, c.branch_of, c.branch_seq, c.created_at, c.updated_at, c.deleted_at, c.main, CASE WHEN me.read_seq >= c.last_seq THEN $3 ELSE (SELECT count(*) FROM (SELECT $4 FROM messages u WHERE u.conversation = c.key AND u.seq > me.read_seq AND u.sender <> me.user_id LIMIT $5) n) END, m.seq IS NOT NULL, m.id, m.seq, m.role, m.sender, m.kind, m.text, m.media, m.in_reply_to, m.client_id, m.created_at, m.reply_state, m.personality, m.variants, m.selected FROM conversations c JOIN members me ON me.conversation = c.key LEFT JOIN messages m ON m.conversation = c.key AND m.seq = c.last_seq WHERE c.id = $1 AND me.user_id = $2
;
SELECT c.id, c.owner_id, c.character_id, c.title, ARRAY(SELECT mb.user_id FROM members mb WHERE mb.conversation = c.key ORDER BY mb.user_id <> c.owner_id, mb.joined_at, mb.user_id), c.last_seq, c.removals, c.branch_of, c.branch_seq, c.created_at, c.updated_at, c.deleted_at, ch.name, ch.avatar_url, CASE WHEN me.read_seq >= c.last_seq THEN $3 ELSE (SELECT count(*) FROM (SELECT $4 FROM messages u WHERE u.conversation = c.key AND u.seq > me.read_seq AND u.sender <> me.user_id LIMIT $5) n) END, m.seq IS NOT NULL, m.id, m.seq, m.role, m.sender, m.kind, m.text, m.media, m.in_reply_to, m.client_id, m.created_at, m.reply_state, m.personality, m.variants, m.selected FROM conversations c JOIN members me ON me.conversation = c.key JOIN characters ch ON ch.id = c.character_id LEFT JOIN messages m ON m.conversation = c.key AND m.seq = c.last_seq WHERE c.id = $1 AND me.user_id = $2
;
SELECT c.id, c.owner_id, c.character_id, c.title, ARRAY(SELECT mb.user_id FROM members mb WHERE mb.conversation = c.key ORDER BY mb.user_id <> c.owner_id, mb.joined_at, mb.user_id), c.last_seq, c.removals, c.branch_of, c.branch_seq, c.created_at, c.updated_at, c.deleted_at, ch.name, ch.avatar_url, CASE WHEN me.read_seq >= c.last_seq THEN $3 ELSE (SELECT count(*) FROM (SELECT $4 FROM messages u WHERE u.conversation = c.key AND u.seq > me.read_seq AND u.sender <> me.user_id LIMIT $5) n) END, m.seq IS NOT NULL, m.id, m.seq, m.role, m.sender, m.kind, m.text, m.media, m.in_reply_to, m.client_id, m.created_at, m.reply_state, m.personality, m.variants, m.selected FROM conversations c JOIN members me ON me.conversation = c.key JOIN characters ch ON ch.id = c.character_id LEFT JOIN messages m ON m.conversation = c.key AND m.seq = c.last_seq WHERE c.owner_id = $1 AND c.character_id = $2 AND c.main AND me.user_id = $1
;
SELECT c.id, c.owner_id, c.character_id, c.title, ARRAY(SELECT mb.user_id FROM members mb WHERE mb.conversation = c.key ORDER BY mb.user_id <> c.owner_id, mb.joined_at, mb.user_id), c.last_seq, c.removals, c.branch_of, c.branch_seq, c.created_at, c.updated_at, c.deleted_at, ch.name, ch.avatar_url, CASE WHEN me.read_seq >= c.last_seq THEN $7 ELSE (SELECT count(*) FROM (SELECT $8 FROM messages u WHERE u.conversation = c.key AND u.seq > me.read_seq AND u.sender <> me.user_id LIMIT $9) n) END, m.seq IS NOT NULL, m.id, m.seq, m.role, m.sender, m.kind, m.text, m.media, m.in_reply_to, m.client_id, m.created_at, m.reply_state, m.personality, m.variants, m.selected FROM all_conversations c JOIN members me ON me.conversation = c.key JOIN characters ch ON ch.id = c.character_id LEFT JOIN messages m ON m.conversation = c.key AND m.seq = c.last_seq WHERE c.owner_id = $1 AND me.user_id = $1 AND c.deleted_at > (SELECT aim_now($2) - $3)
             AND (c.deleted_at < $4 OR (c.deleted_at = $4 AND c.id < $5))
         ORDER BY c.deleted_at DESC, c.id DESC LIMIT $6
;
SELECT c.id, c.owner_id, c.character_id, c.title, ARRAY(SELECT mb.user_id FROM members mb WHERE mb.conversation = c.key ORDER BY mb.user_id <> c.owner_id, mb.joined_at, mb.user_id), c.last_seq, c.removals, c.branch_of, c.branch_seq, c.created_at, c.updated_at, c.deleted_at, u.id, u.username, u.display_name, u.avatar_url, i.expires_at, EXISTS (SELECT $4 FROM members me WHERE me.conversation = c.key AND me.user_id = $3) FROM invites i
         JOIN conversations c ON c.key = i.conversation JOIN users u ON u.id = c.owner_id AND u.erase_at IS NULL
         WHERE i.token_hash = $1 AND (EXISTS (SELECT $5 FROM members me WHERE me.conversation = c.key AND me.user_id = $3) OR ((i.expires_at > aim_now($2) AND (i.max_uses IS NULL OR i.uses < i.max_uses)) AND NOT EXISTS (SELECT $6 FROM removals r WHERE r.conversation = c.key AND r.user_id = $3 AND r.at >= i.created_at)))
;
SELECT c.id, c.title, ch.id, ch.name, ch.avatar_url, m.id, m.seq, m.role, m.sender, m.kind, m.text, m.media, m.in_reply_to, m.client_id, m.created_at, m.reply_state, m.personality, m.variants, m.selected
         FROM unnest($1::bigint[], $2::bigint[]) found (conversation, seq)
         JOIN messages m ON m.conversation = found.conversation AND m.seq = found.seq
         JOIN members me ON me.conversation = m.conversation AND me.user_id = $3
         JOIN conversations c ON c.key = m.conversation JOIN characters ch ON ch.id = c.character_id
         ORDER BY m.created_at DESC LIMIT $4
;
SELECT c.id, i.id, EXISTS (SELECT $4 FROM members me WHERE me.conversation = c.key AND me.user_id = $3), (i.expires_at > aim_now($2) AND (i.max_uses IS NULL OR i.uses < i.max_uses)) AND NOT EXISTS (SELECT $5 FROM removals r WHERE r.conversation = c.key AND r.user_id = $3 AND r.at >= i.created_at) FROM invites i
         JOIN conversations c ON c.key = i.conversation JOIN users u ON u.id = c.owner_id AND u.erase_at IS NULL
         WHERE i.token_hash = $1
;
SELECT c.key FROM conversations c JOIN members me ON me.conversation = c.key AND me.user_id = $2
         WHERE c.id = $1 FOR SHARE OF me
;
SELECT c.key FROM conversations c WHERE c.id = $1 FOR SHARE
;
SELECT c.key, aim_now($2) FROM conversations c
         WHERE c.key = (SELECT i.conversation FROM invites i WHERE i.token_hash = $1) FOR NO KEY UPDATE
;
SELECT c.key, aim_now($2) FROM conversations c WHERE c.id = $1 FOR NO KEY UPDATE
;
SELECT c.key, aim_now($3) FROM conversations c WHERE c.id = $1 AND c.owner_id = $2 FOR NO KEY UPDATE
;
SELECT c.key, aim_now($4) FROM conversations c
         WHERE c.id = $1 AND c.owner_id <> $3 AND (c.owner_id = $2 OR $2 = $3) FOR NO KEY UPDATE
;
SELECT c.key, c.character_id, m.seq, aim_now($4) FROM conversations c
         JOIN members me ON me.conversation = c.key AND me.user_id = $3 JOIN messages m ON m.conversation = c.key
         WHERE c.id = $1 AND m.id = $2
;
SELECT c.key, c.id FROM all_conversations c WHERE c.deleted_at <= (SELECT aim_now($1) - $2)
         ORDER BY c.deleted_at LIMIT $3 FOR UPDATE SKIP LOCKED
;
SELECT c.key, c.id, c.character_id FROM conversations c WHERE c.key IN (
             SELECT m.conversation FROM messages m WHERE m.reply_state = $2 AND m.sender = $1)
         ORDER BY c.id FOR NO KEY UPDATE
;
SELECT c.key, c.id, c.owner_id = $1 FROM all_conversations c
         WHERE EXISTS (SELECT $2 FROM members me WHERE me.conversation = c.key AND me.user_id = $1)
             OR EXISTS (SELECT $3 FROM messages m WHERE m.conversation = c.key AND m.sender = $1 AND m.client_id IS NOT NULL)
         ORDER BY c.id FOR NO KEY UPDATE
;
SELECT c.key, c.last_seq FROM members me JOIN conversations c ON c.key = me.conversation
         WHERE me.user_id = $1 AND ($2::text IS NULL OR c.id = $2) ORDER BY c.updated_at DESC LIMIT $3
;
SELECT c.last_seq, c.due, m.turn FROM conversations c JOIN messages m ON m.conversation = c.key
         WHERE c.key = $1 AND m.id = $2
;
SELECT c.owner_id = $3, c.due, m.seq, m.role, m.sender = $3,
             EXISTS (SELECT $4 FROM messages l WHERE l.conversation = c.key AND l.seq > m.seq AND l.role = $5)
         FROM conversations c JOIN messages m ON m.conversation = c.key WHERE c.key = $1 AND m.id = $2
;
SELECT card FROM characters WHERE id = $1 AND deleted_at IS NULL
;
SELECT ch.id, ch.name, ch.description, ch.personality, ch.scenario, ch.greeting, ch.example_dialogue, ch.system_prompt, ch.tags, ch.visibility, ch.avatar_url, ch.owner_id, ch.revision, ch.created_at, ch.updated_at, (SELECT x.reason FROM unlisted_characters x WHERE x.character = ch.key) AS unlisted, ch.creator,
             (SELECT u.username FROM users u WHERE u.id = ch.owner_id AND u.erase_at IS NULL) FROM (
             SELECT ch.key, ch.conversations FROM (
                 SELECT ch.key, ch.conversations, ch.owner_id FROM character_words w JOIN characters ch ON ch.key = w.character
                 WHERE w.words @@ $1::text::tsquery AND (ch.visibility = $5 OR ch.owner_id = $2)
                     AND ch.deleted_at IS NULL OFFSET $6) ch
             WHERE (ch.owner_id = $2 OR (ch.key NOT IN (SELECT x.character FROM unlisted_characters x)
             AND (ch.owner_id IS NULL OR ch.owner_id NOT IN (
                 SELECT b.blocked FROM blocks b WHERE b.blocker = $2
                 UNION ALL SELECT s.id FROM users s WHERE s.suspended_until > (SELECT aim_now($4::bigint))))))
             ORDER BY ch.conversations DESC, ch.key DESC LIMIT $3) found
         JOIN characters ch ON ch.key = found.key ORDER BY found.conversations DESC, found.key DESC
;
SELECT ch.id, ch.name, ch.description, ch.personality, ch.scenario, ch.greeting, ch.example_dialogue, ch.system_prompt, ch.tags, ch.visibility, ch.avatar_url, ch.owner_id, ch.revision, ch.created_at, ch.updated_at, (SELECT x.reason FROM unlisted_characters x WHERE x.character = ch.key) AS unlisted, ch.details FROM characters ch WHERE ch.id = $1 AND ch.deleted_at IS NULL
;
SELECT count(*) FROM all_conversations WHERE deleted_at <= (SELECT aim_now($1) - $2)
;
SELECT count(*) FROM blocks WHERE blocker = $1 AND blocked <> $2
;
SELECT count(*) FROM cases WHERE closed_at IS NOT NULL AND closed_at < (SELECT aim_now($1) - $2)
;
SELECT count(*) FROM cases WHERE state = $1
;
SELECT count(*) FROM changes WHERE $3 AND at < (SELECT aim_now($1) - $2)
;
SELECT count(*) FROM confirmed_addresses c
         JOIN users u ON u.id = c.user_id AND u.email_key = c.email_key WHERE c.user_id = $1
;
SELECT count(*) FROM drafts WHERE $3 AND expires_at < (SELECT aim_now($1) - $2)
;
SELECT count(*) FROM drafts WHERE user_id = $1 AND key <> $2 AND expires_at > $3
;
SELECT count(*) FROM gallery WHERE character = $1 AND upload <> $2
;
SELECT count(*) FROM invites WHERE $3 AND expires_at < (SELECT aim_now($1) - $2)
;
SELECT count(*) FROM invites i WHERE i.conversation = $1 AND (i.expires_at > aim_now($2) AND (i.max_uses IS NULL OR i.uses < i.max_uses))
;
SELECT count(*) FROM mails WHERE ended_at IS NOT NULL AND ended_at < (SELECT aim_now($1) - $2)
;
SELECT count(*) FROM members WHERE conversation = $1
;
SELECT count(*) FROM messages r JOIN messages q ON q.conversation = r.conversation AND q.seq = r.turn
         WHERE r.conversation = $1 AND r.seq > $2 AND r.turn < $2 AND q.sender <> $3
;
SELECT count(*) FROM one_time_tokens WHERE $3 AND expires_at < (SELECT aim_now($1) - $2)
;
SELECT count(*) FROM personas WHERE user_id = $1
;
SELECT count(*) FROM pg_attribute WHERE attrelid = $1::regclass AND attname = $2
;
SELECT count(*) FROM reports WHERE period = $3 AND start < (SELECT aim_now($1) - $2)
;
SELECT count(*) FROM samples WHERE $3 AND at < (SELECT aim_now($1) - $2)
;
SELECT count(*) FROM servers WHERE $3 AND lease_until < (SELECT aim_now($1) - $2)
;
SELECT count(*) FROM servers s, (SELECT aim_now($1) AS now) clock WHERE s.serves AND s.lease_until > clock.now
;
SELECT count(*) FROM sessions WHERE $3 AND expires_at < (SELECT aim_now($1) - $2)
;
SELECT count(*) FROM sign_in_attempts WHERE $3 AND at < (SELECT aim_now($1) - $2)
;
SELECT count(*) FROM sign_in_blocks WHERE $3 AND blocked_until < (SELECT aim_now($1) - $2)
;
SELECT count(*) FROM users WHERE id = $1
;
SELECT count(DISTINCT m.sender) FILTER (WHERE m.role = $5),
             count(*) FILTER (WHERE m.role = $6 AND m.kind = $7),
             count(*) FILTER (WHERE m.role = $8 AND m.kind = $9),
             count(*) FILTER (WHERE m.role = $10 AND m.kind = $11),
             count(*) FILTER (WHERE m.role = $12 AND m.in_reply_to IS NOT NULL),
             count(*) FILTER (WHERE m.reply_state = $13),
             count(*) FILTER (WHERE m.reply_state = $14),
             (SELECT count(*) FROM users u WHERE u.created_at >= $3 AND u.created_at < $4),
             (SELECT count(*) FROM tier_changes t WHERE t.at >= $3 AND t.at < $4 AND t.tier = $15),
             (SELECT count(*) FROM tier_changes t WHERE t.at >= $3 AND t.at < $4 AND t.tier = $16)
         FROM messages m WHERE m.id >= $1 AND m.id < $2
             -- What a branch copied was said once.
             AND NOT EXISTS (SELECT $17 FROM all_conversations c WHERE c.key = m.conversation AND c.branch_seq >= m.seq)
;
SELECT created_at FROM cases WHERE reporter = $1 AND created_at > $2
         ORDER BY created_at DESC LIMIT $4 OFFSET $3
;
SELECT d.id, d.at, u.id, u.username, u.display_name, u.avatar_url, d.action, d.target_kind, d.target,
             CASE d.target_kind WHEN $3 THEN (SELECT t.username FROM users t WHERE t.id = d.target)
                 WHEN $4 THEN (SELECT ch.name FROM characters ch WHERE ch.id = d.target) END, d.reason, d.until
         FROM deeds d LEFT JOIN users u ON u.id = d.operator WHERE d.id < $1 ORDER BY d.id DESC LIMIT $2
;
SELECT found.conversation, found.seq
         FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY mine (key, after, place)
         CROSS JOIN LATERAL (SELECT w.conversation, w.seq FROM message_words w
             WHERE w.conversation = mine.key AND w.seq > mine.after AND ts_match_vq(w.words, (SELECT $3::text::tsquery))
             ORDER BY w.seq DESC LIMIT $4) found
         ORDER BY mine.place LIMIT $5
;
SELECT g.caption, g.expression, g.created_at, up.id, up.owner_id, up.kind, up.status, up.mime_type, up.size, up.created_at, up.variants, up.details, up.version FROM characters ch
         JOIN gallery g ON g.character = ch.key JOIN uploads up ON up.id = g.upload
         WHERE ch.id = $1 AND up.status = $2 ORDER BY g.position, g.upload
;
SELECT g.upload, coalesce(up.status = $2, $3) FROM gallery g
             LEFT JOIN uploads up ON up.id = g.upload WHERE g.character = $1 ORDER BY g.position, g.upload
;
SELECT gallery_version FROM characters WHERE id = $1 AND deleted_at IS NULL
;
SELECT i.id, i.created_at, i.expires_at, i.uses, i.max_uses FROM invites i WHERE i.conversation = $1 AND (i.expires_at > aim_now($2) AND (i.max_uses IS NULL OR i.uses < i.max_uses)) ORDER BY i.created_at DESC, i.id DESC
;
SELECT id FROM cases WHERE reporter = $1 AND kind = $2 AND target = $3 AND state = $4
;
SELECT id FROM characters WHERE owner_id = $1
;
SELECT id FROM personas WHERE user_id = $1 AND id = $2
;
SELECT id FROM uploads WHERE id = $1 AND owner_id = $2 AND kind = $3
         AND status IN ($4, $5) FOR NO KEY UPDATE
;
SELECT id FROM uploads WHERE status = $2 ORDER BY id LIMIT $1
;
SELECT id FROM users WHERE erase_at IS NOT NULL AND erase_at <= (SELECT aim_now($1))
         ORDER BY erase_at LIMIT $2
;
SELECT id FROM users WHERE id = $1 FOR NO KEY UPDATE
;
SELECT id, body FROM changes WHERE id > $1 ORDER BY id LIMIT $2
;
SELECT id, erase_at IS NULL AND (suspended_until IS NULL OR suspended_until <= aim_now($1))
         FROM users WHERE role = $2 ORDER BY id FOR NO KEY UPDATE
;
SELECT k.id, k.kind, k.target, k.conversation, k.character, k.wrong, k.note, k.snapshot, k.state, k.resolution, k.created_at, k.closed_at,
     r.id, r.username, r.display_name, r.avatar_url, a.id, a.username, a.display_name, a.avatar_url,
     EXISTS (SELECT $3 FROM unlisted_characters x JOIN characters ch ON ch.key = x.character WHERE ch.id = k.character),
     coalesce(a.suspended_until > aim_now($2), $4) FROM cases k LEFT JOIN users r ON r.id = k.reporter LEFT JOIN users a ON a.id = k.author WHERE k.id = $1
;
SELECT k.id, k.kind, k.target, k.conversation, k.character, k.wrong, k.note, k.snapshot, k.state, k.resolution, k.created_at, k.closed_at,
     r.id, r.username, r.display_name, r.avatar_url, a.id, a.username, a.display_name, a.avatar_url,
     EXISTS (SELECT $3 FROM unlisted_characters x JOIN characters ch ON ch.key = x.character WHERE ch.id = k.character),
     coalesce(a.suspended_until > aim_now($2), $4) FROM cases k LEFT JOIN users r ON r.id = k.reporter LEFT JOIN users a ON a.id = k.author WHERE k.reporter = $1 ORDER BY k.created_at DESC LIMIT $5
;
SELECT k.id, k.kind, k.target, k.conversation, k.character, k.wrong, k.note, k.snapshot, k.state, k.resolution, k.created_at, k.closed_at,
     r.id, r.username, r.display_name, r.avatar_url, a.id, a.username, a.display_name, a.avatar_url,
     EXISTS (SELECT $5 FROM unlisted_characters x JOIN characters ch ON ch.key = x.character WHERE ch.id = k.character),
     coalesce(a.suspended_until > aim_now($2), $6) FROM cases k LEFT JOIN users r ON r.id = k.reporter LEFT JOIN users a ON a.id = k.author WHERE k.state = $1 AND k.id < $3 ORDER BY k.id DESC LIMIT $4
;
SELECT key FROM conversations WHERE id = $1 AND owner_id = $2
;
SELECT key FROM drafts WHERE user_id = $1
;
SELECT last FROM feed
;
SELECT last_seq FROM conversations WHERE id = $1
;
SELECT last_seq, removals FROM conversations WHERE id = $1
;
SELECT m.id, m.kind, m.attempt FROM mails m
         WHERE m.state = $4 AND m.id > $2 AND m.not_before <= aim_now($1) AND NOT EXISTS (SELECT $5 FROM servers s WHERE s.id = m.holder AND s.lease_until > aim_now($1)) ORDER BY m.id LIMIT $3
;
SELECT m.id, m.seq, m.role, m.sender, m.kind, m.text, m.media, m.in_reply_to, m.client_id, m.created_at, m.reply_state, m.personality, m.variants, m.selected FROM messages m
         WHERE m.conversation = (SELECT c.key FROM conversations c WHERE c.id = $1)
             AND (m.reply_state IS NULL OR m.reply_state = $4)
             AND (m.turn <> $3 OR m.in_reply_to IS NULL)
         ORDER BY m.turn DESC, m.seq DESC LIMIT $2
;
SELECT m.id, m.seq, m.role, m.sender, m.kind, m.text, m.media, m.in_reply_to, m.client_id, m.created_at, m.reply_state, m.personality, m.variants, m.selected FROM messages m
         WHERE m.conversation = (SELECT c.key FROM conversations c WHERE c.id = $1) AND m.id = $2
;
SELECT m.id, m.seq, m.role, m.sender, m.kind, m.text, m.media, m.in_reply_to, m.client_id, m.created_at, m.reply_state, m.personality, m.variants, m.selected FROM messages m
         WHERE m.conversation = (SELECT c.key FROM conversations c WHERE c.id = $1) AND m.seq = $2
;
SELECT m.id, m.seq, m.role, m.sender, m.kind, m.text, m.media, m.in_reply_to, m.client_id, m.created_at, m.reply_state, m.personality, m.variants, m.selected FROM messages m
         WHERE m.conversation = (SELECT c.key FROM conversations c WHERE c.id = $1) AND m.seq > $2 ORDER BY m.seq LIMIT $3
;
SELECT m.id, m.seq, m.role, m.sender, m.kind, m.text, m.media, m.in_reply_to, m.client_id, m.created_at, m.reply_state, m.personality, m.variants, m.selected FROM messages m WHERE m.conversation = $1 AND m.seq = $2
;
SELECT m.id, m.user_id, m.address, m.kind, m.data, m.state, m.attempt, m.holder, m.not_before, m.created_at, m.reason FROM mails m WHERE m.id = $1
;
SELECT m.seq IS NOT NULL, m.id, m.seq, m.role, m.sender, m.kind, m.text, m.media, m.in_reply_to, m.client_id, m.created_at, m.reply_state, m.personality, m.variants, m.selected
         FROM all_conversations c JOIN members me ON me.conversation = c.key AND me.user_id = $2
             LEFT JOIN LATERAL (SELECT * FROM messages p WHERE p.conversation = c.key AND p.seq > $5
                 ORDER BY p.seq LIMIT $6) m ON $7
         WHERE c.id = $1 AND (c.deleted_at IS NULL OR (c.owner_id = me.user_id AND c.deleted_at > (SELECT aim_now($3) - $4)))
;
SELECT m.seq IS NOT NULL, m.id, m.seq, m.role, m.sender, m.kind, m.text, m.media, m.in_reply_to, m.client_id, m.created_at, m.reply_state, m.personality, m.variants, m.selected
         FROM conversations c JOIN members me ON me.conversation = c.key AND me.user_id = $2
             LEFT JOIN LATERAL (SELECT * FROM messages p WHERE p.conversation = c.key AND p.seq > $3 AND p.seq < $4
                 ORDER BY p.seq ASC LIMIT $5) m ON $6
         WHERE c.id = $1
;
SELECT m.seq IS NOT NULL, m.id, m.seq, m.role, m.sender, m.kind, m.text, m.media, m.in_reply_to, m.client_id, m.created_at, m.reply_state, m.personality, m.variants, m.selected
         FROM conversations c JOIN members me ON me.conversation = c.key AND me.user_id = $2
             LEFT JOIN LATERAL (SELECT * FROM messages p WHERE p.conversation = c.key AND p.seq > $3 AND p.seq < $4
                 ORDER BY p.seq DESC LIMIT $5) m ON $6
         WHERE c.id = $1
;
SELECT m.state, m.ended_at, m.reason FROM mails m JOIN users u ON u.id = m.user_id AND u.email = m.address
         WHERE m.user_id = $1 AND m.kind IN ($2, $3) ORDER BY m.id DESC LIMIT $4
;
SELECT me.read_seq, least($3, c.last_seq) > me.read_seq, CASE WHEN me.read_seq >= c.last_seq THEN $4 ELSE (SELECT count(*) FROM (SELECT $5 FROM messages u WHERE u.conversation = c.key AND u.seq > me.read_seq AND u.sender <> me.user_id LIMIT $6) n) END FROM conversations c
         JOIN members me ON me.conversation = c.key AND me.user_id = $2 WHERE c.id = $1
;
SELECT me.user_id FROM conversations c JOIN members me ON me.conversation = c.key WHERE c.id = $1
;
SELECT me.user_id, u.display_name, p.id, p.name, p.description, p.picture, p.is_default, p.revision, p.created_at, p.updated_at
         FROM members me JOIN users u ON u.id = me.user_id
         LEFT JOIN persona_choices pc ON pc.conversation = me.conversation AND pc.user_id = me.user_id
         LEFT JOIN personas p ON p.user_id = me.user_id
             AND CASE WHEN pc.persona IS NULL THEN p.is_default ELSE p.id = pc.persona END
         WHERE me.conversation = (SELECT key FROM conversations WHERE id = $1)
         ORDER BY me.joined_at, me.user_id LIMIT $2
;
SELECT min(s.id) = $2 FROM servers s, (SELECT aim_now($1) AS now) clock WHERE s.lease_until > clock.now
;
SELECT model, sum(prompt)::bigint, sum(completion)::bigint, sum(requests)::bigint
         FROM token_days WHERE day >= $1 AND day <= $2 GROUP BY model ORDER BY model
;
SELECT notice FROM unwanted_notices WHERE user_id = $1
;
SELECT p.id, p.name, p.description, p.picture, p.is_default, p.revision, p.created_at, p.updated_at FROM personas p WHERE p.user_id = $1 ORDER BY p.id
;
SELECT p.seen_at, p.open_until > aim_now($2) FROM presence p WHERE p.user_id = $1
;
SELECT pc.persona IS NOT NULL, p.id, p.name, p.description, p.picture, p.is_default, p.revision, p.created_at, p.updated_at
         FROM conversations c JOIN members me ON me.conversation = c.key AND me.user_id = $2
         LEFT JOIN persona_choices pc ON pc.conversation = c.key AND pc.user_id = $2
         LEFT JOIN personas p ON p.user_id = $2 AND CASE WHEN pc.persona IS NULL THEN p.is_default ELSE p.id = pc.persona END
         WHERE c.id = $1
;
SELECT r.*, p.id, p.name, p.description, p.picture, p.is_default, p.revision, p.created_at, p.updated_at FROM (SELECT * FROM aim_claim_reply($1, $2, $3, $4, $5) LIMIT $6) r
         LEFT JOIN (conversations c JOIN members me ON me.conversation = c.key)
             ON c.id = $2 AND me.user_id = r.r_sender AND r.r_outcome = $7
         LEFT JOIN persona_choices pc ON pc.conversation = me.conversation AND pc.user_id = me.user_id
         LEFT JOIN personas p ON p.user_id = me.user_id
             AND CASE WHEN pc.persona IS NULL THEN p.is_default ELSE p.id = pc.persona END
;
SELECT r.id, r.owner_id, r.length, r.received, r.parts, r.created_at FROM resumables r WHERE r.created_at < (SELECT aim_now($1) - $2) OR r.owner_id = $4 LIMIT $3
;
SELECT r.id, r.owner_id, r.length, r.received, r.parts, r.created_at FROM resumables r WHERE r.id = $1
;
SELECT r.id, r.owner_id, r.length, r.received, r.parts, r.created_at FROM resumables r WHERE r.id = $1 AND r.owner_id = $2 FOR UPDATE
;
SELECT r_admitted, r_remaining, r_wait FROM aim_count_attempt($1, $2, $3, $4, $5)
;
SELECT revision FROM characters WHERE id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE
;
SELECT s.id, s.user_id, s.token_hash, s.device, s.created_at, s.last_used_at, s.expires_at FROM sessions s WHERE s.user_id = $1 AND s.expires_at > aim_now($2)
         ORDER BY s.created_at DESC, s.id DESC
;
SELECT s.id, s.user_id, s.token_hash, s.device, s.created_at, s.last_used_at, s.expires_at, u.username, u.display_name, u.tier, u.role FROM sessions s JOIN users u ON u.id = s.user_id
         WHERE s.token_hash = $1 AND s.expires_at > aim_now($2) AND u.erase_at IS NULL
             AND (u.suspended_until IS NULL OR u.suspended_until <= aim_now($2))
;
SELECT s.r_number, s.r_outcome, s.r_at, s.r_seq, s.r_character, s.r_due, s.r_text, s.r_audio, s.r_image, s.r_since, s.r_version FROM aim_send_many($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) s
;
SELECT s.r_outcome, s.r_at, s.r_seq, s.r_character, s.r_due, s.r_text, s.r_audio, s.r_image, s.r_since, s.r_version FROM aim_send($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) s
;
SELECT start, body FROM reports WHERE period = $1 AND start >= $2 AND start < $3
         ORDER BY start LIMIT $4
;
SELECT suspended_until, coalesce(suspended_for, $3) FROM users
         WHERE id = $1 AND suspended_until > aim_now($2)
;
SELECT t.tag, count(*) AS uses FROM character_tags t JOIN characters ch ON ch.key = t.character
         WHERE ch.visibility = $4 AND ch.deleted_at IS NULL AND (ch.owner_id = $1 OR (ch.key NOT IN (SELECT x.character FROM unlisted_characters x)
             AND (ch.owner_id IS NULL OR ch.owner_id NOT IN (
                 SELECT b.blocked FROM blocks b WHERE b.blocker = $1
                 UNION ALL SELECT s.id FROM users s WHERE s.suspended_until > (SELECT aim_now($3::bigint))))))
         GROUP BY t.tag ORDER BY uses DESC, t.tag LIMIT $2
;
SELECT t.user_id, t.address FROM one_time_tokens t
         WHERE t.hash = $1 AND t.purpose = $2 AND t.used_at IS NULL AND t.expires_at > aim_now($3)
;
SELECT turn FROM messages WHERE conversation = $1 AND seq > $2 AND turn < $2 ORDER BY turn
;
SELECT u.character_id, aim_now($2), u.text, u.audio, u.image, u.since, u.version FROM usage u WHERE u.user_id = $1 ORDER BY u.since
;
SELECT u.id, u.username, u.display_name, u.avatar_url, b.created_at FROM blocks b JOIN users u ON u.id = b.blocked WHERE b.blocker = $1
         ORDER BY b.created_at DESC, u.id DESC
;
SELECT u.id, u.username, u.display_name, u.avatar_url, u.email, u.tier, u.role, u.created_at, u.erase_at,
             CASE WHEN u.suspended_until > (SELECT aim_now($2)) THEN u.suspended_until END, u.suspended_for
         FROM users u WHERE ($1::text IS NULL OR u.id < $1) AND $4 AND $5 ORDER BY u.id DESC LIMIT $3
;
SELECT u.id, u.username, u.display_name, u.avatar_url, u.email, u.tier, u.role, u.created_at, u.erase_at,
             CASE WHEN u.suspended_until > (SELECT aim_now($2)) THEN u.suspended_until END, u.suspended_for
         FROM users u WHERE ($1::text IS NULL OR u.id < $1) AND $4 AND u.suspended_until > (SELECT aim_now($2)) ORDER BY u.id DESC LIMIT $3
;
SELECT u.id, u.username, u.display_name, u.avatar_url, u.email, u.tier, u.role, u.created_at, u.erase_at,
             CASE WHEN u.suspended_until > (SELECT aim_now($2)) THEN u.suspended_until END, u.suspended_for
         FROM users u WHERE ($1::text IS NULL OR u.id < $1) AND u.id IN (SELECT a.id FROM users a WHERE a.username >= $4 AND a.username < $5
                 UNION SELECT b.id FROM users b WHERE b.email_key = $6 UNION SELECT c.id FROM users c WHERE c.id = $7) AND $8 ORDER BY u.id DESC LIMIT $3
;
SELECT u.id, u.username, u.display_name, u.avatar_url, u.email, u.tier, u.role, u.created_at, u.version, u.erase_at FROM users u WHERE u.id = $1
;
SELECT u.id, u.username, u.display_name, u.avatar_url, u.email, u.tier, u.role, u.created_at, u.version, u.erase_at FROM users u WHERE u.username = $1
;
SELECT u.id, u.username, u.display_name, u.avatar_url, u.email, u.tier, u.role, u.created_at, u.version, u.erase_at, u.password_hash FROM users u WHERE u.email_key = $1 OR u.username = $1
;
SELECT u.id, u.username, u.display_name, u.avatar_url, u.id = c.owner_id, me.joined_at FROM conversations c
         JOIN members me ON me.conversation = c.key JOIN users u ON u.id = me.user_id AND u.erase_at IS NULL
         WHERE c.id = $1 ORDER BY u.id <> c.owner_id, me.joined_at, u.id
;
SELECT up.id FROM uploads up WHERE up.id > $1 AND up.created_at < (SELECT aim_now($2) - $3)
             AND up.status IN ($5, $6) AND NOT EXISTS (SELECT $7 FROM messages m WHERE m.media IS NOT NULL AND (m.media::json ->> $8) = up.id) AND NOT (EXISTS (SELECT $9 FROM users u WHERE u.id = up.owner_id
         AND starts_with(u.avatar_url, $10 || up.id || $11))
     OR EXISTS (SELECT $12 FROM characters ch WHERE ch.owner_id = up.owner_id
         AND starts_with(ch.avatar_url, $13 || up.id || $14))) AND NOT EXISTS (SELECT $15 FROM personas p WHERE p.user_id = up.owner_id AND p.picture = up.id)
             AND NOT EXISTS (SELECT $16 FROM gallery g WHERE g.upload = up.id)
         ORDER BY up.id LIMIT $4
;
SELECT up.id, up.attempts FROM uploads up WHERE up.status = $4 AND up.id > $1 AND NOT EXISTS (SELECT $5 FROM servers s WHERE s.id = up.holder AND s.lease_until > aim_now($2))
         ORDER BY up.id LIMIT $3
;
SELECT up.id, up.owner_id, up.kind, up.status, up.mime_type, up.size, up.created_at, up.variants, up.details, up.version FROM uploads up WHERE up.id = $1 AND up.status <> $2
;
SELECT up.id, up.owner_id, up.kind, up.status, up.mime_type, up.size, up.created_at, up.variants, up.details, up.version FROM uploads up WHERE up.id = $1 AND up.status <> $4 AND (
             up.owner_id = $2
             OR EXISTS (SELECT $5 FROM messages m
                 JOIN conversations c ON c.key = m.conversation
                 JOIN members mb ON mb.conversation = m.conversation AND mb.user_id = $2
                 WHERE m.media IS NOT NULL AND (m.media::json ->> $6) = $1)
             OR EXISTS (SELECT $7 FROM personas p
     JOIN members o ON o.user_id = p.user_id JOIN members v ON v.conversation = o.conversation AND v.user_id = $2
     JOIN conversations c ON c.key = o.conversation
     LEFT JOIN persona_choices pc ON pc.conversation = o.conversation AND pc.user_id = o.user_id
     WHERE p.user_id = up.owner_id AND p.picture = up.id
         AND CASE WHEN pc.persona IS NULL THEN p.is_default ELSE p.id = pc.persona END) OR (EXISTS (SELECT $8 FROM users u WHERE u.id = up.owner_id AND starts_with(u.avatar_url, $9 || up.id || $10))
         OR EXISTS (SELECT $11 FROM characters ch WHERE ch.owner_id = up.owner_id
             AND starts_with(ch.avatar_url, $12 || up.id || $13)
             AND ((NOT EXISTS (SELECT $14 FROM unlisted_characters x WHERE x.character = ch.key)
     AND NOT EXISTS (SELECT $15 FROM users o WHERE o.id = ch.owner_id AND o.suspended_until > (SELECT aim_now($3)))) OR EXISTS (SELECT $16 FROM members me JOIN conversations c ON c.key = me.conversation
     WHERE me.user_id = $2 AND c.character_id = ch.id) OR EXISTS (SELECT $17 FROM users a WHERE a.id = $2 AND a.role = $18)))) OR EXISTS (SELECT $19 FROM gallery g JOIN characters ch ON ch.key = g.character
         WHERE g.upload = up.id AND ch.deleted_at IS NULL AND (ch.owner_id = $2
             OR (ch.visibility = $20 AND $2 <> $21 AND ((NOT EXISTS (SELECT $22 FROM unlisted_characters x WHERE x.character = ch.key)
     AND NOT EXISTS (SELECT $23 FROM users o WHERE o.id = ch.owner_id AND o.suspended_until > (SELECT aim_now($3)))) OR EXISTS (SELECT $24 FROM users a WHERE a.id = $2 AND a.role = $25)))
             OR ((ch.visibility = $26 OR g.expression IS NOT NULL) AND EXISTS (SELECT $27 FROM members me JOIN conversations c ON c.key = me.conversation
     WHERE me.user_id = $2 AND c.character_id = ch.id)))))
;
SELECT user_id FROM members WHERE conversation = $1
;
SELECT username, aim_now($2) FROM users WHERE id = $1 FOR UPDATE
;
SELECT v.number, v.text, v.personality FROM all_conversations c
         JOIN members me ON me.conversation = c.key AND me.user_id = $2
         JOIN messages m ON m.conversation = c.key AND m.seq = $5
         JOIN messages q ON q.conversation = c.key AND q.seq = m.turn
         JOIN variants v ON v.conversation = c.key AND v.seq = m.seq AND v.number <> coalesce(m.selected, $6)
         WHERE c.id = $1 AND (c.deleted_at IS NULL OR (c.owner_id = me.user_id AND c.deleted_at > (SELECT aim_now($3) - $4))) AND (c.owner_id = $2 OR q.sender = $2) ORDER BY v.number
;
SELECT value FROM secrets WHERE name = $1
;
UPDATE all_conversations SET deleted_at = $2, due = $3, fence = fence + $4 WHERE key = $1
;
UPDATE all_conversations SET main = $2 WHERE key = (
             SELECT o.key FROM all_conversations was
             JOIN conversations o ON o.owner_id = was.owner_id AND o.character_id = was.character_id
             WHERE was.key = $1 AND was.main AND o.branch_of IS NULL ORDER BY o.updated_at DESC LIMIT $3) RETURNING key
;
UPDATE all_conversations c SET deleted_at = $5, main = c.main AND NOT EXISTS (
             SELECT $6 FROM conversations o
             WHERE o.owner_id = c.owner_id AND o.character_id = c.character_id AND o.main)
         WHERE c.id = $1 AND c.owner_id = $2 AND c.deleted_at > (SELECT aim_now($3) - $4) RETURNING c.key
;
UPDATE cases SET reporter = $2, note = $3 WHERE reporter = $1
;
UPDATE cases k SET state = $2, resolution = $3,
             closed_at = CASE WHEN $2 = $5 THEN aim_now($4) END
         WHERE k.id = $1 AND ($2 = $6 OR NOT EXISTS (
             SELECT $7 FROM cases o WHERE o.reporter = k.reporter AND o.kind = k.kind AND o.target = k.target
                 AND o.state = $8 AND o.id <> k.id))
;
UPDATE character_words w
    SET words = aim_character_words(ch.name, concat_ws($1, ch.tags, ch.description, ch.creator, u.username))
    FROM characters ch JOIN users u ON u.id = ch.owner_id WHERE ch.key = w.character
;
UPDATE characters SET conversations = conversations + $2
         WHERE id = (SELECT c.character_id FROM conversations c WHERE c.key = $1 AND c.main)
;
UPDATE characters SET conversations = conversations + $3 WHERE id = $1 AND deleted_at IS NULL
         RETURNING aim_now($2)
;
UPDATE characters SET deleted_at = aim_now($2), revision = revision + $3
         WHERE id = $1 AND deleted_at IS NULL
;
UPDATE characters SET gallery_version = gallery_version + $2
         WHERE id = $1 AND deleted_at IS NULL RETURNING key
;
UPDATE characters SET owner_id = $3, deleted_at = coalesce(deleted_at, $2), updated_at = $2,
                 revision = revision + $4, tags = $5, search = $6, description = $7, personality = $8, scenario = $9,
                 greeting = $10, example_dialogue = $11, system_prompt = $12, details = $13, card = $14, creator = $15
             WHERE owner_id = $1 AND (visibility = $16 OR deleted_at IS NOT NULL)
;
UPDATE characters SET owner_id = $3, updated_at = $2, revision = revision + $4 WHERE owner_id = $1
;
UPDATE characters SET revision = revision + $3 WHERE id = $1 AND deleted_at IS NULL
         RETURNING key, aim_now($2)
;
UPDATE characters ch SET gallery_version = ch.gallery_version + $2
         WHERE ch.key IN (SELECT g.character FROM gallery g WHERE g.upload = $1) RETURNING ch.id
;
UPDATE characters ch SET visibility = $2, revision = $3, updated_at = $4, name_key = $5, name = $6, avatar_url = $7,
             tags = $8, search = $9, description = $10, personality = $11, scenario = $12, greeting = $13,
             example_dialogue = $14, system_prompt = $15, details = $16, creator = $17
         WHERE ch.id = $1 RETURNING ch.id, ch.name, ch.description, ch.personality, ch.scenario, ch.greeting, ch.example_dialogue, ch.system_prompt, ch.tags, ch.visibility, ch.avatar_url, ch.owner_id, ch.revision, ch.created_at, ch.updated_at, (SELECT x.reason FROM unlisted_characters x WHERE x.character = ch.key) AS unlisted, ch.details
;
UPDATE claims cl SET stopping = $4 FROM servers s, messages m
             WHERE cl.conversation = $1 AND s.id = cl.holder AND s.lease_until > $2
                 AND m.conversation = cl.conversation AND m.seq = cl.seq AND m.sender = $3 AND m.reply_state = $5
             RETURNING cl.seq, cl.fence
;
UPDATE claims cl SET stopping = $4 FROM servers s, messages m
         WHERE cl.conversation = $1 AND s.id = cl.holder AND s.lease_until > $2
             AND m.conversation = cl.conversation AND m.seq = cl.seq AND ($3::text IS NULL OR m.sender = $3)
         RETURNING m.id, cl.holder, cl.fence
;
UPDATE conversations SET due = due + $2 WHERE key = $1
;
UPDATE conversations SET due = due + $2, fence = fence + $3 WHERE key = $1
;
UPDATE conversations SET due = greatest($3, due - $2) WHERE key = $1
;
UPDATE conversations SET fence = fence + $2 WHERE key = $1
;
UPDATE conversations SET main = $3 WHERE owner_id = $1 AND character_id = $2 AND main
;
UPDATE conversations SET title = $2 WHERE key = $1
;
UPDATE conversations SET updated_at = greatest(updated_at, $2) WHERE key = $1
;
UPDATE conversations c SET last_seq = $2, fence = c.fence + $4, removals = c.removals + $5,
             branch_seq = CASE WHEN c.branch_seq > $2 THEN $2 ELSE c.branch_seq END,
             updated_at = greatest(c.updated_at, $3) WHERE c.key = $1 RETURNING c.removals
;
UPDATE deeds SET operator = $2 WHERE operator = $1
;
UPDATE deeds SET reason = $2 WHERE target_kind = $3
         AND target IN (SELECT id FROM characters WHERE owner_id = $1)
;
UPDATE deeds SET target = $2, reason = $3 WHERE target_kind = $4 AND target = $1
;
UPDATE gallery SET caption = coalesce($3, caption),
             expression = CASE WHEN $4 THEN $5 ELSE expression END
         WHERE character = $1 AND upload = $2
;
UPDATE gallery g SET position = o.place
             FROM unnest($2) WITH ORDINALITY o (upload, place)
             WHERE g.character = $1 AND g.upload = o.upload AND g.position <> o.place
;
UPDATE invites SET uses = uses + $2 WHERE id = $1
;
UPDATE mails SET address = $2 WHERE user_id = $1 AND state = $3 AND kind NOT IN ($4, $5)
;
UPDATE mails m SET holder = $2 WHERE m.id = $3 AND m.attempt = $4 AND m.state = $5
             AND m.not_before <= aim_now($1) AND NOT EXISTS (SELECT $6 FROM servers s WHERE s.id = m.holder AND s.lease_until > aim_now($1)) AND EXISTS (SELECT $7 FROM servers s WHERE s.id = $2 AND s.lease_until > aim_now($1)) RETURNING m.id, m.user_id, m.address, m.kind, m.data, m.state, m.attempt, m.holder, m.not_before, m.created_at, m.reason
;
UPDATE mails m SET state = $3, reason = $2, ended_at = aim_now($1) WHERE m.state = $4 AND NOT EXISTS (SELECT $5 FROM servers s WHERE s.id = m.holder AND s.lease_until > aim_now($1))
;
UPDATE mails m SET state = $4 WHERE m.id = $3 AND m.state = $5 AND m.holder = $2 AND EXISTS (SELECT $6 FROM servers s WHERE s.id = $2 AND s.lease_until > aim_now($1))
         RETURNING m.user_id, m.address
;
UPDATE mails m SET state = $4, reason = $5, ended_at = aim_now($3)
         WHERE m.id = $1 AND m.holder = $2
             AND (m.state IN ($7, $8) OR ($4 = $9 AND m.state = $10 AND m.reason = $6))
;
UPDATE mails m SET state = $6, holder = $7, attempt = m.attempt + $8,
                     not_before = aim_now($3) + $4, reason = $5
                 WHERE m.id = $1 AND m.holder = $2 AND m.state IN ($9, $10)
;
UPDATE members SET read_seq = $2 WHERE conversation = $1 AND read_seq > $2
;
UPDATE members me SET read_seq = c.last_seq FROM conversations c WHERE c.key = me.conversation
;
UPDATE members me SET read_seq = least($3, c.last_seq) FROM conversations c
         WHERE c.id = $1 AND me.conversation = c.key AND me.user_id = $2 AND me.read_seq < least($3, c.last_seq)
;
UPDATE messages SET reply_state = $3, redo_fence = $4
             WHERE conversation = $1 AND seq = $2 AND reply_state = $5
;
UPDATE messages SET reply_state = CASE WHEN redo IS NULL THEN $2 ELSE $3 END, redo = $4,
             redo_fence = $5
         WHERE conversation = $1 AND reply_state = $6
;
UPDATE messages SET reply_state = CASE WHEN redo IS NULL THEN $3 ELSE $4 END, redo = $5,
                 redo_fence = $6
             WHERE conversation = $1 AND seq = $2 AND reply_state = $7
;
UPDATE messages SET sender = $3, text = $4, kind = $5, media = $6, client_id = $7
                 WHERE conversation = $1 AND sender = $2
;
UPDATE messages SET text = $3 WHERE conversation = $1 AND seq = $2
;
UPDATE messages SET text = $3, personality = $4, variants = $5, selected = $6
                 WHERE conversation = $1 AND role = $7
                 AND turn IN (SELECT m.seq FROM messages m WHERE m.conversation = $1 AND m.sender = $2)
;
UPDATE messages m SET reply_state = $3, attempt = m.attempt + $4
         WHERE m.conversation = $1 AND m.id = $2 AND m.reply_state IN ($5, $6) RETURNING m.attempt, m.id, m.seq, m.role, m.sender, m.kind, m.text, m.media, m.in_reply_to, m.client_id, m.created_at, m.reply_state, m.personality, m.variants, m.selected
;
UPDATE messages m SET reply_state = $4, attempt = m.attempt + $5, redo = $3, redo_fence = $6
         WHERE m.conversation = $1 AND m.seq = $2 RETURNING m.attempt
;
UPDATE messages m SET reply_state = CASE WHEN m.redo IS NULL THEN $3 ELSE $4 END, redo = $5,
             redo_fence = $6
         WHERE m.conversation = $1 AND m.reply_state = $7 AND ($2::text IS NULL OR m.sender = $2) RETURNING m.id, m.seq, m.role, m.sender, m.kind, m.text, m.media, m.in_reply_to, m.client_id, m.created_at, m.reply_state, m.personality, m.variants, m.selected
;
UPDATE messages m SET reply_state = CASE WHEN m.redo IS NULL THEN $4 ELSE $5 END, redo = $6,
                 redo_fence = $7
             WHERE m.conversation = $1 AND m.reply_state = $8 AND m.sender = $2 AND m.seq IS DISTINCT FROM $3
             RETURNING m.id, m.seq, m.role, m.sender, m.kind, m.text, m.media, m.in_reply_to, m.client_id, m.created_at, m.reply_state, m.personality, m.variants, m.selected
;
UPDATE messages m SET selected = v.number, text = v.text, personality = v.personality FROM variants v
         WHERE m.conversation = $1 AND m.seq = $2 AND v.conversation = $1 AND v.seq = $2 AND v.number = $3
;
UPDATE one_time_tokens t SET used_at = aim_now($3)
         WHERE t.hash = $1 AND t.purpose = $2 AND t.used_at IS NULL AND t.expires_at > aim_now($3)
         RETURNING t.user_id, t.address
;
UPDATE one_time_tokens t SET used_at = aim_now($3)
         WHERE t.user_id = $1 AND t.purpose = $2 AND t.used_at IS NULL
;
UPDATE personas SET is_default = $4, revision = revision + $5, updated_at = $3
         WHERE user_id = $1 AND is_default AND id <> $2
;
UPDATE personas p SET name = coalesce($3, p.name), description = coalesce($4, p.description),
             picture = CASE WHEN $5 THEN $6 ELSE p.picture END, is_default = coalesce($7, p.is_default),
             revision = p.revision + $9, updated_at = $8
         WHERE p.user_id = $1 AND p.id = $2 RETURNING p.id, p.name, p.description, p.picture, p.is_default, p.revision, p.created_at, p.updated_at
;
UPDATE resumables SET owner_id = $2 WHERE owner_id = $1
;
UPDATE resumables SET received = $2, parts = $3 WHERE id = $1
;
UPDATE servers s SET lease_until = clock.now FROM (SELECT aim_now($2) AS now) clock
         WHERE s.id = $1 AND s.lease_until > clock.now
;
UPDATE sessions s SET last_used_at = clock.now, expires_at = clock.now + $3
         FROM (SELECT aim_now($2) AS now) clock WHERE s.token_hash = $1 AND s.expires_at > clock.now
;
UPDATE unlisted_characters SET reason = $2
         WHERE character IN (SELECT key FROM characters WHERE owner_id = $1)
;
UPDATE uploads SET status = $2, holder = $3, version = version + $4
         WHERE owner_id = $1 AND status <> $5 RETURNING id
;
UPDATE uploads up SET holder = $3, attempts = up.attempts + $4
         WHERE up.id = $1 AND up.status = $5 AND (up.holder = $3 OR NOT EXISTS (SELECT $6 FROM servers s WHERE s.id = up.holder AND s.lease_until > aim_now($2))) RETURNING up.id, up.owner_id, up.kind, up.status, up.mime_type, up.size, up.created_at, up.variants, up.details, up.version, up.attempts
;
UPDATE uploads up SET status = $2, holder = $3, version = up.version + $4
         WHERE up.id = $1 AND NOT EXISTS (SELECT $5 FROM messages m WHERE m.media IS NOT NULL AND (m.media::json ->> $6) = up.id) AND NOT (EXISTS (SELECT $7 FROM users u WHERE u.id = up.owner_id
         AND starts_with(u.avatar_url, $8 || up.id || $9))
     OR EXISTS (SELECT $10 FROM characters ch WHERE ch.owner_id = up.owner_id
         AND starts_with(ch.avatar_url, $11 || up.id || $12))) AND NOT EXISTS (SELECT $13 FROM personas p WHERE p.user_id = up.owner_id AND p.picture = up.id)
             AND NOT EXISTS (SELECT $14 FROM gallery g WHERE g.upload = up.id)
;
UPDATE uploads up SET status = $4, variants = $5, details = $6, holder = $7, version = up.version + $8
         WHERE up.id = $1 AND up.status = $9 AND up.holder = $2 AND up.attempts = $3 RETURNING up.id, up.owner_id, up.kind, up.status, up.mime_type, up.size, up.created_at, up.variants, up.details, up.version
;
UPDATE users SET erase_at = $3, version = version + $4
         WHERE id = $1 AND erase_at > aim_now($2) RETURNING username
;
UPDATE users SET erase_at = coalesce(erase_at, aim_now($2) + $3), version = version + $4
         WHERE id = $1 RETURNING username, erase_at
;
UPDATE users SET suspended_until = $2, suspended_for = $3, version = version + $4
         WHERE id = $1 RETURNING username
;
UPDATE users SET suspended_until = $2, suspended_for = $3, version = version + $5 WHERE id = $1
         RETURNING username, aim_now($4)
;
UPDATE users u SET display_name = coalesce($2, u.display_name),
             avatar_url = CASE WHEN $3 THEN $4 ELSE u.avatar_url END, tier = coalesce($5, u.tier),
             role = coalesce($6, u.role), password_hash = coalesce($7, u.password_hash), version = u.version + $8
         WHERE u.id = $1 RETURNING u.id, u.username, u.display_name, u.avatar_url, u.email, u.tier, u.role, u.created_at, u.version, u.erase_at
;
UPDATE users u SET email = $2, email_key = $3, version = u.version + $4
         WHERE u.id = $1 AND NOT EXISTS (SELECT $5 FROM users o WHERE o.email_key = $3 AND o.id <> $1) RETURNING u.id, u.username, u.display_name, u.avatar_url, u.email, u.tier, u.role, u.created_at, u.version, u.erase_at
;
UPDATE users u SET password_hash = $2, version = u.version + $3 WHERE u.id = $1 RETURNING u.id, u.username, u.display_name, u.avatar_url, u.email, u.tier, u.role, u.created_at, u.version, u.erase_at
;
WITH blocks AS (DELETE FROM sign_in_blocks WHERE subject = $1)
         DELETE FROM sign_in_attempts WHERE subject = $1
;
WITH gone AS (
             DELETE FROM gallery g USING uploads up WHERE up.id = g.upload AND up.owner_id = $1 RETURNING g.character)
         UPDATE characters ch SET gallery_version = ch.gallery_version + $2
         WHERE ch.key IN (SELECT character FROM gone) RETURNING ch.id
;
WITH gone AS (DELETE FROM uploads WHERE id = $1 AND status = $2 RETURNING id)
         DELETE FROM gallery g USING gone WHERE g.upload = gone.id
;
WITH page AS (
             SELECT c.key FROM members me JOIN conversations c ON c.key = me.conversation
             WHERE me.user_id = $1 AND (c.updated_at < $2 OR (c.updated_at = $2 AND c.id < $3))
             ORDER BY c.updated_at DESC, c.id DESC LIMIT $4)
         SELECT c.id, c.owner_id, c.character_id, c.title, ARRAY(SELECT mb.user_id FROM members mb WHERE mb.conversation = c.key ORDER BY mb.user_id <> c.owner_id, mb.joined_at, mb.user_id), c.last_seq, c.removals, c.branch_of, c.branch_seq, c.created_at, c.updated_at, c.deleted_at, ch.name, ch.avatar_url, CASE WHEN me.read_seq >= c.last_seq THEN $5 ELSE (SELECT count(*) FROM (SELECT $6 FROM messages u WHERE u.conversation = c.key AND u.seq > me.read_seq AND u.sender <> me.user_id LIMIT $7) n) END, m.seq IS NOT NULL, m.id, m.seq, m.role, m.sender, m.kind, m.text, m.media, m.in_reply_to, m.client_id, m.created_at, m.reply_state, m.personality, m.variants, m.selected FROM page CROSS JOIN conversations c JOIN members me ON me.conversation = c.key JOIN characters ch ON ch.id = c.character_id LEFT JOIN messages m ON m.conversation = c.key AND m.seq = c.last_seq WHERE c.key = page.key AND me.user_id = $1
         ORDER BY c.updated_at DESC, c.id DESC
