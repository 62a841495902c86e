-- A message of somebody who was suspended while it was on its way is not taken in. Whoever says something has read what stands
-- before it: the send says so by itself, where a trigger had to look through all that a statement wrote.
CREATE OR REPLACE FUNCTION aim_send(
    p_now bigint, p_conversation text, p_sender text, p_message text, p_client text, p_kind text, p_text text,
    p_media text, p_limit bigint, p_window bigint, p_max_due bigint, p_again boolean,
    OUT r_outcome text, OUT r_at bigint, OUT r_seq bigint, OUT r_character text, OUT r_due bigint,
    OUT r_text bigint, OUT r_audio bigint, OUT r_image bigint, OUT r_since bigint, OUT r_version bigint
) LANGUAGE plpgsql AS $$
DECLARE
    v_key bigint;
    v_member boolean;
    v_open boolean;
    v_answering bigint;
    v_sent_seq bigint;
    v_sent_id text;
    v_sent_at bigint;
BEGIN
    SELECT c.key, c.character_id, c.last_seq, c.due INTO v_key, r_character, r_seq, r_due
        FROM conversations c WHERE c.id = p_conversation FOR NO KEY UPDATE;
    r_at := aim_now(p_now);
    SELECT EXISTS (SELECT 1 FROM members m JOIN users u ON u.id = m.user_id
                WHERE m.conversation = v_key AND m.user_id = p_sender AND coalesce(u.suspended_until, 0) <= r_at),
            EXISTS (SELECT 1 FROM characters ch WHERE ch.id = r_character AND ch.deleted_at IS NULL),
            (SELECT count(*) FROM claims cl JOIN servers s ON s.id = cl.holder
                WHERE cl.conversation = v_key AND s.lease_until > r_at)
        INTO v_member, v_open, v_answering;
    IF NOT v_member OR NOT v_open THEN
        r_outcome := 'absent';
        RETURN;
    END IF;

    SELECT m.seq, m.id, m.created_at INTO v_sent_seq, v_sent_id, v_sent_at FROM messages m
        WHERE m.conversation = v_key AND m.sender = p_sender AND m.client_id = p_client;
    IF FOUND THEN
        r_outcome := 'repeated';
    ELSIF p_limit <= 0 THEN
        r_outcome := 'usage_full';
    ELSIF r_due - v_answering >= p_max_due THEN
        r_outcome := 'line_full';
    ELSE
        -- Judged under its lock: the sender may write to the same character in another conversation at the same time.
        INSERT INTO usage AS u (user_id, character_id, text, audio, image, since, version)
            VALUES (p_sender, r_character,
                (p_kind = 'text')::int, (p_kind = 'audio')::int, (p_kind = 'image')::int, r_at, 1)
            ON CONFLICT (user_id, character_id) DO UPDATE SET
                text = CASE WHEN u.since > r_at - p_window THEN u.text ELSE 0 END + excluded.text,
                audio = CASE WHEN u.since > r_at - p_window THEN u.audio ELSE 0 END + excluded.audio,
                image = CASE WHEN u.since > r_at - p_window THEN u.image ELSE 0 END + excluded.image,
                since = CASE WHEN u.since > r_at - p_window THEN u.since ELSE r_at END,
                version = u.version + 1
            WHERE p_limit IS NULL OR u.since <= r_at - p_window
                OR CASE p_kind WHEN 'text' THEN u.text WHEN 'audio' THEN u.audio ELSE u.image END < p_limit
            RETURNING u.text, u.audio, u.image, u.since, u.version
            INTO r_text, r_audio, r_image, r_since, r_version;
        r_outcome := CASE WHEN FOUND THEN 'accepted' ELSE 'usage_full' END;
    END IF;

    IF r_outcome <> 'accepted' THEN
        SELECT u.text, u.audio, u.image, u.since, u.version INTO r_text, r_audio, r_image, r_since, r_version
            FROM usage u WHERE u.user_id = p_sender AND u.character_id = r_character;
        IF r_outcome = 'line_full' AND r_since > r_at - p_window
            AND (CASE p_kind WHEN 'text' THEN r_text WHEN 'audio' THEN r_audio ELSE r_image END) >= p_limit THEN
            r_outcome := 'usage_full';
        ELSIF r_outcome = 'repeated' THEN
            r_seq := v_sent_seq;
            IF p_again AND v_sent_id = p_message THEN
                r_outcome := 'accepted';
                r_at := v_sent_at;
            END IF;
        END IF;
        RETURN;
    END IF;

    r_seq := r_seq + 1;
    r_due := r_due + 1;
    INSERT INTO messages (conversation, seq, turn, id, role, sender, kind, text, media, client_id, created_at, reply_state)
        VALUES (v_key, r_seq, r_seq, p_message, 'user', p_sender, p_kind, p_text, p_media, p_client, r_at, 'due');
    UPDATE conversations c SET last_seq = r_seq, due = r_due, updated_at = greatest(c.updated_at, r_at)
        WHERE c.key = v_key;
    UPDATE members m SET read_seq = r_seq WHERE m.conversation = v_key AND m.user_id = p_sender;
END $$;
DROP TRIGGER members_read_own ON messages;
DROP FUNCTION aim_read_own();
