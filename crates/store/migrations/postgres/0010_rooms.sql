-- Links into conversations. The token of a link is in the link alone.
CREATE TABLE invites (
    id           text COLLATE "C" PRIMARY KEY,
    token_hash   text COLLATE "C" NOT NULL UNIQUE,
    conversation bigint NOT NULL REFERENCES conversations (key) ON DELETE CASCADE,
    created_at   bigint NOT NULL,
    expires_at   bigint NOT NULL,
    uses         bigint NOT NULL DEFAULT 0,
    max_uses     bigint -- null: without end
);
CREATE INDEX invites_by_conversation ON invites (conversation, created_at);
CREATE INDEX invites_by_end ON invites (expires_at);

-- Who came in by which link: each counts once.
CREATE TABLE invite_uses (
    invite  text COLLATE "C" NOT NULL REFERENCES invites (id) ON DELETE CASCADE,
    user_id text COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (invite, user_id)
);
CREATE INDEX invite_uses_by_user ON invite_uses (user_id);

-- Whom the owner took out, and when: links from before that do not let them in again.
CREATE TABLE removals (
    conversation bigint NOT NULL REFERENCES conversations (key) ON DELETE CASCADE,
    user_id      text COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    at           bigint NOT NULL,
    PRIMARY KEY (conversation, user_id)
);
CREATE INDEX removals_by_user ON removals (user_id);
