-- When an account is erased for good, where its owner asked for that.
ALTER TABLE users ADD COLUMN erase_at INTEGER;
CREATE INDEX users_by_erasure ON users (erase_at) WHERE erase_at IS NOT NULL;

-- Settings that follow a person from device to device.
CREATE TABLE preferences (
    user    TEXT PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    body    TEXT NOT NULL, -- JSON
    version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- How far forms have come that take more than one step.
CREATE TABLE drafts (
    user       TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    key        TEXT NOT NULL,
    body       TEXT NOT NULL, -- JSON
    saved_at   INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    version    INTEGER NOT NULL,
    PRIMARY KEY (user, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX drafts_by_end ON drafts (expires_at);

-- Full text. What is indexed are words without case and accents (`aim_words`, a function of the program's), so that an index
-- keeps no text. A message stands under its conversation's number and its own, so that those of a conversation lie together.
CREATE VIRTUAL TABLE message_search USING fts5 (
    words, content = '', contentless_delete = 1, detail = none, prefix = '2 3 4',
    tokenize = "unicode61 remove_diacritics 0 categories 'L* M* N* P* S* Co'"
);
CREATE TRIGGER message_search_insert AFTER INSERT ON messages WHEN NEW.text <> '' BEGIN
    INSERT INTO message_search (rowid, words) VALUES (NEW.conversation << 32 | NEW.seq, aim_words(NEW.text));
END;
CREATE TRIGGER message_search_update AFTER UPDATE OF text ON messages WHEN NEW.text <> OLD.text BEGIN
    DELETE FROM message_search WHERE rowid = (OLD.conversation << 32 | OLD.seq);
    INSERT INTO message_search (rowid, words) VALUES (NEW.conversation << 32 | NEW.seq, aim_words(NEW.text));
END;
CREATE TRIGGER message_search_delete AFTER DELETE ON messages WHEN OLD.text <> '' BEGIN
    DELETE FROM message_search WHERE rowid = (OLD.conversation << 32 | OLD.seq);
END;
INSERT INTO message_search (rowid, words)
    SELECT conversation << 32 | seq, aim_words(text) FROM messages WHERE text <> '' ORDER BY conversation, seq;

CREATE VIRTUAL TABLE character_search USING fts5 (
    name, rest, content = '', contentless_delete = 1, detail = column, prefix = '2 3',
    tokenize = "unicode61 remove_diacritics 0 categories 'L* M* N* P* S* Co'"
);
CREATE TRIGGER character_search_insert AFTER INSERT ON characters BEGIN
    INSERT INTO character_search (rowid, name, rest)
        VALUES (NEW.key, aim_words(NEW.name), aim_words(NEW.tags || ' ' || NEW.description));
END;
CREATE TRIGGER character_search_update AFTER UPDATE OF name, tags, description ON characters BEGIN
    DELETE FROM character_search WHERE rowid = OLD.key;
    INSERT INTO character_search (rowid, name, rest)
        VALUES (NEW.key, aim_words(NEW.name), aim_words(NEW.tags || ' ' || NEW.description));
END;
CREATE TRIGGER character_search_delete AFTER DELETE ON characters BEGIN
    DELETE FROM character_search WHERE rowid = OLD.key;
END;
INSERT INTO character_search (rowid, name, rest)
    SELECT key, aim_words(name), aim_words(tags || ' ' || description) FROM characters;
