-- The words of messages enter the index at the end of a commit, all at once and in order. FTS5 writes out what it has gathered
-- whenever a statement with triggers begins, and where a row comes before the one before it: each message became a
-- piece of the index of its own, to be merged with others later.
CREATE TABLE message_search_due (place INTEGER PRIMARY KEY) STRICT; -- as in message_search; a commit leaves none
DROP TRIGGER message_search_insert;
DROP TRIGGER message_search_update;
DROP TRIGGER message_search_delete;
CREATE TRIGGER message_search_insert AFTER INSERT ON messages WHEN NEW.text <> '' BEGIN
    INSERT OR IGNORE INTO message_search_due (place) VALUES (NEW.conversation << 32 | NEW.seq);
END;
CREATE TRIGGER message_search_update AFTER UPDATE OF text ON messages WHEN NEW.text <> OLD.text BEGIN
    DELETE FROM message_search WHERE rowid = (OLD.conversation << 32 | OLD.seq);
    INSERT OR IGNORE INTO message_search_due (place) VALUES (NEW.conversation << 32 | NEW.seq);
END;
CREATE TRIGGER message_search_delete AFTER DELETE ON messages WHEN OLD.text <> '' BEGIN
    DELETE FROM message_search WHERE rowid = (OLD.conversation << 32 | OLD.seq);
    DELETE FROM message_search_due WHERE place = (OLD.conversation << 32 | OLD.seq);
END;
