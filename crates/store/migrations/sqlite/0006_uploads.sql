-- What people sent. The bytes lie elsewhere, under names made from the id.
CREATE TABLE uploads (
    id         TEXT PRIMARY KEY,
    owner      TEXT NOT NULL, -- without a reference: a deleted row outlives its owner until its bytes are gone
    kind       TEXT NOT NULL,
    status     TEXT NOT NULL, -- processing, ready, failed or deleted
    mime_type  TEXT NOT NULL,
    size       INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    version    INTEGER NOT NULL DEFAULT 1,
    holder     TEXT, -- who processes it; counts while its lease lives
    attempts   INTEGER NOT NULL DEFAULT 0,
    variants   TEXT NOT NULL DEFAULT '[]', -- JSON
    details    TEXT NOT NULL DEFAULT '{}' -- JSON
) STRICT, WITHOUT ROWID;
CREATE INDEX uploads_by_owner ON uploads (owner);
CREATE INDEX uploads_due ON uploads (id) WHERE status = 'processing';
CREATE INDEX uploads_deleted ON uploads (id) WHERE status = 'deleted';

-- What is being sent in parts.
CREATE TABLE resumables (
    id         TEXT PRIMARY KEY,
    owner      TEXT NOT NULL, -- empty: nobody's any more
    length     INTEGER NOT NULL,
    received   INTEGER NOT NULL DEFAULT 0,
    parts      TEXT NOT NULL DEFAULT '[]', -- JSON
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX resumables_by_owner ON resumables (owner);
CREATE INDEX resumables_by_age ON resumables (created_at);

-- Which messages show an upload.
CREATE INDEX messages_by_upload ON messages (json_extract(media, '$.uploadId')) WHERE media IS NOT NULL;

-- Keys that all servers share.
CREATE TABLE secrets (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
