-- Who made a character is found too: the one whom its card names, and the username of its owner.
ALTER TABLE characters ADD COLUMN creator text; -- as `details` says it
CREATE OR REPLACE FUNCTION aim_index_character() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO character_words (character, words)
        VALUES (NEW.key, aim_character_words(NEW.name, concat_ws(' ', NEW.tags, NEW.description, NEW.creator,
            (SELECT u.username FROM users u WHERE u.id = NEW.owner_id))))
        ON CONFLICT (character) DO UPDATE SET words = excluded.words;
    RETURN NULL;
END $$;
CREATE TRIGGER character_words_update_creator AFTER UPDATE OF creator, owner_id ON characters
    FOR EACH ROW WHEN (NEW.creator IS DISTINCT FROM OLD.creator OR NEW.owner_id IS DISTINCT FROM OLD.owner_id)
    EXECUTE FUNCTION aim_index_character();
