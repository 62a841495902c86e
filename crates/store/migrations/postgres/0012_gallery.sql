-- The pictures of a character beside its avatar. An upload that is not ready is not shown yet.
CREATE TABLE gallery (
    character  bigint NOT NULL REFERENCES characters (key) ON DELETE CASCADE,
    upload     text COLLATE "C" NOT NULL, -- without a reference: uploads that are deleted are hidden, and forgotten later
    position   bigint NOT NULL, -- in order; with gaps
    caption    text NOT NULL,
    expression text, -- the label of a face, in lower case
    created_at bigint NOT NULL,
    PRIMARY KEY (character, upload)
);
CREATE INDEX gallery_by_upload ON gallery (upload);

-- Raised by every change of its gallery.
ALTER TABLE characters ADD COLUMN gallery_version bigint NOT NULL DEFAULT 0;
