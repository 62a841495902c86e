CREATE TABLE mails (
    id         TEXT PRIMARY KEY,
    occasion   TEXT NOT NULL UNIQUE, -- what it is for: there is one mail for each
    user       TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    address    TEXT NOT NULL,
    kind       TEXT NOT NULL,
    data       TEXT NOT NULL, -- JSON
    state      TEXT NOT NULL,
    attempt    INTEGER NOT NULL,
    holder     TEXT,
    not_before INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    ended_at   INTEGER,
    reason     TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX mails_due ON mails (id) WHERE state = 'due';
CREATE INDEX mails_sending ON mails (holder) WHERE state = 'sending';
CREATE INDEX mails_by_end ON mails (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX mails_by_user ON mails (user);

-- What mails carry. The token itself is in the mail alone.
CREATE TABLE one_time_tokens (
    hash       TEXT PRIMARY KEY,
    user       TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    address    TEXT NOT NULL, -- where the mail went
    purpose    TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_by_user ON one_time_tokens (user, purpose);
CREATE INDEX tokens_by_end ON one_time_tokens (expires_at);

CREATE TABLE confirmed_addresses (
    user         TEXT PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    email_key    TEXT NOT NULL, -- counts while it is the account's
    confirmed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE unwanted_notices (
    user   TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    notice TEXT NOT NULL,
    PRIMARY KEY (user, notice)
) STRICT, WITHOUT ROWID;

-- Who was there, and until when an open socket counts that nobody notes anew.
CREATE TABLE presence (
    user       TEXT PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    seen_at    INTEGER NOT NULL,
    open_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
