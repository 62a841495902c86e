-- When somebody put a reply in other words, or one of its variants: an operator who reads a report is told.
ALTER TABLE messages ADD COLUMN revised_at INTEGER;
