-- Times are milliseconds since the Unix epoch. Ids are text; a conversation has a number of its own beside its id, so that
-- its messages lie together under a short key.

CREATE TABLE users (
    id            TEXT PRIMARY KEY,
    email         TEXT NOT NULL,
    email_key     TEXT NOT NULL UNIQUE, -- in lower case
    username      TEXT NOT NULL UNIQUE, -- always in lower case
    display_name  TEXT NOT NULL,
    avatar_url    TEXT,
    tier          TEXT NOT NULL,
    role          TEXT NOT NULL,
    password_hash TEXT,
    created_at    INTEGER NOT NULL,
    version       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    token_hash   TEXT PRIMARY KEY,
    id           TEXT NOT NULL UNIQUE,
    user         TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    device       TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_user ON sessions (user, created_at);
CREATE INDEX sessions_by_end ON sessions (expires_at);

-- The short columns come first: a read of them does not walk through the long texts.
CREATE TABLE characters (
    key              INTEGER PRIMARY KEY,
    id               TEXT NOT NULL UNIQUE,
    deleted_at       INTEGER, -- out of lists and closed to new messages; its conversations stay readable
    visibility       TEXT NOT NULL,
    owner            TEXT REFERENCES users (id),
    conversations    INTEGER NOT NULL DEFAULT 0,
    revision         INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    name_key         TEXT NOT NULL, -- in lower case
    name             TEXT NOT NULL,
    avatar_url       TEXT,
    tags             TEXT NOT NULL, -- JSON, in the author's order
    search           TEXT NOT NULL, -- name, description and tags in lower case
    description      TEXT NOT NULL,
    personality      TEXT NOT NULL,
    scenario         TEXT NOT NULL,
    greeting         TEXT NOT NULL,
    example_dialogue TEXT NOT NULL,
    system_prompt    TEXT NOT NULL
) STRICT;
CREATE INDEX characters_by_owner ON characters (owner) WHERE owner IS NOT NULL;
CREATE INDEX characters_new ON characters (created_at, id) WHERE visibility = 'public' AND deleted_at IS NULL;
CREATE INDEX characters_popular ON characters (conversations, id) WHERE visibility = 'public' AND deleted_at IS NULL;
CREATE INDEX characters_by_name ON characters (name_key, id) WHERE visibility = 'public' AND deleted_at IS NULL;

CREATE TABLE character_tags (
    tag       TEXT NOT NULL, -- in lower case
    character INTEGER NOT NULL REFERENCES characters (key) ON DELETE CASCADE,
    PRIMARY KEY (tag, character)
) STRICT, WITHOUT ROWID;
CREATE INDEX tags_by_character ON character_tags (character);

CREATE TABLE conversations (
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
    UNIQUE (owner, character)
) STRICT;
CREATE INDEX conversations_by_character ON conversations (character);
CREATE INDEX conversations_held ON conversations (character, holder) WHERE holder IS NOT NULL;

CREATE TABLE members (
    conversation INTEGER NOT NULL REFERENCES conversations (key) ON DELETE CASCADE,
    user         TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    joined_at    INTEGER NOT NULL,
    PRIMARY KEY (conversation, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_by_user ON members (user, conversation);

CREATE TABLE messages (
    conversation INTEGER NOT NULL REFERENCES conversations (key) ON DELETE CASCADE,
    seq          INTEGER NOT NULL,
    turn         INTEGER NOT NULL, -- the seq of the message that a reply answers, its own for all others
    id           TEXT NOT NULL UNIQUE,
    role         TEXT NOT NULL,
    sender       TEXT NOT NULL,
    kind         TEXT NOT NULL,
    text         TEXT NOT NULL,
    media        TEXT, -- JSON
    in_reply_to  TEXT,
    client_id    TEXT,
    created_at   INTEGER NOT NULL,
    reply_state  TEXT, -- of a person's message: due, done, failed or cancelled
    attempt      INTEGER NOT NULL DEFAULT 1,
    personality  TEXT, -- JSON
    PRIMARY KEY (conversation, seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX messages_by_client ON messages (conversation, sender, client_id) WHERE client_id IS NOT NULL;
CREATE INDEX messages_due ON messages (conversation, seq) WHERE reply_state = 'due';
CREATE INDEX messages_due_by_id ON messages (id) WHERE reply_state = 'due';
CREATE INDEX messages_by_turn ON messages (conversation, turn, seq) WHERE reply_state IS NULL OR reply_state = 'done';

CREATE TABLE usage (
    user      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    character TEXT NOT NULL,
    text      INTEGER NOT NULL,
    audio     INTEGER NOT NULL,
    image     INTEGER NOT NULL,
    since     INTEGER NOT NULL,
    version   INTEGER NOT NULL,
    PRIMARY KEY (user, character)
) STRICT, WITHOUT ROWID;

-- What each took, and the sums that are asked for often.
CREATE TABLE token_uses (
    user       TEXT NOT NULL,
    day        TEXT NOT NULL,
    character  TEXT NOT NULL,
    model      TEXT NOT NULL,
    prompt     INTEGER NOT NULL,
    completion INTEGER NOT NULL,
    requests   INTEGER NOT NULL,
    PRIMARY KEY (user, day, character, model)
) STRICT, WITHOUT ROWID;
CREATE TABLE token_days (
    day        TEXT NOT NULL,
    model      TEXT NOT NULL,
    prompt     INTEGER NOT NULL,
    completion INTEGER NOT NULL,
    requests   INTEGER NOT NULL,
    PRIMARY KEY (day, model)
) STRICT, WITHOUT ROWID;

CREATE TABLE servers (
    id          TEXT PRIMARY KEY,
    lease_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- AUTOINCREMENT: a cursor stays true when every older row was swept.
CREATE TABLE changes (
    id   INTEGER PRIMARY KEY AUTOINCREMENT,
    at   INTEGER NOT NULL,
    body TEXT NOT NULL -- JSON
) STRICT;
CREATE INDEX changes_by_age ON changes (at);
