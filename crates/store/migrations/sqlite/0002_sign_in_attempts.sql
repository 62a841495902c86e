-- Attempts to sign in, by address and by login name: what the limiter of a fleet may forget, this does not.
CREATE TABLE sign_in_attempts (
    subject TEXT NOT NULL,
    seq     INTEGER NOT NULL, -- 1, 2, 3 … for each subject: the limit-th from the end is found without counting
    at      INTEGER NOT NULL,
    PRIMARY KEY (subject, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX attempts_by_time ON sign_in_attempts (subject, at, seq);
CREATE INDEX attempts_by_age ON sign_in_attempts (at);

CREATE TABLE sign_in_blocks (
    subject       TEXT PRIMARY KEY,
    blocked_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
