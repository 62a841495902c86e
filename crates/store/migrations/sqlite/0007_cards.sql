-- What else a character's card says, and the card itself as it came, for export.
ALTER TABLE characters ADD COLUMN details TEXT; -- JSON; none where it says nothing
ALTER TABLE characters ADD COLUMN card TEXT; -- JSON
