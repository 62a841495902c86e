CREATE TABLE mails (
    id         text COLLATE "C" PRIMARY KEY,
    occasion   text COLLATE "C" NOT NULL UNIQUE, -- what it is for: there is one mail for each
    user_id    text COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    address    text COLLATE "C" NOT NULL,
    kind       text COLLATE "C" NOT NULL,
    data       text NOT NULL, -- JSON
    state      text COLLATE "C" NOT NULL,
    attempt    bigint NOT NULL,
    holder     text COLLATE "C",
    not_before bigint NOT NULL,
    created_at bigint NOT NULL,
    ended_at   bigint,
    reason     text
);
CREATE INDEX mails_due ON mails (id) WHERE state = 'due';
CREATE INDEX mails_sending ON mails (holder) WHERE state = 'sending';
CREATE INDEX mails_by_end ON mails (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX mails_by_user ON mails (user_id);

-- What mails carry. The token itself is in the mail alone.
CREATE TABLE one_time_tokens (
    hash       text COLLATE "C" PRIMARY KEY,
    user_id    text COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    address    text COLLATE "C" NOT NULL, -- where the mail went
    purpose    text COLLATE "C" NOT NULL,
    expires_at bigint NOT NULL,
    used_at    bigint
);
CREATE INDEX tokens_by_user ON one_time_tokens (user_id, purpose);
CREATE INDEX tokens_by_end ON one_time_tokens (expires_at);

CREATE TABLE confirmed_addresses (
    user_id      text COLLATE "C" PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    email_key    text COLLATE "C" NOT NULL, -- counts while it is the account's
    confirmed_at bigint NOT NULL
);

CREATE TABLE unwanted_notices (
    user_id text COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    notice  text COLLATE "C" NOT NULL,
    PRIMARY KEY (user_id, notice)
);

-- Who was there, and until when an open socket counts that nobody notes anew.
CREATE TABLE presence (
    user_id    text COLLATE "C" PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    seen_at    bigint NOT NULL,
    open_until bigint NOT NULL
);
