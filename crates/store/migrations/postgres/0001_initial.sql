-- Times are milliseconds since the Unix epoch. Ids are text, compared byte by byte whatever the database's language; a
-- conversation has a number of its own beside its id, so that its messages lie together under a short key.
--
-- The tables are those of SQLite but for four things. Who answers where stands in `claims`, so that a claim moves no
-- conversation in its indexes. `messages`, `claims` and `usage` name others without a foreign key: they are written under
-- their conversation's lock, and the checks would cost a fifth of a message. `token_days` has a row a connection, or
-- every reply of every server would wait for one. `feed` numbers the changes.
--
-- What must be quick is a function: a command in one trip and one commit. It takes the time as `p_now`, null for the
-- database's own clock, locks the conversation first, and looks at the rest after that, with a view of its own. Locks are
-- taken in this order: character, conversations by id, claim and messages, usage and tokens, feed.

CREATE TABLE users (
    id            text COLLATE "C" PRIMARY KEY,
    email         text NOT NULL,
    email_key     text COLLATE "C" NOT NULL UNIQUE, -- in lower case
    username      text COLLATE "C" NOT NULL UNIQUE, -- always in lower case
    display_name  text NOT NULL,
    avatar_url    text,
    tier          text NOT NULL,
    role          text NOT NULL,
    password_hash text,
    created_at    bigint NOT NULL,
    version       bigint NOT NULL
);

CREATE TABLE sessions (
    token_hash   text COLLATE "C" PRIMARY KEY,
    id           text COLLATE "C" NOT NULL UNIQUE,
    user_id      text COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    device       text NOT NULL,
    created_at   bigint NOT NULL,
    last_used_at bigint NOT NULL,
    expires_at   bigint NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (user_id, created_at);
CREATE INDEX sessions_by_end ON sessions (expires_at);

CREATE TABLE characters (
    key              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id               text COLLATE "C" NOT NULL UNIQUE,
    deleted_at       bigint, -- out of lists and closed to new messages; its conversations stay readable
    visibility       text NOT NULL,
    owner_id         text COLLATE "C" REFERENCES users (id),
    conversations    bigint NOT NULL DEFAULT 0,
    revision         bigint NOT NULL,
    created_at       bigint NOT NULL,
    updated_at       bigint NOT NULL,
    name_key         text COLLATE "C" NOT NULL, -- in lower case
    name             text NOT NULL,
    avatar_url       text,
    tags             text NOT NULL, -- JSON, in the author's order
    search           text NOT NULL, -- name, description and tags in lower case
    description      text NOT NULL,
    personality      text NOT NULL,
    scenario         text NOT NULL,
    greeting         text NOT NULL,
    example_dialogue text NOT NULL,
    system_prompt    text NOT NULL
);
CREATE INDEX characters_by_owner ON characters (owner_id) WHERE owner_id IS NOT NULL;
CREATE INDEX characters_new ON characters (created_at, id) WHERE visibility = 'public' AND deleted_at IS NULL;
CREATE INDEX characters_popular ON characters (conversations, id) WHERE visibility = 'public' AND deleted_at IS NULL;
CREATE INDEX characters_by_name ON characters (name_key, id) WHERE visibility = 'public' AND deleted_at IS NULL;

CREATE TABLE character_tags (
    tag       text COLLATE "C" NOT NULL, -- in lower case
    character bigint NOT NULL REFERENCES characters (key) ON DELETE CASCADE,
    PRIMARY KEY (tag, character)
);
CREATE INDEX tags_by_character ON character_tags (character);

-- No index holds what a message changes here, and a page keeps room: the row stays where it is.
CREATE TABLE conversations (
    key          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id           text COLLATE "C" NOT NULL UNIQUE,
    owner_id     text COLLATE "C" NOT NULL REFERENCES users (id),
    character_id text COLLATE "C" NOT NULL REFERENCES characters (id),
    title        text NOT NULL,
    last_seq     bigint NOT NULL,
    due          bigint NOT NULL, -- how many messages have reply_state 'due'
    fence        bigint NOT NULL DEFAULT 0,
    created_at   bigint NOT NULL,
    updated_at   bigint NOT NULL,
    UNIQUE (owner_id, character_id)
) WITH (fillfactor = 70);
CREATE INDEX conversations_by_character ON conversations (character_id);

CREATE TABLE members (
    conversation bigint NOT NULL REFERENCES conversations (key) ON DELETE CASCADE,
    user_id      text COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    joined_at    bigint NOT NULL,
    PRIMARY KEY (conversation, user_id)
);
CREATE INDEX members_by_user ON members (user_id, conversation);

-- Who answers in a conversation; counts while the holder's lease lives.
CREATE TABLE claims (
    conversation bigint PRIMARY KEY,
    character_id text COLLATE "C" NOT NULL,
    holder       text COLLATE "C" NOT NULL,
    seq          bigint NOT NULL, -- of the message that is answered
    fence        bigint NOT NULL, -- the conversation's, raised by this claim
    call         text COLLATE "C" NOT NULL, -- asked again, the same call finds its own claim
    stopping     boolean NOT NULL DEFAULT false -- the reply under way was told to stop
) WITH (fillfactor = 50);
CREATE INDEX claims_by_character ON claims (character_id, holder);
CREATE INDEX claims_by_holder ON claims (holder);

CREATE TABLE messages (
    conversation bigint NOT NULL,
    seq          bigint NOT NULL,
    turn         bigint NOT NULL, -- the seq of the message that a reply answers, its own for all others
    id           text COLLATE "C" NOT NULL UNIQUE,
    role         text NOT NULL,
    sender       text COLLATE "C" NOT NULL,
    kind         text NOT NULL,
    text         text NOT NULL,
    media        text, -- JSON
    in_reply_to  text COLLATE "C",
    client_id    text COLLATE "C",
    created_at   bigint NOT NULL,
    reply_state  text, -- of a person's message: due, done, failed or cancelled
    attempt      bigint NOT NULL DEFAULT 1,
    personality  text, -- JSON
    PRIMARY KEY (conversation, seq)
);
CREATE UNIQUE INDEX messages_by_client ON messages (conversation, sender, client_id) WHERE client_id IS NOT NULL;
CREATE INDEX messages_due ON messages (conversation, seq) WHERE reply_state = 'due';
CREATE INDEX messages_due_by_id ON messages (id) WHERE reply_state = 'due';
CREATE INDEX messages_by_turn ON messages (conversation, turn, seq) WHERE reply_state IS NULL OR reply_state = 'done';

CREATE TABLE usage (
    user_id      text COLLATE "C" NOT NULL,
    character_id text COLLATE "C" NOT NULL,
    text         bigint NOT NULL,
    audio        bigint NOT NULL,
    image        bigint NOT NULL,
    since        bigint NOT NULL,
    version      bigint NOT NULL,
    PRIMARY KEY (user_id, character_id)
) WITH (fillfactor = 70);

-- What each took, and the sums that are asked for often.
CREATE TABLE token_uses (
    user_id      text COLLATE "C" NOT NULL,
    day          text COLLATE "C" NOT NULL,
    character_id text COLLATE "C" NOT NULL,
    model        text COLLATE "C" NOT NULL,
    prompt       bigint NOT NULL,
    completion   bigint NOT NULL,
    requests     bigint NOT NULL,
    PRIMARY KEY (user_id, day, character_id, model)
) WITH (fillfactor = 70);
CREATE TABLE token_days (
    day        text COLLATE "C" NOT NULL,
    model      text COLLATE "C" NOT NULL,
    part       bigint NOT NULL, -- one of a few connections; the day is the sum of its parts
    prompt     bigint NOT NULL,
    completion bigint NOT NULL,
    requests   bigint NOT NULL,
    PRIMARY KEY (day, model, part)
) WITH (fillfactor = 50);

CREATE TABLE servers (
    id          text COLLATE "C" PRIMARY KEY,
    lease_until bigint NOT NULL
) WITH (fillfactor = 50);

-- Attempts to sign in, by address and by login name: what the limiter of a fleet may forget, this does not.
CREATE TABLE sign_in_attempts (
    subject text COLLATE "C" NOT NULL,
    seq     bigint NOT NULL, -- 1, 2, 3 … for each subject: the limit-th from the end is found without counting
    at      bigint NOT NULL,
    PRIMARY KEY (subject, seq)
);
CREATE INDEX attempts_by_time ON sign_in_attempts (subject, at, seq);
CREATE INDEX attempts_by_age ON sign_in_attempts (at);

CREATE TABLE sign_in_blocks (
    subject       text COLLATE "C" PRIMARY KEY,
    blocked_until bigint NOT NULL
);

CREATE TABLE changes (
    id   bigint PRIMARY KEY,
    at   bigint NOT NULL,
    body text NOT NULL -- JSON
);
CREATE INDEX changes_by_age ON changes (at);

-- The number of the newest change. Who writes changes locks this row until the end of the commit, so they are numbered in the
-- order in which they are seen, without a gap: a reader that knows a number has missed none before it.
CREATE TABLE feed (
    last bigint NOT NULL
) WITH (fillfactor = 10);
INSERT INTO feed VALUES (0);

CREATE FUNCTION aim_now(p_now bigint) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT coalesce(p_now, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint)
$$;

-- Writes changes, each a JSON text. The last thing before a commit: all others who write changes wait for it.
CREATE FUNCTION aim_tell(p_now bigint, p_bodies text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_last bigint;
BEGIN
    UPDATE feed f SET last = f.last + cardinality(p_bodies) RETURNING f.last INTO v_last;
    INSERT INTO changes (id, at, body)
        SELECT v_last - cardinality(p_bodies) + b.n, aim_now(p_now), b.body
        FROM unnest(p_bodies) WITH ORDINALITY b (body, n);
    PERFORM pg_notify('aim_changes', '');
END $$;

-- An attempt to sign in: counted, or one too many. An exact sliding window in a few look-ups whatever the limit.
CREATE FUNCTION aim_count_attempt(
    p_now bigint, p_subject text, p_limit bigint, p_window bigint, p_block bigint,
    OUT r_admitted boolean, OUT r_remaining bigint, OUT r_wait bigint
) LANGUAGE plpgsql AS $$
DECLARE
    v_clock bigint;
    v_now bigint;
    v_seq bigint;
    v_at bigint;
    v_leaves bigint;
BEGIN
    -- Numbers of characters' locks have another seed.
    PERFORM pg_advisory_xact_lock(hashtextextended(p_subject, 1));
    v_clock := aim_now(p_now);
    r_admitted := false;
    r_remaining := 0;
    SELECT b.blocked_until - v_clock INTO r_wait FROM sign_in_blocks b
        WHERE b.subject = p_subject AND b.blocked_until > v_clock;
    IF FOUND THEN
        RETURN;
    END IF;
    SELECT a.seq, a.at INTO v_seq, v_at FROM sign_in_attempts a WHERE a.subject = p_subject ORDER BY a.seq DESC LIMIT 1;
    v_seq := coalesce(v_seq, 0);
    -- A clock that was set back shortens no window: attempts stay in order.
    v_now := greatest(v_clock, v_at);
    SELECT a.at + p_window INTO v_leaves FROM sign_in_attempts a
        WHERE a.subject = p_subject AND a.seq = v_seq - p_limit + 1 AND a.at + p_window > v_now;
    IF p_limit = 0 OR v_leaves IS NOT NULL THEN
        r_wait := greatest(coalesce(v_leaves - v_now, p_window), p_block);
        IF p_block > 0 THEN
            INSERT INTO sign_in_blocks (subject, blocked_until) VALUES (p_subject, v_clock + p_block)
                ON CONFLICT (subject) DO UPDATE SET blocked_until = excluded.blocked_until;
        END IF;
        RETURN;
    END IF;
    INSERT INTO sign_in_attempts (subject, seq, at) VALUES (p_subject, v_seq + 1, v_now);
    r_admitted := true;
    SELECT greatest(p_limit - (v_seq + 2 - a.seq), 0), a.at + p_window - v_now INTO r_remaining, r_wait
        FROM sign_in_attempts a WHERE a.subject = p_subject AND a.at > v_now - p_window ORDER BY a.at, a.seq LIMIT 1;
    r_remaining := coalesce(r_remaining, p_limit - 1);
    r_wait := coalesce(r_wait, p_window);
END $$;

-- Adds the tokens of one call to their day in UTC.
CREATE FUNCTION aim_add_tokens(
    p_at bigint, p_user text, p_character text, p_model text, p_prompt bigint, p_completion bigint
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_day text := to_char(to_timestamp(p_at / 1000) AT TIME ZONE 'UTC', 'YYYY-MM-DD');
BEGIN
    INSERT INTO token_uses AS t (user_id, day, character_id, model, prompt, completion, requests)
        VALUES (p_user, v_day, p_character, p_model, p_prompt, p_completion, 1)
        ON CONFLICT (user_id, day, character_id, model) DO UPDATE SET prompt = t.prompt + excluded.prompt,
            completion = t.completion + excluded.completion, requests = t.requests + 1;
    INSERT INTO token_days AS t (day, model, part, prompt, completion, requests)
        VALUES (v_day, p_model, pg_backend_pid() % 64, p_prompt, p_completion, 1)
        ON CONFLICT (day, model, part) DO UPDATE SET prompt = t.prompt + excluded.prompt,
            completion = t.completion + excluded.completion, requests = t.requests + 1;
END $$;

-- A message. Outcomes: 'absent', 'repeated' (r_seq is of the message sent before), 'usage_full', 'line_full', 'accepted'.
-- The usage is the row as stored, whose window r_at may have left behind. `p_again`: the same call, because its answer was lost.
CREATE FUNCTION aim_send(
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
    SELECT EXISTS (SELECT 1 FROM members m WHERE m.conversation = v_key AND m.user_id = p_sender),
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
END $$;

-- Messages of several conversations in one commit, answered by their number. What is missing in the answer was not tried: its
-- conversation is being written by somebody else, for whom the others do not wait.
CREATE FUNCTION aim_send_many(
    p_now bigint, p_conversations text[], p_senders text[], p_messages text[], p_clients text[], p_kinds text[],
    p_texts text[], p_medias text[], p_limits bigint[], p_window bigint, p_max_dues bigint[]
) RETURNS TABLE (
    r_number bigint, r_outcome text, r_at bigint, r_seq bigint, r_character text, r_due bigint,
    r_text bigint, r_audio bigint, r_image bigint, r_since bigint, r_version bigint
) LANGUAGE plpgsql AS $$
DECLARE
    v_free text[];
    v_characters text[];
BEGIN
    SELECT array_agg(l.id), array_agg(l.character_id) INTO v_free, v_characters FROM (
        SELECT c.id, c.character_id FROM conversations c WHERE c.id = ANY (p_conversations)
        ORDER BY c.id FOR NO KEY UPDATE SKIP LOCKED) l;
    -- The conversations are locked by now. Usage rows are what can be waited for, so they are taken in one order.
    RETURN QUERY
        SELECT i.number, s.* FROM (
            SELECT * FROM unnest(p_conversations, p_senders, p_messages, p_clients, p_kinds, p_texts, p_medias, p_limits,
                    p_max_dues)
                WITH ORDINALITY i (conversation, sender, message, client, kind, text, media, usage_limit, max_due, number)
            WHERE i.conversation = ANY (v_free)
            ORDER BY i.sender, v_characters[array_position(v_free, i.conversation)], i.number) i,
        LATERAL aim_send(p_now, i.conversation, i.sender, i.message, i.client, i.kind, i.text, i.media, i.usage_limit,
            p_window, i.max_due, false) s;
END $$;

-- The right to answer the lowest due message. Outcomes: 'no_lease', 'nothing_due', 'conversation_busy', 'character_busy', and
-- with the message 'claimed' and 'cancelled'.
CREATE FUNCTION aim_claim(p_now bigint, p_conversation text, p_holder text, p_call text, p_at_once bigint)
RETURNS TABLE (
    r_outcome text, r_character text, r_fence bigint, r_last_seq bigint, r_attempt bigint, r_sender_name text,
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
        ELSIF v_claim.stopping THEN
            DELETE FROM claims cl WHERE cl.conversation = v_key;
            UPDATE messages m SET reply_state = 'cancelled'
                WHERE m.conversation = v_key AND m.seq = v_claim.seq AND m.reply_state = 'due';
            IF FOUND THEN
                UPDATE conversations c SET due = c.due - 1 WHERE c.key = v_key;
            END IF;
            r_outcome := 'cancelled';
            v_seq := v_claim.seq;
        END IF;
    END IF;

    IF v_seq IS NULL THEN
        SELECT m.seq INTO v_seq FROM messages m WHERE m.conversation = v_key AND m.reply_state = 'due'
            ORDER BY m.seq LIMIT 1;
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
    END IF;
    RETURN QUERY
        SELECT CASE r_outcome WHEN 'cancelled' THEN 'cancelled' ELSE 'claimed' END, r_character, r_fence, r_last_seq,
            m.attempt, coalesce(u.display_name, ''), m.id, m.seq, m.role, m.sender, m.kind, m.text, m.media,
            m.in_reply_to, m.client_id, m.created_at, m.reply_state, m.personality
        FROM messages m LEFT JOIN users u ON u.id = m.sender WHERE m.conversation = v_key AND m.seq = v_seq;
END $$;

-- A reply, under the fence of its claim. One row with the reply's place and the message that it answers, done by now; none when the
-- claim is lost.
CREATE FUNCTION aim_commit(
    p_now bigint, p_conversation text, p_fence bigint, p_message text, p_reply text, p_text text, p_personality text,
    p_user text, p_character text, p_model text, p_prompt bigint, p_completion bigint
) RETURNS TABLE (
    r_reply_seq bigint, r_reply_at bigint, r_character text,
    r_id text, r_seq bigint, r_role text, r_sender text, r_kind text, r_text text, r_media text, r_in_reply_to text,
    r_client_id text, r_created_at bigint, r_reply_state text, r_personality text
) LANGUAGE plpgsql AS $$
DECLARE
    v_key bigint;
BEGIN
    SELECT c.key, c.character_id, c.last_seq + 1 INTO v_key, r_character, r_reply_seq
        FROM conversations c WHERE c.id = p_conversation FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    r_reply_at := aim_now(p_now);
    DELETE FROM claims cl USING messages m
        WHERE cl.conversation = v_key AND cl.fence = p_fence
            AND m.conversation = v_key AND m.seq = cl.seq AND m.id = p_message
        RETURNING cl.seq INTO r_seq;
    IF FOUND THEN
        INSERT INTO messages (conversation, seq, turn, id, role, sender, kind, text, in_reply_to, created_at, personality)
            VALUES (v_key, r_reply_seq, r_seq, p_reply, 'character', r_character, 'text', p_text, p_message, r_reply_at,
                p_personality);
        UPDATE messages m SET reply_state = 'done' WHERE m.conversation = v_key AND m.seq = r_seq;
        UPDATE conversations c SET last_seq = r_reply_seq, due = c.due - 1, updated_at = greatest(c.updated_at, r_reply_at)
            WHERE c.key = v_key;
        IF p_model IS NOT NULL THEN
            PERFORM aim_add_tokens(r_reply_at, p_user, p_character, p_model, p_prompt, p_completion);
        END IF;
    ELSE
        -- The same call, asked again because its answer was lost.
        SELECT m.turn, m.seq, m.created_at INTO r_seq, r_reply_seq, r_reply_at FROM messages m
            WHERE m.id = p_reply AND m.conversation = v_key AND m.in_reply_to = p_message;
        IF NOT FOUND THEN
            RETURN;
        END IF;
    END IF;
    RETURN QUERY
        SELECT r_reply_seq, r_reply_at, r_character, m.id, m.seq, m.role, m.sender, m.kind, m.text, m.media, m.in_reply_to,
            m.client_id, m.created_at, m.reply_state, m.personality
        FROM messages m WHERE m.conversation = v_key AND m.seq = r_seq;
END $$;
