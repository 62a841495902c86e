-- What people sent. The bytes lie elsewhere, under names made from the id.
CREATE TABLE uploads (
    id         text COLLATE "C" PRIMARY KEY,
    owner_id   text COLLATE "C" NOT NULL, -- without a reference: a deleted row outlives its owner until its bytes are gone
    kind       text NOT NULL,
    status     text NOT NULL, -- processing, ready, failed or deleted
    mime_type  text NOT NULL,
    size       bigint NOT NULL,
    created_at bigint NOT NULL,
    version    bigint NOT NULL DEFAULT 1,
    holder     text COLLATE "C", -- who processes it; counts while its lease lives
    attempts   bigint NOT NULL DEFAULT 0,
    variants   text NOT NULL DEFAULT '[]', -- JSON
    details    text NOT NULL DEFAULT '{}' -- JSON
);
CREATE INDEX uploads_by_owner ON uploads (owner_id);
CREATE INDEX uploads_due ON uploads (id) WHERE status = 'processing';
CREATE INDEX uploads_deleted ON uploads (id) WHERE status = 'deleted';

-- What is being sent in parts.
CREATE TABLE resumables (
    id         text COLLATE "C" PRIMARY KEY,
    owner_id   text COLLATE "C" NOT NULL, -- empty: nobody's any more
    length     bigint NOT NULL,
    received   bigint NOT NULL DEFAULT 0,
    parts      text NOT NULL DEFAULT '[]', -- JSON
    created_at bigint NOT NULL
);
CREATE INDEX resumables_by_owner ON resumables (owner_id);
CREATE INDEX resumables_by_age ON resumables (created_at);

-- Which messages show an upload. The messages so far show none, so this reads their table once and stores nothing.
CREATE INDEX messages_by_upload ON messages ((media::json ->> 'uploadId')) WHERE media IS NOT NULL;

-- Keys that all servers share.
CREATE TABLE secrets (
    name  text COLLATE "C" PRIMARY KEY,
    value text NOT NULL
);
