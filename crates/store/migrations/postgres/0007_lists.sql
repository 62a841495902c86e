-- When an account is erased for good, where its owner asked for that.
ALTER TABLE users ADD COLUMN erase_at bigint;
CREATE INDEX users_by_erasure ON users (erase_at) WHERE erase_at IS NOT NULL;

-- Settings that follow a person from device to device.
CREATE TABLE preferences (
    user_id text COLLATE "C" PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    body    text NOT NULL, -- JSON
    version bigint NOT NULL
);

-- How far forms have come that take more than one step.
CREATE TABLE drafts (
    user_id    text COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    key        text COLLATE "C" NOT NULL,
    body       text NOT NULL, -- JSON
    saved_at   bigint NOT NULL,
    expires_at bigint NOT NULL,
    version    bigint NOT NULL,
    PRIMARY KEY (user_id, key)
);
CREATE INDEX drafts_by_end ON drafts (expires_at);

-- Full text: words without case and accents, as the program folds what it looks for (`words.rs`). Chinese and Japanese are
-- searched by single characters. The collation is one that knows letters of all languages, where there is one; a database that
-- is not in UTF-8 keeps its accents.
DO $do$
DECLARE
    v_collation text;
    v_fold      text;
BEGIN
    SELECT format('%I.%I', n.nspname, c.collname) INTO v_collation
        FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
        WHERE c.collname IN ('und-x-icu', 'pg_c_utf8', 'C.utf8', 'C.UTF-8', 'en_US.utf8')
            AND c.collencoding IN (-1, pg_char_to_encoding(getdatabaseencoding()))
        ORDER BY array_position(ARRAY['und-x-icu', 'pg_c_utf8', 'C.utf8', 'C.UTF-8', 'en_US.utf8'], c.collname::text) LIMIT 1;
    v_collation := coalesce(v_collation, 'pg_catalog."default"');
    v_fold := CASE WHEN getdatabaseencoding() = 'UTF8'
        THEN format($f$regexp_replace(regexp_replace(normalize(lower(v_text COLLATE %s), NFD), '[\u0300-\u036f]+', '', 'g'),
            '([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff][\u3099\u309a]*)', ' \1 ', 'g')$f$, v_collation)
        ELSE format('lower(v_text COLLATE %s)', v_collation) END;
    EXECUTE format($f$
        CREATE FUNCTION aim_words(p_text text) RETURNS text[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $body$
        DECLARE
            v_text text := left(p_text, 50000);
        BEGIN
            v_text := CASE WHEN octet_length(v_text) = length(v_text) THEN lower(v_text) ELSE %s END;
            RETURN ARRAY(
                SELECT DISTINCT left(w, 64) COLLATE "C"
                FROM regexp_split_to_table(v_text, '[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00a9\u00ab-\u00b1\u00b4\u00b6-\u00b8\u00bb-\u00bf\u00d7\u00f7\u2000-\u206f\u20a0-\u20cf\u2190-\u2bff\u3000-\u303f\ufe30-\ufe4f\uff00-\uff0f]+') w
                WHERE w <> '');
        END $body$ $f$, v_fold);
END $do$;

-- A message's words lie beside it, so that what moves it in its own indexes does not move them. Its conversation is a word too.
CREATE TABLE message_words (
    conversation bigint NOT NULL,
    seq          bigint NOT NULL,
    words        tsvector NOT NULL,
    PRIMARY KEY (conversation, seq)
);
CREATE INDEX message_words_by_word ON message_words USING gin (words);

-- Servers of the version before know nothing of them: triggers do it.
CREATE FUNCTION aim_message_words(p_conversation bigint, p_text text) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_to_tsvector(aim_words(p_text) || ARRAY['#' || p_conversation])
$$;
CREATE FUNCTION aim_index_message() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO message_words (conversation, seq, words)
        VALUES (NEW.conversation, NEW.seq, aim_message_words(NEW.conversation, NEW.text))
        ON CONFLICT (conversation, seq) DO UPDATE SET words = excluded.words;
    RETURN NULL;
END $$;
CREATE FUNCTION aim_forget_message() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM message_words WHERE conversation = OLD.conversation AND seq = OLD.seq;
    RETURN NULL;
END $$;
CREATE TRIGGER message_words_insert AFTER INSERT ON messages
    FOR EACH ROW WHEN (NEW.text <> '') EXECUTE FUNCTION aim_index_message();
CREATE TRIGGER message_words_update AFTER UPDATE OF text ON messages
    FOR EACH ROW WHEN (NEW.text <> OLD.text) EXECUTE FUNCTION aim_index_message();
CREATE TRIGGER message_words_delete AFTER DELETE ON messages
    FOR EACH ROW EXECUTE FUNCTION aim_forget_message();

-- Words of a name stand there twice, once with a mark before them.
CREATE TABLE character_words (
    character bigint PRIMARY KEY REFERENCES characters (key) ON DELETE CASCADE,
    words     tsvector NOT NULL
);
CREATE INDEX character_words_by_word ON character_words USING gin (words);
CREATE FUNCTION aim_character_words(p_name text, p_rest text) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_to_tsvector(aim_words(p_name || ' ' || p_rest) || ARRAY(SELECT '=' || w FROM unnest(aim_words(p_name)) w))
$$;
CREATE FUNCTION aim_index_character() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO character_words (character, words)
        VALUES (NEW.key, aim_character_words(NEW.name, NEW.tags || ' ' || NEW.description))
        ON CONFLICT (character) DO UPDATE SET words = excluded.words;
    RETURN NULL;
END $$;
CREATE TRIGGER character_words_insert AFTER INSERT ON characters
    FOR EACH ROW EXECUTE FUNCTION aim_index_character();
CREATE TRIGGER character_words_update AFTER UPDATE OF name, tags, description ON characters
    FOR EACH ROW EXECUTE FUNCTION aim_index_character();
