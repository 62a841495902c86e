-- The pictures of a character beside its avatar. An upload that is not ready is not shown yet.
CREATE TABLE gallery (
    character  INTEGER NOT NULL REFERENCES characters (key) ON DELETE CASCADE,
    upload     TEXT NOT NULL, -- without a reference: uploads that are deleted are hidden, and forgotten later
    position   INTEGER NOT NULL, -- in order; with gaps
    caption    TEXT NOT NULL,
    expression TEXT, -- the label of a face, in lower case
    created_at INTEGER NOT NULL,
    PRIMARY KEY (character, upload)
) STRICT, WITHOUT ROWID;
CREATE INDEX gallery_by_upload ON gallery (upload);

-- Raised by every change of its gallery.
ALTER TABLE characters ADD COLUMN gallery_version INTEGER NOT NULL DEFAULT 0;
