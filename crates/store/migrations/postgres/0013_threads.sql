-- A conversation that was deleted can be had back for a while. `conversations` are those that are there; the rows, with those of
-- deleted ones, are `all_conversations`. A server of the version before reads, writes and sends as ever through the view; only
-- a new conversation of a pair is opened by this version alone.
ALTER TABLE conversations
    ADD COLUMN main       boolean NOT NULL DEFAULT true, -- the one that opening the pair finds; a branch is none
    ADD COLUMN removals   bigint NOT NULL DEFAULT 0, -- how often its end was removed, so that last_seq fell
    ADD COLUMN branch_of  text COLLATE "C", -- the id of the conversation that it was copied from, which may be gone
    ADD COLUMN branch_seq bigint, -- the last message that was copied
    ADD COLUMN deleted_at bigint;
CREATE INDEX conversations_by_owner ON conversations (owner_id, character_id);
CREATE UNIQUE INDEX conversations_main ON conversations (owner_id, character_id) WHERE main AND deleted_at IS NULL;
CREATE INDEX conversations_deleted ON conversations (deleted_at) WHERE deleted_at IS NOT NULL;
ALTER TABLE conversations DROP CONSTRAINT conversations_owner_id_character_id_key;

-- How far each has read. Whoever says something has read what stands before it.
ALTER TABLE members ADD COLUMN read_seq bigint NOT NULL DEFAULT 0;
UPDATE members me SET read_seq = c.last_seq FROM conversations c WHERE c.key = me.conversation;
-- Once for a statement: of many messages that come at once only the last one counts.
CREATE FUNCTION aim_read_own() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE members me SET read_seq = said.seq FROM (
        SELECT a.conversation, a.sender, max(a.seq) AS seq FROM added a WHERE a.client_id IS NOT NULL
        GROUP BY a.conversation, a.sender) said
    WHERE me.conversation = said.conversation AND me.user_id = said.sender AND me.read_seq < said.seq;
    RETURN NULL;
END $$;
CREATE TRIGGER members_read_own AFTER INSERT ON messages REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION aim_read_own();

ALTER TABLE conversations RENAME TO all_conversations;
CREATE VIEW conversations AS SELECT * FROM all_conversations WHERE deleted_at IS NULL;
