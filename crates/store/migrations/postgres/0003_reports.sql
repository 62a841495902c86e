-- What servers measured, minute by minute, and the reports that are made of it and of everything else.
CREATE TABLE samples (
    at     bigint NOT NULL, -- the beginning of its minute
    server text COLLATE "C" NOT NULL,
    body   text NOT NULL, -- JSON
    PRIMARY KEY (at, server)
);

CREATE TABLE reports (
    period text COLLATE "C" NOT NULL, -- hour or day
    start  bigint NOT NULL,
    body   text NOT NULL, -- JSON
    PRIMARY KEY (period, start)
);

-- Who changed to premium or back is nobody's business here: only that somebody did.
CREATE TABLE tier_changes (
    at   bigint NOT NULL,
    tier text NOT NULL -- the new one
);
CREATE INDEX tier_changes_by_time ON tier_changes (at);

CREATE INDEX users_by_age ON users (created_at);
