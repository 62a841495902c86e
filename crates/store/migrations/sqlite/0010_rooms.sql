-- Links into conversations. The token of a link is in the link alone.
CREATE TABLE invites (
    id           TEXT PRIMARY KEY,
    token_hash   TEXT NOT NULL UNIQUE,
    conversation INTEGER NOT NULL REFERENCES conversations (key) ON DELETE CASCADE,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    uses         INTEGER NOT NULL DEFAULT 0,
    max_uses     INTEGER -- null: without end
) STRICT, WITHOUT ROWID;
CREATE INDEX invites_by_conversation ON invites (conversation, created_at);
CREATE INDEX invites_by_end ON invites (expires_at);

-- Who came in by which link: each counts once.
CREATE TABLE invite_uses (
    invite TEXT NOT NULL REFERENCES invites (id) ON DELETE CASCADE,
    user   TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (invite, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX invite_uses_by_user ON invite_uses (user);

-- Whom the owner took out, and when: links from before that do not let them in again.
CREATE TABLE removals (
    conversation INTEGER NOT NULL REFERENCES conversations (key) ON DELETE CASCADE,
    user         TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    at           INTEGER NOT NULL,
    PRIMARY KEY (conversation, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX removals_by_user ON removals (user);
