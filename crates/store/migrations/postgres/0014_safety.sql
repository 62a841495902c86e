-- Who does not want to hear of whom.
CREATE TABLE blocks (
    blocker    text COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    blocked    text COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at bigint NOT NULL,
    PRIMARY KEY (blocker, blocked)
);
CREATE INDEX blocks_by_blocked ON blocks (blocked);

-- What people reported, with what it was at that time.
CREATE TABLE cases (
    id           text COLLATE "C" PRIMARY KEY,
    reporter     text COLLATE "C", -- none once that account was erased
    kind         text NOT NULL,
    target       text COLLATE "C" NOT NULL, -- the id of what was reported
    conversation text COLLATE "C", -- of a message or a reply
    author       text COLLATE "C", -- whose words they are; goes with that account
    character    text COLLATE "C", -- the one that was reported, or whose reply was
    wrong        text NOT NULL,
    note         text NOT NULL,
    snapshot     text NOT NULL, -- JSON
    state        text NOT NULL, -- open or closed
    resolution   text,
    created_at   bigint NOT NULL,
    closed_at    bigint
);
CREATE UNIQUE INDEX cases_once ON cases (reporter, kind, target) WHERE state = 'open' AND reporter IS NOT NULL;
CREATE INDEX cases_by_state ON cases (state, id);
CREATE INDEX cases_by_reporter ON cases (reporter, created_at) WHERE reporter IS NOT NULL;
CREATE INDEX cases_by_author ON cases (author) WHERE author IS NOT NULL;
CREATE INDEX cases_by_end ON cases (closed_at) WHERE closed_at IS NOT NULL;

-- What operators did.
CREATE TABLE deeds (
    id          text COLLATE "C" PRIMARY KEY,
    at          bigint NOT NULL,
    operator    text COLLATE "C", -- none: at a terminal
    action      text NOT NULL,
    target_kind text NOT NULL, -- character, user or report
    target      text COLLATE "C" NOT NULL,
    reason      text NOT NULL,
    until       bigint -- of a suspension with an end
);

-- Few, and so beside the characters, whose rows lists need not read to see who is out of them.
CREATE TABLE unlisted_characters (
    character bigint PRIMARY KEY REFERENCES characters (key) ON DELETE CASCADE,
    at        bigint NOT NULL,
    reason    text NOT NULL
);

ALTER TABLE users ADD COLUMN suspended_until bigint; -- while it is in the future; without an end 9223372036854775807
ALTER TABLE users ADD COLUMN suspended_for text; -- the reason
CREATE INDEX users_suspended ON users (suspended_until) WHERE suspended_until IS NOT NULL;
