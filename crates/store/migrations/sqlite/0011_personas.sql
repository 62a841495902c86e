-- The roles that people play in front of characters.
CREATE TABLE personas (
    id          TEXT PRIMARY KEY,
    user        TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    picture     TEXT, -- an upload of the user's
    is_default  INTEGER NOT NULL,
    revision    INTEGER NOT NULL, -- raised by every change
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX personas_by_user ON personas (user, id);
CREATE UNIQUE INDEX personas_default ON personas (user) WHERE is_default = 1;

-- Who plays another than their default one, and where.
CREATE TABLE persona_choices (
    conversation INTEGER NOT NULL REFERENCES conversations (key) ON DELETE CASCADE,
    user         TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    persona      TEXT NOT NULL REFERENCES personas (id) ON DELETE CASCADE,
    PRIMARY KEY (conversation, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX persona_choices_by_persona ON persona_choices (persona);
CREATE INDEX persona_choices_by_user ON persona_choices (user);
