-- Who made a character is found too: the one whom its card names, and the username of its owner.
ALTER TABLE characters ADD COLUMN creator TEXT; -- as `details` says it
DROP TRIGGER character_search_insert;
DROP TRIGGER character_search_update;
UPDATE characters SET creator = nullif(details ->> '$.creator', '') WHERE details IS NOT NULL;
CREATE TRIGGER character_search_insert AFTER INSERT ON characters BEGIN
    INSERT INTO character_search (rowid, name, rest) VALUES (NEW.key, aim_words(NEW.name), aim_words(concat_ws(' ',
        NEW.tags, NEW.description, NEW.creator, (SELECT username FROM users WHERE id = NEW.owner))));
END;
CREATE TRIGGER character_search_update AFTER UPDATE OF name, tags, description, creator, owner ON characters BEGIN
    DELETE FROM character_search WHERE rowid = OLD.key;
    INSERT INTO character_search (rowid, name, rest) VALUES (NEW.key, aim_words(NEW.name), aim_words(concat_ws(' ',
        NEW.tags, NEW.description, NEW.creator, (SELECT username FROM users WHERE id = NEW.owner))));
END;
INSERT INTO character_search (character_search) VALUES ('delete-all');
INSERT INTO character_search (rowid, name, rest)
    SELECT ch.key, aim_words(ch.name), aim_words(concat_ws(' ',
        ch.tags, ch.description, ch.creator, (SELECT username FROM users WHERE id = ch.owner)))
    FROM characters ch;
