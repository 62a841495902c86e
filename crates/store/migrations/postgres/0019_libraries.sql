-- Lists and counts of large libraries.

-- One's own private characters, by whatever a list is sorted by.
CREATE INDEX characters_own ON characters (owner_id, created_at, conversations, name_key, id)
    WHERE visibility = 'private' AND deleted_at IS NULL;

-- Tags of public characters alone, so that counting them reads no character. A character's tags are always written after it, and
-- anew with every change of it, by servers of the version before as well.
CREATE TABLE public_tags (
    tag       text COLLATE "C" NOT NULL, -- in lower case
    character bigint NOT NULL REFERENCES characters (key) ON DELETE CASCADE,
    PRIMARY KEY (tag, character)
);
CREATE INDEX public_tags_by_character ON public_tags (character);
CREATE FUNCTION aim_public_tag() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO public_tags (tag, character)
            SELECT NEW.tag, ch.key FROM characters ch
            WHERE ch.key = NEW.character AND ch.visibility = 'public' AND ch.deleted_at IS NULL
            ON CONFLICT DO NOTHING;
    ELSE
        DELETE FROM public_tags WHERE tag = OLD.tag AND character = OLD.character;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER public_tags_insert AFTER INSERT ON character_tags FOR EACH ROW EXECUTE FUNCTION aim_public_tag();
CREATE TRIGGER public_tags_delete AFTER DELETE ON character_tags FOR EACH ROW EXECUTE FUNCTION aim_public_tag();
-- Those of before. Meanwhile everybody reads, and whoever changes a character's tags waits: half a second for 100,000 short rows.
INSERT INTO public_tags (tag, character)
    SELECT t.tag, t.character FROM character_tags t JOIN characters ch ON ch.key = t.character
    WHERE ch.visibility = 'public' AND ch.deleted_at IS NULL;
