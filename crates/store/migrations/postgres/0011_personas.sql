-- The roles that people play in front of characters.
CREATE TABLE personas (
    id          text COLLATE "C" PRIMARY KEY,
    user_id     text COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name        text NOT NULL,
    description text NOT NULL,
    picture     text COLLATE "C", -- an upload of the user's
    is_default  boolean NOT NULL,
    revision    bigint NOT NULL, -- raised by every change
    created_at  bigint NOT NULL,
    updated_at  bigint NOT NULL
);
CREATE INDEX personas_by_user ON personas (user_id, id);
CREATE UNIQUE INDEX personas_default ON personas (user_id) WHERE is_default;

-- Who plays another than their default one, and where.
CREATE TABLE persona_choices (
    conversation bigint NOT NULL REFERENCES conversations (key) ON DELETE CASCADE,
    user_id      text COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    persona      text COLLATE "C" NOT NULL REFERENCES personas (id) ON DELETE CASCADE,
    PRIMARY KEY (conversation, user_id)
);
CREATE INDEX persona_choices_by_persona ON persona_choices (persona);
CREATE INDEX persona_choices_by_user ON persona_choices (user_id);
