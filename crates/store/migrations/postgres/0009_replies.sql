-- A reply that was answered anew has variants. The message says what the chosen one says, so whoever reads messages reads
-- the chosen ones; the table has them all, from the second on.
ALTER TABLE messages
    ADD COLUMN variants bigint, -- of a reply: how many it has; null stands for one
    ADD COLUMN selected bigint, -- the number of the one that is chosen, from 0
    -- Of an answered message that is due again: 'variant' or 'continue'; it is done when that ends, however it ends.
    ADD COLUMN redo text,
    -- The fence of that work's first claim, and once it is stored, of the claim that stored it.
    ADD COLUMN redo_fence bigint;

CREATE TABLE variants (
    conversation bigint NOT NULL,
    seq          bigint NOT NULL, -- of the reply
    number       bigint NOT NULL, -- 0, 1, 2 …
    text         text NOT NULL,
    personality  text, -- JSON
    PRIMARY KEY (conversation, seq, number)
);

-- `aim_claim`, which tells of what is answered anew as well: why, which reply it has, what that says where it is continued, and
-- whether this is the first claim of that work.
CREATE FUNCTION aim_claim_reply(p_now bigint, p_conversation text, p_holder text, p_call text, p_at_once bigint)
RETURNS TABLE (
    r_outcome text, r_character text, r_fence bigint, r_last_seq bigint, r_redo text, r_reply text, r_reply_text text,
    r_first boolean, r_attempt bigint, r_sender_name text,
    r_id text, r_seq bigint, r_role text, r_sender text, r_kind text, r_text text, r_media text, r_in_reply_to text,
    r_client_id text, r_created_at bigint, r_reply_state text, r_personality text
) LANGUAGE plpgsql AS $$
DECLARE
    v_now bigint := aim_now(p_now);
    v_key bigint;
    v_seq bigint;
    v_until bigint;
    v_claim claims%ROWTYPE;
BEGIN
    r_outcome := 'nothing_due';
    IF NOT EXISTS (SELECT 1 FROM servers s WHERE s.id = p_holder AND s.lease_until > v_now) THEN
        r_outcome := 'no_lease';
        RETURN NEXT;
        RETURN;
    END IF;
    SELECT c.key, c.character_id INTO v_key, r_character FROM conversations c WHERE c.id = p_conversation;
    IF NOT FOUND THEN
        RETURN NEXT;
        RETURN;
    END IF;
    -- One claim of a character at a time, or two would count the same replies and both find room.
    PERFORM pg_advisory_xact_lock(hashtextextended(r_character, 0));
    SELECT c.fence, c.last_seq INTO r_fence, r_last_seq FROM conversations c WHERE c.key = v_key FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN NEXT;
        RETURN;
    END IF;

    SELECT * INTO v_claim FROM claims cl WHERE cl.conversation = v_key;
    IF FOUND THEN
        v_now := aim_now(p_now);
        SELECT s.lease_until INTO v_until FROM servers s WHERE s.id = v_claim.holder;
        IF v_until <= v_now THEN
            -- It may be renewing its lease right now: wait for that.
            SELECT s.lease_until INTO v_until FROM servers s WHERE s.id = v_claim.holder FOR SHARE;
        END IF;
        IF v_until > v_now AND v_claim.call <> p_call THEN
            r_outcome := 'conversation_busy';
            RETURN NEXT;
            RETURN;
        ELSIF v_until > v_now THEN
            v_seq := v_claim.seq;
            SELECT m.redo INTO r_redo FROM messages m WHERE m.conversation = v_key AND m.seq = v_seq;
        ELSIF v_claim.stopping THEN
            DELETE FROM claims cl WHERE cl.conversation = v_key;
            UPDATE messages m SET reply_state = CASE WHEN m.redo IS NULL THEN 'cancelled' ELSE 'done' END, redo = NULL,
                    redo_fence = NULL
                WHERE m.conversation = v_key AND m.seq = v_claim.seq AND m.reply_state = 'due';
            IF FOUND THEN
                UPDATE conversations c SET due = c.due - 1 WHERE c.key = v_key;
            END IF;
            r_outcome := 'cancelled';
            v_seq := v_claim.seq;
        END IF;
    END IF;

    IF v_seq IS NULL THEN
        SELECT m.seq, m.redo INTO v_seq, r_redo FROM messages m
            WHERE m.conversation = v_key AND m.reply_state = 'due' ORDER BY m.seq LIMIT 1;
        IF NOT FOUND THEN
            RETURN NEXT;
            RETURN;
        END IF;
        v_now := aim_now(p_now);
        IF p_at_once <= (
            SELECT count(*) FROM (
                SELECT 1 FROM claims cl JOIN servers s ON s.id = cl.holder
                WHERE cl.character_id = r_character AND s.lease_until > v_now LIMIT p_at_once) held) THEN
            r_outcome := 'character_busy';
            RETURN NEXT;
            RETURN;
        END IF;
        r_fence := r_fence + 1;
        UPDATE conversations c SET fence = r_fence WHERE c.key = v_key;
        INSERT INTO claims (conversation, character_id, holder, seq, fence, call)
            VALUES (v_key, r_character, p_holder, v_seq, r_fence, p_call)
            ON CONFLICT (conversation) DO UPDATE SET holder = excluded.holder, seq = excluded.seq,
                fence = excluded.fence, call = excluded.call, stopping = false;
        IF r_redo IS NOT NULL THEN
            UPDATE messages m SET redo_fence = r_fence
                WHERE m.conversation = v_key AND m.seq = v_seq AND m.redo_fence IS NULL;
        END IF;
    END IF;
    IF r_redo IS NOT NULL THEN
        SELECT r.id, CASE r_redo WHEN 'continue' THEN r.text END INTO r_reply, r_reply_text FROM messages r
            WHERE r.conversation = v_key AND r.turn = v_seq AND r.seq > v_seq AND r.reply_state IS NULL;
        SELECT m.redo_fence = r_fence INTO r_first FROM messages m WHERE m.conversation = v_key AND m.seq = v_seq;
    END IF;
    RETURN QUERY
        SELECT CASE r_outcome WHEN 'cancelled' THEN 'cancelled' ELSE 'claimed' END, r_character, r_fence, r_last_seq,
            r_redo, r_reply, r_reply_text, r_first,
            m.attempt, coalesce(u.display_name, ''), m.id, m.seq, m.role, m.sender, m.kind, m.text, m.media,
            m.in_reply_to, m.client_id, m.created_at, m.reply_state, m.personality
        FROM messages m LEFT JOIN users u ON u.id = m.sender WHERE m.conversation = v_key AND m.seq = v_seq;
END $$;

-- `aim_commit`, which stores what was answered anew in the reply that is there. The row begins with the reply as it is by now.
CREATE FUNCTION aim_commit_reply(
    p_now bigint, p_conversation text, p_fence bigint, p_message text, p_reply text, p_text text, p_personality text,
    p_user text, p_character text, p_model text, p_prompt bigint, p_completion bigint
) RETURNS TABLE (
    r_reply text, r_reply_seq bigint, r_reply_at bigint, r_variants bigint, r_selected bigint, r_character text,
    r_id text, r_seq bigint, r_role text, r_sender text, r_kind text, r_text text, r_media text, r_in_reply_to text,
    r_client_id text, r_created_at bigint, r_reply_state text, r_personality text
) LANGUAGE plpgsql AS $$
DECLARE
    v_key bigint;
    v_now bigint;
    v_redo text;
    v_last_seq bigint;
BEGIN
    SELECT c.key, c.character_id, c.last_seq INTO v_key, r_character, v_last_seq
        FROM conversations c WHERE c.id = p_conversation FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    v_now := aim_now(p_now);
    DELETE FROM claims cl USING messages m
        WHERE cl.conversation = v_key AND cl.fence = p_fence
            AND m.conversation = v_key AND m.seq = cl.seq AND m.id = p_message
        RETURNING cl.seq, m.redo INTO r_seq, v_redo;
    IF FOUND THEN
        IF v_redo IS NOT NULL THEN
            SELECT m.id, m.seq, m.created_at, m.variants, m.selected
                INTO r_reply, r_reply_seq, r_reply_at, r_variants, r_selected FROM messages m
                WHERE m.conversation = v_key AND m.turn = r_seq AND m.seq > r_seq AND m.reply_state IS NULL;
        END IF;
        IF r_reply IS NULL THEN
            r_reply := p_reply;
            r_reply_seq := v_last_seq + 1;
            r_reply_at := v_now;
            INSERT INTO messages (conversation, seq, turn, id, role, sender, kind, text, in_reply_to, created_at, personality)
                VALUES (v_key, r_reply_seq, r_seq, r_reply, 'character', r_character, 'text', p_text, p_message, r_reply_at,
                    p_personality);
        ELSIF v_redo = 'continue' THEN
            UPDATE variants v SET text = p_text, personality = p_personality
                WHERE v.conversation = v_key AND v.seq = r_reply_seq AND v.number = r_selected;
            UPDATE messages m SET text = p_text, personality = p_personality
                WHERE m.conversation = v_key AND m.seq = r_reply_seq;
        ELSE
            IF r_variants IS NULL THEN
                INSERT INTO variants (conversation, seq, number, text, personality)
                    SELECT v_key, m.seq, 0, m.text, m.personality FROM messages m
                    WHERE m.conversation = v_key AND m.seq = r_reply_seq;
            END IF;
            r_selected := coalesce(r_variants, 1);
            r_variants := r_selected + 1;
            INSERT INTO variants (conversation, seq, number, text, personality)
                VALUES (v_key, r_reply_seq, r_selected, p_text, p_personality);
            UPDATE messages m
                SET text = p_text, personality = p_personality, variants = r_variants, selected = r_selected
                WHERE m.conversation = v_key AND m.seq = r_reply_seq;
        END IF;
        IF v_redo IS NULL THEN
            UPDATE messages m SET reply_state = 'done' WHERE m.conversation = v_key AND m.seq = r_seq;
        ELSE
            UPDATE messages m SET reply_state = 'done', redo = NULL, redo_fence = p_fence
                WHERE m.conversation = v_key AND m.seq = r_seq;
        END IF;
        UPDATE conversations c SET last_seq = greatest(c.last_seq, r_reply_seq), due = c.due - 1,
                updated_at = greatest(c.updated_at, v_now)
            WHERE c.key = v_key;
        IF p_model IS NOT NULL THEN
            PERFORM aim_add_tokens(v_now, p_user, p_character, p_model, p_prompt, p_completion);
        END IF;
        IF v_redo IS NOT NULL THEN
            -- Who did not hear of it by an event looks: no `seq` tells.
            PERFORM aim_tell(p_now, ARRAY[json_build_object('kind', 'conversation', 'id', p_conversation)::text]);
        END IF;
    ELSE
        -- The same call, asked again because its answer was lost.
        SELECT r.id, r.turn, r.seq, r.created_at INTO r_reply, r_seq, r_reply_seq, r_reply_at
            FROM messages r JOIN messages m ON m.id = p_message
            WHERE r.id = p_reply AND r.conversation = v_key AND r.in_reply_to = p_message
                AND m.redo IS NULL AND m.redo_fence IS NULL;
        IF NOT FOUND THEN
            SELECT r.id, r.turn, r.seq, r.created_at, r.variants, r.selected
                INTO r_reply, r_seq, r_reply_seq, r_reply_at, r_variants, r_selected
                FROM messages m JOIN messages r ON r.conversation = m.conversation AND r.turn = m.seq AND r.seq > m.seq
                    AND r.reply_state IS NULL
                WHERE m.id = p_message AND m.conversation = v_key AND m.redo IS NULL AND m.redo_fence = p_fence;
        END IF;
        IF NOT FOUND THEN
            RETURN;
        END IF;
    END IF;
    RETURN QUERY
        SELECT r_reply, r_reply_seq, r_reply_at, r_variants, r_selected, r_character, m.id, m.seq, m.role, m.sender, m.kind,
            m.text, m.media, m.in_reply_to, m.client_id, m.created_at, m.reply_state, m.personality
        FROM messages m WHERE m.conversation = v_key AND m.seq = r_seq;
END $$;

-- What servers of the version before call: they too store what is answered anew where it belongs.
CREATE OR REPLACE FUNCTION aim_commit(
    p_now bigint, p_conversation text, p_fence bigint, p_message text, p_reply text, p_text text, p_personality text,
    p_user text, p_character text, p_model text, p_prompt bigint, p_completion bigint
) RETURNS TABLE (
    r_reply_seq bigint, r_reply_at bigint, r_character text,
    r_id text, r_seq bigint, r_role text, r_sender text, r_kind text, r_text text, r_media text, r_in_reply_to text,
    r_client_id text, r_created_at bigint, r_reply_state text, r_personality text
) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY
        SELECT c.r_reply_seq, c.r_reply_at, c.r_character, c.r_id, c.r_seq, c.r_role, c.r_sender, c.r_kind, c.r_text, c.r_media,
            c.r_in_reply_to, c.r_client_id, c.r_created_at, c.r_reply_state, c.r_personality
        FROM aim_commit_reply(p_now, p_conversation, p_fence, p_message, p_reply, p_text, p_personality, p_user, p_character,
            p_model, p_prompt, p_completion) c;
END $$;
