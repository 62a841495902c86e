-- Lists and counts of large libraries.

-- One's own private characters, by whatever a list is sorted by; and names, to be looked through. The last columns are the same in
-- every row that is asked for, but without them the rows themselves are read.
CREATE INDEX characters_own ON characters (owner, created_at, conversations, name_key, id, visibility, deleted_at)
    WHERE visibility = 'private' AND deleted_at IS NULL;
CREATE INDEX characters_names ON characters (name_key, visibility, deleted_at);

-- Tags of public characters alone, so that counting them reads no character. A character's tags are always written after it, and
-- anew with every change of it.
CREATE TABLE public_tags (
    tag       TEXT NOT NULL, -- in lower case
    character INTEGER NOT NULL REFERENCES characters (key) ON DELETE CASCADE,
    PRIMARY KEY (tag, character)
) STRICT, WITHOUT ROWID;
CREATE INDEX public_tags_by_character ON public_tags (character);
CREATE TRIGGER public_tags_insert AFTER INSERT ON character_tags BEGIN
    INSERT INTO public_tags (tag, character)
        SELECT NEW.tag, ch.key FROM characters ch
        WHERE ch.key = NEW.character AND ch.visibility = 'public' AND ch.deleted_at IS NULL;
END;
CREATE TRIGGER public_tags_delete AFTER DELETE ON character_tags BEGIN
    DELETE FROM public_tags WHERE tag = OLD.tag AND character = OLD.character;
END;
INSERT INTO public_tags (tag, character)
    SELECT t.tag, t.character FROM character_tags t JOIN characters ch ON ch.key = t.character
    WHERE ch.visibility = 'public' AND ch.deleted_at IS NULL;
