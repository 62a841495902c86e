-- Who does not want to hear of whom.
CREATE TABLE blocks (
    blocker    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    blocked    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (blocker, blocked)
) STRICT, WITHOUT ROWID;
CREATE INDEX blocks_by_blocked ON blocks (blocked);

-- What people reported, with what it was at that time.
CREATE TABLE cases (
    id           TEXT PRIMARY KEY,
    reporter     TEXT, -- none once that account was erased
    kind         TEXT NOT NULL,
    target       TEXT NOT NULL, -- the id of what was reported
    conversation TEXT, -- of a message or a reply
    author       TEXT, -- whose words they are; goes with that account
    character    TEXT, -- the one that was reported, or whose reply was
    wrong        TEXT NOT NULL,
    note         TEXT NOT NULL,
    snapshot     TEXT NOT NULL, -- JSON
    state        TEXT NOT NULL, -- open or closed
    resolution   TEXT,
    created_at   INTEGER NOT NULL,
    closed_at    INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX cases_once ON cases (reporter, kind, target) WHERE state = 'open' AND reporter IS NOT NULL;
CREATE INDEX cases_by_state ON cases (state, id);
CREATE INDEX cases_by_reporter ON cases (reporter, created_at) WHERE reporter IS NOT NULL;
CREATE INDEX cases_by_author ON cases (author) WHERE author IS NOT NULL;
CREATE INDEX cases_by_end ON cases (closed_at) WHERE closed_at IS NOT NULL;

-- What operators did.
CREATE TABLE deeds (
    id          TEXT PRIMARY KEY,
    at          INTEGER NOT NULL,
    operator    TEXT, -- none: at a terminal
    action      TEXT NOT NULL,
    target_kind TEXT NOT NULL, -- character, user or report
    target      TEXT NOT NULL,
    reason      TEXT NOT NULL,
    until       INTEGER -- of a suspension with an end
) STRICT, WITHOUT ROWID;

-- Beside the characters, so that lists need not walk through their long texts to see who is out of them.
CREATE TABLE unlisted_characters (
    character INTEGER PRIMARY KEY REFERENCES characters (key) ON DELETE CASCADE,
    at        INTEGER NOT NULL,
    reason    TEXT NOT NULL
) STRICT;

ALTER TABLE users ADD COLUMN suspended_until INTEGER; -- while it is in the future; without an end 9223372036854775807
ALTER TABLE users ADD COLUMN suspended_for TEXT; -- the reason
CREATE INDEX users_suspended ON users (suspended_until) WHERE suspended_until IS NOT NULL;
