-- Lists and counts of large libraries.

-- One's own private characters, by whatever a list is sorted by.
CREATE INDEX characters_own ON characters (owner_id, created_at, conversations, name_key, id)
    WHERE visibility = 'private' AND deleted_at IS NULL;

-- Tags of public characters alone, so that counting them reads no character. A character's tags are always written after it, and
-- anew with every change of it, by servers of the version before as well. The next migration fills it.
CREATE TABLE public_tags (
    tag       text COLLATE "C" NOT NULL, -- in lower case
    character bigint NOT NULL REFERENCES characters (key) ON DELETE CASCADE,
    PRIMARY KEY (tag, character)
);
CREATE INDEX public_tags_by_character ON public_tags (character);
