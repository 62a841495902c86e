-- A conversation that was deleted can be had back for a while. `conversations` are those that are there, and all that reads them
-- reads the view; the rows, with those of deleted ones, are `all_conversations`, which is what is written.
--
-- The table is made anew, since the rule that a pair has one conversation holds for the main ones alone by now. Foreign keys
-- are not enforced while schemas change (`connect.rs`), so what belongs to its rows stays.
ALTER TABLE conversations RENAME TO all_conversations;
CREATE TABLE conversations_anew (
    key        INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    owner      TEXT NOT NULL REFERENCES users (id),
    character  TEXT NOT NULL REFERENCES characters (id),
    title      TEXT NOT NULL,
    last_seq   INTEGER NOT NULL,
    due        INTEGER NOT NULL, -- how many messages have reply_state 'due'
    fence      INTEGER NOT NULL DEFAULT 0,
    holder     TEXT,    -- who answers here; counts while its lease lives
    claimed    INTEGER, -- the seq of the message that the holder answers
    stop_fence INTEGER NOT NULL DEFAULT 0, -- equal to fence: the reply under way was told to stop
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    main       INTEGER NOT NULL DEFAULT 1, -- the one that opening the pair finds; a branch is none
    removals   INTEGER NOT NULL DEFAULT 0, -- how often its end was removed, so that last_seq fell
    branch_of  TEXT,    -- the id of the conversation that it was copied from, which may be gone
    branch_seq INTEGER, -- the last message that was copied
    deleted_at INTEGER
) STRICT;
INSERT INTO conversations_anew (key, id, owner, character, title, last_seq, due, fence, holder, claimed, stop_fence, created_at, updated_at)
    SELECT key, id, owner, character, title, last_seq, due, fence, holder, claimed, stop_fence, created_at, updated_at
    FROM all_conversations;
DROP TABLE all_conversations;
ALTER TABLE conversations_anew RENAME TO all_conversations;
CREATE UNIQUE INDEX conversations_main ON all_conversations (owner, character) WHERE main = 1 AND deleted_at IS NULL;
CREATE INDEX conversations_by_owner ON all_conversations (owner, character);
CREATE INDEX conversations_by_character ON all_conversations (character);
CREATE INDEX conversations_held ON all_conversations (character, holder) WHERE holder IS NOT NULL;
CREATE INDEX conversations_deleted ON all_conversations (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE VIEW conversations AS SELECT * FROM all_conversations WHERE deleted_at IS NULL;

-- How far each has read. Whoever says something has read what stands before it.
ALTER TABLE members ADD COLUMN read_seq INTEGER NOT NULL DEFAULT 0;
UPDATE members SET read_seq = (SELECT last_seq FROM all_conversations c WHERE c.key = members.conversation);
CREATE TRIGGER members_read_own AFTER INSERT ON messages WHEN NEW.client_id IS NOT NULL BEGIN
    UPDATE members SET read_seq = NEW.seq
        WHERE conversation = NEW.conversation AND user = NEW.sender AND read_seq < NEW.seq;
END;
