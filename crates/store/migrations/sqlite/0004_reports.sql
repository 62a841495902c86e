-- What servers measured, minute by minute, and the reports that are made of it and of everything else.
CREATE TABLE samples (
    at     INTEGER NOT NULL, -- the beginning of its minute
    server TEXT NOT NULL,
    body   TEXT NOT NULL, -- JSON
    PRIMARY KEY (at, server)
) STRICT, WITHOUT ROWID;

CREATE TABLE reports (
    period TEXT NOT NULL, -- hour or day
    start  INTEGER NOT NULL,
    body   TEXT NOT NULL, -- JSON
    PRIMARY KEY (period, start)
) STRICT, WITHOUT ROWID;

-- Who changed to premium or back is nobody's business here: only that somebody did.
CREATE TABLE tier_changes (
    at   INTEGER NOT NULL,
    tier TEXT NOT NULL -- the new one
) STRICT;
CREATE INDEX tier_changes_by_time ON tier_changes (at);

CREATE INDEX users_by_age ON users (created_at);
