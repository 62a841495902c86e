-- Processes that only work hold claims like any server, and let nobody in.
ALTER TABLE servers ADD COLUMN serves INTEGER NOT NULL DEFAULT 1;
