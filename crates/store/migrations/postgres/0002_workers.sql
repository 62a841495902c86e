-- Processes that only work hold claims like any server, and let nobody in.
ALTER TABLE servers ADD COLUMN serves BOOLEAN NOT NULL DEFAULT TRUE;
