-- A reply that was answered anew has variants. The message says what the chosen one says, so whoever reads messages reads
-- the chosen ones; the table has them all, from the second on.
ALTER TABLE messages ADD COLUMN variants INTEGER; -- of a reply: how many it has; null stands for one
ALTER TABLE messages ADD COLUMN selected INTEGER; -- the number of the one that is chosen, from 0
-- Of an answered message that is due again: 'variant' or 'continue'; it is done when that ends, however it ends.
ALTER TABLE messages ADD COLUMN redo TEXT;
-- The fence of that work's first claim, and once it is stored, of the claim that stored it.
ALTER TABLE messages ADD COLUMN redo_fence INTEGER;

CREATE TABLE variants (
    conversation INTEGER NOT NULL REFERENCES conversations (key) ON DELETE CASCADE,
    seq          INTEGER NOT NULL, -- of the reply
    number       INTEGER NOT NULL, -- 0, 1, 2 …
    text         TEXT NOT NULL,
    personality  TEXT, -- JSON
    PRIMARY KEY (conversation, seq, number)
) STRICT, WITHOUT ROWID;
